"""The training of a network of either stage. Keras is imported when it begins."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qnet.core.errors import InputError
from qnet.core.grid import WavelengthGrid
from qnet.training.batches import Batches
from qnet.training.checkpoint import (
    LAST,
    STATE,
    State,
    best_of,
    check_folder,
    load_checkpoint,
    open_folder,
    save_checkpoint,
    write_history,
    write_validation,
)
from qnet.training.data import GIB
from qnet.training.settings import Precision, Settings

if TYPE_CHECKING:
    import keras

#: 'one-cycle': fraction of the run in which the rate rises, and the factor it rises by, as in
#: Smith & Topin (2018, arXiv:1708.07120) and common implementations of it.
RISE, RISE_FACTOR = 0.3, 25.0

#: 'exponential': factor by which the rate falls over the run.
FALL_FACTOR = 10.0


def check_request(
    folder: Path,
    members: int,
    inputs: Sequence[Any],
    *,
    resume: bool,
    overwrite: bool,
    first: bool = True,
) -> None:
    """Raise unless a run can be begun or resumed in a folder, which the first process looks at."""
    if members < 1:
        raise InputError(f"members must be at least 1, not {members!r}")
    if resume and overwrite:
        raise InputError("resume and overwrite contradict one another")
    if overwrite:
        _check_apart(folder, inputs)
    if first:
        check_folder(folder, members, resume=resume, overwrite=overwrite)
    try:
        with _without_startup_messages():
            import keras

            # Keras imports TensorFlow, where it is there, with the other backends too.
            if find_spec("tensorflow") is not None:
                import tensorflow as tf

                if keras.backend.backend() == "tensorflow":
                    # Without a GPU, it writes of CUDA's failure when it first looks for one.
                    tf.config.list_physical_devices()
    except ImportError as error:
        raise InputError(
            f"training needs Keras and a backend ({error}): install qnet-quasar[train]"
        ) from error


@contextlib.contextmanager
def _without_startup_messages() -> Iterator[None]:
    """Drop what TensorFlow writes to standard error as it starts, unless a level is asked for."""
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield
        return
    # TensorFlow obeys the variable only after it has written the first of its messages.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _check_apart(folder: Path, inputs: Sequence[Any]) -> None:
    """Raise if an input lies in the folder whose run is to be replaced: it would go first."""
    for given in inputs:
        for path in given if isinstance(given, (list, tuple)) else [given]:
            if not (isinstance(path, (str, os.PathLike)) and os.path.exists(path)):
                continue
            if folder.resolve() in Path(path).resolve().parents:
                raise InputError(
                    f"{path}: lies in {folder}, whose run is to be replaced: copy it elsewhere "
                    "first"
                )


def group_size(settings: Settings, grid: WavelengthGrid) -> int:
    """Spectra of a grid that are read together from disk: as many as the memory holds."""
    pixels = 2 * grid.npix * np.dtype(np.float32).itemsize
    return max(settings.batch_size, int(settings.memory * GIB / pixels))


def new_network(build: Callable[[], keras.Model], seed: int, precision: Precision) -> keras.Model:
    """A new network whose weights follow from a seed; Keras's precision is put back afterwards."""
    import keras

    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # Its threads add in any order without this, which holds for the process.
        tf.config.experimental.enable_op_determinism()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return build()
    finally:
        keras.config.set_dtype_policy(before)


def make_optimiser(settings: Settings, steps: int) -> keras.optimizers.Optimizer:
    """Adam with the schedule and weight decay of the settings, for so many batches per epoch."""
    import keras

    total = settings.epochs * steps
    rate = settings.learning_rate
    schedules = keras.optimizers.schedules
    if settings.schedule == "exponential":
        rate = schedules.ExponentialDecay(rate, total, 1 / FALL_FACTOR)
    elif settings.schedule == "cosine":
        rate = schedules.CosineDecay(rate, total)
    elif settings.schedule == "one-cycle":
        rise = max(1, round(RISE * total))
        rate = schedules.CosineDecay(
            rate / RISE_FACTOR,
            max(1, total - rise),
            warmup_target=rate,
            warmup_steps=rise,
        )
    if settings.weight_decay:
        return keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
    return keras.optimizers.Adam(rate)


def create_variables(network: keras.Model, batch: Any) -> None:
    """Create the variables of the optimiser and of the losses, from the first row of a batch.

    Where Keras's fit creates them, TensorFlow traces the training step twice, which takes seconds.
    """
    import keras

    if keras.backend.backend() == "tensorflow":
        X, target, weight = keras.tree.map_structure(lambda part: part[:1], batch)
        network.optimizer.build(network.trainable_variables)
        network.compute_loss(X, target, network(X, training=False), weight, training=False)


@dataclasses.dataclass
class Run:
    """The training of one network, from its beginning or its last checkpoint to its end."""

    folder: Path
    settings: Settings
    seed: int  # of what Keras draws
    plan: dict[str, Any]  # what must be the same for the run to be resumed
    network: keras.Model  # new, not compiled
    loss: Any  # a loss, or one for each output
    batches: Batches
    validation: Batches  # may hold no spectra
    write: Callable[[Path, keras.Model, State], None]  # writes a weights file
    outputs: Mapping[str, str] = dataclasses.field(default_factory=dict)  # names in the history
    callbacks: Sequence[keras.callbacks.Callback] = ()
    progress: bool | None = None

    def go(self, *, resume: bool, overwrite: bool) -> State:
        """Train to the end. A run that was killed before its first checkpoint begins anew."""
        if resume and (self.folder / STATE).exists():
            losses = self.loss if isinstance(self.loss, list) else [self.loss]
            known = {loss.__name__: loss for loss in losses if callable(loss)}
            self.network, state = load_checkpoint(self.folder, self.plan, known)
        else:
            open_folder(self.folder, overwrite=overwrite or resume)
            write_validation(self.folder, self.validation)
            state = State(self.plan)
            optimiser = make_optimiser(self.settings, self.batches.steps)
            self.network.compile(optimizer=optimiser, loss=self.loss)
        if not state.is_done(self.settings):
            self._fit(state)
        return state

    def _fit(self, state: State) -> None:
        """Keras's fit, from the state on."""
        from qnet.training import callbacks as ours

        settings, batches, validation = self.settings, self.batches, self.validation
        validated = len(validation.rows) > 0
        monitor = "val_loss" if validated else "loss"
        stream = (ours.for_keras(batch) for batch in batches.endless(state.epoch))
        first = next(stream)
        create_variables(self.network, first)
        self.network.fit(
            (batch for batch in itertools.chain([first], stream)),  # Keras knows generators
            steps_per_epoch=batches.steps,
            initial_epoch=state.epoch,
            epochs=settings.epochs,
            validation_data=ours.ValidationData(validation) if validated else None,
            verbose=0,
            shuffle=False,
            callbacks=[
                ours.StopOnNaN(batches, validation),
                ours.Reseed(self.seed),
                ours.Recorder(state, self.outputs, monitor, settings.patience, self._save),
                ours.Progress(settings.epochs, batches, state.epoch, self.progress),
                *self.callbacks,
            ],
        )

    def _save(self, state: State, best: bool) -> None:
        """Write weights, history and checkpoint after an epoch."""
        for name in (LAST, best_of(state.epoch)) if best else (LAST,):
            self.write(self.folder / name, self.network, state)
        write_history(self.folder, state.history)
        save_checkpoint(self.folder, self.network, state)
