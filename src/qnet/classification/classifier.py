"""`qnet.classify`: spectra or files to a catalogue."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt

from qnet.classification.files import classify_files, classify_memory, reads_whole
from qnet.classification.options import Options
from qnet.core.arguments import check_arguments
from qnet.core.errors import InputError
from qnet.core.files import PathLike, as_paths
from qnet.core.guards import settle_failures
from qnet.io.objects.batches import as_source, read_source
from qnet.io.options import ReadOptions
from qnet.io.reader import BLOCK_ROWS
from qnet.io.spall import SpAllLike
from qnet.model.model import Model

if TYPE_CHECKING:
    from astropy.table import Table

    from qnet.classification.population import Population


def classify(
    source: Any,
    flux: npt.ArrayLike | None = None,
    ivar: npt.ArrayLike | None = None,
    *,
    error: npt.ArrayLike | None = None,
    variance: npt.ArrayLike | None = None,
    targetid: npt.ArrayLike | None = None,
    ra: npt.ArrayLike | None = None,
    dec: npt.ArrayLike | None = None,
    model: Model | PathLike | None = None,
    strategy: str | None = None,
    p_threshold: float | None = None,
    c_threshold: float | None = None,
    min_lines: int | None = None,
    prior_qso: float | None = None,
    prior: str | PathLike | Table | Population | None = None,
    targets: Literal["all", "qso"] = "all",
    targetids: Iterable[int] | None = None,
    rows: Iterable[int] | Iterable[bool] | None = None,
    coadd: Literal["none", "target"] = "none",
    air: bool | None = None,
    edges: bool | None = None,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    wave_unit: str | None = None,
    flux_unit: str | None = None,
    spall: SpAllLike | None = None,
    workers: int = 1,
    threads: int | None = None,
    progress: bool = False,
    errors: Literal["raise", "skip"] = "raise",
    pz: bool = False,
) -> Table:
    """Classify spectra: which are quasars, and at what redshift.

    Parameters
    ----------
    source : path, array_like, object with spectra, or iterable of paths or of such objects
        Files of any layout that `qnet.io.read_spectra` knows; or wavelengths [Angstrom, vacuum] of
        shape (npix,) or (nspec, npix), with `flux` and `ivar`; or an object in memory of desispec,
        SPARCL, specutils, pandas, astropy or qnet, or a list or a generator of them. Objects of
        one spectrum each are the rows of one input; others are each an input of their own.
    flux, ivar : array_like or Quantity, shape (nspec, npix) or (npix,), optional
        With wavelengths. Flux in any scale, and its inverse variance. Flux per frequency has a
        unit, and is converted. Pixels of NaN or infinite values, or of ivar <= 0, have no weight.
    error, variance : array_like or Quantity, shape of `flux`, optional
        With wavelengths: the standard deviation of the flux or its square, instead of `ivar`.
    targetid : array_like of int, shape (nspec,), optional
        With wavelengths: the TARGETIDs of the spectra. The row numbers when None.
    ra, dec : array_like or Quantity, shape (nspec,), optional
        With wavelengths: positions [degree], which are TARGET_RA and TARGET_DEC.
    model : Model, str or path, optional
        The model, its name, or its weights file, as `qnet.load_model` takes it. The default model
        when None.
    strategy : str, optional
        Published selection criterion, by name or name@version: one of `qnet.strategies.STRATEGIES`
        that needs predictions only. When None, 'qnet' for models that have P_QSO, else 'tutorial'.
        It replaces the three thresholds; ZBEST does not change.
    p_threshold : float, optional
        Rows with P_QSO above this are quasars; only for models that have P_QSO. The model's own
        threshold when None.
    c_threshold : float, optional
        QuasarNET's criterion: at least `min_lines` lines of confidence above this. 0.5 when None.
        For models that have P_QSO this criterion is used only if this or `min_lines` is given.
    min_lines : int, optional
        See `c_threshold`. 1 when None.
    prior_qso : float, optional
        Fraction of quasars among the spectra, in place of the population's (`prior`): P_QSO is
        rescaled to it (`qnet.model.rescale`); only for models that have P_QSO, and not with
        QuasarNET's criterion.
    prior : str, path, astropy.table.Table or Population, optional
        The population that redshifts and P_QSO assume: 'quasar-targets', the objects that surveys
        select as quasars; 'fibres', all objects of a survey; 'training', the sample that the model
        was trained on; or a `qnet.Population`, its file or its table. The apparent magnitude is
        used if the unit of the flux is known. 'quasar-targets' when None; 'training' for models
        that do not hold the density of their sample, and with QuasarNET's criterion.
    targets : {'all', 'qso'}
        Which rows to classify: all, or the survey's quasar targets.
    targetids : iterable of int, optional
        Classify only these TARGETIDs.
    rows : iterable of int, or of bool of shape (nspec,), optional
        Classify only these rows of each input.
    coadd : {'none', 'target'}
        'target' joins the exposures of each positive TARGETID of an input into one row.
    air : bool, optional
        Whether wavelengths are in air: those of arrays, tables, specutils objects, and files of
        tables that do not state it. Vacuum when None.
    edges : bool, optional
        Whether wavelengths of arrays, tables and specutils objects are the left edges of the
        pixels, as ``model.wave`` is, or their centres. Centres when None, with a warning if they
        are the edges of the model's own pixels.
    format, columns, wave_unit, flux_unit : optional
        For files that are tables of spectra of no known layout: as `read_spectra` takes them.
    spall : path, mapping or tuple, optional
        For spPlate and spCFrame files, which hold no THING_ID: an spAll file, or the result of
        `qnet.io.read_spall`.
    workers : int
        Number of processes. They are new interpreters, which import the script. It must call this
        function under ``if __name__ == "__main__":``.
    threads : int, optional
        Threads in each process, for the network and the second stage; results do not depend on it.
        When None, one for each CPU that the process may use, or fewer if OMP_NUM_THREADS or a
        similar variable is set. The processes (at most one for each input) divide them.
    progress : bool
        Show a progress bar on a terminal.
    errors : {'raise', 'skip'}
        What to do if some of several files fail, after all were tried: raise; or skip them, with a
        `QnetWarning` for each, and raise only if none is left.
    pz : bool
        Whether the table has the redshift distribution of each spectrum (82 kB): LN_PZ of shape
        (nspec, npix), the logarithm of the density of ln(1+z) if it is a quasar, on the grid that
        `qnet.io.pz_grid` gives; and the probabilities of the other classes, P_STAR and P_GALAXY
        (1 in all with P_QSO, sky with the stars). Only for models with a redshift head, a second
        stage and a calibration.

    Returns
    -------
    astropy.table.Table
        Row i is spectrum i of the input; no row is dropped. Rows that were not selected, and rows
        that cannot be classified, are NaN and flagged in QN_FLAG.

    Raises
    ------
    MissingFileError, FileError
        A file is missing, damaged or of no known layout; a FileError if several fail. Its attribute
        `failures` has the failed inputs and their errors, `partial` the table of the others.
    InputError
        An argument is not valid, or does not fit the spectra.

    Warns
    -----
    QnetWarning
        A file fails and `errors` is 'skip', a file is given twice, or it has no ids.

    See Also
    --------
    write_catalogue : write the table to a file.
    qnet.io.write_pz : write the redshift distributions to a file of their own.

    Examples
    --------
    Simulated spectra (or the path of a file):

    >>> import qnet
    >>> batch = qnet.simulate(4, seed=1, mix={"quasar": 1}).collect()
    >>> table = qnet.classify(batch.spectra)
    >>> table.colnames[:7]
    ['TARGETID', 'IS_QSO', 'P_QSO', 'ZBEST', 'ZERR', 'P_Z', 'QN_FLAG']
    >>> print(table["P_QSO"].description)
    probability that it is a quasar

    Only two of them:

    >>> table = qnet.classify(batch.spectra, rows=[0, 3])
    >>> [qnet.flag_names(value) for value in table["QN_FLAG"][1:3]]
    [['NOT_TARGET'], ['NOT_TARGET']]
    """
    check_arguments(classify, locals())
    beside = {"ivar": ivar, "error": error, "variance": variance}
    beside |= {"targetid": targetid, "ra": ra, "dec": dec}
    given = [name for name, value in beside.items() if value is not None]
    source, in_memory = (source, True) if flux is not None else as_source(source)
    paths = None if in_memory or ivar is not None else _as_paths(source)
    reading = ReadOptions(
        format=format, columns=columns or {}, wave_unit=wave_unit, flux_unit=flux_unit, air=air
    )
    options = Options(
        model,
        p_threshold=p_threshold,
        strategy=strategy,
        c_threshold=c_threshold,
        min_lines=min_lines,
        prior_qso=prior_qso,
        prior=prior,
        targets=targets,
        targetids=targetids,
        rows=rows,
        coadd=coadd,
        spall=spall,
        workers=1 if paths is None else workers,
        threads=threads,
        progress=progress,
        pz=pz,
        reading=reading if paths is not None else None,
    )
    if paths is None:
        _refuse_in_memory(reading, spall)
        if flux is not None and targetid is None and coadd == "target":
            raise InputError("coadd='target' joins the spectra of a TARGETID: give targetid")
        batches = read_source(
            source,
            flux,
            **beside,
            air=bool(air),
            edges=edges,
            grid=options.model.grid,
            nrows=sys.maxsize if reads_whole(options) else BLOCK_ROWS,
        )
        return classify_memory(batches, options).to_table()
    if edges is not None:
        raise InputError("edges is for arrays and objects in memory, not for files")
    if given:
        raise InputError(f"{given[0]} is for arrays, not for files, which hold their own")
    catalogue, failures = classify_files(paths, options)
    table = catalogue.to_table() if catalogue.columns else None
    return settle_failures(failures, table, errors)


def _refuse_in_memory(reading: ReadOptions, spall: SpAllLike | None) -> None:
    """Raise where options of files are given with spectra in memory."""
    if reading.format is not None or reading.is_table:
        raise InputError("format, columns, wave_unit and flux_unit are for files")
    if spall is not None:
        raise InputError("spall is for files, not for spectra in memory, which have their ids")


def _as_paths(source: Any) -> list[PathLike]:
    """The source as paths, one at least."""
    paths = as_paths(source, "source")
    if not paths:
        raise InputError("there are no input files: the list of paths is empty")
    return paths
