"""Counts of quasars on the sky, from a luminosity function."""

from __future__ import annotations

import numpy as np

from qnet.core.arrays import FloatArray
from qnet.core.luminosity import (
    AB_ZERO_POINT,
    CM_PER_MPC,
    R_WAVE,
    SPEED_OF_LIGHT,
    comoving_volume,
    host_ratio,
    log_luminosity,
)

#: PLE + LEDE fit of Palanque-Delabrouille et al. 2016, A&A 587, A41, table 4: M_g(z = 2) at the
#: break and log10 of the density [1/Mpc^3/mag] there at z = 0, slopes of the bright and the faint
#: end, and their evolution below and above the pivot.
PIVOT, BREAK, LOG_DENSITY, BRIGHT, FAINT = 2.2, -22.25, -5.93, -3.89, -1.47
K1, K2 = 1.59, -0.36
C1A, C1B, C2, C3 = -0.46, -0.06, -0.14, 0.32

#: Rest wavelength [Angstrom] of M_g(z = 2): that of g (4670) at z = 2.
WAVE = 4670 / 3

#: log10 of the area [cm^2] of a sphere of 10 pc.
_LOG_AREA = np.log10(4 * np.pi) + 2 * np.log10(1e-5 * CM_PER_MPC)

#: Power of wavelength with which the host's fraction falls below 5100 Angstrom: old stars fall by 4
#: to the 4000-Angstrom break and beyond it, and the nucleus rises.
_HOST_POWER = 4.5


def luminosity_function(magnitude: FloatArray, z: FloatArray) -> FloatArray:
    """Quasars per Mpc^3 and magnitude M_g(z = 2) (Palanque-Delabrouille et al. 2016, eq. 6-10)."""
    low, above = np.minimum(z, PIVOT), np.maximum(z - PIVOT, 0.0)
    at_break = BREAK - 2.5 * (K1 * low + K2 * low**2) + C2 * above
    density = 10 ** (LOG_DENSITY + C1A * above + C1B * above**2)
    difference = 0.4 * (magnitude - at_break)
    bright = BRIGHT + C3 * above
    return np.asarray(
        density / (10 ** ((bright + 1) * difference) + 10 ** ((FAINT + 1) * difference))
    )


def absolute_magnitude(rmag: FloatArray, z: FloatArray) -> FloatArray:
    """M_g(z = 2) of the nucleus of a quasar of total magnitude r, its host taken off."""
    # The k-correction is that of f_nu ~ nu^-0.5, and M_g(z = 2) = g - DM at z = 2, without the
    # band's stretch of 2.5 log10(3).
    frequency = SPEED_OF_LIGHT * 1e13 / WAVE
    log_f = log_luminosity(rmag, z, WAVE) - np.log10(frequency) - _LOG_AREA
    whole = -2.5 * log_f - AB_ZERO_POINT - 2.5 * np.log10(3)
    rest = R_WAVE / (1 + z)
    host = 10 ** host_ratio(log_luminosity(rmag, z, 5100.0))
    host *= np.minimum(rest / 5100.0, 1.0) ** _HOST_POWER
    return np.asarray(whole + 2.5 * np.log10(1 + host))


def surface_density(rmag: FloatArray, z: FloatArray) -> FloatArray:
    """Quasars per square degree, redshift and magnitude r, at magnitudes and redshifts."""
    step = 0.01
    fainter, brighter = (absolute_magnitude(rmag + x, z) for x in (step, -step))
    per_magnitude = (fainter - brighter) / (2 * step)
    counts = luminosity_function((fainter + brighter) / 2, z) * per_magnitude
    return np.asarray(counts * comoving_volume(z))
