"""The writer of FITS files: what columns and images are given is in their headers."""

from __future__ import annotations

import os

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from qnet.core.errors import FileError, InputError
from qnet.io.fits.writer import Card, FitsWriter

COLUMNS = {"ID": np.arange(3), "V": np.full((3, 2), 1.25), "ONE": np.ones((3, 1), np.float32)}


def test_units_comments_and_formats_of_columns(tmp_path):
    long = "velocity of the object relative to that of all of the others, " * 2
    with FitsWriter(tmp_path / "t.fits") as file:
        file.table(
            "T",
            COLUMNS,
            cards=[Card("SEED", 7, "of it")],
            units={"V": "km/s"},
            comments={"ID": "the id", "V": long},
            formats={"V": "F8.1"},
        )
    with fits.open(tmp_path / "t.fits", checksum=True) as hdus:
        hdus.verify("exception")
        header = hdus["T"].header
    assert header["SEED"] == 7
    assert header["TUNIT2"] == "km/s"
    assert (header["TCOMM1"], header["TCOMM2"]) == ("the id", long.rstrip())
    assert header.comments["TTYPE1"] == "the id"
    assert long.startswith(header.comments["TTYPE2"])
    assert len(header.comments["TTYPE2"]) > 30
    assert (header["TTYPE2"], header["TDISP2"]) == ("V", "F8.1")
    table = Table.read(tmp_path / "t.fits")
    assert table["V"].format == "{:8.1f}"
    assert table["ONE"].shape == (3, 1)


def test_images_are_filled_in_parts(tmp_path):
    with FitsWriter(tmp_path / "i.fits", cards=[Card("STEP", 0.1234567890123456789e-8)]) as file:
        file.image("WAVE", np.arange(3.0), unit="Angstrom")
        file.empty_image("FLUX", (4, 3), "f4", unit="nmgy")
        for row in range(4):
            file.fill("FLUX", np.full((1, 3), row, np.float32), row)
    with fits.open(tmp_path / "i.fits") as hdus:
        assert hdus[0].header["STEP"] == 0.1234567890123456789e-8
        assert hdus["WAVE"].header["BUNIT"] == "Angstrom"
        assert hdus["FLUX"].header["BUNIT"] == "nmgy"
        np.testing.assert_array_equal(hdus["FLUX"].data, np.repeat(np.arange(4), 3).reshape(4, 3))


def test_what_goes_wrong_names_the_file_and_leaves_none(tmp_path):
    path = tmp_path / "t.fits"
    with pytest.raises(InputError, match="column C holds complex128"), FitsWriter(path) as file:
        file.table("T", {"C": np.ones(3, complex)})
    with pytest.raises(FileError, match=r"t\.fits: could not be written"), FitsWriter(path) as file:
        file.fill("NONE", np.ones((1, 3)), 0)
    with pytest.raises(InputError, match=r"t\.fits: is not open"):
        FitsWriter(path).image("I", np.ones(3))
    assert os.listdir(tmp_path) == []
