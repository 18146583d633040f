"""Intervals on fractions and on medians."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import FloatArray


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
    """
    from astropy.stats import binom_conf_interval

    successes, trials = np.broadcast_arrays(np.asarray(k), np.asarray(n))
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
        NaN for samples of less than 2 rows.
    """
    n = len(samples[0])
    if n < 2:
        return np.nan, np.nan
    rng = np.random.default_rng(seed)
    drawn = np.empty(nboot)
    for number in range(nboot):
        rows = rng.integers(0, n, n)
        drawn[number] = statistic(*(sample[rows] for sample in samples))
    tail = 50.0 * (1 - level)
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return float(low), float(high)


def nmad(values: FloatArray) -> float:
    """Normalised median absolute deviation, 1.4826 median |x - median(x)|.

    1.4826 makes it the standard deviation of a normal distribution (Hoaglin, Mosteller & Tukey
    1983, Understanding Robust and Exploratory Data Analysis). NaN for an empty array.
    """
    if len(values) == 0:
        return float("nan")
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def median(values: FloatArray) -> float:
    """Median; NaN for an empty array."""
    return float(np.median(values)) if len(values) else float("nan")
