"""``qnet simulate`` as a user runs it."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

import qnet
from qnet.io import read_data, read_truth
from qnet.simulation import simulate
from shell import errors, run

NAMES = ("-o", "s.fits", "--truth-out", "t.fits")


def test_prepared_data_and_truth(tmp_path):
    done = run("simulate", "-n", 30, *NAMES, "--seed", 4, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    batch = simulate(30, seed=4).collect()
    quasars, sky = ((batch.truth["TRUESPECTYPE"] == kind).sum() for kind in ("QSO", "SKY"))
    fibres = "sky fibre" if sky == 1 else "sky fibres"
    assert done.stdout == (
        f"qnet: 30 spectra ({quasars} quasars, {sky} {fibres}) -> s.fits, t.fits\n"
    )
    tids, X, *_ = read_data(tmp_path / "s.fits", read_truth(tmp_path / "t.fits"))
    np.testing.assert_array_equal(tids, batch.truth["TARGETID"])
    assert X.shape == (30, 443)


def test_options_reach_the_simulation(tmp_path):
    options = ("--survey", "desi", "--grid", "linear", "--noise-seed", 5)
    mix = ("--mix", "quasar=0.5", "sky=0.5")
    done = run("simulate", "-n", 20, *NAMES, "--seed", 4, *options, *mix, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    expected = simulate(
        20, seed=4, survey="desi", noise_seed=5, mix={"quasar": 0.5, "sky": 0.5}
    ).collect()
    spectra = qnet.read_spectra(tmp_path / "s.fits")
    assert spectra.cameras[0].flux.shape == (20, 458)
    np.testing.assert_array_equal(spectra.ids["TARGETID"], expected.truth["TARGETID"])
    truth = read_truth(tmp_path / "t.fits")
    for targetid, z in zip(expected.truth["TARGETID"], expected.truth["TRUEZ"], strict=True):
        assert truth[int(targetid)].z_vi == z


def test_a_kind_has_one_share(tmp_path):
    mix = ("--mix", "quasar=0.5", "quasar=1")
    done = run("simulate", "-n", 20, *NAMES, *mix, cwd=tmp_path)
    assert done.returncode == 2
    assert errors(done) == ["qnet: error: --mix gives quasar more than once"]


def test_a_batch_system_that_ends_it_leaves_nothing_behind(tmp_path):
    words = [sys.executable, "-m", "qnet", "simulate", "-n", "100000", *NAMES]
    running = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.iterdir()):
        assert running.poll() is None
        time.sleep(0.01)
    running.terminate()
    _, said = running.communicate()
    assert running.returncode == 143
    assert "qnet: error: ended by SIGTERM; no output was written" in said
    assert not list(tmp_path.iterdir())


def test_coadd_is_classified(tmp_path, small_weights):
    made = run(
        *("simulate", "-n", 12, *NAMES, "--seed", 1, "--survey", "desi", "--format", "coadd"),
        cwd=tmp_path,
    )
    assert made.returncode == 0, made.stderr
    done = run("classify", "s.fits", "-o", "cat.fits", "--model", small_weights, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    table = qnet.read_catalogue(tmp_path / "cat.fits")
    truth = read_truth(tmp_path / "t.fits")
    assert set(table["TARGETID"].tolist()) == set(truth)


def test_spec_files_are_classified(tmp_path, small_weights):
    made = run(
        *("simulate", "-n", 6, "-o", "plate", "--truth-out", "t.csv", "--seed", 1),
        *("--survey", "sdss", "--format", "spec"),
        cwd=tmp_path,
    )
    assert made.returncode == 0, made.stderr
    files = sorted((tmp_path / "plate").iterdir())
    done = run("classify", *files, "-o", "cat.fits", "--model", small_weights, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    table = qnet.read_catalogue(tmp_path / "cat.fits")
    assert table["TARGETID"].tolist() == list(read_truth(tmp_path / "t.csv"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-n", 0, *NAMES, "--seed", 1), "n must be an integer from 1"),
        (("-n", 5, *NAMES, "--seed", -1), "seed must be an integer from 0"),
        (("-n", 5, "-o", "s.fits", "--truth-out", "s.fits", "--seed", 1), "both outputs"),
        (("-n", 5, *NAMES, "--seed", 1, "--format", "coadd"), "is of the survey desi"),
        (("-n", 5, *NAMES, "--seed", 1, "--mix", "sky=0.5"), "must add up to 1"),
        (("-n", 5, *NAMES, "--seed", 1, "--template-fraction", 0.5), "needs --templates"),
        (
            ("-n", 5, "-o", "no/s.fits", "--truth-out", "t.fits", "--seed", 1),
            "its folder no does not exist",
        ),
        (
            (
                *("-n", 5, *NAMES, "--seed", 1, "--survey", "desi"),
                *("--format", "coadd", "--grid", "log"),
            ),
            "--grid goes with --format prepared",
        ),
    ],
)
def test_usage_errors(tmp_path, options, message):
    done = run("simulate", *options, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = errors(done)
    assert message in line
    assert list(tmp_path.iterdir()) == []


def test_existing_output_is_replaced_only_if_asked_for(tmp_path):
    (tmp_path / "s.fits").write_text("mine")
    command = ("simulate", "-n", 3, *NAMES, "--seed", 1, "--mix", "sky=1")
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 2
    assert "exists already" in errors(done)[0]
    assert (tmp_path / "s.fits").read_text() == "mine"
    assert run(*command, "--overwrite", cwd=tmp_path).returncode == 0
    assert len(qnet.read_spectra(tmp_path / "s.fits")) == 3


def test_missing_templates_are_a_failed_input(tmp_path):
    done = run("simulate", "-n", 3, *NAMES, "--seed", 1, "--templates", "nowhere", cwd=tmp_path)
    assert done.returncode == 1
    assert "nowhere" in errors(done)[0]
    assert list(tmp_path.iterdir()) == []


def test_templates_are_mixed_in(tmp_path, shared_data):
    from astropy.io import fits

    folder = shared_data / "templates"
    done = run("simulate", "-n", 60, *NAMES, "--seed", 1, "--templates", folder, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = fits.getdata(tmp_path / "t.fits", 1)
    assert 15 < table["TEMPLATE"].sum() < 50
    header = fits.getheader(tmp_path / "s.fits", 0)
    assert header["SIMTFRAC"] == 0.6
    assert len(header["SIMTSHA"]) == 64
