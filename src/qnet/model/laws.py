"""Laws of a calibration: logistic regressions, tables and thresholds, as plain values."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_fields
from qnet.core.arrays import BoolArray, FloatArray, IntArray
from qnet.core.checks import check_finite, check_fraction, check_whole
from qnet.core.errors import InputError, shown
from qnet.model.plain import finite_floats

#: More features than this are an error of a file.
MAX_FEATURES = 100


@dataclasses.dataclass(frozen=True)
class Logistic:
    """A logistic regression on all monomials up to a degree, 1 or 2, of scaled features.

    p = 1 / (1 + exp(-eta)), eta the sum of coefficients times monomials of (x - centre) / scale, in
    the order of `monomials`. Features are clipped to low .. high, the range of the data of the fit.
    """

    names: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    coefficients: tuple[float, ...]
    degree: int = 2

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("centre", "scale", "low", "high", "coefficients"):
            object.__setattr__(self, name, finite_floats(getattr(self, name), name))
        object.__setattr__(self, "names", tuple(self.names))
        nfeatures = len(self.names)
        if nfeatures > MAX_FEATURES:
            raise InputError(f"there are {nfeatures} features, above {MAX_FEATURES}")
        if not nfeatures or not all(isinstance(name, str) for name in self.names):
            raise InputError(f"names must be those of one feature or more, not {shown(self.names)}")
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
        return list_monomials(len(self.names), self.degree)

    def probability(self, features: npt.ArrayLike) -> FloatArray:
        """Probabilities (nspec,) from features (nspec, nfeatures); a row with NaN gives NaN."""
        x = np.asarray(features, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != len(self.names):
            raise InputError(
                f"features have shape {x.shape}, but (nspec, {len(self.names)}) was expected: "
                f"{', '.join(self.names)}"
            )
        scaled = (np.clip(x, self.low, self.high) - self.centre) / np.array(self.scale)
        eta = expand(scaled, self.monomials) @ np.array(self.coefficients)
        return sigmoid(eta)


def list_monomials(nfeatures: int, degree: int) -> list[tuple[int, ...]]:
    """Features of each monomial: (), (0,), (1,), ..., (0, 0), (0, 1), ..."""
    if type(degree) is not int or degree not in (1, 2):
        raise InputError(f"degree must be 1 or 2, not {shown(degree)}")
    return [
        factors
        for size in range(degree + 1)
        for factors in itertools.combinations_with_replacement(range(nfeatures), size)
    ]


def expand(x: FloatArray, monomials: Sequence[tuple[int, ...]]) -> FloatArray:
    """Monomials of scaled features: (nspec, nmonomials)."""
    return np.stack([np.prod(x[:, list(factors)], axis=1) for factors in monomials], axis=1)


def sigmoid(eta: FloatArray) -> FloatArray:
    """1 / (1 + exp(-eta)), without overflow."""
    small = np.exp(-np.abs(eta))
    return np.asarray(np.where(eta >= 0, 1.0, small) / (1 + small))


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of positive numbers over bins of x and y.

    ``values[i][j]`` is the number of bin i of x and j of y, whose edges increase; it is
    interpolated bilinearly between the middles of the bins, and constant beyond the outer ones.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        for name in ("x", "y"):
            edges = finite_floats(getattr(self, name), name)
            object.__setattr__(self, name, edges)
            if len(edges) < 2 or any(b <= a for a, b in itertools.pairwise(edges)):
                raise InputError(f"{name} must be two edges or more that increase, not {edges}")
        object.__setattr__(
            self, "values", tuple(finite_floats(row, "values") for row in self.values)
        )
        shape = (len(self.x) - 1, len(self.y) - 1)
        if len(self.values) != shape[0] or any(len(row) != shape[1] for row in self.values):
            raise InputError(f"values must have the shape {shape} of the bins")
        if not all(value > 0 for row in self.values for value in row):
            raise InputError("values of a table must be positive")

    def __call__(self, x: npt.ArrayLike, y: npt.ArrayLike) -> FloatArray:
        """The numbers at x and y, of shapes that broadcast; NaN gives NaN."""
        values = np.array(self.values)
        xs, ys = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
        (i, next_i, fx), (j, next_j, fy) = _position(xs, self.x), _position(ys, self.y)
        first = values[i, j] * (1 - fy) + values[i, next_j] * fy
        second = values[next_i, j] * (1 - fy) + values[next_i, next_j] * fy
        return np.asarray(first * (1 - fx) + second * fx)


@dataclasses.dataclass(frozen=True)
class Evidence:
    """Limits within which no line of the model could decide (NO_EVIDENCE), if all three hold.

    ``log_odds`` limits |ln| of the odds of P_QSO over those of the mix, ``confidence`` the largest
    confidence of the lines with data at their own redshifts, ``lines`` the number of lines with
    data at ZBEST: at most so many.
    """

    log_odds: float
    confidence: float
    lines: int

    def __post_init__(self) -> None:
        check_fields(self)
        check_finite("log_odds of evidence", self.log_odds, least=0)
        check_fraction("confidence of evidence", self.confidence)
        check_whole("lines of evidence", self.lines, least=0)

    def is_lacking(
        self, p_qso: FloatArray, prior: float, confidence: FloatArray, lines: IntArray
    ) -> BoolArray:
        """Rows (nspec,) of which nothing is known; false for NaN."""
        with np.errstate(divide="ignore", invalid="ignore"):
            change = np.log(p_qso / (1 - p_qso)) - math.log(prior / (1 - prior))
            weak = (np.abs(change) < self.log_odds) & (confidence < self.confidence)
        return np.asarray(weak & (lines <= self.lines))


def _position(
    values: FloatArray, edges: tuple[float, ...]
) -> tuple[IntArray, IntArray, FloatArray]:
    """Bins whose middles are on either side of each value, and its distance from the first."""
    middle = (np.array(edges[1:]) + np.array(edges[:-1])) / 2
    last = len(middle) - 1
    # Clipped at the ends; NaN keeps its NaN in the fraction.
    position = np.interp(values, middle, np.arange(last + 1.0))
    first = np.clip(np.nan_to_num(position, nan=0.0), 0, max(last - 1, 0)).astype(np.int64)
    return first, np.minimum(first + 1, last), np.asarray(position - first)
