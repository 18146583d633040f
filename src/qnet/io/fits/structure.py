"""Checks before the C library of FITS opens a file: its structure, and its name."""

from __future__ import annotations

import contextlib
import gzip
import math
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from qnet.core.errors import FileError, library_faults

_Stream = BinaryIO | gzip.GzipFile

#: Signature of gzip files.
_GZIP = b"\x1f\x8b"

#: FITS files come in blocks of this many bytes, headers in cards of 80.
_BLOCK, _CARD = 2880, 80

#: What is wrong with a file that the libraries cannot read.
NO_FITS = "cannot be read as FITS, is it whole?"

#: No file is larger than this.
_LARGEST = 1 << 60

#: Cards of the size of an HDU; the C library stops early, divides by zero or asks for
#: gigabytes where they are wrong. With the smallest and largest legal value.
_SIZES: Mapping[str, tuple[int, int]] = {
    "BITPIX": (-64, 64),
    "NAXIS": (0, 999),
    "PCOUNT": (0, _LARGEST),
    "GCOUNT": (1, _LARGEST),
    "TFIELDS": (0, 999),
    "ZBITPIX": (-64, 64),
    "ZNAXIS": (0, 999),
}


class Hdu(NamedTuple):
    """Cards of an HDU as text, and the byte at which its data begin; None if gzipped."""

    cards: Mapping[str, str]
    start: int | None


def check_structure(path: Path) -> list[Hdu]:
    """HDUs of a plain or gzipped file; FileError unless headers and data are whole."""
    with open(path, "rb") as plain:
        if plain.read(len(_GZIP)) != _GZIP:
            plain.seek(0)
            return _walk(plain, path)
    with library_faults(path, NO_FITS), gzip.open(path, "rb") as stream:
        hdus = _walk(stream, path)
        while stream.read(1 << 20):  # to the checksum at its end
            pass
    return [Hdu(hdu.cards, None) for hdu in hdus]


def _walk(stream: _Stream, path: Path) -> list[Hdu]:
    """Go from header to header, and past the data."""
    hdus: list[Hdu] = []
    while True:
        number, block = len(hdus), stream.read(_BLOCK)
        if number and not block.startswith(b"XTENSION"):
            return hdus  # the end, or bytes that belong to no HDU
        if not number and not block.startswith(b"SIMPLE  ="):
            raise FileError(f"{path}: cannot be read as FITS: it does not begin as FITS files do")
        cards = _read_cards(stream, block, number, path)
        hdus.append(Hdu(cards, stream.tell()))
        data = _data_size(cards, number, path)
        end = stream.tell() + -(-data // _BLOCK) * _BLOCK
        if data and (end > _LARGEST or _ended(stream, end)):
            name = cards.get("EXTNAME", f"number {number}")
            raise FileError(f"{path}: is cut short: HDU {name} should end at byte {end}")


def _ended(stream: _Stream, end: int) -> bool:
    """Whether a stream ends before the byte `end`."""
    try:
        stream.seek(end - 1)
    except OSError:  # beyond what the file system can hold
        return True
    return len(stream.read(1)) != 1


def _read_cards(stream: _Stream, block: bytes, number: int, path: Path) -> dict[str, str]:
    """Cards of one header as text, up to END."""
    cards: dict[str, str] = {}
    while len(block) == _BLOCK:
        for start in range(0, _BLOCK, _CARD):
            card = block[start : start + _CARD].decode("latin-1")
            key = card[:8].rstrip()
            if key == "END":
                return cards
            if card[8:10] == "= ":
                cards.setdefault(key, card[10:].split("/")[0].strip().strip("'").strip())
        block = stream.read(_BLOCK)
    raise FileError(
        f"{path}: cannot be read as FITS: it ends within the header of HDU number {number}"
    )


def _data_size(cards: Mapping[str, str], number: int, path: Path) -> int:
    """Bytes of an HDU's data."""

    def value(key: str, low: int, high: int, default: str = "") -> int:
        text = cards.get(key, default)
        try:
            found = int(text)
        except ValueError:
            found = low - 1
        if not low <= found <= high:
            raise FileError(
                f"{path}: the header of HDU number {number} is damaged: {key} is {text!r}"
            )
        return found

    defaults = {"PCOUNT": "0", "GCOUNT": "1"}
    sizes = {
        key: value(key, *bounds, defaults.get(key, ""))
        for key, bounds in _SIZES.items()
        if key in cards or key in ("BITPIX", "NAXIS", *defaults)
    }
    axes = [value(f"NAXIS{axis}", 0, _LARGEST) for axis in range(1, sizes["NAXIS"] + 1)]
    for axis in range(1, sizes.get("ZNAXIS", 0) + 1):
        value(f"ZNAXIS{axis}", 1, _LARGEST)
        value(f"ZTILE{axis}", 1, _LARGEST, "1")
    if not axes:
        return 0
    if axes[0] == 0 and cards.get("GROUPS") == "T":
        axes = axes[1:]
    return abs(sizes["BITPIX"]) // 8 * sizes["GCOUNT"] * (sizes["PCOUNT"] + math.prod(axes))


#: The C library reads other characters in a file's name as part of a selection language.
_PLAIN_NAME = re.compile(r"[\w./-]+", re.ASCII)


@contextlib.contextmanager
def plain_name(path: Path) -> Iterator[str]:
    """A name that the C library takes literally: where need be a link in a temporary folder."""
    name = os.path.abspath(path)
    if _PLAIN_NAME.fullmatch(name):
        yield name
        return
    with tempfile.TemporaryDirectory(prefix="qnet-") as folder:
        if _PLAIN_NAME.fullmatch(path.name):
            link = Path(folder, "folder")
            link.symlink_to(Path(name).parent, target_is_directory=True)
            yield str(link / path.name)
        else:
            link = Path(folder, "file.fits")
            link.symlink_to(name)
            yield str(link)
