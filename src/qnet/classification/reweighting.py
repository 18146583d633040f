"""The prior of a population in place of the training sample's: weights of redshifts and classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from qnet.classification.population import Population
from qnet.core.arrays import AnyArray, FloatArray
from qnet.core.bins import RedshiftBins
from qnet.core.density import QuasarDensity
from qnet.core.grid import WavelengthGrid
from qnet.core.luminosity import AB_ZERO_POINT, R_BAND, R_WAVE, SLOPE, SPEED_OF_LIGHT
from qnet.io.units import survey_scale
from qnet.lines import absorber_IGM
from qnet.model.calibration import QUASAR_CLASS

#: Magnitudes of which weights are tabulated: first, last and step.
_R_NODES = (10.0, 28.0, 0.1)

#: The training density of a bin is at least this fraction of an equal one: where there were hardly
#: any quasars, their posterior has no meaning that could be converted.
_LEAST = 0.02

#: Rest wavelength [Angstrom] from which on a quasar's flux is measured where Lyman alpha is in r.
RED_OF_LYA = 1240.0


@dataclasses.dataclass(frozen=True, eq=False)
class Reweighting:
    """What a population's prior is relative to that of a training sample."""

    population: Population
    #: Fraction of each class that is assumed: the population's, or with another one of quasars.
    fractions: Mapping[str, float]
    #: Weights of the redshift bins by the quasar's magnitude, (nr, nbins), and of any, (nbins,).
    by_magnitude: AnyArray
    of_any: AnyArray
    #: Ratios of the fractions to the training sample's: of quasars, of each of the other classes of
    #: the redshift head (nothers,), and of all others together.
    of_quasars: float
    of_others: FloatArray
    of_all_others: float

    def apply(
        self, posterior: AnyArray | None, weights: AnyArray | None, nspec: int
    ) -> tuple[FloatArray, AnyArray | None]:
        """Factor on the odds of being a quasar (nspec,); weights of mean 1 over the posterior."""
        if posterior is None or weights is None:
            return np.full(nspec, self.of_quasars / self.of_all_others), None
        nbins = weights.shape[1]
        quasar, others = (np.asarray(x, np.float64) for x in np.split(posterior, [nbins], axis=1))
        mean = _mean(weights, quasar)
        with np.errstate(invalid="ignore", divide="ignore"):
            odds = self.of_quasars * mean / _mean(self.of_others, others)
        # Where the population has no quasar that the posterior allows, all redshifts are as before.
        relative = np.where(mean > 0, mean, 1.0)[:, None]
        return odds, np.where((mean > 0)[:, None], weights / relative, 1.0)

    def weigh(self, posterior: FloatArray, weights: AnyArray | None) -> FloatArray:
        """A posterior (nspec, noutputs) times weights of `apply` and those of the other classes."""
        nbins = posterior.shape[1] - len(self.of_others)
        quasar = posterior[:, :nbins] if weights is None else posterior[:, :nbins] * weights
        return np.hstack([quasar, posterior[:, nbins:] * self.of_others])


def _mean(weights: AnyArray, parts: FloatArray) -> FloatArray:
    """Means of weights by parts (nspec, n); the plain ones where all parts are 0."""
    total = parts.sum(axis=1)
    plain = np.broadcast_to(np.mean(weights, axis=-1), total.shape).astype(np.float64)
    summed = (parts * weights).sum(axis=1)
    return np.asarray(np.divide(summed, total, out=plain, where=total > 0))


def make_reweighting(
    population: Population,
    density: QuasarDensity,
    mix: Mapping[str, float],
    bins: RedshiftBins | None,
    prior_qso: float | None,
) -> Reweighting:
    """Weights of a population, for a calibration's density and mix and a model's redshift bins."""
    fractions = dict(population.fractions)
    if prior_qso is not None:
        rest = (1 - prior_qso) / (1 - fractions[QUASAR_CLASS])
        fractions = {name: rest * part for name, part in fractions.items()}
        fractions[QUASAR_CLASS] = prior_qso
    every = (1 - fractions[QUASAR_CLASS]) / (1 - mix[QUASAR_CLASS])
    others = bins.others if bins is not None else ()
    by_magnitude, of_any = np.ones((1, 0)), np.ones(0)
    if bins is not None:
        nodes = np.arange(_R_NODES[0], _R_NODES[1] + _R_NODES[2] / 2, _R_NODES[2])
        least = _LEAST / bins.nbins
        quasars = population.quasars
        by_magnitude, of_any = (
            quasars.fractions(bins, r) / np.maximum(density.fractions(bins, r), least)
            for r in (nodes, None)
        )
    return Reweighting(
        population,
        fractions,
        by_magnitude.astype(np.float32),
        of_any.astype(np.float32),
        fractions[QUASAR_CLASS] / mix[QUASAR_CLASS],
        np.array([_class_ratio(name, fractions, mix, every) for name in others]),
        every,
    )


def _class_ratio(
    name: str, fractions: Mapping[str, float], mix: Mapping[str, float], every: float
) -> float:
    """Ratio of a class's fraction to the training sample's; `every` where that had none."""
    # The stars of the redshift head are trained with the sky.
    names = ("STAR", "SKY") if name == "STAR" else (name,)
    trained = sum(mix.get(key, 0.0) for key in names)
    return sum(fractions.get(key, 0.0) for key in names) / trained if trained > 0 else every


class Weights:
    """Weights (nspec, nbins) of the redshift bins of spectra, from their fluxes."""

    def __init__(
        self,
        prior: Reweighting,
        flux_unit: str,
        nspec: int,
        grid: WavelengthGrid,
        bins: RedshiftBins,
    ) -> None:
        self.values = np.tile(prior.of_any, (nspec, 1))
        self._prior, self._scale = prior, survey_scale(flux_unit)
        edges = np.append(grid.wave, grid.wave_at(grid.npix))
        wave = (edges[1:] + edges[:-1]) / 2
        # f_lambda of a quasar relative to that at the wavelength of r.
        self._shape = (wave / R_WAVE) ** (-2 - SLOPE)
        z = bins.z_at(np.arange(bins.nbins) + 0.5)
        in_forest = absorber_IGM["LYA"] * (1 + z) >= R_BAND[0]
        first = np.where(in_forest, RED_OF_LYA * (1 + z), R_BAND[0])
        last = np.where(in_forest, edges[-1], R_BAND[1])
        self._ends = np.searchsorted(wave, first), np.searchsorted(wave, last)

    def __call__(self, block: slice, flux: FloatArray, ivar: FloatArray) -> None:
        """Set the weights of a block of rows, where the unit of the flux is known."""
        if self._scale is None:
            return
        rmag = self._magnitudes(flux * self._scale, ivar / self._scale**2)
        position = (np.clip(rmag, *_R_NODES[:2]) - _R_NODES[0]) / _R_NODES[2]
        known, table = np.isfinite(position), self._prior.by_magnitude
        position = np.where(known, position, 0.0)
        node = np.minimum(position.astype(np.int64), len(table) - 2)
        part, number = position - node, np.arange(node.shape[1])
        found = table[node, number] * (1 - part) + table[node + 1, number] * part
        self.values[block] = np.where(known, found, self._prior.of_any)

    def _magnitudes(self, flux: FloatArray, ivar: FloatArray) -> FloatArray:
        """R magnitudes (nspec, nbins), if quasars at the redshifts of the bins; NaN without any."""
        # Sums of all pixels before one, so that those between two are a difference.
        sums = []
        for values in (flux * ivar * self._shape, ivar * self._shape**2):
            total = np.zeros((len(flux), flux.shape[1] + 1))
            np.cumsum(values, axis=1, out=total[:, 1:])
            first, last = self._ends
            part = total[:, last] - total[:, first]
            sums.append((part, total[:, -1:]))
        (light, all_light), (weight, all_weight) = sums
        # A difference that is rounding of the sums is nothing.
        seen = weight > 1e-9 * all_weight
        light, weight = np.where(seen, light, all_light), np.where(seen, weight, all_weight)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            # At least the error: noise makes nothing bright, or without magnitude.
            level = np.maximum(light, 0.0) / weight + 1 / np.sqrt(weight)
            f_nu = level * 1e-17 * R_WAVE**2 / (SPEED_OF_LIGHT * 1e13)
            return np.asarray(-2.5 * np.log10(f_nu) - AB_ZERO_POINT)
