"""The forward pass: against plain loops, in both precisions, and how much work it does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qnet
from networks import random_weights
from qnet.core.grid import QUASARNET_GRID, WavelengthGrid
from qnet.lines import QUASARNET_LINES, QUASARNET_LINES_BAL, rest_wavelengths
from qnet.model.architecture import Architecture, RefineArchitecture
from qnet.model.layers import ConvLayer, DenseLayer, Layer, LayerList
from qnet.model.network import CHUNK_SIZE, ConvStack, Network
from qnet.model.refiner import Refiner
from qnet.preprocess.restframe import Window

LINES = (*QUASARNET_LINES, *QUASARNET_LINES_BAL)


def architecture(filters=100, *, convs=None, units=100):
    """The published network."""
    return Architecture(
        grid=QUASARNET_GRID,
        lines=tuple(QUASARNET_LINES),
        lines_bal=tuple(QUASARNET_LINES_BAL),
        rest=dict(zip(LINES, map(float, rest_wavelengths(LINES)), strict=True)),
        nboxes=13,
        convs=convs or (ConvLayer(filters, 10, 2, "valid"),) * 4,
        units=units,
    )


def naive_stack(convs, weights, X):
    """Convolutions, one output pixel after the other, and a dense layer, with norm and ReLU."""

    def norm_relu(values, name):
        gamma, beta, mean, variance = (
            weights[f"{name}.{part}"].astype(np.float64)
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return np.maximum((values - mean) / np.sqrt(variance + 1e-3) * gamma + beta, 0)

    values = X.astype(np.float64)
    for number, conv in enumerate(convs):
        before, after = conv.pad(values.shape[1])
        values = np.pad(values, ((0, 0), (before, after), (0, 0)))
        kernel, bias = weights[f"c{number}.kernel"].astype(np.float64), weights[f"c{number}.bias"]
        steps = range(0, values.shape[1] - conv.width + 1, conv.stride)
        out = [
            np.tensordot(values[:, first : first + conv.width], kernel, ([1, 2], [0, 1])) + bias
            for first in steps
        ]
        values = norm_relu(np.stack(out, axis=1), f"n{number}")
    flat = values.reshape(len(X), -1)
    return norm_relu(flat @ weights["d.kernel"].astype(np.float64) + weights["d.bias"], "dn")


layers = st.builds(
    ConvLayer,
    filters=st.integers(1, 3),
    width=st.integers(1, 7),
    stride=st.integers(1, 5),
    padding=st.sampled_from(["valid", "same"]),
)


@settings(deadline=None, max_examples=150)
@given(
    convs=st.lists(layers, min_size=1, max_size=3),
    npix=st.integers(1, 40),
    channels=st.integers(1, 2),
    nspec=st.integers(1, 4),
)
def test_any_stack_of_convolutions_equals_plain_loops(convs, npix, channels, nspec):
    length = npix
    for conv in convs:
        length = conv.output_length(length)
        if length < 1:
            return
    listed = LayerList(
        (npix, channels),
        tuple(Layer(f"c{number}", conv, f"n{number}") for number, conv in enumerate(convs)),
        Layer("d", DenseLayer(3), "dn"),
        (),
    )
    weights = random_weights(listed.shapes())
    X = np.random.default_rng(0).normal(size=(nspec, npix, channels))
    found = ConvStack(listed, weights, np.dtype(np.float64))(X)
    # The deviations of the norms are rounded to the precision of the weights.
    np.testing.assert_allclose(found, naive_stack(convs, weights, X), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "convs",
    [
        (ConvLayer(20, 10, 2, "valid"),) * 4,
        (ConvLayer(20, 10, 2, "same"),) * 6,
        (ConvLayer(20, 9, 2, "valid"), ConvLayer(16, 5, 3, "same"), ConvLayer(8, 2, 4, "valid")),
    ],
)
def test_single_precision_is_near_double(convs):
    arch = architecture(convs=convs)
    weights = random_weights(arch.shapes())
    X = np.random.default_rng(1).normal(size=(70, 443)).astype(np.float32)
    single, double = Network(arch, weights).predict(X), Network(arch, weights, float).predict(X)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single[:, :, :13], double[:, :, :13], rtol=0, atol=3e-6)


@pytest.mark.parametrize("name", ["four_layer", "six_layer"])
@pytest.mark.parametrize("sample", ["boss", "desi"])
def test_single_precision_moves_no_box_and_no_redshift(request, golden, name, sample):
    path = request.getfixturevalue(name)
    model, X = qnet.load_model(path), golden(path)[f"{sample}_X"]
    single, double = model.predict(X), model.predict(X, dtype=np.float64)
    confidences = [np.asarray(preds)[:, :, :13] for preds in (single, double)]
    np.testing.assert_allclose(*confidences, rtol=0, atol=3e-6)
    sure = confidences[1].max(axis=2) > 0.5
    assert sure.any()
    boxes = [values.argmax(axis=2)[sure] for values in confidences]
    np.testing.assert_array_equal(*boxes)
    found, wanted = model.decode(single), model.decode(double)
    sure = wanted.c_line > 0.5
    error = np.abs(found.z_line - wanted.z_line) / (1 + wanted.z_line)
    assert error[sure].max() < 1e-7


def test_a_spectrum_does_not_depend_on_its_neighbours():
    arch = architecture(20)
    network = Network(arch, random_weights(arch.shapes()), np.float64)
    X = np.random.default_rng(2).normal(size=(40, 443))
    whole = network.predict(X)
    for rows in (slice(0, 1), slice(39, 40), slice(7, 20)):
        np.testing.assert_allclose(network.predict(X[rows]), whole[:, rows], rtol=0, atol=1e-13)
    X[11, 5] = np.nan
    touched = network.predict(X)
    assert np.isnan(touched[:, 11]).all()
    others = np.arange(40) != 11
    np.testing.assert_array_equal(touched[:, others], whole[:, others])


class Products:
    """Counts the matrix products of `numpy.matmul` and their operations; refuses copied windows."""

    def __init__(self, monkeypatch):
        self.calls, self.operations = 0, 0.0
        self._matmul = np.matmul
        monkeypatch.setattr(np, "matmul", self)

    def __call__(self, kernel, windows, out):
        # Copied windows would not overlap.
        assert windows.strides[0] < windows.shape[1] * windows.strides[1]
        assert kernel.flags.c_contiguous
        assert windows.strides[2] == windows.itemsize
        self.calls += 1
        self.operations += 2.0 * kernel.shape[1] * out.size
        return self._matmul(kernel, windows, out=out)


def convolution_operations(convs, npix, channels):
    """Multiplications and additions that the convolutions of a spectrum need."""
    total = 0.0
    for conv in convs:
        npix = conv.output_length(npix)
        total += 2.0 * npix * conv.width * channels * conv.filters
        channels = conv.filters
    return total


def test_published_network_does_little_more_work_than_it_must(monkeypatch):
    arch = architecture()
    network = Network(arch, random_weights(arch.shapes()))
    nspec = 2 * CHUNK_SIZE
    count = Products(monkeypatch)
    network.predict(np.ones((nspec, 443), np.float32))
    # Two chunks, four convolutions: one call for all pixels of each.
    assert count.calls == 2 * 4
    needed = nspec * convolution_operations(arch.convs, 443, 1)
    # Pixels that no later layer reads are left out.
    assert 0.95 * needed < count.operations < needed


def test_second_stage_does_little_more_work_than_it_must(monkeypatch):
    arch = RefineArchitecture(
        window=Window(WavelengthGrid.log(3600.0, 10400.0, 2.5e-4)),
        convs=(ConvLayer(24, 9, 2, "valid"),) * 4,
        units=64,
    )
    refiner = Refiner(arch, random_weights(arch.shapes()))
    count = Products(monkeypatch)
    refiner.predict(np.ones((CHUNK_SIZE, arch.window.npooled, 2), np.float32))
    assert count.calls == 4
    needed = CHUNK_SIZE * convolution_operations(arch.convs, arch.window.npooled, 2)
    # Pixels that no later layer reads are left out.
    assert 0.95 * needed < count.operations < needed
