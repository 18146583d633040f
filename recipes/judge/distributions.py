"""Redshift distributions against the truth: PIT and CRPS, by S/N and coverage."""

from __future__ import annotations

from typing import Any

import numpy as np

import qnet
from judge.catalogue import (
    SNR_EDGES,
    TRAINING,
    Change,
    Judge,
    Number,
    bins,
    fraction,
    priors_of,
    statistic,
    whole,
)
from judge.disturbed import CAMERAS, cut
from qnet import Model, simulate
from qnet.evaluation import crps, pit

#: Quasars, and their seed.
COUNT, SEED = 8000, 9500

#: Bins of the histogram of PIT, and the ends of it that are counted apart.
NBINS, ENDS = 10, 0.005

#: What is kept of a spectrum.
CHANGES: dict[str, Change] = {"whole": whole} | {key: cut(ends) for key, ends in CAMERAS.items()}


def judge_distributions(judge: Judge) -> dict[str, Any]:
    """PIT and CRPS of the quasars of DESI, under the training prior."""
    simulation = simulate(
        judge.size(COUNT),
        seed=SEED,
        survey="desi",
        mix={"quasar": 1.0},
        templates=judge.templates,
    )
    models = {label: model for label, model in judge.models.items() if has_distributions(model)}
    parts: dict[tuple[str, str], list[np.ndarray]] = {}
    for batch in simulation:
        z = batch.truth["TRUEZ"]
        for change, function in CHANGES.items():
            for label, model in models.items():
                options = {} if len(priors_of(model)) == 1 else {"prior": TRAINING}
                table = qnet.classify(function(batch), model=model, pz=True, **options)
                rows = pit(table, z), crps(table, z), np.asarray(table["SNR"], dtype=float)
                parts.setdefault((label, change), []).append(np.stack(rows))
    result: dict[str, Any] = {}
    for (label, change), arrays in parts.items():
        values = np.concatenate(arrays, axis=1)
        values = values[:, np.isfinite(values[0])]
        by_snr = {
            name: numbers(*values[:2, rows])
            for name, low, high in bins(SNR_EDGES)
            if (rows := (values[2] >= low) & (values[2] < high)).sum() >= 30
        }
        result.setdefault(label, {})[change] = {"all": numbers(*values[:2]), **by_snr}
    return {"numbers": result, "checks": []}


def has_distributions(model: Model) -> bool:
    """Whether a model gives redshift distributions."""
    parts = model.architecture.redshifts, model.refiner, model.calibration
    return all(part is not None for part in parts)


def numbers(pits: np.ndarray, scores: np.ndarray) -> dict[str, Number]:
    """How uniform PIT is, how full its ends are, and CRPS [km/s]."""
    # Sums of the histogram differ from a straight line by this at most (Kolmogorov-Smirnov).
    order = np.sort(pits)
    steps = np.arange(len(order) + 1) / len(order)
    away = float(max(np.abs(steps[1:] - order).max(), np.abs(order - steps[:-1]).max()))
    counts = np.histogram(pits, np.linspace(0, 1, NBINS + 1))[0] * NBINS / len(pits)
    return {
        "distance from uniform": {"value": away, "n": len(pits)},
        f"below {ENDS:g}": fraction(pits < ENDS),
        f"above {1 - ENDS:g}": fraction(pits > 1 - ENDS),
        "median CRPS": statistic(scores, np.median),
        "histogram": [round(float(value), 3) for value in counts],
    }
