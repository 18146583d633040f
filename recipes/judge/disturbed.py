"""Spectra of which a part is there, and spectra with a step inside a camera."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np

from judge.catalogue import (
    DEFAULT,
    OUTLIER,
    SNR_EDGES,
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
from judge.checks import at_most, largest
from qnet import Camera, QNFlag, Spectra, simulate
from qnet.core.arrays import nmad
from qnet.evaluation import calibration_error
from qnet.simulation import Batch

#: Windows to which spectra are cut [Angstrom].
WINDOWS = (
    (3800.0, 4000.0),
    (4950.0, 5350.0),
    (6000.0, 6300.0),
    (6300.0, 6800.0),
    (8000.0, 8200.0),
)

#: DESI's cameras [Angstrom], and their names.
CAMERAS = {"B": (3600.0, 5800.0), "R": (5760.0, 7620.0), "Z": (7520.0, 9824.0)}

#: Steps: camera, whether its upper half alone, and the factor.
STEPS = (("R", True, 2.0), ("Z", True, 1.5), ("R", False, 0.5))

#: Spectra of each survey, and the seeds.
COUNT, SEEDS = 8000, {"boss": 9000, "desi": 9001}

#: A quasar is sure above this P_QSO and P_Z.
SURE = 0.9

#: Bits of the flags that mark a spectrum with a fault of data.
FAULTS = int(QNFlag.OUTLIER | QNFlag.CAMERA_STEP)


def judge_coverage(judge: Judge) -> dict[str, Any]:
    """Windows, single cameras and pairs of them: what is called, and at which redshift."""
    changes, groups = coverage_changes()
    result: dict[str, Any] = {}
    for survey, seed in SEEDS.items():
        simulation = simulate(
            judge.size(COUNT), seed=seed, survey=survey, templates=judge.templates
        )
        found = observe(simulation, judge.models, changes)
        for part, chosen in parts_of(found, judge):
            result[f"{survey}, {part}"] = {
                "called": {name: called(models) for name, models in chosen.items()},
                "P_Z": probability_errors(chosen, groups, "p_z", "dv"),
                "P2": probability_errors(chosen, groups, "p2", "dv2"),
                "half": halved(chosen, groups["pair"]),
            }
    return {"numbers": result, "checks": coverage_checks(result, groups)}


def coverage_changes() -> tuple[dict[str, Change], dict[str, list[str]]]:
    """Parts that are kept of a spectrum, and their names by kind."""
    kept = {f"{low:g} - {high:g}": [(low, high)] for low, high in WINDOWS}
    single = {name: [limits] for name, limits in CAMERAS.items()}
    pair = {
        " and ".join(names): [CAMERAS[name] for name in names]
        for names in itertools.combinations(CAMERAS, 2)
    }
    changes: dict[str, Change] = {"whole": whole}
    changes |= {name: cut(*ranges) for name, ranges in {**kept, **single, **pair}.items()}
    return changes, {
        "whole": ["whole"],
        "window": list(kept),
        "camera": list(single),
        "pair": list(pair),
    }


def cut(*ranges: tuple[float, float]) -> Change:
    """A change that keeps ranges of wavelengths [Angstrom] alone."""

    def change(batch: Batch) -> Spectra:
        cameras = []
        for camera in batch.spectra.cameras:
            inside = np.zeros(len(camera.wave), dtype=bool)
            for low, high in ranges:
                inside |= (camera.wave >= low) & (camera.wave <= high)
            if inside.any():
                flux, ivar = camera.flux[:, inside], camera.ivar[:, inside]
                cameras.append(Camera(camera.name, camera.wave[inside], flux, ivar))
        return dataclasses.replace(batch.spectra, cameras=tuple(cameras))

    return change


def step(name: str, upper: bool, factor: float) -> Change:
    """A change that multiplies a camera, or its upper half alone."""

    def change(batch: Batch) -> Spectra:
        cameras = []
        for camera in batch.spectra.cameras:
            if camera.name == name:
                scale = np.full(len(camera.wave), factor, dtype=camera.flux.dtype)
                if upper:
                    scale[: len(scale) // 2] = 1
                camera = dataclasses.replace(
                    camera, flux=camera.flux * scale, ivar=camera.ivar / scale**2
                )
            cameras.append(camera)
        return dataclasses.replace(batch.spectra, cameras=tuple(cameras))

    return change


def parts_of(found: dict[str, ByModel], judge: Judge) -> list[tuple[str, dict[str, ByModel]]]:
    """The catalogues of all rows, and, where some are of templates, of the others."""
    if judge.templates is None:
        return [("without templates", found)]
    one = next(iter(next(iter(found.values())).values()))[DEFAULT]
    rows = ~one.template
    without = {
        name: {
            label: {prior: each.select(rows) for prior, each in priors.items()}
            for label, priors in models.items()
        }
        for name, models in found.items()
    }
    return [("with templates", found), ("without templates", without)]


def called(models: ByModel) -> dict[str, dict[str, dict[str, Number]]]:
    """What is called, and at which redshift, of each model and prior."""
    return {
        label: {prior: _called(found) for prior, found in priors.items()}
        for label, priors in models.items()
    }


def _called(found: Catalogue) -> dict[str, Number]:
    """What is called, and at which redshift."""
    quasar, wrong = found.quasar, np.abs(found.dv) > OUTLIER
    near, known = quasar & found.is_qso & ~wrong, np.isfinite(found.p_qso)
    pull = ((found.zbest - found.truez) / found.zerr)[near]
    pull = pull[np.isfinite(pull)]
    sure = quasar & found.is_qso & is_sure(found)
    confident = quasar & found.is_qso & (found.p_qso > SURE)
    return {
        "non-quasars called": fraction(found.is_qso[~quasar]),
        "quasars called": fraction(found.is_qso[quasar]),
        "sure": fraction(sure[quasar]),
        "wrong of sure": fraction(wrong[sure]),
        "wrong of P_QSO > 0.9": fraction(wrong[confident]),
        "wrong of called": fraction(wrong[quasar & found.is_qso]),
        "called at a wrong redshift": fraction((found.is_qso & wrong)[quasar]),
        "P_QSO, calibration error": p_error(found.p_qso[known], quasar[known]),
        "pull width": statistic(pull, nmad),
        "pulls beyond 5": fraction(np.abs(pull) > 5),
        "NO_EVIDENCE": fraction((found.qn_flag & int(QNFlag.NO_EVIDENCE)) != 0),
    }


def is_sure(found: Catalogue) -> np.ndarray:
    """Rows of large P_QSO and P_Z; of P_QSO alone where a model has no P_Z."""
    if not np.isfinite(found.p_z).any():
        return found.p_qso > SURE
    with np.errstate(invalid="ignore"):
        return (found.p_qso > SURE) & (found.p_z > SURE)


def probability_errors(
    found: dict[str, ByModel], groups: dict[str, list[str]], probability: str, velocity: str
) -> dict[str, Any]:
    """Calibration error of P_Z or P2, of the quasars, by coverage and S/N, training prior."""
    result: dict[str, Any] = {}
    for label in next(iter(found.values())):
        result[label] = {}
        for group, names in groups.items():
            each = [found[name][label][TRAINING] for name in names]
            p, dv, snr = (
                np.concatenate([getattr(one, key)[one.quasar] for one in each])
                for key in (probability, velocity, "snr")
            )
            right, known = np.abs(dv) < OUTLIER, np.isfinite(p)
            result[label][group] = {"all": p_error(p[known], right[known])} | {
                name: p_error(p[rows], right[rows])
                for name, low, high in bins(SNR_EDGES)
                if len(rows := np.flatnonzero(known & (snr >= low) & (snr < high))) >= 100
            }
    return result


def p_error(p: np.ndarray, label: np.ndarray) -> Number:
    """Calibration error of a probability with its interval, its mean excess, and the chance error.

    Of few rows the error is above 0 even where the probabilities are right: by chance, as labels
    drawn from the probabilities themselves show.
    """
    if len(p) < 2:
        return {"value": np.nan, "n": len(p)}
    p, label = p.astype(float), label.astype(float)
    rng = np.random.default_rng(0)
    chance = [calibration_error(p, (rng.random(len(p)) < p).astype(float)) for _ in range(20)]
    found = interval(calibration_error, p, label)
    return {**found, "excess": float(np.mean(p - label)), "chance": float(np.mean(chance))}


def beyond_chance(number: Number) -> Number:
    """A calibration error less that by chance; not below 0."""
    chance = number.get("chance", np.nan)
    less = {key: max(number[key] - chance, 0.0) for key in ("value", "low", "high")}
    return {**number, **less}


def halved(found: dict[str, ByModel], names: list[str]) -> dict[str, Any]:
    """Quasars called at a wrong redshift, of one model over those of the other, per pair."""
    result: dict[str, Any] = {}
    for name in names:
        labels = list(found[name])
        if len(labels) < 2:
            continue
        for kind, wrong in (("called", _wrong), ("sure", _surely_wrong)):
            ours, theirs = (
                wrong(found[name][label][DEFAULT]).astype(float) for label in labels[:2]
            )
            ratio = {**interval(_ratio, ours, theirs), "n": int(theirs.sum())}
            result.setdefault(name, {})[kind] = ratio
    return result


def _wrong(found: Catalogue) -> np.ndarray:
    """Quasars called at a wrong redshift."""
    return found.quasar & found.is_qso & (np.abs(found.dv) > OUTLIER)


def _surely_wrong(found: Catalogue) -> np.ndarray:
    """Quasars called at a wrong redshift with large P_QSO and P_Z."""
    return _wrong(found) & is_sure(found)


def _ratio(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Ratio of two counts, the second at least 1."""
    return float(ours.sum() / max(theirs.sum(), 1))


def coverage_checks(result: dict[str, Any], groups: dict[str, list[str]]) -> list[dict[str, Any]]:
    """What must be reached with a part of a spectrum."""
    checks = []
    for sample, numbers in result.items():
        for name in [*groups["window"], *groups["camera"]]:
            found = {label: priors[DEFAULT] for label, priors in numbers["called"][name].items()}
            for what, limit in (("non-quasars called", 0.03), ("wrong of sure", 0.02)):
                values = {label: each[what] for label, each in found.items()}
                checks.append(at_most(f"{what}, {name}, {sample}", limit, values))
        first = next(iter(numbers["P_Z"]))
        for name, ratios in numbers["half"].items():
            for kind, ratio in ratios.items():
                text = f"wrong redshifts of quasars {kind} over the baseline's, {name}, {sample}"
                checks.append(at_most(text, 0.5, {first: ratio}))
        worst: dict[str, Number] = {}
        for label, by_group in numbers["P_Z"].items():
            flat = {
                f"{group}, S/N {name}": beyond_chance(number)
                for group, rows in by_group.items()
                for name, number in rows.items()
                if np.isfinite(number["value"])
            }
            if flat:
                worst[label] = largest(flat)
        if worst:
            text = f"calibration error of P_Z, less that by chance, worst bin, {sample}"
            checks.append(at_most(text, 0.02, worst))
    return checks


def judge_steps(judge: Judge) -> dict[str, Any]:
    """Steps inside a camera of DESI: false quasars, and which of them are flagged."""
    names = {f"{'upper half of ' * upper}{name} x {factor:g}": (name, upper, factor)
             for name, upper, factor in STEPS}  # fmt: skip
    changes = {"undisturbed": whole} | {key: step(*value) for key, value in names.items()}
    simulation = simulate(
        judge.size(COUNT), seed=SEEDS["desi"], survey="desi", templates=judge.templates
    )
    result, checks = {}, []
    for part, found in parts_of(observe(simulation, judge.models, changes, (DEFAULT,)), judge):
        numbers = {
            change: {label: _disturbed(priors[DEFAULT]) for label, priors in models.items()}
            for change, models in found.items()
        }
        result[part] = numbers
        for change in names:
            ratios = {}
            for label in judge.models:
                plain, stepped = (
                    (~one.quasar & one.is_qso & ((one.qn_flag & FAULTS) == 0)).astype(float)
                    for one in (found[key][label][DEFAULT] for key in ("undisturbed", change))
                )
                ratios[label] = {**interval(_ratio, stepped, plain), "n": int(plain.sum())}
            text = f"false quasars not flagged over those of undisturbed spectra, {change}, {part}"
            checks.append(at_most(text, 2.0, ratios))
    return {"numbers": result, "checks": checks}


def _disturbed(found: Catalogue) -> dict[str, Number]:
    """False quasars and flags of spectra with a fault."""
    flagged = (found.qn_flag & FAULTS) != 0
    false = found.is_qso & ~found.quasar
    return {
        "non-quasars called": fraction(found.is_qso[~found.quasar]),
        "non-quasars called, not flagged": fraction((false & ~flagged)[~found.quasar]),
        "flagged": fraction(flagged),
        "quasars at their redshift": fraction((found.is_qso & found.right)[found.quasar]),
    }
