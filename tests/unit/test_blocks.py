"""Files read some rows at a time: the same rows, the same catalogue, memory that does not grow."""

from __future__ import annotations

import functools
import tracemalloc
import warnings

import fitsio
import numpy as np
import pytest

import qnet
from makers import desi_coadd, desi_set, fibermap, image, make_spectra, prepared, primary, write
from qnet.classification import files
from qnet.core.errors import FileError
from qnet.io.fits.file import FitsFile
from qnet.io.fits.pixels import plain_image
from qnet.io.fits.structure import check_structure
from qnet.io.reader import read_blocks, read_spectra
from qnet.preprocess import normalisation, rebinning

COMPRESSED = pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".fits.fz"])


@pytest.fixture(scope="module")
def cameras():
    return desi_set((0.5, 1.0, 2.0, 2.5, 3.0))


@pytest.fixture(scope="module")
def masks(cameras):
    rng = np.random.default_rng(0)
    return {name: np.int32(rng.random(c[1].shape) < 0.1) for name, c in cameras.items()}


def equal(found, wanted):
    assert [camera.name for camera in found.cameras] == [camera.name for camera in wanted.cameras]
    for camera, other in zip(found.cameras, wanted.cameras, strict=True):
        for part in ("wave", "flux", "ivar"):
            np.testing.assert_array_equal(getattr(camera, part), getattr(other, part))
    assert set(found.ids) == set(wanted.ids)
    for name, column in found.ids.items():
        np.testing.assert_array_equal(column, wanted.ids[name])
    np.testing.assert_array_equal(found.flag, wanted.flag)
    np.testing.assert_array_equal(found.row, wanted.row)


@COMPRESSED
@pytest.mark.parametrize("nrows", [1, 2, 5, 6])
def test_blocks_of_a_coadd_are_its_rows(tmp_path, cameras, masks, suffix, nrows):
    hdus = desi_coadd(cameras, fibermap([5, 4, 3, -2, -1], status=[0, 1, 0, 0, 0]), masks=masks)
    path = write(tmp_path / f"coadd{suffix}", hdus)
    whole = read_spectra(path)
    blocks = list(read_blocks([path], nrows=nrows))
    assert [len(block) for block in blocks] == {1: [1] * 5, 2: [2, 2, 1]}.get(nrows, [5])
    for first, block in zip(range(0, 5, nrows), blocks, strict=True):
        equal(block, whole.select(np.arange(first, min(first + nrows, 5))))


@COMPRESSED
def test_blocks_of_prepared_data_are_its_rows(tmp_path, suffix):
    flux, ivar = make_spectra(qnet.core.grid.QUASARNET_GRID.wave, (1.0, 2.0, 3.0))
    path = write(tmp_path / f"data{suffix}", prepared(flux, ivar, {"TARGETID": np.arange(3)}))
    whole = read_spectra(path)
    for row, block in enumerate(read_blocks([path], nrows=1)):
        equal(block, whole.select([row]))


@pytest.mark.parametrize("options", [{}, {"targets": "qso"}, {"targetids": [4, -1]}])
def test_catalogue_of_blocks_is_that_of_the_whole(
    tmp_path, monkeypatch, cameras, masks, two_stage_model, options
):
    hdus = desi_coadd(cameras, fibermap([5, 4, 3, -2, -1]), masks=masks)
    path = write(tmp_path / "coadd.fits", hdus)
    wanted = qnet.classify(path, model=two_stage_model, **options)
    monkeypatch.setattr(files, "read_blocks", functools.partial(read_blocks, nrows=2))
    found = qnet.classify(path, model=two_stage_model, **options)
    assert found.colnames == wanted.colnames
    assert found.meta == wanted.meta
    for name in wanted.colnames:
        assert found[name].dtype == wanted[name].dtype
        if found[name].dtype.kind == "f":  # single precision, in chunks of other sizes
            np.testing.assert_allclose(found[name], wanted[name], rtol=2e-4, atol=2e-4)
        else:
            np.testing.assert_array_equal(found[name], wanted[name])


def test_rows_are_counted_over_the_whole_file(tmp_path, monkeypatch, cameras, small_model):
    path = write(tmp_path / "coadd.fits", desi_coadd(cameras, fibermap([5, 4, 3, 2, 1])))
    monkeypatch.setattr(files, "read_blocks", functools.partial(read_blocks, nrows=2))
    table = qnet.classify(path, model=small_model, rows=[3])
    assert np.flatnonzero(np.isfinite(table["ZBEST"])).tolist() == [3]


def test_a_warning_about_a_file_is_given_once(tmp_path, monkeypatch, cameras, small_model):
    path = write(tmp_path / "coadd.fits", desi_coadd(cameras))
    monkeypatch.setattr(files, "read_blocks", functools.partial(read_blocks, nrows=2))
    with pytest.warns(qnet.QnetWarning, match="no FIBERMAP") as caught:
        table = qnet.classify(path, model=small_model)
    assert len(caught) == 1
    assert table["TARGETID"].tolist() == [0, 1, 2, 3, 4]


def peak(path, model):
    """Largest memory [bytes] that the classification of a file asks Python for."""
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            qnet.classify(path, model=model)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch, cameras, small_model):
    monkeypatch.setattr(files, "read_blocks", functools.partial(read_blocks, nrows=50))
    paths = []
    for repeats in (20, 80):
        tiled = {
            name: (c[0], *(np.tile(a, (repeats, 1)) for a in c[1:])) for name, c in cameras.items()
        }
        paths.append(write(tmp_path / f"coadd-{repeats}.fits", desi_coadd(tiled)))
    peak(paths[0], small_model)
    few, many = (peak(path, small_model) for path in paths)
    assert many < 1.25 * few


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "i8", "f4", "f8"])
def test_plain_pixels_are_those_of_the_c_library(tmp_path, dtype):
    data = np.arange(-60 if dtype != "u1" else 0, 180).astype(dtype)[:180].reshape(12, 15)
    path = write(tmp_path / "image.fits", [primary(), image(data, "A")])
    with fitsio.FITS(str(path)) as fits:
        wanted = fits["A"].read()
    empty, hdu = check_structure(path)
    with open(path, "rb", buffering=0) as stream:
        found = plain_image(stream, hdu, (12, 15)).read(3, 8)
        np.testing.assert_array_equal(found, wanted[3:8])
        assert found.dtype == wanted.dtype
        assert plain_image(stream, hdu, (15, 12)) is None
        assert plain_image(stream, empty, (12, 15)) is None


@COMPRESSED
@pytest.mark.parametrize("rows", [None, [1, 2, 3], [4, 0, 0], []])
def test_a_mask_clears_the_pixels_it_names(tmp_path, suffix, rows):
    rng = np.random.default_rng(3)
    # Bits of either end of the integers; more than a piece of them.
    mask = rng.choice(np.array([0, 0, 0, 1, -(2**31)], np.int32), (5, 40_000))
    path = write(tmp_path / f"image{suffix}", [primary(), image(mask, "MASK")])
    index = None if rows is None else np.array(rows, dtype=np.int64)
    chosen = mask if index is None else mask[index]
    values = np.ones(chosen.shape, np.float32)
    with FitsFile(path) as fits:
        fits.clear_masked("MASK", index, values)
    np.testing.assert_array_equal(values, chosen == 0)


def test_a_mask_of_floats_is_an_error(tmp_path):
    path = write(tmp_path / "image.fits", [primary(), image(np.zeros((2, 3), "f4"), "MASK")])
    with FitsFile(path) as fits, pytest.raises(FileError, match="HDU MASK holds float32, not int"):
        fits.clear_masked("MASK", None, np.ones((2, 3), np.float32))


def test_scaled_and_compressed_pixels_go_through_the_c_library(tmp_path):
    data = np.arange(12, dtype=np.uint16).reshape(3, 4)  # stored with a BZERO
    for name in ("image.fits", "image.fits.gz", "image.fits.fz"):
        path = write(tmp_path / name, [primary(), image(data, "A")])
        with FitsFile(path) as fits:
            np.testing.assert_array_equal(fits.image("A"), data)
            np.testing.assert_array_equal(fits.image("A", np.array([1, 2])), data[1:])
            np.testing.assert_array_equal(fits.image("A", np.array([2, 0, 0])), data[[2, 0, 0]])


def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path, cameras):
    path = write(tmp_path / "coadd.fits", desi_coadd(cameras, fibermap([5, 4, 3, 2, 1])))
    blocks = read_blocks([path], nrows=1)
    next(blocks)
    with open(path, "r+b") as stream:
        stream.truncate(30_000)
    with pytest.raises(FileError, match="is damaged or cut short"):
        list(blocks)


def test_clean_spectra_are_not_looked_at_pixel_by_pixel(cameras, monkeypatch):
    looked = []
    weigh = rebinning._weigh

    def watch(flux, ivar, on_grid):
        looked.append(len(flux))
        return weigh(flux, ivar, on_grid)

    monkeypatch.setattr(rebinning, "_weigh", watch)
    wave, flux, ivar = cameras["B"]
    camera = qnet.core.spectra.Camera("B", wave, flux, ivar)
    wanted = normalisation.preprocess([camera], qnet.core.grid.QUASARNET_GRID)
    assert looked == []
    dirty = flux.copy()
    dirty[2, 100] = np.nan
    camera = qnet.core.spectra.Camera("B", wave, dirty, ivar)
    found = normalisation.preprocess([camera], qnet.core.grid.QUASARNET_GRID)
    assert looked == [1]
    others = np.arange(len(flux)) != 2
    np.testing.assert_array_equal(found.X[others], wanted.X[others])
    assert (found.flag[2] & qnet.QNFlag.BADPIX) != 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200, -1e200])
@pytest.mark.parametrize("where", ["flux", "ivar", "both"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_bad_pixel_counts_as_one_without_weight(cameras, value, where, dtype):
    wave, flux, ivar = (values.copy() for values in cameras["R"])
    with np.errstate(over="ignore"):
        bad = np.float64(value).astype(dtype)
    flux, ivar = flux.astype(dtype), ivar.astype(dtype)
    wanted = ivar.copy()
    wanted[1, 50] = 0
    with_bad = {"flux": flux.copy(), "ivar": ivar.copy()}
    for name in ("flux", "ivar") if where == "both" else (where,):
        with_bad[name][1, 50] = bad
    grid = qnet.core.grid.QUASARNET_GRID
    found = normalisation.preprocess(
        [qnet.core.spectra.Camera("R", wave, *with_bad.values())], grid
    )
    clean = normalisation.preprocess([qnet.core.spectra.Camera("R", wave, flux, wanted)], grid)
    if where == "ivar" and value == 1e200 and dtype == np.float64:
        return  # a finite weight is a weight
    np.testing.assert_array_equal(found.X, clean.X)
    np.testing.assert_array_equal(found.snr, clean.snr)
