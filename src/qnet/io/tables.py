"""Tables of columns to files: FITS, CSV, ECSV, Parquet, by the suffix of the name."""

from __future__ import annotations

import contextlib
import csv
import warnings
from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, as_array
from qnet.core.columns import Column
from qnet.core.errors import FileError, InputError, type_name
from qnet.core.files import PathLike, atomic_write, check_input
from qnet.core.guards import library_faults
from qnet.core.kinds import ECSV, GZIP, PARQUET, TEXT, Expected
from qnet.io.columns import check_width, filled, text_array
from qnet.io.fits.file import FitsFile
from qnet.io.fits.writer import Card as Card
from qnet.io.fits.writer import FitsWriter
from qnet.io.parquet import read_parquet

if TYPE_CHECKING:
    from astropy.table import Table

#: Formats by suffix; .gz FITS files are written compressed.
FORMATS: Mapping[str, str] = {
    ".fits": "fits",
    ".fits.gz": "fits",
    ".csv": "csv",
    ".ecsv": "ecsv",
    ".parquet": "parquet",
}

#: The same by astropy's names.
_ASTROPY_FORMATS = {"csv": "ascii.csv", "ecsv": "ascii.ecsv", "parquet": "parquet"}

#: The kinds of their files; astropy reads gzipped text.
_KINDS = {"csv": (TEXT, GZIP), "ecsv": (ECSV, TEXT, GZIP), "parquet": (PARQUET,)}


def find_format(path: PathLike) -> str | None:
    """Format by the suffix: 'fits', 'csv', 'ecsv' or 'parquet'; None for any other."""
    name = Path(path).name.lower()
    return next((kind for suffix, kind in FORMATS.items() if name.endswith(suffix)), None)


def check_format(path: PathLike, what: str = "a table") -> str:
    """Format by the suffix: 'fits', 'csv', 'ecsv' or 'parquet'; InputError if it is none here."""
    kind = find_format(path)
    if kind is None:
        raise InputError(f"{path}: the name of {what} must end in one of {', '.join(FORMATS)}")
    if kind == "parquet" and find_spec("pyarrow") is None:
        raise InputError(
            f"{path}: .parquet needs pyarrow, which is not installed: install qnet-quasar[parquet]"
        )
    return kind


def write_table(
    path: PathLike,
    columns: Mapping[str, AnyArray],
    *,
    extname: str,
    cards: Sequence[Card] = (),
    units: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write columns as a table; the suffix of the name is the format.

    Parameters
    ----------
    path : str or path
        .fits (.fits.gz), .csv, .ecsv or .parquet. The file is written under a temporary name in the
        same folder, flushed and renamed.
    columns : mapping of str to ndarray, shape (nrows, ...)
        In .csv a column of shape (nrows, n) becomes n columns: NAME_0, NAME_1, ...
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
        The file exists already, or cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> from qnet.io import write_table
    >>> columns = {"TARGETID": np.array([7, 8]), "Z": np.array([2.1, np.nan])}
    >>> path = write_table("redshifts.csv", columns, extname="REDSHIFTS")
    >>> print(path.read_text())
    TARGETID,Z
    7,2.1
    8,nan
    <BLANKLINE>
    """
    check_arguments(write_table, locals())
    kind = check_format(path)
    columns = {str(name): as_array(f"columns[{name!r}]", x) for name, x in columns.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"columns must have the same number of rows, not {lengths}")
    if kind == "fits":
        with FitsWriter(path, overwrite=overwrite) as fits:
            fits.table(extname, columns, cards=cards, units=units)
    else:
        info = {name: Column(name, unit=unit) for name, unit in (units or {}).items()}
        faults = library_faults(path, f"could not be written as {kind}")
        with atomic_write(path, overwrite=overwrite) as partial, faults:
            write_astropy(partial, to_table(columns, cards, info), kind)
    return Path(path)


def check_table(name: str, value: Any, others: str = "") -> Table:
    """The argument `name`, an astropy Table; InputError where it is none (nor one of `others`)."""
    from astropy.table import Table

    if not isinstance(value, Table):
        raise InputError(f"{name} must be {others}an astropy Table, not {type_name(value)}")
    return value


def to_table(
    columns: Mapping[str, AnyArray], cards: Sequence[Card], info: Mapping[str, Column]
) -> Table:
    """Columns as an astropy Table with units, descriptions and formats, the header in its meta."""
    from qnet.io.shown_table import CatalogueTable

    table = CatalogueTable(dict(columns), meta={card.key: card.value for card in cards})
    for name, column in info.items():
        if name in table.colnames:
            table[name].unit = column.unit or None
            table[name].description = column.description or None
            set_format(table[name], column.format)
            set_ucd(table[name], column)
    return table


def set_ucd(column: Any, known: Column) -> None:
    """Set the UCD of a column of a table where astropy's writer of VOTables looks for it."""
    if known.ucd:
        column.meta["ucd"] = known.ucd


def set_format(column: Any, text: str) -> None:
    """Set how a column of a table is shown, unless its values are none that are shown so."""
    with contextlib.suppress(ValueError):  # text in a column of numbers
        column.format = text or None


def write_astropy(path: Any, table: Table, kind: str) -> None:
    """Write a Table to a file or stream: 'csv' (a column per element), 'ecsv' or 'parquet'."""
    # A column's format would round what is written, not only what is shown.
    whole = table.copy(copy_data=False)
    for name in whole.colnames:
        whole[name].info.format = None
        if kind == "csv" and whole[name].ndim == 2:
            parts = {f"{name}_{n}": values for n, values in enumerate(whole[name].T)}
            at = [whole.colnames.index(name)] * len(parts)
            whole.add_columns(list(parts.values()), at, list(parts))
            whole.remove_column(name)
    whole.write(path, format=_ASTROPY_FORMATS[kind])


def read_astropy(path: PathLike, kind: str, what: str, text: Sequence[str] = ()) -> Table:
    """Read a 'csv', 'ecsv' or 'parquet' file as an astropy Table, empty text as ''.

    Columns named in `text`, in any letter case, are read as text where the format has no types.
    """
    from astropy.table import Table
    from astropy.utils.exceptions import AstropyWarning

    file = check_input(path, _expected(what, kind))
    # Of numbers astropy would not keep the text, which shows whether digits are lost.
    options = {"converters": {_any_case(name): str for name in text}} if text else {}
    faults = library_faults(path, f"cannot be read as {what} in {kind}")
    with faults, warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)  # lengths of text, integers beyond int64
        if kind == "parquet":
            return read_parquet(file)
        with open(file, "rb") as stream:
            check_width(stream, file)
        table = Table.read(file, format=_ASTROPY_FORMATS[kind], **options)
    # Empty text comes back masked.
    for name in table.colnames:
        kind_of = getattr(getattr(table[name], "dtype", None), "kind", "")
        if kind_of == "U" and hasattr(table[name], "filled"):
            table[name] = table[name].filled("")
    return table


def _any_case(name: str) -> str:
    """Pattern of file names that matches a name in any letter case."""
    return "".join(f"[{x.upper()}{x.lower()}]" if x.isalpha() else x for x in name)


def _expected(what: str, kind: str) -> Expected:
    """A table in a format, for `check_input`."""
    advice = "the suffix of its name must be that of its format"
    return Expected(f"{what} in {kind}", _KINDS[kind], advice)


def read_columns(
    path: PathLike, what: str, wanted: Collection[str], *, hdu: str | int = 1
) -> dict[str, AnyArray]:
    """Columns of a table by their names in upper case; FITS, unless the suffix is another's.

    Of a FITS file, in an HDU, those that are not `wanted` are empty.
    """
    kind = find_format(path) or "fits"
    if kind in ("ecsv", "parquet"):
        table = read_astropy(path, check_format(path, what), what)
        upper_names([name for name in table.colnames if name.upper() in wanted], path)
        return {name.upper(): filled(table[name], name) for name in table.colnames}
    if kind == "csv":
        return read_csv(path, what)
    with FitsFile(path) as fits:
        columns = fits.table(hdu, [name for name in fits.columns(hdu) if name in wanted])
        return {**{name: np.zeros(0) for name in fits.columns(hdu)}, **columns}


def read_csv(path: PathLike, what: str) -> dict[str, AnyArray]:
    """Read a CSV file: its columns as text, by their names in upper case; see `read_astropy`."""
    file = check_input(path, _expected(what, "csv")._replace(kinds=(TEXT,)))
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
    names = upper_names([name.strip() for name in header], path)
    # Column by column: a long comment makes its own column wide, not all of them.
    return {name: text_array([row[number] for row in rows]) for number, name in enumerate(names)}


def upper_names(names: Sequence[str], path: PathLike) -> list[str]:
    """Names of columns in upper case; FileError where two of them are the same."""
    upper = [name.upper() for name in names]
    if twice := sorted({name for name in upper if upper.count(name) > 1}):
        raise FileError(f"{path}: has the column(s) {', '.join(twice)} more than once")
    return upper
