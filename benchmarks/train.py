"""Throughput of `qnet.train.fit` against a bare ``model.fit`` of the same Keras model.

    KERAS_BACKEND=tensorflow python benchmarks/train.py --output train.json

Both train the published network on the same spectra, in turn, in one process. The bare run has
input, targets and weights as arrays in memory. A run's throughput is spectra per second over its
epochs but the first, in which the backend compiles. The ratio is that of the medians over the
repetitions.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from qnet.grid import QUASARNET_GRID
from qnet.io import read_data, read_truth
from qnet.io.prepared import PreparedWriter
from qnet.io.tables import write_table
from qnet.kerasnet import QuasarNET, custom_loss
from qnet.lines import QUASARNET_LINES, QUASARNET_LINES_BAL
from qnet.objective import objective
from qnet.train import NetworkOptions, Settings, fit
from qnet.train.settings import VACUUM_REST


class Clock(keras.callbacks.Callback):
    """When each epoch began and ended."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch, logs=None):
        """Note the time."""
        self._begin = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Note the time of the last batch: what an epoch saves is not training."""
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


def bare(paths: Sequence[Path], options: argparse.Namespace, shape: NetworkOptions) -> list[float]:
    """Seconds of the epochs of Keras's own fit on arrays."""
    _, X, Y, z, bal = read_data(paths[0], read_truth(paths[1]))
    names = (QUASARNET_LINES, QUASARNET_LINES_BAL)
    target, weight = objective(z, Y, bal, *names, rest=VACUUM_REST)
    target, weight = ([part.astype(np.float32) for part in parts] for parts in (target, weight))
    model = QuasarNET((X.shape[1], 1), **shape.keras_options())
    model.compile(optimizer=keras.optimizers.Adam(), loss=[custom_loss] * len(target))
    clock = Clock()
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
    clock = Clock()
    settings = Settings(
        epochs=options.epochs, batch_size=options.batch_size, validation=0.0, network=shape
    )
    with tempfile.TemporaryDirectory() as folder:
        fit(*paths, folder, settings, callbacks=[clock], progress=False)
    return clock.seconds[1:]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nspec", type=int, default=10_000)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--filters", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    shape = NetworkOptions(filters=options.filters)
    seconds: dict[str, list[float]] = {"bare": [], "qnet": []}
    with tempfile.TemporaryDirectory() as folder:
        paths = make_survey(Path(folder), options.nspec)
        for _ in range(options.repeats):
            seconds["bare"] += bare(paths, options, shape)
            seconds["qnet"] += ours(paths, options, shape)
    # A last batch that is not full waits for the next epoch in qnet's runs.
    seen = {"bare": options.nspec, "qnet": options.nspec // options.batch_size * options.batch_size}
    rates = {name: [seen[name] / value for value in values] for name, values in seconds.items()}
    medians = {name: statistics.median(values) for name, values in rates.items()}
    result = {
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        **{name: getattr(options, name) for name in ("nspec", "batch_size", "filters", "repeats")},
        "spectra_per_second": rates,
        "median": medians,
        "ratio": medians["qnet"] / medians["bare"],
    }
    print(json.dumps({key: result[key] for key in result if key != "spectra_per_second"}, indent=2))
    if options.output:
        options.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
