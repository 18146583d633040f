"""The forward pass alone: qnet against QuasarNP's method, Keras and onnxruntime.

    OPENBLAS_NUM_THREADS=1 python benchmarks/forward.py --output forward.json

Published network, random weights, random spectra; all in turn in one process. Keras and onnxruntime
are measured where they are installed, on one thread too; NumPy keeps to the threads that the
environment allows it.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import baseline
import measure
import numpy as np

import qnet


def cases(filters: int, X: np.ndarray, *, others: bool) -> dict[str, Callable[[], Any]]:
    """Ways to run one network."""
    model = measure.published(filters)
    double = baseline.double(model)
    found = {
        "qnet": lambda: model.predict(X, threads=1),
        "qnet, two threads": lambda: model.predict(X, threads=2),
        "qnet, float64": lambda: model.predict(X, threads=1, dtype=np.float64),
        "QuasarNP's method": lambda: baseline.forward(model.architecture, double, X),
        "the same, 32 at a time": lambda: baseline.in_batches(model.architecture, double, X, 32),
    }
    check(np.asarray(model.predict(X)), found["QuasarNP's method"]())
    if others and importlib.util.find_spec("keras") is not None:
        network = keras_network(model)
        found["Keras predict"] = lambda: network.predict(X, batch_size=256, verbose=0)
    if others and all(map(importlib.util.find_spec, ("onnx", "onnxruntime"))):
        found["onnxruntime"] = onnx_network(model, X)
    return found


def check(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Both must compute the same, or the times mean nothing."""
    worst = float(np.abs(ours - theirs).max())
    if not worst < 1e-5:
        raise SystemExit(f"qnet and the reference differ by {worst}")


def keras_network(model: qnet.Model) -> Any:
    """The same network in Keras, on one thread where the backend is TensorFlow."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    return model.to_keras()


def onnx_network(model: qnet.Model, X: np.ndarray) -> Callable[[], Any]:
    """The same network in onnxruntime, as it is exported."""
    import onnxruntime

    from qnet.model.onnx import lines_onnx

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        lines_onnx(model.weights), options, providers=["CPUExecutionProvider"]
    )
    batches = [X[first : first + 64] for first in range(0, len(X), 64)]

    def run() -> np.ndarray:
        found = [session.run(["predictions"], {"spectra": batch})[0] for batch in batches]
        return np.concatenate(found).transpose(1, 0, 2)

    check(np.asarray(model.predict(X)), run())
    return run


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filters", type=int, nargs="+", default=[100, 25])
    parser.add_argument("--spectra", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only-numpy", action="store_true", help="leave out Keras and onnxruntime")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    X = np.random.default_rng(1).normal(size=(options.spectra, 443)).astype(np.float32)
    report: dict[str, Any] = {"conditions": measure.conditions(), "networks": {}}
    rows = []
    for filters in options.filters:
        ways = cases(filters, X, others=not options.only_numpy)
        times = measure.interleave({**ways, **measure.machine_cases()}, options.repeats)
        speed = {
            name: {
                kind: options.spectra / statistics.median(values)
                for kind, values in times[name].items()
            }
            for name in ways
        }
        report["networks"][str(filters)] = {
            "spectra_per_second": speed,
            "machine": measure.machine_speed(times),
            "seconds": times,
        }
        rows += [
            (filters, name, *found.values(), found["cpu"] / speed["QuasarNP's method"]["cpu"])
            for name, found in speed.items()
        ]
    header = ("filters", "way", "spectra/s, wall", "spectra/s, processor", "x QuasarNP's method")
    print(measure.table(header, rows))
    print({key: entry["machine"] for key, entry in report["networks"].items()})
    measure.write_json(options.output, report)


if __name__ == "__main__":
    main()
