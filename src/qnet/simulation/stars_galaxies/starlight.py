"""Broadening of starlight by motions, and its reddening by dust."""

from __future__ import annotations

import numpy as np
import scipy.fft

from qnet.core.arrays import Float32Array, FloatArray
from qnet.simulation.frame import PIXEL_KMS

#: Spectra are padded at this many standard deviations of the broadening.
_REACH = 5.0


def broaden(flux: Float32Array, sigma: FloatArray) -> Float32Array:
    """Spectra convolved with a Gaussian of velocity dispersion `sigma` [km/s], 0 for none."""
    npix = flux.shape[1]
    margin = int(np.ceil(_REACH * max(float(np.max(sigma, initial=0.0)) / PIXEL_KMS, 1.0)))
    padded = np.pad(flux, ((0, 0), (margin, margin)), mode="edge")
    size = scipy.fft.next_fast_len(padded.shape[1] + margin, real=True)
    transform = scipy.fft.rfft(padded, n=size, axis=1)
    omega = 2 * np.pi * np.fft.rfftfreq(size)
    pixels = (np.asarray(sigma) / PIXEL_KMS)[:, None]
    transform *= np.exp(-0.5 * (pixels * omega) ** 2).astype(np.float32)
    smooth = scipy.fft.irfft(transform, n=size, axis=1)[:, margin : margin + npix]
    return np.ascontiguousarray(smooth, dtype=np.float32)


def milky_way_extinction(wave: FloatArray) -> FloatArray:
    """A(wave)/E(B-V) of Galactic dust from 3030 A on (Cardelli et al. 1989, ApJ 345, 245)."""
    # Eq. 2a, 2b (infrared), 3a, 3b (optical); R_V = 3.1.
    x = np.minimum(1e4 / wave, 3.3)
    y = x - 1.82
    optical_a = np.polynomial.Polynomial(
        [1.0, 0.17699, -0.50447, -0.02427, 0.72085, 0.01979, -0.77530, 0.32999]
    )(y)
    optical_b = np.polynomial.Polynomial(
        [0.0, 1.41338, 2.28305, 1.07233, -5.38434, -0.62251, 5.30260, -2.09002]
    )(y)
    infrared = x**1.61
    a = np.where(x < 1.1, 0.574 * infrared, optical_a)
    b = np.where(x < 1.1, -0.527 * infrared, optical_b)
    return np.asarray(3.1 * a + b, dtype=np.float64)


def starburst_extinction(wave: FloatArray) -> FloatArray:
    """A(wave)/E(B-V) in starbursts, 1200 to 22000 A (Calzetti et al. 2000, ApJ 533, 682, eq. 4)."""
    micron = wave / 1e4
    blue = 2.659 * (-2.156 + 1.509 / micron - 0.198 / micron**2 + 0.011 / micron**3) + 4.05
    red = 2.659 * (-1.857 + 1.040 / micron) + 4.05
    return np.asarray(np.where(micron < 0.63, blue, red), dtype=np.float64)


def redden(flux: Float32Array, curve: FloatArray, ebv: FloatArray) -> Float32Array:
    """Spectra behind dust of extinction `curve` [mag] per E(B-V), of `ebv` [mag] each."""
    tau = (-0.4 * np.log(10.0) * curve).astype(np.float32)
    return flux * np.exp(np.outer(ebv.astype(np.float32), tau))
