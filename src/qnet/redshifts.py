"""From both stages of a model to the redshifts of the catalogue, and what P_QSO becomes by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.calibration import Calibration, log_snr
from qnet.evidence import Look, Verdict, features, second_redshift
from qnet.flags import QNFlag
from qnet.model import Model
from qnet.posterior import candidates, quasar_share
from qnet.postprocess import Predictions
from qnet.spectra import Spectra
from qnet.verify import refine_candidates

FloatArray = npt.NDArray[np.float64]


def judge(
    spectra: Spectra,
    model: Model,
    snr: npt.NDArray[Any],
    found: Predictions,
    look: Look,
    p_qso: FloatArray | None,
    called: npt.NDArray[np.bool_],
) -> dict[str, npt.NDArray[Any]]:
    """Columns that the second stage has a say in.

    It is run on the candidates: the rows whose P_QSO of the first stage is above the calibration's
    floor, and those that are called quasars.

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
        P_QSO of the first stage; None for a model without a calibration.
    called : ndarray of bool, shape (nspec,)
        Rows that the first stage calls quasars.

    Returns
    -------
    dict of str to ndarray
        ZBEST, ZERR; QN_FLAG with the bit NOREFINE; with a calibration Z2, P2 and P_QSO.
    """
    refiner, calibration = model.refiner, model.calibration
    z, share = first_guesses(model, found, look)
    zbest, zerr = z[:, 0].copy(), np.full(len(found), np.nan)
    flag = np.zeros(len(found), dtype=np.int32)
    answers: dict[str, npt.NDArray[Any]] = {"ZBEST": zbest, "ZERR": zerr, "QN_FLAG": flag}
    if calibration is not None and p_qso is not None:
        answers["P_QSO"] = p_qso.copy()
        with np.errstate(invalid="ignore"):
            called = called | (p_qso > calibration.refine_floor)
    verdict, rows = None, np.flatnonzero(called & np.isfinite(zbest))
    if refiner is not None:
        floor = 0.0 if calibration is None else calibration.candidate_floor
        refined = refine_candidates(spectra.select(rows), refiner, z[rows], share[rows], floor)
        verdict = refined.choose(0.0 if calibration is None else calibration.share_exponent)
        zbest[rows], zerr[rows] = verdict.z, verdict.zerr
        flag[rows[~verdict.ok]] |= QNFlag.NOREFINE
    if calibration is not None:
        if calibration.zerr is not None:
            zerr *= calibration.zerr(log_snr(snr), zbest)
        if verdict is not None:
            _rejudge(answers, calibration, model, snr, found, look, rows, verdict)
        answers |= _second(answers, model, look, rows, verdict)
    return answers


def first_guesses(model: Model, found: Predictions, look: Look) -> tuple[FloatArray, FloatArray]:
    """Redshifts that the first stage proposes, and its shares of them, shape (nspec, count).

    Peaks of the posterior, where the network has one; else the most confident line's redshift,
    and its confidence.
    """
    bins, calibration = model.architecture.redshifts, model.calibration
    if bins is None or look.posterior is None:
        return found.zbest[:, None], found.c_line.max(axis=0)[:, None]
    count = 1 if calibration is None else calibration.candidates
    return candidates(look.posterior, bins, count)


def posterior_share(model: Model, look: Look) -> FloatArray | None:
    """Share of the posterior that is a quasar's; None for a network without one."""
    bins = model.architecture.redshifts
    return None if bins is None or look.posterior is None else quasar_share(look.posterior, bins)


def _rejudge(
    answers: dict[str, npt.NDArray[Any]],
    calibration: Calibration,
    model: Model,
    snr: npt.NDArray[Any],
    found: Predictions,
    look: Look,
    rows: npt.NDArray[np.int64],
    verdict: Verdict,
) -> None:
    """P_QSO of the rows that the second stage has judged."""
    if calibration.p_verified is None:
        return
    quasar = posterior_share(model, look)
    given = features(
        calibration.p_verified.names,
        found.select(rows),
        snr[rows],
        quasar=None if quasar is None else quasar[rows],
        verdict=verdict,
    )
    answers["P_QSO"][rows] = calibration.p_verified.probability(given)


def _second(
    answers: dict[str, npt.NDArray[Any]],
    model: Model,
    look: Look,
    rows: npt.NDArray[np.int64],
    verdict: Verdict | None,
) -> dict[str, npt.NDArray[Any]]:
    """Z2 and P2: of the next candidate, where the second stage verifies; else of a line's box."""
    z2, p2 = second_redshift(look.preds, model.lines, model.grid, model.rest, answers["ZBEST"])
    if verdict is not None and model.refiner is not None and model.refiner.arch.verify:
        z2[rows] = verdict.z2
        share = verdict.odds2 / (1 + verdict.odds2)
        p2[rows] = np.where(np.isfinite(verdict.z2), answers["P_QSO"][rows] * share, np.nan)
    return {"Z2": z2, "P2": p2}
