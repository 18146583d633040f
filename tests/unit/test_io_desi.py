"""DESI coadd, spectra and cframe files: every array, id and flag as it was written."""

from __future__ import annotations

import numpy as np
import pytest

from desifiles import FMAP, IDS, check_arrays
from makers import (
    DESI_WAVE,
    HEALPIX_CARDS,
    TILE_CARDS,
    desi_coadd,
    desi_set,
    fibermap,
    image,
    make_spectra,
    replaced,
    table,
    write,
)
from qnet.core.errors import FileError, InputError, QnetWarning
from qnet.core.flags import QNFlag
from qnet.io import read_spectra
from qnet.io.readers.desi import last_nights


@pytest.fixture(scope="module")
def cameras():
    return desi_set()


@pytest.fixture(scope="module")
def masks(cameras):
    """Masks that hit pixels of their own in each row and camera."""
    made = {}
    for number, (name, (wave, flux, _)) in enumerate(cameras.items()):
        mask = np.zeros(flux.shape, np.int32)
        for row in range(len(flux)):
            mask[row, row + number :: 11] = 1 << row
        made[name] = mask
        assert mask.any(axis=1).all()
        assert len(wave) == mask.shape[1]
    return made


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".fits", False),
        (".fits", True),
        (".fits.gz", False),
        (".fits.gz", True),
        (".fits.fz", False),
    ],
)
def test_coadd_honours_its_masks(tmp_path, cameras, masks, suffix, compress):
    hdus = desi_coadd(cameras, FMAP, masks=masks, compress=compress, **TILE_CARDS)
    path = write(tmp_path / f"coadd-5-169-thru20210419{suffix}", hdus)
    check_arrays(read_spectra(path), cameras, masks=masks)
    check_arrays(read_spectra(path, use_mask=False), cameras)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.int64])
def test_mask_of_any_integer_type(tmp_path, cameras, masks, dtype):
    typed = {name: mask.astype(dtype) for name, mask in masks.items()}
    path = write(tmp_path / "coadd.fits", desi_coadd(cameras, FMAP, masks=typed))
    check_arrays(read_spectra(path), cameras, masks=masks)


def test_mask_in_the_highest_bit(tmp_path, cameras):
    masks = {name: np.zeros(flux.shape, np.int32) for name, (_, flux, _) in cameras.items()}
    masks["R"][1, 7] = np.int32(-(2**31))
    path = write(tmp_path / "coadd.fits", desi_coadd(cameras, FMAP, masks=masks))
    check_arrays(read_spectra(path), cameras, masks=masks)


def test_tile_coadd_ids_flags_and_cards(tmp_path, cameras):
    path = write(tmp_path / "coadd.fits", desi_coadd(cameras, FMAP, **TILE_CARDS))
    spectra = read_spectra(path)
    assert {name: column.tolist() for name, column in spectra.ids.items()} == {
        "TARGETID": IDS,
        "TARGET_RA": [150.0, 150.125, 150.25],
        "TARGET_DEC": [2.0, 1.875, 1.75],
        "OBJTYPE": ["TGT", "SKY", "TGT"],
        "COADD_FIBERSTATUS": [0, 0, 8],
        "FIBER": [2500, 2501, 2502],
        "DESI_TARGET": [1, 2, 4],
        "TILEID": [169] * 3,
        "LASTNIGHT": [20210419] * 3,
        "PETAL_LOC": [5] * 3,
    }
    assert spectra.ids["TARGETID"].dtype == np.int64
    assert spectra.flag.tolist() == [0, QNFlag.NOT_TARGET, QNFlag.BAD_FIBER]
    assert spectra.row.tolist() == [0, 1, 2]
    assert spectra.cards == (("desispec", "0.51.4"), ("SPECPROD", "fuji"))
    assert spectra.survey == "DESI"


def test_healpix_coadd_has_survey_program_and_pixel(tmp_path, cameras):
    columns = {"SV3_DESI_TARGET": np.array([4, 0, 1]), "TILEID": np.int32([1, 2, 3])}
    hdus = desi_coadd(cameras, FMAP | columns, **HEALPIX_CARDS, SPECPROD="fuji")
    spectra = read_spectra(write(tmp_path / "coadd-sv3-dark-26065.fits", hdus))
    assert spectra.ids["SURVEY"].tolist() == ["sv3"] * 3
    assert spectra.ids["PROGRAM"].tolist() == ["dark"] * 3
    assert spectra.ids["HPXPIXEL"].tolist() == [26065] * 3
    assert spectra.ids["SV3_DESI_TARGET"].tolist() == [4, 0, 1]
    assert spectra.ids["TILEID"].tolist() == [1, 2, 3]
    assert "LASTNIGHT" not in spectra.ids
    assert [name for name, _ in spectra.cards].count("SPECPROD") == 1


def test_last_night_of_a_healpix_coadd_is_that_of_its_exposures(tmp_path, cameras):
    nights = {"TARGETID": np.int64([IDS[2], IDS[0], IDS[1], IDS[2], 99, IDS[2]])}
    nights["NIGHT"] = np.int32([20210501, 20210420, 20210430, 20220101, 20230101, 20211231])
    hdus = [*desi_coadd(cameras, FMAP, **HEALPIX_CARDS), table(nights, "EXP_FIBERMAP")]
    path = write(tmp_path / "coadd-sv3-dark-26065.fits", hdus)
    # The second is a sky fibre, whose id is that of others.
    assert read_spectra(path).ids["LASTNIGHT"].tolist() == [20210420, -1, 20220101]
    assert read_spectra(path, rows=[2]).ids["LASTNIGHT"].tolist() == [20220101]
    assert last_nights(np.int64([7, 8]), [nights], None).tolist() == [-1, -1]
    # A tile's own card, or the file's own column, says it already.
    hdus = [*desi_coadd(cameras, FMAP, **TILE_CARDS), table(nights, "EXP_FIBERMAP")]
    assert (
        read_spectra(write(tmp_path / "t.fits", hdus)).ids["LASTNIGHT"].tolist() == [20210419] * 3
    )


def test_specprod_card_alone_is_carried(tmp_path, cameras):
    hdus = desi_coadd(cameras, FMAP, SPECPROD="iron")
    del hdus[0].header["DEPNAM01"], hdus[0].header["DEPVER01"]
    spectra = read_spectra(write(tmp_path / "coadd.fits", hdus))
    assert spectra.cards == (("desispec", "0.51.4"), ("SPECPROD", "iron"))


def test_empty_cards_are_left_out(tmp_path, cameras):
    hdus = desi_coadd(cameras, FMAP, SURVEY=None, PROGRAM=None, HPXPIXEL=None)
    spectra = read_spectra(write(tmp_path / "coadd.fits", hdus))
    assert all(column.dtype.kind != "O" for column in spectra.ids.values())


def test_spectra_file_has_a_row_per_exposure(tmp_path, cameras):
    fmap = fibermap(
        [5, 5, -1],
        objtype=["TGT", "TGT", "BAD"],
        status=[0, 1 << 9, 0],
        status_name="FIBERSTATUS",
        EXPID=np.int32([85607, 85608, 85607]),
        NIGHT=np.int32([20210419] * 3),
    )
    spectra = read_spectra(write(tmp_path / "spectra.fits", desi_coadd(cameras, fmap)))
    assert spectra.ids["EXPID"].tolist() == [85607, 85608, 85607]
    assert spectra.flag.tolist() == [0, QNFlag.BAD_FIBER, QNFlag.NOT_TARGET]


@pytest.mark.parametrize("names", ["B", "RZ", "BZ", "BRZ"])
def test_missing_cameras_are_flagged(tmp_path, cameras, names):
    some = {name: cameras[name] for name in names}
    spectra = read_spectra(write(tmp_path / "coadd.fits", desi_coadd(some, FMAP)))
    check_arrays(spectra, some)
    missing = 0 if names == "BRZ" else int(QNFlag.CAMERA_MISSING)
    assert [flag & QNFlag.CAMERA_MISSING for flag in spectra.flag] == [missing] * 3


def test_brz_camera_misses_nothing(tmp_path):
    wave = np.arange(3600.0, 9824.0, 3.2)
    cameras = {"BRZ": (wave, *make_spectra(wave, (1.0, 2.0, 3.0)))}
    spectra = read_spectra(write(tmp_path / "coadd.fits", desi_coadd(cameras, fibermap(IDS))))
    check_arrays(spectra, cameras)
    assert spectra.flag.tolist() == [0, 0, 0]


@pytest.mark.parametrize("rows", [None, [2, 0]])
def test_bare_coadd_has_row_numbers_for_ids_and_warns(tmp_path, cameras, rows):
    path = write(tmp_path / "bare.fits", desi_coadd(cameras))
    with pytest.warns(QnetWarning, match=r"bare\.fits: has no FIBERMAP: TARGETID is the row"):
        spectra = read_spectra(path, rows=rows)
    expected = [0, 1, 2] if rows is None else rows
    assert spectra.ids["TARGETID"].tolist() == spectra.row.tolist() == expected
    assert spectra.flag.tolist() == [0] * len(expected)


@pytest.mark.parametrize("rows", [[2, 0, 0, 1], [], [1], np.array([True, False, True])], ids=str)
@pytest.mark.parametrize("suffix", [".fits", ".fits.fz"])
def test_rows_in_any_order_and_repeated(tmp_path, cameras, masks, rows, suffix):
    path = write(tmp_path / f"coadd{suffix}", desi_coadd(cameras, FMAP, masks=masks))
    spectra = read_spectra(path, rows=rows)
    index = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.array(rows, int)
    check_arrays(spectra, cameras, index, masks)
    assert spectra.ids["TARGETID"].tolist() == [IDS[row] for row in index]
    assert spectra.row.tolist() == index.tolist()
    flags = np.array([0, QNFlag.NOT_TARGET, QNFlag.BAD_FIBER])
    assert spectra.flag.tolist() == flags[index].tolist()


def test_order_of_the_hdus_is_free_and_names_in_any_case(tmp_path, cameras, masks):
    hdus = desi_coadd(cameras, FMAP, masks=masks)
    order = np.random.default_rng(2).permutation(len(hdus) - 1)
    path = write(tmp_path / "coadd.fits", hdus, order=order)
    content = path.read_bytes()
    for name in (b"'B_FLUX  '", b"'R_IVAR  '", b"'FIBERMAP'", b"'Z_MASK  '"):
        assert content.count(name) == 1
        content = content.replace(name, name.lower())
    path.write_bytes(content)
    spectra = read_spectra(path)
    by_name = {camera.name: cameras[camera.name] for camera in spectra.cameras}
    assert set(by_name) == set("BRZ")
    check_arrays(spectra, by_name, masks=masks)


@pytest.mark.parametrize("name", ["B_MASK", "SCORES", "GAIA_FLUX", "B_MODEL"])
def test_of_further_hdus_without_spectra_nothing_is_said(tmp_path, cameras, name):
    again = image(np.zeros_like(cameras["B"][1]), name)
    path = write(tmp_path / "coadd.fits", [*desi_coadd(cameras, FMAP), again])
    check_arrays(read_spectra(path, use_mask=False), cameras)


@pytest.mark.parametrize("rows", [None, []])
def test_file_without_rows_is_an_empty_batch(tmp_path, cameras, rows):
    none = {name: (wave, flux[:0], ivar[:0]) for name, (wave, flux, ivar) in cameras.items()}
    fmap = fibermap([]) | {"OBJTYPE": np.array([], "U3")}
    spectra = read_spectra(write(tmp_path / "coadd.fits", desi_coadd(none, fmap)), rows=rows)
    assert len(spectra) == 0
    check_arrays(spectra, none)


@pytest.mark.parametrize(
    "ids",
    [np.int32([5, -2, 7]), np.uint64([5, 6, 7]), np.int16([5, -2, 7]), np.array([[5], [-2], [7]])],
    ids=["int32", "uint64", "int16", "one element each"],
)
def test_targetid_of_any_integer_type_is_int64(tmp_path, cameras, ids):
    fmap = fibermap(IDS) | {"TARGETID": ids}
    spectra = read_spectra(write(tmp_path / "coadd.fits", desi_coadd(cameras, fmap)))
    assert spectra.ids["TARGETID"].tolist() == np.ravel(ids).tolist()
    assert spectra.ids["TARGETID"].dtype == np.int64


def _without(name):
    return lambda hdus: [hdu for hdu in hdus if hdu.name != name]


SHAPE = (3, len(DESI_WAVE["R"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without("R_IVAR"), "lacks the image R_IVAR; it holds"),
        (_without("R_WAVELENGTH"), "lacks the image R_WAVELENGTH; it holds"),
        (_without("R_FLUX"), "lacks the image R_FLUX; it holds"),
        (_without("FIBERMAP"), None),
        (replaced("R_IVAR", np.ones((3, 7))), r"HDU R_IVAR has shape \(., 7\), but R_FLUX"),
        (replaced("R_IVAR", np.ones((2, SHAPE[1]))), "HDU R_IVAR has shape"),
        (replaced("R_MASK", np.ones((3, 7), int)), r"HDU R_MASK has shape \(., 7\), but R_FLUX"),
        (replaced("R_FLUX", np.ones(SHAPE[1])), r"HDU R_FLUX has shape .*not \(nspec, npix\)"),
        (replaced("R_FLUX", np.ones((2, *SHAPE))), r"HDU R_FLUX has shape .*not \(nspec, npix\)"),
        (replaced("B_FLUX", np.ones(7)), r"HDU B_FLUX has shape .*not \(nspec, npix\)"),
        (replaced("R_WAVELENGTH", DESI_WAVE["R"][1:]), "HDU R_WAVELENGTH has shape"),
        (replaced("R_WAVELENGTH", np.ones(SHAPE)), "HDU R_WAVELENGTH has shape"),
        (replaced("R_WAVELENGTH", DESI_WAVE["R"][::-1].copy()), "R.*wave must increase"),
        (replaced("R_WAVELENGTH", np.where(DESI_WAVE["R"] > 6000, np.nan, 1)), "R.*wave holds NaN"),
        (replaced("FIBERMAP", np.ones(7)), "FIBERMAP"),
    ],
)
@pytest.mark.parametrize("rows", [None, [1]])
def test_bad_hdu_is_an_error_that_names_it(tmp_path, cameras, masks, change, message, rows):
    hdus = change(desi_coadd(cameras, FMAP, masks=masks))
    path = write(tmp_path / "broken.fits", hdus)
    if message is None:
        with pytest.warns(QnetWarning, match="has no FIBERMAP"):
            read_spectra(path)
        return
    with pytest.raises(FileError, match=rf"broken\.fits: .*{message}"):
        read_spectra(path, rows=rows)


def test_fibermap_of_other_length_is_an_error(tmp_path, cameras):
    short = write(tmp_path / "short.fits", desi_coadd(cameras, fibermap([1, 2])))
    with pytest.raises(FileError, match=r"short\.fits: HDU FIBERMAP has 2 rows, but there are 3"):
        read_spectra(short)


@pytest.mark.parametrize("rows", [[3], [-1], [0, 99]])
def test_rows_that_are_not_there(tmp_path, cameras, rows):
    path = write(tmp_path / "coadd.fits", desi_coadd(cameras, FMAP))
    with pytest.raises(InputError, match=r"coadd\.fits: rows must be in 0 \.\. 2, not"):
        read_spectra(path, rows=rows)
    with pytest.raises(
        InputError, match="fibers is for SDSS spCFrame files, SDSS spPlate file: give rows"
    ):
        read_spectra(path, fibers=[1])


@pytest.mark.parametrize("rows", [None, [2, 0]])
def test_text_that_is_not_ascii_is_read_all_the_same(tmp_path, cameras, rows):
    path = write(tmp_path / "odd.fits", desi_coadd(cameras, FMAP))
    whole = read_spectra(path, rows=rows)
    content = path.read_bytes()
    assert content.count(b"SKY") == 1
    path.write_bytes(content.replace(b"SKY", b"\xff\xfeY"))
    spectra = read_spectra(path, rows=rows)
    assert spectra.ids["OBJTYPE"].tolist() == [
        "\ufffd\ufffdY" if text == "SKY" else text for text in whole.ids["OBJTYPE"]
    ]
    assert spectra.ids["TARGETID"].tolist() == whole.ids["TARGETID"].tolist()


def test_extra_tables_and_images_are_no_obstacle(tmp_path, cameras):
    extra = [table({"TARGETID": np.arange(9)}, "EXP_FIBERMAP"), image(np.ones(3), "B_MODEL_FLUX")]
    path = write(tmp_path / "coadd.fits", [*desi_coadd(cameras, FMAP), *extra])
    check_arrays(read_spectra(path), cameras)
