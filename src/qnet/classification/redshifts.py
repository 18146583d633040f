"""Redshifts and P_QSO of the catalogue, from the output of both stages."""

from __future__ import annotations

import dataclasses

import numpy as np

from qnet.classification.criterion import Criterion
from qnet.classification.pz import find_distributions
from qnet.classification.refinement import refine_candidates
from qnet.classification.reweighting import Weights
from qnet.core.arrays import AnyArray, Columns, FloatArray, IntArray
from qnet.core.flags import QNFlag
from qnet.core.spectra import Spectra
from qnet.core.threads import choose_threads
from qnet.lines import rest_wavelengths
from qnet.model.calibration import Calibration, rescale
from qnet.model.laws import Logistic
from qnet.model.model import Model
from qnet.model.network import NetworkOutput
from qnet.postprocess.candidates import find_weighted, quasar_probability, second_redshift
from qnet.postprocess.decoding import Predictions
from qnet.postprocess.features import (
    ChosenCandidates,
    Coverage,
    compute_features,
    log_snr,
    seen_confidence,
)
from qnet.preprocess.normalisation import Preprocessed


def refine_redshifts(
    spectra: Spectra,
    model: Model,
    criterion: Criterion,
    data: Preprocessed,
    found: Predictions,
    output: NetworkOutput,
    weights: Weights | None = None,
    *,
    pz: bool = False,
) -> Columns:
    """Redshifts, errors, P_QSO and P_Z; SCORE_BAL (logit of broad absorption); bits of QN_FLAG.

    And the parts of the redshift distributions, where asked for.
    """
    # Refined are the rows that the first stage calls quasars or whose P_QSO is above the floor.
    calibration, snr = model.calibration, data.snr
    odds, relative = None, None
    if criterion.prior is not None:
        values = None if weights is None else weights.values
        odds, relative = criterion.prior.apply(output.posterior, values, len(found))
    z, probability, weight = first_stage_candidates(model, found, output, relative)
    quasar = None
    if model.architecture.redshifts is not None and output.posterior is not None:
        quasar = quasar_probability(output.posterior, model.architecture.redshifts)
    zbest, zerr = z[:, 0].copy(), np.full(len(found), np.nan)
    flag = np.zeros(len(found), dtype=np.int32)
    p, score_bal = np.full((2, len(found)), np.nan)
    if calibration is not None:
        coverage = find_coverage(model, data, found, zbest)
        names = calibration.p_qso.names
        features = compute_features(names, found, snr, coverage=coverage, quasar=quasar)
        p = calibration.p_qso.probability(features)
    wanted = criterion.is_qso(found, _rescaled(p, calibration, criterion.prior_qso, odds))
    if calibration is not None:
        with np.errstate(invalid="ignore"):
            wanted = wanted | (p > calibration.refine_floor)
    chosen, rows = None, np.flatnonzero(wanted & np.isfinite(zbest))
    if model.refiner is not None:
        floor, exponent = 0.0, 0.0
        if calibration is not None:
            floor, exponent = calibration.candidate_floor, calibration.fraction_exponent
        some, threads = spectra.select(rows), choose_threads(model.threads)
        candidates = refine_candidates(
            some, model.refiner, z[rows], probability[rows], floor, weight[rows], threads=threads
        )
        chosen = candidates.choose(exponent)
        zbest[rows], zerr[rows], score_bal[rows] = chosen.z, chosen.zerr, chosen.bal
        flag[rows[~chosen.ok]] |= QNFlag.NOREFINE
    columns = {"ZBEST": zbest, "ZERR": zerr, "QN_FLAG": flag, "SCORE_BAL": score_bal, "P_QSO": p}
    if calibration is None:
        return columns
    columns |= _calibrated_errors(calibration, log_snr(snr), zbest, zerr)
    coverage = find_coverage(model, data, found, zbest)
    # Without a second stage there is nothing but the first one's redshifts.
    refined = rows if model.refiner is not None else np.arange(len(found))
    second = _SecondStage(found, snr, coverage, quasar, chosen, refined)
    p = second.probability(calibration.p_candidate if chosen is not None else None, p)
    if calibration.evidence is not None and criterion.p_threshold is not None:
        confidence, seen = seen_confidence(found, coverage), coverage.at_z.sum(axis=0)
        prior = calibration.quasar_fraction
        lacking = calibration.evidence.is_lacking(p, prior, confidence, seen)
        flag[lacking] |= QNFlag.NO_EVIDENCE
    columns["P_QSO"] = p = _rescaled(p, calibration, criterion.prior_qso, odds)
    # P_QSO is of the training sample's prior, with `odds` for another: redshifts have theirs.
    second = second.with_prior()
    columns["P_Z"] = second.probability(calibration.p_z)
    if chosen is None or model.refiner is None or not model.refiner.arch.scores:
        z2, p2 = second_redshift(output.preds, model.lines, model.grid, model.rest, zbest)
    else:
        z2, fraction = _second_candidate(z, probability * weight, quasar, rows, chosen)
        p2 = np.where(np.isfinite(z2), p * fraction, np.nan)
    if calibration.p_z2 is not None:
        # Z2 is right where ZBEST is wrong: both together have at most the probability 1.
        wrong = 1 - columns["P_Z"]
        p2 = np.where(np.isfinite(z2), wrong * second.probability(calibration.p_z2), np.nan)
    if pz and output.posterior is not None:
        posterior = np.array(output.posterior, np.float64)
        if criterion.prior is not None:
            posterior = criterion.prior.weigh(posterior, relative)
        columns |= find_distributions(candidates, rows, posterior, model, snr, columns)
    return columns | {"Z2": z2, "P2": p2}


@dataclasses.dataclass(frozen=True, eq=False)
class _SecondStage:
    """What probabilities after the second stage are computed from, for the rows that it ran on."""

    found: Predictions
    snr: AnyArray
    coverage: Coverage
    quasar: FloatArray | None
    chosen: ChosenCandidates | None  # of `rows`
    rows: IntArray

    def with_prior(self) -> _SecondStage:
        """The same with the probabilities of the candidates by the prior that is asked for."""
        if (chosen := self.chosen) is None:
            return self
        first = np.minimum(chosen.probability * chosen.weight, 1.0)
        second = np.minimum(chosen.probability2 * chosen.weight2, 1.0)
        chosen = dataclasses.replace(chosen, probability=first, probability2=second)
        return dataclasses.replace(self, chosen=chosen)

    def probability(self, law: Logistic | None, others: FloatArray | None = None) -> FloatArray:
        """The probability of a law in the rows; `others`, or NaN, elsewhere and without a law."""
        p = np.full(len(self.found), np.nan) if others is None else others.copy()
        if law is not None:
            features = compute_features(
                law.names,
                self.found.select(self.rows),
                self.snr[self.rows],
                coverage=self.coverage.select(self.rows),
                quasar=None if self.quasar is None else self.quasar[self.rows],
                chosen=self.chosen,
            )
            p[self.rows] = law.probability(features)
        return p


def find_coverage(model: Model, data: Preprocessed, found: Predictions, z: FloatArray) -> Coverage:
    """What spectra cover of the model's lines, at a redshift and at those of the lines."""
    rest = rest_wavelengths(model.lines, model.rest)
    at_z, at_own = (
        data.has_weight(model.grid, rest * (1 + redshift)).T
        for redshift in (z[:, None], found.z_line.T)
    )
    return Coverage(data.goodfrac, z, at_z, at_own)


def _calibrated_errors(
    calibration: Calibration, snr: FloatArray, z: FloatArray, sigma: FloatArray
) -> Columns:
    """ZERR and ZERR_NOISE, from the second stage's error; `snr` is its logarithm."""
    errors = {"ZERR": sigma}
    if calibration.zerr is not None:
        errors["ZERR"] = sigma * calibration.zerr(snr, z)
    if calibration.zerr_noise is not None:
        errors["ZERR_NOISE"] = sigma * calibration.zerr_noise(snr, z)
    return errors


def first_stage_candidates(
    model: Model, found: Predictions, output: NetworkOutput, weights: AnyArray | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Candidate redshifts of the first stage, probabilities and weights, all (nspec, count)."""
    # Peaks of the posterior, where there is one to refine; else the most confident line's redshift.
    bins, calibration = model.architecture.redshifts, model.calibration
    if bins is None or output.posterior is None or model.refiner is None:
        return found.zbest[:, None], found.c_line.max(axis=0)[:, None], np.ones((len(found), 1))
    count = 1 if calibration is None else calibration.candidates
    z, probability, weight = find_weighted(output.posterior, weights, bins, count)
    # Where the probabilities of all redshifts are too small for floating-point numbers.
    z[:, 0] = np.where(np.isnan(z[:, 0]), found.zbest, z[:, 0])
    return z, probability, weight


def _rescaled(
    p_qso: FloatArray,
    calibration: Calibration | None,
    prior_qso: float | None,
    odds: FloatArray | None,
) -> FloatArray:
    """P_QSO for another prior (a factor on its odds), or for another fraction of quasars."""
    if odds is not None:
        with np.errstate(invalid="ignore"):
            return np.asarray(p_qso * odds / (p_qso * odds + (1 - p_qso)))
    if calibration is None or prior_qso is None:
        return p_qso
    return rescale(p_qso, prior_qso, calibration.quasar_fraction)


def _second_candidate(
    z: FloatArray,
    probability: FloatArray,
    quasar: FloatArray | None,
    rows: IntArray,
    chosen: ChosenCandidates,
) -> tuple[FloatArray, FloatArray]:
    """Second redshift, and its probability if the object is a quasar, before and after refining."""
    z2, fraction = np.full((2, len(z)), np.nan)
    if z.shape[1] > 1 and quasar is not None:
        z2 = z[:, 1].copy()
        fraction = probability[:, 1] / np.maximum(quasar, np.finfo(np.float64).tiny)
    z2[rows], fraction[rows] = chosen.z2, chosen.odds2 / (1 + chosen.odds2)
    return z2, fraction
