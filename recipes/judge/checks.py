"""What must be reached: a limit, the number that was measured of each model, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from judge.catalogue import Number


def at_most(what: str, limit: float, found: Mapping[str, Number]) -> dict[str, Any]:
    """A check that a number is at most a limit, of each model."""
    return {
        "what": what,
        "limit": limit,
        "found": {label: dict(number) for label, number in found.items()},
        "verdict": {label: verdict(number, limit) for label, number in found.items()},
    }


def at_least(what: str, limit: float, found: Mapping[str, Number]) -> dict[str, Any]:
    """A check that a number is at least a limit, of each model."""
    turned = {label: _turned(number) for label, number in found.items()}
    check = at_most(what, -limit, turned)
    return {**check, "limit": limit, "least": True, "found": dict(found)}


def within(what: str, limit: float, found: Mapping[str, Number]) -> dict[str, Any]:
    """A check that a number of either sign is at most a limit in size, of each model."""
    return at_most(
        f"size of {what}", limit, {label: size(number) for label, number in found.items()}
    )


def size(number: Number) -> Number:
    """A number without its sign."""
    low, high = number.get("low", np.nan), number.get("high", np.nan)
    ends = sorted((abs(low), abs(high)))
    if low < 0 < high:
        ends[0] = 0.0
    return {**number, "value": abs(number["value"]), "low": ends[0], "high": ends[1]}


def largest(numbers: Mapping[str, Number]) -> Number:
    """The number of largest size, and the bin that it is of; those that are NaN do not count."""
    known = {key: number for key, number in numbers.items() if np.isfinite(number["value"])}
    if not known:
        return {"value": np.nan, "n": 0}
    key = max(known, key=lambda key: abs(known[key]["value"]))
    return {**known[key], "where": key}


def verdict(number: Number, limit: float) -> str:
    """Whether a number is at most a limit, and whether its interval is, too."""
    value, low, high = (number.get(key, np.nan) for key in ("value", "low", "high"))
    if not np.isfinite(value):
        return "not measured"
    if value <= limit:
        return "met, not surely" if high > limit else "met"
    return "missed, not surely" if low <= limit else "missed"


def _turned(number: Number) -> Number:
    """A number with its sign changed."""
    return {
        **number,
        "value": -number["value"],
        "low": -number.get("high", np.nan),
        "high": -number.get("low", np.nan),
    }
