"""Quasars drawn from redrock's template files."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.ndimage
from numpy.random import Generator

from qnet.core.arrays import Float32Array, FloatArray, IntArray
from qnet.core.luminosity import log_luminosity
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.absorption import bal
from qnet.simulation.absorption.absorbers import sight_lines
from qnet.simulation.frame import (
    FRAME,
    LOGLAM_STEP,
    NPIX,
    PIXEL_KMS,
    Z_MAX,
    Objects,
    positive,
    scale_to_r,
    z_and_rmag,
)
from qnet.simulation.quasars import continuum, emission, parametric
from qnet.simulation.template_files import TemplateSet

#: Standard deviation of what each vector after the first adds to a template quasar, relative to the
#: first, at the wavelength where it adds most: the peaks of CIV and Lyman alpha. The files hold no
#: coefficients of quasars and no eigenvalues; with much more, line profiles turn over.
QUASAR_CHANGE = 0.15

#: Scatter [dex] of the strength of all lines together, and of each stretch of `LINE_STRETCH` in ln
#: wavelength against its neighbours. The vectors change the lines beyond 2000 A by a few per cent
#: only; those of real quasars scatter by 0.2 dex (Shen et al. 2011, ApJS 194, 45, fig. 13).
LINE_SCATTER, STRETCH_SCATTER, LINE_STRETCH = 0.15, 0.13, 0.03

#: Wavelengths [Angstrom] with little line emission, between which the continuum under the lines is
#: taken to be straight (Vanden Berk et al. 2001, AJ 122, 549, section 4.1 and table 5).
_CONTINUUM = (
    1000, 1040, 1160, 1285, 1350, 1455, 1700, 2200, 3030, 3600, 4000, 4200, 4700, 5100, 5600, 6100,
    7100, 8100, 9100,
)  # fmt: skip

#: Lines by which a template's wavelengths are moved, so that each has the velocity against systemic
#: that `emission` draws: name, vacuum wavelength [Angstrom], and the mean velocity [km/s] where it
#: is not that of the line alone (Shen et al. 2016, ApJ 831, 7, table 3: CIII] with its neighbours;
#: [OII]; [OIII]). The templates' own frame is near that of MgII (Brodzeller et al. 2023, AJ 166,
#: 66), and their CIV has one velocity at all luminosities.
ANCHORS = (
    ("LYA", 1215.67, None), ("SiIV+OIV]", 1399.41, None), ("CIV", 1549.06, None),
    ("CIII]", 1908.73, -229.0), ("MgII", 2798.75, None), ("[OII]", 3728.48, 8.0),
    ("[OIII]", 5008.24, -48.0),
)  # fmt: skip

#: Where the peak of a line of a template is looked for, and where its continuum is taken; smoothing
#: [km/s]. The peak is the centroid of what is above a fraction of its height, which must be above a
#: fraction of the continuum.
_PEAK, _BESIDE, _SMOOTHING, _TOP, _LEAST_HEIGHT = 2500.0, (8000.0, 9000.0), 300.0, 0.85, 0.03

#: Draws are cut at this many standard deviations, and a quasar must stay everywhere between these
#: multiples of the first vector.
_CUT, _LEAST, _MOST = 2.5, 0.35, 3.0

#: Scatter of a power of wavelength by which template quasars are tilted: that of quasar slopes
#: (Richards et al. 2003, AJ 126, 1131) in what the vectors leave.
QUASAR_TILT = 0.25

#: Where the templates of quasars hold the light that Lyman limit systems leave in the mean
#: [Angstrom]; shorter of it the light is a power law, wave^-0.3 (Lusso et al. 2015, MNRAS 449,
#: 4204: frequency^-1.7), and the limit systems are drawn.
_LYMAN_EDGE, _LYMAN_SLOPE = 980.0, -0.3


def draw(
    rng: Generator,
    sets: Sequence[TemplateSet],
    z: npt.ArrayLike,
    rmag: npt.ArrayLike,
    *,
    bal_fraction: float,
) -> Objects:
    """Quasars drawn from template files, as `templates.Templates.quasars` describes it."""
    z, rmag = z_and_rmag(z, rmag, (0.0, Z_MAX))
    count = len(z)
    light = np.empty((count, NPIX), dtype=np.float32)
    log_l1700 = log_luminosity(rmag, z, 1700.0)
    velocities = _draw_velocities(rng, z, log_l1700)
    chosen = _choose_quasar_sets(rng, sets, z)
    for number, each in enumerate(sets):
        rows = np.flatnonzero(chosen == number)
        if rows.size:
            mixed = _quasar_mix(rng, each, rows.size)
            light[rows] = _see(mixed, each, z[rows], velocities[rows])
    light *= continuum.tilt(z, QUASAR_TILT * np.clip(rng.standard_normal(count), -_CUT, _CUT))
    troughs = bal.draw(rng, z, bal_fraction)
    # Few are red (as in `parametric`): the templates already hold the mean reddening.
    ebv = np.where(rng.uniform(size=count) < 0.1, rng.exponential(0.15, count), 0.0)
    ebv = ebv + rng.exponential(parametric.EBV_MEAN, count)
    ebv[troughs.row] += bal.draw_reddening(rng, troughs)
    ebv = np.minimum(ebv, 0.6)
    bal.absorb(light, troughs, z)
    light *= continuum.dimming(z, ebv)
    flux = scale_to_r(positive(light), rmag)
    flux *= np.exp(-sight_lines(rng, z, log_l1700)[0])
    absorbed = bal.truth(troughs, z)
    truth = {
        "TRUEZ": z,
        "TRUESPECTYPE": np.full(count, "QSO"),
        "TRUESUBTYPE": np.where(absorbed["BAL_FLAG_VI"] == 1, "BAL", ""),
        **absorbed,
        "RMAG": rmag,
        "EBV": ebv,
        "CIV_SHIFT": velocities[:, [name for name, *_ in ANCHORS].index("CIV")],
        "LOG_L1700": log_l1700,
    }
    return Objects(flux, truth)


def _draw_velocities(rng: Generator, z: FloatArray, log_l1700: FloatArray) -> FloatArray:
    """Velocities [km/s] of the lines of `ANCHORS` against systemic, shape (nspec, nlines)."""
    lines = {line.name: number for number, line in enumerate(emission.BROAD_LINES)}
    drawn, *_ = emission.draw_velocities(rng, log_l1700, np.zeros(len(z), dtype=bool))
    columns = []
    for name, _, mean in ANCHORS:
        own = drawn[:, lines[name]] if name in lines else np.zeros(len(z))
        if mean is not None:
            own = own + mean - (emission.BROAD_LINES[lines[name]].shift if name in lines else 0.0)
        columns.append(own)
    return np.stack(columns, axis=1)


@functools.lru_cache(maxsize=8)
def _own_velocities(each: TemplateSet) -> FloatArray:
    """Velocities [km/s] of the lines of `ANCHORS` in a template's first vector; NaN for no line."""
    light = scipy.ndimage.gaussian_filter1d(each.vectors[0].astype(float), _SMOOTHING / PIXEL_KMS)
    return np.array([_peak(each.wave, light, rest) for _, rest, _ in ANCHORS])


def _peak(wave: FloatArray, light: FloatArray, rest: float) -> float:
    """Velocity [km/s] of the peak of a line; NaN where there is none."""
    velocity = SPEED_OF_LIGHT * (wave / rest - 1)
    near, far = _BESIDE
    sides = (velocity > -far) & (velocity < -near), (velocity > near) & (velocity < far)
    if not all(side.any() for side in sides):
        return np.nan
    level = np.interp(velocity, (-far, far), [light[side].mean() for side in sides])
    inside = np.abs(velocity) < _PEAK
    height = (light - level)[inside]
    if height.max() < _LEAST_HEIGHT * level[inside].mean():
        return np.nan
    top = np.where(height > _TOP * height.max(), height, 0.0)
    return float((velocity[inside] * top).sum() / top.sum())


def _see(
    light: Float32Array, each: TemplateSet, z: FloatArray, velocity: FloatArray
) -> Float32Array:
    """Mixed templates on `FRAME`, at systemic redshifts, lines at velocities (nspec, nlines)."""
    own = _own_velocities(each)
    known = np.isfinite(own)
    nodes, move = np.log([rest for _, rest, _ in ANCHORS])[known], (velocity - own)[:, known]
    wave, pixel = np.log(FRAME.wave), np.arange(light.shape[1], dtype=float)
    seen = np.empty((len(light), NPIX), dtype=np.float32)
    for row, flux in enumerate(light):
        rest = wave - np.log1p(z[row])
        if known.any():
            rest = rest - np.interp(rest, nodes, move[row]) / SPEED_OF_LIGHT
        seen[row] = np.interp((rest / np.log(10) - each.start) / LOGLAM_STEP, pixel, flux)
    return seen


def _choose_quasar_sets(rng: Generator, sets: Sequence[TemplateSet], z: FloatArray) -> IntArray:
    """Index of a file for each redshift, at random among those whose range holds it."""
    limits = np.array([each.redshifts for each in sets])
    away = np.maximum(limits[:, :1] - z, z - limits[:, 1:]).clip(0.0)
    near = away <= away.min(axis=0)
    chances = np.where(near, rng.uniform(size=near.shape), -1.0)
    return np.asarray(np.argmax(chances, axis=0), dtype=np.int64)


def _quasar_mix(rng: Generator, each: TemplateSet, count: int) -> Float32Array:
    """Random mixes of the vectors of quasars that stay near the first."""
    vectors = _without_limit(each)
    first = vectors[0]
    # Pixels that the sample of the template determined well.
    margin = max(10, len(each.wave) // 50)
    low = max(margin, int(np.searchsorted(each.wave, _LYMAN_EDGE)))
    used = slice(low, len(each.wave) - margin)
    relative = vectors[1:, used] / first[used]
    smooth = relative[:, : len(relative[0]) // 10 * 10].reshape(len(relative), -1, 10).mean(axis=2)
    scale = QUASAR_CHANGE / np.abs(smooth).max(axis=1)
    weights = scale * np.clip(rng.standard_normal((count, len(relative))), -_CUT, _CUT)
    # Shrink, rather than draw again, what leaves the limits: a fixed number of random numbers.
    ratio = 1 + weights @ smooth
    lowest, highest = 1 - ratio.min(axis=1), ratio.max(axis=1) - 1
    weights /= np.maximum(np.maximum(lowest / (1 - _LEAST), highest / (_MOST - 1)), 1.0)[:, None]
    mixed = np.asarray(first + weights.astype(np.float32) @ vectors[1:], dtype=np.float32)
    return positive(_vary_lines(rng, each.wave, mixed))


def _vary_lines(rng: Generator, wave: FloatArray, flux: Float32Array) -> Float32Array:
    """Make the lines of quasars stronger or weaker over their continua."""
    nodes = np.array([node for node in _CONTINUUM if wave[0] + 15 < node < wave[-1] - 15])
    if not nodes.size:
        return flux
    count = len(flux)
    means = [flux[:, np.abs(wave - node) < 15].mean(axis=1) for node in nodes]
    level = np.stack(means, axis=1) @ _hats(wave, nodes)
    knots = np.exp(np.arange(np.log(wave[0]), np.log(wave[-1]) + LINE_STRETCH, LINE_STRETCH))
    draws = np.clip(rng.standard_normal((count, len(knots))), -_CUT, _CUT)
    common = np.clip(rng.standard_normal((count, 1)), -_CUT, _CUT)
    dex = (STRETCH_SCATTER * draws + LINE_SCATTER * common).astype(np.float32)
    factor = np.exp(np.float32(np.log(10.0)) * (dex @ _hats(wave, knots)))
    return np.asarray(level + (flux - level) * factor, dtype=np.float32)


def _hats(wave: FloatArray, nodes: FloatArray) -> Float32Array:
    """Weights of nodes for straight lines between them, shape (nnodes, npix)."""
    return np.stack([np.interp(wave, nodes, row) for row in np.eye(len(nodes))]).astype(np.float32)


def _without_limit(each: TemplateSet) -> Float32Array:
    """Vectors whose light short of the Lyman limit is a power law."""
    wave, vectors = each.wave, each.vectors
    edge = int(np.searchsorted(wave, _LYMAN_EDGE))
    if edge == 0:
        return vectors
    level = vectors[:, edge : edge + 100].mean(axis=1, keepdims=True)
    power = (wave[:edge] / _LYMAN_EDGE) ** _LYMAN_SLOPE
    filled = vectors.copy()
    filled[:, :edge] = level * power
    return filled
