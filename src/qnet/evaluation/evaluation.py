"""Catalogues against truth: everything that is measured, for one catalogue or several."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qnet.core.errors import InputError
from qnet.core.files import PathLike
from qnet.evaluation import report
from qnet.evaluation.breakdown import (
    Confusion,
    by_brightness,
    by_class,
    by_redshift,
    class_confusion,
    classification,
)
from qnet.evaluation.catalogues import Result
from qnet.evaluation.metric import Metric
from qnet.evaluation.options import DV_MAX, Options, can_apply, line_rule
from qnet.evaluation.purity import Scan, purity_completeness
from qnet.evaluation.reliability import Calibration, bal, calibration
from qnet.evaluation.sample import Sample, Truth, as_result, as_truth, match
from qnet.evaluation.velocities import known_lines, line_confusion, redshift_errors
from qnet.io.training_data import Z_LIM
from qnet.io.truth import TruthRecord

if TYPE_CHECKING:
    from astropy.table import Table

#: What a truth can be given as.
TruthLike = Truth | PathLike | Sequence[PathLike] | Mapping[int, TruthRecord]

#: Format of the JSON, for readers of later versions.
FORMAT, FORMAT_VERSION = "qnet-evaluation", 1


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured of one catalogue.

    Attributes
    ----------
    name, kind, rule : str
        The catalogue, what made it, and what it calls a quasar.
    options : Options
    counts : mapping of str to int
        Rows and objects that were matched and were not.
    metrics : tuple of Metric
    classes, lines : Confusion
        True class by called class; which line was taken for which.
    scans : tuple of Scan
        Purity and completeness against the threshold of the confidences, of the score.
    calibration : Calibration or None
    sample : Sample
        The rows themselves, for figures.
    """

    name: str
    kind: str
    rule: str
    options: Options
    counts: Mapping[str, int]
    metrics: tuple[Metric, ...]
    classes: Confusion
    lines: Confusion
    scans: tuple[Scan, ...]
    calibration: Calibration | None
    sample: Sample

    @property
    def line_rest(self) -> Mapping[str, float]:
        """Rest wavelengths [Angstrom] of the lines in `lines`."""
        names, rest = known_lines(self.sample.result)
        return dict(zip(names, rest.tolist(), strict=True))

    def metric(self, name: str, where: str = "") -> Metric:
        """One of the metrics, by its name and what it is about.

        Raises
        ------
        InputError
            There is none.
        """
        for metric in self.metrics:
            if (metric.name, metric.where) == (name, where):
                return metric
        raise InputError(f"{self.name} has no metric {name!r} of {where!r}")

    def to_dict(self) -> dict[str, Any]:
        """The evaluation as JSON has it; NaN is None."""
        return {
            "name": self.name,
            "kind": self.kind,
            "rule": self.rule,
            "counts": dict(self.counts),
            "metrics": [metric.to_dict() for metric in self.metrics],
            "class_confusion": self.classes.to_dict(),
            "line_confusion": self.lines.to_dict(),
            "scans": [scan.to_dict() for scan in self.scans],
            "calibration": None if self.calibration is None else self.calibration.to_dict(),
        }

    def to_json(self) -> str:
        """The evaluation as JSON."""
        return Comparison((self,), None).to_json()

    def to_text(self) -> str:
        """The evaluation as text: tables, each with the definitions of its numbers."""
        return report.render([self])


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """Several catalogues against one truth.

    Attributes
    ----------
    evaluations : tuple of Evaluation
        Of all rows of each catalogue that have truth.
    common : tuple of Evaluation or None
        Of the rows whose objects are in every catalogue; None for a single one.
    """

    evaluations: tuple[Evaluation, ...]
    common: tuple[Evaluation, ...] | None

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON has it."""
        common = None if self.common is None else [each.to_dict() for each in self.common]
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "options": dataclasses.asdict(self.evaluations[0].options),
            "catalogues": [each.to_dict() for each in self.evaluations],
            "common_targets": common,
        }

    def to_json(self) -> str:
        """The comparison as JSON."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def to_text(self) -> str:
        """The comparison as text: one column for each catalogue."""
        text = report.render(self.evaluations, "all rows with truth")
        if self.common is None:
            return text
        return f"{text}\n{report.render(self.common, 'common targets')}"


def evaluate(
    catalogue: Result | PathLike | Table,
    truth: TruthLike,
    *,
    c_threshold: float | None = None,
    min_lines: int | None = None,
    p_threshold: float | None = None,
    need_zwarn: bool = False,
    dv_max: float = DV_MAX,
    z_lim: float = Z_LIM,
    level: float = 0.95,
    nboot: int = 500,
    seed: int = 0,
) -> Evaluation:
    """Measure a catalogue against truth.

    Parameters
    ----------
    catalogue : path, astropy.table.Table or Result
        A catalogue of qnet, QuasarNET, DESI's afterburner, redrock or SQUEzE
        (`qnet.evaluation.read_result`), or a table of `qnet.classify`.
    truth : path, sequence of paths, mapping of int to TruthRecord, or Truth
        Truth tables (`qnet.io.read_truth`).
    c_threshold, min_lines : float, int, optional
        A quasar has at least `min_lines` lines of confidence above `c_threshold`. The catalogue's
        own rule when neither these nor `p_threshold` is given.
    p_threshold : float, optional
        A quasar has a score (P_QSO, SQUEzE's PROB) above this.
    need_zwarn : bool
        redrock: whether a quasar needs ZWARN == 0.
    dv_max : float
        Largest velocity error [km/s] of a right redshift.
    z_lim : float
        Redshift from which a quasar is QSO_HZ.
    level : float
        Confidence level of the intervals.
    nboot, seed : int
        Samples and seed of the bootstrap.

    Returns
    -------
    Evaluation

    Raises
    ------
    MissingFileError, FileError
        A file is not there, damaged, or of no known layout.
    InputError
        An option is not legal, the catalogue lacks what the rule needs, or none of its rows has
        truth.
    """
    options = Options(c_threshold, min_lines, p_threshold, dv_max, z_lim, level, nboot, seed)
    result = as_result(catalogue, need_zwarn=need_zwarn)
    if not can_apply(result, options):
        raise InputError(f"{result.name}: {_lacks(options)}")
    return _measure(result, as_truth(truth, options.z_lim), options)


def compare(
    catalogues: Sequence[Result | PathLike | Table],
    truth: TruthLike,
    *,
    c_threshold: float | None = None,
    min_lines: int | None = None,
    p_threshold: float | None = None,
    need_zwarn: bool = False,
    dv_max: float = DV_MAX,
    z_lim: float = Z_LIM,
    level: float = 0.95,
    nboot: int = 500,
    seed: int = 0,
) -> Comparison:
    """Measure several catalogues against one truth, on all rows of each and on common targets.

    Parameters
    ----------
    catalogues : sequence of path, astropy.table.Table or Result
    truth, c_threshold, min_lines, p_threshold, need_zwarn, dv_max, z_lim, level, nboot, seed
        As in `evaluate`. A catalogue that lacks what the rule needs keeps its own; the report says
        by which rule each was judged.

    Returns
    -------
    Comparison

    Raises
    ------
    MissingFileError, FileError, InputError
        As in `evaluate`; or no catalogue has what the rule needs.
    """
    options = Options(c_threshold, min_lines, p_threshold, dv_max, z_lim, level, nboot, seed)
    if isinstance(catalogues, (str, os.PathLike)):
        catalogues = [catalogues]
    if not catalogues:
        raise InputError("catalogues is empty: at least one was expected")
    results = [as_result(source, need_zwarn=need_zwarn) for source in catalogues]
    results = _distinct_names(results, catalogues)
    if not any(can_apply(result, options) for result in results):
        raise InputError(f"{', '.join(result.name for result in results)}: {_lacks(options)}")
    known = as_truth(truth, options.z_lim)
    evaluations = tuple(_measure(result, known, options) for result in results)
    if len(results) == 1:
        return Comparison(evaluations, None)
    shared = set(evaluations[0].sample.result.targetid.tolist())
    for evaluation in evaluations[1:]:
        shared &= set(evaluation.sample.result.targetid.tolist())
    if not shared:
        return Comparison(evaluations, ())
    ids = np.array(sorted(shared), dtype=np.int64)
    common = tuple(
        _measure(
            dataclasses.replace(result.select(np.isin(result.targetid, ids)), left_out={}),
            known,
            options,
        )
        for result in results
    )
    return Comparison(evaluations, common)


def _measure(result: Result, truth: Truth, options: Options) -> Evaluation:
    """Everything about one catalogue."""
    if len(result) == 0:
        raise InputError(f"{result.name}: has no rows to evaluate")
    sample = match(result, truth, options)
    if len(sample) == 0:
        raise InputError(
            f"{result.name}: none of its {len(result)} rows has truth: its TARGETIDs are "
            f"{_some(result.targetid)}, those of the truth {_some(truth.targetid)}"
        )
    lines, share = line_confusion(sample, options)
    curve, calibration_metrics = calibration(sample, options)
    metrics = (
        *classification(sample, options),
        share,
        *by_class(sample, options),
        *by_redshift(sample, options),
        *by_brightness(sample, options),
        *redshift_errors(sample, options),
        *calibration_metrics,
        *bal(sample, options),
    )
    return Evaluation(
        name=result.name,
        kind=result.kind,
        rule=sample.rule,
        options=options,
        counts=sample.counts,
        metrics=metrics,
        classes=class_confusion(sample, options),
        lines=lines,
        scans=_scans(sample, options),
        calibration=curve,
        sample=sample,
    )


def _scans(sample: Sample, options: Options) -> tuple[Scan, ...]:
    """Purity and completeness against the thresholds that the catalogue has."""
    result, scans = sample.result, []
    _, min_lines = line_rule(result, options)
    scores = [(result.c_lines, min_lines, "line confidence"), (result.score, 1, result.score_name)]
    for score, needed, label in scores:
        if score is None:
            continue
        confidence = np.where(result.never, np.nan, np.atleast_2d(score.T))
        scans.append(
            purity_completeness(
                confidence,
                result.zbest,
                sample.Y,
                sample.z,
                min_lines=needed,
                dv_max=options.dv_max,
                level=options.level,
                label=label if needed == 1 else f"{label}, {needed} lines",
            )
        )
    return tuple(scans)


def _distinct_names(
    results: Sequence[Result], sources: Sequence[Result | PathLike | Table]
) -> list[Result]:
    """Results under names that differ: the paths, else numbers, where file names do not."""
    for guarded_call in range(2):
        repeated = {name for name, n in Counter(r.name for r in results).items() if n > 1}
        new = []
        for number, (result, source) in enumerate(zip(results, sources, strict=True), start=1):
            name = result.name
            if name in repeated and guarded_call == 0 and isinstance(source, (str, os.PathLike)):
                name = os.fspath(source)
            elif name in repeated and guarded_call == 1:
                name = f"{name} ({number})"
            new.append(dataclasses.replace(result, name=name))
        results = new
    return list(results)


def _lacks(options: Options) -> str:
    if options.of_lines:
        return "has no line confidences, which c_threshold and min_lines need"
    return "has no P_QSO or PROB, which p_threshold needs"


def _some(ids: Any) -> str:
    """The first few ids, for messages."""
    return ", ".join(map(str, ids[:3].tolist())) + (", ..." if len(ids) > 3 else "")
