"""Rows that cannot be classified are flagged, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import pytest

from qnet.core.errors import InputError
from qnet.core.flags import QNFlag
from qnet.core.grid import QUASARNET_GRID
from qnet.core.spectra import Camera
from qnet.preprocess.normalisation import normalise, preprocess
from qnet.preprocess.rebinning import rebin

WAVE = np.arange(3700.0, 9500.0, 2.0)


def spectra(nspec, dtype=np.float32):
    rng = np.random.default_rng(5)
    flux = rng.normal(10, 3, (nspec, len(WAVE))).astype(dtype)
    return flux, np.full(flux.shape, 0.5, dtype)


def run(flux, ivar, wave=WAVE):
    return preprocess([Camera("x", wave, flux, ivar)], QUASARNET_GRID)


def test_float32_in_and_out_with_float64_sums():
    flux, ivar = spectra(3)
    flux += 1e4  # the scatter is 3e-4 of the mean: sums in float32 would show
    rebinned, weight = rebin(WAVE, flux, ivar, QUASARNET_GRID)
    assert rebinned.dtype == weight.dtype == np.float32
    exact, _ = rebin(WAVE, flux.astype(np.float64), ivar.astype(np.float64), QUASARNET_GRID)
    assert exact.dtype == np.float64
    np.testing.assert_array_equal(rebinned, exact.astype(np.float32))
    assert run(flux, ivar).X.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "flag", "other"),
    [
        ("masked", QNFlag.NODATA, QNFlag.CONSTANT | QNFlag.BADPIX),
        ("negative ivar", QNFlag.NODATA, QNFlag.BADPIX),
        ("nan flux", QNFlag.NODATA | QNFlag.BADPIX, QNFlag.CONSTANT),
        ("nan ivar", QNFlag.NODATA | QNFlag.BADPIX, QNFlag.CONSTANT),
        ("constant", QNFlag.CONSTANT, QNFlag.NODATA | QNFlag.BADPIX),
        ("zero", QNFlag.CONSTANT, QNFlag.NODATA | QNFlag.BADPIX),
        ("one pixel", QNFlag.CONSTANT | QNFlag.SPARSE, QNFlag.NODATA),
    ],
)
def test_what_cannot_be_normalised_is_nan_and_flagged(name, flag, other):
    flux, ivar = spectra(3)
    if name == "masked":
        ivar[1] = 0
    elif name == "negative ivar":
        ivar[1] = -1
    elif name == "nan flux":
        flux[1] = np.nan
    elif name == "nan ivar":
        ivar[1] = np.nan
    elif name == "constant":
        flux[1], ivar[1] = 7.3, np.linspace(0.1, 3, ivar.shape[1])
    elif name == "zero":
        flux[1] = 0
    else:
        ivar[1] = 0
        ivar[1, 500] = 1
    data = run(flux, ivar)
    assert np.isnan(data.X[1]).all()
    assert data.flag[1] & flag == flag
    assert not data.flag[1] & other
    assert np.isfinite(data.X[[0, 2]]).all()
    assert (data.flag[[0, 2]] == 0).all()


def test_masked_pixels_may_hold_anything():
    flux, ivar = spectra(2)
    clean = run(flux, ivar)
    flux[0, 100:200], ivar[0, 100:200] = np.nan, 0
    flux[1, 100:200], ivar[1, 100:200] = 1e30, 0
    dirty = run(flux, ivar)
    assert (dirty.flag == 0).all()
    for row in (0, 1):
        kept = np.r_[0:100, 200 : len(WAVE)]
        alone = run(flux[row : row + 1, kept], ivar[row : row + 1, kept], WAVE[kept])
        np.testing.assert_array_equal(alone.X[0], dirty.X[row])
    assert not np.array_equal(clean.X, dirty.X)


def test_pixels_that_are_not_finite_are_dropped_and_flagged():
    flux, ivar = spectra(3)
    flux[0, 10], flux[1, 10], ivar[2, 10] = np.nan, -np.inf, np.inf
    data = run(flux, ivar)
    assert (data.flag == QNFlag.BADPIX).all()
    assert np.isfinite(data.X).all()


def test_pixels_outside_of_the_grid_are_dropped_never_clipped():
    wave = np.concatenate([[3000.0, 3500.0], WAVE, [9990.0, 20000.0]])
    flux, ivar = spectra(1)
    wide_flux = np.concatenate([[[1e6, 1e6]], flux, [[1e6, 1e6]]], axis=1)
    wide_ivar = np.concatenate([[[9, 9]], ivar, [[9, 9]]], axis=1)
    np.testing.assert_array_equal(run(wide_flux, wide_ivar, wave).X, run(flux, ivar).X)
    # What is dropped is not looked at either.
    wide_flux[:, 0] = np.nan
    assert run(wide_flux, wide_ivar, wave).flag[0] == 0


def test_empty_bins_hold_minus_mean_over_scatter():
    flux, ivar = spectra(1, np.float64)
    data = run(flux, ivar)
    rebinned, weight = rebin(WAVE, flux, ivar, QUASARNET_GRID)
    mean = np.average(rebinned[0], weights=weight[0])
    scatter = np.sqrt(np.average((rebinned[0] - mean) ** 2, weights=weight[0]))
    empty = ~data.observed[0]
    assert empty.any()
    np.testing.assert_allclose(data.X[0, empty], -mean / scatter, rtol=1e-6)


def test_cameras_add_into_the_same_bins():
    flux, ivar = spectra(2, np.float64)
    split = 1500
    blue = Camera("b", WAVE[: split + 300], flux[:, : split + 300], ivar[:, : split + 300])
    red = Camera("r", WAVE[split:], flux[:, split:], ivar[:, split:])
    both = preprocess([blue, red], QUASARNET_GRID)
    doubled = ivar.copy()
    doubled[:, split : split + 300] *= 2
    np.testing.assert_allclose(both.X, run(flux, doubled).X, rtol=1e-6)
    assert (both.flag == 0).all()


def test_a_camera_without_weight_is_missing():
    flux, ivar = spectra(3)
    split = 1500
    red_ivar = ivar[:, split:].copy()
    red_ivar[1] = 0
    blue_ivar = ivar[:, :split].copy()
    red_ivar[2], blue_ivar[2] = 0, 0
    cameras = [
        Camera("b", WAVE[:split], flux[:, :split], blue_ivar),
        Camera("r", WAVE[split:], flux[:, split:], red_ivar),
    ]
    data = preprocess(cameras, QUASARNET_GRID)
    missing = (data.flag & QNFlag.CAMERA_MISSING) != 0
    # Without any data at all it is NODATA that says so.
    np.testing.assert_array_equal(missing, [False, True, False])
    assert data.flag[2] & QNFlag.NODATA


def test_snr_goodfrac_and_the_flags_that_follow():
    flux, ivar = spectra(3)
    flux[1] /= 1000
    ivar[2, len(WAVE) // 3 :] = 0
    data = run(flux, ivar)
    rebinned, weight = rebin(WAVE, flux, ivar, QUASARNET_GRID)
    for row in range(3):
        seen = weight[row] > 0
        assert data.goodfrac[row] == pytest.approx(seen.mean())
        expected = np.median(rebinned[row, seen] * np.sqrt(weight[row, seen]))
        assert data.snr[row] == pytest.approx(expected, rel=1e-5)
    assert data.flag.tolist() == [0, QNFlag.LOW_SNR, QNFlag.SPARSE]


@pytest.mark.parametrize(
    ("change", "step"),
    [
        ({}, False),
        ({"factor": 0.8}, False),  # less than a quarter of the mean
        ({"factor": 0.7}, True),
        ({"factor": 1.25}, False),
        ({"factor": 1.4}, True),
        ({"factor": 2.0, "error": 20.0}, False),  # not significant
        ({"factor": -1.0}, False),  # an offset of the sky, not a scale
        ({"factor": 2.0, "first": 5760.8}, True),  # half of the overlap's pixels are red ones
        ({"factor": 2.0, "first": 5800.8}, False),  # no overlap
        ({"factor": 2.0, "first": 5760.4}, False),  # other pixels
        ({"factor": 2.0, "dead": True}, False),
        ({"factor": 2.0, "nan": True}, True),
    ],
)
def test_a_step_between_cameras_is_flagged_where_they_share_pixels(change, step):
    first, count = change.get("first", 5760.0), 300
    blue, red = np.arange(5500.0, 5800.4, 0.8), first + 0.8 * np.arange(count)
    rng, error = np.random.default_rng(1), change.get("error", 0.5)
    flux = [rng.normal(10.0, error, (2, len(wave))) for wave in (blue, red)]
    ivar = [np.full(one.shape, error**-2) for one in flux]
    flux[1][1] *= change.get("factor", 1.0)
    if "dead" in change:
        ivar[1][1, red < 5801] = 0
    if "nan" in change:
        flux[1][1, :3], ivar[0][1, -3:] = np.nan, 0
    # The order of the cameras does not matter.
    for order in ((0, 1), (1, 0)):
        cameras = [Camera("br"[i], (blue, red)[i], flux[i], ivar[i]) for i in order]
        flag = preprocess(cameras, QUASARNET_GRID).flag
        assert ((flag & QNFlag.CAMERA_STEP) != 0).tolist() == [False, step]


def test_a_row_outside_of_the_grid_is_flagged_and_a_batch_is_an_error():
    flux, ivar = spectra(2)
    wave = np.stack([WAVE, WAVE + 10000])
    data = run(flux, ivar, wave)
    assert not data.flag[0]
    assert data.flag[1] & QNFlag.NODATA
    with pytest.raises(InputError, match=r"from 13700 to 19498 lie wholly outside of the model's"):
        run(flux, ivar, WAVE + 10000)


@pytest.mark.parametrize(
    ("wave", "hint"),
    [
        (WAVE / 10, "wavelengths in nm: convert them to Angstrom"),
        (WAVE / 1e4, "wavelengths in micron: convert them to Angstrom"),
        (np.log10(WAVE), "log10 wavelengths: give 10\\*\\*loglam"),
        (WAVE + 10000, "3600.0 to 9961.0 Angstrom$"),
    ],
)
def test_wavelengths_in_another_unit_are_refused_with_the_likely_reason(wave, hint):
    with pytest.raises(InputError, match=hint):
        run(*spectra(1), wave)


def test_more_rows_than_fit_into_a_block():
    flux, ivar = spectra(300)
    data = run(flux, ivar)
    for row in (0, 127, 128, 299):
        np.testing.assert_array_equal(data.X[row], run(flux[[row]], ivar[[row]]).X[0])


def test_shapes_that_disagree():
    flux, ivar = spectra(2)
    with pytest.raises(InputError, match=r"flux \(2, 2900\) and ivar \(2, 2899\)"):
        rebin(WAVE, flux, ivar[:, 1:], QUASARNET_GRID)
    with pytest.raises(InputError, match=r"flux \(2, 2900\) and ivar \(2, 2899\)"):
        normalise(flux, ivar[:, 1:])


@pytest.mark.parametrize("scale", [1e-17, 1.0, 1e25])
def test_any_flux_unit_will_do(scale):
    flux, ivar = spectra(2, np.float64)
    data = run(flux * scale, ivar / scale**2)
    np.testing.assert_allclose(data.X, run(flux, ivar).X, rtol=1e-5)
    assert (data.flag == 0).all()


def test_double_precision_sees_a_small_scatter():
    flux, ivar = spectra(2, np.float64)
    flux += 1e8
    assert (run(flux, ivar).flag == 0).all()
    flat = np.full_like(flux, 1e8 / 3)
    assert run(flat, ivar * np.linspace(0.1, 3, ivar.shape[1])).flag[0] & QNFlag.CONSTANT


@pytest.mark.parametrize("order", [1, -1])
def test_a_camera_in_double_precision_shows_a_scatter_that_another_could_not(order):
    """A spectrum is constant by the rounding of its most precise camera."""
    flux, ivar = spectra(1, np.float64)
    flux, half = 1 + 1e-9 * flux, len(WAVE) // 2
    blue = Camera("b", WAVE[:half], flux[:, :half], ivar[:, :half])
    red = Camera("r", WAVE[half:], np.float32(flux[:, half:]), np.float32(ivar[:, half:]))
    assert red.flux.dtype == np.float32
    assert preprocess([blue, red][::order], QUASARNET_GRID).flag[0] == 0
    single = Camera("b", blue.wave, np.float32(blue.flux), np.float32(blue.ivar))
    assert preprocess([single, red][::order], QUASARNET_GRID).flag[0] & QNFlag.CONSTANT


def test_flux_beyond_all_bounds_is_a_bad_pixel():
    flux, ivar = spectra(4, np.float64)
    flux[0, 50], ivar[1, 50] = 1e200, 1e308
    flux[1, 50] = 1e10
    flux[2], ivar[2] = flux[2] * 1e200, ivar[2] * 1e200
    data = run(flux, ivar)
    assert data.flag.tolist() == [
        QNFlag.BADPIX,
        QNFlag.BADPIX,
        QNFlag.BADPIX | QNFlag.NODATA | QNFlag.SPARSE,
        0,
    ]
    np.testing.assert_array_equal(data.X[3], run(flux[[3]], ivar[[3]]).X[0])


@pytest.mark.parametrize("row", [0, 15, 16, 37, 149])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pixels_that_are_finite_but_not_legal_have_no_weight_in_any_row(row, dtype):
    """Rows are summed 16 at a time and rebinned 128 at a time: none of them is missed."""
    flux, ivar = spectra(150, dtype)
    masked, negative = ivar.copy(), ivar.copy()
    masked[row, 200:240], negative[row, 200:240] = 0, -1
    wanted, found = run(flux, masked), run(flux, negative)
    np.testing.assert_array_equal(found.X, wanted.X)
    np.testing.assert_array_equal(found.observed, wanted.observed)
