"""Galaxies and stars drawn from template files of redrock and redmonster."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from qnet.core.arrays import Float32Array, FloatArray, StrArray
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.frame import (
    LOGLAM_STEP,
    NPIX,
    STAR_FRAME,
    Objects,
    finished,
    magnitudes,
    shift,
)
from qnet.simulation.population import merge
from qnet.simulation.quasars import continuum
from qnet.simulation.stars_galaxies import galaxies, stars
from qnet.simulation.stars_galaxies.starlight import broaden, redden, starburst_extinction
from qnet.simulation.template_files import TemplateSet

#: Fractions of redrock's files among stars, by RRSUBTYP: those of `stars.KINDS`, summed over what
#: each file holds. Files of other names get the smallest.
_STAR_FRACTIONS = {
    "B": 0.06, "A": 0.13, "F": 0.19, "G": 0.12, "K": 0.10, "M": 0.15, "WD": 0.17, "CV": 0.04,
    "CARBON": 0.02, "LDWARF": 0.02,
}  # fmt: skip

#: Fraction of galaxies and stars drawn from redmonster's files where there are any.
_REDMONSTER = 0.35

#: Highest redshift of galaxies from redmonster's populations, which begin at 1525 Angstrom.
_POPULATION_Z_MAX = 1.28


def draw_galaxies(rng: Generator, files: Sequence[TemplateSet], rmag: npt.ArrayLike) -> Objects:
    """Galaxies, as `templates.Templates.galaxies` describes it."""
    rmag = magnitudes(rmag)
    sets = [each for each in files if each.log_ages is None]
    aged = [each for each in files if each.log_ages is not None]
    from_ages = rng.uniform(size=len(rmag)) < (_REDMONSTER if aged else 0.0)
    parts = []
    for pool, draw, chosen in (
        (sets, _vector_galaxies, ~from_ages),
        (aged, _population_galaxies, from_ages),
    ):
        rows = np.flatnonzero(chosen)
        if rows.size:
            parts.append((rows, draw(rng, pool[rng.integers(len(pool))], rmag[rows])))
    return merge(parts, len(rmag))


def draw_stars(rng: Generator, sets: Sequence[TemplateSet], rmag: npt.ArrayLike) -> Objects:
    """Stars, as `templates.Templates.stars` describes it."""
    rmag = magnitudes(rmag)
    count, least = len(rmag), min(_STAR_FRACTIONS.values())
    several = np.array([len(each.names) > 1 for each in sets])
    chances = np.array([_STAR_FRACTIONS.get(each.names[0].upper(), least) for each in sets])
    chances[several] = chances[~several].sum() * _REDMONSTER / (1 - _REDMONSTER)
    chosen = rng.choice(len(sets), size=count, p=chances / chances.sum())
    halo = rng.uniform(size=count) < 0.5
    flux = np.empty((count, NPIX), dtype=np.float32)
    subtype = np.full(count, "", dtype="U12")
    z = np.empty(count)
    for number, each in enumerate(sets):
        rows = np.flatnonzero(chosen == number)
        if rows.size:
            mixed, names = _star_mix(rng, each, rows.size)
            subtype[rows] = names
            z[rows] = stars.draw_velocities(rng, names, halo[rows]) / SPEED_OF_LIGHT
            flux[rows] = shift(mixed, z[rows], start=each.start)
    return stars.finish(rng, flux, rmag, z, subtype)


def _pairs(rng: Generator, each: TemplateSet, count: int) -> Float32Array:
    """Spectra of unit mean: rows of coefficients, half of them mixed with a second row."""
    # Without coefficients: the first vector, and about a tenth of each other one.
    if each.coefficients is None:
        weights = np.zeros((count, len(each.vectors)))
        weights[:, 0] = 1.0
        size = np.abs(each.vectors).mean(axis=1)
        weights[:, 1:] = 0.1 * rng.standard_normal((count, len(size) - 1)) * size[0] / size[1:]
        spectra = weights.astype(np.float32) @ each.vectors
        return np.asarray(spectra / spectra.mean(axis=1, keepdims=True), dtype=np.float32)
    rows = rng.integers(len(each.coefficients), size=(2, count))
    coefficients = each.coefficients[rows]
    level = coefficients @ each.vectors.mean(axis=1).astype(np.float64)
    coefficients = coefficients / level[:, :, None]
    second = np.where(rng.uniform(size=count) < 0.5, rng.uniform(size=count), 0.0)[:, None]
    mixed = (1 - second) * coefficients[0] + second * coefficients[1]
    return np.asarray(mixed.astype(np.float32) @ each.vectors, dtype=np.float32)


def _vector_galaxies(rng: Generator, each: TemplateSet, rmag: FloatArray) -> Objects:
    """Galaxies from redrock's vectors."""
    count = len(rmag)
    light = _pairs(rng, each, count)
    wave = each.wave
    blue = light[:, (wave > 3850) & (wave < 3950)].mean(axis=1)
    red = light[:, (wave > 4000) & (wave < 4100)].mean(axis=1)
    # The break that separates quiet galaxies (Kauffmann et al. 2003, MNRAS 341, 33).
    subtype = np.where(red > 1.5 * blue, "PASSIVE", "SF")
    z = galaxies.draw_redshifts(rng, rmag, subtype, galaxies.Z_MAX)
    light = redden(light, starburst_extinction(wave), np.minimum(rng.exponential(0.05, count), 0.5))
    flux = broaden(shift(light, z, start=each.start), rng.uniform(0.0, 200.0, count))
    flux *= continuum.tilt(z, np.clip(0.1 * rng.standard_normal(count), -0.3, 0.3))
    return finished("GALAXY", flux, subtype, z, rmag)


def _population_galaxies(rng: Generator, each: TemplateSet, rmag: FloatArray) -> Objects:
    """Galaxies from redmonster's populations."""
    subtype = galaxies.draw_kinds(rng, len(rmag))
    z = galaxies.draw_redshifts(rng, rmag, subtype, _POPULATION_Z_MAX)
    level = each.vectors[:, (each.wave > 5450) & (each.wave < 5550)].mean(axis=1, keepdims=True)
    ages = np.asarray(each.log_ages, dtype=np.float64)
    light = galaxies.age_weights(rng, subtype, ages) @ (each.vectors / level)
    # To the pixels of `STAR_FRAME`: linear between pixels, end values beyond the ends.
    first = (STAR_FRAME.start - each.start) / LOGLAM_STEP
    pixel = np.clip(first + np.arange(STAR_FRAME.npix), 0, light.shape[1] - 1)
    left = np.minimum(pixel.astype(np.int64), light.shape[1] - 2)
    weight = (pixel - left).astype(np.float32)
    seen = np.asarray(light[:, left] * (1 - weight) + light[:, left + 1] * weight, dtype=np.float32)
    return galaxies.assemble(rng, rmag, subtype, z, seen)


def _star_mix(rng: Generator, each: TemplateSet, count: int) -> tuple[Float32Array, StrArray]:
    """Stars of one file in the rest frame, and their kinds."""
    if len(each.names) > 1:
        rows = rng.integers(len(each.vectors), size=count)
        return each.vectors[rows], np.array([_kind_of(each.names[row]) for row in rows])
    return _pairs(rng, each, count), np.full(count, _kind_of(each.names[0]))


def _kind_of(name: str) -> str:
    """TRUESUBTYPE for a star's name in a file: 'A0 (19510)' is 'A', 'WDhotter' is 'WD'."""
    upper = name.upper()
    if "WD" in upper:
        return "WD"
    for start, kind in (("CARBON", "CARBON"), ("LDWARF", "L"), ("CV", "CV"), ("SD", "SUBDWARF")):
        if upper.startswith(start):
            return kind
    return upper[:1]
