"""Redshift bins: the classes of a softmax over redshifts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import as_names, check_fields
from qnet.core.arrays import AnyArray, FloatArray, IntArray, as_floats
from qnet.core.errors import InputError

__all__ = ["RedshiftBins"]

#: The class of quasars.
QUASAR_CLASS = "QSO"

#: Largest number of bins that a file may define.
_MAX_BINS = 10_000


@dataclasses.dataclass(frozen=True)
class RedshiftBins:
    """Classes of spectra: quasars in equal bins of log10(1 + z), then other kinds of object.

    Parameters
    ----------
    z_min, z_max : float
        Lower end of the first and upper end of the last bin.
    nbins : int
        Number of bins.
    others : tuple of str
        Classes other than quasars: names of the columns of Y in `qnet.io.read_data`.

    Raises
    ------
    InputError
        The redshifts do not increase or are not above -1, or a number or name is not legal.

    Examples
    --------
    >>> from qnet.core.bins import RedshiftBins
    >>> bins = RedshiftBins(z_min=0.0, z_max=9.0, nbins=100)
    >>> bins.noutputs
    102
    >>> bins.bin_of([0.0, 1.0, 20.0])
    array([ 0, 30, 99])
    >>> bins.z_at([0.5, 99.5]).round(4)
    array([0.0116, 8.8855])
    """

    z_min: float
    z_max: float
    nbins: int
    others: tuple[str, ...] = ("STAR", "GALAXY")

    def __post_init__(self) -> None:
        check_fields(self)
        if not -1 < self.z_min < self.z_max < math.inf:
            raise InputError(
                f"z_min and z_max must be above -1 and increase, not {self.z_min!r} and "
                f"{self.z_max!r}"
            )
        if not 2 <= self.nbins <= _MAX_BINS:
            raise InputError(f"nbins must be an integer in 2 .. {_MAX_BINS}, not {self.nbins!r}")
        object.__setattr__(self, "others", as_names("others", self.others, "names of classes"))
        if not all(name.isprintable() for name in self.others):
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
        """Bin of each redshift (finite, above -1); beyond an end, the bin at this end."""
        with np.errstate(invalid="ignore", divide="ignore"):
            log = np.log10(1 + as_floats("z", z))
        if np.isnan(log).any():
            raise InputError("z must be redshifts above -1, without NaN")
        position = (log - math.log10(1 + self.z_min)) / self.step
        return np.clip(np.floor(position), 0, self.nbins - 1).astype(np.int64)

    def z_at(self, position: npt.ArrayLike) -> FloatArray:
        """Redshift at a fractional bin; an integer is the lower end of this bin."""
        with np.errstate(over="ignore"):
            log = math.log10(1 + self.z_min) + self.step * as_floats("position", position)
            return np.asarray(10**log - 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain values of the bins, for JSON; the inverse of `from_dict`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RedshiftBins:
        """Bins of the plain values of `to_dict`; InputError where they are not those of bins."""
        try:
            plain = dict(values) if isinstance(values, Mapping) else {}
            if not isinstance(plain["others"], (list, tuple)):
                raise InputError(f"others must be a list, not {plain['others']!r}")
            return cls(**plain)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"not the bins of a redshift head: {error!r}") from error


def softmax(scores: AnyArray) -> AnyArray:
    """exp(score) divided by its sum along the last axis, without overflow; NaN for a row of NaN."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True, initial=-np.inf))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
