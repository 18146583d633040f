"""Evaluation of one catalogue, or comparison of several, against truth."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qnet.core.arguments import check_arguments
from qnet.core.errors import InputError, first_few, type_name
from qnet.core.files import PathLike
from qnet.evaluation.breakdown import (
    by_brightness,
    by_class,
    by_redshift,
    class_confusion,
    classification,
)
from qnet.evaluation.options import DV_MAX, Options, follow_strategy, line_criterion, missing_for
from qnet.evaluation.purity import Scan, purity_completeness
from qnet.evaluation.reliability import bal, calibration, redshift_reliability
from qnet.evaluation.report import Comparison, Evaluation
from qnet.evaluation.result import Result
from qnet.evaluation.sample import Sample, Truth, as_result, as_truth, match
from qnet.evaluation.velocities import line_confusion, redshift_errors
from qnet.io.training_data import Z_LIM
from qnet.io.truth import TruthRecord

if TYPE_CHECKING:
    from astropy.table import Table

#: Kinds of truth that `evaluate` takes.
TruthLike = PathLike | Sequence[PathLike] | Mapping[int, TruthRecord]


def evaluate(
    catalogue: Result | PathLike | Table,
    truth: TruthLike,
    *,
    c_threshold: float | None = None,
    min_lines: int | None = None,
    p_threshold: float | None = None,
    strategy: str | None = None,
    evidence: PathLike | Sequence[PathLike] | None = None,
    truth_columns: Mapping[str, str] | None = None,
    need_zwarn: bool = False,
    dv_max: float = DV_MAX,
    z_lim: float = Z_LIM,
    level: float = 0.95,
    nboot: int = 500,
    seed: int = 0,
) -> Evaluation:
    """Evaluate a catalogue against truth: purity, completeness, redshift errors, calibration.

    Parameters
    ----------
    catalogue : path, astropy.table.Table or Result
        A catalogue of qnet, QuasarNET, DESI's afterburner, redrock or SQUEzE
        (`qnet.evaluation.read_result`), or a table of `qnet.classify`.
    truth : path, sequence of paths, or mapping of int to TruthRecord
        Truth tables (`qnet.io.read_truth`), or records by TARGETID.
    c_threshold, min_lines, p_threshold, strategy, dv_max, z_lim, level, nboot, seed
        As in `qnet.evaluation.Options`: the criterion of a quasar (the catalogue's own by
        default), the limit of a right redshift [km/s], that of the quasar classes, and the
        intervals.
    evidence : path or sequence of paths, optional
        Files of redrock, SQUEzE or DESI's afterburners that the strategy needs beside the
        catalogue, joined by TARGETID (`qnet.strategies.join_evidence`).
    truth_columns : mapping of str to str, optional
        Names of the columns 'id', 'z' and 'class' of truth tables, as `columns` of
        `qnet.io.read_truth`.
    need_zwarn : bool
        Whether a quasar of redrock needs ZWARN == 0; for catalogues of redrock only.

    Returns
    -------
    Evaluation
        Rows without a redshift (NaN) count as not right.

    Raises
    ------
    MissingFileError, FileError
        A file is missing, damaged, or of no known layout.
    InputError
        An option is not valid, the catalogue lacks a column that the criterion needs, or none of
        its rows has truth.

    Examples
    --------
    >>> import qnet
    >>> from astropy.table import Table
    >>> rows = {"TARGETID": [1, 2, 3], "ZBEST": [1.0, 2.0, 1.5], "IS_QSO": [True, True, False]}
    >>> star = qnet.io.TruthRecord(0.0, 1, 3, 0, 0.0)
    >>> quasar = qnet.io.TruthRecord(1.0, 3, 3, 0, 0.0)
    >>> evaluation = qnet.evaluate(Table(rows), {1: quasar, 2: star, 3: quasar})
    >>> evaluation.metric("purity").value, evaluation.metric("completeness").value
    (0.5, 0.5)
    """
    check_arguments(evaluate, locals())
    options = Options(
        c_threshold, min_lines, p_threshold, dv_max, z_lim, level, nboot, seed, strategy
    )
    result = as_result(catalogue, need_zwarn=need_zwarn, evidence=evidence)
    _check_zwarn([result], need_zwarn)
    if lacking := missing_for(result, options):
        raise InputError(f"{result.name}: {lacking}")
    known = as_truth(truth, options.z_lim, truth_columns)
    return _measure(follow_strategy(result, options), known, options)


def compare(
    catalogues: Sequence[Result | PathLike | Table],
    truth: TruthLike,
    *,
    need_zwarn: bool = False,
    evidence: PathLike | Sequence[PathLike] | None = None,
    truth_columns: Mapping[str, str] | None = None,
    **options: Any,
) -> Comparison:
    """Evaluate several catalogues against one truth, on all rows of each and on common targets.

    Parameters
    ----------
    catalogues : sequence of path, astropy.table.Table or Result
    truth, need_zwarn, evidence, truth_columns
        As in `qnet.evaluate`.
    **options
        As in `Options`. A catalogue that lacks what the criterion needs keeps its own; the report
        names the criterion of each.

    Returns
    -------
    Comparison

    Raises
    ------
    MissingFileError, FileError, InputError
        As in `qnet.evaluate`; or no catalogue has what the criterion needs.

    Examples
    --------
    >>> import qnet
    >>> from astropy.table import Table
    >>> rows = Table({"TARGETID": [1, 2], "ZBEST": [1.0, 2.0], "IS_QSO": [True, True]})
    >>> truth = {number: qnet.io.TruthRecord(1.0, 3, 3, 0, 0.0) for number in (1, 2)}
    >>> both = qnet.evaluation.compare([rows, rows[:1]], truth, dv_max=3000.0)
    >>> [each.metric("purity").value for each in both.evaluations]
    [0.5, 1.0]
    """
    check_arguments(compare, locals())
    legal = [field.name for field in dataclasses.fields(Options)]
    if unknown := sorted(set(options) - set(legal)):
        raise InputError(f"unknown option(s) {unknown}: the legal ones are {legal}")
    chosen = Options(**options)
    if isinstance(catalogues, (str, os.PathLike)):
        catalogues = [catalogues]
    if not isinstance(catalogues, (list, tuple)):
        raise InputError(f"catalogues must be a list of catalogues, not {type_name(catalogues)}")
    if not catalogues:
        raise InputError("catalogues is empty: at least one was expected")
    results = [as_result(source, need_zwarn=need_zwarn, evidence=evidence) for source in catalogues]
    _check_zwarn(results, need_zwarn)
    names = _distinct_names([result.name for result in results], catalogues)
    results = [dataclasses.replace(r, name=name) for r, name in zip(results, names, strict=True)]
    if all(lacking := [missing_for(result, chosen) for result in results]):
        raise InputError(f"{', '.join(names)}: {lacking[0]}")
    results = [follow_strategy(result, chosen) for result in results]
    known = as_truth(truth, chosen.z_lim, truth_columns)
    evaluations = tuple(_measure(result, known, chosen) for result in results)
    if len(results) == 1:
        return Comparison(evaluations, None)
    ids = set.intersection(*(set(each.sample.result.targetid.tolist()) for each in evaluations))
    if not ids:
        return Comparison(evaluations, ())
    shared = np.array(sorted(ids), dtype=np.int64)
    common = (result.select(np.isin(result.targetid, shared)) for result in results)
    return Comparison(
        evaluations,
        tuple(_measure(dataclasses.replace(each, left_out={}), known, chosen) for each in common),
    )


def _check_zwarn(results: Sequence[Result], need_zwarn: bool) -> None:
    """Raise if ZWARN is asked for, and no catalogue is one of redrock."""
    if need_zwarn and not any(result.kind == "redrock" for result in results):
        kinds = ", ".join(dict.fromkeys(result.kind for result in results))
        raise InputError(f"need_zwarn is for catalogues of redrock, and these are of {kinds}")


# A catalogue may hold any number: what overflows is infinite, and no right redshift.
@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def _measure(result: Result, truth: Truth, options: Options) -> Evaluation:
    """Everything about one catalogue."""
    if len(result) == 0:
        raise InputError(f"{result.name}: has no rows to evaluate")
    sample = match(result, truth, options)
    if len(sample) == 0:
        raise InputError(
            f"{result.name}: none of its {len(result)} rows has truth: its TARGETIDs are "
            f"{first_few(result.targetid)}, those of the truth {first_few(truth.targetid)}"
        )
    lines, confused = line_confusion(sample, options)
    curve, calibration_metrics = calibration(sample, options)
    metrics = (
        *classification(sample, options),
        confused,
        *by_class(sample, options),
        *by_redshift(sample, options),
        *by_brightness(sample, options),
        *redshift_errors(sample, options),
        *calibration_metrics,
        *redshift_reliability(sample, options),
        *bal(sample, options),
    )
    return Evaluation(
        name=result.name,
        kind=result.kind,
        criterion=sample.criterion,
        options=options,
        counts=sample.counts,
        metrics=metrics,
        classes=class_confusion(sample, options),
        lines=lines,
        scans=tuple(_scans(sample, options)),
        calibration=curve,
        sample=sample,
    )


def _scans(sample: Sample, options: Options) -> Iterator[Scan]:
    """Purity and completeness against the thresholds that the catalogue has."""
    result = sample.result
    _, min_lines = line_criterion(result, options)
    scores = [(result.c_lines, min_lines, "line confidence"), (result.score, 1, result.score_name)]
    for score, needed, label in scores:
        if score is not None:
            yield purity_completeness(
                np.where(result.never_qso, np.nan, np.atleast_2d(score.T)),
                result.zbest,
                sample.Y,
                sample.z,
                min_lines=needed,
                dv_max=options.dv_max,
                level=options.level,
                label=label if needed == 1 else f"{label}, {needed} lines",
            )


def _distinct_names(names: list[str], sources: Sequence[Any]) -> list[str]:
    """Names that differ: the paths, else numbers, where file names do not."""
    both = zip(names, sources, strict=True)
    paths = [os.fspath(s) if isinstance(s, (str, os.PathLike)) else name for name, s in both]
    names = [
        path if names.count(name) > 1 else name for name, path in zip(names, paths, strict=True)
    ]
    return [
        f"{name} ({number})" if names.count(name) > 1 else name
        for number, name in enumerate(names, start=1)
    ]
