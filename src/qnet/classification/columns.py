"""Columns of the catalogue that a model gives for a batch of spectra."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qnet.classification.criterion import Criterion
from qnet.classification.pz import empty_parts
from qnet.classification.redshifts import find_coverage, refine_redshifts
from qnet.classification.reweighting import Weights
from qnet.core.arrays import AnyArray, BoolArray, Columns, FloatArray
from qnet.core.columns import MODEL_COLUMNS
from qnet.core.errors import InputError, warn, with_source
from qnet.core.flags import DISAGREE_VELOCITY, NEVER_QSO, QNFlag
from qnet.core.spectra import Spectra
from qnet.lines import SPEED_OF_LIGHT, rest_wavelengths, velocity_between
from qnet.model.calibration import Calibration, in_ranges
from qnet.model.model import Model
from qnet.postprocess.decoding import Predictions
from qnet.postprocess.features import compute_features, log_snr, logit
from qnet.preprocess.normalisation import Preprocessed, preprocess
from qnet.preprocess.rebinning import overlap_fault

Flags = npt.NDArray[np.int32]


def compute_columns(
    spectra: Spectra,
    model: Model,
    criterion: Criterion,
    asked: BoolArray | None = None,
    *,
    pz: bool = False,
) -> Columns:
    """The model's columns, row by row; those not `asked` for are empty and flagged NOT_TARGET.

    With `pz` the parts of the redshift distributions too (`qnet.core.pz`).
    """
    nspec = len(spectra)
    rows = np.arange(nspec) if asked is None else np.flatnonzero(asked)
    sizes = {"scalar": (), "lines": (len(model.lines),), "lines_bal": (len(model.lines_bal),)}
    columns: Columns = {
        column.name: np.full((nspec, *sizes[column.shape]), column.empty, dtype=column.dtype)
        for column in MODEL_COLUMNS
    }
    columns["LINE_OBSERVED"] = columns["LINE_OBSERVED"].astype(_bits_of_lines(model).dtype)
    if pz:
        columns |= empty_parts(model, nspec)
    columns["QN_FLAG"][:] = spectra.flag
    unasked = np.ones(nspec, dtype=bool)
    unasked[rows] = False
    columns["QN_FLAG"][unasked] |= QNFlag.NOT_TARGET
    if len(rows) == 0:
        return columns
    # Of all rows: one that lies off the grid is flagged, whichever rows are asked for.
    fault, hint = overlap_fault(spectra.cameras, model.grid)
    if hint:
        raise InputError(fault + hint)
    if fault:
        warn(with_source(f"{fault}: they are flagged NODATA", ", ".join(spectra.source)))
    batch = spectra if len(rows) == nspec else spectra.select(rows)
    weights, bins = None, model.architecture.redshifts
    if criterion.prior is not None and bins is not None:
        weights = Weights(criterion.prior, batch.flux_unit, len(batch), model.grid, bins)
    data = preprocess(batch.cameras, model.grid, require_overlap=False, measure=weights)
    for name, values in _classify_rows(batch, model, criterion, data, weights, pz=pz).items():
        columns[name][rows] = values
    return columns


def _classify_rows(
    spectra: Spectra,
    model: Model,
    criterion: Criterion,
    data: Preprocessed,
    weights: Weights | None,
    *,
    pz: bool,
) -> Columns:
    """The columns of rows that are all asked for."""
    output = model.forward(data.X)
    found = model.decode(output.preds, output.logits)
    columns = refine_redshifts(spectra, model, criterion, data, found, output, weights, pz=pz)
    zbest = columns["ZBEST"]
    columns |= _p_bal(model, data, found, zbest, columns.pop("SCORE_BAL"))
    flag = spectra.flag | data.flag | columns.pop("QN_FLAG")
    is_qso = criterion.is_qso(found, columns["P_QSO"]) & ((flag & NEVER_QSO) == 0)
    flag |= _result_flags(model, criterion, data, found, columns, output.distance)
    if model.calibration is not None:
        columns["ZERR_LINES"] = _zerr_lines(model, model.calibration, data, found)
    return columns | {
        "IS_QSO": is_qso,
        "IS_BAL": is_qso & _is_bal(model, criterion, found, columns),
        "C_LINES": found.c_line.T,
        "Z_LINES": found.z_line.T,
        "C_LINES_BAL": found.c_line_bal.T,
        "Z_LINES_BAL": found.z_line_bal.T,
        "LINE_OBSERVED": _line_observed(model, data, zbest),
        "SNR": data.snr,
        "GOODFRAC": data.goodfrac,
        "QN_FLAG": flag,
    }


def _zerr_lines(
    model: Model, calibration: Calibration, data: Preprocessed, found: Predictions
) -> FloatArray:
    """Calibrated error of the redshift of each line, shape (nspec, nlines)."""
    errors = np.full((len(found), len(model.lines)), np.nan)
    for line, table in calibration.zerr_lines.items():
        number = model.lines.index(line)
        velocity = table(logit(found.c_line[number]), log_snr(data.snr))
        errors[:, number] = velocity / SPEED_OF_LIGHT * (1 + found.z_line[number])
    return errors


def _p_bal(
    model: Model, data: Preprocessed, found: Predictions, zbest: FloatArray, score: FloatArray
) -> Columns:
    """P_BAL, where the calibration has it and the spectrum covers a BAL line."""
    calibration = model.calibration
    if calibration is None or calibration.p_bal is None:
        return {}
    coverage = find_coverage(model, data, found, zbest)
    features = compute_features(
        calibration.p_bal.names, found, data.snr, coverage=coverage, score_bal=score
    )
    p_bal = calibration.p_bal.probability(features)
    return {"P_BAL": np.where(covers_bal(model, data, zbest), p_bal, np.nan)}


def _is_bal(model: Model, criterion: Criterion, found: Predictions, columns: Columns) -> BoolArray:
    """Rows that are BAL quasars if they are quasars: by P_BAL, or by QuasarNET's criterion."""
    calibration = model.calibration
    if calibration is None or calibration.p_bal is None or criterion.p_threshold is None:
        return found.is_bal(criterion.c_threshold)
    return np.asarray(columns["P_BAL"] > calibration.p_bal_threshold)


def _result_flags(
    model: Model,
    criterion: Criterion,
    data: Preprocessed,
    found: Predictions,
    columns: Columns,
    distance: FloatArray,
) -> Flags:
    """The bits of QN_FLAG that the result gives, of the best line and of the calibration."""
    zbest, flag = columns["ZBEST"], np.zeros(len(found), dtype=np.int32)
    known, calibration = np.isfinite(zbest), model.calibration
    velocity = np.abs(velocity_between(found.z_line, zbest))
    # The most confident line of those that agree with ZBEST, if any do: ZBEST may be of others.
    best = found.best_line(velocity <= DISAGREE_VELOCITY)
    wave = np.asarray(rest_wavelengths(model.lines, model.rest)[best] * (1 + zbest))
    flag[known & ~data.has_weight(model.grid, wave[:, None])[:, 0]] |= QNFlag.LINE_UNOBSERVED
    contrary = (found.c_line > criterion.c_threshold) & (velocity > DISAGREE_VELOCITY)
    flag[known & contrary.any(axis=0)] |= QNFlag.DISAGREE
    if calibration is None:
        return flag
    low, high = calibration.z_range
    flag[(zbest < low) | (zbest > high)] |= QNFlag.ZRANGE
    flag[columns["P2"] > calibration.ambiguous] |= QNFlag.AMBIGUOUS
    if calibration.outlier_threshold is not None:
        flag[distance > calibration.outlier_threshold] |= QNFlag.OUTLIER
    flag[in_ranges(wave, calibration.joints)] |= QNFlag.JOINT
    flag[in_ranges(wave, calibration.skylines)] |= QNFlag.SKYLINE
    return flag


def _line_observed(model: Model, data: Preprocessed, zbest: FloatArray) -> AnyArray:
    """A bit per emission line: its position at ZBEST has data."""
    rest = rest_wavelengths(model.lines, model.rest)
    bits = _bits_of_lines(model)
    seen = data.has_weight(model.grid, rest * (1 + zbest[:, None]))
    return np.asarray((seen * bits).sum(axis=1), dtype=bits.dtype)


def _bits_of_lines(model: Model) -> AnyArray:
    """The bit of each emission line: int32, or int64 where there are more lines than it holds."""
    nlines = len(model.lines)
    if nlines > 63:
        raise InputError(
            f"model {model.name} has {nlines} emission lines, but LINE_OBSERVED has bits for 63"
        )
    return np.left_shift(1, np.arange(nlines, dtype=np.int32 if nlines < 32 else np.int64))


def covers_bal(model: Model, data: Preprocessed, z: FloatArray) -> BoolArray:
    """Whether a BAL line at z lies between the first and the last pixel with weight."""
    if not model.lines_bal:
        return np.zeros(len(z), dtype=bool)
    pixel = model.grid.bins(rest_wavelengths(model.lines_bal, model.rest) * (1 + z[:, None]))
    first = data.observed.argmax(axis=1)
    last = data.observed.shape[1] - 1 - data.observed[:, ::-1].argmax(axis=1)
    inside = (pixel >= first[:, None]) & (pixel <= last[:, None])
    return np.asarray(inside.any(axis=1) & data.observed.any(axis=1))
