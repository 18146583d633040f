"""Logistic regression: a calibrated probability from a few features."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import FloatArray
from qnet.core.errors import InputError
from qnet.model.plain import as_floats

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
        raise InputError(f"degree must be 1 or 2, not {degree!r}")
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
