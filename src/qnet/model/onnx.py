"""The networks of a model as ONNX files, for runtimes that are not Python's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qnet.core.errors import InputError
from qnet.core.files import PathLike, as_path, atomic_write, check_output
from qnet.model.layers import ConvLayer, LayerList, Weights

if TYPE_CHECKING:
    from qnet.model.weights import WeightsFile

#: Operators of this version, and files of this one, are what onnxruntime 1.13 and later read.
_OPSET, _IR_VERSION = 17, 8

_FLOAT: np.dtype[Any] = np.dtype(np.float32)

#: Outputs of the second stage, in the order of its columns.
REFINED = ("dv", "log_sigma", "score", "bal")


class _Graph:
    """Nodes and arrays of a graph, which is written from the input to the outputs."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.arrays: dict[str, npt.NDArray[Any]] = {}

    def add(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Add a node with one output, and return the name of it."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def array(self, name: str, values: npt.ArrayLike, dtype: npt.DTypeLike = _FLOAT) -> str:
        """Add an array, and return its name."""
        self.arrays[name] = np.array(values, dtype=dtype, order="C")
        return name

    def dense(self, x: str, name: str, kernel: npt.ArrayLike, bias: npt.ArrayLike) -> str:
        """Add a dense layer."""
        parts = [self.array(f"{name}.kernel", kernel), self.array(f"{name}.bias", bias)]
        return self.add("Gemm", [x, *parts], name)

    def trunk(self, x: str, layers: LayerList, weights: Weights) -> str:
        """Add convolutions and common layer, batch norms folded in; `x` is (n, channels, npix)."""
        npix, channels = layers.inputs
        for layer in layers.convs:
            conv: ConvLayer = layer.kind
            kernel, bias = layer.fold(weights, _FLOAT)
            kernel = kernel.reshape(conv.width, channels, conv.filters).transpose(2, 1, 0)
            parts = [self.array(f"{layer.name}.kernel", kernel)]
            parts += [self.array(f"{layer.name}.bias", bias)]
            sizes = {"strides": [conv.stride], "pads": list(conv.pad(npix))}
            x = self.add("Conv", [x, *parts], layer.name, **sizes)
            x = self.add("Relu", [x], f"{layer.name}_relu")
            npix, channels = conv.output_shape((npix, channels))
        # The dense layer reads the channels of a pixel one after the other, as in Keras.
        x = self.add("Transpose", [x], "pixels_first", perm=[0, 2, 1])
        x = self.reshape(x, "flat", npix * channels)
        x = self.dense(x, layers.common.name, *layers.common.fold(weights, _FLOAT))
        return self.add("Relu", [x], "common")

    def reshape(self, x: str, name: str, *shape: int) -> str:
        """Add a reshape to (n, *shape)."""
        return self.add("Reshape", [x, self.array(f"{name}.shape", [0, *shape], np.int64)], name)

    def serialise(
        self, inputs: tuple[str, *tuple[int, ...]], outputs: dict[str, list[int]], header: str
    ) -> bytes:
        """The graph as the bytes of an ONNX file; shapes are without the number of spectra."""
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        def value(name: str, shape: list[int]) -> Any:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["nspec", *shape])

        name, *shape = inputs
        graph = helper.make_graph(
            self.nodes,
            "qnet",
            [value(name, shape)],
            [value(*output) for output in outputs.items()],
            [numpy_helper.from_array(array, key) for key, array in self.arrays.items()],
        )
        operators = [helper.make_opsetid("", _OPSET)]
        proto = helper.make_model(graph, opset_imports=operators, ir_version=_IR_VERSION)
        proto.producer_name = "qnet"
        helper.set_model_props(proto, {"qnet": header})
        onnx.checker.check_model(proto)
        return bytes(proto.SerializeToString())


def lines_onnx(weights: WeightsFile) -> bytes:
    """The first stage: what `qnet.Model.forward` gives, of normalised spectra."""
    arch, layers, graph = weights.architecture, weights.architecture.layers, _Graph()
    x = "spectra"
    if arch.clip is not None:
        low, high = (graph.array(f"clip_{i}", limit) for i, limit in enumerate(arch.clip))
        x = graph.add("Clip", [x, low, high], "clipped")
    x = graph.add("Unsqueeze", [x, graph.array("channel", [1], np.int64)], "one_channel")
    x = graph.trunk(x, layers, weights.arrays)
    heads = [head.fold(weights.arrays, _FLOAT) for head in layers.heads]
    shape, parts = (arch.nlines, arch.nboxes), {}
    for first, part in enumerate(("box", "offset")):
        kernels, biases = zip(*heads[first : 2 * arch.nlines : 2], strict=True)
        kernel, bias = np.concatenate(kernels, axis=1), np.concatenate(biases)
        name = "logits" if part == "box" else "offsets"
        parts[part] = graph.reshape(graph.dense(x, f"fc_{part}", kernel, bias), name, *shape)
    boxes = graph.add("Sigmoid", [parts["box"]], "confidences")
    offsets = parts["offset"]
    if arch.offset_activation == "sigmoid":
        offsets = graph.add("Sigmoid", [offsets], "offsets_sigmoid")
    for kind, name in (("Mul", "scale"), ("Add", "shift")):
        factor = graph.array(f"offset_{name}", getattr(arch, f"offset_{name}"))
        offsets = graph.add(kind, [offsets, factor], f"offsets_{name}")
    graph.add("Concat", [boxes, offsets], "predictions", axis=2)
    outputs = {"predictions": [arch.nlines, 2 * arch.nboxes], "common": [arch.units]}
    outputs["logits"] = list(shape)
    if arch.redshifts is not None:
        logits = graph.dense(x, "fc_redshift", *heads[2 * arch.nlines])
        graph.add("Softmax", [logits], "posterior", axis=1)
        outputs["posterior"] = [arch.redshifts.noutputs]
    return graph.serialise(("spectra", arch.grid.npix), outputs, _header(weights, "lines"))


def refine_onnx(weights: WeightsFile) -> bytes:
    """The second stage: what its `Refiner.predict` gives, of spectra in the rest frame."""
    arch, graph = weights.refine, _Graph()
    if arch is None:
        raise InputError(f"model {weights.name}@{weights.version} has no second stage")
    x = graph.add("Transpose", ["frames"], "channels_first", perm=[0, 2, 1])
    x = graph.trunk(x, arch.layers, weights.arrays)
    x = graph.dense(x, "refine_out", *arch.layers.heads[0].fold(weights.arrays, _FLOAT))
    names = REFINED[: arch.noutputs]
    for column, name in enumerate(names):
        graph.add("Gather", [x, graph.array(f"{name}.column", column, np.int64)], name, axis=1)
    shape = ("frames", arch.window.npooled, 2)
    return graph.serialise(shape, {name: [] for name in names}, _header(weights, "refine"))


def _header(weights: WeightsFile, stage: str) -> str:
    """What describes a stage, as JSON: its architecture, and the model that it is of."""
    names = ("name", "version", "licence", "sha256")
    description = {name: getattr(weights, name) for name in names}
    description |= {"stage": stage, "notices": list(weights.notices)}
    return json.dumps(description | {"architecture": weights.networks[stage].to_dict()})


def write_onnx(path: PathLike, weights: WeightsFile, *, overwrite: bool = False) -> list[Path]:
    """Write the first stage to a file, and the second, where there is one, beside it."""
    file = as_path(path, "path")
    if file.suffix != ".onnx":
        raise InputError(f"{file}: an ONNX file must end in .onnx")
    try:
        made = {file: lines_onnx(weights)}
        if weights.refine is not None:
            made[file.with_name(f"{file.stem}-refine.onnx")] = refine_onnx(weights)
    except ImportError as error:
        raise InputError("ONNX files need the package onnx: install qnet-quasar[onnx]") from error
    for each in made:
        check_output(each, overwrite)
    for each, content in made.items():
        with atomic_write(each, overwrite=overwrite) as partial:
            partial.write_bytes(content)
    return list(made)
