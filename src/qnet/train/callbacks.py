"""What happens during a run: history, checkpoints, stopping, a progress bar. Imports Keras."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from qnet.errors import TrainingError
from qnet.train.batches import Batches
from qnet.train.checkpoint import State

logger = logging.getLogger(__name__)

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


class StopOnNaN(keras.callbacks.Callback):  # type: ignore[misc]
    """Stop when a loss is not a number, and say which batch it was.

    Parameters
    ----------
    batches : Batches
    saved : bool
        Whether a checkpoint is written after every epoch.
    """

    def __init__(self, batches: Batches, *, saved: bool) -> None:
        super().__init__()
        self._batches = batches
        self._saved = saved
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Look at the loss, which Keras averages over the epoch so far."""
        loss = float((logs or {}).get("loss", 0.0))
        if math.isfinite(loss):
            return
        rows = self._batches.rows_of(self._epoch, batch)
        targets = self._batches.data.tids[rows]
        names = ", ".join(map(str, targets[:_NAMED])) + (", ..." if len(targets) > _NAMED else "")
        kept = "; the checkpoint of the epoch before is kept" if self._saved and self._epoch else ""
        raise TrainingError(
            f"the loss is {loss} from batch {batch + 1} of epoch {self._epoch + 1} on (TARGETIDs "
            f"{names}){kept}; a lower learning rate may help"
        )


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
        rng = np.random.default_rng([self._seed, 4, epoch])
        for layer in self.model.layers:
            generator = getattr(layer, "seed_generator", None)
            if generator is not None:
                state = rng.integers(0, 2**31 - 1, generator.state.shape)
                generator.state.assign(state.astype(generator.state.dtype))


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

    def __init__(self, epochs: int, steps: int, done: int, show: bool | None) -> None:
        super().__init__()
        self._bar = tqdm(
            total=epochs * steps,
            initial=done * steps,
            unit="batch",
            disable=None if show is None else not show,
        )

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """One batch more."""
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
