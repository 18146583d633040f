"""Features of the calibration, computed from the output of both stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import AnyArray, BoolArray, FloatArray, IntArray
from qnet.core.errors import InputError
from qnet.core.flags import DISAGREE_VELOCITY
from qnet.lines import velocity_between
from qnet.postprocess.decoding import Predictions

#: Logits of the second stage are clipped to this range before they are features.
SCORE_RANGE = (-12.0, 12.0)

#: Confidences are clipped to this distance from 0 and 1 before their logit is taken.
CONFIDENCE_EPSILON = 1e-6

#: Median signal-to-noise ratios per grid pixel are clipped to this range.
SNR_RANGE = (0.05, 100.0)

#: Errors of 1 + z are clipped to this range, and are the largest where there is none.
ERROR_RANGE = (1e-5, 0.1)

#: Fractions of pixels with weight are clipped to this one and more.
LEAST_FRACTION = 1e-3


def logit(probability: npt.ArrayLike) -> FloatArray:
    """log(p / (1 - p)), with p clipped to 1e-6 .. 1 - 1e-6; NaN stays NaN."""
    p = np.clip(
        np.asarray(probability, dtype=np.float64), CONFIDENCE_EPSILON, 1 - CONFIDENCE_EPSILON
    )
    return np.asarray(np.log(p / (1 - p)))


def log_snr(snr: npt.ArrayLike) -> FloatArray:
    """log10 of the signal-to-noise ratio clipped to 0.05 .. 100; NaN stays NaN."""
    return np.asarray(np.log10(np.clip(np.asarray(snr, dtype=np.float64), *SNR_RANGE)))


@dataclasses.dataclass(frozen=True, eq=False)
class ChosenCandidates:
    """Best and next best candidate of each spectrum, by the second stage; arrays (nspec,)."""

    z: FloatArray  # refined redshift of the best candidate; its guess where `ok` is false
    zerr: FloatArray  # error of `z`; NaN where `ok` is false
    ok: BoolArray  # whether a candidate could be refined
    score: FloatArray  # logit of being a quasar at `z`; this and the following are NaN if not `ok`
    probability: FloatArray  # of the candidate in the posterior of the first stage
    weight: FloatArray  # of the population asked for, relative to the training sample
    bal: FloatArray  # logit of broad absorption
    z2: FloatArray  # the same of the next best candidate; NaN where there is none
    score2: FloatArray
    probability2: FloatArray
    weight2: FloatArray
    odds2: FloatArray  # of the next best candidate against the best; 0 where there is none


@dataclasses.dataclass(frozen=True, eq=False)
class Coverage:
    """What spectra cover of a model's lines; arrays (nspec,) or (nlines, nspec)."""

    goodfrac: AnyArray  # (nspec,): fraction of the grid pixels with weight
    z: FloatArray  # (nspec,): redshift of the best candidate
    at_z: BoolArray  # (nlines, nspec): whether the line has data at z
    at_own: BoolArray  # (nlines, nspec): whether it has data at its own redshift

    def select(self, rows: IntArray) -> Coverage:
        """Some of the rows."""
        return Coverage(self.goodfrac[rows], self.z[rows], self.at_z[:, rows], self.at_own[:, rows])


@dataclasses.dataclass(frozen=True, eq=False)
class _Inputs:
    """What features are computed from: None for what the model has no stage for."""

    found: Predictions
    snr: AnyArray  # (nspec,)
    coverage: Any = None  # Coverage
    quasar: Any = None  # (nspec,): probability of being a quasar, from the redshift head
    chosen: Any = None  # ChosenCandidates
    score_bal: Any = None  # (nspec,): logit of broad absorption


def _confidence(rank: int) -> Callable[[_Inputs], FloatArray]:
    """Logit of the rank-th largest line confidence, from 0; of the last one beyond it."""

    def compute(inputs: _Inputs) -> FloatArray:
        ordered = -np.sort(-inputs.found.c_line, axis=0)
        return logit(ordered[min(rank, len(ordered) - 1)])

    return compute


def _agreement(inputs: _Inputs) -> FloatArray:
    """Logit of the largest confidence among the other lines within 6000 km/s of the best one."""
    c_line, z_line, zbest = inputs.found.c_line, inputs.found.z_line, inputs.found.zbest
    near = np.abs(velocity_between(z_line, zbest)) <= DISAGREE_VELOCITY
    others = np.where(near, c_line, 0.0)
    others[inputs.found.best_line(), np.arange(len(zbest))] = 0.0
    return np.where(np.isnan(zbest), np.nan, logit(others.max(axis=0)))


def seen_confidence(found: Predictions, coverage: Coverage) -> FloatArray:
    """Largest confidence (nspec,) of the lines that have data at their own redshifts."""
    largest = np.where(coverage.at_own, found.c_line, 0.0).max(axis=0)
    return np.where(np.isnan(found.zbest), np.nan, largest)


def _near(rank: int) -> Callable[[_Inputs], FloatArray]:
    """Logit of the rank-th largest confidence of the lines with data at z, within 6000 km/s."""

    def compute(inputs: _Inputs) -> FloatArray:
        found, z = inputs.found, inputs.coverage.z
        near = np.abs(velocity_between(found.z_line, z)) <= DISAGREE_VELOCITY
        ordered = -np.sort(-np.where(near & inputs.coverage.at_z, found.c_line, 0.0), axis=0)
        c = ordered[rank] if rank < len(ordered) else np.zeros(len(found))
        return np.where(np.isnan(found.zbest), np.nan, logit(c))

    return compute


def _log_error(inputs: _Inputs) -> FloatArray:
    """log10 of the second stage's error of the best candidate, over 1 + z."""
    error = inputs.chosen.zerr / (1 + inputs.chosen.z)
    return np.asarray(np.log10(np.clip(np.nan_to_num(error, nan=ERROR_RANGE[1]), *ERROR_RANGE)))


def _log_odds(inputs: _Inputs) -> FloatArray:
    """Log of the odds of the next best candidate against the best; the lowest without one."""
    least = np.exp(SCORE_RANGE[0])
    return np.asarray(np.log(np.clip(np.nan_to_num(inputs.chosen.odds2, nan=0.0), least, 1.0)))


def _bal(inputs: _Inputs) -> FloatArray:
    """Logit of the largest confidence of a BAL line."""
    c_bal = inputs.found.c_line_bal
    return logit(c_bal.max(axis=0) if len(c_bal) else np.zeros(len(inputs.found)))


def _bal_emission(inputs: _Inputs) -> FloatArray:
    """Logit of the largest confidence of an emission line that is a BAL line too."""
    found = inputs.found
    lines = [found.lines.index(name) for name in found.lines_bal if name in found.lines]
    return logit(found.c_line[lines].max(axis=0) if lines else np.zeros(len(found)))


def _score(name: str) -> Callable[[_Inputs], FloatArray]:
    """Logit of a candidate by the second stage, clipped; the lowest where there is none."""
    return lambda inputs: np.clip(
        np.nan_to_num(getattr(inputs.chosen, name), nan=SCORE_RANGE[0]), *SCORE_RANGE
    )


def _probability(name: str) -> Callable[[_Inputs], FloatArray]:
    """Logit of a candidate's probability in the posterior; the lowest where there is none."""
    return lambda inputs: logit(np.nan_to_num(getattr(inputs.chosen, name), nan=0.0))


#: The stages that features need, by the field of `_Inputs` that they fill.
_STAGES = {
    "coverage": "the coverage of the spectra",
    "quasar": "a network with a redshift head",
    "chosen": "a second stage that verifies",
    "score_bal": "a second stage that looks for absorption",
}

#: Features by the names that weights files use, and the stage that each needs ('': none but the
#: line finders). Rows that have no network output are NaN, but for those of the spectrum alone.
FEATURES: Mapping[str, tuple[Callable[[_Inputs], FloatArray], str]] = MappingProxyType(
    {
        "logit_c1": (_confidence(0), ""),
        "logit_c2": (_confidence(1), ""),
        "logit_c3": (_confidence(2), ""),
        "logit_agree": (_agreement, ""),
        "log_snr": (lambda inputs: log_snr(inputs.snr), ""),
        "log_1pz": (lambda inputs: np.log10(np.maximum(1 + inputs.found.zbest, 1e-3)), ""),
        "log_goodfrac": (
            lambda inputs: np.log10(np.maximum(inputs.coverage.goodfrac, LEAST_FRACTION)),
            "coverage",
        ),
        "lines_seen": (lambda inputs: inputs.coverage.at_z.sum(axis=0, dtype=float), "coverage"),
        "logit_seen": (
            lambda inputs: logit(seen_confidence(inputs.found, inputs.coverage)),
            "coverage",
        ),
        "logit_near": (_near(0), "coverage"),
        "logit_near2": (_near(1), "coverage"),
        "log_1pz_best": (
            lambda inputs: np.log10(np.maximum(1 + inputs.coverage.z, 1e-3)),
            "coverage",
        ),
        "logit_bal": (_bal, ""),
        "logit_bal_emission": (_bal_emission, ""),
        "logit_quasar": (lambda inputs: logit(inputs.quasar), "quasar"),
        "score": (_score("score"), "chosen"),
        "score2": (_score("score2"), "chosen"),
        "logit_share": (_probability("probability"), "chosen"),
        "logit_share2": (_probability("probability2"), "chosen"),
        "log_odds2": (_log_odds, "chosen"),
        "log_zerr": (_log_error, "chosen"),
        "score_bal": (lambda inputs: np.clip(inputs.score_bal, *SCORE_RANGE), "score_bal"),
    }
)

#: Names of the features that need each of the stages.
HEAD_FEATURES, CANDIDATE_FEATURES, ABSORPTION_FEATURES = (
    frozenset(name for name, (_, needed) in FEATURES.items() if needed == stage)
    for stage in ("quasar", "chosen", "score_bal")
)


def compute_features(
    names: Sequence[str],
    found: Predictions,
    snr: npt.ArrayLike,
    *,
    coverage: Coverage | None = None,
    quasar: FloatArray | None = None,
    chosen: ChosenCandidates | None = None,
    score_bal: FloatArray | None = None,
) -> FloatArray:
    """Features of some spectra for `qnet.model.calibration.Logistic`, shape (nspec, nfeatures)."""
    check_features(names)
    inputs = _Inputs(found, np.asarray(snr), coverage, quasar, chosen, score_bal)
    columns = []
    for name in names:
        compute, stage = FEATURES[name]
        if stage and getattr(inputs, stage) is None:
            raise InputError(f"the feature {name} needs {_STAGES[stage]}")
        columns.append(compute(inputs))
    return np.stack(columns, axis=1)


def check_features(names: Sequence[str], *, without: Collection[str] = ()) -> None:
    """Raise InputError unless features are known, and none of those in `without`."""
    if unknown := [name for name in names if name not in FEATURES]:
        raise InputError(f"unknown feature(s) {unknown}: the legal ones are {sorted(FEATURES)}")
    if lacking := [name for name in names if name in without]:
        raise InputError(f"feature(s) {lacking} need a stage that the model lacks, or a later one")
