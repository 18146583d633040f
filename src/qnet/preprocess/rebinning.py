"""Rebinning: native pixels into the bins of a grid, with inverse-variance weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import BoolArray, IntArray
from qnet.core.errors import InputError
from qnet.core.grid import WavelengthGrid
from qnet.core.spectra import Camera

FloatArray = npt.NDArray[Any]

#: Rows that are rebinned at a time: bounds the float64 copies of the native pixels.
ROW_BLOCK = 128

#: Rows whose products with ivar are summed at a time: what fits in the cache.
_SUM_ROWS = 16

#: Flux beyond this counts as not finite: its square would leave the range of float64.
LARGEST_FLUX = 1e150


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
    sums = Sums(len(camera.flux), grid)
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
        sums = Sums(block.stop - block.start, grid)
        for camera in cameras:
            sums.add(camera, block)
        flux[block], ivar[block] = sums.mean(), sums.ivar
    return flux, ivar


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


class Sums:
    """Running sums of ivar and flux * ivar in the bins of a grid, float64, shape (nspec, npix)."""

    def __init__(self, nspec: int, grid: WavelengthGrid) -> None:
        self.grid = grid
        self.ivar = np.zeros((nspec, grid.npix))
        self.flux_ivar = np.zeros((nspec, grid.npix))

    def add(self, camera: Camera, block: slice = slice(None)) -> tuple[BoolArray, BoolArray]:
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
        self, bins: IntArray, flux: FloatArray, ivar: FloatArray
    ) -> tuple[BoolArray, BoolArray]:
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

    def _count(self, bins: IntArray, flux_ivar: FloatArray, ivar: FloatArray) -> None:
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


def _legal(flux: FloatArray, ivar: FloatArray) -> BoolArray:
    """Rows without negative ivar, and without flux that counts as not finite though it is."""
    legal: BoolArray = ivar.min(axis=1) >= 0
    if flux.dtype.itemsize > 4:
        legal &= (flux.max(axis=1) < LARGEST_FLUX) & (flux.min(axis=1) > -LARGEST_FLUX)
    return legal


def _weigh(
    flux: FloatArray, ivar: FloatArray, on_grid: BoolArray
) -> tuple[FloatArray, FloatArray, BoolArray, BoolArray]:
    """Look at every pixel.

    Product flux * ivar and ivar in float64, 0 where a pixel has no weight; and `bad` and `seen`, as
    `Sums.add` returns them.
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
