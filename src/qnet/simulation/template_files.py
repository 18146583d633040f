"""Template files of redrock and redmonster: spectral shapes in the rest frame."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, Float32Array, FloatArray
from qnet.core.errors import FileError, MissingFileError
from qnet.core.files import PathLike
from qnet.io.fits.file import FitsFile
from qnet.simulation.frame import LOGLAM_STEP, Grid

#: Names of redrock's files, and of redmonster's stars and single-age populations.
REDROCK, ARCHETYPES, POPULATIONS = (
    "rrtemplate-*.fits",
    "ndArch-spEigenStar-*.fits",
    "ndArch-ssp_*.fits",
)

#: Kinds of objects in redrock's files (card RRTYPE).
_KINDS = ("QSO", "GALAXY", "STAR")

#: Pixels whose mean fills the ends of a template without data, and those cut at a ragged end.
_EDGE, _RAGGED = 50, 4


@dataclasses.dataclass(frozen=True, eq=False)
class TemplateSet:
    """The templates of one file."""

    path: Path
    kind: str  # 'QSO', 'GALAXY' or 'STAR'
    names: tuple[str, ...]  # one for all (redrock: card RRSUBTYP), or one each (redmonster's stars)
    start: float  # log10 of the first vacuum wavelength [Angstrom]; the step is `LOGLAM_STEP`
    # Flux densities, shape (nvector, npix); of redrock, the vectors of a linear combination. Ends
    # of one repeated value, which means no data, hold the mean of the nearest 50 pixels.
    vectors: Float32Array
    # Combinations that make real objects (HDU ARCHETYPE_COEFF), shape (nrow, nvector).
    coefficients: FloatArray | None = None
    redshifts: tuple[float, float] | None = None  # range of the template (HDU REDSHIFTS)
    log_ages: FloatArray | None = None  # of populations, log10 [Gyr], shape (nvector,)

    @property
    def wave(self) -> FloatArray:
        """Wavelengths in vacuum [Angstrom], shape (npix,)."""
        return Grid(self.start, self.vectors.shape[1]).wave


def read_templates(folder: PathLike) -> list[TemplateSet]:
    """All template files in a folder and the folders in it, in vacuum, in order of their names."""
    root = Path(folder)
    if not os.path.isdir(root):  # False also where the system takes no such name
        raise MissingFileError(f"{root}: no such folder; one of template files was expected")
    sets = [_read_redrock(path) for path in sorted(root.rglob(REDROCK))]
    missing = [kind for kind in _KINDS if kind not in {each.kind for each in sets}]
    if missing:
        raise MissingFileError(
            f"{root}: holds no redrock template ({REDROCK}) of kind {' or '.join(missing)}; "
            f"those of {', '.join(_KINDS)} were expected"
        )
    sets += [_read_redmonster(path, "STAR") for path in sorted(root.rglob(ARCHETYPES))]
    return sets + [_read_redmonster(path, "GALAXY") for path in sorted(root.rglob(POPULATIONS))]


def _read_redrock(path: Path) -> TemplateSet:
    """One of redrock's files: BASIS_VECTORS, maybe ARCHETYPE_COEFF, REDSHIFTS for quasars."""
    with FitsFile(path) as file:
        header = file.header("BASIS_VECTORS") if "BASIS_VECTORS" in file else {}
        kind = str(header.get("RRTYPE", "")).strip().upper()
        if kind not in _KINDS:
            raise FileError(
                f"{path}: HDU BASIS_VECTORS has RRTYPE = {kind!r}, but one of "
                f"{', '.join(_KINDS)} was expected"
            )
        log = header.get("LOGLAM", False) in (1, True)
        start, vectors = _on_grid(path, file.image("BASIS_VECTORS"), header, log=log)
        coefficients = redshifts = None
        if "ARCHETYPE_COEFF" in file:
            coefficients = _finite(path, "ARCHETYPE_COEFF", file.image("ARCHETYPE_COEFF"), 2)
            if coefficients.shape[1] != len(vectors) or not len(coefficients):
                raise FileError(
                    f"{path}: HDU ARCHETYPE_COEFF has shape {coefficients.shape}, but "
                    f"(nrow, {len(vectors)}) was expected, one column for each vector"
                )
        if kind == "QSO":
            limits = _finite(path, "REDSHIFTS", file.image("REDSHIFTS"), 1)
            redshifts = (float(limits.min()), float(limits.max()))
    name = str(header.get("RRSUBTYP", "")).strip()
    return TemplateSet(path, kind, (name,), start, vectors, coefficients, redshifts)


def _read_redmonster(path: Path, kind: str) -> TemplateSet:
    """Stars (names in cards N2_1 ..) or populations (ages by CRVAL2, CDELT2), one a row."""
    with FitsFile(path) as file:
        header = file.header(0)
        start, vectors = _on_grid(path, file.image(0), header, log=True)
    if kind == "GALAXY":
        first, step = _number(path, header, "CRVAL2"), _number(path, header, "CDELT2")
        ages = np.asarray(first + step * np.arange(len(vectors)), dtype=np.float64)
        return TemplateSet(path, kind, ("",), start, vectors, log_ages=ages)
    names = tuple(str(header.get(f"N2_{row + 1}", "")).strip() for row in range(len(vectors)))
    if not all(names):
        raise FileError(
            f"{path}: HDU number 0 lacks the card N2_{names.index('') + 1}: a star's name"
        )
    return TemplateSet(path, kind, names, start, vectors)


def _number(path: Path, header: Any, card: str) -> float:
    """A header card that must hold a number."""
    value = header.get(card)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise FileError(f"{path}: the card {card} holds {value!r}, but a number was expected")
    return float(value)


def _finite(path: Path, hdu: str, data: AnyArray, ndim: int) -> FloatArray:
    """An image as float64, which must have a number of axes, and be finite and not empty."""
    if data.ndim != ndim or not data.size:
        raise FileError(
            f"{path}: HDU {hdu} has shape {data.shape}, but {ndim} axes of at least one pixel "
            "were expected"
        )
    if data.dtype.kind not in "fiu" or not np.isfinite(data).all():
        raise FileError(f"{path}: HDU {hdu} holds values that are not finite numbers")
    return np.asarray(data, dtype=np.float64)


def _on_grid(path: Path, image: AnyArray, header: Any, *, log: bool) -> tuple[float, Float32Array]:
    """log10 of the first wavelength of a grid of `LOGLAM_STEP`, and the templates on it."""
    data = _finite(path, "of the templates", image, 2)
    first, step = _number(path, header, "CRVAL1"), _number(path, header, "CDELT1")
    npix = data.shape[1]
    last = first + step * (npix - 1)
    ends = (10.0 ** min(first, 99.0), 10.0 ** min(last, 99.0)) if log else (first, last)
    if step <= 0 or npix < 2 * _EDGE or not 100.0 < ends[0] < ends[1] < 1e6:
        raise FileError(
            f"{path}: CRVAL1 = {first:g} and CDELT1 = {step:g} for {npix} pixels, but wavelengths "
            f"in Angstrom {'as log10 ' if log else ''}for at least {2 * _EDGE} pixels were expected"
        )
    data = np.stack([_filled(row) for row in data])
    if log and np.isclose(step, LOGLAM_STEP, rtol=1e-6):
        return first, data.astype(np.float32)
    pixels = first + step * np.arange(npix)
    wave = 10**pixels if log else pixels
    low, high = np.log10(wave[_RAGGED]), np.log10(wave[-1 - _RAGGED])
    edges = 10 ** (low + LOGLAM_STEP * np.arange(int((high - low) / LOGLAM_STEP)))
    # Means over the new pixels: differences of the integral, so that flux is kept.
    native = np.concatenate([[wave[0]], 0.5 * (wave[1:] + wave[:-1]), [wave[-1]]])
    sums = np.concatenate([np.zeros((len(data), 1)), np.cumsum(data * np.diff(native), axis=1)], 1)
    integral = np.stack([np.interp(edges, native, row) for row in sums])
    means = np.diff(integral, axis=1) / np.diff(edges)
    return float(low + 0.5 * LOGLAM_STEP), means.astype(np.float32)


def _filled(row: FloatArray) -> FloatArray:
    """A template whose ends of one repeated value hold the mean of the nearest pixels instead."""
    changes = np.flatnonzero(np.diff(row))
    if not changes.size:
        return row
    # The first and last pixel that differ from their neighbour bound the data; one run that is
    # only a pixel or two long is data like any other.
    low, high = int(changes[0]) + 1, int(changes[-1]) + 1
    if high - low < _EDGE:
        return row
    filled = row.copy()
    if low > 2:
        filled[:low] = row[low : low + _EDGE].mean()
    if len(row) - high > 2:
        filled[high:] = row[max(high - _EDGE, low) : high].mean()
    return filled
