"""The default model, made from seeds and from qnet@4: simulated spectra alone.

    python recipes/default_model.py FOLDER --templates DIR --output qnet-5.safetensors

Simulates the samples, trains both stages further from those of qnet@4 (whose own training was of
this kind), calibrates, and writes the weights file. Each step leaves its results in FOLDER: one
that is done is not done again, what was made with other settings is refused, and both trainings go
on where they stopped. `--only STEP` does one of them. No real spectrum is read. Threshold and
calibration come from a simulated sample that neither network was trained on
(`qnet.training.calibrate`); the sample `test`, of other seeds, is for the numbers in the docs.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from qnet.core.grid import QUASARNET_GRID, WavelengthGrid
from qnet.io.fits.file import FitsFile
from qnet.model import Model, load_model
from qnet.simulation import Simulation, simulate, write_simulation
from qnet.training import Augmentation, Settings, calibrate, train, train_refiner
from qnet.training.checkpoint import BEST, STATE
from qnet.training.second_stage import FINE_GRID

#: Spectra by sample and survey. Seeds are those of the sample plus the survey's position.
SAMPLES = {
    "train": ({"boss": 450_000, "desi": 550_000, "sdss": 200_000}, 7000),
    "fine": ({"boss": 160_000, "desi": 180_000, "sdss": 60_000}, 7100),
    "calibrate": ({"boss": 40_000, "desi": 40_000, "sdss": 10_000}, 7200),
    "test": ({"boss": 60_000, "desi": 60_000, "sdss": 15_000}, 7300),
}

#: What must travel with weights that were trained on spectra drawn from templates.
NOTICE = (
    "Trained on simulated spectra, of which {:.0%} of the objects were drawn from templates: "
    "redrock-templates (BSD-3-Clause, the redrock developers) and redmonster (BSD, the redmonster "
    "developers). The weights hold no template."
)

#: The model that both stages are trained further from.
START = "qnet@4"

#: Bins that its redshift head gets below its first one, of the same width: down to redshift 0.
NEW_BINS = 4

#: Limits of its input: of a window that holds a bright continuum, pixels without weight are at -50.
CLIP = (-5.0, 25.0)

LINES = Settings(
    epochs=5,
    batch_size=256,
    learning_rate=1e-3,
    schedule="one-cycle",
    weight_decay=1e-3,
    loss="cross-entropy",
    validation=0.03,
    seed=1,
    memory=12.0,
    augmentation=Augmentation(noise=1.0, tilt=0.1, coverage=0.5, fault=0.06),
    name="qnet-lines",
    licence="BSD-3-Clause",
)

REFINE = dataclasses.replace(
    LINES, epochs=6, augmentation=Augmentation(noise=1.0, tilt=0.1, coverage=0.5, fault=0.06)
)

#: Fraction of the activations before the second stage's dense layer that are dropped in training.
REFINE_DROPOUT = 0.1


def make_samples(folder: Path, templates: Path | None, names: list[str]) -> None:
    """Simulate the samples."""
    for sample in names:
        sizes, seed = SAMPLES[sample]
        for position, (survey, count) in enumerate(sizes.items()):
            simulation = simulate(count, seed=seed + position, survey=survey, templates=templates)
            grid = QUASARNET_GRID if sample == "train" else FINE_GRID
            make(simulation, folder / f"{sample}-{survey}.fits", grid)


def make(simulation: Simulation, path: Path, grid: WavelengthGrid) -> tuple[Path, Path]:
    """Write a simulation and its truth, unless they are there; refuse what is another one."""
    paths = path, truth_of(path)
    if all(each.exists() for each in paths):
        wanted = {key: value for key, value, _ in simulation.provenance()}
        for each in paths:
            with FitsFile(each) as fits:
                header = {**fits.header(0), **fits.header(1)}
            found = {key: header.get(key) for key in wanted}
            if found != wanted:
                raise SystemExit(
                    f"{each}: was simulated as {found}, not as {wanted}: remove it and its truth"
                )
        return paths
    write_simulation(simulation, *paths, overwrite=True, progress=True, grid=grid)
    print(f"{path}: {len(simulation)} spectra", flush=True)
    return paths


def truth_of(path: Path) -> Path:
    """Where the truth of a sample is."""
    return path.with_name(f"{path.stem}-truth.fits")


def files(folder: Path, sample: str) -> tuple[list[Path], list[Path]]:
    """Data and truth of a sample."""
    data = [folder / f"{sample}-{survey}.fits" for survey in SAMPLES[sample][0]]
    return data, [truth_of(path) for path in data]


def start() -> Model:
    """The model to start from, with bins down to redshift 0 in its redshift head."""
    model = load_model(START)
    bins, arrays = model.architecture.redshifts, dict(model.weights.arrays)
    z_min = float(bins.z_at(-NEW_BINS))
    wider = dataclasses.replace(bins, z_min=z_min, nbins=bins.nbins + NEW_BINS)
    # The first bin held all that was below it: it shares its probability with the new ones.
    for name, change in (("kernel", 0.0), ("bias", np.log(NEW_BINS + 1))):
        values = arrays[f"fc_redshift.{name}"]
        low = np.repeat(values[..., :1], NEW_BINS + 1, axis=-1) - np.float32(change)
        arrays[f"fc_redshift.{name}"] = np.concatenate([low, values[..., 1:]], axis=-1)
    architecture = dataclasses.replace(model.architecture, redshifts=wider, clip=CLIP)
    return Model(dataclasses.replace(model.weights, architecture=architecture, arrays=arrays))


def train_lines(folder: Path) -> None:
    """Train the first stage, or continue."""
    resume, output = (folder / "lines").exists(), folder / "lines"
    options = {"init": start(), "recalibrate": False}
    train(*files(folder, "train"), output, LINES, **options, resume=resume, progress=True)


def train_refine(folder: Path) -> None:
    """Train the second stage, or continue."""
    train_refiner(
        *files(folder, "fine"),
        folder / "refine",
        settings=REFINE,
        init=load_model(START),
        finder=load_model(folder / "lines" / BEST),
        recalibrate=False,
        dropout=REFINE_DROPOUT,
        resume=(folder / "refine").exists(),
        progress=True,
    )


def trained_refiner(folder: Path, finder: Model) -> tuple[dict[str, np.ndarray], dict]:
    """The second stage's arrays, and what they were trained with."""
    state = json.loads((folder / "refine" / STATE).read_text())
    made = {**state["plan"], "best_epoch": state["best_epoch"], "history": state["history"]}
    if made["finder"] != finder.sha256:
        raise SystemExit(f"{folder / 'refine'}: was trained with other line finders: remove it")
    return load_file(folder / "refine" / BEST), made


def notices(folder: Path) -> tuple[str, ...]:
    """The notice of the templates, where there were any."""
    fractions = set()
    for path in files(folder, "train")[0]:
        with FitsFile(path) as fits:
            fractions.add(fits.header(0).get("SIMTFRAC", 0.0))
    return tuple(NOTICE.format(value) for value in sorted(fractions) if value)


def pack(folder: Path, output: Path, name: str, version: str) -> None:
    """Calibrate, and write the weights file."""
    model = load_model(folder / "lines" / BEST)
    refine, made = trained_refiner(folder, model)
    weights = dataclasses.replace(
        model.weights,
        name=name,
        version=version,
        arrays={**model.weights.arrays, **refine},
        refine=load_model(START).weights.refine,
        calibration=None,
        notices=notices(folder),
        provenance={**model.weights.provenance, "refine": made},
    )
    calibrate(Model(weights), *files(folder, "calibrate")).save(output, overwrite=True)
    print(f"{output}: {output.stat().st_size} bytes")


def main() -> None:
    """Run all steps, or one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--templates", type=Path, help="folder of redrock's and redmonster's")
    parser.add_argument("--output", type=Path, required=True, help="the weights file")
    parser.add_argument("--name", default="qnet")
    parser.add_argument("--version", default="5")
    parser.add_argument("--only", choices=("simulate", "lines", "refine", "pack"))
    options = parser.parse_args()
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    steps = {
        "simulate": lambda: make_samples(folder, options.templates, list(SAMPLES)),
        "lines": lambda: train_lines(folder),
        "refine": lambda: train_refine(folder),
        "pack": lambda: pack(folder, options.output, options.name, options.version),
    }
    for name, step in steps.items():
        if options.only in (None, name):
            step()


if __name__ == "__main__":
    main()
