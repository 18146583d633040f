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
    """The same network in onnxruntime, batch norms folded by its own optimiser."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    arch, arrays = model.architecture, model.weights.arrays
    nodes: list[Any] = []
    values = {"shape": np.array([0, -1], np.int64)}

    def norm(source: str, name: str, epsilon: float) -> str:
        parts = ("gamma", "beta", "moving_mean", "moving_variance")
        for part in parts:
            values[f"{name}.{part}"] = arrays[f"{name}.{part}"]
        inputs = [source, *(f"{name}.{part}" for part in parts)]
        nodes.append(
            helper.make_node("BatchNormalization", inputs, [f"{name}.out"], epsilon=epsilon)
        )
        nodes.append(helper.make_node("Relu", [f"{name}.out"], [f"{name}.relu"]))
        return f"{name}.relu"

    last = "X"
    for number, conv in enumerate(arch.convs, start=1):
        name = f"conv_{number}"
        values[f"{name}.W"] = arrays[f"{name}.kernel"].transpose(2, 1, 0).copy()
        values[f"{name}.B"] = arrays[f"{name}.bias"]
        inputs = [last, f"{name}.W", f"{name}.B"]
        nodes.append(helper.make_node("Conv", inputs, [name], strides=[conv.stride]))
        last = norm(name, f"bn_{number}", conv.epsilon)
    # Keras flattens (pixel, channel).
    nodes.append(helper.make_node("Transpose", [last], ["pixels_first"], perm=[0, 2, 1]))
    nodes.append(helper.make_node("Reshape", ["pixels_first", "shape"], ["flat"]))
    heads = [f"fc_{part}_{n}" for n in range(arch.nlines) for part in ("box", "offset")]
    values["common.W"], values["common.B"] = arrays["fc_common.kernel"], arrays["fc_common.bias"]
    values["heads.W"] = np.concatenate([arrays[f"{name}.kernel"] for name in heads], axis=1)
    values["heads.B"] = np.concatenate([arrays[f"{name}.bias"] for name in heads])
    nodes.append(helper.make_node("Gemm", ["flat", "common.W", "common.B"], ["common"]))
    last = norm("common", "bn_common", arch.epsilon)
    nodes.append(helper.make_node("Gemm", [last, "heads.W", "heads.B"], ["heads"]))
    nodes.append(helper.make_node("Sigmoid", ["heads"], ["Y"]))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["n", 1, arch.grid.npix])],
        [
            helper.make_tensor_value_info(
                "Y", TensorProto.FLOAT, ["n", arch.nlines * 2 * arch.nboxes]
            )
        ],
        [numpy_helper.from_array(array, name) for name, array in values.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.checker.check_model(proto)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    batches = [X[first : first + 64, None] for first in range(0, len(X), 64)]

    def run() -> np.ndarray:
        return np.concatenate([session.run(None, {"X": batch})[0] for batch in batches])

    parts = run().reshape(len(X), arch.nlines, 2, arch.nboxes)
    parts[:, :, 1] = arch.offset_shift + arch.offset_scale * parts[:, :, 1]
    found = parts.reshape(len(X), arch.nlines, -1).transpose(1, 0, 2)
    check(np.asarray(model.predict(X)), found)
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
