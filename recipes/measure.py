"""The numbers that the docs give of the default model, on simulated spectra.

    python recipes/measure.py FOLDER OUT.json [--model M] [--baseline B] [--figures DIR]

FOLDER is that of `recipes/default_model.py`; its sample `test` is read, which nothing was trained,
calibrated or chosen on; a second draw of the noise, for repeatability, and fibres on the sky are
simulated. OUT.json holds every number with its interval and sample size; tables in Markdown go to
standard output. A baseline, such as QuasarNET's network trained on the same spectra, is measured at
equal purity.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import qnet
from qnet.core.flags import QNFlag
from qnet.evaluation import bootstrap, wilson
from qnet.evaluation.metric import nmad
from qnet.io.fits.file import FitsFile
from qnet.lines import SPEED_OF_LIGHT

sys.path.insert(0, str(Path(__file__).parent))
from default_model import FINE_GRID, files, make
from tables import print_equal_purity, print_tables, text

from qnet.simulation import simulate
from qnet.simulation.quasars.parametric import Z_RANGE

#: Edges of the bins of median S/N (of weak spectra it may be negative), and of redshift.
SNR_EDGES = (-np.inf, 1.0, 2.0, 4.0, 8.0, np.inf)
Z_EDGES = (Z_RANGE[0], 0.3, 0.6, 0.9, 1.3, 1.8, 2.4, 3.2, 4.0, 5.0, Z_RANGE[1])

#: Width of the bins of redshift in which the bias is measured.
BIAS_STEP = 0.25

#: Where DESI's camera joints would be taken for Lyman-alpha [redshift].
JOINT_REDSHIFTS = ((3.65, 3.9), (5.15, 5.35))

#: A redshift is right within this velocity [km/s], and an outlier beyond the second.
RIGHT, OUTLIER = 6000.0, 3000.0

#: log10 of the column density [cm^-2] of a damped Lyman-alpha absorber.
DLA = 20.3

#: Median S/N of weak spectra, and redshifts at which MgII is often their only strong line.
WEAK, MIDDLE = (2.0, 4.0), (0.6, 1.3)

#: Phases within a box in which the comb of the boxes is looked for.
PHASES = 10


def fraction(inside: np.ndarray) -> dict[str, float]:
    """A fraction with its Wilson interval."""
    n, hits = len(inside), int(inside.sum())
    value = hits / n if n else np.nan
    low, high = wilson(hits, n)
    return {"value": float(value), "low": float(low), "high": float(high), "n": n}


def statistic(values: np.ndarray, function) -> dict[str, float]:
    """A statistic with its bootstrap interval."""
    if len(values) < 10:
        return {"value": np.nan, "low": np.nan, "high": np.nan, "n": len(values)}
    low, high = bootstrap(function, values)
    return {"value": float(function(values)), "low": low, "high": high, "n": len(values)}


class Catalogue:
    """A model's catalogue of a file, with the truth."""

    def __init__(self, data: Path, truth: Path, model: str | None) -> None:
        loaded = qnet.load_model(model)
        table = qnet.classify(data, model=loaded)
        with FitsFile(truth) as fits:
            columns = ["TRUEZ", "TRUESPECTYPE", "TRUESUBTYPE", "RMAG", "SN_MEDIAN_ALL"]
            columns += ["BAL_FLAG_VI", "BI_CIV", "NHI_DLA"]
            # A survey without quasars has no column of theirs.
            known = fits.table(1, [name for name in columns if name in fits.columns(1)])
        self.truez, self.rmag = known["TRUEZ"].astype(float), known["RMAG"]
        self.pixel_snr = known["SN_MEDIAN_ALL"]
        self.kind, self.subtype = (
            np.char.strip(known[name].astype(str)) for name in ("TRUESPECTYPE", "TRUESUBTYPE")
        )
        flag, trough = known["BAL_FLAG_VI"] > 0, known["BI_CIV"] > 0
        # As in training: of a flag without a balnicity, and the reverse, it is not known.
        self.bal = np.where(flag & trough, 1, np.where(flag | trough, 0, -1))
        self.quasar = self.kind == "QSO"
        self.dla = np.nan_to_num(known.get("NHI_DLA", np.zeros(len(self.truez)))) > DLA
        self.lines, self.rest = loaded.lines, loaded.rest
        self.grid, self.nboxes = loaded.grid, loaded.nboxes
        for name in ("IS_QSO", "IS_BAL", "ZBEST", "ZERR", "P_QSO", "SNR", "QN_FLAG"):
            setattr(self, name.lower(), np.asarray(table[name]))
        self.dv = SPEED_OF_LIGHT * (self.zbest - self.truez) / (1 + self.truez)
        confidence = np.nan_to_num(np.asarray(table["C_LINES"]))
        #: What ranks the spectra: P_QSO, or the largest confidence of a model without it.
        self.score = confidence.max(axis=1)
        if np.isfinite(self.p_qso).any():
            self.score = np.nan_to_num(self.p_qso)
        best = confidence.argmax(axis=1)[:, None]
        z_line = np.take_along_axis(np.asarray(table["Z_LINES"]), best, axis=1)[:, 0]
        self.dv_line = SPEED_OF_LIGHT * (z_line - self.truez) / (1 + self.truez)
        self.right = self.quasar & (np.abs(self.dv) < RIGHT)

    def __len__(self) -> int:
        return len(self.truez)


def together(parts: list[Catalogue]) -> Catalogue:
    """The catalogues of several files as if they were one."""
    whole = copy.copy(parts[0])
    for name, values in vars(parts[0]).items():
        if isinstance(values, np.ndarray):
            setattr(whole, name, np.concatenate([getattr(part, name) for part in parts]))
    return whole


def numbers(found: Catalogue, chosen: np.ndarray) -> dict[str, dict[str, float]]:
    """Everything that is measured of some rows."""
    called = chosen & found.is_qso
    hit = called & found.right
    p, is_quasar = found.p_qso[chosen], found.quasar[chosen]
    seen = np.isfinite(p)
    return {
        **_summary(found, chosen, called),
        "found": fraction(found.is_qso[chosen & found.quasar]),
        "dv_median": statistic(found.dv[hit], np.median),
        "dv_nmad_line": statistic(found.dv_line[hit], nmad),
        "pull_width": pull_width(found, hit),
        "calibration_error": {
            "value": calibration_error(p[seen], is_quasar[seen]),
            "n": int(seen.sum()),
        },
    }


def pull_width(found: Catalogue, hit: np.ndarray) -> dict[str, float]:
    """Width of the pulls of the redshifts of quasars that are found at their redshift."""
    pull = (found.zbest - found.truez)[hit] / found.zerr[hit]
    return statistic(pull[np.isfinite(pull)], nmad)


def calibration_error(p: np.ndarray, label: np.ndarray) -> float:
    """Mean over ten bins of P_QSO, by their numbers, of |mean P_QSO - fraction of quasars|."""
    which = np.clip((p * 10).astype(int), 0, 9)
    return float(
        sum(
            abs(p[which == k].mean() - label[which == k].mean()) * (which == k).mean()
            for k in range(10)
            if (which == k).any()
        )
    )


def comb(found: Catalogue) -> dict[str, float]:
    """The largest excess of found over true redshifts in a phase of the boxes of a line.

    Of the quasars at their redshift: the position of a line within its box, from the found redshift
    and from the true one, in ten phases each. Were redshifts drawn to positions in the boxes, as
    wiggles in N(z), some phases would hold more than the truth has.
    """
    chosen = found.is_qso & found.right
    worst, total = 0.0, 0
    for line in found.lines:
        counts = []
        for z in (found.zbest[chosen], found.truez[chosen]):
            box, offset = found.grid.to_box(found.rest[line] * (1 + z), found.nboxes)
            phase = offset[box >= 0]
            counts.append(np.bincount((phase * PHASES).astype(int), minlength=PHASES))
        if counts[1].sum() < 1000:
            continue
        excess = float(np.max(counts[0] / counts[1] - 1))
        if excess > worst:
            worst, total = excess, int(counts[1].sum())
    return {"value": worst, "n": total}


def bias(found: Catalogue) -> list[dict[str, float]]:
    """The median velocity of the quasars found, in each bin of true redshift."""
    edges = np.arange(0, 7, BIAS_STEP)
    chosen = found.is_qso & found.right
    rows = []
    for low in edges:
        inside = chosen & (found.truez >= low) & (found.truez < low + BIAS_STEP)
        if inside.sum() >= 30:
            rows.append({"z": float(low), **statistic(found.dv[inside], np.median)})
    return rows


def at_equal_purity(found: Catalogue, baseline: Catalogue) -> dict[str, dict]:
    """Both models in each bin of S/N, at the purity that the baseline has at its own rule.

    A threshold of the other's score is taken that gives that purity, or the highest it can have
    below it. Completeness, NMAD and outliers are then those of its spectra above the threshold.
    """
    result = {}
    for name, low, high in bins(SNR_EDGES):
        chosen = (found.snr >= low) & (found.snr < high)
        called = chosen & baseline.is_qso
        purity = baseline.right[called].mean()
        order = np.flatnonzero(chosen)[np.argsort(-found.score[chosen])]
        running = np.cumsum(found.right[order]) / np.arange(1, len(order) + 1)
        enough = np.flatnonzero(running >= purity)
        ours = np.zeros(len(found), dtype=bool)
        # Where that purity is never reached, the highest there is.
        count = enough[-1] if len(enough) else np.argmax(running)
        ours[order[: count + 1]] = True
        result[name] = {
            label: _summary(catalogue, chosen, mask)
            for label, catalogue, mask in (
                ("qnet", found, ours),
                ("baseline", baseline, called),
            )
        }
    return result


def _summary(catalogue: Catalogue, chosen: np.ndarray, called: np.ndarray) -> dict[str, dict]:
    """What is compared of two models."""
    hit = called & catalogue.right
    return {
        "purity": fraction(catalogue.right[called]),
        "completeness": fraction(hit[chosen & catalogue.quasar]),
        "dv_nmad": statistic(catalogue.dv[hit], nmad),
        "outliers": fraction((np.abs(catalogue.dv) > OUTLIER)[called & catalogue.quasar]),
    }


def of_sky(folder: Path, model: str | None, survey: str, count: int = 20_000) -> dict[str, object]:
    """Fibres on the sky: how many are called quasars, and how many of these at the joints."""
    simulation = simulate(count, seed=6000, survey=survey, mix={"sky": 1.0})
    found = Catalogue(*make(simulation, folder / f"sky-{survey}.fits", FINE_GRID), model)
    z = found.zbest[found.is_qso]
    return {
        "called quasars": fraction(found.is_qso),
        "redshifts": np.histogram(z, np.arange(0, 7.25, BIAS_STEP))[0].tolist(),
        "at the joints": {
            f"{low:g} - {high:g}": {
                "here": int(((z >= low) & (z < high)).sum()),
                "as wide below": int(((z >= 2 * low - high) & (z < low)).sum()),
                "as wide above": int(((z >= high) & (z < 2 * high - low)).sum()),
            }
            for low, high in JOINT_REDSHIFTS
        },
    }


def bins(edges: tuple[float, ...]) -> Iterator[tuple[str, float, float]]:
    """Name and edges of each bin."""
    for low, high in itertools.pairwise(edges):
        name = f"{low:g} - {high:g}"
        if not np.isfinite(low):
            name = f"below {high:g}"
        elif not np.isfinite(high):
            name = f"above {low:g}"
        yield name, low, high


def lost(found: Catalogue) -> dict[str, dict[str, float]]:
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


def all_numbers(found: Catalogue) -> dict[str, object]:
    """All numbers of a file."""
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
        "lost": lost(found),
        "comb": comb(found),
        "bias": bias(found),
        "pull by z": {
            name: pull_width(found, hit & (found.zbest >= low) & (found.zbest < high))
            for name, low, high in bins(Z_EDGES)
        },
        "DLA hosts": numbers(found, found.quasar & found.dla),
        "subtypes": {
            kind: {
                "found": fraction(found.is_qso[found.quasar & (found.subtype == kind)]),
                "completeness": fraction(
                    (found.is_qso & found.right)[found.quasar & (found.subtype == kind)]
                ),
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


def repeat(folder: Path, model: str | None, seed: int = 4000, count: int = 4000) -> dict:
    """Two draws of the noise of the same objects: the same class, and redshifts that agree."""
    draws = []
    for noise in (1, 2):
        simulation = simulate(count, seed=seed, noise_seed=noise)
        paths = make(simulation, folder / f"repeat-{noise}.fits", FINE_GRID)
        draws.append(Catalogue(*paths, model))
    one, two = draws
    bright = (one.snr > 4) & (two.snr > 4)
    both = bright & one.is_qso & two.is_qso & one.quasar
    joint = np.hypot(one.zerr, two.zerr)[both]
    pull = (one.zbest - two.zbest)[both] / joint
    return {
        "same class": fraction((one.is_qso == two.is_qso)[bright]),
        "pull width": statistic(pull[np.isfinite(pull)], nmad),
    }


def draw(folder: Path, figures: Path, model: str | None) -> None:
    """The training, the reliability of P_QSO, and redshifts against the truth."""
    from qnet import evaluate
    from qnet.plotting import plot_calibration, plot_history, plot_z, save_figure

    history = plot_history(folder / "lines" / "history.fits")
    save_figure(history, figures / "model-training.png", overwrite=True)

    found = []
    names = [data.stem.removeprefix("test-").upper() for data in files(folder, "test")[0]]
    for data, truth in zip(*files(folder, "test"), strict=True):
        found.append(evaluate(qnet.classify(data, model=model), truth))
    found = [dataclasses.replace(one, name=name) for one, name in zip(found, names, strict=True)]
    save_figure(plot_calibration(found), figures / "model-reliability.png", overwrite=True)
    save_figure(plot_z(found[1]), figures / "model-redshifts.png", overwrite=True)


def main() -> None:
    """Judge all files of the test sample."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--baseline", help="a model that is measured beside it")
    parser.add_argument("--figures", type=Path, help="draw figures into this folder, and stop")
    options = parser.parse_args()
    if options.figures:
        draw(options.folder, options.figures, options.model)
        return
    result, parts = {}, []
    for data, truth in zip(*files(options.folder, "test"), strict=True):
        name = data.stem.removeprefix("test-")
        found = Catalogue(data, truth, options.model)
        parts.append(found)
        result[name] = all_numbers(found)
        print_tables(name, result[name])
        if options.baseline:
            other = Catalogue(data, truth, options.baseline)
            result[f"{name}, baseline"] = all_numbers(other)
            result[f"{name}, equal purity"] = at_equal_purity(found, other)
            print_equal_purity(result[f"{name}, equal purity"])
    result["all"] = all_numbers(together(parts))
    print_tables("all", result["all"])
    result["two draws"] = repeat(options.folder, options.model)
    print("\n- two draws:", {key: text(value, 4) for key, value in result["two draws"].items()})
    for survey in ("boss", "desi"):
        result[f"sky, {survey}"] = of_sky(options.folder, options.model, survey)
        print(survey, result[f"sky, {survey}"])
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
