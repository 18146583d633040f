"""What a network is made of: plain data that comes with the weights, checked on the way in."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

from qnet.errors import InputError
from qnet.grid import WavelengthGrid
from qnet.lines import rest_wavelengths

#: A network has no more parameters than this: a bound on what a file may ask for.
MAX_PARAMETERS = 200_000_000


@dataclasses.dataclass(frozen=True)
class ConvLayer:
    """A convolution over pixels, followed by batch normalisation and ReLU.

    Attributes
    ----------
    filters, width, stride : int
        Number of filters, width in pixels, step in pixels.
    padding : {'valid', 'same'}
        As in Keras.
    epsilon : float
        Added to the variance in the batch normalisation.
    """

    filters: int
    width: int
    stride: int
    padding: Literal["valid", "same"]
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        sizes = (self.filters, self.width, self.stride)
        if not all(type(size) is int for size in sizes) or min(sizes) < 1:
            raise InputError(f"a convolution needs positive filters, width and stride, not {self}")
        if self.padding not in ("valid", "same"):
            raise InputError(f"padding must be 'valid' or 'same', not {self.padding!r}")
        _check_epsilon(self.epsilon)

    def output_length(self, npix: int) -> int:
        """Number of output pixels for `npix` input pixels (Keras's rule)."""
        if self.padding == "same":
            return -(-npix // self.stride)
        return (npix - self.width) // self.stride + 1 if npix >= self.width else 0

    def pad(self, npix: int) -> tuple[int, int]:
        """Zeros added before and after `npix` input pixels (TensorFlow's rule for 'same')."""
        if self.padding == "valid":
            return 0, 0
        total = max((self.output_length(npix) - 1) * self.stride + self.width - npix, 0)
        return total // 2, total - total // 2


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A QuasarNET network (Busca & Balland 2018, section 3), and what its outputs mean.

    Convolutions, flatten, a dense layer with batch normalisation and ReLU, then per line two dense
    layers of nboxes: confidences (sigmoid) and offsets.

    Attributes
    ----------
    grid : WavelengthGrid
        Grid of the input.
    lines, lines_bal : tuple of str
        Emission and BAL lines, in the order of the outputs.
    rest : mapping of str to float
        Rest wavelength [Angstrom] of every one of them.
    nboxes : int
        Boxes per line.
    convs : tuple of ConvLayer
        The convolutions, first to last.
    units : int
        Width of the dense layer.
    epsilon : float
        Of the dense layer's batch normalisation.
    offset_activation : {'sigmoid', 'linear'}
        Activation of the offsets.
    offset_scale, offset_shift : float
        The offset is shift + scale * activation: 1.2 and -0.1 in QuasarNET's later networks.
    """

    grid: WavelengthGrid
    lines: tuple[str, ...]
    lines_bal: tuple[str, ...]
    rest: Mapping[str, float]
    nboxes: int
    convs: tuple[ConvLayer, ...]
    units: int
    epsilon: float = 1e-3
    offset_activation: Literal["sigmoid", "linear"] = "sigmoid"
    offset_scale: float = 1.0
    offset_shift: float = 0.0

    def __post_init__(self) -> None:
        if not self.lines:
            raise InputError("a network needs at least one emission line")
        object.__setattr__(self, "rest", dict(self.rest))
        rest_wavelengths((*self.lines, *self.lines_bal), self.rest)
        if not all(math.isfinite(value) and value > 0 for value in self.rest.values()):
            raise InputError(f"rest wavelengths must be positive [Angstrom], not {self.rest}")
        if self.offset_activation not in ("sigmoid", "linear"):
            raise InputError(
                f"offset activation must be 'sigmoid' or 'linear', not {self.offset_activation!r}"
            )
        if not (math.isfinite(self.offset_scale) and math.isfinite(self.offset_shift)):
            raise InputError("offset scale and shift must be finite")
        if min(self.nboxes, self.units, len(self.convs)) < 1:
            raise InputError("a network needs at least one box, one unit and one convolution")
        _check_epsilon(self.epsilon)
        length = self.grid.npix
        for index, conv in enumerate(self.convs, start=1):
            length = conv.output_length(length)
            if length < 1:
                raise InputError(
                    f"{self.grid.npix} input pixels are too few for convolution {index} of "
                    f"{len(self.convs)}: nothing is left of them"
                )
        if self.nparameters > MAX_PARAMETERS:
            raise InputError(
                f"the network asks for {self.nparameters} parameters, above {MAX_PARAMETERS}"
            )

    @property
    def nlines(self) -> int:
        """Number of outputs: emission and BAL lines."""
        return len(self.lines) + len(self.lines_bal)

    @property
    def flat_length(self) -> int:
        """Number of values that reach the dense layer."""
        length = self.grid.npix
        for conv in self.convs:
            length = conv.output_length(length)
        return length * self.convs[-1].filters

    @property
    def nparameters(self) -> int:
        """Number of values in the weights, moving means and variances included."""
        return sum(math.prod(shape) for shape in self.shapes().values())

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every array of the weights, by its name in the weights file."""
        shapes: dict[str, tuple[int, ...]] = {}
        channels = 1
        for index, conv in enumerate(self.convs, start=1):
            shapes[f"conv_{index}.kernel"] = (conv.width, channels, conv.filters)
            shapes[f"conv_{index}.bias"] = (conv.filters,)
            shapes |= {f"bn_{index}.{name}": (conv.filters,) for name in BATCH_NORM}
            channels = conv.filters
        shapes["fc_common.kernel"] = (self.flat_length, self.units)
        shapes["fc_common.bias"] = (self.units,)
        shapes |= {f"bn_common.{name}": (self.units,) for name in BATCH_NORM}
        for line in range(self.nlines):
            for part in ("box", "offset"):
                shapes[f"fc_{part}_{line}.kernel"] = (self.units, self.nboxes)
                shapes[f"fc_{part}_{line}.bias"] = (self.nboxes,)
        return shapes

    def to_dict(self) -> dict[str, Any]:
        """The architecture as plain values, for JSON; `from_dict` is the inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Architecture:
        """Architecture from the plain values of `to_dict`.

        Raises
        ------
        InputError
            A key is missing, unknown or of the wrong kind, or the network is not legal.
        """
        try:
            return cls(
                grid=WavelengthGrid.from_dict(values["grid"]),
                lines=tuple(str(name) for name in values["lines"]),
                lines_bal=tuple(str(name) for name in values["lines_bal"]),
                rest={str(name): float(rest) for name, rest in values["rest"].items()},
                nboxes=int(values["nboxes"]),
                convs=tuple(ConvLayer(**layer) for layer in values["convs"]),
                units=int(values["units"]),
                epsilon=float(values["epsilon"]),
                offset_activation=values["offset_activation"],
                offset_scale=float(values["offset_scale"]),
                offset_shift=float(values["offset_shift"]),
            )
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"not a network's architecture: {error!r}") from error


#: The arrays of a batch normalisation, by Keras's names.
BATCH_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def _check_epsilon(epsilon: float) -> None:
    """Raise unless the number added to a variance is finite and positive."""
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise InputError(f"a batch normalisation's epsilon must be positive, not {epsilon!r}")
