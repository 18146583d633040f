"""Training data: spectra with their truth, in memory or read from disk as they are needed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qnet.core.arrays import Float32Array, FloatArray, IntArray, noise_of
from qnet.core.errors import InputError
from qnet.core.files import PathLike, as_paths, find_duplicates, sha256
from qnet.core.grid import WavelengthGrid
from qnet.io.training_data import Z_LIM, Block, iter_data, read_pixels
from qnet.io.truth import TruthRecord
from qnet.preprocess.normalisation import normalise
from qnet.training.coverage import draw_coverage
from qnet.training.faults import add_faults
from qnet.training.settings import Augmentation

Paths = PathLike | Sequence[PathLike]
Rows = IntArray
Pixels = tuple[Float32Array, Float32Array]

#: Rows of a file that are read together, in the order of the file, when they come from disk.
RUN_LENGTH = 256

GIB = 2**30


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingData:
    """Spectra with their truth, as `qnet.io.read_data` gives it, and where they come from."""

    paths: tuple[Path, ...]
    grid: WavelengthGrid
    nread: tuple[int, ...]  # rows read of each file, the removed ones included
    file: Rows  # index of the file, and row in it, of each spectrum
    row: Rows
    tids: Rows
    Y: FloatArray
    z: FloatArray
    bal: FloatArray
    removed: Mapping[str, int] = dataclasses.field(default_factory=dict)
    #: In memory: the normalised spectra, or flux and ivar; all are None where they stay on disk.
    X: Float32Array | None = None
    flux: Float32Array | None = None
    ivar: Float32Array | None = None

    def __len__(self) -> int:
        return len(self.tids)

    @property
    def in_memory(self) -> bool:
        """Whether the spectra are held in memory."""
        return self.X is not None or self.flux is not None

    def take(self, rows: Rows) -> Loaded:
        """Spectra of some rows, from memory or read from disk."""
        if self.X is not None:
            return Loaded(rows, self.grid.wave, X=self.X)
        if self.flux is not None and self.ivar is not None:
            return Loaded(rows, self.grid.wave, pixels=(self.flux, self.ivar))
        return Loaded(np.arange(len(rows)), self.grid.wave, pixels=self._read(rows))

    def _read(self, rows: Rows) -> Pixels:
        """Flux and ivar of some rows, from disk: rows that lie together in one pass."""
        flux, ivar = np.empty((2, len(rows), self.grid.npix), np.float32)
        for index, path in enumerate(self.paths):
            here = np.flatnonzero(self.file[rows] == index)
            asked = self.row[rows[here]]
            wanted = np.unique(asked)
            for run in np.split(wanted, np.flatnonzero(np.diff(wanted) > RUN_LENGTH) + 1):
                if not len(run):
                    continue
                at = (asked >= run[0]) & (asked <= run[-1])
                found = np.searchsorted(run, asked[at])
                run_flux, run_ivar = read_pixels(path, run, self.grid)
                flux[here[at]], ivar[here[at]] = run_flux[found], run_ivar[found]
        return flux, ivar


@dataclasses.dataclass(frozen=True, eq=False)
class Loaded:
    """Spectra in memory and the indices of those that are meant; either X or flux and ivar."""

    index: Rows
    wave: FloatArray  # of the pixels [Angstrom]
    X: Float32Array | None = None
    pixels: Pixels | None = None

    def __getitem__(self, part: slice) -> Loaded:
        return dataclasses.replace(self, index=self.index[part])

    def observed(self, augmentation: Augmentation, rng: np.random.Generator | None) -> Pixels:
        """Flux and ivar, augmented where a generator is given."""
        if self.pixels is None:
            raise InputError("the spectra are held normalised, but flux and ivar are needed")
        flux, ivar = (values[self.index] for values in self.pixels)
        if rng is not None and augmentation:
            return augment(flux, ivar, self.wave, augmentation, rng)
        return flux, ivar

    def normalised(
        self, augmentation: Augmentation, rng: np.random.Generator | None
    ) -> Float32Array:
        """Normalised spectra, augmented where a generator is given."""
        if self.X is not None:
            return self.X[self.index]
        X = normalise(*self.observed(augmentation, rng)).astype(np.float32, copy=False)
        # What is left of an augmented spectrum may have no scatter: it is flat then, not NaN.
        return np.nan_to_num(X, copy=False)


def augment(
    flux: Float32Array,
    ivar: Float32Array,
    wave: FloatArray,
    options: Augmentation,
    rng: np.random.Generator,
) -> Pixels:
    """Changed copies of flux and ivar (nspec, npix); 0 where there is no weight."""
    nspec, npix = flux.shape
    flux, ivar = flux.copy(), ivar.copy()
    if options.tilt:
        x = np.linspace(-1, 1, npix, dtype=np.float32)
        terms = rng.normal(0, options.tilt, (nspec, 2)).astype(np.float32)
        factor = np.exp(terms[:, :1] * x + terms[:, 1:] * (x**2 - np.float32(1 / 3)))
        flux *= factor
        ivar /= factor**2
    if options.noise:
        factor = rng.uniform(0, options.noise, (nspec, 1)).astype(np.float32)
        sigma = noise_of(ivar)
        flux += factor * sigma * rng.standard_normal(flux.shape, dtype=np.float32)
        ivar /= 1 + factor**2
    if options.fault:
        add_faults(flux, ivar, rng, np.flatnonzero(rng.uniform(size=nspec) < options.fault))
    if options.coverage:
        rows = np.flatnonzero(rng.uniform(size=nspec) < options.coverage)
        kept = draw_coverage(rng, wave, len(rows))
        # What would leave nothing is not cut.
        kept[~np.any(kept & (ivar[rows] > 0), axis=1)] = True
        flux[rows] *= kept
        ivar[rows] *= kept
    return flux, ivar


def load(
    data: Paths,
    truth: Mapping[int, TruthRecord],
    *,
    memory: float,
    keep_pixels: bool,
    z_lim: float = Z_LIM,
    grid: WavelengthGrid | None = None,
) -> TrainingData:
    """Training data of prepared data files; spectra that exceed memory [GiB] stay on disk.

    They are rebinned to `grid` where theirs is a finer one that allows it (`iter_data`).
    """
    files = as_paths(data)
    if again := find_duplicates(files):
        raise InputError(f"data files are given twice: {', '.join(map(str, again))}")
    blocks: list[Block] = []
    nread: Counter[Path] = Counter()
    removed: Counter[str] = Counter()
    size, fits_in = 0.0, True
    options: dict[str, Any] = {"z_lim": z_lim, "keep_pixels": keep_pixels, "grid": grid}
    for block in iter_data(files, truth, removed=removed, **options):
        nread[block.path] += block.nread
        size += block.X.nbytes * (2 if keep_pixels else 1) / GIB
        if size > memory and fits_in:
            fits_in = False
            blocks = [_without_spectra(old) for old in blocks]
        bare = _without_spectra(block)
        with_pixels = dataclasses.replace(block, X=bare.X) if keep_pixels else block
        blocks.append(with_pixels if fits_in else bare)
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(block, name) for block in blocks])
        for name in ("tids", "Y", "z", "bal")
    }
    paths = tuple(nread)
    if not len(columns["tids"]):
        raise InputError(
            f"no spectrum of {', '.join(map(str, paths))} can be trained on: "
            f"{nread.total()} read, {describe(removed) or 'none removed'} (ids of the truth "
            f"are like {sorted(truth)[:3]})"
        )
    if fits_in:
        names = ("flux", "ivar") if keep_pixels else ("X",)
        columns |= {name: _joined(blocks, name) for name in names}
    numbers = [paths.index(block.path) for block in blocks]
    return TrainingData(
        paths=paths,
        grid=blocks[0].grid,
        nread=tuple(nread.values()),
        file=np.repeat(numbers, [len(block.rows) for block in blocks]),
        row=np.concatenate([block.rows for block in blocks]),
        removed=dict(+removed),
        **columns,
    )


def _without_spectra(block: Block) -> Block:
    """A block's ids and truth alone; a slice of its spectra would keep all of them in memory."""
    none = np.empty((0, block.grid.npix), np.float32)
    return dataclasses.replace(block, X=none, flux=None, ivar=None)


def _joined(blocks: list[Block], name: str) -> Float32Array:
    """An array of all blocks, each of which loses its own: the peak is not twice the memory."""
    length = sum(len(block.rows) for block in blocks)
    joined = np.empty((length, blocks[0].grid.npix), np.float32)
    at = 0
    for number, block in enumerate(blocks):
        joined[at : at + len(block.rows)] = getattr(block, name)
        at += len(block.rows)
        freed: dict[str, Any] = {name: None}
        blocks[number] = dataclasses.replace(block, **freed)
    return joined


def describe(removed: Mapping[str, int]) -> str:
    """Reasons and their counts, as text."""
    return ", ".join(f"{number} {reason}" for reason, number in removed.items() if number)


def sources(data: TrainingData, truth: Paths) -> dict[str, Any]:
    """Names, rows and SHA-256 of the files that a network is trained on."""
    return {
        "data": [
            {"name": path.name, "sha256": sha256(path), "rows": rows}
            for path, rows in zip(data.paths, data.nread, strict=True)
        ],
        "truth": [{"name": Path(path).name, "sha256": sha256(path)} for path in as_paths(truth)],
    }


def split(data: TrainingData, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Ascending rows for training and for validation, the latter a fraction of the TARGETIDs."""
    targets = np.unique(data.tids)
    count = round(fraction * len(targets))
    if fraction and not 1 <= count < len(targets):
        raise InputError(
            f"{len(targets)} TARGETIDs cannot be split with a validation fraction of {fraction}: "
            f"{count} would go to validation"
        )
    chosen = np.random.default_rng([seed, 0]).permutation(targets)[:count]
    inside = np.isin(data.tids, chosen)
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def bootstrap(data: TrainingData, rows: Rows, seed: int) -> Rows:
    """Rows of as many TARGETIDs as there are, drawn with replacement: each as often as drawn."""
    targets, inverse = np.unique(data.tids[rows], return_inverse=True)
    drawn = np.random.default_rng([seed, 1]).integers(0, len(targets), len(targets))
    return np.repeat(rows, np.bincount(drawn, minlength=len(targets))[inverse])
