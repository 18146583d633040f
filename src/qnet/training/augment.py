"""Changes of training spectra that keep their redshifts."""

from __future__ import annotations

import numpy as np

from qnet.core.arrays import BoolArray, Float32Array
from qnet.training.settings import Augmentation

FloatArray = Float32Array

#: A gap is at most this share of the grid: about one camera of three.
LONGEST_GAP = 0.35


def augment(
    flux: FloatArray, ivar: FloatArray, options: Augmentation, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Change spectra as they might have been observed, their redshifts kept.

    Parameters
    ----------
    flux, ivar : ndarray of float32, shape (nspec, npix)
        Spectra on a grid; 0 where there is no weight.
    options : Augmentation
    rng : numpy.random.Generator

    Returns
    -------
    flux, ivar : ndarray of float32, shape (nspec, npix)
        New arrays; 0 where there is no weight.
    """
    nspec, npix = flux.shape
    flux, ivar = flux.copy(), ivar.copy()
    if options.tilt:
        x = np.linspace(-1, 1, npix, dtype=np.float32)
        terms = rng.normal(0, options.tilt, (nspec, 2)).astype(np.float32)
        factor = np.exp(terms[:, :1] * x + terms[:, 1:] * (x**2 - np.float32(1 / 3)))
        flux *= factor
        ivar /= factor**2
    if options.noise:
        share = rng.uniform(0, options.noise, (nspec, 1)).astype(np.float32)
        sigma = np.divide(1, np.sqrt(ivar), out=np.zeros_like(ivar), where=ivar > 0)
        flux += share * sigma * rng.standard_normal(flux.shape, dtype=np.float32)
        ivar /= 1 + share**2
    if options.gap:
        gap = _gaps(nspec, npix, options.gap, rng)
        # A gap that would leave nothing is not made.
        gap &= np.any((ivar > 0) & ~gap, axis=1, keepdims=True)
        flux[gap], ivar[gap] = 0, 0
    return flux, ivar


def _gaps(nspec: int, npix: int, share: float, rng: np.random.Generator) -> BoolArray:
    """Runs of pixels without weight, in a share of the spectra."""
    length = rng.uniform(0, LONGEST_GAP, nspec) * npix
    start = rng.uniform(0, 1, nspec) * (npix - length)
    chosen = rng.uniform(size=nspec) < share
    pixel = np.arange(npix)
    inside = (pixel >= start[:, None]) & (pixel < (start + length)[:, None])
    return np.asarray(inside & chosen[:, None])
