"""Catalogues as folders of Parquet files, one for each HEALPix pixel, which LSDB reads.

The layout is that of HATS, the Hierarchical Adaptive Tiling Scheme (IVOA Note "HATS"), all
partitions of one order.
"""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qnet.core.arrays import AnyArray, FloatArray, IntArray
from qnet.core.errors import FileError, InputError, OutputExistsError
from qnet.core.files import as_path
from qnet.core.partials import clear_partials, name_partial, name_replaced
from qnet.core.positions import POSITIONS
from qnet.io.catalogue import Catalogue
from qnet.io.streams import Stream, arrow_schema, arrow_table, name_of, split_block

if TYPE_CHECKING:
    import pyarrow as pa

#: Name of the format.
HATS = "hats"

#: The finest partitions: 201 million pixels.
MOST_ORDER = 12

#: Column of the pixel of each row, nested, at the order that HATS uses, the finest there is.
INDEX, FINEST = "_healpix_29", 29

#: Files of a folder are in folders of this many pixels.
_DIR = 10_000

#: File by which a folder is known as a catalogue of this kind.
_PROPERTIES = "hats.properties"


def check_hats(path: Path, overwrite: bool) -> None:
    """Raise unless a folder of partitions may be made, or replaced."""
    if lacking := [name for name in ("pyarrow", "astropy_healpix") if find_spec(name) is None]:
        raise InputError(
            f"{path}: a catalogue in HEALPix partitions needs {' and '.join(lacking)}, which is not"
            " installed: install qnet-quasar[parquet]"
        )
    if not path.exists():
        return
    if not (path / _PROPERTIES).is_file():
        raise FileError(f"{path}: is there already, and is no folder of HEALPix partitions")
    if not overwrite:
        raise OutputExistsError(f"{path}: exists already; ask for overwriting to replace it")


def find_pixels(ra: FloatArray, dec: FloatArray) -> IntArray:
    """Nested HEALPix pixel at the finest order of positions [deg]; -1 where there is none."""
    from astropy import units
    from astropy_healpix import lonlat_to_healpix

    placed = np.isfinite(ra) & (np.abs(dec) <= 90)
    found = np.full(len(ra), -1, dtype=np.int64)
    lon, lat = ra[placed] * units.deg, dec[placed] * units.deg
    found[placed] = lonlat_to_healpix(lon, lat, 1 << FINEST, order="nested")
    return found


def to_order(pixels: IntArray, order: int) -> IntArray:
    """Pixels of an order in which pixels of the finest order are."""
    return np.asarray(pixels >> (2 * (FINEST - order)))


def write_hats(stream: Stream, path: Path, order: int, *, overwrite: bool = False) -> int:
    """Write rows that are in the order of their pixels; the number of partitions."""
    check_hats(path, overwrite)
    with _new_folder(path) as folder:
        writer = _Partitions(stream, folder, order)
        for block in stream.blocks():
            writer.append(block)
        writer.finish()
        _write_properties(folder, name_of(path), order, writer.rows)
        with open(folder / "inputs.csv", "w", newline="", encoding="utf-8") as target:
            rows = csv.writer(target)
            rows.writerows([("INPUT_INDEX", "INPUT"), *enumerate(stream.inputs)])
    return len(writer.rows)


@contextlib.contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """Give a folder under a temporary name, and rename it when it is whole."""
    if not as_path(path, "path").absolute().parent.is_dir():
        raise FileError(f"{path}: its folder {path.absolute().parent} does not exist")
    partial = name_partial(path)
    old = name_replaced(partial)
    try:
        clear_partials(path)
        partial.mkdir()
        yield partial
        if path.exists():
            os.replace(path, old)
        os.replace(partial, path)
    except OSError as error:
        raise FileError(f"{path}: could not be written ({error})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if old.exists() and not path.exists():
            os.replace(old, path)
        shutil.rmtree(old, ignore_errors=True)


class _Partitions:
    """The Parquet files of a folder, one after the other."""

    def __init__(self, stream: Stream, folder: Path, order: int) -> None:
        self.rows: dict[int, int] = {}  # of each pixel
        self._stream, self._order = stream, order
        self._dataset = folder / "dataset"
        self._dataset.mkdir()
        self._schema = _schema(stream, folder)
        self._writer: Any = None
        self._metadata: list[Any] = []

    def append(self, block: Mapping[str, AnyArray]) -> None:
        """Write a block, to as many files as it has pixels."""
        pixels = to_order(block[INDEX], self._order)
        table = arrow_table(split_block(self._stream, block), self._schema)
        starts = np.flatnonzero(np.diff(pixels, prepend=-1))
        for start, stop in zip(starts, [*starts[1:], len(pixels)], strict=True):
            pixel = int(pixels[start])
            if pixel not in self.rows:
                self._begin(pixel)
            self._writer.write_table(table[int(start) : int(stop)])
            self.rows[pixel] += int(stop - start)

    def _begin(self, pixel: int) -> None:
        """Close the file of the pixel before, and open that of a pixel."""
        from pyarrow import parquet

        self._close()
        self.rows[pixel] = 0
        name = f"Norder={self._order}/Dir={pixel // _DIR * _DIR}/Npix={pixel}.parquet"
        path = self._dataset / name
        path.parent.mkdir(parents=True, exist_ok=True)
        found: list[Any] = []
        self._writer = parquet.ParquetWriter(path, self._schema, metadata_collector=found)
        self._names = name, found

    def _close(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        name, found = self._names
        found[-1].set_file_path(name)
        self._metadata += found

    def finish(self) -> None:
        """Close the last file, and write what describes all of them."""
        from pyarrow import parquet

        self._close()
        bare = self._schema.remove_metadata()
        parquet.write_metadata(self._schema, self._dataset / "_common_metadata")
        parquet.write_metadata(bare, self._dataset / "_metadata", self._metadata)
        lines = (f"{self._order},{pixel}\n" for pixel in self.rows)
        text = "Norder,Npix\n" + "".join(lines)
        (self._dataset.parent / "partition_info.csv").write_text(text)


def _schema(stream: Stream, folder: Path) -> pa.Schema:
    """Types of the files, the pixels first."""
    columns = split_block(stream, stream.empty.columns)
    columns = {INDEX: columns[INDEX], **columns}
    return arrow_schema(Catalogue(columns, stream.empty.header), folder / "schema.parquet")


def _write_properties(folder: Path, name: str, order: int, rows: Mapping[int, int]) -> None:
    """The file that describes the catalogue, in the words of HATS."""
    from qnet import __version__

    values = {
        "obs_collection": name,
        "dataproduct_type": "object",
        "hats_nrows": sum(rows.values()),
        "hats_col_ra": POSITIONS[0][0],
        "hats_col_dec": POSITIONS[0][1],
        "hats_col_healpix": INDEX,
        "hats_col_healpix_order": FINEST,
        "hats_npix_suffix": ".parquet",
        "hats_order": order,
        "hats_max_rows": max(rows.values()),
        "hats_builder": f"qnet {__version__}",
    }
    lines = (f"{key}={value}\n" for key, value in values.items())
    (folder / _PROPERTIES).write_text("#HATS catalog\n" + "".join(lines))
