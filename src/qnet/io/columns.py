"""Table columns as checked arrays of integers, floats, booleans or text."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray, FloatArray, Int32Array, IntArray, unmasked
from qnet.core.columns import known_column
from qnet.core.errors import FileError, foreign_faults, shown

#: Where an object has no id.
NO_ID = -1


def id_column(values: AnyArray, name: str, path: Path) -> AnyArray:
    """An id column (nrows,) or (nrows, 1), checked to hold what its name in a catalogue means."""
    dtype = known_column(name).dtype
    if dtype == "str":
        return text_column(values, name, path)
    if dtype == "f8":
        return float_column(values, name, path)
    checked = integer_column(values, name, path)
    keep = values.dtype.kind == "i" and name != "TARGETID"
    return checked.astype(values.dtype) if keep else checked


def row_numbers(nspec: int, rows: IntArray | None) -> Int32Array:
    """Row of each spectrum in its file: those selected, or all."""
    return (np.arange(nspec) if rows is None else rows).astype(np.int32)


def missing_value(name: str, dtype: np.dtype[Any]) -> Any:
    """What a column holds where nothing is known: NaN, '', 0 in bits and status, -1 in ids."""
    if dtype.kind in "SU":
        return ""
    if dtype.kind == "f":
        return dtype.type(np.nan)
    bits = "_TARGET" in name or name.endswith("FIBERSTATUS") or dtype.kind == "b"
    return dtype.type(0) if bits or dtype.kind == "u" else dtype.type(NO_ID)


def filled(values: Any, name: str) -> AnyArray:
    """A column as a plain array, masked values replaced by `missing_value`."""
    with foreign_faults(f"column {name}", values, "an array"):
        data, mask = unmasked(values)
    return data if mask is None else without_missing(data, mask, name)


def without_missing(values: AnyArray, missing: BoolArray, name: str) -> AnyArray:
    """A column with `missing_value` where its values are missing."""
    if values.dtype.kind == "u":  # cannot hold -1
        values = values.astype(np.int64)
    return np.where(missing, missing_value(name, values.dtype), values)


def integer_column(values: AnyArray, name: str, path: Path) -> IntArray:
    """A column (nrows,) or (nrows, 1) of integers, or of floats or text that are, as int64."""
    column = _flat(values)
    if column.ndim == 1 and column.dtype.kind in "SU":
        with contextlib.suppress(ValueError, OverflowError):
            return np.array([int(text) for text in column.astype(str)], dtype=np.int64)
    elif column.ndim == 1 and column.dtype.kind in "iufb":
        with np.errstate(invalid="ignore"):
            whole = column.astype(np.int64)
        overflow = column.dtype.kind == "u" and (whole < 0).any()
        if np.array_equal(whole.astype(column.dtype), column) and not overflow:
            return whole
    raise _wrong(values, name, path, "an integer per row")


def integer_card(value: Any, name: str, path: Path) -> int:
    """A header card as an integer that fits into int32; errors as `int32_column`."""
    return int(int32_column(np.array([value]), name, path)[0])


def int32_column(values: AnyArray, name: str, path: Path) -> Int32Array:
    """A column as int32; as `integer_column`."""
    column = integer_column(values, name, path)
    if (beyond := column[column != column.astype(np.int32)]).size:
        raise FileError(f"{path}: {name} holds {beyond[0]}, beyond the range of int32")
    return column.astype(np.int32)


def float_column(values: AnyArray, name: str, path: Path) -> FloatArray:
    """A column as float64; as `integer_column`."""
    column = _flat(values)
    if column.ndim == 1 and column.dtype.kind in "fiuSU":
        with contextlib.suppress(ValueError):
            return column.astype(np.float64)
    raise _wrong(values, name, path, "a number per row")


def bool_column(values: AnyArray, name: str, path: Path) -> BoolArray:
    """A column as bool: logical, a number that is 0 or not, or the words true and false."""
    if values.dtype.kind in "SU":
        text = np.char.lower(text_column(values, name, path))
        if np.isin(text, ["true", "false"]).all():
            return np.asarray(text == "true")
    elif values.ndim == 1 and values.dtype.kind in "biu":
        return np.asarray(values > 0)
    raise _wrong(values, name, path, "true or false")


def text_column(values: AnyArray, name: str, path: Path) -> AnyArray:
    """A column as text without trailing blanks; as `integer_column`."""
    column = _flat(values)
    if column.ndim != 1:
        raise _wrong(values, name, path, "one text per row")
    return np.char.strip(column.astype(str))


def _flat(values: AnyArray) -> AnyArray:
    """A column of shape (nrows, 1) as (nrows,); others as they are."""
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _wrong(values: AnyArray, name: str, path: Path, expected: str) -> FileError:
    """The error of a column that holds something else than expected."""
    first = shown(values[:1].tolist()[0]) if len(values) else "nothing"
    return FileError(
        f"{path}: column {name} holds {first} of type {values.dtype}, but {expected} was expected"
    )


def unit_text(unit: Any) -> str:
    """A unit in FITS's notation; as astropy writes it where FITS has none."""
    try:
        return str(unit.to_string("fits"))
    except ValueError:
        return str(unit)
