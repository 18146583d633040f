"""Candidate redshifts: the peaks of the redshift posterior, and the second-best line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import FloatArray
from qnet.core.bins import RedshiftBins
from qnet.core.flags import DISAGREE_VELOCITY
from qnet.core.grid import WavelengthGrid
from qnet.lines import SPEED_OF_LIGHT, rest_wavelengths

#: Bins on either side of a peak that belong to it.
_REACH = 2


def quasar_share(posterior: npt.ArrayLike, bins: RedshiftBins) -> FloatArray:
    """Sum of a posterior (nspec, noutputs) over the quasars' bins, shape (nspec,)."""
    return np.asarray(np.asarray(posterior, np.float64)[:, : bins.nbins].sum(axis=1))


def candidates(
    posterior: npt.ArrayLike, bins: RedshiftBins, count: int
) -> tuple[FloatArray, FloatArray]:
    """The most probable redshifts of each spectrum.

    A peak is the bin that holds most with its two neighbours; its redshift is the mean of the
    three, weighted by their shares. The bins within two of a peak are taken out before the next is
    looked for.

    Parameters
    ----------
    posterior : array_like, shape (nspec, noutputs)
        Shares of the classes of `bins`.
    bins : RedshiftBins
    count : int
        How many redshifts.

    Returns
    -------
    z : ndarray of float64, shape (nspec, count)
        Most probable first.
    share : ndarray of float64, shape (nspec, count)
        What the three bins hold. Redshift and share are NaN in a row of NaN; the redshift is NaN
        too where nothing is left.
    """
    shares = np.asarray(posterior, dtype=np.float64)[:, : bins.nbins]
    # A bin of nothing at either end, so that every bin has two neighbours.
    padded = np.pad(shares, ((0, 0), (1, 1)))
    gone = np.zeros(shares.shape, dtype=bool)
    z, share = np.full((2, len(shares), count), np.nan)
    rows = np.arange(len(shares))[:, None]
    for rank in range(count):
        held = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
        # Below any share: a bin that was taken is no peak again.
        held[gone] = -1.0
        peak = held.argmax(axis=1)[:, None]
        weights = padded[rows, peak + np.arange(3)]
        total = weights.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            place = (weights * (peak + np.arange(-1, 2) + 0.5)).sum(axis=1) / total
        z[:, rank] = bins.z_at(place)
        share[:, rank] = np.maximum(held[rows, peak][:, 0], 0.0)
        taken = np.clip(peak + np.arange(-_REACH, _REACH + 1), 0, bins.nbins - 1)
        gone[rows, taken] = True
        padded[rows, taken + 1] = 0.0
    unknown = ~np.isfinite(shares).all(axis=1)
    z[unknown], share[unknown] = np.nan, np.nan
    return z, share


#: A second redshift is further than this from the first [km/s]: the velocity at which lines
#: disagree.
SECOND_VELOCITY = DISAGREE_VELOCITY


def second_redshift(
    preds: Sequence[npt.ArrayLike] | npt.NDArray[Any],
    lines: Sequence[str],
    grid: WavelengthGrid,
    rest: Mapping[str, float],
    zbest: npt.ArrayLike,
) -> tuple[FloatArray, FloatArray]:
    """The best redshift that is not the first.

    Of each line the two most confident boxes are decoded. Of those whose redshift is more than
    6000 km/s from `zbest`, the one of largest confidence is taken.

    Parameters
    ----------
    preds : sequence of array_like, each of shape (nspec, 2 * nboxes)
        Output of ``Model.predict``: emission lines first; those after `lines` are left unread.
    lines : sequence of str
        The emission lines.
    grid : WavelengthGrid
        The network's grid.
    rest : mapping of str to float
        Rest wavelengths [Angstrom].
    zbest : array_like, shape (nspec,)
        The first redshift.

    Returns
    -------
    z2, p2 : ndarray of float64, shape (nspec,)
        The redshift, and the confidence of its box: NaN where `zbest` is NaN, or no other redshift
        is positive and away from the first.
    """
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
    with np.errstate(invalid="ignore"):
        apart = SPEED_OF_LIGHT * np.abs(z - first[:, None]) > SECOND_VELOCITY * (1 + first[:, None])
    # A line blueward of its rest wavelength is no redshift of a quasar.
    c = np.where(apart & (z > 0), c, -np.inf)
    best = c.argmax(axis=1)[:, None]
    p2 = np.take_along_axis(c, best, axis=1)[:, 0]
    known = np.isfinite(p2)
    z2 = np.take_along_axis(z, best, axis=1)[:, 0]
    return np.where(known, z2, np.nan), np.where(known, p2, np.nan)
