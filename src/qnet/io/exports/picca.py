"""Quasar catalogues of picca, which makes Lyman-alpha forests of the quasars in them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray, IntArray, as_floats
from qnet.core.columns import BY_NAME, Column
from qnet.core.errors import InputError, warn
from qnet.io.catalogue import Catalogue
from qnet.io.columns import NO_ID
from qnet.io.exports.columns import Source

#: Names of the HDUs: for TARGETID; for THING_ID, where picca has broad absorption in its own.
_ZCATALOG, _CATALOG, _BALCAT = "ZCATALOG", "CATALOG", "BALCAT"

#: Identifiers of a spectrum of SDSS.
_SDSS = ("PLATE", "MJD", "FIBERID")

#: Indices of absorption, and velocities [km/s] of the troughs, least and largest.
_INDICES = ("AI_CIV", "BI_CIV")
_TROUGHS = (("VMIN_CIV_450", "VMAX_CIV_450"), ("VMIN_CIV_2000", "VMAX_CIV_2000"))

#: Columns that are others of the catalogue, or not of it.
_DESCRIBED: Mapping[str, Column] = {
    "Z": BY_NAME["ZBEST"],
    "RA": BY_NAME["TARGET_RA"],
    "DEC": BY_NAME["TARGET_DEC"],
    "COADD_LASTNIGHT": BY_NAME["LASTNIGHT"],
    "ZWARN": Column("ZWARN", description="bits of redshift warnings, as redrock's"),
    "AI_CIV": Column("AI_CIV", description="absorption index of CIV", unit="km/s"),
    "BI_CIV": Column("BI_CIV", description="balnicity index of CIV", unit="km/s"),
    **{
        name: Column(name, description=f"{word} velocities of troughs of CIV", unit="km/s")
        for pair in _TROUGHS
        for name, word in zip(pair, ("least", "largest"), strict=True)
    },
}


def make_picca(catalogue: Catalogue) -> dict[str, Catalogue]:
    """The HDUs: a row for each quasar that has a position and an id, in each survey."""
    source = Source(catalogue, "picca")
    source.require("TARGETID", "IS_QSO", "ZBEST", "TARGET_RA", "TARGET_DEC")
    position = source.floats("TARGET_RA"), source.floats("TARGET_DEC")
    quasar = source.bools("IS_QSO")
    placed = np.isfinite(position[0]) & np.isfinite(position[1])
    chosen = _with(placed, quasar, "position")
    sdss = _of_sdss(source, chosen)
    name = "THING_ID" if sdss and "THING_ID" in source.columns else "TARGETID"
    targetid = source.integers(name)
    # picca takes no THING_ID that is not positive.
    chosen = _with(targetid > 0 if name == "THING_ID" else targetid != NO_ID, chosen, name)
    rows = _best_rows(source, chosen, targetid)
    redshift = {
        "Z": source.floats("ZBEST"),
        "ZERR": source.floats("ZERR"),
        "ZWARN": source.zwarn(),
    }
    bals = _find_bals(source)
    if sdss:
        ids = {"THING_ID": targetid, **{name: source.integers(name) for name in _SDSS}}
        places = dict(zip(("RA", "DEC"), position, strict=True))
        tables: dict[str, dict[str, AnyArray]] = {_CATALOG: ids | places | redshift | bals}
        if bals:
            tables[_BALCAT] = {"THING_ID": targetid, **bals}
    else:
        places = dict(zip(("TARGET_RA", "TARGET_DEC"), position, strict=True))
        tables = {_ZCATALOG: {"TARGETID": targetid} | places | redshift | _of_desi(source) | bals}
    return {
        name: source.table({key: x[rows] for key, x in columns.items()}, _DESCRIBED)
        for name, columns in tables.items()
    }


def _with(there: BoolArray, chosen: BoolArray, what: str) -> BoolArray:
    """The chosen rows that have what picca needs; with a warning of the others."""
    if lost := int((chosen & ~there).sum()):
        warn(f"{lost} of {chosen.sum()} quasars have no {what}: they are left out for picca")
    return chosen & there


def _of_sdss(source: Source, chosen: BoolArray) -> bool:
    """Whether the ids of the chosen rows are those of SDSS; InputError where of some only."""
    if not set(_SDSS) <= set(source.columns):
        return False
    sdss = source.integers("PLATE")[chosen] >= 0
    if sdss.any() and not sdss.all():
        raise InputError(
            f"{sdss.sum()} of {sdss.size} quasars have a PLATE of SDSS and the others none: picca "
            "reads either kind from a file of its own, so export them apart"
        )
    return bool(sdss.any())


def _best_rows(source: Source, chosen: BoolArray, targetid: IntArray) -> IntArray:
    """Of the chosen rows of each object that with the largest P_QSO, in the order of the input."""
    rows = np.flatnonzero(chosen)
    rows = rows[np.argsort(-np.nan_to_num(source.floats("P_QSO")[rows]), kind="stable")]
    # Of each survey, because picca reads a target of two surveys from a file of each.
    survey = np.unique(source.texts("SURVEY")[rows], return_inverse=True)[1]
    _, first = np.unique(np.stack([targetid[rows], survey]), axis=1, return_index=True)
    return np.sort(rows[first])


def _of_desi(source: Source) -> dict[str, AnyArray]:
    """Columns by which picca chooses the files of DESI and blinds them, where known."""
    found: dict[str, AnyArray] = {}
    if (survey := source.texts("SURVEY")).any():
        found["SURVEY"] = survey
    name = "COADD_LASTNIGHT"
    # picca wants this name for spectra after DR1, and takes it for earlier ones.
    night = source.integers(name if name in source.columns else "LASTNIGHT")
    if (night > 0).any():
        found[name] = night
    return found


def _find_bals(source: Source) -> dict[str, AnyArray]:
    """Measured indices and troughs of broad absorption, VMIN below VMAX; nothing where none are."""
    indices = {name: source.floats(name) for name in _INDICES if name in source.columns}
    found: dict[str, AnyArray] = {}
    for pair in _TROUGHS:
        if set(pair) <= set(source.columns):
            # Catalogues differ in which of the two is the larger.
            ends = np.stack([as_floats(f"column {name}", source.columns[name]) for name in pair])
            measured = (ends > 0).all(axis=0)
            found |= dict(zip(pair, np.where(measured, np.sort(ends, axis=0), ends), strict=True))
    troughs = {name: values for name, values in found.items() if (values > 0).any()}
    # An index of 0 is measured: no absorption.
    return {name: x for name, x in indices.items() if np.isfinite(x).any()} | troughs
