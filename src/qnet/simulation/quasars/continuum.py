"""Continuum of quasars: power laws with two breaks, and reddening by dust."""

from __future__ import annotations

import functools

import numpy as np
from numpy.random import Generator

from qnet.core.arrays import Float32Array, FloatArray
from qnet.simulation.frame import QUASAR_FRAME, see_at

#: Power of wavelength of f_lambda from 1000 to 5000 Angstrom, and its scatter between quasars.
#: Mean: Vanden Berk et al. 2001, AJ 122, 549, sect. 4.1 (-1.56); scatter: Richards et al. 2003,
#: AJ 126, 1131, fig. 3 (photometric spectral index, 0.25).
BLUE_SLOPE, BLUE_SCATTER = -1.85, 0.22

#: The same beyond 5000 Angstrom for the nucleus alone, flatter than below by the break of Vanden
#: Berk et al. 2001; most of their +0.45 there is host light, which is added apart. Glikman et al.
#: 2006, ApJ 640, 579: -1.22 between 5700 and 10850 Angstrom in luminous quasars.
RED_SLOPE, RED_SCATTER = -1.1, 0.3

#: The same short of 1000 Angstrom (Lusso et al. 2015, MNRAS 449, 4204: -1.70 of frequency, error
#: 0.61, short of 912 Angstrom).
FAR_SLOPE, FAR_SCATTER = -0.30, 0.4

#: Breaks [Angstrom] and the width of the turn [e-folds of wavelength]. Vanden Berk et al. 2001,
#: fig. 3; Lusso et al. 2015, fig. 6.
RED_BREAK, FAR_BREAK, TURN = 5000.0, 1000.0, 0.05

#: Wavelength [Angstrom] at which the continuum is 1.
PIVOT = 5100.0

#: Extinction of SMC-like dust in quasars: A(lambda)/E(B-V) = 1.39 * (lambda/micron)**-1.2
#: (Richards et al. 2003, AJ 126, 1131; Prevot et al. 1984, A&A 132, 389).
DUST_FACTOR, DUST_POWER = 1.39, -1.2


@functools.lru_cache(maxsize=1)
def _shapes() -> Float32Array:
    """Natural logs: wavelength over pivot, its excess past each break, and extinction."""
    wave = QUASAR_FRAME.wave
    log_wave = np.log(wave)
    beyond = TURN * np.logaddexp(0, (log_wave - np.log(RED_BREAK)) / TURN)
    short = TURN * np.logaddexp(0, (np.log(FAR_BREAK) - log_wave) / TURN)
    # The turns are smooth: take off what they are at the pivot, so that the continuum is 1 there.
    at_pivot = TURN * np.logaddexp(0, np.log(PIVOT / RED_BREAK) / TURN)
    dust = -0.4 * np.log(10) * extinction(wave)
    shapes = np.stack([log_wave - np.log(PIVOT), beyond - at_pivot, short, dust])
    return np.asarray(shapes, dtype=np.float32)


def extinction(wave: FloatArray) -> FloatArray:
    """Extinction of SMC-like dust, A(lambda) / E(B-V) [mag] at wavelengths [Angstrom]."""
    return np.asarray(DUST_FACTOR * (wave / 1e4) ** DUST_POWER, dtype=np.float64)


def draw_slopes(rng: Generator, nspec: int) -> FloatArray:
    """Slopes of f_lambda between the breaks, beyond and short of them, shape (3, nspec)."""
    blue, red, far = rng.standard_normal((3, nspec))
    slope = BLUE_SLOPE + BLUE_SCATTER * blue
    # The red slope follows the blue one in half of its scatter: a blue quasar is blue throughout.
    beyond = RED_SLOPE + RED_SCATTER * (0.5 * blue + np.sqrt(0.75) * red)
    return np.stack([slope, beyond, FAR_SLOPE + FAR_SCATTER * far])


def power_law(z: FloatArray, slopes: FloatArray) -> Float32Array:
    """Continua on `FRAME` of slopes as `draw_slopes` has them, 1 at the rest wavelength `PIVOT`."""
    blue, red, far = np.asarray(slopes, dtype=np.float32)[:, :, None]
    log_flux = see_at(_shapes(), 0, z) * blue
    log_flux += see_at(_shapes(), 1, z) * (red - blue)
    log_flux += see_at(_shapes(), 2, z) * (blue - far)
    return np.asarray(np.exp(log_flux, out=log_flux), dtype=np.float32)


def dimming(z: FloatArray, ebv: FloatArray) -> Float32Array:
    """Fraction of light on the frame that dust of `ebv` [mag] in the quasar lets through."""
    exponent = see_at(_shapes(), 3, z) * np.asarray(ebv, dtype=np.float32)[:, None]
    return np.asarray(np.exp(exponent, out=exponent), dtype=np.float32)


def tilt(z: FloatArray, slope: FloatArray) -> Float32Array:
    """Power laws of wavelength without breaks on the frame, 1 at the rest wavelength `PIVOT`."""
    return power_law(z, np.stack([slope, slope, slope]))
