"""The columns of a population's table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import AnyArray, BoolArray, Columns, FloatArray
from qnet.core.density import ANY_MAGNITUDE
from qnet.core.errors import QnetError, first_few, shown
from qnet.io.columns import float_column, table_error, text_column

#: The classes, the quasars first.
CLASSES = ("QSO", "STAR", "GALAXY", "SKY")

#: What population files hold.
_EDGES, _R_EDGES = ("Z_LOW", "Z_HIGH"), ("R_LOW", "R_HIGH")
COLUMNS = frozenset((*_EDGES, *_R_EDGES, "DENSITY", "CLASS"))


def read_bins(
    columns: Columns, path: Path | None
) -> tuple[FloatArray, FloatArray, FloatArray, dict[str, float] | None]:
    """Edges in redshift and in magnitude, density, and fractions of classes, of a table."""
    needed = [*_EDGES, "DENSITY", *(_R_EDGES if {*_R_EDGES} & {*columns} else ())]
    if lacking := [column for column in needed if column not in columns]:
        raise wrong_table(
            path, f"lacks the column(s) {', '.join(lacking)} of a population; it has {[*columns]}"
        )
    quasar, fractions = _split_classes(columns, path)
    values = {key: float_column(columns[key][quasar], key, path) for key in needed}
    if "R_LOW" not in values:
        values |= {
            key: np.full(quasar.sum(), edge)
            for key, edge in zip(_R_EDGES, ANY_MAGNITUDE, strict=True)
        }
    (z_edges, row), (r_edges, column) = (_edges(values, pair, path) for pair in (_EDGES, _R_EDGES))
    count = np.zeros((len(z_edges) - 1, len(r_edges) - 1), dtype=int)
    np.add.at(count, (row, column), 1)
    if (count != 1).any():
        i, j = (int(x[0]) for x in np.nonzero(count != 1))
        raise wrong_table(
            path,
            f"has {count[i, j]} rows for z from {z_edges[i]:g} to {z_edges[i + 1]:g} and r from "
            f"{r_edges[j]:g} to {r_edges[j + 1]:g}, but one was expected for each bin",
        )
    density = np.zeros(count.shape)
    density[row, column] = values["DENSITY"]
    return z_edges, r_edges, density, fractions


def _split_classes(
    columns: Columns, path: Path | None
) -> tuple[BoolArray, dict[str, float] | None]:
    """Rows that are bins of quasars, and the fractions of the classes, where rows state them."""
    nrows = len(columns["DENSITY"])
    if "CLASS" not in columns:
        return np.ones(nrows, dtype=bool), None
    kind = np.char.upper(text_column(columns["CLASS"], "CLASS", path))
    if unknown := sorted({*kind.tolist()} - {*CLASSES}):
        raise wrong_table(
            path,
            f"column CLASS holds {first_few(map(shown, unknown))}, but one of "
            f"{', '.join(CLASSES)} was expected",
        )
    density = float_column(columns["DENSITY"], "DENSITY", path)
    total = {name: float(density[kind == name].sum()) for name in CLASSES}
    whole = sum(total.values())
    if not (math.isfinite(whole) and whole > 0):
        raise wrong_table(path, "column DENSITY must be finite and at least 0, and not all 0")
    quasar = np.asarray(kind == "QSO")
    if quasar.all():
        return quasar, None
    return quasar, {name: part / whole for name, part in total.items()}


def _edges(
    values: Mapping[str, AnyArray], names: tuple[str, str], path: Path | None
) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """Edges of bins that follow one another, and the bin of each row."""
    low, high = (values[name] for name in names)
    if not len(low):
        raise wrong_table(path, "holds no bin of quasars")
    pairs = np.unique(np.stack([low, high], axis=1), axis=0)
    if not (np.isfinite(pairs).all() and (pairs[:, 0] < pairs[:, 1]).all()):
        raise wrong_table(path, f"{names[0]} must be below {names[1]}, and both finite")
    gap = np.flatnonzero(pairs[1:, 0] != pairs[:-1, 1])
    if len(gap):
        raise wrong_table(
            path,
            f"the bin from {names[0]} {pairs[gap[0] + 1, 0]:g} does not follow the one that ends "
            f"at {names[1]} {pairs[gap[0], 1]:g}: bins must follow one another",
        )
    return np.append(pairs[:, 0], pairs[-1, 1]), np.searchsorted(pairs[:, 0], low)


def wrong_table(path: Path | None, message: str) -> QnetError:
    """The error of a population's file, or of a table in memory."""
    return table_error(path, f"the population's table: {message}" if path is None else message)
