"""Truth tables: classes and redshifts by visual inspection, or of a simulation."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from qnet.core.arrays import AnyArray, Columns, FloatArray, IntArray
from qnet.core.checks import check_type, check_whole
from qnet.core.errors import FileError, InputError, first_few, shown
from qnet.core.files import PathLike, as_path, as_paths
from qnet.io.columns import NO_ID, id_numbers, text_column
from qnet.io.fits.file import FitsFile
from qnet.io.tables import find_format, read_columns
from qnet.io.truth_layouts import (
    LAYOUT_COLUMNS,
    LAYOUTS,
    SURE,
    TRUTH_HDUS,
    UNSURE,
    Layout,
    numbers_or,
    read_named,
)
from qnet.io.truth_layouts import TruthRecord as TruthRecord
from qnet.lines import velocity_between

logger = logging.getLogger(__name__)

#: Further columns of a truth table: r and another magnitude, signal-to-noise.
_EXTRA_COLUMNS = ("RMAG", "MAG", "SNR")

#: Columns of a position [degree], by what they become.
_POSITIONS = {"RA": ("TARGET_RA", "RA"), "DEC": ("TARGET_DEC", "DEC")}

#: Index of r in the bands u, g, r, i, z of SDSS's PSFMAG.
_R_BAND = 2

#: Parts of a truth table whose columns can be named; those that must be.
COLUMN_ROLES, _NEEDED_ROLES = ("id", "z", "class"), ("id", "z")

#: Largest difference [km/s] of the redshifts of the spectra of one object.
_SAME_REDSHIFT = 3000.0


def read_truth(
    files: PathLike | Sequence[PathLike], *, columns: Mapping[str, str] | None = None
) -> dict[int, TruthRecord]:
    """Read truth tables: visual inspections, quasar catalogues, simulated truth, other tables.

    Parameters
    ----------
    files : path or sequence of paths
        FITS files with the table in HDU 1 (or VI_RESULTS, QSO_CAT, ZCATALOG), .csv, .ecsv or
        .parquet. The layout is found by the columns, in any letter case:

        - THING_ID, Z_VI, CLASS_PERSON, Z_CONF_PERSON (DR12Q) or Z_CONF (DR16Q): supersets;
        - TARGETID, VI_Z, VI_QUALITY and VI_SPECTYPE or VI_CLASS: DESI's inspection;
        - TARGETID, TRUEZ, TRUESPECTYPE: simulated (QSO, GALAXY, STAR, or SKY, a sure star);
        - CATALOGID, Z_BEST, Z_CONF_BEST, CLASS_BEST, HAS_VI: SDSS-V's inspection (DR20);
        - CATALOGID, or PLATE, MJD and FIBERID, with Z_SYS and Z_SYS_ERR: quasar properties of
          SDSS-V (DR19Q_prop, DR20Q_prop) or SDSS (DR16Q_prop), of which the systemic redshift is
          taken, and Z_FIT where that has no error;
        - PLATE, MJD, FIBER, Z, E_Z: Hewett & Wild (2010);
        - TARGETID or THING_ID and Z in HDU QSO_CAT or ZCATALOG: a catalogue for picca, all quasars
          unless it has SPECTYPE.
    columns : mapping of str to str, optional
        Names of the columns 'id', 'z' and 'class' of tables of any other layout; without 'class'
        all are quasars. Classes are QSO, QUASAR, AGN, QSO_BAL, BALQSO, BAL, GALAXY, STAR and SKY in
        any letter case, or numbers as CLASS_PERSON; a row of another class is not sure.

    Returns
    -------
    dict of int to TruthRecord
        By THING_ID, TARGETID or CATALOGID; of tables that have none of these by the digits of
        plate, MJD and fibre, plate * 10**9 + MJD * 10**4 + fibre, by which `qnet.evaluate` joins
        too. Objects without an id (-1) are left out, and counted in the log. Of several inspected
        spectra of an object the one with the highest confidence counts. If two sure ones differ,
        the object is not sure.

    Raises
    ------
    InputError
        `columns` names no column of 'id' or 'z', or another part.
    MissingFileError, FileError
        A file is missing, of none of the layouts, lacks a named column, or two rows of one id
        contradict one another.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from qnet.io import read_truth
    >>> columns = {"TARGETID": [7, 8], "TRUEZ": [2.1, 0.0], "TRUESPECTYPE": ["QSO", "STAR"]}
    >>> Table(columns).write("truth.fits")
    >>> truth = read_truth("truth.fits")
    >>> truth[7].z_vi, truth[7].class_person, truth[8].class_person
    (2.1, 3, 1)
    >>> Table({"name": [7], "redshift": [2.1], "kind": ["quasar"]}).write("own.csv")
    >>> read_truth("own.csv", columns={"id": "name", "z": "redshift", "class": "kind"})[7].z_vi
    2.1
    """
    return read_objects(files, columns=columns)[0]


def read_objects(
    files: PathLike | Sequence[PathLike],
    kinds: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
) -> tuple[dict[int, TruthRecord], dict[str, int]]:
    """Records by id, of the first row of each object; and the numbers of other rows, by reason."""
    found: dict[int, TruthRecord] = {}
    places: dict[int, tuple[int, PathLike]] = {}
    removed: Counter[str] = Counter()
    disputed: set[int] = set()  # objects of which two sure spectra differ
    paths = as_paths(files, "files")
    if not paths:
        raise InputError("files is empty: at least one truth table was expected")
    names = _check_names(columns)
    for path in paths:
        table = _read_table(as_path(path, "files"), names)
        id_name, ids, records = _rows(table, kinds)
        for row, (number, record) in enumerate(zip(ids.tolist(), records, strict=True)):
            if number == NO_ID:
                removed[f"{id_name} -1"] += 1
            elif number not in found:
                found[number], places[number] = record, (row, path)
            elif _essence(found[number]) == _essence(record):
                removed["further row of an object"] += 1
            elif table.layout is not None and table.layout.spectra:
                removed["further spectrum of an object"] += 1
                if number not in disputed:
                    found[number], differ = _surest(found[number], record)
                    disputed |= {number} if differ else set()
            else:
                raise FileError(
                    f"{path}: {id_name} {number} is there twice with different truth: row "
                    f"{places[number][0]} of {places[number][1]} has {found[number]}, row {row} of "
                    f"{path} has {record}"
                )
    for reason, count in removed.items():
        logger.info("%d rows left out: %s", count, reason)
    return found, dict(removed)


def read_truth_columns(
    files: PathLike | Sequence[PathLike], columns: Mapping[str, str] | None = None
) -> tuple[IntArray, dict[str, FloatArray]]:
    """Ids of truth tables (-1: none); RMAG (or r of PSFMAG), MAG, SNR, RA, DEC, if any has them."""
    parts: list[dict[str, AnyArray]] = []
    names = _check_names(columns)
    for path in [as_path(path, "files") for path in as_paths(files, "files")]:
        table = _read_table(path, names)
        id_name = next((name for name in ("THING_ID", "TARGETID") if name in table.columns), None)
        if names:
            ids = id_numbers(table.columns[names["id"]], names["id"], path)
        elif table.layout is not None:
            ids = table.layout.ids(table.columns, path)
        elif id_name is not None:
            ids = id_numbers(table.columns[id_name], id_name, path)
        else:
            raise FileError(f"{path}: lacks the column THING_ID or TARGETID of a truth table")
        psfmag = table.columns.pop("PSFMAG", np.zeros(0))
        if psfmag.ndim == 2 and psfmag.shape[1] > _R_BAND:
            table.columns.setdefault("RMAG", psfmag[:, _R_BAND])
        extra = {name: table.columns[name] for name in _EXTRA_COLUMNS if name in table.columns}
        part: dict[str, AnyArray] = {"id": ids}
        part |= {name: numbers_or(extra[name], name, "nan", path) for name in extra}
        parts.append(part | positions(table.columns))
    merged = {
        name: np.concatenate([p.get(name, np.full(len(p["id"]), np.nan)) for p in parts])
        for name in ("id", *_EXTRA_COLUMNS, *_POSITIONS)
        if any(name in p for p in parts)
    }
    return merged.pop("id", np.zeros(0, dtype=np.int64)), merged


def read_sky(files: PathLike | Sequence[PathLike]) -> frozenset[int]:
    """Ids of the sky fibres of simulated truth, which `read_truth` counts as stars."""
    found: set[int] = set()
    for path in [as_path(path, "files") for path in as_paths(files, "files")]:
        columns = _read_table(path, {}).columns
        if {"TARGETID", "TRUESPECTYPE"} <= set(columns):
            kind = np.char.upper(text_column(columns["TRUESPECTYPE"], "TRUESPECTYPE", path))
            found.update(id_numbers(columns["TARGETID"], "TARGETID", path)[kind == "SKY"].tolist())
    return frozenset(found)


def positions(columns: Columns) -> dict[str, FloatArray]:
    """RA and DEC [degree] of a table; none where they are not numbers."""
    found = {}
    for name, candidates in _POSITIONS.items():
        column = next((c for c in candidates if len(columns.get(c, ()))), None)
        with contextlib.suppress(ValueError):  # hours, minutes and seconds
            if column is not None and columns[column].ndim == 1:
                found[name] = columns[column].astype(np.float64)
    return found if len(found) == len(_POSITIONS) else {}


def check_records(truth: object) -> Mapping[int, TruthRecord]:
    """Truth by id; InputError where it is no mapping of integers to `TruthRecord`."""
    if not isinstance(truth, Mapping):
        raise InputError(
            "truth must map ids to TruthRecord, as qnet.io.read_truth returns them, not "
            f"{shown(truth)}"
        )
    for number, record in truth.items():
        check_whole("an id of the truth", number, least=-(2**63), most=2**63 - 1)
        check_type(f"truth[{number}]", record, TruthRecord)
    return truth


def other_survey(nspec: int, ids: Iterable[int], truth: Iterable[int]) -> InputError:
    """The error that none of the ids of some spectra is in the truth."""
    return InputError(
        f"none of the ids of the {nspec} spectra is in the truth: the spectra have "
        f"{first_few(ids)}, the truth has {first_few(truth)}; is it the truth of another survey?"
    )


def _essence(record: TruthRecord) -> str:
    """Redshift, class and confidence, equal in all rows of an object; as text: NaN equals NaN."""
    return f"{record.z_vi} {record.class_person} {record.z_conf_person}"


def _surest(one: TruthRecord, other: TruthRecord) -> tuple[TruthRecord, bool]:
    """The surer record of two spectra of an object, and whether both are sure and differ."""
    surer = max((one, other), key=lambda record: record.z_conf_person)
    if min(one.z_conf_person, other.z_conf_person) < SURE:
        return surer, False
    apart = np.abs(velocity_between(other.z_vi, one.z_vi))
    differ = one.class_person != other.class_person or not apart <= _SAME_REDSHIFT
    return (one._replace(z_conf_person=UNSURE) if differ else one), differ


class _Table(NamedTuple):
    """A truth table: its columns, those of `wanted` filled, and its layout, if it has one."""

    path: Path
    hdu: str | int
    columns: Columns
    names: Mapping[str, str]  # of the columns by their roles; empty where the layout says them
    layout: Layout | None


def _read_table(path: Path, names: Mapping[str, str]) -> _Table:
    """Read a truth table, of a layout or with named columns."""
    hdu: str | int = 1
    if (find_format(path) or "fits") == "fits":
        with FitsFile(path) as fits:
            hdu = next((name for name in TRUTH_HDUS if name in fits), 1)
    wanted = _EVERY_COLUMN | set(names.values())
    columns = read_columns(path, "a truth table", wanted, hdu=hdu)
    if lacking := [name for name in names.values() if name not in columns]:
        raise FileError(
            f"{path}: lacks the column(s) {', '.join(lacking)} that columns names; it has "
            f"{sorted(columns)[:20]}"
        )
    layouts = [] if names else [x for x in LAYOUTS if not x.lacking(columns, hdu)]
    return _Table(path, hdu, columns, names, layouts[0] if layouts else None)


def _check_names(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Names of columns by their roles in upper case; InputError where they are none."""
    if columns is None:
        return {}
    wrong = not isinstance(columns, Mapping) or not all(
        role in COLUMN_ROLES and isinstance(name, str) and name for role, name in columns.items()
    )
    if wrong or not {*_NEEDED_ROLES} <= {*columns}:
        raise InputError(
            "columns must name the columns of 'id', 'z' and, unless all are quasars, 'class', not "
            f"{shown(columns)}"
        )
    return {role: name.upper() for role, name in columns.items()}


def _rows(table: _Table, kinds: Sequence[str]) -> tuple[str, IntArray, list[TruthRecord]]:
    """Name of the ids, ids (-1: none) and records of a truth table; of some kinds, or of any."""
    path, columns = table.path, table.columns
    if table.names:
        return table.names["id"], *read_named(columns, table.names, path)
    layouts = [layout for layout in LAYOUTS if not kinds or layout.kind in kinds]
    layout = table.layout
    if layout in layouts and layout is not None:
        name = " or ".join(layout.groups[0])
        return name, layout.ids(columns, path), layout.read(columns, path)
    missing = {x.kind: x.lacking(columns, table.hdu) for x in layouts}
    nearest = min(layouts, key=lambda x: len(missing[x.kind]) / len(x.groups))
    wanted, lacks = " or ".join(kinds) or "truth table that qnet knows", ""
    if len(missing[nearest.kind]) < len(nearest.groups):
        lacks = f"it lacks {', '.join(missing[nearest.kind])} of a {nearest.kind}; "
    raise FileError(
        f"{path}: is no {wanted}: {lacks}it has the columns "
        f"{sorted(columns)[:20]}, but one of these sets was expected, or names of the columns of "
        "id, z and class: " + "; ".join(layout.describe() for layout in layouts)
    )


#: All columns that are read of a truth table.
_EVERY_COLUMN = (
    LAYOUT_COLUMNS
    | {*_EXTRA_COLUMNS, "PSFMAG"}
    | {name for names in _POSITIONS.values() for name in names}
)
