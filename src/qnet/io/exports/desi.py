"""Catalogues as columns of DESI's redshift catalogues, and as files of redrock."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from qnet.core.arrays import AnyArray
from qnet.core.columns import BY_NAME, Column, known_column
from qnet.core.errors import InputError
from qnet.core.zwarn import BITS
from qnet.io.catalogue import Catalogue, from_table
from qnet.io.exports.columns import Source, renamed
from qnet.io.line_columns import split_lines

#: Columns of `desi` that are others of the catalogue.
_OF_DESI = {"Z_QSO": "ZBEST", "ZERR_QSO": "ZERR", "IS_QSO_QNET": "IS_QSO"}

#: Classes other than quasars of redrock's SPECTYPE, and the columns of their probabilities.
_CLASSES = {"STAR": "P_STAR", "GALAXY": "P_GALAXY"}

#: Columns of emission lines; those of BAL lines and of errors have none in DESI's catalogues.
_LINE = re.compile(r"[CZ]_(?!BAL_)")

#: Number of coefficients in redrock's files.
_NCOEFF = 10

#: Columns of `redrock` that are not those of the catalogue.
_OF_REDROCK: Mapping[str, Column] = {
    "Z": renamed(BY_NAME["ZBEST"], "Z"),
    "ZWARN": Column("ZWARN", description="bits of redshift warnings"),
    "SPECTYPE": Column("SPECTYPE", description="spectral type", ucd="src.class"),
    "SUBTYPE": Column("SUBTYPE", description="spectral subtype: none"),
    "CHI2": Column("CHI2", description="chi2 of a template: none"),
    "COEFF": Column("COEFF", description="coefficients of a template: none"),
    "NPIXELS": Column("NPIXELS", description="pixels fitted by a template: none"),
    "NCOEFF": Column("NCOEFF", description="number of coefficients: none"),
    "DELTACHI2": Column("DELTACHI2", description="chi2 to the next best template: none"),
}


def make_desi(catalogue: Catalogue) -> dict[str, Catalogue]:
    """HDU ZCATALOG: row i is row i of the catalogue, with the columns of each line."""
    source = Source(catalogue, "desi")
    source.require("TARGETID", "ZBEST", "IS_QSO", "QN_FLAG")
    split = from_table(split_lines(catalogue.to_table(), short=True))
    lines = [name for name in split.columns if name not in catalogue.columns]
    lines = [name for name in lines if _LINE.match(name)]
    if not lines:
        raise InputError("the catalogue has no columns of lines, or its header does not name them")
    columns: dict[str, AnyArray] = {
        "TARGETID": source.integers("TARGETID"),
        "Z_QSO": source.floats("ZBEST"),
        "ZERR_QSO": source.floats("ZERR").astype(np.float32),
        "IS_QSO_QNET": source.bools("IS_QSO"),
    }
    columns |= {name: split.columns[name].astype(np.float32) for name in lines}
    columns["QN_FLAG"] = source.integers("QN_FLAG").astype(np.int32)
    described = {name: split.info[name] for name in lines}
    described |= {name: BY_NAME[of] for name, of in _OF_DESI.items()}
    return {"ZCATALOG": source.table(columns, described)}


def make_redrock(catalogue: Catalogue) -> dict[str, Catalogue]:
    """HDUs REDSHIFTS and FIBERMAP: row i is row i of the catalogue."""
    source = Source(catalogue, "redrock")
    source.require("TARGETID", "ZBEST", "IS_QSO")
    targetid, quasar, nrows = source.integers("TARGETID"), source.bools("IS_QSO"), len(catalogue)
    zwarn = source.zwarn()
    zwarn[~quasar] |= BITS["SMALL_DELTA_CHI2"]
    nothing = np.full(nrows, np.nan)
    redshifts: dict[str, AnyArray] = {
        "TARGETID": targetid,
        "CHI2": nothing,
        "COEFF": np.full((nrows, _NCOEFF), np.nan),
        "Z": np.where(quasar, source.floats("ZBEST"), np.nan),
        "ZERR": np.where(quasar, source.floats("ZERR"), np.nan),
        "ZWARN": zwarn,
        "NPIXELS": np.zeros(nrows, dtype=np.int64),
        "SPECTYPE": _spectype(source).astype("S6"),
        "SUBTYPE": np.full(nrows, "", dtype="S20"),
        "NCOEFF": np.zeros(nrows, dtype=np.int64),
        "DELTACHI2": nothing,
    }
    survey = [name for name in source.columns if known_column(name).survey and name != "TARGETID"]
    fibermap = {"TARGETID": targetid} | {name: source.columns[name] for name in survey}
    return {
        "REDSHIFTS": source.table(redshifts, _OF_REDROCK),
        "FIBERMAP": source.table(fibermap, {}),
    }


def _spectype(source: Source) -> AnyArray:
    """QSO where a row is a quasar; of others the more probable class, where it is known."""
    names = np.array(["", *_CLASSES])
    p = np.stack([np.zeros(len(source)), *map(source.floats, _CLASSES.values())])
    best = np.where(np.isfinite(p).all(axis=0), np.nan_to_num(p).argmax(axis=0), 0)
    return np.where(source.bools("IS_QSO"), "QSO", names[best])
