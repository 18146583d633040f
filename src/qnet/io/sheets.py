"""Tables of a file of any format, as sheets: those of FITS files, and images that stand for one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from qnet.core.arrays import AnyArray, IntArray
from qnet.io.fits.file import FitsFile
from qnet.io.openfile import OpenFile
from qnet.io.roles import Described
from qnet.io.tablefile import Sheet, TableFile

#: TFORM of columns that hold many numbers in a row, or a list of them.
_VECTOR = re.compile(r"\s*(?:\d*[PQ].*|(?!1[A-Z]|[A-Z]|\d*A).*)", re.IGNORECASE)


def read_sheets(file: OpenFile) -> list[Sheet]:
    """The tables of a file, without their values; all images of a FITS file are one more."""
    if isinstance(file, TableFile):
        return file.sheets
    if not isinstance(file, FitsFile):
        return []
    tables = [_table(file, number) for number in range(len(file)) if file.is_table(number)]
    return tables + ([images] if (images := _images(file)) else [])


def _label(fits: FitsFile, number: int) -> str:
    """Name of an HDU, else its number."""
    return fits.all_names[number] or f"number {number}"


def _table(fits: FitsFile, number: int) -> Sheet:
    """A table HDU."""
    cards = fits.header(number)
    columns = []
    for index, name in enumerate(fits.columns(number), start=1):
        unit, ucd, utype, form = (
            str(cards.get(f"{key}{index}", "")).strip()
            for key in ("TUNIT", "TUCD", "TUTYP", "TFORM")
        )
        columns.append(Described(name, unit, ucd, utype, bool(_VECTOR.fullmatch(form))))

    def read(names: Sequence[str], rows: IntArray | None) -> Mapping[str, AnyArray]:
        return fits.table(number, list(names), rows)

    where, nrows = f"{fits.path}: HDU {_label(fits, number)}", fits.nrows(number)
    both, hdus = {**fits.header(0), **cards}, {column.name: number for column in columns}
    return Sheet(where, fits.all_names[number], tuple(columns), nrows, lambda _: both, read, hdus)


def _images(fits: FitsFile) -> Sheet | None:
    """All images of one row or several, by the names of their HDUs."""
    shapes: dict[str, tuple[int, ...]] = {}
    numbers: dict[str, int] = {}
    columns = []
    for number in range(len(fits)):
        shape = fits.shape(number)
        name = fits.all_names[number] or ("PRIMARY" if number == 0 else f"HDU{number}")
        # IRAF writes single spectra as images of one row, of one band.
        while len(shape) > 2 and shape[0] == 1:
            shape = shape[1:]
        if shape and len(shape) < 3 and name not in shapes:
            shapes[name], numbers[name] = shape, number
            unit = str(fits.header(number).get("BUNIT", "")).strip()
            columns.append(Described(name, unit, vector=len(shape) == 2))
    if not columns:
        return None

    def read(names: Sequence[str], rows: IntArray | None) -> dict[str, Any]:
        found = {}
        for name in names:
            values = fits.image(numbers[name]).reshape(shapes[name])
            found[name] = values if rows is None or values.ndim == 1 else values[rows]
        return found

    nrows = max((shape[0] if len(shape) == 2 else 1) for shape in shapes.values())

    def cards(name: str) -> Mapping[str, Any]:
        return {**fits.header(0), **fits.header(numbers[name])}

    return Sheet(str(fits.path), "", tuple(columns), nrows, cards, read, numbers)
