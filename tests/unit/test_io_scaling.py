"""Tables and images whose stored integers are scaled, or stand for nothing."""

from __future__ import annotations

import fitsio
import numpy as np
import pytest
from astropy.io import fits as astropy_fits
from astropy.table import MaskedColumn, Table

import qnet
from makers import BOSS_LOGLAM, make_spectrum
from qnet.io.fits.file import FitsFile

STORED = np.array([1, 2, -3, 40, 100])


def write_column(path, values, **cards):
    """A table of one column and the cards that say what its numbers mean."""
    table = np.zeros(len(values), [("V", values.dtype), ("ID", "i4")])
    table["V"], table["ID"] = values, np.arange(len(values))
    with fitsio.FITS(str(path), "rw", clobber=True) as file:
        file.write(None)
        file.write(table)
        for name, value in cards.items():
            file[1].write_key(name, value)
    return path


@pytest.mark.parametrize("kind", ["i2", "i4", "i8", "u1", "f4", "f8"])
@pytest.mark.parametrize(("scale", "zero"), [(0.25, 0), (0.25, 10), (1, 10), (1000.0, 0), (1, 0.5)])
def test_scaled_columns_are_read_as_astropy_reads_them(tmp_path, kind, scale, zero):
    values = np.abs(STORED).astype(kind) if kind == "u1" else STORED.astype(kind)
    path = write_column(tmp_path / "t.fits", values, TSCAL1=scale, TZERO1=zero)
    with astropy_fits.open(path, uint=False) as hdus:
        wanted = np.array(hdus[1].data["V"], dtype=np.float64)
    with FitsFile(path) as file:
        whole = file.table(1, ["V", "ID"])
        rows = file.table(1, ["ID", "V"], np.array([3, 0]))
    np.testing.assert_allclose(whole["V"], wanted, rtol=1e-6)
    np.testing.assert_allclose(whole["V"], scale * values.astype(float) + zero, rtol=1e-6)
    np.testing.assert_allclose(rows["V"], wanted[[3, 0]], rtol=1e-6)
    assert rows["ID"].tolist() == [3, 0]


@pytest.mark.parametrize("kind", ["u2", "u4", "i1"])
def test_columns_of_the_other_signedness_keep_their_type(tmp_path, kind):
    values = np.array([0, 1, np.iinfo(kind).max], dtype=kind)
    path = write_column(tmp_path / "t.fits", values)
    with FitsFile(path) as file:
        found = file.table(1, ["V"])["V"]
    assert found.dtype == np.dtype(kind)
    np.testing.assert_array_equal(found, values)


def test_integers_that_stand_for_nothing_are_no_ids(tmp_path):
    table = Table(
        {
            "TARGETID": MaskedColumn([11, 12, 13], mask=[False, True, False]),
            "DESI_TARGET": MaskedColumn([4, 4, 4], mask=[True, False, False]),
        }
    )
    table.write(tmp_path / "t.fits")
    with FitsFile(tmp_path / "t.fits") as file:
        found = file.table(1, ["TARGETID", "DESI_TARGET"])
    assert found["TARGETID"].tolist() == [11, -1, 13]
    assert found["DESI_TARGET"].tolist() == [0, 4, 4]


def test_scaled_values_that_stand_for_nothing_are_nan(tmp_path):
    values = np.array([5, -32768, 7], dtype="i2")
    path = write_column(tmp_path / "t.fits", values, TSCAL1=0.01, TZERO1=1.0, TNULL1=-32768)
    with FitsFile(path) as file:
        np.testing.assert_allclose(file.table(1, ["V"])["V"], [1.05, np.nan, 1.07])


def test_blank_pixels_of_a_scaled_image_are_nan(tmp_path):
    stored = np.array([[1, 2, -(2**31)], [4, -(2**31), 6]], dtype=np.int32)
    with fitsio.FITS(str(tmp_path / "i.fits"), "rw") as file:
        file.write(stored, header={"BSCALE": 0.5, "BZERO": 3.0, "BLANK": -(2**31)})
    wanted = np.where(stored == -(2**31), np.nan, 0.5 * stored + 3)
    with FitsFile(tmp_path / "i.fits") as file:
        np.testing.assert_allclose(file.image(0), wanted)
        np.testing.assert_allclose(file.image(0, np.array([1])), wanted[1:])


def test_a_spectrum_of_scaled_integers(tmp_path):
    _, flux, ivar = make_spectrum(2.4, seed=7)
    table = np.zeros(len(flux), [("loglam", "f4"), ("ivar", "f4"), ("flux", "i4")])
    table["loglam"], table["ivar"] = BOSS_LOGLAM, ivar
    table["flux"] = np.round(flux / 1e-4)
    path = tmp_path / "spec-1-2-3.fits"
    with fitsio.FITS(str(path), "rw") as file:
        file.write(None, header={"PLATEID": 1, "MJD": 2, "FIBERID": 3, "THING_ID": 5})
        file.write(table, extname="COADD")
        file[1].write_key("TSCAL3", 1e-4)
    found = qnet.read_spectra(path).cameras[0]
    np.testing.assert_allclose(found.flux[0], flux, rtol=0, atol=6e-5)
