"""DESI's quasar afterburner: quasars of the network among what redrock fitted, and redrock again.

The table, its columns and the order of the work are those of desispec 0.70, desispec.scripts.qsoqn.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from qnet.classification.classifier import classify
from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, BoolArray, Columns, Float32Array, take_rows
from qnet.core.columns import BY_NAME, Column
from qnet.core.errors import warn
from qnet.core.files import PathLike, as_path
from qnet.io.catalogue import from_table, write_hdus
from qnet.io.readers.desi import QSO_TARGETS
from qnet.io.tables import Card, to_table
from qnet.lines import QUASARNET_LINES
from qnet.model.loading import as_model
from qnet.model.model import Model
from qnet.redrock.priors import find_windows, is_covered, read_redshift_grids
from qnet.redrock.redshifts import Redshifts, read_redshifts
from qnet.redrock.rerun import find_redrock, find_templates, rerun
from qnet.strategies import Strategy, as_strategy

if TYPE_CHECKING:
    from astropy.table import Table

#: Name of the HDU.
EXTNAME = "QN_RR"

#: Coefficients that COEFF_NEW has room for.
_NCOEFF = 10

#: qnet's own columns, after those of desispec.
_OWN = ("IS_QSO", "P_QSO", "ZBEST", "ZERR", "P_Z", "Z2", "P2", "IS_BAL", "P_BAL", "QN_FLAG")

#: Why redrock ran again or did not, row by row: values of RERUN.
NO_QSO, AGREES, OUTSIDE, NOT_RUN, NO_FIT, DONE = (
    *("no quasar", "agrees", "outside templates", "not run", "no fit", "done"),
)

_NAN = float("nan")

#: Columns of redrock's second run: name in its file, type, what rows hold that were not rerun.
_NEW = (
    ("Z", "f8", _NAN),
    ("ZERR", "f4", _NAN),
    ("ZWARN", "i8", 0),
    ("SPECTYPE", "U3", ""),
    ("SUBTYPE", "U3", ""),
    ("CHI2", "f4", _NAN),
    ("DELTACHI2", "f4", _NAN),
)

#: Descriptions of the columns that catalogues of qnet do not have.
_COLUMNS = (
    Column("RA", "f8", "right ascension of the target", _NAN, ".6f", "deg"),
    Column("DEC", "f8", "declination of the target", _NAN, ".6f", "deg"),
    Column("SPECTYPE_RR", "str", "class by redrock's first run"),
    Column("Z_RR", "f8", "redshift of redrock's first run", _NAN, ".5f"),
    Column("IS_QSO_QN_NEW_RR", "bool", "a quasar that redrock ran on again"),
    Column("Z_QN", "f4", "redshift of the network", _NAN, ".5f"),
    *(Column(f"{name}_NEW", kind, f"{name} of redrock's second run") for name, kind, _ in _NEW),
    Column("COEFF_NEW", "f4", "coefficients of the template of redrock's second run"),
    Column("IS_QSO", "bool", "whether it is a quasar by STRATEGY"),
    Column("Z_QSO", "f8", "redshift by STRATEGY, if it is a quasar", _NAN, ".5f"),
    Column("PRIOR_WIDTH", "f8", "full width of redrock's window around ZBEST", _NAN, ".4f"),
    Column("RERUN", "str", "whether redrock ran again, or why not"),
)


def run_afterburner(
    coadd: PathLike,
    redrock: PathLike,
    *,
    model: Model | PathLike | None = None,
    strategy: str | Strategy = "desi-afterburner",
    targets: Literal["all", "qso"] = "all",
    targetids: Iterable[int] | None = None,
    templates: PathLike | Iterable[PathLike] | None = None,
    rrdesi: str | None = None,
    priors: PathLike | None = None,
    threads: int | None = None,
) -> Table:
    """Find the quasars of a coadd, and run redrock again on those where it disagrees.

    Redrock runs again, in a window of redshift around ZBEST, on the quasars whose SPECTYPE is not
    QSO or whose redshift by redrock is outside of the window.

    Parameters
    ----------
    coadd : str or path
        A DESI coadd.
    redrock : str or path
        The file that redrock made of it.
    model : Model, str or path, optional
        As in `qnet.classify`.
    strategy : str or Strategy
        Selection criterion of quasars (`qnet.strategies`).
    targets : {'all', 'qso'}
        Which rows to classify: all, or DESI's quasar targets.
    targetids : iterable of int, optional
        Classify only these TARGETIDs.
    templates : path or iterable of paths, optional
        Redrock's templates of quasars: files, or a folder of ``rrtemplate-QSO-*.fits``. Those
        of RR_TEMPLATE_DIR, or of the installed redrock, when None.
    rrdesi : str, optional
        Redrock's command. When None the installed redrock, or ``rrdesi`` on PATH; without any of
        these redrock does not run again, with a warning.
    priors : str or path, optional
        Keep redrock's file of priors here, replacing an existing one.
    threads : int, optional
        As in `qnet.classify`.

    Returns
    -------
    astropy.table.Table
        Row i is row i of the coadd. The columns of desispec's QN_RR, then those of qnet, with
        PRIOR_WIDTH, the full width of the window, and RERUN: 'done', 'no quasar', 'agrees',
        'outside templates' (no template reaches into the window), 'not run' (redrock or its
        templates are missing) or 'no fit' (redrock gave no result).

    Raises
    ------
    MissingFileError, FileError
        A file is missing, damaged, or the two have no TARGETID in common; or redrock failed.
    InputError
        An argument is not valid.

    Warns
    -----
    QnetWarning
        Redrock or its templates are missing, or a window is outside of them.

    Notes
    -----
    The window reaches 5 ZERR to both sides, at least 3000 km/s, and at most half the way to the
    second candidate Z2. Where the model gives no ZERR its full width is that of desispec,
    2 (10^d - 1) (1 + z), with d the width of a box of the network in dex.

    Examples
    --------
    A simulated coadd, with a redrock file that takes all for galaxies; without redrock:

    >>> import warnings
    >>> import numpy as np
    >>> import qnet
    >>> from qnet.redrock import run_afterburner
    >>> from qnet.simulation import write_simulation
    >>> simulation = qnet.simulate(3, seed=1, survey="desi", mix={"quasar": 1})
    >>> truth = write_simulation(simulation, "coadd.fits", "truth.csv", format="coadd")
    >>> rows = {"TARGETID": truth["TARGETID"], "Z": np.zeros(3), "SPECTYPE": np.full(3, "GALAXY")}
    >>> path = qnet.io.write_table("redrock.fits", rows, extname="REDSHIFTS")
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", qnet.QnetWarning)
    ...     table = run_afterburner("coadd.fits", "redrock.fits", priors="priors.fits")
    >>> table.colnames[:5]
    ['TARGETID', 'RA', 'DEC', 'DESI_TARGET', 'SPECTYPE_RR']
    """
    check_arguments(run_afterburner, locals())
    spectra, rule, network = as_path(coadd, "coadd"), as_strategy(strategy), as_model(model)
    command = find_redrock(rrdesi)
    first = read_redshifts(redrock, ("TARGET_RA", "TARGET_DEC", *QSO_TARGETS))
    table = classify(spectra, model=network, targets=targets, targetids=targetids, threads=threads)
    rows = first.rows_of(table, spectra)
    table["SPECTYPE_RR"] = first.take("SPECTYPE", rows, "")
    table["Z_RR"] = first.take("Z", rows, _NAN)
    table["ZWARN"] = first.take("ZWARN", rows, 0)
    table["PRIOR_WIDTH"] = find_windows(table, network.grid, network.nboxes)
    new = _empty_rows(len(table))
    _add(table, new, np.zeros(len(table), dtype=bool))
    status = _find_disagreeing(table, rule(table).is_qso)
    files = find_templates(templates)
    wanted = status == NOT_RUN
    if files:
        wanted &= _leave_out_uncovered(table, status, files)
    if priors is not None:
        _keep_priors(priors, table, wanted)
    version = first.version
    if (command is None or not files) and wanted.any():
        what = "redrock is" if command is None else "redrock's templates of quasars are"
        warn(f"{what} not installed: it does not run again on {wanted.sum()} quasar(s)")
    elif command is not None and wanted.any():
        version = _run_again(new, status, table, wanted, spectra, files, command)
    _add(table, new, status == DONE)
    decided = rule(table)
    table["IS_QSO"], table["Z_QSO"], table["RERUN"] = decided.is_qso, decided.z, status
    return _assemble(table, first, rows, rule, version)


def _add(table: Table, new: Columns, again: BoolArray) -> None:
    """Give a table the columns of redrock's second run, and the rows where it ran."""
    table["IS_QSO_QN_NEW_RR"] = again
    for name, values in new.items():
        table[name] = values


def _find_disagreeing(table: Table, is_qso: BoolArray) -> AnyArray:
    """RERUN of each row before redrock runs again."""
    half = np.asarray(table["PRIOR_WIDTH"]) / 2
    near = np.abs(np.asarray(table["Z_RR"]) - np.asarray(table["ZBEST"])) <= half
    agrees = near & (np.asarray(table["SPECTYPE_RR"]) == "QSO")
    status = np.where(is_qso, np.where(agrees, AGREES, NOT_RUN), NO_QSO)
    return status.astype(f"U{max(map(len, (NO_QSO, AGREES, OUTSIDE, NOT_RUN, NO_FIT, DONE)))}")


def _leave_out_uncovered(table: Table, status: AnyArray, files: list[Path]) -> BoolArray:
    """Rows whose window redrock's templates reach; the others are marked, with a warning."""
    z, width = (np.asarray(table[name], np.float64) for name in ("ZBEST", "PRIOR_WIDTH"))
    covered = is_covered(z, width, read_redshift_grids(files))
    outside = (status == NOT_RUN) & ~covered
    if outside.any():
        status[outside] = OUTSIDE
        warn(f"redrock's templates do not reach the redshifts of {outside.sum()} quasar(s)")
    return covered


def _keep_priors(path: PathLike, table: Table, wanted: BoolArray) -> None:
    """Write the priors of some rows where the caller wants them."""
    from qnet.redrock.priors import write_priors

    columns = (np.asarray(table[name])[wanted] for name in ("TARGETID", "ZBEST", "PRIOR_WIDTH"))
    write_priors(path, *columns, overwrite=True)


def _empty_rows(nrows: int) -> Columns:
    """Columns of redrock's second run where it did not run."""
    columns: Columns = {f"{name}_NEW": np.full(nrows, empty, kind) for name, kind, empty in _NEW}
    columns["COEFF_NEW"] = np.full((nrows, _NCOEFF), _NAN, np.float32)
    return columns


def _run_again(
    new: Columns,
    status: AnyArray,
    table: Table,
    wanted: BoolArray,
    spectra: Path,
    files: list[Path],
    command: list[str],
) -> str:
    """Run redrock on some rows, and fill its columns and their status; redrock's version."""
    index = np.flatnonzero(wanted)
    targetid = np.asarray(table["TARGETID"])[index]
    z, width = (np.asarray(table[name], np.float64)[index] for name in ("ZBEST", "PRIOR_WIDTH"))
    results = rerun(spectra, targetid, z, width, templates=files, command=command)
    status[index] = NO_FIT
    for result in results:
        found = result.match(targetid)
        have, rows = index[found >= 0], found[found >= 0]
        status[have] = DONE
        for name, kind, empty in _NEW:
            new[f"{name}_NEW"][have] = result.take(name, rows, empty).astype(kind)
        if "COEFF" in result.columns:
            new["COEFF_NEW"][have] = _padded(result.columns["COEFF"][rows])
    return results[0].version


def _padded(coefficients: AnyArray) -> Float32Array:
    """Coefficients of templates with zeros behind them."""
    padded: Float32Array = np.zeros((len(coefficients), _NCOEFF), np.float32)
    flat = coefficients.reshape(len(coefficients), -1)[:, :_NCOEFF]
    padded[:, : flat.shape[1]] = flat
    return padded


def _assemble(
    table: Table, first: Redshifts, rows: AnyArray, rule: Strategy, version: str
) -> Table:
    """The columns of QN_RR, then those of qnet, with the header."""
    columns: dict[str, Any] = {"TARGETID": np.asarray(table["TARGETID"])}
    for name, source in (("RA", "TARGET_RA"), ("DEC", "TARGET_DEC")):
        columns[name] = _of_target(table, first, rows, source, _NAN).astype(np.float64)
    target = _target_column({*table.colnames, *first.fibermap})
    columns[target] = _of_target(table, first, rows, target, 0).astype(np.int64)
    for name in ("SPECTYPE_RR", "Z_RR", "IS_QSO_QN_NEW_RR"):
        columns[name] = np.asarray(table[name])
    columns["Z_QN"] = np.asarray(table["ZBEST"], np.float32)
    lines = [table.meta[key] for key in (f"LINE{n}" for n in range(99)) if key in table.meta]
    for prefix, source in (("C", "C_LINES"), ("Z", "Z_LINES")):
        values = np.asarray(table[source], np.float32)
        for line in QUASARNET_LINES:
            empty = np.full(len(table), _NAN, np.float32)
            found = values[:, lines.index(line)] if line in lines else empty
            columns[f"{prefix}_{line.partition('(')[0]}"] = found
    for name in (*_empty_rows(0), *_OWN, "Z_QSO", "PRIOR_WIDTH", "RERUN"):
        columns[name] = np.asarray(table[name])
    known = {column.name: column for column in _COLUMNS}
    info = {name: known.get(name, BY_NAME.get(name, Column(name))) for name in columns}
    meta = {**table.meta, "STRATEGY": str(rule), "RRVER": version}
    return to_table(columns, [Card(key, value) for key, value in meta.items()], info)


def _of_target(table: Table, first: Redshifts, rows: AnyArray, name: str, empty: float) -> AnyArray:
    """A column of the coadd's FIBERMAP, else of redrock's."""
    if name in table.colnames:
        return np.asarray(table[name])
    if name in first.fibermap:
        return take_rows(first.fibermap[name], rows, empty)
    return np.full(len(table), empty)


def _target_column(names: set[str]) -> str:
    """The target column of the survey: of its validation or commissioning where there is one."""
    main, *others = QSO_TARGETS
    return next((name for name in others if name in names), main)


def write_qn_rr(table: Table, path: PathLike, *, overwrite: bool = False) -> Path:
    """Write what `run_afterburner` returned: a FITS file with the HDU QN_RR."""
    whole = from_table(table)
    # As bytes text keeps the width of its type, which is that of desispec.
    columns = {
        name: np.char.encode(x).astype(f"S{x.dtype.itemsize // 4}") if x.dtype.kind == "U" else x
        for name, x in whole.columns.items()
    }
    whole = dataclasses.replace(whole, columns=columns)
    write_hdus({EXTNAME: whole}, path, overwrite=overwrite)
    return Path(path)
