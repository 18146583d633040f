"""Stellar spectra from the rest frame to the observed one: shift, broaden, redden."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.fft

from qnet.core.arrays import Float32Array, FloatArray
from qnet.core.errors import InputError
from qnet.simulation.frame import LOGLAM_START, LOGLAM_STEP, NPIX
from qnet.simulation.profiles import PIXEL_KMS

SpectrumArray = Float32Array

#: First pixel and number of pixels of the rest frame, in log10 of the vacuum wavelength
#: [Angstrom], with the step of the observed frame: 1230-10840 A, what z = 0 to 1.8 shows.
REST_START, REST_NPIX = 3.0900, 9451

#: A Gaussian ends, and spectra are padded, at this many standard deviations.
_REACH = 5.0


def rest_wave() -> FloatArray:
    """Wavelengths of the rest frame: pixel centres in vacuum [Angstrom], shape (REST_NPIX,)."""
    return np.asarray(10 ** (REST_START + LOGLAM_STEP * np.arange(REST_NPIX)), dtype=np.float64)


def shift(
    flux: npt.NDArray[np.floating], z: FloatArray, *, start: float = REST_START
) -> SpectrumArray:
    """Spectra on a rest-frame grid, moved to the observed frame.

    On grids of equal step in log wavelength a redshift is a shift; the flux is interpolated
    linearly between pixels.

    Parameters
    ----------
    flux : ndarray, shape (nspec, npix)
        Flux densities on a grid of step `LOGLAM_STEP`.
    z : ndarray of float64, shape (nspec,)
        Redshifts.
    start : float
        log10 of the first wavelength [Angstrom] of `flux`.

    Returns
    -------
    ndarray of float32, shape (nspec, NPIX)
        At `observed_wave`; beyond the ends of `flux` its end values.
    """
    place = (LOGLAM_START - start - np.log10(1.0 + z)) / LOGLAM_STEP
    first = np.floor(place).astype(np.int64)
    part = (place - first).astype(np.float32)
    npix = flux.shape[1]
    moved = np.empty((len(flux), NPIX), dtype=np.float32)
    for row, (index, fraction) in enumerate(zip(first, part, strict=True)):
        low, high = max(index, 0), min(index + NPIX + 1, npix)
        if high <= low:
            moved[row] = flux[row, -1 if index > 0 else 0]
            continue
        piece = flux[row, low:high]
        if high - low < NPIX + 1:
            piece = np.pad(piece, (low - index, index + NPIX + 1 - high), mode="edge")
        moved[row] = piece[:-1] + fraction * (piece[1:] - piece[:-1])
    return moved


def broaden(flux: SpectrumArray, sigma: FloatArray) -> SpectrumArray:
    """Convolve each spectrum with a Gaussian in velocity.

    Parameters
    ----------
    flux : ndarray of float32, shape (nspec, npix)
        On a grid of step `LOGLAM_STEP`.
    sigma : ndarray of float64, shape (nspec,)
        Velocity dispersions [km/s]; 0 leaves a spectrum as it is.

    Returns
    -------
    ndarray of float32, shape (nspec, npix)
    """
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
    """Extinction A(wave)/E(B-V) of diffuse Galactic dust, R_V = 3.1.

    Parameters
    ----------
    wave : ndarray of float64
        Wavelengths [Angstrom], 3030 to 33000; shorter ones take the value at 3030.

    Returns
    -------
    ndarray of float64, the same shape
        Cardelli, Clayton & Mathis (1989, ApJ 345, 245), eq. 2a, 2b (infrared), 3a, 3b (optical).
    """
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
    """Attenuation A(wave)/E(B-V) of the stars of star-forming galaxies.

    Parameters
    ----------
    wave : ndarray of float64
        Wavelengths [Angstrom], 1200 to 22000.

    Returns
    -------
    ndarray of float64, the same shape
        Calzetti et al. (2000, ApJ 533, 682), eq. 4, R_V = 4.05 (eq. 5).
    """
    micron = wave / 1e4
    blue = 2.659 * (-2.156 + 1.509 / micron - 0.198 / micron**2 + 0.011 / micron**3) + 4.05
    red = 2.659 * (-1.857 + 1.040 / micron) + 4.05
    return np.asarray(np.where(micron < 0.63, blue, red), dtype=np.float64)


def redden(flux: SpectrumArray, curve: FloatArray, ebv: FloatArray) -> SpectrumArray:
    """Dim spectra by dust.

    Parameters
    ----------
    flux : ndarray of float32, shape (nspec, npix)
    curve : ndarray of float64, shape (npix,)
        Extinction per E(B-V) [mag].
    ebv : ndarray of float64, shape (nspec,)
        E(B-V) [mag].

    Returns
    -------
    ndarray of float32, shape (nspec, npix)
    """
    tau = (-0.4 * np.log(10.0) * curve).astype(np.float32)
    return flux * np.exp(np.outer(ebv.astype(np.float32), tau))


def positive(flux: SpectrumArray) -> SpectrumArray:
    """Spectra with pixels under a millionth of their highest one raised to that."""
    return np.asarray(np.maximum(flux, np.float32(1e-6) * flux.max(axis=1, keepdims=True)))


def magnitudes(rmag: npt.ArrayLike) -> FloatArray:
    """Magnitudes as an array, checked.

    Raises
    ------
    InputError
        They are not one-dimensional and finite.
    """
    values = np.asarray(rmag, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise InputError(
            f"rmag must be one-dimensional and finite, not of shape {values.shape} with "
            f"{np.count_nonzero(~np.isfinite(values))} values that are not finite"
        )
    return values
