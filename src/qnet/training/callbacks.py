"""Keras callbacks and validation data of a training. Imports Keras.

Keras's own callbacks do not suffice: `TerminateOnNaN` names neither batch nor spectra, a kill may
leave files of `BackupAndRestore` and `ModelCheckpoint` half-written, `EarlyStopping` begins anew
when a run is resumed, and `ProgbarLogger` makes JAX wait for the loss of every batch.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from qnet.core import progress
from qnet.core.errors import TrainingError, first_few
from qnet.training.batches import Batch, Batches
from qnet.training.checkpoint import State

logger = logging.getLogger(__name__)

#: Whether Keras may call the ends of batches from other threads, in any order: so the next batch
#: begins while the loss of the last one is still computed. JAX can do that; the other backends lose
#: by the threads.
RUNS_AHEAD = keras.backend.backend() == "jax"

#: Losses of all outputs together.
_TOTALS = ("loss", "val_loss")


class Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the state and its history, saves after every epoch, and stops early."""

    def __init__(
        self,
        state: State,
        outputs: Mapping[str, str],  # names in the history of Keras's outputs
        monitor: str,  # the loss that decides which epoch is best
        patience: int | None,
        save: Callable[[State, bool], None],  # called with whether the epoch is the best so far
    ) -> None:
        super().__init__()
        self.state = state
        self._outputs = outputs
        self._monitor = monitor
        self._patience = patience
        self._save = save

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record an epoch."""
        row = {"epoch": epoch + 1, "learning_rate": float(self.model.optimizer.learning_rate)}
        # The totals first, then the lines.
        for key, value in sorted((logs or {}).items(), key=lambda item: item[0] not in _TOTALS):
            prefix, name = ("val_", key[4:]) if key.startswith("val_") else ("", key)
            output = self._outputs.get(name.removesuffix("_loss"))
            row[f"{prefix}loss_{output}" if output else key] = float(value)
        state = self.state
        state.epoch = epoch + 1
        state.history.append(row)
        better = row[self._monitor] < state.best_loss
        if better:
            state.best_epoch, state.best_loss = epoch + 1, row[self._monitor]
        logger.info("epoch %d: %s %.5g", epoch + 1, self._monitor, row[self._monitor])
        self._save(state, better)
        if self._patience is not None and epoch + 1 - state.best_epoch >= self._patience:
            logger.info("stopped: no better epoch since %d", state.best_epoch)
            self.model.stop_training = True


class StopOnNaN(keras.callbacks.Callback):  # type: ignore[misc]
    """Raises at the end of an epoch with a loss or weight that is not finite, with its first batch.

    Must be the first of the callbacks, before the epoch is saved. The weights are checked because
    a last batch that spoils them changes the loss of the next epoch only.
    """

    async_safe = RUNS_AHEAD

    def __init__(self, batches: Batches, validation: Batches) -> None:
        super().__init__()
        self._batches = batches
        self._validation = validation
        self._epoch = 0
        #: Losses that are not finite, by batch. Keras logs the mean of an epoch so far, so that all
        #: after the first are among them; batches may end in any order, but before the epoch does.
        self._bad: dict[int, float] = {}
        self._bad_validation: dict[int, float] = {}

    def set_model(self, model: keras.Model) -> None:
        """Keep the network: on JAX `self.model` moves its weights, which a thread must not do."""
        super().set_model(model)
        self._network = model

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note the epoch."""
        self._epoch = epoch
        self._bad, self._bad_validation = {}, {}

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Note a loss that is not finite, and end the epoch."""
        if not math.isfinite(loss := float((logs or {}).get("loss", 0.0))):
            self._bad[batch] = loss
            self._network.stop_training = True

    def on_test_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Note a validation loss that is not finite."""
        if not math.isfinite(loss := float((logs or {}).get("loss", 0.0))):
            self._bad_validation[batch] = loss

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Raise if the epoch had a loss, or leaves a weight, that is not finite."""
        kept = "; the checkpoint of the epoch before is kept" if epoch else ""
        advice = f"{kept}; a lower learning rate may help"
        if self._bad:
            batch = min(self._bad)
            names = self._names(self._batches, batch)
            raise TrainingError(
                f"the loss is {self._bad[batch]} from batch {batch + 1} of epoch {epoch + 1} on "
                f"{names}{advice}"
            )
        if not all(np.isfinite(values).all() for values in self.model.get_weights()):
            batch = self._batches.steps - 1
            names = self._names(self._batches, batch)
            raise TrainingError(
                f"the weights are not finite after batch {batch + 1} of epoch {epoch + 1} "
                f"{names}{advice}"
            )
        if self._bad_validation:
            batch = min(self._bad_validation)
            names = self._names(self._validation, batch)
            raise TrainingError(
                f"the validation loss of epoch {epoch + 1} is {self._bad_validation[batch]} from "
                f"batch {batch + 1} of the validation on {names}{kept}"
            )

    def _names(self, batches: Batches, batch: int) -> str:
        """The first few TARGETIDs of a batch, in brackets."""
        targets = batches.data.tids[batches.rows_of(self._epoch, batch)]
        return f"(TARGETIDs {first_few(targets, 5)})"


class Reseed(keras.callbacks.Callback):  # type: ignore[misc]
    """Seeds Keras's generators (dropout) by the epoch: its files do not keep their state."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the state of every generator."""
        self._rng = np.random.default_rng([self._seed, 4, epoch])
        for layer in self.model.layers:
            generator = getattr(layer, "seed_generator", None)
            if generator is not None:
                state = self._rng.integers(0, 2**31 - 1, generator.state.shape)
                generator.state.assign(state.astype(generator.state.dtype))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Seed the backend's own generator, which torch's dropout draws from.

        Before the first batch, not when the epoch begins: Keras draws from it in between, in the
        first epoch of a process only. Not on TensorFlow, which would compile its graph anew.
        """
        if batch == 0 and keras.backend.backend() == "torch":
            keras.utils.set_random_seed(int(self._rng.integers(0, 2**31 - 1)))


class Progress(keras.callbacks.Callback):  # type: ignore[misc]
    """A bar of the spectra of a run; with `show` None on a terminal only."""

    async_safe = RUNS_AHEAD

    def __init__(self, epochs: int, batches: Batches, done: int, show: bool | None) -> None:
        super().__init__()
        self._size, self._epochs = min(batches.size, len(batches.rows)), epochs
        each = batches.steps * self._size
        self._bar = progress.Progress(show, spectra=epochs * each, done=done * each)
        self._bar.note(f"epoch {done + 1} of {epochs}")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """One batch more."""
        self._bar.add(self._size)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Show the losses of the epoch."""
        losses = (f", {key} {value:.4g}" for key, value in (logs or {}).items() if key in _TOTALS)
        at = f"epoch {min(epoch + 2, self._epochs)} of {self._epochs}"
        self._bar.note(at + "".join(losses))

    def on_train_end(self, logs: Any = None) -> None:
        """Close the bar."""
        self._bar.close()


class ValidationData(keras.utils.PyDataset):  # type: ignore[misc]
    """The batches of the validation, the same ones in the same order after every epoch.

    Not a generator: Keras begins each validation with the first two batches that a generator ever
    gave, and goes on where the one before has ended.
    """

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self._batches = batches

    def __len__(self) -> int:
        return self._batches.steps

    def __getitem__(self, index: int) -> Any:
        return for_keras(self._batches.at(index))


def for_keras(batch: Batch) -> Any:
    """A batch as Keras takes it: without tuples where the network has one output."""
    X, target, weight = batch
    return (X, target, weight) if len(target) > 1 else (X, target[0], weight[0])
