"""The catalogue: columns and header to a file and back."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray
from qnet.core.columns import BY_NAME, Column, known_column
from qnet.core.errors import FileError, InputError, type_name
from qnet.core.files import PathLike, atomic_write
from qnet.core.guards import library_faults
from qnet.core.positions import POSITIONS
from qnet.core.pz import CARDS, LN_PZ, RedshiftDistributions, describe_column
from qnet.io.columns import (
    bool_column,
    filled,
    float_column,
    id_columns,
    integer_column,
    is_integer_id,
    missing_value,
    text_column,
    unit_text,
)
from qnet.io.fits.file import FitsFile
from qnet.io.fits.writer import FitsWriter
from qnet.io.line_columns import join_lines, split_lines
from qnet.io.tables import (
    Card,
    check_format,
    check_table,
    read_astropy,
    set_format,
    set_ucd,
    to_table,
    write_astropy,
)

if TYPE_CHECKING:
    from astropy.table import Table

#: Name of the HDU that holds the catalogue.
EXTNAME = "QNET"

#: A card that catalogues of qnet alone have: the table is known by it, however it was written.
_MARK = "MODELSHA"


@dataclasses.dataclass(frozen=True, eq=False)
class Catalogue:
    """Columns (nspec, ...) and header of a catalogue, before they become a file or a table."""

    columns: Mapping[str, AnyArray]
    header: tuple[Card, ...] = ()
    #: Units, descriptions and formats of columns, beside those that qnet knows.
    info: Mapping[str, Column] = dataclasses.field(default_factory=dict)
    #: Redshift distributions of the rows, where they were asked for.
    pz: RedshiftDistributions | None = None

    def __post_init__(self) -> None:
        info = {name: known_column(name) for name in self.columns} | dict(self.info)
        object.__setattr__(self, "info", info)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def to_table(self) -> Table:
        """The catalogue as an astropy Table, the header in its meta; with distributions if any."""
        if self.pz is None:
            return to_table(self.columns, self.header, self.info)
        columns = {**self.columns, **self.pz.columns}
        info = {**{name: describe_column(name) for name in self.pz.columns}, **self.info}
        return to_table(columns, (*self.header, *pz_cards(self.pz)), info)


def pz_cards(pz: RedshiftDistributions) -> Iterator[Card]:
    """Cards of the grid and the classes of redshift distributions."""
    return (Card(key, value, CARDS[key]) for key, value in pz.meta.items())


def concatenate(parts: Sequence[Mapping[str, AnyArray]]) -> dict[str, AnyArray]:
    """All columns of several inputs, one after the other; `missing_value` where one lacks them."""
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
    """Write a catalogue; the suffix is the format: .fits (.fits.gz), .csv, .ecsv or .parquet.

    Parameters
    ----------
    catalogue : astropy.table.Table
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
        The file exists already, or cannot be written.

    See Also
    --------
    read_catalogue : the inverse.

    Notes
    -----
    Numbers are written with all their digits, whatever the columns' formats for print. In .csv and
    .ecsv each line has a column of its own: C_LYA, Z_CIV(1548), ZERR_LYA, C_BAL_CIV(1548), and
    redshift distributions (LN_PZ) are left out; .csv has no header.

    Examples
    --------
    >>> import numpy as np
    >>> import qnet
    >>> from astropy.table import Table
    >>> table = Table({"TARGETID": [7], "ZBEST": [2.1], "C_LINES": np.float32([[0.75, 0.25]])})
    >>> table.meta |= {"LINE0": "LYA", "LINE1": "CIV(1548)"}
    >>> path = qnet.write_catalogue(table, "catalogue.csv")
    >>> print(path.read_text())
    TARGETID,ZBEST,C_LYA,C_CIV(1548)
    7,2.1,0.75,0.25
    <BLANKLINE>
    """
    check_arguments(write_catalogue, locals())
    kind = check_format(path, "a catalogue")
    if not isinstance(catalogue, Catalogue):
        check_table("catalogue", catalogue)
    if kind == "fits":
        whole = catalogue if isinstance(catalogue, Catalogue) else from_table(catalogue)
        write_hdus({EXTNAME: whole}, path, overwrite=overwrite)
    else:
        if isinstance(catalogue, Catalogue):
            # As text, distributions would be thousands of columns: they have files of their own.
            pz = catalogue.pz if kind == "parquet" else None
            table = dataclasses.replace(catalogue, pz=pz).to_table()
        else:
            table = catalogue
        if kind != "parquet":
            table = split_lines(table[[name for name in table.colnames if name != LN_PZ.name]])
        faults = library_faults(path, f"could not be written as {kind}")
        with atomic_write(path, overwrite=overwrite) as partial, faults:
            write_astropy(partial, table, kind)
    return Path(path)


def write_hdus(tables: Mapping[str, Catalogue], path: PathLike, *, overwrite: bool = False) -> None:
    """Write tables to a FITS file, one HDU after the other, with what is known of their columns."""
    with FitsWriter(path, overwrite=overwrite) as fits:
        for name, whole in tables.items():
            info = whole.info.items()
            fits.table(
                name,
                whole.columns,
                cards=whole.header,
                units={name: column.unit for name, column in info},
                comments={name: column.description for name, column in info},
                formats={name: column.display for name, column in info if column.display},
                ucds={name: column.ucd for name, column in info},
            )


def read_catalogue(path: PathLike) -> Table:
    """Read a catalogue: .fits, .fits.gz, .csv, .ecsv or .parquet.

    `write_catalogue` wrote it, or astropy's ``Table.write``, for one that `qnet.classify` returned.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    astropy.table.Table
        The header is in its meta. For a .csv file, which has no header, meta holds the names of the
        lines.

    Raises
    ------
    MissingFileError, FileError
        The file is missing, damaged, or no catalogue of qnet.

    See Also
    --------
    write_catalogue : the inverse.

    Examples
    --------
    >>> import qnet
    >>> from astropy.table import Table
    >>> table = Table({"TARGETID": [7, 8], "P_QSO": [0.98765, 0.01]})
    >>> path = qnet.write_catalogue(table, "catalogue.fits")
    >>> print(qnet.read_catalogue(path))
    TARGETID P_QSO
    -------- ------
           7 0.9877
           8 0.0100
    """
    check_arguments(read_catalogue, locals())
    kind = check_format(path, "a catalogue")
    if kind == "fits":
        return load_fits(path).to_table()
    ids = [name for name in BY_NAME if is_integer_id(name)] if kind == "csv" else []
    from qnet.io.shown_table import CatalogueTable

    file = Path(path)
    table = CatalogueTable(read_astropy(path, kind, "a catalogue", ids), copy=False)
    if kind == "csv":
        for name in table.colnames:
            if column := BY_NAME.get(name.upper()):
                values = filled(table[name], name)
                # Positions may be text, of hours, minutes and seconds.
                as_is = column.name in POSITIONS[0] and values.dtype.kind == "U"
                as_is |= is_integer_id(column.name)
                table[name] = values if as_is else _typed(values, column, file)
    names = {name.upper(): name for name in table.colnames}
    given = {key: filled(table[name], key) for key, name in names.items() if is_integer_id(key)}
    for key, values in _whole_ids(given, file).items():
        table[names.get(key, key)] = values
    if kind != "parquet":
        join_lines(table, file)
    for name in set(table.colnames) & set(BY_NAME):
        known, column = BY_NAME[name], table[name]
        set_format(column, known.format)
        column.description = known.description
        column.unit = column.unit or known.unit or None
        set_ucd(column, known)
    return table


def load_fits(path: PathLike) -> Catalogue:
    """The catalogue of a FITS file, its columns as the header describes them."""
    columns, header = read_columns(path)
    info = {}
    for number, name in enumerate(columns, start=1):
        known = known_column(name)
        shown = re.fullmatch(r"([EFG])\d+\.(\d+)", str(header.get(f"TDISP{number}", "")))
        info[name] = dataclasses.replace(
            known,
            unit=str(header.get(f"TUNIT{number}", known.unit)),
            description=str(header.get(f"TCOMM{number}", known.description)),
            format=f".{shown[2]}{shown[1].lower()}" if shown else known.format,
        )
    cards = tuple(Card(key, value) for key, value in header.items() if not is_structural(key))
    return Catalogue(columns, cards, info)


def read_columns(path: PathLike) -> tuple[dict[str, AnyArray], Mapping[str, Any]]:
    """Columns of the catalogue of a FITS file, in the letters' case of the file, and its header."""
    with FitsFile(path) as fits:
        hdu = catalogue_hdu(fits)
        if hdu is None:
            raise FileError(
                f"{path}: lacks the table {EXTNAME} of a qnet catalogue; it holds {fits.describe()}"
            )
        data, header = fits.table(hdu, fits.columns(hdu)), fits.header(hdu)
    data |= _whole_ids(data, Path(path))
    columns = {}
    for number, (name, values) in enumerate(data.items(), start=1):
        if values.dtype.kind in "SU":
            values = text_column(values, name, Path(path))
        elif header.get(f"TDIM{number}") == "(1)":
            values = values.reshape(len(values), 1)
        written = str(header.get(f"TTYPE{number}", name))
        columns[written if written.upper() == name else name] = values
    return columns, header


def catalogue_hdu(fits: FitsFile) -> str | int | None:
    """The HDU named QNET, or else with the header of a catalogue of qnet; None without such."""
    if EXTNAME in fits:
        return EXTNAME
    return next(
        (hdu for hdu in range(len(fits)) if fits.is_table(hdu) and _MARK in fits.header(hdu)), None
    )


def from_table(table: Table) -> Catalogue:
    """Catalogue of a table; masked values become those of `missing_value`."""
    meta = table.meta.items()
    cards = tuple(Card(key, x) for key, x in meta if isinstance(x, (str, int, float, bool)))
    columns = {name: filled(table[name], name) for name in table.colnames}
    info = {}
    for name in table.colnames:
        if not hasattr(table[name], "dtype"):  # coordinates, times
            raise InputError(f"column {name} is a {type_name(table[name])}, not numbers or text")
        column, known = table[name].info, known_column(name)
        info[name] = dataclasses.replace(
            known,
            unit="" if column.unit is None else unit_text(column.unit),
            description=column.description or known.description,
            format=column.format if isinstance(column.format, str) else known.format,
            ucd=str((column.meta or {}).get("ucd", known.ucd)),
        )
    return Catalogue(columns, cards, info)


def _whole_ids(columns: Mapping[str, AnyArray], path: Path) -> dict[str, AnyArray]:
    """Those ids of a table that came as something else than integers, as integers."""
    odd = {n: x for n, x in columns.items() if is_integer_id(n) and x.dtype.kind not in "iu"}
    return id_columns(odd, path)


def _typed(values: AnyArray, column: Column, path: Path) -> AnyArray:
    """A column of a .csv file with the type that it has in the catalogue."""
    dtype = np.dtype(column.dtype)
    convert = {"b": bool_column, "U": text_column, "f": float_column, "i": integer_column}
    values = convert[dtype.kind](values, column.name, path)
    if dtype.kind != "i":
        return values if dtype.kind == "U" else values.astype(dtype)
    narrow = values.astype(dtype)
    return narrow if np.array_equal(narrow, values) else values


def is_structural(key: str) -> bool:
    """Whether a card describes the table itself."""
    words = {"XTENSION", "BITPIX", "PCOUNT", "GCOUNT", "TFIELDS", "EXTNAME", "CHECKSUM", "DATASUM"}
    words |= {"", "COMMENT", "HISTORY", "CONTINUE"}
    prefixes = ("NAXIS", "TTYPE", "TFORM", "TUNIT", "TDIM", "TNULL", "TZERO", "TSCAL", "LONGSTRN")
    return key in words or key.startswith((*prefixes, "TDISP", "TCOMM", "TUCD"))
