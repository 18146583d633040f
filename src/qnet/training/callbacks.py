"""What happens during a run: history, checkpoints, stopping, a progress bar. Imports Keras."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import keras
import numpy as np
from tqdm import tqdm

from qnet.core.arrays import IntArray
from qnet.core.errors import TrainingError
from qnet.training.batches import Batches
from qnet.training.checkpoint import State

logger = logging.getLogger(__name__)

#: Whether Keras may call the ends of batches from other threads, in any order: so the next batch
#: begins while the loss of the last one is still computed. JAX can do that; the other backends lose
#: by the threads.
RUNS_AHEAD = keras.backend.backend() == "jax"

#: Spectra that the message of a bad batch names.
_NAMED = 5


class Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Keep the history, save after every epoch, and stop when the loss no longer falls.

    Parameters
    ----------
    state : State
        Is kept up to date.
    outputs : mapping of str to str
        Names in the history of Keras's outputs.
    monitor : str
        The loss that decides which epoch is best.
    patience : int or None
        Epochs without a better one after which training stops.
    save : callable
        Called with the state, and whether the epoch is the best so far, after every epoch.
    """

    def __init__(
        self,
        state: State,
        outputs: Mapping[str, str],
        monitor: str,
        patience: int | None,
        save: Callable[[State, bool], None],
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
        for key, value in sorted((logs or {}).items(), key=lambda item: not _is_total(item[0])):
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


class Losses:
    """Finds the first batch whose loss is not a number; batches may end in any order."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: set[int] = set()
        self._bad: dict[int, float] = {}

    def begin(self, batch: int) -> None:
        """Note that a batch begins; the first one, that all others are forgotten."""
        with self._changed:
            if batch == 0:
                self._running.clear()
                self._bad.clear()
            self._running.add(batch)

    def end(self, batch: int, loss: float) -> None:
        """Note the loss of a batch."""
        with self._changed:
            self._running.discard(batch)
            if not math.isfinite(loss):
                self._bad[batch] = loss
            self._changed.notify_all()

    def first_bad(self, last: int) -> tuple[int, float] | None:
        """The first bad batch up to `last`, once all of these have ended, and its loss."""
        with self._changed:
            self._changed.wait_for(lambda: all(batch > last for batch in self._running))
            return min(((b, loss) for b, loss in self._bad.items() if b <= last), default=None)


class StopOnNaN(keras.callbacks.Callback):  # type: ignore[misc]
    """Stop when a loss or a weight is not a number, and say which batch it was.

    First among callbacks, so that it hears of the end of each batch.


    The weights are looked at before an epoch is judged or saved: what the last batch of an epoch
    spoils would show in the loss of the next epoch only, and be the last checkpoint until then.

    Parameters
    ----------
    batches : Batches
    judged : Batches or None
        Those of the validation.
    saved : bool
        Whether a checkpoint is written after every epoch.
    """

    async_safe = RUNS_AHEAD

    def __init__(self, batches: Batches, judged: Batches | None = None, *, saved: bool) -> None:
        super().__init__()
        self._batches = batches
        self._judged = judged
        self._saved = saved
        self._epoch = 0
        self._losses, self._judged_losses = Losses(), Losses()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note the epoch."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Note the batch."""
        self._losses.begin(batch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Look at the loss, which Keras averages over the epoch so far."""
        loss = float((logs or {}).get("loss", 0.0))
        self._losses.end(batch, loss)
        if not math.isfinite(loss):
            self._check_losses(batch)

    def on_test_begin(self, logs: Any = None) -> None:
        """Look at the weights before they are judged."""
        self._check_weights()

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Note the batch."""
        self._judged_losses.begin(batch)

    def on_test_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Look at the validation loss, which Keras averages over the batches so far."""
        loss = float((logs or {}).get("loss", 0.0))
        self._judged_losses.end(batch, loss)
        if self._judged is None or math.isfinite(loss):
            return
        first, loss = self._judged_losses.first_bad(batch) or (batch, loss)
        targets = self._judged.data.tids[self._judged.rows_of(0, first)]
        raise TrainingError(
            f"the validation loss of epoch {self._epoch + 1} is {loss} from batch {first + 1} "
            f"of the validation on (TARGETIDs {_some(targets)}){self._kept()}"
        )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Look at the weights before they are saved."""
        self._check_weights()

    def _check_weights(self) -> None:
        """Raise if the last batch of the epoch left a weight that is not finite."""
        if not all(np.isfinite(values).all() for values in self.model.get_weights()):
            last = self._batches.steps - 1
            self._check_losses(last)
            self._stop("the weights are not finite after", last, "")

    def _check_losses(self, last: int) -> None:
        """Raise if the loss of a batch up to `last` is not a number; the first one is named."""
        if (bad := self._losses.first_bad(last)) is not None:
            batch, loss = bad
            self._stop(f"the loss is {loss} from", batch, "on")

    def _stop(self, what: str, batch: int, after: str) -> NoReturn:
        """Raise, with a batch of training named."""
        targets = self._batches.data.tids[self._batches.rows_of(self._epoch, batch)]
        raise TrainingError(
            f"{what} batch {batch + 1} of epoch {self._epoch + 1} {after}".rstrip()
            + f" (TARGETIDs {_some(targets)}){self._kept()}; a lower learning rate may help"
        )

    def _kept(self) -> str:
        """What is left of the run."""
        kept = self._saved and self._epoch
        return "; the checkpoint of the epoch before is kept" if kept else ""


def _some(targets: IntArray) -> str:
    """The first few TARGETIDs, as text."""
    return ", ".join(map(str, targets[:_NAMED])) + (", ..." if len(targets) > _NAMED else "")


class Reseed(keras.callbacks.Callback):  # type: ignore[misc]
    """Seed what Keras draws in an epoch (dropout) by the epoch: its files do not keep that state.

    Parameters
    ----------
    seed : int
    """

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
    """A bar of batches, on a terminal or where it is asked for.

    Parameters
    ----------
    epochs, steps : int
        Of the whole run, and per epoch.
    done : int
        Epochs done before.
    show : bool or None
        None shows it on a terminal only.
    """

    async_safe = RUNS_AHEAD

    def __init__(self, epochs: int, steps: int, done: int, show: bool | None) -> None:
        super().__init__()
        self._bar = tqdm(
            total=epochs * steps,
            initial=done * steps,
            unit="batch",
            disable=None if show is None else not show,
        )
        self._lock = threading.Lock()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """One batch more."""
        with self._lock:
            self._bar.update()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Show the losses of the epoch."""
        losses = {key: f"{value:.4g}" for key, value in (logs or {}).items() if _is_total(key)}
        self._bar.set_postfix(epoch=epoch + 1, **losses)

    def on_train_end(self, logs: Any = None) -> None:
        """Close the bar."""
        self._bar.close()


def output_names(
    keras_outputs: Sequence[str], lines: Sequence[str], lines_bal: Sequence[str]
) -> dict[str, str]:
    """Names in the history of Keras's outputs: letters, digits and underscores, as FITS has it."""
    names = [*lines, *(f"BAL_{line}" for line in lines_bal)]
    names += ["REDSHIFT"] * (len(keras_outputs) - len(names))
    plain = ["".join(c if c.isalnum() else "_" for c in name).strip("_") for name in names]
    return dict(zip(keras_outputs, plain, strict=True))


def _is_total(key: str) -> bool:
    return key in ("loss", "val_loss")
