"""`qnet.train`: runs that are repeated, resumed, streamed, stopped and started from a model."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import fitsio
import numpy as np
import pytest

import qnet
from makers import prepared, primary, table, write
from qnet.core.bins import RedshiftBins
from qnet.core.errors import FileError, InputError, OutputExistsError
from qnet.core.files import sha256
from qnet.core.grid import QUASARNET_GRID, WavelengthGrid
from qnet.model import Model
from qnet.simulation.quasars.parametric import Z_RANGE
from qnet.training import NetworkOptions, train
from qnet.training.checkpoint import BEST, HISTORY, LAST, STATE, VALIDATION, identity
from training import QUICK, SMALL, assert_same, command_settings, make_survey

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("keras")]

ONE_EPOCH = dataclasses.replace(QUICK, epochs=1)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return make_survey(tmp_path_factory.mktemp("survey"))


@pytest.fixture(scope="module")
def run(survey, tmp_path_factory):
    """A run, its folder and its model."""
    folder = tmp_path_factory.mktemp("run") / "out"
    (model,) = train(*survey, folder, QUICK)
    return folder, model


@pytest.fixture
def copied(run, tmp_path):
    """A copy of that run."""
    return shutil.copytree(run[0], tmp_path / "run")


@pytest.fixture(scope="module")
def members(survey, tmp_path_factory):
    """An ensemble of two networks, its folder and its models."""
    folder = tmp_path_factory.mktemp("members") / "out"
    return folder, train(*survey, folder, ONE_EPOCH, members=2)


def test_what_a_run_leaves(run, survey):
    folder, model = run
    names = {path.name for path in folder.iterdir()}
    files = {"best.safetensors", "last.safetensors", "history.fits", "history.csv", "state.json"}
    files |= {"validation.fits"}
    assert names == files | {"checkpoint-00003.keras"}
    assert model.lines == ("LYA", "CIV(1548)")
    assert model.rest["LYA"] == 1215.67
    assert model.grid == QUASARNET_GRID
    history = fitsio.read(folder / "history.fits", ext="HISTORY")
    assert history["EPOCH"].tolist() == [1, 2, 3]
    assert history["LOSS"][-1] < history["LOSS"][0]
    parts = ("LOSS_LYA", "LOSS_CIV_1548", "LOSS_BAL_CIV_1548")
    np.testing.assert_allclose(history["LOSS"], sum(history[name] for name in parts), rtol=1e-4)
    text = np.genfromtxt(folder / "history.csv", delimiter=",", names=True)
    for name in history.dtype.names:
        np.testing.assert_allclose(text[name], history[name], rtol=1e-12)
    made = model.weights.provenance
    best = int(history["EPOCH"][np.argmin(history["VAL_LOSS"])])
    assert made["epoch"] == best
    assert made["history"][best - 1]["val_loss"] == history["VAL_LOSS"][best - 1]
    assert made["sources"]["data"] == [
        {"name": "data.fits", "sha256": sha256(survey[0]), "rows": 300}
    ]
    assert made["sources"]["truth"][0]["sha256"] == sha256(survey[1])
    assert made["seed"] == 7
    assert made["nspec_train"] + made["nspec_validation"] == 300
    assert {"qnet", "keras", "backend", "numpy", "python"} <= set(made["versions"])


def test_the_trained_network_predicts_without_keras(run, survey):
    _, model = run
    truth = qnet.io.read_truth(survey[1])
    _, X, *_ = qnet.io.read_data(survey[0], truth)
    ours = model.predict(X)
    theirs = model.to_keras().predict(X[:, :, None], verbose=0)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5)


def test_the_same_seed_gives_the_same_weights(run, survey, tmp_path):
    train(*survey, tmp_path / "again", QUICK)
    assert_same(run[0], tmp_path / "again", rtol=0, atol=0)


def test_a_run_that_is_done_is_not_trained_again_but_may_be_lengthened(
    run, copied, survey, tmp_path
):
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    (again,) = train(*survey, copied, QUICK, resume=True)
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before
    assert again.sha256 == run[1].sha256
    longer = dataclasses.replace(QUICK, epochs=4)
    train(*survey, copied, longer, resume=True)
    train(*survey, tmp_path / "whole", longer)
    assert_same(tmp_path / "whole", copied, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("copied")
def test_a_run_is_resumed_by_its_own_plan_only(survey, tmp_path):
    with pytest.raises(
        OutputExistsError, match=r"holds a training run .*\(--resume, resume=True\)"
    ):
        train(*survey, tmp_path / "run", QUICK)
    with pytest.raises(InputError, match=r"its settings\.batch_size was 32, and is now 16"):
        train(*survey, tmp_path / "run", dataclasses.replace(QUICK, batch_size=16), resume=True)
    with pytest.raises(
        FileError, match="holds no run that could be resumed: start it without --resume"
    ):
        train(*survey, tmp_path / "none", QUICK, resume=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(FileError, match="other: holds no run that could be resumed"):
        train(*survey, tmp_path / "other", QUICK, resume=True)
    for damaged in ('{"plan": 3', '{"plan": 3}', "[]"):
        (tmp_path / "run" / "state.json").write_text(damaged)
        with pytest.raises(FileError, match=r"state\.json: cannot be read"):
            train(*survey, tmp_path / "run", QUICK, resume=True)
    train(*survey, tmp_path / "run", dataclasses.replace(QUICK, epochs=1), overwrite=True)
    assert json.loads((tmp_path / "run" / "state.json").read_text())["epoch"] == 1


def test_streaming_from_disk_sees_every_spectrum_and_learns_the_same(survey, tmp_path):
    """With room for a batch only, in place of all of them."""
    streamed = dataclasses.replace(QUICK, memory=1e-6)
    (model,) = train(*survey, tmp_path / "disk", streamed)
    history = fitsio.read(tmp_path / "disk" / "history.fits")
    assert history["LOSS"][-1] < history["LOSS"][0]
    train(*survey, tmp_path / "again", streamed)
    assert_same(tmp_path / "disk", tmp_path / "again", rtol=0, atol=0)
    assert model.weights.provenance["nspec_train"] > 200


def test_several_files_are_one_set(tmp_path, survey, run):
    flux, ids = fitsio.read(survey[0], ext=0), fitsio.read(survey[0], ext=1)["TARGETID"]
    paths = []
    for number, part in enumerate(np.array_split(np.arange(300), 3)):
        pixels = np.split(flux[part], 2, axis=1)
        hdus = prepared(*pixels, {"TARGETID": ids[part]})
        paths.append(write(tmp_path / f"part{number}.fits", hdus))
    train(paths, survey[1], tmp_path / "run", QUICK)
    assert_same(run[0], tmp_path / "run", rtol=0, atol=0)
    with pytest.raises(InputError, match="data files are given twice"):
        train([paths[0], paths[0]], survey[1], tmp_path / "twice", QUICK)


def test_early_stopping(survey, tmp_path):
    patient = dataclasses.replace(QUICK, epochs=30, learning_rate=0.5, patience=2)
    (model,) = train(*survey, tmp_path / "run", patient)
    history = fitsio.read(tmp_path / "run" / "history.fits")
    best = int(history["EPOCH"][np.argmin(history["VAL_LOSS"])])
    assert len(history) == best + 2 < 30
    assert model.weights.provenance["epoch"] == best
    train(*survey, tmp_path / "run", patient, resume=True)
    assert len(fitsio.read(tmp_path / "run" / "history.fits")) == len(history)


def test_start_from_a_model(run, survey, tmp_path):
    """A first step of no size leaves the model's own weights; a grid of its own is refused."""
    folder, model = run
    still = dataclasses.replace(QUICK, epochs=1, learning_rate=1e-30)
    (same,) = train(*survey, tmp_path / "still", still, init=folder / "best.safetensors")
    assert same.lines == model.lines
    for key, values in model.weights.arrays.items():
        if "moving" not in key:
            np.testing.assert_allclose(same.weights.arrays[key], values, rtol=1e-6, atol=1e-9)
    assert model.sha256 in same.weights.provenance["init"]
    assert "network" not in same.weights.provenance["settings"]
    grid = WavelengthGrid.log(4000, 9000, 1e-3)
    other = make_survey(tmp_path, count=60, grid=grid, name="other")
    with pytest.raises(InputError, match="the data are on another grid"):
        train(*other, tmp_path / "bad", still, init=model)


def test_members_of_an_ensemble_differ_and_resume_one_by_one(members, survey):
    folder, models = members
    one, other = (model.weights for model in models)
    assert not np.allclose(one.arrays["fc_common.kernel"], other.arrays["fc_common.kernel"])
    assert {path.name for path in folder.iterdir()} == {"member-01", "member-02"}
    assert one.provenance["nspec_validation"] == other.provenance["nspec_validation"]
    again = train(*survey, folder, ONE_EPOCH, members=2, resume=True)
    assert [model.sha256 for model in again] == [model.sha256 for model in models]


def left_in(folder):
    return {path.name for path in folder.iterdir()} - {"checkpoint-00001.keras"}


def test_one_network_and_several_do_not_share_a_folder(members, survey, tmp_path):
    quick, folder = ONE_EPOCH, shutil.copytree(members[0], tmp_path / "run")
    shutil.copytree(folder / "member-02", folder / "member-03")
    with pytest.raises(OutputExistsError, match="member-01: holds a training run"):
        train(*survey, folder, quick)
    with pytest.raises(InputError, match="run: holds the runs of several networks, not of a sing"):
        train(*survey, folder, quick, resume=True)
    (folder / "member-03" / "notes.txt").write_text("mine")
    train(*survey, folder, quick, members=2, overwrite=True)
    assert left_in(folder) == {"member-01", "member-02", "member-03"}
    assert left_in(folder / "member-03") == {"notes.txt"}
    train(*survey, folder, quick, overwrite=True)
    assert left_in(folder) == {BEST, LAST, *HISTORY, STATE, VALIDATION, "member-03"}
    with pytest.raises(InputError, match="run: holds the run of a single network, not of several"):
        train(*survey, folder, quick, members=2, resume=True)


def test_a_member_killed_before_its_first_checkpoint_begins_anew(members, survey, tmp_path):
    folder = shutil.copytree(members[0], tmp_path / "run")
    (folder / "member-02" / "state.json").unlink()
    again = train(*survey, folder, ONE_EPOCH, members=2, resume=True)
    assert [model.sha256 for model in again] == [model.sha256 for model in members[1]]


def test_a_run_killed_before_its_first_checkpoint_begins_anew(run, copied, survey):
    for left in ((BEST, LAST), ()):
        for path in copied.iterdir():
            if path.name not in left:
                path.unlink()
        (again,) = train(*survey, copied, QUICK, resume=True)
        assert again.sha256 == run[1].sha256


def test_the_best_weights_are_those_that_the_state_names(run, copied, survey):
    """Killed before the state is written, and after it."""
    folder = copied
    state = json.loads((folder / STATE).read_text())
    best = (folder / BEST).read_bytes()
    (folder / "best-00004.safetensors").write_bytes(b"of an epoch that the state knows nothing of")
    (folder / BEST).rename(folder / f"best-{state['best_epoch']:05d}.safetensors")
    (again,) = train(*survey, folder, QUICK, resume=True)
    assert (folder / BEST).read_bytes() == best
    assert again.sha256 == run[1].sha256
    assert not list(folder.glob("best-*"))


def test_the_identity_of_a_model_without_a_file(run):
    model = run[1]
    bare = Model(dataclasses.replace(model.weights, sha256=""))
    arrays = {name: values + 1 for name, values in model.weights.arrays.items()}
    other = Model(dataclasses.replace(bare.weights, arrays=arrays))
    assert identity(model) == model.sha256
    assert len({identity(bare), identity(other)}) == 2
    assert identity(bare) == identity(Model(bare.weights))


def test_other_backends_than_jax_share_no_training(survey, tmp_path):
    import keras

    if keras.backend.backend() == "jax":
        pytest.skip("the backend is JAX")
    with pytest.raises(InputError, match="with Keras's backend jax, not with tensorflow"):
        train("none.fits", "none.fits", tmp_path / "run", QUICK, distribute=True)


def test_a_folder_that_is_taken_is_refused_before_data_are_read(run, survey, tmp_path):
    for members in (1, 2):
        with pytest.raises(OutputExistsError, match="holds a training run"):
            train("none.fits", "none.fits", run[0], QUICK, members=members)
    with pytest.raises(FileError, match=r"data\.fits: is a file, but the folder of a run"):
        train("none.fits", "none.fits", survey[0], QUICK, overwrite=True)


def test_a_network_that_cannot_be_leaves_the_old_run(run, survey, tmp_path):
    deep = dataclasses.replace(QUICK, network=dataclasses.replace(SMALL, nlayers=12))
    before = left_in(run[0])
    with pytest.raises(InputError, match="443 input pixels are too few for convolution 6 of 12"):
        train(*survey, run[0], deep, overwrite=True)
    assert left_in(run[0]) == before


def test_inputs_in_the_folder_that_is_replaced_are_refused(run, survey):
    before = left_in(run[0])
    best = run[0] / "best.safetensors"
    plain = dataclasses.replace(QUICK, network=dataclasses.replace(QUICK.network))
    for options in ({"init": best}, {"data": [survey[0], best]}, {"truth": best}):
        given = {"data": survey[0], "truth": survey[1]} | options
        with pytest.raises(InputError, match=r"best\.safetensors: lies in .* is to be replaced"):
            train(output=run[0], settings=plain, overwrite=True, **given)
    assert left_in(run[0]) == before


def test_spectra_left_out_are_counted_by_reason(survey, tmp_path):
    """300 spectra, and 20 of another survey that the truth does not know."""
    other, _ = make_survey(tmp_path, count=20, first=5_000_000)
    (model,) = train([survey[0], other], survey[1], tmp_path / "run", ONE_EPOCH)
    assert model.weights.provenance["removed"] == {"removed: not in truth": 20}


def test_a_truth_of_another_survey(survey, tmp_path):
    _, truth = make_survey(tmp_path, count=20, first=5_000_000)
    with pytest.raises(
        InputError,
        match=r"none of the ids of the 300 spectra is in the truth: the spectra have 1000, 1000, "
        r"1000, \.\.\., the truth has 5000000, .*; is it the truth of another survey\?",
    ):
        train(survey[0], truth, tmp_path / "run", QUICK)
    assert not (tmp_path / "run").exists()


def test_nothing_to_train_on(survey, tmp_path):
    """The truth knows one of the spectra, which nobody inspected."""
    columns = {"THING_ID": [1000], "Z_VI": [0.0], "CLASS_PERSON": [0], "Z_CONF_PERSON": [0]}
    columns = {name: np.array(values) for name, values in columns.items()}
    truth = write(tmp_path / "none.fits", [primary(), table(columns)])
    with pytest.raises(
        InputError,
        match=r"can be trained on: 300 read, 296 removed: not in truth, 4 removed: not inspected",
    ):
        train(survey[0], truth, tmp_path / "run", QUICK)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"learning_rate": -1.0}, "learning_rate must be finite and above 0"),
        ({"schedule": "steps"}, "schedule must be one of constant, exponential, cosine, one-"),
        ({"loss": "mse"}, "loss must be one of quasarnet, cross-entropy"),
        ({"validation": 1.0}, r"validation must be in 0 \.\. 1"),
        ({"validation": 0.0, "patience": 3}, "patience needs a validation loss"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
    ],
)
def test_settings_that_make_no_sense(change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(QUICK, **change)


def test_options_of_the_command_say_what_the_network_is():
    assert command_settings("").network == NetworkOptions()
    shape = "--filters 4 8 16 16 --width 10 6 6 6 --redshift-bins 40"
    bins = RedshiftBins(*Z_RANGE, 40)
    expected = NetworkOptions(filters=(4, 8, 16, 16), width=(10, 6, 6, 6), redshifts=bins)
    assert command_settings(shape).network == expected
    other = command_settings("--redshift-bins 9 --redshift-range 1 2").network.redshifts
    assert other == RedshiftBins(1.0, 2.0, 9)
    with pytest.raises(InputError, match="--redshift-range is for --redshift-bins"):
        command_settings("--redshift-range 1 2")
    with pytest.raises(InputError, match=r"width \(10, 6\) must be one number, or 4: one for each"):
        command_settings("--width 10 6")


def train_in_a_process(survey, folder, **environment):
    """Run the installed command on JAX, in a process of its own; the history it leaves."""
    options = "--epochs 2 --filters 4 --units 8 --layers 3 --batch-size 32 --learning-rate 0.003"
    words = [sys.executable, "-m", "qnet", "train", *options.split()]
    words += ["--data", str(survey[0]), "--truth", str(survey[1]), "-o", str(folder)]
    words += ["--distribute"] if environment else []
    environment |= {"KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        words, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "qnet: quasarnet@1: epoch" in done.stdout
    shown = [line.split()[0] for line in done.stdout.splitlines()[-4:]]
    assert shown == ["purity", "completeness", "NMAD", "calibration"]
    assert "completeness" in (folder / "evaluation.txt").read_text()
    assert (folder / "redshifts.png").stat().st_size > 0
    return fitsio.read(folder / "history.fits")


def test_several_devices_share_a_batch(survey, tmp_path):
    pytest.importorskip("jax")
    one = train_in_a_process(survey, tmp_path / "one")
    flags = "--xla_force_host_platform_device_count=2"
    two = train_in_a_process(survey, tmp_path / "two", XLA_FLAGS=flags)
    for name in ("LOSS", "VAL_LOSS"):
        np.testing.assert_allclose(two[name], one[name], rtol=1e-3)
