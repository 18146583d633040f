"""The frame of the redshifts: bias by line, luminosity, redshift, blueshift and absorption."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from judge.catalogue import (
    OUTLIER,
    TRAINING,
    ByModel,
    Catalogue,
    Change,
    Judge,
    Number,
    bins,
    fraction,
    interval,
    observe,
    statistic,
    whole,
)
from judge.checks import at_most, largest, within
from judge.kinds import QuasarsIn, quasars_in, setting
from qnet import Spectra, simulate
from qnet.core.arrays import nmad
from qnet.simulation import Batch
from qnet.simulation.absorption import absorbers, bal, forest

#: Redshifts at which DESI's spectra hold these lines: those that decide the redshift.
LINE_SETS = {
    "Halpha, Hbeta, [OIII]": (0.05, 0.48),
    "Hbeta, [OIII], MgII": (0.5, 0.93),
    "MgII, CIII]": (1.0, 1.28),
    "MgII, CIII], CIV": (1.4, 2.45),
    "CIII], CIV, LYA": (2.55, 4.05),
    "CIV, LYA": (4.2, 5.25),
    "LYA": (5.4, 6.8),
}

#: Windows in which a line is alone [rest Angstrom].
LINE_WINDOWS = {
    "Hbeta and [OIII]": (4700.0, 5150.0),
    "[OII]": (3640.0, 3820.0),
    "MgII": (2600.0, 3000.0),
    "CIII]": (1800.0, 2000.0),
    "CIV": (1460.0, 1600.0),
    "SiIV": (1340.0, 1460.0),
}

#: Redshifts in which the slope against the blueshift of CIV is measured, and its largest size.
SLOPES = {
    "MgII and CIV": ((1.4, 2.45), 0.1),
    "CIV and CIII]": ((2.55, 4.05), None),
    "CIV alone": ((4.2, 5.25), 0.4),
}

#: Steps of the bins of luminosity [dex] and redshift, and the least quasars of one.
LUMINOSITY_STEP, Z_STEP, LEAST = 0.5, 0.25, 30

#: Largest bias of bins, of noiseless lines, and what absorbers may change [km/s].
BIAS, NOISELESS, ABSORBED = 30.0, 20.0, 50.0

#: Largest fraction of redshifts beyond five of their errors.
TAIL = 0.005

#: Quasars of the survey, and the seed; those of a pair of samples that differ in absorption.
COUNT, SEED, PAIR = 20_000, 9300, 6000

#: Redshifts at which the forest matters, and at which absorbers and troughs do.
FOREST_Z, ABSORBER_Z = (2.4, 6.5), (1.5, 5.0)


def judge_frame(judge: Judge) -> dict[str, Any]:
    """Biases of parametric quasars of DESI, with noise and without."""
    simulation = simulate(judge.size(COUNT), seed=SEED, survey="desi", mix={"quasar": 1.0})
    changes: dict[str, Change] = {"noisy": whole, "noiseless": noiseless}
    changes |= {name: window(*limits) for name, limits in LINE_WINDOWS.items()}
    found = observe(simulation, judge.models, changes, (TRAINING,))
    catalogues = {
        change: {label: one[TRAINING] for label, one in models.items()}
        for change, models in found.items()
    }
    sets = {name: _between("truez", limits) for name, limits in LINE_SETS.items()}
    result = {
        "noiseless": each(catalogues["noiseless"], lambda one: medians(one, sets)),
        "line windows": {
            label: {name: _bias(catalogues[name][label]) for name in LINE_WINDOWS}
            for label in judge.models
        },
        "luminosity": each(catalogues["noisy"], by_luminosity),
        "z": each(catalogues["noisy"], by_redshift),
        "noiseless, luminosity": each(catalogues["noiseless"], by_luminosity),
        "noiseless, z": each(catalogues["noiseless"], by_redshift),
        "slope": each(catalogues["noisy"], slopes),
        "noiseless, slope": each(catalogues["noiseless"], slopes),
        "slope, CIV window": each(catalogues["CIV"], lambda one: slope(one, reached(one))),
        "tails": each(catalogues["noisy"], tails),
    }
    return {"numbers": result, "checks": frame_checks(result)}


def each(models: Mapping[str, Catalogue], function: Callable[[Catalogue], Any]) -> dict[str, Any]:
    """What a function gives of each model."""
    return {label: function(found) for label, found in models.items()}


def noiseless(batch: Batch) -> Spectra:
    """The spectra without noise, with the weight that they have with it."""
    cameras = tuple(
        dataclasses.replace(camera, flux=signal)
        for camera, signal in zip(batch.spectra.cameras, batch.signals, strict=True)
    )
    return dataclasses.replace(batch.spectra, cameras=cameras)


def window(low: float, high: float) -> Change:
    """A change that keeps a range of rest wavelengths alone, without noise."""

    def change(batch: Batch) -> Spectra:
        spectra, one_plus_z = noiseless(batch), 1 + batch.truth["TRUEZ"][:, None]
        cameras = []
        for camera in spectra.cameras:
            inside = (camera.wave >= low * one_plus_z) & (camera.wave <= high * one_plus_z)
            cameras.append(dataclasses.replace(camera, ivar=np.where(inside, camera.ivar, 0)))
        return dataclasses.replace(spectra, cameras=tuple(cameras))

    return change


def reached(found: Catalogue) -> np.ndarray:
    """Quasars called within an outlier's velocity of the truth."""
    return found.quasar & found.is_qso & (np.abs(found.dv) < OUTLIER)


def _between(name: str, limits: tuple[float, float]) -> Callable[[Catalogue], np.ndarray]:
    """Rows of a column between limits."""
    low, high = limits
    return lambda found: (getattr(found, name) >= low) & (getattr(found, name) < high)


def _bias(found: Catalogue, rows: np.ndarray | None = None) -> dict[str, Number]:
    """Median and scatter of quasars whose redshift, called or not, is not an outlier."""
    # A window of one line is not always called; what its line gives is measured all the same.
    close = found.quasar & (np.abs(found.dv) < OUTLIER)
    close &= True if rows is None else rows
    chosen = found.dv[close]
    return {
        "median": statistic(chosen, np.median, LEAST),
        "scatter": statistic(chosen, nmad, LEAST),
    }


def medians(found: Catalogue, sets: Mapping[str, Any]) -> dict[str, dict[str, Number]]:
    """Median and scatter of each set of lines."""
    return {name: _bias(found, rows(found)) for name, rows in sets.items()}


def by_luminosity(found: Catalogue) -> dict[str, Number]:
    """Median velocity in bins of luminosity."""
    return _median_by(found, found.log_l1700, np.arange(42.0, 49.0, LUMINOSITY_STEP))


def by_redshift(found: Catalogue) -> dict[str, Number]:
    """Median velocity in bins of true redshift."""
    return _median_by(found, found.truez, np.arange(0.0, 7.01, Z_STEP))


def _median_by(found: Catalogue, x: np.ndarray, edges: np.ndarray) -> dict[str, Number]:
    """Median velocity of the quasars found at their redshift in bins that hold some."""
    chosen, result = reached(found), {}
    for name, low, high in bins(edges):
        inside = chosen & (x >= low) & (x < high)
        if inside.sum() >= LEAST:
            result[name] = statistic(found.dv[inside], np.median)
    return result


def slopes(found: Catalogue) -> dict[str, Number]:
    """Slope of the velocity on the blueshift of CIV, by the lines that are seen."""
    return {
        name: slope(found, reached(found) & _between("truez", limits)(found))
        for name, (limits, _) in SLOPES.items()
    }


def slope(found: Catalogue, rows: np.ndarray) -> Number:
    """Slope of the velocity on the blueshift of CIV."""
    rows = rows & np.isfinite(found.civ_shift)
    if rows.sum() < LEAST:
        return {"value": np.nan, "n": int(rows.sum())}
    x, y = found.civ_shift[rows].astype(float), found.dv[rows]

    def fit(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.polyfit(x, y, 1)[0])

    return interval(fit, x, y)


def tails(found: Catalogue) -> dict[str, Number]:
    """Fractions of redshifts beyond three and five errors, of all and of those not outliers."""
    called, near = found.quasar & found.is_qso, reached(found)
    pull = np.abs(found.zbest - found.truez) / found.zerr
    return {
        f"beyond {limit:g}{name}": fraction(pull[rows & np.isfinite(pull)] > limit)
        for limit in (3.0, 5.0)
        for name, rows in (("", near), (", outliers too", called))
    }


def frame_checks(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What must be reached in the frame."""
    checks = []

    def of(key: str, *path: str) -> dict[str, Number]:
        found = {}
        for label, number in result[key].items():
            for name in path:
                number = number[name]
            found[label] = number
        return found

    for name in LINE_SETS:
        text = f"median dv without noise, {name}"
        checks.append(within(text, NOISELESS, of("noiseless", name, "median")))
    for name in LINE_WINDOWS:
        text = f"median dv without noise, window of {name}"
        checks.append(within(text, NOISELESS, of("line windows", name, "median")))
    for key in ("luminosity", "z", "noiseless, luminosity", "noiseless, z"):
        checks += bias_checks(f"bins of {key}", result[key])
    for key in ("slope", "noiseless, slope"):
        for name, (_, limit) in SLOPES.items():
            if limit is not None:
                checks.append(within(f"{key} on CIV_SHIFT, {name}", limit, of(key, name)))
    checks.append(at_most("beyond 5 ZERR", TAIL, of("tails", "beyond 5")))
    return checks


def bias_checks(where: str, found: Mapping[str, dict[str, Number]]) -> list[dict[str, Any]]:
    """The largest bias of the bins of each model, and the number that is surely too large."""
    worst = {label: largest(numbers) for label, numbers in found.items()}
    sure = {
        label: {"value": float(sum(map(_beyond, numbers.values()))), "n": len(numbers)}
        for label, numbers in found.items()
    }
    return [
        within(f"median dv, {where}", BIAS, worst),
        at_most(f"number of {where} surely beyond {BIAS:g} km/s", 0.0, sure),
    ]


def _beyond(number: Number) -> bool:
    """Whether the whole interval of a bias is beyond the limit."""
    return number["low"] > BIAS or number["high"] < -BIAS


@contextlib.contextmanager
def opacity(factor: float) -> Iterator[None]:
    """The simulator with the effective optical depth of the forest times a factor."""
    depth = forest.effective_depth
    forest._local_depth.cache_clear()
    try:
        with setting(forest, "effective_depth", lambda z: factor * depth(z)):
            yield
    finally:
        forest._local_depth.cache_clear()


def no_troughs(flux: np.ndarray, troughs: Any, z: np.ndarray) -> None:
    """Broad absorption that takes no light."""


def judge_absorption(judge: Judge) -> dict[str, Any]:
    """The same quasars with more and less absorption: what it does to their redshifts."""
    n = judge.size(PAIR)
    result: dict[str, Any] = {}
    checks = []

    def catalogues(source: QuasarsIn, context: Any, seed: int) -> ByModel:
        with context:
            simulation = quasars_in(n, seed, "desi", source)
            return observe(simulation, judge.models, {"as it is": whole}, (TRAINING,))["as it is"]

    hydrogen = QuasarsIn(FOREST_Z)
    plain = catalogues(hydrogen, contextlib.nullcontext(), SEED + 1)
    for factor in (0.9, 1.1):
        other = catalogues(hydrogen, opacity(factor), SEED + 1)
        name = f"opacity x {factor:g}"
        result[name] = moved(other, plain)
        for what in ("change", "median"):
            found = {label: numbers[what] for label, numbers in result[name].items()}
            checks.append(within(f"{what} of dv, {name}, z > 2.4", BIAS, found))
    source = QuasarsIn(ABSORBER_Z)
    without = catalogues(source, setting(absorbers, "ASSOCIATED_FRACTION", 0.0), SEED + 2)
    associated = catalogues(source, setting(absorbers, "ASSOCIATED_FRACTION", 1.0), SEED + 2)
    result["associated absorbers"] = moved(associated, without)
    source = QuasarsIn(ABSORBER_Z, bal_fraction=1.0)
    smooth = catalogues(source, setting(bal, "absorb", no_troughs), SEED + 3)
    troughs = catalogues(source, contextlib.nullcontext(), SEED + 3)
    broad = {label: one[TRAINING].bal_flag_vi > 0 for label, one in troughs.items()}
    result["BAL"] = moved(troughs, smooth, broad)
    for name in ("associated absorbers", "BAL"):
        found = {label: numbers["change"] for label, numbers in result[name].items()}
        checks.append(within(f"change of dv, {name}", ABSORBED, found))
    return {"numbers": result, "checks": checks}


def moved(
    models: ByModel, plain: ByModel, rows: Mapping[str, np.ndarray] | None = None
) -> dict[str, dict[str, Number]]:
    """How the redshifts of the same quasars differ, and what is lost, of each model."""
    result = {}
    for label, by_prior in models.items():
        one, other = by_prior[TRAINING], plain[label][TRAINING]
        chosen = np.ones(len(one), dtype=bool) if rows is None else rows[label]
        both = chosen & reached(one) & reached(other)
        result[label] = {
            "change": statistic((one.dv - other.dv)[both], np.median),
            "scatter of the change": statistic((one.dv - other.dv)[both], nmad),
            "median": statistic(one.dv[chosen & reached(one)], np.median),
            "median without": statistic(other.dv[chosen & reached(other)], np.median),
            "reached": fraction(reached(one)[chosen]),
            "reached without": fraction(reached(other)[chosen]),
        }
    return result
