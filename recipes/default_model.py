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
from tqdm import tqdm

from qnet.architecture import ConvLayer, RefineArchitecture
from qnet.calibration import Calibration, Table, log_snr, logit
from qnet.evidence import P_BAL_FEATURES, Verdict, features
from qnet.grid import WavelengthGrid
from qnet.io.fits import FitsFile
from qnet.io.reader import read_spectra
from qnet.lines import SPEED_OF_LIGHT
from qnet.logistic import Logistic
from qnet.model import Model, load_model
from qnet.posterior import RedshiftBins, candidates, quasar_share
from qnet.postprocess import Predictions
from qnet.refine import Refiner
from qnet.simulate import simulate, write_simulation
from qnet.train import Augmentation, NetworkOptions, Settings, fit
from qnet.train.refining import fit_refiner
from qnet.verify import Candidates, refine_candidates
from qnet.weights import write_weights

#: Spectra by sample and survey. Seeds are those of the sample plus the survey's place.
SAMPLES = {
    "train": ({"boss": 240_000, "desi": 280_000, "sdss": 80_000}, 1000),
    "fine": ({"boss": 120_000, "desi": 120_000, "sdss": 40_000}, 5000),
    "calibrate": ({"boss": 20_000, "desi": 15_000, "sdss": 5_000}, 2000),
    "test": ({"boss": 20_000, "desi": 15_000, "sdss": 5_000}, 3000),
}

#: Grid of the second stage: four pixels of it are one of the line finders'.
FINE_GRID = WavelengthGrid.log(3600.0, 10400.0, 2.5e-4)

#: Features of P_QSO, before the second stage and after it.
P_QSO = ("logit_quasar", "logit_c1", "logit_c2", "logit_agree", "log_snr")
P_VERIFIED = ("score", "score2", "logit_quasar", "logit_share", "logit_c1", "log_snr")

#: Edges of the bins of the tables of errors: log10 of the median S/N, and redshift.
SNR_EDGES = (-1.4, 0.0, 0.3, 0.6, 0.9, 1.2, 1.6, 2.1)
Z_EDGES = (0.0, 0.3, 0.6, 0.9, 1.3, 1.8, 2.4, 3.2, 4.2, 7.0)

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
    epochs=14,
    batch_size=256,
    learning_rate=2e-3,
    schedule="one-cycle",
    weight_decay=1e-3,
    loss="cross-entropy",
    precision="mixed_bfloat16",
    validation=0.03,
    seed=1,
    memory=6.0,
    augmentation=Augmentation(noise=1.0, tilt=0.1, gap=0.1),
    network=NetworkOptions(
        filters=(24, 48, 64, 96), units=256, redshifts=RedshiftBins(0.05, 6.8, 160)
    ),
    name="qnet-lines",
    licence="BSD-3-Clause",
)

REFINE = dataclasses.replace(
    LINES, epochs=14, augmentation=Augmentation(noise=1.0, tilt=0.1, gap=0.05), memory=5.0
)

REFINE_ARCHITECTURE = RefineArchitecture(
    grid=FINE_GRID,
    convs=tuple(ConvLayer(filters, 9, 2, "valid") for filters in (24, 32, 48, 64)),
    units=96,
    verify=True,
)

#: Candidates of a spectrum that the second stage judges; the least share of all but the first.
CANDIDATES, CANDIDATE_FLOOR = 3, 0.02

#: The second stage judges rows of P_QSO above this.
REFINE_FLOOR = 0.02

#: Weights of the first stage's opinion that are tried (`share_exponent`).
EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)

#: A second redshift of more probability than this makes a row AMBIGUOUS.
AMBIGUOUS = 0.2


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
        *files(folder, "fine"),
        REFINE_ARCHITECTURE,
        REFINE,
        finder=load_model(folder / "lines" / "best.safetensors"),
        dropout=0.1,
        progress=True,
    )
    np.savez(folder / "refine.npz", **arrays)
    (folder / "refine.json").write_text(json.dumps(history))


@dataclasses.dataclass
class Sample:
    """A sample with its truth, and what both stages say of it, all candidates judged."""

    truth: dict[str, np.ndarray]
    common: np.ndarray
    quasar_share: np.ndarray
    snr: np.ndarray
    found: Predictions
    refined: Candidates

    @property
    def quasar(self) -> np.ndarray:
        """Which are quasars."""
        return self.kind == "QSO"

    @property
    def kind(self) -> np.ndarray:
        """The true class of each."""
        return np.char.strip(self.truth["TRUESPECTYPE"].astype(str))

    @property
    def z(self) -> np.ndarray:
        """The true redshift of each."""
        return self.truth["TRUEZ"].astype(float)

    def is_right(self, z: np.ndarray) -> np.ndarray:
        """Which redshifts are those of quasars."""
        return self.quasar & (np.abs(z - self.z) < 0.02 * (1 + self.z))

    def features(self, names: tuple[str, ...], verdict: Verdict | None = None) -> np.ndarray:
        """Features of the calibration."""
        return features(names, self.found, self.snr, quasar=self.quasar_share, verdict=verdict)


def look_at(folder: Path, name: str, model: Model, refiner: Refiner) -> Sample:
    """Both stages' answers to a sample."""
    parts: list[dict[str, np.ndarray]] = []
    for data, truth in zip(*files(folder, name), strict=True):
        with FitsFile(truth) as fits:
            table = fits.table(1, ["TRUEZ", "TRUESPECTYPE", "BAL_FLAG_VI", "BI_CIV"])
        for start in tqdm(range(0, len(table["TRUEZ"]), 4096), desc=data.stem):
            rows = np.arange(start, min(start + 4096, len(table["TRUEZ"])))
            spectra = read_spectra(data, rows=rows)
            seen = model.preprocess(spectra)
            look = model.look(seen.X)
            bins = model.architecture.redshifts
            z, share = candidates(look.posterior, bins, CANDIDATES)
            refined = refine_candidates(spectra, refiner, z, share, CANDIDATE_FLOOR)
            found = model.decode(look.preds)
            parts.append(
                {
                    "common": look.common,
                    "quasar_share": quasar_share(look.posterior, bins),
                    "snr": seen.snr,
                    **{f"found.{key}": getattr(found, key) for key in _FOUND},
                    **{f"refined.{key}": value for key, value in vars(refined).items()},
                    **{f"truth.{key}": values[rows] for key, values in table.items()},
                }
            )
    whole = {
        key: np.concatenate([part[key] for part in parts], axis=-1 if key in _LAST else 0)
        for key in parts[0]
    }

    def group(prefix: str) -> dict[str, np.ndarray]:
        return {k.removeprefix(prefix): v for k, v in whole.items() if k.startswith(prefix)}

    return Sample(
        truth=group("truth."),
        common=whole["common"],
        quasar_share=whole["quasar_share"],
        snr=whole["snr"],
        found=Predictions(model.lines, model.lines_bal, **group("found.")),
        refined=Candidates(**group("refined.")),
    )


#: Arrays of `Predictions`, and those of them whose rows are their last axis.
_FOUND = ("c_line", "z_line", "zbest", "c_line_bal", "z_line_bal")
_LAST = frozenset(f"found.{key}" for key in _FOUND)


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


def choose_exponent(sample: Sample) -> float:
    """The weight of the first stage that puts most quasars at their redshift."""
    right = [sample.is_right(sample.refined.choose(value).z).sum() for value in EXPONENTS]
    for value, count in zip(EXPONENTS, right, strict=True):
        print(f"exponent {value}: {count} of {sample.quasar.sum()} quasars at their redshift")
    return EXPONENTS[int(np.argmax(right))]


def line_errors(sample: Sample, model: Model, known: np.ndarray) -> dict[str, Table]:
    """Errors [km/s] of the lines' own redshifts, by the logit of the confidence and S/N."""
    tables = {}
    edges = ((-2.3, 0.0, 2.0, 4.0, 7.0, 14.0), SNR_EDGES)
    for number, line in enumerate(model.lines):
        z, confidence = sample.found.z_line[number], sample.found.c_line[number]
        seen = known & sample.is_right(z) & (confidence > 0.1)
        dv = SPEED_OF_LIGHT * (z - sample.z) / (1 + sample.z)
        snr = log_snr(sample.snr[seen])
        tables[line] = width_table(logit(confidence[seen]), snr, dv[seen], edges)
    return tables


def fit_bal(sample: Sample, model: Model, known: np.ndarray) -> Logistic:
    """P_BAL, on the quasars whose CIV is on the grid and of which it is known."""
    bal_known = (sample.truth["BAL_FLAG_VI"] > 0) == (sample.truth["BI_CIV"] > 0)
    place = model.rest["CIV(1548)"] * (1 + sample.z)
    inside = (place > model.wave[0]) & (place < model.wave[-1])
    rows = known & bal_known & inside & sample.is_right(sample.refined.choose(0.0).z)
    label = sample.truth["BI_CIV"][rows] > 0
    return Logistic.fit(sample.features(P_BAL_FEATURES)[rows], label, names=P_BAL_FEATURES)


def outliers(sample: Sample, known: np.ndarray) -> tuple[dict[str, np.ndarray], float]:
    """What the training data look like, and the distance beyond which few of them lie."""
    mean = sample.common[known].mean(axis=0, dtype=np.float64)
    away = sample.common[known] - mean
    covariance = away.T @ away / len(away) + 1e-4 * np.eye(len(mean))
    scale = np.linalg.inv(np.linalg.cholesky(covariance)).T
    distance = np.linalg.norm(away @ scale, axis=1)
    arrays = {"outlier_mean": mean.astype(np.float32), "outlier_scale": scale.astype(np.float32)}
    return arrays, float(np.quantile(distance, 1 - OUTLIER_SHARE))


def calibrate(sample: Sample, model: Model) -> tuple[Calibration, dict[str, np.ndarray]]:
    """Calibration, and the arrays that say what the training data look like."""
    first = sample.features(P_QSO)
    known = np.isfinite(first).all(axis=1)
    p_qso = Logistic.fit(first[known], sample.quasar[known], names=P_QSO)
    exponent = choose_exponent(sample)
    verdict = sample.refined.choose(exponent)
    judged = known.copy()
    judged[known] = p_qso.probability(first[known]) > REFINE_FLOOR
    p_verified = Logistic.fit(
        sample.features(P_VERIFIED, verdict)[judged], sample.quasar[judged], names=P_VERIFIED
    )
    mix = {str(kind): float(np.mean(sample.kind == kind)) for kind in np.unique(sample.kind)}
    good = judged & verdict.ok & sample.is_right(verdict.z)
    pulls = (verdict.z - sample.z)[good] / verdict.zerr[good]
    zerr = width_table(log_snr(sample.snr[good]), verdict.z[good], pulls, (SNR_EDGES, Z_EDGES))
    arrays, threshold = outliers(sample, known)
    calibration = Calibration(
        p_qso=p_qso,
        mix=mix,
        z_range=(0.05, 6.8),
        refine_floor=REFINE_FLOOR,
        p_bal=fit_bal(sample, model, known),
        zerr=zerr,
        zerr_lines=line_errors(sample, model, known),
        ambiguous=AMBIGUOUS,
        outlier_threshold=threshold,
        joints=JOINTS,
        skylines=SKYLINES,
        p_verified=p_verified,
        candidates=CANDIDATES,
        candidate_floor=CANDIDATE_FLOOR,
        share_exponent=exponent,
    )
    return calibration, arrays


def pack(folder: Path, output: Path, name: str, version: str) -> None:
    """Calibrate, and write the weights file."""
    model = load_model(folder / "lines" / "best.safetensors")
    with np.load(folder / "refine.npz") as stored:
        refine = {key: stored[key] for key in stored.files}
    refiner = Refiner(REFINE_ARCHITECTURE, refine)
    calibration, outlier = calibrate(look_at(folder, "calibrate", model, refiner), model)
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
    packing.add_argument("--version", default="2")
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
