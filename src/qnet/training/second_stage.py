"""Training of the second stage: precise redshifts from candidates of the first."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from qnet.core.arguments import check_arguments
from qnet.core.arrays import Columns, Float32Array, FloatArray
from qnet.core.bins import RedshiftBins
from qnet.core.errors import FileError, InputError
from qnet.core.files import PathLike, as_paths, atomic_write
from qnet.core.grid import WavelengthGrid
from qnet.core.spectra import Camera
from qnet.io.truth import read_truth
from qnet.lines import SPEED_OF_LIGHT, velocity_between
from qnet.model.architecture import RefineArchitecture
from qnet.model.layers import ConvLayer
from qnet.model.loading import as_model
from qnet.model.model import Model
from qnet.model.network import check_weights
from qnet.model.weights import write_weights
from qnet.objective import CLASSES, is_quasar
from qnet.postprocess.candidates import find_candidates
from qnet.preprocess.normalisation import preprocess
from qnet.preprocess.restframe import Window, rest_frame
from qnet.training.batches import Batch, Batches
from qnet.training.checkpoint import BEST, State, identity
from qnet.training.data import Loaded, Paths, Rows, TrainingData, load, sources, split
from qnet.training.inheritance import (
    calibration_record,
    inherit_settings,
    inherited_dropout,
    own_name,
    parent_record,
    with_second_stage,
)
from qnet.training.loop import Run, check_request, group_size, new_network
from qnet.training.recalibration import recalibrate as calibrate_best
from qnet.training.settings import Augmentation, Settings, resumable

if TYPE_CHECKING:
    import keras

#: Errors [km/s] of the guesses that the stage is trained with, and their fractions: those of a line
#: finder, of a second pass, and a tail out to where the stage gives up.
GUESS_ERRORS: tuple[tuple[float, float], ...] = ((300.0, 0.4), (1000.0, 0.4), (3000.0, 0.2))

#: A stage with scores is trained on this fraction of the quasars near their redshift, and on the
#: others and all other objects at one of so many candidates of the first stage.
NEAR_FRACTION, CANDIDATES = 0.5, 3

#: Grid of the second stage of the default model: four pixels are one of QuasarNET's grid.
FINE_GRID = WavelengthGrid.log(3600.0, 10400.0, 2.5e-4)

#: The second stage of the default model.
REFINE_ARCHITECTURE = RefineArchitecture(
    window=Window(FINE_GRID),
    convs=tuple(ConvLayer(filters, 9, 2, "valid") for filters in (24, 32, 48, 64)),
    units=96,
    scores=True,
    bal=True,
)

#: Keeps candidates of no probability at all in the draw.
_LEAST_PROBABILITY = 1e-4


@dataclasses.dataclass(frozen=True)
class RefineMaker:
    """Makes batches for the second stage: spectra in the frames of guesses, and velocities."""

    arch: RefineArchitecture
    augmentation: Augmentation
    finder: Model | None = None  # first stage, with a redshift head, for a stage with scores

    def __call__(
        self,
        data: TrainingData,
        rows: Rows,
        spectra: Loaded,
        rng: np.random.Generator,
        training: bool,
    ) -> Batch:
        """A batch; X has shape (nspec, npooled, 2), the target is that of `refine_loss`."""
        flux, ivar = spectra.observed(self.augmentation, rng if training else None)
        z = data.z[rows]
        quasar = is_quasar(data.Y[rows])
        guess = z + draw_errors(rng, len(z), self.arch.max_dv) / SPEED_OF_LIGHT * (1 + z)
        if self.finder is not None:
            near = quasar & (rng.uniform(size=len(z)) < NEAR_FRACTION)
            guess = np.where(near, guess, self._candidates(self.finder, flux, ivar, rng))
        X, z_frame = rest_frame(flux, ivar, guess, self.arch.window)
        dv = velocity_between(z, z_frame)
        right = quasar & (np.abs(dv) <= self.arch.max_dv)
        # In a frame that is not that of a quasar the velocity has no meaning: the loss ignores it.
        targets = [np.where(right, dv / self.arch.dv_scale, 0.0), right]
        if self.arch.bal:
            # -1 is none, 1 is broad absorption; of 0 it is not known.
            targets += [data.bal[rows] == 1, right & (data.bal[rows] != 0)]
        target = np.stack(targets, axis=1).astype(np.float32)
        # Objects of the class BAD, which may or may not be quasars, have no weight.
        weight = (data.Y[rows].argmax(axis=1) != CLASSES.index("BAD")).astype(np.float32)
        return X, (target,), (weight,)

    def _candidates(
        self, finder: Model, flux: Float32Array, ivar: Float32Array, rng: np.random.Generator
    ) -> FloatArray:
        """A candidate redshift of each spectrum, drawn by the root of their probabilities."""
        camera = Camera("prepared", self.arch.window.grid.wave, flux, ivar, edges=True)
        output = finder.forward(preprocess([camera], finder.grid).X)
        z, p = find_candidates(np.asarray(output.posterior), _bins_of(finder), CANDIDATES)
        chance = np.sqrt(np.nan_to_num(p) + _LEAST_PROBABILITY).cumsum(axis=1)
        drawn = rng.uniform(size=(len(z), 1)) * chance[:, -1:]
        return np.asarray(z[np.arange(len(z)), (drawn > chance).sum(axis=1)])


def _bins_of(finder: Model) -> RedshiftBins:
    """The redshift bins of a first stage, which must have some."""
    bins = finder.architecture.redshifts
    if bins is None:
        raise InputError(f"{finder.name} has no redshift head, and hence no candidates")
    return bins


def draw_errors(rng: np.random.Generator, count: int, largest: float) -> FloatArray:
    """Errors of guesses [km/s], of the mixture `GUESS_ERRORS`, none larger than `largest`."""
    widths, fractions = np.array(GUESS_ERRORS).T
    error = rng.normal(0, 1, count) * rng.choice(widths, count, p=fractions / fractions.sum())
    return np.clip(error, -largest, largest)


def train_refiner(
    data: Paths,
    truth: Paths,
    output: PathLike,
    architecture: RefineArchitecture | None = None,
    settings: Settings | None = None,
    *,
    init: PathLike | Model | None = None,
    finder: Model | None = None,
    recalibrate: bool = True,
    dropout: float | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool | None = None,
) -> tuple[Columns, list[dict[str, float]]]:
    """Train a second stage on prepared data and truth.

    A stage without scores is trained on the quasars only, near their redshifts; one with scores on
    all spectra, at their redshifts and at candidates of the first stage.

    Parameters
    ----------
    data : path or sequence of paths
        Prepared data files on the grid of ``architecture.window``. Pixels with NaN, or with an
        inverse variance of zero, have no weight.
    truth : path or sequence of paths
        Truth tables, as `qnet.io.read_truth` reads them.
    output : path
        Folder of the run. After every epoch it holds ``best.safetensors`` and ``last.safetensors``
        (for `qnet.load_model`: the model `finder`, or else `init`, with the new second stage; the
        arrays alone where there is neither), ``history.fits``, ``history.csv`` and a checkpoint.
    architecture : RefineArchitecture, optional
        The network to be trained; None: that of `init`, or else that of the default model.
    settings : Settings, optional
        Epochs, patience, batch size, optimiser, augmentation, precision, validation, memory and
        seed, name, version and licence; the rest is of the first stage. None: with `init` those of
        `inherit_settings`, else the defaults of `Settings`.
    init : path or Model, optional
        Start from this model's second stage, with its architecture and weights.
    finder : Model, optional
        First stage, with a redshift head; a stage with scores needs it for its candidates. None:
        that of `init`.
    recalibrate : bool
        Whether a calibration that comes from `finder` or `init` is fitted again at the end, on the
        spectra of the validation (`calibrate`).
    dropout : float, optional
        Fraction of the activations dropped before the dense layer, in training. None: that of the
        training of `init`, else 0.
    resume : bool
        Continue a run that was stopped; settings and data must be the same. One that was stopped
        before its first checkpoint begins anew.
    overwrite : bool
        Whether a run in the folder may be replaced.
    progress : bool, optional
        Whether to show a progress bar; None: on a terminal only.

    Returns
    -------
    arrays : dict of str to ndarray
        Weights of the epoch of the lowest validation loss, by the names of
        ``architecture.shapes()``, as `qnet.model.Refiner` takes them.
    history : list of dict
        A row per epoch: its number, from 1, the learning rate, the losses.

    Raises
    ------
    InputError
        The data are on another grid, or hold no quasar; the architecture is not that of `init`; a
        stage has scores and there is no finder, or the other way round; the finder has no redshift
        head; a run to resume was another one; or an input lies in the folder that is to be
        replaced.
    OutputExistsError
        The folder holds a run, and neither `resume` nor `overwrite` is set.
    MissingFileError, FileError
        A file cannot be read or written.
    TrainingError
        A loss or a weight is not finite. The checkpoint of the epoch before is kept.

    Examples
    --------
    Simulate quasars and train a tiny network for one epoch (a useful one takes hours):

    >>> import qnet
    >>> from qnet.model.architecture import RefineArchitecture
    >>> from qnet.model.layers import ConvLayer
    >>> from qnet.preprocess import Window
    >>> from qnet.simulation import write_simulation
    >>> window = Window(qnet.WavelengthGrid.log(3600.0, 10400.0, 2.5e-4), pool=8)
    >>> sample = qnet.simulate(40, mix={"quasar": 1.0}, seed=1)
    >>> _ = write_simulation(sample, "data.fits", "truth.fits", grid=window.grid)
    >>> architecture = RefineArchitecture(window, (ConvLayer(4, 9, 4, "valid"),), units=8)
    >>> settings = qnet.training.Settings(epochs=1, batch_size=16)
    >>> arrays, history = qnet.training.train_refiner(
    ...     "data.fits", "truth.fits", "run", architecture, settings, progress=False
    ... )
    >>> list(history[0])
    ['epoch', 'learning_rate', 'loss', 'val_loss']
    >>> refiner = qnet.model.refiner.Refiner(architecture, arrays)
    """
    check_arguments(train_refiner, locals())
    data, truth = as_paths(data, "data"), as_paths(truth, "truth")
    folder = Path(output)
    start = None if init is None else as_model(init)
    if settings is None:
        settings = Settings() if start is None else inherit_settings(start, "refine")
    settings = own_name(settings, start)
    dropout = inherited_dropout(start) if dropout is None else dropout
    if not 0 <= dropout < 1:
        raise InputError(f"dropout must be at least 0 and below 1, not {dropout!r}")
    architecture = _architecture(architecture, start)
    finder = _finder(architecture, finder, start)
    inputs = (data, truth, init)
    check_request(folder, 1, inputs, resume=resume, overwrite=overwrite)
    from qnet.model.keras_network import build_stage, refine_loss

    spectra = _load(data, truth, settings, architecture)

    def build() -> keras.Model:
        arrays = None if start is None else start.weights.arrays
        return build_stage(architecture, arrays, dropout=dropout)

    batches, validation = _batches(spectra, architecture, settings, finder)
    run = Run(
        folder=folder,
        settings=settings,
        seed=settings.seed,
        plan={
            "settings": resumable(settings.to_dict(), in_memory=spectra.in_memory),
            "architecture": architecture.to_dict(),
            "dropout": dropout,
            "init": None if start is None else identity(start),
            "finder": None if finder is None else identity(finder),
            "sources": sources(spectra, truth),
        },
        network=new_network(build, settings.seed, settings.precision),
        loss=refine_loss,
        batches=batches,
        validation=validation,
        write=_Writer(architecture, settings, start if finder is None else finder, start),
        progress=progress,
    )
    history = run.go(resume=resume, overwrite=overwrite).history
    if recalibrate and (finder or start) is not None:
        rows = split(spectra, settings.validation, settings.seed)[1]
        calibrate_best(folder / BEST, spectra, rows, truth, progress=progress)
    return _read_arrays(folder / BEST, architecture), history


@dataclasses.dataclass(frozen=True)
class _Writer:
    """Writes the stage after an epoch: a model with it, or the arrays alone."""

    architecture: RefineArchitecture
    settings: Settings
    base: Model | None  # the model whose second stage it becomes
    init: Model | None

    def __call__(self, path: Path, network: keras.Model, state: State) -> None:
        """Write a weights file."""
        from qnet.model.keras_network import take_arrays

        arrays = take_arrays(network, self.architecture.shapes())
        if self.base is None:
            with atomic_write(path, overwrite=True) as partial:
                save_file(arrays, partial)
            return
        record = {
            **state.plan,
            "parent": parent_record(self.init, "refine"),
            "best_epoch": state.epoch,
            "history": state.history,
        }
        weights = dataclasses.replace(
            with_second_stage(self.base, self.architecture, arrays),
            name=self.settings.name,
            version=self.settings.version,
            licence=self.settings.licence,
            provenance={
                **self.base.weights.provenance,
                "refine": record,
                **calibration_record(self.base),
            },
        )
        write_weights(path, weights, overwrite=True)


def _load(
    data: Paths, truth: Paths, settings: Settings, architecture: RefineArchitecture
) -> TrainingData:
    """The training data, which must be on the grid of the second stage."""
    spectra = load(data, read_truth(truth), memory=settings.memory, keep_pixels=True)
    grid = architecture.window.grid
    if spectra.grid != grid:
        raise InputError(
            f"the data are on the grid {spectra.grid}, not on that of the second stage, {grid}: "
            "make them with qnet prepare --fine"
        )
    return spectra


def _architecture(given: RefineArchitecture | None, init: Model | None) -> RefineArchitecture:
    """The network to be trained: given, or that of the model to start from, or the default one."""
    if init is None:
        return REFINE_ARCHITECTURE if given is None else given
    own = init.weights.refine
    if own is None:
        raise InputError(f"{init.name} has no second stage to start from")
    if given not in (None, own):
        raise InputError(f"the architecture is not that of {init.name}, which is started from")
    return own


def _finder(arch: RefineArchitecture, given: Model | None, init: Model | None) -> Model | None:
    """The first stage that proposes candidates, where the stage has scores."""
    finder = init if arch.scores and given is None else given
    if arch.scores != (finder is not None):
        raise InputError("a second stage with scores needs a finder, and no other does")
    if finder is not None:
        _bins_of(finder)
    return finder


def _batches(
    spectra: TrainingData, arch: RefineArchitecture, settings: Settings, finder: Model | None
) -> tuple[Batches, Batches]:
    """The batches of training and of validation."""
    quasar = is_quasar(spectra.Y)
    sides = list(split(spectra, settings.validation, settings.seed))
    quasars = [rows[quasar[rows]] for rows in sides]
    if not all(map(len, quasars)):
        raise InputError("the second stage needs quasars to train on, and some for validation")
    group = group_size(settings, arch.window.grid)
    make = RefineMaker(arch, settings.augmentation, finder)
    training, validation = (
        Batches(spectra, rows, settings.batch_size, make, group, seed)
        for rows, seed in zip(sides if arch.scores else quasars, (settings.seed, None), strict=True)
    )
    return training, validation


def _read_arrays(path: Path, arch: RefineArchitecture) -> Columns:
    """The arrays of the best epoch."""
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise FileError(f"{path}: cannot be read ({error})") from error
    arrays: Columns = {name: found[name] for name in arch.shapes() if name in found}
    try:
        check_weights(arch.shapes(), arrays)
    except InputError as error:
        raise FileError(f"{path}: {error}") from error
    return arrays
