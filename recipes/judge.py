"""The numbers that the docs publish of the weights that ship, on simulated spectra.

    python recipes/judge.py FOLDER OUT.json [--model M] [--figures DIR]

FOLDER is that of `recipes/default_model.py`; its sample `test` is read, which nothing was trained,
calibrated or chosen on, and a second draw of the noise is simulated for repeatability. OUT.json
holds every number with its interval and sample size; tables in Markdown go to standard output.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import qnet
from qnet.evaluate import bootstrap, wilson
from qnet.io.fits import FitsFile
from qnet.lines import SPEED_OF_LIGHT

sys.path.insert(0, str(Path(__file__).parent))
from default_model import FINE_GRID, files

from qnet.simulate import simulate, write_simulation

#: Edges of the bins of median S/N per pixel of the line finders' grid, and of redshift.
SNR_EDGES = (0.0, 1.0, 2.0, 4.0, 8.0, np.inf)
Z_EDGES = (0.05, 0.3, 0.6, 0.9, 1.3, 1.8, 2.4, 3.2, 4.0, 5.0, 6.8)

#: A redshift is right within this velocity [km/s], and an outlier beyond the second.
RIGHT, OUTLIER = 6000.0, 3000.0


def nmad(values: np.ndarray) -> float:
    """1.4826 times the median absolute deviation from the median."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def share(inside: np.ndarray) -> dict[str, float]:
    """A share with its Wilson interval."""
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


class Answers:
    """A model's catalogue of a file, with the truth."""

    def __init__(self, data: Path, truth: Path, model: str | None) -> None:
        table = qnet.classify(data, model=model)
        with FitsFile(truth) as fits:
            columns = ["TRUEZ", "TRUESPECTYPE", "TRUESUBTYPE", "BAL_FLAG_VI", "BI_CIV"]
            known = fits.table(1, columns)
        self.truez = known["TRUEZ"].astype(float)
        self.kind, self.subtype = (
            np.char.strip(known[name].astype(str)) for name in ("TRUESPECTYPE", "TRUESUBTYPE")
        )
        self.bal = np.where(known["BI_CIV"] > 0, 1, np.where(known["BAL_FLAG_VI"] == 0, -1, 0))
        self.quasar = self.kind == "QSO"
        for name in ("IS_QSO", "IS_BAL", "ZBEST", "ZERR", "P_QSO", "SNR", "QN_FLAG"):
            setattr(self, name.lower(), np.asarray(table[name]))
        self.dv = SPEED_OF_LIGHT * (self.zbest - self.truez) / (1 + self.truez)
        best = np.nan_to_num(np.asarray(table["C_LINES"])).argmax(axis=1)[:, None]
        z_line = np.take_along_axis(np.asarray(table["Z_LINES"]), best, axis=1)[:, 0]
        self.dv_line = SPEED_OF_LIGHT * (z_line - self.truez) / (1 + self.truez)
        self.right = self.quasar & (np.abs(self.dv) < RIGHT)

    def __len__(self) -> int:
        return len(self.truez)


def numbers(found: Answers, chosen: np.ndarray) -> dict[str, dict[str, float]]:
    """Everything that is measured of some rows."""
    quasar, called = chosen & found.quasar, chosen & found.is_qso
    hit = called & found.right
    pull = (found.zbest - found.truez)[hit] / found.zerr[hit]
    p, is_quasar = found.p_qso[chosen], found.quasar[chosen]
    seen = np.isfinite(p)
    return {
        "completeness": share((found.is_qso & found.right)[quasar]),
        "found": share(found.is_qso[quasar]),
        "purity": share(found.right[called]),
        "outliers": share((np.abs(found.dv) > OUTLIER)[called & found.quasar]),
        "dv_median": statistic(found.dv[hit], np.median),
        "dv_nmad": statistic(found.dv[hit], nmad),
        "dv_nmad_line": statistic(found.dv_line[hit], nmad),
        "pull_width": statistic(pull[np.isfinite(pull)], nmad),
        "calibration_error": {
            "value": calibration_error(p[seen], is_quasar[seen]),
            "n": int(seen.sum()),
        },
    }


def calibration_error(p: np.ndarray, label: np.ndarray) -> float:
    """Mean over ten bins of P_QSO, by their numbers, of |mean P_QSO - share of quasars|."""
    which = np.clip((p * 10).astype(int), 0, 9)
    return float(
        sum(
            abs(p[which == k].mean() - label[which == k].mean()) * (which == k).mean()
            for k in range(10)
            if (which == k).any()
        )
    )


def bins(edges: tuple[float, ...]) -> Iterator[tuple[str, float, float]]:
    """Name and edges of each bin."""
    for low, high in itertools.pairwise(edges):
        yield (f"{low:g} - {high:g}" if np.isfinite(high) else f"above {low:g}"), low, high


def judge(found: Answers) -> dict[str, object]:
    """All numbers of a file."""
    everything = np.ones(len(found), dtype=bool)
    known = found.quasar & (found.bal != 0)
    bal_seen = known & (found.truez > 1.6) & (found.truez < 5.0) & found.is_qso
    return {
        "all": numbers(found, everything),
        "snr": {
            name: numbers(found, (found.snr >= low) & (found.snr < high))
            for name, low, high in bins(SNR_EDGES)
        },
        "z": {
            name: numbers(found, found.quasar & (found.truez >= low) & (found.truez < high))
            for name, low, high in bins(Z_EDGES)
        },
        "false positives": {
            kind: share(found.is_qso[found.kind == kind]) for kind in ("GALAXY", "STAR", "SKY")
        },
        "subtypes": {
            kind: {
                "found": share(found.is_qso[found.quasar & (found.subtype == kind)]),
                "completeness": share(
                    (found.is_qso & found.right)[found.quasar & (found.subtype == kind)]
                ),
            }
            for kind in sorted(set(found.subtype[found.quasar]) - {"", "--", "N/A"})
        },
        "bal": {
            "recall": share(found.is_bal[bal_seen & (found.bal == 1)]),
            "rejection": share(~found.is_bal[bal_seen & (found.bal == -1)]),
        },
    }


def repeat(folder: Path, model: str | None, seed: int = 4000, count: int = 4000) -> dict:
    """Two draws of the noise of the same objects: the same class, and redshifts that agree."""
    draws = []
    for noise in (1, 2):
        paths = folder / f"repeat-{noise}.fits", folder / f"repeat-{noise}-truth.fits"
        if not all(path.exists() for path in paths):
            simulation = simulate(count, seed=seed, noise_seed=noise)
            write_simulation(simulation, *paths, grid=FINE_GRID, overwrite=True)
        draws.append(Answers(*paths, model))
    one, two = draws
    bright = (one.snr > 4) & (two.snr > 4)
    both = bright & one.is_qso & two.is_qso & one.quasar
    joint = np.hypot(one.zerr, two.zerr)[both]
    pull = (one.zbest - two.zbest)[both] / joint
    return {
        "same class": share((one.is_qso == two.is_qso)[bright]),
        "pull width": statistic(pull[np.isfinite(pull)], nmad),
    }


def draw(folder: Path, figures: Path, model: str | None) -> None:
    """The reliability of P_QSO, and redshifts against the truth."""
    from qnet.evaluate import evaluate
    from qnet.plotting import plot_calibration, plot_z, save_figure

    found = []
    names = [data.stem.removeprefix("test-").upper() for data in files(folder, "test")[0]]
    for data, truth in zip(*files(folder, "test"), strict=True):
        found.append(evaluate(qnet.classify(data, model=model), truth))
    found = [dataclasses.replace(one, name=name) for one, name in zip(found, names, strict=True)]
    save_figure(plot_calibration(found), figures / "model-reliability.png", overwrite=True)
    save_figure(plot_z(found[1]), figures / "model-redshifts.png", overwrite=True)


def text(number: dict[str, float], digits: int) -> str:
    """A number with its interval."""
    if "low" not in number:
        return f"{number['value']:.{digits}f}"
    return f"{number['value']:.{digits}f} [{number['low']:.{digits}f}, {number['high']:.{digits}f}]"


def print_tables(name: str, result: dict) -> None:
    """Tables in Markdown."""
    columns = {
        "completeness": 4,
        "purity": 4,
        "outliers": 4,
        "dv_median": 0,
        "dv_nmad": 0,
        "dv_nmad_line": 0,
        "pull_width": 2,
        "calibration_error": 3,
    }
    print(f"\n## {name}\n")
    for table in ("snr", "z"):
        print(f"| {table} | quasars | " + " | ".join(columns) + " |")
        print("|" + "---|" * (len(columns) + 2))
        rows = {"all": result["all"], **result[table]} if table == "snr" else result[table]
        for row, values in rows.items():
            cells = [text(values[key], digits) for key, digits in columns.items()]
            print(f"| {row} | {values['found']['n']} | " + " | ".join(cells) + " |")
        print()
    for key, value in {**result["false positives"], **result["bal"]}.items():
        print(f"- {key}: {text(value, 4)} of {value['n']}")
    for key, value in result["subtypes"].items():
        print(f"- {key}: found {text(value['found'], 3)} of {value['found']['n']}")


def main() -> None:
    """Judge all files of the test sample."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--figures", type=Path, help="draw figures into this folder, and stop")
    options = parser.parse_args()
    if options.figures:
        draw(options.folder, options.figures, options.model)
        return
    result = {}
    for data, truth in zip(*files(options.folder, "test"), strict=True):
        name = data.stem.removeprefix("test-")
        result[name] = judge(Answers(data, truth, options.model))
        print_tables(name, result[name])
    result["two draws"] = repeat(options.folder, options.model)
    print("\n", result["two draws"])
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
