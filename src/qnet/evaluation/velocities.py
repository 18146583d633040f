"""Redshift errors: bias, scatter, outliers, and the lines that were mistaken for another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qnet.core.arrays import FloatArray, IntArray, nmad
from qnet.evaluation.breakdown import Confusion
from qnet.evaluation.metric import Metric, define, fraction, statistic
from qnet.evaluation.options import OUTLIER_VELOCITIES, Options, line_criterion, velocity
from qnet.evaluation.result import Result
from qnet.evaluation.sample import Sample
from qnet.lines import QUASARNET_LINES, SPEED_OF_LIGHT, absorber_IGM

#: Pulls beyond these are counted.
PULL_LIMITS = (3.0, 5.0)

_SECTION = "redshift errors"

#: Definition of the table of confused lines.
LINE_CONFUSION = (
    "true quasars called quasars whose redshift is not right, by the line that was there (rows) "
    "and the line that it was taken for (columns): the most confident one where confidences are "
    "known, else that of the best pair; 'other' where no pair's ratio of rest wavelengths is "
    "(1 + ZBEST)/(1 + z) within {dv_max:g} km/s"
)


def redshift_errors(sample: Sample, options: Options) -> Iterator[Metric]:
    """Statistics of dv of the quasars: of ZBEST, and of each line where it is above threshold."""
    result, quasar, dv = sample.result, sample.quasar, sample.dv
    yield from dv_statistics(dv[quasar & sample.called & np.isfinite(dv)], options, "ZBEST")
    if result.zerr is not None:
        yield from _pulls(sample, result.zerr, options)
    if result.c_lines is None or result.z_lines is None:
        return
    threshold, _ = line_criterion(result, options)
    dv = velocity(result.z_lines, sample.z[:, None])
    found = (result.c_lines > threshold) & (quasar & ~result.never_qso)[:, None]
    found &= np.isfinite(dv)
    for at, line in enumerate(result.lines):
        yield from dv_statistics(dv[found[:, at], at], options, line)


def _pulls(sample: Sample, zerr: FloatArray, options: Options) -> Iterator[Metric]:
    """Width and tails of the pulls of redshifts that are no outliers."""
    near = sample.quasar & sample.called & (np.abs(sample.dv) <= OUTLIER_VELOCITIES[0])
    near &= (zerr > 0) & np.isfinite(zerr)
    pull = ((sample.result.zbest - sample.z)[near]) / zerr[near]
    yield statistic(_SECTION, "pull_width", nmad, (pull,), options, "ZBEST")
    everything = np.ones(len(pull), dtype=bool)
    for limit in PULL_LIMITS:
        name = f"pull_{limit:g}"
        yield fraction(_SECTION, name, np.abs(pull) > limit, everything, options, "ZBEST")


def dv_statistics(dv: FloatArray, options: Options, where: str) -> Iterator[Metric]:
    """Medians, NMAD and outlier fractions of finite velocity errors [km/s]."""
    yield statistic(_SECTION, "dv_median", np.median, (dv,), options, where, "km/s")
    yield statistic(_SECTION, "dv_abs_median", np.median, (np.abs(dv),), options, where, "km/s")
    yield statistic(_SECTION, "dv_nmad", nmad, (dv,), options, where, "km/s")
    everything = np.ones(len(dv), dtype=bool)
    for limit in OUTLIER_VELOCITIES:
        name = f"outliers_{limit:.0f}"
        yield fraction(_SECTION, name, np.abs(dv) > limit, everything, options, where)


def line_confusion(sample: Sample, options: Options) -> tuple[Confusion, Metric]:
    """Lines confused, of the true quasars called at a wrong redshift, and their fraction."""
    # A line of rest wavelength A at the true redshift is seen where a line of rest wavelength B is
    # at the wrong one: (1 + zbest) / (1 + z) = A / B.
    result = sample.result
    lines, rest = known_lines(result)
    wrong = np.flatnonzero(sample.called & sample.quasar & ~sample.right)
    ratio = (1 + result.zbest[wrong]) / (1 + sample.z[wrong])
    best = None
    if result.c_lines is not None and result.lines == lines:
        confidence = result.c_lines[wrong]
        best = np.where(np.isnan(confidence), -np.inf, confidence).argmax(axis=1)
    there, taken = explain(ratio, rest, best, options.dv_max)
    names = (*lines, "other")
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (there, taken), 1)
    explained = np.zeros(len(sample), dtype=bool)
    explained[wrong] = there < len(lines)
    whole = sample.called & sample.quasar
    metric = fraction("classification", "line_confusion", explained, whole, options)
    return Confusion(names, names, counts, define(LINE_CONFUSION, options)), metric


def explain(
    ratio: FloatArray, rest: FloatArray, best: IntArray | None, dv_max: float
) -> tuple[IntArray, IntArray]:
    """Numbers of the line that was there and the one it was taken for; nlines is none."""
    # The pair of rest wavelengths A / B nearest to ratio = (1 + zbest) / (1 + z) counts, with
    # c |ratio / (A / B) - 1| <= dv_max [km/s], and B the line `best` where that is known.
    nlines = len(rest)
    with np.errstate(divide="ignore", invalid="ignore"):
        pairs = rest[:, None] / rest[None, :]
        apart = SPEED_OF_LIGHT * np.abs(ratio[:, None, None] / pairs - 1)
    apart[:, np.arange(nlines), np.arange(nlines)] = np.inf
    if best is not None:
        apart = np.where(np.arange(nlines) == best[:, None, None], apart, np.inf)
    apart = np.where(apart <= dv_max, apart, np.inf)
    flat = apart.reshape(len(ratio), nlines * nlines)
    there, taken = np.divmod(flat.argmin(axis=1), nlines)
    none = ~np.isfinite(flat).any(axis=1)
    there[none], taken[none] = nlines, nlines
    return there, taken if best is None else best


def known_lines(result: Result) -> tuple[tuple[str, ...], FloatArray]:
    """A catalogue's lines and rest wavelengths; QuasarNET's where it does not state them."""
    if result.lines and all(line in result.rest for line in result.lines):
        return result.lines, np.array([result.rest[line] for line in result.lines])
    return QUASARNET_LINES, np.array([absorber_IGM[line] for line in QUASARNET_LINES])
