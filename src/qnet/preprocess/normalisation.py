"""Input of the first stage: spectra rebinned onto its grid, normalised and flagged."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, BoolArray, Float32Array, FloatArray, Int32Array, as_numbers
from qnet.core.errors import InputError
from qnet.core.flags import LOW_SNR_LIMIT, SPARSE_FRACTION, UNCLASSIFIABLE, QNFlag
from qnet.core.grid import WavelengthGrid
from qnet.core.spectra import Camera
from qnet.preprocess.rebinning import ROW_BLOCK, Sums, check_overlap
from qnet.preprocess.steps import find_steps

#: A spectrum whose scatter is under this fraction of its mean is constant, by the bytes of a pixel:
#: such a scatter is the rounding of the flux in float32, or of the sums in float64.
CONSTANT_SCATTER = {4: 4 * float(np.finfo(np.float32).eps), 8: 64 * float(np.finfo(np.float64).eps)}


#: What sees the rebinned flux and ivar of a block of rows.
Measure = Callable[[slice, FloatArray, FloatArray], None]


@dataclasses.dataclass(frozen=True, eq=False)
class Preprocessed:
    """Input of the first stage for a batch of spectra, as `preprocess` returns it.

    Attributes
    ----------
    X : ndarray of float32, shape (nspec, npix)
        Normalised flux; a row of NaN where the spectrum cannot be normalised.
    observed : ndarray of bool, shape (nspec, npix)
        Grid pixels with weight.
    flag : ndarray of int32, shape (nspec,)
        Bits of `qnet.QNFlag`: NODATA, CONSTANT, BADPIX, SPARSE, CAMERA_MISSING,
        CAMERA_STEP, LOW_SNR.
    snr : ndarray of float32, shape (nspec,)
        Median of flux * sqrt(ivar) over the grid pixels with weight; NaN without any.
    goodfrac : ndarray of float32, shape (nspec,)
        Fraction of grid pixels with weight.

    Examples
    --------
    >>> import numpy as np
    >>> from qnet import Camera, flag_names
    >>> from qnet.core.grid import QUASARNET_GRID
    >>> from qnet.preprocess import preprocess
    >>> flux = np.random.default_rng(0).normal(5.0, 2.0, (2, 443))
    >>> ivar = np.stack([np.ones(443), np.zeros(443)])
    >>> found = preprocess([Camera("coadd", QUASARNET_GRID.wave, flux, ivar)], QUASARNET_GRID)
    >>> found.goodfrac
    array([1., 0.], dtype=float32)
    >>> [flag_names(flag) for flag in found.flag]
    [[], ['NODATA', 'SPARSE']]
    """

    X: Float32Array
    observed: BoolArray
    flag: Int32Array
    snr: Float32Array
    goodfrac: Float32Array

    def has_weight(self, grid: WavelengthGrid, wave: FloatArray) -> BoolArray:
        """Whether the grid pixels of wavelengths (nspec, n) have weight; false off the grid."""
        pixel = grid.bins(wave)
        rows = np.arange(len(wave))[:, None]
        return np.asarray(self.observed[rows, np.maximum(pixel, 0)] & (pixel >= 0))


def normalise(flux: npt.ArrayLike, ivar: npt.ArrayLike) -> AnyArray:
    """Normalise spectra: subtract the weighted mean and divide by the weighted scatter.

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

    Examples
    --------
    >>> from qnet.preprocess import normalise
    >>> normalise([[1.0, 2.0, 3.0, 0.0], [1.0, 1.0, 1.0, 1.0]], [[1, 1, 1, 0], [1, 1, 1, 1]])
    array([[-1.22474487,  0.        ,  1.22474487, -2.44948974],
           [        nan,         nan,         nan,         nan]])
    """
    flux, ivar = as_numbers("flux", flux, unit=None), as_numbers("ivar", ivar, unit=None)
    if flux.ndim != 2 or flux.shape != ivar.shape:
        raise InputError(
            f"flux {flux.shape} and ivar {ivar.shape} must have the same shape (nspec, npix)"
        )
    dtype = np.dtype(np.float32 if flux.dtype == np.float32 else np.float64)
    rounding = CONSTANT_SCATTER[dtype.itemsize]
    return _normalise(flux.astype(np.float64), ivar.astype(np.float64), rounding)[0].astype(dtype)


def preprocess(
    cameras: Sequence[Camera],
    grid: WavelengthGrid,
    *,
    require_overlap: bool = True,
    measure: Measure | None = None,
) -> Preprocessed:
    """Rebin all cameras into the same bins, normalise, and flag rows with faults.

    Parameters
    ----------
    cameras : sequence of Camera
        Native spectra, the same nspec rows in each.
    grid : WavelengthGrid
        Grid of the model.
    require_overlap : bool
        Whether it is an error that no wavelength of any camera lies on the grid. A single row that
        lies outside is flagged NODATA, and so are all rows when this is False.
    measure : callable, optional
        Called with each block of rows, a slice, and their rebinned flux and ivar.

    Returns
    -------
    Preprocessed
        Normalised flux, flags, signal-to-noise ratio and fraction of pixels with weight.

    Raises
    ------
    InputError
        No wavelength of any camera lies on the grid.

    Examples
    --------
    >>> import qnet
    >>> from qnet.preprocess import preprocess
    >>> wave = [4000.0, 5000.0, 6000.0, 7000.0]
    >>> camera = qnet.Camera("coadd", wave, [[1.0, 2.0, 3.0, 2.0]], [[1.0, 1.0, 1.0, 0.0]])
    >>> found = preprocess([camera], qnet.WavelengthGrid.linear(3500.0, 7500.0, 1000.0))
    >>> found.X
    array([[-1.2247449,  0.       ,  1.2247449, -2.4494898]], dtype=float32)
    >>> found.observed
    array([[ True,  True,  True, False]])
    """
    check_arguments(preprocess, locals())
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
        _preprocess_block(cameras, grid, block, result, measure)
    return result


def _preprocess_block(
    cameras: Sequence[Camera],
    grid: WavelengthGrid,
    block: slice,
    result: Preprocessed,
    measure: Measure | None,
) -> None:
    """Fill the rows `block` of the arrays of `result`."""
    nspec = block.stop - block.start
    sums = Sums(nspec, grid)
    flag = np.zeros(nspec, np.int32)
    for camera in cameras:
        bad, seen = sums.add(camera, block)
        flag |= np.where(bad, np.int32(QNFlag.BADPIX), 0)
        flag |= np.where(seen, 0, np.int32(QNFlag.CAMERA_MISSING))
    flag[find_steps(cameras, block)] |= QNFlag.CAMERA_STEP
    observed = sums.ivar > 0
    flux = sums.mean()
    if measure is not None:
        measure(block, flux, sums.ivar)
    rounding = min(CONSTANT_SCATTER[camera.flux.dtype.itemsize] for camera in cameras)
    result.X[block], constant = _normalise(flux, sums.ivar, rounding)
    empty = ~observed.any(axis=1)
    # A spectrum without any data lacks all of its cameras: NODATA alone is set.
    flag[empty] = (flag[empty] & ~np.int32(QNFlag.CAMERA_MISSING)) | QNFlag.NODATA
    flag[constant & ~empty] |= QNFlag.CONSTANT
    goodfrac = observed.mean(axis=1)
    flag[goodfrac < SPARSE_FRACTION] |= QNFlag.SPARSE
    snr = _median_snr(flux, sums.ivar, observed)
    flag[snr < LOW_SNR_LIMIT] |= QNFlag.LOW_SNR
    result.X[block][(flag & UNCLASSIFIABLE) != 0] = np.nan
    result.observed[block] = observed
    result.flag[block] = flag
    result.snr[block] = snr
    result.goodfrac[block] = goodfrac


def _normalise(flux: FloatArray, ivar: FloatArray, rounding: float) -> tuple[FloatArray, BoolArray]:
    """Normalised flux, NaN in rows without weight or scatter; and which rows these are."""
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


def median_seen(values: AnyArray, seen: BoolArray) -> FloatArray:
    """Median of each row over the pixels that are `seen`; NaN without any."""
    # Sorting, with NaN last, is ten times faster than a median that skips NaN.
    rows, count = np.arange(len(values)), np.count_nonzero(seen, axis=1)
    ordered = np.where(seen, values, np.nan)
    ordered.sort(axis=1)
    low, high = ordered[rows, np.maximum(count - 1, 0) // 2], ordered[rows, count // 2]
    return np.asarray((low.astype(np.float64) + high) / 2)
