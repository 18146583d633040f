"""spPlate, spCFrame and spAll files of SDSS, BOSS and eBOSS."""

from __future__ import annotations

import numpy as np
import pytest

from makers import (
    BOSS_LOGLAM,
    COMBINEREJ,
    image,
    make_spectra,
    plugmap,
    primary,
    spall,
    spcframe,
    spplate,
    table,
    wave_of,
    write,
)
from qnet.core.errors import FileError, InputError, QnetWarning
from qnet.core.flags import QNFlag
from qnet.io import read_spall, read_spectra

FIBERS = [3, 1, 500, 2]
OBJTYPES = ["QSO", "SKY", "GALAXY          ", "SPECTROPHOTO_STD"]


@pytest.fixture(scope="module")
def four():
    return make_spectra(10**BOSS_LOGLAM, (1.0, 2.0, 3.0, 0.5), seed=5)


@pytest.fixture
def and_mask(four):
    mask = np.zeros(four[0].shape, np.int32)
    mask[:, 100:120] = COMBINEREJ
    mask[1, 300:310] = COMBINEREJ | 1 << 3
    mask[2, 400:450] = 1 << 24 | 1 << 26
    return mask


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".fits.fz"])
def test_spplate(tmp_path, four, and_mask, suffix):
    flux, ivar = four
    hdus = spplate(flux, ivar, fibers=FIBERS, and_mask=and_mask, objtype=OBJTYPES)
    path = write(tmp_path / f"spPlate-7102-56666{suffix}", hdus)
    everything = write(
        tmp_path / "spAll.fits", spall(7102, 56666, [1, 2, 3, 4], [111, 222, 333, 444])
    )
    thing_ids, by_fiber = read_spall(everything)
    assert thing_ids.tolist() == [111, 222, 333, 444]
    assert by_fiber[7102, 56666, 2] == 222
    spectra = read_spectra(path, spall=by_fiber)
    for same in (everything, str(everything), (thing_ids, by_fiber)):
        found = read_spectra(path, spall=same)
        np.testing.assert_array_equal(found.ids["TARGETID"], spectra.ids["TARGETID"])
    with pytest.raises(InputError, match=r"spall must be the path of an spAll file, .* not int"):
        read_spectra(path, spall=3)
    (camera,) = spectra.cameras
    np.testing.assert_allclose(camera.wave, 10**BOSS_LOGLAM, rtol=1e-14)
    np.testing.assert_array_equal(camera.flux, flux)
    np.testing.assert_array_equal(camera.ivar, np.where(and_mask & COMBINEREJ, 0, ivar))
    assert spectra.flag.tolist() == [0, QNFlag.NOT_TARGET, 0, 0]
    assert spectra.row.tolist() == [0, 1, 2, 3]
    ids = {name: column.tolist() for name, column in spectra.ids.items()}
    assert ids == {
        "TARGETID": [333, 111, -1, 222],
        "THING_ID": [333, 111, -1, 222],
        "PLATE": [7102] * 4,
        "MJD": [56666] * 4,
        "FIBERID": FIBERS,
        "TARGET_RA": plugmap(FIBERS)["RA"].tolist(),
        "TARGET_DEC": plugmap(FIBERS)["DEC"].tolist(),
        "OBJTYPE": [name.strip() for name in OBJTYPES],
        "BOSS_TARGET1": [1 << 10, 1 << 11, 1 << 12, 1 << 13],
    }
    assert spectra.cards == (("RUN2D", "v5_7_0"),)


@pytest.mark.parametrize(
    ("asked", "rows"),
    [
        ({"rows": [3, 0, 0, 2]}, [3, 0, 0, 2]),
        ({"rows": []}, []),
        ({"rows": [False, True, False, True]}, [1, 3]),
        ({"fibers": [500, 3, 3]}, [2, 0, 0]),
        ({"fibers": np.array([2], np.int16)}, [3]),
        ({"fibers": []}, []),
        ({}, [0, 1, 2, 3]),
    ],
    ids=str,
)
@pytest.mark.parametrize("layout", ["spplate", "spcframes"])
def test_rows_and_fibers_in_any_order_and_repeated(tmp_path, four, layout, asked, rows):
    flux, ivar = four
    if layout == "spplate":
        path = write(tmp_path / "spPlate.fits", spplate(flux, ivar, fibers=FIBERS))
    else:
        path = _frames(tmp_path, four)
    with pytest.warns(QnetWarning, match="THING_ID"):
        spectra = read_spectra(path, **asked)
    assert spectra.row.tolist() == rows
    assert spectra.ids["FIBERID"].tolist() == [FIBERS[row] for row in rows]
    for camera in spectra.cameras:
        pixels = camera.flux.shape[1]
        np.testing.assert_array_equal(camera.flux, flux[rows][:, :pixels])


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"rows": [4]}, InputError, r"rows must be in 0 \.\. 3, not 4"),
        ({"rows": [-1]}, InputError, r"rows must be in 0 \.\. 3, not -1"),
        ({"rows": [1.0]}, InputError, "rows must be integers"),
        ({"rows": [True]}, InputError, "rows must be integers, or 4 booleans"),
        ({"rows": [[0, 1]]}, InputError, "rows must be"),
        ({"fibers": [4]}, FileError, r"lacks the fibre\(s\) \[4\]"),
    ],
    ids=str,
)
def test_rows_and_fibers_that_are_not_there(tmp_path, four, asked, error, message):
    path = write(tmp_path / "spPlate.fits", spplate(*four, fibers=FIBERS))
    with pytest.raises(error, match=message):
        read_spectra(path, spall={}, **asked)


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"PLATEID": 2**31}, "PLATEID"),
        ({"MJD": -(2**62)}, "MJD"),
        ({"COEFF0": "none"}, "COEFF0"),
        ({"COEFF1": None}, "COEFF1"),
        ({"COEFF1": -4e-4}, "wave must increase"),
    ],
    ids=str,
)
def test_spplate_with_a_bad_card_is_an_error(tmp_path, four, cards, message):
    path = write(tmp_path / "broken.fits", spplate(*four, fibers=FIBERS, **cards))
    with pytest.raises(FileError, match=rf"broken\.fits: .*{message}"):
        read_spectra(path, spall={})


@pytest.mark.parametrize("remove", [[5], [5, 6]])
def test_spplate_without_its_plugmap_is_an_error(tmp_path, four, remove):
    hdus = spplate(*four, fibers=FIBERS)
    hdus = [hdu for number, hdu in enumerate(hdus) if number not in remove]
    with pytest.raises(FileError, match=r"broken\.fits: lacks the table number 5"):
        read_spectra(write(tmp_path / "broken.fits", hdus))


def test_spplate_with_a_plugmap_of_other_length_is_an_error(tmp_path, four):
    path = write(tmp_path / "broken.fits", spplate(*four, fibers=FIBERS[:3]))
    with pytest.raises(FileError, match="the plugmap in HDU 5 has 3 rows, but there are 4 spectra"):
        read_spectra(path)


LOGLAM = {"b": BOSS_LOGLAM[:500], "r": BOSS_LOGLAM[450:]}


def _frames(folder, four, *, cameras=("b1", "r1"), suffix=".fits", **cards):
    """The spCFrames of an exposure: the blue and the red pixels of the same four spectra."""
    paths = []
    for camera in cameras:
        loglam = LOGLAM[camera[0]] + 1e-5 * np.arange(4)[:, None]
        flux, ivar = (array[:, : loglam.shape[1]] for array in four)
        hdus = spcframe(loglam, flux, ivar, fibers=FIBERS, camera=camera, **cards)
        paths.append(write(folder / f"spCFrame-{camera}-00171234{suffix}", hdus))
    return paths


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".fits.fz"])
@pytest.mark.parametrize("order", [1, -1])
def test_spcframes_of_an_exposure_are_one_set(tmp_path, four, suffix, order):
    paths = _frames(tmp_path, four, suffix=suffix)[::order]
    spectra = read_spectra(paths, spall={(7102, 56666, 3): 333})
    assert [camera.name for camera in spectra.cameras] == ["b", "r"][::order]
    for camera in spectra.cameras:
        loglam = LOGLAM[camera.name] + 1e-5 * np.arange(4)[:, None]
        np.testing.assert_array_equal(camera.wave, wave_of(loglam))
        np.testing.assert_array_equal(camera.flux, four[0][:, : loglam.shape[1]])
        np.testing.assert_array_equal(camera.ivar, four[1][:, : loglam.shape[1]])
    assert spectra.flag.tolist() == [0] * 4
    assert spectra.ids["TARGETID"].tolist() == [333, -1, -1, -1]
    assert spectra.source == tuple(map(str, paths))


def test_a_spcframe_alone_lacks_a_camera_and_warns_once(tmp_path, four):
    (path,) = _frames(tmp_path, four, cameras=["r2"])
    with pytest.warns(QnetWarning, match="THING_ID") as caught:
        spectra = read_spectra(path)
    assert spectra.flag.tolist() == [QNFlag.CAMERA_MISSING] * 4
    assert len({str(warning.message) for warning in caught}) == len(caught)


def test_spcframe_mask_honours_combinerej_only(tmp_path, four):
    mask = np.zeros((4, 500), np.int32)
    mask[0, :10] = COMBINEREJ
    mask[1, :10] = 1 << 20
    (path,) = _frames(tmp_path, four, cameras=["b1"], mask=mask)
    camera = read_spectra(path, spall={}).cameras[0]
    assert not camera.ivar[0, :10].any()
    np.testing.assert_array_equal(camera.ivar[1:], four[1][1:, :500])


@pytest.mark.parametrize(
    ("cameras", "cards", "message"),
    [
        (("b1",), {"EXPOSURE": 171235}, "is not of one set"),
        (("b2",), {}, "is not of one set"),
        (("r1",), {}, "a camera is there twice"),
    ],
)
def test_spcframes_that_do_not_belong_together(tmp_path, four, cameras, cards, message):
    first = _frames(tmp_path, four, cameras=["r1"])
    other = tmp_path / "other"
    other.mkdir()
    second = _frames(other, four, cameras=cameras, **cards)
    with pytest.raises(FileError, match=rf"spCFrame.*{message}"):
        read_spectra(first + second, spall={})


def test_spcframes_with_other_fibers_do_not_belong_together(tmp_path, four):
    (first,) = _frames(tmp_path, four, cameras=["b1"])
    hdus = spcframe(
        np.tile(LOGLAM["r"], (4, 1)), *(a[:, :700] for a in four), fibers=[5, 6, 7, 8], camera="r1"
    )
    second = write(tmp_path / "spCFrame-r1-00171234.fits", hdus)
    with pytest.raises(FileError, match=r"spCFrame-r1.*is not of one set with .*spCFrame-b1"):
        read_spectra([first, second], spall={})


def test_spall_without_a_column_is_an_error(tmp_path):
    path = write(tmp_path / "spAll.fits", [primary(), table({"PLATE": np.array([1])})])
    with pytest.raises(FileError, match=r"spAll\.fits: .*lacks the column.s. MJD, FIBERID"):
        read_spall(path)


def test_spall_that_is_no_table_is_an_error(tmp_path):
    path = write(tmp_path / "spAll.fits", [primary(), image(np.zeros((2, 2)))])
    with pytest.raises(FileError, match=r"spAll\.fits: lacks the table number 1"):
        read_spall(path)


def test_spplate_with_a_mask_of_floats_is_an_error(tmp_path, four):
    hdus = spplate(*four, fibers=FIBERS, and_mask=np.zeros(four[0].shape, np.float32))
    with pytest.raises(FileError, match=r"broken\.fits: .*HDU (number )?2"):
        read_spectra(write(tmp_path / "broken.fits", hdus), spall={})


def test_spplate_without_fibers_is_an_empty_batch(tmp_path, four):
    flux, ivar = (array[:0] for array in four)
    hdus = spplate(flux, ivar, fibers=[], objtype=np.array([], "U16"))
    spectra = read_spectra(write(tmp_path / "spPlate.fits", hdus), spall={})
    assert len(spectra) == 0
    assert len(read_spectra(tmp_path / "spPlate.fits", rows=[], spall={})) == 0


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("THING_ID", np.array([2.0**53, 2.0]), "column THING_ID holds 90071992547"),
        ("FIBERID", np.array([1, 1], np.int32), r"\(7102, 56666, 1\) are there twice"),
    ],
)
def test_spall_files_that_lie(tmp_path, column, values, message):
    columns = {
        "PLATE": np.full(2, 7102, np.int32),
        "MJD": np.full(2, 56666, np.int32),
        "FIBERID": np.array([1, 2], np.int32),
        "THING_ID": np.array([111, 222], np.int32),
    }
    path = write(tmp_path / "spAll.fits", [primary(), table(columns | {column: values})])
    with pytest.raises(FileError, match=message):
        read_spall(path)


@pytest.mark.parametrize(
    ("thing_id", "targetid", "name"),
    [(111, 111, ""), (111.0, 111, ""), ("J1", -1, "J1"), (1.5, -1, "1.5"), (2**70, -1, str(2**70))],
)
@pytest.mark.filterwarnings("ignore:.*THING_ID hold values that are no integers")
def test_thing_ids_of_a_mapping_are_of_any_form(tmp_path, four, thing_id, targetid, name):
    path = write(tmp_path / "spPlate.fits", spplate(*four, fibers=FIBERS))
    ids = read_spectra(path, spall={(7102, 56666, 3): thing_id}).ids
    assert ids["TARGETID"].tolist() == [targetid, -1, -1, -1]
    assert ids.get("TARGET_NAME", [""])[0] == name


def test_thing_ids_of_a_mapping_that_lost_digits_are_refused(tmp_path, four):
    path = write(tmp_path / "spPlate.fits", spplate(*four, fibers=FIBERS))
    with pytest.raises(FileError, match=r"spPlate\.fits: column THING_ID holds 1e\+17 as float64"):
        read_spectra(path, spall={(7102, 56666, 3): 1e17})
