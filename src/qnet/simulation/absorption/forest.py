"""Absorption by intergalactic hydrogen: the Lyman series forest and the Lyman limit."""

from __future__ import annotations

import functools

import numpy as np
import scipy.fft
from numpy.random import Generator

from qnet.core.arrays import Float32Array, FloatArray
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.frame import FRAME, LOGLAM_STEP, NPIX, PIXEL_KMS

#: Lyman series from alpha: wavelength [Angstrom] and oscillator strength (Morton 2003, ApJS 149,
#: 205, table 2).
LYMAN_SERIES = (
    (1215.6701, 0.4164), (1025.7223, 0.07912), (972.5368, 0.02900), (949.7431, 0.01394),
    (937.8035, 0.007799), (930.7483, 0.004814), (926.2257, 0.003183), (923.1504, 0.002216),
)  # fmt: skip

#: Redshift at which Lyman alpha is at the first pixel of the frame.
LOWEST_REDSHIFT = float(10**FRAME.start / LYMAN_SERIES[0][0] - 1)

#: Lyman limit of hydrogen [Angstrom].
LYMAN_LIMIT = 911.7535

#: Power of frequency of the photoionisation cross section (Osterbrock & Ferland 2006, eq. 2.4:
#: nearly 3 at threshold).
LIMIT_POWER = 3.0

#: Lyman limit systems of optical depth above 1: number per redshift at z = 3.5, its power of
#: (1+z)/4.5 (Songaila & Cowie 2010, ApJ 721, 1448, abstract) and the power of optical depth of
#: their distribution (Prochaska, O'Meara & Worseck 2010, ApJ 718, 392: about -1.3 to -1.9).
LIMIT_DENSITY, LIMIT_EVOLUTION, LIMIT_TAU_POWER = 2.8, 1.94, -1.5

#: Spectrum of the Gaussian field under the optical depth, (k/k0)**(n - alpha ln(k/k0)) /
#: (1 + (k/k1)**gamma) with k in s/km, and the square of its amplitude, a**2 = 58.6
#: ((1+z)/4)**-2.82; the optical depth goes as exp(2 a field) (Karacayli, Font-Ribera & Padmanabhan
#: 2020, MNRAS 497, 4742, sect. 3; amplitude: McDonald et al. 2006, ApJS 163, 80).
FIELD_K0, FIELD_K1, FIELD_N, FIELD_ALPHA, FIELD_GAMMA = 1e-3, 0.04, 0.5, 0.26, 1.8
FIELD_AMPLITUDE, FIELD_EVOLUTION = 58.6, -2.82

#: Redshift beyond which the amplitude of the field is held: the fit ends there, and the scatter of
#: the forest grows after it (Bosman et al. 2022, MNRAS 514, 55).
FIELD_Z_END = 4.0

#: Velocity behind a quasar [km/s] at which its light doubles the ionisation at log L1700 = 46, and
#: the scatter [dex] (Calverley et al. 2011, MNRAS 412, 2543: some 10 proper Mpc at z = 5 for the
#: most luminous, hence some 3 here; scales with the square root of luminosity, Bajtlik, Duncan &
#: Ostriker 1988, ApJ 327, 570, eq. 8).
PROXIMITY, PROXIMITY_SCATTER = 1200.0, 0.2

#: Scatter [dex] of the optical depth from one sight line to another, beyond the field's: so well is
#: the mean known (an error of it shifted redshifts: Bault et al. 2025, arXiv:2402.18009).
OPACITY_SCATTER = 0.05

_NFFT = 5000


def effective_depth(z: FloatArray) -> FloatArray:
    """Effective optical depth of the Lyman-alpha forest, -ln of its mean transmission."""
    low, middle = np.linspace(0.0, 2.0, 81), np.linspace(2.4, 4.6, 81)
    high, late = np.linspace(5.0, 5.5, 21), np.linspace(5.525, 7.5, 80)
    depths = [
        0.0018 * (1 + low) ** 3.92,  # Faucher-Giguere et al. 2008, ApJ 688, 85
        0.751 * ((1 + middle) / 4.5) ** 2.90 - 0.132,  # Becker et al. 2013, MNRAS 430, 2067, eq. 5
        0.85 * ((1 + high) / 5) ** 4.3,  # Fan et al. 2006, AJ 132, 117, eq. 5, and its (1+z)**10.9
        0.85 * (6.5 / 5) ** 4.3 * ((1 + late) / 6.5) ** 10.9,
    ]
    # In the gaps the log of the depth is linear in redshift.
    nodes, log_depths = np.concatenate([low, middle, high, late]), np.log(np.concatenate(depths))
    return np.asarray(np.exp(np.interp(z, nodes, log_depths)), dtype=np.float64)


@functools.lru_cache(maxsize=1)
def _field() -> tuple[Float32Array, float]:
    """Amplitudes of the field's modes in the pixels of the frame, and its variance."""
    k = 2 * np.pi * np.fft.rfftfreq(_NFFT, PIXEL_KMS)
    # Level below the peak at ln(k/k0) = n/(2 alpha): the fit was made to smaller scales only, and
    # the one-dimensional power of the forest is flat there.
    ratio = np.maximum(k / FIELD_K0, np.exp(FIELD_N / (2 * FIELD_ALPHA)))
    power = ratio ** (FIELD_N - FIELD_ALPHA * np.log(ratio))
    power /= 1 + (k / FIELD_K1) ** FIELD_GAMMA
    # A pixel holds the mean of the field in it.
    power *= np.sinc(k * PIXEL_KMS / (2 * np.pi)) ** 2
    variance = 2 * np.sum(power[1:]) / (_NFFT * PIXEL_KMS)
    amplitude = np.sqrt(power / PIXEL_KMS)
    amplitude[0] = 0.0
    return np.asarray(amplitude, dtype=np.float32), float(variance)


@functools.lru_cache(maxsize=1)
def _local_depth() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Redshift of hydrogen at the pixels of the frame, spread and median of ln tau there."""
    z: FloatArray = FRAME.wave / LYMAN_SERIES[0][0] - 1
    evolution = ((1 + np.minimum(z, FIELD_Z_END)) / 4) ** FIELD_EVOLUTION
    spread = 2 * np.sqrt(FIELD_AMPLITUDE * evolution * _field()[1])
    wanted = np.exp(-effective_depth(z))
    # The median at which the mean of exp(-tau) over the lognormal is that observed.
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    low, high = np.full(NPIX, -15.0), np.full(NPIX, 15.0)
    for _ in range(40):
        middle = 0.5 * (low + high)
        mean = np.exp(-np.exp(middle[:, None] + spread[:, None] * nodes)) @ weights
        low, high = np.where(mean > wanted, middle, low), np.where(mean > wanted, high, middle)
    return z, spread, 0.5 * (low + high)


def forest_depth(rng: Generator, z: FloatArray, log_l1700: FloatArray) -> Float32Array:
    """Optical depth of the Lyman series forest, thinned near quasars by their own light."""
    nspec = len(z)
    hydrogen, spread, median = _local_depth()
    modes = scipy.fft.rfft(rng.standard_normal((nspec, _NFFT), dtype=np.float32), axis=1)
    modes *= _field()[0]
    field = scipy.fft.irfft(modes, n=_NFFT, axis=1)[:, :NPIX]
    scale = spread / np.sqrt(_field()[1])
    tau = field * scale.astype(np.float32)
    tau += median.astype(np.float32)
    np.exp(tau, out=tau)
    tau *= (10 ** (OPACITY_SCATTER * rng.standard_normal((nspec, 1)))).astype(np.float32)
    distance = SPEED_OF_LIGHT * (np.log1p(z)[:, None] - np.log1p(hydrogen))
    behind = np.maximum(distance.astype(np.float32), 0.0)
    dex = 0.5 * (log_l1700 - 46) + PROXIMITY_SCATTER * rng.standard_normal(nspec)
    reach2 = ((PROXIMITY * 10**dex).astype(np.float32) ** 2)[:, None]
    np.square(behind, out=behind)
    tau *= behind / (behind + reach2)
    # The higher lines of the same hydrogen.
    total: Float32Array = tau.copy()
    first_wave, first_strength = LYMAN_SERIES[0]
    for wave, strength in LYMAN_SERIES[1:]:
        shift = int(np.rint(np.log10(first_wave / wave) / LOGLAM_STEP))
        if wave * (1 + z.max(initial=0.0)) > 10**FRAME.start:
            ratio = np.float32(wave * strength / (first_wave * first_strength))
            total[:, :-shift] += ratio * tau[:, shift:]
    return total


def limit_depth(rng: Generator, z: FloatArray) -> Float32Array:
    """Optical depth of Lyman limit systems in the Lyman continuum."""
    tau = np.zeros((len(z), NPIX), dtype=np.float32)
    power = LIMIT_EVOLUTION + 1
    lowest = 10**FRAME.start / LYMAN_LIMIT
    top, bottom = (1 + z) ** power, np.minimum(lowest, 1 + z) ** power
    expected = LIMIT_DENSITY / 4.5**LIMIT_EVOLUTION / power * (top - bottom)
    row = np.repeat(np.arange(len(z)), rng.poisson(expected))
    fraction = rng.random(len(row))
    one_plus_z = (bottom[row] + fraction * (top - bottom)[row]) ** (1 / power)
    # f(tau) ~ tau**-1.5 above 1, cut at 1e4 (a damped system): inverse of its integral.
    depth = np.minimum(rng.random(len(row)) ** (1 / (LIMIT_TAU_POWER + 1)), 1e4)
    edge = FRAME.pixel(LYMAN_LIMIT * one_plus_z)
    per_pixel = LIMIT_POWER * LOGLAM_STEP * np.log(10)
    fall = np.exp(per_pixel * (np.arange(NPIX) - NPIX)).astype(np.float32)
    for i, stop, pixel, strength in zip(row, edge.astype(int) + 1, edge, depth, strict=True):
        scale = strength * np.exp(per_pixel * (NPIX - pixel))
        tau[i, :stop] += np.float32(scale) * fall[:stop]
    return tau
