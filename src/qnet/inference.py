"""The forward pass in NumPy: no TensorFlow, no Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.architecture import BATCH_NORM, Architecture, ConvLayer
from qnet.errors import InputError

Weights = Mapping[str, npt.NDArray[Any]]

#: Spectra per chunk: about what keeps the activations of a 100-filter network in the cache.
CHUNK_SIZE = 32


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
        self._convs = [
            (conv, *self._fold(weights, f"conv_{index}", f"bn_{index}", conv.epsilon))
            for index, conv in enumerate(architecture.convs, start=1)
        ]
        self._common = self._fold(weights, "fc_common", "bn_common", architecture.epsilon)
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
        arch = self.architecture
        out = np.empty((arch.nlines, len(X), 2 * arch.nboxes), dtype=self.dtype)
        for start in range(0, len(X), chunk_size):
            chunk = np.array(X[start : start + chunk_size], dtype=self.dtype)
            # A network may leave out pixels at an end: the whole row counts, not what it reads.
            bad = ~np.isfinite(chunk).all(axis=1)
            chunk[bad] = 0
            result = self._forward(chunk)
            result[:, bad] = np.nan
            out[:, start : start + chunk_size] = result
        return out

    def _forward(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """One chunk through all layers."""
        arch = self.architecture
        activation = X[:, :, None]
        for conv, kernel, bias in self._convs:
            activation = _conv_relu(activation, conv, kernel, bias)
        kernel, bias = self._common
        common = activation.reshape(len(X), -1) @ kernel
        common += bias
        np.maximum(common, 0, out=common)
        kernel, bias = self._heads
        heads = common @ kernel
        heads += bias
        # (nspec, line, box or offset, nboxes)
        parts = heads.reshape(len(X), arch.nlines, 2, arch.nboxes)
        _sigmoid(parts[:, :, 0])
        if arch.offset_activation == "sigmoid":
            _sigmoid(parts[:, :, 1])
        parts[:, :, 1] *= arch.offset_scale
        parts[:, :, 1] += arch.offset_shift
        return np.asarray(parts.reshape(len(X), arch.nlines, -1).transpose(1, 0, 2))

    def _fold(
        self, weights: Weights, layer: str, norm: str, epsilon: float
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
        return kernel.astype(self.dtype), bias.astype(self.dtype)

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


def check_weights(architecture: Architecture, weights: Weights) -> None:
    """Check that the arrays are those of the architecture.

    Parameters
    ----------
    architecture : Architecture
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
