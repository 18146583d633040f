"""Sources of objects: the parametric models, or templates."""

from __future__ import annotations

import os
from typing import Any, Protocol

from numpy.random import Generator

from qnet.core.arrays import FloatArray
from qnet.core.errors import InputError
from qnet.simulation.frame import Objects
from qnet.simulation.quasars import parametric
from qnet.simulation.stars_galaxies import galaxies, stars
from qnet.simulation.templates import Templates


class Source(Protocol):
    """Maker of objects of redshifts and r magnitudes, shape (nspec,) each."""

    def quasars(self, rng: Generator, z: FloatArray, rmag: FloatArray) -> Objects:
        """Quasars."""

    def galaxies(self, rng: Generator, rmag: FloatArray) -> Objects:
        """Galaxies."""

    def stars(self, rng: Generator, rmag: FloatArray) -> Objects:
        """Stars."""


class Parametric:
    """Objects of the parametric models."""

    quasars = staticmethod(parametric.make)
    galaxies = staticmethod(galaxies.make)
    stars = staticmethod(stars.make)


def as_source(templates: Any) -> Source | None:
    """Templates of a folder; ready-made ones, or None, as they are."""
    names = ("quasars", "galaxies", "stars")
    if templates is None or all(hasattr(templates, name) for name in names):
        source: Source | None = templates
        return source
    if not isinstance(templates, (str, os.PathLike)):
        raise InputError(
            f"templates must be a folder or templates read from one, not {type(templates).__name__}"
        )
    return Templates.read(templates)
