"""Rows of a catalogue joined with their truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from qnet.core.arrays import BoolArray, FloatArray, IntArray, match_ids
from qnet.core.errors import InputError, first_few, warn
from qnet.core.files import PathLike, as_paths, is_path
from qnet.core.positions import LINKING, are_apart
from qnet.evaluation.catalogues import read_result, result_of_table
from qnet.evaluation.options import Options, called_quasars, is_right, velocity
from qnet.evaluation.result import Result
from qnet.io.training_data import Z_LIM, not_inspected, truth_classes
from qnet.io.truth import TruthRecord, check_records, read_truth, read_truth_columns
from qnet.objective import CLASSES, QSO_CLASSES
from qnet.strategies.evidence import Evidence
from qnet.strategies.join import read_evidence

if TYPE_CHECKING:
    from astropy.table import Table


@dataclasses.dataclass(frozen=True, eq=False)
class Truth:
    """Truth of objects, in arrays: one-hot classes Y (nobj, 5), the others (nobj,)."""

    targetid: IntArray  # ascending, each once
    Y: FloatArray  # STAR, GALAXY, QSO_LZ, QSO_HZ, BAD
    z: FloatArray
    bal: FloatArray  # 1 BAL, -1 no BAL, 0 not known
    inspected: BoolArray
    columns: Mapping[str, FloatArray]  # RMAG, MAG, SNR, RA, DEC as far as known, else NaN

    def __len__(self) -> int:
        return len(self.targetid)


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """Rows of a catalogue that have truth, with Y, z, bal and columns of `Truth` row by row."""

    result: Result
    criterion: str
    called: BoolArray  # rows called quasars
    called_sure: BoolArray  # of these, rows whose truth is sure: the denominator of purity
    right: BoolArray  # rows with a right redshift
    dv: FloatArray  # velocity error of ZBEST [km/s]
    Y: FloatArray
    z: FloatArray
    bal: FloatArray
    columns: Mapping[str, FloatArray]
    number: IntArray  # of the true class: 0 STAR, 1 GALAXY, 2 QSO_LZ, 3 QSO_HZ, 4 BAD
    quasar: BoolArray  # true quasars
    bad: BoolArray  # rows whose truth is not sure
    counts: Mapping[str, int]  # of rows and objects, matched and not

    def __len__(self) -> int:
        return len(self.result)


def as_truth(
    truth: PathLike | Sequence[PathLike] | Mapping[int, TruthRecord],
    z_lim: float = Z_LIM,
    names: Mapping[str, str] | None = None,
) -> Truth:
    """Truth from files, or from records by id (which have no magnitudes and S/N)."""
    if isinstance(truth, Mapping):
        if names is not None:
            raise InputError("truth_columns goes with truth tables, not with records by id")
        records = check_records(truth)
        ids, columns = np.zeros(0, dtype=np.int64), dict[str, FloatArray]()
    else:
        paths = as_paths(truth, "truth")
        records = read_truth(paths, columns=names)
        ids, columns = read_truth_columns(paths, names)
    if not records:
        where = "it" if isinstance(truth, Mapping) else first_few(paths)
        raise InputError(f"truth is empty: no object with an id was found in {where}")
    targetid = np.array(sorted(records), dtype=np.int64)
    ordered = [records[number] for number in targetid.tolist()]
    Y, z, bal = truth_classes(ordered, z_lim)
    inspected = np.array([not not_inspected(record) for record in ordered], dtype=bool)
    matched = {name: _first_values(ids, column, targetid) for name, column in columns.items()}
    return Truth(targetid, Y, z, bal, inspected, matched)


def as_result(
    source: Result | PathLike | Table,
    *,
    need_zwarn: bool = False,
    evidence: PathLike | Sequence[PathLike] | None = None,
) -> Result:
    """A catalogue from a path, from a table of `qnet.classify`, or as it is; with evidence."""
    if isinstance(source, Result):
        result = source
    elif is_path(source):
        result = read_result(source, need_zwarn=need_zwarn)
    else:
        result = result_of_table(source)
    if evidence is None:
        return result
    own = Evidence({}) if result.evidence is None else result.evidence
    more = read_evidence(as_paths(evidence, "evidence"), result.targetid)
    return dataclasses.replace(result, evidence=own.add(more))


def match(result: Result, truth: Truth, options: Options) -> Sample:
    """Join a catalogue and truth by TARGETID; rows without inspected truth are only counted.

    Truth that has no such ids is joined by plate, MJD and fibre (`read_truth`). Rows more than 2
    arcsec from the truth of their TARGETID are of another object.
    """
    # Each row counts once, also where several rows are of one object (repeated spectra).
    nearest = match_ids(truth.targetid, result.targetid)
    if result.spectrum is not None:
        of_spectrum = match_ids(truth.targetid, result.spectrum)
        nearest = np.where(nearest >= 0, nearest, of_spectrum)
    known = nearest >= 0
    known &= ~_is_elsewhere(result, truth, nearest, known)
    inspected = known & truth.inspected[nearest]
    objects = nearest[inspected]
    matched = result.select(inspected)
    called, criterion = called_quasars(matched, options)
    number = truth.Y.argmax(axis=1)
    quasar, bad = np.isin(number, QSO_CLASSES), number == CLASSES.index("BAD")
    present = np.isin(np.arange(len(truth)), nearest[known])
    distinct = len(np.unique(objects))
    counts = {
        **{f"rows left out: {reason}": number for reason, number in result.left_out.items()},
        "rows": len(result),
        "rows without truth": int((~known).sum()),
        "rows whose truth was not inspected": int((known & ~inspected).sum()),
        "rows evaluated": len(matched),
        "rows evaluated beyond the first of their TARGETID": len(matched) - distinct,
        "rows evaluated without a redshift": int(np.isnan(matched.zbest).sum()),
        "objects of the truth": len(truth),
        "objects of the truth without a row": int((~present).sum()),
        "true quasars without a row": int((quasar & ~present).sum()),
    }
    z = truth.z[objects]
    return Sample(
        result=matched,
        criterion=criterion,
        called=called,
        called_sure=called & ~bad[objects],
        right=is_right(matched.zbest, z, options.dv_max),
        dv=velocity(matched.zbest, z),
        Y=truth.Y[objects],
        z=z,
        bal=truth.bal[objects],
        columns={name: column[objects] for name, column in truth.columns.items()},
        number=number[objects],
        quasar=quasar[objects],
        bad=bad[objects],
        counts=counts,
    )


def _is_elsewhere(result: Result, truth: Truth, nearest: IntArray, known: BoolArray) -> BoolArray:
    """Rows that are not at the position of the truth of their TARGETID, with a warning."""
    if result.ra is None or result.dec is None or not {"RA", "DEC"} <= set(truth.columns):
        return np.zeros(len(result), dtype=bool)
    there = truth.columns["RA"][nearest], truth.columns["DEC"][nearest]
    elsewhere = known & are_apart((result.ra, result.dec), there)
    if elsewhere.any():
        warn(
            f"{int(elsewhere.sum())} of the {len(result)} rows are more than {LINKING:g} arcsec "
            "from the truth of their TARGETID, and are not joined with it: "
            f"{first_few(np.unique(result.targetid[elsewhere]).tolist())}"
        )
    return elsewhere


def _first_values(ids: IntArray, values: FloatArray, targetid: IntArray) -> FloatArray:
    """Value of the first row of each id in `targetid` that has one; NaN where none has."""
    known = np.isfinite(values)
    at = match_ids(ids[known], targetid)
    found = np.full(len(targetid), np.nan)
    found[at >= 0] = values[known][at[at >= 0]]
    return found
