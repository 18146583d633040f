"""Headers and plain tables that are read past the C library: as that reads them."""

from __future__ import annotations

import fitsio
import numpy as np
import pytest
from astropy.io import fits

from makers import primary, write
from qnet.io.fits.cards import Cards
from qnet.io.fits.file import FitsFile

CARDS = {
    "TEXT": "it's a / text  ",
    "EMPTY": "",
    "YES": True,
    "WHOLE": -17,
    "REAL": 1.5e-17,
    "LONG": "x" * 150 + " & end",
    "HIERARCH a long name": 5,
    "DC-FLAG": 1,
}


def test_cards_have_the_values_that_the_c_library_gives(tmp_path):
    header = fits.Header(CARDS)
    header["COMMENT"] = "no = card"
    header["NOTHING"] = None
    path = write(tmp_path / "a.fits", [fits.PrimaryHDU(header=header)])
    with FitsFile(path) as ours, fitsio.FITS(str(path)) as theirs:
        cards, other = ours.header(0), theirs[0].read_header()
        for name, value in CARDS.items():
            key = name.upper().removeprefix("HIERARCH ")
            assert cards[key] == (value.rstrip() if isinstance(value, str) else value)
            assert cards[key] == (other[key].rstrip() if isinstance(value, str) else other[key])
        assert cards["NOTHING"] is None
        assert cards.get("COMMENT") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("KEY     =                1D-17 / double", 1e-17),
        ("KEY     =                   1.", 1.0),
        ("KEY     =  99999999999999999999", "99999999999999999999"),
        ("KEY     = (1.0, 2.0)", "(1.0,"),
        ("KEY     = /", None),
        ("KEY     = 'open", None),
        ("HIERARCH key = 5 / five", 5),
    ],
)
def test_odd_cards(text, value):
    assert Cards([f"{text:80}"])["KEY"] == value


def test_plain_columns_are_those_of_the_c_library(tmp_path):
    rng = np.random.default_rng(2)
    columns = [
        fits.Column("A", "5A", array=np.array(["ab", "c  ", "", "de fg"])),
        fits.Column("I", "I", array=rng.integers(-9, 9, 4)),
        fits.Column("U", "I", bzero=2**15, array=np.array([0, 7, 65535, 1], np.uint16)),
        fits.Column("J", "J", null=-1, array=np.array([3, -1, 4, 5])),
        fits.Column("K", "K", array=2**60 + np.arange(4)),
        fits.Column("B", "B", array=np.arange(4, dtype=np.uint8)),
        fits.Column("L", "L", array=np.array([True, False, True, True])),
        fits.Column("E", "3E", array=rng.normal(size=(4, 3)).astype(np.float32)),
        fits.Column("D", "D", array=np.array([1.0, np.nan, np.inf, -0.0])),
        fits.Column("M", "6D", dim="(3,2)", array=rng.normal(size=(4, 2, 3))),
        fits.Column("T", "6A", dim="(3,2)", array=np.array([["a", "b"]] * 4)),
        fits.Column("V", "PE()", array=np.array([np.ones(n, "f4") for n in (1, 2, 3, 4)], object)),
    ]
    path = write(tmp_path / "a.fits", [primary(), fits.BinTableHDU.from_columns(columns)])
    names = [column.name for column in columns if column.name != "J"]
    with FitsFile(path) as ours, fitsio.FITS(str(path), vstorage="object") as theirs:
        expected = theirs[1].read(columns=names)
        for rows in (None, np.array([3, 1]), np.array([2])):
            found = ours.table(1, names, rows)
            for name in names:
                other = expected[name] if rows is None else expected[name][rows]
                if name == "V":
                    assert [list(x) for x in found[name]] == [list(x) for x in other]
                    continue
                assert found[name].dtype.kind == other.dtype.kind
                if name == "A":
                    other = np.char.rstrip(other)
                np.testing.assert_array_equal(found[name], other)
        assert ours.table(1, ["J"])["J"].tolist() == [3, -1, 4, 5]
        assert ours.columns(1) == [column.name for column in columns]
        assert (ours.nrows(1), ours.is_table(1), ours.is_table(0)) == (4, True, False)


def test_blanks_before_a_continued_comment_mean_nothing():
    cards = ["KEY     = 'none    &'          / a comment that goes", "CONTINUE  '' / on"]
    assert Cards([f"{card:80}" for card in cards])["KEY"] == "none"
