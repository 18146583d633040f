"""QuasarNET's layers in the JSON of a Keras model, found by their names. Nothing in it is run."""

from __future__ import annotations

import base64
import binascii
import re
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

#: Letters of the layers from the input to the heads; dropouts, which do nothing, have none.
_LETTERS = {
    "InputLayer": "I",
    "Conv1D": "C",
    "BatchNormalization": "B",
    "Activation": "R",
    "ReLU": "R",
    "Flatten": "F",
    "Dense": "D",
    "Dropout": "",
}

#: Activations that these layers must have, where they have any.
_ACTIVATIONS = {"Conv1D": "linear", "Dense": "linear", "Activation": "relu"}


class KerasNetwork:
    """A QuasarNET network in the JSON of a Keras model, plain values of which nothing is run.

    Raises InputError where the layers are others; a key that is missing or of the wrong kind raises
    what Python raises (KeyError, TypeError, ...). `names` are the file's names of the layers whose
    names differ from those of a weights file: the batch norms.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        inner = config["config"]
        self.keras_version = str(config.get("keras_version", ""))
        self.layers = {str(layer["name"]): layer for layer in inner["layers"]}
        outputs = inner["output_layers"]
        # A single output is stored without the outer list by some versions of Keras.
        outputs = [str(out[0]) for out in ([outputs] if isinstance(outputs[0], str) else outputs)]
        self.redshift = "fc_redshift" if outputs[-1] == "fc_redshift" else None
        self.nlines = len(outputs) - (self.redshift is not None)
        if outputs[: self.nlines] != [f"conc_box_{line}" for line in range(self.nlines)]:
            raise InputError(f"outputs conc_box_0, conc_box_1, ... were expected, not {outputs}")
        self.offsets = [self._match_head(line) for line in range(self.nlines)]
        trunk = self._walk_trunk()
        self.names = self._match_norms(trunk)
        shape = self._config(trunk[0])
        self.npix = int((shape.get("batch_input_shape") or shape["batch_shape"])[1])

    def architecture(
        self,
        lines: Sequence[str] | None,
        lines_bal: Sequence[str] | None,
        grid: WavelengthGrid | None,
        rest: Mapping[str, float] | None = None,
        redshifts: RedshiftBins | None = None,
    ) -> Architecture:
        """The architecture, with what the file does not hold filled in."""
        noutputs = 0 if self.redshift is None else int(self._config(self.redshift)["units"])
        if noutputs != (0 if redshifts is None else redshifts.noutputs):
            raise InputError(
                f"the network's redshift head has {noutputs} outputs, but redshifts is {redshifts}"
            )
        names = tuple(QUASARNET_LINES if lines is None else lines)
        names_bal = tuple(QUASARNET_LINES_BAL if lines_bal is None else lines_bal)
        if len(names) + len(names_bal) != self.nlines:
            raise InputError(
                f"the network has {self.nlines} outputs, but {len(names)} lines {list(names)} "
                f"and {len(names_bal)} BAL lines {list(names_bal)} are named: give lines and "
                "lines_bal"
            )
        every = (*names, *names_bal)
        if len(set(self.offsets)) != 1:
            raise InputError("the outputs differ in how they compute their offsets")
        activation, scale, shift = self.offsets[0]
        return Architecture(
            grid=self._grid(grid),
            lines=names,
            lines_bal=names_bal,
            rest=dict(zip(every, rest_wavelengths(every, rest).tolist(), strict=True)),
            nboxes=int(self._config("fc_box_0")["units"]),
            convs=tuple(self._conv_layer(index) for index in range(1, len(self.names))),
            units=int(self._config("fc_common")["units"]),
            epsilon=float(self._config(self.names["bn_common"])["epsilon"]),
            offset_activation=activation,
            offset_scale=scale,
            offset_shift=shift,
            redshifts=redshifts,
        )

    def _grid(self, grid: WavelengthGrid | None) -> WavelengthGrid:
        """The grid that was given, or that of QuasarNET with the input's length."""
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
        return grid

    def _config(self, name: str) -> Mapping[str, Any]:
        config: Mapping[str, Any] = self.layers[name]["config"]
        return config

    def _kind(self, name: str) -> str:
        return str(self.layers[name]["class_name"])

    def _match_head(self, line: int) -> tuple[Any, float, float]:
        """Activation, scale and shift of the offsets of a line, whose head is QuasarNET's."""
        output, box, offset = (f"{part}_{line}" for part in ("conc_box", "fc_box", "fc_offset"))
        scale, shift = 1.0, 0.0
        sources = self._sources(output)
        if sources[1:] and self._kind(sources[1]) in ("Lambda", "Rescaling"):
            scale, shift = _rescale(sources[1], self._kind(sources[1]), self._config(sources[1]))
            sources[1:] = self._sources(sources[1])
        kinds = [self._kind(name) for name in (output, box, offset)]
        if sources != [box, offset] or kinds != ["Concatenate", "Dense", "Dense"]:
            raise InputError(f"{output} is not the concatenation of the dense {box} and {offset}")
        if self._config(box)["activation"] != "sigmoid":
            raise InputError(f"the boxes of {box} must have a sigmoid activation")
        return self._config(offset)["activation"], scale, shift

    def _walk_trunk(self) -> list[str]:
        """The layers that lead to the heads, from the input on, without dropouts: checked."""
        heads = [f"fc_{part}_{line}" for part in ("box", "offset") for line in range(self.nlines)]
        if self.redshift is not None:
            heads.append(self.redshift)
            if self._config(self.redshift)["activation"] != "softmax":
                raise InputError(f"the layer {self.redshift} must have a softmax activation")
        sources = {name for head in heads for name in self._sources(head)}
        trunk: list[str] = []
        # No more steps than layers: these may run in a circle.
        while len(sources) == 1 and len(trunk) < len(self.layers):
            trunk.insert(0, sources.pop())
            sources = set(self._sources(trunk[0]))
        pattern = "".join(self._letter(name) for name in trunk)
        trunk = [name for name in trunk if self._kind(name) != "Dropout"]
        convs = [name for name in trunk if self._kind(name) == "Conv1D"]
        named = [f"conv_{index}" for index in range(1, len(convs) + 1)]
        if (
            sources
            or not re.fullmatch("I(CBR)+FDBR", pattern)
            or [*convs, trunk[-3]] != [*named, "fc_common"]
        ):
            found = [f"{name} ({self._kind(name)})" for name in trunk]
            raise InputError(
                "expected convolutions conv_1, conv_2, ..., each with batch normalisation and "
                "ReLU, then flatten, dense (fc_common), batch normalisation and ReLU, but found "
                f"{', '.join(found) or 'others'}"
            )
        return trunk

    def _match_norms(self, trunk: Sequence[str]) -> dict[str, str]:
        """Batch norms of the trunk by their names in a weights file, over the last axis all."""
        norms = [name for name in trunk if self._kind(name) == "BatchNormalization"]
        for name in norms:
            axis = self._config(name).get("axis", -1)
            axis = axis[0] if isinstance(axis, list) else axis
            if axis not in (-1, 2 if name != norms[-1] else 1):
                raise InputError(f"batch normalisation {name} is over axis {axis}, not the last")
        ours = [*(f"bn_{index}" for index in range(1, len(norms))), "bn_common"]
        return dict(zip(ours, norms, strict=True))

    def _letter(self, name: str) -> str:
        """The letter of a layer of the trunk; '?' for one that QuasarNET does not have."""
        kind, config = self._kind(name), self._config(name)
        expected = _ACTIVATIONS.get(kind)
        return "?" if expected and config["activation"] != expected else _LETTERS.get(kind, "?")

    def _conv_layer(self, index: int) -> ConvLayer:
        """A convolution and its batch norm."""
        name = f"conv_{index}"
        conv, norm = self._config(name), self._config(self.names[f"bn_{index}"])
        known = {"data_format": "channels_last", "dilation_rate": 1, "groups": 1}
        for key, expected in known.items():
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

    def _sources(self, name: str) -> list[str]:
        """Names of the layers that feed a layer, in Keras 2's and Keras 3's notation."""
        nodes = self.layers[name]["inbound_nodes"]
        if not nodes:
            return []
        if len(nodes) != 1:
            raise InputError(f"layer {name} is used {len(nodes)} times, but once was expected")
        if not isinstance(nodes[0], Mapping):
            return [str(source[0]) for source in nodes[0]]
        arguments = nodes[0]["args"]
        tensors = arguments[0] if isinstance(arguments[0], list) else arguments
        return [str(tensor["config"]["keras_history"][0]) for tensor in tensors]


def _rescale(name: str, kind: str, config: Mapping[str, Any]) -> tuple[float, float]:
    """Scale and shift of a Rescaling layer, or of a Lambda, which is never run."""
    if kind == "Rescaling":
        return float(config["scale"]), float(config["offset"])
    # A Lambda is QuasarNET's rescale if its stored bytes hold the two doubles.
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
    elif isinstance(value, (Mapping, list)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(item)
