"""Runs of `qnet.train` that are killed or stop at a loss that is not a number."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time

import fitsio
import numpy as np
import pytest

import qnet
from qnet.core.errors import TrainingError
from qnet.training import Augmentation, train
from qnet.training.checkpoint import LAST, STATE
from training import QUICK, SMALL, assert_same, make_survey, weights

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("keras")]


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return make_survey(tmp_path_factory.mktemp("survey"))


class Killed(BaseException):
    """A kill that nothing catches."""


def kill_in(monkeypatch, epoch, step):
    """End the process' training in the middle of an epoch."""
    from qnet.training.callbacks import StopOnNaN

    plain = StopOnNaN.on_train_batch_end

    def strike(self, batch, logs=None):
        if (self._epoch, batch) == (epoch, step):
            raise Killed
        plain(self, batch, logs)

    monkeypatch.setattr(StopOnNaN, "on_train_batch_end", strike)


CHANGING = dataclasses.replace(
    QUICK,
    schedule="one-cycle",
    weight_decay=1e-3,
    augmentation=Augmentation(noise=0.5, tilt=0.1, coverage=0.3, fault=0.1),
    network=dataclasses.replace(SMALL, dropout=0.2),
)


def test_a_run_that_was_killed_goes_on_to_the_same_end(survey, tmp_path, monkeypatch):
    train(*survey, tmp_path / "whole", CHANGING)
    with monkeypatch.context() as patch:
        kill_in(patch, 1, 2)
        with pytest.raises(Killed):
            train(*survey, tmp_path / "killed", CHANGING)
    assert json.loads((tmp_path / "killed" / "state.json").read_text())["epoch"] == 1
    train(*survey, tmp_path / "killed", CHANGING, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "killed", rtol=1e-4, atol=1e-6)
    whole, killed = (fitsio.read(tmp_path / name / "history.fits") for name in ("whole", "killed"))
    assert killed["EPOCH"].tolist() == [1, 2, 3]
    for name in whole.dtype.names:
        np.testing.assert_allclose(killed[name], whole[name], rtol=1e-3, atol=1e-6)


def test_kill_9_of_the_command_and_resume(survey, tmp_path):
    """The signal that no process can catch, sent when the first epoch is on disk."""
    options = "--epochs 4 --filters 4 --units 8 --layers 3 --batch-size 8 --dropout 0.1 --noise 1"
    words = [sys.executable, "-m", "qnet", "train", *options.split()]
    words += ["--data", str(survey[0]), "--truth", str(survey[1]), "-o"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([*words, "whole"], cwd=tmp_path, check=True, **quiet)
    running = subprocess.Popen([*words, "killed"], cwd=tmp_path, **quiet)
    while running.poll() is None and not (tmp_path / "killed" / STATE).exists():
        time.sleep(0.01)
    running.kill()
    assert running.wait() == -signal.SIGKILL
    state = json.loads((tmp_path / "killed" / STATE).read_text())
    assert 1 <= state["epoch"] < 4
    subprocess.run([*words, "killed", "--resume"], cwd=tmp_path, check=True, **quiet)
    assert_same(tmp_path / "whole", tmp_path / "killed", rtol=1e-4, atol=1e-6)
    left = {path.name for path in (tmp_path / "killed").iterdir()}
    assert left == {path.name for path in (tmp_path / "whole").iterdir()}


def test_the_message_after_sigterm(survey, tmp_path):
    """Batch systems send it when the time is up."""
    options = "--epochs 1000 --filters 4 --units 8 --layers 3 --batch-size 8"
    words = [sys.executable, "-m", "qnet", "train", *options.split()]
    words += ["--data", str(survey[0]), "--truth", str(survey[1]), "-o", "run"]
    running = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while running.poll() is None and not (tmp_path / "run" / STATE).exists():
        time.sleep(0.01)
    running.terminate()
    _, said = running.communicate()
    assert running.returncode == 143
    # The backend may have its say too.
    wanted = "qnet: error: ended by SIGTERM; what is done is in run: go on with --resume"
    assert wanted in said.splitlines()


def test_nan_stops_the_run_with_the_batch_named(survey, tmp_path, monkeypatch):
    from qnet.training.batches import Batches

    train(*survey, tmp_path / "good", dataclasses.replace(QUICK, epochs=1))
    good = weights(tmp_path / "good" / "last.safetensors")
    plain = Batches._batch

    def poisoned(self, rows, spectra, epoch, step):
        X, target, weight = plain(self, rows, spectra, epoch, step)
        if self.seed is not None and (epoch, step) == (1, 2):
            X[3] = np.nan
        return X, target, weight

    monkeypatch.setattr(Batches, "_batch", poisoned)
    message = r"batch 3 of epoch 2 on \(TARGETIDs 1\d\d\d, .*checkpoint of the epoch before is kept"
    with pytest.raises(TrainingError, match=message):
        train(*survey, tmp_path / "bad", QUICK)
    left = weights(tmp_path / "bad" / "last.safetensors")
    for key in good:
        np.testing.assert_array_equal(good[key], left[key])


@pytest.mark.parametrize("fraction", [0.1, 0.0], ids=["validated", "alone"])
def test_weights_spoiled_by_the_last_batch_are_not_saved(
    survey, tmp_path, monkeypatch, keras, fraction
):
    """The loss of that batch was a number, and so is that of its epoch."""
    from qnet.training.callbacks import StopOnNaN

    if keras.backend.backend() == "jax":
        pytest.skip("weights that a callback sets do not reach JAX's training")
    plain, good = StopOnNaN.on_train_batch_end, {}

    def spoil(self, batch, logs=None):
        plain(self, batch, logs)
        if (self._epoch, batch) == (1, self._batches.steps - 1):
            good.update(weights(tmp_path / "bad" / LAST))
            layer = self.model.get_layer("fc_common")
            layer.set_weights([np.full_like(values, np.inf) for values in layer.get_weights()])

    settings = dataclasses.replace(QUICK, validation=fraction)
    with monkeypatch.context() as patch:
        patch.setattr(StopOnNaN, "on_train_batch_end", spoil)
        message = r"weights are not finite after batch \d of epoch 2 \(TARGETIDs 1\d\d\d, .*kept"
        with pytest.raises(TrainingError, match=message):
            train(*survey, tmp_path / "bad", settings)
    for key, values in weights(tmp_path / "bad" / LAST).items():
        np.testing.assert_array_equal(values, good[key])
    train(*survey, tmp_path / "bad", settings, resume=True)


def test_nan_in_threads_names_the_first_batch(keras, tmp_path, monkeypatch):
    """On JAX batches end in other threads, in any order, and must not move the weights."""
    from qnet.training.batches import Batches
    from qnet.training.callbacks import StopOnNaN
    from qnet.training.data import load

    data, truth = make_survey(tmp_path)
    spectra = load(data, qnet.io.read_truth(truth), memory=1.0, keep_pixels=False)
    batches = Batches(spectra, np.arange(len(spectra)), 8, lambda *_: None, 8, seed=1)
    stop = StopOnNaN(batches, batches)
    stop.set_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    stop.on_epoch_begin(4)
    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "jax_state_sync", None, raising=False)
        for batch, loss in ((3, math.nan), (0, 1.0), (2, math.inf), (1, 0.5), (4, math.nan)):
            stop.on_train_batch_end(batch, {"loss": loss})
    assert stop.model.stop_training
    named = ", ".join(map(str, spectra.tids[batches.rows_of(4, 2)[:5]]))
    with pytest.raises(TrainingError, match=rf"loss is inf from batch 3 of epoch 5 on \(.*{named}"):
        stop.on_epoch_end(4)
    stop.on_epoch_begin(5)
    stop.on_epoch_end(5)


def test_nan_in_validation_names_its_batch(survey, tmp_path, monkeypatch):
    from qnet.training.batches import Batches

    plain = Batches._batch

    def poisoned(self, rows, spectra, epoch, step):
        X, target, weight = plain(self, rows, spectra, epoch, step)
        if self.seed is None:
            X[0] = np.nan
        return X, target, weight

    monkeypatch.setattr(Batches, "_batch", poisoned)
    message = r"validation loss of epoch 1 is nan from batch 1 of the validation on \(TARGETIDs 1"
    with pytest.raises(TrainingError, match=message):
        train(*survey, tmp_path / "bad", QUICK)
    assert not (tmp_path / "bad" / LAST).exists()


def test_nan_in_the_first_epoch_promises_no_checkpoint(survey, tmp_path):
    wild = dataclasses.replace(QUICK, learning_rate=1e30)
    with pytest.raises(TrainingError, match="of epoch 1 on") as caught:
        train(*survey, tmp_path / "bad", wild)
    assert "kept" not in str(caught.value)


def test_tensorflow_starts_without_messages_and_later_ones_are_kept():
    """In an interpreter of its own: what is written after the import is not lost."""
    program = (
        "import sys\n"
        "from qnet.training.loop import _without_startup_messages\n"
        "with _without_startup_messages():\n"
        "    import keras\n"
        "print('later', file=sys.stderr)\n"
    )
    own = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=own, capture_output=True, text=True, check=True
    )
    assert done.stderr == "later\n"
