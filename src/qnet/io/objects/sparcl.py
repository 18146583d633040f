"""Spectra from records of SPARCL, recognised by what they hold: its client is not imported."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qnet.core.arguments import has_attributes
from qnet.core.arrays import AnyArray, of_objects
from qnet.core.columns import COLUMNS
from qnet.core.errors import InputError
from qnet.core.guards import foreign_faults
from qnet.core.positions import POSITIONS
from qnet.core.spectra import SURVEY_FLUX_UNIT, Spectra
from qnet.io.columns import id_columns, missing_value
from qnet.io.objects.kind import ObjectKind
from qnet.io.readers.desi import row_flags
from qnet.io.tabular import from_columns
from qnet.io.units import COMBINEREJ

#: Fields of the pixels, by what columns of them are called.
_PIXELS = {"wave": "wavelength", "flux": "flux", "ivar": "ivar"}

#: Fields by which a record is recognised, of which it has one.
_MARKS = ("sparcl_id", "_dr")

#: Fields that a catalogue carries, by their columns, beside the surveys' own, whose names differ in
#: letter case alone.
_TEXTS = {"SPARCL_ID": "sparcl_id", "DATA_RELEASE": "data_release"}
_NUMBERS = {
    "SPECID": "specid",
    "HPXPIXEL": "healpix",
    **dict(zip(POSITIONS[0], ("ra", "dec"), strict=True)),
}

#: Fields by which rows of DESI are flagged.
_STATUS = ("OBJTYPE", "COADD_FIBERSTATUS")

_EXPECTED = "records of SPARCL, with the fields wavelength, flux and ivar"


def _is_record(value: Any) -> bool:
    """Whether an object is a record: a mapping of fields, one of which identifies it."""
    if not isinstance(value, Mapping):
        return False
    with foreign_faults("spectra", value, _EXPECTED):
        return any(name in value for name in _MARKS)


def from_sparcl(records: Sequence[Any], first: int = 0) -> Spectra:
    """Spectra of records, a row each; `first` is the row number of the first one.

    Records that `reorder` put in for ids that were not found have no weight.
    """
    with foreign_faults("spectra", records, _EXPECTED):
        rows = [dict(record) for record in records]
    lacking = [name for name in _PIXELS.values() if not any(name in row for row in rows)]
    if rows and lacking:
        raise InputError(
            f"SPARCL records lack the fields {', '.join(lacking)}: retrieve them with "
            "client.retrieve(ids, include=[...])"
        )
    columns: dict[str, Any] = {
        column: of_objects([row.get(field) for row in rows]) for column, field in _PIXELS.items()
    }
    if any("mask" in row for row in rows):
        columns["mask"] = of_objects(list(map(_mask, rows)))
    spectra = from_columns(columns, "SPARCL record", "SPARCL records", False, None)
    ids = _ids(rows, first)
    flag = row_flags({"TARGETID": ids["TARGETID"]})
    desi = np.array([_release(row).startswith("DESI") for row in rows], dtype=bool)
    for name in _STATUS:
        there = desi & np.array([row.get(name.lower()) is not None for row in rows], dtype=bool)
        if there.any():
            flag[there] |= row_flags({key: ids[key][there] for key in ("TARGETID", name)})
    return dataclasses.replace(spectra, ids=ids, flag=flag, flux_unit=SURVEY_FLUX_UNIT)


def _release(row: Mapping[str, Any]) -> str:
    """Data release of a record, as SDSS-DR17 or DESI-DR1."""
    return str(row.get("data_release") or row.get("_dr") or "")


def _mask(row: Mapping[str, Any]) -> Any:
    """Whether pixels are bad, as in the survey's files: DESI's MASK, COMBINEREJ of and_mask."""
    mask = row.get("mask")
    if mask is None:
        return None if row.get("flux") is None else np.zeros(len(row["flux"]))
    with foreign_faults("mask", mask, "integers"):
        bits = np.asarray(mask, dtype=np.int64)
    return (bits if _release(row).startswith("DESI") else bits & COMBINEREJ) != 0


def _ids(rows: Sequence[Mapping[str, Any]], first: int) -> dict[str, AnyArray]:
    """TARGETID, what identifies a record, and the columns of the surveys that it has."""
    surveys = {column.name: column.name.lower() for column in COLUMNS if column.survey}
    fields = {**surveys, **_NUMBERS, **_TEXTS}
    fields["TARGETID"] = "targetid" if any("targetid" in row for row in rows) else "specid"
    ids = {}
    for name, field in fields.items():
        values = [row.get(field) for row in rows]
        given = [value for value in values if value is not None]
        if not given or (isinstance(given[0], str) and not given[0]):
            continue
        column = np.array(given)
        empty = missing_value(name, column.dtype)
        ids[name] = np.array([empty if value is None else value for value in values])
    texts = {name: ids.pop(name).astype(str) for name in _TEXTS if name in ids}
    if "TARGETID" not in ids:
        ids["TARGETID"] = first + np.arange(len(rows))
    return id_columns(ids, None) | texts


def _records(value: Any) -> list[Any]:
    """The records of a result of SPARCL's client: it iterates over a header too."""
    with foreign_faults("spectra", value, _EXPECTED):
        return list(value.records)


RESULT = ObjectKind(
    name="SPARCL result",
    module="sparcl",
    given="the records that the client retrieved",
    targetid="the field targetid, else specid",
    detect=lambda value: has_attributes(value, "records", "hdr", "info"),
    read=lambda value, air, edges: from_sparcl(_records(value)),
)

RECORD = ObjectKind(
    name="SPARCL record",
    module="sparcl",
    given="the fields wavelength, flux and ivar, and mask where there is one",
    targetid="the field targetid, else specid",
    detect=_is_record,
    read=lambda value, air, edges: from_sparcl([value]),
    join=lambda items, first, air, edges: from_sparcl(items, first),
)
