"""Messages in one line of limited length, and the errors of libraries as errors of qnet."""

from __future__ import annotations

import copy
import zlib

import numpy as np
import pytest

from qnet.core.errors import (
    FileError,
    InputError,
    MissingFileError,
    QnetWarning,
    shorten,
    shown,
)
from qnet.core.guards import library_faults


class Mute:
    """An object that raises when it is quoted."""

    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Größe  of\n\n  two lines", "'Größe  of\\n\\n  two lines'"),
        (np.zeros((2, 2)), "array([[0., 0.], [0., 0.]])"),
        (Mute(), "an object of type Mute"),
    ],
)
def test_values_are_quoted_in_one_line(value, expected):
    assert shown(value) == expected


def test_long_text_loses_its_middle_and_control_characters_are_escaped():
    text = "start" + "x" * 5000 + "end"
    assert len(shorten(text, 100)) == 100
    assert shorten(text, 100).startswith("startx")
    assert shorten(text, 100).endswith("xend")
    assert shorten("a  b\t\x00\n\n  c ") == "a  b\\t\\x00 c"


@pytest.mark.parametrize("kind", [FileError, InputError, MissingFileError, QnetWarning])
def test_every_message_is_one_line_of_limited_length(kind):
    error = kind(f"value {list(range(9999))}\nof two lines")
    assert 1000 < len(str(error)) <= 1500
    assert str(error).isprintable()
    assert str(copy.copy(error)) == str(error)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (OSError("FITSIO status = 104\n\n  could not open"), r"FITSIO status = 104"),
        (AssertionError(), "AssertionError"),
        (KeyError("TFORM1"), "KeyError: 'TFORM1'"),
        (zlib.error("Error -3"), "error: Error -3"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "UnicodeDecodeError: 'utf-8' codec"),
        (OverflowError("\n"), "OverflowError"),
    ],
)
def test_what_a_library_raises_is_a_file_error(fault, message):
    begins = r"^a\.fits: cannot be read \("
    with pytest.raises(FileError, match=begins) as caught, library_faults("a.fits"):
        raise fault
    assert message in str(caught.value)
    assert caught.value.__cause__ is fault


def test_what_no_library_raised_passes():
    large = pytest.raises(FileError, match="too large for this machine's memory")
    with large, library_faults("a.fits"):
        np.empty(1 << 50)
    wrong = pytest.raises(FileError, match=r"a\.h5: holds no network \(ValueError: 3\)")
    with wrong, library_faults("a.h5", "holds no network"):
        raise ValueError(3)
    own = InputError("rows")
    for error in (own, KeyboardInterrupt(), SystemExit(2), QnetWarning("w")):
        with pytest.raises(type(error)) as caught, library_faults("a.fits"):
            raise error
        assert caught.value is error
