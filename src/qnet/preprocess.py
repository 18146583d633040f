"""From native pixels to the network's input: rebin, normalise, flags. Arrays in, arrays out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.errors import InputError
from qnet.flags import LOW_SNR_LIMIT, SPARSE_FRACTION, UNCLASSIFIABLE, QNFlag
from qnet.grid import WavelengthGrid
from qnet.spectra import Camera

FloatArray = npt.NDArray[Any]

#: Rows that are rebinned at a time: bounds the float64 copies of the native pixels.
ROW_BLOCK = 128

#: Rows whose products with ivar are summed at a time: what fits in the cache.
_SUM_ROWS = 16

#: A spectrum whose scatter is under this share of its mean is constant: it is the rounding of the
#: flux (surveys store float32), and in float64 of the sums.
CONSTANT_SCATTER = {4: 4 * float(np.finfo(np.float32).eps), 8: 64 * float(np.finfo(np.float64).eps)}

#: Flux beyond this counts as not finite: its square would leave the range of float64.
LARGEST_FLUX = 1e150


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

    X: npt.NDArray[np.float32]
    observed: npt.NDArray[np.bool_]
    flag: npt.NDArray[np.int32]
    snr: npt.NDArray[np.float32]
    goodfrac: npt.NDArray[np.float32]


def rebin(
    wave: npt.ArrayLike, flux: npt.ArrayLike, ivar: npt.ArrayLike, grid: WavelengthGrid
) -> tuple[FloatArray, FloatArray]:
    """Rebin spectra onto a grid with inverse-variance weights.

    Flux in a bin is sum(flux * ivar) / sum(ivar), ivar is sum(ivar), over the native pixels whose
    wavelength falls in the bin (QuasarNET's rebinning; Busca & Balland 2018, section 2).

    Parameters
    ----------
    wave : array_like, shape (npix_native,) or (nspec, npix_native)
        Vacuum wavelengths [Angstrom], increasing.
    flux, ivar : array_like, shape (nspec, npix_native)
        Flux and its inverse variance. A pixel that is NaN or infinite in either, or of ivar <= 0,
        has no weight.
    grid : WavelengthGrid
        The grid to rebin to. Native pixels outside of it are dropped.

    Returns
    -------
    flux, ivar : ndarray, shape (nspec, npix)
        In the input's precision (float32 for float32), summed in float64. A bin without weight has
        flux 0 and ivar 0.

    Raises
    ------
    InputError
        Shapes disagree, or wavelengths do not increase.
    """
    camera = Camera("rebin", np.asarray(wave), np.asarray(flux), np.asarray(ivar))
    sums = _Sums(len(camera.flux), grid)
    sums.add(camera)
    return sums.mean().astype(camera.flux.dtype), sums.ivar.astype(camera.ivar.dtype)


def rebin_cameras(
    cameras: Sequence[Camera], grid: WavelengthGrid
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Rebin all cameras of the same spectra into the same bins; as `rebin`.

    Parameters
    ----------
    cameras : sequence of Camera
        Native spectra, the same nspec rows in each.
    grid : WavelengthGrid
        The grid to rebin to.

    Returns
    -------
    flux, ivar : ndarray of float64, shape (nspec, npix)
        A bin without weight has flux 0 and ivar 0.

    Raises
    ------
    InputError
        No wavelength of any camera lies on the grid.
    """
    check_overlap(cameras, grid)
    nspec = len(cameras[0].flux)
    flux, ivar = np.empty((nspec, grid.npix)), np.empty((nspec, grid.npix))
    for start in range(0, nspec, ROW_BLOCK):
        block = slice(start, min(start + ROW_BLOCK, nspec))
        sums = _Sums(block.stop - block.start, grid)
        for camera in cameras:
            sums.add(camera, block)
        flux[block], ivar[block] = sums.mean(), sums.ivar
    return flux, ivar


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
    sums = _Sums(nspec, grid)
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


class _Sums:
    """Running sums of ivar and flux * ivar in the bins of a grid, float64, shape (nspec, npix)."""

    def __init__(self, nspec: int, grid: WavelengthGrid) -> None:
        self.grid = grid
        self.ivar = np.zeros((nspec, grid.npix))
        self.flux_ivar = np.zeros((nspec, grid.npix))

    def add(
        self, camera: Camera, block: slice = slice(None)
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Add some rows of a camera.

        Returns
        -------
        bad : ndarray of bool, shape (nspec,)
            Rows in which non-finite pixels were found (and given no weight).
        seen : ndarray of bool, shape (nspec,)
            Rows in which the camera has weight on the grid, or has no pixel on the grid at all.
        """
        wave = camera.wave if camera.wave.ndim == 1 else camera.wave[block]
        bins = self.grid.bins(wave)
        flux, ivar = camera.flux[block], camera.ivar[block]
        if bins.ndim == 1:
            if (inside := np.flatnonzero(bins >= 0)).size == 0:
                return np.zeros(len(flux), bool), np.ones(len(flux), bool)
            pixels = slice(inside[0], inside[-1] + 1)  # Wavelengths increase: they are one run.
            return self._add_runs(bins[pixels], flux[:, pixels], ivar[:, pixels])
        product, weight, bad, seen = _weigh(flux, ivar, bins >= 0)
        self._count(bins, product, weight)
        return bad, seen

    def _add_runs(
        self, bins: npt.NDArray[np.int64], flux: FloatArray, ivar: FloatArray
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Add pixels whose bins all rows share and none of which is off the grid."""
        starts = np.flatnonzero(np.diff(bins, prepend=-1))
        sums = np.empty((2, len(flux), len(starts)))
        legal = np.empty(len(flux), bool)
        weight, product = np.empty((2, min(_SUM_ROWS, len(flux)), len(bins)))
        with np.errstate(over="ignore", invalid="ignore"):
            for first in range(0, len(flux), _SUM_ROWS):
                rows = slice(first, first + _SUM_ROWS)
                count = len(legal[rows])
                # Into float64 first: a product of mixed types is twice as slow.
                weight[:count], product[:count] = ivar[rows], flux[rows]
                product *= weight
                np.add.reduceat(weight[:count], starts, axis=1, out=sums[0, rows])
                np.add.reduceat(product[:count], starts, axis=1, out=sums[1, rows])
                legal[rows] = _legal(flux[rows], ivar[rows])
            totals = sums.sum(axis=2)
        bad = np.zeros(len(flux), bool)
        seen = totals[0] > 0
        # What is not finite shows in the sums: only such rows are looked at pixel by pixel.
        doubtful = np.flatnonzero(~(np.isfinite(totals).all(axis=0) & legal))
        if doubtful.size:
            product, weight, bad[doubtful], seen[doubtful] = _weigh(
                flux[doubtful], ivar[doubtful], np.ones(bins.shape, bool)
            )
            sums[0, doubtful] = np.add.reduceat(weight, starts, axis=1)
            sums[1, doubtful] = np.add.reduceat(product, starts, axis=1)
        # A slice is ten times as fast as an index per bin.
        whole = bins[-1] - bins[0] < len(starts)
        filled: Any = slice(bins[0], bins[-1] + 1) if whole else bins[starts]
        self.ivar[:, filled] += sums[0]
        self.flux_ivar[:, filled] += sums[1]
        return bad, seen

    def _count(self, bins: npt.NDArray[np.int64], flux_ivar: FloatArray, ivar: FloatArray) -> None:
        """Add pixels whose bins differ from row to row, those that are on the grid."""
        nspec, npix = self.ivar.shape
        row, pixel = np.nonzero(bins >= 0)
        flat = row * npix + bins[row, pixel]
        for total, values in ((self.ivar, ivar), (self.flux_ivar, flux_ivar)):
            counted = np.bincount(flat, weights=values[row, pixel], minlength=nspec * npix)
            total += counted.reshape(nspec, npix)

    def mean(self) -> npt.NDArray[np.float64]:
        """Weighted mean flux per bin; 0 where there is no weight."""
        return np.divide(
            self.flux_ivar, self.ivar, out=np.zeros_like(self.ivar), where=self.ivar > 0
        )


def _legal(flux: FloatArray, ivar: FloatArray) -> npt.NDArray[np.bool_]:
    """Rows without negative ivar, and without flux that counts as not finite though it is."""
    legal: npt.NDArray[np.bool_] = ivar.min(axis=1) >= 0
    if flux.dtype.itemsize > 4:
        legal &= (flux.max(axis=1) < LARGEST_FLUX) & (flux.min(axis=1) > -LARGEST_FLUX)
    return legal


def _weigh(
    flux: FloatArray, ivar: FloatArray, on_grid: npt.NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Look at every pixel.

    Product flux * ivar and ivar in float64, 0 where a pixel has no weight; and `bad` and `seen`, as
    `_Sums.add` returns them.
    """
    flux, ivar = flux.astype(np.float64), ivar.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        product = flux * ivar
    finite = np.isfinite(product) & (np.abs(flux) < LARGEST_FLUX) & np.isfinite(ivar)
    # A masked pixel may hold anything: only pixels with weight count as bad.
    bad = (~finite & (ivar != 0) & on_grid).any(axis=1)
    good = finite & (ivar > 0) & on_grid
    off_grid = ~np.broadcast_to(on_grid, good.shape).any(axis=1)
    seen = np.asarray(good.any(axis=1) | off_grid)
    return np.where(good, product, 0.0), np.where(good, ivar, 0.0), bad, seen


def _normalise(
    flux: npt.NDArray[np.float64], ivar: npt.NDArray[np.float64], rounding: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
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


def _median_snr(
    flux: FloatArray, ivar: FloatArray, observed: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Median of flux * sqrt(ivar) over the observed pixels of each row; NaN without any."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = (flux * np.sqrt(ivar)).astype(np.float32)
        return median_seen(values, observed).astype(np.float32)


def median_seen(values: npt.NDArray[Any], seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Median of each row over its pixels with weight; NaN without any.

    Sorted, with the others last: ten times faster than a median that skips NaN.
    """
    rows, count = np.arange(len(values)), np.count_nonzero(seen, axis=1)
    ordered = np.where(seen, values, np.nan)
    ordered.sort(axis=1)  # NaN last
    low, high = ordered[rows, np.maximum(count - 1, 0) // 2], ordered[rows, count // 2]
    return np.asarray((low.astype(np.float64) + high) / 2)


def check_overlap(cameras: Sequence[Camera], grid: WavelengthGrid) -> None:
    """Check that some wavelength of some camera lies on a grid.

    Parameters
    ----------
    cameras : sequence of Camera
    grid : WavelengthGrid

    Raises
    ------
    InputError
        None does; the message names the likely reason, such as another unit.
    """
    if any((grid.bins(camera.wave) >= 0).any() for camera in cameras):
        return
    low = min(float(camera.wave.min()) for camera in cameras)
    high = max(float(camera.wave.max()) for camera in cameras)
    edges, hint = grid.wave, ""
    for factor, unit in ((10.0, "nm"), (1e4, "micron"), (1e10, "metre")):
        if low * factor <= edges[-1] and high * factor >= edges[0]:
            hint = f"; they look like wavelengths in {unit}: convert them to Angstrom"
            break
    else:
        if 0 < low < high < 10 and 10**low <= edges[-1] and 10**high >= edges[0]:
            hint = "; they look like log10 wavelengths: give 10**loglam"
    raise InputError(
        f"wavelengths from {low:.6g} to {high:.6g} lie wholly outside of the model's grid, "
        f"{edges[0]:.1f} to {edges[-1]:.1f} Angstrom{hint}"
    )
