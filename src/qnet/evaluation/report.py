"""Evaluation of one catalogue, comparison of several, and their reports as text and JSON."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from qnet.core.arguments import check_arguments
from qnet.core.errors import InputError
from qnet.core.html import tabulate
from qnet.core.plain import for_json
from qnet.evaluation.breakdown import Confusion
from qnet.evaluation.metric import Metric, metric_cell
from qnet.evaluation.options import Options
from qnet.evaluation.purity import Scan
from qnet.evaluation.reliability import Reliability
from qnet.evaluation.sample import Sample
from qnet.evaluation.summary import summary_rows, titles

#: Format of the JSON, for readers of later versions.
_FORMAT, _FORMAT_VERSION = "qnet-evaluation", 1

#: Width of the definitions.
_WIDTH = 100

#: Thresholds of a scan that are printed; JSON has all.
_THRESHOLDS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)

_SCAN_COLUMNS = ("purity", "strict_purity", "completeness")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """Metrics, tables and curves of one catalogue.

    Attributes
    ----------
    name, kind, criterion : str
        The catalogue, its classifier, and its criterion of a quasar.
    options : Options
    counts : mapping of str to int
        Rows and objects that were matched and were not.
    metrics : tuple of Metric
    classes, lines : Confusion
        True class by called class; true line by the line that it was taken for.
    scans : tuple of Scan
        Purity and completeness against the threshold of the confidences, and of the score.
    calibration : Reliability or None
        None for a catalogue without score.
    sample : Sample
        The rows themselves, for figures.

    Examples
    --------
    >>> import qnet
    >>> from astropy.table import Table
    >>> rows = Table({"TARGETID": [1, 2], "ZBEST": [1.0, 2.0], "IS_QSO": [True, True]})
    >>> truth = {number: qnet.io.TruthRecord(1.0, 3, 3, 0, 0.0) for number in (1, 2, 3)}
    >>> evaluation = qnet.evaluate(rows, truth)
    >>> evaluation.counts["true quasars without a row"]
    1
    >>> evaluation.metric("completeness", "true QSO_LZ").value
    0.5
    >>> evaluation
    <Evaluation of catalogue: purity 0.5000, completeness 0.5000, 2 true quasars>
    >>> print(evaluation.summary().splitlines()[0])
    catalogue (qnet): quasars by IS_QSO (the criterion is not stated)
    """

    name: str
    kind: str
    criterion: str
    options: Options
    counts: Mapping[str, int]
    metrics: tuple[Metric, ...]
    classes: Confusion
    lines: Confusion
    scans: tuple[Scan, ...]
    calibration: Reliability | None
    sample: Sample

    def __repr__(self) -> str:
        purity, completeness = (self.metric(name) for name in ("purity", "completeness"))
        return (
            f"<Evaluation of {self.name}: purity {purity.value:.4f}, completeness "
            f"{completeness.value:.4f}, {completeness.n} true quasars>"
        )

    def _repr_html_(self) -> str:
        """The summary for notebooks."""
        return Comparison((self,), None)._repr_html_()

    def metric(self, name: str, where: str = "") -> Metric:
        """A metric, by its name and its part of the sample; InputError if there is none."""
        check_arguments(Evaluation.metric, locals())
        for metric in self.metrics:
            if (metric.name, metric.where) == (name, where):
                return metric
        raise InputError(f"{self.name} has no metric {name!r} of {where!r}")

    def to_dict(self) -> dict[str, Any]:
        """The evaluation as JSON has it; NaN is None."""
        found: dict[str, Any] = for_json(
            {
                "name": self.name,
                "kind": self.kind,
                "rule": self.criterion,
                "counts": self.counts,
                "metrics": self.metrics,
                "class_confusion": self.classes,
                "line_confusion": self.lines,
                "scans": self.scans,
                "calibration": self.calibration,
            }
        )
        return found

    def to_json(self) -> str:
        """The evaluation as JSON."""
        return Comparison((self,), None).to_json()

    def summary(self) -> str:
        """Ten lines: the criterion, purity, completeness and redshift errors."""
        return Comparison((self,), None).summary()

    def to_text(self) -> str:
        """The evaluation as text: tables, each with the definitions of its numbers."""
        return _render([self])


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Evaluations of several catalogues against one truth.

    Attributes
    ----------
    evaluations : tuple of Evaluation
        Of all rows of each catalogue that have truth.
    common : tuple of Evaluation or None
        Of the rows whose objects are in every catalogue; None for a single one.

    Examples
    --------
    >>> import qnet
    >>> from astropy.table import Table
    >>> rows = Table({"TARGETID": [1, 2], "ZBEST": [1.0, 2.0], "IS_QSO": [True, True]})
    >>> truth = {number: qnet.io.TruthRecord(1.0, 3, 3, 0, 0.0) for number in (1, 2)}
    >>> both = qnet.evaluation.compare([rows, rows[:1]], truth)
    >>> [each.metric("completeness").n for each in both.common]
    [1, 1]
    """

    evaluations: tuple[Evaluation, ...]
    common: tuple[Evaluation, ...] | None

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON has it."""
        common = None if self.common is None else [each.to_dict() for each in self.common]
        return {
            "format": _FORMAT,
            "format_version": _FORMAT_VERSION,
            "options": for_json(self.evaluations[0].options),
            "catalogues": [each.to_dict() for each in self.evaluations],
            "common_targets": common,
        }

    def to_json(self) -> str:
        """The comparison as JSON."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def __repr__(self) -> str:
        return f"<Comparison of {', '.join(each.name for each in self.evaluations)}>"

    def _repr_html_(self) -> str:
        """The summary for notebooks."""
        parts = []
        for title, each in self._parts():
            heads, *rows = summary_rows(each)
            parts.append(tabulate("; ".join([*title, *titles(each)]), heads, rows))
        return "".join(parts)

    def summary(self) -> str:
        """The most important numbers, as text: a column for each catalogue."""
        lines = []
        for title, each in self._parts():
            heads, *rows = summary_rows(each)
            lines += [*title, *titles(each), *format_table(heads, rows)]
        return "\n".join([*lines, ""])

    def _parts(self) -> Iterator[tuple[list[str], Sequence[Evaluation]]]:
        """The samples: a title, where there are several, and the evaluations."""
        if self.common is None:
            yield [], self.evaluations
            return
        yield ["== all rows with truth =="], self.evaluations
        if self.common:
            yield ["", "== common targets =="], self.common

    def to_text(self) -> str:
        """The comparison as text: one column for each catalogue."""
        text = _render(self.evaluations, "all rows with truth")
        if self.common is None:
            return text
        return f"{text}\n{_render(self.common, 'common targets')}"


def _render(evaluations: Sequence[Evaluation], title: str = "") -> str:
    """Tables of several evaluations of one truth; the title says of which rows."""
    lines = [f"== {title} ==", ""] if title else []
    if not evaluations:
        return "\n".join([*lines, "no object is in every catalogue", ""])
    lines += titles(evaluations)
    names = dict.fromkeys(name for each in evaluations for name in each.counts)
    rows = [[name, *(str(each.counts.get(name, "-")) for each in evaluations)] for name in names]
    lines += ["", *format_table(["counts", *(each.name for each in evaluations)], rows), ""]
    options = evaluations[0].options
    lines += [
        f"Each number: value [{100 * options.level:g} % interval] sample size. Intervals: Wilson's "
        "on fractions, bootstrap",
        f"({options.nboot} samples) on the others.",
        "",
    ]
    defined: set[str] = set()
    for section in dict.fromkeys(metric.section for each in evaluations for metric in each.metrics):
        lines += [*_section(evaluations, section, defined), ""]
        for each in evaluations:
            if section == "classification":
                lines += [*_scans(each), *_confusion(f"{each.name}: class confusion", each.classes)]
            if section == "redshift errors":
                lines += _confusion(f"{each.name}: line confusion", each.lines)
    return "\n".join(lines)


def _section(evaluations: Sequence[Evaluation], section: str, defined: set[str]) -> Iterator[str]:
    """One table, then the definitions; those in `defined` were printed above."""
    metrics = [m for each in evaluations for m in each.metrics if m.section == section]
    found = [{(m.name, m.where): m for m in each.metrics} for each in evaluations]
    keys = dict.fromkeys((metric.name, metric.where) for metric in metrics)
    rows = [[*key, *(metric_cell(table.get(key)) for table in found)] for key in keys]
    yield from format_table([section, "of", *(each.name for each in evaluations)], rows)
    definitions = {metric.name: metric.definition for metric in metrics}
    if known := [name for name in definitions if name in defined]:
        yield from _wrap(f"{', '.join(known)}: as above, of the rows named.")
    for name, definition in definitions.items():
        if name not in defined:
            yield from _wrap(f"{name}: {definition}.")
    defined.update(definitions)


def _scans(each: Evaluation) -> Iterator[str]:
    """Purity and completeness at some thresholds."""
    for scan in each.scans:
        rows = []
        for threshold in _THRESHOLDS:
            at = int(np.abs(scan.thresholds - threshold).argmin())
            row = [f"{scan.thresholds[at]:.2f}"]
            for name in _SCAN_COLUMNS:
                value, low, high = (getattr(scan, name + end)[at] for end in ("", "_low", "_high"))
                row.append(f"{value:.4f} [{low:.4f}, {high:.4f}]" if np.isfinite(value) else "-")
            rows.append([*row, str(scan.ncalled[at]), str(scan.nquasars)])
        heads = [f"{scan.label} >", *_SCAN_COLUMNS, "called, not BAD", "true quasars"]
        yield f"{each.name}: threshold on {scan.label}; definitions as above"
        yield from (*format_table(heads, rows), "")


def _confusion(title: str, table: Confusion) -> list[str]:
    """A table of counts; of lines, without rows and columns of zeros."""
    lines = [title, *_wrap(f"{table.definition}.")]
    if not table.counts.any():
        return [*lines, "  none", ""]
    whole = table.rows != table.columns
    columns = np.flatnonzero(table.counts.any(axis=0) | whole)
    rows = [
        [table.rows[row], *map(str, table.counts[row, columns])]
        for row in np.flatnonzero(table.counts.any(axis=1) | whole)
    ]
    return [*lines, *format_table(["", *(table.columns[column] for column in columns)], rows), ""]


def format_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns of text, aligned."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="    ")
