"""Options of an evaluation: what is called a quasar, and what is a right redshift."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments, check_fields
from qnet.core.arrays import BoolArray, FloatArray, as_alike, as_floats
from qnet.core.checks import check_finite, check_fraction, check_whole
from qnet.core.errors import InputError, with_source
from qnet.core.flags import DISAGREE_VELOCITY
from qnet.evaluation.result import Result
from qnet.io.training_data import Z_LIM
from qnet.lines import velocity_between
from qnet.strategies import as_strategy

#: Speed of light [km/s] in the definition of a right redshift, and there only: the rounded value of
#: QuasarNET's code and tutorial, kept so that purity and completeness agree with published ones.
#: Every velocity that is reported uses the exact `qnet.lines.SPEED_OF_LIGHT`.
TUTORIAL_SPEED_OF_LIGHT = 300_000.0

#: Largest velocity error [km/s] of a right redshift (Busca & Balland 2018, section 5; Farr et al.
#: 2020, arXiv:2007.10348, section 2).
DV_MAX = DISAGREE_VELOCITY

#: Velocities [km/s] beyond which a redshift is an outlier, in the statistics of dv.
OUTLIER_VELOCITIES = (3000.0, 6000.0)

#: Most bootstrap samples: beyond, their intervals change by less than is printed.
MOST_SAMPLES = 1_000_000

#: Edges of the redshift bins, of which the limit between the quasar classes is one.
Z_EDGES = (0.0, 0.5, 1.0, 1.5, Z_LIM, 2.5, 3.0, 3.5, 4.0, 5.0, 7.0)


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of an evaluation.

    Attributes
    ----------
    c_threshold, min_lines : float, int, optional
        QuasarNET's criterion: at least `min_lines` lines of confidence above `c_threshold`. With
        neither these nor `p_threshold` the catalogue's own criterion is used.
    strategy : str, optional
        Published rule, by name or name@version (`qnet.strategies`): it decides which rows are
        quasars, and with which redshift. In place of the three thresholds.
    p_threshold : float, optional
        A quasar has a score (P_QSO, SQUEzE's PROB) above this.
    dv_max : float
        Largest velocity error [km/s] of a right redshift.
    z_lim : float
        Redshift from which a quasar is of the class QSO_HZ.
    level : float
        Confidence level of the intervals.
    nboot, seed : int
        Number of bootstrap samples of the intervals on medians, and their seed.

    Raises
    ------
    InputError
        A value is not legal, or the options name two criteria.

    Examples
    --------
    >>> from qnet.evaluation import Options
    >>> Options(c_threshold=0.8, min_lines=2).dv_max
    6000.0
    """

    c_threshold: float | None = None
    min_lines: int | None = None
    p_threshold: float | None = None
    dv_max: float = DV_MAX
    z_lim: float = Z_LIM
    level: float = 0.95
    nboot: int = 500
    seed: int = 0
    strategy: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("c_threshold", "p_threshold"):
            if getattr(self, name) is not None:
                check_fraction(name, getattr(self, name))
        if self.min_lines is not None:
            check_whole("min_lines", self.min_lines, least=1)
        check_bootstrap(self.nboot, self.seed)
        if self.p_threshold is not None and self.uses_lines:
            raise InputError(
                "p_threshold cannot be given with c_threshold or min_lines: choose one criterion"
            )
        if self.strategy is not None:
            if self.p_threshold is not None or self.uses_lines:
                raise InputError(
                    "strategy cannot be given with c_threshold, min_lines or p_threshold: choose "
                    "one criterion"
                )
            object.__setattr__(self, "strategy", str(as_strategy(self.strategy)))
        check_finite("z_lim", self.z_lim)
        check_finite("dv_max [km/s]", self.dv_max, above=0)
        check_level(self.level)

    @property
    def uses_lines(self) -> bool:
        """Whether QuasarNET's criterion is asked for."""
        return self.c_threshold is not None or self.min_lines is not None


def check_level(level: float) -> None:
    """Raise InputError unless a confidence level is above 0 and below 1."""
    check_fraction("level", level)
    if level in (0, 1):
        raise InputError(f"level must be between 0 and 1, not {level!r}")


def check_bootstrap(nboot: int, seed: int) -> None:
    """Raise InputError unless these are a number of samples and a seed."""
    check_whole("nboot", nboot, least=1, most=MOST_SAMPLES)
    check_whole("seed", seed, least=0)


def is_right(zbest: npt.ArrayLike, z: npt.ArrayLike, dv_max: float = DV_MAX) -> BoolArray:
    """Whether redshifts are right: ``abs(zbest - z) < dv_max / 300000 * (1 + z)``, and z > 0.

    This is the definition of QuasarNET's tutorial and of Farr et al. (2020, arXiv:2007.10348).

    Parameters
    ----------
    zbest, z : array_like of float, shape (nspec,)
        Redshifts found, and true ones. NaN is wrong.
    dv_max : float
        Largest velocity error [km/s].

    Returns
    -------
    ndarray of bool, shape (nspec,)

    Raises
    ------
    InputError
        The shapes disagree, or an argument is not of numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from qnet.evaluation import is_right
    >>> is_right(np.array([2.01, 2.10, np.nan]), np.array([2.0, 2.0, 2.0]))
    array([ True, False, False])
    """
    check_arguments(is_right, locals())
    check_finite("dv_max [km/s]", dv_max, above=0)
    found, true = as_alike(zbest=zbest, z=z)
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(found - true) < dv_max / TUTORIAL_SPEED_OF_LIGHT * (1 + true)
        return np.asarray(near & (true > 0))


def velocity(zbest: npt.ArrayLike, z: npt.ArrayLike) -> FloatArray:
    """Velocity error dv = c (zbest - z) / (1 + z) [km/s], with the exact speed of light.

    Parameters
    ----------
    zbest, z : array_like of float
        Redshifts found, and true ones. NaN gives NaN.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    InputError
        The shapes disagree, or an argument is not of numbers.

    Examples
    --------
    >>> from qnet.evaluation import velocity
    >>> velocity([2.01, 1.99], 2.0).round(1)
    array([ 999.3, -999.3])
    """
    found, true = as_alike(zbest=zbest, z=z)
    return velocity_between(found, true)


def nth_confidence(c_line: npt.ArrayLike, min_lines: int) -> FloatArray:
    """Confidence of the `min_lines`-th best line; `c_line` is (nlines, nspec), NaN the lowest."""
    confidence = as_floats("c_line", c_line)
    if confidence.ndim != 2:
        raise InputError(f"c_line must have the shape (nlines, nspec), not {confidence.shape}")
    if not 1 <= min_lines <= len(confidence):
        raise InputError(f"min_lines must be in 1 .. {len(confidence)} lines, not {min_lines!r}")
    filled = np.where(np.isnan(confidence), -np.inf, confidence)
    return np.asarray(np.sort(filled, axis=0)[-min_lines])


def follow_strategy(result: Result, options: Options) -> Result:
    """The catalogue with the quasars and redshifts of the strategy asked for, if it can follow it.

    ZERR and P_Z are those of ZBEST: NaN where the strategy takes another redshift.
    """
    if options.strategy is None or result.evidence is None or missing_for(result, options):
        return result
    strategy = as_strategy(options.strategy)
    try:
        decision = strategy(result.evidence)
    except InputError as error:
        raise InputError(with_source(error, result.name)) from error
    words = f"strategy {strategy}"
    if decision.inspect.any():
        words += f", which leaves {decision.inspect.sum()} rows to visual inspection"
    kept = decision.z == result.zbest
    errors: dict[str, Any] = {
        name: np.where(kept, values, np.nan)
        for name in ("zerr", "p_z")
        if (values := getattr(result, name)) is not None
    }
    return dataclasses.replace(
        result,
        zbest=decision.z,
        is_qso=decision.is_qso,
        criterion=words,
        never_qso=result.never_qso & ~decision.is_qso,
        **errors,
    )


def missing_for(result: Result, options: Options) -> str:
    """What a catalogue lacks for the criterion asked for, in words; '' where nothing."""
    if options.uses_lines and result.c_lines is None:
        return "has no line confidences, which c_threshold and min_lines need"
    if options.strategy is not None:
        strategy = as_strategy(options.strategy)
        if result.evidence is None:
            return f"has no columns, which strategy {strategy} needs: give a table or a file"
        if lacking := result.evidence.lacking(strategy.needs):
            return f"has no {', '.join(lacking)}, which strategy {strategy} needs"
    if options.p_threshold is not None and result.score is None:
        return "has no P_QSO or PROB, which p_threshold needs"
    return ""


def called_quasars(result: Result, options: Options) -> tuple[BoolArray, str]:
    """Rows called quasars, and the criterion in words: the one asked for, else the catalogue's."""
    if options.uses_lines and result.c_lines is not None:
        threshold, min_lines = line_criterion(result, options)
        called = nth_confidence(result.c_lines.T, min_lines) > threshold
        criterion = f"at least {min_lines} line(s) with c > {threshold:g}"
    elif options.p_threshold is not None and result.score is not None:
        called = result.score > options.p_threshold
        criterion = f"{result.score_name} > {options.p_threshold:g}"
    else:
        called, criterion = result.is_qso, result.criterion
    return called & ~result.never_qso, criterion


def line_criterion(result: Result, options: Options) -> tuple[float, int]:
    """Threshold of the confidences and number of lines: as asked for, else the catalogue's own."""
    return (
        result.c_threshold if options.c_threshold is None else options.c_threshold,
        result.min_lines if options.min_lines is None else options.min_lines,
    )
