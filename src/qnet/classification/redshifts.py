"""From both stages of a model to the redshifts of the catalogue, and what P_QSO becomes by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.classification.refinement import refine_candidates
from qnet.core.arrays import BoolArray, FloatArray, IntArray
from qnet.core.flags import QNFlag
from qnet.core.spectra import Spectra
from qnet.core.threads import choose_threads
from qnet.model.calibration import Calibration, rescale
from qnet.model.logistic import Logistic
from qnet.model.model import Model
from qnet.model.network import NetworkOutput
from qnet.postprocess.candidates import find_candidates, quasar_probability, second_redshift
from qnet.postprocess.decoding import Predictions
from qnet.postprocess.features import ChosenCandidates, compute_features, log_snr


def refine_redshifts(
    spectra: Spectra,
    model: Model,
    snr: npt.NDArray[Any],
    found: Predictions,
    output: NetworkOutput,
    p_qso: FloatArray | None,
    calls: Callable[[FloatArray], BoolArray],
    *,
    prior_qso: float | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """Columns that the second stage has a say in.

    It judges the rows whose P_QSO of the first stage is above the calibration's floor, and those
    that are called quasars.

    Parameters
    ----------
    spectra : Spectra
    model : Model
    snr : ndarray, shape (nspec,)
        Median S/N per pixel of the model's grid.
    found : Predictions
        Of the line finders.
    output : Look
        What they were decoded from.
    p_qso : ndarray, shape (nspec,), or None
        P_QSO of the first stage, of the model's own class mix; None for a model without a
        calibration.
    calls : callable
        Which rows are called quasars, from their P_QSO.
    prior_qso : float, optional
        Share of quasars that P_QSO is rescaled to.

    Returns
    -------
    dict of str to ndarray
        ZBEST, ZERR, P_QSO (NaN without a calibration); QN_FLAG with the bit NOREFINE; with a
        calibration Z2 and P2; SCORE_BAL, the logit of broad absorption, NaN where there is none.
    """
    refiner, calibration = model.refiner, model.calibration
    z, share = first_stage_candidates(model, found, output)
    quasar = first_stage_quasar_probability(model, output)
    zbest, zerr = z[:, 0].copy(), np.full(len(found), np.nan)
    flag = np.zeros(len(found), dtype=np.int32)
    p = np.full(len(found), np.nan) if p_qso is None else p_qso.copy()
    absorbed = np.full(len(found), np.nan)
    answers: dict[str, npt.NDArray[Any]] = {
        "ZBEST": zbest,
        "ZERR": zerr,
        "QN_FLAG": flag,
        "SCORE_BAL": absorbed,
    }
    judged = calls(_rescaled(p, calibration, prior_qso))
    if calibration is not None:
        with np.errstate(invalid="ignore"):
            judged = judged | (p > calibration.refine_floor)
    chosen, rows = None, np.flatnonzero(judged & np.isfinite(zbest))
    if refiner is not None:
        floor = 0.0 if calibration is None else calibration.candidate_floor
        refined = refine_candidates(
            spectra.select(rows),
            refiner,
            z[rows],
            share[rows],
            floor,
            threads=choose_threads(model.threads),
        )
        chosen = refined.choose(0.0 if calibration is None else calibration.fraction_exponent)
        zbest[rows], zerr[rows], absorbed[rows] = chosen.z, chosen.zerr, chosen.bal
        flag[rows[~chosen.ok]] |= QNFlag.NOREFINE
    if calibration is not None:
        if calibration.zerr is not None:
            zerr *= calibration.zerr(log_snr(snr), zbest)
        if chosen is not None and calibration.p_candidate is not None:
            p[rows] = _verified(calibration.p_candidate, snr, found, quasar, rows, chosen)
    answers["P_QSO"] = _rescaled(p, calibration, prior_qso)
    if calibration is not None:
        answers |= _second(answers, model, output, (z, share), quasar, rows, chosen)
    return answers


def first_stage_candidates(
    model: Model, found: Predictions, output: NetworkOutput
) -> tuple[FloatArray, FloatArray]:
    """Redshifts that the first stage proposes, and its shares of them, shape (nspec, count).

    Peaks of the posterior, where the network has one and a second stage makes them precise; else
    the most confident line's redshift, and its confidence.
    """
    bins, calibration = model.architecture.redshifts, model.calibration
    if bins is None or output.posterior is None or model.refiner is None:
        return found.zbest[:, None], found.c_line.max(axis=0)[:, None]
    count = 1 if calibration is None else calibration.candidates
    z, share = find_candidates(output.posterior, bins, count)
    # Where all shares of quasars are too small for the numbers of the posterior.
    z[:, 0] = np.where(np.isnan(z[:, 0]), found.zbest, z[:, 0])
    return z, share


def first_stage_quasar_probability(model: Model, output: NetworkOutput) -> FloatArray | None:
    """Share of the posterior that is a quasar's; None for a network without one."""
    bins = model.architecture.redshifts
    return (
        None
        if bins is None or output.posterior is None
        else quasar_probability(output.posterior, bins)
    )


def _rescaled(
    p_qso: FloatArray, calibration: Calibration | None, prior_qso: float | None
) -> FloatArray:
    """P_QSO for another share of quasars, where one is asked for."""
    if calibration is None or prior_qso is None:
        return p_qso
    return rescale(p_qso, prior_qso, calibration.quasar_fraction)


def _verified(
    law: Logistic,
    snr: npt.NDArray[Any],
    found: Predictions,
    quasar: FloatArray | None,
    rows: IntArray,
    chosen: ChosenCandidates,
) -> FloatArray:
    """P_QSO of the rows that the second stage has judged."""
    given = compute_features(
        law.names,
        found.select(rows),
        snr[rows],
        quasar=None if quasar is None else quasar[rows],
        chosen=chosen,
    )
    return law.probability(given)


def _second(
    answers: dict[str, npt.NDArray[Any]],
    model: Model,
    output: NetworkOutput,
    guesses: tuple[FloatArray, FloatArray],
    quasar: FloatArray | None,
    rows: IntArray,
    chosen: ChosenCandidates | None,
) -> dict[str, npt.NDArray[Any]]:
    """Z2 and P2: of the next candidate, where the second stage verifies; else of a line's box."""
    if chosen is None or model.refiner is None or not model.refiner.arch.scores:
        zbest = answers["ZBEST"]
        z2, p2 = second_redshift(output.preds, model.lines, model.grid, model.rest, zbest)
        return {"Z2": z2, "P2": p2}
    z, share = guesses
    z2, part = np.full((2, len(z)), np.nan)
    if z.shape[1] > 1 and quasar is not None:
        # What was not judged keeps the first stage's opinion: its share of a quasar's posterior.
        z2 = z[:, 1].copy()
        part = share[:, 1] / np.maximum(quasar, np.finfo(np.float64).tiny)
    z2[rows], part[rows] = chosen.z2, chosen.odds2 / (1 + chosen.odds2)
    return {"Z2": z2, "P2": np.where(np.isfinite(z2), answers["P_QSO"] * part, np.nan)}
