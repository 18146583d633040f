"""A number with its interval, its sample size and its definition."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from qnet.core.arrays import BoolArray, FloatArray
from qnet.evaluation.definitions import define
from qnet.evaluation.intervals import bootstrap, wilson
from qnet.evaluation.options import Options


@dataclasses.dataclass(frozen=True)
class Metric:
    """A number that was measured.

    Attributes
    ----------
    section : str
        Group of numbers that it is printed with.
    name : str
    where : str
        Part of the sample, line or bin that it is about; '' for all.
    value : float
        NaN where there is nothing to measure it on.
    low, high : float
        Ends of the interval at the confidence level asked for.
    n : int
        Size of the sample: the denominator of a fraction.
    unit : str
        '' or 'km/s'.
    definition : str
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

    def to_dict(self) -> dict[str, Any]:
        """The metric as JSON has it: NaN becomes None."""
        values = dataclasses.asdict(self)
        return {key: finite_or_none(value) for key, value in values.items()}


def finite_or_none(value: Any) -> Any:
    """None in place of a float that is not finite, which JSON lacks."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


def fraction(
    section: str, name: str, part: BoolArray, whole: BoolArray, options: Options, where: str = ""
) -> Metric:
    """The share of `whole` that is in `part` too, with Wilson's interval.

    Parameters
    ----------
    section, name, where : str
        As in `Metric`.
    part, whole : ndarray of bool, shape (nspec,)
    options : Options

    Returns
    -------
    Metric
    """
    n, k = int(whole.sum()), int((part & whole).sum())
    low, high = wilson(k, n, options.level)
    value = k / n if n else float("nan")
    return Metric(
        section, name, where, value, float(low), float(high), n, "", define(name, options)
    )


def statistic(
    section: str,
    name: str,
    function: Callable[..., float],
    samples: tuple[FloatArray, ...],
    options: Options,
    where: str = "",
    unit: str = "",
) -> Metric:
    """A function of a sample, with a bootstrap interval; raises nothing on an empty one."""
    n = len(samples[0])
    low, high = bootstrap(
        function, *samples, level=options.level, nboot=options.nboot, seed=options.seed
    )
    value = float(function(*samples)) if n else float("nan")
    return Metric(section, name, where, value, low, high, n, unit, define(name, options))
