"""Heaps of binary tables, checked before the C library reads them: arrays, and compressed tiles.

The C library asks for the memory that a pointer announces. A gzipped tile that does not end keeps
it inflating without end, and tiles of other kinds announce their number of pixels.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from qnet.core.arrays import IntArray
from qnet.core.errors import shown
from qnet.io.fits.headers import Hdu, Header, Pointers, Stream

#: Bytes of a file that are read together.
PIECE = 1 << 20

#: Arrays in a heap may overlap up to this many bytes in all.
_SHARED = 1 << 28

#: Pointers into the heap, as stored: number of elements, and byte.
_POINTERS: Mapping[str, str] = {"P": ">u4", "Q": ">i8"}

#: Bytes of a pixel in an uncompressed tile, at most.
_PIXEL = 8


def check_heap(stream: Stream, header: Header, pointers: list[Pointers]) -> None:
    """Raise FileError unless all arrays of a table, which a stream begins, lie in its heap."""
    heap, total = header.heap(), 0
    for column, length, start in _arrays(stream, header, pointers):
        beyond = (length < 0) | (length > 8 * heap) | (start < 0) | (start > heap)
        needed = -(-np.where(beyond, 0, length) * column.bits // 8)
        beyond = (length != 0) & (beyond | (start + needed > heap))
        total += int(needed.sum())
        if beyond.any() or total > max(heap, _SHARED):
            raise header.fault(
                f"column {shown(column.name)} has arrays beyond its heap of {heap} bytes"
            )


def _arrays(
    stream: Stream, header: Header, pointers: list[Pointers]
) -> Iterator[tuple[Pointers, IntArray, IntArray]]:
    """Columns of a table that a stream begins, with lengths and starts of some of its arrays."""
    width, nrows = header.axes()
    for first in range(0, nrows, step := max(1, PIECE // width)):
        content = stream.read(width * min(step, nrows - first))
        rows = np.frombuffer(content, np.uint8, len(content) // width * width).reshape(-1, width)
        for column in pointers:
            dtype = np.dtype(_POINTERS[column.code])
            last = column.offset + 2 * dtype.itemsize
            stored = np.ascontiguousarray(rows[:, column.offset : last]).view(dtype)
            length, start = stored.astype(np.int64).T
            yield column, length, start


def check_tiles(stream: Stream, hdu: Hdu) -> None:
    """Raise FileError unless the tiles of a compressed image have its pixels at most."""
    header = hdu.header
    kind = header.cards.get("ZCMPTYPE", "").partition("_")[0]
    checks = {"COMPRESSED_DATA": _CHECKS.get(kind), "GZIP_COMPRESSED_DATA": _gzipped}
    pointers = [column for column in header.pointers() if checks.get(column.name.upper())]
    if not pointers:
        return
    stream.seek(hdu.start)
    arrays = list(_arrays(stream, header, pointers))
    stream.seek(hdu.start + header.heap_start())
    heap = memoryview(stream.read(header.heap()) or b"")
    pixels = header.tile_pixels()
    for column, lengths, starts in arrays:
        check = checks[column.name.upper()]
        for length, start in zip(lengths.tolist(), starts.tolist(), strict=True):
            content = heap[start : start + length * column.bits // 8]
            if check and content and not check(content, pixels):
                raise header.fault(f"a tile in its column {column.name} is no {kind} image")


def _gzipped(content: memoryview, pixels: int) -> bool:
    """Whether a gzipped tile ends, and inflates to its pixels at most."""
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        inflate.decompress(content, _PIXEL * pixels + 1)
    except zlib.error:
        return False
    return inflate.eof


def _hcompressed(content: memoryview, pixels: int) -> bool:
    """Whether a tile of HCOMPRESS announces its pixels at most."""
    if len(content) < 10:
        return False
    sides = [int(side) for side in struct.unpack(">2i", content[2:10])]
    return min(sides) > 0 and math.prod(sides) <= pixels


def _line_list(content: memoryview, pixels: int) -> bool:
    """Whether the line list of a tile of PLIO is as long as it announces at most."""
    if len(content) < 10:
        return False
    short, low, high = (int(word) for word in struct.unpack(">3h", content[4:10]))
    return 0 <= (short if short > 0 else (high << 15) + low) <= len(content) // 2


#: Check of a tile by the beginning of ZCMPTYPE; the C library bounds the others itself.
_CHECKS: Mapping[str, Callable[[memoryview, int], bool]] = {
    "GZIP": _gzipped,
    "HCOMPRESS": _hcompressed,
    "PLIO": _line_list,
}
