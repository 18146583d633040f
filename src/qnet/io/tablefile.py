"""Tables that are no FITS: VOTable, ECSV, Parquet and plain text, read whole, within limits."""

from __future__ import annotations

import dataclasses
import gzip
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qnet.core.arrays import AnyArray, IntArray
from qnet.core.errors import FileError, first_few
from qnet.core.guards import library_faults
from qnet.core.kinds import ECSV, GZIP, PARQUET, TEXT, VOTABLE, Kind, find_kind, unpacked_kind
from qnet.io.columns import check_width
from qnet.io.openfile import OpenFile
from qnet.io.parquet import read_parquet
from qnet.io.roles import NAMES, Described

if TYPE_CHECKING:
    from astropy.table import Table

#: Bytes of the largest file of text or XML that is read.
_LARGEST = 1 << 30

#: Bytes that a small gzipped one may inflate to, and that any may for each of its bytes.
_SMALL, _INFLATION = 1 << 25, 50

#: A name with its unit, as headers of text have it.
_WITH_UNIT = re.compile(r"(.+?)\s*(?:\[(.*)\]|\((.*)\))")

#: A comment that states a value.
_CARD = re.compile(r"#+\s*([A-Za-z][\w-]{0,30})\s*[=:]\s*(\S.*?)\s*")


@dataclasses.dataclass(frozen=True)
class Sheet:
    """A table of a file, of whatever format: its columns, without their values, and its cards."""

    #: File and table, with which messages begin, and its name.
    where: str
    name: str
    columns: tuple[Described, ...]
    nrows: int
    #: Cards of the header that goes with a column, by their names in upper case.
    cards: Callable[[str], Mapping[str, Any]]
    #: ``read(names, rows)``: the values of columns.
    read: Callable[[Sequence[str], IntArray | None], Mapping[str, AnyArray]]
    #: Numbers of the HDUs that the columns are in, for FITS files.
    hdus: Mapping[str, int] = dataclasses.field(default_factory=dict)


class TableFile(OpenFile):
    """A file of one table or several that is no FITS file, in memory."""

    kinds = (VOTABLE, ECSV, PARQUET, TEXT)

    def __init__(self, path: Path) -> None:
        self.path = path
        kind = unpacked_kind(path) or TEXT
        with (
            library_faults(path, f"cannot be read as {kind.name}, is it whole?"),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            tables = _READ[kind](path)
        several = len(tables) > 1
        self.sheets = [
            _sheet(table, f"{path}: table {number}" if several else str(path), number)
            for number, table in enumerate(tables)
        ]

    def describe(self) -> str:
        """What the file holds, for messages."""
        parts = [
            f"a table of {sheet.nrows} rows with the columns "
            f"{first_few([column.name for column in sheet.columns], 8)}"
            for sheet in self.sheets
        ]
        return first_few(parts) if parts else "no table"


def _sheet(table: Table, where: str, number: int) -> Sheet:
    """A table of astropy as a sheet."""
    cards = {str(key).upper(): value for key, value in table.meta.items()}
    name = str(cards.get("EXTNAME") or cards.get("NAME") or number)
    columns = []
    for column in table.colnames:
        meta = getattr(table[column].info, "meta", None) or {}
        ucd, utype = (str(meta.get(key) or "") for key in ("ucd", "utype"))
        vector = _is_vector(table[column])
        columns.append(Described(column, table[column].unit, ucd, utype, vector))

    def read(names: Sequence[str], rows: IntArray | None) -> Mapping[str, AnyArray]:
        return {name: table[name] if rows is None else table[name][rows] for name in names}

    return Sheet(where, name, tuple(columns), len(table), lambda _: cards, read)


def _is_vector(column: Any) -> bool:
    """Whether a row of a column holds many numbers: an array, or a list of any length."""
    if column.dtype.kind != "O":
        return bool(column.ndim > 1)
    return any(hasattr(cell, "__len__") and not isinstance(cell, str) for cell in column[:100])


def read_content(path: Path) -> bytes:
    """What is in a file, inflated where it is gzipped; FileError where that is too large."""
    if find_kind(path) is GZIP:
        most = min(_LARGEST, max(_SMALL, _INFLATION * path.stat().st_size))
        with gzip.open(path, "rb") as stream:
            content = stream.read(most + 1)
    else:
        most = _LARGEST
        with open(path, "rb") as plain:  # as many bytes are taken as are asked for
            content = plain.read(min(path.stat().st_size, most) + 1)
    if len(content) > most:
        raise FileError(f"{path}: holds more than {most >> 20} MB, too much for one table")
    return content


def _read_votable(path: Path) -> list[Table]:
    """Tables of a VOTable, with what it says of the whole."""
    from astropy.io import votable

    from qnet.io.votable import check_votable

    content = read_content(path)
    check_votable(content, path)
    tree = votable.parse(io.BytesIO(content), verify="ignore")
    tables = []
    for element in tree.iter_tables():
        table = element.to_table(use_names_over_ids=True)
        for parameter in (*element.params, *element.infos):
            table.meta.setdefault(str(parameter.name or parameter.ID), parameter.value)
        tables.append(table)
    return tables


def _read_ecsv(path: Path) -> list[Table]:
    """The table of an ECSV file."""
    from astropy.io import ascii as text

    return [text.read(_lines(path), format="ecsv")]


def _read_parquet(path: Path) -> list[Table]:
    """The table of a Parquet file, the fields of structures as columns 'structure.field'."""
    if find_kind(path) is GZIP:
        raise FileError(f"{path}: is a Parquet table in gzip: unpack it first")
    if find_spec("pyarrow") is None:
        raise FileError(
            f"{path}: is a Parquet table, which needs pyarrow: install qnet-quasar[parquet]"
        )
    return [read_parquet(path, flatten=True)]


def _lines(path: Path) -> list[str]:
    """Lines of a text file."""
    content = read_content(path)
    check_width(io.BytesIO(content), path)
    return content.decode("utf-8-sig", errors="replace").splitlines()


def _read_text(path: Path) -> list[Table]:
    """The table of a text file: CSV, columns in blanks, IPAC, CDS, ...; names also in comments."""
    from astropy.io import ascii as text

    lines = _lines(path)
    table = text.read(lines, guess=True)
    comments = [line for line in lines[:1000] if line.lstrip().startswith("#")]
    known = (names for names in map(_names, comments) if len(names) == len(table.colnames))
    if (names := next(filter(_name_flux, known), None)) is not None and len(set(names)) == len(
        names
    ):
        table.rename_columns(table.colnames, names)
    for column in table.itercols():
        if (match := _WITH_UNIT.fullmatch(column.name)) is not None:
            column.unit = match[2] or match[3] or None
    stripped = [_WITH_UNIT.sub(r"\1", name) for name in table.colnames]
    if len(set(stripped)) == len(stripped):
        table.rename_columns(table.colnames, stripped)
    cards = filter(None, map(_CARD.fullmatch, comments))
    table.meta.update({match[1].upper(): _value(match[2].strip("'\"")) for match in cards})
    return [table]


def _names(comment: str) -> list[str]:
    """Names of columns in a comment, if it holds names."""
    return re.split(r"[\s,;|]+", comment.strip(" \t#"))


def _name_flux(names: Sequence[str]) -> bool:
    """Whether one of some names, perhaps with a unit, is that of flux."""
    return any(_WITH_UNIT.sub(r"\1", name).lower() in NAMES["flux"] for name in names)


def _value(text: str) -> Any:
    """A number of a text, or the text."""
    try:
        return float(text)
    except ValueError:
        return text


#: What reads a kind of files.
_READ: Mapping[Kind, Callable[[Path], list[Table]]] = {
    VOTABLE: _read_votable,
    ECSV: _read_ecsv,
    PARQUET: _read_parquet,
    TEXT: _read_text,
}
