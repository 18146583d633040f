"""JWST's extracted spectra, x1d and c1d: one HDU a source, or a row a source (WFSS).

JWST data products, x1d and c1d (documentation of jwst; schemas spectable, wfss_spectable and
combinedspectable of stdatamodels): tables EXTRACT1D or COMBINE1D with WAVELENGTH [micron, vacuum],
FLUX [Jy], FLUX_ERROR (ERROR in c1d) and DQ, whose bit 0 is DO_NOT_USE. WFSS rows end in NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray
from qnet.core.spectra import Spectra
from qnet.io.columns import id_columns
from qnet.io.fits.file import FitsFile
from qnet.io.pixels import Pixels, make_spectra
from qnet.io.readers.registry import Reader, left_out, recognised, register, whole_file
from qnet.io.readers.rows import count_rows, lacks_columns, read_rows
from qnet.io.units import stated_unit

#: Names of the tables, and of the errors in them.
_ERRORS = {"EXTRACT1D": "FLUX_ERROR", "COMBINE1D": "ERROR"}

#: DO_NOT_USE.
_BAD = 1

#: Ids by their column in tables of a row per source, their card in others, and what is missing.
_IDS: Mapping[str, tuple[str, str, Any]] = {
    "TARGETID": ("SOURCE_ID", "SOURCEID", -1),
    "TARGET_NAME": ("", "SRCNAME", ""),
    "TARGET_RA": ("SOURCE_RA", "SRCRA", np.nan),
    "TARGET_DEC": ("SOURCE_DEC", "SRCDEC", np.nan),
}

#: SOURCE_ID of rows of padding.
_NO_SOURCE = -999


def _tables(fits: FitsFile) -> list[tuple[int, str]]:
    """Numbers and names of the HDUs of spectra."""
    names = enumerate(fits.all_names)
    return [(n, name) for n, name in names if name in _ERRORS and fits.is_table(n)]


def _is_jwst(fits: FitsFile) -> bool:
    """Whether a file of JWST holds such tables."""
    return fits.header(0).get("TELESCOP") == "JWST" and bool(_tables(fits))


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file of such tables."""
    tables = _tables(fits)
    if len({name for _, name in tables}) > 1:
        return "holds EXTRACT1D and COMBINE1D, the same spectra twice"
    for number, name in tables:
        columns = ("WAVELENGTH", "FLUX", _error(fits.columns(tables[0][0]), name), "DQ")
        if fault := lacks_columns(fits, number, columns):
            return fault
    return left_out(fits, [number for number, _ in tables])


def _error(have: Sequence[str], name: str) -> str:
    """The column of errors: ERROR in c1d, and in x1d before 2021."""
    return "ERROR" if "ERROR" in have else _ERRORS[name]


def _rows(fits: FitsFile, number: int) -> int:
    """Number of spectra of a table."""
    return count_rows(fits, number, "WAVELENGTH")


def _read(fits: FitsFile) -> Spectra:
    """Read the spectra of all tables."""
    tables = _tables(fits)
    numbers, (first, name) = [number for number, _ in tables], tables[0]
    error = _error(fits.columns(first), name)
    columns, padding = read_rows(fits, numbers, ["WAVELENGTH", "FLUX", error, "DQ"])
    units = [stated_unit(fits, first, column) for column in ("WAVELENGTH", "FLUX")]
    pixels = Pixels(
        wave=columns["WAVELENGTH"],
        flux=columns["FLUX"],
        weights=columns[error],
        kind="std",
        wave_unit=units[0] or "um",
        flux_unit=units[1] or "Jy",
        bad=(columns["DQ"].astype(np.int64) & _BAD != 0) | padding,
        name=str(fits.header(0).get("INSTRUME", "JWST")),
        where=f"{fits.path}: HDU {name}",
    )
    parts = [_ids(fits, number, _rows(fits, number)) for number in numbers]
    ids = {name: np.concatenate([part[name] for part in parts]) for name in _IDS}
    return make_spectra([pixels], id_columns(ids, fits.path))


def _ids(fits: FitsFile, number: int, nspec: int) -> dict[str, AnyArray]:
    """Ids of the spectra of a table."""
    header, have = fits.header(number), fits.columns(number)
    columns = [column for column, _, _ in _IDS.values() if column in have]
    table = fits.table(number, columns) if columns and _rows(fits, number) == nspec else {}
    found = {
        name: table.get(column, np.array([header.get(card, missing)] * nspec))
        for name, (column, card, missing) in _IDS.items()
    }
    found["TARGETID"] = np.where(found["TARGETID"] == _NO_SOURCE, -1, found["TARGETID"])
    return found


register(
    Reader(
        name="JWST spectra",
        survey="JWST",
        hdus="tables EXTRACT1D (COMBINE1D) with WAVELENGTH, FLUX, errors, DQ; TELESCOP JWST",
        targetid="SOURCEID (SOURCE_ID), the same in all orders; SRCNAME in TARGET_NAME",
        wavelengths="vacuum, centres",
        no_weight="bit 0 (DO_NOT_USE) of DQ",
        **recognised(_is_jwst, _fault),
        **whole_file(_read, lambda fits: sum(_rows(fits, number) for number, _ in _tables(fits))),
        ids=tuple(_IDS),
    )
)
