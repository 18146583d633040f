"""Candidate redshifts: the peaks of the redshift posterior, and the second-best line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, FloatArray, as_floats
from qnet.core.bins import RedshiftBins
from qnet.core.checks import check_whole
from qnet.core.errors import InputError
from qnet.core.flags import DISAGREE_VELOCITY
from qnet.core.grid import WavelengthGrid
from qnet.lines import rest_wavelengths, velocity_between

#: Bins on either side of a peak that belong to it.
REACH = 2


def quasar_probability(posterior: npt.ArrayLike, bins: RedshiftBins) -> FloatArray:
    """Sum of a posterior (nspec, noutputs) over the bins of quasars, shape (nspec,)."""
    return np.asarray(np.asarray(posterior, np.float64)[:, : bins.nbins].sum(axis=1))


def find_candidates(
    posterior: npt.ArrayLike, bins: RedshiftBins, count: int
) -> tuple[FloatArray, FloatArray]:
    """Candidate redshifts of each spectrum, most probable first.

    The first candidate is the bin whose probability, summed with that of its two neighbours, is
    largest; its redshift is the mean of the three, weighted by their probabilities. The bins within
    two of it are then set to zero, and the next candidate is found in the same way.

    Parameters
    ----------
    posterior : array_like, shape (nspec, noutputs)
        Probabilities of the classes of `bins`: redshift bins of quasars, then the other classes.
    bins : RedshiftBins
        The classes of the redshift head.
    count : int
        Number of candidates.

    Returns
    -------
    z : ndarray of float64, shape (nspec, count)
        Redshifts; NaN where no probability is left, and in a row that holds NaN.
    probability : ndarray of float64, shape (nspec, count)
        Sums over the three bins; 0 where no probability is left, NaN in a row that holds NaN.

    Raises
    ------
    InputError
        The posterior is not of the classes of `bins`, or there are fewer bins than `count`.

    Examples
    --------
    >>> import numpy as np
    >>> from qnet.core.bins import RedshiftBins
    >>> from qnet.postprocess import find_candidates
    >>> bins = RedshiftBins(z_min=0.0, z_max=4.0, nbins=100)
    >>> posterior = np.zeros((1, bins.noutputs))
    >>> posterior[0, [42, 43, 80]] = 0.35, 0.35, 0.3
    >>> z, probability = find_candidates(posterior, bins, 2)
    >>> z.round(3)
    array([[0.998, 2.653]])
    >>> probability
    array([[0.7, 0.3]])
    """
    check_arguments(find_candidates, locals())
    check_whole("count", count, least=1, most=bins.nbins)
    return find_weighted(posterior, None, bins, count)[:2]


def find_weighted(
    posterior: npt.ArrayLike, weights: AnyArray | None, bins: RedshiftBins, count: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """`find_candidates` of a posterior times weights (nspec, nbins); probability without, weight.

    Redshifts and order are those of the product. The weight of a candidate is the mean of its
    bins, weighted by their probabilities; 1 without weights.
    """
    probabilities = as_floats("posterior", posterior, ndim=2)[:, : bins.nbins]
    if probabilities.shape[1] != bins.nbins:
        raise InputError(
            f"posterior must be of {bins.noutputs} classes, not {probabilities.shape[1]}"
        )
    # An empty bin at either end, so that every bin has two neighbours.
    plain = np.pad(probabilities, ((0, 0), (1, 1)))
    padded = plain if weights is None else np.pad(probabilities * weights, ((0, 0), (1, 1)))
    taken = np.zeros(probabilities.shape, dtype=bool)
    z, probability = np.full((2, len(probabilities), count), np.nan)
    weight = np.ones(z.shape)
    rows = np.arange(len(probabilities))[:, None]
    for rank in range(count):
        summed = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
        summed[taken] = -1.0  # below any probability
        peak = summed.argmax(axis=1)[:, None]
        three = peak + np.arange(3)
        parts = padded[rows, three]
        total = parts.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            position = (parts * (peak + np.arange(-1, 2) + 0.5)).sum(axis=1) / total
        z[:, rank] = bins.z_at(position)
        probability[:, rank] = np.maximum(summed[rows, peak][:, 0], 0.0)
        if weights is not None:
            weight[:, rank], probability[:, rank] = total, plain[rows, three].sum(axis=1)
        near = np.clip(peak + np.arange(-REACH, REACH + 1), 0, bins.nbins - 1)
        taken[rows, near] = True
        padded[rows, near + 1] = 0.0
        plain[rows, near + 1] = 0.0
    if weights is not None:
        weight = np.divide(weight, probability, out=np.zeros_like(weight), where=probability > 0)
    unknown = ~np.isfinite(probabilities).all(axis=1)
    z[unknown], probability[unknown] = np.nan, np.nan
    return z, probability, weight


def second_redshift(
    preds: Sequence[npt.ArrayLike] | AnyArray,
    lines: Sequence[str],
    grid: WavelengthGrid,
    rest: Mapping[str, float],
    zbest: npt.ArrayLike,
) -> tuple[FloatArray, FloatArray]:
    """Second redshift, over 6000 km/s from `zbest`, of each line's two best boxes; NaN for none."""
    wave_rest = rest_wavelengths(lines, rest)
    first = np.asarray(zbest, dtype=np.float64)
    redshifts, confidences = [], []
    for line, pred in enumerate(list(preds)[: len(wave_rest)]):
        array = np.asarray(pred)
        nboxes = array.shape[1] // 2
        boxes = np.argsort(-array[:, :nboxes], axis=1, kind="stable")[:, :2]
        offset = np.take_along_axis(array[:, nboxes:], boxes, axis=1)
        redshifts.append(grid.from_box(boxes, offset, nboxes) / wave_rest[line] - 1)
        confidences.append(np.take_along_axis(array[:, :nboxes], boxes, axis=1))
    z, c = np.hstack(redshifts), np.hstack(confidences).astype(np.float64)
    apart = np.abs(velocity_between(z, first[:, None])) > DISAGREE_VELOCITY
    c = np.where(apart & (z > 0), c, -np.inf)
    best = c.argmax(axis=1)[:, None]
    p2 = np.take_along_axis(c, best, axis=1)[:, 0]
    known = np.isfinite(p2)
    z2 = np.take_along_axis(z, best, axis=1)[:, 0]
    return np.where(known, z2, np.nan), np.where(known, p2, np.nan)
