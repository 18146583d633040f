"""Input of the second stage: spectra in the rest frame of a redshift."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments, check_fields
from qnet.core.arrays import AnyArray, Float32Array, FloatArray, IntArray, as_floats, as_numbers
from qnet.core.errors import InputError
from qnet.core.grid import MAX_PIXELS, WavelengthGrid
from qnet.core.spectra import Camera
from qnet.preprocess.normalisation import normalise
from qnet.preprocess.rebinning import ROW_BLOCK, add_cameras


@dataclasses.dataclass(frozen=True)
class Window:
    """Window of rest wavelengths, in pooled pixels: the geometry of the second stage's input.

    Parameters
    ----------
    grid : WavelengthGrid
        Log grid of the observed spectrum.
    rest_min, rest_max : float
        Ends of the window [Angstrom, rest frame]. It begins at the whole pixel nearest to
        ``rest_min``.
    pool : int
        Number of pixels of the grid that are summed into one pixel of the input.
    clip : float
        Limit of the normalised flux: it is clipped to -clip .. clip.

    Raises
    ------
    InputError
        The grid is not a log grid, or a value is out of range.

    Examples
    --------
    >>> from qnet import WavelengthGrid
    >>> from qnet.preprocess import Window
    >>> window = Window(WavelengthGrid.log(3600.0, 10400.0, 2.5e-4))
    >>> window.npooled
    791
    >>> window.rest_wave[:2].round(2)
    array([1139.73, 1142.36])
    """

    grid: WavelengthGrid
    rest_min: float = 1140.0
    rest_max: float = 7060.0
    pool: int = 4
    clip: float = 10.0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.grid.spacing != "log":
            raise InputError("the second stage needs a log grid: it shifts by whole pixels")
        if not 0 < self.rest_min < self.rest_max < math.inf:
            raise InputError(
                f"rest_min and rest_max must be positive and increase [Angstrom], not "
                f"{self.rest_min!r} and {self.rest_max!r}"
            )
        if self.pool < 1:
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
    """Redshifts in whole pixels, round(log10(1 + z) / step), and the redshifts of these."""
    guess = np.asarray(z, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = np.round(np.log10(1 + guess) / window.grid.step)
    known = np.isfinite(shift)
    # Beyond these shifts nothing of the grid is in the window.
    limit = window.grid.npix + abs(window.first_pixel) + window.npooled * window.pool
    pixels = np.clip(np.where(known, shift, 0), -limit, limit).astype(np.int64)
    z_frame = np.where(known, 10 ** (window.grid.step * pixels) - 1, np.nan)
    return pixels, z_frame


def fine_spectra(cameras: Sequence[Camera], grid: WavelengthGrid) -> tuple[FloatArray, FloatArray]:
    """Flux and ivar on the grid of the second stage, shape (nspec, npix); 0 off the wavelengths."""
    # Coarse pixels go into all that they cover: in one, they would shift the spectrum.
    return add_cameras([_spread(camera, grid) for camera in cameras], grid)


def _spread(camera: Camera, grid: WavelengthGrid) -> Camera:
    """A camera of coarse pixels on the fine pixels that they cover; any other unchanged."""
    wave = camera.wave
    if wave.shape[-1] < 2 or np.median(np.diff(np.log10(wave), axis=-1)) <= grid.step:
        return camera
    if wave.ndim == 2:
        return _spread_rows(camera, grid)
    if camera.edges:
        edges = np.append(wave, 2 * wave[-1] - wave[-2])
    else:
        between = (wave[1:] + wave[:-1]) / 2
        edges = np.concatenate([[2 * wave[0] - between[0]], between, [2 * wave[-1] - between[-1]]])
    fine = grid.wave_at(np.arange(grid.npix) + 0.5)
    pixel = np.searchsorted(edges, fine, side="right") - 1
    covered = (pixel >= 0) & (pixel < len(wave))
    pixel = pixel[covered]
    if not len(pixel):
        return camera
    count = np.bincount(pixel, minlength=len(wave))[pixel]
    return Camera(camera.name, fine[covered], camera.flux[:, pixel], camera.ivar[:, pixel] / count)


def _spread_rows(camera: Camera, grid: WavelengthGrid) -> Camera:
    """`_spread`, of a camera with wavelengths of shape (nspec, npix)."""
    flux, ivar = np.zeros((2, len(camera.wave), grid.npix))
    for row in np.flatnonzero((grid.bins(camera.wave) >= 0).any(axis=1)):
        flux_row, ivar_row = camera.flux[row, None], camera.ivar[row, None]
        alone = Camera(camera.name, camera.wave[row], flux_row, ivar_row, camera.edges)
        (flux[row],), (ivar[row],) = add_cameras([_spread(alone, grid)], grid)
    return Camera(camera.name, grid.wave_at(np.arange(grid.npix) + 0.5), flux, ivar)


def rest_frame(
    flux: npt.ArrayLike, ivar: npt.ArrayLike, z: npt.ArrayLike, window: Window
) -> tuple[Float32Array, FloatArray]:
    """Input of the second stage: spectra in the rest frame of a redshift.

    The spectrum is shifted by whole pixels, so that nothing is interpolated, cut to the window,
    pooled with inverse-variance weights, and normalised over the window (`normalise`).

    Parameters
    ----------
    flux, ivar : array_like, shape (nspec, npix)
        Spectra on ``window.grid``, as `rebin` returns them: finite; pixels of ivar 0 have no
        weight.
    z : array_like of float, shape (nspec,)
        Redshifts. NaN gives a row without weight.
    window : Window
        Geometry of the input.

    Returns
    -------
    X : ndarray of float32, shape (nspec, npooled, 2)
        Channel 0 is the normalised flux, clipped to -clip .. clip; 0 in pixels without weight, and
        in all pixels of a row without scatter. Channel 1 is 1 in pixels with weight, else 0.
    z_frame : ndarray of float64, shape (nspec,)
        Redshift of the rest frame: `z` in whole pixels; NaN for NaN.

    Raises
    ------
    InputError
        Shapes disagree.

    Examples
    --------
    >>> import numpy as np
    >>> from qnet import WavelengthGrid
    >>> from qnet.preprocess import Window, rest_frame
    >>> window = Window(WavelengthGrid.log(3600.0, 10400.0, 2.5e-4))
    >>> flux = np.random.default_rng(0).normal(5.0, 2.0, (1, window.grid.npix))
    >>> X, z_frame = rest_frame(flux, np.ones_like(flux), [2.0], window)
    >>> X.shape
    (1, 791, 2)
    >>> z_frame.round(5)
    array([1.99916])
    """
    check_arguments(rest_frame, locals())
    flux, ivar = as_numbers("flux", flux, unit=None), as_numbers("ivar", ivar, unit=None)
    z = as_floats("z", z)
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
        weight = np.where(known, ivar[rows], 0.0)
        X[rows] = _rest_block(flux[rows].astype(np.float64), weight, pixels[rows], window)
    return X, z_frame


def _rest_block(flux: FloatArray, ivar: FloatArray, pixels: IntArray, window: Window) -> AnyArray:
    """Some rows of `rest_frame`."""
    # Relative to the row's largest weight: sums cannot overflow, whatever the unit of the flux.
    largest = ivar.max(axis=1, keepdims=True, initial=0.0)
    ivar = np.divide(ivar, largest, out=np.zeros_like(ivar), where=largest > 0)
    length = window.npooled * window.pool
    weight, weighted = np.zeros((2, len(flux), length))
    for row, first in enumerate((window.first_pixel + pixels).tolist()):
        # Window and spectrum overlap in one run of pixels.
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
    for pixel in range(1, pool):
        total += values[:, pixel::pool]
    return total
