"""Rows and pixels without wavelengths: flagged, whatever they come from; the others stay as are."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units
from astropy.table import MaskedColumn, Table

import qnet
from makers import (
    BOSS_LOGLAM,
    boss_spec,
    desi_coadd,
    desi_set,
    fibermap,
    make_spectra,
    spcframe,
    write,
)
from qnet.core.errors import QnetWarning
from qnet.core.flags import QNFlag
from qnet.io import from_arrays, from_specutils, from_table, read_spectra
from qnet.lines import air_to_vacuum

WAVE = np.tile(10**BOSS_LOGLAM, (3, 1))
FLUX, IVAR = make_spectra(WAVE[0], (1.0, 2.0, 3.0), seed=3)
IDS = [7, 8, 9]
DEAD = {"zero": 0.0, "nan": np.nan, "minus one": -1.0, "masked": np.ma.masked}


def arrays(wave, flux, ivar, air):
    return from_arrays(wave, flux, ivar, targetid=IDS, air=air)


def table(wave, flux, ivar, air):
    wave = wave if isinstance(wave, np.ma.MaskedArray) else np.asarray(wave)
    columns = {"WAVE": MaskedColumn(wave, unit="nm") / 10, "flux": flux, "ivar": ivar}
    return from_table(Table(columns | {"TARGETID": IDS}), air=air)


def specutils_list(wave, flux, ivar, air):
    wave = np.ma.filled(wave, np.nan)
    items = [
        SimpleNamespace(
            spectral_axis=one[0] * units.AA,
            flux=one[1],
            uncertainty=SimpleNamespace(array=one[2], uncertainty_type="ivar"),
            meta={"header": {"TELESCOP": "SDSS", "THING_ID": number}},
        )
        for number, one in zip(IDS, zip(wave, flux, ivar, strict=True), strict=True)
    ]
    return from_specutils(items, air=air)


def arrays_in_nm(wave, flux, ivar, air):
    return arrays(np.ma.filled(wave, np.nan) / 10 * units.nm, flux, ivar, air)


MAKERS = [arrays, arrays_in_nm, table, specutils_list]


@pytest.mark.parametrize("air", [False, True])
@pytest.mark.parametrize("weight", [0.0, 1.0])
@pytest.mark.parametrize("odd", DEAD)
@pytest.mark.parametrize("make", MAKERS)
def test_a_dead_row_is_flagged_and_the_others_are_as_without_it(
    make, odd, weight, air, small_model
):
    good = qnet.classify(make(WAVE, FLUX, IVAR, air), model=small_model)
    wave, ivar = np.ma.masked_array(WAVE.copy()), IVAR.copy()
    wave[1], ivar[1] = DEAD[odd], weight
    if odd != "masked":
        wave = np.asarray(wave)
    with pytest.warns(QnetWarning, match=r"1 of (3|1) spectra have no legal wavelengths"):
        spectra = make(wave, FLUX, ivar, air)
    found = qnet.classify(spectra, model=small_model)
    assert found["QN_FLAG"][1] == QNFlag.NODATA | QNFlag.SPARSE
    assert found["TARGETID"].tolist() == IDS
    assert np.isnan(found["ZBEST"][1])
    assert not found["IS_QSO"][1]
    for name in ("QN_FLAG", "ZBEST", "C_LINES", "Z_LINES", "SNR", "GOODFRAC"):
        np.testing.assert_array_equal(found[name][[0, 2]], good[name][[0, 2]])


@pytest.mark.parametrize("make", [arrays, arrays_in_nm, table, specutils_list])
def test_wavelengths_in_air_of_pixels_without_weight_may_be_anything(make):
    wave, ivar = WAVE.copy(), IVAR.copy()
    wave[:, :5], ivar[:, :5] = np.geomspace(1, 1900, 5), 0
    (camera,) = make(wave, FLUX, ivar, True).cameras
    np.testing.assert_allclose(camera.wave[:, 5:], air_to_vacuum(WAVE)[:, 5:], rtol=1e-12)
    np.testing.assert_array_equal(camera.ivar, ivar)


@pytest.mark.parametrize("value", [0.0, np.nan, -9.0])
@pytest.mark.parametrize("where", [slice(0, 9), slice(-9, None), slice(500, 503), slice(4, 900, 3)])
def test_loglam_of_pixels_without_weight_in_a_spec_file_may_be_anything(
    tmp_path, value, where, small_model
):
    loglam, ivar = np.float32(BOSS_LOGLAM), IVAR[0].copy()
    ivar[where] = 0
    good = write(tmp_path / "good.fits", boss_spec(loglam.copy(), FLUX[0], ivar))
    loglam[where] = value
    path = write(tmp_path / "spec.fits", boss_spec(loglam, FLUX[0], ivar))
    expected, found = (qnet.classify(one, model=small_model) for one in (good, path))
    for name in ("QN_FLAG", "ZBEST", "C_LINES", "Z_LINES", "SNR", "GOODFRAC"):
        np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize("value", [0.0, np.nan])
@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_dead_fibre_of_an_spcframe(tmp_path, value, weight, small_model):
    loglam, ivar = np.tile(BOSS_LOGLAM, (3, 1)), IVAR.copy()
    good = write(tmp_path / "good.fits", spcframe(loglam, FLUX, ivar, fibers=[1, 2, 3]))
    loglam[1], ivar[1] = value, weight
    path = write(tmp_path / "b1.fits", spcframe(loglam, FLUX, ivar, fibers=[1, 2, 3]))
    expected = qnet.classify(good, model=small_model, spall={})
    with pytest.warns(QnetWarning, match=r"b1\.fits: b: 1 of 3 spectra have no legal wavelengths"):
        found = qnet.classify(path, model=small_model, spall={})
    assert found["QN_FLAG"][1] & QNFlag.NODATA
    for name in ("QN_FLAG", "ZBEST", "C_LINES", "SNR"):
        np.testing.assert_array_equal(found[name][[0, 2]], expected[name][[0, 2]])
    with pytest.warns(QnetWarning, match="1 of 1 spectra have no legal wavelengths"):
        alone = read_spectra(path, rows=[1], spall={})
    assert not alone.cameras[0].ivar.any()


def test_a_camera_without_wavelengths_and_weight_is_missing(tmp_path, small_model):
    cameras = desi_set()
    wave, flux, ivar = cameras["R"]
    cameras["R"] = (0 * wave, flux, 0 * ivar)
    path = write(tmp_path / "coadd.fits", desi_coadd(cameras, fibermap(IDS)))
    with pytest.warns(QnetWarning, match=r"coadd\.fits: R: 3 of 3 spectra have no legal wave"):
        found = qnet.classify(path, model=small_model)
    assert all(flag & QNFlag.CAMERA_MISSING for flag in found["QN_FLAG"])
    assert np.isfinite(found["ZBEST"]).all()


def test_padding_of_a_shared_wavelength_hdu_has_no_weight(tmp_path, small_model):
    cameras = desi_set()
    good = write(tmp_path / "good.fits", desi_coadd(cameras, fibermap(IDS)))
    padded = {
        name: (
            np.concatenate([wave, [0.0] * 4]),
            *(np.pad(array, ((0, 0), (0, 4))) for array in (flux, ivar)),
        )
        for name, (wave, flux, ivar) in cameras.items()
    }
    path = write(tmp_path / "padded.fits", desi_coadd(padded, fibermap(IDS)))
    expected, found = (qnet.classify(one, model=small_model) for one in (good, path))
    for name in ("QN_FLAG", "ZBEST", "C_LINES", "SNR"):
        np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize("bad", [np.nan, -1.0, np.inf, 0.0])
def test_rows_whose_ivar_is_bad_throughout_are_flagged(bad, small_model):
    ivar = IVAR.copy()
    ivar[1] = bad
    found = qnet.classify(arrays(WAVE, FLUX, ivar, False), model=small_model)
    expected = qnet.classify(arrays(WAVE, FLUX, IVAR, False), model=small_model)
    assert found["QN_FLAG"][1] & QNFlag.NODATA
    assert bool(found["QN_FLAG"][1] & QNFlag.BADPIX) == (not np.isfinite(bad))
    np.testing.assert_array_equal(found["C_LINES"][[0, 2]], expected["C_LINES"][[0, 2]])
