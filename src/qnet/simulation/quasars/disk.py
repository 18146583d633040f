"""Double-peaked broad lines, from gas in the accretion disk."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from qnet.core.arrays import FloatArray, IntArray
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.profiles import Gaussians, gaussians

#: Ranges of the disk's inner radius [gravitational radii], ratio of outer to inner radius,
#: inclination [degree] and local velocity dispersion [km/s] (Strateva et al. 2003, AJ 126, 1720,
#: table 4 and fig. 9).
INNER, RATIO, INCLINATION, DISPERSION = (150.0, 800.0), (2.5, 8.0), (20.0, 50.0), (600.0, 1300.0)

#: Power of radius with which the disk's line emission falls (Eracleous & Halpern 1994, ApJS 90, 1).
EMISSIVITY = -3.0

_RINGS, _ANGLES = 8, 48
# Bins of velocity in which the light of the disk is gathered [km/s]: finer than the dispersion.
_BIN, _NBINS = 500.0, 101


def disk_profiles(rng: Generator, row: IntArray, wave: FloatArray, area: FloatArray) -> Gaussians:
    """Lines of disks (Chen & Halpern 1989, ApJ 344, 115), `wave` and `area` (nobjects, nlines)."""
    # Keplerian rings in the limit of weak fields, without bending of light.
    nobjects = len(row)
    inner = INNER[0] * (INNER[1] / INNER[0]) ** rng.random(nobjects)
    ratio = rng.uniform(*RATIO, nobjects)
    tilt = np.sin(np.deg2rad(rng.uniform(*INCLINATION, nobjects)))
    local = rng.uniform(*DISPERSION, nobjects)
    radius = inner[:, None] * ratio[:, None] ** ((np.arange(_RINGS) + 0.5) / _RINGS)
    angle = 2 * np.pi * (np.arange(_ANGLES) + 0.5) / _ANGLES
    speed = (tilt[:, None] / np.sqrt(radius))[:, :, None] * np.sin(angle)
    # Light per ring of equal log radius: emissivity times area.
    light = radius[:, :, None] ** (EMISSIVITY + 2) * (1 + speed) ** 3
    velocity = SPEED_OF_LIGHT * (speed - 1.5 / radius[:, :, None])
    # A spiral or hot spot makes the two peaks differ from what boosting gives.
    spot = rng.uniform(0.0, 0.5, (nobjects, 1, 1))
    light = light * (1 + spot * np.cos(angle - rng.uniform(0, 2 * np.pi, (nobjects, 1, 1))))
    bins = np.clip(np.rint(velocity / _BIN).astype(int) + _NBINS // 2, 0, _NBINS - 1)
    flat = (bins + np.arange(nobjects)[:, None, None] * _NBINS).ravel()
    gathered = np.bincount(flat, light.ravel(), nobjects * _NBINS).reshape(nobjects, _NBINS)
    gathered = gathered / gathered.sum(axis=1, keepdims=True)
    shift = 1 + _BIN * (np.arange(_NBINS) - _NBINS // 2) / SPEED_OF_LIGHT
    return gaussians(
        row[:, None, None],
        wave[:, :, None] * shift,
        local[:, None, None],
        area[:, :, None] * gathered[:, None, :],
    )
