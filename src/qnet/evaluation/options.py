"""What counts as a right redshift and as a quasar: the rules that every number rests on."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import BoolArray, FloatArray
from qnet.core.errors import InputError, check_whole
from qnet.core.flags import DISAGREE_VELOCITY
from qnet.evaluation.catalogues import Result
from qnet.io.training_data import Z_LIM
from qnet.lines import SPEED_OF_LIGHT

#: Speed of light [km/s] in the rule for a right redshift, and there only: the round value of
#: QuasarNET's code and tutorial, kept so that purity and completeness agree with published ones.
#: Every velocity that is reported uses the exact `qnet.lines.SPEED_OF_LIGHT`.
TUTORIAL_SPEED_OF_LIGHT = 300_000.0

#: Largest velocity error [km/s] of a right redshift (Busca & Balland 2018, section 5; Farr et al.
#: 2020, arXiv:2007.10348, section 2).
DV_MAX = DISAGREE_VELOCITY

#: Velocities [km/s] beyond which a redshift is an outlier, in the statistics of dv.
OUTLIER_VELOCITIES = (3000.0, 6000.0)

#: Edges of the redshift bins: the classes' limit 2.1 is one of them.
Z_EDGES = (0.0, 0.5, 1.0, 1.5, Z_LIM, 2.5, 3.0, 3.5, 4.0, 5.0, 7.0)


@dataclasses.dataclass(frozen=True)
class Options:
    """How a catalogue is evaluated.

    Attributes
    ----------
    c_threshold, min_lines : float, int, optional
        QuasarNET's rule: a quasar has at least ``min_lines`` lines of confidence above
        ``c_threshold``.
        The catalogue's own rule when both are None.
    p_threshold : float, optional
        A quasar has a score (P_QSO, SQUEzE's PROB) above this.
    dv_max : float
        Largest velocity error [km/s] of a right redshift.
    z_lim : float
        Redshift from which a quasar is QSO_HZ.
    level : float
        Confidence level of the intervals.
    nboot : int
        Bootstrap samples of the intervals on medians.
    seed : int
        Seed of the bootstrap.
    """

    c_threshold: float | None = None
    min_lines: int | None = None
    p_threshold: float | None = None
    dv_max: float = DV_MAX
    z_lim: float = Z_LIM
    level: float = 0.95
    nboot: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("c_threshold", "p_threshold"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"{name} must be in 0 .. 1, not {value!r}")
        if self.min_lines is not None:
            check_whole("min_lines", self.min_lines)
        if self.min_lines is not None and self.min_lines < 1:
            raise InputError(f"min_lines must be at least 1, not {self.min_lines!r}")
        if self.p_threshold is not None and self.of_lines:
            raise InputError(
                "p_threshold cannot be given with c_threshold or min_lines: choose a rule"
            )
        if not math.isfinite(self.z_lim):
            raise InputError(f"z_lim must be a redshift, not {self.z_lim!r}")
        if not (math.isfinite(self.dv_max) and self.dv_max > 0):
            raise InputError(f"dv_max must be a positive velocity in km/s, not {self.dv_max!r}")
        if not 0 < self.level < 1:
            raise InputError(f"level must be between 0 and 1, not {self.level!r}")
        if self.nboot < 1:
            raise InputError(f"nboot must be at least 1, not {self.nboot!r}")
        if self.seed < 0:
            raise InputError(f"seed must be at least 0, not {self.seed!r}")

    @property
    def of_lines(self) -> bool:
        """Whether QuasarNET's rule was asked for."""
        return self.c_threshold is not None or self.min_lines is not None


def is_right(zbest: FloatArray, z: FloatArray, dv_max: float = DV_MAX) -> BoolArray:
    """Whether redshifts are right: near the true one, which is above 0.

    Near is ``abs(zbest - z) < dv_max / 300000 * (1 + z)``, as in QuasarNET's tutorial and Farr et
    al. (2020, arXiv:2007.10348). NaN is wrong.

    Parameters
    ----------
    zbest, z : ndarray of float64, shape (nspec,)
        Redshifts found, and true ones.
    dv_max : float
        [km/s]

    Returns
    -------
    ndarray of bool, shape (nspec,)
    """
    with np.errstate(invalid="ignore"):
        near = np.abs(zbest - z) < dv_max / TUTORIAL_SPEED_OF_LIGHT * (1 + z)
        return np.asarray(near & (z > 0))


def velocity(zbest: npt.ArrayLike, z: npt.ArrayLike) -> FloatArray:
    """Velocity error dv = c (zbest - z) / (1 + z) [km/s], with the exact speed of light.

    Parameters
    ----------
    zbest, z : array_like of float
        Redshifts found, and true ones. NaN gives NaN.

    Returns
    -------
    ndarray of float64
    """
    true = np.asarray(z, dtype=np.float64)
    found = np.asarray(zbest, dtype=np.float64)
    return np.asarray(SPEED_OF_LIGHT * (found - true) / (1 + true))


def nth_confidence(c_line: npt.ArrayLike, min_lines: int) -> FloatArray:
    """Confidence of the `min_lines`-th best line: above c where at least so many lines are.

    Parameters
    ----------
    c_line : array_like of float, shape (nlines, nspec)
        NaN is below everything.
    min_lines : int

    Returns
    -------
    ndarray of float64, shape (nspec,)

    Raises
    ------
    InputError
        There are fewer lines.
    """
    confidence = np.asarray(c_line, dtype=np.float64)
    if confidence.ndim != 2:
        raise InputError(f"c_line must have the shape (nlines, nspec), not {confidence.shape}")
    if not 1 <= min_lines <= len(confidence):
        raise InputError(f"min_lines must be in 1 .. {len(confidence)} lines, not {min_lines!r}")
    filled = np.where(np.isnan(confidence), -np.inf, confidence)
    return np.asarray(np.sort(filled, axis=0)[-min_lines])


def can_apply(result: Result, options: Options) -> bool:
    """Whether a catalogue has what the rule asked for needs; True where none was."""
    if options.of_lines:
        return result.c_lines is not None
    return options.p_threshold is None or result.score is not None


def called_quasars(result: Result, options: Options) -> tuple[BoolArray, str]:
    """Rows that are called quasars, and the rule in words.

    Parameters
    ----------
    result : Result
    options : Options
        Its rule, if the catalogue has what it needs; the catalogue's own otherwise.

    Returns
    -------
    called : ndarray of bool, shape (nspec,)
    rule : str
    """
    if options.of_lines and result.c_lines is not None:
        threshold, min_lines = line_rule(result, options)
        called = nth_confidence(result.c_lines.T, min_lines) > threshold
        rule = f"at least {min_lines} line(s) with c > {threshold:g}"
        return called & ~result.never, rule
    if options.p_threshold is not None and result.score is not None:
        with np.errstate(invalid="ignore"):
            called = result.score > options.p_threshold
        return called & ~result.never, f"{result.score_name} > {options.p_threshold:g}"
    return result.is_qso & ~result.never, result.rule


def line_rule(result: Result, options: Options) -> tuple[float, int]:
    """Threshold of the confidences and number of lines: as asked for, else the catalogue's own."""
    return (
        result.c_threshold if options.c_threshold is None else options.c_threshold,
        result.min_lines if options.min_lines is None else options.min_lines,
    )
