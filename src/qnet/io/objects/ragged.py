"""Columns that hold a list in each row, of any length, as rectangular arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray, FloatArray
from qnet.core.errors import first_few, warn
from qnet.core.guards import foreign_faults
from qnet.core.wavelengths import nominal_wave, wave_beyond


def is_ragged(column: Any) -> bool:
    """Whether a column holds a list in each row, or nothing."""
    if isinstance(column, np.ndarray) and column.dtype.kind == "O" and column.ndim == 1:
        return not len(column) or any(map(_is_list, column)) or all(x is None for x in column)
    return isinstance(column, (list, tuple)) and any(map(_is_list, column))


def _is_list(value: Any) -> bool:
    """Whether a cell holds a list of numbers."""
    return isinstance(value, (list, tuple, np.ndarray))


def rectangular(columns: Mapping[str, Any], *, log: bool) -> dict[str, AnyArray]:
    """Columns of pixels as arrays (nspec, npix); wavelengths as (npix,) where rows begin the same.

    The first is that of wavelengths, which are their logarithms where `log`. Shorter rows are
    filled up with pixels without weight. Rows whose lists are missing or of different lengths have
    no weight, with a warning.
    """
    waves, *names = columns
    nrows = next(len(column) for column in columns.values() if is_ragged(column))
    rows = {name: _rows(name, column, nrows) for name, column in columns.items()}
    rows[waves] = [row.astype(np.float64) for row in rows[waves]]
    if log:
        rows[waves] = [np.power(10.0, row) for row in rows[waves]]
    lengths = np.array([[len(cell) for cell in cells] for cells in rows.values()])
    good = (lengths == lengths[0]).all(axis=0) & (lengths[0] > 0)
    if not good.all():
        few = first_few(np.flatnonzero(~good).tolist())
        warn(
            f"rows {few}: the lists {', '.join(columns)} are missing or of different lengths: "
            "these spectra have no weight"
        )
    npix = int(lengths[0][good].max(initial=1))
    filled: dict[str, AnyArray] = {waves: _waves(rows[waves], good, npix)}
    for name in names:
        single = all(row.dtype == np.float32 for row in rows[name])
        filled[name] = np.zeros((nrows, npix), dtype=np.float32 if single else np.float64)
        for row in np.flatnonzero(good):
            filled[name][row, : lengths[0][row]] = rows[name][row]
    return filled


def _rows(name: str, column: Any, nrows: int) -> list[AnyArray]:
    """The numbers of each row; those of one row for all where the column has no list in each."""
    if is_ragged(column):
        return [_cell(name, cell) for cell in column]
    with foreign_faults(f"column {name}", column, "a list of numbers in each row"):
        array = np.asarray(column, dtype=np.float64)
    return list(np.broadcast_to(array, (nrows, array.shape[-1])))


def _waves(rows: list[AnyArray], good: BoolArray, npix: int) -> FloatArray:
    """Wavelengths that increase to the end of each row."""
    first = next((row for row, use in zip(rows, good, strict=True) if use), None)
    if first is None or len(first) != npix:
        first = nominal_wave(npix)
    used = [row for row, use in zip(rows, good, strict=True) if use]
    longest = next((row for row in used if len(row) == npix), first)
    if all(np.array_equal(row, longest[: len(row)]) for row in used):
        return longest
    waves = np.tile(first, (len(rows), 1))
    for row in np.flatnonzero(good):
        wave = rows[row]
        beyond = wave_beyond(wave[-1], np.arange(1, npix - len(wave) + 1))
        waves[row] = np.concatenate([wave, beyond])
    return waves


def _cell(name: str, cell: Any) -> AnyArray:
    """The numbers of a cell, in float32 or float64; none where it holds no list."""
    if not _is_list(cell):
        return np.zeros(0)
    if isinstance(cell, np.ndarray) and cell.dtype == np.float32:
        return cell.ravel()
    with foreign_faults(f"column {name}", cell, "a list of numbers in each row"):
        return np.asarray(cell, dtype=np.float64).ravel()
