"""Types of arrays, for annotations; and arguments as arrays of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.errors import InputError, reason, shown, type_name

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
    mask = getattr(values, "mask", None)
    bare = getattr(values, "unmasked", values)
    data = np.asarray(bare.data if isinstance(bare, np.ma.MaskedArray) else bare)
    if isinstance(mask, (np.ndarray, np.bool_)) and np.any(mask):
        return data, np.broadcast_to(mask, data.shape)
    return data, None


def as_numbers(
    name: str, values: Any, *, kinds: str = "fiub", ndim: int | None = None, unit: str | None = ""
) -> AnyArray:
    """The argument `name` as an array of numbers, masked ones NaN; InputError where it is none.

    A Quantity is converted to `unit`; None takes numbers in any unit as they are.
    """
    try:
        array, mask = unmasked(values)
        own_unit = getattr(values, "unit", None)
        if unit is not None and own_unit is not None:
            array = _converted(array, own_unit, unit)
    except Exception as error:  # the object of another library may raise anything
        raise InputError(
            f"{name} must be an array of numbers{f' [{unit}]' if unit else ''}, but a "
            f"{type_name(values)} was given that is none ({reason(error)})"
        ) from error
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
