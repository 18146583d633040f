"""Types of arrays, for annotations; and arguments as arrays of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.errors import InputError, shown, type_name
from qnet.core.guards import foreign_faults

AnyArray = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]
StrArray = npt.NDArray[np.str_]

#: Columns of a table by their names.
Columns = dict[str, AnyArray]


def unmasked(values: Any) -> tuple[AnyArray, BoolArray | None]:
    """An array, Quantity or table column as a plain array, and its mask; None for an empty one."""
    if isinstance(values, (list, tuple)) and not isinstance(next(iter(values), 0), (int, float)):
        _check_parts(values)
    mask = getattr(values, "mask", None)
    bare = getattr(values, "unmasked", values)
    data = np.asarray(bare.data if isinstance(bare, np.ma.MaskedArray) else bare)
    if isinstance(mask, (np.ndarray, np.bool_)) and np.any(mask):
        return data, np.broadcast_to(mask, data.shape)
    return data, None


def _check_parts(values: Sequence[Any]) -> None:
    """Raise where parts have units or masks: an array of a list is without them."""
    for part in values:
        mask = getattr(part, "mask", None)
        is_masked = isinstance(mask, (np.ndarray, np.bool_)) and np.any(mask)
        if is_masked or getattr(part, "unit", None) is not None:
            raise TypeError(
                "a list of parts with units or masks: join them, as with astropy.units.Quantity or "
                "numpy.ma.stack"
            )


def as_array(name: str, values: Any) -> AnyArray:
    """The argument `name` as an array of any type, one-dimensional at least; else InputError."""
    try:
        array = np.asarray(values)
    except Exception as error:  # the object of another library may raise anything
        raise InputError(f"{name} must be an array, not {shown(values)}") from error
    if not array.ndim or array.dtype.kind == "O":
        raise InputError(f"{name} must be an array of one type, not {shown(values)}")
    return array


def as_numbers(
    name: str, values: Any, *, kinds: str = "fiub", ndim: int | None = None, unit: str | None = ""
) -> AnyArray:
    """The argument `name` as an array of numbers, masked ones NaN; InputError where it is none.

    A Quantity is converted to `unit`; None takes numbers in any unit as they are.
    """
    expected = f"an array of numbers{f' [{unit}]' if unit else ''}"
    with foreign_faults(name, values, expected):
        array, mask = unmasked(values)
        own_unit = getattr(values, "unit", None)
        if unit is not None and own_unit is not None:
            array = _converted(array, own_unit, unit)
    if array.size == 0 and array.dtype.kind == "f" and "f" not in kinds:
        array = array.astype(np.int64)  # an empty list
    if array.dtype.kind not in kinds:
        what = "numbers" if "f" in kinds else "integers" if "i" in kinds else "booleans"
        raise InputError(f"{name} must hold {what}, not type {array.dtype} ({type_name(values)})")
    if ndim is not None and array.ndim != ndim:
        raise InputError(f"{name} must be an array of {ndim} dimension(s), not {array.shape}")
    if mask is None:
        return array
    if "f" not in kinds:
        raise InputError(f"{name} holds masked values")
    array = array if array.dtype.kind == "f" else array.astype(np.float64)
    return np.where(mask, array.dtype.type(np.nan), array)


def as_floats(
    name: str, values: Any, *, ndim: int | None = None, unit: str | None = ""
) -> FloatArray:
    """`as_numbers` in float64."""
    return as_numbers(name, values, ndim=ndim, unit=unit).astype(np.float64, copy=False)


def as_alike(**given: Any) -> list[FloatArray]:
    """Arguments in float64, of shapes that broadcast."""
    arrays = [as_floats(name, values) for name, values in given.items()]
    try:
        np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        shapes = " and ".join(f"{n} {a.shape}" for n, a in zip(given, arrays, strict=True))
        raise InputError(f"{shapes} must have the same shape") from None
    return arrays


def as_precision(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """The argument `dtype` as float32 or float64; InputError where it is neither."""
    wrong = InputError(f"dtype must be float32 or float64, not {shown(dtype)}")
    try:
        given = np.dtype(dtype)
    except Exception as error:  # as in `as_numbers`
        raise wrong from error
    if dtype is None or given not in (np.float32, np.float64):
        raise wrong
    return given


def as_items(name: str, values: Any) -> AnyArray:
    """The argument `name`, any iterable or one number, as a one-dimensional array."""
    values = [values] if isinstance(values, (int, np.integer)) else values
    try:
        array = np.asarray(values if isinstance(values, np.ndarray) else list(values))
    except Exception as error:  # the object of another library may raise anything
        raise InputError(f"{name} must be integers, not {shown(values)}") from error
    return array


def of_objects(values: Sequence[Any]) -> AnyArray:
    """Values of any kind, lists too, as an array of objects."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def as_integers(name: str, values: Any) -> list[int]:
    """The argument `name`, any iterable or one number, as integers; InputError where it is none."""
    array = as_items(name, values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise InputError(f"{name} must be integers, not of type {array.dtype}: {shown(values)}")
    return [int(value) for value in array]


def as_rows(rows: npt.ArrayLike, nspec: int) -> IntArray:
    """Indices of some of the spectra, from indices or a boolean mask (nspec,); else InputError."""
    index = as_numbers("rows", rows)
    if index.size == 0:
        index = index.astype(np.int64)
    if index.dtype == bool and index.shape == (nspec,):
        index = np.flatnonzero(index)
    inside = (index >= -nspec) & (index < nspec) if index.dtype.kind in "iu" else None
    if inside is None or index.ndim != 1 or not inside.all():
        raise InputError(
            f"rows must be in 0 .. {nspec - 1}, or {nspec} booleans, not {shown(rows)}"
        )
    return index.astype(np.int64, copy=False)


def _converted(array: AnyArray, unit: Any, expected: str) -> AnyArray:
    """Numbers of a unit in the one that is expected."""
    from astropy.units import Quantity

    return np.asarray(Quantity(array, unit).to_value(expected))


def nmad(values: FloatArray, axis: int | None = None) -> Any:
    """Normalised median absolute deviation, 1.4826 median |x - median(x)|, along an axis."""
    # 1.4826 makes it the standard deviation of a normal distribution (Hoaglin, Mosteller & Tukey
    # 1983, Understanding Robust and Exploratory Data Analysis).
    middle = np.median(values, axis=axis, keepdims=True)
    return 1.4826 * np.median(np.abs(values - middle), axis=axis)


def good_pixels(flux: AnyArray, ivar: AnyArray) -> BoolArray:
    """Pixels with weight: flux and ivar are finite, and ivar is above 0."""
    return np.asarray(np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0))


def noise_of(ivar: AnyArray) -> AnyArray:
    """Standard deviation of the noise, ivar**-0.5; 0 in pixels without weight."""
    with np.errstate(invalid="ignore"):
        return np.divide(1, np.sqrt(ivar), out=np.zeros_like(ivar), where=ivar > 0)


def match_ids(ids: IntArray, wanted: IntArray) -> IntArray:
    """Row of the first of some ids that equals each wanted one; -1 where none does."""
    known, first = np.unique(ids, return_index=True)
    if not len(known):
        return np.full(len(wanted), -1)
    at = np.searchsorted(known, wanted).clip(max=len(known) - 1)
    return np.where(known[at] == wanted, first[at], -1)


def take_rows(values: AnyArray, rows: IntArray, empty: Any) -> AnyArray:
    """Some rows of an array; `empty` where the row is -1."""
    absent = (rows < 0).reshape(-1, *[1] * (values.ndim - 1))
    return np.where(absent, np.asarray(empty, values.dtype), values[np.maximum(rows, 0)])
