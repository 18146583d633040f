"""The rows of a catalogue in the order in which an inspector should see them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from qnet.core.arguments import check_arguments
from qnet.core.arrays import BoolArray, Columns, FloatArray, IntArray, match_ids
from qnet.core.errors import InputError
from qnet.core.files import PathLike, is_path
from qnet.core.flags import UNCLASSIFIABLE, QNFlag
from qnet.core.pz import P_Z_VELOCITY
from qnet.evaluation.catalogues import read_result
from qnet.evaluation.result import Result
from qnet.io.catalogue import from_table, read_catalogue
from qnet.io.tables import check_table
from qnet.lines import velocity_between

if TYPE_CHECKING:
    from astropy.table import Table

#: Rows that no inspector can decide on.
_NOTHING = UNCLASSIFIABLE | QNFlag.NOT_TARGET


@dataclasses.dataclass(frozen=True, eq=False)
class Queue:
    """Rows of a catalogue, and why each is to be inspected."""

    order: IntArray  # rows, the first to be inspected first
    p_wrong: FloatArray  # by row: probability that its answer is wrong
    other: Result | None  # the other catalogue
    matches: IntArray  # by row: row of the other catalogue, -1 for none
    class_differs: BoolArray
    redshift_differs: BoolArray

    def reasons(self, row: int) -> list[str]:
        """Why a row is to be inspected, in words."""
        words = []
        if self.other is not None:
            z = self.other.zbest[self.matches[row]]
            if self.class_differs[row]:
                kind = "a quasar" if self.other.is_qso[self.matches[row]] else "no quasar"
                words.append(f"{self.other.name}: {kind} at z = {z:.4f}")
            elif self.redshift_differs[row]:
                words.append(f"{self.other.name}: z = {z:.4f}")
        return words


def sort_queue(
    catalogue: Table | PathLike, other: PathLike | Result | None = None
) -> tuple[IntArray, FloatArray]:
    """Sort rows of a catalogue by the value of an inspection.

    Rows that disagree with another catalogue come first, then all others. Both groups begin with
    the rows that are most probably wrong. Rows without data, and rows that were not selected, come
    last.

    Parameters
    ----------
    catalogue : astropy.table.Table or path
        As `qnet.classify` returns it, or its file.
    other : path or Result, optional
        A catalogue of the same objects, as `qnet.evaluation.read_result` reads it: of qnet, redrock
        or another classifier. Rows disagree where one calls the object a quasar and the other does
        not, or where both do and their redshifts differ by more than 3000 km/s.

    Returns
    -------
    order : ndarray of int, shape (nrows,)
        Row numbers, in the order of inspection.
    p_wrong : ndarray of float, shape (nrows,)
        In the order of the catalogue: probability that class or redshift is wrong. For a quasar it
        is 1 - P_QSO P_Z, with P_Z = 1 where it is not known; for another row P_QSO. Without P_QSO,
        the confidence of the best line is used. NaN for rows that cannot be inspected.

    Raises
    ------
    MissingFileError, FileError
        A file is missing, or is not a catalogue.
    InputError
        The table lacks IS_QSO, ZBEST or TARGETID, or it has neither P_QSO nor C_LINES.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from qnet.inspection import sort_queue
    >>> table = Table({"TARGETID": [7, 8, 9], "ZBEST": [2.1, 1.3, 0.4]})
    >>> table["IS_QSO"], table["P_QSO"] = [True, True, False], [0.99, 0.6, 0.1]
    >>> order, p_wrong = sort_queue(table)
    >>> order.tolist(), p_wrong.round(2).tolist()
    ([1, 2, 0], [0.01, 0.4, 0.1])
    """
    check_arguments(sort_queue, locals())
    queue = make_queue(dict(from_table(as_table(catalogue)).columns), as_result(other))
    return queue.order, queue.p_wrong


def as_table(catalogue: Table | PathLike) -> Table:
    """A catalogue as it is; that of a file, read."""
    return read_catalogue(catalogue) if is_path(catalogue) else check_table("catalogue", catalogue)


def as_result(other: PathLike | Result | None) -> Result | None:
    """Another catalogue as it is; that of a file, read."""
    return other if other is None or isinstance(other, Result) else read_result(other)


def make_queue(columns: Columns, other: Result | None) -> Queue:
    """The queue of a catalogue's columns."""
    for name in ("TARGETID", "IS_QSO", "ZBEST"):
        if name not in columns:
            raise InputError(f"catalogue lacks the column {name} of a catalogue of qnet")
    p_wrong = _p_wrong(columns)
    matches = np.full(len(p_wrong), -1)
    class_differs = redshift_differs = np.zeros(len(p_wrong), dtype=bool)
    if other is not None:
        matches = match_ids(other.targetid, columns["TARGETID"])
        class_differs, redshift_differs = _differs(columns, other, matches)
    differs = (class_differs | redshift_differs) & np.isfinite(p_wrong)
    # The least sure last in lexsort's order of keys; a stable order for equals.
    order = np.lexsort((-np.nan_to_num(p_wrong, nan=-1.0), ~differs))
    return Queue(order, p_wrong, other, matches, class_differs, redshift_differs)


def _p_wrong(columns: Columns) -> FloatArray:
    """Probability that each row's answer is wrong."""
    is_qso = columns["IS_QSO"].astype(bool)
    sure = _finite(columns, "P_QSO")
    if sure is None:
        if columns.get("C_LINES") is None or columns["C_LINES"].ndim != 2:
            raise InputError("catalogue has neither P_QSO nor C_LINES: nothing says how sure it is")
        sure = columns["C_LINES"].astype(np.float64).max(axis=1, initial=0.0)
    p_z = _finite(columns, "P_Z")
    right = np.ones(len(sure)) if p_z is None else np.nan_to_num(p_z, nan=1.0)
    wrong = np.where(is_qso, 1.0 - sure * right, sure)
    flag = columns.get("QN_FLAG", np.zeros(len(sure), dtype=np.int64))
    return np.where((flag & int(_NOTHING)) != 0, np.nan, wrong)


def _finite(columns: Columns, name: str) -> FloatArray | None:
    """A column of numbers; None where it is not there or has none."""
    values = columns.get(name)
    if values is None or not np.isfinite(values).any():
        return None
    return values.astype(np.float64)


def _differs(columns: Columns, other: Result, matches: IntArray) -> tuple[BoolArray, BoolArray]:
    """Rows whose class differs from the other's, and rows where only the redshift does."""
    there, is_qso = matches >= 0, columns["IS_QSO"].astype(bool)
    theirs, z = other.is_qso[matches], other.zbest[matches]
    zbest = columns["ZBEST"].astype(np.float64)
    far = np.abs(velocity_between(z, zbest)) > P_Z_VELOCITY
    return there & (is_qso != theirs), there & is_qso & theirs & far
