"""What the stages' answers say together: features of the calibration, a second redshift."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import BoolArray, FloatArray
from qnet.core.errors import InputError
from qnet.lines import SPEED_OF_LIGHT
from qnet.postprocess.candidates import SECOND_VELOCITY
from qnet.postprocess.decoding import Predictions

#: Scores of the second stage are clipped to this range before they are features.
SCORE_RANGE = (-12.0, 12.0)


@dataclasses.dataclass(frozen=True, eq=False)
class NetworkOutput:
    """All that the first stage says of some spectra.

    Attributes
    ----------
    preds : list of ndarray, each of shape (nspec, 2 * nboxes)
        What `qnet.model.model.Model.predict` returns.
    common : ndarray, shape (nspec, units)
        Activations of the layer that all outputs share.
    distance : ndarray of float64, shape (nspec,)
        Mahalanobis distance ``|(common - outlier_mean) outlier_scale|`` from the training data; NaN
        for a row of NaN, and in all rows for a model without the two arrays.
    posterior : ndarray, shape (nspec, noutputs), or None
        Shares of the classes of ``architecture.redshifts``; None for a network without them.
    """

    preds: list[npt.NDArray[Any]]
    common: npt.NDArray[Any]
    distance: FloatArray
    posterior: npt.NDArray[Any] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class ChosenCandidates:
    """What the second stage says of the spectra that it has judged.

    Attributes
    ----------
    z, zerr : ndarray of float64, shape (nspec,)
        The best candidate's redshift, refined, and its error; the guess and NaN where `ok` is
        false.
    ok : ndarray of bool, shape (nspec,)
        Whether a candidate could be refined.
    score, share : ndarray of float64, shape (nspec,)
        The best candidate's logit of being a quasar there, by the second stage, and its share of
        the posterior, by the first; NaN where there is none.
    bal : ndarray of float64, shape (nspec,)
        Its logit of broad absorption; NaN where there is none.
    z2, score2, share2 : ndarray of float64, shape (nspec,)
        The same of the next best candidate; NaN where there is none.
    odds2 : ndarray of float64, shape (nspec,)
        Odds of the next best candidate against the best one; 0 where there is none.
    """

    z: FloatArray
    zerr: FloatArray
    ok: BoolArray
    score: FloatArray
    share: FloatArray
    bal: FloatArray
    z2: FloatArray
    score2: FloatArray
    share2: FloatArray
    odds2: FloatArray


@dataclasses.dataclass(frozen=True, eq=False)
class _Evidence:
    """Decoded predictions, signal-to-noise ratios (nspec,), and what else a model may have."""

    found: Predictions
    snr: npt.NDArray[Any]
    quasar: FloatArray | None = None
    chosen: ChosenCandidates | None = None
    score_bal: FloatArray | None = None

    def of_quasar(self) -> FloatArray:
        """Logit of the share of the posterior that is a quasar's."""
        if self.quasar is None:
            raise InputError("the feature logit_quasar needs a network with a redshift head")
        return logit(self.quasar)

    def scored(self, name: str) -> FloatArray:
        """A score of the second stage; the lowest where there is none."""
        if self.chosen is None:
            raise InputError(f"the feature {name} needs a second stage that verifies")
        values: FloatArray = getattr(self.chosen, name)
        return np.clip(np.nan_to_num(values, nan=SCORE_RANGE[0]), *SCORE_RANGE)

    def shared(self, name: str) -> FloatArray:
        """Logit of a candidate's share of the posterior; the lowest where there is none."""
        if self.chosen is None:
            raise InputError(f"the feature logit_{name} needs a second stage that verifies")
        values: FloatArray = getattr(self.chosen, name)
        return logit(np.nan_to_num(values, nan=0.0))

    def absorbed(self) -> FloatArray:
        """The second stage's logit of broad absorption."""
        if self.score_bal is None:
            raise InputError("the feature score_bal needs a second stage that looks for absorption")
        return np.clip(self.score_bal, *SCORE_RANGE)

    def ranked(self, rank: int) -> FloatArray:
        """Logit of the confidence of the rank-th best line, from 0; of the last one beyond it."""
        ordered = -np.sort(-self.found.c_line, axis=0)
        return logit(ordered[min(rank, len(ordered) - 1)])

    def agreeing(self) -> FloatArray:
        """Logit of the largest confidence of another line near the redshift of the best."""
        c_line, z_line, zbest = self.found.c_line, self.found.z_line, self.found.zbest
        with np.errstate(invalid="ignore"):
            near = SPEED_OF_LIGHT * np.abs(z_line - zbest) <= SECOND_VELOCITY * (1 + zbest)
        others = np.where(near, c_line, 0.0)
        others[c_line.argmax(axis=0), np.arange(len(zbest))] = 0.0
        return np.where(np.isnan(zbest), np.nan, logit(others.max(axis=0)))

    def bal(self) -> FloatArray:
        """Logit of the largest confidence of a BAL line."""
        c_bal = self.found.c_line_bal
        return logit(c_bal.max(axis=0) if len(c_bal) else np.zeros(len(self.found)))

    def bal_emission(self) -> FloatArray:
        """Logit of the largest confidence of an emission line that is a BAL line too."""
        lines = [self.found.lines.index(x) for x in self.found.lines_bal if x in self.found.lines]
        if not lines:
            return np.full(len(self.found), logit(0.0))
        return logit(self.found.c_line[lines].max(axis=0))


#: The features that a calibration may name, and how they are made.
FEATURES: Mapping[str, Callable[[_Evidence], FloatArray]] = MappingProxyType(
    {
        "logit_c1": lambda evidence: evidence.ranked(0),
        "logit_c2": lambda evidence: evidence.ranked(1),
        "logit_c3": lambda evidence: evidence.ranked(2),
        "logit_agree": _Evidence.agreeing,
        "log_snr": lambda evidence: log_snr(evidence.snr),
        "log_1pz": lambda evidence: np.log10(np.maximum(1 + evidence.found.zbest, 1e-3)),
        "logit_bal": _Evidence.bal,
        "logit_bal_emission": _Evidence.bal_emission,
        "logit_quasar": _Evidence.of_quasar,
        "score": lambda evidence: evidence.scored("score"),
        "score2": lambda evidence: evidence.scored("score2"),
        "logit_share": lambda evidence: evidence.shared("share"),
        "logit_share2": lambda evidence: evidence.shared("share2"),
        "score_bal": _Evidence.absorbed,
    }
)

#: Features that need a redshift head, and a second stage that verifies.
HEAD_FEATURES = frozenset({"logit_quasar"})
CANDIDATE_FEATURES = frozenset({"score", "score2", "logit_share", "logit_share2"})

#: Those that need one that looks for broad absorption.
ABSORPTION_FEATURES = frozenset({"score_bal"})

#: Features of P_QSO, unless a calibration names others.
P_QSO_FEATURES = ("logit_c1", "logit_c2", "logit_c3", "log_snr")

#: Features of P_BAL, unless a calibration names others.
P_BAL_FEATURES = ("logit_bal", "log_snr", "logit_bal_emission")


def features(
    names: Sequence[str],
    found: Predictions,
    snr: npt.ArrayLike,
    *,
    quasar: FloatArray | None = None,
    chosen: ChosenCandidates | None = None,
    score_bal: FloatArray | None = None,
) -> FloatArray:
    """Features of some spectra, for `qnet.model.logistic.Logistic`.

    Parameters
    ----------
    names : sequence of str
        Out of ``FEATURES``: ``logit_c1`` .. ``logit_c3``, of the three largest line confidences
        (the last is repeated where there are fewer lines); ``logit_agree``, of the largest
        confidence among the other lines within 6000 km/s of the most confident one's redshift;
        ``log_snr``, log10 of the median S/N, clipped to 0.05 .. 100; ``log_1pz``, log10(1 + z) of
        the most confident line; ``logit_bal``, of the largest BAL confidence;
        ``logit_bal_emission``, of the emission line of the same name; ``logit_quasar``, of the
        share of the redshift head's posterior that is a quasar's; ``score`` and ``score2``, the
        second stage's logits of the best and the next candidate, clipped to -12 .. 12 and -12
        where there is none; ``logit_share``, ``logit_share2``, of their shares of the posterior (of
        a model without a head: of the confidence of the most confident line); ``score_bal``, the
        second stage's logit of broad absorption, clipped to the same range.
        Confidences and shares are clipped to 1e-6 .. 1 - 1e-6.
    found : Predictions
        Of the line finders.
    snr : array_like, shape (nspec,)
        Median S/N per pixel of the model's grid (`qnet.preprocess.normalisation.Preprocessed.snr`).
    quasar : ndarray, shape (nspec,), optional
        Share of the posterior that is a quasar's (`qnet.postprocess.candidates.quasar_share`).
    chosen : Verdict, optional
        Of the second stage.
    score_bal : ndarray, shape (nspec,), optional
        The second stage's logit of broad absorption; NaN where it has not looked.

    Returns
    -------
    ndarray of float64, shape (nspec, nfeatures)
        NaN in the rows that have no answer.

    Raises
    ------
    InputError
        A name is unknown, or needs what is not given.
    """
    check_features(names)
    evidence = _Evidence(found, np.asarray(snr), quasar, chosen, score_bal)
    return np.stack([FEATURES[name](evidence) for name in names], axis=1)


def check_features(names: Sequence[str], *, without: Collection[str] = ()) -> None:
    """Check that features are known, and none of those that cannot be had.

    Raises
    ------
    InputError
        One is not.
    """
    if unknown := [name for name in names if name not in FEATURES]:
        raise InputError(f"unknown feature(s) {unknown}: the legal ones are {sorted(FEATURES)}")
    if lacking := [name for name in names if name in without]:
        raise InputError(f"feature(s) {lacking} need a stage that the model lacks, or a later one")


#: Confidences are clipped to this distance from 0 and 1 before their logit is taken.
CONFIDENCE_EPSILON = 1e-6


#: Median signal-to-noise ratios per grid pixel are clipped to this range.
SNR_RANGE = (0.05, 100.0)


def logit(probability: npt.ArrayLike, epsilon: float = CONFIDENCE_EPSILON) -> FloatArray:
    """log(p / (1 - p)), with p clipped to epsilon .. 1 - epsilon; NaN stays NaN."""
    p = np.clip(np.asarray(probability, dtype=np.float64), epsilon, 1 - epsilon)
    return np.asarray(np.log(p / (1 - p)))


def log_snr(snr: npt.ArrayLike) -> FloatArray:
    """log10 of the signal-to-noise ratio clipped to 0.05 .. 100; NaN stays NaN."""
    return np.asarray(np.log10(np.clip(np.asarray(snr, dtype=np.float64), *SNR_RANGE)))
