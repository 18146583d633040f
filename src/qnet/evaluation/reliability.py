"""Reliability of the score as a probability, and how well BAL quasars are recognised."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments
from qnet.core.arrays import FloatArray, IntArray, as_numbers
from qnet.core.errors import InputError
from qnet.evaluation.metric import Metric, fraction, statistic
from qnet.evaluation.options import OUTLIER_VELOCITIES, Options, line_criterion, nth_confidence
from qnet.evaluation.sample import Sample

#: Cuts in P_QSO and P_Z alike whose purity and completeness are given.
P_Z_CUTS = (0.5, 0.9, 0.99)

#: Bins of the calibration curve.
NBINS = 10


@dataclasses.dataclass(frozen=True, eq=False)
class Reliability:
    """Calibration curve of a catalogue's score, `Evaluation.calibration`.

    Attributes
    ----------
    score_name : str
        P_QSO, PROB or 'largest confidence'.
    edges : ndarray of float64, shape (nbins + 1,)
        Edges of the bins of the score.
    mean, fraction, low, high : ndarray of float64, shape (nbins,)
        Mean score in each bin, fraction of true quasars and its interval; NaN in empty bins.
    n : ndarray of int64, shape (nbins,)
        Rows in each bin whose truth is not BAD.

    Examples
    --------
    >>> import qnet
    >>> from astropy.table import Table
    >>> rows = Table({"TARGETID": [1], "ZBEST": [1.0], "IS_QSO": [True], "P_QSO": [0.98]})
    >>> curve = qnet.evaluate(rows, {1: qnet.io.TruthRecord(1.0, 3, 3, 0, 0.0)}).calibration
    >>> print(curve.score_name, curve.mean[9], curve.fraction[9])
    P_QSO 0.98 1.0
    """

    score_name: str
    edges: FloatArray
    mean: FloatArray
    fraction: FloatArray
    low: FloatArray
    high: FloatArray
    n: IntArray


def calibration(sample: Sample, options: Options) -> tuple[Reliability | None, list[Metric]]:
    """Calibration curve and its numbers, of sure rows with a score; nothing without a score."""
    result = sample.result
    if result.score is not None:
        score, name = result.score, result.score_name
    elif result.c_lines is not None:
        score, name = nth_confidence(result.c_lines.T, 1), "largest confidence"
    else:
        return None, []
    kept = ~sample.bad & np.isfinite(score)
    score, quasar = score[kept], sample.quasar[kept]
    number = _bin(score)
    edges = np.linspace(0, 1, NBINS + 1)
    mean, n = np.full(NBINS, np.nan), np.bincount(number, minlength=NBINS)
    section = "calibration"
    metrics, fractions = [], []
    for index in range(NBINS):
        inside = number == index
        below = "<=" if index == NBINS - 1 else "<"
        where = f"{edges[index]:g} <= {name} {below} {edges[index + 1]:g}"
        fractions.append(fraction(section, "true_fraction", quasar, inside, options, where))
        if n[index]:
            average = statistic(section, "mean_score", np.mean, (score[inside],), options, where)
            mean[index] = average.value
            metrics += [average, fractions[-1]]
    error = statistic(
        section, "calibration_error", _error, (score, quasar.astype(float)), options, name
    )
    value, low, high = (
        np.array([getattr(metric, key) for metric in fractions]) for key in ("value", "low", "high")
    )
    return Reliability(name, edges, mean, value, low, high, n), [error, *metrics]


def redshift_reliability(sample: Sample, options: Options) -> Iterator[Metric]:
    """Calibration error of P_Z, and what a cut in it and P_QSO gives; nothing without P_Z."""
    result = sample.result
    if result.p_z is None or not (known := sample.quasar & np.isfinite(result.p_z)).any():
        return
    section = "probability of the redshift"
    near = np.abs(sample.dv) <= OUTLIER_VELOCITIES[0]
    pair = result.p_z[known], near[known].astype(float)
    yield statistic(section, "p_z_error", _error, pair, options, "P_Z")
    if result.score is None:
        return
    right = sample.right & sample.quasar
    for cut in P_Z_CUTS:
        sure = (np.minimum(result.score, result.p_z) > cut) & ~result.never_qso
        where = f"{result.score_name} and P_Z > {cut:g}"
        yield fraction(section, "strict_purity", right, sure & ~sample.bad, options, where)
        yield fraction(section, "completeness", right & sure, sample.quasar, options, where)


def _bin(score: FloatArray) -> IntArray:
    """Number of each score's bin; 1 is in the last."""
    return np.clip(score * NBINS, 0, NBINS - 1).astype(np.int64)


def calibration_error(probability: npt.ArrayLike, label: npt.ArrayLike) -> float:
    r"""Expected calibration error of probabilities (Naeini et al. 2015, AAAI; Guo et al. 2017).

    Parameters
    ----------
    probability : array_like, shape (n,)
        Probabilities, such as P_QSO or P_Z, from 0 to 1.
    label : array_like, shape (n,)
        Outcomes: 1 where the event is true, else 0.

    Returns
    -------
    float
        Mean over the rows of \|mean probability - fraction of true outcomes\| of their bin, 10
        equal bins of the probability; NaN without rows.

    Raises
    ------
    InputError
        The arrays are not one-dimensional and of one length, or a probability or a label is not
        from 0 to 1.

    Examples
    --------
    >>> from qnet.evaluation import calibration_error
    >>> round(calibration_error([0.9, 0.9, 0.9, 0.9], [1, 1, 1, 0]), 3)
    0.15
    """
    check_arguments(calibration_error, locals())
    given = {"probability": probability, "label": label}
    p, true = (as_numbers(name, values).astype(float) for name, values in given.items())
    if p.ndim != 1 or p.shape != true.shape:
        raise InputError(
            "probability and label must be one-dimensional and of the same length, not of shapes "
            f"{p.shape} and {true.shape}"
        )
    for name, values in zip(given, (p, true), strict=True):
        if not ((values >= 0) & (values <= 1)).all():
            raise InputError(f"{name} must be from 0 to 1 in every row")
    return _error(p, true) if len(p) else np.nan


def _error(score: FloatArray, quasar: FloatArray) -> float:
    """Expected calibration error (Naeini et al. 2015, AAAI; Guo et al. 2017, arXiv:1706.04599)."""
    number = _bin(score)
    excess = np.bincount(number, weights=score - quasar, minlength=NBINS)
    return float(np.abs(excess).sum() / len(score))


def bal(sample: Sample, options: Options) -> Iterator[Metric]:
    """How well BAL quasars are recognised; nothing for a catalogue without BALs."""
    result = sample.result
    is_bal = result.is_bal
    if result.c_lines_bal is not None:
        threshold, _ = line_criterion(result, options)
        confident = np.asarray((result.c_lines_bal > threshold).any(axis=1))
        is_bal = confident if is_bal is None or options.uses_lines else confident | is_bal
    if is_bal is None:
        return
    section, called = "BAL quasars", sample.called
    true = sample.quasar & (sample.bal > 0)
    none = sample.quasar & (sample.bal < 0)
    yield fraction(section, "bal_found", called, true, options)
    yield fraction(section, "bal_recall", is_bal, true & called, options)
    yield fraction(section, "bal_rejection", ~is_bal, none & called, options)
    yield fraction(section, "bal_recall_all", is_bal, true, options)
    yield fraction(section, "bal_rejection_all", ~is_bal, none, options)
