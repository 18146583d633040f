"""Quasars drawn from redrock's template files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from qnet.core.arrays import Float32Array, FloatArray, IntArray
from qnet.core.luminosity import log_luminosity
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.absorption import bal
from qnet.simulation.absorption.absorbers import sight_lines
from qnet.simulation.frame import NPIX, Z_MAX, Objects, positive, scale_to_r, shift, z_and_rmag
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

#: Velocity of the templates' rest frame against systemic, over the speed of light: MgII, a proxy of
#: the redshift there (Brodzeller et al. 2023, AJ 166, 66), is where `emission` has it.
FRAME_SHIFT = emission.BROAD_LINES[emission.column("MgII")].shift / SPEED_OF_LIGHT

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
    chosen = _choose_quasar_sets(rng, sets, z)
    for number, each in enumerate(sets):
        rows = np.flatnonzero(chosen == number)
        if rows.size:
            mixed = _quasar_mix(rng, each, rows.size)
            light[rows] = shift(mixed, z[rows] + FRAME_SHIFT * (1 + z[rows]), start=each.start)
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
    log_l1700 = log_luminosity(rmag, z, 1700.0)
    flux *= np.exp(-sight_lines(rng, z, log_l1700)[0])
    absorbed = bal.truth(troughs, z)
    truth = {
        "TRUEZ": z,
        "TRUESPECTYPE": np.full(count, "QSO"),
        "TRUESUBTYPE": np.where(absorbed["BAL_FLAG_VI"] == 1, "BAL", ""),
        **absorbed,
        "RMAG": rmag,
        "EBV": ebv,
        "LOG_L1700": log_l1700,
    }
    return Objects(flux, truth)


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
