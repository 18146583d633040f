"""Redshift distributions from the output of both stages."""

from __future__ import annotations

import numpy as np

from qnet.classification.refinement import Candidates
from qnet.core.arrays import AnyArray, Columns, FloatArray, IntArray
from qnet.core.bins import RedshiftBins, softmax
from qnet.core.columns import BY_NAME
from qnet.core.errors import InputError
from qnet.core.pz import P_Z_VELOCITY, PARTS, class_column, component_cdf, fraction_below
from qnet.lines import SPEED_OF_LIGHT
from qnet.model.calibration import Calibration
from qnet.model.model import Model
from qnet.model.refiner import Refiner
from qnet.postprocess.candidates import REACH
from qnet.postprocess.features import CONFIDENCE_EPSILON, log_snr

#: Probability that is spread over all redshift bins, so that none has none.
_EVERYWHERE = 1e-9


def check_stages(model: Model) -> tuple[RedshiftBins, Refiner, Calibration]:
    """What redshift distributions are made from; InputError where a model lacks any of it."""
    bins, refiner, calibration = model.architecture.redshifts, model.refiner, model.calibration
    if bins is None or refiner is None or calibration is None:
        parts = {"redshift head": bins, "second stage": refiner, "calibration": calibration}
        lacking = " and no ".join(name for name, part in parts.items() if part is None)
        raise InputError(
            f"pz needs a model with a redshift head, a second stage and a calibration: {model.name}"
            f" has no {lacking}"
        )
    if clash := [name for name in map(class_column, bins.others) if name in BY_NAME]:
        raise InputError(
            f"pz: {model.name} has classes whose probabilities would be in the column(s) "
            f"{', '.join(clash)}, which are others of the catalogue"
        )
    return bins, refiner, calibration


def empty_parts(model: Model, nspec: int) -> Columns:
    """The PARTS of `RedshiftDistributions` of rows that are not classified."""
    bins, refiner, calibration = check_stages(model)
    components = calibration.candidates if refiner.arch.scores else 1
    sizes = (*(components,) * 3, bins.nbins, len(bins.others))
    return {name: np.full((nspec, n), np.nan) for name, n in zip(PARTS, sizes, strict=True)}


def find_distributions(
    candidates: Candidates,
    rows: IntArray,
    posterior: FloatArray,
    model: Model,
    snr: AnyArray,
    columns: Columns,
) -> Columns:
    """The PARTS of `RedshiftDistributions`, from the candidates of `rows` and from the posterior.

    Each refined candidate is a component of width ZERR, by its odds. What the posterior has beside
    them was not scored: its odds are those of a candidate of score 0.
    """
    bins, refiner, calibration = check_stages(model)
    quasar, others = np.split(posterior, [bins.nbins], axis=1)
    total = np.maximum(quasar.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    coarse = quasar / total
    if refiner.arch.scores:
        exponent = calibration.fraction_exponent
        log_odds = candidates.log_odds(exponent) - exponent * np.log(total[rows])
    else:
        fraction = np.fmax(candidates.probability / total[rows], CONFIDENCE_EPSILON)
        log_odds = np.where(candidates.ok, np.log(fraction), -np.inf)
    known = np.isfinite(log_odds)
    _take_out(coarse, rows, np.where(known, candidates.guess, np.nan), bins)
    coarse += _EVERYWHERE / bins.nbins
    remaining = coarse.sum(axis=1, keepdims=True)

    size = len(posterior), candidates.z.shape[1]
    z, zerr, every = np.full(size, np.nan), np.full(size, np.nan), np.full(size, -np.inf)
    z[rows] = np.where(known, candidates.z, np.nan)
    zerr[rows] = np.where(known, candidates.zerr, np.nan)
    every[rows] = np.where(known, log_odds, -np.inf)
    if calibration.zerr is not None:
        zerr *= calibration.zerr(log_snr(snr)[:, None], z)
    weight = softmax(np.hstack([every, np.log(remaining)]))
    coarse *= weight[:, -1:] / remaining
    weight = weight[:, :-1]
    if "P_Z" in columns:
        _set_near(bins, z, zerr, weight, coarse, columns["P_Z"])
    others += np.finfo(np.float64).tiny  # so that they have fractions where all are 0
    others *= (1 - columns["P_QSO"][:, None]) / others.sum(axis=1, keepdims=True)
    return dict(zip(PARTS, (z, zerr, weight, coarse, others), strict=True))


def _take_out(coarse: FloatArray, rows: IntArray, guess: FloatArray, bins: RedshiftBins) -> None:
    """Set the bins of candidates to 0, in place: those that no other candidate may be in."""
    for row, rank in np.argwhere(np.isfinite(guess)):
        peak = int(bins.bin_of(guess[row, rank]))
        coarse[rows[row], max(peak - REACH, 0) : peak + REACH + 1] = 0.0


def _set_near(
    bins: RedshiftBins,
    z: FloatArray,
    zerr: FloatArray,
    weight: FloatArray,
    coarse: FloatArray,
    p_z: FloatArray,
) -> None:
    """Make the probability near ZBEST that of P_Z, in place, by the weight of what is there."""
    some = np.flatnonzero(np.isfinite(p_z) & (weight.max(axis=1) > 0))
    weights, redshifts = weight[some], z[some]
    zbest = np.take_along_axis(redshifts, weights.argmax(axis=1)[:, None], axis=1)
    ends = (1 + zbest) * (1 + np.array([-1, 1]) * P_Z_VELOCITY / SPEED_OF_LIGHT)
    # Candidates may have come to one redshift: they go together.
    there = (weights > 0) & (1 + redshifts > ends[:, :1]) & (1 + redshifts < ends[:, 1:])
    in_bins = np.diff(fraction_below(bins, coarse[some], np.log(ends)))[:, 0]
    low, high = (component_cdf(np.log(end)[:, None], redshifts, zerr[some]) for end in ends.T)
    inside = weights * np.nan_to_num(high - low)
    # The others, by one factor, fill what is left: the sum is linear in the weight of these.
    first = np.where(there, weights, 0).sum(axis=1)
    others = np.where(there, 0, weights).sum(axis=1) + coarse[some].sum(axis=1)
    near_first = np.where(there, inside, 0).sum(axis=1) / first
    near_others = (np.where(there, 0, inside).sum(axis=1) + in_bins) / others
    with np.errstate(invalid="ignore", divide="ignore"):
        wanted = (p_z[some] - near_others) / (near_first - near_others)
    wanted = np.clip(np.where(np.isfinite(wanted), wanted, first), 0.0, 1.0)
    factor = (1 - wanted) / others
    weight[some] = weights * np.where(there, (wanted / first)[:, None], factor[:, None])
    coarse[some] *= factor[:, None]
