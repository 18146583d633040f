"""Table columns as checked arrays of integers, floats, booleans or text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray, FloatArray, Int32Array, IntArray
from qnet.core.columns import known_column
from qnet.core.errors import FileError

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
    mask = getattr(values, "mask", None)
    bare = getattr(values, "unmasked", values)
    data = np.asarray(bare.data if isinstance(bare, np.ma.MaskedArray) else bare)
    if not isinstance(mask, (np.ndarray, np.bool_)) or not np.any(mask):
        return data
    if data.dtype.kind == "u":  # cannot hold -1
        data = data.astype(np.int64)
    return np.where(mask, missing_value(name, data.dtype), data)


def integer_column(values: AnyArray, name: str, path: Path) -> IntArray:
    """A column (nrows,) or (nrows, 1) of integers, or of floats or text that are, as int64."""
    column = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if column.ndim == 1:
        try:
            if column.dtype.kind in "SU":
                return np.array([int(text) for text in column.astype(str)], dtype=np.int64)
            if column.dtype.kind in "iub" or np.array_equal(column, np.rint(column)):
                return _checked_int64(column)
        except (ValueError, TypeError, OverflowError):
            pass
    raise FileError(
        f"{path}: column {name} holds {_first(values)} of type {values.dtype}, but an integer per "
        "row was expected"
    )


def integer_card(value: Any, name: str, path: Path) -> int:
    """A header card as an integer that fits into int32; errors as `integer_column`."""
    number = int(integer_column(np.array([value]), name, path)[0])
    limits = np.iinfo(np.int32)
    if not limits.min <= number <= limits.max:
        raise FileError(f"{path}: card {name} holds {number}, beyond the range of int32")
    return number


def float_column(values: AnyArray, name: str, path: Path) -> FloatArray:
    """A column as float64; as `integer_column`."""
    column = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if column.ndim == 1 and column.dtype.kind in "fiuSU":
        try:
            return column.astype(np.float64)
        except ValueError:
            pass
    raise FileError(
        f"{path}: column {name} holds {_first(values)} of type {values.dtype}, but a number per "
        "row was expected"
    )


def bool_column(values: AnyArray, name: str, path: Path) -> BoolArray:
    """A column as bool: logical, a number that is 0 or not, or the words true and false."""
    if values.dtype.kind in "SU":
        text = np.char.lower(text_column(values, name, path))
        if np.isin(text, ["true", "false"]).all():
            return np.asarray(text == "true")
    elif values.ndim == 1 and values.dtype.kind in "biu":
        return np.asarray(values > 0)
    raise FileError(f"{path}: column {name} holds {values.dtype}, but true or false was expected")


def text_column(values: AnyArray, name: str, path: Path) -> AnyArray:
    """A column as text without trailing blanks; as `integer_column`."""
    column = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if column.ndim != 1:
        raise FileError(
            f"{path}: column {name} holds {_first(values)}, but one text per row was expected"
        )
    return np.char.strip(column.astype(str))


def _checked_int64(column: AnyArray) -> IntArray:
    """The column as int64, if nothing is lost."""
    with np.errstate(invalid="ignore"):
        whole = column.astype(np.int64)
    if not np.array_equal(whole.astype(column.dtype), column) or (
        column.dtype.kind == "u" and (whole < 0).any()
    ):
        raise OverflowError("out of the range of int64")
    return whole


def _first(values: AnyArray) -> str:
    """First value of a column, for messages."""
    return repr(values[:1].tolist()[0]) if len(values) else "nothing"


def unit_text(unit: Any) -> str:
    """A unit in FITS's notation; as astropy writes it where FITS has none."""
    try:
        return str(unit.to_string("fits"))
    except ValueError:
        return str(unit)
