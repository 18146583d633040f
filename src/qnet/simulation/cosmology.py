"""Distances and luminosities of a flat universe of matter and a cosmological constant."""

from __future__ import annotations

import numpy as np

from qnet.core.arrays import FloatArray
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.frame import AB_ZERO_POINT

#: Hubble constant [km/s/Mpc] and matter density (Planck Collaboration 2020, A&A 641, A6, table 2,
#: last column).
HUBBLE, OMEGA_MATTER = 67.66, 0.3111

#: Centimetres in a megaparsec (IAU 2015 resolution B2).
CM_PER_MPC = 3.0856775814913673e24

#: Effective wavelength of SDSS r [Angstrom] (Fukugita et al. 1996, AJ 111, 1748).
R_WAVE = 6165.0


def luminosity_distance(z: FloatArray) -> FloatArray:
    """Luminosity distance [Mpc] at z from 0 to 10 (Hogg 1999, astro-ph/9905116, eq. 15 and 21)."""
    # `astropy.cosmology` differs from these sums on a grid by 3e-5: it would change all spectra.
    nodes = np.linspace(0.0, 10.0, 2001)
    integrand = 1 / np.sqrt(OMEGA_MATTER * (1 + nodes) ** 3 + 1 - OMEGA_MATTER)
    steps = 0.5 * (integrand[1:] + integrand[:-1]) * np.diff(nodes)
    comoving = np.concatenate([[0.0], np.cumsum(steps)]) * SPEED_OF_LIGHT / HUBBLE
    return np.asarray((1 + z) * np.interp(z, nodes, comoving), dtype=np.float64)


def log_luminosity(rmag: FloatArray, z: FloatArray, wave: float) -> FloatArray:
    """log10 of lambda L_lambda [erg/s] at a rest wavelength [Angstrom], from an AB r magnitude."""
    log_f = -0.4 * (rmag + AB_ZERO_POINT)
    log_area = np.log10(4 * np.pi) + 2 * np.log10(luminosity_distance(z) * CM_PER_MPC)
    # nu L_nu at the rest wavelength that r sees: nu_rest f_nu / (1+z) = nu_observed f_nu; then
    # f_nu ~ nu^-0.5 (Richards et al. 2006, AJ 131, 2766).
    seen = log_f + log_area + np.log10(SPEED_OF_LIGHT * 1e13 / R_WAVE)
    return np.asarray(seen + 0.5 * np.log10(R_WAVE / (1 + z) / wave), dtype=np.float64)
