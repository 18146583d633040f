"""Rebinning: native pixels into the bins of a grid, with inverse-variance weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, BoolArray, FloatArray, IntArray
from qnet.core.errors import InputError
from qnet.core.grid import WavelengthGrid
from qnet.core.spectra import Camera

#: Rows that are rebinned or shifted at a time: bounds the memory of the float64 copies.
ROW_BLOCK = 128

#: Rows whose products with ivar are summed at a time: they fit in the cache.
_SUM_ROWS = 16

#: Flux beyond this counts as not finite: its square would leave the range of float64.
LARGEST_FLUX = 1e150


def rebin(
    wave: npt.ArrayLike, flux: npt.ArrayLike, ivar: npt.ArrayLike, grid: WavelengthGrid
) -> tuple[AnyArray, AnyArray]:
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
        Grid of the output. Native pixels outside of it are dropped.

    Returns
    -------
    flux, ivar : ndarray, shape (nspec, npix)
        In the input's precision (float32 for float32), summed in float64. A bin without weight has
        flux 0 and ivar 0.

    Raises
    ------
    InputError
        Shapes disagree, or wavelengths do not increase.

    Examples
    --------
    >>> from qnet import WavelengthGrid
    >>> from qnet.preprocess import rebin
    >>> grid = WavelengthGrid.linear(4000.0, 4060.0, 20.0)
    >>> wave = [4000.0, 4010.0, 4020.0, 4030.0]
    >>> rebin(wave, [[1.0, 4.0, 5.0, float("nan")]], [[1.0, 2.0, 3.0, 3.0]], grid)
    (array([[3., 5., 0.]]), array([[3., 3., 0.]]))
    """
    check_arguments(rebin, locals())
    camera = Camera("rebin", wave, flux, ivar)  # type: ignore[arg-type]  # it makes arrays of them
    sums = Sums(len(camera.flux), grid)
    sums.add(camera)
    return sums.mean().astype(camera.flux.dtype), sums.ivar.astype(camera.ivar.dtype)


def rebin_cameras(cameras: Sequence[Camera], grid: WavelengthGrid) -> tuple[FloatArray, FloatArray]:
    """Rebin all cameras of the same spectra into the same bins, as `rebin` does one.

    Parameters
    ----------
    cameras : sequence of Camera
        Native spectra, the same nspec rows in each.
    grid : WavelengthGrid
        Grid of the output.

    Returns
    -------
    flux, ivar : ndarray of float64, shape (nspec, npix)
        A bin without weight has flux 0 and ivar 0.

    Raises
    ------
    InputError
        No wavelength of any camera lies on the grid.

    Examples
    --------
    >>> from qnet import Camera, WavelengthGrid
    >>> from qnet.preprocess import rebin_cameras
    >>> blue = Camera("b", [4000.0, 4020.0], [[1.0, 1.0]], [[1.0, 1.0]])
    >>> red = Camera("r", [4030.0, 4050.0], [[3.0, 2.0]], [[1.0, 1.0]])
    >>> rebin_cameras([blue, red], WavelengthGrid.linear(4000.0, 4060.0, 20.0))
    (array([[1., 2., 2.]]), array([[1., 2., 1.]]))
    """
    check_arguments(rebin_cameras, locals())
    check_overlap(cameras, grid)
    return add_cameras(cameras, grid)


def add_cameras(cameras: Sequence[Camera], grid: WavelengthGrid) -> tuple[FloatArray, FloatArray]:
    """What `rebin_cameras` gives, and 0 in all bins where no wavelength lies on the grid."""
    nspec = len(cameras[0].flux)
    flux, ivar = np.empty((nspec, grid.npix)), np.empty((nspec, grid.npix))
    for start in range(0, nspec, ROW_BLOCK):
        block = slice(start, min(start + ROW_BLOCK, nspec))
        sums = Sums(block.stop - block.start, grid)
        for camera in cameras:
            sums.add(camera, block)
        flux[block], ivar[block] = sums.mean(), sums.ivar
    return flux, ivar


def check_overlap(cameras: Sequence[Camera], grid: WavelengthGrid) -> None:
    """Raise InputError, with the likely reason, where no wavelength of a camera is on the grid."""
    if fault := "".join(overlap_fault(cameras, grid)):
        raise InputError(fault)


def overlap_fault(cameras: Sequence[Camera], grid: WavelengthGrid) -> tuple[str, str]:
    """That no wavelength of a camera is on the grid, and a unit that would explain it; or ''."""
    if not cameras:
        raise InputError("cameras is empty: at least one was expected")
    if any((grid.bins(camera.wave) >= 0).any() for camera in cameras):
        return "", ""
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
    fault = (
        f"wavelengths from {low:.6g} to {high:.6g} lie wholly outside of the model's grid, "
        f"{edges[0]:.1f} to {edges[-1]:.1f} Angstrom"
    )
    return fault, hint


class Sums:
    """Running sums of ivar and flux * ivar in the bins of a grid, float64, shape (nspec, npix)."""

    def __init__(self, nspec: int, grid: WavelengthGrid) -> None:
        self.grid = grid
        self.ivar = np.zeros((nspec, grid.npix))
        self.flux_ivar = np.zeros((nspec, grid.npix))

    def add(self, camera: Camera, block: slice = slice(None)) -> tuple[BoolArray, BoolArray]:
        """Add rows of a camera; which have pixels that are not finite, and which have weight.

        Where the camera has no pixel on the grid at all, all rows count as those with weight.
        """
        wave = camera.wave if camera.wave.ndim == 1 else camera.wave[block]
        bins = self.grid.bins(wave)
        flux, ivar = camera.flux[block], camera.ivar[block]
        if bins.ndim == 1:
            if (inside := np.flatnonzero(bins >= 0)).size == 0:
                return np.zeros(len(flux), bool), np.ones(len(flux), bool)
            pixels = slice(inside[0], inside[-1] + 1)  # one run: wavelengths increase
            return self._add_runs(bins[pixels], flux[:, pixels], ivar[:, pixels])
        product, weight, bad, seen = _weigh(flux, ivar, bins >= 0)
        self._count(bins, product, weight)
        return bad, seen

    def _add_runs(
        self, bins: IntArray, flux: AnyArray, ivar: AnyArray
    ) -> tuple[BoolArray, BoolArray]:
        """Add pixels whose bins all rows have in common and none of which is off the grid."""
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
        # A pixel that is not finite shows in the sums: only such rows are summed again.
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

    def _count(self, bins: IntArray, flux_ivar: FloatArray, ivar: FloatArray) -> None:
        """Add pixels whose bins differ from row to row, those that are on the grid."""
        nspec, npix = self.ivar.shape
        row, pixel = np.nonzero(bins >= 0)
        flat = row * npix + bins[row, pixel]
        for total, values in ((self.ivar, ivar), (self.flux_ivar, flux_ivar)):
            counted = np.bincount(flat, weights=values[row, pixel], minlength=nspec * npix)
            total += counted.reshape(nspec, npix)

    def mean(self) -> FloatArray:
        """Weighted mean flux per bin; 0 where there is no weight."""
        return np.divide(
            self.flux_ivar, self.ivar, out=np.zeros_like(self.ivar), where=self.ivar > 0
        )


def _legal(flux: AnyArray, ivar: AnyArray) -> BoolArray:
    """Rows without negative ivar and without flux beyond `LARGEST_FLUX`."""
    legal: BoolArray = ivar.min(axis=1) >= 0
    if flux.dtype.itemsize > 4:
        legal &= (flux.max(axis=1) < LARGEST_FLUX) & (flux.min(axis=1) > -LARGEST_FLUX)
    return legal


def _weigh(
    flux: AnyArray, ivar: AnyArray, on_grid: BoolArray
) -> tuple[FloatArray, FloatArray, BoolArray, BoolArray]:
    """Flux * ivar and ivar, 0 in pixels without weight; and `bad` and `seen` of `Sums.add`."""
    flux, ivar = flux.astype(np.float64), ivar.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        product = flux * ivar
    # The product is finite only where flux and ivar both are, as `good_pixels` asks.
    finite = np.isfinite(product) & (np.abs(flux) < LARGEST_FLUX)
    # A masked pixel may hold anything: only pixels with weight count as bad.
    bad = (~finite & (ivar != 0) & on_grid).any(axis=1)
    good = finite & (ivar > 0) & on_grid
    off_grid = ~np.broadcast_to(on_grid, good.shape).any(axis=1)
    seen = np.asarray(good.any(axis=1) | off_grid)
    return np.where(good, product, 0.0), np.where(good, ivar, 0.0), bad, seen
