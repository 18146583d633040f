"""The second stage: a precise redshift in the rest frame of a guess, its error, its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qnet.architecture import RefineArchitecture
from qnet.errors import InputError
from qnet.grid import WavelengthGrid
from qnet.inference import CHUNK_SIZE, ConvStack, Weights, check_weights
from qnet.lines import SPEED_OF_LIGHT
from qnet.preprocess import normalise, rebin_cameras
from qnet.spectra import Camera

FloatArray = npt.NDArray[np.float64]

#: Name of the camera of a prepared data file (`qnet.io.read_spectra`).
PREPARED_CAMERA = "prepared"

#: Spectra that are shifted at a time: bounds the memory of the fine pixels.
ROW_BLOCK = 128


def whole_pixels(
    z: npt.ArrayLike, arch: RefineArchitecture
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Redshifts as whole pixels of the stage's grid.

    Parameters
    ----------
    z : array_like of float, shape (nspec,)
    arch : RefineArchitecture

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
        Native spectra, the same nspec rows in each. The wavelengths of the camera of a prepared
        data file are left edges of pixels, all others their middles.
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
    if camera.name == PREPARED_CAMERA:
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
        alone = Camera(camera.name, wave[row], camera.flux[row, None], camera.ivar[row, None])
        (flux[row],), (ivar[row],) = rebin_cameras([_spread(alone, grid)], grid)
    return Camera(camera.name, grid.wave_at(np.arange(grid.npix) + 0.5), flux, ivar)


def rest_frame(
    flux: npt.ArrayLike, ivar: npt.ArrayLike, z: npt.ArrayLike, arch: RefineArchitecture
) -> tuple[npt.NDArray[np.float32], FloatArray]:
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
    arch : RefineArchitecture

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
    flux: FloatArray, ivar: FloatArray, pixels: npt.NDArray[np.int64], arch: RefineArchitecture
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


class Outputs(NamedTuple):
    """What the network of the second stage says of some spectra, each in its frame.

    Attributes
    ----------
    dv : ndarray, shape (nspec,)
        Velocity of the object in the frame, in units of ``arch.dv_scale``:
        dv = c (z - z_frame) / (1 + z_frame).
    log_sigma : ndarray, shape (nspec,)
        Natural logarithm of its error, in the same units.
    score : ndarray, shape (nspec,), or None
        Logit of being a quasar within ``arch.max_dv`` of the frame; None where the stage does not
        verify.
    bal : ndarray, shape (nspec,), or None
        Logit of broad absorption, if it is such a quasar; None where the stage does not look.
    """

    dv: npt.NDArray[Any]
    log_sigma: npt.NDArray[Any]
    score: npt.NDArray[Any] | None
    bal: npt.NDArray[Any] | None


class Refined(NamedTuple):
    """Redshifts of the second stage.

    Attributes
    ----------
    z : ndarray of float64, shape (nspec,)
        z_frame + dv/c (1 + z_frame) of the last pass; the guess where ``ok`` is false.
    zerr : ndarray of float64, shape (nspec,)
        sigma/c (1 + z); NaN where ``ok`` is false.
    ok : ndarray of bool, shape (nspec,)
        False where the window has too little weight (``arch.min_share``), the answer is not finite,
        or it has moved from the guess by more than ``arch.max_dv``.
    score, bal : ndarray of float64, shape (nspec,)
        The logits of the last pass (`qnet.refine.Outputs`); NaN where ``ok`` is false or the stage
        has none.
    """

    z: FloatArray
    zerr: FloatArray
    ok: npt.NDArray[np.bool_]
    score: FloatArray
    bal: FloatArray


class Refiner:
    """The second stage, ready to run.

    Parameters
    ----------
    arch : RefineArchitecture
    weights : mapping of str to ndarray
        Every array of ``arch.shapes()``.
    dtype : dtype
        Precision of the computation: float32 or float64.

    Raises
    ------
    InputError
        An array is missing or of another shape.
    """

    def __init__(
        self, arch: RefineArchitecture, weights: Weights, dtype: npt.DTypeLike = np.float32
    ) -> None:
        check_weights(arch, weights)
        self.arch = arch
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        names = [
            (f"refine_conv_{number}", f"refine_bn_{number}")
            for number in range(1, len(arch.convs) + 1)
        ]
        self._stack = ConvStack(
            arch.convs, [*names, ("refine_fc", "refine_bn_fc")], arch.epsilon, weights, self.dtype
        )
        self._out = tuple(
            weights[f"refine_out.{name}"].astype(self.dtype) for name in ("kernel", "bias")
        )

    def predict(self, X: npt.NDArray[Any], chunk_size: int = CHUNK_SIZE) -> Outputs:
        """Run the network once.

        Parameters
        ----------
        X : ndarray, shape (nspec, npooled, 2)
            What `rest_frame` makes. A row that is not finite gives NaN, and touches no other.
        chunk_size : int
            Spectra held in memory at a time, as activations.

        Returns
        -------
        Outputs
        """
        out = np.empty((len(X), self.arch.noutputs), dtype=self.dtype)
        kernel, bias = self._out
        for start in range(0, len(X), chunk_size):
            chunk = np.array(X[start : start + chunk_size], dtype=self.dtype)
            bad = ~np.isfinite(chunk).all(axis=(1, 2))
            chunk[bad] = 0
            result = self._stack(chunk) @ kernel + bias
            result[bad] = np.nan
            out[start : start + chunk_size] = result
        score = out[:, 2] if self.arch.verify else None
        return Outputs(out[:, 0], out[:, 1], score, out[:, 3] if self.arch.bal else None)

    def refine(self, flux: npt.ArrayLike, ivar: npt.ArrayLike, z: npt.ArrayLike) -> Refined:
        """Refine redshifts: ``arch.passes`` times, each in the frame of the last redshift.

        Parameters
        ----------
        flux, ivar : array_like, shape (nspec, npix)
            Spectra on ``arch.grid``, as `qnet.preprocess.rebin` gives them.
        z : array_like of float, shape (nspec,)
            The guess.

        Returns
        -------
        Refined

        Raises
        ------
        InputError
            The shapes disagree.
        """
        arch = self.arch
        guess = np.asarray(z, dtype=np.float64)
        found, (sigma, score, bal) = guess, np.full((3, *guess.shape), np.nan)
        ok = np.ones(guess.shape, dtype=bool)
        with np.errstate(invalid="ignore", over="ignore"):
            for _ in range(arch.passes):
                X, z_frame = rest_frame(flux, ivar, found, arch)
                out = self.predict(X)
                dv = arch.dv_scale * out.dv.astype(np.float64)
                found = z_frame + dv / SPEED_OF_LIGHT * (1 + z_frame)
                sigma = arch.dv_scale * np.exp(out.log_sigma.astype(np.float64))
                if out.score is not None:
                    score = out.score.astype(np.float64)
                if out.bal is not None:
                    bal = out.bal.astype(np.float64)
                ok &= X[:, :, 1].mean(axis=1) >= max(arch.min_share, 1 / arch.npooled)
                ok &= np.isfinite(found) & np.isfinite(sigma)
                # Also between the passes: a frame that has run away gives no second opinion.
                ok &= SPEED_OF_LIGHT * np.abs(found - guess) <= arch.max_dv * (1 + guess)
                found = np.where(ok, found, guess)
            zerr = np.where(ok, sigma / SPEED_OF_LIGHT * (1 + found), np.nan)
            score, bal = (np.where(ok, values, np.nan) for values in (score, bal))
        return Refined(found, zerr, ok, score, bal)
