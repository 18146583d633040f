"""What must hold for any spectra, any grid and any number of boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from qnet.core.grid import QUASARNET_GRID, QUASARNET_LINEAR_GRID, WavelengthGrid
from qnet.core.spectra import Camera
from qnet.lines import QUASARNET_LINES, absorber_IGM, rest_wavelengths
from qnet.postprocess.decoding import decode
from qnet.preprocess.normalisation import normalise, preprocess
from qnet.preprocess.rebinning import rebin

log_grids = st.builds(
    lambda start, step, npix: WavelengthGrid("log", np.log10(start), step, npix),
    st.floats(2500, 6000),
    st.floats(2e-4, 3e-3),
    st.integers(20, 600),
)
linear_grids = st.builds(
    lambda start, step, npix: WavelengthGrid("linear", start, step, npix),
    st.floats(2500, 6000),
    st.floats(1, 30),
    st.integers(20, 600),
)
grids = st.one_of(log_grids, linear_grids)


@st.composite
def native_spectra(draw, grid):
    """Spectra on wavelengths of their own that reach over both ends of a grid."""
    nspec, npix = draw(st.integers(1, 4)), draw(st.integers(2, 300))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    edges = grid.wave
    span = edges[-1] - edges[0]
    low, high = edges[0] - 0.1 * span, edges[-1] + 0.1 * span
    wave = np.sort(rng.uniform(max(low, 1.0), high, npix))
    assume((np.diff(wave) > 0).all())
    flux = rng.normal(draw(st.floats(-5, 5)), 3, (nspec, npix))
    ivar = rng.gamma(1.0, 1.0, (nspec, npix)) * (rng.uniform(size=(nspec, npix)) > 0.2)
    return wave, flux, ivar


@given(grids.flatmap(lambda grid: st.tuples(st.just(grid), native_spectra(grid))))
def test_rebin_conserves_weight_and_weighted_flux_inside_the_grid(drawn):
    grid, (wave, flux, ivar) = drawn
    inside = grid.bins(wave) >= 0
    rebinned, weight = rebin(wave, flux, ivar, grid)
    np.testing.assert_allclose(weight.sum(axis=1), ivar[:, inside].sum(axis=1), rtol=1e-10)
    np.testing.assert_allclose(
        (rebinned * weight).sum(axis=1),
        (flux * ivar)[:, inside].sum(axis=1),
        rtol=1e-9,
        atol=1e-9 * np.abs(flux * ivar).sum(),
    )


@given(grids.flatmap(lambda grid: st.tuples(st.just(grid), native_spectra(grid))))
def test_rebin_equals_a_loop_over_pixels(drawn):
    grid, (wave, flux, ivar) = drawn
    total = np.zeros((len(flux), grid.npix))
    summed = np.zeros_like(total)
    origin = grid.start
    for pixel, place in enumerate(wave):
        value = np.log10(place) if grid.spacing == "log" else place
        index = int(np.floor(np.round((value - origin) / grid.step, 9)))
        if 0 <= index < grid.npix:
            total[:, index] += ivar[:, pixel]
            summed[:, index] += flux[:, pixel] * ivar[:, pixel]
    mean = np.divide(summed, total, out=np.zeros_like(summed), where=total > 0)
    for layout in (wave, np.tile(wave, (len(flux), 1))):
        rebinned, weight = rebin(layout, flux, ivar, grid)
        np.testing.assert_allclose(weight, total, rtol=1e-10)
        np.testing.assert_allclose(rebinned, mean, rtol=1e-9, atol=1e-9)


@given(grids)
def test_a_grid_fed_back_falls_into_its_own_bins(grid):
    np.testing.assert_array_equal(grid.bins(grid.wave), np.arange(grid.npix))
    flux = np.linspace(1, 2, grid.npix)[None]
    rebinned, weight = rebin(grid.wave, flux, np.ones_like(flux), grid)
    np.testing.assert_allclose(rebinned, flux, rtol=1e-12)
    np.testing.assert_array_equal(weight, 1)


@given(grids)
def test_a_grid_is_found_again_from_its_wavelengths(grid):
    found = WavelengthGrid.from_wave(grid.wave)
    assert found.npix == grid.npix
    np.testing.assert_allclose(found.wave, grid.wave, rtol=1e-9)
    assert WavelengthGrid.from_dict(grid.to_dict()) == grid


@given(
    hnp.arrays(np.float64, (3, 60), elements=st.floats(-100, 100)),
    st.floats(1e-20, 1e20),
    st.integers(0, 2**32 - 1),
)
def test_the_normalised_spectrum_does_not_depend_on_the_flux_unit(flux, scale, seed):
    ivar = np.random.default_rng(seed).uniform(0.1, 2, flux.shape)
    ivar[:, ::7] = 0
    flux = np.where(ivar > 0, flux, 0)
    X, scaled = normalise(flux, ivar), normalise(flux * scale, ivar / scale**2)
    assume(np.nanmax(np.abs(X), initial=0) < 1e3)
    np.testing.assert_allclose(scaled, X, rtol=1e-6, atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.floats(-50, 50))
def test_the_normalised_spectrum_has_mean_zero_and_scatter_one(seed, offset):
    rng = np.random.default_rng(seed)
    flux, ivar = rng.normal(offset, 2, (4, 80)), rng.uniform(0.1, 2, (4, 80))
    X = normalise(flux, ivar)
    np.testing.assert_allclose(np.average(X, axis=1, weights=ivar), 0, atol=1e-10)
    scatter = np.array([np.average(x**2, weights=w) for x, w in zip(X, ivar, strict=True)])
    np.testing.assert_allclose(scatter, 1, rtol=1e-10)
    # Where every bin has weight an offset changes nothing either.
    np.testing.assert_allclose(normalise(flux + 7, ivar), X, rtol=1e-7, atol=1e-7)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_a_row_does_not_depend_on_its_batch(small_model, seed, nspec):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(nspec, small_model.grid.npix)).astype(np.float32)
    X[rng.uniform(size=nspec) < 0.2] = np.nan
    whole = np.array(small_model.predict(X))
    order = rng.permutation(nspec)
    shuffled = np.array(small_model.predict(X[order], batch_size=int(rng.integers(1, 50))))
    np.testing.assert_allclose(shuffled, whole[:, order], rtol=0, atol=2e-6)
    alone = np.array(small_model.predict(X[:1]))
    np.testing.assert_allclose(alone, whole[:, :1], rtol=0, atol=2e-6)


@given(
    native_spectra(QUASARNET_GRID),
    st.integers(0, 2**32 - 1),
)
def test_preprocessing_does_not_depend_on_the_batch(spectra, seed):
    wave, flux, ivar = spectra
    order = np.random.default_rng(seed).permutation(len(flux))
    assume((QUASARNET_GRID.bins(wave) >= 0).any())
    whole = preprocess([Camera("x", wave, flux, ivar)], QUASARNET_GRID)
    part = preprocess([Camera("x", wave, flux[order], ivar[order])], QUASARNET_GRID)
    np.testing.assert_array_equal(part.X, whole.X[order])
    np.testing.assert_array_equal(part.flag, whole.flag[order])


@pytest.mark.parametrize("line", sorted(absorber_IGM))
@given(grids, st.integers(1, 40), st.floats(1e-9, 1 - 1e-9))
def test_boxes_encode_and_decode_every_line(line, grid, nboxes, place):
    """Encoding a redshift into box and offset and decoding it gives it back to 1e-9."""
    rest = absorber_IGM[line]
    edges = grid.wave
    wave = edges[0] + place * (edges[-1] - edges[0])
    z = wave / rest - 1
    box, offset = grid.to_box((1 + z) * rest, nboxes)
    assert 0 <= box < nboxes
    assert -1e-9 <= offset <= 1 + 1e-9
    pred = np.zeros((1, 2 * nboxes))
    pred[0, box], pred[0, nboxes + box] = 0.9, offset
    found = decode([pred], [line], [], grid)
    assert abs(found.z_line[0, 0] - z) < 1e-9
    assert found.zbest[0] == found.z_line[0, 0]
    assert found.c_line[0, 0] == 0.9


@given(grids, st.integers(1, 40), st.floats(1.0001, 3.0))
def test_outside_of_the_grid_there_is_no_box(grid, nboxes, factor):
    edges = grid.wave
    box, offset = grid.to_box([edges[0] / factor, edges[-1] * factor, np.nan], nboxes)
    np.testing.assert_array_equal(box, -1)
    assert np.isnan(offset).all()


@pytest.mark.parametrize("grid", [QUASARNET_GRID, QUASARNET_LINEAR_GRID])
def test_wave_at_extrapolates_past_the_ends(grid):
    edges = grid.wave
    ends = grid.wave_at([-1.5, grid.npix + 0.5])
    expected = [
        edges[0] - 1.5 * (edges[1] - edges[0]),
        edges[-1] + 1.5 * (edges[-1] - edges[-2]),
    ]
    np.testing.assert_allclose(ends, expected, rtol=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(0, 30))
def test_decode_equals_a_loop(seed, nboxes, nspec):
    rng = np.random.default_rng(seed)
    lines, lines_bal = list(QUASARNET_LINES[:3]), ["CIV(1548)", "LYA"]
    preds = rng.uniform(size=(5, nspec, 2 * nboxes))
    found = decode(preds, lines, lines_bal, QUASARNET_GRID)
    edges, rest = QUASARNET_GRID.wave, rest_wavelengths(lines + lines_bal)
    for line in range(5):
        for row in range(nspec):
            scores = preds[line, row, :nboxes]
            box = int(np.argmax(scores))
            pixel = (box + preds[line, row, nboxes + box]) * len(edges) / nboxes
            left = min(max(int(np.floor(pixel)), 0), len(edges) - 2)
            wave = edges[left] + (pixel - left) * (edges[left + 1] - edges[left])
            bal = line >= 3
            c = found.c_line_bal if bal else found.c_line
            z = found.z_line_bal if bal else found.z_line
            assert c[line % 3, row] == scores[box]
            assert z[line % 3, row] == pytest.approx(wave / rest[line] - 1, abs=1e-12)
    if nspec:
        best = found.c_line.argmax(axis=0)
        np.testing.assert_array_equal(found.zbest, found.z_line[best, np.arange(nspec)])
