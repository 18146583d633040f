"""The layers of a QuasarNET network as Keras's JSON describes them, matched to its pattern."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qnet.core.bins import RedshiftBins
from qnet.core.errors import InputError
from qnet.core.grid import QUASARNET_GRID, QUASARNET_LINEAR_GRID, WavelengthGrid
from qnet.lines import QUASARNET_LINES, QUASARNET_LINES_BAL, rest_wavelengths
from qnet.model.architecture import Architecture
from qnet.model.layers import ConvLayer

#: QuasarNET's rescale of the offsets, shift + scale * sigmoid: its Lambda layer's constants.
RESCALE_SHIFT, RESCALE_SCALE = -0.1, 1.2

#: Name of the layer of redshift bins, which QuasarNET has not.
REDSHIFT_LAYER = "fc_redshift"


class KerasNetwork:
    """The layers of a Keras functional model, matched against QuasarNET's pattern.

    Parameters
    ----------
    config : mapping
        The JSON of the model: plain values, of which nothing is run.

    Raises
    ------
    InputError
        The layers are not those of a QuasarNET network. A key that is missing or of the wrong kind
        raises what Python raises (KeyError, TypeError, ...).
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        inner = config["config"]
        self.keras_version = str(config.get("keras_version", ""))
        self.layers = {str(layer["name"]): layer for layer in inner["layers"]}
        self.inputs = {name: _inbound(layer) for name, layer in self.layers.items()}
        outputs = inner["output_layers"]
        # A single output is stored without the outer list by some versions of Keras.
        self.outputs = [
            str(out[0]) for out in ([outputs] if isinstance(outputs[0], str) else outputs)
        ]
        self.trunk = self._walk_trunk()
        self.convs, self.conv_norms, self.common, self.common_norm = self._match_trunk()
        self.redshift = self._match_redshift()
        lines = self.outputs if self.redshift is None else self.outputs[:-1]
        self.heads = [self._match_head(name) for name in lines]
        shape = self._config(self._input())
        self.npix = int((shape.get("batch_input_shape") or shape["batch_shape"])[1])

    def architecture(
        self,
        lines: Sequence[str] | None,
        lines_bal: Sequence[str] | None,
        grid: WavelengthGrid | None,
        rest: Mapping[str, float] | None = None,
        redshifts: RedshiftBins | None = None,
    ) -> Architecture:
        """The architecture, with what the file does not say filled in."""
        noutputs = 0 if self.redshift is None else int(self._config(self.redshift)["units"])
        if noutputs != (0 if redshifts is None else redshifts.noutputs):
            raise InputError(
                f"the network's redshift head has {noutputs} outputs, but redshifts is {redshifts}"
            )
        names = tuple(QUASARNET_LINES if lines is None else lines)
        names_bal = tuple(QUASARNET_LINES_BAL if lines_bal is None else lines_bal)
        if len(names) + len(names_bal) != len(self.heads):
            raise InputError(
                f"the network has {len(self.heads)} outputs, but {len(names)} lines {list(names)} "
                f"and {len(names_bal)} BAL lines {list(names_bal)} are named: give lines and "
                "lines_bal"
            )
        if grid is None:
            known = {known.npix: known for known in (QUASARNET_GRID, QUASARNET_LINEAR_GRID)}
            if self.npix not in known:
                raise InputError(
                    f"the file does not hold its grid, and its input of {self.npix} pixels is none "
                    f"of QuasarNET's ({', '.join(map(str, sorted(known)))}): give grid"
                )
            grid = known[self.npix]
        if grid.npix != self.npix:
            raise InputError(f"the network takes {self.npix} pixels, but the grid has {grid.npix}")
        every = (*names, *names_bal)
        rest = dict(zip(every, rest_wavelengths(every, rest).tolist(), strict=True))
        offset = {(head["activation"], head["scale"], head["shift"]) for head in self.heads}
        if len(offset) != 1:
            raise InputError("the outputs differ in how they compute their offsets")
        activation, scale, shift = offset.pop()
        return Architecture(
            grid=grid,
            lines=names,
            lines_bal=names_bal,
            rest=rest,
            nboxes=int(self._config(self.heads[0]["box"])["units"]),
            convs=tuple(
                _conv_layer(self._config(conv), self._config(norm))
                for conv, norm in zip(self.convs, self.conv_norms, strict=True)
            ),
            units=int(self._config(self.common)["units"]),
            epsilon=float(self._config(self.common_norm)["epsilon"]),
            offset_activation=activation,
            offset_scale=scale,
            offset_shift=shift,
            redshifts=redshifts,
        )

    def array_layers(self) -> Iterator[tuple[str, str]]:
        """Pairs of qnet's layer name and the file's."""
        for index, (conv, norm) in enumerate(zip(self.convs, self.conv_norms, strict=True), 1):
            yield f"conv_{index}", conv
            yield f"bn_{index}", norm
        yield "fc_common", self.common
        yield "bn_common", self.common_norm
        for index, head in enumerate(self.heads):
            yield f"fc_box_{index}", head["box"]
            yield f"fc_offset_{index}", head["offset"]
        if self.redshift is not None:
            yield REDSHIFT_LAYER, self.redshift

    def _config(self, name: str) -> Mapping[str, Any]:
        config: Mapping[str, Any] = self.layers[name]["config"]
        return config

    def _kind(self, name: str) -> str:
        return str(self.layers[name]["class_name"])

    def _input(self) -> str:
        names = [name for name in self.layers if self._kind(name) == "InputLayer"]
        if len(names) != 1:
            raise InputError(f"the network has {len(names)} inputs, but one was expected")
        return names[0]

    def _walk_trunk(self) -> list[str]:
        """Layers from the input to the last one before the network forks, without dropouts."""
        consumers: dict[str, list[str]] = {name: [] for name in self.layers}
        for name, inputs in self.inputs.items():
            for source in inputs:
                consumers[source].append(name)
        trunk, name, seen = [], self._input(), set()
        while len(consumers[name]) == 1:
            name = consumers[name][0]
            if name in seen:
                raise InputError(f"the layers run in a circle at {name}")
            seen.add(name)
            if self._kind(name) != "Dropout":
                trunk.append(name)
        return trunk

    def _match_trunk(self) -> tuple[list[str], list[str], str, str]:
        """Convolutions and their batch norms, then the dense layer and its batch norm."""
        kinds = [_pattern_letter(self._kind(name), self._config(name)) for name in self.trunk]
        nconv = kinds.count("C")
        if nconv < 1 or kinds != [*"CBR" * nconv, *"FDBR"]:
            found = [f"{name} ({self._kind(name)})" for name in self.trunk]
            raise InputError(
                "expected convolutions, each with batch normalisation and ReLU, then flatten, "
                f"dense, batch normalisation and ReLU, but found {', '.join(found)}"
            )
        norms = [name for name, kind in zip(self.trunk, kinds, strict=True) if kind == "B"]
        for name in norms:
            axis = self._config(name).get("axis", -1)
            axis = axis[0] if isinstance(axis, list) else axis
            if axis not in (-1, 2 if name != norms[-1] else 1):
                raise InputError(f"batch normalisation {name} is over axis {axis}, not the last")
        convs = [name for name, kind in zip(self.trunk, kinds, strict=True) if kind == "C"]
        return convs, norms[:-1], self.trunk[kinds.index("D")], norms[-1]

    def _match_redshift(self) -> str | None:
        """The dense layer of redshift bins, where the last output is one; None without it."""
        name = self.outputs[-1]
        if self._kind(name) != "Dense" or name != REDSHIFT_LAYER:
            return None
        if self._config(name)["activation"] != "softmax":
            raise InputError(f"the redshift bins of {name} must have a softmax activation")
        return name

    def _match_head(self, output: str) -> dict[str, Any]:
        """Box and offset layers of one output, and how its offset is computed."""
        if self._kind(output) != "Concatenate" or len(self.inputs[output]) != 2:
            raise InputError(
                f"output {output} is a {self._kind(output)}, but the concatenation of boxes and "
                "offsets was expected"
            )
        box, offset = self.inputs[output]
        scale, shift = 1.0, 0.0
        if self._kind(offset) in ("Lambda", "Rescaling"):
            scale, shift = _rescale(offset, self._kind(offset), self._config(offset))
            (offset,) = self.inputs[offset]
        for name in (box, offset):
            if self._kind(name) != "Dense":
                raise InputError(f"layer {name} is a {self._kind(name)}, but Dense was expected")
        if self._config(box)["activation"] != "sigmoid":
            raise InputError(f"the boxes of {box} must have a sigmoid activation")
        return {
            "box": box,
            "offset": offset,
            "activation": self._config(offset)["activation"],
            "scale": scale,
            "shift": shift,
        }


def _pattern_letter(kind: str, config: Mapping[str, Any]) -> str:
    """One letter for a trunk layer that QuasarNET has; '?' for any other."""
    if kind in ("Conv1D", "Dense") and config["activation"] != "linear":
        return "?"
    if kind == "Activation" and config["activation"] != "relu":
        return "?"
    letters = {
        "Conv1D": "C",
        "BatchNormalization": "B",
        "Activation": "R",
        "ReLU": "R",
        "Flatten": "F",
        "Dense": "D",
    }
    return letters.get(kind, "?")


def _conv_layer(conv: Mapping[str, Any], norm: Mapping[str, Any]) -> ConvLayer:
    """A convolution and its batch norm from their Keras configurations."""
    name = conv.get("name")
    for key, expected in (("data_format", "channels_last"), ("dilation_rate", 1), ("groups", 1)):
        value = conv.get(key, expected)
        value = value[0] if isinstance(value, list) else value
        if value != expected:
            raise InputError(
                f"convolution {name} has {key} {value!r}, but only {expected!r} is known"
            )
    (width,), (stride,) = conv["kernel_size"], conv["strides"]
    return ConvLayer(
        filters=int(conv["filters"]),
        width=int(width),
        stride=int(stride),
        padding=conv["padding"],
        epsilon=float(norm["epsilon"]),
    )


def _inbound(layer: Mapping[str, Any]) -> list[str]:
    """Names of the layers that feed a layer, in Keras 2's and Keras 3's notation."""
    nodes = layer["inbound_nodes"]
    if not nodes:
        return []
    if len(nodes) != 1:
        raise InputError(f"layer {layer['name']} is used {len(nodes)} times, but once was expected")
    if not isinstance(nodes[0], Mapping):
        return [str(source[0]) for source in nodes[0]]
    arguments = nodes[0]["args"]
    tensors = arguments[0] if isinstance(arguments[0], list) else arguments
    return [str(tensor["config"]["keras_history"][0]) for tensor in tensors]


def _rescale(name: str, kind: str, config: Mapping[str, Any]) -> tuple[float, float]:
    """Scale and shift of a Rescaling layer, or of a Lambda.

    A Lambda is QuasarNET's rescale if its stored bytes hold the two doubles; none is ever run.
    """
    if kind == "Rescaling":
        return float(config["scale"]), float(config["offset"])
    constants = [struct.pack("<d", value) for value in (RESCALE_SHIFT, RESCALE_SCALE)]
    for text in _strings(config.get("function")):
        try:
            code = base64.b64decode(text)
        except (binascii.Error, ValueError):
            continue
        if all(constant in code for constant in constants):
            return RESCALE_SCALE, RESCALE_SHIFT
    raise InputError(
        f"layer {name} is a Lambda other than QuasarNET's rescale "
        f"({RESCALE_SHIFT} + {RESCALE_SCALE} x); qnet runs no code from a file"
    )


def _strings(value: Any) -> Iterator[str]:
    """All strings in nested lists and dictionaries."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
