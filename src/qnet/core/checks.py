"""Checks of single values: numbers, words and types."""

from __future__ import annotations

import math
import numbers
from typing import Any, TypeVar

from qnet.core.errors import InputError, shown, type_name

T = TypeVar("T")


def check_number(name: str, value: Any) -> None:
    """Raise InputError unless a value is a number that a float can hold; True is none."""
    try:
        legal = isinstance(value, numbers.Real) and not isinstance(value, bool)
        legal = legal and isinstance(float(value), float)
    except OverflowError:
        legal = False
    if not legal:
        raise InputError(f"{name} must be a number, not {shown(value)}")


def check_finite(
    name: str,
    value: Any,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    most: float = math.inf,
) -> None:
    """Raise InputError unless a value is a finite number, within limits if these are given."""
    check_number(name, value)
    if not (math.isfinite(value) and above < value and least <= value <= most):
        limits = {"above": above, "at least": least, "at most": most}
        words = [f"{word} {limit:g}" for word, limit in limits.items() if math.isfinite(limit)]
        raise InputError(f"{name} must be {' and '.join(['finite', *words])}, not {value!r}")


def check_fraction(name: str, value: Any) -> None:
    """Raise InputError unless a value is a number in 0 .. 1."""
    check_number(name, value)
    if not 0 <= value <= 1:
        raise InputError(f"{name} must be in 0 .. 1, not {value!r}")


def check_whole(name: str, value: Any, least: int | None = None, most: int | None = None) -> None:
    """Raise InputError unless a value is a whole number (True is none), within limits if given."""
    if type(value) is bool or not isinstance(value, numbers.Integral):
        raise InputError(f"{name} must be a whole number, not {shown(value)}")
    if least is not None and int(value) < least:
        raise InputError(f"{name} must be at least {least}, not {shown(value)}")
    if most is not None and int(value) > most:
        raise InputError(f"{name} must be at most {most}, not {shown(value)}")


def check_text(name: str, value: Any) -> None:
    """Raise InputError unless a value is text."""
    if not isinstance(value, str):
        raise InputError(f"{name} must be text, not {shown(value)}")


def check_list(name: str, values: Any, expected: str) -> list[Any]:
    """The items of a value; InputError where it has none."""
    try:
        return list(values)
    except Exception as error:  # the object of another library may raise anything
        raise InputError(f"{name} must be {expected}, not {shown(values)}") from error


def check_type(name: str, value: Any, expected: type[T]) -> T:
    """The value; InputError unless it is an object of a class."""
    if not isinstance(value, expected):
        raise InputError(f"{name} must be a {expected.__name__}, not a {type_name(value)}")
    return value
