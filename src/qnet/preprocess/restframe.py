"""Spectra in the rest frame of a redshift: the input of the second stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import Float32Array, FloatArray, IntArray
from qnet.core.errors import InputError
from qnet.core.grid import WavelengthGrid
from qnet.core.spectra import Camera
from qnet.preprocess.normalisation import normalise
from qnet.preprocess.rebinning import rebin_cameras

#: Spectra that are shifted at a time: bounds the memory of the fine pixels.
ROW_BLOCK = 128


class Window(Protocol):
    """Geometry of the input of the second stage."""

    @property
    def grid(self) -> WavelengthGrid:
        """Log grid of the observed spectrum."""

    @property
    def pool(self) -> int:
        """Pixels of the grid that become one."""

    @property
    def clip(self) -> float:
        """The normalised flux is clipped to -clip .. clip."""

    @property
    def npooled(self) -> int:
        """Number of pixels of the input."""

    @property
    def first_pixel(self) -> int:
        """Pixel of the grid at which the window begins at redshift 0."""


def whole_pixels(z: npt.ArrayLike, arch: Window) -> tuple[IntArray, FloatArray]:
    """Redshifts as whole pixels of the stage's grid.

    Parameters
    ----------
    z : array_like of float, shape (nspec,)
    arch : Window

    Returns
    -------
    pixels : ndarray of int64, shape (nspec,)
        round(log10(1 + z) / step); 0 where there is no redshift above -1.
    z_frame : ndarray of float64, shape (nspec,)
        The redshift of so many pixels, 10**(pixels * step) - 1: within half a pixel of `z`. NaN
        where there is none.
    """
    guess = np.asarray(z, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = np.round(np.log10(1 + guess) / arch.grid.step)
    known = np.isfinite(shift)
    # Beyond these shifts nothing of the grid is in the window; so far off, all are the same.
    limit = arch.grid.npix + abs(arch.first_pixel) + arch.npooled * arch.pool
    pixels = np.clip(np.where(known, shift, 0), -limit, limit).astype(np.int64)
    z_frame = np.where(known, 10 ** (arch.grid.step * pixels) - 1, np.nan)
    return pixels, z_frame


def fine_spectra(cameras: Sequence[Camera], grid: WavelengthGrid) -> tuple[FloatArray, FloatArray]:
    """Spectra on the stage's grid.

    `qnet.preprocess.rebin_cameras`, but a camera of pixels coarser than the grid's is first spread
    over the pixels that each of its own covers, with its weight shared among them: else all but
    one would be empty, and the spectrum shifted by up to half a coarse pixel.

    Parameters
    ----------
    cameras : sequence of Camera
        Native spectra, the same nspec rows in each.
    grid : WavelengthGrid

    Returns
    -------
    flux, ivar : ndarray of float64, shape (nspec, npix)
        A pixel without weight has flux 0 and ivar 0; all of them where no wavelength lies on the
        grid.
    """
    spread = [_spread(camera, grid) for camera in cameras]
    if not any((grid.bins(camera.wave) >= 0).any() for camera in spread):
        shape = (len(cameras[0].flux), grid.npix)
        return np.zeros(shape), np.zeros(shape)
    return rebin_cameras(spread, grid)


def _spread(camera: Camera, grid: WavelengthGrid) -> Camera:
    """A coarse camera on the fine pixels it covers; another as it is."""
    wave = np.asarray(camera.wave, dtype=np.float64)
    if wave.ndim == 2:
        return _spread_rows(camera, grid)
    if len(wave) < 2 or np.median(np.diff(np.log10(wave))) <= grid.step:
        return camera
    if camera.edges:
        edges = np.append(wave, 2 * wave[-1] - wave[-2])
    else:
        middle = (wave[1:] + wave[:-1]) / 2
        edges = np.concatenate([[2 * wave[0] - middle[0]], middle, [2 * wave[-1] - middle[-1]]])
    fine = grid.wave_at(np.arange(grid.npix) + 0.5)
    pixel = np.searchsorted(edges, fine, side="right") - 1
    covered = (pixel >= 0) & (pixel < len(wave))
    pixel = pixel[covered]
    if not len(pixel):
        return camera
    share = np.bincount(pixel, minlength=len(wave))[pixel]
    return Camera(camera.name, fine[covered], camera.flux[:, pixel], camera.ivar[:, pixel] / share)


def _spread_rows(camera: Camera, grid: WavelengthGrid) -> Camera:
    """A coarse camera whose rows have wavelengths of their own, row by row; a fine one as it is."""
    wave = np.asarray(camera.wave, dtype=np.float64)
    if wave.shape[1] < 2 or np.median(np.diff(np.log10(wave), axis=1)) <= grid.step:
        return camera
    flux, ivar = np.zeros((2, len(wave), grid.npix))
    for row in np.flatnonzero((grid.bins(wave) >= 0).any(axis=1)):
        flux_row, ivar_row = camera.flux[row, None], camera.ivar[row, None]
        alone = Camera(camera.name, wave[row], flux_row, ivar_row, camera.edges)
        (flux[row],), (ivar[row],) = rebin_cameras([_spread(alone, grid)], grid)
    return Camera(camera.name, grid.wave_at(np.arange(grid.npix) + 0.5), flux, ivar)


def rest_frame(
    flux: npt.ArrayLike, ivar: npt.ArrayLike, z: npt.ArrayLike, arch: Window
) -> tuple[Float32Array, FloatArray]:
    """Spectra in the rest frame of a guess: the input of the second stage.

    Shifted by whole pixels, so that nothing is interpolated; cut to the window; pooled with
    inverse-variance weights; normalised, with these weights, over the window.

    Parameters
    ----------
    flux, ivar : array_like, shape (nspec, npix)
        Spectra on ``arch.grid``, as `qnet.preprocess.rebin` gives them: finite; pixels of ivar 0
        have no weight.
    z : array_like of float, shape (nspec,)
        The guess. NaN gives a row without weight.
    arch : Window

    Returns
    -------
    X : ndarray of float32, shape (nspec, npooled, 2)
        Channel 0 is the normalised flux (flux - m) / s, clipped to -clip .. clip, 0 where there is
        no weight, and in the whole row where there is no scatter; channel 1 is 1 where there is
        weight, else 0.
    z_frame : ndarray of float64, shape (nspec,)
        The redshift of the frame: ``z`` in whole pixels (`whole_pixels`).

    Raises
    ------
    InputError
        The shapes disagree.
    """
    flux, ivar, z = np.asarray(flux), np.asarray(ivar), np.asarray(z, dtype=np.float64)
    if flux.shape != (*z.shape, arch.grid.npix) or flux.shape != ivar.shape or z.ndim != 1:
        raise InputError(
            f"flux {flux.shape}, ivar {ivar.shape} and z {z.shape} must have the shapes "
            f"(nspec, {arch.grid.npix}), the same, and (nspec,)"
        )
    pixels, z_frame = whole_pixels(z, arch)
    X = np.empty((len(z), arch.npooled, 2), dtype=np.float32)
    for start in range(0, len(z), ROW_BLOCK):
        rows = slice(start, start + ROW_BLOCK)
        known = np.isfinite(z_frame[rows, None])
        X[rows] = _rest_block(
            flux[rows].astype(np.float64),
            np.where(known, ivar[rows], 0.0),
            pixels[rows],
            arch,
        )
    return X, z_frame


def _rest_block(
    flux: FloatArray, ivar: FloatArray, pixels: IntArray, arch: Window
) -> npt.NDArray[Any]:
    """Some rows of `rest_frame`."""
    # Relative to the row's largest weight: sums cannot overflow, whatever the unit of the flux.
    largest = ivar.max(axis=1, keepdims=True, initial=0.0)
    ivar = np.divide(ivar, largest, out=np.zeros_like(ivar), where=largest > 0)
    length = arch.npooled * arch.pool
    weight, weighted = np.zeros((2, len(flux), length))
    for row, first in enumerate((arch.first_pixel + pixels).tolist()):
        # Window and spectrum overlap in one run of pixels; outside of it there is no weight.
        start, stop = max(first, 0), min(first + length, arch.grid.npix)
        if start < stop:
            window = slice(start - first, stop - first)
            weight[row, window] = ivar[row, start:stop]
            weighted[row, window] = flux[row, start:stop]
    weighted *= weight
    total = _pool(weight, arch.pool)
    seen = total > 0
    pooled = np.divide(_pool(weighted, arch.pool), total, out=np.zeros_like(total), where=seen)
    X = np.where(seen, normalise(pooled, total), 0.0)
    scaled = np.clip(np.nan_to_num(X, nan=0.0), -arch.clip, arch.clip)
    return np.stack([scaled, seen], axis=2)


def _pool(values: FloatArray, pool: int) -> FloatArray:
    """Sums of every `pool` neighbours, shape (nspec, npooled)."""
    # Adding columns is several times faster than a sum over an axis this short.
    total = values[:, ::pool].copy()
    for place in range(1, pool):
        total += values[:, place::pool]
    return total
