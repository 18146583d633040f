"""Whole spectra: the numbers of the model's page, of one model or of two beside each other."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from default_model import FINE_GRID, SAMPLES, make

from judge.catalogue import (
    OUTLIER,
    SNR_EDGES,
    TRAINING,
    Catalogue,
    Judge,
    Number,
    bins,
    fraction,
    interval,
    read_catalogue,
    statistic,
    together,
)
from judge.checks import at_most
from judge.disturbed import is_sure
from judge.frame import bias_checks, by_luminosity, by_redshift
from qnet import QNFlag, simulate
from qnet.core.arrays import nmad
from qnet.evaluation import calibration_error
from qnet.simulation.quasars.parametric import Z_RANGE

#: Edges of the bins of redshift.
Z_EDGES = (Z_RANGE[0], 0.3, 0.6, 0.9, 1.3, 1.8, 2.4, 3.2, 4.0, 5.0, Z_RANGE[1])

#: Median S/N of weak spectra, and redshifts at which MgII is often their only strong line.
WEAK, MIDDLE = (2.0, 4.0), (0.6, 1.3)

#: Phases within a box in which the comb of the boxes is looked for.
PHASES = 10

#: Cuts on P_Z, beside the same on P_QSO, whose purity and completeness are measured.
CUTS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99)


def judge_whole(judge: Judge) -> dict[str, Any]:
    """The test sample, by survey and all together."""
    parts: dict[tuple[str, str], list[Catalogue]] = {}
    result: dict[str, Any] = {}
    for data, truth in test_files(judge):
        survey = data.stem.partition("-")[2]
        for label, model in judge.models.items():
            for prior, found in read_catalogue(data, truth, model).items():
                parts.setdefault((label, prior), []).append(found)
                result[f"{survey}, {label}, {prior}"] = all_numbers(found)
    surveys = [data.stem.partition("-")[2] for data, _ in test_files(judge)]
    # Where priors do not differ, neither do the catalogues: one is kept, and measured once.
    joined: dict[tuple[int, ...], Catalogue] = {}
    for found in parts.values():
        joined.setdefault(tuple(map(id, found)), together(found))
    everything = {key: joined[tuple(map(id, found))] for key, found in parts.items()}
    for (label, prior), found in everything.items():
        result[f"all, {label}, {prior}"] = all_numbers(found)
        if found.template.any():
            result[f"all without templates, {label}, {prior}"] = all_numbers(parametric(found))
    checks = []
    if len(judge.models) > 1:
        ours, theirs = list(judge.models)[:2]
        for number, survey in enumerate(surveys):
            one, other = (parts[label, TRAINING][number] for label in (ours, theirs))
            result[f"{survey}, equal purity"] = at_equal_purity(one, other, (ours, theirs))
        for name, one, other in _pairs(everything, ours, theirs):
            numbers = differences(one, other)
            result[f"{name}, {ours} less {theirs}"] = numbers
            checks += [
                at_most(f"{metric}, {ours} less {theirs}, S/N {where}, {name}", 0.0, {ours: number})
                for where, metrics in numbers.items()
                for metric, number in metrics.items()
            ]
    for name, rows in _families(everything[next(iter(judge.models)), TRAINING]).items():
        one = {label: everything[label, TRAINING].select(rows) for label in judge.models}
        by = {
            "0.5 dex of luminosity": {label: by_luminosity(each) for label, each in one.items()},
            "0.25 of z": {label: by_redshift(each) for label, each in one.items()},
        }
        result[f"bias, {name}"] = by
        for what, found in by.items():
            checks += bias_checks(f"bins of {what}, {name}", found)
    return {"numbers": result, "checks": checks}


def _families(found: Catalogue) -> dict[str, np.ndarray]:
    """Rows with and without those drawn from templates, and these alone: frames may differ."""
    families = {"without templates": ~found.template}
    if found.template.any():
        families["with templates"] = np.ones(len(found), dtype=bool)
        families["templates alone"] = found.template
    return families


def _pairs(
    everything: Mapping[tuple[str, str], Catalogue], ours: str, theirs: str
) -> Iterator[tuple[str, Catalogue, Catalogue]]:
    """Both models' catalogues of the whole sample and, without templates, of a part."""
    one, other = everything[ours, TRAINING], everything[theirs, TRAINING]
    if one.template.any():
        yield "with templates", one, other
    yield "without templates", parametric(one), parametric(other)


@functools.cache
def parametric(found: Catalogue) -> Catalogue:
    """Rows that were not drawn from templates."""
    return found.select(~found.template)


def test_files(judge: Judge) -> list[tuple[Path, Path]]:
    """Data and truth of the test sample, simulated where they are not there."""
    sizes, seed = SAMPLES["test"]
    name = "test" if judge.scale == 1 else "quick"
    paths = []
    for position, (survey, count) in enumerate(sizes.items()):
        simulation = simulate(
            judge.size(count), seed=seed + position, survey=survey, templates=judge.templates
        )
        paths.append(make(simulation, judge.folder / f"{name}-{survey}.fits", FINE_GRID))
    return paths


def numbers(found: Catalogue, chosen: np.ndarray) -> dict[str, Number]:
    """Everything that is measured of some rows."""
    called = chosen & found.is_qso
    hit = called & found.right
    p, is_quasar = found.p_qso[chosen], found.quasar[chosen]
    seen = np.isfinite(p)
    return {
        **summary(found, chosen, called),
        "found": fraction(found.is_qso[chosen & found.quasar]),
        "dv_median": statistic(found.dv[hit], np.median),
        "dv_nmad_line": statistic(found.dv_line[hit], nmad),
        "pull_width": pull_width(found, hit),
        "calibration_error": {
            "value": calibration_error(p[seen].astype(float), is_quasar[seen].astype(float)),
            "n": int(seen.sum()),
        },
    }


def summary(catalogue: Catalogue, chosen: np.ndarray, called: np.ndarray) -> dict[str, Number]:
    """What is compared of two models."""
    hit = called & catalogue.right
    return {
        "purity": fraction(catalogue.right[called]),
        "completeness": fraction(hit[chosen & catalogue.quasar]),
        "dv_nmad": statistic(catalogue.dv[hit], nmad),
        "outliers": fraction((np.abs(catalogue.dv) > OUTLIER)[called & catalogue.quasar]),
    }


def pull_width(found: Catalogue, hit: np.ndarray) -> Number:
    """Width of the pulls of the redshifts of quasars that are found at their redshift."""
    pull = (found.zbest - found.truez)[hit] / found.zerr[hit]
    return statistic(pull[np.isfinite(pull)], nmad)


def comb(found: Catalogue) -> Number:
    """The largest excess of found over true redshifts in a phase of the boxes of a line.

    Of the quasars at their redshift: the position of a line within its box, from the found redshift
    and from the true one, in ten phases each. Were redshifts drawn to positions in the boxes, as
    wiggles in N(z), some phases would hold more than the truth has.
    """
    chosen = found.is_qso & found.right
    worst, total = 0.0, 0
    for line in found.model.lines:
        counts = []
        for z in (found.zbest[chosen], found.truez[chosen]):
            wave = found.model.rest[line] * (1 + z)
            box, offset = found.model.grid.to_box(wave, found.model.nboxes)
            phase = offset[box >= 0]
            counts.append(np.bincount((phase * PHASES).astype(int), minlength=PHASES))
        if counts[1].sum() < 1000:
            continue
        excess = float(np.max(counts[0] / counts[1] - 1))
        if excess > worst:
            worst, total = excess, int(counts[1].sum())
    return {"value": worst, "n": total}


def at_equal_purity(
    found: Catalogue, baseline: Catalogue, labels: tuple[str, str]
) -> dict[str, dict[str, Any]]:
    """Both models in each bin of S/N, at the purity that the baseline has at its own rule.

    A threshold of the other's score is taken that gives that purity, or the highest it can have
    below it. Completeness, NMAD and outliers are then those of its spectra above the threshold.
    """
    result = {}
    for name, low, high in bins(SNR_EDGES):
        chosen = (found.snr >= low) & (found.snr < high)
        called = chosen & baseline.is_qso
        if not called.any():
            continue
        purity = baseline.right[called].mean()
        order = np.flatnonzero(chosen)[np.argsort(-found.score[chosen])]
        running = np.cumsum(found.right[order]) / np.arange(1, len(order) + 1)
        enough = np.flatnonzero(running >= purity)
        ours = np.zeros(len(found), dtype=bool)
        # Where that purity is never reached, the highest there is.
        count = enough[-1] if len(enough) else np.argmax(running)
        ours[order[: count + 1]] = True
        both = zip(labels, (found, baseline), (ours, called), strict=True)
        result[name] = {label: summary(each, chosen, mask) for label, each, mask in both}
    return result


def differences(one: Catalogue, other: Catalogue) -> dict[str, dict[str, Number]]:
    """How much worse the first is in each bin of S/N: above zero; intervals of the same rows."""

    def lost(found: Catalogue, rows: np.ndarray) -> float:
        quasar = found.quasar[rows]
        return _mean(~(found.is_qso & found.right)[rows][quasar])

    def false(found: Catalogue, rows: np.ndarray) -> float:
        return _mean(~found.right[rows][found.is_qso[rows]])

    def scatter(found: Catalogue, rows: np.ndarray) -> float:
        dv = found.dv[rows][(found.is_qso & found.right)[rows]]
        return nmad(dv) if len(dv) else 0.0

    def outliers(found: Catalogue, rows: np.ndarray) -> float:
        return _mean((np.abs(found.dv[rows]) > OUTLIER)[(found.is_qso & found.quasar)[rows]])

    metrics = {"incompleteness": lost, "impurity": false, "NMAD": scatter, "outliers": outliers}
    result: dict[str, dict[str, Number]] = {}
    for name, low, high in bins(SNR_EDGES):
        rows = np.flatnonzero((one.snr >= low) & (one.snr < high))
        result[name] = {}
        for metric, function in metrics.items():

            def excess(rows: np.ndarray, function: Any = function) -> float:
                return function(one, rows) - function(other, rows)

            result[name][metric] = interval(excess, rows)
    return result


def _mean(values: np.ndarray) -> float:
    """Mean, 0 of nothing."""
    return float(values.mean()) if len(values) else 0.0


def lost(found: Catalogue) -> dict[str, Number]:
    """The quasars of weak spectra that are missed or put at a wrong redshift: what they are."""
    weak = found.quasar & (found.snr >= WEAK[0]) & (found.snr < WEAK[1])
    bad, wrong = weak & ~(found.is_qso & found.right), weak & found.is_qso & ~found.right
    middle = (found.truez > MIDDLE[0]) & (found.truez < MIDDLE[1])
    ambiguous = (found.qn_flag & int(QNFlag.AMBIGUOUS)) != 0
    return {
        "lost": fraction(bad[weak]),
        "of these, fainter than 22": fraction(found.rmag[bad] > 22),
        "of these, at 0.6 to 1.3": fraction(middle[bad]),
        "of all, at 0.6 to 1.3": fraction(middle[weak]),
        "of wrong redshifts, AMBIGUOUS": fraction(ambiguous[wrong]),
        "of right redshifts, AMBIGUOUS": fraction(ambiguous[weak & found.is_qso & found.right]),
    }


def cuts(found: Catalogue) -> dict[str, dict[str, Number]]:
    """Purity and completeness within an outlier's velocity, of cuts on P_QSO and P_Z alike."""
    near = found.quasar & (np.abs(found.dv) < OUTLIER)
    result = {}
    for cut in CUTS:
        kept = found.is_qso & (found.p_qso > cut)
        if np.isfinite(found.p_z).any():
            kept &= np.nan_to_num(found.p_z) > cut
        result[f"above {cut:g}"] = {
            "purity": fraction(near[kept]),
            "completeness": fraction((kept & near)[found.quasar]),
            "outliers": fraction(~near[kept & found.quasar]),
        }
    return result


@functools.cache
def all_numbers(found: Catalogue) -> dict[str, Any]:
    """All numbers of a sample."""
    everything = np.ones(len(found), dtype=bool)
    hit = found.is_qso & found.right
    known = found.quasar & (found.bal != 0)
    called = found.is_qso & (found.zbest > 3.6)
    near = found.truez < 0.4
    bal_seen = known & (found.truez > 1.6) & (found.truez < 5.0) & found.is_qso
    return {
        "all": numbers(found, everything),
        "snr": {
            name: numbers(found, (found.snr >= low) & (found.snr < high))
            for name, low, high in bins(SNR_EDGES)
        },
        "pixel snr": {
            name: numbers(found, (found.pixel_snr >= low) & (found.pixel_snr < high))
            for name, low, high in bins(SNR_EDGES)
        },
        "z": {
            name: numbers(found, found.quasar & (found.truez >= low) & (found.truez < high))
            for name, low, high in bins(Z_EDGES)
        },
        "false positives": {
            **{
                kind: fraction(found.is_qso[found.kind == kind])
                for kind in ("GALAXY", "STAR", "SKY")
            },
            "GALAXY z < 0.4": fraction(found.is_qso[(found.kind == "GALAXY") & near]),
            "SEYFERT2 z < 0.4": fraction(found.is_qso[(found.subtype == "SEYFERT2") & near]),
        },
        "purity above 3.6": fraction(found.right[called]),
        "sure": fraction((found.is_qso & is_sure(found))[found.quasar]),
        "cuts": cuts(found),
        "lost": lost(found),
        "comb": comb(found),
        "bias": by_redshift(found),
        "bias by luminosity": by_luminosity(found),
        "pull by z": {
            name: pull_width(found, hit & (found.zbest >= low) & (found.zbest < high))
            for name, low, high in bins(Z_EDGES)
        },
        "DLA hosts": numbers(found, found.quasar & found.dla),
        "subtypes": {
            kind: {
                "found": fraction(found.is_qso[found.quasar & (found.subtype == kind)]),
                "completeness": fraction(hit[found.quasar & (found.subtype == kind)]),
            }
            for kind in sorted(set(found.subtype[found.quasar]) - {"", "--", "N/A"})
        },
        "bal": {
            "recall": fraction(found.is_bal[bal_seen & (found.bal == 1)]),
            "rejection": fraction(~found.is_bal[bal_seen & (found.bal == -1)]),
            "outliers, BAL": fraction((np.abs(found.dv) > OUTLIER)[bal_seen & (found.bal == 1)]),
            "outliers, other": fraction((np.abs(found.dv) > OUTLIER)[bal_seen & (found.bal == -1)]),
        },
    }
