"""Where objects come from: the parametric models, or templates."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from qnet.errors import InputError
from qnet.files import sha256
from qnet.simulate.frame import FloatArray, Objects


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
        """Quasars of `qnet.simulate.quasars`."""
        from qnet.simulate import quasars

        return quasars.make(rng, z, rmag)

    def galaxies(self, rng: np.random.Generator, rmag: FloatArray) -> Objects:
        """Galaxies of `qnet.simulate.galaxies`."""
        from qnet.simulate import galaxies

        return galaxies.make(rng, rmag)

    def stars(self, rng: np.random.Generator, rmag: FloatArray) -> Objects:
        """Stars of `qnet.simulate.stars`."""
        from qnet.simulate import stars

        return stars.make(rng, rmag)


def read_templates(templates: Any) -> tuple[Source | None, str]:
    """Templates, and what identifies them.

    Parameters
    ----------
    templates : path, Source or None
        A folder that `qnet.simulate.templates.Templates` reads, or ready-made templates.

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
    from qnet.simulate.templates import Templates

    source: Source = Templates.read(templates)
    folder = Path(templates)
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.fits")):
        digest.update(f"{path.relative_to(folder)} {sha256(path)}\n".encode())
    return source, digest.hexdigest()
