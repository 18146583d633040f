"""What the simulated instruments must do to a spectrum."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnet.core.errors import InputError
from qnet.simulation import Errors
from qnet.simulation.frame import FRAME, LOGLAM_STEP, NPIX
from qnet.simulation.instrument import curves, night
from qnet.simulation.instrument.instrument import make_instrument, sky_continuum, sky_lines
from qnet.simulation.instrument.noise import observe

#: No errors but photon noise and masks.
NONE = Errors(
    **{
        field.name: (0.0, 0.0) if isinstance(field.default, tuple) else 0.0
        for field in dataclasses.fields(Errors)
    }
)

SURVEYS = ("sdss", "boss", "desi", "pfs", "weave", "lamost")


def flat(nspec=64, level=2.0):
    return np.full((nspec, NPIX), level, np.float32)


def robust_width(values):
    low, high = np.nanpercentile(values, (15.865, 84.135))
    return (high - low) / 2


def pulls(survey, errors, *, level=2.0, nspec=128, seed=1):
    """(flux - true) * sqrt(ivar) of every camera, NaN where masked, and the detectors."""
    instrument = make_instrument(survey)
    rng = np.random.default_rng(seed)
    cameras, signals = observe(flat(nspec, level), instrument, rng, errors)
    values = [
        np.where(camera.ivar > 0, (camera.flux - signal) * np.sqrt(camera.ivar), np.nan)
        for camera, signal in zip(cameras, signals, strict=True)
    ]
    return values, instrument.detectors


@pytest.mark.parametrize(
    ("survey", "name", "first", "last"),
    [
        ("sdss", "coadd", 3800, 9200),
        ("boss", "coadd", 3570, 10400),
        ("desi", "B", 3600, 5800),
        ("desi", "R", 5760, 7620),
        ("desi", "Z", 7520, 9824),
    ],
)
def test_native_pixels(survey, name, first, last):
    (detector,) = (d for d in make_instrument(survey).detectors if d.name == name)
    assert detector.wave[0] == pytest.approx(first, abs=2)
    assert detector.wave[-1] == pytest.approx(last, abs=2)
    steps = np.diff(detector.wave) if survey == "desi" else np.diff(np.log10(detector.wave))
    np.testing.assert_allclose(steps, 0.8 if survey == "desi" else 1e-4, rtol=0.01)


def test_unknown_survey():
    with pytest.raises(InputError, match=r"survey must be one of sdss, boss, desi, .* not 'moons'"):
        make_instrument("moons")


@pytest.mark.parametrize("survey", SURVEYS)
def test_resampling_keeps_a_constant_and_the_flux_of_a_line(survey):
    frame = FRAME.wave
    for detector in make_instrument(survey).detectors:
        np.testing.assert_allclose(detector.resample @ np.ones(NPIX), 1, rtol=1e-5)
        middle = detector.wave[detector.npix // 2]
        line = np.exp(-0.5 * (np.log10(frame / middle) / (2 * LOGLAM_STEP)) ** 2)
        seen = detector.resample @ line
        area = (line * np.gradient(frame)).sum()
        assert (seen * np.gradient(detector.wave)).sum() == pytest.approx(area, rel=1e-3)
        assert detector.wave[np.argmax(seen)] == pytest.approx(middle, abs=0.5)
        width = np.sqrt((seen * (detector.wave - middle) ** 2).sum() / seen.sum())
        own = 2 * LOGLAM_STEP * np.log(10) * middle
        # Never narrower than the frame resolves: 0.4 of its pixels.
        lsf = max(detector.sigma[detector.npix // 2], 0.4 * own / 2)
        assert width == pytest.approx(np.hypot(own, lsf), rel=0.02)


@pytest.mark.parametrize("survey", SURVEYS)
def test_photon_noise_alone_is_that_of_ivar(survey):
    values, detectors = pulls(survey, NONE)
    for pull, detector in zip(values, detectors, strict=True):
        scaled = pull / detector.white
        assert robust_width(scaled) == pytest.approx(1, abs=0.01)
        assert np.nanstd(scaled) == pytest.approx(1, abs=0.01)
        assert np.nanmean(scaled) == pytest.approx(0, abs=0.01)


def test_boss_noise_is_correlated_as_measured_and_desi_noise_is_not():
    for survey, expected in (("boss", (0.197, -0.11, 0.067)), ("desi", (0, 0, 0))):
        pull = np.nan_to_num(pulls(survey, NONE)[0][0])
        found = [
            (pull[:, lag:] * pull[:, :-lag]).mean() / (pull**2).mean()
            for lag in range(1, len(expected) + 1)
        ]
        np.testing.assert_allclose(found, expected, atol=0.01)


@pytest.mark.parametrize("survey", SURVEYS)
def test_variance_grows_with_the_object_by_the_gain(survey):
    instrument = make_instrument(survey)
    ivars = []
    for level in (0.0, 10.0):
        rng = np.random.default_rng(3)
        cameras, _ = observe(flat(16, level), instrument, rng, NONE)
        ivars.append([camera.ivar for camera in cameras])
    for dark, bright, detector in zip(*ivars, instrument.detectors, strict=True):
        both = (dark > 0) & (bright > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            added = np.where(both, 1 / bright - 1 / dark, np.nan)
        relative = added / (10 * detector.gain)
        # The same factor (exposures, DESI's dip) in all pixels of a row.
        row = np.nanmedian(relative, axis=1, keepdims=True)
        assert set(np.round(1 / row[:, 0], 2)) <= set(np.round(instrument.depths, 2))
        assert np.nanpercentile(np.abs(relative / row - 1), 90) < 0.02 + (detector.name == "B")


def test_errors_at_the_ends_of_cameras():
    values, detectors = pulls("desi", dataclasses.replace(NONE, edge=1.0), nspec=512)
    for pull, detector in zip(values, detectors, strict=True):
        for end in (slice(0, 3), slice(-3, None)):
            expected = np.hypot(detector.white[0], 1.0)
            assert robust_width(pull[:, end]) == pytest.approx(expected, rel=0.1)
        assert robust_width(pull[:, 500:1500]) == pytest.approx(detector.white[0], rel=0.02)


def test_residuals_stand_out_on_sky_lines():
    errors = Errors(crosstalk=(0, 0), bump=(0, 0))
    (pull,), (detector,) = pulls("boss", errors, level=0.0)
    lines = sky_lines(detector)[0].sum(axis=0)
    red = (detector.wave > 7000) & (detector.wave < 9700)
    strong, clean = red & (lines > 30), red & (lines < 0.3)
    scaled = pull / detector.white
    assert strong.sum() > 50
    assert 1.0 < robust_width(scaled[:, clean]) < 1.1
    assert 1.1 < robust_width(scaled[:, strong]) < 2


def test_calibration_errors_are_proportional_to_the_object():
    errors = dataclasses.replace(NONE, tilt=0.08, wiggle=0.012, arm=0.02, telluric=0.03)
    instrument = make_instrument("desi")
    cameras, signals = observe(flat(64, 1e6), instrument, np.random.default_rng(1), errors)
    for camera, signal in zip(cameras, signals, strict=True):
        ratio = camera.flux / signal
        assert np.median(ratio) == pytest.approx(1, abs=0.02)
        assert 0.02 < ratio.std() < 0.2
    blue, red = cameras[0].flux / signals[0], cameras[1].flux / signals[1]
    step = np.median(red[:, 60:110], axis=1) - np.median(blue[:, -50:], axis=1)
    assert 0.01 < step.std() < 0.06


@pytest.mark.parametrize("survey", ["sdss", "boss", "desi", "lamost"])
def test_masks_are_runs_of_pixels_and_now_and_then_an_arm(survey):
    instrument = make_instrument(survey)
    cameras, _ = observe(flat(2048, 1.0), instrument, np.random.default_rng(1), NONE)
    for camera, detector in zip(cameras, instrument.detectors, strict=True):
        masked = camera.ivar == 0
        assert np.isfinite(camera.flux).all()
        assert np.isfinite(camera.ivar).all()
        assert (camera.ivar >= 0).all()
        assert 0.005 < masked.mean() < 0.03
        # Neighbours are masked together.
        assert masked[:, 1:][masked[:, :-1]].mean() > 0.6
        for arm in detector.arms:
            assert 2 <= masked[:, arm > 0.5].all(axis=1).sum() <= 30


def test_sky_lines_hold_the_listed_flux():
    (detector,) = make_instrument("boss").detectors
    lines, displaced, broadened = sky_lines(detector)
    total = (lines.sum(axis=0) * np.gradient(detector.wave)).sum()
    listed = sum(flux for wave, flux in night.LINES if wave < detector.wave[-1] - 10)
    assert total == pytest.approx(listed, rel=0.02)
    for change in (displaced, broadened):
        assert abs((change.sum(axis=0) * np.gradient(detector.wave)).sum()) < 0.02 * listed
    np.testing.assert_array_less(0, sky_continuum(detector))


@given(velocity=st.floats(-300, 300))
def test_sky_lines_move_with_the_velocity(velocity):
    (detector,) = make_instrument("sdss").detectors
    green = sky_lines(detector, velocity)[0][1]
    centre = (green * detector.wave).sum() / green.sum()
    still = sky_lines(detector)[0][1]
    moved = centre / ((still * detector.wave).sum() / still.sum()) - 1
    assert moved * 299792.458 == pytest.approx(velocity, abs=2)


def test_families_of_sky_lines():
    family = night.family(np.array([4359.7, 5578.9, 6302.0, 5891.7, 7000.0, 8650.0, 9999.0]))
    assert family.tolist() == [0, 1, 2, 3, 6, 10, 13]
    assert night.NFAMILIES == 14
    assert set(night.family(np.array(night.LINES)[:, 0])) <= set(range(14))


@pytest.mark.parametrize("name", ["BOSS", "DESI_B", "DESI_R", "DESI_Z", "BOSS_LSF", "BOSS_WHITE"])
def test_curves_are_positive_and_in_order(name):
    table = np.array(getattr(curves, name))
    assert (np.diff(table[:, 0]) > 0).all()
    assert (table > 0).all()


def test_noise_taps_are_symmetric_and_of_unit_power():
    taps = np.array(curves.BOSS_TAPS)
    np.testing.assert_array_equal(taps, taps[::-1])
    assert (taps**2).sum() == pytest.approx(1, abs=1e-3)
    assert taps.sum() == pytest.approx(1.15, abs=0.01)
