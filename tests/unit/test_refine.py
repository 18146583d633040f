"""The second stage: the rest frame of a guess, and the redshift found there."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from makers import make_spectra
from networks import random_weights, refine_architecture
from qnet.core.errors import InputError
from qnet.core.grid import QUASARNET_GRID, QUASARNET_LINEAR_GRID, WavelengthGrid
from qnet.core.spectra import Camera
from qnet.lines import SPEED_OF_LIGHT
from qnet.model.architecture import RefineArchitecture
from qnet.model.layers import ConvLayer
from qnet.model.refiner import Refiner
from qnet.preprocess.rebinning import rebin
from qnet.preprocess.restframe import fine_spectra, rest_frame, whole_pixels

ARCH = refine_architecture()
WINDOW, FINE = ARCH.window, ARCH.window.grid


def fine(nspec=4, seed=0, window=WINDOW):
    """Random spectra on the fine grid, with gaps."""
    rng = np.random.default_rng(seed)
    flux = rng.normal(2, 1, (nspec, window.grid.npix))
    ivar = rng.uniform(0.5, 2, flux.shape) * (rng.uniform(size=flux.shape) > 0.1)
    return np.where(ivar > 0, flux, 0.0), ivar


@pytest.fixture(scope="module")
def refiner():
    weights = random_weights(ARCH.shapes(), 3)
    weights["refine_out.kernel"] *= 0.05
    return Refiner(ARCH, weights)


def test_the_window_is_that_of_the_architecture():
    assert WINDOW.npooled == 791
    wave = WINDOW.rest_wave
    assert wave[0] == pytest.approx(1140, rel=1.3e-4 * np.log(10))
    assert 7000 < wave[-1] < 7060
    assert np.allclose(np.diff(np.log10(wave)), WINDOW.pool * FINE.step)
    assert RefineArchitecture.from_dict(ARCH.to_dict()) == ARCH


def naive_rest_frame(flux, ivar, z, window):
    """One spectrum, one pooled pixel at a time."""
    shift = round(np.log10(1 + z) / window.grid.step)
    mean, total = np.zeros(window.npooled), np.zeros(window.npooled)
    for out in range(window.npooled):
        places = [window.first_pixel + out * window.pool + i + shift for i in range(window.pool)]
        places = [place for place in places if 0 <= place < window.grid.npix]
        total[out] = sum(ivar[place] for place in places)
        if total[out] > 0:
            mean[out] = sum(ivar[place] * flux[place] for place in places) / total[out]
    m = (mean * total).sum() / total.sum()
    s = np.sqrt(((mean - m) ** 2 * total).sum() / total.sum())
    scaled = np.clip((mean - m) / s, -window.clip, window.clip)
    return np.stack([np.where(total > 0, scaled, 0), total > 0], axis=1), shift


@pytest.mark.parametrize("z", [0.05, 0.9, 2.2, 4.6, 6.5])
def test_the_rest_frame_is_what_its_definition_says(z):
    flux, ivar = fine(1)
    flux[0, 700] = 300.0
    X, z_frame = rest_frame(flux, ivar, [z], WINDOW)
    expected, shift = naive_rest_frame(flux[0], ivar[0], z, WINDOW)
    np.testing.assert_allclose(X[0], expected, rtol=0, atol=2e-6)
    assert z_frame[0] == pytest.approx(10 ** (shift * FINE.step) - 1, abs=1e-12)


@given(z=st.floats(0.0, 7.0))
def test_the_frame_is_within_half_a_pixel_of_the_guess(z):
    pixels, z_frame = whole_pixels([z], WINDOW)
    assert abs(np.log10((1 + z) / (1 + z_frame[0]))) <= FINE.step / 2 + 1e-12
    again, same = whole_pixels(z_frame, WINDOW)
    assert (again[0], same[0]) == (pixels[0], z_frame[0])


@given(
    scale=st.floats(1e-20, 1e20),
    seed=st.integers(0, 5),
    z=st.floats(0.1, 4.0),
)
def test_the_rest_frame_does_not_depend_on_the_unit(scale, seed, z):
    flux, ivar = fine(1, seed)
    X, _ = rest_frame(flux, ivar, [z], WINDOW)
    scaled, _ = rest_frame(scale * flux, ivar / scale**2, [z], WINDOW)
    np.testing.assert_allclose(scaled, X, rtol=0, atol=1e-5)
    offset, _ = rest_frame(flux + 5.0, ivar, [z], WINDOW)
    np.testing.assert_allclose(offset, X, rtol=0, atol=1e-5)


def shifted(values, pixels):
    """Values moved redward by whole pixels; what comes in is 0."""
    out = np.zeros_like(values)
    out[:, pixels:] = values[:, : values.shape[1] - pixels]
    return out


@pytest.mark.parametrize("pixels", [1, 7, 100])
def test_whole_pixels_shift_the_redshift_exactly(refiner, pixels):
    """A spectrum moved by whole pixels, guessed as much further, moves by as much."""
    flux, ivar = fine(6)
    ivar[:, :150] = ivar[:, -150:] = 0
    flux = np.where(ivar > 0, flux, 0)
    guess = np.linspace(0.8, 3.0, 6)
    factor = 10 ** (pixels * FINE.step)
    z, zerr, ok, *_ = refiner.refine(flux, ivar, guess)
    moved = refiner.refine(shifted(flux, pixels), shifted(ivar, pixels), (1 + guess) * factor - 1)
    assert ok.all()
    assert moved[2].all()
    np.testing.assert_allclose(1 + moved[0], (1 + z) * factor, rtol=1e-9)
    np.testing.assert_allclose(moved[1], zerr * factor, rtol=1e-6)


def test_passes_go_on_from_one_another():
    one = refine_architecture(passes=1)
    weights = random_weights(one.shapes(), 5)
    weights["refine_out.kernel"] *= 0.3
    flux, ivar = fine(5)
    guess = np.linspace(0.5, 3, 5)
    single, double = Refiner(one, weights), Refiner(refine_architecture(passes=2), weights)
    X, z_frame = rest_frame(flux, ivar, guess, one.window)
    dv, log_sigma = (values.astype(float) for values in single.predict(X)[:2])
    assert single.predict(X).score is None
    z, zerr, ok, *logits = single.refine(flux, ivar, guess)
    assert ok.all()
    assert np.isnan(logits).all()
    velocity = 1000 * dv / SPEED_OF_LIGHT
    np.testing.assert_allclose(z, z_frame + velocity * (1 + z_frame), rtol=1e-12)
    sigma = 1000 * np.exp(log_sigma)
    np.testing.assert_allclose(zerr, sigma / SPEED_OF_LIGHT * (1 + z), rtol=1e-6)
    again = single.refine(flux, ivar, z)
    twice = double.refine(flux, ivar, guess)
    assert (np.abs(twice[0] - z) > 0).any()
    for values, expected in zip(twice, again, strict=True):
        np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize(("scores", "bal"), [(False, False), (True, False), (True, True)])
def test_the_network_is_the_layers_one_by_one(scores, bal):
    convs = (ConvLayer(3, 5, 2, "same"), ConvLayer(2, 4, 3, "valid"))
    arch = refine_architecture(convs=convs, scores=scores, bal=bal)
    weights = {k: v.astype("f8") for k, v in random_weights(arch.shapes(), 8).items()}
    X = np.random.default_rng(1).normal(size=(2, arch.window.npooled, 2))

    def norm(values, name, epsilon):
        gamma, beta, mean, variance = (
            weights[f"{name}.{part}"]
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return np.maximum((values - mean) / np.sqrt(variance + epsilon) * gamma + beta, 0)

    outputs = Refiner(arch, weights, "f8").predict(X)[: arch.noutputs]
    for row, found in zip(X, zip(*outputs, strict=True), strict=True):
        values = row
        for number, conv in enumerate(arch.convs, start=1):
            before, after = conv.pad(len(values))
            padded = np.pad(values, ((before, after), (0, 0)))
            kernel = weights[f"refine_conv_{number}.kernel"]
            out = [
                np.einsum("wc,wcf->f", padded[start * conv.stride :][: conv.width], kernel)
                for start in range(conv.output_length(len(values)))
            ]
            values = norm(
                np.array(out) + weights[f"refine_conv_{number}.bias"],
                f"refine_bn_{number}",
                conv.epsilon,
            )
        dense = values.ravel() @ weights["refine_fc.kernel"] + weights["refine_fc.bias"]
        dense = norm(dense, "refine_bn_fc", arch.epsilon)
        expected = dense @ weights["refine_out.kernel"] + weights["refine_out.bias"]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_rows_do_not_touch_one_another(refiner):
    flux, ivar = fine(70, 2)
    guess = np.linspace(0.1, 5, 70)
    clean = refiner.refine(flux, ivar, guess)
    guess[[3, 9]] = np.nan, -2.0
    ivar[5], ivar[7, 40:] = 0, 0
    flux[11] = 3.0
    found = refiner.refine(flux, ivar, guess)
    assert not found[2][[3, 5, 7, 9]].any()
    assert np.isnan(found[1][[3, 5, 7, 9]]).all()
    np.testing.assert_array_equal(found[0][[5, 7]], guess[[5, 7]])
    kept = np.setdiff1d(np.arange(70), [3, 5, 7, 9, 11])
    for values, expected in zip(found, clean, strict=True):
        np.testing.assert_allclose(values[kept], expected[kept], rtol=1e-6)


@pytest.mark.parametrize("direction", [1, -1])
def test_a_redshift_that_runs_away_is_given_up(direction):
    arch = refine_architecture(max_dv=3000.0)
    weights = random_weights(arch.shapes(), 3)
    weights["refine_out.kernel"] *= 0
    flux, ivar = fine(2)
    for dv, expected in ((1.4, True), (1.6, False), (1e20, False), (np.float32(3e38), False)):
        weights["refine_out.bias"] = np.array([direction * dv, 0], np.float32)
        z, zerr, ok, *_ = Refiner(arch, weights).refine(flux, ivar, [1.0, 2.0])
        assert ok.tolist() == [expected] * 2, dv
        if not expected:
            assert z.tolist() == [1.0, 2.0]
            assert np.isnan(zerr).all()


def test_an_error_that_is_not_finite_is_given_up():
    weights = random_weights(ARCH.shapes(), 3)
    weights["refine_out.kernel"] *= 0
    weights["refine_out.bias"] = np.array([0, 1e30], np.float32)
    assert not Refiner(ARCH, weights).refine(*fine(2), [1.0, 2.0])[2].any()


def test_shapes_that_disagree(refiner):
    flux, ivar = fine(3)
    for arguments in (
        (flux, ivar[:2], [1, 1, 1]),
        (flux, ivar, [1, 1]),
        (flux[:, 1:], ivar, [1] * 3),
    ):
        with pytest.raises(InputError, match=r"must have the shapes \(nspec, 1842\)"):
            refiner.refine(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": QUASARNET_LINEAR_GRID}, "needs a log grid"),
        ({"rest_min": 8000.0}, "must be positive and increase"),
        ({"pool": 0}, "pool must be a positive integer, not 0"),
        ({"passes": 1.5}, "passes must be a whole number"),
        ({"clip": -1.0}, "clip must be positive"),
        ({"max_dv": float("inf")}, "max_dv must be positive"),
        ({"min_fraction": 2.0}, r"min_fraction must be in 0 \.\. 1"),
        ({"convs": ()}, "at least one convolution"),
        ({"units": 10**9}, "parameters, above"),
        ({"grid": WavelengthGrid("log", 3.5, 1e-9, 100)}, "the window of the second stage has"),
        ({"convs": (ConvLayer(4, 8, 4, "valid"),) * 6}, "791 input pixels are too few"),
    ],
)
def test_architectures_that_are_not_legal(options, message):
    with pytest.raises(InputError, match=message):
        refine_architecture(**options)


@pytest.mark.parametrize("change", [{"extra": 1}, {"grid": 3}, {"convs": [{"filters": 1}]}])
def test_plain_values_that_are_no_architecture(change):
    with pytest.raises(
        InputError, match=r"not a second stage's architecture|not a wavelength grid"
    ):
        RefineArchitecture.from_dict({**ARCH.to_dict(), **change})
    values = ARCH.to_dict()
    del values["clip"]
    with pytest.raises(InputError, match=r"lacks \['clip'\]"):
        RefineArchitecture.from_dict(values)


def test_native_pixels_are_rebinned():
    wave = 10 ** np.arange(3.6, 3.9, 1e-4)
    flux = np.random.default_rng(0).normal(size=(2, len(wave)))
    found = fine_spectra([Camera("b", wave, flux, np.ones_like(flux))], FINE)
    for values, expected in zip(found, rebin(wave, flux, np.ones_like(flux), FINE), strict=True):
        np.testing.assert_allclose(values, expected)


def test_coarse_pixels_are_spread_over_what_they_cover():
    """Prepared data: four fine pixels to each, from its left edge on, with its weight shared."""
    grid = WavelengthGrid.log(3600.0, 9000.0, 1e-3)
    flux = np.random.default_rng(0).normal(size=(2, grid.npix))
    ivar = np.ones_like(flux)
    ivar[0, 50] = 0
    fine_flux, fine_ivar = fine_spectra([Camera("a", grid.wave, flux, ivar, edges=True)], FINE)
    n = 4 * grid.npix
    np.testing.assert_allclose(fine_flux[:, :n], np.repeat(flux * (ivar > 0), 4, axis=1))
    np.testing.assert_allclose(fine_ivar[:, :n], np.repeat(ivar / 4, 4, axis=1))
    assert (fine_ivar[:, n + 4 :] == 0).all()
    middle = Camera("arrays", grid.wave_at(np.arange(grid.npix) + 0.5), flux, ivar)
    inner = slice(8, n - 8)
    np.testing.assert_allclose(fine_spectra([middle], FINE)[0][:, inner], fine_flux[:, inner])


def test_spectra_off_the_grid_have_no_weight():
    wave = np.arange(20000.0, 21000.0, 1.0)
    flux = np.ones((2, len(wave)))
    for step in (1, 100):
        camera = Camera("nir", wave[::step], flux[:, ::step], flux[:, ::step])
        found = fine_spectra([camera], FINE)
        assert [values.shape for values in found] == [(2, FINE.npix)] * 2
        assert not np.any(found)


def test_default_grid_of_quasarnet_is_commensurate_with_the_window():
    """Four fine pixels are one of QuasarNET's."""
    assert QUASARNET_GRID.step == pytest.approx(WINDOW.pool * FINE.step)


@pytest.mark.parametrize("edges", [False, True])
def test_edges_not_the_name_of_a_camera_decide_how_it_is_spread(edges):
    """Half a pixel of the coarse grid lies between the two readings: 345 km/s."""
    grid = QUASARNET_GRID
    flux, ivar = make_spectra(grid.wave, (1.0, 2.0), seed=1)
    camera = Camera("prepared", grid.wave, flux, ivar, edges)
    renamed = dataclasses.replace(camera, name="b")
    rows = dataclasses.replace(camera, wave=np.stack([grid.wave] * 2))
    other = dataclasses.replace(camera, edges=not edges)
    wanted = fine_spectra([camera], FINE)
    np.testing.assert_array_equal(fine_spectra([renamed], FINE), wanted)
    np.testing.assert_allclose(fine_spectra([rows], FINE), wanted, rtol=1e-12)
    assert np.any(fine_spectra([other], FINE)[0] != wanted[0])


@pytest.mark.parametrize("step", [1e-3, 1e-4], ids=["coarse", "fine"])
def test_wavelengths_of_their_own_are_spread_as_shared_ones(step):
    grid = WavelengthGrid.log(3600.0, 10400.0, 2.5e-4)
    wave = 10 ** np.arange(3.57, 3.98, step)
    flux, ivar = make_spectra(wave, (1.0, 2.0, 3.0), seed=4)
    shared = fine_spectra([Camera("a", wave, flux, ivar)], grid)
    # One row of three lies off the grid altogether.
    waves = np.stack([wave, wave * 10, wave])
    own = fine_spectra([Camera("a", waves, flux, ivar)], grid)
    for found, wanted in zip(own, shared, strict=True):
        np.testing.assert_allclose(found[[0, 2]], wanted[[0, 2]], rtol=1e-12)
        assert not found[1].any()


def test_a_row_that_is_not_finite_gives_nan_and_touches_no_other(refiner):
    X = np.random.default_rng(3).normal(size=(5, WINDOW.npooled, 2)).astype(np.float32)
    wanted = refiner.predict(X)
    X[2, 7, 0] = np.nan
    found = refiner.predict(X)
    others = np.array([0, 1, 3, 4])
    for name in ("dv", "log_sigma"):
        assert np.isnan(getattr(found, name)[2])
        np.testing.assert_array_equal(getattr(found, name)[others], getattr(wanted, name)[others])
