"""DESI cframe files, and what desispec's own writers write."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from desifiles import FMAP, IDS, check_arrays
from makers import desi_cframe, desi_coadd, desi_set, fibermap, write
from qnet.core.errors import FileError, InputError
from qnet.core.flags import QNFlag
from qnet.io import read_spectra


@pytest.fixture(scope="module")
def cameras():
    return desi_set()


@pytest.fixture(scope="module")
def masks(cameras):
    rng = np.random.default_rng(8)
    return {
        name: (rng.random(flux.shape) < 0.1).astype(np.int32) << 4
        for name, (_, flux, _) in cameras.items()
    }


def cframes(folder, cameras, fmap=FMAP, *, suffix=".fits", spectrograph=5, masks=None, **cards):
    paths = []
    for name, arrays in cameras.items():
        label = f"{name.lower()}{spectrograph}"
        mask = None if masks is None else masks[name]
        hdus = desi_cframe(label, *arrays, fmap, mask=mask, **cards)
        paths.append(write(folder / f"cframe-{label}-00085607{suffix}", hdus))
    return paths


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".fits.fz"])
@pytest.mark.parametrize("order", ["BRZ", "ZBR"])
def test_cframes_of_an_exposure_are_one_set(tmp_path, cameras, masks, suffix, order):
    some = {name: cameras[name] for name in order}
    fmap = FMAP | {"TILEID": np.int32([169] * 3)}
    paths = cframes(tmp_path, some, fmap, suffix=suffix, masks=masks)
    spectra = read_spectra(paths)
    check_arrays(spectra, some, masks=masks)
    check_arrays(read_spectra(paths, use_mask=False), some)
    check_arrays(read_spectra(paths, rows=[2, 0]), some, [2, 0], masks)
    assert spectra.flag.tolist() == [0, QNFlag.NOT_TARGET, QNFlag.BAD_FIBER]
    assert spectra.ids["TARGETID"].tolist() == IDS
    assert spectra.ids["EXPID"].tolist() == [85607] * 3
    assert spectra.ids["TILEID"].tolist() == [169] * 3
    assert spectra.cards == (("desispec", "0.51.4"), ("SPECPROD", "fuji"))


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".fits.fz"])
def test_cframe_cards_are_ids_however_it_is_compressed(tmp_path, cameras, suffix):
    spectra = read_spectra(cframes(tmp_path, cameras, suffix=suffix))
    assert spectra.ids["TILEID"].tolist() == [169] * 3
    assert spectra.ids["LASTNIGHT"].tolist() == [20210419] * 3


@pytest.mark.parametrize("fmap", [FMAP, None], ids=["fibermap", "no fibermap"])
def test_cframe_alone_lacks_cameras_and_warns_once(tmp_path, cameras, fmap, recwarn):
    (path,) = cframes(tmp_path, {"R": cameras["R"]}, fmap)
    spectra = read_spectra(path)
    assert all(flag & QNFlag.CAMERA_MISSING for flag in spectra.flag)
    assert len(recwarn) == (fmap is None)


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        ("R", {"EXPID": 85608}, "is not of one set"),
        ("R", {"spectrograph": 6}, "is not of one set"),
        ("R", {"fmap": fibermap([1, 2, 3])}, "is not of one set"),
        ("B", {}, "a camera is there twice"),
    ],
)
def test_cframes_that_do_not_belong_together(tmp_path, cameras, names, options, message):
    (tmp_path / "other").mkdir()
    first = cframes(tmp_path, {"B": cameras["B"]})
    second = cframes(tmp_path / "other", {name: cameras[name] for name in names}, **options)
    with pytest.raises(FileError, match=rf"cframe-.*{message}"):
        read_spectra(first + second)


@pytest.mark.parametrize("expid", [2**31, -(2**40)])
def test_cframe_with_an_exposure_number_out_of_range_is_an_error(tmp_path, cameras, expid):
    paths = cframes(tmp_path, {"B": cameras["B"]}, EXPID=expid)
    with pytest.raises(FileError, match=r"cframe-b5.*EXPID"):
        read_spectra(paths)


def test_cframes_of_other_lengths_do_not_belong_together(tmp_path, cameras):
    first = cframes(tmp_path, {"B": cameras["B"]})
    wave, flux, ivar = cameras["R"]
    second = cframes(tmp_path, {"R": (wave, flux[:2], ivar[:2])}, fibermap(IDS[:2]))
    for rows in (None, [2]):
        with pytest.raises(FileError, match=r"cframe-r5.*is not of one set"):
            read_spectra(first + second, rows=rows)


def test_a_coadd_is_in_no_set(tmp_path, cameras):
    coadd = write(tmp_path / "coadd.fits", desi_coadd(cameras, FMAP))
    frames = cframes(tmp_path, cameras)
    with pytest.raises(FileError, match=r"coadd\.fits: is not the kind of frame that .*cframe-b5"):
        read_spectra([*frames, coadd])
    with pytest.raises(
        InputError, match=r"coadd\.fits: is a DESI coadd or spectra file and cannot be one set"
    ):
        read_spectra([coadd, *frames])


@pytest.fixture(scope="module")
def desispec():
    """desispec, whose import and writers warn of things that are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("desispec.io")
        pytest.importorskip("desispec.frame")
        pytest.importorskip("desispec.spectra")
    return module


def _fibermap_table():
    from astropy.table import Table

    columns = {name: column for name, column in FMAP.items() if name != "FLUX_R"}
    return Table(columns | {"TILEID": np.int32([169] * 3)})


def test_spectra_as_desispec_writes_them(tmp_path, cameras, masks, desispec):
    from desispec.spectra import Spectra

    def by_band(arrays):
        return {name.lower(): array for name, array in arrays.items()}

    path = tmp_path / "coadd-main-dark-10016.fits"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = Spectra(
            bands=["b", "r", "z"],
            wave=by_band({name: arrays[0] for name, arrays in cameras.items()}),
            flux=by_band({name: arrays[1] for name, arrays in cameras.items()}),
            ivar=by_band({name: arrays[2] for name, arrays in cameras.items()}),
            mask=by_band(masks),
            fibermap=_fibermap_table(),
            meta={"SURVEY": "main", "PROGRAM": "dark", "HPXPIXEL": 10016},
        )
        desispec.write_spectra(path, theirs)
        again = desispec.read_spectra(str(path))
    spectra = read_spectra(path)
    check_arrays(spectra, cameras, masks=masks)
    assert spectra.ids["TARGETID"].tolist() == list(again.fibermap["TARGETID"])
    assert spectra.ids["HPXPIXEL"].tolist() == [10016] * 3
    assert spectra.flag.tolist() == [0, QNFlag.NOT_TARGET, QNFlag.BAD_FIBER]
    assert "desispec" in dict(spectra.cards)


def test_frames_as_desispec_writes_them(tmp_path, cameras, masks, desispec):
    from desispec.frame import Frame

    paths = []
    for name, (wave, flux, ivar) in cameras.items():
        camera = f"{name.lower()}5"
        paths.append(tmp_path / f"cframe-{camera}-00085607.fits")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame = Frame(
                wave,
                flux,
                ivar,
                mask=masks[name].astype(np.uint32),
                fibermap=_fibermap_table(),
                meta={"CAMERA": camera, "EXPID": 85607, "NIGHT": 20210419, "FLAVOR": "science"},
                spectrograph=5,
            )
            desispec.write_frame(str(paths[-1]), frame)
    spectra = read_spectra(paths)
    check_arrays(spectra, cameras, masks=masks)
    assert spectra.ids["EXPID"].tolist() == [85607] * 3
    assert spectra.ids["TARGETID"].tolist() == IDS
