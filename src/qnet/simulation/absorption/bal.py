"""Broad absorption lines and their balnicity."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from qnet.core.arrays import BoolArray, Columns, Float32Array, FloatArray, IntArray
from qnet.core.errors import InputError
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.frame import FRAME, LOGLAM_STEP, NPIX

#: Fraction of quasars with visible broad absorption in CIV: 29 580 flagged by eye in DR12Q (Paris
#: et al. 2017, A&A 597, A79, sect. 5.1), some 14 % of those at z > 1.57; 15 % in Gibson et al.
#: 2009, ApJ 692, 758.
FRACTION = 0.14

#: Fraction of them with low-ionisation troughs too (Trump et al. 2006, ApJS 165, 1: 1.3 % of
#: quasars against 26 %; Gibson et al. 2009: 6 to 15 % of BALs), and of these with FeII troughs.
LOW_ION, IRON = 0.12, 0.15

#: Excess reddening of quasars with broad absorption, of high ions only and of low ions too [mag]
#: (Reichard et al. 2003, AJ 126, 2594, sect. 4: 0.023 and 0.077).
EBV = (0.023, 0.077)

#: Velocities over which the balnicity index counts [km/s], how deep [fraction of the continuum] and
#: how wide [km/s] a trough must be (Weymann et al. 1991, ApJ 373, 23, appendix A).
BI_RANGE, BI_DEPTH, BI_WIDTH = (3000.0, 25000.0), 0.9, 2000.0

#: The same for the absorption index, in which narrower and slower troughs count (Hall et al. 2002,
#: ApJS 141, 267, appendix A: 450 km/s).
AI_RANGE, AI_WIDTH = (0.0, 25000.0), 450.0

#: Absorption index of CIV from which the eye sees a trough [km/s]; a choice, three pixels of the
#: classifier's grid at half depth.
AI_VISIBLE = 300.0

#: Wavelengths [Angstrom] that count for the indices: what the spectra of all surveys hold.
BAND = (3600.0, 9800.0)

#: Widths [km/s] of the main trough and its scatter [dex], and the velocity of its edge next to the
#: line: chosen so that the balnicity has the published distribution (Gibson et al. 2009, fig. 4
#: and 6; Paris et al. 2017, fig. 9): a median near 1000 km/s, some 25 % of flagged quasars at zero.
WIDTH, WIDTH_SCATTER, ONSET = 3800.0, 0.35, 3300.0

#: Ions that absorb at the velocity of CIV: rest wavelength [Angstrom] and power of the transmitted
#: light of CIV, the relative depth (composites of Hamann et al. 2019, MNRAS 483, 1808, fig. 6, and
#: Baskin, Laor & Hamann 2013, MNRAS 432, 1525).
HIGH_IONS = (
    (1033.82, 1.1), (1122.6, 0.15), (1215.67, 0.6), (1240.81, 1.1), (1397.0, 0.45), (1549.06, 1.0),
)  # fmt: skip
LOW_IONS = ((1335.3, 0.35), (1670.79, 0.2), (1857.4, 0.45), (2799.12, 0.5))
IRON_IONS = ((2382.76, 0.35), (2600.17, 0.40), (1608.45, 0.1), (2750.0, 0.25))

# Rest wavelength of CIV in HIGH_IONS [Angstrom].
_CIV = 1549.06
# Pixels over which a trough is drawn, from +1500 km/s redward of the line to 31000 blueward.
_RED, _BLUE = 22, 450


class Troughs(NamedTuple):
    """Broad absorption, and whether low ions and iron absorb, shape (nbal,)."""

    row: IntArray  # of the spectrum
    transmission: Float32Array  # of CIV, (nbal, _BLUE + _RED), from blueward of the line to redward
    low_ion: BoolArray
    iron: BoolArray


def balnicity(
    velocity: FloatArray,
    transmission: FloatArray,
    *,
    limits: tuple[float, float] = BI_RANGE,
    width: float = BI_WIDTH,
) -> FloatArray:
    """Balnicity index [km/s] (Weymann et al. 1991, appendix A), of ascending velocity; NaN: gap."""
    # Integral of 1 - f/0.9 where that was positive for `width`; the first `width` does not count.
    step = np.gradient(velocity)
    depth = np.nan_to_num(1 - np.asarray(transmission, dtype=np.float64) / BI_DEPTH, nan=-1.0)
    inside = (velocity >= limits[0]) & (velocity <= limits[1])
    positive = (depth > 0) & inside
    pixel = np.arange(len(velocity))
    before = np.maximum.accumulate(np.where(positive, -1, pixel), axis=1)
    # A run begins at the near edge of its first pixel.
    run = velocity - (velocity - 0.5 * step)[np.minimum(before + 1, len(velocity) - 1)]
    counted = positive & (run >= width)
    return np.asarray(np.sum(np.where(counted, depth, 0.0) * step, axis=1), dtype=np.float64)


def draw(rng: Generator, z: FloatArray, fraction: float = FRACTION) -> Troughs:
    """Draw broad absorption for a fraction of the quasars with CIV, or low ions, in view."""
    if not 0 <= fraction <= 1:
        raise InputError(f"bal_fraction must be from 0 to 1, not {fraction}")
    low_ion, iron = rng.random((2, len(z)))
    low = low_ion < LOW_ION
    chosen = rng.random(len(z)) < fraction
    in_view = _CIV * (1 + z) > BAND[0]
    row = np.flatnonzero(chosen & (in_view | low))
    velocity = outflow_velocity()
    light = np.ones((len(row), len(velocity)), dtype=np.float64)
    ntrough = 1 + np.minimum(rng.poisson(0.6, len(row)), 3)
    onset = rng.gamma(1.3, ONSET / 1.3, len(row)) - 400.0
    span = np.clip(WIDTH * 10 ** (WIDTH_SCATTER * rng.standard_normal(len(row))), 700.0, 20000.0)
    depth = rng.beta(2.4, 1.3, len(row))
    for k in range(4):
        on = ntrough > k
        half = 0.5 * span * on
        centre = onset + half
        power = rng.uniform(2.0, 6.0, len(row))
        x = np.abs(velocity - centre[:, None]) / np.maximum(half, 1.0)[:, None]
        profile = np.exp(-(np.minimum(x, 10.0) ** power[:, None]))
        light *= 1 - (on * depth)[:, None] * profile
        # The next trough lies farther out, mostly narrower and shallower.
        onset = np.where(on, onset + span + rng.exponential(2500.0, len(row)), onset)
        span = np.clip(span * rng.uniform(0.2, 1.1, len(row)), 500.0, 15000.0)
        depth = depth * rng.uniform(0.3, 1.0, len(row))
    light **= 1 + 0.35 * _ripples(rng, len(row), len(velocity))
    np.clip(light, 0.0, 1.0, out=light)
    return Troughs(row, light.astype(np.float32), low[row], (low & (iron < IRON))[row])


def _ripples(rng: Generator, nrow: int, npix: int) -> FloatArray:
    """Structure within troughs: noise smooth over some 600 km/s, between -1 and 1."""
    nodes = rng.uniform(-1, 1, (nrow, npix // 8 + 2))
    position = np.arange(npix) / 8
    left = position.astype(int)
    weight = position - left
    weight = weight * weight * (3 - 2 * weight)
    return np.asarray(nodes[:, left] * (1 - weight) + nodes[:, left + 1] * weight)


def draw_reddening(rng: Generator, troughs: Troughs) -> FloatArray:
    """Draw the excess reddening E(B-V) [mag] of the quasars with broad absorption."""
    return rng.exponential(np.where(troughs.low_ion, EBV[1], EBV[0]))


def outflow_velocity() -> FloatArray:
    """Velocity [km/s] towards us of the pixels of `Troughs.transmission`, relativistic Doppler."""
    ratio2 = 10 ** (2 * LOGLAM_STEP * (np.arange(_BLUE + _RED) - _BLUE))
    return np.asarray(SPEED_OF_LIGHT * (1 - ratio2) / (1 + ratio2), dtype=np.float64)


def _seen(troughs: Troughs, z: FloatArray, rest: float, power: float) -> FloatArray:
    """Light that an ion lets through, by ascending velocity; NaN out of `BAND`."""
    wave = rest * 10 ** (LOGLAM_STEP * (np.arange(_BLUE + _RED) - _BLUE))
    observed = wave * (1 + z[troughs.row])[:, None]
    inside = (observed >= BAND[0]) & (observed <= BAND[1])
    return np.where(inside, troughs.transmission**power, np.nan)[:, ::-1]


def indices(troughs: Troughs, z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Balnicity and absorption index [km/s] of CIV in the part of the troughs that spectra hold."""
    velocity, light = outflow_velocity()[::-1], _seen(troughs, z, _CIV, 1.0)
    ai = balnicity(velocity, light, limits=AI_RANGE, width=AI_WIDTH)
    return balnicity(velocity, light), ai


def truth(troughs: Troughs, z: FloatArray) -> Columns:
    """Truth columns: whether the eye sees a trough, indices of CIV [km/s], and of low ions."""
    seen, low_ion = np.zeros(len(z), dtype=np.int16), np.zeros(len(z), dtype=bool)
    bi, ai = np.zeros(len(z)), np.zeros(len(z))
    bi[troughs.row], ai[troughs.row] = indices(troughs, z)
    visible = ai[troughs.row] > AI_VISIBLE
    for rest, power in LOW_IONS:
        light = _seen(troughs, z, rest, power)
        index = balnicity(outflow_velocity()[::-1], light, limits=AI_RANGE, width=AI_WIDTH)
        visible |= troughs.low_ion & (index > AI_VISIBLE)
    seen[troughs.row], low_ion[troughs.row] = visible, troughs.low_ion
    return {"BAL_FLAG_VI": seen, "BI_CIV": bi, "AI_CIV": ai, "LOBAL": low_ion}


def absorb(flux: Float32Array, troughs: Troughs, z: FloatArray) -> None:
    """Put the troughs of all ions into the light of nuclei, without host, on `FRAME`, in place."""
    light = np.log(np.maximum(troughs.transmission, 1e-4))
    for i, row in enumerate(troughs.row):
        ions = list(HIGH_IONS)
        ions += list(LOW_IONS) * bool(troughs.low_ion[i]) + list(IRON_IONS) * bool(troughs.iron[i])
        for rest, power in ions:
            first = int(np.rint(FRAME.pixel(rest * (1 + z[row])))) - _BLUE
            start, stop = max(first, 0), min(first + _BLUE + _RED, NPIX)
            if start < stop:
                part = light[i, start - first : stop - first]
                flux[row, start:stop] *= np.exp(np.float32(power) * part)
