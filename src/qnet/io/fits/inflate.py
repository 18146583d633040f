"""Gzipped files as streams of what is in them, inflated once, as far as it is asked for."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path
from typing import Any

#: Bytes that are inflated together.
_PIECE = 1 << 20


def _open_gzip(path: Path) -> Any:
    """A gzipped file, by isal where that is installed: it inflates in a third of the time."""
    try:
        from isal import igzip
    except ImportError:
        return gzip.open(path, "rb")
    return igzip.open(path, "rb")


class Inflated(io.RawIOBase):
    """What is in a gzipped file; MemoryError where it is asked for more than the machine holds."""

    def __init__(self, path: Path) -> None:
        self._source = _open_gzip(path)
        self._content = bytearray()
        self._at = 0
        self._most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    def close(self) -> None:
        """Close the file."""
        self._source.close()
        super().close()

    def tell(self) -> int:
        """The byte that is read next."""
        return self._at

    def seek(self, position: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a byte from the beginning."""
        self._at = position
        return position

    def inflate(self, end: int) -> int:
        """Inflate as far as byte `end`, or as the file goes; the bytes there are so far."""
        if end > self._most:
            raise MemoryError
        while len(self._content) < end:
            if not (piece := self._source.read(_PIECE)):
                break
            self._content += piece
        return len(self._content)

    def read(self, size: int = -1, /) -> bytes:
        """Some bytes, fewer at the end."""
        end = self._at + size
        self.inflate(end)
        found = bytes(memoryview(self._content)[self._at : end])
        self._at += len(found)
        return found

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer, as far as there are bytes; their number."""
        view = memoryview(buffer).cast("B")
        end = min(self._at + len(view), self.inflate(self._at + len(view)))
        count = max(0, end - self._at)
        view[:count] = memoryview(self._content)[self._at : end]
        self._at += count
        return count
