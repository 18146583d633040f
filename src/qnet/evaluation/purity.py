"""Purity and completeness against threshold, as QuasarNET's tutorial computes them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import FloatArray, IntArray
from qnet.core.errors import InputError
from qnet.evaluation.intervals import wilson
from qnet.evaluation.metric import finite_or_none
from qnet.evaluation.options import DV_MAX, is_right, nth_confidence
from qnet.objective import CLASSES, QSO_CLASSES


@dataclasses.dataclass(frozen=True, eq=False)
class Scan:
    """Purity and completeness at each threshold, with Wilson's intervals.

    Attributes
    ----------
    thresholds : ndarray of float64, shape (nth,)
    purity, strict_purity, completeness : ndarray of float64, shape (nth,)
        NaN where nothing is called a quasar (purity) or there are no true quasars (completeness).
    purity_low, purity_high, ... : ndarray of float64, shape (nth,)
        Ends of the intervals.
    ncalled : ndarray of int64, shape (nth,)
        Rows called quasars whose truth is not BAD: the denominator of both purities.
    nquasars : int
        True quasars: the denominator of completeness.
    label : str
        What the threshold is on.
    level : float
        Confidence level of the intervals.
    """

    thresholds: FloatArray
    purity: FloatArray
    purity_low: FloatArray
    purity_high: FloatArray
    strict_purity: FloatArray
    strict_purity_low: FloatArray
    strict_purity_high: FloatArray
    completeness: FloatArray
    completeness_low: FloatArray
    completeness_high: FloatArray
    ncalled: IntArray
    nquasars: int
    label: str = "c"
    level: float = 0.95

    def to_dict(self) -> dict[str, Any]:
        """The scan as JSON has it."""
        return {
            key: [finite_or_none(item) for item in value.tolist()]
            if isinstance(value, np.ndarray)
            else value
            for key, value in ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))
        }


def purity_completeness(
    c_line: npt.ArrayLike,
    zbest: npt.ArrayLike,
    Y: npt.ArrayLike,
    z: npt.ArrayLike,
    *,
    thresholds: npt.ArrayLike | None = None,
    min_lines: int = 1,
    dv_max: float = DV_MAX,
    level: float = 0.95,
    label: str = "c",
) -> Scan:
    """Purity and completeness against the threshold of the confidences.

    As QuasarNET's tutorial and Farr et al. (2020, arXiv:2007.10348) count: a row is called a quasar
    when at least `min_lines` confidences are above the threshold; its redshift is right when
    ``abs(zbest - z) < dv_max / 300000 * (1 + z)`` and z > 0. Purity is the share of right redshifts
    among the called rows whose class is not BAD: a galaxy at the right redshift counts as pure.
    Strict purity asks for a true quasar too. Completeness is the share of the true quasars that are
    called quasars with a right redshift.

    Parameters
    ----------
    c_line : array_like, shape (nlines, nspec)
        Confidences, as `qnet.process_preds` returns them; NaN is never above a threshold. A score
        in place of confidences is one line.
    zbest : array_like, shape (nspec,)
        Redshifts found; NaN is wrong.
    Y : array_like, shape (nspec, 5)
        True classes, one-hot over STAR, GALAXY, QSO_LZ, QSO_HZ, BAD, as `qnet.io.read_data` returns
        them.
    z : array_like, shape (nspec,)
        True redshifts.
    thresholds : array_like, shape (nth,), optional
        0, 0.01, ... 0.99 when None.
    min_lines : int
    dv_max : float
        Largest velocity error [km/s] of a right redshift.
    level : float
        Confidence level of the intervals.
    label : str
        What the threshold is on, for tables and figures.

    Returns
    -------
    Scan

    Raises
    ------
    InputError
        The shapes disagree, or there are fewer lines than `min_lines`.
    """
    confidence = nth_confidence(c_line, min_lines)
    found, true = np.asarray(zbest, dtype=np.float64), np.asarray(z, dtype=np.float64)
    classes = np.asarray(Y)
    shapes = {"zbest": found.shape, "z": true.shape, "Y": classes.shape}
    expected = confidence.shape
    if shapes != {"zbest": expected, "z": expected, "Y": (*expected, len(CLASSES))}:
        raise InputError(
            f"zbest and z must have the shape {expected} of the rows of c_line, and Y "
            f"{(*expected, len(CLASSES))}, not {shapes}"
        )
    number = classes.argmax(axis=1) if len(classes) else np.zeros(0, dtype=np.int64)
    quasar, bad = np.isin(number, QSO_CLASSES), number == CLASSES.index("BAD")
    right = is_right(found, true, dv_max)
    places = np.arange(0, 1, 0.01) if thresholds is None else np.asarray(thresholds, dtype=float)
    counts = {
        "purity": _above(confidence[right & ~bad], places),
        "strict_purity": _above(confidence[right & ~bad & quasar], places),
        "completeness": _above(confidence[right & quasar], places),
    }
    ncalled = _above(confidence[~bad], places)
    nquasars = int(quasar.sum())
    columns: dict[str, FloatArray] = {}
    for name, count in counts.items():
        whole = np.full(len(places), nquasars) if name == "completeness" else ncalled
        with np.errstate(invalid="ignore", divide="ignore"):
            columns[name] = count / whole
        columns[f"{name}_low"], columns[f"{name}_high"] = wilson(count, whole, level)
    return Scan(
        thresholds=places, ncalled=ncalled, nquasars=nquasars, label=label, level=level, **columns
    )


def _above(values: FloatArray, thresholds: FloatArray) -> IntArray:
    """How many values are above each threshold."""
    return len(values) - np.searchsorted(np.sort(values), thresholds, side="right")
