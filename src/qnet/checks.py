"""Checks of arguments that are one number."""

from __future__ import annotations

import numbers

from qnet.errors import InputError


def check_number(name: str, value: object) -> None:
    """Raise InputError unless a value is a number."""
    if not isinstance(value, numbers.Real):
        raise InputError(f"{name} must be a number, not {value!r}")


def check_whole(name: str, value: object) -> None:
    """Raise InputError unless a value is a whole number."""
    if not isinstance(value, numbers.Integral):
        raise InputError(f"{name} must be a whole number, not {value!r}")
