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
class Share:
    """The part that this process has in a training.

    Attributes
    ----------
    process, processes : int
        Which process this is, and of how many.
    devices : int
        Of all processes together.
    """

    process: int = 0
    processes: int = 1
    devices: int = 1


def check_backend(wanted: bool) -> None:
    """Check that Keras's backend is one that shares a training: JAX alone is.

    Raises
    ------
    InputError
        It is another.
    """
    if not wanted:
        return
    import keras

    if (backend := keras.backend.backend()) != "jax":
        raise InputError(
            f"several devices share a training with Keras's backend jax, not with {backend}: set "
            "KERAS_BACKEND=jax"
        )


@contextlib.contextmanager
def distribution(wanted: bool, batch_size: int) -> Iterator[Share]:
    """Data parallelism over all devices that JAX shows, where it is wanted.

    Parameters
    ----------
    wanted : bool
    batch_size : int
        Spectra per step, over all devices.

    Yields
    ------
    Share

    Raises
    ------
    InputError
        The batch cannot be parted evenly.
    """
    if not wanted:
        yield Share()
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
    # Each process makes its own part of every batch: Keras must not part it again.
    parallel = keras.distribution.DataParallel(auto_shard_dataset=False)
    with parallel.scope():
        yield Share(int(os.environ.get(_PROCESS, "0")), processes, devices)


def is_first(wanted: bool) -> bool:
    """Whether this process is the one that writes: the only one, or the first of several."""
    return not wanted or os.environ.get(_PROCESS, "0") == "0"


@contextlib.contextmanager
def own_folder(folder: Path, share: Share, *, resume: bool) -> Iterator[Path]:
    """The run's folder for the first process; for others one that is thrown away.

    All processes must do the same, writing included, or they wait for one another for ever.

    Parameters
    ----------
    folder : Path
    share : Share
    resume : bool
        Whether the others need what the folder holds.

    Yields
    ------
    Path
    """
    if share.process == 0:
        yield folder
        return
    with tempfile.TemporaryDirectory() as temporary:
        if resume:
            shutil.copytree(folder, temporary, dirs_exist_ok=True)
        yield Path(temporary)
