"""Where objects come from: the parametric models, or templates."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from qnet.core.arrays import FloatArray
from qnet.core.errors import InputError
from qnet.core.files import sha256
from qnet.simulation.frame import Objects


class Source(Protocol):
    """What makes objects of redshifts and r magnitudes, shape (nspec,) each."""

    def quasars(self, rng: np.random.Generator, z: FloatArray, rmag: FloatArray) -> Objects:
        """Quasars."""

    def galaxies(self, rng: np.random.Generator, rmag: FloatArray) -> Objects:
        """Galaxies."""

    def stars(self, rng: np.random.Generator, rmag: FloatArray) -> Objects:
        """Stars."""


class Parametric:
    """Objects of the parametric models."""

    def quasars(self, rng: np.random.Generator, z: FloatArray, rmag: FloatArray) -> Objects:
        """Quasars of `qnet.simulation.quasars.parametric`."""
        from qnet.simulation.quasars import parametric

        return parametric.make(rng, z, rmag)

    def galaxies(self, rng: np.random.Generator, rmag: FloatArray) -> Objects:
        """Galaxies of `qnet.simulation.stars_galaxies.galaxies`."""
        from qnet.simulation.stars_galaxies import galaxies

        return galaxies.make(rng, rmag)

    def stars(self, rng: np.random.Generator, rmag: FloatArray) -> Objects:
        """Stars of `qnet.simulation.stars_galaxies.stars`."""
        from qnet.simulation.stars_galaxies import stars

        return stars.make(rng, rmag)


def read_templates(templates: Any) -> tuple[Source | None, str]:
    """Templates, and what identifies them.

    Parameters
    ----------
    templates : path, Source or None
        A folder that `qnet.simulation.templates.Templates` reads, or ready-made templates.

    Returns
    -------
    source : Source or None
    digest : str
        SHA-256 of the names and contents of the folder's .fits files; the attribute `sha256` of
        ready-made templates, or ''.

    Raises
    ------
    InputError
        The argument is neither a path nor has it the methods of a Source.
    MissingFileError, FileError
        The templates are not there or damaged.
    """
    if templates is None:
        return None, ""
    if all(hasattr(templates, name) for name in ("quasars", "galaxies", "stars")):
        return templates, str(getattr(templates, "sha256", ""))
    if not isinstance(templates, (str, os.PathLike)):
        raise InputError(
            f"templates must be a folder or templates read from one, not {type(templates).__name__}"
        )
    from qnet.simulation.templates import Templates

    source: Source = Templates.read(templates)
    folder = Path(templates)
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.fits")):
        digest.update(f"{path.relative_to(folder)} {sha256(path)}\n".encode())
    return source, digest.hexdigest()
