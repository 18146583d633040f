"""Magnitudes, distances and luminosities, in a flat universe with a cosmological constant."""

from __future__ import annotations

import numpy as np

from qnet.core.arrays import FloatArray

#: Speed of light in vacuum [km/s], exact (CODATA).
SPEED_OF_LIGHT = 299792.458

#: Hubble constant [km/s/Mpc] and matter density (Planck Collaboration 2020, A&A 641, A6, table 2,
#: last column).
HUBBLE, OMEGA_MATTER = 67.66, 0.3111

#: Centimetres in a megaparsec (IAU 2015 resolution B2).
CM_PER_MPC = 3.0856775814913673e24

#: Zero point of AB magnitudes [erg/s/cm2/Hz] is 10**(-0.4 * 48.60) (Oke & Gunn 1983, ApJ 266, 713).
AB_ZERO_POINT = 48.60

#: Pass band in which magnitudes are given [Angstrom]: a top hat between the half-transmission
#: wavelengths of SDSS r (Doi et al. 2010, AJ 139, 1628).
R_BAND = (5600.0, 6900.0)

#: Effective wavelength of SDSS r [Angstrom] (Fukugita et al. 1996, AJ 111, 1748).
R_WAVE = 6165.0

#: Slope of f_nu against frequency, of quasars (Richards et al. 2006, AJ 131, 2766).
SLOPE = -0.5


def luminosity_distance(z: FloatArray) -> FloatArray:
    """Luminosity distance [Mpc] at z from 0 to 10 (Hogg 1999, astro-ph/9905116, eq. 15 and 21)."""
    # `astropy.cosmology` differs from these sums on a grid by 3e-5: it would change all spectra.
    nodes = np.linspace(0.0, 10.0, 2001)
    integrand = 1 / np.sqrt(OMEGA_MATTER * (1 + nodes) ** 3 + 1 - OMEGA_MATTER)
    steps = 0.5 * (integrand[1:] + integrand[:-1]) * np.diff(nodes)
    comoving = np.concatenate([[0.0], np.cumsum(steps)]) * SPEED_OF_LIGHT / HUBBLE
    return np.asarray((1 + z) * np.interp(z, nodes, comoving), dtype=np.float64)


def comoving_volume(z: FloatArray) -> FloatArray:
    """Comoving volume per redshift and square degree [Mpc^3/deg^2] (Hogg 1999, eq. 28)."""
    expansion = HUBBLE * np.sqrt(OMEGA_MATTER * (1 + z) ** 3 + 1 - OMEGA_MATTER)
    area = np.deg2rad(1.0) ** 2 * (luminosity_distance(z) / (1 + z)) ** 2
    return np.asarray(area * SPEED_OF_LIGHT / expansion)


def log_luminosity(rmag: FloatArray, z: FloatArray, wave: float) -> FloatArray:
    """log10 of lambda L_lambda [erg/s] at a rest wavelength [Angstrom], from an AB r magnitude."""
    log_f = -0.4 * (rmag + AB_ZERO_POINT)
    log_area = np.log10(4 * np.pi) + 2 * np.log10(luminosity_distance(z) * CM_PER_MPC)
    # nu L_nu at the rest wavelength that r sees: nu_rest f_nu / (1+z) = nu_observed f_nu.
    seen = log_f + log_area + np.log10(SPEED_OF_LIGHT * 1e13 / R_WAVE)
    return np.asarray(seen + (1 + SLOPE) * np.log10(R_WAVE / (1 + z) / wave), dtype=np.float64)


def host_ratio(log_l5100: FloatArray) -> FloatArray:
    """log10 of the mean ratio of host to nucleus at 5100 A, of log lambda L of both [erg/s]."""
    # Shen et al. 2011, ApJS 194, 45, eq. 1, for log L5100 from 44 to 45.05; below, a slope of -0.75
    # (hosts of nearly equal luminosity: Vanden Berk et al. 2006, AJ 131, 84, fig. 12).
    x = np.asarray(log_l5100, dtype=np.float64) - 44
    inside = np.clip(x, 0.0, 1.053)
    ratio = 0.8052 - 1.5502 * inside + 0.9121 * inside**2 - 0.1577 * inside**3
    return np.asarray(np.log10(np.maximum(ratio, 0.01)) - 0.75 * np.minimum(x, 0.0))
