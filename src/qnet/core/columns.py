"""Columns of the catalogue: the one table that code, files and documentation read."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

#: Header cards with the names of the lines, by the shape of the columns that have one value a line.
LINE_CARDS: Mapping[str, str] = MappingProxyType({"lines": "LINE", "lines_bal": "BAL"})

NAN = float("nan")

#: Unified Content Descriptors, what a column is in the words of the Virtual Observatory (IVOA
#: Recommendation "UCD1+ controlled vocabulary", version 1.5), and the columns that have them.
_UCDS = {
    "meta.code;src.class": "IS_QSO IS_BAL",
    "stat.probability;src.class": "P_QSO P_BAL P_STAR P_GALAXY",
    "src.redshift": "ZBEST Z2",
    "stat.error;src.redshift": "ZERR ZERR_NOISE",
    "stat.probability;src.redshift": "P_Z P2 LN_PZ",
    "meta.code.qual": "QN_FLAG COADD_FIBERSTATUS FIBERSTATUS",
    "stat.probability;spect.line": "C_LINES C_LINES_BAL",
    "src.redshift;spect.line": "Z_LINES Z_LINES_BAL",
    "stat.error;src.redshift;spect.line": "ZERR_LINES",
    "meta.code;spect.line": "LINE_OBSERVED",
    "stat.snr": "SNR",
    "meta.code.qual;instr.pixel": "GOODFRAC",
    "meta.id;meta.main": "TARGETID",
    "pos.eq.ra;meta.main": "TARGET_RA",
    "pos.eq.dec;meta.main": "TARGET_DEC",
    "pos.healpix": "HPXPIXEL UNIQPIX",
    "meta.id;src": "TARGET_NAME THING_ID CATALOGID SDSS_ID TARGID",
    "meta.id;obs": "SURVEY PROGRAM",
    "meta.id;obs.field": "FIELD TILEID TRACT PATCH",
    "meta.id;obs.exposure": "EXPID",
    "meta.id;instr": "PLATE FIBERID FIBERID_LIST PETAL_LOC FIBER",
    "meta.id;instr.obsty": "OBS",
    "meta.id": "CATID",
    "time.epoch": "MJD",
    "time.end;obs": "LASTNIGHT",
    "meta.code": "OBJTYPE",
    "meta.id;meta.file": "INPUT_INDEX",
    "meta.record": "INPUT_ROW TARGET_INDEX",
}

#: The same by column.
UCDS: Mapping[str, str] = MappingProxyType(
    {name: ucd for ucd, names in _UCDS.items() for name in names.split()}
)


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the catalogue: one row of `COLUMNS`."""

    name: str
    #: NumPy's code of the type; 'int' is that of the input, i2 to i8.
    dtype: str = ""
    #: One line, for tables and FITS headers.
    description: str = ""
    #: Value of an empty row: NaN, 0, false, -1 or ''.
    empty: Any = NAN
    #: Python's format of a value in print, and unit in FITS's notation.
    format: str = ""
    unit: str = ""
    #: One value a row, or one for each emission line or BAL line of the model.
    shape: Literal["scalar", "lines", "lines_bal"] = "scalar"
    #: In Markdown: which rows are empty, and what the reference adds to the description.
    empty_where: str = "not classified"
    details: str = ""
    #: The surveys that give the column; '' where qnet makes it.
    survey: str = ""
    #: Unified Content Descriptor; '' stands for that of UCDS, if it is there.
    ucd: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "ucd", self.ucd or UCDS.get(self.name, ""))

    def explain(self, details: str = "", empty_where: str = "not classified") -> Column:
        """The column with the text of the reference page."""
        return dataclasses.replace(self, details=details, empty_where=empty_where)

    @property
    def prefix(self) -> str:
        """Beginning of the names where each line has a column: C of C_LYA, C_BAL of C_LINES_BAL."""
        return self.name.replace("_LINES", "")

    @property
    def display(self) -> str:
        """The format as FITS's TDISP; '' where there is no simple one."""
        match = re.fullmatch(r"\.(\d+)([feg])", self.format)
        return f"{match[2].upper()}{int(match[1]) + 8}.{match[1]}" if match else ""


#: What a model gives, in its order.
MODEL_COLUMNS = (
    Column("IS_QSO", "bool", "whether it is a quasar", False).explain(
        "`P_QSO` is above PTHRESH. Without `P_QSO`, or on request, at least MINLINES lines have a"
        " confidence above CTHRESH. Rows with the flag `NODATA`, `CONSTANT`, `NO_EVIDENCE`,"
        " `NOT_TARGET` or `BAD_FIBER` are false"
    ),
    Column("P_QSO", "f4", "probability that it is a quasar", NAN, ".4f").explain(
        "It assumes the population PRIOR, with the fraction PRIORQSO of quasars",
        "not classified, model without calibration",
    ),
    Column("ZBEST", "f8", "redshift", NAN, ".5f").explain(
        "It assumes that the object is a quasar, whatever `IS_QSO` is. It is that of the second"
        " stage in refined rows, and the peak of the redshift posterior in others. Models without"
        " a posterior or a second stage give that of the most confident line"
    ),
    Column("ZERR", "f4", "error of ZBEST, one standard deviation", NAN, ".5f").explain(
        "Error to the systemic redshift, for spectra on their native pixels. For"
        " [prepared data](../explanation/calibration.md#second-stage) it is about a fifth too"
        " small",
        "not refined, `NOREFINE`, model without second stage",
    ),
    Column("P_Z", "f4", "probability that ZBEST is right, if a quasar", NAN, ".4f").explain(
        "Right means within 3000 km/s of the truth",
        "not refined, model without calibration of it",
    ),
    Column("QN_FLAG", "i4", "bits of reasons for caution", 0).explain("", "no reason"),
    Column("Z2", "f8", "second redshift", NAN, ".5f").explain(
        "It is more than 6000 km/s from `ZBEST`. In refined rows it is the next best candidate of"
        " the second stage, in others the second peak of the posterior. For a second stage without"
        " scores it is that of the most confident box among the two best of each line",
        "not classified, no such redshift, model without calibration",
    ),
    Column("P2", "f4", "probability of Z2", NAN, ".4f").explain(
        "The probability that `Z2` is within 3000 km/s of the truth, if it is a quasar, on the"
        " scale of `P_Z`. [Without its calibration](../explanation/calibration.md#second-redshift)"
        " it is a rougher number",
        "as `Z2`, not refined",
    ),
    Column("ZERR_NOISE", "f4", "part of ZERR that is due to noise", NAN, ".5f").explain(
        "The scatter of `ZBEST` among repeated observations of one object",
        "as `ZERR`, model without calibration of it",
    ),
    Column("P_BAL", "f4", "probability of a BAL quasar, if a quasar", NAN, ".4f").explain(
        "",
        "not classified, BAL line not covered by the spectrum, not refined or `NOREFINE` if the"
        " second stage measures absorption, model without calibration of it",
    ),
    Column("IS_BAL", "bool", "whether it is a BAL quasar", False).explain(
        "`IS_QSO` is true, and `P_BAL` is above the model's threshold. By QuasarNET's criterion, a"
        " BAL line has a confidence above CTHRESH",
        "not classified, `P_BAL` is NaN",
    ),
    Column("C_LINES", "f4", "confidence of each emission line", NAN, ".3f", "", "lines"),
    Column("Z_LINES", "f4", "redshift of each emission line", NAN, ".4f", "", "lines").explain(
        "It has no meaning at low confidence"
    ),
    Column("ZERR_LINES", "f4", "error of each line's redshift", NAN, ".5f", "", "lines").explain(
        "One standard deviation of `Z_LINES`, if the line is identified correctly",
        "not classified, model without calibration of the line",
    ),
    Column("C_LINES_BAL", "f4", "confidence of each BAL line", NAN, ".3f", "", "lines_bal"),
    Column("Z_LINES_BAL", "f4", "redshift of each BAL line", NAN, ".4f", "", "lines_bal"),
    Column("LINE_OBSERVED", "i4", "bit n: line n has data at ZBEST", 0).explain(
        "The grid pixel at the position of line n has weight. i8 for more than 31 lines"
    ),
    Column("SNR", "f4", "median S/N per pixel of the grid", NAN, ".2f").explain(
        "Median of flux x sqrt(ivar) over the grid pixels with weight", "not selected, `NODATA`"
    ),
    Column("GOODFRAC", "f4", "fraction of grid pixels with weight", NAN, ".3f").explain(
        "", "not selected"
    ),
)

_SDSS = "SDSS, BOSS, eBOSS"

#: Columns of target bits.
SDSS_TARGETS = (
    *("BOSS_TARGET1", "BOSS_TARGET2", "ANCILLARY_TARGET1", "ANCILLARY_TARGET2"),
    *("EBOSS_TARGET0", "EBOSS_TARGET1", "EBOSS_TARGET2"),
)
DESI_TARGETS = tuple(
    f"{phase}{program}_TARGET"
    for phase in ("", "SV1_", "SV2_", "SV3_")
    for program in ("DESI", "BGS", "MWS", "SCND")
)

#: What the surveys give, where their files have it.
_SURVEY_COLUMNS = (
    Column("TARGET_NAME", "str", "identifier that is not an integer", "", survey="all"),
    Column("TARGET_RA", "f8", "right ascension of the target", NAN, ".6f", "deg", survey="all"),
    Column("TARGET_DEC", "f8", "declination of the target", NAN, ".6f", "deg", survey="all"),
    Column("PLATE", "int", "plate", -1, survey=_SDSS),
    Column("FIBERID", "int", "fibre of the plate, from 1", -1, survey=f"{_SDSS}; LAMOST"),
    Column("THING_ID", "int", "identifier of the object", -1, survey=_SDSS),
    Column("OBJTYPE", "str", "use of the fibre: target, sky, ...", "", survey="all"),
    Column("MJD", "int", "modified Julian date", -1, "", "d", survey=f"{_SDSS}; SDSS-V; LAMOST"),
    *(
        Column(name, "int", "bits of target selection", 0, ucd="meta.code", survey=_SDSS)
        for name in SDSS_TARGETS
    ),
    Column("FIELD", "int", "field", -1, survey="SDSS-V"),
    Column("CATALOGID", "int", "identifier in the input catalogue", -1, survey="SDSS-V"),
    Column("FIBERID_LIST", "str", "fibres of the exposures", "", survey="SDSS-V"),
    Column("SDSS_ID", "int", "identifier of the object", -1, survey="SDSS-V"),
    Column("TARGET_INDEX", "int", "index of the target in its file", -1, survey="SDSS-V"),
    Column("OBS", "str", "observatory", "", survey="SDSS-V"),
    Column("COADD_FIBERSTATUS", "int", "bits of fibre status, coadded", 0, survey="DESI"),
    Column("FIBERSTATUS", "int", "bits of fibre status", 0, survey="DESI"),
    Column("SURVEY", "str", "survey: main, sv1, ...", "", survey="DESI"),
    Column("PROGRAM", "str", "program: dark, bright, ...", "", survey="DESI"),
    Column("HPXPIXEL", "int", "HEALPix pixel", -1, survey="DESI"),
    Column("UNIQPIX", "int", "HEALPix pixel + 4 nside^2", -1, survey="DESI"),
    Column("TILEID", "int", "tile", -1, survey="DESI"),
    Column("LASTNIGHT", "int", "last night of the coadd, YYYYMMDD", -1, survey="DESI"),
    Column("EXPID", "int", "exposure", -1, survey="DESI"),
    Column("PETAL_LOC", "int", "petal of the focal plane, 0 to 9", -1, survey="DESI"),
    Column("FIBER", "int", "fibre, 0 to 4999", -1, survey="DESI"),
    *(
        Column(name, "int", "bits of target selection", 0, ucd="meta.code", survey="DESI")
        for name in DESI_TARGETS
    ),
    Column(
        "CMX_TARGET",
        "int",
        "bits of target selection, commissioning",
        0,
        ucd="meta.code",
        survey="DESI",
    ),
    Column("CATID", "int", "catalogue of the target", -1, survey="PFS"),
    Column("TRACT", "int", "tract of the sky", -1, survey="PFS"),
    Column("PATCH", "str", "patch of the tract", "", survey="PFS"),
    Column("TARGID", "str", "identifier that the survey gave the target", "", survey="WEAVE"),
)

#: The columns of the catalogue, in their order. Those of surveys are there where an input has them.
COLUMNS: tuple[Column, ...] = (
    Column("TARGETID", "i8", "identifier of the target", -1, survey="all").explain(
        "TARGETID of DESI, THING_ID of SDSS to eBOSS, CATALOGID of SDSS-V. The row number for"
        " arrays and files without ids",
        "an SDSS file without ids; an id that is no integer (its text is in `TARGET_NAME`)",
    ),
    *MODEL_COLUMNS,
    *(column.explain("", "the input has none") for column in _SURVEY_COLUMNS),
    Column("INPUT_INDEX", "i4", "number of the input file", -1).explain(
        "It counts the files in the header (`IN000000`, ...). Of a set of frames, the first",
        "never",
    ),
    Column("INPUT_ROW", "i4", "row in the input file, from 0", -1).explain(
        "With `--coadd target` that of the first good exposure", "never"
    ),
)

#: The same by name.
BY_NAME: Mapping[str, Column] = MappingProxyType({column.name: column for column in COLUMNS})


def known_column(name: str) -> Column:
    """The column of a name; one without description where the catalogue defines none."""
    return BY_NAME.get(name, Column(name))
