"""Evidence of redrock, SQUEzE and DESI's afterburners, joined to a table by TARGETID."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, Columns, IntArray, match_ids
from qnet.core.errors import FileError, InputError, warn
from qnet.core.files import PathLike, as_paths
from qnet.io.columns import bool_column, filled, id_numbers, missing_value
from qnet.io.fits.file import FitsFile
from qnet.io.tables import check_table
from qnet.strategies.evidence import EVIDENCE, LINE_COLUMNS

if TYPE_CHECKING:
    from astropy.table import Table


def _names(*items: str) -> tuple[str, ...]:
    """All names of the columns of kinds of evidence."""
    return tuple(name for item in items for name in EVIDENCE[item].columns)


_REDROCK = _names("spectype", "z_redrock", "zwarn")

#: Tables that hold evidence, and their columns that a strategy may use.
_HDUS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "REDSHIFTS": _REDROCK,
    "ZBEST": _REDROCK,
    "CANDIDATES": _names("prob", "z_squeze"),
    **dict.fromkeys(
        ("QN_RR", "QN+RR"),
        (
            *_names("rerun", "z_new", "spectype", "target"),
            *("Z_RR", "Z_QN"),
            *(name.upper() for name in LINE_COLUMNS.values()),
        ),
    ),
    "MGII": _names("mgii"),
    "FIBERMAP": _names("objtype", "fiberstatus", "target"),
})  # fmt: skip

#: Columns of ids: DESI's and redrock's, SQUEzE's.
_IDS = ("TARGETID", "SPECID")


def join_evidence(table: Table, files: PathLike | Sequence[PathLike]) -> Table:
    """Add the results of redrock, SQUEzE and DESI's afterburners to a table.

    Parameters
    ----------
    table : astropy.table.Table
        A catalogue, with TARGETID.
    files : path or sequence of paths
        FITS files with the tables REDSHIFTS or ZBEST (redrock) and FIBERMAP, CANDIDATES (SQUEzE),
        QN_RR or QN+RR (DESI's afterburner), or MGII (DESI's MgII afterburner); several of a kind,
        such as one for each petal, are joined.

    Returns
    -------
    astropy.table.Table
        A copy with the columns that strategies use, joined by TARGETID. The table's own columns
        stay. A row whose TARGETID is not positive, or in none of the files, has NaN, '', -1 or
        False.

    Raises
    ------
    MissingFileError, FileError
        A file is missing, damaged, or holds none of these tables.
    InputError
        The table has no TARGETID.

    Warns
    -----
    QnetWarning
        No TARGETID of a file is in the table.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from qnet.io import write_table
    >>> from qnet.strategies import STRATEGIES, join_evidence
    >>> columns = {"TARGETID": [8, 7], "Z": [2.1, 0.4], "SPECTYPE": ["QSO", "STAR"]}
    >>> columns["ZWARN"] = [0, 0]
    >>> path = write_table("redrock.fits", columns, extname="REDSHIFTS")
    >>> rows = Table({"TARGETID": [7, 8], "C_LINES": [[0.9], [0.2]], "ZBEST": [0.4, 2.1]})
    >>> STRATEGIES["farr20-or"](join_evidence(rows, path)).is_qso
    array([ True,  True])
    """
    check_arguments(join_evidence, locals())
    check_table("table", table)
    if "TARGETID" not in table.colnames:
        raise InputError("table has no column TARGETID, by which evidence is joined")
    joined = table.copy(copy_data=False)
    ids = id_numbers(filled(table["TARGETID"], "TARGETID"), "TARGETID", None)
    own = {name.upper() for name in table.colnames}
    for name, column in read_evidence(as_paths(files, "files"), ids).items():
        if name not in own:
            joined[name] = column
    return joined


def read_evidence(files: Iterable[PathLike], targetid: IntArray) -> Columns:
    """Columns of the evidence in files, a row for each TARGETID; redrock's Z as Z_RR."""
    found: Columns = {}
    for path in map(Path, files):
        with FitsFile(path) as fits:
            hdus = [name for name in _HDUS if fits.is_table(name)]
            if not set(hdus) - {"FIBERMAP"}:
                raise FileError(
                    f"{path}: holds none of the tables {', '.join(_HDUS)} that strategies use, but "
                    f"{fits.describe()}"
                )
            for hdu in hdus:
                _add(found, fits, hdu, targetid)
    return found


def _add(found: Columns, fits: FitsFile, hdu: str, targetid: IntArray) -> None:
    """Fill the rows of a table of evidence into columns."""
    have = fits.columns(hdu)
    id_name = next((name for name in _IDS if name in have), "TARGETID")
    twice = ["DUPLICATED"] if "DUPLICATED" in have and hdu == "CANDIDATES" else []
    wanted = [name for name in _HDUS[hdu] if name in have]
    columns = fits.table(hdu, [id_name, *wanted, *twice])
    ids = id_numbers(columns.pop(id_name), id_name, fits.path)
    usable = ids > 0
    if twice:
        usable &= ~bool_column(columns.pop("DUPLICATED"), "DUPLICATED", fits.path)
    at = match_ids(ids[usable], targetid)
    here = at >= 0
    if not here.any():
        warn(f"{fits.path}: none of the TARGETIDs of its table {hdu} is in the catalogue")
    for name in wanted:
        as_name = "Z_RR" if name == "Z" else name
        values = columns[name]
        rows = np.flatnonzero(usable)[at[here]]
        found[as_name] = _filled_in(found.get(as_name), values, rows, here, as_name)


def _filled_in(
    column: AnyArray | None, values: AnyArray, rows: IntArray, here: AnyArray, name: str
) -> AnyArray:
    """A column with the values of some rows where `here`; missing values where none is known."""
    if column is None:
        column = np.full(len(here), missing_value(name, values.dtype), dtype=values.dtype)
    column = column.astype(np.promote_types(column.dtype, values.dtype))
    column[here] = values[rows]
    return column
