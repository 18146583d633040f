"""Spectra of which the model's grid sees nothing, or a part: rows that say so, and no error."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

import qnet
from makers import desi_coadd, fibermap, make_spectra, write
from makers_archives import euclid, jwst
from qnet.core.errors import InputError, QnetWarning
from qnet.core.flags import QNFlag

#: Wavelengths [Angstrom] of Euclid's red grism and of NIRSpec beyond the model's grid.
EUCLID = np.arange(12047.4, 18734.0, 13.4)
JWST = np.linspace(17000.0, 31000.0, 900)


def infrared(kind):
    wave = EUCLID if kind == "Euclid" else JWST
    flux, ivar = make_spectra(wave, [2.0, 1.0, 3.0])
    if kind == "Euclid":
        return euclid(wave, flux, ivar, ids=[11, 12, 13])
    if kind == "JWST":
        return jwst(wave, flux, ivar, ids=[11, 12, 13])
    return desi_coadd({"BRZ": (wave, flux, ivar)}, fibermap([11, 12, 13]))


@pytest.mark.parametrize("kind", ["Euclid", "JWST", "coadd"])
def test_files_without_overlap_are_flagged_rows(tmp_path, kind, two_stage_model):
    path = write(tmp_path / "spectra.fits", infrared(kind))
    message = (
        r"spectra\.fits: wavelengths from [\d.]+ to [\d.]+ lie wholly outside .*flagged NODATA"
    )
    with pytest.warns(QnetWarning, match=message):
        table = qnet.classify(path, model=two_stage_model)
    assert table["TARGETID"].tolist() == [11, 12, 13]
    assert ((table["QN_FLAG"] & QNFlag.NODATA) != 0).all()
    assert not table["IS_QSO"].any()
    assert np.isnan(table["ZBEST"]).all()
    assert (table["GOODFRAC"] == 0).all()
    # They are no fault of the file: the catalogue is written, row by row.
    qnet.write_catalogue(table, tmp_path / "catalogue.fits")
    with fits.open(tmp_path / "catalogue.fits") as hdus:
        assert len(hdus["QNET"].data) == 3


def test_a_part_of_the_grid_is_answered_and_says_how_much(tmp_path, two_stage_model):
    wave = np.arange(8500.0, 16000.0, 5.0)
    flux, ivar = make_spectra(wave, [2.0, 1.0])
    hdus = desi_coadd({"BRZ": (wave, flux, ivar)}, fibermap([11, 12]))
    table = qnet.classify(write(tmp_path / "c.fits", hdus), model=two_stage_model)
    assert not (table["QN_FLAG"] & QNFlag.NODATA).any()
    assert (table["QN_FLAG"] & QNFlag.SPARSE).all()
    part = np.log10(1e4 / 8500) / np.log10(1e4 / 3600)
    np.testing.assert_allclose(table["GOODFRAC"], part, atol=0.01)
    assert np.isfinite(table["ZBEST"]).all()


def test_a_unit_that_was_forgotten_stays_an_error(two_stage_model):
    flux, ivar = make_spectra(EUCLID, [2.0])
    with pytest.raises(InputError, match="look like wavelengths in micron"):
        qnet.classify(np.linspace(0.4, 0.9, len(EUCLID)), flux, ivar, model=two_stage_model)
