"""Spectra in the rest frame of a redshift: the input of the second stage."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import Float32Array, FloatArray, IntArray
from qnet.core.errors import InputError
from qnet.core.grid import MAX_PIXELS, WavelengthGrid
from qnet.core.spectra import Camera
from qnet.preprocess.normalisation import normalise
from qnet.preprocess.rebinning import rebin_cameras

#: Spectra that are shifted at a time: bounds the memory of the fine pixels.
ROW_BLOCK = 128


@dataclasses.dataclass(frozen=True)
class Window:
    """Geometry of the second stage's input: a window of rest wavelengths in pooled pixels.

    Parameters
    ----------
    grid : WavelengthGrid
        Log grid of the observed spectrum.
    rest_min, rest_max : float
        Ends of the window [Angstrom, rest frame]. It begins at the whole pixel nearest to
        ``rest_min``.
    pool : int
        Pixels of the grid that become one pixel of the input.
    clip : float
        The normalised flux is clipped to -clip .. clip.

    Raises
    ------
    InputError
        The grid is not a log grid, or a value is out of range.

    Examples
    --------
    >>> import qnet
    >>> window = Window(qnet.WavelengthGrid.log(3600.0, 10400.0, 2.5e-4))
    >>> window.npooled
    791
    >>> window.rest_wave[:2].round(2)
    array([1139.76, 1142.39])
    """

    grid: WavelengthGrid
    rest_min: float = 1140.0
    rest_max: float = 7060.0
    pool: int = 4
    clip: float = 10.0

    def __post_init__(self) -> None:
        if self.grid.spacing != "log":
            raise InputError("the second stage needs a log grid: it shifts by whole pixels")
        if not 0 < self.rest_min < self.rest_max < math.inf:
            raise InputError(
                f"rest_min and rest_max must be positive and increase [Angstrom], not "
                f"{self.rest_min!r} and {self.rest_max!r}"
            )
        if type(self.pool) is not int or self.pool < 1:
            raise InputError(f"pool must be a positive integer, not {self.pool!r}")
        if not (math.isfinite(self.clip) and self.clip > 0):
            raise InputError(f"clip must be positive, not {self.clip!r}")
        if self.npooled < 1 or self.npooled * self.pool > MAX_PIXELS:
            raise InputError(
                f"the window of the second stage has {self.npooled} pixels of "
                f"{self.pool} x {self.grid.step:g} dex: 1 or more, of at most {MAX_PIXELS} of the "
                "grid, were expected"
            )

    @property
    def npooled(self) -> int:
        """Number of pixels of the input."""
        span = (math.log10(self.rest_max) - math.log10(self.rest_min)) / self.grid.step
        return int(span) // self.pool

    @property
    def first_pixel(self) -> int:
        """Pixel of ``grid``, continued below 0, at which the window begins at redshift 0."""
        return round((math.log10(self.rest_min) - self.grid.start) / self.grid.step)

    @property
    def rest_wave(self) -> FloatArray:
        """Left edges of the input's pixels [Angstrom, rest frame], shape (npooled,)."""
        pixel = self.first_pixel + self.pool * np.arange(self.npooled)
        return np.asarray(10 ** (self.grid.start + self.grid.step * pixel))


def whole_pixels(z: npt.ArrayLike, window: Window) -> tuple[IntArray, FloatArray]:
    """Redshifts as whole pixels of the stage's grid.

    Parameters
    ----------
    z : array_like of float, shape (nspec,)
    window : Window

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
        shift = np.round(np.log10(1 + guess) / window.grid.step)
    known = np.isfinite(shift)
    # Beyond these shifts nothing of the grid is in the window; so far off, all are the same.
    limit = window.grid.npix + abs(window.first_pixel) + window.npooled * window.pool
    pixels = np.clip(np.where(known, shift, 0), -limit, limit).astype(np.int64)
    z_frame = np.where(known, 10 ** (window.grid.step * pixels) - 1, np.nan)
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
    flux: npt.ArrayLike, ivar: npt.ArrayLike, z: npt.ArrayLike, window: Window
) -> tuple[Float32Array, FloatArray]:
    """Spectra in the rest frame of a guess: the input of the second stage.

    Shifted by whole pixels, so that nothing is interpolated; cut to the window; pooled with
    inverse-variance weights; normalised, with these weights, over the window.

    Parameters
    ----------
    flux, ivar : array_like, shape (nspec, npix)
        Spectra on ``window.grid``, as `qnet.preprocess.rebin` gives them: finite; pixels of ivar 0
        have no weight.
    z : array_like of float, shape (nspec,)
        The guess. NaN gives a row without weight.
    window : Window

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
    if flux.shape != (*z.shape, window.grid.npix) or flux.shape != ivar.shape or z.ndim != 1:
        raise InputError(
            f"flux {flux.shape}, ivar {ivar.shape} and z {z.shape} must have the shapes "
            f"(nspec, {window.grid.npix}), the same, and (nspec,)"
        )
    pixels, z_frame = whole_pixels(z, window)
    X = np.empty((len(z), window.npooled, 2), dtype=np.float32)
    for start in range(0, len(z), ROW_BLOCK):
        rows = slice(start, start + ROW_BLOCK)
        known = np.isfinite(z_frame[rows, None])
        X[rows] = _rest_block(
            flux[rows].astype(np.float64),
            np.where(known, ivar[rows], 0.0),
            pixels[rows],
            window,
        )
    return X, z_frame


def _rest_block(
    flux: FloatArray, ivar: FloatArray, pixels: IntArray, window: Window
) -> npt.NDArray[Any]:
    """Some rows of `rest_frame`."""
    # Relative to the row's largest weight: sums cannot overflow, whatever the unit of the flux.
    largest = ivar.max(axis=1, keepdims=True, initial=0.0)
    ivar = np.divide(ivar, largest, out=np.zeros_like(ivar), where=largest > 0)
    length = window.npooled * window.pool
    weight, weighted = np.zeros((2, len(flux), length))
    for row, first in enumerate((window.first_pixel + pixels).tolist()):
        # Window and spectrum overlap in one run of pixels; outside of it there is no weight.
        start, stop = max(first, 0), min(first + length, window.grid.npix)
        if start < stop:
            inside = slice(start - first, stop - first)
            weight[row, inside] = ivar[row, start:stop]
            weighted[row, inside] = flux[row, start:stop]
    weighted *= weight
    total = _pool(weight, window.pool)
    seen = total > 0
    pooled = np.divide(_pool(weighted, window.pool), total, out=np.zeros_like(total), where=seen)
    X = np.where(seen, normalise(pooled, total), 0.0)
    scaled = np.clip(np.nan_to_num(X, nan=0.0), -window.clip, window.clip)
    return np.stack([scaled, seen], axis=2)


def _pool(values: FloatArray, pool: int) -> FloatArray:
    """Sums of every `pool` neighbours, shape (nspec, npooled)."""
    # Adding columns is several times faster than a sum over an axis this short.
    total = values[:, ::pool].copy()
    for place in range(1, pool):
        total += values[:, place::pool]
    return total
