"""The network and its loss in Keras, on the backend that KERAS_BACKEND names."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import qnet
from networks import random_weights, write_legacy
from qnet.core.bins import RedshiftBins
from qnet.core.errors import InputError
from qnet.core.grid import QUASARNET_LINEAR_GRID
from qnet.lines import QUASARNET_LINES, QUASARNET_LINES_BAL, absorber_IGM
from qnet.model import ConvLayer
from qnet.objective import CLASSES, objective

# What the backends warn of is not ours.
pytestmark = pytest.mark.filterwarnings("ignore")

EPSILON = 1e-7

#: Of the runs that are killed or stop, those that are tried on each backend.
ON_ANY_BACKEND = (
    "test_a_run_that_was_killed_goes_on_to_the_same_end",
    "test_nan_stops_the_run_with_the_batch_named",
    "test_nan_in_threads_names_the_first_batch",
    "test_nan_in_validation_names_its_batch",
    "test_nan_in_the_first_epoch_promises_no_checkpoint",
)


@pytest.fixture(scope="module")
def training_set():
    """Input, targets and weights of a few made-up spectra."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(64, 443)).astype(np.float32)
    Y = np.eye(len(CLASSES))[rng.integers(0, 5, 64)]
    bal = rng.integers(-1, 2, 64)
    z = rng.uniform(0, 4, 64)
    return X, *objective(z, Y, bal, QUASARNET_LINES, QUASARNET_LINES_BAL)


def small(model_module, **options):
    """A small network."""
    sizes = {"nlines": 7, "filters": 6, "units": 8}
    return model_module.QuasarNET((443, 1), **(sizes | options))


def predict(keras_model, X):
    return [np.asarray(out) for out in keras_model.predict(X[:, :, None], verbose=0)]


def test_layers_and_size_of_the_published_network(keras):
    network = qnet.model.QuasarNET((443, 1), nlines=7)
    names = {layer.name for layer in network.layers}
    assert {"conv_1", "conv_4", "fc_common", "fc_box_0", "fc_box_6", "fc_offset_6"} <= names
    assert "conv_5" not in names
    assert network.count_params() == 521_882
    assert [out.shape for out in network.outputs] == [(None, 26)] * 7
    assert not any(type(layer).__name__ == "Lambda" for layer in network.layers)


def reference_loss(y_true, y_pred):
    """The loss in plain loops over spectra and boxes."""
    nboxes = y_pred.shape[1] // 2
    losses = []
    for truth, pred in zip(y_true.astype(float), y_pred.astype(float), strict=True):
        box, found = truth[:nboxes], pred[:nboxes]
        inside, outside = box.sum() + EPSILON, (1 - box).sum() + EPSILON
        loss = 0.0
        for i in range(nboxes):
            loss -= box[i] * np.log(np.clip(found[i], EPSILON, 1 - EPSILON)) / inside
            loss -= (1 - box[i]) * np.log(np.clip(1 - found[i], EPSILON, 1 - EPSILON)) / outside
            loss += box[i] * (truth[nboxes + i] - pred[nboxes + i]) ** 2 / inside
        losses.append(loss)
    return np.array(losses)


def test_the_loss_equals_plain_loops(keras, training_set):
    _, target, _ = training_set
    rng = np.random.default_rng(0)
    pred = rng.uniform(size=target[0].shape).astype(np.float32)
    pred[0, :13], pred[1, :13] = 0.0, 1.0
    found = keras.ops.convert_to_numpy(
        qnet.model.custom_loss(
            keras.ops.convert_to_tensor(target[0].astype(np.float32)),
            keras.ops.convert_to_tensor(pred),
        )
    )
    assert found.shape == (64,)
    np.testing.assert_allclose(found, reference_loss(target[0], pred), rtol=2e-4, atol=1e-6)


def test_the_cross_entropy_loss_equals_plain_loops(keras, training_set):
    from qnet.model.keras_network import OFFSET_SCALE, OFFSET_WEIGHT, cross_entropy_loss

    _, target, _ = training_set
    rng = np.random.default_rng(0)
    pred = rng.uniform(size=target[0].shape).astype(np.float32)
    pred[0, :13], pred[1, :13] = 0.0, 1.0
    pred[2:20, 13:] = target[0][2:20, 13:] + rng.uniform(-0.03, 0.03, (18, 13))
    found = keras.ops.convert_to_numpy(
        cross_entropy_loss(
            keras.ops.convert_to_tensor(target[0].astype(np.float32)),
            keras.ops.convert_to_tensor(pred),
        )
    )
    for row, (truth, guess) in enumerate(zip(target[0], pred.astype(float), strict=True)):
        loss = 0.0
        for i in range(13):
            c = np.clip(guess[i], EPSILON, 1 - EPSILON)
            miss = abs(truth[13 + i] - guess[13 + i])
            smooth = (
                miss**2 / (2 * OFFSET_SCALE) if miss < OFFSET_SCALE else miss - OFFSET_SCALE / 2
            )
            loss -= truth[i] * np.log(c) + (1 - truth[i]) * np.log(1 - c)
            loss += OFFSET_WEIGHT * truth[i] * smooth
        # Where a confidence is 1, single precision leaves little of 1 - c.
        assert found[row] == pytest.approx(loss, rel=2e-3, abs=2e-2)


def test_the_gradient_of_the_loss_equals_finite_differences(keras, training_set):
    """Of one gradient step of one dense layer, whose gradient is that of the loss."""
    _, target, _ = training_set
    rng = np.random.default_rng(1)
    pred = rng.uniform(0.1, 0.9, (64, 26)).astype(np.float32)
    start = rng.uniform(-0.01, 0.01, 26).astype(np.float32)
    inputs = keras.Input((26,))
    layer = keras.layers.Dense(26, kernel_initializer="identity", name="shift")
    model = keras.Model(inputs, layer(inputs))
    layer.set_weights([np.eye(26, dtype=np.float32), start])
    rate = 1e-2
    model.compile(optimizer=keras.optimizers.SGD(rate), loss=qnet.model.custom_loss)
    model.fit(pred, target[0], batch_size=64, epochs=1, verbose=0)
    gradient = (start - layer.get_weights()[1]) / rate
    step = 1e-4
    for index in range(26):
        shift = np.zeros(26)
        shift[index] = step
        high, low = (
            reference_loss(target[0], pred.astype(float) + start + sign * shift).mean()
            for sign in (1, -1)
        )
        assert gradient[index] == pytest.approx((high - low) / (2 * step), rel=2e-2, abs=2e-3)


def test_compile_and_fit_as_in_the_tutorial(keras, training_set, tmp_path):
    X, target, sample_weight = training_set
    lines, lines_bal = list(QUASARNET_LINES), list(QUASARNET_LINES_BAL)
    keras.utils.set_random_seed(1)
    model = small(qnet.model)
    loss = [qnet.model.custom_loss] * (len(lines) + len(lines_bal))
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss=loss, metrics=[])
    history = model.fit(
        X[:, :, None], target, epochs=30, batch_size=32, sample_weight=sample_weight, verbose=0
    )
    assert history.history["loss"][-1] < 0.8 * history.history["loss"][0]
    preds = model.predict(X[:, :, None], verbose=0)
    c_line, *_ = qnet.process_preds(preds, lines, lines_bal, verbose=False)
    assert c_line.shape == (6, 64)
    # The trained model is a qnet model, to the rounding of single precision.
    trained = qnet.Model.from_keras(model, name="trained", version="3")
    assert trained.name == "trained@3"
    np.testing.assert_allclose(trained.predict(X), preds, rtol=0, atol=2e-5)
    trained.save(tmp_path / "trained.safetensors")
    again = qnet.load_model(tmp_path / "trained.safetensors").to_keras()
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(predict(again, X), preds, rtol=0, atol=2e-6)


def test_a_keras_file_reloads_in_safe_mode(keras, training_set, tmp_path):
    X, _, _ = training_set
    model = small(qnet.model)
    model.compile(optimizer="adam", loss=[qnet.model.custom_loss] * 7)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(predict(again, X), predict(model, X))
    assert again.loss[0] is qnet.model.custom_loss


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"offset_activation_function": "sigmoid"},
        {"offset_activation_function": "linear"},
        {"nlayers": 6, "padding": "same", "dropout": 0.2},
        {"nlayers": 2, "width": 7, "strides": 3, "boxes": 29},
        {"reg_conv": 1e-3, "reg_fc": 1e-2},
    ],
    ids=str,
)
def test_a_model_converts_and_back_without_loss(keras, options):
    keras.utils.set_random_seed(5)
    network = small(qnet.model, **options)
    for layer in network.layers:  # moving statistics other than zero and one
        if layer.name.startswith("batch_normalization"):
            rng = np.random.default_rng(len(layer.name))
            shapes = [values.shape for values in layer.get_weights()]
            layer.set_weights([rng.uniform(0.5, 1.5, shape) for shape in shapes])
    model = qnet.Model.from_keras(network)
    X = np.random.default_rng(0).normal(size=(20, 443)).astype(np.float32)
    np.testing.assert_allclose(model.predict(X), predict(network, X), rtol=0, atol=2e-5)
    back = model.to_keras()
    for ours, theirs in zip(back.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(predict(back, X), predict(network, X), rtol=0, atol=2e-6)


def test_a_redshift_head_and_convolutions_that_differ_travel_with_the_model(keras):
    bins = RedshiftBins(0.05, 6.8, 30)
    sizes = {"filters": (4, 6, 5, 7), "width": (10, 6, 5, 4)}
    network = small(qnet.model, **sizes, dropout=0.1, redshift_outputs=bins.noutputs)
    model = qnet.Model.from_keras(network, redshifts=bins)
    assert tuple(conv.filters for conv in model.architecture.convs) == sizes["filters"]
    assert tuple(conv.width for conv in model.architecture.convs) == sizes["width"]
    assert model.architecture.redshifts == bins
    X = np.random.default_rng(0).normal(size=(20, 443)).astype(np.float32)
    output, theirs = model.forward(X), predict(network, X)
    np.testing.assert_allclose(output.preds, theirs[:-1], rtol=0, atol=2e-5)
    np.testing.assert_allclose(output.posterior, theirs[-1], rtol=0, atol=2e-5)
    back = model.to_keras()
    for ours, expected in zip(predict(back, X), theirs, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-6)
    for wrong in (None, RedshiftBins(0.05, 6.8, 29)):
        with pytest.raises(InputError, match="redshift head has 32 outputs, but redshifts is"):
            qnet.Model.from_keras(network, redshifts=wrong)
    with pytest.raises(InputError, match="redshift head has 0 outputs, but redshifts is"):
        qnet.Model.from_keras(small(qnet.model), redshifts=bins)
    with pytest.raises(InputError, match=r"filters \(4, 6\) must be one number, or 4"):
        small(qnet.model, filters=(4, 6))
    with pytest.raises(InputError, match=r"width \(4, 6\) must be one number, or 4"):
        small(qnet.model, width=(4, 6))


def test_networks_of_any_convolutions_and_rescale_become_keras_models(keras, small_model):
    """Also those that `QuasarNET` does not build: strides that differ, another rescale."""
    architecture = dataclasses.replace(
        small_model.architecture,
        convs=(ConvLayer(4, 10, 3, "same", 0.02), ConvLayer(5, 6, 2, "valid")),
        offset_scale=1.4,
        offset_shift=-0.2,
    )
    arrays = random_weights(architecture.shapes(), 7)
    model = qnet.Model(
        dataclasses.replace(small_model.weights, architecture=architecture, arrays=arrays)
    )
    X = np.random.default_rng(0).normal(size=(20, 443)).astype(np.float32)
    twin = model.to_keras()
    np.testing.assert_allclose(predict(twin, X), model.predict(X), rtol=0, atol=2e-5)
    assert qnet.Model.from_keras(twin).architecture == architecture


def test_half_precision_leaves_outputs_and_policy_as_they_were(keras):
    from qnet.training.loop import new_network

    before = keras.config.dtype_policy()
    network = new_network(lambda: small(qnet.model, redshift_outputs=12), 1, "mixed_bfloat16")
    assert keras.config.dtype_policy() == before
    assert network.get_layer("conv_1").compute_dtype == "bfloat16"
    assert {out.dtype for out in network.outputs} == {"float32"}
    assert {str(values.dtype) for values in network.get_weights()} == {"float32"}


def test_lines_and_grid_travel_with_a_trained_model(keras):
    network = qnet.model.QuasarNET((458, 1), nlines=2, filters=4, units=4)
    rest = {**absorber_IGM, "Halpha": 6564.61}
    model = qnet.Model.from_keras(network, lines=["Halpha"], lines_bal=["CIV(1548)"], rest=rest)
    assert model.grid == QUASARNET_LINEAR_GRID
    assert model.rest == {"Halpha": 6564.61, "CIV(1548)": 1548.2049}
    with pytest.raises(InputError, match="the network has 2 outputs, but 6 lines"):
        qnet.Model.from_keras(network)


def test_networks_that_keras_cannot_have(keras, tmp_path):
    with pytest.raises(InputError, match="must be one of rescaled_sigmoid, sigmoid, linear, not"):
        small(qnet.model, offset_activation_function="relu")
    with pytest.raises(InputError, match="40 input pixels are too few for convolution 3 of 4"):
        qnet.model.QuasarNET((40, 1), nlines=1)
    with pytest.raises(InputError, match="lines must differ from one another"):
        qnet.training.NetworkOptions(lines=("LYA", "LYA"))
    other = keras.Sequential([keras.Input((443,)), keras.layers.Dense(3)])
    with pytest.raises(InputError, match=r"no QuasarNET network|expected convolutions"):
        qnet.Model.from_keras(other)


@pytest.mark.parametrize("stem", ["quasarnet_4layer_25filter", "quasarnet_6layer_100filter"])
def test_imported_weights_give_the_golden_predictions_in_keras(keras, shared_data, golden, stem):
    weights = shared_data / "quasarnet_weights" / f"{stem}.h5"
    network = qnet.load_model(weights).to_keras()
    expected = golden(weights)
    for sample in ("boss", "desi"):
        found = predict(network, expected[f"{sample}_X"].astype(np.float32))
        np.testing.assert_allclose(found, expected[f"{sample}_pred"], rtol=0, atol=2e-5)


def test_imported_batch_norms_keep_their_epsilon(keras, tmp_path):
    model = qnet.load_model(write_legacy(tmp_path / "model.h5", epsilon=0.05))
    X = np.random.default_rng(0).normal(size=(4, 443)).astype(np.float32)
    np.testing.assert_allclose(predict(model.to_keras(), X), model.predict(X), rtol=0, atol=2e-5)


@pytest.mark.skipif(os.environ.get("QNET_NESTED") == "1", reason="this is the nested run")
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_same_on_another_backend(backend):
    """Tests of this file, and runs that are killed or stop, in a fresh interpreter."""
    pytest.importorskip("keras")
    probe = subprocess.run([sys.executable, "-c", f"import {backend}"], check=False)
    if probe.returncode:
        pytest.skip(f"the backend {backend} is not installed")
    environment = {**os.environ, "KERAS_BACKEND": backend, "QNET_NESTED": "1"}
    here = Path(__file__)
    tests = [here, *(f"{here.with_name('test_train_stops.py')}::{name}" for name in ON_ANY_BACKEND)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, tests)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
