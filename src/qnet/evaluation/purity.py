"""Purity and completeness against threshold, as QuasarNET's tutorial computes them."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments
from qnet.core.arrays import FloatArray, IntArray, as_floats
from qnet.core.errors import InputError
from qnet.evaluation.metric import wilson
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
        Quantity that the threshold is on.
    level : float
        Confidence level of the intervals.

    Examples
    --------
    >>> import numpy as np
    >>> from qnet.evaluation import purity_completeness
    >>> Y = np.eye(5)[[2, 3, 0]]  # QSO_LZ, QSO_HZ, STAR
    >>> scan = purity_completeness([[0.9, 0.4, 0.2]], [1.0, 2.5, 2.0], Y, [1.0, 2.5, 0.0])
    >>> scan.ncalled[[0, 30, 50]], scan.nquasars
    (array([3, 2, 1]), 2)
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

    As in QuasarNET's tutorial and Farr et al. (2020, arXiv:2007.10348) a row is called a quasar
    when at least `min_lines` confidences are above the threshold. Purity is the fraction of right
    redshifts (`is_right`) among the called rows whose class is not BAD, whatever the class: a
    galaxy at the right redshift counts as pure. Strict purity asks for a true quasar too.
    Completeness is the fraction of the true quasars that are called quasars with a right redshift.

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
        Lines needed above the threshold.
    dv_max : float
        Largest velocity error [km/s] of a right redshift.
    level : float
        Confidence level of the intervals.
    label : str
        Quantity that the threshold is on, for tables and figures.

    Returns
    -------
    Scan

    Raises
    ------
    InputError
        The shapes disagree, or there are fewer lines than `min_lines`.

    Examples
    --------
    >>> import numpy as np
    >>> from qnet.evaluation import purity_completeness
    >>> Y = np.eye(5)[[2, 3, 0]]  # QSO_LZ, QSO_HZ, STAR
    >>> zbest, z = [1.0, 2.5, 2.0], [1.0, 2.5, 0.0]
    >>> scan = purity_completeness([[0.9, 0.4, 0.6]], zbest, Y, z, thresholds=[0.1, 0.5])
    >>> scan.purity.round(2), scan.completeness
    (array([0.67, 0.5 ]), array([1. , 0.5]))
    """
    check_arguments(purity_completeness, locals())
    confidence = nth_confidence(c_line, min_lines)
    found, true, classes = as_floats("zbest", zbest), as_floats("z", z), as_floats("Y", Y)
    shapes = {"zbest": found.shape, "z": true.shape, "Y": classes.shape}
    expected = confidence.shape
    if shapes != {"zbest": expected, "z": expected, "Y": (*expected, len(CLASSES))}:
        raise InputError(
            f"zbest and z must have the shape {expected} of the rows of c_line, and Y "
            f"{(*expected, len(CLASSES))}, not {shapes}"
        )
    number = classes.argmax(axis=1)
    quasar, bad = np.isin(number, QSO_CLASSES), number == CLASSES.index("BAD")
    right = is_right(found, true, dv_max)
    values = np.arange(0, 1, 0.01)
    if thresholds is not None:
        values = as_floats("thresholds", thresholds, ndim=1)
    counts = {
        "purity": _above(confidence[right & ~bad], values),
        "strict_purity": _above(confidence[right & ~bad & quasar], values),
        "completeness": _above(confidence[right & quasar], values),
    }
    ncalled = _above(confidence[~bad], values)
    nquasars = int(quasar.sum())
    columns: dict[str, FloatArray] = {}
    for name, count in counts.items():
        whole = np.full(len(values), nquasars) if name == "completeness" else ncalled
        with np.errstate(invalid="ignore", divide="ignore"):
            columns[name] = count / whole
        columns[f"{name}_low"], columns[f"{name}_high"] = wilson(count, whole, level)
    return Scan(
        thresholds=values, ncalled=ncalled, nquasars=nquasars, label=label, level=level, **columns
    )


def _above(values: FloatArray, thresholds: FloatArray) -> IntArray:
    """How many values are above each threshold."""
    return len(values) - np.searchsorted(np.sort(values), thresholds, side="right")
