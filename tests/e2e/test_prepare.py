"""qnet prepare and qnet truth, as a user runs them."""

from __future__ import annotations

import os

import numpy as np
import pytest

import qnet
from makers import BOSS_LOGLAM, BOSS_ROW, boss_spec, make_spectra, primary, table, write
from qnet.core.grid import QUASARNET_LINEAR_GRID, WavelengthGrid
from qnet.io import read_data, read_truth
from qnet.io.fits.file import FitsFile
from qnet.io.readers.prepared import prepared_grid
from shell import errors, run

SUPERSET = {
    "THING_ID": np.int64([1, 2, 3, -1]),
    "Z_VI": np.array([1.0, 2.0, 3.0, 0.0]),
    "CLASS_PERSON": np.int32([3, 30, 0, 3]),
    "Z_CONF_PERSON": np.int32([3, 3, 0, 3]),
}
DRQ = {"THING_ID": np.int64([2]), "BAL_FLAG_VI": np.int32([1]), "BI_CIV": np.array([900.0])}


@pytest.fixture
def survey(tmp_path, monkeypatch):
    """Spec files of targets 1 to 4, a superset and a DRQ, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for number in range(1, 5):
        flux, ivar = make_spectra(10**BOSS_LOGLAM, [number / 2 + 0.5], seed=number)
        row = BOSS_ROW | {"THING_ID": np.int32(number), "FIBERID": np.int32(number)}
        write(f"spec-{number}.fits", boss_spec(BOSS_LOGLAM, flux[0], ivar[0], row=row))
    write("superset.fits", [primary(), table(SUPERSET)])
    write("drq.fits", [primary(), table(DRQ)])
    return [f"spec-{number}.fits" for number in range(1, 5)]


def grid_of(path):
    with FitsFile(path) as fits:
        return prepared_grid(fits)


def test_truth_and_data_for_training(survey):
    done = run("truth", "--superset", "superset.fits", "--drq", "drq.fits", "-o", "truth.fits")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "qnet: 3 objects, 1 of them in the DRQ -> truth.fits\nqnet: rows left out: 1 THING_ID -1\n"
    )
    done = run("prepare", *survey, "-o", "data.fits", "--targets", "qso", "--truth", "truth.fits")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "qnet: 2 spectra of 4 in 4 files -> data.fits\n"
        "qnet: left out: 1 not in truth, 1 not inspected\n"
    )
    tids, X, Y, z, bal = read_data("data.fits", read_truth("truth.fits"))
    assert tids.tolist() == [1, 2]
    assert X.shape == (2, 443)
    assert Y.argmax(axis=1).tolist() == [2, 2]
    assert z.tolist() == [1.0, 2.0]
    assert bal.tolist() == [-1.0, 1.0]


@pytest.mark.parametrize(
    ("options", "grid"),
    [
        (["--grid", "linear"], QUASARNET_LINEAR_GRID),
        (
            ["--wave-min", "4000", "--wave-max", "9000", "--step", "5e-4"],
            WavelengthGrid.log(4000, 9000, 5e-4),
        ),
        (["--grid", "linear", "--step", "10"], WavelengthGrid.linear(3600, 9824.8, 10)),
    ],
    ids=["named", "log", "linear"],
)
def test_grids(survey, options, grid):
    assert run("prepare", *survey, "-o", "data.fits", *options).returncode == 0
    assert grid_of("data.fits") == grid


def test_the_grid_of_a_model(survey, small_weights):
    assert run("prepare", *survey, "-o", "data.fits", "--model", small_weights).returncode == 0
    assert grid_of("data.fits").npix == 443
    done = run("prepare", *survey, "-o", "b.fits", "--model", small_weights, "--grid", "log")
    assert done.returncode == 2
    assert errors(done) == [
        "qnet: error: --model has a grid: leave out --grid, --wave-min, --wave-max, --step"
    ]


def test_the_fine_grid_of_a_second_stage(survey, small_weights):
    assert run("prepare", *survey, "-o", "data.fits", "--fine").returncode == 0
    model = qnet.load_model()
    assert grid_of("data.fits") == model.weights.refine.window.grid
    assert grid_of("data.fits").nests(model.grid)
    done = run("prepare", *survey, "-o", "b.fits", "--fine", "--model", small_weights)
    assert done.returncode == 2
    assert "has no second stage, which has a finer grid" in done.stderr


def test_bad_files_are_reported_and_the_rest_written(survey):
    with open("bad.fits", "w", encoding="ascii") as stream:
        stream.write("nonsense")
    done = run("prepare", "bad.fits", *survey, "-o", "data.fits")
    assert done.returncode == 1
    (error,) = errors(done)
    assert error.startswith("qnet: error: bad.fits: cannot be read as FITS")
    assert done.stdout == "qnet: 4 spectra of 4 in 4 files, 1 file failed -> data.fits\n"
    assert len(read_data("data.fits")[0]) == 4
    done = run("prepare", "bad.fits", "-o", "none.fits")
    assert done.returncode == 1
    assert errors(done) == [error]
    assert not os.path.exists("none.fits")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["spec-1.fits", "-o", "spec-1.fits", "--overwrite"], "spec-1.fits: is an input: give the"),
        (["spec-1.fits", "-o", "drq.fits"], "drq.fits: exists already"),
        (["spec-1.fits", "-o", "data.txt"], "data.txt: the name of a prepared data file must end"),
        (["spec-1.fits", "spec-1.fits", "-o", "data.fits"], "spec-1.fits: is given twice"),
        (["spec-1.fits", "-o", "data.fits", "--step", "-1"], "the grid needs 0 < wave_min < wave_"),
        (["spec-4.fits", "-o", "data.fits", "--truth", "superset.fits"], "is it the truth of ano"),
    ],
    ids=range(6),
)
def test_what_cannot_be_done(survey, arguments, message):
    before = sorted(os.listdir())
    done = run("prepare", *arguments)
    assert done.returncode == 2
    (error,) = errors(done)
    assert message in error
    assert sorted(os.listdir()) == before


def test_truth_that_cannot_be_built(survey):
    for arguments, status, message in (
        (["--superset", "drq.fits", "-o", "t.fits"], 1, "drq.fits: is no superset: it lacks Z_VI"),
        (["--superset", "superset.fits", "-o", "superset.fits", "--overwrite"], 2, "is an input"),
        (["--superset", "superset.fits", "-o", "t.parquet"], 2, "must end in .fits"),
    ):
        done = run("truth", *arguments)
        assert done.returncode == status
        assert message in errors(done)[0]
    assert not os.path.exists("t.fits")
