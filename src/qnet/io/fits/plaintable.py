"""Columns of plain binary tables, read past the C library, which looks at all of many columns."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray
from qnet.io.fits.headers import Hdu

#: How numbers are stored, by their code in TFORM (FITS standard 4.0, table 18).
_STORED: Mapping[str, str] = {
    "B": "u1",
    "I": ">i2",
    "J": ">i4",
    "K": ">i8",
    "E": ">f4",
    "D": ">f8",
}

#: Bytes of rows that are read so: of larger tables the C library reads the columns alone.
_LARGEST = 1 << 26

#: Cards that give the stored numbers of a column another shape or meaning.
_SCALING = ("TDIM", "TSCAL", "TZERO")


def plain_columns(
    stream: io.RawIOBase, hdu: Hdu, names: Sequence[str], low: int, high: int
) -> dict[str, AnyArray]:
    """Rows low .. high - 1 of those columns that are plain numbers or text, by upper-case names."""
    header = hdu.header
    if not header.is_table or "ZIMAGE" in header.cards:
        return {}
    width = header.axes()[0]
    if width * (high - low) > _LARGEST or high <= low:
        return {}
    wanted = {name.upper() for name in names}
    fields: dict[str, tuple[Any, int]] = {}
    for field in header.fields():
        name = header.cards.get(f"TTYPE{field.number}", "").upper()
        if name not in wanted or name in fields or not field.repeat:
            continue
        if any(f"{card}{field.number}" in header.cards for card in _SCALING):
            continue
        if field.code == "A":
            fields[name] = (f"S{field.repeat}", field.offset)
        elif field.code in _STORED:
            stored = np.dtype(_STORED[field.code])
            fields[name] = ((stored, field.repeat) if field.repeat > 1 else stored, field.offset)
    if not fields:
        return {}
    dtype = np.dtype(
        {
            "names": list(fields),
            "formats": [kind for kind, _ in fields.values()],
            "offsets": [offset for _, offset in fields.values()],
            "itemsize": width,
        }
    )
    rows = np.empty(high - low, dtype)
    stream.seek(hdu.start + low * width)
    view, done = rows.view(np.uint8).data, 0
    while done < len(view):
        count = stream.readinto(view[done:])
        if not count:
            raise OSError("the file ends too early")
        done += count
    return {name: _text(rows[name]) for name in fields}


def _text(column: AnyArray) -> AnyArray:
    """A column as it is; bytes as text without trailing blanks. UnicodeDecodeError if not ASCII."""
    if column.dtype.kind != "S":
        return column
    return np.char.rstrip(np.char.decode(column, "ascii"))
