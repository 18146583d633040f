"""Criterion by which a row of the catalogue is a quasar."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from qnet.classification.population import DEFAULT, TRAINING, as_population
from qnet.classification.reweighting import Reweighting, make_reweighting
from qnet.core.arrays import BoolArray, FloatArray
from qnet.core.checks import check_fraction, check_whole
from qnet.core.errors import InputError
from qnet.model.model import Model
from qnet.postprocess.decoding import C_THRESHOLD, MIN_LINES, Predictions
from qnet.strategies import STRATEGIES, Strategy, as_strategy


@dataclasses.dataclass(frozen=True)
class Criterion:
    """P_QSO above `p_threshold`, or, where that is None, QuasarNET's criterion of lines."""

    #: At least `min_lines` lines of confidence above this. Lines above it may DISAGREE.
    c_threshold: float = C_THRESHOLD
    min_lines: int = MIN_LINES
    p_threshold: float | None = None
    #: Fraction of quasars that P_QSO is rescaled to; that of the model's class mix, or of the
    #: population, when None.
    prior_qso: float | None = None
    #: The prior of a population; that of the training sample when None.
    prior: Reweighting | None = None
    #: The named strategy whose numbers these are, as name@version; '' where they are free.
    strategy: str = ""

    def __post_init__(self) -> None:
        check_whole("min_lines", self.min_lines, least=1)
        for name in ("c_threshold", "p_threshold", "prior_qso"):
            if getattr(self, name) is not None:
                check_fraction(name, getattr(self, name))
        if self.prior_qso in (0, 1):
            raise InputError(f"prior_qso must be between 0 and 1, not {self.prior_qso!r}")

    def __str__(self) -> str:
        if self.p_threshold is not None:
            words = f"P_QSO > {self.p_threshold:g}"
        else:
            words = f"at least {self.min_lines} line(s) with c > {self.c_threshold:g}"
        name = self.strategy or ("" if self.p_threshold is not None else "QuasarNET")
        return f"{name}: {words}" if name else words

    def is_qso(self, found: Predictions, p_qso: FloatArray) -> BoolArray:
        """Rows that fulfil the criterion, whatever their flags."""
        if self.p_threshold is None:
            return found.is_qso(self.c_threshold, self.min_lines)
        return np.asarray(p_qso > self.p_threshold)


def choose_criterion(
    model: Model,
    p_threshold: float | None = None,
    c_threshold: float | None = None,
    min_lines: int | None = None,
    prior_qso: float | None = None,
    prior: Any = None,
    strategy: str | None = None,
) -> Criterion:
    """Criterion for a model: by P_QSO where it has that, unless QuasarNET's is asked for."""
    named, given = None, (p_threshold, c_threshold, min_lines)
    if strategy is not None:
        named = _check_strategy(as_strategy(strategy), model, given)
        c_threshold, min_lines = map(named.numbers.get, ("c_threshold", "min_lines"))
    elif given == (None, None, None):
        named = STRATEGIES["tutorial" if model.calibration is None else "qnet"]
    of_lines = c_threshold is not None or min_lines is not None
    if p_threshold is not None and of_lines:
        raise InputError(
            "p_threshold cannot be given with c_threshold or min_lines: choose a criterion"
        )
    for name, value in (("prior_qso", prior_qso), ("prior", prior)):
        if value is not None and of_lines:
            lines = "c_threshold or min_lines" if strategy is None else f"strategy {named}"
            raise InputError(
                f"{name} cannot be given with {lines}: it is for P_QSO, but these choose by the "
                "confidences of lines"
            )
    if p_threshold is not None:
        _check_calibrated("p_threshold", model, ": give c_threshold and min_lines")
    if prior_qso is not None:
        _check_calibrated("prior_qso", model)
    if model.calibration is not None and p_threshold is None and not of_lines:
        p_threshold = model.calibration.p_threshold
    criterion = Criterion(
        C_THRESHOLD if c_threshold is None else c_threshold,
        MIN_LINES if min_lines is None else min_lines,
        p_threshold,
        prior_qso,
        None if of_lines else _choose_prior(model, prior, prior_qso),
        "" if named is None else str(named),
    )
    if criterion.min_lines > len(model.lines):
        raise InputError(
            f"min_lines is {criterion.min_lines}, but model {model.name} has "
            f"{len(model.lines)} lines"
        )
    return criterion


def _check_strategy(
    strategy: Strategy, model: Model, free: tuple[float | None, float | None, int | None]
) -> Strategy:
    """The strategy; InputError where it cannot decide by a model's predictions, or others are."""
    if free != (None, None, None):
        raise InputError(
            f"p_threshold, c_threshold and min_lines cannot be given with strategy {strategy}, "
            "which has its own"
        )
    if not strategy.of_predictions:
        raise InputError(
            f"strategy {strategy} needs {', '.join(strategy.columns)}, which spectra do not give: "
            "apply it to a table that has them (qnet.strategies)"
        )
    if "p_qso" in strategy.needs:
        _check_calibrated(f"strategy {strategy}", model)
    return strategy


def _check_calibrated(what: str, model: Model, hint: str = "") -> None:
    """Raise InputError where a model lacks the P_QSO that `what` needs."""
    if model.calibration is None:
        raise InputError(
            f"{what} needs a model with a calibrated P_QSO, which {model.name} does not have{hint}"
        )


def _choose_prior(model: Model, prior: Any, prior_qso: float | None) -> Reweighting | None:
    """The prior that is asked for, or the default one; None for that of the training sample."""
    calibration = model.calibration
    given = None if prior is None else as_population(prior)
    if calibration is None or calibration.density is None:
        if given is not None:
            raise InputError(
                f"prior needs a model whose calibration holds the density of its training sample, "
                f"which {model.name} does not: give prior={TRAINING!r} or none"
            )
        return None
    population = as_population(DEFAULT) if prior is None else given
    if population is None:
        return None
    bins = model.architecture.redshifts
    return make_reweighting(population, calibration.density, calibration.mix, bins, prior_qso)
