"""Calibration of a model, on simulated spectra that it was not trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from logistic_fit import fit_logistic
from tqdm import tqdm

from qnet.classification.refinement import Candidates, refine_candidates
from qnet.evaluation.metric import nmad
from qnet.io.fits.file import FitsFile
from qnet.io.reader import read_spectra
from qnet.lines import SPEED_OF_LIGHT
from qnet.model import Model
from qnet.model.calibration import Calibration
from qnet.model.laws import Logistic, Table
from qnet.model.refiner import Refiner
from qnet.postprocess.candidates import find_candidates, quasar_probability
from qnet.postprocess.decoding import Predictions
from qnet.postprocess.features import ChosenCandidates, compute_features, log_snr, logit
from qnet.simulation.quasars.parametric import Z_RANGE

#: Features of P_QSO, before the second stage and after it.
P_QSO = ("logit_quasar", "logit_c1", "logit_c2", "logit_agree", "log_snr")
P_BAL = ("score_bal", "logit_bal", "logit_bal_emission", "log_snr")
P_CANDIDATE = ("score", "score2", "logit_quasar", "logit_share", "logit_c1", "log_snr")

#: Edges of the bins of the tables of errors: log10 of the median S/N, and redshift.
SNR_EDGES = (-1.4, -0.2, 0.1, 0.3, 0.45, 0.6, 0.75, 0.9, 1.2, 1.6, 2.1)
Z_EDGES = (0.0, 0.3, 0.6, 0.75, 0.9, 1.05, 1.3, 1.8, 2.4, 3.2, 4.2, 5.0, 7.0)

#: Camera joints and strong sky lines [Angstrom]: the overlaps of DESI's cameras (that of BOSS's, of
#: 500 Angstrom, is too wide for a warning to mean anything); [OI] 5577 and 6300, NaD.
JOINTS = ((5760.0, 5800.0), (7520.0, 7620.0))
SKYLINES = ((5571.0, 5583.0), (5888.0, 5900.0), (6297.0, 6305.0))

#: Fraction of the calibration sample that lies beyond the distance of an OUTLIER.
OUTLIER_FRACTION = 1e-3

#: Largest number of candidates of a spectrum that the second stage scores; the least probability of
#: all but the first.
CANDIDATES, CANDIDATE_FLOOR = 3, 0.02

#: The second stage is run on rows of P_QSO above this.
REFINE_FLOOR = 0.02

#: Weights of the first stage against the second that are tried (`fraction_exponent`).
EXPONENTS = tuple(np.arange(0.0, 3.1, 0.25).tolist())

#: Fraction of the quasars without broad absorption that IS_BAL leaves out: about that of Busca &
#: Balland (2018), 0.97.
BAL_REJECTION = 0.98

#: A second redshift of more probability than this makes a row AMBIGUOUS.
AMBIGUOUS = 0.2


@dataclasses.dataclass
class Sample:
    """A sample with its truth, and the output of both stages, all candidates scored."""

    truth: dict[str, np.ndarray]
    common: np.ndarray
    quasar_fraction: np.ndarray
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

    def features(
        self, names: tuple[str, ...], chosen: ChosenCandidates | None = None
    ) -> np.ndarray:
        """Features of the calibration."""
        return compute_features(
            names,
            self.found,
            self.snr,
            quasar=self.quasar_fraction,
            chosen=chosen,
            score_bal=None if chosen is None else chosen.bal,
        )


def run_stages(
    paths: tuple[Sequence[Path], Sequence[Path]], model: Model, refiner: Refiner
) -> Sample:
    """Output of both stages for a sample, given by its data files and its truth tables."""
    parts: list[dict[str, np.ndarray]] = []
    for data, truth in zip(*paths, strict=True):
        with FitsFile(truth) as fits:
            table = fits.table(1, ["TRUEZ", "TRUESPECTYPE", "BAL_FLAG_VI", "BI_CIV"])
        for start in tqdm(range(0, len(table["TRUEZ"]), 4096), desc=data.stem):
            rows = np.arange(start, min(start + 4096, len(table["TRUEZ"])))
            spectra = read_spectra(data, rows=rows)
            seen = model.preprocess(spectra)
            output = model.forward(seen.X)
            bins = model.architecture.redshifts
            z, probability = find_candidates(output.posterior, bins, CANDIDATES)
            refined = refine_candidates(spectra, refiner, z, probability, CANDIDATE_FLOOR)
            found = model.decode(output.preds)
            parts.append(
                {
                    "common": output.common,
                    "quasar_fraction": quasar_probability(output.posterior, bins),
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
        quasar_fraction=whole["quasar_fraction"],
        snr=whole["snr"],
        found=Predictions(model.lines, model.lines_bal, **group("found.")),
        refined=Candidates(**group("refined.")),
    )


#: Arrays of `Predictions`, and those of them whose rows are their last axis.
_FOUND = ("c_line", "z_line", "zbest", "c_line_bal", "z_line_bal")
_LAST = frozenset(f"found.{key}" for key in _FOUND)


def width_table(x: np.ndarray, y: np.ndarray, values: np.ndarray, edges: tuple) -> Table:
    """Robust width of values in bins of two quantities; sparse bins take that of their column."""
    widths = []
    for low, high in zip(edges[0][:-1], edges[0][1:], strict=True):
        column = (x >= low) & (x < high)
        row = []
        for left, right in zip(edges[1][:-1], edges[1][1:], strict=True):
            inside = column & (y >= left) & (y < right)
            chosen = inside if inside.sum() >= 50 else column if column.sum() >= 50 else x > -np.inf
            row.append(max(nmad(values[chosen]), 1e-3))
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


def fit_bal(
    sample: Sample, model: Model, known: np.ndarray, chosen: ChosenCandidates
) -> tuple[Logistic, float]:
    """P_BAL and its threshold, on the quasars whose CIV is on the grid and of which it is known."""
    bal_known = (sample.truth["BAL_FLAG_VI"] > 0) == (sample.truth["BI_CIV"] > 0)
    position = model.rest["CIV(1548)"] * (1 + sample.z)
    inside = (position > model.wave[0]) & (position < model.wave[-1])
    rows = known & chosen.ok & bal_known & inside & sample.is_right(chosen.z)
    label = sample.truth["BI_CIV"][rows] > 0
    given = sample.features(P_BAL, chosen)[rows]
    law = fit_logistic(given, label, names=P_BAL)
    return law, float(np.quantile(law.probability(given)[~label], BAL_REJECTION))


def outliers(sample: Sample, known: np.ndarray) -> tuple[dict[str, np.ndarray], float]:
    """What the training data look like, and the distance beyond which few of them lie."""
    mean = sample.common[known].mean(axis=0, dtype=np.float64)
    away = sample.common[known] - mean
    covariance = away.T @ away / len(away) + 1e-4 * np.eye(len(mean))
    scale = np.linalg.inv(np.linalg.cholesky(covariance)).T
    distance = np.linalg.norm(away @ scale, axis=1)
    arrays = {"outlier_mean": mean.astype(np.float32), "outlier_scale": scale.astype(np.float32)}
    return arrays, float(np.quantile(distance, 1 - OUTLIER_FRACTION))


def calibrate(sample: Sample, model: Model) -> tuple[Calibration, dict[str, np.ndarray]]:
    """Calibration, and the arrays that say what the training data look like."""
    first = sample.features(P_QSO)
    known = np.isfinite(first).all(axis=1)
    p_qso = fit_logistic(first[known], sample.quasar[known], names=P_QSO)
    exponent = choose_exponent(sample)
    chosen = sample.refined.choose(exponent)
    refined = known.copy()
    refined[known] = p_qso.probability(first[known]) > REFINE_FLOOR
    p_candidate = fit_logistic(
        sample.features(P_CANDIDATE, chosen)[refined], sample.quasar[refined], names=P_CANDIDATE
    )
    mix = {str(kind): float(np.mean(sample.kind == kind)) for kind in np.unique(sample.kind)}
    good = refined & chosen.ok & sample.is_right(chosen.z)
    pulls = (chosen.z - sample.z)[good] / chosen.zerr[good]
    zerr = width_table(log_snr(sample.snr[good]), chosen.z[good], pulls, (SNR_EDGES, Z_EDGES))
    arrays, threshold = outliers(sample, known)
    p_bal, p_bal_threshold = fit_bal(sample, model, refined, chosen)
    calibration = Calibration(
        p_qso=p_qso,
        mix=mix,
        z_range=Z_RANGE,
        refine_floor=REFINE_FLOOR,
        p_bal=p_bal,
        p_bal_threshold=p_bal_threshold,
        zerr=zerr,
        zerr_lines=line_errors(sample, model, known),
        ambiguous=AMBIGUOUS,
        outlier_threshold=threshold,
        joints=JOINTS,
        skylines=SKYLINES,
        p_candidate=p_candidate,
        candidates=CANDIDATES,
        candidate_floor=CANDIDATE_FLOOR,
        fraction_exponent=exponent,
    )
    return calibration, arrays
