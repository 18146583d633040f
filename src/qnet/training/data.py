"""The spectra that a network is trained on: in memory, or read from disk as they are needed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qnet.core.arrays import Float32Array, FloatArray, IntArray
from qnet.core.errors import InputError
from qnet.core.files import PathLike, as_paths, find_duplicates, sha256
from qnet.core.grid import WavelengthGrid
from qnet.io.training_data import Block, iter_data, read_pixels
from qnet.io.truth import TruthRecord
from qnet.preprocess.normalisation import normalise
from qnet.training.augment import augment
from qnet.training.settings import Augmentation

Rows = IntArray

#: Rows of a file that are read together, in the order of the file, when they come from disk.
RUN_LENGTH = 256

_GIB = 2**30


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingData:
    """Spectra with their truth.

    Attributes
    ----------
    paths : tuple of Path
        Prepared data files.
    grid : WavelengthGrid
        Of all of them.
    nread : tuple of int
        Rows read of each file, those that were removed included.
    file, row : ndarray of int64, shape (nspec,)
        Which file, and which of its rows.
    tids : ndarray of int64, shape (nspec,)
        Ids.
    Y, z, bal : ndarray
        As `qnet.io.read_data` gives them.
    removed : mapping of str to int
        Spectra that are not here, by reason, and those that are BAD.
    X : ndarray of float32, shape (nspec, npix), or None
        Normalised spectra, where they are held in memory.
    flux, ivar : ndarray of float32, shape (nspec, npix), or None
        The spectra as they are, where these are.
    """

    paths: tuple[Path, ...]
    grid: WavelengthGrid
    nread: tuple[int, ...]
    file: Rows
    row: Rows
    tids: Rows
    Y: FloatArray
    z: FloatArray
    bal: FloatArray
    removed: Mapping[str, int] = dataclasses.field(default_factory=dict)
    X: Float32Array | None = None
    flux: Float32Array | None = None
    ivar: Float32Array | None = None

    def __len__(self) -> int:
        return len(self.tids)

    @property
    def in_memory(self) -> bool:
        """Whether the spectra are held in memory."""
        return self.X is not None or self.flux is not None

    def held(self, rows: Rows) -> Held:
        """Spectra of some rows, from memory or read from disk."""
        if self.X is not None:
            return Held(rows, X=self.X)
        if self.flux is not None and self.ivar is not None:
            return Held(rows, pixels=(self.flux, self.ivar))
        return Held(np.arange(len(rows)), pixels=self._read(rows))

    def _read(self, rows: Rows) -> tuple[Float32Array, Float32Array]:
        """Flux and ivar of some rows, from disk: rows that lie together in one pass."""
        flux, ivar = np.empty((2, len(rows), self.grid.npix), np.float32)
        for index, path in enumerate(self.paths):
            here = np.flatnonzero(self.file[rows] == index)
            wanted, place = np.unique(self.row[rows[here]], return_inverse=True)
            for run in np.split(wanted, np.flatnonzero(np.diff(wanted) > RUN_LENGTH) + 1):
                if not len(run):
                    continue
                at = (wanted[place] >= run[0]) & (wanted[place] <= run[-1])
                found = np.searchsorted(run, wanted[place][at])
                run_flux, run_ivar = read_pixels(path, run, self.grid.npix)
                flux[here[at]], ivar[here[at]] = run_flux[found], run_ivar[found]
        return flux, ivar


@dataclasses.dataclass(frozen=True, eq=False)
class Held:
    """Spectra that are in memory, and which of them are meant: normalised, or flux and ivar."""

    index: Rows
    X: Float32Array | None = None
    pixels: tuple[Float32Array, Float32Array] | None = None

    def normalised(
        self, part: slice, augmentation: Augmentation, rng: np.random.Generator | None
    ) -> Float32Array:
        """Normalised spectra of a part of the rows, augmented where a generator is given."""
        rows = self.index[part]
        if self.pixels is None:
            return self.X[rows]  # type: ignore[index]  # one of the two is there
        flux, ivar = (values[rows] for values in self.pixels)
        if rng is not None and augmentation:
            flux, ivar = augment(flux, ivar, augmentation, rng)
        X = normalise(flux, ivar).astype(np.float32, copy=False)
        # What is left of an augmented spectrum may have no scatter: it is flat then, not NaN.
        return np.nan_to_num(X, copy=False)


def load(
    paths: PathLike | Sequence[PathLike],
    truth: Mapping[int, TruthRecord],
    *,
    memory: float,
    keep_pixels: bool,
    z_lim: float = 2.1,
) -> TrainingData:
    """Read prepared data and its truth.

    Parameters
    ----------
    paths : path or sequence of paths
        Prepared data files on one grid.
    truth : mapping of int to TruthRecord
        From `qnet.io.read_truth`.
    memory : float
        Memory for the spectra [GiB]; larger sets stay on disk.
    keep_pixels : bool
        Whether flux and ivar are needed, not the normalised spectra only.
    z_lim : float
        Redshift that parts the classes QSO_LZ and QSO_HZ.

    Returns
    -------
    TrainingData

    Raises
    ------
    InputError
        No spectrum is left to train on.
    MissingFileError, FileError
        A file cannot be read, or is on another grid.
    """
    files = as_paths(paths)
    if again := find_duplicates(files):
        raise InputError(f"data files are given twice: {', '.join(map(str, again))}")
    read = _read_blocks(files, truth, memory=memory, keep_pixels=keep_pixels, z_lim=z_lim)
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(block, name) for block in read.blocks])
        for name in ("tids", "Y", "z", "bal")
    }
    if not len(columns["tids"]):
        raise InputError(
            f"no spectrum of {', '.join(map(str, read.names))} can be trained on: "
            f"{sum(read.nread)} read, {describe(read.removed) or 'none removed'} (ids of the truth "
            f"are like {sorted(truth)[:3]})"
        )
    if read.fits_in:
        columns |= {
            name: _joined(read.blocks, name)
            for name in (("flux", "ivar") if keep_pixels else ("X",))
        }
    return TrainingData(
        paths=tuple(read.names),
        grid=read.blocks[0].grid,
        nread=tuple(read.nread),
        file=np.repeat(read.file, [len(block.rows) for block in read.blocks]),
        row=np.concatenate([block.rows for block in read.blocks]),
        removed=dict(+read.removed),
        **columns,
    )


@dataclasses.dataclass
class _Read:
    """What was read: files and rows of each, blocks with the number of their file, what is gone."""

    names: list[Path] = dataclasses.field(default_factory=list)
    nread: list[int] = dataclasses.field(default_factory=list)
    blocks: list[Block] = dataclasses.field(default_factory=list)
    file: list[int] = dataclasses.field(default_factory=list)
    removed: Counter[str] = dataclasses.field(default_factory=Counter)
    fits_in: bool = True


def _read_blocks(
    files: Sequence[PathLike],
    truth: Mapping[int, TruthRecord],
    *,
    memory: float,
    keep_pixels: bool,
    z_lim: float,
) -> _Read:
    """All blocks of some files; without their spectra once these take more than the memory."""
    read = _Read()
    size = 0.0
    for block in iter_data(
        files, truth, z_lim=z_lim, keep_pixels=keep_pixels, removed=read.removed
    ):
        if not read.names or read.names[-1] != block.path:
            read.names.append(block.path)
            read.nread.append(0)
        read.nread[-1] += block.nread
        size += block.X.nbytes * (2 if keep_pixels else 1) / _GIB
        if size > memory and read.fits_in:
            read.fits_in = False
            read.blocks = [_without_spectra(old) for old in read.blocks]
        bare = _without_spectra(block)
        if not read.fits_in:
            read.blocks.append(bare)
        else:
            read.blocks.append(dataclasses.replace(block, X=bare.X) if keep_pixels else block)
        read.file.append(len(read.names) - 1)
    return read


def describe(removed: Mapping[str, int]) -> str:
    """Reasons and their counts, as text."""
    return ", ".join(f"{number} {reason}" for reason, number in removed.items() if number)


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


def sources(data: TrainingData, truth: PathLike | Sequence[PathLike]) -> dict[str, Any]:
    """Names, sizes and hashes of the files that a run was trained on."""
    truths = as_paths(truth)
    return {
        "data": [
            {"name": path.name, "sha256": sha256(path), "rows": rows}
            for path, rows in zip(data.paths, data.nread, strict=True)
        ],
        "truth": [{"name": Path(path).name, "sha256": sha256(path)} for path in truths],
    }


def split(data: TrainingData, share: float, seed: int) -> tuple[Rows, Rows]:
    """Part the spectra into training and validation, all those of a TARGETID on one side.

    Parameters
    ----------
    data : TrainingData
    share : float
        Of the TARGETIDs that go to validation.
    seed : int

    Returns
    -------
    train, validation : ndarray of int64
        Indices of spectra, ascending.

    Raises
    ------
    InputError
        There are too few TARGETIDs to part.
    """
    targets = np.unique(data.tids)
    count = round(share * len(targets))
    if share and not 1 <= count < len(targets):
        raise InputError(
            f"{len(targets)} TARGETIDs cannot be parted with a validation share of {share}: "
            f"{count} would go to validation"
        )
    chosen = np.random.default_rng([seed, 0]).permutation(targets)[:count]
    inside = np.isin(data.tids, chosen)
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def bootstrap(data: TrainingData, rows: Rows, seed: int) -> Rows:
    """Draw as many TARGETIDs as there are, with replacement, and take all their spectra.

    Parameters
    ----------
    data : TrainingData
    rows : ndarray of int64
        Spectra to draw from.
    seed : int

    Returns
    -------
    ndarray of int64
        Indices of spectra, ascending, each as often as its TARGETID was drawn.
    """
    targets, inverse = np.unique(data.tids[rows], return_inverse=True)
    drawn = np.random.default_rng([seed, 1]).integers(0, len(targets), len(targets))
    return np.repeat(rows, np.bincount(drawn, minlength=len(targets))[inverse])
