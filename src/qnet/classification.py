"""`qnet.classify`: spectra or files to a catalogue."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt

from qnet.answers import choose_rule
from qnet.errors import FileError, InputError
from qnet.files import PathLike
from qnet.io.boss import SpAll
from qnet.io.reader import as_spectra
from qnet.model import Model, load_model
from qnet.survey import Selection, classify_files, classify_memory

if TYPE_CHECKING:
    from astropy.table import Table


def classify(
    source: Any,
    flux: npt.ArrayLike | None = None,
    ivar: npt.ArrayLike | None = None,
    *,
    model: Model | PathLike | None = None,
    p_threshold: float | None = None,
    c_threshold: float | None = None,
    min_lines: int | None = None,
    targets: Literal["all", "qso"] = "all",
    targetids: Iterable[int] | None = None,
    rows: Iterable[int] | None = None,
    coadd: Literal["none", "target"] = "none",
    air: bool = False,
    spall: SpAll | None = None,
    workers: int = 1,
    progress: bool = False,
) -> Table:
    """Classify spectra: is it a quasar, and at what redshift?

    Parameters
    ----------
    source : path, sequence of paths, Spectra, array_like, Table, Spectrum or SpectrumList
        Files of any layout that `qnet.io.read_spectra` knows; or wavelengths [Angstrom, vacuum] of
        shape (npix,) or (nspec, npix), with `flux` and `ivar`; or an object in memory.
    flux, ivar : array_like, shape (nspec, npix) or (npix,), optional
        With wavelengths.
    model : Model, str or path, optional
        The model, or its weights file.
    p_threshold : float, optional
        Call a row a quasar when P_QSO is above this; only for models that have P_QSO.
    c_threshold : float, optional
        QuasarNET's rule: at least `min_lines` lines of confidence above this. 0.5 when None.
    min_lines : int, optional
        See `c_threshold`. 1 when None.
    targets : {'all', 'qso'}
        Which rows to classify: all, or the survey's quasar targets.
    targetids : iterable of int, optional
        Classify only these TARGETIDs.
    rows : iterable of int, optional
        Classify only these rows of each input.
    coadd : {'none', 'target'}
        'target' joins the exposures of each positive TARGETID of an input into one row.
    air : bool
        Wavelengths of arrays, tables and specutils objects are in air.
    spall : mapping, optional
        THING_ID by (PLATE, MJD, FIBERID), for spPlate and spCFrame files.
    workers : int
        Processes that share the files.
    progress : bool
        Show a progress bar on a terminal.

    Returns
    -------
    astropy.table.Table
        Row i is spectrum i of the input: nothing is dropped. Rows that were not asked for, and rows
        that cannot be classified, are NaN and flagged in QN_FLAG.

    Raises
    ------
    FileError
        A file is not there, damaged or of no known layout.
    InputError
        An argument is not legal.

    Examples
    --------
    >>> import qnet
    >>> table = qnet.classify("coadd-main-dark-10016.fits", model="qn.h5")  # doctest: +SKIP
    """
    chosen = model if isinstance(model, Model) else load_model(model)
    rule = choose_rule(
        chosen, p_threshold=p_threshold, c_threshold=c_threshold, min_lines=min_lines
    )
    selection = Selection(
        targets=targets,
        targetids=None if targetids is None else frozenset(map(int, targetids)),
        rows=None if rows is None else tuple(map(int, rows)),
        coadd=coadd,
    )
    paths = _as_paths(source) if flux is None and ivar is None else None
    if paths is None:
        spectra = as_spectra(source, flux, ivar, air=air)
        return classify_memory(spectra, chosen, rule, selection).to_table()
    if air:
        raise InputError("air=True is for arrays, tables and specutils objects, not for files")
    catalogue, failures = classify_files(
        paths, chosen, rule, selection, spall=spall, workers=workers, progress=progress
    )
    if failures:
        raise FileError("; ".join(failure.message for failure in failures))
    return catalogue.to_table()


def _as_paths(source: Any) -> list[PathLike] | None:
    """The source as paths; None when it is something else."""
    if isinstance(source, (str, os.PathLike)):
        return [source]
    if (
        isinstance(source, (list, tuple))
        and source
        and all(isinstance(item, (str, os.PathLike)) for item in source)
    ):
        return list(source)
    return None
