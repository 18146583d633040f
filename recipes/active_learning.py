"""One round of active learning: which spectra to inspect, and what that gains.

    python recipes/active_learning.py FOLDER [--rounds 3] [--inspect 200]

On simulated spectra of an instrument that the model was not trained for, the default model is
trained further on some hundred spectra of known class. Then two sets of further spectra are
"inspected", which means that their truth is written as an inspector's table: those at the head of
the queue of `qnet inspect`, and as many at random. From the same start the model is trained again
with each set. Both are calibrated on the same random sample, and measured on the same spectra of
other seeds. A round that is done is not done again. Standard output gets tables of the means over
the rounds, with 95 % intervals.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from scipy.ndimage import gaussian_filter1d

import qnet
from qnet.inspection import sort_queue
from qnet.preprocess import rebin_cameras
from qnet.training import calibrate, inherit_settings

#: Spectra of known class for training and for calibration, those to choose from, those of the test.
TRAIN, CALIBRATE, POOL, TEST = 400, 400, 2000, 3000

#: Seeds of the samples: of the test, and of the first round.
TEST_SEED, SEED = 9000, 9001

#: Spectra of smaller S/N and resolution than the model's training: as in "Your own survey".
SMOOTHING, NOISE, RANGE = 8, 2.0, (3800.0, 7400.0)

#: A redshift is right within this [km/s].
RIGHT = 3000.0

EPOCHS, BATCH = 4, 32

#: The models that are compared.
ARMS = ("start", "queue", "random")

COLUMNS = ("TARGETID", "TRUEZ", "TRUESPECTYPE")


@dataclasses.dataclass
class Sample:
    """Spectra as the instrument takes them, and their truth."""

    flux: Any
    ivar: Any
    truth: Table

    def select(self, rows: Any) -> Sample:
        """Some of the spectra."""
        return Sample(self.flux[rows], self.ivar[rows], self.truth[rows])

    def write(self, path: Path, grid: qnet.WavelengthGrid) -> Path:
        """Write prepared data."""
        with qnet.io.PreparedWriter(path, grid, overwrite=True) as writer:
            writer.write(self.flux, self.ivar, {"TARGETID": np.array(self.truth["TARGETID"])})
        return path


def simulate(nspec: int, seed: int, grid: qnet.WavelengthGrid) -> Sample:
    """Simulate spectra of DESI, as another instrument would take them."""
    rng, parts, truth = np.random.default_rng(seed), [], []
    inside = (grid.wave > RANGE[0]) & (grid.wave < RANGE[1])
    for batch in qnet.simulate(nspec, seed=seed, survey="desi"):
        flux, ivar = rebin_cameras(batch.spectra.cameras, grid)
        sigma = np.where(ivar > 0, 1 / np.sqrt(np.where(ivar > 0, ivar, 1)), 0)
        noise = NOISE * sigma * rng.normal(size=flux.shape)
        parts.append((gaussian_filter1d(flux, SMOOTHING, axis=1) + noise, ivar * inside / NOISE**2))
        truth.append(Table({name: batch.truth[name] for name in COLUMNS}))
    flux, ivar = (np.concatenate(part) for part in zip(*parts, strict=True))
    rows = [np.concatenate([part[name] for part in truth]) for name in COLUMNS]
    return Sample(flux, ivar, Table(rows, names=COLUMNS))


def inspected(truth: Table, path: Path) -> Path:
    """The truth as the table that an inspector exports."""
    kinds = np.where(truth["TRUESPECTYPE"] == "SKY", "STAR", truth["TRUESPECTYPE"])
    table = Table({"TARGETID": truth["TARGETID"], "VI_scanner": ["truth"] * len(truth)})
    table["VI_quality"], table["VI_z"], table["VI_spectype"] = 4, truth["TRUEZ"], kinds
    table.write(path, overwrite=True)
    return path


def find_right(catalogue: Table, truth: Table) -> tuple[Any, Any]:
    """Rows that are quasars in truth, and those with the right redshift."""
    quasars = np.array(truth["TRUESPECTYPE"] == "QSO")
    velocity = 299792.458 * np.abs(catalogue["ZBEST"] - truth["TRUEZ"]) / (1 + truth["TRUEZ"])
    return quasars, np.array(velocity) < RIGHT


def measure(quasars: Any, near: Any, called: Any, p_qso: Any) -> dict[str, float]:
    """Purity and completeness with the right redshift, and both without a threshold."""
    good = quasars & near
    # As many rows of the highest P_QSO as there are quasars: purity and completeness are equal.
    first = np.argsort(-np.nan_to_num(p_qso), kind="stable")[: quasars.sum()]
    return {
        "purity": float(good[called].mean()),
        "completeness": float((good & called).sum() / quasars.sum()),
        "purity = completeness": float(good[first].mean()),
        "redshift right": float(near[quasars].mean()),
    }


def outcome(catalogue: Table, truth: Table) -> Any:
    """The arguments of `measure`, (4, nspec)."""
    called, p_qso = (np.array(catalogue[name]) for name in ("IS_QSO", "P_QSO"))
    return np.stack([*find_right(catalogue, truth), called, p_qso]).astype(float)


def run_round(folder: Path, number: int, test: Sample, count: int) -> dict[str, Any]:
    """One round: three models, each measured."""
    base = qnet.load_model()
    grid = base.refiner.arch.window.grid
    whole = simulate(TRAIN + CALIBRATE + POOL, SEED + number, grid)
    known, rest = np.split(np.arange(len(whole.truth)), [TRAIN + CALIBRATE])
    pool = whole.select(rest)
    files = {
        name: (
            sample.write(folder / f"{name}.fits", grid),
            inspected(sample.truth, folder / f"{name}.csv"),
        )
        for name, sample in (
            ("train", whole.select(known[:TRAIN])),
            ("calibrate", whole.select(known[TRAIN:])),
        )
    }
    settings = dataclasses.replace(
        inherit_settings(base), epochs=EPOCHS, batch_size=BATCH, validation=0.0, name="round"
    )

    def make(name: str, chosen: Sample | None) -> qnet.Model:
        data, truth = ([path] for path in files["train"])
        if chosen is not None:
            data.append(chosen.write(folder / f"{name}.fits", grid))
            truth.append(inspected(chosen.truth, folder / f"{name}.csv"))
        (model,) = qnet.train(
            data, truth, folder / name, settings, init=base, recalibrate=False, overwrite=True,
            progress=False,
        )  # fmt: skip
        return calibrate(model, *files["calibrate"], progress=False)

    def classify(sample: Sample, model: qnet.Model) -> Table:
        path = sample.write(folder / "classified.fits", grid)
        return qnet.classify(path, model=model, prior="training")

    start = make("start", None)
    catalogue = classify(pool, start)
    order, _ = sort_queue(catalogue)
    rng = np.random.default_rng(number)
    sets = {"queue": order[:count], "random": rng.permutation(len(order))[:count]}
    quasars, near = find_right(catalogue, pool.truth)
    called = np.array(catalogue["IS_QSO"])
    wrong = np.where(quasars, ~(called & near), called)
    found = {
        "wrong": [float(wrong.mean()), *(float(wrong[rows].sum()) for rows in sets.values())],
        "start": outcome(classify(test, start), test.truth),
    }
    for name, rows in sets.items():
        model = make(name, pool.select(rows))
        found[name] = outcome(classify(test, model), test.truth)
    return found


def average(rounds: list[dict[str, Any]], arm: str, rows: Any) -> dict[str, float]:
    """Means over the rounds of what is measured on some of the test's spectra."""
    parts = []
    for found in rounds:
        quasars, near, called, p_qso = found[arm][:, rows]
        parts.append(measure(quasars > 0, near > 0, called > 0, p_qso))
    return {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}


def report(rounds: list[dict[str, Any]], count: int, draws: int = 1000) -> None:
    """Print the tables; intervals by the bootstrap over rounds and spectra."""
    rng, nspec = np.random.default_rng(0), rounds[0]["start"].shape[1]
    wrong = np.array([found["wrong"] for found in rounds])
    print(f"{len(rounds)} rounds; {wrong[:, 0].mean():.3f} of the pool is wrong\n")
    print(f"| of {count} inspected | wrong |\n|---|---|")
    for name, values in zip(ARMS[1:], wrong[:, 1:].T, strict=True):
        print(f"| {name} | {values.mean():.0f} ({values.min():.0f} to {values.max():.0f}) |")
    gains = []
    for _ in range(draws):
        chosen = [rounds[n] for n in rng.integers(0, len(rounds), len(rounds))]
        rows = rng.integers(0, nspec, nspec)
        start, queue, random = (average(chosen, arm, rows) for arm in ARMS)
        gains.append([[queue[key] - random[key], queue[key] - start[key]] for key in start])
    low, high = np.quantile(gains, [0.025, 0.975], axis=0)
    start, queue, random = (average(rounds, arm, slice(None)) for arm in ARMS)
    print("\n| on the test | before | random | queue | queue - random | queue - before |")
    print("|---|---|---|---|---|---|")
    for n, key in enumerate(start):
        cells = [f"{x[key]:.4f}" for x in (start, random, queue)]
        for k, other in enumerate((random, start)):
            gain = queue[key] - other[key]
            cells.append(f"{gain:+.4f} [{low[n, k]:+.4f}, {high[n, k]:+.4f}]")
        print("|", " | ".join([key, *cells]), "|")


def main() -> None:
    """Run the rounds that are not done, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--inspect", type=int, default=200, help="spectra that are inspected")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    rounds, test = [], None
    for number in range(arguments.rounds):
        path = arguments.folder / f"round{number}.npz"
        if not path.exists():
            if test is None:
                test = simulate(TEST, TEST_SEED, qnet.load_model().refiner.arch.window.grid)
            folder = arguments.folder / "work"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            with warnings.catch_warnings():
                # Samples of some hundred are too small for parts of a calibration, which stay.
                warnings.simplefilter("ignore", qnet.QnetWarning)
                np.savez(path, **run_round(folder, number, test, arguments.inspect))
        with np.load(path, allow_pickle=False) as file:
            rounds.append(dict(file))
    report(rounds, arguments.inspect)


if __name__ == "__main__":
    main()
