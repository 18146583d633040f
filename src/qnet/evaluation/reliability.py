"""Whether a score is a probability, and how well BAL quasars are told."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from qnet.core.arrays import BoolArray, FloatArray, IntArray
from qnet.evaluation.metric import Metric, finite_or_none, fraction, statistic
from qnet.evaluation.options import Options, line_rule
from qnet.evaluation.sample import Sample

#: Bins of the calibration curve.
NBINS = 10


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """The calibration curve.

    Attributes
    ----------
    score_name : str
        P_QSO, PROB or 'largest confidence'.
    edges : ndarray of float64, shape (nbins + 1,)
    mean, fraction, low, high : ndarray of float64, shape (nbins,)
        Mean score of each bin, share of true quasars and its interval; NaN in empty bins.
    n : ndarray of int64, shape (nbins,)
    """

    score_name: str
    edges: FloatArray
    mean: FloatArray
    fraction: FloatArray
    low: FloatArray
    high: FloatArray
    n: IntArray

    def to_dict(self) -> dict[str, Any]:
        """The curve as JSON has it."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            key: [finite_or_none(item) for item in value.tolist()]
            if isinstance(value, np.ndarray)
            else value
            for key, value in values.items()
        }


def score_of(sample: Sample) -> tuple[FloatArray, str] | None:
    """P_QSO or PROB, else the largest confidence, and what it is; None without either."""
    result = sample.result
    if result.score is not None:
        return result.score, result.score_name
    if result.c_lines is not None:
        best = np.where(np.isnan(result.c_lines), -np.inf, result.c_lines).max(axis=1)
        return np.where(np.isfinite(best), best, np.nan), "largest confidence"
    return None


def calibration(sample: Sample, options: Options) -> tuple[Calibration | None, list[Metric]]:
    """Calibration curve and its numbers; nothing for a catalogue without score.

    Rows whose truth is BAD, and rows without score, are left out.
    """
    found = score_of(sample)
    if found is None:
        return None, []
    score, name = found
    kept = ~sample.bad & np.isfinite(score)
    score, quasar = score[kept], sample.quasar[kept]
    number = _bin(score)
    edges = np.linspace(0, 1, NBINS + 1)
    mean, n = np.full(NBINS, np.nan), np.bincount(number, minlength=NBINS)
    section = "calibration"
    metrics, fractions = [], []
    for at in range(NBINS):
        inside = number == at
        where = f"{edges[at]:g} <= {name} {'<=' if at == NBINS - 1 else '<'} {edges[at + 1]:g}"
        fractions.append(fraction(section, "true_fraction", quasar, inside, options, where))
        if n[at]:
            average = statistic(section, "mean_score", np.mean, (score[inside],), options, where)
            mean[at] = average.value
            metrics += [average, fractions[-1]]
    error = statistic(
        section, "calibration_error", _error, (score, quasar.astype(float)), options, name
    )
    curve = Calibration(
        name,
        edges,
        mean,
        np.array([metric.value for metric in fractions]),
        np.array([metric.low for metric in fractions]),
        np.array([metric.high for metric in fractions]),
        n,
    )
    return curve, [error, *metrics]


def _bin(score: FloatArray) -> IntArray:
    """Number of each score's bin; 1 is in the last."""
    return np.clip((score * NBINS).astype(np.int64), 0, NBINS - 1)


def _error(score: FloatArray, quasar: FloatArray) -> float:
    """Expected calibration error (Naeini et al. 2015, AAAI; Guo et al. 2017, arXiv:1706.04599)."""
    number = _bin(score)
    excess = np.bincount(number, weights=score - quasar, minlength=NBINS)
    return float(np.abs(excess).sum() / len(score))


def bal(sample: Sample, options: Options) -> Iterator[Metric]:
    """How well BAL quasars are told; nothing for a catalogue that does not tell them."""
    said = bal_detected(sample, options)
    if said is None:
        return
    section, called = "BAL quasars", sample.called
    true = sample.quasar & (sample.bal > 0)
    none = sample.quasar & (sample.bal < 0)
    yield fraction(section, "bal_found", called, true, options)
    yield fraction(section, "bal_recall", said, true & called, options)
    yield fraction(section, "bal_rejection", ~said, none & called, options)
    yield fraction(section, "bal_recall_all", said, true, options)
    yield fraction(section, "bal_rejection_all", ~said, none, options)


def bal_detected(sample: Sample, options: Options) -> BoolArray | None:
    """Rows with a BAL, called quasars or not: a BAL confidence above the threshold, or IS_BAL."""
    result = sample.result
    if result.c_lines_bal is None:
        return result.is_bal
    threshold, _ = line_rule(result, options)
    with np.errstate(invalid="ignore"):
        said = np.asarray((result.c_lines_bal > threshold).any(axis=1))
    return said if result.is_bal is None or options.of_lines else said | result.is_bal
