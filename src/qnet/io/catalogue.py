"""The catalogue: columns and header to a file and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qnet.core.errors import FileError, InputError
from qnet.core.files import PathLike, atomic_write, check_output
from qnet.io.columns import filled, missing_value, text_column
from qnet.io.fits.file import FitsFile
from qnet.io.fits.writer import FitsWriter
from qnet.io.quantities import unit_text
from qnet.io.tables import Card, check_format, read_astropy, to_table, write_astropy

if TYPE_CHECKING:
    from astropy.table import Table

#: Name of the HDU that holds the catalogue.
EXTNAME = "QNET"

#: A card that catalogues of qnet alone have: the table is known by it, however it was written.
_MARK = "MODELSHA"

#: Units of the surveys' columns that have one.
UNITS = {"TARGET_RA": "deg", "TARGET_DEC": "deg"}


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
    units: Mapping[str, str] = dataclasses.field(default_factory=lambda: dict(UNITS))

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def to_table(self) -> Table:
        """The catalogue as an astropy Table, the header in its meta."""
        return to_table(self.columns, self.header, self.units)


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
    kind = check_format(path, "a catalogue")
    check_output(path, overwrite)
    if not isinstance(catalogue, Catalogue) and not hasattr(catalogue, "colnames"):
        raise InputError(f"catalogue must be an astropy Table, not {type(catalogue).__name__}")
    if kind == "fits":
        whole = catalogue if isinstance(catalogue, Catalogue) else _from_table(catalogue)
        with FitsWriter(path, overwrite=overwrite) as fits:
            fits.table(EXTNAME, whole.columns, cards=whole.header, units=whole.units)
    else:
        table = catalogue.to_table() if isinstance(catalogue, Catalogue) else catalogue
        with atomic_write(path, overwrite=overwrite) as partial:
            write_astropy(partial, table, kind)
    return Path(path)


def read_catalogue(path: PathLike) -> Table:
    """Read a catalogue as .fits, .fits.gz, .ecsv or .parquet.

    `write_catalogue` wrote it, or astropy's ``Table.write``, for one that `qnet.classify` returned.

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
    kind = check_format(path, "a catalogue")
    if kind == "csv":
        raise FileError(
            f"{path}: a .csv file has lost the columns' types and the header: read it as a table, "
            "or write .fits, .ecsv or .parquet"
        )
    if kind == "fits":
        with FitsFile(path) as fits:
            hdu = catalogue_hdu(fits)
            if hdu is None:
                raise FileError(
                    f"{path}: lacks the table {EXTNAME} of a qnet catalogue; it holds "
                    f"{fits.describe()}"
                )
            columns = fits.table(hdu, fits.columns(hdu))
            header = fits.header(hdu)
        cards = tuple(Card(key, value) for key, value in header.items() if not _is_structural(key))
        for number, (name, column) in enumerate(columns.items(), start=1):
            if column.dtype.kind in "SU":
                columns[name] = text_column(column, name, Path(path))
            elif header.get(f"TDIM{number}") == "(1)":
                columns[name] = column.reshape(len(column), 1)
        table = Catalogue(columns, cards).to_table()
        _restore(table, header)
        return table
    return read_astropy(path, kind, "a catalogue")


def catalogue_hdu(fits: FitsFile) -> str | int | None:
    """The HDU of a qnet catalogue; None where there is none.

    It is named QNET; one that other software wrote, such as astropy's ``Table.write``, may have
    another name or none, and is known by its header.

    Parameters
    ----------
    fits : FitsFile

    Returns
    -------
    str, int or None
    """
    if EXTNAME in fits:
        return EXTNAME
    return next(
        (hdu for hdu in range(len(fits)) if fits.is_table(hdu) and _MARK in fits.header(hdu)), None
    )


def _restore(table: Table, header: Mapping[str, Any]) -> None:
    """Give the columns the units and the letters' case that they have in the file."""
    from astropy.units import Unit

    for number, name in enumerate(table.colnames, start=1):
        unit, written = header.get(f"TUNIT{number}"), str(header.get(f"TTYPE{number}", name))
        if unit and table[name].unit is None:
            table[name].unit = Unit(unit, parse_strict="silent")
        if written != name and written.upper() == name:
            table.rename_column(name, written)


def _from_table(table: Table) -> Catalogue:
    """Catalogue of a table; masked values become what `missing_value` says."""
    cards = tuple(_meta_cards(table.meta))
    columns = {name: filled(table[name], name) for name in table.colnames}
    units = {
        name: unit_text(table[name].unit)
        for name in table.colnames
        if getattr(table[name], "unit", None) is not None
    }
    return Catalogue(columns, cards, units)


def _meta_cards(meta: Mapping[str, Any]) -> Iterator[Card]:
    for key, value in meta.items():
        if isinstance(value, (str, int, float, bool)):
            yield Card(key, value)


def _is_structural(key: str) -> bool:
    """Whether a card describes the table itself."""
    words = ("XTENSION", "BITPIX", "PCOUNT", "GCOUNT", "TFIELDS", "EXTNAME", "CHECKSUM", "DATASUM")
    prefixes = ("NAXIS", "TTYPE", "TFORM", "TUNIT", "TDIM", "TNULL", "TZERO", "TSCAL", "LONGSTRN")
    return key in words or key.startswith(prefixes) or key in ("", "COMMENT", "HISTORY", "CONTINUE")
