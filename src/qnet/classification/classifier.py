"""`qnet.classify`: spectra or files to a catalogue."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from qnet.classification.criterion import choose_criterion
from qnet.classification.files import classify_files, classify_memory
from qnet.core.errors import FileError, InputError
from qnet.core.files import PathLike
from qnet.io.reader import as_spectra
from qnet.io.selection import Selection
from qnet.io.spall import SpAllLike, as_spall
from qnet.model.model import Model, load_model

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
    prior_qso: float | None = None,
    targets: Literal["all", "qso"] = "all",
    targetids: Iterable[int] | None = None,
    rows: Iterable[int] | Iterable[bool] | None = None,
    coadd: Literal["none", "target"] = "none",
    air: bool = False,
    spall: SpAllLike | None = None,
    workers: int = 1,
    threads: int | None = None,
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
        The model, its name, or its weights file, as `qnet.load_model` takes it. The default when
        None.
    p_threshold : float, optional
        Call a row a quasar when P_QSO is above this; only for models that have P_QSO. The model's
        own threshold when None.
    c_threshold : float, optional
        QuasarNET's rule: at least `min_lines` lines of confidence above this. 0.5 when None. Models
        that have P_QSO are asked for it, unless this or `min_lines` is given.
    min_lines : int, optional
        See `c_threshold`. 1 when None.
    prior_qso : float, optional
        Share of quasars among the spectra: P_QSO is rescaled to it (`qnet.model.rescale`)
        from the class mix that the model was calibrated for; only for models that have P_QSO.
    targets : {'all', 'qso'}
        Which rows to classify: all, or the survey's quasar targets.
    targetids : iterable of int, optional
        Classify only these TARGETIDs.
    rows : iterable of int, or of bool of shape (nspec,), optional
        Classify only these rows of each input.
    coadd : {'none', 'target'}
        'target' joins the exposures of each positive TARGETID of an input into one row.
    air : bool
        Wavelengths of arrays, tables and specutils objects are in air.
    spall : path, mapping or tuple, optional
        For spPlate and spCFrame files, which hold no THING_ID: an spAll file, or what
        `qnet.io.read_spall` returns of it.
    workers : int
        Processes that share the files.
    threads : int, optional
        Threads in each process, for the network and the second stage; results do not depend on it.
        When None, one for each CPU that the process may use, or as many as OMP_NUM_THREADS and its
        like allow; with several `workers`, one.
    progress : bool
        Show a progress bar on a terminal.

    Returns
    -------
    astropy.table.Table
        Row i is spectrum i of the input: nothing is dropped. Rows that were not asked for, and rows
        that cannot be classified, are NaN and flagged in QN_FLAG.

    Raises
    ------
    MissingFileError, FileError
        A file is not there, damaged or of no known layout; of several files that fail, all are
        named.
    InputError
        An argument is not legal, or does not fit the spectra.

    Examples
    --------
    >>> import qnet
    >>> table = qnet.classify("coadd-main-dark-10016.fits", model="qn.h5")  # doctest: +SKIP
    """
    chosen = model if isinstance(model, Model) else load_model(model)
    criterion = choose_criterion(
        chosen,
        p_threshold=p_threshold,
        c_threshold=c_threshold,
        min_lines=min_lines,
        prior_qso=prior_qso,
    )
    chosen_rows, nrows = _as_rows(rows)
    selection = Selection(
        targets=targets,
        targetids=None if targetids is None else frozenset(_integers(targetids, "targetids")),
        rows=chosen_rows,
        nrows=nrows,
        coadd=coadd,
    )
    paths = _as_paths(source) if flux is None and ivar is None else None
    if paths is None:
        spectra = as_spectra(source, flux, ivar, air=air)
        return classify_memory(spectra, chosen, criterion, selection, threads=threads).to_table()
    if air:
        raise InputError("air=True is for arrays, tables and specutils objects, not for files")
    catalogue, failures = classify_files(
        paths,
        chosen,
        criterion,
        selection,
        spall=as_spall(spall),
        workers=workers,
        threads=threads,
        progress=progress,
    )
    if len(failures) == 1:
        raise failures[0].error
    if failures:
        message = "; ".join(str(failure.error) for failure in failures)
        raise FileError(message) from failures[0].error
    return catalogue.to_table()


def _as_rows(rows: Iterable[Any] | None) -> tuple[tuple[int, ...] | None, int | None]:
    """Rows as indices; with the length of the mask where they came as one."""
    if rows is None:
        return None, None
    array = _as_array(rows, "rows")
    if array.dtype == bool and array.ndim != 1:
        raise InputError(f"rows must be a boolean per spectrum, not of shape {array.shape}")
    if array.dtype == bool:
        return tuple(np.flatnonzero(array).tolist()), len(array)
    return tuple(_integers(array, "rows")), None


def _as_array(values: Any, what: str) -> npt.NDArray[Any]:
    """Any iterable, or one number, as an array.

    Raises
    ------
    InputError
        It is neither.
    """
    if np.ndim(values) == 0 and isinstance(values, (int, np.integer)):
        return np.array([values])
    try:
        return np.asarray(values if isinstance(values, np.ndarray) else list(values))
    except TypeError as error:
        raise InputError(f"{what} must be integers, not a {type(values).__name__}") from error


def _integers(values: Iterable[Any], what: str) -> list[int]:
    """The values as integers.

    Raises
    ------
    InputError
        One is none.
    """
    array = _as_array(values, what)
    if array.size and (array.dtype.kind not in "iu" or array.ndim != 1):
        raise InputError(f"{what} must be integers, not of type {array.dtype}")
    return [int(value) for value in array]


def _as_paths(source: Any) -> list[PathLike] | None:
    """The source as paths; None when it is something else."""
    if isinstance(source, (str, os.PathLike)):
        return [source]
    if isinstance(source, np.ndarray) and source.dtype.kind == "U":
        source = source.ravel().tolist()
    if isinstance(source, (list, tuple)) and not source:
        raise InputError("there are no input files: the list of paths is empty")
    if isinstance(source, (list, tuple)) and all(
        isinstance(item, (str, os.PathLike)) for item in source
    ):
        return list(source)
    return None
