"""Absorption by gas in and around galaxies: damped systems, their metals, and narrow doublets."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from qnet.core.arrays import Float32Array, FloatArray, IntArray
from qnet.lines import SPEED_OF_LIGHT, absorber_IGM
from qnet.simulation.absorption.forest import (
    LOWEST_REDSHIFT,
    LYMAN_SERIES,
    forest_depth,
    limit_depth,
)
from qnet.simulation.frame import FRAME, LOGLAM_STEP, NPIX
from qnet.simulation.profiles import Gaussians, add_gaussians, gaussians

#: Damped systems: number per redshift at z = 0 and its power of 1+z (Rao, Turnshek & Nestor 2006,
#: ApJ 636, 610, sect. 4.1), for log N_HI of 20.3 and more.
DLA_DENSITY, DLA_EVOLUTION, DLA_LOG_N = 0.044, 1.27, 20.3

#: Their distribution of column density, N**power exp(-N/N*) (Noterdaeme et al. 2009, A&A 505, 1087,
#: sect. 4: log N* = 21.26, power -1.27; Noterdaeme et al. 2012, A&A 547, L1, find the same law),
#: run on to the sub-damped systems at log N_HI of 19.5 and cut at 22.5.
COLUMN_POWER, COLUMN_LOG_BREAK, COLUMN_LOG_RANGE = -1.27, 21.26, (19.5, 22.5)

#: Damping constant [1/s] of Lyman alpha and beta (Morton 2003, ApJS 149, 205).
DAMPING = (6.265e8, 1.897e8)

#: pi e^2 / (m_e c) [cm2 Hz] (CODATA 2018).
CLASSICAL = 2.654008854e-2

#: Metals: rest equivalent width relative to the family's leading line. Means of stacks: Mas-Ribas
#: et al. 2017, ApJ 846, 4, table 1 (damped systems); York et al. 2006, MNRAS 367, 945, table 3
#: (MgII systems).
DAMPED_METALS = (
    ("SiII(1190)", 0.65), ("SiII(1193)", 0.75), ("SiIII(1207)", 0.9), ("SiII(1260)", 1.10),
    ("OI(1302)", 1.00), ("SiII(1304)", 0.65), ("CII(1335)", 1.25), ("SiIV(1394)", 0.65),
    ("SiIV(1403)", 0.45), ("SiII(1527)", 0.80), ("CIV(1548)", 0.80), ("CIV(1551)", 0.55),
    ("FeII(1608)", 0.50), ("AlII(1671)", 0.85), ("AlIII(1855)", 0.25), ("AlIII(1863)", 0.15),
    ("FeII(2344)", 1.00), ("FeII(2374)", 0.60), ("FeII(2383)", 1.35), ("FeII(2587)", 1.00),
    ("FeII(2600)", 1.40), ("MgII(2796)", 2.20), ("MgII(2804)", 2.00), ("MgI(2853)", 0.60),
)  # fmt: skip
MGII_METALS = (
    ("MgII(2796)", 1.00), ("MgII(2804)", 0.75), ("MgI(2853)", 0.15), ("FeII(2600)", 0.45),
    ("FeII(2587)", 0.28), ("FeII(2383)", 0.42), ("FeII(2374)", 0.18), ("FeII(2344)", 0.28),
    ("AlII(1671)", 0.25), ("SiII(1527)", 0.22), ("FeII(1608)", 0.12), ("CIV(1548)", 0.45),
    ("CIV(1551)", 0.30), ("AlIII(1855)", 0.10),
)  # fmt: skip
CIV_METALS = (
    ("CIV(1548)", 1.00), ("CIV(1551)", 0.60), ("SiIV(1394)", 0.35), ("SiIV(1403)", 0.22),
)  # fmt: skip
ASSOCIATED_METALS = (
    ("CIV(1548)", 1.00), ("CIV(1551)", 0.75), ("NV(1239)", 0.60), ("NV(1243)", 0.45),
    ("SiIV(1394)", 0.35), ("SiIV(1403)", 0.25), ("OVI(1032)", 0.90), ("OVI(1038)", 0.70),
    ("LYA", 1.30), ("MgII(2796)", 0.12), ("MgII(2804)", 0.10),
)  # fmt: skip

#: MgII systems: number per redshift and scale [Angstrom] of the exponential distribution of the
#: equivalent width of 2796 (Nestor, Turnshek & Rao 2005, ApJ 628, 637, sect. 4.1: 1.187, 0.702),
#: above the least width that is simulated [Angstrom].
MGII_DENSITY, MGII_SCALE, MGII_LEAST = 1.187, 0.702, 0.3

#: The same for CIV 1548 (Cooksey et al. 2013, ApJ 763, 37: 0.6 systems per redshift above 0.6
#: Angstrom at z = 2, scale 0.41).
CIV_DENSITY, CIV_SCALE, CIV_LEAST = 2.6, 0.41, 0.2

#: Associated absorbers: fraction of quasars that have one (Vestergaard 2003, ApJ 599, 116: 25 %),
#: scale of the equivalent width of CIV 1548 [Angstrom], standard deviation of the velocity [km/s]
#: (Nestor et al. 2008, MNRAS 386, 2055: a core of 450) and mean of the
#: outflows of half of them (Vestergaard 2003: to 5000 km/s and beyond).
ASSOCIATED_FRACTION, ASSOCIATED_SCALE, ASSOCIATED_VELOCITY, OUTFLOW = 0.25, 0.5, 450.0, 2000.0

#: Leading line's width of damped systems [Angstrom] at log N_HI of 20.3 and its scatter [dex]
#: (Mas-Ribas et al. 2017, table 1: SiII 1260 about 0.7; grows little with N_HI).
DAMPED_WIDTH, DAMPED_SPREAD = 0.65, 0.30

# Velocities from the damped line out to which its wings are followed [km/s].
_WING_KMS = 40000.0
# Doppler parameter that keeps the wings' formula finite at the line, where all is dark [km/s].
_CORE_KMS = 40.0
# Nearest to the quasar that an intervening system is [km/s]: nearer ones are associated.
_NEAREST_KMS = 3000.0


class Systems(NamedTuple):
    """Absorbers: their spectra and redshifts, shape (nsystems,) each."""

    row: IntArray
    z: FloatArray


def draw_systems(
    rng: Generator, z: FloatArray, lowest: float, density: float, evolution: float
) -> Systems:
    """Draw absorbers between `lowest` and the quasars, density * (1+z)**evolution per redshift."""
    power = evolution + 1
    end = np.maximum((1 + z) * (1 - _NEAREST_KMS / SPEED_OF_LIGHT), 1 + lowest)
    top, bottom = end**power, (1 + lowest) ** power
    row = np.repeat(np.arange(len(z)), rng.poisson(density / power * (top - bottom)))
    integral = bottom + rng.random(len(row)) * (top[row] - bottom)
    return Systems(row, integral ** (1 / power) - 1)


@functools.lru_cache(maxsize=1)
def _columns() -> tuple[FloatArray, FloatArray, float]:
    """Log columns, the integral of their distribution, and their number over that of DLAs."""
    log_n = np.linspace(*COLUMN_LOG_RANGE, 601)
    ratio = 10 ** (log_n - COLUMN_LOG_BREAK)
    # Number per log column: one more power of N.
    number = np.cumsum(ratio ** (COLUMN_POWER + 1) * np.exp(-ratio))
    number = (number - number[0]) / (number[-1] - number[0])
    damped = 1 - float(np.interp(DLA_LOG_N, log_n, number))
    return log_n, np.asarray(number), 1 / damped


def draw_damped(rng: Generator, z: FloatArray) -> tuple[Systems, FloatArray]:
    """Draw damped and sub-damped systems in view, and their log10 N_HI [1/cm2]."""
    log_n, number, excess = _columns()
    systems = draw_systems(rng, z, LOWEST_REDSHIFT, DLA_DENSITY * excess, DLA_EVOLUTION)
    return systems, np.interp(rng.random(len(systems.row)), number, log_n)


def add_damped(tau: Float32Array, systems: Systems, log_n: FloatArray) -> None:
    """Add damped Lyman alpha and beta of log10 N_HI [1/cm2] to optical depths, in place."""
    half = int(_WING_KMS / SPEED_OF_LIGHT / np.log(10) / LOGLAM_STEP)
    offset = np.arange(-half, half + 1)
    for (rest, strength), damping in zip(LYMAN_SERIES[:2], DAMPING, strict=True):
        centre = np.rint(FRAME.pixel(rest * (1 + systems.z)))
        velocity = SPEED_OF_LIGHT * np.expm1(offset * LOGLAM_STEP * np.log(10))
        # Natural broadening (Draine 2011, eq. 6.38 and 9.24), flat in the core.
        hertz2 = (velocity**2 + _CORE_KMS**2) * (1e13 / rest) ** 2
        shape = CLASSICAL * strength * damping / (4 * np.pi**2) / hertz2
        for row, first, column in zip(
            systems.row, centre.astype(int) - half, 10**log_n, strict=True
        ):
            start, stop = max(first, 0), min(first + len(offset), NPIX)
            if start < stop:
                part = shape[start - first : stop - first] * column
                tau[row, start:stop] += part.astype(np.float32)


@functools.lru_cache(maxsize=1)
def _growth() -> tuple[FloatArray, FloatArray]:
    """Central depth, and area of 1 - exp(-tau) of a Gaussian tau of unit sigma."""
    depth = np.linspace(0.05, 6.0, 120)
    x = np.linspace(-6, 6, 601)
    profile = 1 - np.exp(-depth[:, None] * np.exp(-0.5 * x**2))
    return depth, profile.sum(axis=1) * (x[1] - x[0])


def line_profiles(
    rng: Generator, systems: Systems, width: FloatArray, metals: tuple[tuple[str, float], ...]
) -> Gaussians:
    """Optical-depth profiles of metal lines, `width` being that of the leading line [rest A]."""
    depth_nodes, area_nodes = _growth()
    rest = np.array([absorber_IGM[name] for name, _ in metals])
    ratio = np.array([relative for _, relative in metals])
    scatter = rng.standard_normal((len(width), len(rest)))
    wanted = width[:, None] * ratio * 10 ** (0.1 * scatter)
    depth = rng.uniform(0.8, 4.0, (len(width), 1)) * np.minimum(ratio, 1.2)
    depth = np.clip(depth, depth_nodes[0], depth_nodes[-1])
    sigma = wanted / rest * SPEED_OF_LIGHT / np.interp(depth, depth_nodes, area_nodes)
    wave = rest * (1 + systems.z)[:, None]
    area = depth * sigma / SPEED_OF_LIGHT * wave * np.sqrt(2 * np.pi)
    return gaussians(systems.row[:, None], wave, sigma, area)


def narrow_absorbers(rng: Generator, z: FloatArray) -> list[Gaussians]:
    """Optical-depth profiles of intervening MgII and CIV systems, and of associated ones."""
    profiles = []
    for metals, density, scale, least in (
        (MGII_METALS, MGII_DENSITY, MGII_SCALE, MGII_LEAST),
        (CIV_METALS, CIV_DENSITY, CIV_SCALE, CIV_LEAST),
    ):
        lowest = 10**FRAME.start / absorber_IGM[metals[0][0]] - 1
        systems = draw_systems(rng, z, lowest, density * np.exp(-least / scale), 0.0)
        width = least + rng.exponential(scale, len(systems.row))
        # Strong systems thin out beyond z = 3.5 (D'Odorico et al. 2013, MNRAS 435, 1198).
        width *= np.minimum(1.0, (4.5 / (1 + systems.z)) ** 1.5)
        profiles.append(line_profiles(rng, systems, width, metals))
    row = np.flatnonzero(rng.random(len(z)) < ASSOCIATED_FRACTION)
    velocity = ASSOCIATED_VELOCITY * rng.standard_normal(len(row))
    velocity -= np.where(rng.random(len(row)) < 0.5, rng.exponential(OUTFLOW, len(row)), 0.0)
    near = Systems(row, (1 + z[row]) * (1 + velocity / SPEED_OF_LIGHT) - 1)
    width = 0.2 + rng.exponential(ASSOCIATED_SCALE, len(row))
    profiles.append(line_profiles(rng, near, width, ASSOCIATED_METALS))
    return profiles


def damped_metals(rng: Generator, systems: Systems, log_n: FloatArray) -> Gaussians:
    """Optical-depth profiles of the metals of damped systems."""
    dex = DAMPED_SPREAD * rng.standard_normal(len(log_n)) + 0.25 * (log_n - DLA_LOG_N)
    # Metals were fewer earlier: -0.22 dex per redshift (Rafelski et al. 2012, ApJ 755, 89), half of
    # which is left in the width of lines that are mostly saturated.
    dex -= 0.11 * (systems.z - 2.5)
    return line_profiles(rng, systems, DAMPED_WIDTH * 10**dex, DAMPED_METALS)


def sight_lines(
    rng: Generator, z: FloatArray, log_l1700: FloatArray
) -> tuple[Float32Array, FloatArray, FloatArray]:
    """Optical depth on `FRAME`; log10 N_HI [1/cm2] and z of the strongest damped system, or 0."""
    tau = np.zeros((len(z), NPIX), dtype=np.float32)
    hydrogen = np.flatnonzero(z > LOWEST_REDSHIFT)
    if hydrogen.size:
        tau[hydrogen] = forest_depth(rng, z[hydrogen], log_l1700[hydrogen])
        tau[hydrogen] += limit_depth(rng, z[hydrogen])
    systems, log_n = draw_damped(rng, z)
    add_damped(tau, systems, log_n)
    add_gaussians(tau, damped_metals(rng, systems, log_n))
    for profiles in narrow_absorbers(rng, z):
        add_gaussians(tau, profiles)
    strongest, z_strongest = np.zeros(len(z)), np.zeros(len(z))
    order = np.argsort(log_n, kind="stable")
    order = order[log_n[order] >= DLA_LOG_N]
    # Later assignments win: the strongest is written last.
    strongest[systems.row[order]] = log_n[order]
    z_strongest[systems.row[order]] = systems.z[order]
    return tau, strongest, z_strongest
