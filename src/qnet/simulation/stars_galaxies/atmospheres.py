"""Spectra of normal stars by temperature, and of populations of stars by age.

A compact model: Planck's law times the opacities of `opacities`, whose amplitudes follow the
temperature as the published equivalent widths of the spectral types do.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np

from qnet.core.arrays import Float32Array, FloatArray
from qnet.simulation.frame import HC_OVER_K, STAR_FRAME
from qnet.simulation.stars_galaxies.opacities import opacities

#: Temperatures [K] at which `AMPLITUDES` are given.
TEMPERATURES = (
    3000, 3500, 4000, 4500, 5000, 5500, 6000, 6500, 7000, 8000, 9000, 10000, 12000, 15000, 20000,
    30000, 45000,
)  # fmt: skip

#: Amplitude of each species at `TEMPERATURES`, for a dwarf of solar metallicity. They give, within
#: about a quarter, the equivalent widths of the library of Jacoby, Hunter & Christian (1984, ApJS
#: 56, 257) and of Gray & Corbally (2009, Stellar Spectral Classification): Hbeta 1 A at K0, 3 at
#: G0, 6 at F2, 12 at A2, 6 at B5, 3 at B0; Balmer jumps of 0.5 dex at A0, 0.1 at G0 and B0; TiO
#: from K5 on.
AMPLITUDES: Mapping[str, tuple[float, ...]] = {
    "H_WIDE": (0, 0, 0, 0, 0, 0, .05, .12, .32, .85, 1.2, 1.15, .85, .6, .38, .22, .12),
    "H_NARROW": (0, .1, .3, .5, .7, 1., 1.2, 1.3, 1.2, .8, .5, .4, .4, .4, .3, .3, .3),
    "BALMER_EDGE": (0, 0, 0, 0, 0, .08, .2, .35, .55, .95, 1.15, 1.15, .95, .7, .45, .18, .05),
    "HE_I": (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, .02, .12, .3, .45, .35, .15),
    "HE_II": (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, .02, .25, .5),
    "CA_HK": (14, 14, 14, 13, 12, 10, 7., 4.5, 2.6, .9, .4, .2, .1, .05, .03, .02, .01),
    "CA_IRT": (1., 1.4, 1.9, 1.9, 1.8, 1.7, 1.5, 1.3, 1.0, .6, .3, .15, .05, 0, 0, 0, 0),
    "CA_I": (12, 9, 5, 2.4, 1.2, .8, .55, .4, .3, .12, .05, 0, 0, 0, 0, 0, 0),
    "NA_D": (16, 12, 7, 3., 1.6, 1.0, .7, .5, .35, .2, .1, .1, .1, .1, .1, .1, .1),
    "NA_K_RED": (2., 1.4, .7, .3, .2, .12, .08, .05, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "MG_B": (4, 5, 5, 3.6, 2.4, 1.6, 1.1, .8, .55, .3, .15, .1, 0, 0, 0, 0, 0),
    "MGH": (.2, .35, .45, .35, .22, .1, .03, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "G_BAND": (.4, .5, .6, .62, .55, .45, .32, .18, .06, 0, 0, 0, 0, 0, 0, 0, 0),
    "CN": (.1, .2, .35, .5, .4, .25, .12, .04, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "NEUTRAL": (1.4, 1.35, 1.1, .85, .58, .36, .23, .15, .1, .05, .03, .02, 0, 0, 0, 0, 0),
    "IONISED": (.2, .2, .25, .3, .33, .36, .38, .38, .36, .3, .22, .15, .1, .08, .08, .06, .05),
    "UV": (.8, .8, .8, .8, .8, .7, .6, .5, .45, .35, .3, .25, .2, .15, .1, .1, .1),
    "TIO": (2.0, 1.1, .32, .05, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "VO": (.35, .06, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "CAH": (.5, .35, .12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "FEH": (.15, .03, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
}  # fmt: skip

#: Species of metals: their amplitude grows as the square root of the abundance, about the curve of
#: growth of lines of middling strength (Gray 2005, ch. 13).
METALS = (
    "CA_HK", "CA_IRT", "CA_I", "NA_D", "NA_K_RED", "MG_B", "MGH", "G_BAND", "CN", "NEUTRAL",
    "IONISED", "UV", "TIO", "VO",
)  # fmt: skip

#: Wavelength at which spectra are 1 [Angstrom].
_NORMAL = 5500.0

#: Ages of the populations, log10 [Gyr].
LOG_AGES: FloatArray = np.round(np.arange(-2.5, 1.21, 0.25), 2)

#: Metallicities of the populations, log10 of the solar one.
METALLICITIES = (-0.8, 0.2)

#: Temperature of the stars that leave the main sequence [K] at ages of log10 [Gyr]: isochrones of
#: solar metallicity (Bressan et al. 2012, MNRAS 427, 127), rounded.
_TURN_OFF = ((-2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.2), (35e3, 25e3, 18e3, 13e3, 9800, 7500,
                                                             6300, 5600))  # fmt: skip

#: Fraction of the light at 5500 A of the turn-off, the main sequence below it, sub-giants, giants
#: (4500 K) and cool giants (3700 K), at ages of log10 [Gyr]. Of the order of the populations of
#: Bruzual & Charlot (2003, MNRAS 344, 1000): red supergiants at 10 Myr, few giants near 0.3 Gyr,
#: half of the light from giants after 3 Gyr.
_FRACTIONS = (
    (-2.5, (0.90, 0.08, 0.02, 0.00, 0.00)),
    (-2.0, (0.72, 0.10, 0.06, 0.04, 0.08)),
    (-1.0, (0.72, 0.14, 0.04, 0.06, 0.04)),
    (-0.3, (0.68, 0.17, 0.05, 0.08, 0.02)),
    (0.2, (0.45, 0.15, 0.12, 0.22, 0.06)),
    (0.7, (0.30, 0.14, 0.15, 0.34, 0.07)),
    (1.2, (0.24, 0.13, 0.15, 0.40, 0.08)),
)


def planck(wave: FloatArray, temperature: FloatArray) -> Float32Array:
    """Planck's law per unit wavelength, 1 at 5500 A, for temperatures [K] from 1000."""
    exponent = np.outer(1.0 / temperature, HC_OVER_K / wave).astype(np.float32)
    level = np.expm1(HC_OVER_K / _NORMAL / temperature).astype(np.float32)
    power = ((wave / _NORMAL) ** -5).astype(np.float32)
    return np.asarray(level[:, None] * power / np.expm1(exponent), dtype=np.float32)


def amplitudes(temperature: FloatArray, metallicity: FloatArray) -> dict[str, FloatArray]:
    """Amplitudes of species in stars of effective temperatures [K] and log10 metallicities."""
    nodes = np.log(TEMPERATURES)
    scale = 10 ** (0.5 * metallicity)
    found = {}
    for name, values in AMPLITUDES.items():
        amplitude = np.interp(np.log(temperature), nodes, values)
        found[name] = amplitude * scale if name in METALS else amplitude
    return found


def absorb(flux: Float32Array, amplitude: Mapping[str, FloatArray]) -> Float32Array:
    """Spectra on `STAR_FRAME` absorbed by species of some amplitudes, shape (nspec,) each."""
    shapes = opacities()
    names = [name for name, values in amplitude.items() if np.any(values)]
    if not names:
        return flux
    weights = np.stack([amplitude[name] for name in names], axis=1).astype(np.float32)
    depth = weights @ np.stack([shapes[name] for name in names])
    np.exp(-depth, out=depth)
    return np.asarray(flux * depth, dtype=np.float32)


def star_spectra(temperature: FloatArray, metallicity: FloatArray) -> Float32Array:
    """Spectra of normal stars on `STAR_FRAME`, relative to the continuum at 5500 A."""
    return absorb(planck(STAR_FRAME.wave, temperature), amplitudes(temperature, metallicity))


@functools.cache
def populations() -> Float32Array:
    """Populations of `METALLICITIES` and `LOG_AGES` on `STAR_FRAME`, 1 near 5500 A, read-only."""
    spectra = np.stack([_population_sequence(metals) for metals in METALLICITIES])
    spectra.flags.writeable = False
    return spectra


def _population_sequence(metallicity: float) -> Float32Array:
    """Populations of all ages at one metallicity, shape (nages, npix)."""
    # Metal-poor stars of one age are hotter: about 4 % in temperature per dex on the main sequence
    # and the giant branch (Bressan et al. 2012).
    warmer = 1.0 - 0.04 * metallicity
    turn_off = warmer * np.exp(np.interp(LOG_AGES, _TURN_OFF[0], np.log(_TURN_OFF[1])))
    kinds = (
        turn_off,
        np.clip(0.75 * turn_off, 4300.0, None),
        np.clip(0.5 * (turn_off + 5000.0), 5000.0, 9000.0),
        np.full_like(turn_off, 4500.0 * warmer),
        np.full_like(turn_off, 3700.0 * warmer),
    )
    ages = [age for age, _ in _FRACTIONS]
    fractions = np.array([values for _, values in _FRACTIONS])
    total = np.zeros((len(LOG_AGES), STAR_FRAME.npix), dtype=np.float32)
    for kind, temperature in enumerate(kinds):
        light = np.interp(LOG_AGES, ages, fractions[:, kind])
        stars = star_spectra(temperature, np.full_like(temperature, metallicity))
        level = stars[:, STAR_FRAME.near(_NORMAL)].mean(axis=1)
        total += (light / level).astype(np.float32)[:, None] * stars
    return total
