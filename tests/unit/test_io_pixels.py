"""Spectra of what is stated of their pixels: errors in every kind and unit, and none at all."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units

import qnet
from qnet.core.errors import InputError, QnetWarning
from qnet.io.noise import estimate_ivar
from qnet.io.pixels import Pixels, make_spectra

RNG = np.random.default_rng(5)
WAVE = np.linspace(3700.0, 9500.0, 2000)
SIGMA = np.linspace(2.0, 0.3, 2000)
SHAPE = 5 + 30 * np.exp(-(((WAVE - 6000) / 60) ** 2))
FLUX = SHAPE + SIGMA * RNG.normal(size=(3, 2000))


@pytest.mark.parametrize(
    ("kind", "weights", "unit"),
    [
        ("ivar", SIGMA**-2, None),
        ("ivar", 1e34 * SIGMA**-2.0, "s2 cm4 Angstrom2 / erg2"),
        ("std", SIGMA, ""),
        ("std", SIGMA, "1e-17 erg/s/cm2/Angstrom"),
        ("std", 1e-17 * SIGMA, "erg/s/cm2/Angstrom"),
        ("var", SIGMA**2, None),
        ("var", 1e-34 * SIGMA**2, units.Unit("erg / (s cm2 Angstrom)") ** 2),
    ],
)
def test_errors_of_each_kind_in_the_unit_of_the_flux(kind, weights, unit):
    pixels = Pixels(
        wave=WAVE / 10,
        wave_unit="nm",
        flux=FLUX,
        flux_unit="1e-17 erg/s/cm2/Angstrom",
        weights=np.tile(weights, (3, 1)),
        weight_unit=unit,
        kind=kind,
        bad=FLUX > 30,
    )
    (camera,) = make_spectra([pixels]).cameras
    expected = np.where(FLUX > 30, 0, SIGMA**-2.0)
    np.testing.assert_allclose(camera.wave, WAVE)
    np.testing.assert_allclose(camera.ivar, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "unit", "message"),
    [
        ("std", "Jy", "error has unit Jy, but flux has erg/s/cm2/A: expected erg/s/cm2/A"),
        ("var", "erg/s/cm2/A", r"variance has unit .*expected \(erg/s/cm2/A\)\^2"),
        ("std", "strange", "error has unit strange"),
        ("rms", None, "uncertainty of type 'rms' is not one of"),
    ],
)
def test_errors_in_a_unit_that_is_none_of_theirs_are_refused(kind, unit, message):
    pixels = Pixels(
        wave=WAVE, flux=FLUX, flux_unit="erg/s/cm2/A", weights=FLUX, kind=kind, weight_unit=unit
    )
    with pytest.raises(InputError, match=message):
        make_spectra([pixels])


def test_cameras_in_units_per_frequency_and_per_wavelength_become_one_unit():
    both = [
        Pixels(wave=WAVE, flux=FLUX, weights=FLUX, flux_unit=unit, name=unit)
        for unit in ("mJy", "uJy", "1e-17 erg/s/cm2/A")
    ]
    spectra = make_spectra(both)
    milli, micro, _ = spectra.cameras
    np.testing.assert_allclose(milli.flux, 1e3 * micro.flux, rtol=1e-6)
    np.testing.assert_allclose(milli.ivar, 1e-6 * micro.ivar, rtol=1e-6)
    assert spectra.flux_unit == "1e-17 erg / (s cm2 Angstrom)"


def test_without_errors_the_noise_is_estimated_and_flagged():
    flux = np.vstack([FLUX, np.zeros(2000), np.full(2000, 7.0)])
    flux[0, :300] = 0
    flux[1, 5] = np.nan
    with pytest.warns(QnetWarning, match=r"x\.fits: there are no errors of the flux: they are"):
        spectra = make_spectra([Pixels(wave=WAVE, flux=flux, weights=None, where="x.fits")])
    assert [qnet.flag_names(flag) for flag in spectra.flag] == [["NO_ERROR"]] * 5
    ivar = spectra.cameras[0].ivar
    np.testing.assert_array_equal(ivar == 0, (flux == 0) | np.isnan(flux) | (flux == 7))
    # The broad line has no part in it; 128 pixels tell the noise to about 10 per cent.
    ratio = ivar[:3, 300:] ** -0.5 / SIGMA[300:]
    good = np.isfinite(ratio)
    assert 0.95 < np.median(ratio[good]) < 1.05
    assert 0.75 < np.percentile(ratio[good], 2) < np.percentile(ratio[good], 98) < 1.3


@pytest.mark.parametrize("npix", [0, 1, 4, 5, 300])
def test_spectra_of_few_pixels_have_estimates_where_they_can(npix):
    ivar = estimate_ivar(np.arange(2.0 * npix).reshape(2, npix) ** 3)
    assert ivar.shape == (2, npix)
    assert np.isfinite(ivar).all()
    assert (ivar > 0).any() == (npix > 4)
