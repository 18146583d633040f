"""Parts of the wavelengths that a spectrum may cover: windows, arms, other instruments, gaps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qnet.core.arrays import BoolArray, FloatArray

#: First and last wavelength [Angstrom] of arms and of whole spectrographs: DESI's cameras (DESI
#: Collaboration 2022, AJ 164, 207, table 1), BOSS's arms (Smee et al. 2013, AJ 146, 32, table 1),
#: SDSS, 2dF and LAMOST, and ranges of other spectrographs of one arm or two.
INSTRUMENTS = (
    (3600.0, 5800.0), (5760.0, 7620.0), (7520.0, 9824.0), (3600.0, 6350.0), (5650.0, 10000.0),
    (3800.0, 9200.0), (3700.0, 9100.0), (3700.0, 8000.0), (4200.0, 9000.0), (3660.0, 6060.0),
    (5790.0, 9590.0), (3700.0, 5900.0), (5700.0, 9000.0), (4000.0, 7000.0), (6000.0, 10000.0),
)  # fmt: skip

#: Cameras of which one or two may be missing [Angstrom]: their joints.
CAMERAS = ((3000.0, 5780.0), (5780.0, 7570.0), (7570.0, 11000.0))

#: Least width of a window [ln wavelength]: 200 Angstrom at 5000.
LEAST_WIDTH = 0.04

#: Largest number of gaps, and the largest width of one [ln wavelength].
GAPS, WIDEST_GAP = 3, 0.35

#: Scatter of the edges of arms and instruments [ln wavelength].
_EDGE = 0.01

_Draw = Callable[[np.random.Generator, FloatArray, int], BoolArray]


def draw_coverage(rng: np.random.Generator, wave: FloatArray, nspec: int) -> BoolArray:
    """Pixels (nspec, npix) of wavelengths (npix,) that are kept, at random in one of four ways."""
    x = np.log(np.asarray(wave, dtype=np.float64))
    draws, fractions = zip(*_DRAWS, strict=True)
    which = rng.choice(len(draws), nspec, p=fractions)
    kept = np.empty((nspec, len(x)), dtype=bool)
    for number, draw in enumerate(draws):
        rows = np.flatnonzero(which == number)
        kept[rows] = draw(rng, x, len(rows))
    return kept


def _window(rng: np.random.Generator, x: FloatArray, count: int) -> BoolArray:
    """One window of any width, somewhere."""
    whole = x[-1] - x[0]
    width = np.exp(rng.uniform(np.log(min(LEAST_WIDTH, whole)), np.log(whole), (count, 1)))
    low = x[0] + rng.uniform(0, 1, (count, 1)) * (whole - width)
    return np.asarray((x >= low) & (x <= low + width))


def _instrument(rng: np.random.Generator, x: FloatArray, count: int) -> BoolArray:
    """An arm, or the range of an instrument."""
    chosen = np.log(INSTRUMENTS)[rng.integers(len(INSTRUMENTS), size=count)]
    low, high = (chosen + _EDGE * rng.standard_normal((count, 2))).T[:, :, None]
    return np.asarray((x >= low) & (x <= high))


def _cameras(rng: np.random.Generator, x: FloatArray, count: int) -> BoolArray:
    """Without one camera of three."""
    low, high = np.log(CAMERAS)[rng.integers(len(CAMERAS), size=count)].T[:, :, None]
    return np.asarray((x < low) | (x > high))


def _gaps(rng: np.random.Generator, x: FloatArray, count: int) -> BoolArray:
    """With a few gaps."""
    kept = np.ones((count, len(x)), dtype=bool)
    number = rng.integers(1, GAPS + 1, (count, 1))
    for gap in range(GAPS):
        low = rng.uniform(x[0], x[-1], (count, 1))
        width = rng.uniform(0, WIDEST_GAP, (count, 1))
        kept &= ~((x >= low) & (x <= low + width) & (gap < number))
    return kept


#: Ways to cover a part, and how often each is drawn.
_DRAWS: tuple[tuple[_Draw, float], ...] = (
    (_window, 0.35),
    (_instrument, 0.30),
    (_cameras, 0.20),
    (_gaps, 0.15),
)
