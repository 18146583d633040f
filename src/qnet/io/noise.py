"""Noise of spectra that come without errors, estimated from their flux."""

from __future__ import annotations

import itertools
import warnings

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray, FloatArray

#: Pixels of which one estimate is made: enough for a median, few against the change of the noise.
_WINDOW = 128

#: Standard deviation of normal noise over the median of |2 f(i) - f(i-2) - f(i+2)|.
_TO_SIGMA = 1.482602 / np.sqrt(6.0)


def estimate_ivar(flux: AnyArray, bad: BoolArray | None = None) -> FloatArray:
    """Inverse variance (nspec, npix) of flux: DER_SNR in windows of 128 pixels, interpolated.

    DER_SNR (Stoehr et al. 2008, ASP Conf. Ser. 394, 505): the noise is 1.482602 / sqrt(6) times the
    median of |2 f(i) - f(i-2) - f(i+2)|, which no smooth spectrum and no correlation of neighbours
    changes. Pixels that are bad, not finite or exactly 0 have no part in it, and no weight.
    """
    used = np.isfinite(flux) & (flux != 0)
    if bad is not None:
        used &= ~bad
    nspec, npix = flux.shape
    nwindows = max(1, npix // _WINDOW)
    edges = np.linspace(0, npix, nwindows + 1).astype(int)
    values = np.where(used, flux.astype(np.float64), np.nan)
    steps = np.full((nspec, npix), np.nan)
    with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # windows of no pixel
        steps[:, 2:-2] = np.abs(2 * values[:, 2:-2] - values[:, :-4] - values[:, 4:])
        windows = [np.nanmedian(steps[:, a:b], axis=1) for a, b in itertools.pairwise(edges)]
    noise = _TO_SIGMA * np.stack(windows, axis=1)
    centres, pixels = (edges[:-1] + edges[1:] - 1) / 2, np.arange(npix)
    ivar = np.zeros((nspec, npix))
    for row in range(nspec):
        known = np.isfinite(noise[row]) & (noise[row] > 0)
        if known.any():
            sigma = np.interp(pixels, centres[known], noise[row, known])
            ivar[row, used[row]] = 1 / np.square(sigma[used[row]])
    return ivar
