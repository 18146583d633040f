"""Training on several devices and hosts, through Keras's own distribution."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from qnet.core.errors import InputError

#: Keras's own variables for a training on several hosts.
_PROCESS, _PROCESSES = "KERAS_DISTRIBUTION_PROCESS_ID", "KERAS_DISTRIBUTION_NUM_PROCESSES"


@dataclasses.dataclass(frozen=True)
class Process:
    """Which of the processes of a training this one is, and the devices of all of them."""

    number: int = 0
    processes: int = 1
    devices: int = 1


def check_backend() -> None:
    """Raise unless Keras's backend can share a training between devices: JAX alone can."""
    import keras

    if (backend := keras.backend.backend()) != "jax":
        raise InputError(
            f"several devices share a training with Keras's backend jax, not with {backend}: set "
            "KERAS_BACKEND=jax"
        )


@contextlib.contextmanager
def distribution(wanted: bool, batch_size: int) -> Iterator[Process]:
    """Data parallelism over all devices that JAX shows, where it is wanted."""
    if not wanted:
        yield Process()
        return
    import keras

    processes = int(os.environ.get(_PROCESSES, "1"))
    if processes > 1:
        keras.distribution.initialize()
    devices = len(keras.distribution.list_devices())
    if batch_size % devices:
        raise InputError(
            f"batch_size must be a multiple of the {devices} devices, not {batch_size}"
        )
    # Each process makes its own part of every batch: Keras must not split it again.
    parallel = keras.distribution.DataParallel(auto_shard_dataset=False)
    with parallel.scope():
        yield Process(int(os.environ.get(_PROCESS, "0")), processes, devices)


def is_first(wanted: bool) -> bool:
    """Whether this process is the one that writes: the only one, or the first of several."""
    return not wanted or os.environ.get(_PROCESS, "0") == "0"


@contextlib.contextmanager
def own_folder(folder: Path, process: Process, *, resume: bool) -> Iterator[Path]:
    """The run's folder for the first process; for others a copy (to resume) that is thrown away.

    All processes must do the same, writing included, or they wait for one another for ever.
    """
    if process.number == 0:
        yield folder
        return
    with tempfile.TemporaryDirectory() as temporary:
        if resume:
            shutil.copytree(folder, temporary, dirs_exist_ok=True)
        yield Path(temporary)
