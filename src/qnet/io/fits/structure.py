"""Checks before the C library of FITS opens a file: its structure, and its name."""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from qnet.core.errors import FileError, warn
from qnet.core.guards import library_faults
from qnet.core.kinds import GZIP, find_kind
from qnet.io.fits.headers import BLOCK, CARD, Hdu, Stream, read_header
from qnet.io.fits.heap import check_heap
from qnet.io.fits.inflate import Inflated

#: First bytes of the HDUs after the first.
_EXTENSION = b"XTENSION= "

#: What is wrong with a file that the libraries cannot read.
NO_FITS = "cannot be read as FITS, is it whole?"

#: No file has more HDUs: a tile of Euclid's spectra has ten of each of a thousand objects.
_MOST_HDUS = 20000

#: Bytes that a byte of a gzipped file becomes at most (1032 in deflate).
_INFLATION = 1100

#: Bytes that a small file may announce, and that any may for each of its bytes.
_ANNOUNCED, _PER_BYTE = 1 << 29, 100

#: Bytes that a gzipped file may have after its last HDU.
_BEYOND = 1 << 22


def open_stream(path: Path) -> io.RawIOBase:
    """What is in a plain or gzipped file."""
    return Inflated(path) if find_kind(path) is GZIP else io.FileIO(path)


def check_structure(path: Path, stream: io.RawIOBase | None = None) -> list[Hdu]:
    """HDUs of a plain or gzipped file; FileError unless headers and data are whole.

    `stream` is that of `open_stream`, where it is needed further on.
    """
    with library_faults(path, NO_FITS):
        size = path.stat().st_size
        if stream is None:
            with open_stream(path) as own:
                return check_structure(path, own)
        if not isinstance(stream, Inflated):
            with open(path, "rb") as plain:  # in pieces: headers are read block by block
                return _walk(plain, path, size)
        hdus = _walk(stream, path, _INFLATION * size)
        last = stream.tell()
        # To the checksum at its end.
        if stream.inflate(last + _BEYOND + 1) > last + _BEYOND:
            raise FileError(f"{path}: inflates to far more than its headers announce")
    return hdus


def _walk(stream: Stream, path: Path, size: int) -> list[Hdu]:
    """Go from header to header, and past the data; the stream has `size` bytes at most."""
    hdus: list[Hdu] = []
    announced, most = 0, max(_ANNOUNCED, _PER_BYTE * path.stat().st_size)
    while True:
        number, block = len(hdus), stream.read(BLOCK)
        if number and not block.startswith(_EXTENSION):
            _check_rest(stream, block, number, path)
            return hdus
        if not number and not block.startswith(b"SIMPLE  ="):
            raise FileError(f"{path}: cannot be read as FITS: it does not begin as FITS files do")
        if number >= _MOST_HDUS:
            raise FileError(f"{path}: has more than {_MOST_HDUS} HDUs")
        header = read_header(stream, block, number, path)
        start, data = stream.tell(), header.data_size()
        hdus.append(Hdu(header, start))
        announced += header.announced()
        end = start + -(-data // BLOCK) * BLOCK
        pointers = header.pointers()
        if announced > most and end <= size:
            raise FileError(f"{path}: announces {announced} bytes, too many for a file of its size")
        if pointers and end <= size:
            check_heap(stream, header, pointers)
        if data and (end > size or _ended(stream, end)):
            name = header.cards.get("EXTNAME", f"number {number}")
            raise FileError(f"{path}: is cut short: HDU {name} should end at byte {end}")


def _check_rest(stream: Stream, block: bytes, number: int, path: Path) -> None:
    """Raise FileError where bytes after the last HDU are a damaged one, or hide another."""
    total, filled = 0, False
    while block and total < _BEYOND:
        cards = {block[start : start + 9] for start in range(0, len(block), CARD)}
        if block.startswith(_EXTENSION) or b"NAXIS   =" in cards:
            raise FileError(
                f"{path}: HDU number {number} is damaged: its header does not begin with XTENSION"
            )
        total, filled = total + len(block), filled or bool(block.strip(b"\0 "))
        block = stream.read(BLOCK)
    if filled and total >= BLOCK:
        warn(f"{path}: has {total} bytes after its last HDU, which are not read")


def _ended(stream: Stream, end: int) -> bool:
    """Whether a stream ends before the byte `end`."""
    stream.seek(end - 1)
    return len(stream.read(1)) != 1


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
