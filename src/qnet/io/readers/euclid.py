"""Euclid's combined spectra of NISP: one file a tile, some HDUs an object.

DpdSirCombinedSpectra of the Euclid SGS data product description, release Q1: for object k the HDUs
k_META (OBJ_ID, RA_OBJ, DEC_OBJ), k_COMBINED1D_SIGNAL (a row a pixel: WAVELENGTH, SIGNAL, VAR, MASK)
and its dithers, which the combined spectrum is made of. SIGNAL is in units of FSCALE, VAR of its
square. Pixels are not to be used where MASK is odd or at least 64 (IRSA's introduction to them).
IRSA gives single objects as tables of the same columns, the scale in the unit of SIGNAL.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray
from qnet.core.errors import FileError
from qnet.core.spectra import Spectra
from qnet.io.columns import id_columns
from qnet.io.fits.file import FitsFile
from qnet.io.openfile import OpenFile
from qnet.io.pixels import Pixels, make_spectra
from qnet.io.readers.registry import Reader, Request, left_out, recognised, register, whole_file
from qnet.io.readers.rows import lacks_columns, read_rows
from qnet.io.sheets import read_sheets
from qnet.io.tablefile import Sheet, TableFile

#: Ends of the names of the HDUs of a combined spectrum, and of what is known of its object.
_SIGNAL_END, _META_END = "_COMBINED1D_SIGNAL", "_META"
_SIGNAL = re.compile(rf"\d+{_SIGNAL_END}")

#: Columns that are read.
_COLUMNS = ("WAVELENGTH", "SIGNAL", "VAR", "MASK")

#: Columns by which the table of one object is recognised.
_SINGLE = {*_COLUMNS, "QUALITY", "NDITH"}

#: Unit of SIGNAL, times FSCALE.
_UNIT = "erg/s/cm2/Angstrom"


def bad_pixels(mask: AnyArray) -> BoolArray:
    """Pixels that are not to be used."""
    values = mask.astype(np.int64)
    return np.asarray((values % 2 == 1) | (values >= 64))


def _objects(fits: FitsFile) -> list[str]:
    """Names of the HDUs of the combined spectra."""
    return [name for name in fits.names if _SIGNAL.fullmatch(name)]


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file of such HDUs."""
    objects = _objects(fits)
    fault = lacks_columns(fits, objects[0], _COLUMNS)  # all are alike
    return fault or left_out(fits, map(fits.all_names.index, objects))


def _read(files: Sequence[FitsFile], request: Request) -> Spectra:
    """Read the combined spectra of a tile."""
    (fits,) = files
    objects = _objects(fits)
    if request.rows is not None:
        objects = [objects[row] for row in request.rows.tolist()]
    columns, padding = read_rows(fits, objects, _COLUMNS)
    scale = np.array([_scale(fits, key) for key in objects])[:, None] / 1e-17
    pixels = Pixels(
        wave=columns["WAVELENGTH"],
        flux=columns["SIGNAL"] * scale,
        weights=columns["VAR"] * np.square(scale),
        kind="var",
        flux_unit=f"1e-17 {_UNIT}",
        bad=bad_pixels(columns["MASK"]) | padding,
        name="NISP",
        where=str(fits.path),
    )
    return make_spectra([pixels], _ids(fits, objects))


def _sheets(file: OpenFile) -> list[Sheet]:
    """Tables of the columns of a combined spectrum that are no HDU of a tile."""
    if isinstance(file, FitsFile) and not set(file.columns(1)) >= _SINGLE:
        return []  # before the headers of all tables are read
    return [
        sheet
        for sheet in read_sheets(file)
        if {column.name.upper() for column in sheet.columns} >= _SINGLE
        and not _SIGNAL.fullmatch(sheet.name.upper())
    ]


def _table_fault(file: OpenFile) -> str:
    """What is wrong with a file of such tables."""
    sheets = _sheets(file)
    if len(sheets) > 1:
        return "holds several spectra of Euclid: read them one by one"
    return left_out(file, set(sheets[0].hdus.values())) if isinstance(file, FitsFile) else ""


def _read_table(file: OpenFile) -> Spectra:
    """Read the table of one object."""
    (sheet,) = _sheets(file)
    names = {column.name.upper(): column for column in sheet.columns}
    found = sheet.read([names[name].name for name in _COLUMNS], None)
    wave, signal, variance, mask = (found[names[name].name] for name in _COLUMNS)
    pixels = Pixels(
        wave=np.ravel(np.ma.getdata(wave)),
        flux=np.ravel(np.ma.getdata(signal)),
        weights=np.ravel(np.ma.getdata(variance)),
        kind="var",
        wave_unit=names["WAVELENGTH"].unit,
        flux_unit=names["SIGNAL"].unit,
        bad=bad_pixels(np.ravel(np.ma.filled(mask, 1))),
        name="NISP",
        where=sheet.where,
    )
    cards = sheet.cards(names["SIGNAL"].name)
    value = next((cards[card] for card in ("OBJ_ID", "OBJECT_ID") if card in cards), -1)
    return make_spectra([pixels], id_columns({"TARGETID": np.array([value])}, file.path))


def _scale(fits: FitsFile, key: str) -> float:
    """FSCALE of an HDU; 1 where there is none."""
    scale = fits.header(key).get("FSCALE", 1.0)
    if not isinstance(scale, (int, float)) or not 0 < scale < np.inf:
        raise FileError(f"{fits.path}: HDU {key} has FSCALE {scale}, not a positive number")
    return float(scale)


def _ids(fits: FitsFile, objects: Sequence[str]) -> dict[str, AnyArray]:
    """OBJ_ID and positions of objects, from their META HDUs; -1 and NaN without one."""
    cards = {"TARGETID": ("OBJ_ID", -1), "TARGET_RA": ("RA_OBJ", np.nan)}
    cards["TARGET_DEC"] = ("DEC_OBJ", np.nan)
    values: dict[str, list[object]] = {name: [] for name in cards}
    for key in objects:
        meta = key.replace(_SIGNAL_END, _META_END)
        header = fits.header(meta if meta in fits else key)
        for name, (card, missing) in cards.items():
            values[name].append(header.get(card, missing))
    return id_columns({name: np.array(column) for name, column in values.items()}, fits.path)


register(
    Reader(
        name="Euclid combined spectra",
        survey="Euclid",
        hdus="tables k_COMBINED1D_SIGNAL with WAVELENGTH, SIGNAL, VAR, MASK, perhaps k_META",
        targetid="OBJ_ID",
        wavelengths="vacuum, centres",
        no_weight="odd MASK, or MASK of 64 and more",
        **recognised(lambda fits: bool(_objects(fits)), _fault),
        count=lambda fits: len(_objects(fits)),
        read=_read,
        whole=True,
        ids=("TARGETID", "TARGET_RA", "TARGET_DEC"),
    )
)
register(
    Reader(
        name="Euclid combined spectrum",
        survey="Euclid",
        hdus="a table of WAVELENGTH, SIGNAL, VAR, MASK, QUALITY and NDITH, as IRSA gives it",
        targetid="OBJ_ID, else -1",
        wavelengths="vacuum, centres",
        no_weight="odd MASK, or MASK of 64 and more",
        **recognised(lambda file: bool(_sheets(file)), _table_fault),
        **whole_file(_read_table),
        ids=("TARGETID",),
        opens=(FitsFile, TableFile),
    )
)
