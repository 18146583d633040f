"""Positions on the sky: which rows of one id are at one position."""

from __future__ import annotations

from collections.abc import Container

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import BoolArray, FloatArray, IntArray

#: Linking length [arcsec]: rows of one id that are linked by steps of it at most are one object.
LINKING = 2.0

#: Columns of a position [degree]: names of a catalogue, of tables, and of older or single frames.
POSITIONS = (
    ("TARGET_RA", "TARGET_DEC"),
    ("RA_TARGET", "DEC_TARGET"),
    ("RA", "DEC"),
    ("MEAN_FIBER_RA", "MEAN_FIBER_DEC"),
    ("FIBER_RA", "FIBER_DEC"),
)


def position_names(names: Container[str]) -> tuple[str, ...]:
    """The names of the columns of a position among some, best first; () where there are none."""
    return next((pair for pair in POSITIONS if all(name in names for name in pair)), ())


def split_by_position(numbers: IntArray, ra: npt.ArrayLike, dec: npt.ArrayLike) -> IntArray:
    """Numbers of groups, with new ones for what is at other positions than the group's first row.

    Rows that are linked by steps of at most `LINKING`, in any order, are at one position. Rows
    without any stay with the group where all others are at one, else among themselves.
    """
    unit = _unit_vectors(ra, dec)
    split, new = numbers.copy(), int(numbers.max(initial=-1)) + 1
    for rows in _spread_groups(numbers, unit):
        linked = _link(unit[rows])
        split[rows] = np.where(linked == linked[0], numbers[rows], new + linked)
        new += len(rows) + 1
    return split


def are_apart(
    one: tuple[FloatArray, FloatArray], other: tuple[FloatArray, FloatArray]
) -> BoolArray:
    """Rows whose two positions (ra, dec) are known, and further apart than `LINKING`."""
    distance = np.linalg.norm(_unit_vectors(*one) - _unit_vectors(*other), axis=1)
    return np.asarray(distance > _chord(LINKING))


def _unit_vectors(ra: npt.ArrayLike, dec: npt.ArrayLike) -> FloatArray:
    """Unit vectors (n, 3) of positions [degree]; NaN where there is none."""
    lon, lat = (np.radians(np.asarray(angle, dtype=np.float64)) for angle in (ra, dec))
    with np.errstate(invalid="ignore"):
        return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def _chord(arcsec: float) -> float:
    """Length of the chord of an angle on the unit sphere."""
    return float(2 * np.sin(np.radians(arcsec / 3600) / 2))


def _spread_groups(numbers: IntArray, unit: FloatArray) -> list[IntArray]:
    """Rows of the groups whose positions may be further apart than `LINKING`."""
    known = np.flatnonzero(np.isfinite(unit).all(axis=1))
    if not len(known):
        return []
    order = known[np.argsort(numbers[known], kind="stable")]
    groups, starts = np.unique(numbers[order], return_index=True)
    extent = np.maximum.reduceat(unit[order], starts) - np.minimum.reduceat(unit[order], starts)
    wide = groups[np.linalg.norm(extent, axis=1) > _chord(LINKING)]
    return [np.flatnonzero(numbers == group) for group in wide]


def _link(unit: FloatArray) -> IntArray:
    """First row of those linked with each row; a last number for those without a position."""
    linked = np.full(len(unit), -1)
    for first in range(len(unit)):
        if linked[first] >= 0 or np.isnan(unit[first]).any():
            continue
        todo = [first]
        linked[first] = first
        while todo:
            near: BoolArray = np.linalg.norm(unit - unit[todo.pop()], axis=1) <= _chord(LINKING)
            found = np.flatnonzero(near & (linked < 0))
            linked[found] = first
            todo += found.tolist()
    unknown = linked < 0
    several = len(np.unique(linked[~unknown])) > 1
    linked[unknown] = len(linked) if several else linked.max()
    return linked
