"""Simulated stars: kinds, velocities, lines at redshift zero, magnitudes."""

import numpy as np
import pytest

from qnet.core.errors import InputError
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.frame import FRAME, NPIX, STAR_FRAME, scale_to_r
from qnet.simulation.stars_galaxies import compact_stars, stars
from qnet.simulation.stars_galaxies.atmospheres import (
    AMPLITUDES,
    TEMPERATURES,
    planck,
    star_spectra,
)
from qnet.simulation.stars_galaxies.opacities import air_to_vacuum, opacities

WAVE = FRAME.wave


@pytest.fixture(scope="module")
def many():
    rmag = np.random.default_rng(5).uniform(14.5, 23.0, 900)
    return stars.make(np.random.default_rng(1), rmag)


def only(kind, count=40, seed=2):
    """Stars of one kind: the others' fractions are not drawn."""
    rng = np.random.default_rng(seed)
    drawn = [stars.make(rng, np.full(600, 18.0)) for _ in range(1 + count // 25)]
    rows = [objects.truth["TRUESUBTYPE"] == kind for objects in drawn]
    flux = np.concatenate([objects.flux[row] for objects, row in zip(drawn, rows, strict=True)])
    z = np.concatenate([o.truth["TRUEZ"][row] for o, row in zip(drawn, rows, strict=True)])
    return flux[:count], z[:count]


def mean_near(flux, wave, half):
    return flux[..., np.abs(WAVE - wave) < half].mean(axis=-1)


def depth(flux, wave, half, beside):
    """Share of the light that is missing about a line, against both sides."""
    sides = 0.5 * (mean_near(flux, wave - beside, half) + mean_near(flux, wave + beside, half))
    return 1 - mean_near(flux, wave, half) / sides


def test_the_same_state_gives_the_same_stars():
    rmag = np.full(30, 20.0)
    first, again = (stars.make(np.random.default_rng(7), rmag) for _ in range(2))
    other = stars.make(np.random.default_rng(8), rmag)
    np.testing.assert_array_equal(first.flux, again.flux)
    np.testing.assert_array_equal(first.truth["TRUEZ"], again.truth["TRUEZ"])
    assert not np.array_equal(first.flux, other.flux)


def test_flux_is_finite_and_positive_for_all_kinds(many):
    assert set(many.truth["TRUESUBTYPE"]) == set(stars.KINDS)
    assert many.flux.dtype == np.float32
    assert np.isfinite(many.flux).all()
    assert (many.flux > 0).all()


def test_truth_is_star(many):
    truth = many.truth
    assert set(truth["TRUESPECTYPE"]) == {"STAR"}
    assert not truth["BAL_FLAG_VI"].any()
    assert not truth["BI_CIV"].any()
    assert all(len(column) == len(many) for column in truth.values())


def test_magnitudes_are_those_asked_for(many):
    inside = (WAVE >= 5600) & (WAVE < 6900)
    weight = (WAVE * np.gradient(WAVE))[inside]
    unit = scale_to_r(np.ones((1, NPIX)), np.array([20.0]))[0, 0]
    got = 20.0 - 2.5 * np.log10(many.flux[:, inside] @ weight / weight.sum() / unit)
    np.testing.assert_allclose(got, many.truth["RMAG"], atol=1e-4)


def test_velocities_are_those_of_halo_and_disk():
    rng = np.random.default_rng(0)
    kind = np.full(5000, "F")
    halo = stars.draw_velocities(rng, kind, np.ones(5000, bool))
    disk = stars.draw_velocities(rng, kind, np.zeros(5000, bool))
    assert halo.std() == pytest.approx(stars.HALO_DISPERSION, rel=0.05)
    assert disk.std() == pytest.approx(stars.DISK_DISPERSION, rel=0.05)
    white = stars.draw_velocities(rng, np.full(5000, "DA"), np.zeros(5000, bool))
    assert white.mean() - disk.mean() == pytest.approx(32.6, abs=4)  # gravitational redshift


def test_true_redshifts_are_velocities(many):
    velocity = many.truth["TRUEZ"] * SPEED_OF_LIGHT
    assert 60 < velocity.std() < 150
    assert np.abs(velocity).max() < 600


def test_lines_are_at_the_true_velocity():
    flux, z = only("A")
    velocity = (WAVE / 4862.68 - 1) * SPEED_OF_LIGHT
    inside = np.abs(velocity) < 2000
    for row, shift in zip(flux, z, strict=True):
        v, f = velocity[inside], row[inside].astype(float)
        missing = np.interp(v, v[[0, -1]], f[[0, -1]]) - f
        missing = np.clip(missing - 0.5 * missing.max(), 0, None)
        assert (v * missing).sum() / missing.sum() == pytest.approx(shift * SPEED_OF_LIGHT, abs=50)


def test_balmer_lines_are_strongest_in_a_stars_and_broadest_in_white_dwarfs():
    a, f, g, da = (
        np.median(depth(only(kind)[0], 4862.7, 12, 90)) for kind in ("A", "F", "G", "DA")
    )
    assert a > f > g > 0
    wing = {kind: np.median(depth(only(kind)[0], 4862.7 + 35, 5, 75)) for kind in ("A", "DA")}
    assert wing["DA"] > 3 * max(wing["A"], 0.005)
    assert da > 0.2


def test_bands_of_cool_stars():
    m, _ = only("M")
    assert (mean_near(m, 7130, 20) < 0.85 * mean_near(m, 7030, 10)).mean() > 0.9  # TiO 7053
    carbon, _ = only("CARBON", 20)
    assert (mean_near(carbon, 5130, 20) < 0.9 * mean_near(carbon, 5190, 10)).all()  # C2 5165
    dwarf, _ = only("L", 15)
    assert (mean_near(dwarf, 9000, 100) > 10 * mean_near(dwarf, 6000, 100)).all()


def test_white_dwarfs_have_the_lines_of_their_kinds():
    calcium = np.median(depth(only("DZ", 15)[0], 3951, 12, 110))
    helium = np.median(depth(only("DB", 15)[0], 4472.7, 8, 70))
    smooth = np.abs(depth(only("DC", 15)[0], 4862.7, 12, 90)).max()
    assert calcium > 0.1
    assert helium > 0.05
    assert smooth < 0.01


def test_cataclysmic_variables_emit_at_redshift_zero():
    for kind in ("CV", "POLAR"):
        flux, z = only(kind, 20)
        assert (depth(flux, 6564.6, 10, 110) < 0).all()
        assert np.abs(z).max() < 0.002


def test_cyclotron_humps_of_polars_lie_at_harmonics_of_a_field():
    humps = compact_stars.cataclysmic(np.random.default_rng(0), np.ones(20, bool))
    humps -= compact_stars.cataclysmic(np.random.default_rng(0), np.zeros(20, bool))
    wave = STAR_FRAME.wave
    resolved = 0
    for hump in humps:
        peak = np.flatnonzero((hump[1:-1] > hump[:-2]) & (hump[1:-1] > hump[2:])) + 1
        peak = peak[(wave[peak] > 3600) & (hump[peak] > 0.02)]
        field = 1.07e6 * -np.diff(1 / wave[peak])  # [MG]: harmonics are evenly spaced in frequency
        resolved += len(field) > 0  # the many harmonics of weak fields run together
        assert ((field > 18) & (field < 66)).all()
    assert resolved > 10


def test_lines_of_magnetic_white_dwarfs_are_split():
    profiles = compact_stars.zeeman_depth(np.random.default_rng(0), np.arange(50), np.zeros(50))
    centre = profiles.wave.reshape(50, 4, 3)
    np.testing.assert_allclose(centre[:, 0, 1], 6564.61)
    np.testing.assert_allclose(centre[:, 0, 2] + centre[:, 0, 0], 2 * 6564.61)
    away = centre[:, 0, 2] - 6564.61
    # 4.67e-7 * 6564.61^2 = 20.1 Angstrom per MG, for 1.5 to 20 MG.
    assert away.min() > 25
    assert away.max() < 410


def test_planck_is_one_at_5500_and_peaks_by_wien():
    wave = STAR_FRAME.wave
    spectra = planck(wave, np.array([4000.0, 6000.0, 2.0e4]))
    np.testing.assert_allclose(spectra[:, np.argmin(np.abs(wave - 5500))], 1, rtol=1e-3)
    assert wave[np.argmax(spectra[1])] == pytest.approx(2.897771955e7 / 6000, rel=2e-3)


def test_every_species_has_an_amplitude_at_every_temperature():
    shapes = opacities()
    for name, values in AMPLITUDES.items():
        assert name in shapes
        assert len(values) == len(TEMPERATURES)
    for shape in shapes.values():
        assert np.isfinite(shape).all()
        assert (shape >= 0).all()
        assert not shape.flags.writeable


def test_wavelengths_are_in_vacuum():
    wave = STAR_FRAME.wave
    # Ca K: 3933.66 in air is 3934.78 in vacuum (Morton 2003).
    near = np.abs(wave - 3934.8) < 10
    assert wave[near][np.argmax(opacities()["CA_HK"][near])] == pytest.approx(3934.78, abs=0.5)
    assert float(air_to_vacuum(3933.66)) == pytest.approx(3934.78, abs=0.01)
    near = np.abs(wave - 4862) < 15
    assert wave[near][np.argmax(opacities()["H_WIDE"][near])] == pytest.approx(4862.68, abs=0.6)


def test_metal_poor_stars_have_weaker_metal_lines():
    wave = STAR_FRAME.wave
    rich, poor = star_spectra(np.array([5500.0, 5500.0]), np.array([0.0, -2.0]))
    line, beside = np.abs(wave - 5177) < 15, np.abs(wave - 5240) < 15
    assert rich[line].mean() / rich[beside].mean() < poor[line].mean() / poor[beside].mean()


@pytest.mark.parametrize("rmag", [[np.nan], [[20.0]], 20.0])
def test_magnitudes_must_be_finite_and_one_dimensional(rmag):
    with pytest.raises(InputError, match="rmag must be one-dimensional and finite"):
        stars.make(np.random.default_rng(0), rmag)


def test_no_stars():
    assert stars.make(np.random.default_rng(0), np.zeros(0)).flux.shape == (0, NPIX)
