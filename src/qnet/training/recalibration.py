"""Calibration of a model whose networks were trained further, on the spectra of the validation."""

from __future__ import annotations

from pathlib import Path

from qnet.io.training_data import read_grid
from qnet.model.loading import load_model
from qnet.model.model import Model
from qnet.training.calibration import calibrate
from qnet.training.data import Paths, Rows, TrainingData
from qnet.training.inheritance import is_calibration_inherited, warn_inherited


def recalibrate(
    path: Path, spectra: TrainingData, rows: Rows, truth: Paths, *, progress: bool | None
) -> Model:
    """The model of a file, which is written again where its calibration was another model's."""
    model = load_model(path)
    if not is_calibration_inherited(model):
        return model
    refine = model.weights.refine
    on_grid = refine is None or all(read_grid(p) == refine.window.grid for p in spectra.paths)
    if not len(rows):
        warn_inherited(model, "there is no validation to calibrate it on")
    elif not on_grid:
        warn_inherited(model, "data of qnet prepare --fine would calibrate it on the validation")
    else:
        name, version = model.weights.name, model.weights.version
        targets = set(spectra.tids[rows].tolist())
        new = calibrate(
            model,
            spectra.paths,
            truth,
            targetids=targets,
            name=name,
            version=version,
            progress=progress,
        )
        new.save(path, overwrite=True)
        return load_model(path)
    return model
