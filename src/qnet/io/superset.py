"""A truth file from a superset of visually inspected targets and a quasar catalogue (DRQ)."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qnet.core.arguments import check_arguments, check_fields
from qnet.core.arrays import AnyArray
from qnet.core.errors import FileError, InputError
from qnet.core.files import PathLike
from qnet.io.columns import NO_ID, float_column, id_numbers
from qnet.io.fits.file import FitsFile
from qnet.io.tables import find_format, write_table
from qnet.io.truth import read_objects
from qnet.io.truth_layouts import bal_columns

logger = logging.getLogger(__name__)

#: Name of the table in a truth file.
TRUTH_EXTNAME = "TRUTH"

#: Columns of a truth file, in the layout of the BOSS supersets: the fields of `TruthRecord`.
_COLUMNS: Mapping[str, type[Any]] = {
    "Z_VI": np.float64,
    **dict.fromkeys(("PLATE", "MJD", "FIBERID"), np.int32),
    **dict.fromkeys(("CLASS_PERSON", "Z_CONF_PERSON", "BAL_FLAG_VI"), np.int32),
    "BI_CIV": np.float64,
}

#: Units of those that have one.
_UNITS = {"BI_CIV": "km/s"}


@dataclasses.dataclass(frozen=True, eq=False)
class BuiltTruth:
    """A truth table, and the rows that were left out of it.

    Attributes
    ----------
    columns : mapping of str to ndarray, shape (nrows,)
        THING_ID, Z_VI, PLATE, MJD, FIBERID, CLASS_PERSON, Z_CONF_PERSON, BAL_FLAG_VI, BI_CIV.
    removed : mapping of str to int
        Rows of the supersets that are not in it, by reason.
    joined : int
        Objects that are in the DRQ.

    Examples
    --------
    >>> import numpy as np
    >>> from qnet.io import BuiltTruth
    >>> truth = BuiltTruth({"THING_ID": np.array([7, 8])}, {"THING_ID -1": 3}, joined=1)
    >>> len(truth), truth.removed
    (2, {'THING_ID -1': 3})
    """

    columns: Mapping[str, AnyArray]
    removed: Mapping[str, int]
    joined: int

    def __post_init__(self) -> None:
        check_fields(self)

    def __len__(self) -> int:
        return len(self.columns["THING_ID"])


def build_truth(
    superset: PathLike | Sequence[PathLike],
    drq: PathLike | None = None,
    *,
    columns: Mapping[str, str] | None = None,
) -> BuiltTruth:
    """Make a truth table from supersets, with the BAL columns of a DRQ joined by THING_ID.

    Parameters
    ----------
    superset : path or sequence of paths
        BOSS or eBOSS supersets: THING_ID, Z_VI, CLASS_PERSON, Z_CONF_PERSON or Z_CONF.
    drq : path, optional
        Quasar catalogue with THING_ID, BI_CIV, and BAL_FLAG_VI (DR12Q) or BAL_PROB (DR16Q); if it
        has neither, BI_CIV > 0 is a BAL. Objects that are not in it have BAL columns of 0. Without
        a DRQ the BAL columns are the superset's own. If the superset has none, BAL_FLAG_VI is 0 and
        BI_CIV is NaN (not known).
    columns : mapping of str to str, optional
        Names of the columns 'id', 'z' and 'class' of tables that are not supersets, as in
        `qnet.io.read_truth`. The ids become THING_ID.

    Returns
    -------
    BuiltTruth
        One row for each object, in the order of the supersets. Rows of THING_ID -1, and further
        rows of an object with the same truth, are left out and counted.

    Raises
    ------
    MissingFileError, FileError
        A file is missing, damaged or lacks a column; or two rows of one THING_ID contradict one
        another: in redshift, class or confidence, or in a DRQ in the BAL columns.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from qnet.io import build_truth
    >>> superset = {"THING_ID": [7, 8, -1], "Z_VI": [2.1, 0.0, 1.0], "CLASS_PERSON": [3, 1, 3]}
    >>> Table(superset | {"Z_CONF_PERSON": [3, 3, 3]}).write("superset.fits")
    >>> Table({"THING_ID": [7], "BAL_FLAG_VI": [1], "BI_CIV": [900.0]}).write("drq.fits")
    >>> truth = build_truth("superset.fits", "drq.fits")
    >>> len(truth), truth.joined, truth.removed
    (2, 1, {'THING_ID -1': 1})
    >>> truth.columns["BI_CIV"].tolist()
    [900.0, 0.0]
    """
    check_arguments(build_truth, locals())
    found, removed = read_objects(superset, ["superset"], columns)
    built: dict[str, AnyArray] = {"THING_ID": np.array(list(found), dtype=np.int64)}
    for name, dtype in _COLUMNS.items():
        built[name] = np.array([getattr(x, name.lower()) for x in found.values()], dtype)
    joined = 0 if drq is None else _join_bals(built, Path(drq))
    return BuiltTruth(built, removed, joined)


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
        As `write_table`.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from qnet.io import build_truth, read_truth, write_truth
    >>> superset = {"THING_ID": [7, 8], "Z_VI": [2.1, 0.0], "CLASS_PERSON": [3, 1]}
    >>> Table(superset | {"Z_CONF_PERSON": [3, 3]}).write("superset.fits")
    >>> write_truth(build_truth("superset.fits"), "truth.csv")
    PosixPath('truth.csv')
    >>> sorted(read_truth("truth.csv"))
    [7, 8]
    """
    check_arguments(write_truth, locals())
    check_truth_name(path)
    return write_table(
        path, truth.columns, extname=TRUTH_EXTNAME, units=_UNITS, overwrite=overwrite
    )


def check_truth_name(path: PathLike) -> None:
    """Raise InputError unless the name of a truth file is one that `read_truth` reads."""
    if find_format(path) not in ("fits", "csv"):
        raise InputError(f"{path}: the name of a truth file must end in .fits, .fits.gz or .csv")


def _join_bals(columns: dict[str, AnyArray], path: Path) -> int:
    """Fill the BAL columns from a DRQ; the number of objects that it has."""
    with FitsFile(path) as fits:
        flags = [name for name in ("BAL_FLAG_VI", "BAL_PROB") if name in fits.columns(1)]
        table = fits.table(1, ["THING_ID", "BI_CIV", *flags])
    thing_ids = id_numbers(table["THING_ID"], "THING_ID", path)
    if flags:
        flag, bi_civ = bal_columns(table, path)
    else:
        bi_civ = float_column(table["BI_CIV"], "BI_CIV", path)
        flag = bi_civ > 0
    if without := int((thing_ids == NO_ID).sum()):
        logger.info("%s: %d rows without an id are left out", path, without)
    first: dict[int, int] = {}  # row of each object
    for row, thing_id in enumerate(thing_ids.tolist()):
        earlier = row if thing_id == NO_ID else first.setdefault(thing_id, row)
        if f"{flag[row]} {bi_civ[row]}" != f"{flag[earlier]} {bi_civ[earlier]}":  # NaN equals NaN
            raise FileError(
                f"{path}: THING_ID {thing_id} is there twice with different BAL columns: "
                f"row {earlier} has {int(flag[earlier])}, {bi_civ[earlier]:g}, row {row} has "
                f"{int(flag[row])}, {bi_civ[row]:g}"
            )
    rows = np.array([first.get(number, -1) for number in columns["THING_ID"].tolist()], np.int64)
    for name, values in (("BAL_FLAG_VI", flag), ("BI_CIV", bi_civ)):
        columns[name] = np.zeros_like(columns[name])
        columns[name][rows >= 0] = values[rows[rows >= 0]]
    return int((rows >= 0).sum())
