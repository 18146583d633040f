"""Layouts of truth tables, and the record of one object.

SDSS-V's inspection (DR20) follows the data model of boss_vi_results 1.0.3, the catalogues of quasar
properties those of DR20Q_prop and of Wu & Shen (2022, ApJS 263, 42; DR16Q_prop); the redshifts of
Hewett & Wild (2010, MNRAS 405, 2302) are read from VizieR's table. Catalogues for picca are those
that its Lyman-alpha analyses take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray, Columns, FloatArray, IntArray
from qnet.core.errors import warn
from qnet.io.columns import (
    NO_ID,
    bool_column,
    float_column,
    id_columns,
    id_numbers,
    int32_column,
    integer_column,
    text_column,
)

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

#: Names of classes in the columns of other tables, and what they are: BAL quasars as SDSS-V and
#: SPIDERS name them; sky fibres of simulations, which count as stars that are no quasars.
CLASS_NAMES: Mapping[str, int] = {
    **CLASS_PERSON,
    **dict.fromkeys(("QUASAR", "AGN"), CLASS_PERSON["QSO"]),
    **dict.fromkeys(("QSO_BAL", "BALQSO", "BAL"), CLASS_BAL),
    "SKY": CLASS_PERSON["STAR"],
}

#: Classes of SDSS-V's inspection, and of tables with named columns, that none of the three is.
_NO_CLASS = frozenset(("", "NONE", "UNKNOWN", "NAN"))

#: Columns that tell the spectra of SDSS, BOSS and eBOSS, and the factors of plate and MJD in the
#: number of a spectrum.
SPECTRUM = ("PLATE", "MJD", "FIBERID")
_PLATE, _MJD = 10**9, 10**4


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


class Layout(NamedTuple):
    """A layout of truth tables: columns that must be there, one of each group, the id first."""

    kind: str
    groups: tuple[tuple[str, ...], ...]
    read: Callable[[Columns, Path], list[TruthRecord]]
    ids: Callable[[Columns, Path], IntArray]
    hdus: tuple[str, ...] = ()  # names of the HDU that holds it, where the columns do not suffice
    spectra: bool = False  # a row for each spectrum of an object, whose redshifts differ

    def lacking(self, columns: Columns, hdu: str | int = 1) -> list[str]:
        """Groups of which no column is there, and the HDU if it is none of this layout's."""
        lacks = [" or ".join(names) for names in self.groups if not {*names} & {*columns}]
        return lacks + (
            [f"HDU {' or '.join(self.hdus)}"] if self.hdus and hdu not in self.hdus else []
        )

    def describe(self) -> str:
        """The layout in words, for a message."""
        where = f" in HDU {'/'.join(self.hdus)}" if self.hdus else ""
        return f"{self.kind}: {', '.join('/'.join(names) for names in self.groups)}{where}"


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
    quality = numbers_or(columns["VI_QUALITY"], "VI_QUALITY", "-1", path)
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
    z = numbers_or(redshift, "VI_Z", "nan", path)
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


def spectrum_numbers(plate: AnyArray, mjd: AnyArray, fiberid: AnyArray) -> IntArray:
    """Numbers of spectra by plate, MJD and fibre, whose decimal digits follow one another."""
    known = (plate >= 0) & (mjd >= 0) & (fiberid >= 0)
    return np.where(known, plate * _PLATE + mjd * _MJD + fiberid, NO_ID)


def _by_spectrum(fiber: str) -> Callable[[Columns, Path], IntArray]:
    """Ids of tables that have PLATE, MJD and a column of fibres in place of one."""

    def numbers(columns: Columns, path: Path) -> IntArray:
        parts = (id_numbers(columns[name], name, path) for name in (*SPECTRUM[:2], fiber))
        return spectrum_numbers(*parts)

    return numbers


def _by(*names: str) -> Callable[[Columns, Path], IntArray]:
    """Ids of tables that have them in a column, the first of these that is there."""

    def numbers(columns: Columns, path: Path) -> IntArray:
        name = next(name for name in names if name in columns)
        return id_numbers(columns[name], name, path)

    return numbers


def _sdss_v(columns: Columns, path: Path) -> list[TruthRecord]:
    """Rows of SDSS-V's inspection: what nobody looked at (the pipeline's own) was not inspected."""
    inspected = bool_column(columns["HAS_VI"], "HAS_VI", path)
    confidence = int32_column(columns["Z_CONF_BEST"], "Z_CONF_BEST", path)
    names = np.char.upper(text_column(columns["CLASS_BEST"], "CLASS_BEST", path))
    z = float_column(columns["Z_BEST"], "Z_BEST", path)
    return _plain(
        z, np.where(inspected, _named(names), CLASS_NONE), np.where(inspected, confidence, 0)
    )


def _properties(columns: Columns, path: Path) -> list[TruthRecord]:
    """Rows of quasar properties: the systemic redshift, that of the fit where there is none."""
    z, error, fit = (
        _floats(columns, name, path, default=np.nan) for name in ("Z_SYS", "Z_SYS_ERR", "Z_FIT")
    )
    measured = np.isfinite(z) & (z > 0) & np.isfinite(error) & (error > 0)
    z = np.where(measured, z, fit)
    sure = np.isfinite(z) & (z > 0)
    return _plain(z, np.full(len(z), CLASS_PERSON["QSO"]), np.where(sure, SURE, UNSURE))


def _hewett_wild(columns: Columns, path: Path) -> list[TruthRecord]:
    """Rows of Hewett & Wild: quasars of SDSS DR6, all of them sure."""
    z = float_column(columns["Z"], "Z", path)
    return _plain(z, np.full(len(z), CLASS_PERSON["QSO"]), np.full(len(z), SURE))


def _picca(columns: Columns, path: Path) -> list[TruthRecord]:
    """Rows of a catalogue for picca: quasars, or of SPECTYPE, and sure where ZWARN is 0."""
    z = float_column(columns["Z"], "Z", path)
    classes = np.full(len(z), CLASS_PERSON["QSO"])
    if "SPECTYPE" in columns:
        classes = _classes(np.char.upper(text_column(columns["SPECTYPE"], "SPECTYPE", path)))
    zwarn = _floats(columns, "ZWARN", path, default=0.0)
    bi_civ = _floats(columns, "BI_CIV", path, default=np.nan)
    return _records(z, classes, np.where(zwarn == 0, SURE, UNSURE), bi_civ > 0, bi_civ)


def read_named(
    columns: Columns, names: Mapping[str, str], path: Path
) -> tuple[IntArray, list[TruthRecord]]:
    """Ids and records of a table whose columns of id, z and (or all are quasars) class are named.

    Where z is no number, or the class is not known, the row is not sure.
    """
    z = numbers_or(columns[names["z"]], names["z"], "nan", path)
    classes = np.full(len(z), CLASS_PERSON["QSO"])
    if "class" in names:
        values = columns[names["class"]]
        if values.dtype.kind in "iuf":
            classes = integer_column(values, names["class"], path)
        else:
            text = np.char.upper(text_column(values, names["class"], path))
            classes = _named(text)
            odd = sorted(set(text[classes == CLASS_NONE].tolist()) - _NO_CLASS)
            if odd:
                warn(
                    f"{path}: column {names['class']} holds {', '.join(odd[:5])}, which are none "
                    f"of the classes {', '.join(CLASS_NAMES)}: those rows are taken as not sure"
                )
    sure = np.isfinite(z) & (classes != CLASS_NONE)
    ids = id_numbers(columns[names["id"]], names["id"], path)
    return ids, _plain(z, classes, np.where(sure, SURE, UNSURE))


def _plain(z: FloatArray, classes: IntArray, confidence: IntArray) -> list[TruthRecord]:
    """Records of objects of which nothing is known of broad absorption but a class of BALs."""
    return _records(z, classes, confidence, classes == CLASS_BAL, np.full(len(z), np.nan))


def _named(names: AnyArray) -> IntArray:
    """CLASS_PERSON of `CLASS_NAMES`; 0 for those that are none."""
    return np.array([CLASS_NAMES.get(name, CLASS_NONE) for name in names.tolist()], np.int64)


def _records(*columns: AnyArray) -> list[TruthRecord]:
    """Records from columns in the order of TruthRecord's fields."""
    kinds = (float, int, int, int, float, int, int, int)
    values = (map(kind, column.tolist()) for kind, column in zip(kinds, columns, strict=False))
    return [TruthRecord(*row) for row in zip(*values, strict=True)]


def _classes(spectype: AnyArray) -> IntArray:
    """CLASS_PERSON of spectral types; 0 for those that are none of the three."""
    return np.array([CLASS_PERSON.get(name, CLASS_NONE) for name in spectype.tolist()], np.int64)


def numbers_or(values: AnyArray, name: str, default: str, path: Path) -> FloatArray:
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


_SUPERSET = (("THING_ID",), ("Z_VI",), ("CLASS_PERSON",), ("Z_CONF_PERSON", "Z_CONF"))
_INSPECTION = (("TARGETID",), ("VI_Z",), ("VI_QUALITY",), ("VI_SPECTYPE", "VI_CLASS"))
_SIMULATION = (("TARGETID",), ("TRUEZ",), ("TRUESPECTYPE",))
_SDSS_V = (("CATALOGID",), ("Z_BEST",), ("Z_CONF_BEST",), ("CLASS_BEST",), ("HAS_VI",))
_PROPERTIES = (("Z_SYS",), ("Z_SYS_ERR",))
LAYOUTS = (
    Layout("superset", _SUPERSET, _boss, _by("THING_ID")),
    Layout("DESI inspection", _INSPECTION, _desi, _by("TARGETID")),
    Layout("simulation", _SIMULATION, _simulated, _by("TARGETID")),
    Layout("SDSS-V inspection", _SDSS_V, _sdss_v, _by("CATALOGID"), spectra=True),
    Layout(
        "quasar properties of SDSS-V",
        (("CATALOGID",), *_PROPERTIES),
        _properties,
        _by("CATALOGID"),
        spectra=True,
    ),
    Layout(
        "quasar properties of SDSS",
        (*((name,) for name in SPECTRUM), *_PROPERTIES),
        _properties,
        _by_spectrum("FIBERID"),
    ),
    Layout(
        "redshifts of Hewett & Wild",
        (("PLATE",), ("MJD",), ("FIBER",), ("Z",), ("E_Z",)),
        _hewett_wild,
        _by_spectrum("FIBER"),
    ),
    Layout(
        "catalogue for picca",
        (("TARGETID", "THING_ID"), ("Z",)),
        _picca,
        _by("TARGETID", "THING_ID"),
        hdus=("QSO_CAT", "ZCATALOG"),
    ),
)

#: Names of HDUs that hold a truth table; HDU 1 where there is none of them.
TRUTH_HDUS = ("VI_RESULTS", "QSO_CAT", "ZCATALOG")

#: All columns that any layout uses.
LAYOUT_COLUMNS = frozenset(
    {name for layout in LAYOUTS for names in layout.groups for name in names}
    | {"BAL_FLAG_VI", "BAL_PROB", "BI_CIV", "PLATE", "MJD", "FIBERID", "Z_FIT"}
    | {"REDROCK_Z", "REDROCK_SPECTYPE", "SPECTYPE", "ZWARN"}
)
