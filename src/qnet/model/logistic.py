"""Logistic regression: a calibrated probability from a few features."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import FloatArray
from qnet.core.errors import InputError

#: Newton steps after which a fit is given up.
_MAX_STEPS = 100

#: The fit ends when a step would lower the cost by a smaller share than this.
_TOLERANCE = 1e-12

#: More features than this are an error of a file.
MAX_FEATURES = 100


@dataclasses.dataclass(frozen=True)
class Logistic:
    """A logistic regression on all monomials up to a degree of scaled features.

    p = 1 / (1 + exp(-eta)), eta the sum of coefficients times monomials of (x - centre) / scale.

    Attributes
    ----------
    names : tuple of str
        The features, in order.
    centre, scale : tuple of float
        Of each feature; scale is positive.
    low, high : tuple of float
        Features are clipped to this range, that of the data of the fit: nothing is extrapolated.
    coefficients : tuple of float
        Of the monomials in the order of ``monomials``: the constant, the features, their products.
    degree : int
        Highest degree of a monomial: 1 or 2.
    """

    names: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    coefficients: tuple[float, ...]
    degree: int = 2

    def __post_init__(self) -> None:
        for name in ("centre", "scale", "low", "high", "coefficients"):
            object.__setattr__(self, name, as_floats(getattr(self, name), name))
        object.__setattr__(self, "names", tuple(self.names))
        nfeatures = len(self.names)
        if nfeatures > MAX_FEATURES:
            raise InputError(f"there are {nfeatures} features, above {MAX_FEATURES}")
        if not nfeatures or not all(isinstance(name, str) for name in self.names):
            raise InputError(f"names must be those of one feature or more, not {self.names!r}")
        for name in ("centre", "scale", "low", "high"):
            if len(getattr(self, name)) != nfeatures:
                raise InputError(
                    f"{name} has {len(getattr(self, name))} values for {nfeatures} features"
                )
        if not all(value > 0 for value in self.scale):
            raise InputError(f"scale must be positive, not {self.scale}")
        if any(low > high for low, high in zip(self.low, self.high, strict=True)):
            raise InputError(f"low {self.low} must not be above high {self.high}")
        expected = len(self.monomials)
        if len(self.coefficients) != expected:
            raise InputError(
                f"{nfeatures} features of degree {self.degree} need {expected} coefficients, not "
                f"{len(self.coefficients)}"
            )

    @property
    def monomials(self) -> list[tuple[int, ...]]:
        """The features that each monomial multiplies; () is the constant."""
        return _monomials(len(self.names), self.degree)

    def probability(self, features: npt.ArrayLike) -> FloatArray:
        """Probabilities of some rows.

        Parameters
        ----------
        features : array_like, shape (nspec, nfeatures)
            A row with NaN gives NaN.

        Returns
        -------
        ndarray of float64, shape (nspec,)

        Raises
        ------
        InputError
            The shape is another one.
        """
        x = np.asarray(features, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != len(self.names):
            raise InputError(
                f"features have shape {x.shape}, but (nspec, {len(self.names)}) was expected: "
                f"{', '.join(self.names)}"
            )
        scaled = (np.clip(x, self.low, self.high) - self.centre) / np.array(self.scale)
        eta = _expand(scaled, self.monomials) @ np.array(self.coefficients)
        return _logistic(eta)

    @classmethod
    def fit(
        cls,
        features: npt.ArrayLike,
        label: npt.ArrayLike,
        weight: npt.ArrayLike | None = None,
        *,
        names: Sequence[str],
        degree: int = 2,
        l2: float = 1.0,
    ) -> Logistic:
        """Fit by maximum likelihood with a penalty, by Newton's method.

        Minimises the weighted cross-entropy, summed over rows, plus l2 / 2 times the sum of the
        squared coefficients, the constant's left out.

        Parameters
        ----------
        features : array_like, shape (nspec, nfeatures)
            Finite.
        label : array_like, shape (nspec,)
            1 or true where the row is of the class, else 0.
        weight : array_like, shape (nspec,), optional
            Of each row: how many rows it stands for. 1 when None.
        names : sequence of str
            Of the features.
        degree : int
            1 or 2.
        l2 : float
            Strength of the penalty, not negative.

        Returns
        -------
        Logistic

        Raises
        ------
        InputError
            Shapes disagree, a value is not finite, a weight or l2 is negative, a class is missing,
            or the fit does not converge.
        """
        x, y, w = _check_fit(features, label, weight, l2)
        centre = np.average(x, axis=0, weights=w)
        scale = np.sqrt(np.average((x - centre) ** 2, axis=0, weights=w))
        scale[scale == 0] = 1.0
        used = x[w > 0]
        monomials = _monomials(x.shape[1], degree)
        design = _expand((x - centre) / scale, monomials)
        coefficients = _newton(design, y, w, l2)
        return cls(
            tuple(names),
            tuple(centre.tolist()),
            tuple(scale.tolist()),
            tuple(used.min(axis=0).tolist()),
            tuple(used.max(axis=0).tolist()),
            tuple(coefficients.tolist()),
            degree,
        )


def as_floats(values: Iterable[float], name: str) -> tuple[float, ...]:
    """Finite floats.

    Raises
    ------
    InputError
        A value is no number, or not finite; the message calls them `name`.
    """
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must hold numbers, not {values!r}") from error
    if not all(map(math.isfinite, numbers)):
        raise InputError(f"{name} must be finite, not {numbers}")
    return numbers


def _monomials(nfeatures: int, degree: int) -> list[tuple[int, ...]]:
    """Features of each monomial: (), (0,), (1,), ..., (0, 0), (0, 1), ..."""
    if type(degree) is not int or degree not in (1, 2):
        raise InputError(f"degree must be 1 or 2, not {degree!r}")
    return [
        factors
        for size in range(degree + 1)
        for factors in itertools.combinations_with_replacement(range(nfeatures), size)
    ]


def _expand(x: FloatArray, monomials: Sequence[tuple[int, ...]]) -> FloatArray:
    """Monomials of scaled features: (nspec, nmonomials)."""
    return np.stack([np.prod(x[:, list(factors)], axis=1) for factors in monomials], axis=1)


def _logistic(eta: FloatArray) -> FloatArray:
    """1 / (1 + exp(-eta)), without overflow."""
    small = np.exp(-np.abs(eta))
    return np.asarray(np.where(eta >= 0, 1.0, small) / (1 + small))


def _check_fit(
    features: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None, l2: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Features, labels and weights of a fit as float64."""
    x, y = np.asarray(features, dtype=np.float64), np.asarray(label, dtype=np.float64)
    w = np.ones(y.shape) if weight is None else np.asarray(weight, dtype=np.float64)
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
    return x, y, w


def _newton(design: FloatArray, y: FloatArray, w: FloatArray, l2: float) -> FloatArray:
    """Coefficients of the smallest penalised cross-entropy; steps are halved while it grows."""
    penalty = np.full(design.shape[1], l2)
    penalty[0] = 0.0

    def cost(coefficients: FloatArray) -> float:
        eta = design @ coefficients
        entropy = np.logaddexp(0, np.where(y == 1, -eta, eta))
        return float(w @ entropy + 0.5 * penalty @ coefficients**2)

    coefficients = np.zeros(design.shape[1])
    value = cost(coefficients)
    for _ in range(_MAX_STEPS):
        p = _logistic(design @ coefficients)
        gradient = design.T @ (w * (p - y)) + penalty * coefficients
        hessian = (design * (w * p * (1 - p))[:, None]).T @ design + np.diag(penalty)
        # Features that never vary give a singular matrix: the shortest step is taken.
        step = np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        # Twice what the step gains: below this the cost is flat within its rounding.
        if gradient @ step <= _TOLERANCE * max(value, 1.0):
            return np.asarray(coefficients - step)
        trial = cost(coefficients - step)
        while trial > value:
            step = step / 2
            trial = cost(coefficients - step)
        coefficients, value = coefficients - step, trial
    raise InputError(f"the logistic regression did not converge in {_MAX_STEPS} Newton steps")
