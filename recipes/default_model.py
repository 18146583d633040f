"""How the weights that ship with qnet are made: simulated spectra alone, from seeds.

    python recipes/default_model.py FOLDER --templates DIR simulate
    python recipes/default_model.py FOLDER lines
    python recipes/default_model.py FOLDER refine
    python recipes/default_model.py FOLDER pack --output src/qnet/data/NAME@VERSION.safetensors

Each step leaves its results in FOLDER and can be repeated alone; `lines` goes on where it was
stopped. No real spectrum is read. Threshold and calibration come from a simulated sample that
neither network was trained on; the sample `test`, of other seeds, is for the numbers in the docs.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np

from qnet.architecture import ConvLayer, RefineArchitecture
from qnet.calibration import Calibration, Table, log_snr, logit
from qnet.evidence import P_BAL_FEATURES, features
from qnet.grid import WavelengthGrid
from qnet.io.fits import FitsFile
from qnet.io.reader import read_spectra
from qnet.lines import SPEED_OF_LIGHT
from qnet.logistic import Logistic
from qnet.model import Model, load_model
from qnet.refine import Refiner, fine_spectra
from qnet.simulate import simulate, write_simulation
from qnet.train import Augmentation, NetworkOptions, Settings, fit
from qnet.train.refining import fit_refiner
from qnet.weights import write_weights

#: Spectra by sample and survey. Seeds are those of the sample plus the survey's place.
SAMPLES = {
    "train": ({"boss": 150_000, "desi": 100_000, "sdss": 50_000}, 1000),
    "fine": ({"boss": 60_000, "desi": 40_000, "sdss": 20_000}, 1000),
    "calibrate": ({"boss": 20_000, "desi": 15_000, "sdss": 5_000}, 2000),
    "test": ({"boss": 20_000, "desi": 15_000, "sdss": 5_000}, 3000),
}

#: Grid of the second stage: four pixels of it are one of the line finders'.
FINE_GRID = WavelengthGrid.log(3600.0, 10400.0, 2.5e-4)

#: Features of P_QSO.
P_QSO = ("logit_c1", "logit_c2", "logit_c3", "logit_agree", "log_snr")

#: Camera joints and strong sky lines [Angstrom]: the overlaps of DESI's cameras (that of BOSS's, of
#: 500 Angstrom, is too wide for a warning to mean anything); [OI] 5577 and 6300, NaD.
JOINTS = ((5760.0, 5800.0), (7520.0, 7620.0))
SKYLINES = ((5571.0, 5583.0), (5888.0, 5900.0), (6297.0, 6305.0))

#: What must travel with weights that were trained on spectra drawn from templates.
NOTICES = (
    "Trained on simulated spectra, of which 60 % of the objects were drawn from templates: "
    "redrock-templates (BSD-3-Clause, the redrock developers) and redmonster (BSD, the redmonster "
    "developers). The weights hold no template.",
)

#: Share of the calibration sample that lies beyond the distance of an OUTLIER.
OUTLIER_SHARE = 1e-3

LINES = Settings(
    epochs=24,
    batch_size=256,
    learning_rate=2e-3,
    schedule="one-cycle",
    weight_decay=1e-3,
    loss="cross-entropy",
    validation=0.03,
    seed=1,
    memory=6.0,
    augmentation=Augmentation(noise=1.0, tilt=0.1, gap=0.1),
    network=NetworkOptions(filters=32, units=64),
    name="qnet-lines",
    licence="BSD-3-Clause",
)

REFINE = dataclasses.replace(
    LINES, epochs=25, augmentation=Augmentation(noise=1.0, tilt=0.1, gap=0.05), memory=4.0
)

REFINE_ARCHITECTURE = RefineArchitecture(
    grid=FINE_GRID, convs=(ConvLayer(24, 9, 2, "valid"),) * 4, units=64
)


def make_samples(folder: Path, templates: Path | None, names: list[str]) -> None:
    """Simulate the samples."""
    for sample in names:
        sizes, seed = SAMPLES[sample]
        for place, (survey, count) in enumerate(sizes.items()):
            paths = folder / f"{sample}-{survey}.fits", folder / f"{sample}-{survey}-truth.fits"
            if all(path.exists() for path in paths):
                continue
            simulation = simulate(count, seed=seed + place, survey=survey, templates=templates)
            grid = {} if sample == "train" else {"grid": FINE_GRID}
            write_simulation(simulation, *paths, overwrite=True, progress=True, **grid)
            print(f"{paths[0]}: {count} spectra", flush=True)


def files(folder: Path, sample: str) -> tuple[list[Path], list[Path]]:
    """Data and truth of a sample."""
    surveys = list(SAMPLES[sample][0])
    return (
        [folder / f"{sample}-{survey}.fits" for survey in surveys],
        [folder / f"{sample}-{survey}-truth.fits" for survey in surveys],
    )


def train_lines(folder: Path) -> None:
    """Train the line finders."""
    resume = (folder / "lines" / "state.json").exists()
    fit(*files(folder, "train"), folder / "lines", LINES, resume=resume, progress=True)


def train_refiner(folder: Path) -> None:
    """Train the second stage."""
    arrays, history = fit_refiner(
        *files(folder, "fine"), REFINE_ARCHITECTURE, REFINE, dropout=0.1, progress=True
    )
    np.savez(folder / "refine.npz", **arrays)
    (folder / "refine.json").write_text(json.dumps(history))


class Sample:
    """A sample with its truth, and what both stages say of it."""

    def __init__(self, folder: Path, name: str, model: Model, refiner: Refiner) -> None:
        parts: dict[str, list[np.ndarray]] = {}
        for data, truth in zip(*files(folder, name), strict=True):
            with FitsFile(truth) as fits:
                columns = ["TRUEZ", "TRUESPECTYPE", "BAL_FLAG_VI", "BI_CIV", "RMAG"]
                table = fits.table(1, columns)
            for start in range(0, len(table["TRUEZ"]), 4096):
                rows = np.arange(start, min(start + 4096, len(table["TRUEZ"])))
                for key, value in self._answers(data, rows, model, refiner).items():
                    parts.setdefault(key, []).append(value)
            for key, value in table.items():
                parts.setdefault(key, []).append(value)
        for key, values in parts.items():
            setattr(self, key.lower(), np.concatenate(values))
        self.quasar = np.char.strip(self.truespectype.astype(str)) == "QSO"

    def _answers(
        self, data: Path, rows: np.ndarray, model: Model, refiner: Refiner
    ) -> dict[str, np.ndarray]:
        """What both stages say of some rows."""
        spectra = read_spectra(data, rows=rows)
        seen = model.preprocess(spectra)
        preds, common = model._network(np.dtype(np.float32)).run(seen.X)
        found = model.decode(list(preds))
        flux, ivar = fine_spectra(spectra.cameras, refiner.arch.grid)
        z, zerr, ok = refiner.refine(flux, ivar, found.zbest)
        return {
            "common": common,
            "p_qso_features": features(P_QSO, found, seen.snr),
            "p_bal_features": features(P_BAL_FEATURES, found, seen.snr),
            "c_line": found.c_line.T,
            "z_line": found.z_line.T,
            "zbest": found.zbest,
            "z": z,
            "zerr": zerr,
            "ok": ok,
            "snr": seen.snr,
        }


def robust_width(values: np.ndarray) -> float:
    """1.4826 times the median absolute deviation from the median: sigma of a Gaussian."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def width_table(x: np.ndarray, y: np.ndarray, values: np.ndarray, edges: tuple) -> Table:
    """Robust width of values in bins of two quantities; sparse bins take that of their column."""
    widths = []
    for low, high in zip(edges[0][:-1], edges[0][1:], strict=True):
        column = (x >= low) & (x < high)
        row = []
        for left, right in zip(edges[1][:-1], edges[1][1:], strict=True):
            inside = column & (y >= left) & (y < right)
            chosen = inside if inside.sum() >= 50 else column if column.sum() >= 50 else x > -np.inf
            row.append(max(robust_width(values[chosen]), 1e-3))
        widths.append(tuple(row))
    return Table(edges[0], edges[1], tuple(widths))


def calibrate(sample: Sample, model: Model) -> tuple[Calibration, dict[str, np.ndarray]]:
    """Calibration, and the arrays that say what the training data look like."""
    known = np.isfinite(sample.p_qso_features).all(axis=1)
    p_qso = Logistic.fit(sample.p_qso_features[known], sample.quasar[known], names=P_QSO)
    kinds = np.char.strip(sample.truespectype.astype(str))
    mix = {str(kind): float(np.mean(kinds == kind)) for kind in np.unique(kinds)}
    bal_known = (sample.bal_flag_vi > 0) == (sample.bi_civ > 0)
    right = np.abs(sample.zbest - sample.truez) < 0.02 * (1 + sample.truez)
    place = model.rest["CIV(1548)"] * (1 + sample.truez)
    inside = (place > model.wave[0]) & (place < model.wave[-1])
    quasars = known & sample.quasar & bal_known & right & inside
    p_bal = Logistic.fit(
        sample.p_bal_features[quasars], sample.bi_civ[quasars] > 0, names=P_BAL_FEATURES
    )
    snr = log_snr(sample.snr)
    good = known & sample.quasar & right & sample.ok
    pulls = (sample.z - sample.truez)[good] / sample.zerr[good]
    snr_edges = (-1.4, 0.0, 0.3, 0.6, 0.9, 1.2, 1.6, 2.1)
    z_edges = (0.0, 0.3, 0.6, 0.9, 1.3, 1.8, 2.4, 3.2, 4.2, 7.0)
    zerr = width_table(snr[good], sample.truez[good], pulls, (snr_edges, z_edges))
    zerr_lines = {}
    for number, line in enumerate(model.lines):
        seen = known & sample.quasar & (sample.c_line[:, number] > 0.1)
        z = sample.z_line[:, number]
        seen &= np.abs(z - sample.truez) < 0.02 * (1 + sample.truez)
        dv = SPEED_OF_LIGHT * (z - sample.truez) / (1 + sample.truez)
        edges = ((-2.3, 0.0, 2.0, 4.0, 7.0, 14.0), snr_edges)
        confidence = logit(sample.c_line[seen, number])
        zerr_lines[line] = width_table(confidence, snr[seen], dv[seen], edges)
    mean = sample.common[known].mean(axis=0, dtype=np.float64)
    away = sample.common[known] - mean
    covariance = away.T @ away / len(away) + 1e-4 * np.eye(len(mean))
    scale = np.linalg.inv(np.linalg.cholesky(covariance)).T
    distance = np.linalg.norm(away @ scale, axis=1)
    calibration = Calibration(
        p_qso=p_qso,
        mix=mix,
        z_range=(0.05, 6.8),
        p_bal=p_bal,
        zerr=zerr,
        zerr_lines=zerr_lines,
        outlier_threshold=float(np.quantile(distance, 1 - OUTLIER_SHARE)),
        joints=JOINTS,
        skylines=SKYLINES,
    )
    arrays = {"outlier_mean": mean, "outlier_scale": scale}
    return calibration, {key: value.astype(np.float32) for key, value in arrays.items()}


def pack(folder: Path, output: Path, name: str, version: str) -> None:
    """Calibrate, and write the weights file."""
    model = load_model(folder / "lines" / "best.safetensors")
    with np.load(folder / "refine.npz") as stored:
        refine = {key: stored[key] for key in stored.files}
    refiner = Refiner(REFINE_ARCHITECTURE, refine)
    calibration, outlier = calibrate(Sample(folder, "calibrate", model, refiner), model)
    provenance = dict(model.weights.provenance)
    provenance["refine"] = {
        "settings": REFINE.to_dict(),
        "history": json.loads((folder / "refine.json").read_text()),
    }
    weights = dataclasses.replace(
        model.weights,
        name=name,
        version=version,
        arrays={**model.weights.arrays, **refine, **outlier},
        refine=REFINE_ARCHITECTURE,
        calibration=calibration,
        notices=NOTICES,
        provenance=provenance,
    )
    write_weights(output, weights, overwrite=True)
    print(f"{output}: {output.stat().st_size} bytes")


def main() -> None:
    """Run a step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--templates", type=Path)
    steps = parser.add_subparsers(dest="step", required=True)
    simulation = steps.add_parser("simulate")
    simulation.add_argument("samples", nargs="*", default=list(SAMPLES), metavar="SAMPLE")
    steps.add_parser("lines")
    steps.add_parser("refine")
    packing = steps.add_parser("pack")
    packing.add_argument("--output", type=Path, required=True)
    packing.add_argument("--name", default="qnet")
    packing.add_argument("--version", default="1")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.step == "simulate":
        make_samples(options.folder, options.templates, options.samples)
    elif options.step == "lines":
        train_lines(options.folder)
    elif options.step == "refine":
        train_refiner(options.folder)
    else:
        pack(options.folder, options.output, options.name, options.version)


if __name__ == "__main__":
    main()
