"""Redshifts and P_QSO of the catalogue, from the output of both stages."""

from __future__ import annotations

import dataclasses

import numpy as np

from qnet.classification.criterion import Criterion
from qnet.classification.pz import find_distributions
from qnet.classification.refinement import Candidates, refine_candidates
from qnet.classification.reweighting import Weights
from qnet.core.arrays import AnyArray, Columns, FloatArray, IntArray
from qnet.core.flags import QNFlag
from qnet.core.spectra import Spectra
from qnet.core.threads import choose_threads
from qnet.lines import rest_wavelengths
from qnet.model.calibration import Calibration, multiply_odds, rescale
from qnet.model.laws import Logistic
from qnet.model.model import Model
from qnet.model.network import NetworkOutput
from qnet.model.refiner import Refiner
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
    first = _first_stage(model, criterion, found, output, weights)
    p = _p_of_first_stage(model, data, first)
    rows = _rows_to_refine(model, criterion, first, p)
    candidates = chosen = None
    if model.refiner is not None:
        candidates, chosen = _refine(spectra, model, model.refiner, first, rows)
    columns = _redshifts(first, rows, chosen) | {"P_QSO": p}
    if model.calibration is None:
        return columns
    # Without a second stage there is nothing but the first one's redshifts.
    refined = rows if chosen is not None else np.arange(len(found))
    coverage = find_coverage(model, data, found, columns["ZBEST"])
    second = _SecondStage(found, data.snr, coverage, first.quasar, chosen, refined)
    columns |= _calibrated_errors(
        model.calibration, log_snr(data.snr), columns["ZBEST"], columns["ZERR"]
    )
    columns |= _probabilities(model, model.calibration, criterion, first, second, columns)
    if pz and candidates is not None and output.posterior is not None:
        posterior = np.array(output.posterior, np.float64)
        if criterion.prior is not None:
            posterior = criterion.prior.weigh(posterior, first.relative)
        columns |= find_distributions(candidates, rows, posterior, model, data.snr, columns)
    return columns


@dataclasses.dataclass(frozen=True, eq=False)
class _FirstStage:
    """What the first stage gives for some spectra; None for what it or the prior lacks."""

    found: Predictions
    output: NetworkOutput
    z: FloatArray  # candidates, most probable first by the prior asked for, (nspec, count)
    probability: FloatArray  # by the training sample's prior
    weight: FloatArray  # of the prior asked for
    quasar: FloatArray | None  # (nspec,): probability of being a quasar
    odds: FloatArray | None  # (nspec,): factor of the prior on the odds of P_QSO
    relative: AnyArray | None  # (nspec, nbins): weights of the redshift bins


def _first_stage(
    model: Model,
    criterion: Criterion,
    found: Predictions,
    output: NetworkOutput,
    weights: Weights | None,
) -> _FirstStage:
    """Candidates and probabilities of the first stage, with the prior that is asked for."""
    odds = relative = quasar = None
    if criterion.prior is not None:
        values = None if weights is None else weights.values
        odds, relative = criterion.prior.apply(output.posterior, values, len(found))
    if model.architecture.redshifts is not None and output.posterior is not None:
        quasar = quasar_probability(output.posterior, model.architecture.redshifts)
    candidates = first_stage_candidates(model, found, output, relative)
    return _FirstStage(found, output, *candidates, quasar, odds, relative)


def _p_of_first_stage(model: Model, data: Preprocessed, first: _FirstStage) -> FloatArray:
    """P_QSO from the first stage alone, by the training sample's prior; NaN uncalibrated."""
    if model.calibration is None:
        return np.full(len(first.found), np.nan)
    law = model.calibration.p_qso
    coverage = find_coverage(model, data, first.found, first.z[:, 0])
    return law.probability(
        compute_features(law.names, first.found, data.snr, coverage=coverage, quasar=first.quasar)
    )


def _rows_to_refine(
    model: Model, criterion: Criterion, first: _FirstStage, p: FloatArray
) -> IntArray:
    """Rows that the first stage calls quasars, or whose P_QSO is above the floor."""
    rescaled = _rescaled(p, model.calibration, criterion.prior_qso, first.odds)
    wanted = criterion.is_qso(first.found, rescaled)
    if model.calibration is not None:
        wanted = wanted | (p > model.calibration.refine_floor)
    return np.flatnonzero(wanted & np.isfinite(first.z[:, 0]))


def _refine(
    spectra: Spectra, model: Model, refiner: Refiner, first: _FirstStage, rows: IntArray
) -> tuple[Candidates, ChosenCandidates]:
    """The candidates of some rows after the second stage, and the best of each."""
    floor, exponent = 0.0, 0.0
    if model.calibration is not None:
        floor, exponent = model.calibration.candidate_floor, model.calibration.fraction_exponent
    candidates = refine_candidates(
        spectra.select(rows),
        refiner,
        first.z[rows],
        first.probability[rows],
        floor,
        first.weight[rows],
        threads=choose_threads(model.threads),
    )
    return candidates, candidates.choose(exponent)


def _redshifts(first: _FirstStage, rows: IntArray, chosen: ChosenCandidates | None) -> Columns:
    """ZBEST, ZERR, SCORE_BAL and the bit NOREFINE of QN_FLAG."""
    zbest, (zerr, bal) = first.z[:, 0].copy(), np.full((2, len(first.z)), np.nan)
    flag = np.zeros(len(first.z), dtype=np.int32)
    if chosen is not None:
        zbest[rows], zerr[rows], bal[rows] = chosen.z, chosen.zerr, chosen.bal
        flag[rows[~chosen.ok]] |= QNFlag.NOREFINE
    return {"ZBEST": zbest, "ZERR": zerr, "SCORE_BAL": bal, "QN_FLAG": flag}


def _probabilities(
    model: Model,
    calibration: Calibration,
    criterion: Criterion,
    first: _FirstStage,
    second: _SecondStage,
    columns: Columns,
) -> Columns:
    """P_QSO, P_Z, Z2, P2, and the bit NO_EVIDENCE in QN_FLAG."""
    chosen, flag = second.chosen, columns["QN_FLAG"]
    law = None if chosen is None else calibration.p_candidate
    p = second.probability(law, columns["P_QSO"])
    if calibration.evidence is not None and criterion.p_threshold is not None:
        confidence = seen_confidence(first.found, second.coverage)
        seen, prior = second.coverage.at_z.sum(axis=0), calibration.quasar_fraction
        lacking = calibration.evidence.is_lacking(p, prior, confidence, seen)
        flag = flag | np.where(lacking, np.int32(QNFlag.NO_EVIDENCE), np.int32(0))
    p = _rescaled(p, calibration, criterion.prior_qso, first.odds)
    # P_QSO is of the training sample's prior, with `odds` for another: redshifts have theirs.
    second = second.with_prior()
    p_z = second.probability(calibration.p_z)
    if chosen is None or model.refiner is None or not model.refiner.arch.scores:
        preds, zbest = first.output.preds, columns["ZBEST"]
        z2, p2 = second_redshift(preds, model.lines, model.grid, model.rest, zbest)
    else:
        weighted = first.probability * first.weight
        z2, fraction = _second_candidate(first.z, weighted, first.quasar, second.rows, chosen)
        p2 = p * fraction
    if calibration.p_z2 is not None:
        # Z2 is right where ZBEST is wrong: both together have at most the probability 1.
        p2 = (1 - p_z) * second.probability(calibration.p_z2)
    p2 = np.where(np.isfinite(z2), p2, np.nan)
    return {"P_QSO": p, "P_Z": p_z, "Z2": z2, "P2": p2, "QN_FLAG": flag}


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
    model: Model,
    found: Predictions,
    output: NetworkOutput,
    weights: AnyArray | None = None,
    *,
    count: int | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Candidate redshifts of the first stage, probabilities and weights, all (nspec, count)."""
    # Peaks of the posterior, where there is one to refine; else the most confident line's redshift.
    # As many as the calibration says where no count is given.
    bins = model.architecture.redshifts
    if bins is None or output.posterior is None or model.refiner is None:
        return found.zbest[:, None], found.c_line.max(axis=0)[:, None], np.ones((len(found), 1))
    if count is None:
        count = 1 if model.calibration is None else model.calibration.candidates
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
        return multiply_odds(p_qso, odds)
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
