"""Tables of columns to files."""

from __future__ import annotations

import os

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from qnet.core.errors import FileError, InputError, OutputExistsError
from qnet.io import Card, write_table

COLUMNS = {
    "EPOCH": np.arange(3, dtype=np.int32),
    "LOSS": np.array([1.5, np.nan, 0.5]),
    "C_LINES": np.ones((3, 1), np.float32),
    "NAME": np.array(["a", "", "é"]),
}


def test_fits(tmp_path):
    cards = (Card("SEED", 7, "the seed"), Card("BEST", True), Card("LONG", "x" * 100))
    path = write_table(
        tmp_path / "t.fits", COLUMNS, extname="HISTORY", cards=cards, units={"LOSS": "s"}
    )
    with fits.open(path, checksum=True) as hdus:
        hdus.verify("exception")
        table, header = hdus["HISTORY"].data, hdus[1].header
        assert (header["SEED"], header["BEST"], header["LONG"]) == (7, True, "x" * 100)
        assert header.comments["SEED"] == "the seed"
        assert table.columns["LOSS"].unit == "s"
        np.testing.assert_array_equal(table["LOSS"], COLUMNS["LOSS"])
        assert table["C_LINES"].shape == (3, 1)
        assert table["NAME"].tolist() == ["a", "", r"\xe9"]


@pytest.mark.parametrize("suffix", ["csv", "ecsv"])
def test_text(tmp_path, suffix):
    path = write_table(
        tmp_path / f"t.{suffix}", COLUMNS, extname="HISTORY", cards=[Card("SEED", 7)]
    )
    table = Table.read(path, format=f"ascii.{suffix}")
    assert table["EPOCH"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(table["LOSS"], COLUMNS["LOSS"])
    assert "C_LINES_0" in table.colnames if suffix == "csv" else table.meta["SEED"] == 7


@pytest.mark.parametrize("suffix", ["fits", "csv", "ecsv"])
def test_no_rows(tmp_path, suffix):
    path = write_table(tmp_path / f"t.{suffix}", {"A": np.zeros(0)}, extname="X")
    kind = "fits" if suffix == "fits" else f"ascii.{suffix}"
    assert Table.read(path, format=kind).colnames == ["A"]


def test_what_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"the same number of rows, not {'A': 2, 'B': 3}"):
        write_table(tmp_path / "t.fits", {"A": np.ones(2), "B": np.ones(3)}, extname="X")
    with pytest.raises(InputError, match=r"t\.txt: the name of a table must end in one of \.fits"):
        write_table(tmp_path / "t.txt", COLUMNS, extname="X")
    with pytest.raises(InputError, match="column A holds complex128, which FITS tables do not"):
        write_table(tmp_path / "t.fits", {"A": np.ones(2, complex)}, extname="X")
    (tmp_path / "t.csv").write_text("mine")
    for suffix, values in (("parquet", np.ones(2, complex)), ("csv", np.ones((2, 2, 2)))):
        path = tmp_path / f"u.{suffix}"
        with pytest.raises(FileError, match=rf"u\.{suffix}: could not be written as {suffix} "):
            write_table(path, {"A": values}, extname="X")
        assert not path.exists()
    with pytest.raises(OutputExistsError):
        write_table(tmp_path / "t.csv", COLUMNS, extname="X")
    assert os.listdir(tmp_path) == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "mine"
    write_table(tmp_path / "t.csv", COLUMNS, extname="X", overwrite=True)
