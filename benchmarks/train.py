"""Throughput of `qnet.train` against a bare ``model.fit`` of the same Keras model.

    KERAS_BACKEND=tensorflow python benchmarks/train.py --output train.json

Both train the published network on the same spectra, in turn, in one process. The bare run has
input, targets and weights as arrays in memory. A run's throughput is spectra per second over its
epochs but the first, in which the backend compiles. The ratio is that of the medians over the
repetitions. Measured too: how fast batches are made when nothing else is done, and for what
fraction of an epoch the next batch was not ready when it was asked for.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from measure import published, table

import qnet.training.batches as batches_module
from qnet.core.grid import QUASARNET_GRID
from qnet.io import read_data, read_truth
from qnet.io.prepared import PreparedWriter
from qnet.io.tables import write_table
from qnet.lines import QUASARNET_LINES, QUASARNET_LINES_BAL
from qnet.model.keras_network import QuasarNET, custom_loss
from qnet.objective import objective
from qnet.training import NetworkOptions, Settings, train
from qnet.training.settings import VACUUM_REST


class Clock(keras.callbacks.Callback):
    """When each epoch began and ended."""

    #: On JAX Keras may call from other threads: the next batch does not wait for the time to be
    #: noted. The other backends lose by the threads.
    async_safe = keras.backend.backend() == "jax"

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch, logs=None):
        """Note the time."""
        self._begin = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Note the time of the last batch: what an epoch saves is not training."""
        if batch + 1 == self.steps:
            float(logs["loss"])  # A backend that runs ahead of Python has to come to its end.
            self._end = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Note how long the epoch took."""
        self.seconds.append(self._end - self._begin)


def make_survey(folder: Path, count: int) -> tuple[Path, Path]:
    """Prepared data of noise and truth at random: the time does not depend on what is learned."""
    rng = np.random.default_rng(0)
    ids = np.arange(count) + 1
    flux = rng.normal(size=(count, QUASARNET_GRID.npix)).astype(np.float32)
    with PreparedWriter(folder / "data.fits", QUASARNET_GRID) as writer:
        writer.write(flux, np.ones_like(flux), {"TARGETID": ids})
    columns = {
        "THING_ID": ids,
        "Z_VI": rng.uniform(0, 4, count),
        "CLASS_PERSON": rng.choice([1, 3, 30, 4], count),
        "Z_CONF_PERSON": np.full(count, 3),
        "BAL_FLAG_VI": np.zeros(count, int),
        "BI_CIV": np.zeros(count),
    }
    return folder / "data.fits", write_table(folder / "truth.fits", columns, extname="TRUTH")


class Waits:
    """Replaces `qnet.training.batches.prefetch`, and times each batch."""

    def __init__(self) -> None:
        self._prefetch = batches_module.prefetch
        self.seconds: list[float] = []

    def __call__(self, items: Iterator) -> Iterator:
        """The items."""
        items = self._prefetch(items)
        while True:
            begin = time.perf_counter()
            item = next(items)
            self.seconds.append(time.perf_counter() - begin)
            yield item


def made_alone(paths: Sequence[Path], batch_size: int, nspec: int) -> float:
    """Spectra per second of the batches of an epoch, when nothing else is done."""
    from qnet.training.batches import Batches, LineMaker
    from qnet.training.data import load
    from qnet.training.settings import Augmentation

    like = published(1).architecture
    data = load(paths[0], read_truth(paths[1]), memory=4.0, keep_pixels=False, z_lim=2.1)
    made = Batches(data, np.arange(nspec), batch_size, LineMaker(like, Augmentation()), nspec, 1)
    list(itertools.islice(made.epoch(0), 2))
    begin = time.perf_counter()
    count = sum(len(batch[0]) for batch in made.epoch(1))
    return count / (time.perf_counter() - begin)


def bare(paths: Sequence[Path], options: argparse.Namespace, shape: NetworkOptions) -> list[float]:
    """Seconds of the epochs of Keras's own fit on arrays."""
    _, X, Y, z, bal = read_data(paths[0], read_truth(paths[1]))
    names = (QUASARNET_LINES, QUASARNET_LINES_BAL)
    target, weight = objective(z, Y, bal, *names, rest=VACUUM_REST)
    target, weight = ([part.astype(np.float32) for part in parts] for parts in (target, weight))
    model = QuasarNET((X.shape[1], 1), **shape.keras_options())
    model.compile(optimizer=keras.optimizers.Adam(), loss=[custom_loss] * len(target))
    clock = Clock(-(-len(X) // options.batch_size))
    model.fit(
        X[:, :, None],
        target,
        sample_weight=weight,
        batch_size=options.batch_size,
        epochs=options.epochs,
        verbose=0,
        callbacks=[clock],
    )
    return clock.seconds[1:]


def ours(paths: Sequence[Path], options: argparse.Namespace, shape: NetworkOptions) -> list[float]:
    """Seconds of the epochs of qnet's fit on files."""
    clock = Clock(options.nspec // options.batch_size)
    settings = Settings(
        epochs=options.epochs, batch_size=options.batch_size, validation=0.0, network=shape
    )
    with tempfile.TemporaryDirectory() as folder:
        train(*paths, folder, settings, callbacks=[clock], progress=False)
    return clock.seconds[1:]


def one_size(
    paths: Sequence[Path], options: argparse.Namespace, shape: NetworkOptions
) -> dict[str, Any]:
    """Speeds of one batch size."""
    seconds: dict[str, list[float]] = {"bare": [], "qnet": []}
    waited = []
    for _ in range(options.repeats):
        seconds["bare"] += bare(paths, options, shape)
        waits = batches_module.prefetch = Waits()
        try:
            seconds["qnet"] += ours(paths, options, shape)
        finally:
            batches_module.prefetch = waits._prefetch
        steps = options.nspec // options.batch_size
        # Of the epochs but the first, and but the last batches, which are made and not used.
        last = waits.seconds[steps : steps * options.epochs]
        waited.append(sum(last) / sum(seconds["qnet"][1 - options.epochs :]))
    # A last batch that is not full waits for the next epoch in qnet's runs.
    seen = {"bare": options.nspec, "qnet": options.nspec // options.batch_size * options.batch_size}
    rates = {name: [seen[name] / value for value in values] for name, values in seconds.items()}
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "median": medians,
        "ratio": medians["qnet"] / medians["bare"],
        "batches_alone": made_alone(paths, options.batch_size, options.nspec),
        "fraction_waited_for_batches": statistics.median(waited),
        "spectra_per_second": rates,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nspec", type=int, default=10_000)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[256, 32])
    parser.add_argument("--filters", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    shape = NetworkOptions(filters=options.filters)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = make_survey(Path(folder), options.nspec)
        for size in options.batch_sizes:
            options.batch_size = size
            found[size] = one_size(paths, options, shape)
    result = {
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        **{name: getattr(options, name) for name in ("nspec", "filters", "epochs", "repeats")},
        "batch_sizes": found,
    }
    rows = [
        (
            size,
            *one["median"].values(),
            one["ratio"],
            one["batches_alone"],
            one["fraction_waited_for_batches"],
        )
        for size, one in found.items()
    ]
    header = ("batch", "model.fit", "qnet", "ratio", "batches alone", "fraction waited")
    print(f"{result['backend']}, {options.filters} filters, spectra per second")
    print(table(header, rows))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
