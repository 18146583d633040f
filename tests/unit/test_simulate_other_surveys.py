"""Instruments of surveys beside SDSS, BOSS and DESI: their published numbers, and their files."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

import qnet
from qnet.cli import simulate as command
from qnet.core.flags import QNFlag
from qnet.simulation import Errors, simulate, write_simulation
from qnet.simulation.frame import FRAME
from qnet.simulation.instrument import throughput
from qnet.simulation.instrument.instrument import SURVEYS, make_instrument, sky_continuum
from qnet.simulation.instrument.noise import observe
from qnet.simulation.population import MAGNITUDES, QUASAR_REDSHIFTS

OTHERS = ("pfs", "weave", "4most", "lamost")


def at(detector, wave):
    return int(np.argmin(np.abs(detector.wave - wave)))


def ab(magnitude, wave):
    """Flux density [1e-17 erg/s/cm2/A] of an AB magnitude."""
    return 10 ** (-0.4 * (magnitude + 48.6)) * 2.99792458e18 / wave**2 * 1e17


@pytest.mark.parametrize(
    ("survey", "first", "last", "steps", "resolution"),
    [
        ("pfs", 3804, 10400, {5000: 0.8, 9000: 0.8}, {5000: 2380, 8000: 2960, 10000: 4170}),
        ("weave", 3660, 9590, {5000: 0.3, 8000: 0.48}, {4850: 5000, 7700: 5000}),
        ("4most", 3700, 9500, {5000: 0.25, 9000: 0.25}, {4156: 4608, 6390: 6667, 8206: 6620}),
        ("lamost", 3700, 9099, {5000: 1.15, 9000: 2.07}, {4000: 1800, 9000: 1800}),
    ],
)
def test_coverage_pixels_and_resolution(survey, first, last, steps, resolution):
    (detector,) = make_instrument(survey).detectors
    assert detector.wave[[0, -1]] == pytest.approx([first, last], abs=1)
    for wave, step in steps.items():
        assert np.diff(detector.wave)[at(detector, wave)] == pytest.approx(step, rel=0.01)
    for wave, expected in resolution.items():
        pixel = at(detector, wave)
        found = detector.wave[pixel] / (np.sqrt(8 * np.log(2)) * detector.sigma[pixel])
        assert found == pytest.approx(expected, rel=0.01)
    assert (np.diff(detector.wave) > 0).all()
    np.testing.assert_allclose(detector.arms.sum(axis=0), 1, rtol=1e-6)
    assert np.isfinite(detector.floor).all()
    assert (detector.gain > 0).all()


def test_the_gaps_of_weave_have_no_pixels():
    (detector,) = make_instrument("weave").detectors
    for gap in ((5491, 5539), (7590, 7669)):
        assert not ((detector.wave > gap[0]) & (detector.wave < gap[1])).any()
    assert (detector.arms[0] > 0.5)[at(detector, 5000)]
    assert (detector.arms[1] > 0.5)[at(detector, 8000)]


def test_electrons_of_pfs_by_hand():
    """Area, time, efficiency, air, fibre, pixel and photons per erg, one after the other."""
    (detector,) = make_instrument("pfs").detectors
    area = np.pi * 415.0**2 * (1 - 0.22**2) * 0.84
    air = 10 ** (-0.4 * 1.2 * 0.05)
    fibre = 0.8 * (1 - np.exp(-4 * np.log(2) * (1.13 / 2) ** 2 / 0.8**2))
    photons = 7000e-8 / (6.62607015e-27 * 2.99792458e10) * 1e-17
    electrons = area * 1800 * 0.2935 * air * fibre * 0.8 * photons
    assert 1 / detector.gain[at(detector, 7000)] == pytest.approx(electrons, rel=2e-3)
    # Two reads of 4 electrons, and the dark current, of 5 pixels of 0.83 Angstrom.
    detected = 5 * (2 * 16 + 1e-4 * 1800) * 0.8 / 0.83
    sky = np.interp(7000, detector.wave, sky_continuum(detector))
    expected = sky / electrons + detected / electrons**2
    assert detector.floor[at(detector, 7000)] == pytest.approx(expected, rel=2e-3)


def test_arms_that_overlap_are_added():
    gain, _, _, arms = throughput.noise(throughput.QMOST)
    wave = throughput.QMOST.wave
    both = (arms > 0).sum(axis=0) == 2
    assert 400 < both.sum() * 0.25 < 900
    joint = np.flatnonzero(both & (wave > 5400))[0]
    alone = np.flatnonzero(~both & (wave > 5600))[0]
    assert 0.3 < gain[joint] / gain[alone] < 1.2


def test_lamost_reaches_its_published_limit():
    """V = 19.5 has S/N 10 per resolution element in 90 minutes (Yao et al. 2012)."""
    (detector,) = make_instrument("lamost").detectors
    pixel = at(detector, 5500)
    flux = ab(19.5, 5500)
    per_pixel = flux / np.sqrt(detector.gain[pixel] * flux + detector.floor[pixel])
    element = 5500 / 1800 / np.diff(detector.wave)[pixel]
    assert per_pixel * np.sqrt(element) == pytest.approx(10, rel=0.03)


@pytest.mark.parametrize("survey", OTHERS)
def test_noise_along_magnitude(survey):
    """S/N of the noise that is there: of photons of the object when bright, else of the sky."""
    errors = Errors(
        **dict.fromkeys(("depth", "sky_level", "sky_continuum", "sky_line", "line_shift"), 0.0),
        **dict.fromkeys(("line_width", "velocity", "arm", "tilt", "wiggle", "telluric"), 0.0),
        **dict.fromkeys(("ivar", "edge", "hits"), 0.0),
        **dict.fromkeys(("bad_sky", "crosstalk", "bump"), (0.0, 0.0)),
    )
    instrument = make_instrument(survey)
    (detector,) = instrument.detectors
    window = slice(at(detector, 6700), at(detector, 6800))
    found = {}
    for magnitude in (15.0, 16.0, 19.0, 22.0, 25.0, 26.0):
        flux = ab(magnitude, FRAME.wave).astype(np.float32)
        rng = np.random.default_rng(2)
        (camera,), (signal,) = observe(np.tile(flux, (24, 1)), instrument, rng, errors)
        seen = camera.ivar[:, window] > 0
        noise = (camera.flux - signal)[:, window][seen]
        sigma = camera.ivar[:, window][seen] ** -0.5
        white = detector.white[window].mean()
        assert (noise / sigma).std() == pytest.approx(white, rel=0.05)
        found[magnitude] = signal[:, window].mean() / np.median(sigma)
    levels = list(found.values())
    assert levels == sorted(levels, reverse=True)
    # S/N goes with the square root of the flux where photons of the object dominate, and with the
    # flux where the sky does: one magnitude is a factor of 1.58 and of 2.51.
    assert found[15.0] / found[16.0] == pytest.approx(1.58, rel=0.04)
    assert found[25.0] / found[26.0] == pytest.approx(2.51, rel=0.04)


def test_larger_telescopes_see_fainter_objects():
    """S/N per Angstrom of AB 22 at 6700 Angstrom, in the reference exposure of each."""
    found = {}
    for survey in (*OTHERS, "boss"):
        (detector,) = make_instrument(survey).detectors
        pixel, flux = at(detector, 6700), ab(22.0, 6700)
        noise = np.sqrt(detector.gain[pixel] * flux + detector.floor[pixel])
        found[survey] = flux / noise / np.sqrt(np.diff(detector.wave)[pixel])
    assert found["pfs"] > found["weave"] > found["4most"] > found["boss"] > found["lamost"]
    assert 2 < found["pfs"] / found["4most"] < 4


@pytest.mark.parametrize("survey", OTHERS)
def test_files_give_back_the_spectra(tmp_path, survey):
    simulation = simulate(30, seed=3, survey=survey, mix={"quasar": 0.8, "sky": 0.2})
    batch = simulation.collect()
    assert batch.spectra.survey == SURVEYS[survey]
    assert list(batch.spectra.ids) == ["TARGETID"]
    write_simulation(simulation, tmp_path / "c.fits", tmp_path / "t.fits", format="coadd")
    read = qnet.read_spectra(tmp_path / "c.fits")
    (camera,), (expected,) = read.cameras, batch.spectra.cameras
    assert camera.name == "BRZ"
    np.testing.assert_array_equal(camera.wave, expected.wave)
    np.testing.assert_array_equal(camera.flux, expected.flux)
    np.testing.assert_array_equal(camera.ivar, expected.ivar)
    assert not (read.flag & QNFlag.CAMERA_MISSING).any()
    assert read.ids["TARGETID"].tolist() == batch.truth["TARGETID"].tolist()


def test_the_spectra_of_the_older_instruments_stay():
    """Pinned numbers of a seed: chunks, draws and instruments must not change by a new one."""
    pinned = {
        "sdss": (6.613646610346361, [0.48237851]),
        "boss": (6.351045111682391, [0.84224451]),
        "desi": (6.613646610346361, [-0.95911640, 0.18129061, 0.07382918]),
    }
    for survey, (z, flux) in pinned.items():
        (batch,) = list(simulate(3, seed=5, survey=survey))
        assert batch.truth["TRUEZ"][2] == pytest.approx(z, rel=1e-9)
        found = [camera.flux[2, 1000] for camera in batch.spectra.cameras]
        assert found == pytest.approx(flux, rel=1e-4)


def test_every_survey_is_declared_everywhere():
    assert set(SURVEYS) == set(MAGNITUDES) == set(QUASAR_REDSHIFTS)
    sky = {"sky": 1.0}
    one = {key: next(iter(simulate(1, seed=7, survey=key, mix=sky))) for key in SURVEYS}
    ids = [int(batch.truth["TARGETID"][0]) for batch in one.values()]
    assert len(set(ids)) == len(SURVEYS)
    assert min(ids) > 0
    parser = argparse.ArgumentParser()
    command.configure(lambda **_: parser)
    assert set(parser._option_string_actions["--survey"].choices) == set(SURVEYS)
