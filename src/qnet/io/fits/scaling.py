"""Stored integers: scaled columns, and values that mean nothing (FITS 4.0, 5.3 and 7.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray
from qnet.io.columns import without_missing

Cards = Mapping[str, Any]

#: Codes of integer columns (TFORMn), and the TZEROn by which each stores the other signedness.
_SIGNEDNESS = {"B": -128, "I": 2**15, "J": 2**31, "K": 2**63}

#: Cards that scale a column, with their defaults.
_SCALING = (("TSCAL", 1), ("TZERO", 0))


def column_numbers(cards: Cards, names: Sequence[str]) -> dict[str, int]:
    """Numbers of columns, by their names in upper case, from the header of a table."""
    wanted = {name.upper() for name in names}
    found: dict[str, int] = {}
    for number in range(1, int(cards.get("TFIELDS", 0)) + 1):
        name = str(cards.get(f"TTYPE{number}", "")).strip().upper()
        if name in wanted:
            found.setdefault(name, number)
    return found


def scaled_columns(cards: Cards, numbers: Mapping[str, int]) -> list[str]:
    """Those integer columns whose stored numbers are to be scaled: fitsio reads them wrongly."""
    found = []
    for name, number in numbers.items():
        code = str(cards.get(f"TFORM{number}", "")).lstrip("0123456789")[:1]
        # As numbers: fitsio gives integers beyond int64 as text.
        scale, zero = (float(cards.get(f"{key}{number}", or_else)) for key, or_else in _SCALING)
        if code in _SIGNEDNESS and (scale != 1 or zero not in (0, _SIGNEDNESS[code])):
            found.append(name)
    return found


def empty_columns(cards: Cards, numbers: Mapping[str, int], nrows: int) -> dict[str, AnyArray]:
    """Those columns that take no bytes, as of TFORM '0K': fitsio reads other bytes for them."""
    found: dict[str, AnyArray] = {}
    for name, number in numbers.items():
        if match := re.match(r"\s*0+([A-Z])", str(cards.get(f"TFORM{number}", "")).upper()):
            found[name] = np.full(nrows, "") if match[1] == "A" else np.zeros((nrows, 0))
    return found


def read_scaled(path: Path, hdu: int, names: Sequence[str]) -> dict[str, AnyArray]:
    """All rows of scaled columns of HDU number `hdu`, read by astropy; NaN for TNULL."""
    from astropy.io import fits

    wanted, found = {name.upper() for name in names}, {}
    # Unsigned integers are none of these; looking for them, astropy fails on some that are scaled.
    with fits.open(path, memmap=False, uint=False) as hdus:
        table = hdus[hdu]
        for column in table.columns:
            if column.name.upper() in wanted:
                values = np.array(table.data[column.name], dtype=np.float64)
                if column.null is not None:
                    null = column.null * (column.bscale or 1) + (column.bzero or 0)
                    values[np.isclose(values, null, rtol=1e-12, atol=0)] = np.nan
                found[column.name.upper()] = values
    return found


def read_texts(path: Path, hdu: int, names: Sequence[str]) -> dict[str, AnyArray]:
    """All rows of those columns of HDU number `hdu` that hold text, read by astropy.

    Bytes that are no UTF-8 become the character U+FFFD.
    """
    from astropy.io import fits

    wanted = {name.upper() for name in names}
    with fits.open(path, memmap=False) as hdus:
        stored = hdus[hdu].data.view(np.ndarray)
        return {
            name.upper(): np.char.rstrip(np.char.decode(stored[name], "utf-8", "replace"))
            for name in stored.dtype.names
            if name.upper() in wanted and stored.dtype[name].base.kind == "S"
        }


def without_nulls(values: AnyArray, name: str, null: Any) -> AnyArray:
    """A column of integers with TNULL replaced by `missing_value`."""
    if null is None or values.dtype.kind not in "iu":
        return values
    missing = values == null
    return without_missing(values, missing, name) if missing.any() else values


def without_blanks(image: AnyArray, cards: Cards) -> AnyArray:
    """An image that fitsio read, with NaN where the stored integer is BLANK."""
    blank = cards.get("BLANK", cards.get("ZBLANK"))
    if not isinstance(blank, int) or image.dtype.kind != "f":
        return image
    value = cards.get("BSCALE", 1) * blank + cards.get("BZERO", 0)
    return np.where(image == image.dtype.type(value), np.nan, image)
