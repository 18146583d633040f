"""Spectra as text for a page: on one grid of pixels, quantised, in base64."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np

from qnet.core.arrays import AnyArray, FloatArray
from qnet.core.grid import WavelengthGrid
from qnet.core.spectra import Spectra
from qnet.preprocess.rebinning import add_cameras

#: Least step of the page's pixels in log10 of wavelength (that of SDSS's spectra), and most pixels.
STEP, MOST_PIXELS = 1e-4, 8000

#: Wavelengths [Angstrom] that the page shows.
_RANGE = (2500.0, 30000.0)

#: Largest value of half precision, with room for rounding.
_LARGEST = 6e4

#: Least log10 of a probability that the page shows, and largest change of a logit.
LEAST_LOG_P, MOST_CHANGE = -5.0, 12.7


def find_grid(batches: Sequence[Spectra]) -> WavelengthGrid:
    """A grid of log wavelengths whose pixels are no finer than those of the spectra."""
    first, last, step = [], [], STEP
    for camera in (camera for spectra in batches for camera in spectra.cameras):
        wave = np.log10(camera.wave[camera.wave > 0].reshape(-1))
        first.append(wave.min())
        last.append(wave.max())
        steps = np.diff(np.log10(np.atleast_2d(camera.wave)), axis=1)
        step = max(step, float(np.quantile(steps, 0.95)))
    low, high = np.log10(_RANGE)
    start, stop = max(min(first), low), min(max(last), high)
    step = max(step, (stop - start) / (MOST_PIXELS - 2))
    # The first pixel's centre is in the middle of a bin: rounding moves no pixel to another.
    npix = max(2, int((stop - start) / step) + 2)
    return WavelengthGrid("log", start - step / 2, step, npix)


def pack(spectra: Spectra, grid: WavelengthGrid) -> tuple[list[bytes], list[tuple[float, ...]]]:
    """Flux and noise of each spectrum as bytes; scale of the flux and range of the noise.

    Flux in units of the scale is in half precision. The noise is a byte a pixel: 0 without weight,
    else 1 to 255 from its least to its largest value in equal steps of its logarithm.
    """
    flux, ivar = add_cameras(spectra.cameras, grid)
    packed: list[bytes] = []
    scales: list[tuple[float, ...]] = []
    for values, weight in zip(flux, ivar, strict=True):
        seen = weight > 0
        sigma = 1 / np.sqrt(np.where(seen, weight, 1.0))
        scale = float(np.median(np.abs(values[seen]))) if seen.any() else 1.0
        scale = scale if np.isfinite(scale) and scale > 0 else 1.0
        low, high = (float(f(sigma[seen])) if seen.any() else 1.0 for f in (np.min, np.max))
        packed.append(as_halves(values / scale) + _log_bytes(sigma, seen, low, high).tobytes())
        scales.append((scale, low, high))
    return packed, scales


def as_halves(values: FloatArray) -> bytes:
    """Numbers, or NaN, in half precision."""
    return np.clip(values, -_LARGEST, _LARGEST).astype("<f2").tobytes()


def _log_bytes(sigma: FloatArray, seen: AnyArray, low: float, high: float) -> AnyArray:
    """The noise as bytes."""
    span = np.log(high / low)
    position = np.log(sigma / low) / span if span > 0 else np.zeros(len(sigma))
    codes = 1 + np.round(254 * np.clip(position, 0, 1))
    return np.where(seen, codes, 0).astype(np.uint8)


def pack_probability(p: FloatArray) -> bytes:
    """Probabilities as bytes, by their logarithm; 0 for LEAST_LOG_P or less."""
    log_p = np.log10(np.maximum(np.nan_to_num(p), 10**LEAST_LOG_P))
    return np.round(255 * (1 - log_p / LEAST_LOG_P)).astype(np.uint8).tobytes()


def pack_change(change: FloatArray) -> bytes:
    """Changes of a logit as signed bytes, of MOST_CHANGE / 127 each."""
    clipped = np.clip(np.nan_to_num(change), -MOST_CHANGE, MOST_CHANGE)
    return np.round(clipped * 127 / MOST_CHANGE).astype(np.int8).tobytes()


def as_text(data: bytes) -> str:
    """Bytes in base64, which holds no character that HTML could take for its own."""
    return base64.b64encode(data).decode("ascii")
