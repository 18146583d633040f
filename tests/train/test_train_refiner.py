"""The second stage in Keras: equality with the NumPy network, its loss, and its training."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from networks import random_weights
from qnet.core.bins import RedshiftBins
from qnet.core.errors import FileError, InputError, OutputExistsError
from qnet.core.grid import QUASARNET_GRID, WavelengthGrid
from qnet.lines import QUASARNET_LINES, QUASARNET_LINES_BAL, SPEED_OF_LIGHT, absorber_IGM
from qnet.model import Model
from qnet.model.architecture import Architecture, RefineArchitecture
from qnet.model.layers import ConvLayer
from qnet.model.refiner import Refiner
from qnet.model.weights import WeightsFile
from qnet.preprocess.restframe import Window, rest_frame
from qnet.simulation import simulate, write_simulation
from qnet.training import Augmentation, Settings, loop, train_refiner
from qnet.training.batches import Batches
from qnet.training.data import load
from qnet.training.second_stage import GUESS_ERRORS, RefineMaker, draw_errors

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("keras")]

GRID = WavelengthGrid.log(3600.0, 10400.0, 5e-4)
ARCH = RefineArchitecture(
    window=Window(GRID, pool=2), convs=(ConvLayer(6, 9, 2, "valid"),) * 3, units=12
)
SCORING = dataclasses.replace(ARCH, scores=True)
WITH_BAL = dataclasses.replace(SCORING, bal=True)
MIX = {"quasar": 0.8, "star": 0.2}


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Simulated spectra on the stage's grid, bright ones of SDSS, and their truth."""
    folder = tmp_path_factory.mktemp("survey")
    paths = folder / "data.fits", folder / "truth.fits"
    write_simulation(simulate(500, seed=4, survey="sdss", mix=MIX), *paths, grid=GRID)
    return paths


def twin():
    """The networks in Keras, which is imported when a test needs it."""
    from qnet.model import keras_network

    return keras_network


def with_statistics(network, seed=0):
    """Batch norms with moving statistics other than zero and one."""
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if layer.name.startswith("refine_bn"):
            shapes = [values.shape for values in layer.get_weights()]
            layer.set_weights([rng.uniform(0.5, 1.5, shape) for shape in shapes])
    return network


@pytest.mark.parametrize("arch", [ARCH, SCORING, WITH_BAL])
def test_the_network_in_keras_gives_the_same_output(keras, arch):
    keras.utils.set_random_seed(1)
    network = with_statistics(twin().build_stage(arch, dropout=0.3))
    arrays = twin().take_arrays(network, arch.shapes())
    assert {name: values.shape for name, values in arrays.items()} == arch.shapes()
    X = np.random.default_rng(2).normal(size=(20, arch.window.npooled, 2)).astype(np.float32)
    found = [values for values in Refiner(arch, arrays).predict(X) if values is not None]
    theirs = network.predict(X, verbose=0)
    np.testing.assert_allclose(np.stack(found, axis=1), theirs, rtol=0, atol=2e-5)


def loss_of(keras, true, pred):
    tensors = (keras.ops.convert_to_tensor(np.asarray(x, np.float32)) for x in (true, pred))
    return keras.ops.convert_to_numpy(twin().refine_loss(*tensors))


def test_the_loss_is_that_of_a_laplace_density_where_the_frame_is_right(keras):
    rng = np.random.default_rng(3)
    true, pred = rng.normal(size=(50, 2)), rng.normal(size=(50, 2))
    true[:, 1] = np.arange(50) % 2
    width = np.exp(pred[:, 1])
    density = np.exp(-np.abs(true[:, 0] - pred[:, 0]) / width) / (2 * width)
    expected = np.where(true[:, 1] == 1, -np.log(2 * density), 0.0)
    np.testing.assert_allclose(loss_of(keras, true, pred), expected, rtol=1e-4, atol=1e-5)


def test_the_score_adds_its_cross_entropy(keras):
    rng = np.random.default_rng(4)
    true, pred = rng.normal(size=(50, 2)), rng.normal(0, 3, (50, 3))
    true[:, 1] = np.arange(50) % 2
    p = 1 / (1 + np.exp(-pred[:, 2]))
    entropy = -np.where(true[:, 1] == 1, np.log(p), np.log(1 - p))
    expected = loss_of(keras, true, pred[:, :2]) + twin().SCORE_WEIGHT * entropy
    np.testing.assert_allclose(loss_of(keras, true, pred), expected, rtol=1e-4, atol=1e-5)


def test_absorption_counts_where_it_is_known(keras):
    rng = np.random.default_rng(5)
    true, pred = rng.normal(size=(60, 4)), rng.normal(0, 3, (60, 4))
    true[:, 1], true[:, 2], true[:, 3] = 1, np.arange(60) % 2, np.arange(60) % 3 > 0
    p = 1 / (1 + np.exp(-pred[:, 3]))
    entropy = -np.where(true[:, 2] == 1, np.log(p), np.log(1 - p))
    expected = loss_of(keras, true[:, :2], pred[:, :3])
    expected = expected + twin().BAL_WEIGHT * np.where(true[:, 3] == 1, entropy, 0.0)
    np.testing.assert_allclose(loss_of(keras, true, pred), expected, rtol=1e-4, atol=1e-5)


def test_guesses_are_off_as_stated():
    errors = draw_errors(np.random.default_rng(0), 200_000, 1e9)
    widths, fractions = np.array(GUESS_ERRORS).T
    assert errors.std() == pytest.approx(np.sqrt((fractions * widths**2).sum()), rel=0.02)
    assert np.abs(draw_errors(np.random.default_rng(0), 1000, 500.0)).max() == 500.0


def test_a_batch_holds_the_velocity_that_undoes_the_guess(survey):
    from qnet.io import read_truth

    data = load(survey[0], read_truth(survey[1]), memory=1.0, keep_pixels=True)
    rows = np.flatnonzero(data.Y[:, 2:4].any(axis=1))[:64]
    batches = Batches(data, rows, 32, RefineMaker(ARCH, Augmentation()), 64)
    first, again = next(batches.epoch(0)), next(batches.epoch(0))
    np.testing.assert_array_equal(first[0], again[0])
    X, (target,), (weight,) = first
    # A guess as far off as may be can be in a frame that is further off.
    right = target[:, 1] == 1
    assert right.sum() >= 28
    assert X.shape == (32, ARCH.window.npooled, 2)
    assert (weight == 1).all()
    # The frame in which the input was made is a whole number of pixels from the redshift of dv.
    X, dv, rows = X[right], target[right, :1], rows[:32][right]
    z = data.z[rows]
    z_frame = (SPEED_OF_LIGHT * z - ARCH.dv_scale * dv[:, 0]) / (
        SPEED_OF_LIGHT + ARCH.dv_scale * dv[:, 0]
    )
    pixels = np.log10(1 + z_frame) / GRID.step
    np.testing.assert_allclose(pixels, np.round(pixels), atol=1e-3)
    same, _ = rest_frame(data.flux[rows], data.ivar[rows], z_frame, ARCH.window)
    np.testing.assert_array_equal(X, same)


def test_it_learns_from_simulated_quasars(survey, tmp_path):
    settings = Settings(epochs=6, batch_size=32, learning_rate=3e-3, validation=0.2, seed=3)
    arrays, history = train_refiner(*survey, tmp_path / "run", ARCH, settings)
    assert history[-1]["loss"] < history[0]["loss"] - 0.1
    best = min(row["val_loss"] for row in history)
    assert best < history[0]["val_loss"]
    refiner = Refiner(ARCH, arrays)
    again, _ = train_refiner(*survey, tmp_path / "again", ARCH, settings)
    for name, values in arrays.items():
        np.testing.assert_array_equal(values, again[name])
    assert np.isfinite(refiner.predict(np.zeros((1, ARCH.window.npooled, 2)))[0]).all()


def test_every_validation_sees_the_same_spectra(survey):
    import keras

    from qnet.io import read_truth
    from qnet.training.callbacks import ValidationData

    data = load(survey[0], read_truth(survey[1]), memory=1.0, keep_pixels=True)
    rows = np.flatnonzero(data.Y[:, 2:4].any(axis=1))[:200]
    batches = Batches(data, rows, 32, RefineMaker(ARCH, Augmentation()), 64)
    network = twin().build_stage(ARCH)
    network.compile(optimizer=keras.optimizers.SGD(0.0), loss=twin().refine_loss)
    for name in ("refine_bn_1", "refine_bn_2", "refine_bn_3", "refine_bn_fc"):
        network.get_layer(name).momentum = 1.0  # nothing changes from epoch to epoch
    validation = ValidationData(batches)
    assert len(validation) == 7
    made = [validation[step] for step in range(len(validation))]
    X, target, weight = (np.concatenate(parts) for parts in zip(*made, strict=True))
    wanted = network.evaluate(X, target, sample_weight=weight, batch_size=32, verbose=0)
    done = network.fit(X, target, epochs=4, validation_data=validation, verbose=0)
    np.testing.assert_allclose(done.history["val_loss"], wanted, rtol=1e-5)


class Stopped(Exception):
    """What ends a run in the tests below."""


def test_a_run_that_was_stopped_goes_on(survey, tmp_path, monkeypatch):
    settings = Settings(epochs=4, batch_size=32, learning_rate=3e-3, validation=0.2, seed=3)
    run = *survey, tmp_path / "run"
    whole, history = train_refiner(*survey, tmp_path / "whole", ARCH, settings, dropout=0.2)
    save = loop.save_checkpoint

    def stop(folder, network, state):
        save(folder, network, state)
        if state.epoch == 2:
            raise Stopped

    monkeypatch.setattr(loop, "save_checkpoint", stop)
    with pytest.raises(Stopped):
        train_refiner(*run, ARCH, settings, dropout=0.2)
    monkeypatch.setattr(loop, "save_checkpoint", save)
    with pytest.raises(OutputExistsError, match="holds a training run"):
        train_refiner(*run, ARCH, settings, dropout=0.2)
    other = dataclasses.replace(settings, seed=4)
    with pytest.raises(InputError, match=r"cannot be resumed: its settings\.seed was 3"):
        train_refiner(*run, ARCH, other, dropout=0.2, resume=True)
    resumed, after = train_refiner(*run, ARCH, settings, dropout=0.2, resume=True)
    assert [row["epoch"] for row in after] == [1, 2, 3, 4]
    assert after == history
    for name, values in whole.items():
        np.testing.assert_array_equal(values, resumed[name])
    # A run that is done is read, not trained again; its best arrays may be damaged by then.
    again, _ = train_refiner(*run, ARCH, settings, dropout=0.2, resume=True)
    np.testing.assert_array_equal(again["refine_out.kernel"], whole["refine_out.kernel"])
    best = tmp_path / "run" / "best.safetensors"
    best.write_bytes(best.read_bytes()[:100])
    with pytest.raises(FileError, match=r"best\.safetensors: cannot be read"):
        train_refiner(*run, ARCH, settings, dropout=0.2, resume=True)
    with pytest.raises(InputError, match="resume and overwrite contradict one another"):
        train_refiner(*run, ARCH, settings, resume=True, overwrite=True)


@pytest.fixture(scope="module")
def finder():
    """A first stage that proposes redshifts at random."""
    architecture = Architecture(
        grid=QUASARNET_GRID,
        lines=QUASARNET_LINES,
        lines_bal=QUASARNET_LINES_BAL,
        rest=absorber_IGM,
        nboxes=13,
        convs=(ConvLayer(3, 10, 5, "valid"),),
        units=8,
        redshifts=RedshiftBins(0.05, 6.8, 30),
    )
    arrays = random_weights(architecture.shapes(), 6)
    return Model(WeightsFile(architecture, arrays, name="finder", version="1"))


def test_a_stage_with_scores_is_trained_on_candidates_of_the_first(survey, finder):
    from qnet.io import read_truth

    data = load(survey[0], read_truth(survey[1]), memory=1.0, keep_pixels=True)
    rows = np.arange(256)
    batches = Batches(data, rows, 256, RefineMaker(SCORING, Augmentation(), finder), 256)
    X, (target,), _ = next(batches.epoch(0))
    dv, right = target[:, 0], target[:, 1] == 1
    quasar = data.Y[rows, 2:4].any(axis=1)
    assert not right[~quasar].any()
    assert (dv[~right] == 0).all()
    # About half of the quasars are seen near their redshift, the others at a random one.
    assert 0.4 < right[quasar].mean() < 0.75
    assert np.abs(dv[right]).max() * SCORING.dv_scale <= SCORING.max_dv
    assert np.isfinite(X).all()


def test_candidates_are_drawn_by_the_root_of_their_probabilities(monkeypatch):
    from types import SimpleNamespace

    bins = RedshiftBins(0.05, 6.8, 30)
    places, heights = np.array([4, 15, 25]), np.array([0.64, 0.25, 0.01])
    posterior = np.zeros((3, bins.noutputs))
    for row in range(3):
        posterior[row, (places + row) % 30] = heights
    rng, count = np.random.default_rng(0), 4000
    which = np.arange(count) % 3

    class Finder:
        grid, name = QUASARNET_GRID, "stub"
        architecture = SimpleNamespace(redshifts=bins)

        def forward(self, X):
            return SimpleNamespace(posterior=posterior[which])

    flux = rng.normal(size=(count, GRID.npix)).astype(np.float32)
    maker = RefineMaker(SCORING, Augmentation(), Finder())
    z = maker._candidates(Finder(), flux, np.ones_like(flux), rng)
    chance = np.sqrt(heights + 1e-4) / np.sqrt(heights + 1e-4).sum()
    for row in range(3):
        own = bins.z_at((places + row) % 30 + 0.5)
        drawn = np.abs(z[which == row][:, None] - own) < 1e-6
        assert (drawn.sum(axis=1) == 1).all()
        np.testing.assert_allclose(drawn.mean(axis=0), chance, atol=0.04)


def test_uncertain_classes_have_no_weight(survey, finder):
    from qnet.io import read_truth

    data = load(survey[0], read_truth(survey[1]), memory=1.0, keep_pixels=True)
    Y = data.Y.copy()
    Y[:50] = np.eye(5)[4]
    unsure = dataclasses.replace(data, Y=Y)
    batches = Batches(
        unsure, np.arange(100), 100, RefineMaker(SCORING, Augmentation(), finder), 100
    )
    (weight,) = next(batches.epoch(0))[2]
    np.testing.assert_array_equal(weight, (next(iter(batches.order(0))) >= 50).astype(np.float32))


def test_absorption_is_known_of_quasars_in_their_frame(survey, finder):
    from qnet.io import read_truth

    data = load(survey[0], read_truth(survey[1]), memory=1.0, keep_pixels=True)
    rows = np.arange(len(data))
    batches = Batches(data, rows, len(rows), RefineMaker(WITH_BAL, Augmentation(), finder), 512)
    _, (target,), _ = next(batches.epoch(0))
    right, absorbed, known = target[:, 1] == 1, target[:, 2] == 1, target[:, 3] == 1
    order = next(iter(batches.order(0)))
    bal = data.bal[order]
    np.testing.assert_array_equal(known, right & (bal != 0))
    np.testing.assert_array_equal(absorbed[known], bal[known] == 1)
    assert absorbed[known].any()
    assert (~absorbed[known]).any()


@pytest.mark.parametrize("arch", [SCORING, WITH_BAL])
def test_it_learns_scores(survey, tmp_path, finder, arch):
    settings = Settings(epochs=4, batch_size=32, learning_rate=3e-3, validation=0.2, seed=3)
    arrays, history = train_refiner(*survey, tmp_path / "run", arch, settings, finder=finder)
    assert {name: values.shape for name, values in arrays.items()} == arch.shapes()
    assert min(row["val_loss"] for row in history) < history[0]["val_loss"]


def with_stage(finder, arch, arrays):
    """A model of both stages."""
    every = {**finder.weights.arrays, **arrays}
    return Model(dataclasses.replace(finder.weights, refine=arch, arrays=every, name="both"))


def test_it_starts_from_a_second_stage_of_another_model(survey, tmp_path, finder):
    arrays, others = (random_weights(WITH_BAL.shapes(), seed) for seed in (1, 2))
    path = with_stage(finder, WITH_BAL, arrays).save(tmp_path / "both.safetensors")
    run = *survey, tmp_path / "run"
    still = Settings(epochs=1, learning_rate=1e-9, batch_size=128, precision="mixed_bfloat16")
    tuned, _ = train_refiner(*run, WITH_BAL, still, init=path, finder=finder)
    for name, values in tuned.items():
        if "moving" not in name:
            np.testing.assert_allclose(values, arrays[name], rtol=0, atol=1e-6, err_msg=name)
    # A run is that of what it started from; it goes on with the same file.
    more = dataclasses.replace(still, epochs=2)
    other = with_stage(finder, WITH_BAL, others)
    with pytest.raises(InputError, match="cannot be resumed: its init was"):
        train_refiner(*run, settings=more, init=other, finder=finder, resume=True)
    _, history = train_refiner(*run, settings=more, init=path, finder=finder, resume=True)
    assert [row["epoch"] for row in history] == [1, 2]


def test_what_a_second_stage_cannot_start_from(survey, tmp_path, finder):
    settings, folder = Settings(epochs=1), tmp_path / "run"
    with pytest.raises(InputError, match="finder@1 has no second stage to start from"):
        train_refiner(*survey, folder, settings=settings, init=finder)
    both = with_stage(finder, SCORING, random_weights(SCORING.shapes()))
    with pytest.raises(InputError, match="the architecture is not that of both@1"):
        train_refiner(*survey, folder, WITH_BAL, settings, init=both)


def test_scores_and_a_finder_go_together(survey, tmp_path, finder):
    folder = tmp_path / "run"
    for arch, given in ((SCORING, None), (ARCH, finder)):
        with pytest.raises(InputError, match="scores needs a finder, and no other does"):
            train_refiner(*survey, folder, arch, Settings(epochs=1), finder=given)
    architecture = dataclasses.replace(finder.architecture, redshifts=None)
    arrays = {name: finder.weights.arrays[name] for name in architecture.shapes()}
    headless = Model(WeightsFile(architecture, arrays, name="headless", version="1"))
    with pytest.raises(InputError, match="headless@1 has no redshift head"):
        train_refiner(*survey, folder, SCORING, Settings(epochs=1), finder=headless)


def test_what_cannot_be_trained_on(survey, tmp_path):
    settings, folder = Settings(epochs=1), tmp_path / "run"
    other = dataclasses.replace(ARCH, window=Window(WavelengthGrid.log(3600.0, 10400.0, 2.5e-4)))
    with pytest.raises(InputError, match="the data are on the grid"):
        train_refiner(*survey, folder, other, settings)
    with pytest.raises(InputError, match="needs quasars to train on, and some for validation"):
        train_refiner(*survey, folder, ARCH, dataclasses.replace(settings, validation=0.0))
    paths = tmp_path / "stars.fits", tmp_path / "truth.fits"
    write_simulation(simulate(30, seed=4, mix={"star": 1.0}), *paths, grid=GRID)
    with pytest.raises(InputError, match="needs quasars to train on"):
        train_refiner(*paths, folder, ARCH, settings)
    coarse = tmp_path / "coarse.fits", tmp_path / "coarse-truth.fits"
    write_simulation(simulate(30, seed=4), *coarse, grid=QUASARNET_GRID)
    with pytest.raises(InputError, match="the data are on the grid"):
        train_refiner(*coarse, folder, ARCH, settings)
