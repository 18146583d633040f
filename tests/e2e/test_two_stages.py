"""A model with a second stage and a calibration, through the command."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest

import qnet
from makers import BOSS_LOGLAM, boss_spec, make_spectra, write
from networks import verifying_model, with_density
from qnet.core.files import sha256
from qnet.model.weights import write_weights
from shell import errors, run


@pytest.fixture
def model(tmp_path, two_stage_model):
    """Weights with a long record of their training."""
    weights = dataclasses.replace(
        two_stage_model.weights,
        notices=("Trained with things of others.",),
        provenance={"seed": 7, "history": [{"loss": float(epoch)} for epoch in range(500)]},
    )
    return write_weights(tmp_path / "full.safetensors", weights)


@pytest.fixture
def spec(tmp_path):
    flux, ivar = make_spectra(10**BOSS_LOGLAM, [2.0])
    return write(tmp_path / "spec.fits", boss_spec(BOSS_LOGLAM, flux[0], ivar[0]))


def test_the_catalogue_of_the_command_is_that_of_python(tmp_path, spec, model):
    output = tmp_path / "cat.fits"
    done = run("classify", spec, "-o", output, "--model", model, "--prior-qso", "0.9")
    assert (done.returncode, errors(done)) == (0, [])
    found = qnet.read_catalogue(output)
    expected = qnet.classify(spec, model=model, prior_qso=0.9)
    assert found["IS_QSO"][0]
    assert np.isfinite(found["ZERR"][0])
    for name in expected.colnames:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    for card in ("STRATEGY", "PTHRESH", "PRIORQSO", "PMIX", "STAGES", "ZTRAIN0"):
        assert found.meta[card] == expected.meta[card], card
    assert found.meta["PRIORQSO"] == 0.9


def test_the_population_of_the_command(tmp_path, spec, small_model):
    dense = with_density(verifying_model(small_model)).save(tmp_path / "dense.safetensors")
    population = qnet.Population([0, 1, 7], [15, 25], [[9], [1]], {"QSO": 0.3, "STAR": 0.7})
    file, output = population.write(tmp_path / "mine.ecsv"), tmp_path / "cat.fits"
    files = [spec, shutil.copy(spec, tmp_path / "again.fits"), "--workers", "2"]
    options = ["--model", dense, "-o", output, "--overwrite"]
    for prior, name in (("fibres", "fibres"), (file, "mine.ecsv")):
        done = run("classify", *files, *options, "--prior", prior)
        assert (done.returncode, errors(done)) == (0, [])
        found = qnet.read_catalogue(output)
        expected = qnet.classify(spec, model=dense, prior=prior)
        assert (found.meta["PRIOR"], found.meta["PRIORMIX"]) == (name, expected.meta["PRIORMIX"])
        assert found["P_QSO"].tolist() == [expected["P_QSO"][0]] * 2
    inspected = run("model", "inspect", dense)
    assert "quasar density" in inspected.stdout
    done = run("classify", spec, *options, "--prior", "galaxies")
    assert done.returncode == 2
    assert "must be one of quasar-targets, fibres, training" in done.stderr


def test_a_threshold_of_the_command(tmp_path, spec, model):
    for threshold, called in (("0", True), ("1", False)):
        output = tmp_path / f"cat{threshold}.fits"
        done = run("classify", spec, "-o", output, "--model", model, "--p-threshold", threshold)
        assert done.returncode == 0
        table = qnet.read_catalogue(output)
        assert table["IS_QSO"].tolist() == [called]
        assert table.meta["STRATEGY"] == f"P_QSO > {threshold}"


def test_inspecting_sums_up_what_is_long(model):
    done = run("model", "inspect", model)
    assert (done.returncode, errors(done)) == (0, [])
    rows = dict(line.split("  ", 1) for line in done.stdout.splitlines() if "  " in line)
    rows = {key: value.strip() for key, value in rows.items()}
    assert rows["stages"] == "lines, refine"
    assert rows["IS_QSO"] == "P_QSO > 0.6"
    assert rows["class mix"] == "QSO 0.4, STAR 0.25, GALAXY 0.25, SKY 0.1"
    assert rows["trained redshifts"] == "0.05 to 3.5"
    assert rows["JOINT"] == "5760-5800, 7520-7620 Angstrom"
    assert rows["seed"] == "7"
    assert rows["history"] == "500 entries (all with --json)"
    assert "Trained with things of others." in done.stdout
    assert max(map(len, done.stdout.splitlines())) < 200
    whole = json.loads(run("model", "inspect", model, "--json").stdout)
    weights = qnet.load_model(model).weights
    assert whole["stages"] == ["lines", "refine"]
    assert len(whole["provenance"]["history"]) == 500
    assert whole["refine"] == json.loads(json.dumps(weights.refine.to_dict()))
    assert whole["calibration"] == json.loads(json.dumps(weights.calibration.to_dict()))


def test_converting_keeps_all_stages(tmp_path, model):
    output = tmp_path / "renamed.safetensors"
    done = run("model", "convert", model, "-o", output, "--name", "other")
    assert (done.returncode, errors(done)) == (0, [])
    found, before = (qnet.load_model(path).weights for path in (output, model))
    assert found.name == "other"
    assert found.calibration == before.calibration
    assert set(found.arrays) == set(before.arrays)


def test_models_that_ship_are_listed(monkeypatch, capsys, tmp_path, two_stage_model):
    done = run("model", "list")
    assert (done.returncode, errors(done)) == (0, [])
    from qnet.cli import main
    from qnet.model import shipped

    monkeypatch.setattr(shipped, "data_folder", lambda: tmp_path)
    monkeypatch.setattr(shipped, "SHIPPED", {})
    for version in ("1", "2"):
        weights = dataclasses.replace(two_stage_model.weights, name="qnet", version=version)
        path = write_weights(tmp_path / f"qnet-{version}.safetensors", weights)
        shipped.SHIPPED[f"qnet@{version}"] = path.name, sha256(path)
    monkeypatch.setattr(shipped, "DEFAULT_MODEL", "qnet@1")
    assert main(["model", "list"]) == 0
    assert capsys.readouterr().out == "qnet@1  (default)\nqnet@2\n"
    assert main(["model", "inspect", "qnet"]) == 0
    assert "qnet@2" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["full", "qnet@999"])
def test_a_name_that_no_model_has(tmp_path, spec, name):
    done = run("classify", spec, "-o", tmp_path / "cat.fits", "--model", name, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = errors(done)
    assert f"model '{name}': no such file, and no model of that name ships" in line
    assert not (tmp_path / "cat.fits").exists()
