"""Redshift distributions of quasars: held as components, given on a grid in ln(1 + z)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from qnet.core.arrays import AnyArray, Columns, Float32Array, FloatArray
from qnet.core.bins import QUASAR_CLASS, RedshiftBins
from qnet.core.columns import BY_NAME, NAN, Column, known_column
from qnet.core.luminosity import SPEED_OF_LIGHT

#: P_Z is the probability that ZBEST is within this of the truth [km/s].
P_Z_VELOCITY = 3000.0

#: Step of the grid in ln(1 + z): 30 km/s, about the smallest ZERR.
STEP = 1e-4

#: The grid goes beyond the redshift bins by this velocity [km/s], as refined redshifts may.
_MARGIN = 6000.0

#: Least ln p, and 1 over the step to which ln p is rounded, so that files compress.
FLOOR, _ROUNDING = -20.0, 1024.0

#: Scale of Student's t with 8 degrees of freedom whose quartiles are those of a Gaussian of width
#: 1: tails beyond 3 and 5 ZERR of 1.4 % and 0.08 %, as those of the pulls (Gaussian: 0.3 and 0 %).
_T_SCALE = 0.954845

#: No component has a part of 1e-12 beyond so many ZERR.
_REACH = 100.0

#: Largest number of spectra whose distributions are computed together.
BLOCK = 64

#: The column of ln p.
LN_PZ = Column("LN_PZ", "f4", "ln of the probability density of ln(1+z), if a quasar", NAN, ".2f")

#: Header cards of distributions, and their comments.
CARDS: Mapping[str, str] = {
    "PZSTART": "ln(1+z) at the centre of the first pixel of LN_PZ",
    "PZSTEP": "step of ln(1+z) from pixel to pixel",
    "PZCLASS": "classes whose probabilities are the columns P_...",
}

#: The arrays of distributions, as columns.
PARTS = ("PZ_Z", "PZ_ERR", "PZ_WEIGHT", "PZ_BINS", "PZ_OTHERS")


@dataclasses.dataclass(frozen=True, eq=False)
class RedshiftDistributions:
    """Distributions of the redshifts of spectra if they are quasars, and other classes.

    The sum of the weights of the components and of the bins is 1; all are NaN in rows that were not
    classified.
    """

    bins: RedshiftBins
    z: FloatArray  # (nspec, ncomponents): redshifts; NaN where there is no component
    zerr: FloatArray  # and their errors
    weight: FloatArray  # and their probabilities; 0 where there is no component
    coarse: Float32Array  # (nspec, nbins): probabilities of redshift bins beside the components
    others: Float32Array  # (nspec, nothers): probabilities of the classes that are no quasars

    def __len__(self) -> int:
        return len(self.z)

    @classmethod
    def take(cls, columns: Columns, bins: RedshiftBins) -> Self:
        """The distributions of columns, which lose them."""
        z, zerr, weight, coarse, others = (columns.pop(name) for name in PARTS)
        return cls(bins, z, zerr, weight, coarse.astype(np.float32), others.astype(np.float32))

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self | None:
        """The distributions of several inputs, one after the other; None of none."""
        if not parts:
            return None
        names = [field.name for field in dataclasses.fields(cls) if field.name != "bins"]
        arrays = {name: np.concatenate([getattr(x, name) for x in parts]) for name in names}
        return cls(parts[0].bins, **arrays)

    @property
    def columns(self) -> Columns:
        """Columns of a table: probabilities of the classes that are no quasars, and LN_PZ."""
        blocks = range(0, len(self), BLOCK)
        ln_p = [self.ln_p(slice(start, start + BLOCK)) for start in blocks]
        whole = np.concatenate(ln_p) if ln_p else np.zeros((0, self.grid[1]), np.float32)
        return {**self.classes, LN_PZ.name: whole}

    @property
    def grid(self) -> tuple[float, int]:
        """ln(1 + z) at the centre of the first pixel, a multiple of STEP; the number of pixels."""
        first, last = (
            (math.log(1 + z) + sign * _MARGIN / SPEED_OF_LIGHT) / STEP
            for z, sign in ((self.bins.z_min, -1), (self.bins.z_max, 1))
        )
        return round(math.floor(first) * STEP, 10), math.ceil(last) - math.floor(first) + 1

    @property
    def meta(self) -> dict[str, str | float]:
        """Values of the CARDS."""
        classes = ", ".join((QUASAR_CLASS, *self.bins.others))
        return dict(zip(CARDS, (self.grid[0], STEP, classes), strict=True))

    @property
    def classes(self) -> Columns:
        """Probabilities of the classes that are no quasars, by the names of their columns."""
        return dict(zip(map(class_column, self.bins.others), self.others.T, strict=True))

    def ln_p(self, rows: slice) -> Float32Array:
        """Logarithm of the density of ln(1 + z) in each pixel of the grid, shape (nrows, npix)."""
        # The mean over the pixel, so that the sum times STEP is 1 however narrow a peak is.
        start, npix = self.grid
        edges = np.asarray(start + STEP * (np.arange(npix + 1) - 0.5), dtype=np.float64)
        below = fraction_below(self.bins, self.coarse[rows], edges)
        z, zerr, weight = self.z[rows], self.zerr[rows], self.weight[rows]
        for row, rank in np.argwhere(weight > 0):
            part = weight[row, rank], z[row, rank], zerr[row, rank]
            reach = _REACH * part[2] / (1 + part[1])
            first, last = np.searchsorted(edges, math.log(1 + part[1]) + np.array([-reach, reach]))
            below[row, first:last] += part[0] * component_cdf(edges[first:last], *part[1:])
            below[row, last:] += part[0]
        mass = np.diff(below, axis=1)
        mass /= mass.sum(axis=1, keepdims=True)
        ln_p = np.log(np.maximum(mass / STEP, math.exp(FLOOR)))
        return np.asarray(np.round(ln_p * _ROUNDING) / _ROUNDING, dtype=np.float32)


def class_column(name: str) -> str:
    """Name of the column of the probability of a class."""
    return f"P_{name}"


def describe_column(name: str) -> Column:
    """The column of a name: LN_PZ, one of the catalogue, or a probability of a class."""
    if name == LN_PZ.name:
        return LN_PZ
    if name in BY_NAME or not name.startswith("P_"):
        return known_column(name)
    return Column(name, "f4", f"probability of the class {name[2:]}", NAN, ".4f")


def fraction_below(bins: RedshiftBins, coarse: AnyArray, x: FloatArray) -> FloatArray:
    """Sums of probabilities (nrows, nbins) below ln(1 + z) of shape (n,) or (nrows, n)."""
    ends = np.log1p(bins.z_at(np.arange(bins.nbins + 1)))
    total = np.pad(np.cumsum(coarse, axis=1, dtype=np.float64), ((0, 0), (1, 0)))
    every = np.broadcast_to(x, (len(coarse), x.shape[-1]))
    rows = [np.interp(at, ends, values) for at, values in zip(every, total, strict=True)]
    return np.array(rows).reshape(every.shape)


def component_cdf(x: FloatArray, z: AnyArray, zerr: AnyArray) -> FloatArray:
    """Fraction of a component (redshift and error) below ln(1 + z); arguments that broadcast."""
    t = (x - np.log(1 + z)) * (1 + z) / (_T_SCALE * zerr)
    # Student's t of 8 degrees of freedom (Abramowitz & Stegun 1964, 26.7.4).
    c = 8 / (8 + t * t)
    terms = 1 + c * (0.5 + c * (0.375 + c * 0.3125))
    return np.asarray(0.5 + 0.5 * np.sign(t) * np.sqrt(1 - c) * terms)
