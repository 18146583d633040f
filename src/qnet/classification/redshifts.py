"""Redshifts and P_QSO of the catalogue, from the output of both stages."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.classification.criterion import Criterion
from qnet.classification.refinement import refine_candidates
from qnet.core.arrays import Columns, FloatArray, IntArray
from qnet.core.flags import QNFlag
from qnet.core.spectra import Spectra
from qnet.core.threads import choose_threads
from qnet.model.calibration import Calibration, rescale
from qnet.model.model import Model
from qnet.model.network import NetworkOutput
from qnet.postprocess.candidates import find_candidates, quasar_probability, second_redshift
from qnet.postprocess.decoding import Predictions
from qnet.postprocess.features import ChosenCandidates, compute_features, log_snr


def refine_redshifts(
    spectra: Spectra,
    model: Model,
    criterion: Criterion,
    snr: npt.NDArray[Any],
    found: Predictions,
    output: NetworkOutput,
) -> Columns:
    """ZBEST, ZERR, P_QSO, SCORE_BAL (logit of broad absorption), QN_FLAG (NOREFINE), Z2 and P2."""
    # Refined are the rows that the first stage calls quasars or whose P_QSO is above the floor.
    calibration = model.calibration
    z, probability = first_stage_candidates(model, found, output)
    quasar = None
    if model.architecture.redshifts is not None and output.posterior is not None:
        quasar = quasar_probability(output.posterior, model.architecture.redshifts)
    zbest, zerr = z[:, 0].copy(), np.full(len(found), np.nan)
    flag = np.zeros(len(found), dtype=np.int32)
    p, score_bal = np.full((2, len(found)), np.nan)
    if calibration is not None:
        features = compute_features(calibration.p_qso.names, found, snr, quasar=quasar)
        p = calibration.p_qso.probability(features)
    wanted = criterion.is_qso(found, _rescaled(p, calibration, criterion.prior_qso))
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
            some, model.refiner, z[rows], probability[rows], floor, threads=threads
        )
        chosen = candidates.choose(exponent)
        zbest[rows], zerr[rows], score_bal[rows] = chosen.z, chosen.zerr, chosen.bal
        flag[rows[~chosen.ok]] |= QNFlag.NOREFINE
    if calibration is not None:
        if calibration.zerr is not None:
            zerr *= calibration.zerr(log_snr(snr), zbest)
        if chosen is not None and calibration.p_candidate is not None:
            names, first = calibration.p_candidate.names, found.select(rows)
            of_rows = None if quasar is None else quasar[rows]
            features = compute_features(names, first, snr[rows], quasar=of_rows, chosen=chosen)
            p[rows] = calibration.p_candidate.probability(features)
    p = _rescaled(p, calibration, criterion.prior_qso)
    columns = {"ZBEST": zbest, "ZERR": zerr, "QN_FLAG": flag, "SCORE_BAL": score_bal, "P_QSO": p}
    if calibration is None:
        return columns
    if chosen is None or model.refiner is None or not model.refiner.arch.scores:
        z2, p2 = second_redshift(output.preds, model.lines, model.grid, model.rest, zbest)
    else:
        z2, fraction = _second_candidate(z, probability, quasar, rows, chosen)
        p2 = np.where(np.isfinite(z2), p * fraction, np.nan)
    return columns | {"Z2": z2, "P2": p2}


def first_stage_candidates(
    model: Model, found: Predictions, output: NetworkOutput
) -> tuple[FloatArray, FloatArray]:
    """Candidate redshifts of the first stage and their probabilities, both (nspec, count)."""
    # Peaks of the posterior, where there is one to refine; else the most confident line's redshift.
    bins, calibration = model.architecture.redshifts, model.calibration
    if bins is None or output.posterior is None or model.refiner is None:
        return found.zbest[:, None], found.c_line.max(axis=0)[:, None]
    count = 1 if calibration is None else calibration.candidates
    z, probability = find_candidates(output.posterior, bins, count)
    # Where the probabilities of all redshifts are too small for floating-point numbers.
    z[:, 0] = np.where(np.isnan(z[:, 0]), found.zbest, z[:, 0])
    return z, probability


def _rescaled(
    p_qso: FloatArray, calibration: Calibration | None, prior_qso: float | None
) -> FloatArray:
    """P_QSO for another fraction of quasars, where one is asked for."""
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
