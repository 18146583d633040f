"""One batch of spectra to the columns of the catalogue: answers and flags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.classification.criterion import Criterion
from qnet.classification.redshifts import first_stage_quasar_probability, refine_redshifts
from qnet.core.arrays import BoolArray, Columns, FloatArray
from qnet.core.columns import COLUMNS as COLUMNS
from qnet.core.columns import MODEL_COLUMNS
from qnet.core.flags import DISAGREE_VELOCITY, NEVER_QSO, QNFlag
from qnet.core.spectra import Spectra
from qnet.lines import SPEED_OF_LIGHT, rest_wavelengths
from qnet.model.calibration import Calibration, in_ranges
from qnet.model.model import Model
from qnet.model.network import NetworkOutput
from qnet.postprocess.decoding import Predictions
from qnet.postprocess.features import compute_features, log_snr, logit
from qnet.preprocess.normalisation import Preprocessed, preprocess
from qnet.preprocess.rebinning import check_overlap


def answer(
    spectra: Spectra, model: Model, criterion: Criterion, asked: BoolArray | None = None
) -> Columns:
    """Columns of the catalogue for a batch of spectra, row-aligned with it.

    Parameters
    ----------
    spectra : Spectra
    model : Model
    criterion : Rule
        What makes a row a quasar.
    asked : ndarray of bool, shape (nspec,), optional
        Rows to classify; the others are NaN and flagged NOT_TARGET. All when None.

    Returns
    -------
    dict of str to ndarray, each with nspec rows
        Answers, then QN_FLAG; not the ids.

    Raises
    ------
    InputError
        No wavelength lies on the model's grid.
    """
    nspec = len(spectra)
    rows = np.arange(nspec) if asked is None else np.flatnonzero(asked)
    columns = _empty_columns(nspec, model)
    columns["QN_FLAG"][:] = spectra.flag
    unasked = np.ones(nspec, dtype=bool)
    unasked[rows] = False
    columns["QN_FLAG"][unasked] |= QNFlag.NOT_TARGET
    if len(rows) == 0:
        return columns
    # Of all rows: one that lies off the grid is flagged, whichever rows are asked for.
    check_overlap(spectra.cameras, model.grid)
    batch = spectra if len(rows) == nspec else spectra.select(rows)
    data = preprocess(batch.cameras, model.grid, require_overlap=False)
    for name, values in _answers(batch, model, criterion, data).items():
        columns[name][rows] = values
    return columns


def _empty_columns(nspec: int, model: Model) -> Columns:
    """All columns that a model gives, in their order and empty."""
    sizes = {"scalar": (), "lines": (len(model.lines),), "lines_bal": (len(model.lines_bal),)}
    return {
        column.name: np.full((nspec, *sizes[column.shape]), column.empty, dtype=column.dtype)
        for column in MODEL_COLUMNS
    }


def _answers(
    spectra: Spectra, model: Model, criterion: Criterion, data: Preprocessed
) -> Mapping[str, npt.NDArray[Any]]:
    """What the model says of rows that were asked for."""
    output = model.forward(data.X)
    found = model.decode(output.preds)
    columns = _probabilities(model, data, found, output)
    columns |= refine_redshifts(
        spectra,
        model,
        data.snr,
        found,
        output,
        columns.get("P_QSO"),
        lambda p_qso: _is_qso(criterion, found, p_qso),
        prior_qso=criterion.prior_qso,
    )
    flag = spectra.flag | data.flag
    is_qso = _is_qso(criterion, found, columns["P_QSO"]) & ((flag & NEVER_QSO) == 0)
    columns |= _of_bal(model, data, found, columns["ZBEST"], columns.pop("SCORE_BAL"))
    flag = (
        flag | columns.pop("QN_FLAG") | _line_flags(model, criterion, data, found, columns["ZBEST"])
    )
    if model.calibration is not None:
        flag |= _calibrated_flags(model, model.calibration, found, columns, output.distance)
    return columns | {
        "IS_QSO": is_qso,
        "IS_BAL": is_qso & _is_bal(model, criterion, found, columns),
        "C_LINES": found.c_line.T,
        "Z_LINES": found.z_line.T,
        "C_LINES_BAL": found.c_line_bal.T,
        "Z_LINES_BAL": found.z_line_bal.T,
        "LINE_OBSERVED": _line_observed(model, data, columns["ZBEST"]),
        "SNR": data.snr,
        "GOODFRAC": data.goodfrac,
        "QN_FLAG": flag,
    }


def _probabilities(
    model: Model, data: Preprocessed, found: Predictions, output: NetworkOutput
) -> Columns:
    """P_QSO of the first stage and ZERR_LINES, as far as the model's calibration has them."""
    calibration = model.calibration
    if calibration is None:
        return {}
    quasar = first_stage_quasar_probability(model, output)
    given = compute_features(calibration.p_qso.names, found, data.snr, quasar=quasar)
    errors = np.full((len(found), len(model.lines)), np.nan)
    for line, table in calibration.zerr_lines.items():
        number = model.lines.index(line)
        velocity = table(logit(found.c_line[number]), log_snr(data.snr))
        errors[:, number] = velocity / SPEED_OF_LIGHT * (1 + found.z_line[number])
    return {"P_QSO": calibration.p_qso.probability(given), "ZERR_LINES": errors}


def _of_bal(
    model: Model, data: Preprocessed, found: Predictions, zbest: FloatArray, score: FloatArray
) -> Columns:
    """P_BAL, where the calibration has it and a BAL line would be seen."""
    calibration = model.calibration
    if calibration is None or calibration.p_bal is None:
        return {}
    given = compute_features(calibration.p_bal.names, found, data.snr, score_bal=score)
    p_bal = calibration.p_bal.probability(given)
    return {"P_BAL": np.where(_covers_bal(model, data, zbest), p_bal, np.nan)}


def _is_qso(criterion: Criterion, found: Predictions, p_qso: FloatArray) -> BoolArray:
    """Rows that the rule calls quasars, whatever their flags say."""
    if criterion.p_threshold is None:
        return found.is_qso(criterion.c_threshold, criterion.min_lines)
    with np.errstate(invalid="ignore"):
        return np.asarray(p_qso > criterion.p_threshold)


def _is_bal(model: Model, criterion: Criterion, found: Predictions, columns: Columns) -> BoolArray:
    """Rows that are BAL quasars if they are quasars: by P_BAL, or by QuasarNET's rule."""
    calibration = model.calibration
    if calibration is None or calibration.p_bal is None or criterion.p_threshold is None:
        return found.is_bal(criterion.c_threshold)
    with np.errstate(invalid="ignore"):
        return np.asarray(columns["P_BAL"] > calibration.p_bal_threshold)


def _calibrated_flags(
    model: Model,
    calibration: Calibration,
    found: Predictions,
    columns: Columns,
    distance: FloatArray,
) -> npt.NDArray[np.int32]:
    """The bits that need a calibration: OUTLIER, ZRANGE, AMBIGUOUS, JOINT, SKYLINE."""
    zbest, flag = columns["ZBEST"], np.zeros(len(found), dtype=np.int32)
    low, high = calibration.z_range
    place = _best_place(model, found, zbest)
    with np.errstate(invalid="ignore"):
        flag[(zbest < low) | (zbest > high)] |= QNFlag.ZRANGE
        flag[columns["P2"] > calibration.ambiguous] |= QNFlag.AMBIGUOUS
        if calibration.outlier_threshold is not None:
            flag[distance > calibration.outlier_threshold] |= QNFlag.OUTLIER
    flag[in_ranges(place, calibration.joints)] |= QNFlag.JOINT
    flag[in_ranges(place, calibration.skylines)] |= QNFlag.SKYLINE
    return flag


def _line_flags(
    model: Model, criterion: Criterion, data: Preprocessed, found: Predictions, zbest: FloatArray
) -> npt.NDArray[np.int32]:
    """The bits LINE_UNOBSERVED and DISAGREE; none for rows that have no answer."""
    flag = np.zeros(len(found), dtype=np.int32)
    answered = np.isfinite(zbest)
    place = _best_place(model, found, zbest)
    flag[answered & ~_has_data(model, data, place[:, None])[:, 0]] |= QNFlag.LINE_UNOBSERVED
    with np.errstate(invalid="ignore"):
        velocity = SPEED_OF_LIGHT * np.abs(found.z_line - zbest) / (1 + zbest)
        contrary = (found.c_line > criterion.c_threshold) & (velocity > DISAGREE_VELOCITY)
    flag[answered & contrary.any(axis=0)] |= QNFlag.DISAGREE
    return flag


def _best_place(model: Model, found: Predictions, zbest: FloatArray) -> FloatArray:
    """Where the most confident line of each row lies at a redshift [Angstrom].

    Of the lines that agree with the redshift, where there are any: it may rest on others than the
    one of largest confidence.
    """
    rest = rest_wavelengths(model.lines, model.rest)
    with np.errstate(invalid="ignore"):
        velocity = SPEED_OF_LIGHT * np.abs(found.z_line - zbest) / (1 + zbest)
        rank = found.c_line + (velocity <= DISAGREE_VELOCITY)
    return np.asarray(rest[rank.argmax(axis=0)] * (1 + zbest))


def _line_observed(model: Model, data: Preprocessed, zbest: FloatArray) -> npt.NDArray[np.int32]:
    """A bit per emission line whose place at ZBEST has data."""
    rest = rest_wavelengths(model.lines, model.rest)
    seen = _has_data(model, data, rest * (1 + zbest[:, None]))
    weights: npt.NDArray[np.int32] = np.left_shift(1, np.arange(len(rest), dtype=np.int32))
    return np.asarray((seen * weights).sum(axis=1), dtype=np.int32)


def _covers_bal(model: Model, data: Preprocessed, z: FloatArray) -> BoolArray:
    """Whether the place of a BAL line lies between the first and the last pixel with weight."""
    if not model.lines_bal:
        return np.zeros(len(z), dtype=bool)
    pixel = model.grid.bins(rest_wavelengths(model.lines_bal, model.rest) * (1 + z[:, None]))
    first = data.observed.argmax(axis=1)
    last = data.observed.shape[1] - 1 - data.observed[:, ::-1].argmax(axis=1)
    inside = (pixel >= first[:, None]) & (pixel <= last[:, None])
    return np.asarray(inside.any(axis=1) & data.observed.any(axis=1))


def _has_data(model: Model, data: Preprocessed, wave: FloatArray) -> BoolArray:
    """Whether the grid pixels of wavelengths (nspec, n) have weight; false elsewhere."""
    pixel = model.grid.bins(wave)
    rows = np.arange(len(wave))[:, None]
    return np.asarray(data.observed[rows, np.maximum(pixel, 0)] & (pixel >= 0))
