"""Tables of columns to files: FITS, CSV, ECSV, Parquet, by the suffix of the name."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qnet.core.errors import FileError, InputError
from qnet.core.files import PathLike, atomic_write, check_input, check_output
from qnet.io.fits.names import plain_name
from qnet.io.fits.structure import check_structure

if TYPE_CHECKING:
    from astropy.table import Table

Columns = Mapping[str, npt.NDArray[Any]]

#: Formats by suffix; .gz FITS files are written compressed.
FORMATS: Mapping[str, str] = {
    ".fits": "fits",
    ".fits.gz": "fits",
    ".csv": "csv",
    ".ecsv": "ecsv",
    ".parquet": "parquet",
}

#: Formats by astropy's names, where they differ.
ASTROPY_FORMATS: Mapping[str, str] = {"csv": "ascii.csv", "ecsv": "ascii.ecsv"}


@dataclasses.dataclass(frozen=True)
class Card:
    """A header card."""

    key: str
    value: str | int | float | bool
    comment: str = ""


def check_format(path: PathLike, what: str = "a table") -> str:
    """Format of a table by its suffix, and whether it can be written here.

    Parameters
    ----------
    path : str or path
    what : str
        What the file is, for the message.

    Returns
    -------
    str
        'fits', 'csv', 'ecsv' or 'parquet'.

    Raises
    ------
    InputError
        The suffix is none of the legal ones, or its format needs a package that is not installed.
    """
    name = Path(path).name.lower()
    kind = next((kind for suffix, kind in FORMATS.items() if name.endswith(suffix)), None)
    if kind is None:
        raise InputError(f"{path}: the name of {what} must end in one of {', '.join(FORMATS)}")
    if kind == "parquet" and not all(map(find_spec, ("pyarrow", "pandas"))):
        raise InputError(
            f"{path}: .parquet needs packages that are not installed: install qnet-quasar[parquet]"
        )
    return kind


def write_table(
    path: PathLike,
    columns: Columns,
    *,
    extname: str,
    cards: Sequence[Card] = (),
    units: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write columns as a table; the suffix says the format.

    Parameters
    ----------
    path : str or path
        .fits (.fits.gz), .csv, .ecsv or .parquet. The file is written under a temporary name in the
        same folder, flushed and renamed.
    columns : mapping of str to ndarray, shape (nrows, ...)
    extname : str
        In FITS, name of the table, HDU 1.
    cards : sequence of Card
        Header; meta of .ecsv and .parquet. A .csv file has none.
    units : mapping of str to str, optional
        Units of columns that have one, in FITS's notation.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        The suffix is unknown, the format needs a package that is not installed, the lengths of the
        columns disagree, or the format has no such type or card.
    OutputExistsError, FileError
        The file may not be written.
    """
    kind = check_format(path)
    check_output(path, overwrite)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"columns must have the same number of rows, not {lengths}")
    with atomic_write(path, overwrite=overwrite) as partial:
        if kind == "fits":
            write_fits(partial, columns, extname=extname, cards=cards, units=units)
        else:
            write_astropy(partial, to_table(columns, cards, units or {}), kind)
    return Path(path)


def to_table(columns: Columns, cards: Sequence[Card], units: Mapping[str, str]) -> Table:
    """Columns as an astropy Table, the header in its meta."""
    from astropy.table import Table

    table = Table(dict(columns), meta={card.key: card.value for card in cards})
    for name, unit in units.items():
        if name in table.colnames:
            table[name].unit = unit
    return table


def write_astropy(path: Path, table: Table, kind: str) -> None:
    """Write an astropy Table as 'csv' (a column per line, no header), 'ecsv' or 'parquet'."""
    whole = _flatten(table) if kind == "csv" else table
    whole.write(path, format=ASTROPY_FORMATS.get(kind, kind))


def read_astropy(path: PathLike, kind: str, what: str) -> Table:
    """Read an .ecsv or .parquet file.

    Parameters
    ----------
    path : str or path
    kind : str
        'ecsv' or 'parquet'.
    what : str
        What the file is, for messages.

    Raises
    ------
    MissingFileError, FileError
        The file is not there, or damaged.
    """
    from astropy.table import Table

    file = check_input(path, what)
    try:
        table = Table.read(file, format=ASTROPY_FORMATS.get(kind, kind))
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise FileError(f"{path}: cannot be read as {what} in {kind} ({error})") from error
    # Empty text comes back masked.
    for name in table.colnames:
        kind_of = getattr(getattr(table[name], "dtype", None), "kind", "")
        if kind_of == "U" and hasattr(table[name], "filled"):
            table[name] = table[name].filled("")
    return table


#: Text columns of a CSV file are of fixed width up to this.
_WIDEST = 1000


def read_csv(path: PathLike, what: str) -> dict[str, npt.NDArray[Any]]:
    """Read a CSV file: its columns as text, by their names in upper case; see `read_astropy`."""
    file = check_input(path, what)
    try:
        # Spreadsheets write a byte order mark, and blank lines at the end.
        with open(file, newline="", encoding="utf-8-sig") as stream:
            header, *rows = [row for row in csv.reader(stream) if row] or [[]]
    except (ValueError, csv.Error) as error:
        raise FileError(f"{path}: cannot be read as a CSV table ({error})") from error
    if not header:
        raise FileError(f"{path}: holds blank lines only, but {what} was expected")
    if any(len(row) != len(header) for row in rows):
        raise FileError(f"{path}: a row has another number of fields than its header")
    names = [name.strip().upper() for name in header]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise FileError(f"{path}: has the column(s) {', '.join(twice)} more than once")
    # Column by column: a long comment makes its own column wide, not all of them.
    return {name: _as_text([row[place] for row in rows]) for place, name in enumerate(names)}


def _as_text(values: list[str]) -> npt.NDArray[Any]:
    """Texts as an array; of objects where that of fixed width would be large."""
    width = max(map(len, values), default=0)
    return np.array(values, dtype=str if width <= _WIDEST else object)


def write_fits(
    path: Path,
    columns: Columns,
    *,
    extname: str,
    cards: Sequence[Card] = (),
    units: Mapping[str, str] | None = None,
) -> None:
    """Write a new FITS file with the table in HDU 1.

    Raises
    ------
    InputError
        A column or card cannot be written to FITS.
    """
    with open_for_writing(path, new=True) as fits:
        append_fits(fits, columns, extname=extname, cards=cards, units=units)


@contextlib.contextmanager
def open_for_writing(path: Path, *, new: bool) -> Iterator[Any]:
    """A FITS file that fitsio writes to, checked to be whole in the end.

    Parameters
    ----------
    path : Path
    new : bool
        Whether to begin a new file.

    Yields
    ------
    fitsio.FITS

    Raises
    ------
    OSError
        The file cannot be written, or not all of it was.
    """
    import fitsio

    with plain_name(path) as name, fitsio.FITS(name, "rw", clobber=new) as fits:
        yield fits
    # The C library does not always say that its last buffers found no room.
    try:
        check_structure(path)
    except FileError as error:
        raise OSError("what was written is cut short; is the disk full?") from error


def append_fits(
    fits: Any,
    columns: Columns,
    *,
    extname: str,
    cards: Sequence[Card] = (),
    units: Mapping[str, str] | None = None,
) -> None:
    """Append a table HDU to a file that fitsio has open for writing; raises as `write_fits`."""
    # fitsio writes no column of zero width: those of a model without BAL lines.
    names = [name for name, column in columns.items() if 0 not in column.shape[1:]]
    data = [_fits_column(name, columns[name]) for name in names]
    dtype = [
        (name, column.dtype, column.shape[1:]) for name, column in zip(names, data, strict=True)
    ]
    rows = np.zeros(len(next(iter(columns.values()), ())), dtype=dtype)
    for name, column in zip(names, data, strict=True):
        rows[name] = column
    try:
        fits.write(
            rows,
            extname=extname,
            header=fits_cards(cards),
            units=[(units or {}).get(column, "") for column in names],
        )
        # Columns of one line (one BAL line, say) stay two-dimensional: astropy honours it.
        for number, column in enumerate(data, start=1):
            if column.shape[1:] == (1,):
                fits[-1].write_key(f"TDIM{number}", "(1)")
        fits[-1].write_checksum()
    except ValueError as error:
        raise InputError(f"a column or card cannot be written to FITS ({error})") from error


def fits_cards(cards: Sequence[Card]) -> list[dict[str, Any]]:
    """Cards as fitsio takes them; in text, what FITS does not have is escaped as in Python."""
    return [
        {"name": card.key, "value": _ascii(card.value), "comment": card.comment} for card in cards
    ]


def _ascii(value: Any) -> Any:
    return value.encode("ascii", "backslashreplace").decode() if isinstance(value, str) else value


def _fits_column(name: str, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A column of a type that FITS has; text is ASCII and at least one character wide."""
    if column.dtype.kind in "SU":
        text = np.char.encode(column.astype(str), "ascii", "backslashreplace")
        return text.astype(f"S{max(text.dtype.itemsize, 1)}")
    if column.dtype.kind == "f" and column.dtype.itemsize not in (4, 8):
        return column.astype(np.float32 if column.dtype.itemsize < 4 else np.float64)
    if column.dtype.kind not in "fiub":
        raise InputError(f"column {name} holds {column.dtype}, which FITS tables do not have")
    return column


def _flatten(table: Table) -> Table:
    """A copy of the table with a column per line in place of columns of several lines."""
    flat = table.copy()
    for name in table.colnames:
        if table[name].ndim == 2:
            position = flat.colnames.index(name)
            for line in range(table[name].shape[1]):
                flat.add_column(table[name][:, line], name=f"{name}_{line}", index=position + line)
            flat.remove_column(name)
    return flat
