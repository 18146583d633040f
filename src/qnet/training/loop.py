"""What both stages' trainings share: Keras, which must be there, and its `fit` from a state on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qnet.core.errors import InputError
from qnet.core.grid import WavelengthGrid
from qnet.training.batches import Batch, Batches
from qnet.training.checkpoint import State
from qnet.training.settings import Settings

if TYPE_CHECKING:
    import keras

_GIB = 2**30


def need_keras() -> None:
    """Raise, in a sentence, where Keras or its backend is not installed."""
    try:
        import keras  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"training needs Keras and a backend ({error}): install qnet-quasar[train]"
        ) from error


def group_size(settings: Settings, grid: WavelengthGrid) -> int:
    """Spectra of a grid that are read together from disk: as many as the memory holds."""
    pixels = 2 * grid.npix * np.dtype(np.float32).itemsize
    return max(settings.batch_size, int(settings.memory * _GIB / pixels))


def run_epochs(
    network: keras.Model,
    state: State,
    batches: Batches,
    judged: Batches,
    settings: Settings,
    *,
    seed: int,
    outputs: Mapping[str, str],
    save: Callable[[State, bool], None],
    saved: bool,
    convert: Callable[[Batch], Any] = lambda batch: batch,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: bool | None = None,
) -> None:
    """Train a network from a state to its end, with everything that happens after an epoch.

    Parameters
    ----------
    network : keras.Model
        Compiled.
    state : State
        Is kept up to date.
    batches, judged : Batches
        Of training and of validation; the latter may hold no spectra.
    settings : Settings
        Epochs and patience.
    seed : int
        Of what Keras draws.
    outputs, save
        As `qnet.training.callbacks.Recorder` takes them.
    saved : bool
        Whether `save` writes a checkpoint.
    convert : callable
        Makes of a batch what the network takes.
    callbacks : sequence of keras.callbacks.Callback
        Further callbacks. Where one of them looks at the ends of batches and does not say
        ``async_safe``, Keras computes the loss of each batch before the next one begins.
    progress : bool, optional
        Whether to show a progress bar; None: on a terminal only.

    Raises
    ------
    TrainingError
        A loss or a weight is not a number.
    """
    from qnet.training.callbacks import Progress, Recorder, Reseed, StopOnNaN
    from qnet.training.judged import Judged

    validated = len(judged.rows) > 0
    monitor = "val_loss" if validated else "loss"
    network.fit(
        (convert(batch) for batch in batches.endless(state.epoch)),
        steps_per_epoch=batches.steps,
        initial_epoch=state.epoch,
        epochs=settings.epochs,
        validation_data=Judged(judged, convert) if validated else None,
        verbose=0,
        shuffle=False,
        callbacks=[
            StopOnNaN(batches, judged if validated else None, saved=saved),
            Reseed(seed),
            Recorder(state, outputs, monitor, settings.patience, save),
            Progress(settings.epochs, batches.steps, state.epoch, progress),
            *callbacks,
        ],
    )
