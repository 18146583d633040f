"""Redshift errors: bias, scatter, outliers, and which line was taken for which."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qnet.core.arrays import FloatArray, IntArray
from qnet.evaluation.breakdown import Confusion
from qnet.evaluation.catalogues import Result
from qnet.evaluation.definitions import LINE_CONFUSION, fill
from qnet.evaluation.intervals import median, nmad
from qnet.evaluation.metric import Metric, fraction, statistic
from qnet.evaluation.options import OUTLIER_VELOCITIES, Options, line_rule, velocity
from qnet.evaluation.sample import Sample
from qnet.lines import QUASARNET_LINES, SPEED_OF_LIGHT, absorber_IGM

_SECTION = "redshift errors"


def redshift_errors(sample: Sample, options: Options) -> Iterator[Metric]:
    """Statistics of dv, of ZBEST and of each line that is above the threshold."""
    dv = sample.dv
    yield from dv_statistics(dv[sample.quasar & sample.called & np.isfinite(dv)], options, "ZBEST")
    for line, values in line_velocities(sample, options).items():
        yield from dv_statistics(values, options, line)


def line_velocities(sample: Sample, options: Options) -> dict[str, FloatArray]:
    """Velocity errors [km/s] of each line, of the true quasars where it is above the threshold."""
    result = sample.result
    if result.c_lines is None or result.z_lines is None:
        return {}
    threshold, _ = line_rule(result, options)
    dv = velocity(result.z_lines, sample.z[:, None])
    with np.errstate(invalid="ignore"):
        found = (result.c_lines > threshold) & (sample.quasar & ~result.never)[:, None]
    found &= np.isfinite(dv)
    return {line: dv[found[:, at], at] for at, line in enumerate(result.lines)}


def dv_statistics(dv: FloatArray, options: Options, where: str) -> Iterator[Metric]:
    """Median, median of the absolute value, NMAD and outlier fractions of velocity errors.

    Parameters
    ----------
    dv : ndarray of float64, shape (n,)
        [km/s], finite.
    options : Options
    where : str
        What they are the errors of.

    Yields
    ------
    Metric
    """
    yield statistic(_SECTION, "dv_median", median, (dv,), options, where, "km/s")
    yield statistic(_SECTION, "dv_abs_median", median, (np.abs(dv),), options, where, "km/s")
    yield statistic(_SECTION, "dv_nmad", nmad, (dv,), options, where, "km/s")
    everything = np.ones(len(dv), dtype=bool)
    for limit in OUTLIER_VELOCITIES:
        name = f"outliers_{limit:.0f}"
        yield fraction(_SECTION, name, np.abs(dv) > limit, everything, options, where)


def line_confusion(sample: Sample, options: Options) -> tuple[Confusion, Metric]:
    """Which line was taken for which, of the true quasars called at a wrong redshift.

    A line of rest wavelength A at the true redshift lies where a line of rest wavelength B lies at
    the wrong one: (1 + zbest) / (1 + z) = A / B.

    Parameters
    ----------
    sample : Sample
    options : Options
        dv_max is how far, as a velocity, the ratio may lie from A / B.

    Returns
    -------
    table : Confusion
        Rows: the line that was there. Columns: the line that it was taken for.
    share : Metric
        Of the true quasars called quasars, those that a pair of lines explains.
    """
    result = sample.result
    lines, rest = known_lines(result)
    wrong = np.flatnonzero(sample.called & sample.quasar & ~sample.right)
    ratio = (1 + result.zbest[wrong]) / (1 + sample.z[wrong])
    known = result.c_lines is not None and result.lines == lines
    best = _best_line(result.c_lines[wrong]) if known and result.c_lines is not None else None
    there, taken = explain(ratio, rest, best, options.dv_max)
    names = (*lines, "other")
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (there, taken), 1)
    explained = np.zeros(len(sample), dtype=bool)
    explained[wrong] = there < len(lines)
    whole = sample.called & sample.quasar
    share = fraction("classification", "line_confusion", explained, whole, options)
    return Confusion(names, names, counts, fill(LINE_CONFUSION, options)), share


def explain(
    ratio: FloatArray, rest: FloatArray, best: IntArray | None, dv_max: float
) -> tuple[IntArray, IntArray]:
    """The pair of lines whose ratio of rest wavelengths is nearest to (1 + zbest) / (1 + z).

    Parameters
    ----------
    ratio : ndarray of float64, shape (n,)
    rest : ndarray of float64, shape (nlines,)
        Rest wavelengths [Angstrom].
    best : ndarray of int64, shape (n,), or None
        Number of the line that the redshift rests on, where it is known.
    dv_max : float
        [km/s] No pair where c |ratio / (A / B) - 1| is more than this.

    Returns
    -------
    there, taken : ndarray of int64, shape (n,)
        Numbers of the line A that was there and of the line B that it was taken for; nlines is
        none (`taken` is `best` all the same where that is known).
    """
    nlines = len(rest)
    with np.errstate(divide="ignore", invalid="ignore"):
        pairs = rest[:, None] / rest[None, :]
        apart = SPEED_OF_LIGHT * np.abs(ratio[:, None, None] / pairs - 1)
    apart[:, np.arange(nlines), np.arange(nlines)] = np.inf
    if best is not None:
        apart = np.where(np.arange(nlines) == best[:, None, None], apart, np.inf)
    apart = np.where(apart <= dv_max, apart, np.inf)
    flat = apart.reshape(len(ratio), nlines * nlines)
    nearest = flat.argmin(axis=1) if nlines else np.zeros(len(ratio), dtype=np.int64)
    none = ~np.isfinite(flat).any(axis=1)
    there, taken = np.divmod(nearest, max(nlines, 1))
    there[none], taken[none] = nlines, nlines
    return there, taken if best is None else best


def _best_line(c_lines: FloatArray) -> IntArray:
    """Number of the most confident line."""
    return np.asarray(np.where(np.isnan(c_lines), -np.inf, c_lines).argmax(axis=1))


def known_lines(result: Result) -> tuple[tuple[str, ...], FloatArray]:
    """A catalogue's lines and rest wavelengths; QuasarNET's where it does not state them."""
    if result.lines and all(line in result.rest for line in result.lines):
        return result.lines, np.array([result.rest[line] for line in result.lines])
    return QUASARNET_LINES, np.array([absorber_IGM[line] for line in QUASARNET_LINES])
