"""Rows of the Multimodal Universe are read as they were stored."""

from __future__ import annotations

import warnings

import h5py
import numpy as np
import pyarrow as pa
import pytest
from astropy.table import Table
from pyarrow import parquet

import qnet
from makers import make_spectra
from makers_archives import mmu_columns, mmu_hdf5, mmu_parquet
from qnet import QNFlag
from qnet.core.errors import FileError, QnetError, QnetWarning
from qnet.io import from_arrays, read_spectra
from qnet.io.reader import read_blocks

WAVE = np.linspace(3800.0, 9200.0, 1200).astype(np.float32).astype(float)
FLUX, IVAR = make_spectra(WAVE, (1.0, 2.0, 3.0))
IVAR[:, 100:110] = 0
IDS = [39627748, 39627749, 39627750]


def stored(path, change=lambda stream: None, **options):
    """A file of three rows, changed."""
    mmu_hdf5(path, WAVE, FLUX, IVAR, **({"ids": IDS} | options))
    with h5py.File(path, "r+") as stream:
        change(stream)
    return path


def packed(stream):
    for name in list(stream):
        values = stream[name][()]
        del stream[name]
        many = values.ndim == 2
        stream.create_dataset(name, data=values, **({"compression": "gzip"} if many else {}))


def swapped(stream):
    for name in ("spectrum_flux", "spectrum_ivar", "spectrum_lambda", "object_id"):
        values = stream[name][()]
        del stream[name]
        stream.create_dataset(name, data=values.astype(values.dtype.newbyteorder(">")))


def as_text(kind):
    def change(stream):
        del stream["object_id"]
        texts = [str(number) for number in IDS]
        if kind == "fixed":
            stream.create_dataset("object_id", data=np.array(texts, dtype="S22"))
        else:
            stream.create_dataset("object_id", data=texts, dtype=h5py.string_dtype())

    return change


WAYS = {
    "as it is": {},
    "padded": {"padding": 40},
    "compressed": {"change": packed},
    "big-endian": {"change": swapped},
    "ids as text": {"change": as_text("fixed")},
    "ids as text of any length": {"change": as_text("any")},
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_read_is_what_was_stored(tmp_path, way):
    path = stored(tmp_path / "001-of-001.hdf5", **WAYS[way])
    spectra = read_spectra(path)
    (camera,) = spectra.cameras
    good = IVAR > 0
    np.testing.assert_array_equal(camera.wave, WAVE)
    np.testing.assert_array_equal(camera.flux[good], FLUX[good])
    np.testing.assert_array_equal(camera.ivar, IVAR)
    assert spectra.ids["TARGETID"].tolist() == IDS
    assert spectra.ids["TARGET_RA"].tolist() == [10.0, 11.0, 12.0]
    assert (spectra.survey, spectra.flag.tolist()) == ("Multimodal Universe", [0, 0, 0])
    chosen = read_spectra(path, rows=[2, 0])
    assert chosen.ids["TARGETID"].tolist() == [IDS[2], IDS[0]]
    np.testing.assert_array_equal(chosen.cameras[0].flux, camera.flux[[2, 0]])


@pytest.mark.parametrize("way", ["padded", "compressed"])
def test_rows_are_read_in_blocks(tmp_path, way):
    path = stored(tmp_path / "001-of-001.hdf5", **WAYS[way])
    blocks = list(read_blocks([path], nrows=2))
    assert [block.row.tolist() for block in blocks] == [[0, 1], [2]]
    np.testing.assert_array_equal(blocks[1].cameras[0].ivar, IVAR[2:])


def test_file_arrays_and_table_have_the_same_answers(tmp_path, small_model):
    path = stored(tmp_path / "a.hdf5", padding=5)
    spectra, _ = mmu_columns(WAVE, FLUX, IVAR, ids=IDS, padding=5)
    del spectra["lsf_sigma"]
    inputs = (path, from_arrays(WAVE, FLUX, IVAR, targetid=IDS), Table(spectra))
    found = [qnet.classify(each, model=small_model) for each in inputs]
    assert found[0]["TARGETID"].tolist() == IDS
    for other in found[1:]:
        np.testing.assert_array_equal(found[0]["Z_LINES"], other["Z_LINES"])
        np.testing.assert_array_equal(found[0]["C_LINES"], other["C_LINES"])


def test_rows_of_other_lengths_keep_their_wavelengths(tmp_path):
    def shorten(stream):
        stream["spectrum_lambda"][1, 800:] = -1
        stream["spectrum_ivar"][1, 800:] = 0
        stream["spectrum_mask"][1, 800:] = True

    (camera,) = read_spectra(stored(tmp_path / "a.hdf5", shorten)).cameras
    assert camera.wave.shape == FLUX.shape
    good = IVAR[1, :800] > 0
    np.testing.assert_array_equal(camera.wave[1, :800][good], WAVE[:800][good])
    assert (camera.ivar[1, 700:800] > 0).all()
    assert not camera.ivar[1, 800:].any()
    np.testing.assert_array_equal(camera.ivar[[0, 2]], IVAR[[0, 2]])


def test_masked_pixels_have_no_weight_though_they_have_an_ivar(tmp_path):
    def mask(stream):
        stream["spectrum_mask"][0, 300:310] = True

    (camera,) = read_spectra(stored(tmp_path / "a.hdf5", mask)).cameras
    assert not camera.ivar[0, 300:310].any()
    assert camera.ivar[1, 300:310].all()


def test_rows_of_lamost_without_errors_are_flagged(tmp_path):
    path = stored(tmp_path / "a.hdf5", weights=False)
    with pytest.warns(QnetWarning, match="there are no errors of the flux"):
        spectra = read_spectra(path)
    assert spectra.flag.tolist() == [QNFlag.NO_ERROR] * 3
    assert spectra.ids["TARGETID"].tolist() == IDS


def test_ids_that_are_no_integers_are_the_names_of_targets(tmp_path):
    path = stored(tmp_path / "a.hdf5", ids=["SDSS J1", "8", "18446744073709551615"])
    with pytest.warns(QnetWarning, match="TARGETID hold values that are no integers"):
        spectra = read_spectra(path)
    assert spectra.ids["TARGETID"].tolist() == [-1, 8, -1]
    assert spectra.ids["TARGET_NAME"].tolist() == ["SDSS J1", "", "18446744073709551615"]


def as_table(path, change=lambda arrow: arrow, **options):
    """The same rows in Parquet, changed."""
    mmu_parquet(path, WAVE, FLUX, IVAR, **({"ids": IDS} | options))
    parquet.write_table(change(parquet.read_table(path)), path)
    return path


def unequal(arrow):
    """Rows without their padding, one of them shorter."""
    rows = arrow["spectrum"].to_pylist()
    ends = (1200, 800, 1200)
    cut = [{k: v[:end] for k, v in row.items()} for row, end in zip(rows, ends, strict=True)]
    return arrow.set_column(0, "spectrum", pa.array(cut, arrow["spectrum"].type))


PARQUETS = {
    "as it is": {},
    "padded": {"padding": 40},
    "of unequal lengths": {"change": unequal, "padding": 40},
    "flat": {"change": lambda arrow: arrow.flatten()},
    "flat by another name": {
        "change": lambda arrow: (flat := arrow.flatten()).rename_columns(
            [name.replace(".", "_") for name in flat.column_names]
        )
    },
}


@pytest.mark.parametrize("way", PARQUETS)
def test_rows_in_parquet_are_those_in_hdf5(tmp_path, way):
    path = as_table(tmp_path / "a.parquet", **PARQUETS[way])
    spectra = read_spectra(path)
    (camera,) = spectra.cameras
    good = IVAR > 0
    if way == "of unequal lengths":
        good[1, 800:] = False
    wave = np.broadcast_to(camera.wave, camera.flux.shape)
    np.testing.assert_array_equal(wave[good], np.tile(WAVE, (3, 1))[good])
    np.testing.assert_array_equal(camera.flux[good], FLUX[good])
    np.testing.assert_array_equal(camera.ivar, np.where(good, IVAR, 0))
    assert spectra.ids["TARGETID"].tolist() == IDS
    assert (spectra.survey, spectra.flag.tolist()) == ("Multimodal Universe", [0, 0, 0])
    some = read_spectra(path, rows=[2, 1])
    assert some.ids["TARGETID"].tolist() == [IDS[2], IDS[1]]
    np.testing.assert_array_equal(some.cameras[0].ivar[:, :800], camera.ivar[[2, 1], :800])


def test_rows_of_lamost_in_parquet_are_flagged(tmp_path):
    path = as_table(tmp_path / "a.parquet", weights=False, ids=["a", "b", "c"])
    with pytest.warns(QnetWarning, match="there are no errors of the flux|no integers"):
        spectra = read_spectra(path)
    assert spectra.flag.tolist() == [QNFlag.NO_ERROR] * 3
    assert spectra.ids["TARGET_NAME"].tolist() == ["a", "b", "c"]


def linked(stream):
    del stream["spectrum_ivar"], stream["spectrum_flux"]
    stream["spectrum_flux"] = h5py.ExternalLink("other.hdf5", "spectrum_flux")


def early(stream):
    del stream["spectrum_lambda"]
    stream["spectrum_lambda_min"] = np.full(3, 3600.0)


def short(stream):
    del stream["object_id"]
    stream["object_id"] = np.arange(2)


def endless(stream):
    del stream["spectrum_flux"]
    stream.create_dataset("spectrum_flux", (10**9, 1200), chunks=(1, 1200), dtype="f4")


def narrow(stream):
    del stream["spectrum_ivar"]
    stream["spectrum_ivar"] = IVAR[:, :50]


REFUSED = {
    "flux in another file": (linked, "holds no spectra that qnet knows: it has the data sets Z"),
    "ends of wavelengths": (early, "lacks the column spectrum_lambda .spectrum_lambda_min and"),
    "no ids": (lambda stream: stream.__delitem__("object_id"), "lacks the column object_id"),
    "rows without bytes": (endless, "is damaged .*spectrum_flux announces 4800000000000 bytes"),
    "fewer ids": (short, "holds 3 spectra, but another number of object_id"),
    "a narrower ivar": (narrow, "holds data sets of shapes .*, but one of .nspec, npix. was"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_files_that_lack_something_are_refused(tmp_path, case):
    change, message = REFUSED[case]
    path = stored(tmp_path / "a.hdf5", change)
    with pytest.raises(FileError, match=message) as caught:
        read_spectra(path)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).isprintable()


def test_weights_of_a_network_are_no_spectra(legacy_weights):
    with pytest.raises(FileError, match="holds no spectra that qnet knows: it has"):
        read_spectra(legacy_weights)


def outcome(path):
    """The message of the error with which a file is not read; '' for one that is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read_spectra(path)
        except QnetError as error:
            return str(error)
    return ""


def test_a_file_that_is_cut_or_damaged_is_an_error_or_read(tmp_path):
    content = stored(tmp_path / "a.hdf5").read_bytes()
    rng = np.random.default_rng(4)
    for number in range(5):
        damaged = bytearray(content)
        if number < 2:
            del damaged[rng.integers(len(damaged) // 3, len(damaged) - 1) :]
        else:  # in the first kilobytes, where the structure is described
            for at in rng.integers(8, 3000, 40):
                damaged[at] = rng.integers(256)
        path = tmp_path / f"{number}.hdf5"
        path.write_bytes(damaged)
        message = outcome(path)
        assert message.isprintable()
        assert str(path) in message if message else number >= 2
