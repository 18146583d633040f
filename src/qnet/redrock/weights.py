"""Weights of the evidence of two finders, fitted on simulated targets that redrock has run on."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from importlib.resources import files

import numpy as np

from qnet.core.arrays import BoolArray, FloatArray
from qnet.lines import velocity_between
from qnet.model.laws import sigmoid
from qnet.postprocess.features import logit

#: Velocity [km/s] within which two redshifts are the same: that of P_Z.
AGREEMENT = 3000.0

#: Excess of chi2 that says nothing for or against a redshift.
_NO_SCAN = 9.0

#: Least logarithm of the odds of a finder that has none, and the most that either may have.
_MOST = 10.0


@dataclasses.dataclass(frozen=True, eq=False)
class Evidence:
    """What both finders say of each row; shape (nspec,) each."""

    p_qso: FloatArray  #: NaN where qnet has no answer
    p_z: FloatArray
    z: FloatArray
    z_redrock: FloatArray  #: NaN where redrock has none
    is_qso: BoolArray  #: by redrock: SPECTYPE QSO
    deltachi2: FloatArray
    zwarn: BoolArray
    excess: FloatArray  #: chi2 of redrock at z beyond its best; NaN where there is no scan

    @functools.cached_property
    def agree(self) -> BoolArray:
        """Rows whose redshifts are the same."""
        return np.asarray(np.abs(velocity_between(self.z_redrock, self.z)) < AGREEMENT)

    def select(self, rows: BoolArray) -> Evidence:
        """The evidence of some rows."""
        return Evidence(*(getattr(self, x.name)[rows] for x in dataclasses.fields(self)))


def _odds(probability: FloatArray) -> FloatArray:
    """Logarithm of odds, clipped; those of one half where there are none."""
    return np.nan_to_num(np.clip(logit(probability), -_MOST, _MOST), nan=0.0)


def class_features(evidence: Evidence) -> dict[str, FloatArray]:
    """Features of being a quasar."""
    seen = np.isfinite(evidence.z_redrock)
    sign = np.where(evidence.is_qso, 1.0, -1.0) * seen
    strength = np.log10(1 + np.maximum(np.nan_to_num(evidence.deltachi2), 0))
    return {
        "one": np.ones(len(sign)),
        "logit_p_qso": _odds(evidence.p_qso),
        "redrock_qso": sign,
        "redrock_strength": sign * strength,
        "redrock_warned": sign * evidence.zwarn,
        "agree": (evidence.agree & evidence.is_qso).astype(float),
    }


def redshift_features(evidence: Evidence) -> dict[str, FloatArray]:
    """Features of qnet's redshift being the right one of two that differ."""
    strength = np.log10(1 + np.maximum(np.nan_to_num(evidence.deltachi2), 0))
    excess = np.log10(1 + np.maximum(np.nan_to_num(evidence.excess, nan=_NO_SCAN), 0))
    return {
        "one": np.ones(len(strength)),
        "logit_p_z": _odds(evidence.p_z),
        "redrock_qso": evidence.is_qso.astype(float),
        "redrock_strength": strength,
        "redrock_warned": evidence.zwarn.astype(float),
        "excess": excess - np.log10(1 + _NO_SCAN),
    }


def agreement_features(evidence: Evidence) -> dict[str, FloatArray]:
    """Features of a redshift that both finders have being right."""
    return {
        "one": np.ones(len(evidence.p_z)),
        "logit_p_z": _odds(evidence.p_z),
        "redrock_warned": evidence.zwarn.astype(float),
    }


#: Features of each probability, and the weights that it has without any data: qnet's own odds.
LAWS = {
    "quasar": (class_features, {"logit_p_qso": 1.0}),
    "qnet_right": (redshift_features, {"logit_p_z": 1.0}),
    "agreed_right": (agreement_features, {"logit_p_z": 1.0}),
}


@dataclasses.dataclass(frozen=True)
class MergeWeights:
    """Weights of the features of each probability in `LAWS`, and of what they were fitted on."""

    weights: Mapping[str, Mapping[str, float]]
    #: Fraction of two redshifts that differ of which one is right.
    one_right: float
    fitted_on: str = ""

    def probability(self, law: str, evidence: Evidence) -> FloatArray:
        """A probability of `LAWS` (nspec,)."""
        features, weights = LAWS[law][0](evidence), self.weights[law]
        eta = np.zeros(len(evidence.z))
        for name, values in features.items():
            eta = eta + weights[name] * values
        return sigmoid(eta)


@functools.cache
def load_weights() -> MergeWeights:
    """The weights that come with qnet."""
    text = files("qnet.redrock").joinpath("data", "merge.json").read_text(encoding="utf-8")
    return MergeWeights(**json.loads(text))
