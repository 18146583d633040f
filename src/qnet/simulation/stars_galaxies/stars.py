"""Stars, most of them of kinds that look like quasars in photometry."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from qnet.core.arrays import BoolArray, Float32Array, FloatArray, IntArray, StrArray
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.frame import FRAME, NPIX, STAR_FRAME, Objects, finished, magnitudes, shift
from qnet.simulation.profiles import FWHM_OVER_SIGMA, Gaussians, add_gaussians, gaussians
from qnet.simulation.stars_galaxies import compact_stars
from qnet.simulation.stars_galaxies.atmospheres import absorb, amplitudes, planck, star_spectra
from qnet.simulation.stars_galaxies.starlight import broaden, milky_way_extinction, redden


class Kind(NamedTuple):
    """One kind of star."""

    fraction: float  # of all stars
    temperature: tuple[float, float]  # effective, lowest and highest [K]
    halo: float  # fraction in the halo; the rest is in the disks


#: Kinds of stars by TRUESUBTYPE. The fractions follow what quasar surveys took for quasars: A and F
#: stars of the halo, white dwarfs, and M stars beside high-redshift quasars (Richards et al. 2002,
#: AJ 123, 2945, section 4; Ross et al. 2012, ApJS 199, 3; Yeche et al. 2020, RNAAS 4, 179), with
#: some of every other kind. Temperatures by Gray & Corbally (2009, Stellar Spectral
#: Classification, app. B), of L dwarfs by Kirkpatrick (2005, ARA&A 43, 195), of subdwarfs by Heber
#: (2016, PASP 128, 082001). Temperatures of white dwarfs: `compact_stars`.
KINDS: dict[str, Kind] = {
    "O": Kind(.01, (30000, 45000), .1), "B": Kind(.03, (10500, 28000), .3),
    "A": Kind(.08, (7500, 10500), .7), "BHB": Kind(.03, (7500, 11500), 1.0),
    "F": Kind(.17, (6000, 7500), .8), "G": Kind(.10, (5300, 6000), .6),
    "K": Kind(.08, (3950, 5300), .4), "M": Kind(.12, (2700, 3950), .1),
    "L": Kind(.02, (1400, 2300), .0), "CARBON": Kind(.02, (2800, 5000), .4),
    "SDB": Kind(.02, (20000, 38000), .3), "SDO": Kind(.01, (40000, 70000), .3),
    "DA": Kind(.10, (0, 0), .05), "DAH": Kind(.01, (0, 0), .05), "DB": Kind(.025, (0, 0), .05),
    "DO": Kind(.01, (0, 0), .05), "DC": Kind(.025, (0, 0), .05), "DQ": Kind(.015, (0, 0), .05),
    "DZ": Kind(.02, (0, 0), .05), "CV": Kind(.03, (0, 0), .05), "POLAR": Kind(.01, (0, 0), .05),
    "WD+M": Kind(.04, (2800, 3700), .05), "BINARY": Kind(.02, (5500, 11000), .4),
}  # fmt: skip

#: Dispersion along the line of sight of halo and disks [km/s] (halo: Xue et al. 2008, ApJ 684,
#: 1143, 111 near the Sun, wider with the Sun's own motion; thin and thick disk: Bensby et al. 2003,
#: A&A 410, 527, table 1).
HALO_DISPERSION, DISK_DISPERSION = 130.0, 40.0

#: Gravitational redshift of white dwarfs [km/s], mean and scatter (Falcon et al. 2010, ApJ 712,
#: 585).
_GRAVITATIONAL = (32.6, 10.0)

#: Wavelengths in vacuum [Angstrom] of the lines of active stars and their flux against Halpha
#: (dMe: Hawley & Pettersen 1991, ApJ 378, 725, quiescent AD Leo; Be: Halpha, some Hbeta).
_ACTIVE = ((6564.61, 1.0), (4862.68, 0.5), (4341.68, 0.3), (4102.89, 0.2), (3934.78, 0.2))


def make(rng: Generator, rmag: FloatArray) -> Objects:
    """Make stars of r magnitudes (AB); TRUEZ is the radial velocity over the speed of light."""
    rmag = magnitudes(rmag)
    count = len(rmag)
    fractions = np.array([kind.fraction for kind in KINDS.values()])
    subtype = rng.choice(np.array(list(KINDS)), size=count, p=fractions / fractions.sum())
    halo = rng.uniform(size=count) < np.array([KINDS[name].halo for name in subtype])
    z = draw_velocities(rng, subtype, halo) / SPEED_OF_LIGHT
    light = _starlight(rng, subtype, halo)
    flux = broaden(shift(light, z), _rotation(rng, subtype))
    _add_features(rng, flux, light, subtype, z)
    return finish(rng, flux, rmag, z, subtype)


def draw_velocities(rng: Generator, subtype: StrArray, halo: BoolArray) -> FloatArray:
    """Radial velocities [km/s], gravitational redshifts of white dwarfs included."""
    scale = np.where(halo, HALO_DISPERSION, DISK_DISPERSION)
    velocity = scale * np.clip(rng.standard_normal(len(subtype)), -3.5, 3.5)
    white = np.isin(subtype, list(compact_stars.RANGES))
    mean, scatter = _GRAVITATIONAL
    extra = mean + scatter * rng.standard_normal(len(subtype))
    return np.asarray(velocity + np.where(white, extra, 0.0), dtype=np.float64)


def finish(
    rng: Generator, flux: Float32Array, rmag: FloatArray, z: FloatArray, subtype: StrArray
) -> Objects:
    """Redden observed stars by Galactic dust, scale them to their magnitudes, add the truth."""
    count, wave = len(z), FRAME.wave
    # Mean E(B-V) [mag] of high latitudes (Schlegel, Finkbeiner & Davis 1998, ApJ 500, 525).
    dust = 0.06 * rng.exponential(size=count) * np.where(rng.uniform(size=count) < 0.05, 6.0, 1.0)
    flux = redden(flux, milky_way_extinction(wave), np.minimum(dust, 0.6))
    # What the compact model leaves out of the colours: a tilt of a tenth in the slope.
    tilt = np.outer(0.1 * rng.standard_normal(count), np.log(wave / 5500.0)).astype(np.float32)
    return finished("STAR", flux * np.exp(tilt), subtype, z, rmag)


def _starlight(rng: Generator, subtype: StrArray, halo: BoolArray) -> Float32Array:
    """Spectra on `STAR_FRAME` without emission lines."""
    light = np.empty((len(subtype), STAR_FRAME.npix), dtype=np.float32)
    low, high = np.array([KINDS[name].temperature for name in subtype]).reshape(-1, 2).T
    temperature = low + (high - low) * rng.uniform(size=len(subtype))
    # Halo: Carollo et al. (2010, ApJ 712, 692); disk: Nordstrom et al. (2004, A&A 418, 989).
    scatter = rng.standard_normal(len(subtype))
    metals = np.where(halo, -1.5 + 0.5 * scatter, -0.15 + 0.25 * scatter).clip(-3.0, 0.5)
    white = np.isin(subtype, list(compact_stars.RANGES))
    cataclysmic = np.isin(subtype, ("CV", "POLAR"))
    if white.any():
        light[white] = compact_stars.white_dwarfs(rng, subtype[white])
    if cataclysmic.any():
        light[cataclysmic] = compact_stars.cataclysmic(rng, subtype[cataclysmic] == "POLAR")
    cool = subtype == "L"
    if cool.any():
        light[cool] = _l_dwarfs(rng, temperature[cool])
    carbon = subtype == "CARBON"
    if carbon.any():
        light[carbon] = _carbon_stars(rng, temperature[carbon], metals[carbon])
    normal = ~(white | cataclysmic | cool | carbon)
    if normal.any():
        light[normal] = _normal_stars(rng, subtype[normal], temperature[normal], metals[normal])
    rows = np.flatnonzero(subtype == "WD+M")
    if rows.size:  # M dwarfs (Rebassa-Mansergas et al. 2010, MNRAS 402, 620)
        dwarf = compact_stars.white_dwarfs(rng, np.full(rows.size, "DA"))
        light[rows] = _blend(dwarf, light[rows], rng.uniform(0.15, 0.85, rows.size))
    rows = np.flatnonzero(subtype == "BINARY")
    if rows.size:  # beside, or in front of, a K or M star
        late = star_spectra(rng.uniform(3200.0, 4800.0, rows.size), np.full(rows.size, -0.3))
        light[rows] = _blend(light[rows], late, rng.uniform(0.1, 0.6, rows.size))
    return light


def _normal_stars(
    rng: Generator, subtype: StrArray, temperature: FloatArray, metals: FloatArray
) -> Float32Array:
    """Stars of the usual sequence, with unlike strengths of each species from star to star."""
    amplitude = amplitudes(temperature, metals)
    # Low gravity narrows the Balmer lines of horizontal-branch stars, high gravity widens those of
    # hot subdwarfs (Heber 2016); both by about a third.
    gravity = np.where(subtype == "BHB", 0.65, np.where(np.isin(subtype, ("SDB", "SDO")), 1.7, 1.0))
    amplitude["H_WIDE"] = amplitude["H_WIDE"] * gravity
    amplitude["HE_I"] = amplitude["HE_I"] * np.where(subtype == "SDB", 0.35, 1.0)
    amplitude["HE_II"] = amplitude["HE_II"] * np.where(subtype == "SDO", 1.6, 1.0)
    for name in amplitude:
        amplitude[name] = amplitude[name] * np.exp(0.15 * rng.standard_normal(len(temperature)))
    return absorb(planck(STAR_FRAME.wave, temperature), amplitude)


def _l_dwarfs(rng: Generator, temperature: FloatArray) -> Float32Array:
    """L dwarfs: no TiO; alkali metals and hydrides, the stronger the cooler."""
    cooler = (2400.0 - temperature) / 1000.0
    ones = np.exp(0.2 * rng.standard_normal(len(temperature)))
    amplitude = {
        "ALKALI": (0.8 + 3.0 * cooler) * ones,
        "FEH": 0.9 * np.exp(0.2 * rng.standard_normal(len(temperature))),
        "CAH": np.full(len(temperature), 0.2),
        "TIO": np.maximum(0.5 - 0.8 * cooler, 0.0),
        "VO": np.maximum(0.4 - 0.6 * cooler, 0.0),
        "NA_K_RED": np.full(len(temperature), 1.5),
    }
    return absorb(planck(STAR_FRAME.wave, temperature), amplitude)


def _carbon_stars(rng: Generator, temperature: FloatArray, metals: FloatArray) -> Float32Array:
    """Carbon stars, dwarfs and giants: C2 and CN instead of TiO (Green 2013, ApJ 765, 12)."""
    count = len(temperature)
    usual = amplitudes(temperature, metals)
    amplitude = {name: usual[name] for name in ("CA_HK", "NA_D", "CA_IRT", "H_NARROW", "NEUTRAL")}
    amplitude["C2"] = np.exp(rng.uniform(np.log(0.35), np.log(2.0), count))
    amplitude["CN"] = rng.uniform(0.5, 2.0, count)
    amplitude["CN_RED"] = amplitude["C2"] * rng.uniform(0.2, 0.7, count)
    return absorb(planck(STAR_FRAME.wave, temperature), amplitude)


def _blend(first: Float32Array, second: Float32Array, fraction: FloatArray) -> Float32Array:
    """Sum of two stars, the second with a fraction of the light at 6200 A."""
    where = STAR_FRAME.near(6200.0)
    weight = fraction[:, None].astype(np.float32)
    one = first / first[:, where].mean(axis=1, keepdims=True)
    two = second / second[:, where].mean(axis=1, keepdims=True)
    return np.asarray((1 - weight) * one + weight * two, dtype=np.float32)


def _rotation(rng: Generator, subtype: StrArray) -> FloatArray:
    """Broadening by rotation [km/s]: fast in hot stars (Gray 2005, ch. 18), else under a pixel."""
    fast = np.isin(subtype, ("O", "B", "A"))
    return np.where(fast, rng.uniform(10.0, 120.0, len(subtype)), 5.0)


def _add_features(
    rng: Generator, flux: Float32Array, light: Float32Array, subtype: StrArray, z: FloatArray
) -> None:
    """Emission lines of cataclysmic variables and active stars, split lines of magnetic ones."""
    polar = subtype == "POLAR"
    rows = np.flatnonzero((subtype == "CV") | polar)
    if rows.size:
        level = light[rows, STAR_FRAME.near(4862.68)].mean(axis=1).astype(np.float64)
        profiles = compact_stars.cataclysmic_lines(rng, rows, z[rows], level, polar[rows])
        add_gaussians(flux, profiles)
    rows = np.flatnonzero(subtype == "DAH")
    if rows.size:
        depth = np.zeros((len(flux), NPIX), dtype=np.float32)
        add_gaussians(depth, compact_stars.zeeman_depth(rng, rows, z[rows]))
        flux[rows] *= np.exp(-depth[rows])
    # A third of M dwarfs (West et al. 2008, AJ 135, 785), half of those beside white dwarfs, a
    # sixth of O and B stars (Be; Zorec & Briot 1997, A&A 318, 443).
    chance = np.select(
        [subtype == "M", subtype == "WD+M", np.isin(subtype, ("O", "B"))], [1 / 3, 0.5, 1 / 6], 0.0
    )
    rows = np.flatnonzero(rng.uniform(size=len(subtype)) < chance)
    if rows.size:
        add_gaussians(flux, _activity(rng, rows, z[rows], light[rows]))


def _activity(rng: Generator, rows: IntArray, z: FloatArray, light: Float32Array) -> Gaussians:
    """Balmer lines and Ca K of active stars: Halpha of 1 to 15 A, full widths 100 to 350 km/s."""
    rest, ratio = np.transpose(_ACTIVE)
    level = light[:, STAR_FRAME.near(6564.61)].mean(axis=1)
    equivalent = np.exp(rng.uniform(0.0, np.log(15.0), len(rows)))
    sigma = rng.uniform(100.0, 350.0, len(rows))[:, None] / FWHM_OVER_SIGMA
    area = (equivalent * level * (1 + z))[:, None] * ratio
    return gaussians(rows[:, None], np.outer(1 + z, rest), sigma, area)
