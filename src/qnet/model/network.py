"""The forward pass in NumPy: no TensorFlow, no Keras."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import FloatArray
from qnet.core.bins import softmax
from qnet.core.errors import InputError
from qnet.core.threads import one_blas_thread, share_work
from qnet.model.architecture import Architecture
from qnet.model.layers import BATCH_NORM, ConvLayer

Weights = Mapping[str, npt.NDArray[Any]]


class Shaped(Protocol):
    """What knows the shapes of the arrays it needs."""

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every array, by name."""


#: Spectra per chunk: products this wide are fast, and the activations stay in the cache.
CHUNK_SIZE = 64


@dataclasses.dataclass(frozen=True, eq=False)
class NetworkOutput:
    """Output of the first stage for some spectra (`qnet.Model.forward`).

    Attributes
    ----------
    preds : list of ndarray, each of shape (nspec, 2 * nboxes)
        Confidences of the boxes, then their offsets, of each line (`qnet.Model.predict`).
    common : ndarray, shape (nspec, units)
        Activations of the dense layer that all outputs share.
    distance : ndarray of float64, shape (nspec,)
        Mahalanobis distance ``|(common - outlier_mean) outlier_scale|`` from the training data; NaN
        for a row of NaN, and in all rows for a model without the two arrays.
    posterior : ndarray, shape (nspec, noutputs), or None
        Probability of each class of ``architecture.redshifts``; None for a network without them.
    """

    preds: list[npt.NDArray[Any]]
    common: npt.NDArray[Any]
    distance: FloatArray
    posterior: npt.NDArray[Any] | None = None


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
        folded = [
            (conv, *_fold(weights, layer, norm, conv.epsilon, dtype))
            for conv, (layer, norm) in zip(convs, layers[:-1], strict=True)
        ]
        self._layers = [
            (conv, np.ascontiguousarray(kernel.T), bias) for conv, kernel, bias in folded
        ]
        self._dense = _fold(weights, *layers[-1], epsilon, dtype)
        self._plans: dict[int, list[_Plan]] = {}

    def __call__(self, activation: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Run (nspec, npix, channels) to (nspec, units)."""
        nspec, npix, channels = activation.shape
        if npix not in self._plans:
            self._plans[npix] = _plan([conv for conv, _, _ in self._layers], npix)
        plans = self._plans[npix]
        flat = plans[0].buffer(channels, nspec, activation.dtype)
        plans[0].inside(flat)[:] = activation[:, : plans[0].npix].transpose(1, 2, 0)
        following: _Plan | None
        for (conv, kernel, bias), plan, following in zip(
            self._layers, plans, [*plans[1:], None], strict=True
        ):
            windows = plan.windows(flat, conv)
            if following is None:
                flat = target = np.empty((plan.length, conv.filters, nspec), kernel.dtype)
            else:
                flat = following.buffer(conv.filters, nspec, kernel.dtype)
                target = following.inside(flat)
            _convolve(windows, kernel, target)
            _add_and_clip(target.reshape(plan.length, -1), np.repeat(bias, nspec))
        kernel, bias = self._dense
        common = np.asarray(flat.reshape(-1, nspec).T @ kernel)
        _add_and_clip(common, bias)
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
        if architecture.redshifts is not None:
            self._redshift = tuple(
                weights[f"fc_redshift.{name}"].astype(self.dtype) for name in ("kernel", "bias")
            )

    def predict(
        self, X: npt.NDArray[Any], chunk_size: int = CHUNK_SIZE, threads: int = 1
    ) -> npt.NDArray[Any]:
        """Run the network.

        Parameters
        ----------
        X : ndarray, shape (nspec, npix)
            Normalised spectra. A row that holds NaN or infinity gives a row of NaN, and touches no
            other.
        chunk_size : int
            Spectra held in memory at a time, as activations, by each thread.
        threads : int
            Threads that share the chunks; the results do not depend on it.

        Returns
        -------
        ndarray, shape (nlines + nlines_bal, nspec, 2 * nboxes)
            Confidences, then offsets, of each line.
        """
        return self.run(X, chunk_size, threads)[0]

    def run(
        self, X: npt.NDArray[Any], chunk_size: int = CHUNK_SIZE, threads: int = 1
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Run the network, as `predict`, and keep the activations of its common layer.

        Parameters
        ----------
        X, chunk_size, threads
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

        def work(start: int) -> None:
            rows = slice(start, start + chunk_size)
            self._run_chunk(X[rows], out[:, rows], common[rows])

        with one_blas_thread():
            share_work(work, range(0, len(X), chunk_size), threads)
        return out, common

    def posterior(self, common: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Shares of the redshift bins and other classes; of networks that have them alone.

        Parameters
        ----------
        common : ndarray, shape (nspec, units)
            What `run` returns.

        Returns
        -------
        ndarray, shape (nspec, redshifts.noutputs)
            Each row adds up to 1; a row of NaN gives a row of NaN.
        """
        kernel, bias = self._redshift
        with one_blas_thread():
            return softmax(common @ kernel + bias)

    def _run_chunk(
        self, X: npt.NDArray[Any], out: npt.NDArray[Any], common: npt.NDArray[Any]
    ) -> None:
        """Fill predictions and common activations of one chunk."""
        chunk = np.array(X, dtype=self.dtype)
        # A network may leave out pixels at an end: the whole row counts, not what it reads.
        bad = ~np.isfinite(chunk).all(axis=1)
        chunk[bad] = 0
        common[:] = self._stack(chunk[:, :, None])
        self._run_heads(common, out)
        out[:, bad] = np.nan
        common[bad] = np.nan

    def _run_heads(self, common: npt.NDArray[Any], out: npt.NDArray[Any]) -> None:
        """One chunk through all heads, into an array (line, nspec, 2 * nboxes)."""
        arch = self.architecture
        kernel, bias = self._heads
        heads = common @ kernel
        heads += bias
        # Columns (box or offset, line, nboxes): what is computed alike lies side by side.
        boxes, offsets = np.split(heads, 2, axis=1)
        _sigmoid(heads if arch.offset_activation == "sigmoid" else boxes)
        offsets *= arch.offset_scale
        offsets += arch.offset_shift
        shape = (len(common), arch.nlines, arch.nboxes)
        for part, place in (
            (boxes, slice(None, arch.nboxes)),
            (offsets, slice(arch.nboxes, None)),
        ):
            out[:, :, place] = part.reshape(shape).transpose(1, 0, 2)

    def _join_heads(self, weights: Weights) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Kernel and bias of all heads side by side, in the order (box or offset, line, nboxes)."""
        names = [
            f"fc_{part}_{line}"
            for part in ("box", "offset")
            for line in range(self.architecture.nlines)
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


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What a convolution reads of its input, and what of its output is used.

    It reads `size` pixels: `before` of padding, `npix` of the input, and zeros.
    """

    npix: int
    before: int
    size: int
    length: int

    def buffer(self, channels: int, nspec: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Array (size, channels, nspec), zero outside of the input's pixels."""
        flat = np.empty((self.size, channels, nspec), dtype)
        flat[: self.before] = 0
        flat[self.before + self.npix :] = 0
        return flat

    def inside(self, flat: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The input's pixels of a buffer, a view (npix, channels, nspec)."""
        return flat[self.before : self.before + self.npix]

    def windows(self, flat: npt.NDArray[Any], conv: ConvLayer) -> npt.NDArray[Any]:
        """The windows of a buffer, a view (length, width * channels, nspec): they overlap."""
        _, channels, nspec = flat.shape
        pixel, row, item = flat.strides
        return np.ndarray(
            (self.length, conv.width * channels, nspec),
            flat.dtype,
            flat,
            strides=(conv.stride * pixel, row, item),
        )


def _plan(convs: Sequence[ConvLayer], npix: int) -> list[_Plan]:
    """Plans of convolutions one after the other, of an input of so many pixels."""
    sizes = [npix]
    for conv in convs:
        sizes.append(conv.output_length(sizes[-1]))
    plans: list[_Plan] = []
    length = sizes[-1]
    for conv, size in reversed(list(zip(convs, sizes[:-1], strict=True))):
        before, _ = conv.pad(size)
        # Pixels that no window of use reaches are neither kept nor computed.
        reached = (length - 1) * conv.stride + conv.width
        used = min(size, reached - before)
        plans.insert(0, _Plan(used, before, reached, length))
        length = used
    return plans


def _convolve(windows: npt.NDArray[Any], kernel: npt.NDArray[Any], out: npt.NDArray[Any]) -> None:
    """Convolution of windows into (length, filters, nspec), without copies.

    The spectra lie side by side for each channel of each pixel, so a window, whose pixels follow
    one another, is a matrix that lies in memory already: one product for each pixel of the output.
    """
    np.matmul(kernel, windows, out=out)


def _add_and_clip(values: npt.NDArray[Any], bias: npt.NDArray[Any]) -> None:
    """Add the bias to each row, and the ReLU, in place."""
    np.add(values, bias, out=values)
    # NumPy takes the maximum with a scalar one number at a time; this, many.
    np.clip(values, 0, np.inf, out=values)


def _sigmoid(values: npt.NDArray[Any]) -> None:
    """Logistic function in place; exp overflows to infinity far below zero, and the result is 0."""
    with np.errstate(over="ignore"):
        np.negative(values, out=values)
        np.exp(values, out=values)
        values += 1
        np.reciprocal(values, out=values)
