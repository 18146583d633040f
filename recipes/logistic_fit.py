"""Fit of a logistic regression by maximum likelihood with a penalty, for the calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from qnet.core.errors import InputError
from qnet.model.laws import Logistic, expand, list_monomials, sigmoid


def fit_logistic(
    features: npt.ArrayLike,
    label: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    names: Sequence[str],
    degree: int = 2,
    l2: float = 1.0,
) -> Logistic:
    """The law that minimises the weighted cross-entropy plus l2 / 2 times the squared coefficients.

    The constant is not penalised. Features (nspec, nfeatures) are finite, labels 0 or 1, a weight
    is a number of rows.
    """
    x, y = np.asarray(features, dtype=np.float64), np.asarray(label, dtype=np.float64)
    w = np.ones(y.shape) if weight is None else np.asarray(weight, dtype=np.float64)
    _check(x, y, w, l2)
    centre = np.average(x, axis=0, weights=w)
    scale = np.sqrt(np.average((x - centre) ** 2, axis=0, weights=w))
    scale[scale == 0] = 1.0
    design = expand((x - centre) / scale, list_monomials(x.shape[1], degree))
    penalty = np.full(design.shape[1], l2)
    penalty[0] = 0.0

    def cost(b: np.ndarray) -> tuple[float, np.ndarray]:
        eta = design @ b
        entropy = w @ np.logaddexp(0, np.where(y == 1, -eta, eta))
        gradient = design.T @ (w * (sigmoid(eta) - y)) + penalty * b
        return float(entropy + 0.5 * penalty @ b**2), gradient

    def hessian(b: np.ndarray) -> np.ndarray:
        p = sigmoid(design @ b)
        return (design * (w * p * (1 - p))[:, None]).T @ design + np.diag(penalty)

    start = np.zeros(design.shape[1])
    options = {"gtol": 1e-10 * w.sum()}
    found = minimize(cost, start, jac=True, hess=hessian, method="trust-exact", options=options)
    used = x[w > 0]
    return Logistic(
        tuple(names),
        tuple(centre.tolist()),
        tuple(scale.tolist()),
        tuple(used.min(axis=0).tolist()),
        tuple(used.max(axis=0).tolist()),
        tuple(found.x.tolist()),
        degree,
    )


def _check(x: np.ndarray, y: np.ndarray, w: np.ndarray, l2: float) -> None:
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
