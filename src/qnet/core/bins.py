"""Redshifts as classes: the bins of a softmax over redshifts, and the candidates that it names."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import FloatArray, IntArray
from qnet.core.errors import InputError

__all__ = ["RedshiftBins"]

#: More bins than this are an error of a file, not a network.
_MAX_BINS = 10_000


@dataclasses.dataclass(frozen=True)
class RedshiftBins:
    """Classes of spectra: quasars in equal bins of log10(1 + z), then other kinds.

    Attributes
    ----------
    z_min, z_max : float
        Ends of the first and the last bin.
    nbins : int
        Number of bins.
    others : tuple of str
        Classes that are no quasars, by the names of ``qnet.objective.CLASSES``.
    """

    z_min: float
    z_max: float
    nbins: int
    others: tuple[str, ...] = ("STAR", "GALAXY")

    def __post_init__(self) -> None:
        if not -1 < self.z_min < self.z_max < math.inf:
            raise InputError(
                f"z_min and z_max must be above -1 and increase, not {self.z_min!r} and "
                f"{self.z_max!r}"
            )
        if type(self.nbins) is not int or not 2 <= self.nbins <= _MAX_BINS:
            raise InputError(f"nbins must be an integer in 2 .. {_MAX_BINS}, not {self.nbins!r}")
        object.__setattr__(self, "others", tuple(self.others))
        if not all(type(name) is str and name.isprintable() for name in self.others):
            raise InputError(f"others must be names of classes, not {self.others}")
        if not self.others or len(set(self.others)) < len(self.others):
            raise InputError(f"others must be one class or more that differ, not {self.others}")

    @property
    def noutputs(self) -> int:
        """Number of classes: bins and others."""
        return self.nbins + len(self.others)

    @property
    def step(self) -> float:
        """Width of a bin in log10(1 + z)."""
        return (math.log10(1 + self.z_max) - math.log10(1 + self.z_min)) / self.nbins

    def bin_of(self, z: npt.ArrayLike) -> IntArray:
        """Bin of each redshift; those beyond an end belong to the bin at this end.

        Parameters
        ----------
        z : array_like of float
            Finite, above -1. `z_at` of bin + 1/2 is its inverse, to half a bin.

        Returns
        -------
        ndarray of int64
        """
        place = (np.log10(1 + np.asarray(z, np.float64)) - math.log10(1 + self.z_min)) / self.step
        return np.clip(np.floor(place), 0, self.nbins - 1).astype(np.int64)

    def z_at(self, place: npt.ArrayLike) -> FloatArray:
        """Redshift at a fractional bin: the integer is the bin's lower end."""
        log = math.log10(1 + self.z_min) + self.step * np.asarray(place, np.float64)
        return np.asarray(10**log - 1)

    def to_dict(self) -> dict[str, Any]:
        """The bins as plain values, for JSON; `from_dict` is the inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RedshiftBins:
        """Bins from the plain values of `to_dict`.

        Raises
        ------
        InputError
            A key is missing, unknown or of the wrong kind, or a value is not legal.
        """
        try:
            plain = dict(values)
            if not isinstance(plain["others"], (list, tuple)):
                raise InputError(f"others must be a list, not {plain['others']!r}")
            return cls(**plain)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"not the bins of a redshift head: {error!r}") from error


def softmax(scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """exp(score) over its sum along the last axis, without overflow; NaN gives a row of NaN."""
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True, initial=-np.inf))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))
