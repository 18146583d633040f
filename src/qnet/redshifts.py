"""From both stages of a model to the redshifts of the catalogue, and what P_QSO becomes by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.calibration import Calibration, log_snr, rescale
from qnet.evidence import Look, Verdict, features, second_redshift
from qnet.flags import QNFlag
from qnet.logistic import Logistic
from qnet.model import Model
from qnet.posterior import candidates, quasar_share
from qnet.postprocess import Predictions
from qnet.spectra import Spectra
from qnet.threads import choose_threads
from qnet.verify import refine_candidates

FloatArray = npt.NDArray[np.float64]


def judge(
    spectra: Spectra,
    model: Model,
    snr: npt.NDArray[Any],
    found: Predictions,
    look: Look,
    p_qso: FloatArray | None,
    calls: Callable[[FloatArray], npt.NDArray[np.bool_]],
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
    look : Look
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
    z, share = first_guesses(model, found, look)
    quasar = posterior_share(model, look)
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
    verdict, rows = None, np.flatnonzero(judged & np.isfinite(zbest))
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
        verdict = refined.choose(0.0 if calibration is None else calibration.share_exponent)
        zbest[rows], zerr[rows], absorbed[rows] = verdict.z, verdict.zerr, verdict.bal
        flag[rows[~verdict.ok]] |= QNFlag.NOREFINE
    if calibration is not None:
        if calibration.zerr is not None:
            zerr *= calibration.zerr(log_snr(snr), zbest)
        if verdict is not None and calibration.p_verified is not None:
            p[rows] = _verified(calibration.p_verified, snr, found, quasar, rows, verdict)
    answers["P_QSO"] = _rescaled(p, calibration, prior_qso)
    if calibration is not None:
        answers |= _second(answers, model, look, (z, share), quasar, rows, verdict)
    return answers


def first_guesses(model: Model, found: Predictions, look: Look) -> tuple[FloatArray, FloatArray]:
    """Redshifts that the first stage proposes, and its shares of them, shape (nspec, count).

    Peaks of the posterior, where the network has one and a second stage makes them precise; else
    the most confident line's redshift, and its confidence.
    """
    bins, calibration = model.architecture.redshifts, model.calibration
    if bins is None or look.posterior is None or model.refiner is None:
        return found.zbest[:, None], found.c_line.max(axis=0)[:, None]
    count = 1 if calibration is None else calibration.candidates
    z, share = candidates(look.posterior, bins, count)
    # Where all shares of quasars are too small for the numbers of the posterior.
    z[:, 0] = np.where(np.isnan(z[:, 0]), found.zbest, z[:, 0])
    return z, share


def posterior_share(model: Model, look: Look) -> FloatArray | None:
    """Share of the posterior that is a quasar's; None for a network without one."""
    bins = model.architecture.redshifts
    return None if bins is None or look.posterior is None else quasar_share(look.posterior, bins)


def _rescaled(
    p_qso: FloatArray, calibration: Calibration | None, prior_qso: float | None
) -> FloatArray:
    """P_QSO for another share of quasars, where one is asked for."""
    if calibration is None or prior_qso is None:
        return p_qso
    return rescale(p_qso, prior_qso, calibration.quasar_share)


def _verified(
    law: Logistic,
    snr: npt.NDArray[Any],
    found: Predictions,
    quasar: FloatArray | None,
    rows: npt.NDArray[np.int64],
    verdict: Verdict,
) -> FloatArray:
    """P_QSO of the rows that the second stage has judged."""
    given = features(
        law.names,
        found.select(rows),
        snr[rows],
        quasar=None if quasar is None else quasar[rows],
        verdict=verdict,
    )
    return law.probability(given)


def _second(
    answers: dict[str, npt.NDArray[Any]],
    model: Model,
    look: Look,
    guesses: tuple[FloatArray, FloatArray],
    quasar: FloatArray | None,
    rows: npt.NDArray[np.int64],
    verdict: Verdict | None,
) -> dict[str, npt.NDArray[Any]]:
    """Z2 and P2: of the next candidate, where the second stage verifies; else of a line's box."""
    if verdict is None or model.refiner is None or not model.refiner.arch.verify:
        zbest = answers["ZBEST"]
        z2, p2 = second_redshift(look.preds, model.lines, model.grid, model.rest, zbest)
        return {"Z2": z2, "P2": p2}
    z, share = guesses
    z2, part = np.full((2, len(z)), np.nan)
    if z.shape[1] > 1 and quasar is not None:
        # What was not judged keeps the first stage's opinion: its share of a quasar's posterior.
        z2 = z[:, 1].copy()
        part = share[:, 1] / np.maximum(quasar, np.finfo(np.float64).tiny)
    z2[rows], part[rows] = verdict.z2, verdict.odds2 / (1 + verdict.odds2)
    return {"Z2": z2, "P2": np.where(np.isfinite(z2), answers["P_QSO"] * part, np.nan)}
