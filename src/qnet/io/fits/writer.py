"""New FITS files, written HDU by HDU."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import fitsio
import numpy as np

from qnet.core.arguments import check_fields
from qnet.core.arrays import AnyArray, Float32Array
from qnet.core.errors import FileError, InputError
from qnet.core.files import PathLike, as_path, atomic_write, check_output
from qnet.io.fits.structure import check_structure, plain_name

#: Keywords of FITS cards.
_KEY = re.compile(r"[A-Z0-9_-]{1,8}")


@dataclasses.dataclass(frozen=True)
class Card:
    """A header card: a keyword, its value and a comment.

    Parameters
    ----------
    key : str
        1 to 8 of A-Z, 0-9, - and _.
    value : str, int, float or bool
        In text, characters that FITS does not have are escaped as in Python.
    comment : str

    Examples
    --------
    >>> from qnet.io import Card
    >>> Card("SEED", 7, "of the simulation")
    Card(key='SEED', value=7, comment='of the simulation')
    """

    key: str
    value: str | int | float | bool
    comment: str = ""

    def __post_init__(self) -> None:
        check_fields(self)


class FitsWriter:
    """A new FITS file as a context manager; HDU 0 is an image of `width` columns, or none."""

    def __init__(
        self,
        path: PathLike,
        *,
        overwrite: bool = False,
        atomic: bool = True,
        cards: Sequence[Card] = (),
        width: int | None = None,
    ) -> None:
        self.path = check_output(as_path(path, "path"), overwrite or not atomic)
        self.nrows = 0
        self._overwrite, self._atomic = overwrite, atomic
        self._cards, self._width = tuple(cards), width
        self._open = contextlib.ExitStack()
        self._fits: Any = None
        self._dtype: np.dtype[Any] = np.dtype([])  # of the last table

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            path = self.path
            if self._atomic:
                path = stack.enter_context(atomic_write(path, overwrite=self._overwrite))
            stack.enter_context(_checked_at_end(path))
            if primary := bool(self._cards) or self._width is not None:
                _write_primary(path, self._cards, self._width)
            name = stack.enter_context(plain_name(path))
            self._fits = stack.enter_context(fitsio.FITS(name, "rw", clobber=not primary))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is not None:
            self._open.__exit__(*error)
            return
        with self._open:
            self.finish()
            if self._width is not None:
                self._fits[0].write_checksum()

    def finish(self) -> None:
        """Write the last HDUs; called on leaving without an error."""

    def append(self, rows: Float32Array) -> None:
        """Append rows to the image of the first HDU."""
        last = self.nrows + len(rows)
        with self._faults():
            self._fits[0].reshape([last, self._width])
            self._fits[0].write(rows, start=[self.nrows, 0])
        self.nrows = last

    def image(self, name: str, data: AnyArray, *, unit: str = "") -> None:
        """Write an image HDU."""
        with self._faults():
            self._fits.write(data, extname=name, header={"BUNIT": unit} if unit else None)

    def empty_image(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: str,
        *,
        unit: str = "",
        cards: Sequence[Card] = (),
        compress: bool = False,
    ) -> None:
        """Make an image HDU that `fill` fills; with `compress`, each row without loss."""
        header = [_fitsio_card(card) for card in cards]
        header += [_fitsio_card(Card("BUNIT", unit))] if unit else []
        tiles: dict[str, Any] = {}
        if compress and 0 not in shape:  # of which the C library dies
            tiles = {"compress": "gzip_2", "tile_dims": [1, shape[1]], "qlevel": 0}
        with self._faults():
            self._fits.create_image_hdu(
                dims=list(shape), dtype=dtype, extname=name, header=header or None, **tiles
            )
            if header:
                self._fits[-1].write_keys(header)

    def fill(self, name: str, data: AnyArray, first: int) -> None:
        """Write rows of an image, from row `first` on."""
        with self._faults():
            self._fits[name].write(data, start=[first, 0])

    def table(
        self,
        name: str,
        columns: Mapping[str, AnyArray],
        *,
        cards: Sequence[Card] = (),
        units: Mapping[str, str] | None = None,
        comments: Mapping[str, str] | None = None,
        formats: Mapping[str, str] | None = None,
        ucds: Mapping[str, str] | None = None,
    ) -> None:
        """Write a table HDU; by column: units, comments, formats for display (as F8.4) and UCDs."""
        units, comments, formats, ucds = units or {}, comments or {}, formats or {}, ucds or {}
        rows = _records(columns)
        self._dtype = rows.dtype
        names = list(rows.dtype.names or ())
        header = [_fitsio_card(card) for card in cards]
        own: list[dict[str, Any]] = []  # cards of the columns
        for number, column in enumerate(names, start=1):
            comment = _ascii(comments.get(column, ""))
            if comment:
                short = comment[: 47 - max(0, len(column) - 18)]  # what the card has room for
                own += [
                    {"name": f"TTYPE{number}", "value": column, "comment": short},
                    {"name": f"TCOMM{number}", "value": comment},
                ]
            if column in formats:
                own.append({"name": f"TDISP{number}", "value": formats[column]})
            if ucds.get(column):
                own.append({"name": f"TUCD{number}", "value": ucds[column]})
            # Columns of one line stay two-dimensional: astropy honours it.
            if rows.dtype[column].shape == (1,):
                own.append({"name": f"TDIM{number}", "value": "(1)"})
        try:
            self._fits.create_table_hdu(
                data=rows,
                header=header + own,  # makes room for them, so that no data need be moved
                units=[units.get(column, "") for column in names],
                extname=name,
            )
            self._fits[-1].write_keys(header)
            self._fits[-1].write_keys(own, clean=False)
            self._fits[-1].write(rows)
            self._fits[-1].write_checksum()
        except ValueError as error:
            raise InputError(f"a column or card cannot be written to FITS ({error})") from error

    def extend(self, columns: Mapping[str, AnyArray]) -> None:
        """Append rows to the last table, of whose columns they are; `seal` it then."""
        with self._faults():
            names = self._dtype.names or ()
            self._fits[-1].append(_records({x: columns[x] for x in names}).astype(self._dtype))

    def seal(self) -> None:
        """Write the checksum of the last table anew."""
        with self._faults():
            self._fits[-1].write_checksum()

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn errors of fitsio into one that names the file."""
        if self._fits is None:
            raise InputError(f"{self.path}: is not open: use the writer in a with statement")
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            raise FileError(f"{self.path}: could not be written ({error})") from error


@contextlib.contextmanager
def _checked_at_end(path: Path) -> Iterator[None]:
    """Raise OSError at the end unless a file is whole: cfitsio may not report a full disk."""
    yield
    try:
        check_structure(path)
    except FileError as error:
        raise OSError("what was written is cut short; is the disk full?") from error


def _write_primary(path: Path, cards: Sequence[Card], width: int | None) -> None:
    """A new file with the first HDU: an image without rows yet, or none."""
    from astropy.io import fits

    axes = [] if width is None else [("NAXIS1", width), ("NAXIS2", 0)]
    layout = [("BITPIX", -32 if axes else 8), ("NAXIS", len(axes)), *axes]
    header = fits.Header([("SIMPLE", True), *layout, ("EXTEND", True)])
    for card in cards:
        if not _KEY.fullmatch(card.key):
            raise InputError(f"card {card.key!r}: 1 to 8 of A-Z, 0-9, - and _ were expected")
        value = _ascii(card.value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of comments that are shortened
            try:
                if isinstance(value, float) and math.isfinite(value):
                    # The libraries round; all digits are needed for the same number back.
                    digits = repr(float(value)).upper()
                    text = f"{card.key:8}= {digits:>20} / {_ascii(card.comment)}"[:80]
                    header.append(fits.Card.fromstring(text))
                else:
                    header.append((card.key, value, _ascii(card.comment)))
                    str(header.cards[-1])
            except ValueError as error:
                raise InputError(f"card {card.key} cannot be written to FITS ({error})") from error
    header.tofile(path)


def _fitsio_card(card: Card) -> dict[str, Any]:
    """A card as fitsio takes it."""
    return {"name": card.key, "value": _ascii(card.value), "comment": _ascii(card.comment)}


def _ascii(value: Any) -> Any:
    """Text with what FITS does not have escaped as in Python; other values as they are."""
    return value.encode("ascii", "backslashreplace").decode() if isinstance(value, str) else value


def _records(columns: Mapping[str, AnyArray]) -> AnyArray:
    """Rows of a table of columns."""
    # fitsio writes no column of zero width: those of a model without BAL lines.
    data = {
        name: _fits_column(name, values)
        for name, values in columns.items()
        if 0 not in values.shape[1:]
    }
    dtype = [(name, values.dtype, values.shape[1:]) for name, values in data.items()]
    rows = np.zeros(len(next(iter(columns.values()), ())), dtype=dtype)
    for name, values in data.items():
        rows[name] = values
    return rows


def _fits_column(name: str, column: AnyArray) -> AnyArray:
    """A column of a type that FITS has; text is ASCII and at least one character wide.

    Bytes keep the width of their type.
    """
    if column.dtype.kind in "SU":
        try:
            text = column.astype(bytes)  # many times as fast as the next
            text = text.astype(f"S{np.char.str_len(text).max(initial=1)}")
        except UnicodeEncodeError:
            text = np.char.encode(column.astype(str), "ascii", "backslashreplace")
        width = column.dtype.itemsize if column.dtype.kind == "S" else 1
        return text.astype(f"S{max(text.dtype.itemsize, width)}")
    if column.dtype.kind == "f" and column.dtype.itemsize not in (4, 8):
        return column.astype(np.float32 if column.dtype.itemsize < 4 else np.float64)
    if column.dtype.kind not in "fiub":
        raise InputError(f"column {name} holds {column.dtype}, which FITS tables do not have")
    return column
