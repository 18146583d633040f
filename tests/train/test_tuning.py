"""Training that starts from a whole model: what the new one has of it, and the table at the end."""

from __future__ import annotations

import dataclasses
import json
import warnings

import numpy as np
import pytest

import qnet
from networks import refine_architecture, verifying_model
from qnet.cli import main
from qnet.core.errors import InputError, QnetWarning
from qnet.evaluation.validation import compare_models, validation_table
from qnet.model import Model
from qnet.simulation import simulate, write_simulation
from qnet.training import Augmentation, Settings, inherit_settings, train_refiner
from qnet.training.checkpoint import read_validation
from qnet.training.data import load
from qnet.training.inheritance import INHERITED_KEY, TUNING_RATE
from qnet.training.recalibration import recalibrate
from training import command_settings

SETTINGS = {
    "learning_rate": 2e-3,
    "schedule": "one-cycle",
    "weight_decay": 1e-3,
    "loss": "cross-entropy",
    "precision": "mixed_bfloat16",
    "augmentation": {"noise": 1.0, "tilt": 0.1, "of a later version": 3},
    "epochs": 9,
    "validation": 0.03,
}


@pytest.fixture(scope="module")
def parent(small_model, tmp_path_factory):
    """A whole model with a record of its training, and its file."""
    record = {"settings": SETTINGS, "refine": {"settings": SETTINGS, "dropout": 0.2}}
    made = {"name": "parent", "licence": "BSD", "notices": ("a notice",), "provenance": record}
    whole = dataclasses.replace(verifying_model(small_model, bal=True).weights, **made)
    path = tmp_path_factory.mktemp("parent") / "parent.safetensors"
    return Model(whole).save(path)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Data on the grid of the second stage, and their truth."""
    folder = tmp_path_factory.mktemp("fine")
    paths = folder / "data.fits", folder / "truth.fits"
    write_simulation(
        simulate(160, seed=4, survey="sdss"), *paths, grid=refine_architecture().window.grid
    )
    return paths


def with_record(model, record):
    return Model(dataclasses.replace(model.weights, provenance=record))


def test_settings_are_those_of_the_parent_but_for_the_rate(parent):
    model = qnet.load_model(parent)
    settings = inherit_settings(model, "refine", epochs=3, loss="quasarnet")
    assert settings == Settings(
        epochs=3,
        loss="quasarnet",
        learning_rate=TUNING_RATE * 2e-3,
        schedule="one-cycle",
        weight_decay=1e-3,
        precision="mixed_bfloat16",
        augmentation=Augmentation(noise=1.0, tilt=0.1),
        name="parent-tuned",
        version="1",
        licence="BSD",
    )
    with pytest.raises(InputError, match=r"unknown setting\(s\) \['rate'\]"):
        inherit_settings(model, rate=3)
    with pytest.raises(InputError, match="stage must be one of lines, refine, not 'both'"):
        inherit_settings(model, "both")


@pytest.mark.parametrize(
    ("record", "rate"),
    [
        ({"settings": SETTINGS}, 2e-4),
        ({"settings": SETTINGS, "parent": None}, 2e-4),
        ({"settings": {"learning_rate": 1e-6}, "parent": {"learning_rate": 5e-3}}, 5e-4),
        ({}, 1e-4),
        ({"settings": "none", "parent": [1], "refine": 3}, 1e-4),
    ],
)
def test_the_rate_is_a_tenth_of_the_first_one_of_the_line(parent, record, rate):
    model = with_record(qnet.load_model(parent), record)
    assert inherit_settings(model).learning_rate == pytest.approx(rate)
    assert inherit_settings(model, learning_rate=0.5).learning_rate == 0.5


def test_a_record_that_makes_no_sense_is_named(parent):
    model = with_record(qnet.load_model(parent), {"settings": {"loss": "mse"}})
    with pytest.raises(
        InputError, match=r"parent@1\.2: the settings of its training: loss must be"
    ):
        inherit_settings(model)


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("qnet", "4", ("qnet-tuned", "1")),
        ("qnet-tuned", "1", ("qnet-tuned", "2")),
        ("a-tuned", "x", ("a-tuned", "x.1")),
    ],
)
def test_a_run_has_a_name_of_its_own(parent, name, version, expected):
    weights = qnet.load_model(parent).weights
    model = Model(dataclasses.replace(weights, name=name, version=version))
    settings = inherit_settings(model)
    assert (settings.name, settings.version) == expected


def test_options_that_are_not_given_are_those_of_the_parent(parent):
    model = qnet.load_model(parent)
    assert command_settings("") == Settings()
    assert command_settings(f"--init {parent}") == inherit_settings(model)
    given = command_settings(
        f"--init {parent} --stage refine --tilt 0 --learning-rate 0.5 --name mine"
    )
    change = Augmentation(noise=1.0)
    assert given == inherit_settings(
        model, "refine", learning_rate=0.5, name="mine", augmentation=change
    )
    # A value that is the default of QuasarNET's training is one that was given.
    assert command_settings(f"--init {parent} --loss quasarnet").loss == "quasarnet"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--stage refine", "--stage refine needs --init, a model with a first stage"),
        ("--stage refine --init qnet --ensemble 2", "--ensemble and --distribute are for --stage"),
        ("--init qnet --lines LYA --layers 2", "--init has a network: leave out --lines, --layers"),
    ],
)
def test_options_that_do_not_go_together(capsys, tmp_path, options, message):
    words = f"train --data d.fits --truth t.fits -o {tmp_path}/out {options}".split()
    assert main(words) == 2
    assert message in capsys.readouterr().err


@pytest.fixture(scope="module")
def tuned(keras, parent, survey, tmp_path_factory):
    """The folders of a run of each stage, by the command, with what it printed and warned."""
    folder = tmp_path_factory.mktemp("tuned")
    found = {}
    for stage in ("lines", "refine"):
        words = ["train", "--data", str(survey[0]), "--truth", str(survey[1])]
        words += ["--init", str(parent), "--stage", stage, "-o", str(folder / stage)]
        words += ["--validation", "0.2", "--batch-size", "64", "--epochs", "1"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert main(words) == 0
        found[stage] = folder / stage
    return found


def test_a_tuned_model_has_every_column_of_its_parent(tuned, parent, survey):
    spectra = qnet.read_spectra(survey[0], rows=range(40))
    old = qnet.load_model(parent)
    before = qnet.classify(spectra, model=old)
    for stage, folder in tuned.items():
        new = qnet.load_model(folder / "best.safetensors")
        assert (new.name, new.weights.licence) == ("parent-tuned@1", "BSD")
        assert new.weights.notices == ("a notice",)
        made = new.weights.provenance["calibration"]
        assert made["spectra"] == len(read_validation(folder)["TARGETID"])
        assert new.calibration != old.calibration
        changed = {
            name.split(".")[0]
            for name, values in new.weights.arrays.items()
            if name in old.weights.shapes()
            and not name.startswith("outlier")
            and not np.array_equal(values, old.weights.arrays[name])
        }
        stages = {name.startswith("refine") for name in changed}
        assert stages == {stage == "refine"}
        after = qnet.classify(spectra, model=new)
        assert after.colnames == before.colnames
        for name in before.colnames:
            if before[name].dtype.kind == "f":
                assert np.isfinite(after[name]).any() == np.isfinite(before[name]).any(), name


def test_a_calibration_that_is_not_fitted_again_is_named(parent, survey, tmp_path, keras):
    """The data are on the grid of the first stage, or there is no validation."""
    model = qnet.load_model(parent)
    coarse = tmp_path / "coarse.fits", tmp_path / "truth.fits"
    write_simulation(simulate(40, seed=4), *coarse, grid=model.grid)
    record = {"calibration": {INHERITED_KEY: "other@3"}}
    path = with_record(model, record).save(tmp_path / "model.safetensors")
    before = path.read_bytes()
    for paths, part, message in (
        (coarse, slice(None), "is that of other@3, .* qnet prepare --fine"),
        (survey, slice(0), "is that of other@3, .* there is no validation"),
    ):
        data = load(paths[0], qnet.io.read_truth(paths[1]), memory=1.0, keep_pixels=False)
        with pytest.warns(QnetWarning, match=message):
            recalibrate(path, data, np.arange(len(data))[part], paths[1], progress=False)
        assert path.read_bytes() == before


def test_provenance_names_the_parent(tuned, parent):
    old = qnet.load_model(parent)
    expected = {"name": old.name, "sha256": old.sha256, "learning_rate": 2e-3}
    made = qnet.load_model(tuned["lines"] / "best.safetensors").weights.provenance
    assert made["parent"] == expected
    assert made["settings"]["learning_rate"] == pytest.approx(2e-4)
    assert made["refine"] == old.weights.provenance["refine"]
    refined = qnet.load_model(tuned["refine"] / "best.safetensors").weights.provenance
    assert refined["refine"]["parent"] == expected
    assert refined["refine"]["dropout"] == 0.2
    assert refined["settings"] == SETTINGS


def test_the_table_is_of_the_spectra_kept_out_of_training(tuned, parent, survey):
    folder = tuned["lines"]
    rows = read_validation(folder)
    assert len(rows["INPUT_ROW"]) == pytest.approx(0.2 * 160, abs=4)
    ids = qnet.read_spectra(survey[0]).ids["TARGETID"]
    np.testing.assert_array_equal(ids[rows["INPUT_ROW"]], rows["TARGETID"])
    report = json.loads((folder / "evaluation.json").read_text())
    text = (folder / "evaluation.txt").read_text()
    both = (qnet.load_model(parent), qnet.load_model(folder / "best.safetensors"))
    for model, measured in zip(both, report["catalogues"], strict=True):
        spectra = qnet.read_spectra(survey[0], rows=rows["INPUT_ROW"])
        table = qnet.classify(spectra, model=model, prior="training")
        expected = qnet.evaluate(table, survey[1], nboot=20).metric("completeness")
        (found,) = (
            m for m in measured["metrics"] if (m["name"], m["where"]) == ("completeness", "")
        )
        assert (found["value"], found["n"]) == (expected.value, expected.n)
        assert f"{expected.value:.4f}" in text
        assert model.name in text


def test_what_became_worse_is_named(parent, survey, tuned):
    old = qnet.load_model(parent)
    rows = read_validation(tuned["lines"])
    same = compare_models([old, old], *survey, rows)
    assert validation_table(same)[1] == []
    quasars = [each.sample.quasar.sum() for each in same.evaluations]
    assert quasars[0] == quasars[1] > 0
    worse = validation_table(compare_models([qnet.load_model(), old], *survey, rows))[1]
    assert any(text.startswith("completeness: ") for text in worse)


@pytest.mark.filterwarnings("ignore")
def test_a_second_stage_of_another_form_leaves_nothing_of_the_old(
    keras, parent, survey, tmp_path, small_model
):
    """A first stage with a second one of three convolutions; the new one has two."""
    convs = refine_architecture().convs
    three = (*convs, dataclasses.replace(convs[0], width=3, stride=1))
    finder = verifying_model(small_model, bal=True, convs=three)
    architecture = refine_architecture(scores=True)
    settings = Settings(epochs=1, batch_size=64, name="both")
    arrays, _ = train_refiner(*survey, tmp_path / "run", architecture, settings, finder=finder)
    model = qnet.load_model(tmp_path / "run" / "best.safetensors")
    assert model.weights.refine == architecture
    assert set(model.weights.arrays) == set(model.weights.shapes())
    for name, values in arrays.items():
        np.testing.assert_array_equal(model.weights.arrays[name], values)
