"""Starlight of the host galaxies of quasars."""

from __future__ import annotations

import functools

import numpy as np
import scipy.interpolate
import scipy.ndimage

from qnet.core.arrays import Float32Array, FloatArray
from qnet.simulation.frame import FRAME, LOGLAM_STEP, PIXEL_KMS, QUASAR_FRAME, see_at
from qnet.simulation.quasars.continuum import PIVOT

#: Continuum of old stars: wavelength [Angstrom] and f_lambda, 1 at 5100. Approximate, after the
#: elliptical templates of Coleman, Wu & Weedman 1980, ApJS 43, 393, and Mannucci et al. 2001, MNRAS
#: 326, 745.
OLD = (
    (900.0, 1e-4), (1500.0, 0.02), (2000.0, 0.025), (2500.0, 0.05), (2640.0, 0.09), (2800.0, 0.12),
    (2900.0, 0.18), (3100.0, 0.22), (3400.0, 0.34), (3650.0, 0.42), (3850.0, 0.46), (3960.0, 0.56),
    (4030.0, 0.82), (4200.0, 0.86), (4350.0, 0.90), (4500.0, 1.00), (4800.0, 1.03), (5100.0, 1.00),
    (5500.0, 1.02), (6000.0, 1.02), (6600.0, 0.99), (7000.0, 0.97), (7600.0, 0.95), (8500.0, 0.90),
    (9500.0, 0.82), (11000.0, 0.70),
)  # fmt: skip

#: The same for young stars, some 0.1 to 1 Gyr: a Balmer break in place of the 4000-Angstrom one.
#: Approximate, after the model spectra of Bruzual & Charlot 2003, MNRAS 344, 1000 (fig. 4).
YOUNG = (
    (900.0, 0.3), (1200.0, 0.8), (1500.0, 0.9), (2000.0, 0.75), (2500.0, 0.72), (3000.0, 0.75),
    (3500.0, 0.80), (3650.0, 0.84), (3750.0, 1.05), (3900.0, 1.35), (4100.0, 1.42), (4500.0, 1.25),
    (5100.0, 1.00), (6000.0, 0.77), (7000.0, 0.60), (8200.0, 0.46), (9500.0, 0.38), (11000.0, 0.29),
)  # fmt: skip

#: Absorption in old stars: vacuum wavelength [Angstrom], equivalent width [Angstrom], full width
#: of the blend [Angstrom]. Typical values of the indices of early-type galaxies (Trager et al.
#: 1998, ApJS 116, 1; CaII H and K: Rose 1984, AJ 89, 1238; CaII triplet: Cenarro et al. 2001,
#: MNRAS 326, 959; MgII and MgI: Fanelli et al. 1990, ApJ 364, 272; TiO bands in air: Trager).
OLD_LINES = (
    (2797.0, 12.0, 20.0), (2852.0, 6.0, 12.0), (3580.0, 7.0, 60.0), (3720.0, 5.0, 30.0),
    (3735.0, 3.0, 10.0), (3820.0, 6.0, 25.0), (3837.0, 3.0, 10.0), (3870.0, 5.0, 30.0),
    (3934.8, 8.0, 16.0), (3969.6, 7.0, 14.0), (4047.0, 1.0, 8.0), (4102.9, 0.8, 10.0),
    (4170.0, 4.0, 55.0), (4227.9, 1.3, 8.0), (4306.0, 5.5, 28.0), (4341.7, 1.0, 10.0),
    (4384.8, 4.0, 25.0), (4455.0, 1.5, 15.0), (4532.0, 2.5, 30.0), (4669.0, 3.0, 40.0),
    (4862.7, 1.7, 8.0), (5015.0, 4.0, 40.0), (5110.0, 2.5, 60.0), (5176.6, 4.5, 24.0),
    (5271.0, 2.8, 18.0), (5330.0, 2.5, 16.0), (5406.0, 1.6, 15.0), (5711.0, 0.9, 15.0),
    (5785.0, 0.8, 15.0), (5894.6, 4.5, 12.0), (5960.0, 1.5, 50.0), (6233.0, 6.0, 80.0),
    (6498.0, 1.2, 12.0), (6564.6, 1.0, 8.0), (7100.0, 9.0, 120.0), (7220.0, 4.0, 60.0),
    (8190.0, 1.0, 12.0), (8500.4, 1.6, 7.0), (8544.4, 4.2, 9.0), (8664.5, 3.5, 9.0),
)  # fmt: skip

#: The same in young stars (Balmer lines: Gonzalez Delgado et al. 1999, ApJS 125, 489).
YOUNG_LINES = (
    (1400.0, 3.0, 15.0), (1549.0, 4.0, 15.0), (2797.0, 4.0, 14.0), (3704.9, 2.5, 10.0),
    (3713.0, 3.0, 11.0), (3723.0, 3.5, 12.0), (3735.4, 4.0, 13.0), (3751.2, 5.0, 14.0),
    (3771.7, 6.0, 15.0), (3798.9, 6.5, 16.0), (3836.5, 7.0, 17.0), (3890.2, 7.0, 18.0),
    (3934.8, 1.8, 8.0), (3971.2, 7.5, 18.0), (4102.9, 7.0, 20.0), (4341.7, 6.5, 20.0),
    (4472.7, 0.8, 8.0), (4862.7, 6.0, 20.0), (5176.6, 0.8, 18.0), (5894.6, 1.0, 10.0),
    (6564.6, 4.0, 18.0), (8500.4, 1.2, 8.0), (8544.4, 2.5, 10.0), (8600.8, 2.0, 14.0),
    (8664.5, 2.5, 10.0), (8752.9, 2.5, 16.0), (8865.2, 2.5, 16.0),
)  # fmt: skip

#: Velocity dispersion of the stars [km/s]: that of black holes of 1e8 solar masses (Kormendy & Ho
#: 2013, ARA&A 51, 511, eq. 7).
DISPERSION = 180.0

#: Emission of gas around young stars: vacuum wavelength [Angstrom] and flux relative to Halpha, of
#: a metal-rich star-forming galaxy (Kennicutt 1992, ApJ 388, 310; Moustakas & Kennicutt 2006,
#: ApJS 164, 81).
GAS_LINES = (
    (3727.09, 0.28), (3729.88, 0.36), (4341.68, 0.13), (4862.68, 0.29), (4960.30, 0.06),
    (5008.24, 0.18), (6549.86, 0.13), (6564.61, 1.00), (6585.27, 0.38), (6718.29, 0.19),
    (6732.67, 0.14),
)  # fmt: skip


@functools.lru_cache(maxsize=1)
def _stars() -> Float32Array:
    """Old and young stars on the grid of the rest frame, 1 at `PIVOT`."""
    wave = QUASAR_FRAME.wave
    shapes = []
    for points, lines in ((OLD, OLD_LINES), (YOUNG, YOUNG_LINES)):
        nodes, levels = np.transpose(points)
        curve = scipy.interpolate.PchipInterpolator(np.log(nodes), np.log(levels))
        inside = np.log(np.clip(wave, nodes[0], nodes[-1]))
        shape = np.exp(curve(inside))
        for centre, width, extent in lines:
            # Half of the blend's full width is 2 sigma of the Gaussian used for it.
            sigma = extent / 4
            depth = width / (sigma * np.sqrt(2 * np.pi))
            shape *= np.exp(-depth * np.exp(-0.5 * ((wave - centre) / sigma) ** 2))
        shape = scipy.ndimage.gaussian_filter1d(shape, DISPERSION / PIXEL_KMS)
        shapes.append(shape / np.interp(PIVOT, wave, np.exp(curve(inside))))
    return np.asarray(shapes, dtype=np.float32)


def starlight(z: FloatArray, young: FloatArray, tilt: FloatArray) -> Float32Array:
    """Hosts on the frame, near 1 at rest `PIVOT`, by fraction of young stars and power of wave."""
    fraction = np.asarray(young, dtype=np.float32)[:, None]
    light = see_at(_stars(), 0, z) * (1 - fraction)
    light += see_at(_stars(), 1, z) * fraction
    pixel = np.arange(light.shape[1], dtype=np.float32) * np.float32(LOGLAM_STEP * np.log(10))
    start = np.log(10) * FRAME.start - np.log1p(z) - np.log(PIVOT)
    tilted = np.asarray(tilt, dtype=np.float32)[:, None] * (
        pixel + np.asarray(start, dtype=np.float32)[:, None]
    )
    light *= np.exp(tilted, out=tilted)
    return light
