"""Sources of objects: parametric models, or the templates of redrock and redmonster.

The templates are read from a folder of the user's; qnet holds none of them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments
from qnet.core.arrays import FloatArray
from qnet.core.errors import InputError, type_name
from qnet.core.files import PathLike, sha256
from qnet.simulation.absorption import bal
from qnet.simulation.frame import Objects
from qnet.simulation.quasars import parametric
from qnet.simulation.quasars import templates as quasar_templates
from qnet.simulation.stars_galaxies import galaxies, stars
from qnet.simulation.stars_galaxies import templates as star_templates
from qnet.simulation.template_files import TemplateSet, read_templates


class Source(Protocol):
    """Maker of objects of redshifts and r magnitudes, shape (nspec,) each."""

    def quasars(self, rng: np.random.Generator, z: FloatArray, rmag: FloatArray) -> Objects:
        """Quasars."""

    def galaxies(self, rng: np.random.Generator, rmag: FloatArray) -> Objects:
        """Galaxies."""

    def stars(self, rng: np.random.Generator, rmag: FloatArray) -> Objects:
        """Stars."""


class Parametric:
    """Objects of the parametric models."""

    quasars = staticmethod(parametric.make)
    galaxies = staticmethod(galaxies.make)
    stars = staticmethod(stars.make)


@dataclasses.dataclass(frozen=True, eq=False)
class Templates:
    """Spectral templates from which quasars, galaxies and stars are drawn.

    Made by `Templates.read`, or by `qnet.simulate` from the name of a folder.

    Attributes
    ----------
    sets : tuple of TemplateSet
        The templates of each file: `path`, `kind` ('QSO', 'GALAXY', 'STAR'), `names`, `wave`
        [Angstrom, vacuum, shape (npix,)], `vectors` (shape (nvector, npix)).
    sha256 : str
        SHA-256 of the names and contents of the folder's .fits files.

    Examples
    --------
    Files with the structure of redrock's, of made-up spectra:

    >>> import fitsio
    >>> import numpy as np
    >>> from qnet.simulation import Templates
    >>> wave = 10 ** (2.85 + 1e-4 * np.arange(11500))
    >>> for kind in ("QSO", "GALAXY", "STAR"):
    ...     cards = {"CRVAL1": 2.85, "CDELT1": 1e-4, "LOGLAM": 1, "RRTYPE": kind}
    ...     with fitsio.FITS(f"rrtemplate-{kind}.fits", "rw") as file:
    ...         file.write((wave / 5000)[None] ** -1.5, extname="BASIS_VECTORS", header=cards)
    ...         file.write(np.array([0.0, 7.0]), extname="REDSHIFTS")
    >>> templates = Templates.read(".")
    >>> [each.kind for each in templates.sets]
    ['GALAXY', 'QSO', 'STAR']
    >>> stars = templates.stars(np.random.default_rng(0), [18.0, 19.0])
    >>> stars.flux.shape, stars.truth["RMAG"].tolist()
    ((2, 4780), [18.0, 19.0])
    """

    sets: tuple[TemplateSet, ...]
    sha256: str = ""

    @classmethod
    def read(cls, folder: PathLike) -> Self:
        """Templates of the files in a folder and the folders in it.

        Parameters
        ----------
        folder : str or path
            Must hold redrock's files (``rrtemplate-*.fits``) of quasars, galaxies and stars; may
            hold redmonster's (``ndArch-spEigenStar-*.fits``, ``ndArch-ssp_*.fits``).

        Returns
        -------
        Templates

        Raises
        ------
        MissingFileError
            The folder is missing, or has no template file of one of the kinds.
        FileError
            A file is damaged or is not a template file.
        """
        check_arguments(Templates.read, locals())
        sets = tuple(read_templates(folder))
        root, digest = Path(folder), hashlib.sha256()
        for path in sorted(root.rglob("*.fits")):
            digest.update(f"{path.relative_to(root)} {sha256(path)}\n".encode())
        return cls(sets, digest.hexdigest())

    def quasars(
        self,
        rng: np.random.Generator,
        z: npt.ArrayLike,
        rmag: npt.ArrayLike,
        *,
        bal_fraction: float = bal.FRACTION,
    ) -> Objects:
        """Draw quasars.

        The vectors are added to the first with random weights. The lines are made stronger or
        weaker, and the spectrum is tilted by a power law and reddened. The templates hold no forest
        (redrock's for high redshift were corrected for its mean absorption; Bault et al. 2024,
        arXiv:2402.18009). So hydrogen, metals and broad absorption are drawn as for parametric
        quasars.

        Parameters
        ----------
        rng : numpy.random.Generator
            The same state gives the same spectra.
        z : array_like, shape (nspec,)
            Redshifts from 0 to 7. A file is used in its own range. Outside of all ranges the
            nearest file is used.
        rmag : array_like, shape (nspec,)
            r magnitudes (AB) before the absorption by hydrogen.
        bal_fraction : float, optional
            Fraction of quasars with broad absorption where CIV is in view.

        Returns
        -------
        Objects
            `flux` [1e-17 erg/s/cm2/Angstrom], shape (nspec, 4780), in steps of 1e-4 from 3.5440 in
            log10 of the vacuum wavelength; pixels beyond a template's ends hold its end value
            (z < 0.09 only). `truth`: TRUEZ, TRUESPECTYPE 'QSO', TRUESUBTYPE 'BAL' or '',
            BAL_FLAG_VI (1 where a trough is seen), BI_CIV, AI_CIV [km/s], LOBAL, RMAG, EBV,
            LOG_L1700.

        Raises
        ------
        InputError
            `z` or `rmag` is not one-dimensional and finite, their lengths differ, a redshift is
            out of range, or `bal_fraction` is not between 0 and 1.
        """
        check_arguments(Templates.quasars, locals())
        return quasar_templates.draw(rng, self._of("QSO"), z, rmag, bal_fraction=bal_fraction)

    def galaxies(self, rng: np.random.Generator, rmag: npt.ArrayLike) -> Objects:
        """Draw galaxies.

        From redrock's vectors with the coefficients of real galaxies, mixed in random pairs; and
        from redmonster's populations in the mixes of ages, with the dust and the lines, of
        parametric galaxies.

        Parameters
        ----------
        rng : numpy.random.Generator
            The same state gives the same spectra.
        rmag : array_like, shape (nspec,)
            r magnitudes (AB).

        Returns
        -------
        Objects
            As of `quasars`. TRUESUBTYPE of those from redrock's file is 'PASSIVE' or 'SF' by the
            break at 4000 Angstrom, and their FWHM_EMISSION [km/s], EW_HBETA [Angstrom], LOG_N2 and
            LOG_O3 are NaN.

        Raises
        ------
        InputError
            `rmag` is not one-dimensional and finite.
        """
        return star_templates.draw_galaxies(rng, self._of("GALAXY"), rmag)

    def stars(self, rng: np.random.Generator, rmag: npt.ArrayLike) -> Objects:
        """Draw stars.

        From redrock's vectors with the coefficients of real stars, mixed in random pairs, and from
        redmonster's archetypes as they are; velocities, dust and a tilt as for parametric stars.

        Parameters
        ----------
        rng : numpy.random.Generator
            The same state gives the same spectra.
        rmag : array_like, shape (nspec,)
            r magnitudes (AB).

        Returns
        -------
        Objects
            As of `quasars`; TRUEZ is the radial velocity over the speed of light, TRUESUBTYPE the
            kind that the file names.

        Raises
        ------
        InputError
            `rmag` is not one-dimensional and finite.
        """
        return star_templates.draw_stars(rng, self._of("STAR"), rmag)

    def _of(self, kind: str) -> list[TemplateSet]:
        """The templates of one kind."""
        return [each for each in self.sets if each.kind == kind]


def as_source(templates: Any) -> Source | None:
    """Templates of a folder; ready-made ones, or None, as they are."""
    names = ("quasars", "galaxies", "stars")
    if templates is None or all(callable(getattr(type(templates), name, None)) for name in names):
        source: Source | None = templates
        return source
    if not isinstance(templates, (str, os.PathLike)):
        raise InputError(
            f"templates must be a folder or templates read from one, not {type_name(templates)}"
        )
    return Templates.read(templates)
