"""Wavelengths in air to wavelengths in vacuum, against published values."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from qnet.core.errors import InputError
from qnet.io import from_arrays
from qnet.lines import air_to_vacuum

#: Air and vacuum wavelengths [Angstrom] of SDSS's table of spectral lines, in which vacuum comes
#: from air (https://classic.sdss.org/dr7/products/spectra/vacwavelength.php).
PUBLISHED = {
    "Hbeta": (4861.363, 4862.721),
    "[O III] 4959": (4958.911, 4960.295),
    "[O III] 5007": (5006.843, 5008.239),
    "[N II] 6548": (6548.05, 6549.86),
    "Halpha": (6562.801, 6564.614),
    "[N II] 6583": (6583.45, 6585.27),
    "[S II] 6716": (6716.44, 6718.29),
    "[S II] 6731": (6730.82, 6732.68),
}


@pytest.mark.parametrize("line", PUBLISHED)
def test_published_pairs(line):
    air, vacuum = PUBLISHED[line]
    assert air_to_vacuum(air) == pytest.approx(vacuum, abs=0.011)


def test_specutils_agrees():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("specutils")
        from specutils.utils.wcs_utils import air_to_vac, vac_to_air
    from astropy import units

    wave = np.geomspace(3000, 11000, 301)
    ours = air_to_vacuum(wave)

    def theirs(method, scheme="iteration"):
        return air_to_vac(wave * units.AA, scheme=scheme, method=method).to_value("AA")

    np.testing.assert_allclose(ours, theirs("Morton2000"), rtol=1e-15)
    np.testing.assert_allclose(ours, theirs("Morton2000", "Piskunov"), rtol=1e-11)
    for method in ("Ciddor1996", "Edlen1953", "PeckReeder1972"):
        # Formulae for the refractive index differ by under 10 m/s.
        np.testing.assert_allclose(ours, theirs(method), rtol=0.01 / 299792.458)
    back = vac_to_air(ours * units.AA, method="Morton2000").to_value("AA")
    np.testing.assert_allclose(back, wave, rtol=1e-14)


def test_shape_and_order_are_kept():
    wave = np.linspace(3600, 9800, 60).reshape(3, 20)
    vacuum = air_to_vacuum(wave)
    assert vacuum.shape == wave.shape
    assert (np.diff(vacuum.ravel()) > 0).all()
    assert np.all((vacuum / wave > 1.00027) & (vacuum / wave < 1.00030))


def test_air_wavelengths_of_arrays_are_converted():
    wave = np.linspace(4000, 9000, 50)
    flux = np.ones((1, 50))
    given = from_arrays(wave, flux, flux, air=True)
    np.testing.assert_array_equal(given.cameras[0].wave, air_to_vacuum(wave))
    plain = from_arrays(wave, flux, flux)
    np.testing.assert_array_equal(plain.cameras[0].wave, wave)


def test_air_wavelengths_in_nm_as_plain_numbers_are_refused():
    wave = np.linspace(400.0, 980.0, 500)
    flux = np.ones((1, 500))
    with pytest.raises(InputError, match=r"nm|Angstrom"):
        from_arrays(wave, flux, flux, air=True)


def test_air_wavelengths_in_nm_with_their_unit_are_converted():
    from astropy import units

    wave = np.linspace(400.0, 980.0, 50)
    flux = np.ones((1, 50))
    given = from_arrays(wave * units.nm, flux, flux, air=True)
    np.testing.assert_allclose(given.cameras[0].wave, air_to_vacuum(10 * wave), rtol=1e-14)
