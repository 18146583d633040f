"""Density of quasars by redshift and r magnitude: of a sample, or of the sky."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import AnyArray, FloatArray, as_floats
from qnet.core.bins import RedshiftBins
from qnet.core.errors import InputError, shown

#: Largest numbers of bins and of cells that a file may define.
_MAX_BINS, _MAX_CELLS = 5_000, 200_000

#: Of a sample: quasars per bin of redshift (on average), largest number of bins, width of the bins
#: of magnitude, and quasars of the mean redshift distribution that are added to each of these.
_PER_BIN, _MOST_BINS, _R_STEP, _PSEUDO = 200, 30, 0.5, 30.0

#: Magnitudes of the one bin of a density that does not depend on magnitude.
ANY_MAGNITUDE = (0.0, 40.0)


@dataclasses.dataclass(frozen=True)
class QuasarDensity:
    """Quasars in bins of redshift and of apparent r magnitude (AB).

    Between the centres of the bins the density per log10(1 + z) and magnitude is linear; it is
    constant up to the outer edges, and magnitudes beyond them are those of the outer bins.

    Parameters
    ----------
    z, r : tuple of float
        Edges of the bins, increasing.
    values : tuple of tuple of float
        Quasars in bin i of redshift and j of magnitude, in any unit.

    Raises
    ------
    InputError
        Edges do not increase, or the numbers are not those of their bins.
    """

    z: tuple[float, ...]
    r: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        for name in ("z", "r"):
            edges = as_floats(name, getattr(self, name), ndim=1)
            if len(edges) < 2 or not np.isfinite(edges).all() or not (edges[1:] > edges[:-1]).all():
                raise InputError(
                    f"{name} must be two edges or more that increase, not {shown(edges.tolist())}"
                )
            if len(edges) > _MAX_BINS:
                raise InputError(f"{name} has {len(edges) - 1} bins, above {_MAX_BINS}")
            object.__setattr__(self, name, tuple(edges.tolist()))
        if not self.z[0] > -1:
            raise InputError(f"z must be redshifts above -1, not {self.z[0]!r}")
        values = as_floats("values", self.values)
        shape = (len(self.z) - 1, len(self.r) - 1)
        if values.shape != shape or values.size > _MAX_CELLS:
            raise InputError(f"values must have the shape {shape} of the bins, not {values.shape}")
        if not (np.isfinite(values).all() and (values >= 0).all() and values.sum() > 0):
            raise InputError("values must be finite and at least 0, and not all 0")
        object.__setattr__(self, "values", tuple(map(tuple, values.tolist())))

    @classmethod
    def of_sample(
        cls, z: npt.ArrayLike, kind: AnyArray, rmag: npt.ArrayLike | None = None
    ) -> QuasarDensity | None:
        """Density of the quasars (kind 'QSO') of a sample; None where there are under two.

        Independent of magnitude where `rmag` is None, or NaN for all of them.
        """
        quasar = np.char.strip(np.asarray(kind).astype(str)) == "QSO"
        redshift = as_floats("z", z)
        quasar &= np.isfinite(redshift) & (redshift > -1)
        x = np.log10(1 + redshift[quasar])
        if len(x) < 2 or not x.min() < x.max():
            return None
        edges = np.linspace(x.min(), x.max(), int(np.clip(len(x) // _PER_BIN, 4, _MOST_BINS)) + 1)
        profile = np.histogram(x, edges)[0] + 0.5
        values, r = profile[:, None], np.array(ANY_MAGNITUDE)
        magnitude = np.full(len(x), np.nan) if rmag is None else as_floats("rmag", rmag)[quasar]
        if (known := np.isfinite(magnitude)).any():
            ends = np.percentile(magnitude[known], [0.1, 99.9]) / _R_STEP
            r = _R_STEP * np.arange(math.floor(ends[0]), math.floor(ends[1]) + 2)
            inside = np.clip(magnitude[known], r[0], r[-1])
            values = np.histogram2d(x[known], inside, [edges, r])[0]
            values += _PSEUDO * profile[:, None] / profile.sum()
        z_edges = 10**edges - 1
        rounded = [[float(f"{value:.4g}") for value in row] for row in values / values.sum()]
        return cls(tuple(z_edges.tolist()), tuple(r.tolist()), rounded)  # type: ignore[arg-type]

    def fractions(self, bins: RedshiftBins, rmag: npt.ArrayLike | None = None) -> FloatArray:
        """Fraction of the quasars of magnitudes (n,) in each redshift bin: (n, nbins).

        Of all magnitudes together, (nbins,), where `rmag` is None, and where there is no quasar of
        a magnitude. Redshifts beyond an end are in the bin there, as in `RedshiftBins.bin_of`.
        """
        values = np.array(self.values)
        whole = self._in_bins(bins, values.sum(axis=1))
        if rmag is None:
            return np.asarray(_normalised(whole[None], whole)[0])
        r = np.array(self.r)
        per_magnitude = values / np.diff(r)
        middle = (r[1:] + r[:-1]) / 2
        position = np.interp(as_floats("rmag", rmag, ndim=1), middle, np.arange(len(middle)))
        first = np.minimum(position.astype(np.int64), max(len(middle) - 2, 0))
        following = np.minimum(first + 1, len(middle) - 1)
        part = position - first
        by_z = np.stack([self._in_bins(bins, column) for column in per_magnitude.T])
        density = by_z[first] * (1 - part)[:, None] + by_z[following] * part[:, None]
        return _normalised(density, whole)

    def _in_bins(self, bins: RedshiftBins, values: FloatArray) -> FloatArray:
        """Quasars (nz,) in the redshift bins."""
        edges = np.log10(1 + np.array(self.z))
        x = np.log10(1 + bins.z_at(np.arange(bins.nbins) + 0.5))
        density = np.interp(x, (edges[1:] + edges[:-1]) / 2, values / np.diff(edges))
        found = np.where((x >= edges[0]) & (x <= edges[-1]), density * bins.step, 0.0)
        below = np.concatenate([[0.0], np.cumsum(values)])
        low, high = np.interp(np.log10([1 + bins.z_min, 1 + bins.z_max]), edges, below)
        found[0] += low
        found[-1] += below[-1] - high
        return np.asarray(found)


def _normalised(density: FloatArray, whole: FloatArray) -> FloatArray:
    """Rows (n, nbins) of sum 1; `whole` in place of rows of 0."""
    rows = np.where(density.sum(axis=1, keepdims=True) > 0, density, whole)
    total = rows.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(rows, total, out=np.zeros_like(rows), where=total > 0))
