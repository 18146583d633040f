"""Table columns as checked arrays of integers, floats, booleans or text."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray, FloatArray, Int32Array, IntArray, unmasked
from qnet.core.columns import known_column
from qnet.core.errors import FileError, InputError, QnetError, shown, warn
from qnet.core.guards import foreign_faults

#: Where an object has no id.
NO_ID = -1

#: Text of an integer, and of any other number.
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")

#: From here on numbers are written rounded and with an exponent, by C's %g and by spreadsheets.
_ROUNDED = 10**6


def is_integer_id(name: str) -> bool:
    """Whether a column of this name in a catalogue holds integers that a survey gives."""
    return name == "TARGETID" or known_column(name).dtype == "int"


def id_columns(
    values: Mapping[str, AnyArray], path: Path | None, *, target: str = "TARGETID"
) -> dict[str, AnyArray]:
    """Id columns as their names in a catalogue mean, and TARGETID, which is the column `target`.

    Where one holds no integer it is `missing_value`, with one warning; the text of such a target
    goes into TARGET_NAME. `path` is the file, None for objects in memory.
    """
    ids: dict[str, AnyArray] = {}
    odd, odd_floats = [], []
    for name, column in values.items():
        dtype = known_column(name).dtype
        if dtype == "str":
            lists = _flat(column).ndim != 1
            found = _texts(column) if lists else text_column(column, name, path)
        elif dtype == "f8":
            found, wrong = _floats(column)
            if wrong.any():
                odd_floats.append(name)
        else:
            whole, wrong = _integers(column, name, path)
            found = np.where(wrong, missing_value(name, whole.dtype), whole)
            if wrong.any():
                odd.append(name)
            if name == target and ((names := _texts(column, wrong)) != "").any():
                ids["TARGET_NAME"] = names
            if column.dtype.kind == "i" and name != "TARGETID":
                found = found.astype(column.dtype)
        ids[name] = found
    if odd:
        _warn_missing(odd, path, kept="TARGET_NAME" in ids)
    if odd_floats:
        _warn_missing(odd_floats, path, "numbers")
    return {"TARGETID": ids[target].astype(np.int64)} | ids if target in ids else ids


def id_numbers(values: AnyArray, name: str, path: Path | None) -> IntArray:
    """A column of ids as int64, -1 where there is no integer, with a warning."""
    whole, wrong = _integers(values, name, path)
    if wrong.any():
        _warn_missing([name], path)
    return np.where(wrong, NO_ID, whole)


def _warn_missing(
    names: Sequence[str], path: Path | None, what: str = "integers", *, kept: bool = False
) -> None:
    """Warn of columns that hold values which are no integers; `kept`: as text in TARGET_NAME."""
    where = "" if path is None else f"{path}: "
    text = "; the text of such a target is in TARGET_NAME" if kept else ""
    warn(
        f"{where}{', '.join(names)} hold values that are no {what}: they are taken as missing{text}"
    )


def id_card(value: Any, name: str, path: Path) -> int:
    """An id of a header card, which fits into int32; -1 where there is none."""
    if value is None:
        return NO_ID
    return int(int32_column(id_numbers(np.array([value]), name, path), name, path)[0])


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


def integer_column(values: AnyArray, name: str, path: Path | None) -> IntArray:
    """A column (nrows,) or (nrows, 1) of integers, or of floats or text that are, as int64."""
    whole, wrong = _integers(values, name, path)
    if wrong.any():
        raise _wrong(values[wrong], name, path, "an integer per row")
    return whole


def _integers(values: AnyArray, name: str, path: Path | None) -> tuple[IntArray, BoolArray]:
    """A column as int64, and the rows (nrows,) that hold no integer, where it is 0."""
    column = _flat(values)
    wrong: BoolArray = np.ones(len(column), dtype=bool)
    if column.ndim != 1:
        return np.zeros(len(column), dtype=np.int64), wrong
    if column.dtype.kind in "SUO":
        return _integers_of_text(column, name, path)
    if column.dtype.kind in "ib":
        wrong[:] = False
    elif column.dtype.kind == "u":
        wrong = column > np.iinfo(np.int64).max
    elif column.dtype.kind == "f":
        _check_digits(column, name, path)
        wrong = ~(np.isfinite(column) & (np.floor(column) == column))
    else:
        return np.zeros(len(column), dtype=np.int64), wrong
    if not wrong.any():
        return column.astype(np.int64), wrong
    return np.where(wrong, column.dtype.type(0), column).astype(np.int64), wrong


def _integers_of_text(column: AnyArray, name: str, path: Path | None) -> tuple[IntArray, BoolArray]:
    """`_integers` of text, or of a mixture of objects."""
    whole = np.zeros(len(column), dtype=np.int64)
    wrong: BoolArray = np.ones(len(column), dtype=bool)
    limit = np.iinfo(np.int64).max
    for row, value in enumerate(column.tolist()):
        text = _as_text(value)
        if _INTEGER.fullmatch(text):
            number = int(text)
        elif (match := _NUMBER.fullmatch(text)) and float(text).is_integer():
            kind = value.dtype if isinstance(value, np.floating) else np.float64
            _check_digits(np.array([float(text)], kind), name, path)
            number = int(float(text))
            digits = len(match[1].replace(".", ""))
            if match[2] and abs(number) >= _ROUNDED and digits < len(str(abs(number))):
                raise table_error(
                    path,
                    f"column {name} holds {shown(text)}, which does not state all digits of an "
                    "integer: write them as integers",
                )
        else:
            continue
        if -limit - 1 <= number <= limit:
            whole[row], wrong[row] = number, False
    return whole, wrong


def _check_digits(values: AnyArray, name: str, path: Path | None) -> None:
    """Raise where floats are so large that they may have lost digits of an integer."""
    bits = np.finfo(values.dtype).nmant + 1
    lost = np.isfinite(values) & (np.abs(values) >= 2.0**bits)
    if lost.any():
        raise table_error(
            path,
            f"column {name} holds {values[lost][0]:.17g} as {values.dtype}, in which integers of "
            f"2**{bits} and more lose digits: write them as integers",
        )


def _texts(values: AnyArray, rows: BoolArray | None = None) -> AnyArray:
    """What some rows of a column hold, or all, as text; '' in the others, and for NaN."""
    texts = [""] * len(values)
    for row in range(len(values)) if rows is None else np.flatnonzero(rows).tolist():
        texts[row] = _as_text(values[row])
    return np.array(texts, dtype=str)


def _as_text(value: Any) -> str:
    """A value of a table, or several, as text without outer blanks; '' for None and NaN."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return " ".join(map(_as_text, value))
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return "" if value is None or text.strip().lower() == "nan" else text.strip()


def pixel_column(
    values: AnyArray, name: str, path: Path | None, *, integers: bool = False
) -> AnyArray:
    """A column (npix,) of numbers, or of integers, as it is."""
    if values.ndim != 1 or values.dtype.kind not in ("iu" if integers else "iufb"):
        what = "an integer" if integers else "a number"
        raise _wrong(values, name, path, f"{what} per pixel")
    return values


def int32_column(values: AnyArray, name: str, path: Path | None) -> Int32Array:
    """A column as int32; as `integer_column`."""
    column = integer_column(values, name, path)
    if (beyond := column[column != column.astype(np.int32)]).size:
        raise table_error(path, f"{name} holds {beyond[0]}, beyond the range of int32")
    return column.astype(np.int32)


def float_column(values: AnyArray, name: str, path: Path | None) -> FloatArray:
    """A column as float64; as `integer_column`."""
    column = _flat(values)
    if column.ndim == 1 and column.dtype.kind in "fiuSU":
        try:
            return column.astype(np.float64)
        except ValueError:
            values = values[[not _is_number(value) for value in column.tolist()]]
    raise _wrong(values, name, path, "a number per row")


def _is_number(value: Any) -> bool:
    """Whether a value is a number, or the text of one."""
    try:
        return isinstance(float(value), float)
    except (ValueError, TypeError):
        return False


def _floats(values: AnyArray) -> tuple[FloatArray, BoolArray]:
    """A column as float64, and the rows (nrows,) that hold no number, where it is NaN."""
    column = _flat(values)
    if column.ndim == 1 and column.dtype.kind in "fiu":
        return column.astype(np.float64), np.zeros(len(column), dtype=bool)
    found, wrong = np.full(len(column), np.nan), np.ones(len(column), dtype=bool)
    if column.ndim == 1 and column.dtype.kind in "SUO":
        for row, value in enumerate(column.tolist()):
            with contextlib.suppress(ValueError):
                found[row], wrong[row] = float(_as_text(value)), False
    return found, wrong


def bool_column(values: AnyArray, name: str, path: Path | None) -> BoolArray:
    """A column as bool: logical, a number that is 0 or not, or the words true and false."""
    if values.dtype.kind in "SU":
        text = np.char.lower(text_column(values, name, path))
        known = np.isin(text, ["true", "false"])
        if known.all():
            return np.asarray(text == "true")
        values = values[~known]
    elif values.ndim == 1 and values.dtype.kind in "biu":
        return np.asarray(values > 0)
    elif values.dtype.kind == "O":
        values = values[[not isinstance(value, bool) for value in values.tolist()]]
    raise _wrong(values, name, path, "true or false")


#: Text columns are of fixed width up to this.
_WIDEST = 1000

#: Bytes that text of fixed width may take in a small file, and for each byte of any.
_TEXT, _TEXT_PER_BYTE = 1 << 29, 100


def text_array(values: list[str]) -> AnyArray:
    """Texts as an array; of objects where that of fixed width would be large."""
    width = max(map(len, values), default=0)
    return np.array(values, dtype=str if width <= _WIDEST else object)


def check_width(stream: BinaryIO, path: Path) -> None:
    """Raise FileError where one long line would make the texts of all rows wide."""
    rows = longest = total = 0
    for line in stream:
        total += len(line)
        if not line.startswith(b"#"):
            rows, longest = rows + 1, max(longest, len(line))
    if 4 * rows * longest > max(_TEXT, _TEXT_PER_BYTE * total):
        raise FileError(f"{path}: has a line of {longest} characters among {rows}: is it damaged?")


def text_column(values: AnyArray, name: str, path: Path | None) -> AnyArray:
    """A column as text without trailing blanks; as `integer_column`."""
    column = _flat(values)
    if column.ndim != 1:
        raise _wrong(values, name, path, "one text per row")
    if column.dtype.kind == "O":
        column = np.array([_as_text(value)[:_WIDEST] for value in column.tolist()], dtype=str)
    decode = column.dtype.kind == "S"
    return np.char.strip(
        np.char.decode(column, "utf-8", "replace") if decode else column.astype(str)
    )


def _flat(values: AnyArray) -> AnyArray:
    """A column of shape (nrows, 1) as (nrows,); others as they are."""
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _wrong(values: AnyArray, name: str, path: Path | None, expected: str) -> QnetError:
    """The error of a column that holds something else than expected."""
    first = shown(values[:1].tolist()[0]) if len(values) else "nothing"
    return table_error(
        path, f"column {name} holds {first} of type {values.dtype}, but {expected} was expected"
    )


def table_error(path: Path | None, message: str) -> QnetError:
    """An error of a file, or of an object in memory."""
    return InputError(message) if path is None else FileError(f"{path}: {message}")


def unit_text(unit: Any) -> str:
    """A unit in FITS's notation; as astropy writes it where FITS has none."""
    if isinstance(unit, str):
        return unit
    try:
        return str(unit.to_string("fits"))
    except ValueError:
        return str(unit)
