"""Formats that catalogues are exported to: the one table that code, help and documentation read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from qnet.core.errors import InputError, shown
from qnet.core.files import PathLike, as_path

#: Suffixes of FITS files.
_FITS = (".fits", ".fits.gz")


@dataclasses.dataclass(frozen=True)
class ExportFormat:
    """A format that a catalogue is exported to: one row of `EXPORTS`."""

    name: str
    #: What is written, in one line of Markdown.
    description: str
    #: Who reads it, and the publication or program that defines it.
    source: str
    suffixes: tuple[str, ...] = _FITS


_ROWS = (
    ExportFormat(
        "picca",
        "the quasars, one row for each object, as a quasar catalogue of Lyman-alpha forests: HDU"
        " ZCATALOG; CATALOG for ids of SDSS",
        "picca 9, `delta_extraction.quasar_catalogues` and `delta_extraction.masks.bal_mask`",
    ),
    ExportFormat(
        "desi",
        "every row, as columns beside those of DESI's redshift catalogues: HDU ZCATALOG",
        "DESI's afterburner, `desispec.scripts.qsoqn`, and redshift catalogues (arXiv:2503.14745)",
    ),
    ExportFormat(
        "redrock",
        "every row, as redrock writes its redshifts: HDU REDSHIFTS and FIBERMAP",
        "redrock, `redrock.external.desi.write_zbest`",
    ),
    ExportFormat(
        "votable",
        "every row, with unit, UCD and description of each column, for TOPCAT and Aladin",
        "IVOA Recommendation VOTable 1.4",
        (".vot", ".xml"),
    ),
    ExportFormat(
        "parquet",
        "every row, with lists for the lines and for redshift distributions",
        "Apache Parquet; needs the extra `parquet`",
        (".parquet",),
    ),
    ExportFormat(
        "csv", "every row, with a column for each line and no header", "RFC 4180", (".csv",)
    ),
)

#: The formats by name.
EXPORTS: Mapping[str, ExportFormat] = MappingProxyType({row.name: row for row in _ROWS})


#: Formats that hold the columns of qnet's catalogue, from which it can be read again.
OWN = ("csv", "parquet")


def list_exports() -> str:
    """The formats, a line each, for the help of commands."""
    rows = (f"  {row.name}: {row.description} ({', '.join(row.suffixes)})\n" for row in _ROWS)
    return "formats:\n" + "".join(rows) + "\n"


def check_export(to: str, path: PathLike) -> ExportFormat:
    """The format of a name; InputError if there is none, or the suffix of the file is another's."""
    if to not in EXPORTS:
        raise InputError(f"to must be one of {', '.join(EXPORTS)}, not {shown(to)}")
    form = EXPORTS[to]
    if not as_path(path, "path").name.lower().endswith(form.suffixes):
        raise InputError(
            f"{path}: the name of a file for {to} must end in {' or '.join(form.suffixes)}"
        )
    return form
