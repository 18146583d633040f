"""How QuasarNP goes from a file to redshifts, written anew from a description of its method.

Float64 throughout; the windows of a convolution are copied one step after the other, then
multiplied by the kernel; batch norm is a layer of its own; spectra are rebinned one by one with
`numpy.bincount`; a file's MASK is not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fitsio
import numpy as np

from qnet import Model
from qnet.core.grid import WavelengthGrid
from qnet.model.architecture import Architecture


def classify(
    path: Path, model: Model, weights: Mapping[str, np.ndarray], size: int | None = None
) -> Any:
    """From a DESI coadd to redshifts, all spectra at once or `size` at a time."""
    X = load(path, model.grid)
    return model.decode(in_batches(model.architecture, weights, X, size or len(X)))


def double(model: Model) -> dict[str, np.ndarray]:
    """The weights in float64, as the forward pass takes them."""
    return {name: values.astype(np.float64) for name, values in model.weights.arrays.items()}


def load(path: Path, grid: WavelengthGrid) -> np.ndarray:
    """Normalised spectra of a DESI coadd."""
    flux_ivar = ivar = 0.0
    with fitsio.FITS(str(path)) as fits:
        for camera in "BRZ":
            bins = grid.bins(fits[f"{camera}_WAVELENGTH"].read())
            flux = fits[f"{camera}_FLUX"].read().astype(np.float64)
            weight = fits[f"{camera}_IVAR"].read().astype(np.float64)
            inside = bins >= 0
            product, weight, bins = (
                flux[:, inside] * weight[:, inside],
                weight[:, inside],
                bins[inside],
            )
            flux_ivar = flux_ivar + _rebin(bins, product, grid.npix)
            ivar = ivar + _rebin(bins, weight, grid.npix)
    flux = np.divide(flux_ivar, ivar, out=np.zeros_like(flux_ivar), where=ivar > 0)
    mean = np.average(flux, weights=ivar, axis=1)[:, None]
    scatter = np.sqrt(np.average((flux - mean) ** 2, weights=ivar, axis=1))[:, None]
    return (flux - mean) / scatter


def _rebin(bins: np.ndarray, values: np.ndarray, npix: int) -> np.ndarray:
    return np.array([np.bincount(bins, weights=row, minlength=npix) for row in values])


def in_batches(
    arch: Architecture, weights: Mapping[str, np.ndarray], X: np.ndarray, size: int
) -> np.ndarray:
    """`forward` on `size` spectra at a time."""
    parts = [forward(arch, weights, X[first : first + size]) for first in range(0, len(X), size)]
    return np.concatenate(parts, axis=1)


def forward(arch: Architecture, weights: Mapping[str, np.ndarray], X: np.ndarray) -> np.ndarray:
    """Predictions (nlines + nlines_bal, nspec, 2 * nboxes) of a network without padding."""
    values = X.astype(np.float64)[:, :, None]
    for number, conv in enumerate(arch.convs, start=1):
        kernel = weights[f"conv_{number}.kernel"]
        nspec, npix, channels = values.shape
        length = conv.output_length(npix)
        windows = np.empty((nspec, length, conv.width, channels))
        for step in range(length):
            first = step * conv.stride
            windows[:, step] = values[:, first : first + conv.width]
        values = windows.reshape(nspec, length, -1) @ kernel.reshape(-1, conv.filters)
        values = _norm_relu(
            values + weights[f"conv_{number}.bias"], weights, f"bn_{number}", conv.epsilon
        )
    common = values.reshape(len(values), -1) @ weights["fc_common.kernel"]
    common = _norm_relu(common + weights["fc_common.bias"], weights, "bn_common", arch.epsilon)
    return np.array([_head(arch, weights, common, line) for line in range(arch.nlines)])


def _norm_relu(
    values: np.ndarray, weights: Mapping[str, np.ndarray], name: str, epsilon: float
) -> np.ndarray:
    mean, variance = weights[f"{name}.moving_mean"], weights[f"{name}.moving_variance"]
    normal = (values - mean) / np.sqrt(variance + epsilon)
    return np.maximum(normal * weights[f"{name}.gamma"] + weights[f"{name}.beta"], 0)


def _head(
    arch: Architecture, weights: Mapping[str, np.ndarray], common: np.ndarray, line: int
) -> np.ndarray:
    box, offset = (
        1 / (1 + np.exp(-(common @ weights[f"{name}.kernel"] + weights[f"{name}.bias"])))
        for name in (f"fc_box_{line}", f"fc_offset_{line}")
    )
    return np.concatenate([box, arch.offset_shift + arch.offset_scale * offset], axis=1)
