"""Shorter trainings of several seeds: what the augmentation's fractions are chosen by.

    python recipes/choices.py FOLDER [--nspec 60000] [--seeds 3]

FOLDER is that of `recipes/default_model.py`; samples of the survey DESI are simulated into
FOLDER/choices. From the same start, the first stage is trained for one epoch with each fraction of
partial spectra and each seed. The loss is the mean of -ln p of the true class and redshift bin, of
other spectra: whole, cut at random, and with a fault in the data. Standard output gets the mean
over the seeds and their standard deviation, which is the noise of such a choice.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from default_model import LINES, make, start, truth_of

from qnet import simulate
from qnet.core.grid import QUASARNET_GRID
from qnet.io import read_truth
from qnet.model import Model, load_model
from qnet.objective import redshift_target
from qnet.training import Augmentation, train
from qnet.training.checkpoint import BEST
from qnet.training.data import load

#: Fractions of partial spectra that are tried.
COVERAGE = (0.0, 0.25, 0.5, 0.75)

#: Seeds of the two samples, and spectra of the second.
SEED, TEST = 7400, 15_000

#: What the loss is measured on.
KINDS = {
    "whole": Augmentation(),
    "cut at random": Augmentation(coverage=1.0),
    "with a fault": Augmentation(fault=1.0),
}


def losses(model: Model, path: Path) -> dict[str, float]:
    """Mean of -ln p of the true class and redshift bin, of each kind of spectra."""
    truth = read_truth(truth_of(path))
    data = load(path, truth, memory=LINES.memory, keep_pixels=True, grid=QUASARNET_GRID)
    target, known = redshift_target(data.z, data.Y, model.architecture.redshifts)
    rows, found = np.flatnonzero(known), {}
    for name, options in KINDS.items():
        X = data.take(rows).normalised(options, np.random.default_rng(SEED))
        p = model.forward(X).posterior[np.arange(len(rows)), target[rows]]
        found[name] = float(-np.log(np.maximum(p, 1e-9)).mean())
    return found


def run(folder: Path, nspec: int, seeds: int) -> dict[float, list[dict[str, float]]]:
    """The losses after a short training, by the fraction of partial spectra and seed."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {"train": (nspec, SEED), "test": (TEST, SEED + 1)}
    for name, (count, seed) in sizes.items():
        make(simulate(count, seed=seed, survey="desi"), folder / f"{name}.fits", QUASARNET_GRID)
    path, result = folder / "train.fits", {}
    for coverage in COVERAGE:
        result[coverage] = []
        for seed in range(seeds):
            output = folder / f"{coverage:g}-{seed}"
            augmentation = dataclasses.replace(LINES.augmentation, coverage=coverage)
            settings = dataclasses.replace(LINES, epochs=1, seed=seed, augmentation=augmentation)
            options = {"init": start(), "recalibrate": False, "resume": output.exists()}
            train(path, truth_of(path), output, settings, **options)
            result[coverage].append(losses(load_model(output / BEST), folder / "test.fits"))
            print(coverage, seed, result[coverage][-1], flush=True)
    return result


def main() -> None:
    """Train, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--nspec", type=int, default=60_000, help="spectra of the training")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    result = run(options.folder / "choices", options.nspec, options.seeds)
    print(f"\n| fraction of partial spectra | {' | '.join(KINDS)} |\n|{'---|' * (len(KINDS) + 1)}")
    for coverage, found in result.items():
        values = np.array([list(each.values()) for each in found])
        mean, scatter = values.mean(axis=0), values.std(axis=0, ddof=1)
        cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(mean, scatter, strict=True)]
        print(f"| {coverage:g} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
