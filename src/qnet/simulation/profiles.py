"""Gaussian profiles in log wavelength, added to many spectra at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qnet.core.arrays import Float32Array, FloatArray, IntArray
from qnet.simulation.frame import FRAME, LOGLAM_STEP, PIXEL_KMS

#: Full width at half maximum of a Gaussian over its standard deviation.
FWHM_OVER_SIGMA = 2 * np.sqrt(2 * np.log(2))

# Gaussians end where they fall to exp(-0.5 * 4.5**2) = 4e-5 of the peak.
_CUT = 4.5
# Pixels handled at a time; bounds the memory.
_BLOCK = 4_000_000
# Standard deviation [pixel] below which a sampled Gaussian no longer keeps its area.
_NARROWEST = 0.6


class Gaussians(NamedTuple):
    """Gaussian profiles in log wavelength."""

    row: IntArray  # spectrum
    wave: FloatArray  # observed centre [A]
    sigma: FloatArray  # standard deviation [km/s]
    area: FloatArray  # [observed A], an equivalent width in spectra that are ratios to a continuum


def gaussians(row: Any, wave: Any, sigma: Any, area: Any) -> Gaussians:
    """`Gaussians` of arrays that broadcast against each other, flattened."""
    flat = [np.ravel(part) for part in np.broadcast_arrays(row, wave, sigma, area)]
    return Gaussians(
        flat[0].astype(np.int64), *(np.asarray(part, dtype=np.float64) for part in flat[1:])
    )


def add_gaussians(spectra: Float32Array, profiles: Gaussians) -> None:
    """Add profiles, of at least 0.6 pixels, to spectra on `FRAME`, C-contiguous, in place."""
    npix = spectra.shape[1]
    centre = FRAME.pixel(profiles.wave)
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
    arrays = profiles.row * npix, start, stop - start, centre, sigma, peak
    for part in np.split(keep, np.unique(blocks)):
        if part.size:
            _add_block(flat, *(array[part] for array in arrays))


def _add_block(flat: Float32Array, *profiles: Any) -> None:
    """Add some profiles to spectra laid end to end, `first` being a spectrum's first pixel."""
    first, start, length, centre, sigma, peak = profiles
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
