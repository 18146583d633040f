"""Fits of a calibration: logistic regressions and tables of widths, near a parent's."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import FloatArray, nmad
from qnet.core.errors import InputError
from qnet.model.laws import Logistic, Table, expand, list_monomials, sigmoid


def fit_logistic(
    features: npt.ArrayLike,
    label: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    names: Sequence[str],
    degree: int = 2,
    l2: float = 1.0,
    parent: Logistic | None = None,
) -> Logistic:
    """The law that minimises the weighted cross-entropy plus l2 / 2 times the squared coefficients.

    The constant is not penalised. Features (nspec, nfeatures) are finite, labels 0 or 1, a weight
    is a number of rows. With a parent, the penalty is on the difference from its coefficients.
    """
    from scipy.optimize import minimize

    x, y = np.asarray(features, dtype=np.float64), np.asarray(label, dtype=np.float64)
    w = np.ones(y.shape) if weight is None else np.asarray(weight, dtype=np.float64)
    _check(x, y, w, l2)
    centre = np.average(x, axis=0, weights=w)
    scale = np.sqrt(np.average((x - centre) ** 2, axis=0, weights=w))
    scale[scale == 0] = 1.0
    used = x[w > 0]
    low, high = used.min(axis=0), used.max(axis=0)
    monomials = list_monomials(x.shape[1], degree)
    start = np.zeros(len(monomials))
    if parent is not None:
        for number, name in enumerate(names):
            if name in parent.names:
                at = parent.names.index(name)
                centre[number], scale[number] = parent.centre[at], parent.scale[at]
                low[number] = min(low[number], parent.low[at])
                high[number] = max(high[number], parent.high[at])
        start = _inherit(parent, list(names), monomials)
    design = expand((x - centre) / scale, monomials)
    penalty = np.full(design.shape[1], l2)
    penalty[0] = 0.0

    def cost(b: FloatArray) -> tuple[float, FloatArray]:
        eta = design @ b
        entropy = w @ np.logaddexp(0, np.where(y == 1, -eta, eta))
        gradient = design.T @ (w * (sigmoid(eta) - y)) + penalty * (b - start)
        return float(entropy + 0.5 * penalty @ (b - start) ** 2), gradient

    def hessian(b: FloatArray) -> FloatArray:
        p = sigmoid(design @ b)
        return np.asarray((design * (w * p * (1 - p))[:, None]).T @ design + np.diag(penalty))

    options = {"gtol": 1e-10 * w.sum()}
    found = minimize(cost, start, jac=True, hess=hessian, method="trust-exact", options=options)
    keys = ("centre", "scale", "low", "high", "coefficients")
    values = (tuple(array.tolist()) for array in (centre, scale, low, high, found.x))
    return Logistic(tuple(names), **dict(zip(keys, values, strict=True)), degree=degree)


def _inherit(
    parent: Logistic, names: list[str], monomials: Sequence[tuple[int, ...]]
) -> FloatArray:
    """The parent's coefficients of these monomials; 0 of those that it lacks."""
    known = {
        tuple(sorted(parent.names[factor] for factor in factors)): coefficient
        for factors, coefficient in zip(parent.monomials, parent.coefficients, strict=True)
    }
    keys = (tuple(sorted(names[factor] for factor in factors)) for factors in monomials)
    return np.array([known.get(key, 0.0) for key in keys])


def _check(x: FloatArray, y: FloatArray, w: FloatArray, l2: float) -> None:
    """Raise InputError unless a fit is possible."""
    if x.ndim != 2 or y.shape != x.shape[:1] or w.shape != y.shape:
        raise InputError(
            f"features {x.shape}, label {y.shape} and weight {w.shape} must have the shapes "
            "(nspec, nfeatures), (nspec,) and (nspec,)"
        )
    if not (np.isfinite(x).all() and np.isfinite(w).all() and np.isin(y, (0, 1)).all()):
        raise InputError("features and weight must be finite, and label 0 or 1")
    if (w < 0).any() or not (math.isfinite(l2) and l2 >= 0):
        raise InputError("weight and l2 must not be negative")
    if not (w[y == 1].sum() > 0 and w[y == 0].sum() > 0):
        raise InputError("a fit needs rows of both labels")


#: Bins of a table with fewer rows than this take what is next larger.
LEAST_ROWS = 50

#: Least width in a table: it is positive.
_LEAST_WIDTH = 1e-3


def fit_widths(
    x: FloatArray,
    y: FloatArray,
    values: FloatArray,
    edges: tuple[tuple[float, ...], tuple[float, ...]],
    parent: Table | None = None,
) -> Table | None:
    """Robust widths of values in bins of two quantities, as factors on a parent's.

    A bin of few rows takes the factor of its bin of x, or of all rows, or the parent's width. Its
    middle is where `Table` has its value. None where there are few rows, and no parent.
    """
    if parent is not None:
        values = values / parent(x, y)
    if len(values) < LEAST_ROWS:
        return parent
    overall, rows = nmad(values), []
    for low, high in itertools.pairwise(edges[0]):
        column = (x >= low) & (x < high)
        of_column = nmad(values[column]) if column.sum() >= LEAST_ROWS else overall
        row = []
        for left, right in itertools.pairwise(edges[1]):
            inside = column & (y >= left) & (y < right)
            width = nmad(values[inside]) if inside.sum() >= LEAST_ROWS else of_column
            if parent is not None:
                width *= float(parent((low + high) / 2, (left + right) / 2))
            row.append(max(float(width), _LEAST_WIDTH))
        rows.append(tuple(row))
    return Table(*edges, tuple(rows))
