"""What makes a row of the catalogue a quasar."""

from __future__ import annotations

import dataclasses

from qnet.core.errors import InputError, check_number, check_whole
from qnet.model.model import Model

#: QuasarNET's rule in the tutorial and in DESI's pipeline: one line above one half.
DEFAULT_C_THRESHOLD = 0.5
DEFAULT_MIN_LINES = 1


@dataclasses.dataclass(frozen=True)
class Criterion:
    """What makes a row a quasar.

    Attributes
    ----------
    c_threshold : float
        QuasarNET's rule: at least `min_lines` lines of confidence above this. Under the other rule
        the lines that may DISAGREE are those above it.
    min_lines : int
        See `c_threshold`.
    p_threshold : float, optional
        The other rule: P_QSO above this. QuasarNET's rule when None.
    prior_qso : float, optional
        Share of quasars among the spectra, which P_QSO is rescaled to. That of the model's own
        class mix when None.
    """

    c_threshold: float = DEFAULT_C_THRESHOLD
    min_lines: int = DEFAULT_MIN_LINES
    p_threshold: float | None = None
    prior_qso: float | None = None

    def __post_init__(self) -> None:
        for name in ("c_threshold", "p_threshold", "prior_qso"):
            value = getattr(self, name)
            if value is not None:
                check_number(name, value)
        check_whole("min_lines", self.min_lines)
        if not 0 <= self.c_threshold <= 1:
            raise InputError(f"c_threshold must be in 0 .. 1, not {self.c_threshold!r}")
        if self.min_lines < 1:
            raise InputError(f"min_lines must be at least 1, not {self.min_lines!r}")
        if self.p_threshold is not None and not 0 <= self.p_threshold <= 1:
            raise InputError(f"p_threshold must be in 0 .. 1, not {self.p_threshold!r}")
        if self.prior_qso is not None and not 0 < self.prior_qso < 1:
            raise InputError(f"prior_qso must be between 0 and 1, not {self.prior_qso!r}")

    def __str__(self) -> str:
        if self.p_threshold is not None:
            return f"P_QSO > {self.p_threshold:g}"
        return f"QuasarNET: at least {self.min_lines} line(s) with c > {self.c_threshold:g}"


def choose_criterion(
    model: Model,
    *,
    p_threshold: float | None = None,
    c_threshold: float | None = None,
    min_lines: int | None = None,
    prior_qso: float | None = None,
) -> Criterion:
    """The rule for a model, from what the user gave.

    A model with a calibrated P_QSO is asked for this, unless `c_threshold` or `min_lines` is given;
    another model for its lines.

    Parameters
    ----------
    model : Model
    p_threshold : float, optional
        The model's own when None.
    c_threshold, min_lines : float, int, optional
        QuasarNET's rule. 0.5 and 1 when None.
    prior_qso : float, optional
        See `Criterion`.

    Returns
    -------
    Rule

    Raises
    ------
    InputError
        `p_threshold` or `prior_qso` for a model without P_QSO, `p_threshold` beside QuasarNET's
        rule, or a value that is out of range; or more lines are asked for than the model has.
    """
    of_lines = c_threshold is not None or min_lines is not None
    if p_threshold is not None and of_lines:
        raise InputError("p_threshold cannot be given with c_threshold or min_lines: choose a rule")
    if model.calibration is None:
        if p_threshold is not None:
            raise InputError(
                f"p_threshold needs a model with a calibrated P_QSO, which {model.name} does not "
                "have: give c_threshold and min_lines"
            )
        if prior_qso is not None:
            raise InputError(
                f"prior_qso needs a model with a calibrated P_QSO, which {model.name} does not have"
            )
    elif p_threshold is None and not of_lines:
        p_threshold = model.calibration.p_threshold
    criterion = Criterion(
        DEFAULT_C_THRESHOLD if c_threshold is None else c_threshold,
        DEFAULT_MIN_LINES if min_lines is None else min_lines,
        p_threshold,
        prior_qso,
    )
    if criterion.min_lines > len(model.lines):
        raise InputError(
            f"min_lines is {criterion.min_lines}, but model {model.name} has "
            f"{len(model.lines)} lines"
        )
    return criterion
