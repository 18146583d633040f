"""Galaxies: populations of stars, dust, narrow emission lines, gas in absorption.

None has a permitted line with a full width at half maximum over `MAX_FWHM`: those are quasars.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from qnet.core.arrays import Float32Array, FloatArray, StrArray
from qnet.core.luminosity import luminosity_distance
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.frame import NPIX, STAR_FRAME, Objects, finished, magnitudes, shift
from qnet.simulation.profiles import FWHM_OVER_SIGMA, add_gaussians, gaussians
from qnet.simulation.stars_galaxies import nebular
from qnet.simulation.stars_galaxies.atmospheres import LOG_AGES, populations
from qnet.simulation.stars_galaxies.starlight import broaden, redden, starburst_extinction

#: Largest full width at half maximum of the emission lines [km/s].
MAX_FWHM = 900.0

#: Highest redshift.
Z_MAX = 1.7

#: Dust dims the stars by this times E(B-V) of the gas (Calzetti et al. 2000, ApJ 533, 682, eq. 3).
STARS_TO_GAS = 0.44

#: Fraction of galaxies whose redshift has nothing to do with their brightness.
_ANY_REDSHIFT = 0.25


class Kind(NamedTuple):
    """One kind of galaxy; pairs are lowest and highest, where not said."""

    # Of all galaxies: chosen to hold many of those that pass for quasars in photometry, with blue
    # light or strong lines; no luminosity function.
    fraction: float
    # Absolute r magnitude, mean and sigma (Blanton et al. 2003, ApJ 592, 819: L* at -21.2 for
    # h = 0.7), and K-correction per unit redshift [mag] (Chilingarian et al. 2010, MNRAS 405, 1409,
    # fig. 3).
    magnitude: tuple[float, float]
    fading: float
    # Fraction of the light at 5500 A of stars younger than about 50 Myr, and near 0.5 Gyr.
    young: tuple[float, float]
    middle: tuple[float, float]
    hbeta: tuple[float, float]  # rest equivalent width [A], median and scatter [dex]
    nitrogen: tuple[float, float]  # log10 [NII] / Halpha
    fwhm: tuple[float, float]  # of the emission lines [km/s]
    sigma: tuple[float, float]  # of the stars [km/s]
    dust: float  # mean of E(B-V) of the gas (exponential, to 1.5) [mag]


#: The kinds, by TRUESUBTYPE. Equivalent widths are of the order of those of SDSS galaxies
#: (Brinchmann et al. 2004, MNRAS 351, 1151; Kniazev et al. 2004, ApJS 153, 429 for HII galaxies;
#: Zakamska et al. 2003, AJ 126, 2125 for type-2 Seyferts).
KINDS: dict[str, Kind] = {
    "PASSIVE": Kind(.17, (-21.8, 0.9), 1.6, (.0, .02), (.0, .10), (0.12, .25), (-.2, .3),
                    (200, 600), (120, 350), .05),
    "SF": Kind(.25, (-20.7, 1.1), 0.7, (.1, .5), (.15, .5), (6.0, .33), (-1.1, -.3), (70, 300),
               (60, 180), .25),
    "STARBURST": Kind(.14, (-20.8, 1.1), 0.4, (.45, .9), (.05, .4), (22., .28), (-1.3, -.35),
                      (80, 350), (60, 160), .25),
    "HII": Kind(.13, (-18.0, 1.7), 0.2, (.75, 1.0), (.0, .15), (90., .30), (-2.0, -1.1), (70, 200),
                (60, 90), .10),
    "COMPOSITE": Kind(.07, (-21.3, 0.8), 1.0, (.03, .3), (.1, .5), (3.5, .3), (-.5, .0), (150, 400),
                      (80, 220), .30),
    "SEYFERT2": Kind(.11, (-21.5, 0.9), 1.0, (.0, .3), (.05, .4), (7.0, .35), (-.6, .25),
                     (200, MAX_FWHM), (100, 300), .25),
    "LINER": Kind(.07, (-21.7, 0.8), 1.5, (.0, .03), (.0, .2), (0.9, .25), (-.15, .35),
                  (200, MAX_FWHM), (120, 330), .15),
    "E+A": Kind(.06, (-21.2, 0.9), 0.9, (.0, .05), (.5, .95), (0.2, .25), (-.5, .2), (150, 400),
                (80, 250), .10),
}  # fmt: skip

#: Absorption by gas between the stars: rest wavelength in vacuum [Angstrom] and equivalent width
#: against Mg II 2796 (Zhu et al. 2015, ApJ 815, 48, table 2; Na I: Chen et al. 2010, AJ 140, 445).
_GAS = (
    (1526.71, 0.7), (1548.20, 0.9), (1550.78, 0.7), (1608.45, 0.5), (1670.79, 0.8),
    (2344.21, 0.75), (2374.46, 0.6), (2382.76, 0.9), (2586.65, 0.75), (2600.17, 0.95),
    (2796.35, 1.0), (2803.53, 0.85), (2852.96, 0.3), (5891.58, 0.4), (5897.56, 0.3),
)  # fmt: skip

#: Kinds with the line ratios of LINERs: gas in old galaxies is ionised by old stars (Cid Fernandes
#: et al. 2011, MNRAS 413, 1687).
_LINERS = ("LINER", "PASSIVE", "E+A")


def make(rng: Generator, rmag: FloatArray) -> Objects:
    """Make galaxies of r magnitudes (AB), about 14 to 24; bright ones are near."""
    rmag = magnitudes(rmag)
    subtype = draw_kinds(rng, len(rmag))
    z = draw_redshifts(rng, rmag, subtype, Z_MAX)
    return assemble(rng, rmag, subtype, z, population_light(rng, subtype))


def draw_kinds(rng: Generator, count: int) -> StrArray:
    """TRUESUBTYPE of some galaxies, by the fractions of `KINDS`."""
    fractions = np.array([kind.fraction for kind in KINDS.values()])
    return rng.choice(np.array(list(KINDS)), size=count, p=fractions / fractions.sum())


def draw_redshifts(rng: Generator, rmag: FloatArray, subtype: StrArray, z_max: float) -> FloatArray:
    """Redshifts, 0.0005 to `z_max`, at which galaxies of some kinds have their r magnitudes."""
    nodes = np.concatenate([np.geomspace(5e-4, 0.05, 60), np.linspace(0.051, z_max, 400)])
    modulus = 5 * np.log10(luminosity_distance(nodes) * 1e5)
    mean, sigma = _pair(subtype, "magnitude")
    absolute = mean + sigma * rng.standard_normal(len(subtype))
    z = np.empty(len(rmag))
    for name, kind in KINDS.items():
        rows = subtype == name
        z[rows] = np.interp((rmag - absolute)[rows], modulus + kind.fading * nodes, nodes)
    # No galaxy outshines -24.5: the brightest of clusters.
    brightest = np.interp(rmag + 24.5, modulus + nodes, nodes)
    uniform = rng.uniform(size=len(z)) * np.minimum(brightest, z_max)
    z = np.where(rng.uniform(size=len(z)) < _ANY_REDSHIFT, uniform, np.minimum(z, brightest))
    return np.asarray(np.clip(z, nodes[0], z_max), dtype=np.float64)


def population_light(rng: Generator, subtype: StrArray) -> Float32Array:
    """Starlight of galaxies before dust, on `STAR_FRAME`."""
    weights = age_weights(rng, subtype, LOG_AGES)
    spectra = populations()
    # Old, massive galaxies are rich in metals (Gallazzi et al. 2005, MNRAS 362, 41).
    middle = np.where(np.isin(subtype, ("HII", "STARBURST")), 0.25, 0.8)
    rich = np.clip(middle + 0.2 * rng.standard_normal(len(subtype)), 0.0, 1.0)
    rich = rich[:, None].astype(np.float32)
    light = (weights * (1 - rich)) @ spectra[0] + (weights * rich) @ spectra[1]
    return np.asarray(light, dtype=np.float32)


def age_weights(rng: Generator, subtype: StrArray, log_ages: FloatArray) -> Float32Array:
    """Fractions of the light at 5500 A by age, log10 [Gyr]: three bursts; (nspec, nages)."""
    young, middle = _draw(rng, subtype, "young"), _draw(rng, subtype, "middle")
    parts = np.stack([young, middle, np.maximum(1 - young - middle, 0.0)], axis=1)
    parts /= parts.sum(axis=1, keepdims=True)
    count = len(subtype)
    centres = np.stack(
        [rng.uniform(*limits, count) for limits in ((-2.4, -1.5), (-0.8, 0.1), (0.4, 1.1))], axis=1
    )
    bursts = np.exp(-0.5 * ((log_ages - centres[:, :, None]) / 0.2) ** 2)
    bursts /= bursts.sum(axis=2, keepdims=True)
    return np.asarray(np.einsum("ij,ijk->ik", parts, bursts), dtype=np.float32)


def assemble(
    rng: Generator, rmag: FloatArray, subtype: StrArray, z: FloatArray, starlight: Float32Array
) -> Objects:
    """Galaxies from starlight on `STAR_FRAME`: dust, motion, emission and absorption, magnitude."""
    means = np.array([KINDS[name].dust for name in subtype])
    gas_dust = np.minimum(means * rng.exponential(size=len(z)), 1.5)
    wave = STAR_FRAME.wave
    light = starlight + _nuclear_light(rng, subtype, wave)
    light = redden(light, starburst_extinction(wave), STARS_TO_GAS * gas_dust)
    level = light[:, STAR_FRAME.near(nebular.WAVELENGTHS["HBETA"])].mean(axis=1)
    flux = broaden(shift(light, z), _draw(rng, subtype, "sigma"))
    width = _draw(rng, subtype, "fwhm")
    flux *= _gas_transmission(rng, subtype, z, gas_dust)
    median, dex = _pair(subtype, "hbeta")
    scatter = dex * np.log(10.0) * np.clip(rng.standard_normal(len(z)), -3, 3)
    hbeta = np.exp(np.log(median) + scatter)
    nitrogen, oxygen = _ratios(rng, subtype)
    fluxes = _emission(rng, nitrogen, oxygen, subtype, gas_dust)
    _add_emission(rng, flux, fluxes, hbeta * level, z, width, subtype)
    objects = finished("GALAXY", flux, subtype, z, rmag)
    own = {
        "FWHM_EMISSION": width,  # [km/s]
        "EW_HBETA": hbeta,  # [rest Angstrom]
        "LOG_N2": nitrogen,  # log10 [NII]/Halpha
        "LOG_O3": oxygen,  # log10 [OIII]/Hbeta
    }
    return Objects(objects.flux, {**objects.truth, **own})


def _draw(rng: Generator, subtype: StrArray, field: str) -> FloatArray:
    """A property of each galaxy, drawn evenly between the two numbers that its kind gives."""
    low, high = _pair(subtype, field)
    return np.asarray(low + (high - low) * rng.uniform(size=len(low)), dtype=np.float64)


def _pair(subtype: StrArray, field: str) -> tuple[FloatArray, FloatArray]:
    """The two numbers that each galaxy's kind gives of a property."""
    pairs = np.array([getattr(KINDS[name], field) for name in subtype], dtype=np.float64)
    first, second = pairs.reshape(-1, 2).T
    return first, second


def _ratios(rng: Generator, subtype: StrArray) -> tuple[FloatArray, FloatArray]:
    """log10 [NII] / Halpha and [OIII] / Hbeta of the galaxies, by kind."""
    nitrogen = _draw(rng, subtype, "nitrogen")
    oxygen = np.empty(len(subtype))
    for names, draw in (
        (("SF", "STARBURST", "HII"), nebular.star_forming),
        (("COMPOSITE",), nebular.composite),
        (("SEYFERT2",), nebular.seyfert),
        (_LINERS, nebular.liner),
    ):
        rows = np.isin(subtype, names)
        oxygen[rows] = draw(rng, nitrogen[rows])
    return nitrogen, oxygen


def _emission(
    rng: Generator,
    nitrogen: FloatArray,
    oxygen: FloatArray,
    subtype: StrArray,
    gas_dust: FloatArray,
) -> FloatArray:
    """Line fluxes against Hbeta behind dust, shape (nspec, nlines), order of WAVELENGTHS."""
    liners = np.isin(subtype, _LINERS)
    active = liners | (subtype == "SEYFERT2")
    fluxes = nebular.line_fluxes(rng, nitrogen, oxygen, active, liners)
    rest = np.array(list(nebular.WAVELENGTHS.values()))
    curve = starburst_extinction(rest)
    hbeta = starburst_extinction(np.array([nebular.WAVELENGTHS["HBETA"]]))
    dimming = 10 ** (-0.4 * np.outer(gas_dust, curve - hbeta))
    return np.stack(list(fluxes.values()), axis=1) * dimming


def _add_emission(
    rng: Generator,
    flux: Float32Array,
    fluxes: FloatArray,
    hbeta: FloatArray,
    z: FloatArray,
    width: FloatArray,
    subtype: StrArray,
) -> None:
    """Add emission lines, relative to `hbeta`, to spectra on `FRAME`, in place."""
    rest = np.array(list(nebular.WAVELENGTHS.values()))
    wave, area = np.outer(1 + z, rest), fluxes * (hbeta * (1 + z))[:, None]
    sigma = (width / FWHM_OVER_SIGMA)[:, None]
    rows = np.arange(len(z))[:, None]
    # Outflows give the [OIII] lines of many Seyferts blue wings of about 1000 km/s (Mullaney et al.
    # 2013, MNRAS 433, 622). Forbidden lines only: permitted ones stay narrow.
    names = list(nebular.WAVELENGTHS)
    wings = [names.index("OIII_4960"), names.index("OIII_5008")]
    windy = (subtype == "SEYFERT2") & (rng.uniform(size=len(z)) < 0.4)
    in_wing = np.where(windy, rng.uniform(0.1, 0.5, len(z)), 0.0)[:, None]
    away = 1 - rng.uniform(100, 400, len(z))[:, None] / SPEED_OF_LIGHT
    broad = rng.uniform(600, 1500, len(z))[:, None] / FWHM_OVER_SIGMA
    add_gaussians(flux, gaussians(rows, wave[:, wings] * away, broad, area[:, wings] * in_wing))
    area[:, wings] *= 1 - in_wing
    add_gaussians(flux, gaussians(rows, wave, sigma, area))


def _nuclear_light(rng: Generator, subtype: StrArray, wave: FloatArray) -> Float32Array:
    """Scattered light of the hidden nucleus of Seyferts, and nebular continuum of HII galaxies."""
    # wave^-1.5 (Vanden Berk et al. 2001, AJ 122, 549), up to a fifth of the light at 5500 A in a
    # Seyfert (Kauffmann et al. 2003, section 2).
    count = len(subtype)
    most = np.where(subtype == "SEYFERT2", 0.2, np.where(subtype == "HII", 0.1, 0.0))
    fraction = most * rng.uniform(size=count)
    slope = -1.5 + 0.3 * rng.standard_normal(count)
    power = np.exp(np.outer(slope, np.log(wave / 5500.0)).astype(np.float32))
    return np.asarray(fraction[:, None].astype(np.float32) * power, dtype=np.float32)


def _gas_transmission(
    rng: Generator, subtype: StrArray, z: FloatArray, gas_dust: FloatArray
) -> Float32Array:
    """Transmission of the gas of the galaxy, often flowing out, on `FRAME`."""
    # Widths of Mg II 2796 [A] and outflows [km/s] of Weiner et al. (2009, ApJ 692, 187); Na I grows
    # with dust (Chen et al. 2010).
    count = len(z)
    depth = np.zeros((count, NPIX), dtype=np.float32)
    dusty = np.isin(subtype, ("SF", "STARBURST", "COMPOSITE", "SEYFERT2"))
    width = np.where(dusty, rng.uniform(0.3, 4.0, count), rng.uniform(0.0, 0.8, count))
    sodium = width * np.minimum(gas_dust / 0.3, 2.0)
    rest, ratio = np.transpose(_GAS)
    equivalent = np.where(rest > 5000.0, sodium[:, None], width[:, None]) * ratio
    away = 1 - np.abs(rng.normal(0, 130, count))[:, None] / SPEED_OF_LIGHT
    centre = np.outer(1 + z, rest) * away
    sigma = rng.uniform(80, 220, count)[:, None]
    add_gaussians(
        depth, gaussians(np.arange(count)[:, None], centre, sigma, equivalent * (1 + z)[:, None])
    )
    return np.exp(-depth)
