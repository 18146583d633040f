"""The catalogue: columns and header to a file and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qnet.errors import FileError, InputError, QnetError
from qnet.files import PathLike, atomic_write, check_input, check_output
from qnet.io.columns import filled, missing_value, text_column
from qnet.io.fits import FitsFile, plain_name

if TYPE_CHECKING:
    from astropy.table import Table

#: Name of the HDU that holds the catalogue.
EXTNAME = "QNET"

#: Formats by suffix; .gz FITS files are written compressed.
FORMATS: Mapping[str, str] = {
    ".fits": "fits",
    ".fits.gz": "fits",
    ".csv": "csv",
    ".ecsv": "ecsv",
    ".parquet": "parquet",
}

#: Formats by astropy's names, where they differ.
_ASTROPY = {"csv": "ascii.csv", "ecsv": "ascii.ecsv"}

#: Units of columns that have one.
_UNITS = {"TARGET_RA": "deg", "TARGET_DEC": "deg"}


@dataclasses.dataclass(frozen=True)
class Card:
    """A header card."""

    key: str
    value: str | int | float | bool
    comment: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Catalogue:
    """Columns and header of a catalogue, before they become a file or a table.

    Attributes
    ----------
    columns : mapping of str to ndarray, shape (nspec, ...)
    header : tuple of Card
    units : mapping of str to str
        Units of columns that have one, in FITS's notation.
    """

    columns: Mapping[str, npt.NDArray[Any]]
    header: tuple[Card, ...] = ()
    units: Mapping[str, str] = dataclasses.field(default_factory=lambda: dict(_UNITS))

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def to_table(self) -> Table:
        """The catalogue as an astropy Table, the header in its meta."""
        from astropy.table import Table

        table = Table(dict(self.columns), meta={card.key: card.value for card in self.header})
        for name, unit in self.units.items():
            if name in table.colnames:
                table[name].unit = unit
        return table


def concatenate(parts: Sequence[Mapping[str, npt.NDArray[Any]]]) -> dict[str, npt.NDArray[Any]]:
    """Columns of several inputs, one after the other.

    Parameters
    ----------
    parts : sequence of mapping of str to ndarray
        Columns of each input. They need not have the same ones.

    Returns
    -------
    dict of str to ndarray
        Every column that any input has. Where an input lacks one: -1 in id columns, 0 in target
        bits and status, NaN in floats, '' in text.
    """
    names = list(dict.fromkeys(name for part in parts for name in part))
    counts = [len(next(iter(part.values()))) for part in parts]
    merged = {}
    for name in names:
        have = [part[name] for part in parts if name in part]
        text = any(column.dtype.kind in "SU" for column in have)
        pieces = []
        for part, count in zip(parts, counts, strict=True):
            column = part.get(name)
            if column is None:
                column = np.full((count, *have[0].shape[1:]), missing_value(name, have[0].dtype))
            pieces.append(column.astype(str) if text else column)
        merged[name] = np.concatenate(pieces)
    return merged


def check_format(path: PathLike) -> str:
    """Format of a catalogue by its suffix, and whether it can be written here.

    Parameters
    ----------
    path : str or path

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
        raise InputError(f"{path}: the name of a catalogue must end in one of {', '.join(FORMATS)}")
    if kind == "parquet" and not all(map(find_spec, ("pyarrow", "pandas"))):
        raise InputError(
            f"{path}: .parquet needs packages that are not installed: install qnet-quasar[parquet]"
        )
    return kind


def write_catalogue(
    catalogue: Catalogue | Table, path: PathLike, *, overwrite: bool = False
) -> Path:
    """Write a catalogue; the suffix says the format: .fits (.fits.gz), .csv, .ecsv or .parquet.

    Parameters
    ----------
    catalogue : Catalogue or astropy.table.Table
        As `qnet.classify` returns it.
    path : str or path
        The file is written under a temporary name in the same folder, flushed and renamed.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        The suffix is unknown, or the format needs a package that is not installed.
    OutputExistsError, FileError
        The file may not be written.

    Notes
    -----
    In .csv a column of several lines becomes a column per line (C_LINES_0, ...), and the header is
    left out; the other formats keep both.
    """
    kind = check_format(path)
    check_output(path, overwrite)
    if not isinstance(catalogue, Catalogue) and not hasattr(catalogue, "colnames"):
        raise InputError(f"catalogue must be an astropy Table, not {type(catalogue).__name__}")
    if kind == "fits":
        whole = catalogue if isinstance(catalogue, Catalogue) else _from_table(catalogue)
        with atomic_write(path, overwrite=overwrite) as partial:
            _write_fits(whole, partial)
        return Path(path)
    table = catalogue.to_table() if isinstance(catalogue, Catalogue) else catalogue
    if kind == "csv":
        table = _flatten(table)
    with atomic_write(path, overwrite=overwrite) as partial:
        table.write(partial, format=_ASTROPY.get(kind, kind))
    return Path(path)


def read_catalogue(path: PathLike) -> Table:
    """Read a catalogue that `write_catalogue` wrote as .fits, .fits.gz, .ecsv or .parquet.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    astropy.table.Table
        The header is in its meta.

    Raises
    ------
    MissingFileError, FileError
        The file is not there, damaged, or no catalogue of qnet.
    """
    from astropy.table import Table

    kind = check_format(path)
    if kind == "csv":
        raise FileError(
            f"{path}: a .csv file has lost the columns' types and the header: read it as a table, "
            "or write .fits, .ecsv or .parquet"
        )
    if kind == "fits":
        with FitsFile(path) as fits:
            if EXTNAME not in fits:
                raise FileError(
                    f"{path}: lacks the table {EXTNAME} of a qnet catalogue; it holds "
                    f"{fits.describe()}"
                )
            columns = fits.table(EXTNAME, fits.columns(EXTNAME))
            header = fits.header(EXTNAME)
        cards = tuple(Card(key, value) for key, value in header.items() if not _is_structural(key))
        for number, (name, column) in enumerate(columns.items(), start=1):
            if column.dtype.kind in "SU":
                columns[name] = text_column(column, name, Path(path))
            elif header.get(f"TDIM{number}") == "(1)":
                columns[name] = column.reshape(len(column), 1)
        return Catalogue(columns, cards).to_table()
    try:
        table = Table.read(check_input(path, "a catalogue"), format=_ASTROPY.get(kind, kind))
    except (OSError, ValueError) as error:
        if isinstance(error, QnetError):
            raise
        raise FileError(f"{path}: cannot be read as a catalogue in {kind} ({error})") from error
    # Empty text comes back masked.
    for name in table.colnames:
        if table[name].dtype.kind == "U" and hasattr(table[name], "filled"):
            table[name] = table[name].filled("")
    return table


def _write_fits(catalogue: Catalogue, path: Path) -> None:
    """Write the table HDU."""
    import fitsio

    # fitsio writes no column of zero width: those of a model without BAL lines.
    names = [name for name, column in catalogue.columns.items() if 0 not in column.shape[1:]]
    data = [_fits_column(name, catalogue.columns[name]) for name in names]
    dtype = [
        (name, column.dtype, column.shape[1:]) for name, column in zip(names, data, strict=True)
    ]
    rows = np.zeros(len(catalogue), dtype=dtype)
    for name, column in zip(names, data, strict=True):
        rows[name] = column
    header = [
        {"name": card.key, "value": _ascii(card.value), "comment": card.comment}
        for card in catalogue.header
    ]
    try:
        with plain_name(path) as name, fitsio.FITS(name, "rw", clobber=True) as fits:
            fits.write(
                rows,
                extname=EXTNAME,
                header=header,
                units=[catalogue.units.get(column, "") for column in names],
            )
            # Columns of one line (one BAL line, say) stay two-dimensional: astropy honours it.
            for number, column in enumerate(data, start=1):
                if column.shape[1:] == (1,):
                    fits[EXTNAME].write_key(f"TDIM{number}", "(1)")
            fits[EXTNAME].write_checksum()
    except ValueError as error:
        raise InputError(f"a column or card cannot be written to FITS ({error})") from error


def _ascii(value: Any) -> Any:
    """A card's value; in text, what FITS does not have is escaped as in Python."""
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


def _from_table(table: Table) -> Catalogue:
    """Catalogue of a table; masked values become what `missing_value` says."""
    cards = tuple(_meta_cards(table.meta))
    columns = {name: filled(table[name], name) for name in table.colnames}
    units = {
        name: table[name].unit.to_string("fits")
        for name in table.colnames
        if getattr(table[name], "unit", None) is not None
    }
    return Catalogue(columns, cards, units)


def _meta_cards(meta: Mapping[str, Any]) -> Iterator[Card]:
    for key, value in meta.items():
        if isinstance(value, (str, int, float, bool)):
            yield Card(key, value)


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


def _is_structural(key: str) -> bool:
    """Whether a card describes the table itself."""
    words = ("XTENSION", "BITPIX", "PCOUNT", "GCOUNT", "TFIELDS", "EXTNAME", "CHECKSUM", "DATASUM")
    prefixes = ("NAXIS", "TTYPE", "TFORM", "TUNIT", "TDIM", "TNULL", "TZERO", "TSCAL", "LONGSTRN")
    return key in words or key.startswith(prefixes) or key in ("", "COMMENT", "HISTORY", "CONTINUE")
