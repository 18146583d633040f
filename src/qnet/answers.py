"""One batch of spectra to the columns of the catalogue: answers and flags."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.errors import InputError
from qnet.flags import DISAGREE_VELOCITY, NEVER_QSO, QNFlag
from qnet.lines import SPEED_OF_LIGHT, rest_wavelengths
from qnet.model import Model
from qnet.postprocess import Predictions
from qnet.preprocess import Preprocessed, check_overlap, preprocess
from qnet.spectra import Spectra

Columns = dict[str, npt.NDArray[Any]]

#: QuasarNET's rule in the tutorial and in DESI's pipeline: one line above one half.
DEFAULT_C_THRESHOLD = 0.5
DEFAULT_MIN_LINES = 1


@dataclasses.dataclass(frozen=True)
class Rule:
    """What makes a row a quasar.

    Attributes
    ----------
    c_threshold : float
        QuasarNET's rule: at least `min_lines` lines of confidence above this.
    min_lines : int
        See `c_threshold`.
    """

    c_threshold: float = DEFAULT_C_THRESHOLD
    min_lines: int = DEFAULT_MIN_LINES

    def __post_init__(self) -> None:
        if not 0 <= self.c_threshold <= 1:
            raise InputError(f"c_threshold must be in 0 .. 1, not {self.c_threshold!r}")
        if self.min_lines < 1:
            raise InputError(f"min_lines must be at least 1, not {self.min_lines!r}")

    def __str__(self) -> str:
        return f"at least {self.min_lines} line(s) with c > {self.c_threshold:g}"


def choose_rule(
    model: Model,
    *,
    p_threshold: float | None = None,
    c_threshold: float | None = None,
    min_lines: int | None = None,
) -> Rule:
    """The rule for a model, from what the user gave.

    Raises
    ------
    InputError
        `p_threshold` for a model without P_QSO or beside QuasarNET's rule, or a value that is out
        of range; or more lines are asked for than the model has.
    """
    if p_threshold is not None and (c_threshold is not None or min_lines is not None):
        raise InputError("p_threshold cannot be given with c_threshold or min_lines: choose a rule")
    if p_threshold is not None:
        raise InputError(
            f"p_threshold needs a model with a calibrated P_QSO, which {model.name} does not have: "
            "give c_threshold and min_lines"
        )
    rule = Rule(
        DEFAULT_C_THRESHOLD if c_threshold is None else c_threshold,
        DEFAULT_MIN_LINES if min_lines is None else min_lines,
    )
    if rule.min_lines > len(model.lines):
        raise InputError(
            f"min_lines is {rule.min_lines}, but model {model.name} has {len(model.lines)} lines"
        )
    return rule


def answer(
    spectra: Spectra, model: Model, rule: Rule, asked: npt.NDArray[np.bool_] | None = None
) -> Columns:
    """Columns of the catalogue for a batch of spectra, row-aligned with it.

    Parameters
    ----------
    spectra : Spectra
    model : Model
    rule : Rule
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
    predictions = model.decode(model.predict(data.X))
    for name, values in _answers(batch, model, rule, data, predictions).items():
        columns[name][rows] = values
    return columns


def _empty_columns(nspec: int, model: Model) -> Columns:
    """All columns in their order, NaN, false or 0."""
    nlines, nbal = len(model.lines), len(model.lines_bal)
    nan32 = np.full(nspec, np.nan, dtype=np.float32)
    return {
        "ZBEST": np.full(nspec, np.nan),
        "ZERR": nan32.copy(),
        "Z2": np.full(nspec, np.nan),
        "P2": nan32.copy(),
        "P_QSO": nan32.copy(),
        "P_BAL": nan32.copy(),
        "IS_QSO": np.zeros(nspec, dtype=bool),
        "IS_BAL": np.zeros(nspec, dtype=bool),
        "C_LINES": np.full((nspec, nlines), np.nan, dtype=np.float32),
        "Z_LINES": np.full((nspec, nlines), np.nan, dtype=np.float32),
        "ZERR_LINES": np.full((nspec, nlines), np.nan, dtype=np.float32),
        "C_LINES_BAL": np.full((nspec, nbal), np.nan, dtype=np.float32),
        "Z_LINES_BAL": np.full((nspec, nbal), np.nan, dtype=np.float32),
        "LINE_OBSERVED": np.zeros(nspec, dtype=np.int32),
        "SNR": nan32.copy(),
        "GOODFRAC": nan32.copy(),
        "QN_FLAG": np.zeros(nspec, dtype=np.int32),
    }


def _answers(
    spectra: Spectra, model: Model, rule: Rule, data: Preprocessed, found: Predictions
) -> Mapping[str, npt.NDArray[Any]]:
    """What the model says of rows that were asked for."""
    flag = spectra.flag | data.flag | _line_flags(model, rule, data, found)
    is_qso = found.is_qso(rule.c_threshold, rule.min_lines) & ((flag & NEVER_QSO) == 0)
    return {
        "ZBEST": found.zbest,
        "IS_QSO": is_qso,
        "IS_BAL": is_qso & found.is_bal(rule.c_threshold),
        "C_LINES": found.c_line.T,
        "Z_LINES": found.z_line.T,
        "C_LINES_BAL": found.c_line_bal.T,
        "Z_LINES_BAL": found.z_line_bal.T,
        "LINE_OBSERVED": _line_observed(model, data, found),
        "SNR": data.snr,
        "GOODFRAC": data.goodfrac,
        "QN_FLAG": flag,
    }


def _line_flags(
    model: Model, rule: Rule, data: Preprocessed, found: Predictions
) -> npt.NDArray[np.int32]:
    """The bits LINE_UNOBSERVED and DISAGREE; none for rows that have no answer."""
    flag = np.zeros(len(found), dtype=np.int32)
    answered = np.isfinite(found.zbest)
    best = found.c_line.argmax(axis=0)
    rest = rest_wavelengths(model.lines, model.rest)
    place = rest[best] * (1 + found.zbest)
    flag[answered & ~_has_data(model, data, place[:, None])[:, 0]] |= QNFlag.LINE_UNOBSERVED
    with np.errstate(invalid="ignore"):
        velocity = SPEED_OF_LIGHT * np.abs(found.z_line - found.zbest) / (1 + found.zbest)
        contrary = (found.c_line > rule.c_threshold) & (velocity > DISAGREE_VELOCITY)
    flag[answered & contrary.any(axis=0)] |= QNFlag.DISAGREE
    return flag


def _line_observed(model: Model, data: Preprocessed, found: Predictions) -> npt.NDArray[np.int32]:
    """A bit per emission line whose place at ZBEST has data."""
    rest = rest_wavelengths(model.lines, model.rest)
    seen = _has_data(model, data, rest * (1 + found.zbest[:, None]))
    weights: npt.NDArray[np.int32] = np.left_shift(1, np.arange(len(rest), dtype=np.int32))
    return np.asarray((seen * weights).sum(axis=1), dtype=np.int32)


def _has_data(
    model: Model, data: Preprocessed, wave: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Whether the grid pixels of wavelengths (nspec, n) have weight; false elsewhere."""
    pixel = model.grid.bins(wave)
    rows = np.arange(len(wave))[:, None]
    return np.asarray(data.observed[rows, np.maximum(pixel, 0)] & (pixel >= 0))
