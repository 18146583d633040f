"""Spec files of SDSS, BOSS, eBOSS and SDSS-V: every array, id and flag as it was written."""

from __future__ import annotations

import numpy as np
import pytest

from makers import (
    BOSS_LOGLAM,
    BOSS_ROW,
    COMBINEREJ,
    SDSS5_ROW,
    boss_spec,
    make_spectra,
    one_row,
    primary,
    sdss5_spec,
    table,
    wave_of,
    write,
)
from qnet.core.errors import FileError, QnetWarning
from qnet.core.flags import QNFlag
from qnet.io import read_spectra


@pytest.fixture(scope="module")
def one():
    flux, ivar = make_spectra(10**BOSS_LOGLAM, (2.3,), seed=4)
    return flux[0], ivar[0]


@pytest.fixture
def and_mask():
    mask = np.zeros(len(BOSS_LOGLAM), np.int32)
    mask[100:120] = COMBINEREJ
    mask[300:310] = COMBINEREJ | 1 << 3
    mask[400:450] = 1 << 24 | 1 << 26
    return mask


SPEC_FILES = {
    "spall": (boss_spec, {}),
    "specobj": (boss_spec, {"row_name": "SPECOBJ"}),
    "row without a name": (boss_spec, {"row_name": ""}),
    "no names at all": (boss_spec, {"row_name": "", "coadd": ""}),
    "sdss-v": (sdss5_spec, {}),
}


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".fits.fz"])
@pytest.mark.parametrize("kind", SPEC_FILES)
def test_spec_arrays_and_combinerej(tmp_path, one, and_mask, kind, suffix):
    flux, ivar = one
    make, options = SPEC_FILES[kind]
    hdus = make(BOSS_LOGLAM, flux, ivar, and_mask=and_mask, **options)
    spectra = read_spectra(write(tmp_path / f"spec-7102-56666-0126{suffix}", hdus))
    (camera,) = spectra.cameras
    np.testing.assert_array_equal(camera.wave, wave_of(BOSS_LOGLAM))
    np.testing.assert_array_equal(camera.flux, flux[None])
    np.testing.assert_array_equal(
        camera.ivar[0], np.where(and_mask & COMBINEREJ, np.float32(0), ivar)
    )
    assert camera.flux.dtype == camera.ivar.dtype == np.float32
    assert spectra.row.tolist() == [0]
    assert spectra.flag.tolist() == [0]
    assert spectra.survey == "SDSS"


@pytest.mark.parametrize("kind", [name for name in SPEC_FILES if name != "sdss-v"])
def test_boss_spec_ids(tmp_path, one, kind):
    make, options = SPEC_FILES[kind]
    path = write(tmp_path / "spec.fits", make(BOSS_LOGLAM, *one, **options))
    spectra = read_spectra(path)
    found = {name: column.tolist() for name, column in spectra.ids.items()}
    assert found == {
        "TARGETID": [465298745],
        "PLATE": [7102],
        "MJD": [56666],
        "FIBERID": [126],
        "THING_ID": [465298745],
        "TARGET_RA": [165.25],
        "TARGET_DEC": [58.5],
        "OBJTYPE": ["QSO"],
        "BOSS_TARGET1": [1 << 40],
        "EBOSS_TARGET0": [1 << 10],
        "ANCILLARY_TARGET1": [0],
    }
    assert spectra.ids["TARGETID"].dtype == np.int64
    assert spectra.cards == (("RUN2D", "v5_7_0"),)
    assert spectra.source == (str(path),)


def test_sdss5_spec_ids(tmp_path, one):
    spectra = read_spectra(write(tmp_path / "spec.fits", sdss5_spec(BOSS_LOGLAM, *one)))
    found = {name: column.tolist() for name, column in spectra.ids.items()}
    assert found == {
        "TARGETID": [4375786564],
        "MJD": [59146],
        "FIELD": [15000],
        "CATALOGID": [4375786564],
        "SDSS_ID": [54392544],
        "TARGET_INDEX": [17],
        "TARGET_RA": [20.5],
        "TARGET_DEC": [-0.25],
        "OBJTYPE": ["science"],
        "OBS": ["APO"],
    }
    assert spectra.cards == (("RUN2D", "v6_1_3"),)


def test_spec_in_upper_or_lower_case_and_any_order_of_hdus(tmp_path, one):
    hdus = boss_spec(BOSS_LOGLAM, *one)
    shuffled = read_spectra(write(tmp_path / "a.fits", hdus, order=[2, 1, 0]))
    upper = [hdus[0], table({k.upper(): hdus[1].data[k] for k in hdus[1].columns.names}, "COADD")]
    plain = read_spectra(write(tmp_path / "b.fits", [*upper, *boss_spec(BOSS_LOGLAM, *one)[2:]]))
    for spectra in (shuffled, plain):
        np.testing.assert_array_equal(spectra.cameras[0].flux[0], one[0])
        assert spectra.ids["THING_ID"].tolist() == [465298745]


def test_spec_without_and_mask_has_all_its_weight(tmp_path, one):
    columns = {"flux": one[0], "loglam": np.float32(BOSS_LOGLAM), "ivar": one[1]}
    hdus = [primary(), table(columns, "COADD"), table(one_row(**BOSS_ROW), "SPALL")]
    spectra = read_spectra(write(tmp_path / "spec.fits", hdus))
    np.testing.assert_array_equal(spectra.cameras[0].ivar[0], one[1])


@pytest.mark.parametrize(
    ("make", "row", "missing"),
    [(boss_spec, BOSS_ROW, "THING_ID"), (sdss5_spec, SDSS5_ROW, "CATALOGID")],
)
def test_spec_without_an_id_has_minus_one_and_warns(tmp_path, one, make, row, missing):
    row = {name: value for name, value in row.items() if name != missing}
    path = write(tmp_path / "spec.fits", make(BOSS_LOGLAM, *one, row=row))
    with pytest.warns(QnetWarning, match=rf"spec\.fits: holds no {missing}: TARGETID is -1"):
        spectra = read_spectra(path)
    assert spectra.ids["TARGETID"].tolist() == spectra.ids[missing].tolist() == [-1]


def test_spec_without_its_table_takes_no_position_from_the_telescope(tmp_path, one):
    path = write(tmp_path / "spec.fits", boss_spec(BOSS_LOGLAM, *one)[:2])
    with pytest.warns(QnetWarning, match="holds no THING_ID"):
        spectra = read_spectra(path)
    assert spectra.ids["PLATE"].tolist() == [7102]
    assert spectra.ids["FIBERID"].tolist() == [126]
    assert "TARGET_RA" not in spectra.ids
    assert "TARGET_DEC" not in spectra.ids


@pytest.mark.parametrize("objtype", ["SKY", "sky   ", "NA_SKY"])
def test_spec_of_sky_is_not_a_target(tmp_path, one, objtype):
    path = write(
        tmp_path / "s.fits", boss_spec(BOSS_LOGLAM, *one, row=BOSS_ROW | {"OBJTYPE": objtype})
    )
    assert read_spectra(path).flag.tolist() == [QNFlag.NOT_TARGET]


@pytest.mark.parametrize(
    ("rows", "count"), [([0], 1), ([0, 0], 2), ([], 0), (np.array([True]), 1), (np.uint8(0), 1)]
)
def test_spec_rows(tmp_path, one, rows, count):
    path = write(tmp_path / "spec.fits", boss_spec(BOSS_LOGLAM, *one))
    spectra = read_spectra(path, rows=rows)
    assert spectra.row.tolist() == [0] * count
    np.testing.assert_array_equal(spectra.cameras[0].flux, np.tile(one[0], (count, 1)))


def _coadd(one, **columns):
    found = {"flux": one[0], "loglam": np.float32(BOSS_LOGLAM), "ivar": one[1]} | columns
    found = {name: column for name, column in found.items() if column is not None}
    return [primary(), table(found, "COADD"), table(one_row(**BOSS_ROW), "SPALL")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loglam": None}, "HDU COADD lacks the column.s. LOGLAM"),
        ({"flux": None}, "HDU COADD lacks the column.s. FLUX"),
        ({"ivar": None}, "HDU COADD lacks the column.s. IVAR"),
        ({"loglam": np.float32(BOSS_LOGLAM[::-1])}, "wave must increase"),
        ({"loglam": np.full(len(BOSS_LOGLAM), np.nan)}, "wave holds NaN, infinite"),
        ({"loglam": 10**BOSS_LOGLAM}, "wave holds NaN, infinite"),
        ({"loglam": np.array(["x"] * len(BOSS_LOGLAM))}, "LOGLAM"),
        ({"flux": np.array(["x"] * len(BOSS_LOGLAM))}, "FLUX holds .x. of type .*but a number per"),
        ({"flux": np.ones((len(BOSS_LOGLAM), 2))}, "FLUX holds .*but a number per pixel"),
        ({"ivar": np.ones((len(BOSS_LOGLAM), 2))}, "IVAR holds .*but a number per pixel"),
        ({"and_mask": np.zeros((len(BOSS_LOGLAM), 2), np.int32)}, "AND_MASK holds .*an integer"),
    ],
)
def test_spec_with_a_bad_coadd_is_an_error_that_names_the_file(tmp_path, one, change, message):
    path = write(tmp_path / "broken.fits", _coadd(one, **change))
    with pytest.raises(FileError, match=rf"broken\.fits: .*{message}"):
        read_spectra(path)


def test_spec_without_pixels_is_an_error(tmp_path, one):
    path = write(tmp_path / "broken.fits", boss_spec(BOSS_LOGLAM[:0], one[0][:0], one[1][:0]))
    with pytest.raises(FileError, match=r"broken\.fits: .*wave holds no pixel"):
        read_spectra(path)


def test_spec_with_columns_of_another_kind_stays(tmp_path, one):
    row = BOSS_ROW | {"PLUG_RA": "12:30:00", "OBJTYPE": np.array(["SKY", "QSO"])}
    path = write(tmp_path / "odd.fits", boss_spec(BOSS_LOGLAM, *one, row=row))
    with pytest.warns(QnetWarning, match=r"odd\.fits: TARGET_RA hold values that are no numbers"):
        spectra = read_spectra(path)
    assert np.isnan(spectra.ids["TARGET_RA"]).all()
    assert spectra.ids["OBJTYPE"].tolist() == ["SKY QSO"]


@pytest.mark.parametrize("value", ["4375786564", "4375786564   "])
def test_sdss5_id_as_text_is_a_number(tmp_path, one, value):
    row = SDSS5_ROW | {"CATALOGID": value}
    path = write(tmp_path / "s.fits", sdss5_spec(BOSS_LOGLAM, *one, row=row))
    assert read_spectra(path).ids["TARGETID"].tolist() == [4375786564]


def test_spec_whose_id_table_has_no_row_is_read_without_ids_or_refused(tmp_path, one):
    empty = {name: column[:0] for name, column in one_row(**BOSS_ROW).items()}
    hdus = [*boss_spec(BOSS_LOGLAM, *one)[:2], table(empty, "SPALL")]
    with pytest.raises(FileError, match=r"broken\.fits: .*SPALL"):
        read_spectra(write(tmp_path / "broken.fits", hdus))


def test_spec_with_an_and_mask_of_floats_is_an_error(tmp_path, one):
    hdus = boss_spec(BOSS_LOGLAM, *one, and_mask=np.zeros(len(BOSS_LOGLAM)))
    with pytest.raises(FileError, match=r"broken\.fits: .*(?i:and_mask)"):
        read_spectra(write(tmp_path / "broken.fits", hdus))
