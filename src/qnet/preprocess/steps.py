"""Steps between cameras: flux that disagrees where two of them see the same wavelengths."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray, FloatArray, good_pixels
from qnet.core.flags import STEP_FRACTION, STEP_SIGMA
from qnet.core.spectra import Camera

#: Relative difference of wavelengths under which two pixels are the same.
_SAME = 1e-5


def find_steps(cameras: Sequence[Camera], block: slice) -> BoolArray:
    """Rows of a block whose flux has a step between two neighbouring cameras (CAMERA_STEP)."""
    found = np.zeros(block.stop - block.start, bool)
    shared = sorted((one for one in cameras if one.wave.ndim == 1), key=lambda one: one.wave[0])
    for blue, red in itertools.pairwise(shared):
        if count := _count_shared(blue.wave, red.wave):
            one, other = slice(len(blue.wave) - count, None), slice(0, count)
            found |= _differ(
                blue.flux[block, one], blue.ivar[block, one],
                red.flux[block, other], red.ivar[block, other],
            )  # fmt: skip
    return found


def _count_shared(blue: FloatArray, red: FloatArray) -> int:
    """How many of the last pixels of one camera are the first of the next one."""
    count = len(blue) - int(np.searchsorted(blue, red[0] * (1 - _SAME)))
    if count > len(red) or not np.allclose(blue[len(blue) - count :], red[:count], rtol=_SAME):
        return 0
    return count


def _differ(blue: AnyArray, blue_ivar: AnyArray, red: AnyArray, red_ivar: AnyArray) -> BoolArray:
    """Rows in which the mean flux of the same pixels differs between two cameras."""
    flux = np.stack([blue, red]).astype(np.float64)
    ivar = np.stack([blue_ivar, red_ivar]).astype(np.float64)
    good = good_pixels(flux, ivar).all(axis=0)
    with np.errstate(all="ignore"):  # rows without a good pixel give NaN, which is no step
        weight = np.where(good, 1 / (1 / ivar).sum(axis=0), 0)
        weight /= weight.sum(axis=1, keepdims=True)
        mean = (weight * np.where(good, flux, 0)).sum(axis=2)
        error = np.sqrt((weight**2 * np.where(good, 1 / ivar, 0)).sum(axis=2))
        difference = np.abs(mean[0] - mean[1])
        step = (mean > STEP_SIGMA * error).all(axis=0)
        step &= difference > STEP_SIGMA * np.hypot(*error)
        step &= difference > STEP_FRACTION * mean.mean(axis=0)
    return np.asarray(step)
