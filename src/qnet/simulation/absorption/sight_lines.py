"""Absorption on the sight lines to quasars."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from qnet.core.arrays import Float32Array, FloatArray
from qnet.simulation.absorption import absorbers, forest
from qnet.simulation.frame import NPIX
from qnet.simulation.profiles import add_gaussians


def draw(
    rng: Generator, z: FloatArray, log_l1700: FloatArray
) -> tuple[Float32Array, FloatArray, FloatArray]:
    """Optical depth on `FRAME`; log10 N_HI [1/cm2] and z of the strongest damped system, or 0."""
    tau = np.zeros((len(z), NPIX), dtype=np.float32)
    hydrogen = np.flatnonzero(z > forest.LOWEST_REDSHIFT)
    if hydrogen.size:
        tau[hydrogen] = forest.forest_depth(rng, z[hydrogen], log_l1700[hydrogen])
        tau[hydrogen] += forest.limit_depth(rng, z[hydrogen])
    systems, log_n = absorbers.draw_damped(rng, z)
    absorbers.add_damped(tau, systems, log_n)
    add_gaussians(tau, absorbers.damped_metals(rng, systems, log_n))
    for profiles in absorbers.narrow_absorbers(rng, z):
        add_gaussians(tau, profiles)
    strongest, z_strongest = np.zeros(len(z)), np.zeros(len(z))
    order = np.argsort(log_n, kind="stable")
    order = order[log_n[order] >= absorbers.DLA_LOG_N]
    # Later assignments win: the strongest is written last.
    strongest[systems.row[order]] = log_n[order]
    z_strongest[systems.row[order]] = systems.z[order]
    return tau, strongest, z_strongest
