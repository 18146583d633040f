"""Prepared data files: QuasarNET's own, and those with a grid in the header."""

from __future__ import annotations

import numpy as np
import pytest

from makers import make_spectra, prepared, primary, table, write
from qnet.core.errors import FileError
from qnet.core.grid import QUASARNET_GRID, WavelengthGrid
from qnet.io import read_spectra
from qnet.preprocess.rebinning import rebin

COLUMNS = {
    "TARGETID": np.int64([465298745, -1, 7]),
    "PLATE": np.int64([7102, 7102, 7103]),
    "MJD": np.int64([56666, 56666, 56667]),
    "FIBERID": np.int64([1, 2, 3]),
}


def spectra_on(grid):
    return make_spectra(grid.wave, (1.0, 2.0, 3.0), seed=3)


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".fits.fz"])
@pytest.mark.parametrize("rows", [None, [2, 0, 0], []], ids=str)
def test_file_of_quasarnet_is_on_its_grid(tmp_path, suffix, rows):
    flux, ivar = spectra_on(QUASARNET_GRID)
    path = write(tmp_path / f"data{suffix}", prepared(flux, ivar, COLUMNS))
    spectra = read_spectra(path, rows=rows)
    index = [0, 1, 2] if rows is None else rows
    (camera,) = spectra.cameras
    np.testing.assert_array_equal(camera.wave, QUASARNET_GRID.wave)
    assert camera.edges
    np.testing.assert_array_equal(camera.flux, flux[index])
    np.testing.assert_array_equal(camera.ivar, ivar[index])
    assert list(spectra.ids) == list(COLUMNS)
    for name, column in COLUMNS.items():
        assert spectra.ids[name].tolist() == column[index].tolist()
    assert spectra.ids["TARGETID"].dtype == np.int64
    assert spectra.row.tolist() == index
    assert spectra.flag.tolist() == [0] * len(index)


def test_pixels_go_back_into_their_own_bins(tmp_path):
    flux, ivar = spectra_on(QUASARNET_GRID)
    (camera,) = read_spectra(write(tmp_path / "d.fits", prepared(flux, ivar, COLUMNS))).cameras
    again, weight = rebin(camera.wave, camera.flux, camera.ivar, QUASARNET_GRID)
    np.testing.assert_allclose(again, flux, rtol=1e-6)
    np.testing.assert_array_equal(weight, ivar)


def test_spids_and_other_columns_are_carried(tmp_path):
    flux, ivar = spectra_on(QUASARNET_GRID)
    columns = {
        "TARGETID": np.float64([5, 6, 7]),
        "SPID0": np.int64([1, 2, 3]),
        "SPID1": np.int64([4, 5, 6]),
        "SPID2": np.int64([7, 8, 9]),
        "SURVEY": np.array(["boss  ", "", "eboss"]),
        "VECTOR": np.ones((3, 2)),
    }
    spectra = read_spectra(write(tmp_path / "data.fits", prepared(flux, ivar, columns)))
    assert list(spectra.ids) == ["TARGETID", "SPID0", "SPID1", "SPID2", "SURVEY"]
    assert spectra.ids["TARGETID"].tolist() == [5, 6, 7]
    assert spectra.ids["TARGETID"].dtype == np.int64
    assert spectra.ids["SURVEY"].tolist() == ["boss", "", "eboss"]


@pytest.mark.parametrize(
    "grid",
    [WavelengthGrid.linear(3600, 9824.8, 13.6), WavelengthGrid.log(3600, 9800, 4e-4)],
    ids=["linear", "log"],
)
def test_grid_in_the_header(tmp_path, grid):
    flux, ivar = spectra_on(grid)
    cards = (grid.spacing, grid.start, grid.step)
    path = write(tmp_path / "data.fits", prepared(flux, ivar, COLUMNS, grid=cards))
    (camera,) = read_spectra(path).cameras
    np.testing.assert_array_equal(camera.wave, grid.wave)
    np.testing.assert_array_equal(camera.flux, flux)
    np.testing.assert_array_equal(camera.ivar, ivar)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 442}, "HDU 0 has 884 columns, but flux and ivar on its grid"),
        ({"width": 443, "extra": 1}, "HDU 0 has 887 columns, but flux and ivar on its grid"),
        ({"grid": ("log", 3.55, -1e-3)}, "header of HDU 0: .*step positive"),
        ({"grid": ("cubic", 3.55, 1e-3)}, "header of HDU 0: .*'cubic'"),
        ({"grid": ("log", "x", 1e-3)}, "header of HDU 0: not a wavelength grid"),
        ({"grid": ("log", None, 1e-3)}, "header of HDU 0: "),
        ({"rows": 2}, "HDU 1 has 2 rows, but HDU 0 has 3"),
        ({"ids": np.array([1.0, 2.0, 2.0**60])}, "TARGETID"),
    ],
    ids=str,
)
def test_bad_file_is_an_error_that_says_why(tmp_path, change, message):
    width = change.get("width", 443)
    flux = np.ones((3, width), np.float32)
    ivar = np.ones((3, width + change.get("extra", 0)), np.float32)
    columns = COLUMNS | {"TARGETID": change.get("ids", COLUMNS["TARGETID"])}
    columns = {name: column[: change.get("rows", 3)] for name, column in columns.items()}
    path = write(tmp_path / "broken.fits", prepared(flux, ivar, columns, grid=change.get("grid")))
    with pytest.raises(FileError, match=rf"broken\.fits: .*({message})"):
        read_spectra(path)


def test_file_without_rows_is_an_empty_batch(tmp_path):
    nothing = np.zeros((0, 443), np.float32)
    columns = {name: column[:0] for name, column in COLUMNS.items()}
    path = write(tmp_path / "data.fits", prepared(nothing, nothing, columns))
    for rows in (None, []):
        assert len(read_spectra(path, rows=rows)) == 0


def test_table_without_targetid_is_no_prepared_file(tmp_path):
    hdus = [primary(np.ones((3, 886), np.float32)), table({"THING_ID": np.arange(3)})]
    with pytest.raises(FileError, match=r"other\.fits: holds no spectra that qnet knows"):
        read_spectra(write(tmp_path / "other.fits", hdus))
