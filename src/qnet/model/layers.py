"""Layers of the networks: the shapes of their arrays, their NumPy form and their Keras form."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments, check_fields
from qnet.core.errors import InputError, shown

#: A network has no more parameters than this: a bound on what a file may ask for.
MAX_PARAMETERS = 200_000_000

#: A network has no more convolutions than this.
MAX_LAYERS = 1000

#: The arrays of a batch normalisation, by Keras's names and in Keras's order.
BATCH_NORM = ("gamma", "beta", "moving_mean", "moving_variance")

#: Precision of the last layers in Keras, also where the others compute in a lower one.
PRECISE = "float32"

Shape = tuple[int, ...]
Weights = Mapping[str, npt.NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class ConvLayer:
    """A convolution over pixels, with batch normalisation and ReLU.

    Parameters
    ----------
    filters, width, stride : int
        Number of filters, width in pixels, step in pixels.
    padding : {'valid', 'same'}
        As in Keras.
    epsilon : float
        Added to the variance in the batch normalisation.

    Raises
    ------
    InputError
        A size is not a positive integer, or a value is not legal.

    Examples
    --------
    >>> from qnet.model import ConvLayer
    >>> ConvLayer(filters=100, width=10, stride=2, padding="valid").output_length(443)
    217
    """

    filters: int
    width: int
    stride: int
    padding: Literal["valid", "same"]
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        check_fields(self)
        if min(self.filters, self.width, self.stride) < 1:
            raise InputError(f"a convolution needs positive filters, width and stride, not {self}")
        check_epsilon(self.epsilon)

    def output_length(self, npix: int) -> int:
        """Number of output pixels for `npix` input pixels (Keras's rule)."""
        check_arguments(ConvLayer.output_length, locals())
        if self.padding == "same":
            return -(-npix // self.stride)
        return (npix - self.width) // self.stride + 1 if npix >= self.width else 0

    def pad(self, npix: int) -> tuple[int, int]:
        """Zeros added before and after `npix` input pixels (TensorFlow's rule for 'same')."""
        check_arguments(ConvLayer.pad, locals())
        if self.padding == "valid":
            return 0, 0
        total = max((self.output_length(npix) - 1) * self.stride + self.width - npix, 0)
        return total // 2, total - total // 2

    def kernel_shape(self, inputs: Shape) -> Shape:
        """Shape of the kernel for an input (npix, channels)."""
        return self.width, inputs[1], self.filters

    def output_shape(self, inputs: Shape) -> Shape:
        """Shape (pixels, filters) of the output of an input (npix, channels)."""
        return self.output_length(inputs[0]), self.filters

    def to_keras(self, layers: Any, **options: Any) -> Any:
        """The convolution in Keras; `layers` is `keras.layers`."""
        sizes = {"strides": self.stride, "padding": self.padding}
        return layers.Conv1D(self.filters, self.width, **sizes, **options)


@dataclasses.dataclass(frozen=True)
class DenseLayer:
    """A dense layer: shift + scale * activation(x kernel + bias)."""

    units: int
    epsilon: float = 1e-3
    activation: str = "linear"
    scale: float = 1.0
    shift: float = 0.0

    def kernel_shape(self, inputs: Shape) -> Shape:
        """Shape of the kernel for an input of any shape, which is flattened."""
        return math.prod(inputs), self.units

    def output_shape(self, inputs: Shape) -> Shape:
        """Shape of the output, whatever the input's."""
        return (self.units,)

    def to_keras(self, layers: Any, **options: Any) -> Any:
        """The layer in Keras, without scale and shift; `layers` is `keras.layers`."""
        return layers.Dense(self.units, activation=self.activation, **options)


Kind = TypeVar("Kind", ConvLayer, DenseLayer)


@dataclasses.dataclass(frozen=True)
class Layer(Generic[Kind]):
    """A layer with the names of its arrays; `norm` is that of its batch norm, '' without one.

    ReLU follows a batch norm.
    """

    name: str
    kind: Kind
    norm: str = ""

    def shapes(self, inputs: Shape) -> dict[str, Shape]:
        """Shape of every array, by its name in the weights file."""
        kernel = self.kind.kernel_shape(inputs)
        shapes = {f"{self.name}.kernel": kernel, f"{self.name}.bias": kernel[-1:]}
        if self.norm:
            shapes |= {f"{self.norm}.{part}": kernel[-1:] for part in BATCH_NORM}
        return shapes

    def fold(
        self, weights: Weights, dtype: np.dtype[Any]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """The NumPy form: kernel (inputs, outputs) and bias, with the batch norm folded in."""
        kernel, bias = weights[f"{self.name}.kernel"], weights[f"{self.name}.bias"]
        if self.norm:
            gamma, beta, mean, variance = (weights[f"{self.norm}.{part}"] for part in BATCH_NORM)
            # The deviation in the arrays' own precision, as TensorFlow and QuasarNP compute it:
            # the network was trained with these rounded values.
            epsilon = variance.dtype.type(self.kind.epsilon)
            scale = gamma / np.sqrt(variance + epsilon).astype(np.float64)
            kernel = kernel * scale
            bias = (bias.astype(np.float64) - mean) * scale + beta
        return kernel.reshape(-1, kernel.shape[-1]).astype(dtype), bias.astype(dtype)

    def build(
        self,
        layers: Any,
        x: Any,
        *,
        names: Mapping[str, str] | None = None,
        dropout: float = 0.0,
        regularizer: Any = None,
    ) -> Any:
        """The Keras form applied to a tensor; `layers` is `keras.layers`, `names` renames layers.

        Dropout is that of a convolution's output, or of a dense layer's flattened input.
        """

        def apply(kind: Any, x: Any, part: str, *args: Any, **options: Any) -> Any:
            return kind(*args, name=(names or {}).get(part, part), **options)(x)

        def drop(x: Any) -> Any:
            return apply(layers.Dropout, x, f"{self.name}_dropout", dropout) if dropout else x

        if isinstance(self.kind, DenseLayer) and len(x.shape) > 2:
            x = drop(layers.Flatten(name="flatten")(x))
        precision = None if self.norm else PRECISE
        options = {"kernel_regularizer": regularizer, "name": self.name, "dtype": precision}
        x = self.kind.to_keras(layers, **options)(x)
        if self.norm:
            x = apply(layers.BatchNormalization, x, self.norm, epsilon=self.kind.epsilon)
            x = apply(layers.Activation, x, f"{self.name}_relu", "relu")
        if isinstance(self.kind, ConvLayer):
            return drop(x)
        rescale = self.kind.scale, self.kind.shift
        if rescale == (1.0, 0.0):
            return x
        return apply(layers.Rescaling, x, f"{self.name}_rescale", *rescale, dtype=PRECISE)


@dataclasses.dataclass(frozen=True)
class LayerList:
    """The layers of a network: convolutions, a common dense layer, and the heads upon it.

    `inputs` is (npix, channels). All that a network needs goes over this list: the shapes of its
    arrays, the forward pass in NumPy, and the twin in Keras.
    """

    inputs: tuple[int, int]
    convs: tuple[Layer[ConvLayer], ...]
    common: Layer[DenseLayer]
    heads: tuple[Layer[DenseLayer], ...]

    @property
    def trunk(self) -> tuple[Layer[Any], ...]:
        """Convolutions and common layer, one after the other."""
        return *self.convs, self.common

    def shapes(self) -> dict[str, Shape]:
        """Shape of every array of the weights, by its name in the weights file."""
        shapes: dict[str, Shape] = {}
        inputs: Shape = self.inputs
        for layer in self.trunk:
            shapes |= layer.shapes(inputs)
            inputs = layer.kind.output_shape(inputs)
        for head in self.heads:
            shapes |= head.shapes(inputs)
        return shapes

    def check(self) -> None:
        """Raise unless every convolution leaves pixels, and the network is not absurdly large."""
        length = npix = self.inputs[0]
        for index, conv in enumerate(self.convs, start=1):
            if conv.kind.stride > npix:
                raise InputError(
                    f"convolution {index} steps over {conv.kind.stride} pixels, but the input has "
                    f"{npix}"
                )
            length = conv.kind.output_length(length)
            if length < 1:
                raise InputError(
                    f"{npix} input pixels are too few for convolution {index} of "
                    f"{len(self.convs)}: nothing is left of them"
                )
        if (size := count_parameters(self.shapes())) > MAX_PARAMETERS:
            raise InputError(f"the network asks for {size} parameters, above {MAX_PARAMETERS}")


def stack(convs: Sequence[ConvLayer], prefix: str = "") -> tuple[Layer[ConvLayer], ...]:
    """Convolutions one after the other, which are counted from 1."""
    return tuple(
        Layer(f"{prefix}conv_{index}", conv, f"{prefix}bn_{index}")
        for index, conv in enumerate(convs, start=1)
    )


def count_parameters(shapes: Mapping[str, Shape]) -> int:
    """Number of values in arrays of these shapes."""
    return sum(map(math.prod, shapes.values()))


def by_layer(name: str, value: int | Sequence[int], nlayers: int) -> tuple[int, ...]:
    """A number for each layer, from one for all of them or one for each; `name` is for errors."""
    values = tuple(value) if isinstance(value, Sequence) else (value,) * nlayers
    if len(values) != nlayers:
        raise InputError(f"{name} {value} must be one number, or {nlayers}: one for each layer")
    return values


def check_epsilon(epsilon: float) -> None:
    """Raise unless the number added to a variance is finite and positive."""
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise InputError(f"a batch normalisation's epsilon must be positive, not {shown(epsilon)}")
