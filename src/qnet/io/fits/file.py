"""FITS files as named images and tables, with errors that name the file and the HDU."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import fitsio
import numpy as np

from qnet.core.arrays import AnyArray, IntArray
from qnet.core.errors import FileError
from qnet.core.files import PathLike, check_input
from qnet.core.guards import library_faults
from qnet.core.kinds import A_FITS_FILE, FITS
from qnet.io.fits.cards import Cards
from qnet.io.fits.headers import TABLES
from qnet.io.fits.heap import check_tiles
from qnet.io.fits.pixels import PlainImage, plain_image
from qnet.io.fits.plaintable import plain_columns
from qnet.io.fits.scaling import (
    column_numbers,
    empty_columns,
    read_scaled,
    read_texts,
    scaled_columns,
    without_blanks,
    without_nulls,
)
from qnet.io.fits.structure import NO_FITS, check_structure, open_stream, plain_name
from qnet.io.openfile import OpenFile

#: Cards of the empty first HDU that precedes a compressed primary image.
_SHELL_CARDS = frozenset(
    ("", "SIMPLE", "BITPIX", "NAXIS", "EXTEND", "COMMENT", "HISTORY", "CHECKSUM", "DATASUM")
)

#: XTENSION of images, and of the tables of compressed ones.
_IMAGES = ("IMAGE", *TABLES)

#: Classes of HDUs by their kind in the C library: images, tables of text, binary tables.
_HDUS = (fitsio.hdu.ImageHDU, fitsio.hdu.AsciiTableHDU, fitsio.hdu.TableHDU)


class FitsFile(OpenFile):
    """A FITS file open for reading, checked to be whole; HDUs by name (upper case) or number."""

    kinds = (FITS,)

    def __init__(self, path: PathLike) -> None:
        self.path = check_input(path, A_FITS_FILE)
        with library_faults(self.path, NO_FITS):
            self._stream = open_stream(self.path)
        self._headers: dict[int, Cards] = {}
        self._checked: set[int] = set()  # HDUs whose tiles are
        self._fits: Any = None  # that of the C library
        self._hdus: dict[int, Any] = {}  # its HDUs, by their numbers in the file
        try:
            self._structure = check_structure(self.path, self._stream)
            if isinstance(self._stream, io.FileIO):
                self._open()  # a gzipped file would be inflated again
        except BaseException:
            self.close()
            raise
        self._drop_fpack_shell()
        names = reversed(list(enumerate(self.all_names)))
        self._names = {name: index for index, name in names if name}

    def close(self) -> None:
        """Close the file."""
        if self._fits is not None:
            self._fits.close()
        self._stream.close()

    def __len__(self) -> int:
        return len(self._structure)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    @property
    def names(self) -> list[str]:
        """Names of the HDUs, upper case, in the order of the file."""
        return sorted(self._names, key=self._names.__getitem__)

    @property
    def all_names(self) -> list[str]:
        """Name of each HDU, upper case, '' where it has none; a name may be there twice."""
        return [self._name(index).upper() for index in range(len(self))]

    def describe(self) -> str:
        """What the file holds, for messages."""
        parts = []
        for index in range(len(self)):
            name = self._name(index) or f"HDU {index}"
            if self.is_table(index):
                parts.append(f"{name} (table)")
            else:
                dims = self.shape(index)
                parts.append(f"{name} (image {'x'.join(map(str, dims))})" if dims else name)
        return ", ".join(parts)

    def is_table(self, key: str | int) -> bool:
        """Whether an HDU is there and a table."""
        if not self._has(key):
            return False
        cards = self._structure[self._number(key)].header.cards
        return cards.get("XTENSION", "") in TABLES and cards.get("ZIMAGE") != "T"

    def shape(self, key: str | int) -> tuple[int, ...]:
        """Shape of an image; () for a table, an empty HDU or one that is not there."""
        if not self._has(key) or self.is_table(key):
            return ()
        header = self._structure[self._number(key)].header
        if header.cards.get("XTENSION", "IMAGE") not in _IMAGES:
            return ()  # the C library reads it as an image of the HDU before
        return tuple(reversed(header.axes("Z" if header.cards.get("ZIMAGE") == "T" else "")))

    def columns(self, key: str | int) -> list[str]:
        """Names of a table's columns, upper case; none where there is no such table."""
        if not self.is_table(key):
            return []
        cards = self._structure[self._number(key)].header.cards
        return [
            cards.get(f"TTYPE{number}", "").upper()
            for number in range(1, int(cards.get("TFIELDS", 0)) + 1)
        ]

    def nrows(self, key: str | int) -> int:
        """Number of rows of a table; 0 where there is no such table."""
        if not self.is_table(key):
            return 0
        return self._structure[self._number(key)].header.axes()[1]

    def header(self, key: str | int = 0) -> Mapping[str, Any]:
        """Header of an HDU."""
        if not self._has(key):
            raise FileError(
                f"{self.path}: lacks HDU {self._label(key)}; it holds {self.describe()}"
            )
        number = self._number(key)
        if number not in self._headers:
            self._headers[number] = Cards(self._structure[number].header.texts)
        return self._headers[number]

    def image(
        self,
        key: str | int,
        rows: IntArray | None = None,
        *,
        integers: bool = False,
        out: AnyArray | None = None,
        axes: int = 2,
    ) -> AnyArray:
        """Image, or some of its rows, native-endian; `out`: memory that may be used for it."""
        shape = self._check_image(key, rows, axes)
        with self._faults(key):
            if 0 in shape or (rows is not None and len(rows) == 0):
                nrows = shape[0] if rows is None else len(rows)
                data = np.zeros((nrows, *shape[1:]), dtype=np.int32 if integers else np.float32)
            else:
                data = self._pixels(key, rows, out)
            data = _native(data)
        if integers and data.dtype.kind not in "iub":
            raise FileError(f"{self.path}: HDU {self._label(key)} holds {data.dtype}, not integers")
        return data

    def clear_masked(self, key: str | int, rows: IntArray | None, values: AnyArray) -> None:
        """Set contiguous values (nrows, npix) to 0 where rows of the mask in an HDU are not 0."""
        shape = self._check_image(key, rows)
        with self._faults(key):
            plain = self._plain_image(key)
            low, high = (0, shape[0]) if rows is None else _span(rows)
            if plain is not None and plain.stored.kind in "iu" and _is_run(rows):
                plain.clear(low, high, values)
                return
        values[self.image(key, rows, integers=True) != 0] = 0

    def table(
        self, key: str | int, columns: list[str], rows: IntArray | None = None
    ) -> dict[str, AnyArray]:
        """Columns of a table, or some of its rows, by their names in upper case, native-endian."""
        have = self.columns(key)
        if not have:
            raise FileError(
                f"{self.path}: lacks the table {self._label(key)}; it holds {self.describe()}"
            )
        missing = [name for name in columns if name.upper() not in have]
        if missing:
            raise FileError(
                f"{self.path}: HDU {self._label(key)} lacks the column(s) {', '.join(missing)}; it "
                f"has {_shorten(have)}"
            )
        with self._faults(key):
            cards = self.header(key)
            numbers = column_numbers(cards, columns)
            scaled = scaled_columns(cards, numbers)
            odd = empty_columns(cards, numbers, self.nrows(key))
            other = {*scaled, *odd}
            plain = [name for name in columns if name.upper() not in other]
            hdu = self._structure[self._number(key)].header.number
            try:
                found = self._plain_columns(key, plain, rows)
            except UnicodeDecodeError:  # fitsio takes all text for ASCII
                odd |= read_texts(self.path, hdu, plain)
                found = self._plain_columns(key, [x for x in plain if x.upper() not in odd], rows)
            for name, values in found.items():
                found[name] = without_nulls(values, name, cards.get(f"TNULL{numbers.get(name)}"))
            if scaled:
                odd |= read_scaled(self.path, hdu, scaled)
            for name, values in odd.items():
                found[name] = _native(values if rows is None else values[rows])
            return {name.upper(): found[name.upper()] for name in columns}

    def _plain_columns(
        self, key: str | int, columns: list[str], rows: IntArray | None
    ) -> dict[str, AnyArray]:
        """Columns that fitsio reads right, by their names in upper case."""
        if not columns:
            return {}
        low, high = (0, self.nrows(key)) if rows is None else _span(rows)
        found = plain_columns(self._stream, self._structure[self._number(key)], columns, low, high)
        found = {
            name: column if rows is None else column[rows - low] for name, column in found.items()
        }
        others = [name for name in columns if name.upper() not in found]
        if others:
            hdu = self._hdu(key)
            # All columns in one pass; fitsio returns selected rows sorted, so select afterwards.
            if rows is None or len(rows) == 0:
                table = hdu.read(columns=others)[: None if rows is None else 0]
            else:
                table = hdu.read(columns=others, rows=np.arange(low, high))[rows - low]
            found |= {name.upper(): _stacked(table[name]) for name in table.dtype.names}
        return {name: _native(column) for name, column in found.items()}

    def _check_image(self, key: str | int, rows: IntArray | None, axes: int = 2) -> tuple[int, ...]:
        """Shape of an image, some rows of which are asked for; an error where there is none."""
        shape = self.shape(key)
        if not shape:
            raise FileError(
                f"{self.path}: lacks the image {self._label(key)}; it holds {self.describe()}"
            )
        if rows is not None and len(shape) != axes:
            raise FileError(
                f"{self.path}: HDU {self._label(key)} has shape {shape}, not (nspec, npix)"
            )
        return shape

    def _pixels(self, key: str | int, rows: IntArray | None, out: AnyArray | None) -> AnyArray:
        """Pixels of an image, or of some of its rows."""
        low, high = (0, self.shape(key)[0]) if rows is None else _span(rows)
        plain = self._plain_image(key)
        if plain is not None:
            found = plain.read(low, high, out if _is_run(rows) else None)
        else:
            hdu, number = self._hdu(key), self._number(key)
            if number not in self._checked:
                check_tiles(self._stream, self._structure[number])
                self._checked.add(number)
            parts = (slice(low, high), *[slice(None)] * (len(self.shape(key)) - 1))
            found = hdu.read() if rows is None else hdu[parts]
            if found.shape != (high - low, *self.shape(key)[1:]):
                raise ValueError(f"the C library finds an image of shape {found.shape}")
            found = without_blanks(found, self.header(key))
        return found if rows is None or _is_run(rows) else np.asarray(found[rows - low])

    def _plain_image(self, key: str | int) -> PlainImage | None:
        """The image of an HDU where it lies in the file as it is."""
        return plain_image(self._stream, self._structure[self._number(key)], self.shape(key))

    def _has(self, key: str | int) -> bool:
        return key in self._names if isinstance(key, str) else 0 <= key < len(self)

    def _name(self, index: int) -> str:
        """Name of an HDU; '' where it has none."""
        cards = self.header(index)
        return str(cards.get("EXTNAME") or cards.get("HDUNAME") or "").strip()

    def _open(self) -> None:
        """Open the file with the C library; FileError unless that finds all HDUs."""
        with library_faults(self.path, NO_FITS), plain_name(self.path) as name:
            self._fits = fitsio.FITS(name)
        count = len(self._structure)
        for number in range(count):
            # Of any kind: the C library may quote bytes of a header that are no UTF-8.
            with library_faults(self.path, f"HDU number {number} of {count} is damaged"):
                self._fits.movabs_ext(number)

    def _hdu(self, key: str | int) -> Any:
        """The HDU of the C library, which looks at all of its columns."""
        if self._fits is None:
            self._open()
        number = self._structure[self._number(key)].header.number
        if number not in self._hdus:
            kind = _HDUS[self._fits.movabs_ext(number)]
            more = {} if kind is fitsio.hdu.ImageHDU else {"vstorage": "object"}
            self._hdus[number] = kind(self._fits._FITS, number, **more)
        return self._hdus[number]

    def _number(self, key: str | int) -> int:
        return self._names[key] if isinstance(key, str) else key

    @staticmethod
    def _label(key: str | int) -> str:
        return key if isinstance(key, str) else f"number {key}"

    def _faults(self, key: str | int) -> AbstractContextManager[None]:
        """Turn errors of fitsio and astropy into one that names the file and the HDU."""
        return library_faults(self.path, f"HDU {self._label(key)} is damaged or cut short")

    def _drop_fpack_shell(self) -> None:
        """Leave out the empty first HDU that fpack adds when it compresses a primary image."""
        first, *others = (hdu.header for hdu in self._structure)
        shell = others and first.cards["NAXIS"] == "0" and others[0].cards.get("ZIMAGE") == "T"
        if shell and not {text[:8].strip() for text in first.texts} - _SHELL_CARDS:
            del self._structure[0]


def _span(rows: IntArray) -> tuple[int, int]:
    """The first of some rows, and the one after the last; 0 and 0 for none."""
    return (int(rows.min()), int(rows.max()) + 1) if len(rows) else (0, 0)


def _is_run(rows: IntArray | None) -> bool:
    """Whether rows follow one another; all do when None."""
    return rows is None or bool((np.diff(rows) == 1).all())


def _stacked(column: AnyArray) -> AnyArray:
    """A column of arrays as (nrows, n) where all are of one length."""
    if column.dtype != object or not len(column) or len(set(map(np.shape, column))) != 1:
        return column
    return np.stack([np.asarray(value) for value in column])


def _native(data: AnyArray) -> AnyArray:
    """The array in the machine's byte order."""
    return np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("="))


def _shorten(names: list[str]) -> str:
    """Names joined by commas, the first few of many."""
    most = 12
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
