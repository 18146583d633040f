"""A truth file from a superset of visually inspected targets and a quasar catalogue (DRQ)."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import BoolArray, FloatArray, IntArray
from qnet.core.errors import FileError, InputError
from qnet.core.files import PathLike, as_paths
from qnet.io.columns import NO_ID, float_column, integer_column
from qnet.io.fits.file import FitsFile
from qnet.io.tables import write_table
from qnet.io.truth import TruthRecord, answer, bal_columns, superset_rows

logger = logging.getLogger(__name__)

#: Name of the table in a truth file.
TRUTH_EXTNAME = "TRUTH"

#: Columns of a truth file, in the layout of the BOSS supersets, by the field of `TruthRecord`.
_COLUMNS: Mapping[str, tuple[str, type[Any]]] = {
    "Z_VI": ("z_vi", np.float64),
    "PLATE": ("plate", np.int32),
    "MJD": ("mjd", np.int32),
    "FIBERID": ("fiberid", np.int32),
    "CLASS_PERSON": ("class_person", np.int32),
    "Z_CONF_PERSON": ("z_conf_person", np.int32),
    "BAL_FLAG_VI": ("bal_flag_vi", np.int32),
    "BI_CIV": ("bi_civ", np.float64),
}

#: Units of those that have one.
_UNITS = {"BI_CIV": "km/s"}


@dataclasses.dataclass(frozen=True, eq=False)
class BuiltTruth:
    """A truth table and what was left out of it.

    Attributes
    ----------
    columns : mapping of str to ndarray, shape (nrows,)
        THING_ID, Z_VI, PLATE, MJD, FIBERID, CLASS_PERSON, Z_CONF_PERSON, BAL_FLAG_VI, BI_CIV.
    removed : mapping of str to int
        Rows of the supersets that are not in it, by reason.
    joined : int
        Objects that are in the DRQ.
    """

    columns: Mapping[str, npt.NDArray[Any]]
    removed: Mapping[str, int]
    joined: int

    def __len__(self) -> int:
        return len(self.columns["THING_ID"])


def build_truth(superset: PathLike | Sequence[PathLike], drq: PathLike | None = None) -> BuiltTruth:
    """A truth table of supersets, with the BAL columns of a DRQ joined by THING_ID.

    Parameters
    ----------
    superset : path or sequence of paths
        BOSS or eBOSS supersets: THING_ID, Z_VI, CLASS_PERSON, Z_CONF_PERSON or Z_CONF.
    drq : path, optional
        Quasar catalogue with THING_ID, BI_CIV, and BAL_FLAG_VI (DR12Q) or BAL_PROB (DR16Q); where
        it has neither, BI_CIV > 0 is a BAL. Objects that are not in it have BAL columns of 0.
        Without a DRQ the BAL columns are the superset's own; of one that has none, BAL_FLAG_VI is 0
        and BI_CIV is NaN: not known.

    Returns
    -------
    BuiltTruth
        One row for an object, in the order of the supersets. Rows of THING_ID -1 leave, and so do
        further rows that say the same of an object; both are counted.

    Raises
    ------
    MissingFileError, FileError
        A file is not there, damaged or lacks a column; or two rows of one THING_ID contradict one
        another: in redshift, class or confidence, or in a DRQ in the BAL columns.
    """
    paths = as_paths(superset)
    removed: Counter[str] = Counter()
    found: dict[int, tuple[TruthRecord, str]] = {}
    for path in paths:
        thing_ids, records = superset_rows(path)
        for row, (thing_id, record) in enumerate(zip(thing_ids.tolist(), records, strict=True)):
            if thing_id == NO_ID:
                removed["THING_ID -1"] += 1
                continue
            place = f"row {row} of {path}"
            if thing_id not in found:
                found[thing_id] = (record, place)
                continue
            known, before = found[thing_id]
            if answer(known) != answer(record):
                raise FileError(
                    f"{path}: THING_ID {thing_id} stands twice with different truth: "
                    f"{before} says {known}, {place} says {record}"
                )
            removed["further row of an object"] += 1
    columns = _as_columns(list(found), [record for record, _ in found.values()])
    joined = 0 if drq is None else _join_bals(columns, Path(drq))
    for reason, number in removed.items():
        logger.info("%d rows left out: %s", number, reason)
    return BuiltTruth(columns, dict(removed), joined)


def write_truth(truth: BuiltTruth, path: PathLike, *, overwrite: bool = False) -> Path:
    """Write a truth table; `read_truth` reads it, as .fits or .csv.

    Parameters
    ----------
    truth : BuiltTruth
    path : str or path
        .fits, .fits.gz or .csv. The file is written under a temporary name in the same folder,
        flushed and renamed.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Path

    Raises
    ------
    InputError, OutputExistsError, FileError
        As `qnet.io.tables.write_table`.
    """
    check_truth_name(path)
    return write_table(
        path, truth.columns, extname=TRUTH_EXTNAME, units=_UNITS, overwrite=overwrite
    )


def check_truth_name(path: PathLike) -> None:
    """Check that the name of a truth file is one that `read_truth` reads.

    Raises
    ------
    InputError
        It does not end in .fits, .fits.gz or .csv.
    """
    if not Path(path).name.lower().endswith((".fits", ".fits.gz", ".csv")):
        raise InputError(f"{path}: the name of a truth file must end in .fits, .fits.gz or .csv")


def _as_columns(
    thing_ids: Sequence[int], records: Sequence[TruthRecord]
) -> dict[str, npt.NDArray[Any]]:
    """Records as columns."""
    columns: dict[str, npt.NDArray[Any]] = {"THING_ID": np.array(thing_ids, dtype=np.int64)}
    for name, (field, dtype) in _COLUMNS.items():
        columns[name] = np.array([getattr(record, field) for record in records], dtype=dtype)
    return columns


def _join_bals(columns: dict[str, npt.NDArray[Any]], path: Path) -> int:
    """Fill the BAL columns from a DRQ; the number of objects that it has."""
    thing_ids, flag, bi_civ = _read_drq(path)
    order = np.argsort(thing_ids, kind="stable")
    place = np.searchsorted(thing_ids[order], columns["THING_ID"])
    inside = place < len(order)
    row = order[np.where(inside, place, 0)] if len(order) else np.zeros(len(place), np.int64)
    have = inside.copy()
    have[inside] = thing_ids[row[inside]] == columns["THING_ID"][inside]
    for name, values in (("BAL_FLAG_VI", flag), ("BI_CIV", bi_civ)):
        columns[name] = np.zeros_like(columns[name])
        columns[name][have] = values[row[have]]
    return int(have.sum())


def _read_drq(
    path: Path,
) -> tuple[IntArray, BoolArray, FloatArray]:
    """THING_ID, BAL flag and balnicity of a DRQ, without rows of THING_ID -1."""
    with FitsFile(path) as fits:
        flags = [name for name in ("BAL_FLAG_VI", "BAL_PROB") if name in fits.columns(1)]
        table = fits.table(1, ["THING_ID", "BI_CIV", *flags])
    thing_ids = integer_column(table["THING_ID"], "THING_ID", path)
    if flags:
        flag, bi_civ = bal_columns(table, path)
    else:
        bi_civ = float_column(table["BI_CIV"], "BI_CIV", path)
        flag = bi_civ > 0
    rows = np.flatnonzero(thing_ids != NO_ID)
    if len(rows) < len(thing_ids):
        logger.info("%s: %d rows without an id are left out", path, len(thing_ids) - len(rows))
    _check_drq(thing_ids, flag, bi_civ, rows, path)
    return thing_ids[rows], flag[rows], bi_civ[rows]


def _check_drq(
    thing_ids: IntArray,
    flag: BoolArray,
    bi_civ: FloatArray,
    rows: IntArray,
    path: Path,
) -> None:
    """Raise if two rows of one object contradict one another."""
    _, first, inverse = np.unique(thing_ids[rows], return_index=True, return_inverse=True)
    earlier = rows[first[inverse.reshape(-1)]]
    same = (flag[rows] == flag[earlier]) & (
        (bi_civ[rows] == bi_civ[earlier]) | (np.isnan(bi_civ[rows]) & np.isnan(bi_civ[earlier]))
    )
    if not same.all():
        later = int(np.flatnonzero(~same)[0])
        one, two = int(earlier[later]), int(rows[later])
        raise FileError(
            f"{path}: THING_ID {thing_ids[two]} stands twice with different BAL columns: "
            f"row {one} has {int(flag[one])}, {bi_civ[one]:g}, row {two} has {int(flag[two])}, "
            f"{bi_civ[two]:g}"
        )
