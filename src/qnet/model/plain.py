"""Plain values of a weights file's JSON header: renamed keys, checked numbers, one error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from qnet.core.checks import check_finite, check_list
from qnet.core.errors import InputError, shown


def renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The values, with some of their keys renamed."""
    return {names.get(key, key): value for key, value in values.items()}


def finite_floats(values: Iterable[float], name: str) -> tuple[float, ...]:
    """Finite floats; InputError, which calls them `name`, for anything else."""
    given = check_list(name, values, "numbers")
    for value in given:
        check_finite(name, value)
    return tuple(map(float, given))


def check_keys(values: Mapping[str, Any], expected: Iterable[str], what: str) -> None:
    """Raise InputError where a key is missing."""
    if missing := sorted(set(expected) - set(values)):
        raise InputError(f"{what} lacks {missing}")


@contextlib.contextmanager
def reading(what: str, values: object) -> Iterator[None]:
    """Turn what Python raises at plain values of the wrong kind into an InputError."""
    if not isinstance(values, Mapping):
        raise InputError(f"not {what}: {shown(values)}")
    try:
        yield
    except InputError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InputError(f"not {what}: {error!r}") from error
