"""Gaussian profiles added to many spectra at once, and shapes of the rest frame seen at redshifts.

The pixels of the frame are equal steps in log wavelength. A redshift is then a shift by a number of
pixels, and a width in velocity is the same number of pixels everywhere.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import Float32Array, FloatArray, IntArray
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.frame import LOGLAM_START, LOGLAM_STEP, NPIX

#: Width of a pixel of the frame [km/s].
PIXEL_KMS = SPEED_OF_LIGHT * np.log(10) * LOGLAM_STEP

#: Full width at half maximum of a Gaussian over its standard deviation.
FWHM_OVER_SIGMA = 2 * np.sqrt(2 * np.log(2))

#: Highest redshift that the grid of the rest frame allows for.
Z_MAX = 7.0

#: First wavelength of the rest-frame grid, log10 [Angstrom], and its number of pixels.
REST_START = LOGLAM_START - np.log10(1 + Z_MAX)
REST_NPIX = NPIX + int(np.ceil(np.log10(1 + Z_MAX) / LOGLAM_STEP)) + 1

# Gaussians end where they fall to exp(-0.5 * 4.5**2) = 4e-5 of the peak.
_CUT = 4.5
# Pixels handled at a time; bounds the memory.
_BLOCK = 4_000_000
# Standard deviation [pixel] below which a sampled Gaussian no longer keeps its area.
_NARROWEST = 0.6


@dataclasses.dataclass(frozen=True)
class Gaussians:
    """Gaussian profiles in log wavelength.

    Attributes
    ----------
    row : ndarray of int64, shape (nprofiles,)
        Which spectrum.
    wave : ndarray of float64, shape (nprofiles,)
        Observed central wavelength [Angstrom].
    sigma : ndarray of float64, shape (nprofiles,)
        Standard deviation [km/s].
    area : ndarray of float64, shape (nprofiles,)
        Area [observed Angstrom]: an observed equivalent width where the spectra are ratios to a
        continuum.
    """

    row: IntArray
    wave: FloatArray
    sigma: FloatArray
    area: FloatArray


def gaussians(row: Any, wave: Any, sigma: Any, area: Any) -> Gaussians:
    """`Gaussians` of arrays that broadcast against each other, flattened."""
    parts = np.broadcast_arrays(row, wave, sigma, area)
    flat = [np.ravel(part) for part in parts]
    return Gaussians(
        flat[0].astype(np.int64), *(np.asarray(part, dtype=np.float64) for part in flat[1:])
    )


def add_gaussians(spectra: Float32Array, profiles: Gaussians) -> None:
    """Add Gaussian profiles to spectra, in place.

    Parameters
    ----------
    spectra : ndarray of float32, shape (nspec, NPIX)
        At `frame.observed_wave`; C-contiguous.
    profiles : Gaussians
        Profiles outside the frame are left out. Profiles narrower than 0.6 pixels are widened to
        that; their area stays.
    """
    npix = spectra.shape[1]
    centre = (np.log10(profiles.wave) - LOGLAM_START) / LOGLAM_STEP
    sigma = np.maximum(profiles.sigma / PIXEL_KMS, _NARROWEST)
    width = profiles.wave * sigma * LOGLAM_STEP * np.log(10)
    peak = profiles.area / (np.sqrt(2 * np.pi) * width)
    start = np.clip(np.ceil(centre - _CUT * sigma), 0, npix).astype(np.int64)
    stop = np.clip(np.floor(centre + _CUT * sigma) + 1, 0, npix).astype(np.int64)
    keep = np.flatnonzero((stop > start) & (peak != 0))
    if not keep.size:
        return
    ends = np.cumsum((stop - start)[keep])
    blocks = np.searchsorted(ends, np.arange(_BLOCK, ends[-1], _BLOCK))
    flat = spectra.reshape(-1)
    for part in np.split(keep, np.unique(blocks)):
        if part.size:
            _add_block(
                flat, profiles.row[part] * npix, start[part], stop[part],
                centre[part], sigma[part], peak[part],
            )  # fmt: skip


def _add_block(
    flat: Float32Array,
    first: IntArray,
    start: IntArray,
    stop: IntArray,
    centre: FloatArray,
    sigma: FloatArray,
    peak: FloatArray,
) -> None:
    length = stop - start
    ends = np.cumsum(length)
    step = np.arange(ends[-1]) - np.repeat(ends - length, length)
    # Distance from the centre in units of sigma: linear in the pixel, so float32 is enough.
    x = np.repeat(((start - centre) / sigma).astype(np.float32), length)
    x += step.astype(np.float32) * np.repeat((1 / sigma).astype(np.float32), length)
    np.multiply(x, x, out=x)
    x *= np.float32(-0.5)
    np.exp(x, out=x)
    x *= np.repeat(peak.astype(np.float32), length)
    np.add.at(flat, step + np.repeat(first + start, length), x)


def rest_wave() -> FloatArray:
    """Wavelengths of the rest-frame grid [Angstrom], shape (REST_NPIX,)."""
    return np.asarray(10 ** (REST_START + LOGLAM_STEP * np.arange(REST_NPIX)), dtype=np.float64)


def see_at(bank: Float32Array, which: npt.ArrayLike, z: FloatArray) -> Float32Array:
    """Shapes of the rest frame on the pixels of the frame, at redshifts.

    The shift is by whole pixels: at most half a pixel, 35 km/s, is lost, which matters for no
    broad shape. Narrow lines are made with `add_gaussians`.

    Parameters
    ----------
    bank : ndarray of float32, shape (nshapes, REST_NPIX)
        Shapes at `rest_wave`.
    which : int or array_like of int, shape (nspec,)
        The shape of each spectrum.
    z : ndarray of float64, shape (nspec,)
        From 0 to `Z_MAX`.

    Returns
    -------
    ndarray of float32, shape (nspec, NPIX)
    """
    first = np.rint((np.log10(1 + Z_MAX) - np.log10(1 + z)) / LOGLAM_STEP).astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(bank, NPIX, axis=1)
    seen: Float32Array = windows[np.broadcast_to(which, first.shape), first]
    return seen
