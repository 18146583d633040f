"""Faults that real data have and simulated ones lack: steps, offsets, spikes, false zeros."""

from __future__ import annotations

import numpy as np

from qnet.core.arrays import Float32Array, IntArray, noise_of

#: Scatter of the natural logarithm of a step's factor, and of an offset over the mean flux.
STEP, OFFSET = 0.4, 0.5

#: Largest number of spikes, their mean height in units of a pixel's error, and their largest width.
SPIKES, SPIKE_HEIGHT, SPIKE_WIDTH = 6, 25.0, 3

#: False zeros: longest run [fraction of the pixels], and the factor on the errors there.
ZEROS, ZERO_ERROR = 0.1, 0.1


def add_faults(
    flux: Float32Array, ivar: Float32Array, rng: np.random.Generator, rows: IntArray
) -> None:
    """Give each of some rows one fault, in place; pixels without weight stay so."""
    npix = flux.shape[1]
    for row in rows:
        length = int(rng.uniform(0.03, 0.6) * npix) + 1
        start = max(int(rng.integers(npix)) - length // 2, 0)
        fault = _FAULTS[rng.choice(len(_FAULTS), p=_FRACTIONS)]
        fault(flux[row], ivar[row], slice(start, start + length), rng)


def _step(flux: Float32Array, ivar: Float32Array, part: slice, rng: np.random.Generator) -> None:
    """Multiply a run of pixels."""
    factor = np.float32(np.exp(STEP * rng.standard_normal()))
    flux[part] *= factor
    ivar[part] /= factor**2


def _offset(flux: Float32Array, ivar: Float32Array, part: slice, rng: np.random.Generator) -> None:
    """Add a level to a run of pixels."""
    seen = ivar > 0
    level = np.abs(flux[seen]).mean() if seen.any() else 0.0
    flux[part] += np.where(seen[part], OFFSET * level * rng.standard_normal(), 0)


def _spikes(flux: Float32Array, ivar: Float32Array, part: slice, rng: np.random.Generator) -> None:
    """Add some spikes of a few pixels, one in four of them negative."""
    sigma = noise_of(ivar)
    for pixel in rng.integers(len(flux), size=rng.integers(1, SPIKES + 1)):
        wide = slice(pixel, pixel + int(rng.integers(1, SPIKE_WIDTH + 1)))
        height = rng.exponential(SPIKE_HEIGHT) * (1 if rng.uniform() < 0.75 else -1)
        flux[wide] += np.float32(height) * sigma[wide]


def _zeros(flux: Float32Array, ivar: Float32Array, part: slice, rng: np.random.Generator) -> None:
    """Set a run of pixels to 0, with tiny errors."""
    stop = part.start + max(1, int(ZEROS * rng.uniform() * len(flux)))
    flux[part.start : stop] = 0
    ivar[part.start : stop] /= np.float32(ZERO_ERROR**2)


#: The faults, and how often each is drawn.
_FAULTS, _FRACTIONS = (_step, _offset, _spikes, _zeros), (0.5, 0.25, 0.15, 0.1)
