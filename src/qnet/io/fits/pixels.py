"""Pixels of plain FITS images, read past the C library, a piece at a time, in the cache."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray
from qnet.io.fits.headers import Hdu

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

#: Bytes that are read at a time: what stays in the cache.
_PIECE = 1 << 18


@dataclasses.dataclass(frozen=True)
class PlainImage:
    """An image that lies in a file as it is, from byte `start` on: uncompressed, big-endian."""

    stream: io.RawIOBase
    start: int
    shape: tuple[int, ...]
    stored: np.dtype[Any]

    def read(self, low: int, high: int, out: AnyArray | None = None) -> AnyArray:
        """Rows low .. high - 1, native-endian; in `out` (contiguous) if it is of their type."""
        image, native = out, self.stored.newbyteorder("=")
        if image is None or image.dtype != native:
            image = np.empty((high - low, *self.shape[1:]), dtype=native)
        flat = image.reshape(-1)
        for part, piece in self._pieces(low, high):
            flat[part] = piece
        return image

    def clear(self, low: int, high: int, values: AnyArray) -> None:
        """Set contiguous values to 0 where rows low .. high - 1, of integers, are not 0."""
        flat = values.reshape(-1)
        for part, piece in self._pieces(low, high):
            # Whether any bit is set does not depend on the byte order.
            bits = piece.view(f"u{piece.itemsize}")
            if bits.max():
                flat[part][bits != 0] = 0

    def _pieces(self, low: int, high: int) -> Iterator[tuple[slice, AnyArray]]:
        """Pixels of some rows as stored, and their positions; each valid until the next."""
        pixels, itemsize = math.prod(self.shape[1:]), self.stored.itemsize
        total = (high - low) * pixels
        buffer = np.empty(_PIECE // itemsize, dtype=self.stored)
        self.stream.seek(self.start + low * pixels * itemsize)
        for first in range(0, total, buffer.size):
            piece = buffer[: min(buffer.size, total - first)]
            _fill(self.stream, piece.view(np.uint8).data)
            yield slice(first, first + piece.size), piece


def plain_image(stream: io.RawIOBase, hdu: Hdu, shape: tuple[int, ...]) -> PlainImage | None:
    """The image of that shape in an HDU of an unbuffered stream; None unless it is plain."""
    cards = hdu.header.cards
    axes = [cards.get(f"NAXIS{axis}") for axis in range(len(shape), 0, -1)]
    stored = _STORED.get(cards["BITPIX"])
    scaled = any(name in cards for name in _SCALING)
    plain = cards.get("XTENSION", "IMAGE") == "IMAGE" and not scaled and axes == [*map(str, shape)]
    if not plain or stored is None:
        return None
    return PlainImage(stream, hdu.start, shape, stored)


def _fill(stream: Any, view: memoryview) -> None:
    """Read as many bytes as a buffer holds."""
    done = 0
    while done < len(view):
        count = stream.readinto(view[done:])
        if not count:
            raise OSError("the file ends too early")
        done += count
