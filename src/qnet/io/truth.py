"""Truth tables: classes and redshifts by visual inspection, or of a simulation."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray, Columns, FloatArray, IntArray
from qnet.core.checks import check_type, check_whole
from qnet.core.errors import FileError, InputError, first_few, shown
from qnet.core.files import PathLike, as_path, as_paths
from qnet.io.columns import (
    NO_ID,
    float_column,
    id_columns,
    id_numbers,
    int32_column,
    integer_column,
    text_column,
)
from qnet.io.tables import read_columns

logger = logging.getLogger(__name__)

#: CLASS_PERSON of the BOSS supersets (Paris et al. 2017, A&A 597, A79), by spectral type.
CLASS_PERSON: Mapping[str, int] = {"STAR": 1, "QSO": 3, "GALAXY": 4}

#: CLASS_PERSON of a BAL quasar, and of an object that was not inspected.
CLASS_BAL, CLASS_NONE = 30, 0

#: Z_CONF_PERSON of a sure class and redshift, and of one that is not.
SURE, UNSURE = 3, 1

#: Averaged VI_QUALITY from which DESI's inspectors were sure (Alexander et al. 2023, AJ 165, 124).
DESI_SURE_QUALITY = 2.5

#: BAL_PROB of DR16Q above which a quasar is a BAL; negative where that was not looked for.
BAL_PROBABILITY = 0.5

#: Further columns of a truth table: r and another magnitude, signal-to-noise.
_EXTRA_COLUMNS = ("RMAG", "MAG", "SNR")

#: Columns of a position [degree], by what they become.
_POSITIONS = {"RA": ("TARGET_RA", "RA"), "DEC": ("TARGET_DEC", "DEC")}

#: Index of r in the bands u, g, r, i, z of SDSS's PSFMAG.
_R_BAND = 2


class TruthRecord(NamedTuple):
    """Class, redshift and broad absorption of one object, in the terms of the BOSS supersets.

    Attributes
    ----------
    z_vi : float
        Redshift.
    class_person : int
        1 star, 3 quasar, 30 BAL quasar, 4 galaxy, 0 not inspected.
    z_conf_person : int
        3 is sure.
    bal_flag_vi : int
        Whether broad absorption was seen.
    bi_civ : float
        Balnicity of CIV [km/s]; NaN where nothing is known of broad absorption.
    plate, mjd, fiberid : int
        Of the observation; -1 where there is none.

    Examples
    --------
    >>> from qnet.io import TruthRecord
    >>> record = TruthRecord(2.31, class_person=30, z_conf_person=3, bal_flag_vi=1, bi_civ=1200.0)
    >>> record.z_vi, record.plate
    (2.31, -1)
    """

    z_vi: float
    class_person: int
    z_conf_person: int
    bal_flag_vi: int
    bi_civ: float
    plate: int = -1
    mjd: int = -1
    fiberid: int = -1


def read_truth(files: PathLike | Sequence[PathLike]) -> dict[int, TruthRecord]:
    """Read truth tables: BOSS and eBOSS supersets, DESI visual inspection, simulated truth.

    Parameters
    ----------
    files : path or sequence of paths
        FITS files with the table in HDU 1, or CSV files. The layout is found by the columns, in any
        letter case: THING_ID, Z_VI, CLASS_PERSON, Z_CONF_PERSON (DR12Q) or Z_CONF (DR16Q);
        TARGETID, VI_Z, VI_QUALITY and VI_SPECTYPE or VI_CLASS (DESI); TARGETID, TRUEZ,
        TRUESPECTYPE (simulated: QSO, GALAXY, STAR, or SKY, which becomes a sure star).

    Returns
    -------
    dict of int to TruthRecord
        By THING_ID or TARGETID. Objects without an id (-1) are left out, and counted in the log.

    Raises
    ------
    MissingFileError, FileError
        A file is not there, of none of the layouts, or two rows of one id contradict one another.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from qnet.io import read_truth
    >>> columns = {"TARGETID": [7, 8], "TRUEZ": [2.1, 0.0], "TRUESPECTYPE": ["QSO", "STAR"]}
    >>> Table(columns).write("truth.fits")
    >>> truth = read_truth("truth.fits")
    >>> truth[7].z_vi, truth[7].class_person, truth[8].class_person
    (2.1, 3, 1)
    """
    return read_objects(files)[0]


def read_objects(
    files: PathLike | Sequence[PathLike], kinds: Sequence[str] = ()
) -> tuple[dict[int, TruthRecord], dict[str, int]]:
    """Records by id, of the first row of each object; and the numbers of other rows, by reason."""
    found: dict[int, TruthRecord] = {}
    places: dict[int, tuple[int, PathLike]] = {}
    removed: Counter[str] = Counter()
    paths = as_paths(files, "files")
    if not paths:
        raise InputError("files is empty: at least one truth table was expected")
    for path in paths:
        id_name, ids, records = _read_rows(as_path(path, "files"), kinds)
        for row, (number, record) in enumerate(zip(ids.tolist(), records, strict=True)):
            if number == NO_ID:
                removed[f"{id_name} -1"] += 1
            elif number not in found:
                found[number], places[number] = record, (row, path)
            elif _essence(found[number]) == _essence(record):
                removed["further row of an object"] += 1
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
    files: PathLike | Sequence[PathLike],
) -> tuple[IntArray, dict[str, FloatArray]]:
    """Ids of truth tables (-1: none); RMAG (or r of PSFMAG), MAG, SNR, RA, DEC, if any has them."""
    parts: list[dict[str, AnyArray]] = []
    for path in [as_path(path, "files") for path in as_paths(files, "files")]:
        columns = read_columns(path, "a truth table", _EVERY_COLUMN)
        id_name = next((name for name in ("THING_ID", "TARGETID") if name in columns), None)
        if id_name is None:
            raise FileError(f"{path}: lacks the column THING_ID or TARGETID of a truth table")
        psfmag = columns.pop("PSFMAG", np.zeros(0))
        if psfmag.ndim == 2 and psfmag.shape[1] > _R_BAND:
            columns.setdefault("RMAG", psfmag[:, _R_BAND])
        extra = {name: columns[name] for name in _EXTRA_COLUMNS if name in columns}
        part: dict[str, AnyArray] = {"id": id_numbers(columns[id_name], id_name, path)}
        part |= {name: _empty_to(extra[name], name, "nan", path) for name in extra}
        parts.append(part | positions(columns))
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
        columns = read_columns(path, "a truth table", _EVERY_COLUMN)
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


def _read_rows(path: Path, kinds: Sequence[str]) -> tuple[str, IntArray, list[TruthRecord]]:
    """Name of the ids, ids (-1: none) and records of a truth table; of some kinds, or of any."""
    columns = read_columns(path, "a truth table", _EVERY_COLUMN)
    layouts = [layout for layout in _LAYOUTS if not kinds or layout.kind in kinds]
    for layout in layouts:
        if not layout.lacking(columns):
            id_name = layout.groups[0][0]
            ids = id_numbers(columns[id_name], id_name, path)
            return id_name, ids, layout.read(columns, path)
    nearest = min(layouts, key=lambda layout: len(layout.lacking(columns)) / len(layout.groups))
    wanted, lacks = " or ".join(kinds) or "truth table that qnet knows", ""
    if len(nearest.lacking(columns)) < len(nearest.groups):
        lacks = f"it lacks {', '.join(nearest.lacking(columns))} of a {nearest.kind}; "
    raise FileError(
        f"{path}: is no {wanted}: {lacks}it has the columns "
        f"{sorted(columns)[:20]}, but one of these sets was expected: "
        + "; ".join(
            f"{layout.kind}: {', '.join('/'.join(names) for names in layout.groups)}"
            for layout in layouts
        )
    )


def bal_columns(columns: Columns, path: Path) -> tuple[BoolArray, FloatArray]:
    """BAL flag and balnicity, NaN if not known: BI_CIV, BAL_FLAG_VI (DR12Q) or BAL_PROB (DR16Q)."""
    bi_civ = _floats(columns, "BI_CIV", path, default=0.0)
    if "BAL_FLAG_VI" in columns:
        return integer_column(columns["BAL_FLAG_VI"], "BAL_FLAG_VI", path) != 0, bi_civ
    probability = _floats(columns, "BAL_PROB", path, default=-1.0)
    return probability > BAL_PROBABILITY, np.where(probability < 0, np.nan, bi_civ)


def _boss(columns: Columns, path: Path) -> list[TruthRecord]:
    """Rows of a BOSS or eBOSS superset."""
    confidence = "Z_CONF_PERSON" if "Z_CONF_PERSON" in columns else "Z_CONF"
    z = float_column(columns["Z_VI"], "Z_VI", path)
    person, sure = (int32_column(columns[x], x, path) for x in ("CLASS_PERSON", confidence))
    names = [name for name in ("PLATE", "MJD", "FIBERID") if name in columns]
    known = id_columns({name: columns[name] for name in names}, path)
    none = np.full(len(z), NO_ID)
    pmf = (int32_column(known.get(x, none), x, path) for x in ("PLATE", "MJD", "FIBERID"))
    return _records(z, person, sure, *bal_columns(columns, path), *pmf)


def _desi(columns: Columns, path: Path) -> list[TruthRecord]:
    """Rows of a table of DESI's visual inspection, or of prospect's file of one inspector."""
    name = "VI_SPECTYPE" if "VI_SPECTYPE" in columns else "VI_CLASS"
    spectype = np.char.upper(text_column(columns[name], name, path))
    redshift = text_column(columns["VI_Z"], "VI_Z", path)
    quality = _empty_to(columns["VI_QUALITY"], "VI_QUALITY", "-1", path)
    # prospect leaves a field empty where the inspector agreed with redrock.
    if "REDROCK_SPECTYPE" in columns:
        redrock = np.char.upper(text_column(columns["REDROCK_SPECTYPE"], "REDROCK_SPECTYPE", path))
        spectype = np.where(spectype == "", redrock, spectype)
    if "REDROCK_Z" in columns:
        redrock = text_column(columns["REDROCK_Z"], "REDROCK_Z", path)
        redshift = np.where(redshift == "", redrock, redshift)
    inspected = quality >= 0
    classes = np.where(inspected, _classes(spectype), CLASS_NONE)
    confidence = np.where(inspected, np.where(quality >= DESI_SURE_QUALITY, SURE, UNSURE), 0)
    z = _empty_to(redshift, "VI_Z", "nan", path)
    return _records(z, classes, confidence, np.zeros(len(z)), np.full(len(z), np.nan))


def _simulated(columns: Columns, path: Path) -> list[TruthRecord]:
    """Rows of a simulation's truth."""
    spectype = np.char.upper(text_column(columns["TRUESPECTYPE"], "TRUESPECTYPE", path))
    # A sky fibre is no quasar for sure. There is no class for it: it is counted as a star.
    spectype = np.where(spectype == "SKY", "STAR", spectype)
    z = float_column(columns["TRUEZ"], "TRUEZ", path)
    return _records(
        z,
        _classes(spectype),
        np.full(len(z), SURE),
        _floats(columns, "BAL_FLAG_VI", path, default=0.0) != 0,
        _floats(columns, "BI_CIV", path, default=np.nan),
    )


class _Layout(NamedTuple):
    """A layout of truth tables: columns that must be there, one of each group, the id first."""

    kind: str
    groups: tuple[tuple[str, ...], ...]
    read: Callable[[Columns, Path], list[TruthRecord]]

    def lacking(self, columns: Columns) -> list[str]:
        """Groups of which no column is there."""
        return [" or ".join(names) for names in self.groups if not {*names} & {*columns}]


_SUPERSET = (("THING_ID",), ("Z_VI",), ("CLASS_PERSON",), ("Z_CONF_PERSON", "Z_CONF"))
_INSPECTION = (("TARGETID",), ("VI_Z",), ("VI_QUALITY",), ("VI_SPECTYPE", "VI_CLASS"))
_SIMULATION = (("TARGETID",), ("TRUEZ",), ("TRUESPECTYPE",))
_LAYOUTS = (
    _Layout("superset", _SUPERSET, _boss),
    _Layout("DESI inspection", _INSPECTION, _desi),
    _Layout("simulation", _SIMULATION, _simulated),
)

#: All columns that any layout uses.
_EVERY_COLUMN = frozenset(
    {name for layout in _LAYOUTS for names in layout.groups for name in names}
    | {"BAL_FLAG_VI", "BAL_PROB", "BI_CIV", "PLATE", "MJD", "FIBERID"}
    | {"REDROCK_Z", "REDROCK_SPECTYPE"}
    | {*_EXTRA_COLUMNS, "PSFMAG"}
    | {name for names in _POSITIONS.values() for name in names}
)


def _records(*columns: AnyArray) -> list[TruthRecord]:
    """Records from columns in the order of TruthRecord's fields."""
    kinds = (float, int, int, int, float, int, int, int)
    values = (map(kind, column.tolist()) for kind, column in zip(kinds, columns, strict=False))
    return [TruthRecord(*row) for row in zip(*values, strict=True)]


def _classes(spectype: AnyArray) -> IntArray:
    """CLASS_PERSON of spectral types; 0 for those that are none of the three."""
    return np.array([CLASS_PERSON.get(name, CLASS_NONE) for name in spectype.tolist()], np.int64)


def _empty_to(values: AnyArray, name: str, default: str, path: Path) -> FloatArray:
    """A column of numbers or text as float64, empty text replaced."""
    if values.dtype.kind not in "SU":
        return float_column(values, name, path)
    text = text_column(values, name, path)
    return float_column(np.where(text == "", default, text), name, path)


def _floats(columns: Columns, name: str, path: Path, default: float) -> FloatArray:
    """A column as float64; the default where the table lacks it."""
    if name in columns:
        return float_column(columns[name], name, path)
    return np.full(max(map(len, columns.values())), default)
