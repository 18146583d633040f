"""Pixels of plain FITS images, read past the C library: rows of them at a time, byte-swapped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

#: How the pixels are stored, by BITPIX (FITS standard 4.0, table 8).
_STORED: Mapping[str, np.dtype[Any]] = {
    "8": np.dtype(">u1"),
    "16": np.dtype(">i2"),
    "32": np.dtype(">i4"),
    "64": np.dtype(">i8"),
    "-32": np.dtype(">f4"),
    "-64": np.dtype(">f8"),
}

#: Cards that give the stored numbers another meaning.
_SCALING = ("BSCALE", "BZERO", "BLANK")

#: Bytes that are read and swapped at a time: what stays in the cache.
_PIECE = 1 << 18

_CARD = 80


def read_plain(
    path: Path, start: int, data: int, shape: tuple[int, ...], low: int, high: int
) -> npt.NDArray[Any] | None:
    """Rows of an image that lies in a file as it is: uncompressed, with no scaling.

    Parameters
    ----------
    path : Path
    start, data : int
        Bytes at which the header and the data begin.
    shape : tuple of int
        Shape of the image.
    low, high : int
        First row, and the one after the last.

    Returns
    -------
    ndarray, shape (high - low, ...), or None
        Native-endian. None where the bytes at `start` are not the header of such an image, as in a
        compressed file.

    Raises
    ------
    OSError
        The file cannot be read, or ends too early.
    """
    with open(path, "rb", buffering=0) as stream:
        stream.seek(start)
        stored = _stored_type(stream.read(data - start), shape)
        if stored is None:
            return None
        pixels = math.prod(shape[1:])
        image = np.empty((high - low, *shape[1:]), dtype=stored.newbyteorder("="))
        flat = image.reshape(-1)
        buffer = np.empty(_PIECE // stored.itemsize, dtype=stored)
        stream.seek(data + low * pixels * stored.itemsize)
        for first in range(0, flat.size, buffer.size):
            part = flat[first : first + buffer.size]
            piece = buffer[: part.size]
            _fill(stream, piece.view(np.uint8).data)
            part[:] = piece
    return image


def _stored_type(header: bytes, shape: tuple[int, ...]) -> np.dtype[Any] | None:
    """Type of the stored pixels, from the header of a plain image of that shape."""
    if not header.startswith((b"SIMPLE  =", b"XTENSION= 'IMAGE")):
        return None
    cards: dict[str, str] = {}
    for place in range(0, len(header), _CARD):
        card = header[place : place + _CARD].decode("latin-1")
        if card[:8].rstrip() == "END":
            break
        if card[8:10] == "= ":
            cards.setdefault(card[:8].rstrip(), card[10:].split("/")[0].strip())
    axes = [cards.get(f"NAXIS{axis}") for axis in range(len(shape), 0, -1)]
    if axes != [str(size) for size in shape] or any(name in cards for name in _SCALING):
        return None
    return _STORED.get(cards.get("BITPIX", ""))


def _fill(stream: Any, view: memoryview) -> None:
    """Read as many bytes as a buffer holds."""
    done = 0
    while done < len(view):
        count = stream.readinto(view[done:])
        if not count:
            raise OSError("the file ends too early")
        done += count
