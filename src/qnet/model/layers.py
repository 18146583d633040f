"""Layers that both stages are made of: convolutions, their shapes, and bounds on a network."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from qnet.core.errors import InputError

#: A network has no more parameters than this: a bound on what a file may ask for.
MAX_PARAMETERS = 200_000_000

#: The arrays of a batch normalisation, by Keras's names.
BATCH_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


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
        check_epsilon(self.epsilon)

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


class Convolutional(Protocol):
    """What begins with convolutions, and has parameters."""

    @property
    def convs(self) -> Sequence[ConvLayer]:
        """The convolutions, first to last."""

    @property
    def nparameters(self) -> int:
        """Number of values in the weights."""


def flat_length(convs: Sequence[ConvLayer], npix: int) -> int:
    """Number of values that are left of `npix` pixels after the convolutions."""
    for conv in convs:
        npix = conv.output_length(npix)
    return npix * convs[-1].filters


def stack_shapes(
    convs: Sequence[ConvLayer], channels: int, layer: str, norm: str
) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays of some convolutions, which are counted from 1."""
    shapes: dict[str, tuple[int, ...]] = {}
    for index, conv in enumerate(convs, start=1):
        shapes[f"{layer}_{index}.kernel"] = (conv.width, channels, conv.filters)
        shapes[f"{layer}_{index}.bias"] = (conv.filters,)
        shapes |= {f"{norm}_{index}.{name}": (conv.filters,) for name in BATCH_NORM}
        channels = conv.filters
    return shapes


def dense_shapes(layer: str, norm: str, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays of a dense layer and its batch normalisation."""
    shapes: dict[str, tuple[int, ...]] = {
        f"{layer}.kernel": (inputs, units),
        f"{layer}.bias": (units,),
    }
    return shapes | {f"{norm}.{name}": (units,) for name in BATCH_NORM}


def by_layer(name: str, value: int | Sequence[int], nlayers: int) -> tuple[int, ...]:
    """A number for each layer, from one for all of them or one for each; `name` is for errors."""
    values = tuple(value) if isinstance(value, Sequence) else (value,) * nlayers
    if len(values) != nlayers:
        raise InputError(f"{name} {value} must be one number, or {nlayers}: one for each layer")
    return values


def check_network(network: Convolutional, npix: int) -> None:
    """Raise unless every convolution leaves something, and the network is not absurdly large."""
    length = npix
    for index, conv in enumerate(network.convs, start=1):
        if conv.stride > npix:
            raise InputError(
                f"convolution {index} steps over {conv.stride} pixels, but the input has {npix}"
            )
        length = conv.output_length(length)
        if length < 1:
            raise InputError(
                f"{npix} input pixels are too few for convolution {index} of "
                f"{len(network.convs)}: nothing is left of them"
            )
    if network.nparameters > MAX_PARAMETERS:
        raise InputError(
            f"the network asks for {network.nparameters} parameters, above {MAX_PARAMETERS}"
        )


def check_epsilon(epsilon: float) -> None:
    """Raise unless the number added to a variance is finite and positive."""
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise InputError(f"a batch normalisation's epsilon must be positive, not {epsilon!r}")


def renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Plain values of a file with some of their keys renamed."""
    return {names.get(key, key): value for key, value in values.items()}
