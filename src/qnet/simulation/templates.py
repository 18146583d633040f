"""Objects drawn from the spectral templates of redrock and redmonster.

The templates are read from a folder of the user's; qnet holds none of them.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import FloatArray
from qnet.core.files import PathLike
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.absorption import bal
from qnet.simulation.frame import LOGLAM_STEP, NPIX, Objects, scale_to_r
from qnet.simulation.population import merge
from qnet.simulation.quasars import continuum, templates
from qnet.simulation.restframe import (
    REST_NPIX,
    REST_START,
    SpectrumArray,
    broaden,
    magnitudes,
    positive,
    redden,
    shift,
    starburst_extinction,
)
from qnet.simulation.stars_galaxies import galaxies, stars
from qnet.simulation.template_files import TemplateSet, read_templates

#: Shares of redrock's files among stars, by RRSUBTYP: those of `stars.KINDS`, summed
#: over what each file holds. Files of other names get the smallest.
_STAR_SHARES = {
    "B": 0.06, "A": 0.13, "F": 0.19, "G": 0.12, "K": 0.10, "M": 0.15, "WD": 0.17, "CV": 0.04,
    "CARBON": 0.02, "LDWARF": 0.02,
}  # fmt: skip

#: Share of galaxies and stars drawn from redmonster's files where there are any.
_REDMONSTER = 0.35

#: Highest redshift of galaxies from redmonster's populations, which begin at 1525 Angstrom.
_POPULATION_Z_MAX = 1.28


@dataclasses.dataclass(frozen=True, eq=False)
class Templates:
    """Templates to draw objects from; made by `Templates.read`.

    Attributes
    ----------
    sets : tuple of TemplateSet
        The files.
    """

    sets: tuple[TemplateSet, ...]

    @classmethod
    def read(cls, folder: PathLike) -> Self:
        """Read the template files in a folder.

        Parameters
        ----------
        folder : str or path
            As `qnet.simulation.template_files.read_templates` describes it.

        Raises
        ------
        MissingFileError, FileError
            Files are missing or damaged.
        """
        return cls(tuple(read_templates(folder)))

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(each.path for each in self.sets)

    def quasars(
        self,
        rng: np.random.Generator,
        z: FloatArray,
        rmag: FloatArray,
        *,
        bal_fraction: float = bal.FRACTION,
    ) -> Objects:
        """Draw quasars.

        The vectors are mixed at random about the first, the lines made stronger or weaker (see
        `qnet.simulation.quasars.templates`), the whole tilted by a power law and reddened. The
        templates hold no forest (redrock's for high redshift were corrected for its mean
        absorption; Bault et al. 2024, arXiv:2402.18009): hydrogen, metals and broad absorption are
        drawn as for parametric quasars.

        Parameters
        ----------
        rng : Generator
        z : ndarray of float64, shape (nspec,)
            Redshifts. A file is used in its own range; outside of all ranges the nearest is.
        rmag : ndarray of float64, shape (nspec,)
            r magnitudes (AB) before the absorption by hydrogen.
        bal_fraction : float, optional
            As for `qnet.simulation.quasars.parametric.make`.

        Returns
        -------
        Objects
            Pixels beyond a template's ends hold its end value (z < 0.09 only). Truth: TRUEZ,
            TRUESPECTYPE 'QSO', TRUESUBTYPE 'BAL' or '', BAL_FLAG_VI, BI_CIV, AI_CIV [km/s], LOBAL,
            RMAG, EBV, LOG_L1700.

        Raises
        ------
        InputError
            `z` or `rmag` is not one-dimensional and finite, their lengths differ, a redshift is
            negative or above 7, or `bal_fraction` is not between 0 and 1.
        """
        return templates.draw(rng, self._of("QSO"), z, rmag, bal_fraction=bal_fraction)

    def galaxies(self, rng: np.random.Generator, rmag: FloatArray) -> Objects:
        """Draw galaxies.

        From redrock's vectors with the coefficients of real galaxies, mixed in random pairs; and
        from redmonster's populations in the mixes of ages, with the dust and the lines, of
        `stars_galaxies.galaxies`.

        Parameters
        ----------
        rng : Generator
        rmag : ndarray of float64, shape (nspec,)
            r magnitudes (AB).

        Returns
        -------
        Objects
            Truth as `stars_galaxies.galaxies.make`; of those from redrock's file the measures of
            lines are NaN and TRUESUBTYPE is 'PASSIVE' or 'SF' by the break at 4000 A.
        """
        rmag = magnitudes(rmag)
        sets = [each for each in self._of("GALAXY") if each.log_ages is None]
        aged = [each for each in self._of("GALAXY") if each.log_ages is not None]
        from_ages = rng.uniform(size=len(rmag)) < (_REDMONSTER if aged else 0.0)
        parts = []
        for rows in (np.flatnonzero(~from_ages), np.flatnonzero(from_ages)):
            if rows.size:
                draw = _population_galaxies if from_ages[rows[0]] else _vector_galaxies
                pool = aged if from_ages[rows[0]] else sets
                parts.append((rows, draw(rng, pool[rng.integers(len(pool))], rmag[rows])))
        return merge(parts, len(rmag))

    def stars(self, rng: np.random.Generator, rmag: FloatArray) -> Objects:
        """Draw stars.

        From redrock's vectors with the coefficients of real stars, mixed in random pairs, and from
        redmonster's archetypes as they are; velocities, dust and a tilt as for parametric stars.

        Parameters
        ----------
        rng : Generator
        rmag : ndarray of float64, shape (nspec,)
            r magnitudes (AB).

        Returns
        -------
        Objects
            Truth as `stars_galaxies.stars.make`; TRUESUBTYPE as the files name them.
        """
        rmag = magnitudes(rmag)
        count = len(rmag)
        sets = self._of("STAR")
        several = np.array([len(each.names) > 1 for each in sets])
        shares = np.array(
            [_STAR_SHARES.get(each.names[0].upper(), min(_STAR_SHARES.values())) for each in sets]
        )
        shares[several] = shares[~several].sum() * _REDMONSTER / (1 - _REDMONSTER)
        chosen = rng.choice(len(sets), size=count, p=shares / shares.sum())
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

    def _of(self, kind: str) -> list[TemplateSet]:
        return [each for each in self.sets if each.kind == kind]


def _pairs(rng: np.random.Generator, each: TemplateSet, count: int) -> SpectrumArray:
    """Spectra of unit mean: rows of coefficients, half of them mixed with a second row.

    Convex mixes of real objects are positive and lie among them; files without coefficients give
    the first vector, and up to a tenth of each other one.
    """
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
    share = np.where(rng.uniform(size=count) < 0.5, rng.uniform(size=count), 0.0)[:, None]
    mixed = (1 - share) * coefficients[0] + share * coefficients[1]
    return np.asarray(mixed.astype(np.float32) @ each.vectors, dtype=np.float32)


def _vector_galaxies(rng: np.random.Generator, each: TemplateSet, rmag: FloatArray) -> Objects:
    """Galaxies from redrock's vectors."""
    count = len(rmag)
    light = _pairs(rng, each, count)
    wave = each.wave
    blue = light[:, (wave > 3850) & (wave < 3950)].mean(axis=1)
    red = light[:, (wave > 4000) & (wave < 4100)].mean(axis=1)
    # The break by which quiet galaxies are told (Kauffmann et al. 2003, MNRAS 341, 33).
    subtype = np.where(red > 1.5 * blue, "PASSIVE", "SF")
    z = galaxies.draw_redshifts(rng, rmag, subtype, galaxies.Z_MAX)
    light = redden(light, starburst_extinction(wave), np.minimum(rng.exponential(0.05, count), 0.5))
    flux = broaden(shift(light, z, start=each.start), rng.uniform(0.0, 200.0, count))
    tilt = np.clip(0.1 * rng.standard_normal(count), -0.3, 0.3)
    flux *= continuum.power_law(z, np.stack([tilt, tilt, tilt]))
    truth = {
        "TRUEZ": z,
        "TRUESPECTYPE": np.full(count, "GALAXY"),
        "TRUESUBTYPE": subtype,
        "BAL_FLAG_VI": np.zeros(count, dtype=np.int16),
        "BI_CIV": np.zeros(count),
        "RMAG": rmag,
    }
    return Objects(scale_to_r(positive(flux), rmag), truth)


def _population_galaxies(rng: np.random.Generator, each: TemplateSet, rmag: FloatArray) -> Objects:
    """Galaxies from redmonster's populations."""
    subtype = galaxies.draw_kinds(rng, len(rmag))
    z = galaxies.draw_redshifts(rng, rmag, subtype, _POPULATION_Z_MAX)
    level = each.vectors[:, (each.wave > 5450) & (each.wave < 5550)].mean(axis=1, keepdims=True)
    ages = np.asarray(each.log_ages, dtype=np.float64)
    light = galaxies.age_weights(rng, subtype, ages) @ (each.vectors / level)
    first = (REST_START - each.start) / LOGLAM_STEP
    place = np.asarray(first + np.arange(REST_NPIX), dtype=np.float64)
    return galaxies.assemble(rng, rmag, subtype, z, _resampled(light, place))


def _resampled(flux: SpectrumArray, place: FloatArray) -> SpectrumArray:
    """Spectra at fractional pixels, linear between them, end values beyond the ends."""
    place = np.clip(place, 0, flux.shape[1] - 1)
    left = np.minimum(place.astype(np.int64), flux.shape[1] - 2)
    share = (place - left).astype(np.float32)
    return np.asarray(flux[:, left] * (1 - share) + flux[:, left + 1] * share, dtype=np.float32)


def _star_mix(
    rng: np.random.Generator, each: TemplateSet, count: int
) -> tuple[SpectrumArray, npt.NDArray[np.str_]]:
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
