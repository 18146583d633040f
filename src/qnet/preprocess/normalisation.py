"""From native pixels to the network's input: rebin, normalise, flags. Arrays in, arrays out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import BoolArray, Float32Array
from qnet.core.errors import InputError
from qnet.core.flags import LOW_SNR_LIMIT, SPARSE_FRACTION, UNCLASSIFIABLE, QNFlag
from qnet.core.grid import WavelengthGrid
from qnet.core.spectra import Camera
from qnet.preprocess.rebinning import ROW_BLOCK, Sums, check_overlap, rebin, rebin_cameras

__all__ = [
    "Preprocessed",
    "check_overlap",
    "median_seen",
    "normalise",
    "preprocess",
    "rebin",
    "rebin_cameras",
]

FloatArray = npt.NDArray[Any]

#: A spectrum whose scatter is under this share of its mean is constant: it is the rounding of the
#: flux (surveys store float32), and in float64 of the sums.
CONSTANT_SCATTER = {4: 4 * float(np.finfo(np.float32).eps), 8: 64 * float(np.finfo(np.float64).eps)}


@dataclasses.dataclass(frozen=True, eq=False)
class Preprocessed:
    """The network's input for a batch of spectra.

    Attributes
    ----------
    X : ndarray of float32, shape (nspec, npix)
        Normalised flux; a row of NaN where the spectrum cannot be normalised.
    observed : ndarray of bool, shape (nspec, npix)
        Grid pixels with weight.
    flag : ndarray of int32, shape (nspec,)
        QN_FLAG bits NODATA, CONSTANT, BADPIX, SPARSE, CAMERA_MISSING, LOW_SNR.
    snr : ndarray of float32, shape (nspec,)
        Median of flux * sqrt(ivar) over the grid pixels with weight; NaN without any.
    goodfrac : ndarray of float32, shape (nspec,)
        Share of grid pixels with weight.
    """

    X: Float32Array
    observed: BoolArray
    flag: npt.NDArray[np.int32]
    snr: Float32Array
    goodfrac: Float32Array


def normalise(flux: npt.ArrayLike, ivar: npt.ArrayLike) -> FloatArray:
    """Subtract the weighted mean of each spectrum and divide by its weighted scatter.

    X = (flux - m) / s with m the ivar-weighted mean and s the square root of the ivar-weighted mean
    of (flux - m)**2 (Busca & Balland 2018, section 2).

    Parameters
    ----------
    flux, ivar : array_like, shape (nspec, npix)
        Spectra on a grid, as `rebin` returns them: finite, 0 in bins without weight.

    Returns
    -------
    ndarray, shape (nspec, npix)
        In the input's precision, computed in float64. Bins without weight hold (0 - m) / s, as in
        QuasarNET. A spectrum without weight or without scatter is a row of NaN.

    Raises
    ------
    InputError
        Shapes disagree.
    """
    flux, ivar = np.asarray(flux), np.asarray(ivar)
    if flux.ndim != 2 or flux.shape != ivar.shape:
        raise InputError(
            f"flux {flux.shape} and ivar {ivar.shape} must have the same shape (nspec, npix)"
        )
    dtype = np.dtype(np.float32 if flux.dtype == np.float32 else np.float64)
    rounding = CONSTANT_SCATTER[dtype.itemsize]
    return _normalise(flux.astype(np.float64), ivar.astype(np.float64), rounding)[0].astype(dtype)


def preprocess(
    cameras: Sequence[Camera], grid: WavelengthGrid, *, require_overlap: bool = True
) -> Preprocessed:
    """Rebin all cameras into the same bins, normalise, and flag what is wrong.

    Parameters
    ----------
    cameras : sequence of Camera
        Native spectra, the same nspec rows in each.
    grid : WavelengthGrid
        The model's grid.
    require_overlap : bool
        Whether spectra that lie wholly outside of the grid are an error, not flagged rows.

    Returns
    -------
    Preprocessed

    Raises
    ------
    InputError
        No wavelength of any camera lies on the grid. (A single row that lies outside, among others
        that do not, is flagged NODATA.)
    """
    if require_overlap:
        check_overlap(cameras, grid)
    nspec = len(cameras[0].flux)
    result = Preprocessed(
        X=np.empty((nspec, grid.npix), np.float32),
        observed=np.empty((nspec, grid.npix), bool),
        flag=np.zeros(nspec, np.int32),
        snr=np.empty(nspec, np.float32),
        goodfrac=np.empty(nspec, np.float32),
    )
    for start in range(0, nspec, ROW_BLOCK):
        block = slice(start, min(start + ROW_BLOCK, nspec))
        _preprocess_block(cameras, grid, block, result)
    return result


def _preprocess_block(
    cameras: Sequence[Camera], grid: WavelengthGrid, block: slice, result: Preprocessed
) -> None:
    """Fill the rows `block` of `result`."""
    nspec = block.stop - block.start
    sums = Sums(nspec, grid)
    flag = np.zeros(nspec, np.int32)
    for camera in cameras:
        bad, seen = sums.add(camera, block)
        flag |= np.where(bad, np.int32(QNFlag.BADPIX), 0)
        flag |= np.where(seen, 0, np.int32(QNFlag.CAMERA_MISSING))
    observed = sums.ivar > 0
    flux = sums.mean()
    rounding = min(CONSTANT_SCATTER[camera.flux.dtype.itemsize] for camera in cameras)
    result.X[block], constant = _normalise(flux, sums.ivar, rounding)
    empty = ~observed.any(axis=1)
    # A spectrum without any data lacks all of its cameras: NODATA says it.
    flag[empty] = (flag[empty] & ~np.int32(QNFlag.CAMERA_MISSING)) | QNFlag.NODATA
    flag[constant & ~empty] |= QNFlag.CONSTANT
    goodfrac = observed.mean(axis=1)
    flag[goodfrac < SPARSE_FRACTION] |= QNFlag.SPARSE
    snr = _median_snr(flux, sums.ivar, observed)
    with np.errstate(invalid="ignore"):
        flag[snr < LOW_SNR_LIMIT] |= QNFlag.LOW_SNR
    result.X[block][(flag & UNCLASSIFIABLE) != 0] = np.nan
    result.observed[block] = observed
    result.flag[block] = flag
    result.snr[block] = snr
    result.goodfrac[block] = goodfrac


def _normalise(
    flux: npt.NDArray[np.float64], ivar: npt.NDArray[np.float64], rounding: float
) -> tuple[npt.NDArray[np.float64], BoolArray]:
    """Normalised float64 flux, NaN rows where it cannot be; and the rows without scatter."""
    # Weights relative to the largest of the row: sums cannot overflow, whatever the flux unit.
    largest = ivar.max(axis=1, keepdims=True, initial=0.0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        weight = ivar / largest
        total = weight.sum(axis=1, keepdims=True)
        mean = (flux * weight).sum(axis=1, keepdims=True) / total
        difference = flux - mean
        scatter = np.sqrt((difference**2 * weight).sum(axis=1, keepdims=True) / total)
        constant = ~(scatter > rounding * np.abs(mean)) | ~np.isfinite(scatter)
        X = np.where(constant, np.nan, difference / scatter)
    return X, constant[:, 0]


def _median_snr(flux: FloatArray, ivar: FloatArray, observed: BoolArray) -> Float32Array:
    """Median of flux * sqrt(ivar) over the observed pixels of each row; NaN without any."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = (flux * np.sqrt(ivar)).astype(np.float32)
        return median_seen(values, observed).astype(np.float32)


def median_seen(values: npt.NDArray[Any], seen: BoolArray) -> npt.NDArray[np.float64]:
    """Median of each row over its pixels with weight; NaN without any.

    Sorted, with the others last: ten times faster than a median that skips NaN.
    """
    rows, count = np.arange(len(values)), np.count_nonzero(seen, axis=1)
    ordered = np.where(seen, values, np.nan)
    ordered.sort(axis=1)  # NaN last
    low, high = ordered[rows, np.maximum(count - 1, 0) // 2], ordered[rows, count // 2]
    return np.asarray((low.astype(np.float64) + high) / 2)
