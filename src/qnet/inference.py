"""The forward pass in NumPy: no TensorFlow, no Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from qnet.architecture import BATCH_NORM, Architecture, ConvLayer
from qnet.errors import InputError

Weights = Mapping[str, npt.NDArray[Any]]


class Shaped(Protocol):
    """What knows the shapes of the arrays it needs."""

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every array, by name."""


#: Spectra per chunk: about what keeps the activations of a 100-filter network in the cache.
CHUNK_SIZE = 32


class ConvStack:
    """Convolutions, flatten and a dense layer, each with its batch norm folded in, and ReLU.

    Parameters
    ----------
    convs : sequence of ConvLayer
    layers : sequence of (str, str)
        Names of the arrays of each convolution and its batch norm, then of the dense layer and its
        own.
    epsilon : float
        Of the dense layer's batch norm.
    weights : mapping of str to ndarray
        Holds their arrays, checked.
    dtype : dtype
        Precision of the computation.
    """

    def __init__(
        self,
        convs: Sequence[ConvLayer],
        layers: Sequence[tuple[str, str]],
        epsilon: float,
        weights: Weights,
        dtype: np.dtype[Any],
    ) -> None:
        self._convs = [
            (conv, *_fold(weights, layer, norm, conv.epsilon, dtype))
            for conv, (layer, norm) in zip(convs, layers[:-1], strict=True)
        ]
        self._dense = _fold(weights, *layers[-1], epsilon, dtype)

    def __call__(self, activation: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Run (nspec, npix, channels) to (nspec, units)."""
        nspec = len(activation)
        for conv, kernel, bias in self._convs:
            activation = _conv_relu(activation, conv, kernel, bias)
        kernel, bias = self._dense
        common = np.asarray(activation.reshape(nspec, -1) @ kernel)
        common += bias
        np.maximum(common, 0, out=common)
        return common


class Network:
    """A network ready to run: batch norms folded into the layers, all heads in one product.

    Parameters
    ----------
    architecture : Architecture
        What the network is made of.
    weights : mapping of str to ndarray
        Every array of `Architecture.shapes`.
    dtype : dtype
        Precision of the computation: float32 or float64.

    Raises
    ------
    InputError
        An array is missing or of another shape.
    """

    def __init__(
        self, architecture: Architecture, weights: Weights, dtype: npt.DTypeLike = np.float32
    ) -> None:
        check_weights(architecture, weights)
        self.architecture = architecture
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        layers = [
            (f"conv_{index + 1}", f"bn_{index + 1}") for index in range(len(architecture.convs))
        ]
        layers.append(("fc_common", "bn_common"))
        self._stack = ConvStack(
            architecture.convs, layers, architecture.epsilon, weights, self.dtype
        )
        self._heads = self._join_heads(weights)

    def predict(self, X: npt.NDArray[Any], chunk_size: int = CHUNK_SIZE) -> npt.NDArray[Any]:
        """Run the network.

        Parameters
        ----------
        X : ndarray, shape (nspec, npix)
            Normalised spectra. A row that holds NaN or infinity gives a row of NaN, and touches no
            other.
        chunk_size : int
            Spectra held in memory at a time, as activations.

        Returns
        -------
        ndarray, shape (nlines + nlines_bal, nspec, 2 * nboxes)
            Confidences, then offsets, of each line.
        """
        return self.run(X, chunk_size)[0]

    def run(
        self, X: npt.NDArray[Any], chunk_size: int = CHUNK_SIZE
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Run the network, as `predict`, and keep the activations of its common layer.

        Parameters
        ----------
        X, chunk_size
            As in `predict`.

        Returns
        -------
        predictions : ndarray, shape (nlines + nlines_bal, nspec, 2 * nboxes)
            What `predict` returns.
        common : ndarray, shape (nspec, units)
            Activations of the dense layer that all lines share, after ReLU.
        """
        arch = self.architecture
        out = np.empty((arch.nlines, len(X), 2 * arch.nboxes), dtype=self.dtype)
        common = np.empty((len(X), arch.units), dtype=self.dtype)
        for start in range(0, len(X), chunk_size):
            rows = slice(start, start + chunk_size)
            chunk = np.array(X[rows], dtype=self.dtype)
            # A network may leave out pixels at an end: the whole row counts, not what it reads.
            bad = ~np.isfinite(chunk).all(axis=1)
            chunk[bad] = 0
            activation = self._stack(chunk[:, :, None])
            result = self._run_heads(activation)
            result[:, bad] = np.nan
            activation[bad] = np.nan
            out[:, rows], common[rows] = result, activation
        return out, common

    def _run_heads(self, common: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """One chunk through all heads."""
        arch = self.architecture
        kernel, bias = self._heads
        heads = common @ kernel
        heads += bias
        # (nspec, line, box or offset, nboxes)
        parts = heads.reshape(len(common), arch.nlines, 2, arch.nboxes)
        _sigmoid(parts[:, :, 0])
        if arch.offset_activation == "sigmoid":
            _sigmoid(parts[:, :, 1])
        parts[:, :, 1] *= arch.offset_scale
        parts[:, :, 1] += arch.offset_shift
        return np.asarray(parts.reshape(len(common), arch.nlines, -1).transpose(1, 0, 2))

    def _join_heads(self, weights: Weights) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Kernel and bias of all heads side by side, in the order (line, box or offset, nboxes)."""
        names = [
            f"fc_{part}_{line}"
            for line in range(self.architecture.nlines)
            for part in ("box", "offset")
        ]
        kernel = np.concatenate([weights[f"{name}.kernel"] for name in names], axis=1)
        bias = np.concatenate([weights[f"{name}.bias"] for name in names])
        return kernel.astype(self.dtype), bias.astype(self.dtype)


def check_weights(architecture: Shaped, weights: Weights) -> None:
    """Check that the arrays are those of an architecture.

    Parameters
    ----------
    architecture : Architecture or RefineArchitecture
    weights : mapping of str to ndarray

    Raises
    ------
    InputError
        An array is missing, of another shape, not of floats, or not finite; or a variance is
        negative.
    """
    for name, shape in architecture.shapes().items():
        if name not in weights:
            raise InputError(f"the weights lack the array {name}")
        array = weights[name]
        if array.shape != shape:
            raise InputError(f"array {name} has shape {array.shape}, but {shape} was expected")
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise InputError(f"array {name} must hold finite floats")
        if array.dtype.itemsize > 8:
            raise InputError(f"array {name} must hold float64 or less, not {array.dtype}")
        if name.endswith("moving_variance") and (array < 0).any():
            raise InputError(f"array {name} holds a negative variance")


def _fold(
    weights: Weights, layer: str, norm: str, epsilon: float, dtype: np.dtype[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Kernel (inputs, outputs) and bias of a layer with its batch norm folded in."""
    gamma, beta, mean, variance = (weights[f"{norm}.{name}"] for name in BATCH_NORM)
    # The deviation in the arrays' own precision, as TensorFlow and QuasarNP compute it: the
    # network was trained with these rounded values.
    deviation = np.sqrt(variance + variance.dtype.type(epsilon)).astype(np.float64)
    scale = gamma / deviation
    kernel = weights[f"{layer}.kernel"] * scale
    bias = (weights[f"{layer}.bias"].astype(np.float64) - mean) * scale + beta
    kernel = kernel.reshape(-1, kernel.shape[-1])
    return kernel.astype(dtype), bias.astype(dtype)


def _conv_relu(
    activation: npt.NDArray[Any], conv: ConvLayer, kernel: npt.NDArray[Any], bias: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """Convolution and ReLU of (nspec, npix, channels) as one matrix product."""
    nspec, npix, channels = activation.shape
    before, after = conv.pad(npix)
    if before or after:
        activation = np.pad(activation, ((0, 0), (before, after), (0, 0)))
    length = conv.output_length(npix)
    # (nspec, length, channels, width), a view; its windows become the rows of the product.
    windows = np.lib.stride_tricks.sliding_window_view(activation, conv.width, axis=1)
    windows = windows[:, : (length - 1) * conv.stride + 1 : conv.stride]
    rows = windows.transpose(0, 1, 3, 2).reshape(nspec * length, conv.width * channels)
    out = rows @ kernel
    out += bias
    np.maximum(out, 0, out=out)
    return np.asarray(out.reshape(nspec, length, conv.filters))


def _sigmoid(values: npt.NDArray[Any]) -> None:
    """Logistic function in place; exp overflows to infinity far below zero, and the result is 0."""
    with np.errstate(over="ignore"):
        np.negative(values, out=values)
        np.exp(values, out=values)
        values += 1
        np.reciprocal(values, out=values)
