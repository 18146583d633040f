"""Rows on their way to another order, in a file that is mapped into memory."""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from qnet.core.arrays import AnyArray, IntArray
from qnet.core.errors import FileError
from qnet.io.streams import BLOCK


class Scratch:
    """Rows in a file without a name, which ends with the process; written and read in blocks."""

    def __init__(self, columns: Mapping[str, AnyArray], nrows: int, folder: Path) -> None:
        fields = [(name, x.dtype, x.shape[1:]) for name, x in columns.items()]
        self._dtype, self._nrows = np.dtype(fields), nrows
        size = max(1, nrows * self._dtype.itemsize)
        with contextlib.ExitStack() as stack:
            try:
                self._file = stack.enter_context(tempfile.TemporaryFile(dir=folder))
                # A mapped file on a full disk would end the process.
                os.posix_fallocate(self._file.fileno(), 0, size)
                self._map = mmap.mmap(self._file.fileno(), size)
            except OSError as error:
                raise FileError(
                    f"{folder}: has no room for the {size / 1e6:.3g} MB of rows to be sorted "
                    f"({error})"
                ) from error
            self._open = stack.pop_all()

    def put(self, columns: Mapping[str, AnyArray], places: IntArray) -> None:
        """Write rows to their places; those of place -1 are left out."""
        rows = self._rows()
        chosen = places >= 0
        block = np.zeros(int(chosen.sum()), dtype=self._dtype)
        for name, values in columns.items():
            block[name] = values[chosen]
        rows[places[chosen]] = block
        self._forget()

    def blocks(self) -> Iterator[dict[str, AnyArray]]:
        """All rows in their order."""
        for start in range(0, self._nrows, BLOCK):
            block = self._rows()[start : start + BLOCK].copy()
            self._forget()
            yield {name: np.ascontiguousarray(block[name]) for name in self._dtype.names or ()}

    def _rows(self) -> AnyArray:
        rows: AnyArray = np.frombuffer(self._map, dtype=self._dtype, count=self._nrows)
        return rows

    def _forget(self) -> None:
        """Leave the pages to the system: they are in the file, and no memory of this process."""
        if hasattr(self._map, "madvise"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Let the file go."""
        self._map.close()
        self._open.close()
