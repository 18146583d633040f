"""One answer per object from the evidence of qnet and redrock."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, BoolArray, FloatArray, take_rows
from qnet.core.columns import BY_NAME, Column
from qnet.core.errors import InputError, warn
from qnet.core.files import PathLike
from qnet.core.flags import NEVER_QSO
from qnet.io.catalogue import read_catalogue
from qnet.io.chi2_scan import read_excess
from qnet.io.columns import bool_column, filled, float_column
from qnet.io.fits.file import FitsFile
from qnet.io.tables import check_table, set_format
from qnet.lines import SPEED_OF_LIGHT
from qnet.redrock.redshifts import read_redshifts
from qnet.redrock.weights import AGREEMENT, Evidence, MergeWeights, load_weights
from qnet.strategies import Strategy, as_strategy

if TYPE_CHECKING:
    from astropy.table import Table

#: A redshift of redrock is good above this DELTACHI2, without a warning: the limit that DESI asks
#: of its quasar redshifts (Lan et al. 2023, arXiv:2208.08516, section 5).
GOOD_DELTACHI2 = 25.0

#: A line is weak where neither its confidence nor P_Z is above this: what DESI's catalogues ask of
#: a line in place of redrock.
STRONG = 0.95

#: Column of DESI's MgII afterburner.
_MGII = "IS_QSO_MGII"

#: Columns of the catalogue that the merged answer takes, by the names that they are kept under.
KEPT = {
    "ZBEST": "Z_QN",
    "ZERR": "ZERR_QN",
    "P_Z": "P_Z_QN",
    "P_QSO": "P_QSO_QN",
    "IS_QSO": "IS_QSO_QN",
}

#: Descriptions of the columns that catalogues of qnet do not have.
_COLUMNS = (
    *(
        dataclasses.replace(BY_NAME[own], name=kept, description=f"{own} of qnet alone")
        for own, kept in KEPT.items()
    ),
    Column("Z_RR", "f8", "redshift of redrock", format=".5f"),
    Column("ZERR_RR", "f8", "error of Z_RR, by redrock", format=".5f"),
    Column("ZWARN_RR", "int", "bits of redrock's warnings"),
    Column("SPECTYPE_RR", "str", "class by redrock"),
    Column(
        "DELTACHI2_RR", "f8", "chi2 of redrock's second best redshift beyond its best", format=".1f"
    ),
    Column("Z_FROM", "str", "whose redshift ZBEST is: both, qnet, redrock, or empty"),
    Column("WHY", "str", "why ZBEST is that redshift"),
)

#: Reasons: values of the column WHY.
BOTH, QNET, REDROCK, WEAK, MGII, ONLY_QNET, ONLY_REDROCK, NONE = (
    "both agree",
    "qnet has better odds",
    "redrock has better odds",
    "redrock kept: the line is weak",
    "redrock kept: MgII quasar",
    "qnet alone has an answer",
    "redrock alone has an answer",
    "neither has an answer",
)


def merge(
    catalogue: PathLike | Table,
    redshifts: PathLike,
    *,
    chi2_scan: PathLike | None = None,
    strategy: str | Strategy = "qnet",
) -> Table:
    """Merge a catalogue with redrock's redshifts: one class and redshift for each object.

    Parameters
    ----------
    catalogue : path or astropy.table.Table
        If it has no P_QSO or no P_Z, the confidence of the best line is used instead.
    redshifts : str or path
        redrock's file of the same targets, matched by TARGETID. A column IS_QSO_MGII, there or in
        the catalogue, is that of DESI's MgII afterburner.
    chi2_scan : str or path, optional
        redrock's details file (``rrdesi --details``). The fit of a quasar at qnet's redshift is
        then evidence too.
    strategy : str or Strategy
        The rule (`qnet.strategies`) for IS_QSO, applied to the merged columns.

    Returns
    -------
    astropy.table.Table
        The rows of the catalogue. ZBEST, ZERR, P_Z, P_QSO and IS_QSO are the merged result, Z_QN,
        ZERR_QN, P_Z_QN, P_QSO_QN and IS_QSO_QN those of the catalogue; Z_RR, ZERR_RR, ZWARN_RR,
        SPECTYPE_RR and DELTACHI2_RR those of redrock; Z_FROM is 'both', 'qnet', 'redrock' or '',
        and WHY gives the reason.

    Raises
    ------
    MissingFileError, FileError
        A file is missing, damaged, lacks a column, or the two have no TARGETID in common.
    InputError
        An argument is not valid, or a column of the catalogue is missing.

    Notes
    -----
    P_QSO, and which of two redshifts is right, are logistic regressions on the odds of the class
    and of the redshift by qnet, on SPECTYPE, DELTACHI2 and ZWARN of redrock, and on whether the
    redshifts agree within 3000 km/s; recipes/merge_weights.py fits them on simulated targets.

    Two rules do not depend on the weights. A redshift of redrock with ZWARN 0 and DELTACHI2 above
    25 is replaced only if the best line of qnet or P_Z is above 0.95, or, where SPECTYPE is not
    QSO, P_QSO is. An MgII quasar stays a quasar at redrock's redshift.

    Examples
    --------
    >>> import numpy as np
    >>> import qnet
    >>> from astropy.table import Table
    >>> from qnet.redrock import merge
    >>> catalogue = Table({
    ...     "TARGETID": [7, 8], "IS_QSO": [True, True], "P_QSO": [0.99, 0.7],
    ...     "ZBEST": [2.1, 1.94], "ZERR": [0.01, 0.02], "P_Z": [0.99, 0.6], "QN_FLAG": [0, 0],
    ...     "C_LINES": [[0.99], [0.6]],
    ... }, meta={"PTHRESH": 0.5})
    >>> rows = {
    ...     "TARGETID": np.array([7, 8]), "Z": np.array([2.102, 5.62]),
    ...     "SPECTYPE": np.array(["QSO", "QSO"]), "ZWARN": np.array([0, 0]),
    ...     "DELTACHI2": np.array([900.0, 300.0]),
    ... }
    >>> path = qnet.io.write_table("redrock.fits", rows, extname="REDSHIFTS")
    >>> print(merge(catalogue, path)["ZBEST", "Z_FROM", "WHY"])
    ZBEST  Z_FROM              WHY
    ----- ------- ------------------------------
      2.1    both                     both agree
     5.62 redrock redrock kept: the line is weak
    """
    check_arguments(merge, locals())
    rule = as_strategy(strategy)
    named = isinstance(catalogue, str | os.PathLike)
    table = read_catalogue(catalogue) if named else check_table("catalogue", catalogue).copy()
    where = os.fsdecode(catalogue) if named else "the catalogue"
    _check(table, where)
    _add_redrock(table, redshifts, where)
    evidence = _evidence(table, chi2_scan)
    mgii = np.zeros(len(table), dtype=bool)
    if _MGII in table.colnames:
        mgii = bool_column(filled(table[_MGII], _MGII), _MGII, None)
    weights = load_weights()
    combine(table, evidence, mgii, weights)
    table["IS_QSO"] = rule(table).is_qso | (mgii & _may_be_quasar(table))
    for column in _COLUMNS:
        table[column.name].description = column.description
        set_format(table[column.name], column.format)
    table.meta |= {
        "STRATEGY": str(rule),
        "MERGED": "qnet and redrock",
        "MERGEFIT": weights.fitted_on,
    }
    return table


def combine(table: Table, evidence: Evidence, mgii: BoolArray, weights: MergeWeights) -> None:
    """Give a table the merged answers of the evidence, the catalogue's own under other names."""
    for name, kept in KEPT.items():
        table[kept] = table[name]
    seen, fitted = np.isfinite(evidence.z), np.isfinite(evidence.z_redrock)
    both = seen & fitted
    right = weights.probability("qnet_right", evidence)
    keeps = both & ~evidence.agree & (mgii | _is_protected(table, evidence))
    by_redrock = fitted & (~seen | (~evidence.agree & ((right < 0.5) | keeps)))
    table["ZBEST"] = np.where(by_redrock, evidence.z_redrock, evidence.z)
    zerr = np.where(by_redrock, table["ZERR_RR"], table["ZERR_QN"])
    table["ZERR"] = zerr.astype(np.float32)
    chosen = np.where(by_redrock, 1 - right, right) * weights.one_right
    agreed = weights.probability("agreed_right", evidence)
    p_z = np.where(evidence.agree, agreed, chosen)
    table["P_Z"] = np.where(both, p_z, np.where(seen, evidence.p_z, np.nan)).astype(np.float32)
    p_qso = weights.probability("quasar", evidence)
    merged = np.where(fitted, p_qso, evidence.p_qso)
    table["P_QSO"] = np.where(_may_be_quasar(table), merged, np.nan).astype(np.float32)
    tests = [~seen & ~fitted, ~seen, ~fitted, evidence.agree, keeps & mgii]
    weak = keeps & (right >= 0.5)
    table["WHY"] = np.select(
        [*tests, weak, by_redrock], [NONE, ONLY_REDROCK, ONLY_QNET, BOTH, MGII, WEAK, REDROCK], QNET
    )
    table["Z_FROM"] = np.select(
        [~seen & ~fitted, both & evidence.agree, by_redrock], ["", "both", "redrock"], "qnet"
    )


def _check(table: Table, where: str) -> None:
    """Raise unless a catalogue has what is merged, and no merged answer yet."""
    needed = ("TARGETID", "QN_FLAG", "C_LINES", *KEPT)
    if missing := [name for name in needed if name not in table.colnames]:
        raise InputError(f"{where}: lacks the column(s) {', '.join(missing)} of a qnet catalogue")
    if "WHY" in table.colnames:
        raise InputError(f"{where}: is merged already")


def _add_redrock(table: Table, path: PathLike, where: str) -> None:
    """Give a table the columns of redrock."""
    found = read_redshifts(path)
    rows = found.rows_of(table, where)
    if lacking := [name for name in ("ZWARN", "DELTACHI2") if name not in found.columns]:
        warn(f"{path}: lacks {', '.join(lacking)}, which the merge takes as 0")
    for name, empty in (("Z", np.nan), ("ZERR", np.nan), ("ZWARN", 0), ("SPECTYPE", "")):
        table[f"{name}_RR"] = found.take(name, rows, empty)
    table["DELTACHI2_RR"] = found.take("DELTACHI2", rows, np.nan)
    with FitsFile(path) as fits:
        hdu = "REDSHIFTS" if fits.is_table("REDSHIFTS") else "ZBEST"
        if _MGII in fits.columns(hdu) and _MGII not in table.colnames:
            values = bool_column(fits.table(hdu, [_MGII])[_MGII], _MGII, Path(path))
            table[_MGII] = take_rows(values, rows, False)


def _evidence(table: Table, chi2_scan: PathLike | None) -> Evidence:
    """What both finders say of each row."""
    columns = {
        name: float_column(filled(table[name], name), name, None)
        for name in ("P_QSO", "P_Z", "ZBEST", "Z_RR", "DELTACHI2_RR")
    }
    z, confidence = columns["ZBEST"], _best_line(table["C_LINES"])
    for name in ("P_QSO", "P_Z"):
        columns[name] = np.where(np.isfinite(columns[name]), columns[name], confidence)
    excess = np.full(len(z), np.nan)
    if chi2_scan is not None:
        width = AGREEMENT / SPEED_OF_LIGHT * (1 + z)
        excess = read_excess(chi2_scan, np.asarray(table["TARGETID"]), z, width)
    return Evidence(
        p_qso=columns["P_QSO"],
        p_z=columns["P_Z"],
        z=z,
        z_redrock=columns["Z_RR"],
        is_qso=np.asarray(table["SPECTYPE_RR"]) == "QSO",
        deltachi2=columns["DELTACHI2_RR"],
        zwarn=np.asarray(table["ZWARN_RR"]) != 0,
        excess=excess,
    )


def _is_protected(table: Table, evidence: Evidence) -> BoolArray:
    """Rows whose redshift by redrock is good, and what qnet says against it weak."""
    good = ~evidence.zwarn & (evidence.deltachi2 > GOOD_DELTACHI2)
    surest = np.fmax(_best_line(table["C_LINES"]), evidence.p_z)
    # That of a galaxy or star stands against the class as well.
    surest = np.where(evidence.is_qso, surest, np.fmax(surest, evidence.p_qso))
    return np.asarray(good & (surest <= STRONG))


def _best_line(values: AnyArray) -> FloatArray:
    """Confidence of the best line of each row."""
    lines = np.nan_to_num(np.asarray(values, dtype=np.float64), nan=0.0)
    return np.asarray(lines.max(axis=1, initial=0.0))


def _may_be_quasar(table: Table) -> BoolArray:
    """Rows without a flag that says they are none."""
    return np.asarray((np.asarray(table["QN_FLAG"]) & NEVER_QSO) == 0)
