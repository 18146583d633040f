"""Plain values of a weights file's JSON header: renamed keys, checked numbers, one error."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from qnet.core.errors import InputError


def renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The values, with some of their keys renamed."""
    return {names.get(key, key): value for key, value in values.items()}


def as_floats(values: Iterable[float], name: str) -> tuple[float, ...]:
    """Finite floats; InputError, which calls them `name`, for anything else."""
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must hold numbers, not {values!r}") from error
    if not all(map(math.isfinite, numbers)):
        raise InputError(f"{name} must be finite, not {numbers}")
    return numbers


def check_keys(values: Mapping[str, Any], expected: Iterable[str], what: str) -> None:
    """Raise InputError where a key is missing."""
    if missing := sorted(set(expected) - set(values)):
        raise InputError(f"{what} lacks {missing}")


@contextlib.contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn what Python raises at plain values of the wrong kind into an InputError."""
    try:
        yield
    except InputError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InputError(f"not {what}: {error!r}") from error
