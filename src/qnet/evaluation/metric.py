"""Metrics: numbers with an interval, a sample size and a definition."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, BoolArray, FloatArray, IntArray, as_numbers
from qnet.core.checks import check_number
from qnet.core.errors import InputError
from qnet.evaluation.options import (
    TUTORIAL_SPEED_OF_LIGHT,
    Options,
    check_bootstrap,
    check_level,
)

#: Definitions by name, as text, JSON and documentation have them; the braces are filled from the
#: options.
DEFINITIONS: Mapping[str, str] = {
    "purity": "of the rows called quasars whose truth is not BAD, the fraction with a right "
    "redshift (|ZBEST - z| < {dv_max:g}/{c:g} (1 + z) and z > 0), whatever the true class",
    "strict_purity": "of the rows called quasars whose truth is not BAD, the fraction that are "
    "true quasars with a right redshift",
    "completeness": "of the true quasars, the fraction that are called quasars with a right "
    "redshift",
    "found": "of the true quasars, the fraction that are called quasars, whatever the redshift",
    "contamination": "of the rows called quasars whose truth is not BAD, the fraction that are "
    "stars or galaxies, whatever the redshift",
    "called_qso": "of the rows of this true class, the fraction that are called quasars",
    "wrong_redshift": "of the true quasars called quasars, the fraction whose redshift is not "
    "right",
    "line_confusion": "of the true quasars called quasars, the fraction whose redshift is not "
    "right because one line was taken for another: (1 + ZBEST)/(1 + z) is the ratio of two lines' "
    "rest wavelengths within {dv_max:g} km/s",
    "dv_median": "median of dv = c (ZBEST - z)/(1 + z), c = 299792.458 km/s, of the true quasars "
    "called quasars; for a line, its redshift in place of ZBEST, of the true quasars where the "
    "line's confidence is above the threshold",
    "dv_abs_median": "median of |dv|, same sample",
    "dv_nmad": "1.4826 median |dv - median(dv)|, same sample, outliers included",
    "outliers_3000": "fraction with |dv| > 3000 km/s, same sample",
    "outliers_6000": "fraction with |dv| > 6000 km/s, same sample",
    "pull_width": "1.4826 median |pull - median(pull)| of pull = (ZBEST - z)/ZERR, of the same "
    "sample where |dv| <= 3000 km/s and ZERR is known; 1 if ZERR is right",
    "pull_3": "of the same rows, the fraction with |pull| > 3 (0.0027 if pulls are normal)",
    "pull_5": "of the same rows, the fraction with |pull| > 5 (6e-7 if pulls are normal)",
    "p_z_error": "expected calibration error of P_Z, as calibration_error, of the true quasars "
    "that have P_Z; true are those with |dv| <= 3000 km/s",
    "mean_score": "mean score of the rows in the bin whose truth is not BAD; the score is P_QSO "
    "or PROB, else the largest line confidence",
    "true_fraction": "of the same rows, the fraction that are true quasars",
    "calibration_error": "expected calibration error: mean over the rows of |mean_score - "
    "true_fraction| of their bin, 10 equal bins of the score",
    "bal_found": "of the true BAL quasars, the fraction that are called quasars",
    "bal_recall": "of the true BAL quasars that are called quasars, the fraction that are called "
    "BAL",
    "bal_rejection": "of the true non-BAL quasars that are called quasars, the fraction that are "
    "not called BAL",
    "bal_recall_all": "of all true BAL quasars, called quasars or not, the fraction called BAL: "
    "the accuracy for recognising BALs of Busca & Balland (2018)",
    "bal_rejection_all": "of all true non-BAL quasars, called quasars or not, the fraction not "
    "called BAL: the accuracy for rejecting non-BAL quasars of Busca & Balland (2018)",
}

#: Rows of bootstrap samples that are drawn together.
_BLOCK = 1 << 20


@dataclasses.dataclass(frozen=True)
class Metric:
    """A measured number, with its interval and sample.

    Attributes
    ----------
    section : str
        Section of the report.
    name : str
    where : str
        Part of the sample, line or bin; '' for all rows.
    value : float
        NaN without a sample.
    low, high : float
        Ends of the interval at the confidence level asked for.
    n : int
        Size of the sample: the denominator of a fraction.
    unit : str
        '' or 'km/s'.
    definition : str

    Examples
    --------
    >>> import qnet
    >>> from astropy.table import Table
    >>> rows = Table({"TARGETID": [1, 2], "ZBEST": [1.0, 2.0], "IS_QSO": [True, True]})
    >>> truth = {number: qnet.io.TruthRecord(1.0, 3, 3, 0, 0.0) for number in (1, 2)}
    >>> purity = qnet.evaluate(rows, truth).metric("purity")
    >>> print(f"{purity.value} [{purity.low:.2f}, {purity.high:.2f}] of {purity.n}")
    0.5 [0.09, 0.91] of 2
    """

    section: str
    name: str
    where: str
    value: float
    low: float
    high: float
    n: int
    unit: str
    definition: str


def define(text: str, options: Options) -> str:
    """A definition with its braces filled from the options."""
    return text.format(dv_max=options.dv_max, z_lim=options.z_lim, c=TUTORIAL_SPEED_OF_LIGHT)


def fraction(
    section: str, name: str, part: BoolArray, whole: BoolArray, options: Options, where: str = ""
) -> Metric:
    """Fraction of the rows of `whole` that are in `part` too, with Wilson's interval."""
    n, k = int(whole.sum()), int((part & whole).sum())
    low, high = wilson(k, n, options.level)
    value, definition = k / n if n else np.nan, define(DEFINITIONS[name], options)
    return Metric(section, name, where, value, float(low), float(high), n, "", definition)


def statistic(
    section: str,
    name: str,
    function: Callable[..., float],
    samples: tuple[FloatArray, ...],
    options: Options,
    where: str = "",
    unit: str = "",
) -> Metric:
    """A function of samples, with a bootstrap interval; NaN of empty ones.

    A function of one sample takes `axis`, as those of NumPy do.
    """
    n = len(samples[0])
    how: dict[str, Any] = {"level": options.level, "nboot": options.nboot, "seed": options.seed}
    if len(samples) == 1:
        low, high = _bootstrap_along(function, samples[0], **how)
    else:
        low, high = bootstrap(function, *samples, **how)
    value = float(function(*samples)) if n else np.nan
    definition = define(DEFINITIONS[name], options)
    return Metric(section, name, where, value, low, high, n, unit, definition)


def wilson(
    k: npt.ArrayLike, n: npt.ArrayLike, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Score interval on a binomial fraction (Wilson 1927, JASA 22, 209).

    Parameters
    ----------
    k, n : array_like of int
        Successes and trials.
    level : float
        Confidence level.

    Returns
    -------
    low, high : ndarray of float64, shape of `n`
        NaN where n is 0.

    Raises
    ------
    InputError
        An argument is not of whole numbers, or not 0 <= k <= n, or level is not in 0 .. 1.

    Examples
    --------
    >>> from qnet.evaluation import wilson
    >>> low, high = wilson([5, 10], 10)
    >>> low.round(3), high.round(3)
    (array([0.237, 0.722]), array([0.763, 1.   ]))
    """
    check_arguments(wilson, locals())
    from astropy.stats import binom_conf_interval

    check_level(level)
    successes, trials = _counts(k, n)
    low, high = np.full(trials.shape, np.nan), np.full(trials.shape, np.nan)
    some = trials > 0
    if some.any():
        low[some], high[some] = binom_conf_interval(
            successes[some], trials[some], confidence_level=level, interval="wilson"
        )
    # Rounding must not put an end past the value that it is equal to.
    low[some & (successes == 0)] = 0.0
    high[some & (successes == trials)] = 1.0
    return low, high


def _counts(k: npt.ArrayLike, n: npt.ArrayLike) -> tuple[IntArray, IntArray]:
    """Successes and trials, of one shape, checked."""
    given = as_numbers("k", k, kinds="iu"), as_numbers("n", n, kinds="iu")
    try:
        successes, trials = np.broadcast_arrays(*given)
    except ValueError:
        shapes = " and ".join(str(array.shape) for array in given)
        raise InputError(f"k and n must have the same shape, not {shapes}") from None
    if (successes < 0).any() or (successes > trials).any():
        raise InputError("k and n must be successes and trials: 0 <= k <= n")
    return successes, trials


def bootstrap(
    statistic: Callable[..., float],
    *samples: FloatArray,
    level: float = 0.95,
    nboot: int = 500,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval (Efron 1979, Ann. Statist. 7, 1).

    Parameters
    ----------
    statistic : callable
        Takes as many arrays as there are samples, and returns a number.
    *samples : ndarray of float64, shape (n,)
        Resampled together, row by row.
    level : float
        Confidence level.
    nboot : int
        Number of samples drawn.
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    low, high : float
        NaN for samples of fewer than 2 rows.

    Raises
    ------
    InputError
        There is no sample, their lengths differ, or an option is not legal.

    Examples
    --------
    >>> import numpy as np
    >>> from qnet.evaluation import bootstrap
    >>> low, high = bootstrap(np.median, np.arange(101.0), seed=1)
    >>> low < 50 < high
    True
    """
    check_arguments(bootstrap, locals())
    check_level(level)
    check_bootstrap(nboot, seed)
    arrays = [as_numbers(f"sample {at}", sample) for at, sample in enumerate(samples, start=1)]
    n = _check_samples(arrays)
    if n < 2:
        return np.nan, np.nan
    drawn = []
    for block in _draw(n, nboot, seed):
        for rows in block:
            value = statistic(*(array[rows] for array in arrays))
            check_number("what statistic returns", value)
            drawn.append(value)
    return _percentiles(drawn, level)


def _bootstrap_along(
    function: Callable[..., Any], sample: FloatArray, *, level: float, nboot: int, seed: int
) -> tuple[float, float]:
    """The interval of `bootstrap`, of a function of one sample that takes many along an axis."""
    if len(sample) < 2:
        return np.nan, np.nan
    blocks = _draw(len(sample), nboot, seed)
    return _percentiles(np.concatenate([function(sample[b], axis=1) for b in blocks]), level)


def _draw(n: int, nboot: int, seed: int) -> Iterator[IntArray]:
    """Rows of the bootstrap samples of n rows, in blocks (samples, n) of bounded size."""
    rng, most = np.random.default_rng(seed), max(1, _BLOCK // n)
    for start in range(0, nboot, most):
        yield rng.integers(0, n, (min(most, nboot - start), n))


def _percentiles(drawn: Sequence[float] | FloatArray, level: float) -> tuple[float, float]:
    """The ends of an interval."""
    tail = 50.0 * (1 - level)
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return float(low), float(high)


def _check_samples(arrays: Sequence[AnyArray]) -> int:
    """Rows of the samples; InputError where they differ, or there is no sample."""
    lengths = {array.shape[:1] for array in arrays}
    if len(lengths) != 1 or lengths == {()}:
        raise InputError(
            "samples must be one array or more of the same length, not of shapes "
            f"{[array.shape for array in arrays]}"
        )
    return len(arrays[0])


def metric_cell(metric: Metric | None) -> str:
    """Value, interval and sample size."""
    if metric is None:
        return "-"
    if not np.isfinite(metric.value):
        return f"- {metric.n}"
    spec, unit = (".1f", f" {metric.unit}") if metric.unit else (".4f", "")
    value, low, high = (format(v, spec) for v in (metric.value, metric.low, metric.high))
    ends = f"[{low}, {high}]" if np.isfinite(metric.low) else "[-]"
    return f"{value} {ends}{unit} {metric.n}"
