"""Training of the second stage: precise redshifts from guesses. Imports Keras when it trains."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qnet.architecture import RefineArchitecture
from qnet.errors import InputError
from qnet.files import PathLike
from qnet.io.truth import read_truth
from qnet.lines import SPEED_OF_LIGHT
from qnet.model import Model
from qnet.objective import CLASSES, QSO_CLASSES
from qnet.posterior import RedshiftBins, candidates
from qnet.preprocess import preprocess
from qnet.refine import PREPARED_CAMERA, rest_frame
from qnet.spectra import Camera
from qnet.train.augment import augment
from qnet.train.batches import Batch, Batches
from qnet.train.data import Held, Rows, TrainingData, load, split
from qnet.train.settings import Augmentation, Settings

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

#: Errors [km/s] of the guesses that the stage is trained with, and their shares: those of a line
#: finder, of a second pass, and a tail out to where the stage gives up.
GUESS_ERRORS: tuple[tuple[float, float], ...] = ((300.0, 0.4), (1000.0, 0.4), (3000.0, 0.2))

#: A stage that verifies sees this share of the quasars near their redshift, the others and all that
#: are no quasars at one of so many candidates of the first stage.
NEAR_SHARE, CANDIDATES = 0.5, 3

#: Weight of the verdict against the redshift in the loss: chosen on simulated spectra.
VERDICT_WEIGHT = 2.0

#: Weight of broad absorption in the loss.
BAL_WEIGHT = 1.0

#: Keeps candidates of no share at all in the draw.
_LEAST_SHARE = 1e-4

_GIB = 2**30


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
        X, z_frame = rest_frame(flux, ivar, guess, self.arch)
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
    ) -> npt.NDArray[np.float64]:
        """One of the finder's candidates of each spectrum, drawn by the root of their shares."""
        camera = Camera(PREPARED_CAMERA, self.arch.grid.wave, flux, ivar)
        look = finder.look(preprocess([camera], finder.grid).X)
        z, share = candidates(np.asarray(look.posterior), _bins_of(finder), CANDIDATES)
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


def draw_errors(rng: np.random.Generator, count: int, largest: float) -> npt.NDArray[np.float64]:
    """Errors of guesses [km/s], of the mixture `GUESS_ERRORS`, none larger than `largest`."""
    widths, shares = np.array(GUESS_ERRORS).T
    error = rng.normal(0, 1, count) * rng.choice(widths, count, p=shares / shares.sum())
    return np.clip(error, -largest, largest)


def build_refiner(arch: RefineArchitecture, *, dropout: float = 0.0) -> keras.Model:
    """The second stage in Keras, untrained.

    Parameters
    ----------
    arch : RefineArchitecture
    dropout : float
        Share of the activations dropped before the dense layer, in training.

    Returns
    -------
    keras.Model
        (nspec, npooled, 2) to (nspec, arch.noutputs): velocity and the logarithm of its error, in
        units of ``arch.dv_scale``, and the logits of the verdict and of broad absorption.
        `take_refiner` gives its arrays.
    """
    import keras
    from keras import layers

    inputs = keras.Input(shape=(arch.npooled, 2))
    x = inputs
    for number, conv in enumerate(arch.convs, start=1):
        x = layers.Conv1D(
            conv.filters,
            conv.width,
            strides=conv.stride,
            padding=conv.padding,
            name=f"refine_conv_{number}",
        )(x)
        x = layers.BatchNormalization(epsilon=conv.epsilon, name=f"refine_bn_{number}")(x)
        x = layers.Activation("relu")(x)
    x = layers.Flatten()(x)
    if dropout:
        x = layers.Dropout(dropout)(x)
    x = layers.Dense(arch.units, name="refine_fc")(x)
    x = layers.BatchNormalization(epsilon=arch.epsilon, name="refine_bn_fc")(x)
    x = layers.Activation("relu")(x)
    outputs = layers.Dense(arch.noutputs, name="refine_out", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="Refiner")


def take_refiner(model: keras.Model, arch: RefineArchitecture) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a second stage that was trained in Keras, by their names in a weights file."""
    arrays = {}
    for name, shape in arch.shapes().items():
        layer, part = name.split(".")
        source = model.get_layer(layer)
        values = {variable.name: np.asarray(variable) for variable in source.variables}
        arrays[name] = values[part].reshape(shape)
    return arrays


def refine_loss(y_true: Any, y_pred: Any) -> Any:
    """Loss of the second stage: of its redshift, and of its verdict where there is one.

    The redshift's is the negative logarithm of a Laplace density of the velocity, but for a
    constant: |y - mu| / b + log b, of the predicted mu and log b, in frames that are right. The
    error that is learned is a typical one, which outliers do not drive. The verdict's is the
    cross-entropy of whether the frame is right, times ``VERDICT_WEIGHT``; that of broad absorption
    the same, of frames that are right and quasars of which it is known.

    Parameters
    ----------
    y_true : tensor, shape (nspec, 2) or (nspec, 4)
        Velocity; 1 where the frame is that of a quasar, else 0; 1 where there is broad absorption,
        else 0; 1 where that is known and the frame right, else 0.
    y_pred : tensor, shape (nspec, 2), (nspec, 3) or (nspec, 4)
        Velocity, logarithm of its error, logit of the verdict, logit of broad absorption.

    Returns
    -------
    tensor, shape (nspec,)
    """
    from keras import ops

    right = y_true[:, 1]
    log_b = ops.clip(y_pred[:, 1], -6.0, 6.0)
    loss = right * (ops.abs(y_true[:, 0] - y_pred[:, 0]) * ops.exp(-log_b) + log_b)
    if y_pred.shape[-1] == 2:
        return loss
    logit = y_pred[:, 2]
    # -log sigmoid(x) = softplus(-x), -log(1 - sigmoid(x)) = softplus(x).
    loss = loss + VERDICT_WEIGHT * (ops.softplus(logit) - right * logit)
    if y_pred.shape[-1] == 3:
        return loss
    absorbed, known, logit = y_true[:, 2], y_true[:, 3], y_pred[:, 3]
    return loss + BAL_WEIGHT * known * (ops.softplus(logit) - absorbed * logit)


def fit_refiner(
    data: PathLike | Sequence[PathLike],
    truth: PathLike | Sequence[PathLike],
    arch: RefineArchitecture,
    settings: Settings,
    *,
    finder: Model | None = None,
    dropout: float = 0.0,
    progress: bool | None = None,
) -> tuple[dict[str, npt.NDArray[Any]], list[dict[str, float]]]:
    """Train the second stage on the quasars of prepared data; one that verifies on all spectra.

    Parameters
    ----------
    data : path or sequence of paths
        Prepared data files on ``arch.grid``.
    truth : path or sequence of paths
        Truth tables.
    arch : RefineArchitecture
    settings : Settings
        Epochs, batch size, optimiser, augmentation, precision, validation, memory and seed; the
        rest is of the first stage.
    finder : Model, optional
        First stage, with a redshift head: its candidates are what a stage that verifies judges.
    dropout : float
        As `build_refiner` takes it.
    progress : bool, optional
        Whether to show a progress bar; None: on a terminal only.

    Returns
    -------
    arrays : dict of str to ndarray
        Of the epoch of the lowest validation loss.
    history : list of dict
        The losses by epoch.

    Raises
    ------
    InputError
        The data are on another grid, or hold no quasar; a stage verifies and there is no finder, or
        the other way round; or the finder has no redshift head.
    MissingFileError, FileError
        A file cannot be read.
    TrainingError
        The loss is not a number.
    """
    from qnet.train.callbacks import Progress, StopOnNaN
    from qnet.train.optimiser import make_optimiser
    from qnet.train.precision import precision
    from qnet.train.seeds import set_seed

    if arch.verify != (finder is not None):
        raise InputError("a second stage that verifies needs a finder, and no other does")
    if finder is not None:
        _bins_of(finder)
    spectra = load(data, read_truth(truth), memory=settings.memory, keep_pixels=True)
    if spectra.grid != arch.grid:
        raise InputError(f"the data are on the grid {spectra.grid}, not on {arch.grid}")
    quasar = np.isin(spectra.Y.argmax(axis=1), QSO_CLASSES)
    sides = list(split(spectra, settings.validation, settings.seed))
    quasars = [rows[quasar[rows]] for rows in sides]
    if not all(map(len, quasars)):
        raise InputError("the second stage needs quasars to train on, and some for validation")
    sides = sides if arch.verify else quasars
    group = max(settings.batch_size, int(settings.memory * _GIB / (8 * arch.grid.npix)))
    make = RefineMaker(arch, settings.augmentation, finder)
    batches, judged = (
        Batches(spectra, rows, settings.batch_size, make, group, seed)
        for rows, seed in zip(sides, (settings.seed, None), strict=True)
    )
    set_seed(settings.seed)
    with precision(settings.precision):
        network = build_refiner(arch, dropout=dropout)
    network.compile(optimizer=make_optimiser(settings, batches.steps), loss=refine_loss)
    best = _Best(arch)
    done = network.fit(
        _single(batches.endless(0)),
        steps_per_epoch=batches.steps,
        epochs=settings.epochs,
        validation_data=_single(judged.endless(0)),
        validation_steps=judged.steps,
        verbose=0,
        shuffle=False,
        callbacks=[
            StopOnNaN(batches, judged, saved=False),
            best.callback(),
            Progress(settings.epochs, batches.steps, 0, progress),
        ],
    )
    names = list(done.history)
    return best.arrays, [
        {name: done.history[name][epoch] for name in names} for epoch in range(len(done.epoch))
    ]


class _Best:
    """The arrays of the epoch of the lowest validation loss."""

    def __init__(self, arch: RefineArchitecture) -> None:
        self._arch = arch
        self._loss = math.inf
        self.arrays: dict[str, npt.NDArray[Any]] = {}

    def callback(self) -> keras.callbacks.Callback:
        """What Keras calls after every epoch."""
        import keras

        def keep(epoch: int, logs: dict[str, float]) -> None:
            logger.info("epoch %d: %s", epoch + 1, logs)
            if logs["val_loss"] < self._loss:
                self._loss = logs["val_loss"]
                self.arrays = take_refiner(callback.model, self._arch)

        callback = keras.callbacks.LambdaCallback(on_epoch_end=keep)
        return callback


def _single(batches: Any) -> Any:
    """Batches of a network with one output."""
    for X, (target,), (weight,) in batches:
        yield X, target, weight
