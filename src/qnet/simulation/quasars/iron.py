"""Iron and Balmer pseudo-continua of quasars, as ratios to the power law."""

from __future__ import annotations

import functools

import numpy as np
import scipy.ndimage

from qnet.core.arrays import Float32Array, FloatArray
from qnet.lines import air_to_vacuum
from qnet.simulation.frame import HC_OVER_K, LOGLAM_STEP, PIXEL_KMS, QUASAR_FRAME, see_at
from qnet.simulation.profiles import FWHM_OVER_SIGMA

#: Widths to which the shapes are smoothed, FWHM [km/s]; an object takes the nearest.
WIDTHS = (900.0, 1400.0, 2100.0, 3200.0, 5000.0, 8000.0)

#: Bands [Angstrom] in which the equivalent widths of ultraviolet and optical iron are counted
#: (Shen et al. 2011, ApJS 194, 45, sect. 3.4; Boroson & Green 1992, ApJS 80, 109).
UV_BAND, OPTICAL_BAND = (2200.0, 3090.0), (4434.0, 4684.0)

#: Blends of ultraviolet FeII and FeIII: centre, standard deviation [Angstrom] and height relative
#: to the highest. Approximate, after the template of Vestergaard & Wilkes 2001, ApJS 134, 1 (UV 60
#: to 64, 1 to 3, 35, 36, 78 and their neighbours), with the heights short of 2350 and beyond 2800
#: Angstrom set beside the mean quasar of redrock's templates; 2650-2700 is the gap in it.
UV_BLENDS = (
    (1785.0, 12.0, 0.12), (2030.0, 25.0, 0.08), (2140.0, 40.0, 0.08), (2230.0, 30.0, 0.12),
    (2290.0, 25.0, 0.22), (2345.0, 14.0, 0.40), (2385.0, 18.0, 0.90), (2420.0, 20.0, 0.75),
    (2465.0, 25.0, 0.80), (2510.0, 22.0, 1.00), (2550.0, 20.0, 0.75), (2595.0, 16.0, 0.85),
    (2622.0, 12.0, 0.70), (2675.0, 25.0, 0.18), (2715.0, 12.0, 0.35), (2748.0, 12.0, 0.55),
    (2775.0, 15.0, 0.25), (2835.0, 20.0, 0.50), (2880.0, 20.0, 0.60), (2925.0, 15.0, 0.50),
    (2955.0, 15.0, 0.55), (2990.0, 18.0, 0.30), (3050.0, 30.0, 0.15), (3110.0, 30.0, 0.20),
    (3190.0, 25.0, 0.45), (3275.0, 35.0, 0.32), (3500.0, 60.0, 0.06),
)  # fmt: skip

#: Lines of optical FeII: wavelength in air [Angstrom] and relative strength. Multiplets 27, 28,
#: 37, 38, 41, 42, 48, 49, 40, 46, 55, 74; wavelengths of Moore 1972 (NBS 40), strengths
#: approximate, after I Zw 1 (Veron-Cetty et al. 2004, A&A 417, 515, table A.1; Kovacevic et al.
#: 2010, ApJS 189, 15, table 1).
OPTICAL_LINES = (
    (4128.7, 0.20), (4173.5, 0.40), (4178.9, 0.45), (4233.2, 0.70), (4258.2, 0.20),
    (4273.3, 0.20), (4296.6, 0.35), (4303.2, 0.45), (4351.8, 0.60), (4369.4, 0.15),
    (4385.4, 0.45), (4416.8, 0.45), (4472.9, 0.20), (4489.2, 0.45), (4491.4, 0.50),
    (4508.3, 0.65), (4515.3, 0.65), (4520.2, 0.65), (4522.6, 0.80), (4534.2, 0.15),
    (4541.5, 0.30), (4549.5, 1.00), (4555.9, 0.75), (4576.3, 0.35), (4582.8, 0.40),
    (4583.8, 1.00), (4620.5, 0.20), (4629.3, 0.75), (4666.8, 0.25), (4731.4, 0.20),
    (4923.9, 1.00), (5018.4, 1.20), (5169.0, 1.40), (5197.6, 0.60), (5234.6, 0.65),
    (5264.8, 0.40), (5276.0, 0.75), (5284.1, 0.35), (5316.6, 1.20), (5325.6, 0.20),
    (5337.7, 0.10), (5362.9, 0.50), (5414.1, 0.20), (5425.3, 0.25), (5534.9, 0.25),
    (5991.4, 0.10), (6084.1, 0.08), (6147.7, 0.15), (6238.4, 0.15), (6247.6, 0.25),
    (6416.9, 0.15), (6432.7, 0.10), (6456.4, 0.30), (6516.1, 0.12),
)  # fmt: skip

#: Edge of the Balmer continuum in vacuum [Angstrom], its optical depth there and the temperature
#: [K] (Grandi 1982, ApJ 255, 25, eq. 7; values of Dietrich et al. 2002, ApJ 581, 912, sect. 3.2).
BALMER_EDGE, BALMER_DEPTH, BALMER_KELVIN = 3647.05, 1.0, 15000.0

#: High Balmer lines that merge into the edge: H8 to H50; the lower ones are in the line table.
BALMER_SERIES = range(8, 51)


def _unit_area(shape: FloatArray, band: tuple[float, float]) -> FloatArray:
    """A shape scaled to unit area in a band."""
    wave = QUASAR_FRAME.wave
    inside = (wave >= band[0]) & (wave < band[1])
    width = wave * LOGLAM_STEP * np.log(10)
    return np.asarray(shape / np.sum(shape[inside] * width[inside]), dtype=np.float64)


def _smoothed(shape: FloatArray) -> FloatArray:
    """A shape smoothed to each of `WIDTHS`."""
    sigmas = [width / FWHM_OVER_SIGMA / PIXEL_KMS for width in WIDTHS]
    return np.stack([scipy.ndimage.gaussian_filter1d(shape, sigma) for sigma in sigmas])


@functools.lru_cache(maxsize=1)
def _uv() -> Float32Array:
    """Ultraviolet iron at each of `WIDTHS`."""
    wave = QUASAR_FRAME.wave
    shape = np.zeros_like(wave)
    for centre, sigma, height in UV_BLENDS:
        shape += height * np.exp(-0.5 * ((wave - centre) / sigma) ** 2)
    return np.stack([_unit_area(row, UV_BAND) for row in _smoothed(shape)]).astype(np.float32)


@functools.lru_cache(maxsize=1)
def _optical() -> Float32Array:
    """Optical iron at each of `WIDTHS`."""
    wave = QUASAR_FRAME.wave
    lines, strengths = np.transpose(OPTICAL_LINES)
    pixel = np.searchsorted(wave, air_to_vacuum(lines))
    shape = np.zeros_like(wave)
    np.add.at(shape, pixel, strengths / (wave[pixel] * LOGLAM_STEP))
    return np.stack([_unit_area(row, OPTICAL_BAND) for row in _smoothed(shape)]).astype(np.float32)


@functools.lru_cache(maxsize=1)
def _balmer() -> Float32Array:
    """Balmer continuum and high Balmer lines at each of `WIDTHS`."""
    wave = QUASAR_FRAME.wave
    depth = BALMER_DEPTH * (wave / BALMER_EDGE) ** 3
    planck = wave**-5 / np.expm1(HC_OVER_K / (wave * BALMER_KELVIN))
    # As a ratio to a power law of -1.56, the mean continuum under it.
    shape = planck * -np.expm1(-depth) * wave**1.56
    shape /= np.interp(BALMER_EDGE, wave, shape)
    shape[wave > BALMER_EDGE] = 0.0
    for n in BALMER_SERIES:
        line = BALMER_EDGE * n**2 / (n**2 - 4)
        pixel = int(np.searchsorted(wave, line))
        # Lines of equal height times their spacing carry the edge on past its end; the lower ones
        # are weaker than that (case B, Storey & Hummer 1995, MNRAS 272, 41: H8 is 0.1 of Hbeta).
        area = 8 * BALMER_EDGE / n**3 * min(1.0, (n / 25) ** 1.2)
        shape[pixel] += area / (wave[pixel] * LOGLAM_STEP * np.log(10))
    return _smoothed(shape).astype(np.float32)


def pseudo_continuum(
    z: FloatArray, fwhm: FloatArray, uv: FloatArray, optical: FloatArray, balmer: FloatArray
) -> Float32Array:
    """Iron (equivalent widths [A] in its bands) and Balmer (edge height) against the power law."""
    # The width nearest in the log.
    which = np.argmin(np.abs(np.log(np.asarray(fwhm))[:, None] - np.log(WIDTHS)), axis=1)
    ratio = see_at(_uv(), which, z) * np.asarray(uv, dtype=np.float32)[:, None]
    ratio += see_at(_optical(), which, z) * np.asarray(optical, dtype=np.float32)[:, None]
    ratio += see_at(_balmer(), which, z) * np.asarray(balmer, dtype=np.float32)[:, None]
    return ratio
