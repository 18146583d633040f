"""`qnet calibrate`, and a catalogue of the model that it writes."""

from __future__ import annotations

import re

import numpy as np
import pytest

import qnet
from networks import verifying_model
from shell import errors, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory, small_model):
    """A model, and simulated spectra with their truth."""
    from qnet.simulation import write_simulation

    path = tmp_path_factory.mktemp("calibrate")
    verifying_model(small_model).save(path / "own.safetensors")
    simulation = qnet.simulate(100, seed=8, survey="desi")
    write_simulation(simulation, path / "coadd.fits", path / "truth.csv", format="coadd")
    return path


def calibrate(folder, *options):
    given = ("own.safetensors", "--data", "coadd.fits", "--truth", "truth.csv", *options)
    return run("calibrate", *given, cwd=folder)


def test_a_model_is_calibrated_and_classifies(folder):
    done = calibrate(folder, "-o", "new.safetensors", "--name", "mine", "--model-version", "2")
    assert done.returncode == 0
    # Sky fibres of a coadd are no targets.
    assert re.search(r"mine@2: \d\d spectra, \d\d quasars -> new.safetensors", done.stdout)
    (warning,) = (line for line in done.stderr.splitlines() if "warning" in line)
    assert "too few spectra to calibrate" in warning
    model, before = (
        qnet.load_model(folder / name) for name in ("new.safetensors", "own.safetensors")
    )
    for name, array in before.weights.arrays.items():
        if not name.startswith("outlier"):  # those are of the sample
            np.testing.assert_array_equal(model.weights.arrays[name], array)
    assert model.calibration.mix != before.calibration.mix
    table = qnet.classify(folder / "coadd.fits", model=model, prior="training")
    assert table.meta["MODEL"] == "mine@2"
    assert np.isfinite(table["P_QSO"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-o", "new.h5"), "new.h5: a weights file must end in .safetensors"),
        (("-o", "own.safetensors", "--overwrite"), "own.safetensors: is an input"),
        (("-o", "own.safetensors"), "own.safetensors: "),
        (("-o", "x.safetensors", "--seed", "-1"), "seed must be"),
    ],
)
def test_outputs_and_options_that_are_refused(folder, options, message):
    before = sorted(folder.iterdir())
    done = calibrate(folder, *options)
    assert done.returncode == 2
    (line,) = errors(done)
    assert message in line
    assert sorted(folder.iterdir()) == before
