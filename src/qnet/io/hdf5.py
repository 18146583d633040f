"""HDF5 files of columns: what they hold, and rows of it, without libhdf5 in this process.

libhdf5 does not end, or crashes, on some damaged files: a process of its own looks at a file, and
says where in it the numbers lie. They are read from there; what is compressed, by that process.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qnet.core.arrays import AnyArray, IntArray
from qnet.core.bounded import read_bounded, reply
from qnet.core.errors import FileError, first_few, reason
from qnet.core.kinds import GZIP, HDF5, find_kind
from qnet.io.openfile import OpenFile

#: Kinds of values that columns hold: numbers, logical values and text of one length.
_KINDS = "biufS"

#: Bytes that a compressed byte becomes at most (1032 in deflate).
_INFLATION = 1100

#: Data sets of a file that are looked at.
_MOST = 2000


class Column(NamedTuple):
    """A data set: shape, type, and the byte at which its values lie as they are, -1 for none."""

    shape: tuple[int, ...]
    dtype: str
    start: int


class Hdf5File(OpenFile):
    """An HDF5 file whose data sets in the root are columns of one table."""

    kinds = (HDF5,)

    def __init__(self, path: Path) -> None:
        self.path = path
        if find_kind(path) is GZIP:
            raise FileError(f"{path}: is an HDF5 file in gzip: unpack it first")
        found = json.loads(self._ask({"columns": None}))
        self.columns = {name: Column(tuple(shape), *rest) for name, shape, *rest in found}
        size = path.stat().st_size
        for name, column in self.columns.items():
            end = column.start + math.prod(column.shape) * np.dtype(column.dtype).itemsize
            if column.start >= 0 and end > size:
                raise FileError(f"{path}: data set {name} is cut short: is the file whole?")

    def describe(self) -> str:
        """The data sets."""
        named = [f"{name} {column.shape}" for name, column in self.columns.items()]
        return f"the data sets {first_few(named, 12)}" if named else "no columns in its root"

    def read(self, names: Sequence[str], rows: IntArray | None = None) -> dict[str, AnyArray]:
        """Columns, or some of their rows, native-endian."""
        nrows = self.columns[names[0]].shape[0]
        if rows is not None and not len(rows):
            low, high = 0, 0
        else:
            low, high = (0, nrows) if rows is None else (int(rows.min()), int(rows.max()) + 1)
        packed = [name for name in names if self.columns[name].start < 0]
        found = {name: self._plain(name, low, high) for name in names if name not in packed}
        if packed:
            stream = BytesIO(self._ask({"columns": packed, "low": low, "high": high}))
            found |= {name: np.load(stream, allow_pickle=False) for name in packed}
        return {name: found[name] if rows is None else found[name][rows - low] for name in names}

    def _plain(self, name: str, low: int, high: int) -> AnyArray:
        """Rows of a column that lies in the file as it is."""
        shape, dtype, start = self.columns[name]
        row = math.prod(shape[1:])
        stored = np.dtype("u1" if dtype == "|b1" else dtype)
        values = np.fromfile(
            self.path, stored, (high - low) * row, offset=start + low * row * stored.itemsize
        )
        values = values.reshape(high - low, *shape[1:])
        return (
            values != 0 if dtype == "|b1" else values.astype(stored.newbyteorder("="), copy=False)
        )

    def _ask(self, request: Mapping[str, Any]) -> bytes:
        """What the process that has the file open says."""
        return read_bounded(__name__, self.path, request, "an HDF5 file")


def serve() -> None:
    """Look at a file, or read columns of it, in a process of its own."""
    reply(_answer)


def _answer(request: Mapping[str, Any]) -> bytes:
    """What a file holds as JSON, or columns of it as `numpy.save` writes them."""
    import h5py

    try:
        with h5py.File(request["file"], "r") as stream:
            if request["columns"] is None:
                return json.dumps(_describe(stream)).encode()
            buffer = BytesIO()
            for name in request["columns"]:
                values = stream[name][request["low"] : request["high"]]
                np.save(buffer, _as_text(values) if values.dtype.kind == "O" else values)
            return buffer.getvalue()
    except (OSError, RuntimeError, MemoryError, LookupError, TypeError, ValueError) as error:
        raise FileError(f"{request['file']}: is damaged ({reason(error)})") from error


def _describe(stream: Any) -> list[tuple[str, tuple[int, ...], str, int]]:
    """Name, shape, type and place of the data sets that are in the root of a file itself."""
    import h5py

    found = []
    for name in list(stream)[:_MOST]:
        if not isinstance(stream.get(name, getlink=True), h5py.HardLink):
            continue  # links to elsewhere are not followed
        data = stream[name]
        if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual or not data.ndim:
            continue
        if data.chunks and data.nbytes > _INFLATION * data.id.get_storage_size():
            raise ValueError(f"{name} announces {data.nbytes} bytes, more than it may hold")
        text = h5py.check_string_dtype(data.dtype) is not None and data.dtype.kind == "O"
        if text or (data.dtype.kind in _KINDS and data.dtype.subdtype is None):
            start = None if text or data.chunks else data.id.get_offset()
            dtype = "|S1" if text else data.dtype.str
            found.append((name, data.shape, dtype, -1 if start is None else int(start)))
    return found


def _as_text(values: AnyArray) -> AnyArray:
    """Text of any length as text of one length."""
    texts = [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in values.flat]
    return np.array(texts, dtype=str).reshape(values.shape)
