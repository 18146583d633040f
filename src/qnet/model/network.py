"""The forward pass in NumPy, without Keras."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import FloatArray
from qnet.core.bins import softmax
from qnet.core.errors import InputError, shown
from qnet.core.threads import one_blas_thread, share_work
from qnet.model.architecture import Architecture
from qnet.model.layers import ConvLayer, LayerList, Shape, Weights

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
    logits : ndarray, shape (nlines + nlines_bal, nspec, nboxes)
        Logits of the confidences.
    posterior : ndarray, shape (nspec, noutputs), or None
        Probability of each class of ``architecture.redshifts``; None for a network without them.

    Examples
    --------
    >>> import numpy as np
    >>> import qnet
    >>> X = np.random.default_rng(0).normal(size=(3, 443))
    >>> output = qnet.load_model().forward(X)
    >>> output.common.shape, output.posterior.shape
    ((3, 256), (3, 166))
    """

    preds: list[npt.NDArray[Any]]
    common: npt.NDArray[Any]
    distance: FloatArray
    logits: npt.NDArray[Any]
    posterior: npt.NDArray[Any] | None = None


class ConvStack:
    """Convolutions, flatten and a dense layer, each with its batch norm folded in, and ReLU."""

    def __init__(self, layers: LayerList, weights: Weights, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        folded = [(layer.kind, *layer.fold(weights, dtype)) for layer in layers.convs]
        self._layers = [
            (conv, np.ascontiguousarray(kernel.T), bias) for conv, kernel, bias in folded
        ]
        self._dense = layers.common.fold(weights, dtype)
        self._plans: dict[int, list[_Plan]] = {}

    def __call__(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Run (nspec, npix, channels) to (nspec, units); a row that is not finite gives NaN."""
        activation = np.array(X, dtype=self._dtype)
        # A network may leave out pixels at an end: the whole row counts, not what it reads.
        bad = ~np.isfinite(activation).all(axis=(1, 2))
        activation[bad] = 0
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
            # The spectra are contiguous for each channel of each pixel, so that a window, whose
            # pixels follow one another, is a matrix in memory already: one product per pixel.
            np.matmul(kernel, windows, out=target)
            _add_and_clip(target.reshape(plan.length, -1), np.repeat(bias, nspec))
        kernel, bias = self._dense
        common = np.asarray(flat.reshape(-1, nspec).T @ kernel)
        _add_and_clip(common, bias)
        common[bad] = np.nan
        return common


class Network:
    """The first stage, ready to run: batch norms folded in, all heads of lines in one product."""

    def __init__(
        self, architecture: Architecture, weights: Weights, dtype: npt.DTypeLike = np.float32
    ) -> None:
        check_weights(architecture.shapes(), weights)
        self.architecture = architecture
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        layers = architecture.layers
        self._stack = ConvStack(layers, weights, self.dtype)
        heads = [layer.fold(weights, self.dtype) for layer in layers.heads]
        # Side by side, in the order (box or offset, line, nboxes).
        nlines = architecture.nlines
        kernels, biases = zip(*heads[0 : 2 * nlines : 2], *heads[1 : 2 * nlines : 2], strict=True)
        self._heads = np.concatenate(kernels, axis=1), np.concatenate(biases)
        self._redshift = heads[2 * nlines :]

    def predict(
        self, X: npt.NDArray[Any], chunk_size: int = CHUNK_SIZE, threads: int = 1
    ) -> npt.NDArray[Any]:
        """Confidences, then offsets, of each line: (nlines + nlines_bal, nspec, 2 * nboxes)."""
        return self.run(X, chunk_size, threads)[0]

    def run(
        self, X: npt.NDArray[Any], chunk_size: int = CHUNK_SIZE, threads: int = 1
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        """What `predict` gives, activations (nspec, units) of the common layer, logits of boxes.

        X is (nspec, npix); a row that holds NaN or infinity gives NaN, and changes no other.
        Each thread holds `chunk_size` spectra at a time; results do not depend on the threads.
        """
        arch = self.architecture
        out = np.empty((arch.nlines, len(X), 2 * arch.nboxes), dtype=self.dtype)
        common = np.empty((len(X), arch.units), dtype=self.dtype)
        logits = np.empty((arch.nlines, len(X), arch.nboxes), dtype=self.dtype)

        def work(start: int) -> None:
            rows = slice(start, start + chunk_size)
            common[rows] = self._stack(X[rows, :, None])
            self._run_heads(common[rows], out[:, rows], logits[:, rows])

        with one_blas_thread():
            share_work(work, range(0, len(X), chunk_size), threads)
        return out, common, logits

    def posterior(self, common: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Probabilities (nspec, redshifts.noutputs) of the redshift head, from common activations.

        Of networks that have the head alone. A row of NaN gives a row of NaN.
        """
        ((kernel, bias),) = self._redshift
        with one_blas_thread():
            return softmax(common @ kernel + bias)

    def _run_heads(
        self, common: npt.NDArray[Any], out: npt.NDArray[Any], logits: npt.NDArray[Any]
    ) -> None:
        """One chunk through all heads, into arrays (line, nspec, 2 * nboxes) and (..., nboxes)."""
        arch = self.architecture
        kernel, bias = self._heads
        heads = common @ kernel
        heads += bias
        # Columns (box or offset, line, nboxes): what is computed alike lies side by side.
        boxes, offsets = np.split(heads, 2, axis=1)
        shape = (len(common), arch.nlines, arch.nboxes)
        logits[:] = boxes.reshape(shape).transpose(1, 0, 2)
        _sigmoid(heads if arch.offset_activation == "sigmoid" else boxes)
        offsets *= arch.offset_scale
        offsets += arch.offset_shift
        out[:, :, : arch.nboxes] = boxes.reshape(shape).transpose(1, 0, 2)
        out[:, :, arch.nboxes :] = offsets.reshape(shape).transpose(1, 0, 2)


def check_weights(shapes: Mapping[str, Shape], weights: Weights) -> None:
    """Raise unless the arrays are there, of these shapes, of finite floats, variances positive."""
    if not isinstance(weights, Mapping):
        raise InputError(f"the weights must map names to arrays, not {shown(weights)}")
    for name, shape in shapes.items():
        if name not in weights:
            raise InputError(f"the weights lack the array {name}")
        array = weights[name]
        if not isinstance(array, np.ndarray):
            raise InputError(f"the weights' {name} must be an array, not {shown(array)}")
        if array.shape != shape:
            raise InputError(f"array {name} has shape {array.shape}, but {shape} was expected")
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise InputError(f"array {name} must hold finite floats")
        if array.dtype.itemsize > 8:
            raise InputError(f"array {name} must hold float64 or less, not {array.dtype}")
        if name.endswith("moving_variance") and (array < 0).any():
            raise InputError(f"array {name} holds a negative variance")


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What a convolution reads: `size` pixels, of which `before` are padding and `npix` input."""

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
