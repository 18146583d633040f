"""Training of the second stage: precise redshifts from guesses. Imports Keras when it trains."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from qnet.core.arrays import FloatArray
from qnet.core.bins import RedshiftBins
from qnet.core.errors import FileError, InputError
from qnet.core.files import PathLike, atomic_write
from qnet.core.spectra import Camera
from qnet.io.truth import read_truth
from qnet.lines import SPEED_OF_LIGHT
from qnet.model.architecture import RefineArchitecture
from qnet.model.keras_refiner import build_refiner, refine_loss, take_refiner
from qnet.model.model import Model
from qnet.model.network import check_weights
from qnet.objective import CLASSES, QSO_CLASSES
from qnet.postprocess.candidates import find_candidates
from qnet.preprocess.normalisation import preprocess
from qnet.preprocess.restframe import rest_frame
from qnet.training.augment import augment
from qnet.training.batches import Batch, Batches
from qnet.training.checkpoint import (
    BEST,
    STATE,
    State,
    best_of,
    check_folder,
    identity,
    load_checkpoint,
    open_folder,
    save_checkpoint,
    write_history,
)
from qnet.training.data import Held, Rows, TrainingData, load, sources, split
from qnet.training.loop import group_size, need_keras, run_epochs
from qnet.training.settings import Augmentation, Settings, resumable

if TYPE_CHECKING:
    import keras

#: Errors [km/s] of the guesses that the stage is trained with, and their shares: those of a line
#: finder, of a second pass, and a tail out to where the stage gives up.
GUESS_ERRORS: tuple[tuple[float, float], ...] = ((300.0, 0.4), (1000.0, 0.4), (3000.0, 0.2))

#: A stage that verifies sees this share of the quasars near their redshift, the others and all that
#: are no quasars at one of so many candidates of the first stage.
NEAR_SHARE, CANDIDATES = 0.5, 3

#: Keeps candidates of no share at all in the draw.
_LEAST_SHARE = 1e-4


@dataclasses.dataclass(frozen=True)
class RefineMaker:
    """Batches for the second stage: spectra in the frames of guesses, and how far these are off.

    Attributes
    ----------
    arch : RefineArchitecture
        What the input is made for.
    augmentation : Augmentation
    finder : Model, optional
        First stage with a redshift head. A stage that verifies is trained on its candidates too.
    """

    arch: RefineArchitecture
    augmentation: Augmentation
    finder: Model | None = None

    def __call__(
        self,
        data: TrainingData,
        held: Held,
        part: slice,
        rows: Rows,
        rng: np.random.Generator,
        training: bool,
    ) -> Batch:
        """Spectra in the frames of guesses, and the velocities of the objects in them."""
        if held.pixels is None:
            raise InputError("the second stage is trained on flux and ivar")
        flux, ivar = (values[held.index[part]] for values in held.pixels)
        if training and self.augmentation:
            flux, ivar = augment(flux, ivar, self.augmentation, rng)
        z = data.z[rows]
        quasar = np.isin(data.Y[rows].argmax(axis=1), QSO_CLASSES)
        guess = z + draw_errors(rng, len(z), self.arch.max_dv) / SPEED_OF_LIGHT * (1 + z)
        if self.finder is not None:
            near = quasar & (rng.uniform(size=len(z)) < NEAR_SHARE)
            guess = np.where(near, guess, self._proposed(self.finder, flux, ivar, rng))
        X, z_frame = rest_frame(flux, ivar, guess, self.arch.window)
        dv = SPEED_OF_LIGHT * (z - z_frame) / (1 + z_frame)
        with np.errstate(invalid="ignore"):
            right = quasar & (np.abs(dv) <= self.arch.max_dv)
        # Of a frame that is not that of a quasar the velocity means nothing: the loss leaves it.
        targets = [np.where(right, dv / self.arch.dv_scale, 0.0), right]
        if self.arch.bal:
            # -1 is none, 1 is broad absorption; of 0 it is not known.
            targets += [data.bal[rows] == 1, right & (data.bal[rows] != 0)]
        target = np.stack(targets, axis=1).astype(np.float32)
        # What is neither surely a quasar of known redshift nor surely none teaches nothing.
        weight = (data.Y[rows].argmax(axis=1) != CLASSES.index("BAD")).astype(np.float32)
        return X, (target,), (weight,)

    def _proposed(
        self,
        finder: Model,
        flux: npt.NDArray[Any],
        ivar: npt.NDArray[Any],
        rng: np.random.Generator,
    ) -> FloatArray:
        """One of the finder's candidates of each spectrum, drawn by the root of their shares."""
        camera = Camera("prepared", self.arch.window.grid.wave, flux, ivar, edges=True)
        output = finder.forward(preprocess([camera], finder.grid).X)
        z, share = find_candidates(np.asarray(output.posterior), _bins_of(finder), CANDIDATES)
        chance = np.sqrt(np.nan_to_num(share) + _LEAST_SHARE).cumsum(axis=1)
        drawn = rng.uniform(size=(len(z), 1)) * chance[:, -1:]
        return np.asarray(z[np.arange(len(z)), (drawn > chance).sum(axis=1)])


def _bins_of(finder: Model) -> RedshiftBins:
    """The redshift head of a first stage.

    Raises
    ------
    InputError
        It has none.
    """
    bins = finder.architecture.redshifts
    if bins is None:
        raise InputError(f"{finder.name} has no redshift head: it names no candidates")
    return bins


def draw_errors(rng: np.random.Generator, count: int, largest: float) -> FloatArray:
    """Errors of guesses [km/s], of the mixture `GUESS_ERRORS`, none larger than `largest`."""
    widths, shares = np.array(GUESS_ERRORS).T
    error = rng.normal(0, 1, count) * rng.choice(widths, count, p=shares / shares.sum())
    return np.clip(error, -largest, largest)


Arrays = dict[str, npt.NDArray[Any]]


def fit_refiner(
    data: PathLike | Sequence[PathLike],
    truth: PathLike | Sequence[PathLike],
    arch: RefineArchitecture,
    settings: Settings,
    *,
    finder: Model | None = None,
    dropout: float = 0.0,
    output: PathLike | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool | None = None,
) -> tuple[Arrays, list[dict[str, float]]]:
    """Train the second stage on the quasars of prepared data; one that verifies on all spectra.

    Parameters
    ----------
    data : path or sequence of paths
        Prepared data files on ``arch.window.grid``.
    truth : path or sequence of paths
        Truth tables.
    arch : RefineArchitecture
    settings : Settings
        Epochs, patience, batch size, optimiser, augmentation, precision, validation, memory and
        seed; the rest is of the first stage.
    finder : Model, optional
        First stage, with a redshift head: its candidates are what a stage that verifies judges.
    dropout : float
        Share of the activations dropped before the dense layer, in training.
    output : path, optional
        Folder of the run. After every epoch it holds ``best.safetensors`` (the arrays alone),
        ``history.fits``, ``history.csv`` and a checkpoint. Nothing is kept when None.
    resume : bool
        Go on with a run that was stopped; settings and data must be the same. One that was stopped
        before its first checkpoint begins anew.
    overwrite : bool
        Whether a run in the folder may be replaced.
    progress : bool, optional
        Whether to show a progress bar; None: on a terminal only.

    Returns
    -------
    arrays : dict of str to ndarray
        Of the epoch of the lowest validation loss.
    history : list of dict
        A row per epoch: its number, from 1, the learning rate, the losses.

    Raises
    ------
    InputError
        The data are on another grid, or hold no quasar; a stage verifies and there is no finder, or
        the other way round; the finder has no redshift head; or a run to resume was another one.
    OutputExistsError
        The folder holds a run, and neither `resume` nor `overwrite` is asked for.
    MissingFileError, FileError
        A file cannot be read or written.
    TrainingError
        A loss or a weight is not a number.
    """
    if resume and (overwrite or output is None):
        raise InputError("resume needs the output of a run, and contradicts overwrite")
    if not 0 <= dropout < 1:
        raise InputError(f"dropout must be at least 0 and below 1, not {dropout!r}")
    if arch.scores != (finder is not None):
        raise InputError("a second stage that verifies needs a finder, and no other does")
    if finder is not None:
        _bins_of(finder)
    folder = None if output is None else Path(output)
    if folder is not None:
        check_folder(folder, 1, resume=resume, overwrite=overwrite)
    need_keras()
    spectra = load(data, read_truth(truth), memory=settings.memory, keep_pixels=True)
    if spectra.grid != arch.window.grid:
        raise InputError(f"the data are on the grid {spectra.grid}, not on {arch.window.grid}")
    plan = {
        "settings": resumable(settings.to_dict(), in_memory=spectra.in_memory),
        "architecture": arch.to_dict(),
        "dropout": dropout,
        "finder": None if finder is None else identity(finder),
        "sources": sources(spectra, truth),
    }
    run = _Run(arch, settings, finder, dropout, folder, progress)
    return run.go(spectra, plan, resume=resume, overwrite=overwrite)


@dataclasses.dataclass
class _Run:
    """The training of one second stage."""

    arch: RefineArchitecture
    settings: Settings
    finder: Model | None
    dropout: float
    folder: Path | None
    progress: bool | None
    best: Arrays = dataclasses.field(default_factory=dict)

    def go(
        self, spectra: TrainingData, plan: dict[str, Any], *, resume: bool, overwrite: bool
    ) -> tuple[Arrays, list[dict[str, float]]]:
        """Train, or go on, to the end."""
        from qnet.training.seeds import set_seed

        batches, judged = self._batches(spectra)
        set_seed(self.settings.seed)
        begun = resume and self.folder is not None and (self.folder / STATE).exists()
        network = None if begun else self._new(batches.steps)
        if self.folder is not None:
            open_folder(self.folder, resume=begun, overwrite=overwrite or resume)
        if self.folder is not None and begun:
            losses = {refine_loss.__name__: refine_loss}
            network, state = load_checkpoint(self.folder, plan, losses)
            self.best = _read_arrays(self.folder / BEST, self.arch)
        else:
            state = State(plan)
        if not state.is_done(self.settings):
            run_epochs(
                network,
                state,
                batches,
                judged,
                self.settings,
                seed=self.settings.seed,
                outputs={},
                save=lambda now, best: self._save(network, now, best),
                saved=self.folder is not None,
                convert=_single,
                progress=self.progress,
            )
        return self.best, state.history

    def _batches(self, spectra: TrainingData) -> tuple[Batches, Batches]:
        """Those of training and of validation."""
        settings, arch = self.settings, self.arch
        quasar = np.isin(spectra.Y.argmax(axis=1), QSO_CLASSES)
        sides = list(split(spectra, settings.validation, settings.seed))
        quasars = [rows[quasar[rows]] for rows in sides]
        if not all(map(len, quasars)):
            raise InputError("the second stage needs quasars to train on, and some for validation")
        sides = sides if arch.scores else quasars
        group = group_size(settings, arch.window.grid)
        make = RefineMaker(arch, settings.augmentation, self.finder)
        train, validation = (
            Batches(spectra, rows, settings.batch_size, make, group, seed)
            for rows, seed in zip(sides, (settings.seed, None), strict=True)
        )
        return train, validation

    def _new(self, steps: int) -> keras.Model:
        """The network before training."""
        from qnet.training.optimiser import make_optimiser
        from qnet.training.precision import precision

        with precision(self.settings.precision):
            network = build_refiner(self.arch, dropout=self.dropout)
        network.compile(optimizer=make_optimiser(self.settings, steps), loss=refine_loss)
        return network

    def _save(self, network: keras.Model, state: State, best: bool) -> None:
        """Keep the arrays of the best epoch, and write what the folder holds."""
        if best:
            self.best = take_refiner(network, self.arch)
        if self.folder is None:
            return
        if best:
            path = self.folder / best_of(state.epoch)
            with atomic_write(path, overwrite=True) as partial:
                save_file(self.best, partial)
        write_history(self.folder, state.history)
        save_checkpoint(self.folder, network, state)


def _read_arrays(path: Path, arch: RefineArchitecture) -> Arrays:
    """The arrays of the best epoch of a run that was stopped."""
    try:
        arrays: Arrays = load_file(path)
    except (OSError, SafetensorError) as error:
        raise FileError(f"{path}: cannot be read ({error})") from error
    try:
        check_weights(arch, arrays)
    except InputError as error:
        raise FileError(f"{path}: {error}") from error
    return arrays


def _single(batch: Batch) -> Any:
    """A batch of a network with one output."""
    X, (target,), (weight,) = batch
    return X, target, weight
