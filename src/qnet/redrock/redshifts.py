"""The redshifts of redrock: its files, matched with the rows of a catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qnet.core.arrays import AnyArray, Columns, IntArray, match_ids, take_rows
from qnet.core.errors import FileError
from qnet.core.files import PathLike
from qnet.io.columns import filled, float_column, id_numbers, integer_column, text_column
from qnet.io.fits.file import FitsFile

if TYPE_CHECKING:
    from astropy.table import Table

#: HDUs of redrock's files: of today, and of those before 2020.
_HDUS = ("REDSHIFTS", "ZBEST")

#: Columns that every file of redrock has, and those that some lack (the golden files of tests).
_NEEDED = ("TARGETID", "Z", "SPECTYPE")
_OPTIONAL = ("ZERR", "ZWARN", "SUBTYPE", "CHI2", "DELTACHI2", "COEFF")

_CONVERT = {
    "TARGETID": id_numbers,
    "ZWARN": integer_column,
    "SPECTYPE": text_column,
    "SUBTYPE": text_column,
}


class Redshifts(NamedTuple):
    """What redrock found: columns (nrows, ...) and the columns of its FIBERMAP, and its version."""

    path: Path
    columns: Columns
    fibermap: Columns
    version: str

    def match(self, targetid: IntArray) -> IntArray:
        """Row of each of some TARGETIDs, -1 where there is none; row for row where they are equal.

        TARGETIDs of sky positions may be there twice.
        """
        own = self.columns["TARGETID"]
        if np.array_equal(own, targetid):
            return np.arange(len(own))
        return match_ids(own, targetid)

    def rows_of(self, table: Table, where: object) -> IntArray:
        """Row of each of the TARGETIDs of a catalogue; FileError where none is there."""
        rows = self.match(np.asarray(table["TARGETID"]))
        if len(table) and (rows < 0).all():
            raise FileError(f"{self.path}: has none of the TARGETIDs of {where}")
        return rows

    def take(self, name: str, rows: IntArray, empty: float | str) -> AnyArray:
        """A column in some rows; `empty` where the row is -1, and where redrock's file lacks it."""
        values = self.columns.get(name)
        if values is None or not len(values):
            return np.full(len(rows), empty)
        return take_rows(values, rows, empty)


def read_redshifts(path: PathLike, fibermap: Sequence[str] = ()) -> Redshifts:
    """A file of redrock, with some columns of its FIBERMAP, where that has them."""
    with FitsFile(path) as fits:
        hdu = next((name for name in _HDUS if fits.is_table(name)), _HDUS[0])
        have = fits.columns(hdu)
        names = [*_NEEDED, *(name for name in _OPTIONAL if name in have)]
        table = fits.table(hdu, names)
        known = [name for name in fibermap if name in fits.columns("FIBERMAP")]
        extra = fits.table("FIBERMAP", known) if known else {}
        version = str(fits.header(hdu).get("RRVER", ""))
    file = Path(path)
    columns = {
        name: values if values.ndim == 2 else _CONVERT.get(name, float_column)(values, name, file)
        for name, values in table.items()
    }
    nrows = len(columns["TARGETID"])
    if extra and any(len(values) != nrows for values in extra.values()):
        raise FileError(f"{file}: FIBERMAP does not have the {nrows} rows of {hdu}")
    return Redshifts(file, columns, {name: filled(x, name) for name, x in extra.items()}, version)
