"""Catalogues as VOTables, with the meaning of each column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qnet.core.columns import BY_NAME
from qnet.core.files import PathLike, atomic_write
from qnet.core.guards import library_faults
from qnet.io.catalogue import Catalogue
from qnet.io.line_columns import split_lines

if TYPE_CHECKING:
    from astropy.io.votable.tree import VOTableFile

#: Name of the coordinate system of positions.
_FRAME = "ICRS"


def write_votable(catalogue: Catalogue, path: PathLike, *, overwrite: bool = False) -> None:
    """Write a VOTable: a column for each line, the header as INFO, integers of -1 as missing."""
    faults = library_faults(path, "cannot be written as a VOTable")
    with atomic_write(path, overwrite=overwrite) as partial, faults:
        _make_votable(catalogue).to_xml(str(partial), compressed=False)


def _make_votable(catalogue: Catalogue) -> VOTableFile:
    """The VOTable of a catalogue."""
    from astropy.io.votable import from_table
    from astropy.io.votable.tree import CooSys, Info

    table = split_lines(catalogue.to_table(), short=True)
    for name in table.colnames:
        known = BY_NAME.get(name)
        if known is not None and known.empty == -1 and table[name].dtype.kind == "i":
            table[name].meta["values"] = {"null": known.empty}
    cards, table.meta = dict(table.meta), {}
    votable = from_table(table)
    (resource,) = votable.resources
    resource.coordinate_systems.append(CooSys(ID=_FRAME, system=_FRAME))
    resource.infos.extend(Info(name=key, value=str(value)) for key, value in cards.items())
    written = votable.get_first_table()
    written.name = "QNET"
    for field in written.fields:
        if (field.ucd or "").startswith("pos.eq"):
            field.ref = _FRAME
        if field.datatype == "bit":  # a mask, to other readers
            field.datatype = "boolean"
    votable.set_all_tables_format("binary2")
    return votable
