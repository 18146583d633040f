"""Simulated galaxies: narrow lines in the right places and ratios, redshifts, magnitudes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnet.core.errors import InputError
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.frame import FRAME, NPIX, STAR_FRAME, scale_to_r, shift
from qnet.simulation.stars_galaxies import galaxies, nebular
from qnet.simulation.stars_galaxies.atmospheres import LOG_AGES, populations
from qnet.simulation.stars_galaxies.starlight import (
    broaden,
    milky_way_extinction,
    redden,
    starburst_extinction,
)

WAVE = FRAME.wave
#: Kinds whose gas is ionised by stars, by old stars or a weak nucleus, by a nucleus.
YOUNG, OLD = ("SF", "STARBURST", "HII"), ("PASSIVE", "LINER", "E+A")


@pytest.fixture(scope="module")
def many():
    rmag = np.random.default_rng(5).uniform(14.5, 23.0, 700)
    return galaxies.make(np.random.default_rng(1), rmag)


def bare(kind, count=60, seed=3, z=None):
    """Galaxies of one kind over a flat continuum in place of stars: lines stand out."""
    rng = np.random.default_rng(seed)
    subtype = np.full(count, kind)
    redshift = rng.uniform(0.02, 0.4, count) if z is None else np.full(count, z)
    flat = np.ones((count, STAR_FRAME.npix), np.float32)
    return galaxies.assemble(rng, np.full(count, 19.0), subtype, redshift, flat)


def line(objects, row, name, half=2500.0):
    """Velocity from TRUEZ and continuum-subtracted flux about a line."""
    centre = nebular.WAVELENGTHS[name] * (1 + objects.truth["TRUEZ"][row])
    velocity = (WAVE / centre - 1) * SPEED_OF_LIGHT
    inside = np.abs(velocity) < half
    velocity, flux = velocity[inside], objects.flux[row, inside].astype(float)
    return velocity, flux - np.interp(velocity, velocity[[0, -1]], flux[[0, -1]])


def full_width(velocity, flux):
    """Full width at half maximum of a single peak, linear between pixels."""
    top = int(np.argmax(flux))
    half = flux[top] / 2
    left = np.interp(half, flux[: top + 1], velocity[: top + 1])
    right = np.interp(-half, -flux[top:], velocity[top:])
    return right - left


def magnitude(flux):
    """r magnitude through the inverse of `scale_to_r`: it is linear in the flux."""
    ones = np.ones((1, NPIX))
    inside = (WAVE >= 5600) & (WAVE < 6900)
    weight = WAVE[inside] * np.gradient(WAVE)[inside]
    unit = scale_to_r(ones, np.array([20.0]))[0, 0]
    return 20.0 - 2.5 * np.log10(flux[:, inside] @ weight / weight.sum() / unit)


def test_the_same_state_gives_the_same_galaxies():
    rmag = np.full(20, 20.0)
    first, again = (galaxies.make(np.random.default_rng(7), rmag) for _ in range(2))
    other = galaxies.make(np.random.default_rng(8), rmag)
    np.testing.assert_array_equal(first.flux, again.flux)
    for name in first.truth:
        np.testing.assert_array_equal(first.truth[name], again.truth[name])
    assert not np.array_equal(first.flux, other.flux)


def test_flux_is_finite_and_positive_for_all_kinds(many):
    assert set(many.truth["TRUESUBTYPE"]) == set(galaxies.KINDS)
    assert many.flux.dtype == np.float32
    assert many.flux.shape == (700, NPIX)
    assert np.isfinite(many.flux).all()
    assert (many.flux > 0).all()


def test_truth_is_galaxy(many):
    truth = many.truth
    assert set(truth["TRUESPECTYPE"]) == {"GALAXY"}
    assert not truth["BAL_FLAG_VI"].any()
    assert not truth["BI_CIV"].any()
    assert all(len(column) == len(many) for column in truth.values())


def test_magnitudes_are_those_asked_for(many):
    np.testing.assert_allclose(magnitude(many.flux), many.truth["RMAG"], atol=1e-4)


def test_redshifts_reach_1_7_and_bright_galaxies_are_near():
    faint = galaxies.make(np.random.default_rng(2), np.full(600, 23.0)).truth["TRUEZ"]
    bright = galaxies.make(np.random.default_rng(2), np.full(200, 15.5)).truth["TRUEZ"]
    assert faint.min() > 0
    assert 1.3 < faint.max() <= galaxies.Z_MAX == 1.7
    assert np.median(faint) > 0.35
    assert np.median(bright) < 0.1


def test_no_galaxy_outshines_the_brightest_of_clusters():
    rmag = np.full(500, 16.0)
    z = galaxies.draw_redshifts(
        np.random.default_rng(0), rmag, galaxies.draw_kinds(np.random.default_rng(1), 500), 1.7
    )
    # 16 + 24.5 = 40.5 magnitudes of distance modulus are z = 0.26.
    assert z.max() < 0.28


@pytest.mark.parametrize("kind", list(galaxies.KINDS))
def test_permitted_lines_are_narrow(kind):
    objects = bare(kind)
    assert objects.truth["FWHM_EMISSION"].max() <= galaxies.MAX_FWHM < 1000
    for row in range(len(objects)):
        velocity, flux = line(objects, row, "HBETA")
        assert full_width(velocity, flux) < 1000
        if objects.truth["FWHM_EMISSION"][row] > 250:
            assert full_width(velocity, flux) == pytest.approx(
                objects.truth["FWHM_EMISSION"][row], rel=0.15
            )


@pytest.mark.parametrize("kind", ["SEYFERT2", "LINER"])
def test_permitted_lines_have_no_broad_wings(kind):
    # Of a Gaussian of at most 900 km/s, 99.9 % lies within 1300 km/s.
    objects = bare(kind)
    for row in range(len(objects)):
        velocity, flux = line(objects, row, "HBETA")
        assert flux[np.abs(velocity) < 1300].sum() > 0.97 * flux.sum()


def test_lines_are_at_the_true_redshift():
    objects = bare("STARBURST")
    for name in ("HBETA", "HGAMMA", "OIII_5008", "HALPHA"):
        for row in range(len(objects)):
            velocity, flux = line(objects, row, name, half=600)
            assert abs(velocity[np.argmax(flux)]) <= 70  # one pixel


def test_line_ratios_in_the_spectra_are_those_of_the_truth():
    objects = bare("HII")
    for row in range(len(objects)):
        (_, hbeta), (_, oxygen) = (line(objects, row, name, 900) for name in ("HBETA", "OIII_5008"))
        ratio = np.log10(oxygen.sum() * 5008.24 / hbeta.sum() / 4862.68)
        # Dust between the two lines and the pixels leave under 0.05 dex.
        assert ratio == pytest.approx(objects.truth["LOG_O3"][row], abs=0.05)


def test_kinds_lie_where_the_diagnostic_diagram_has_them(many):
    nitrogen, oxygen = many.truth["LOG_N2"], many.truth["LOG_O3"]
    kind = many.truth["TRUESUBTYPE"]
    young = np.isin(kind, YOUNG)
    assert (oxygen[young] < nebular.kauffmann(nitrogen[young])).all()
    nucleus = kind == "SEYFERT2"
    assert (oxygen[nucleus] > nebular.kewley(nitrogen[nucleus])).all()
    assert (oxygen[nucleus] > nebular.seyfert_liner(nitrogen[nucleus])).all()
    old = np.isin(kind, OLD)
    assert (oxygen[old] < nebular.seyfert_liner(nitrogen[old])).all()
    between = kind == "COMPOSITE"
    assert (oxygen[between] < nebular.kewley(nitrogen[between])).all()
    assert (oxygen[between] > nebular.kauffmann(nitrogen[between]) - 1e-9).all()


def test_ratios_of_atomic_physics():
    rng = np.random.default_rng(0)
    nitrogen = np.linspace(-1.9, -0.4, 30)
    oxygen = nebular.star_forming(rng, nitrogen)
    no = np.zeros(30, bool)
    flux = nebular.line_fluxes(rng, nitrogen, oxygen, no, no)
    assert set(flux) == set(nebular.WAVELENGTHS)
    np.testing.assert_allclose(flux["HALPHA"] / flux["HBETA"], 2.86)
    np.testing.assert_allclose(flux["OIII_5008"] / flux["OIII_4960"], 2.98)
    np.testing.assert_allclose(flux["NII_6585"] / flux["HALPHA"], 10**nitrogen)
    doublet = flux["OII_3730"] / flux["OII_3727"]
    assert ((doublet > 0.35) & (doublet < 1.5)).all()
    assert not flux["NEV_3427"].any()  # no hard light


def test_very_strong_lines_occur(many):
    assert many.truth["EW_HBETA"].max() > 100
    quiet = many.truth["TRUESUBTYPE"] == "PASSIVE"
    assert many.truth["EW_HBETA"][quiet].max() < 1


def test_breaks_and_balmer_lines_follow_the_age():
    wave = STAR_FRAME.wave
    spectra = populations()[1]
    nu = spectra * wave**2
    blue, red = (wave > 3850) & (wave < 3950), (wave > 4000) & (wave < 4100)
    index = nu[:, red].mean(axis=1) / nu[:, blue].mean(axis=1)
    # Kauffmann et al. 2003, MNRAS 341, 33, fig. 2: about 1.0 at 3 Myr, 1.5 at 1 Gyr, 2 at 10 Gyr.
    assert (np.diff(index[4:]) > 0).all()
    assert index[0] < 1.1
    assert index[LOG_AGES == 0.0] == pytest.approx(1.5, abs=0.15)
    assert index[LOG_AGES == 1.0] == pytest.approx(1.95, abs=0.15)
    hdelta = np.abs(wave - 4102.9) < 20
    beside = (np.abs(wave - 4102.9) > 40) & (np.abs(wave - 4102.9) < 60)
    depth = 1 - spectra[:, hdelta].mean(axis=1) / spectra[:, beside].mean(axis=1)
    assert -1.0 <= LOG_AGES[np.argmax(depth)] <= 0.0


def test_populations_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        populations()[0] = 0


@given(z=st.floats(0.0, 1.7), rest=st.floats(4100, 5900))
def test_a_line_is_shifted_to_one_plus_z(z, rest):
    observed = rest * (1 + z)
    flux = np.exp(-0.5 * ((STAR_FRAME.wave / rest - 1) * SPEED_OF_LIGHT / 200) ** 2)[None]
    moved = shift(flux, np.array([z]))[0].astype(float)
    if WAVE[20] < observed < WAVE[-20]:
        centre = (WAVE * moved).sum() / moved.sum()
        assert centre == pytest.approx(observed, rel=3e-5)  # 10 km/s


def test_beyond_its_ends_a_spectrum_holds_its_end_values():
    flux = np.linspace(1, 2, 500)[None]
    low, high = (shift(flux, np.zeros(1), start=start)[0] for start in (3.0, 4.5))
    np.testing.assert_array_equal(low, 2)
    np.testing.assert_array_equal(high, 1)
    part = shift(flux, np.zeros(1), start=3.6)[0]
    assert part[0] == 1
    assert part[-1] == 2


@given(sigma=st.floats(70, 400))
def test_broadening_keeps_the_flux_and_adds_in_quadrature(sigma):
    velocity = (np.log(WAVE / 6000.0)) * SPEED_OF_LIGHT
    flux = np.exp(-0.5 * (velocity / 150) ** 2).astype(np.float32)[None]
    wide = broaden(flux, np.array([sigma]))[0].astype(float)
    assert wide.sum() == pytest.approx(flux.sum(), rel=1e-4)
    wide[np.abs(velocity) > 2500] = 0  # where rounding is all that is left
    width = np.sqrt((wide * velocity**2).sum() / wide.sum())
    assert width == pytest.approx(np.hypot(150, sigma), rel=0.01)


def test_no_broadening_leaves_spectra_alone():
    flux = np.random.default_rng(0).uniform(1, 2, (2, 300)).astype(np.float32)
    np.testing.assert_allclose(broaden(flux, np.zeros(2)), flux, rtol=1e-5)


def test_dust_curves():
    # R_V, and E(B-V) as the difference between B (4400) and V (5500); Cardelli's x = 1 / micron.
    visual, blue = milky_way_extinction(np.array([1e4 / 1.82, 1e4 / 2.27]))
    assert visual == pytest.approx(3.1)
    assert blue - visual == pytest.approx(1.0, abs=0.03)
    assert starburst_extinction(np.array([5500.0]))[0] == pytest.approx(4.05, abs=0.03)
    flux = redden(np.ones((1, 1), np.float32), np.array([2.5]), np.array([1.0]))
    assert flux[0, 0] == pytest.approx(0.1)


def test_the_rest_frame_holds_all_that_galaxies_show():
    assert STAR_FRAME.wave[0] == pytest.approx(10**STAR_FRAME.start)
    assert STAR_FRAME.wave[0] < WAVE[0] / (1 + galaxies.Z_MAX)
    assert STAR_FRAME.wave[-1] > WAVE[-1]


@pytest.mark.parametrize("rmag", [[np.nan], [[20.0]], 20.0, [np.inf]])
def test_magnitudes_must_be_finite_and_one_dimensional(rmag):
    with pytest.raises(InputError, match="rmag must be one-dimensional and finite"):
        galaxies.make(np.random.default_rng(0), rmag)


def test_no_galaxies():
    assert galaxies.make(np.random.default_rng(0), np.zeros(0)).flux.shape == (0, NPIX)
