"""SDSS-V's mwmStar and mwmVisit files: rows of all tables, rest frames, ids."""

from __future__ import annotations

import numpy as np
import pytest

import qnet
from makers import make_spectra, write
from makers_surveys import APOGEE_WAVE, MWM_WAVE, mwm
from qnet import QNFlag
from qnet.core.errors import FileError
from qnet.io import read_spectra
from qnet.lines import SPEED_OF_LIGHT

FLUX, IVAR = make_spectra(MWM_WAVE, (1.1, 2.3, 0.7), seed=7)


def make(kind="visit", rows=3, **options):
    return mwm(kind, MWM_WAVE, FLUX[:rows], IVAR[:rows], **options)


@pytest.mark.parametrize("kind", ["visit", "star"])
def test_rows_of_all_tables_are_read_those_of_apogee_flagged(tmp_path, kind, small_model):
    path = write(tmp_path / "m.fits", make(kind, south=1, apogee=2))
    spectra = read_spectra(path)
    assert len(spectra) == 5
    np.testing.assert_allclose(spectra.cameras[0].flux[:3, : len(MWM_WAVE)], FLUX)
    apogee = spectra.cameras[0].wave[3:, : len(APOGEE_WAVE)]
    np.testing.assert_allclose(apogee, np.tile(APOGEE_WAVE, (2, 1)), rtol=1e-6)
    table = qnet.classify(path, model=small_model)
    assert ((table["QN_FLAG"] & QNFlag.NODATA) != 0).tolist() == [False] * 3 + [True] * 2
    alone = qnet.classify(MWM_WAVE, FLUX, IVAR, model=small_model)
    np.testing.assert_allclose(table["C_LINES"][:3], alone["C_LINES"], atol=1e-4)


def test_a_visit_is_taken_back_from_the_rest_frame_where_it_was_stacked(tmp_path):
    speeds = np.float32([250.0, 250.0, np.nan])
    columns = {"in_stack": np.array([True, False, True]), "xcsao_v_rad": speeds}
    (camera,) = read_spectra(write(tmp_path / "m.fits", make(columns=columns))).cameras
    shift = (camera.wave / MWM_WAVE - 1) * SPEED_OF_LIGHT
    np.testing.assert_allclose(
        shift, np.array([[250.2], [0], [0]]) * np.ones(len(MWM_WAVE)), atol=0.1
    )
    star = make("star", rows=1, columns={"v_rad": np.float32([-300])})
    (camera,) = read_spectra(write(tmp_path / "s.fits", star)).cameras
    assert np.allclose((camera.wave[0] / MWM_WAVE - 1) * SPEED_OF_LIGHT, -299.7, atol=0.1)


def test_ids(tmp_path):
    visit = read_spectra(write(tmp_path / "v.fits", make())).ids
    assert visit["TARGETID"].tolist() == [27021597911984196 + n for n in range(3)]
    assert visit["FIELD"].tolist() == [15000, 15001, 15002]
    assert visit["MJD"].tolist() == [59500, 59501, 59502]
    assert (visit["SDSS_ID"] == 103020000).all()
    assert set(visit["OBS"]) == {"APO"}
    path = tmp_path / "v.fits"
    path.write_bytes(path.read_bytes().replace(b"apo25m", b"\xffpo25m"))
    assert set(read_spectra(path).ids["OBS"]) == {"\ufffdPO"}
    star = read_spectra(write(tmp_path / "s.fits", make("star", rows=1))).ids
    assert star["TARGETID"].tolist() == [63050396092955182] == star["CATALOGID"].tolist()
    assert (star["TARGET_RA"][0], star["TARGET_DEC"][0]) == (187.125, -66.5)
    bare = make("star", rows=1)
    del bare[0].header["CAT_ID"]
    assert read_spectra(write(tmp_path / "b.fits", bare)).ids["TARGETID"].tolist() == [-1]


def test_files_without_spectra_are_refused(tmp_path):
    with pytest.raises(FileError, match="none of its tables of spectra has a row"):
        read_spectra(write(tmp_path / "x.fits", make(rows=0)))
    hdus = make()
    hdus[1].columns["ivar"].name = "e_flux"
    with pytest.raises(FileError, match=r"HDU BOSS/APO lacks the column.s. IVAR; it has"):
        read_spectra(write(tmp_path / "y.fits", hdus))
