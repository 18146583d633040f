"""Training data: normalised spectra of prepared data files, with classes and redshifts."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, BoolArray, Float32Array, FloatArray, IntArray, good_pixels
from qnet.core.checks import check_finite, check_whole
from qnet.core.errors import FileError, InputError
from qnet.core.files import PathLike, as_paths
from qnet.core.grid import QUASARNET_GRID, WavelengthGrid
from qnet.io.columns import NO_ID
from qnet.io.fits.file import FitsFile
from qnet.io.readers.prepared import (
    count_prepared,
    is_prepared,
    prepared_fault,
    prepared_grid,
    prepared_ids,
)
from qnet.io.truth import TruthRecord, check_records, other_survey
from qnet.io.truth_layouts import CLASS_BAL, CLASS_NONE, CLASS_PERSON, SURE
from qnet.objective import CLASSES
from qnet.objective import objective as objective  # QuasarNET has it in io
from qnet.preprocess.normalisation import normalise
from qnet.preprocess.rebinning import rebin

logger = logging.getLogger(__name__)

T = TypeVar("T")

wave: FloatArray = QUASARNET_GRID.wave
"""Left edges [Angstrom] of QuasarNET's log grid, by QuasarNET's name: shape (443,).

Examples
--------
>>> from qnet.io import wave
>>> wave.shape, wave[:2].round(3)
((443,), array([3600.   , 3608.299]))
"""

#: Redshift that parts QSO_LZ and QSO_HZ: above it DESI and eBOSS use the Lyman-alpha forest
#: (QuasarNET's read_data; Farr et al. 2020, arXiv:2007.10348, section 1).
Z_LIM = 2.1

#: Rows of a prepared data file that are read at a time.
ROWS_PER_BLOCK = 2048


def read_data(
    files: PathLike | Sequence[PathLike],
    truth: Mapping[int, TruthRecord] | None = None,
    z_lim: float = Z_LIM,
    return_pmf: bool = False,
    nspec: int | None = None,
) -> tuple[AnyArray, ...]:
    """Read prepared data, and the truth of each spectrum, as QuasarNET's function of this name.

    Parameters
    ----------
    files : path or sequence of paths
        Prepared data files, on one grid.
    truth : mapping of int to TruthRecord, optional
        By id, from `read_truth`.
    z_lim : float
        Redshift that separates the classes QSO_LZ and QSO_HZ.
    return_pmf : bool
        Whether to return plate, mjd and fiberid too; -1 where the file has none.
    nspec : int, optional
        Rows to read, counted over all files together, before any cut.

    Returns
    -------
    tids : ndarray of int64, shape (nkept,)
        Ids.
    X : ndarray of float32, shape (nkept, npix)
        Normalised spectra.
    Y : ndarray of float64, shape (nkept, 5)
        With `truth`: one-hot classes STAR, GALAXY, QSO_LZ, QSO_HZ, BAD. BAD is all that is not a
        star, galaxy or quasar with confidence 3.
    z : ndarray of float64, shape (nkept,)
        With `truth`: redshifts.
    bal : ndarray of float64, shape (nkept,)
        With `truth`: 1 where broad absorption was seen and BI_CIV > 0, -1 where it was not and
        BI_CIV == 0, else 0.
    plate, mjd, fiberid : ndarray of int64, shape (nkept,)
        With `return_pmf`.

    Notes
    -----
    Removed, and counted in the log by reason: spectra of id -1, not in truth, without weight,
    without scatter, and not inspected (class and confidence 0).

    Raises
    ------
    FileError
        A file is not a prepared data file, or is on another grid than the first.
    InputError
        There is no file, nspec is negative, or none of the spectra is in the truth, which may then
        be that of another survey.

    Examples
    --------
    >>> import qnet
    >>> from qnet.io import read_data, read_truth
    >>> simulation = qnet.simulate(5, seed=1, survey="boss", mix={"quasar": 1})
    >>> _ = qnet.simulation.write_simulation(simulation, "data.fits", "truth.fits")
    >>> tids, X, Y, z, bal = read_data("data.fits", read_truth("truth.fits"))
    >>> X.shape, Y.shape
    ((5, 443), (5, 5))
    """
    check_arguments(read_data, locals())
    blocks = list(iter_data(files, truth, z_lim=z_lim, nspec=nspec, keep_pixels=False))
    columns = ["tids", "X"] + (["Y", "z", "bal"] if truth is not None else [])
    result = [np.concatenate([getattr(block, name) for block in blocks]) for name in columns]
    for name in ("PLATE", "MJD", "FIBERID") if return_pmf else ():
        unknown = [np.full(len(block.rows), NO_ID) for block in blocks]
        parts = [block.ids.get(name, none) for block, none in zip(blocks, unknown, strict=True)]
        result.append(np.concatenate(parts).astype(np.int64))
    return tuple(result)


@dataclasses.dataclass(frozen=True)
class Block:
    """Those rows of a block of a prepared data file that can be trained on."""

    path: Path
    grid: WavelengthGrid
    nread: int  # with the rows that were removed
    rows: IntArray
    ids: Mapping[str, AnyArray]
    X: Float32Array  # (nkept, npix), normalised
    flux: Float32Array | None = None  # as `ivar` 0 in pixels without weight
    ivar: Float32Array | None = None
    Y: FloatArray | None = None  # as `z` and `bal` None without truth
    z: FloatArray | None = None
    bal: FloatArray | None = None

    @property
    def tids(self) -> IntArray:
        """Ids of the rows."""
        return self.ids["TARGETID"]


def iter_data(
    files: PathLike | Sequence[PathLike],
    truth: Mapping[int, TruthRecord] | None = None,
    *,
    z_lim: float = Z_LIM,
    nspec: int | None = None,
    keep_pixels: bool = True,
    removed: Counter[str] | None = None,
    grid: WavelengthGrid | None = None,
) -> Iterator[Block]:
    """Read prepared data block by block, at least one; `removed` counts spectra by reason.

    Data on a finer grid, whole pixels of which make up those of `grid`, are rebinned to this one.
    """
    paths = as_paths(files, "files")
    if not paths:
        raise InputError("files is empty: at least one prepared data file was expected")
    if nspec is not None:
        check_whole("nspec", nspec, least=0)
    check_finite("z_lim", z_lim)
    truth = None if truth is None else check_records(truth)
    removed = Counter() if removed is None else removed
    left = nspec
    first: WavelengthGrid | None = None
    strangers: list[int] | None = None if truth is None else []  # ids, as long as none is in truth
    for path in paths:
        with FitsFile(path) as fits:
            if not is_prepared(fits):
                fault = prepared_fault(fits) or (
                    "is no prepared data file, which qnet prepare makes (an image of flux and "
                    f"ivar and a table with TARGETID): it holds {fits.describe()}"
                )
                raise FileError(f"{fits.path}: {fault}")
            chosen_grid, ids = _grid_of(fits, grid), prepared_ids(fits)
            first = first or chosen_grid
            if chosen_grid != first:
                raise FileError(
                    f"{path}: is on another grid ({chosen_grid}) than {paths[0]} ({first})"
                )
            count = count_prepared(fits) if left is None else min(left, count_prepared(fits))
            left = None if left is None else left - count
            for start in range(0, max(count, 1), ROWS_PER_BLOCK):
                rows = np.arange(start, min(start + ROWS_PER_BLOCK, count))
                chosen = {name: column[rows] for name, column in ids.items()}
                if truth is not None and strangers is not None:
                    strangers += chosen["TARGETID"][chosen["TARGETID"] != NO_ID].tolist()
                    strangers = strangers if truth.keys().isdisjoint(strangers) else None
                yield _block(fits, first, rows, chosen, truth, z_lim, keep_pixels, removed)
    if truth is not None and strangers:
        raise other_survey(len(strangers), strangers, truth)
    for reason, number in (+removed).items():
        logger.info("%d spectra %s", number, reason)


def read_pixels(
    path: PathLike, rows: IntArray, grid: WavelengthGrid
) -> tuple[Float32Array, Float32Array]:
    """Flux and ivar (nrows, npix) of rows of a prepared data file; 0 in pixels without weight."""
    with FitsFile(path) as fits:
        return _pixels(fits, rows, grid)


def read_grid(path: PathLike) -> WavelengthGrid:
    """The grid of a prepared data file."""
    with FitsFile(path) as fits:
        return prepared_grid(fits)


def _grid_of(fits: FitsFile, wanted: WavelengthGrid | None) -> WavelengthGrid:
    """The grid on which a file is read: the one that is wanted, if its own is a part of that."""
    own = prepared_grid(fits)
    return own if wanted is None or not own.nests(wanted) else wanted


def _pixels(
    fits: FitsFile, rows: IntArray, grid: WavelengthGrid
) -> tuple[Float32Array, Float32Array]:
    """Flux and ivar of rows; non-finite pixels, and those without weight, have both 0."""
    own = prepared_grid(fits)
    data = fits.image(0, rows).astype(np.float32, copy=False)
    flux, ivar = data[:, : own.npix], data[:, own.npix :]
    if own != grid:
        return rebin(own.wave, flux, ivar, grid)
    bad = ~good_pixels(flux, ivar)
    flux[bad], ivar[bad] = 0, 0
    return flux, ivar


def _block(
    fits: FitsFile,
    grid: WavelengthGrid,
    rows: IntArray,
    ids: dict[str, AnyArray],
    truth: Mapping[int, TruthRecord] | None,
    z_lim: float,
    keep_pixels: bool,
    removed: Counter[str],
) -> Block:
    """The block of the rows that can be trained on; the others are counted by the first reason."""
    flux, ivar = _pixels(fits, rows, grid)
    X = normalise(flux, ivar)
    reasons = {"id -1": ids["TARGETID"] == NO_ID}
    if truth is not None:
        records = [truth.get(tid) for tid in ids["TARGETID"].tolist()]
        reasons["not in truth"] = np.array([r is None for r in records], bool)
        reasons["not inspected"] = np.array([bool(r and not_inspected(r)) for r in records], bool)
    reasons["without weight"] = ~(ivar > 0).any(axis=1)
    reasons["without scatter"] = ~np.isfinite(X).all(axis=1)
    named = ((f"removed: {reason}", which) for reason, which in reasons.items())
    at = np.flatnonzero(keep_rows(len(rows), named, removed))
    columns: dict[str, AnyArray] = {}
    if truth is not None:
        found = truth_classes([truth[tid] for tid in ids["TARGETID"][at].tolist()], z_lim)
        columns = dict(zip(("Y", "z", "bal"), found, strict=True))
        unsure = int(columns["Y"][:, CLASSES.index("BAD")].sum())
        removed["are BAD: neither star, galaxy nor quasar for sure"] += unsure
    if keep_pixels:
        columns |= {"flux": flux[at], "ivar": ivar[at]}
    return Block(
        path=fits.path,
        grid=grid,
        nread=len(rows),
        rows=rows[at],
        ids={name: column[at] for name, column in ids.items()},
        X=X[at].astype(np.float32, copy=False),
        **columns,
    )


def keep_rows(count: int, reasons: Iterable[tuple[T, BoolArray]], removed: Counter[T]) -> BoolArray:
    """The rows that no reason removes; the others are counted by the first one."""
    keep: BoolArray = np.ones(count, dtype=bool)
    for reason, which in reasons:
        removed[reason] += int((which & keep).sum())
        keep &= ~which
    return keep


def truth_classes(
    records: Sequence[TruthRecord], z_lim: float = Z_LIM
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Classes Y (nspec, 5), redshifts z and BAL classes bal (nspec,) of truth; see `read_data`."""
    try:
        fields = np.array([record[:5] for record in records], np.float64).reshape(-1, 5)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"a record of the truth is not of numbers ({error})") from error
    z, person, confidence, bal_flag, balnicity = fields.T.copy()
    sure, flag = confidence == SURE, bal_flag != 0
    quasar = sure & np.isin(person, [CLASS_PERSON["QSO"], CLASS_BAL])
    members = {
        "STAR": sure & (person == CLASS_PERSON["STAR"]),
        "GALAXY": sure & (person == CLASS_PERSON["GALAXY"]),
        "QSO_LZ": quasar & (z < z_lim),
        "QSO_HZ": quasar & (z >= z_lim),
    }
    members["BAD"] = ~np.any(list(members.values()), axis=0)
    Y = np.stack([members[name] for name in CLASSES], axis=1).astype(np.float64)
    bal = (flag & (balnicity > 0)).astype(np.float64) - (~flag & (balnicity == 0))
    return Y, z, bal


def not_inspected(record: TruthRecord) -> bool:
    """Whether nobody looked at the object: class and confidence are 0."""
    return record.class_person == CLASS_NONE and record.z_conf_person == 0
