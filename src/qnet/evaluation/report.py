"""Report of evaluations as text: tables, each followed by the definitions of its numbers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from qnet.evaluation.metric import Metric

if TYPE_CHECKING:
    from qnet.evaluation.breakdown import Confusion
    from qnet.evaluation.evaluation import Evaluation

#: Width of the definitions.
_WIDTH = 100

#: Thresholds of a scan that are printed; JSON has all.
_THRESHOLDS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)

_SCAN_COLUMNS = ("purity", "strict_purity", "completeness")


def render(evaluations: Sequence[Evaluation], title: str = "") -> str:
    """Tables of several evaluations of one truth; the title says of which rows."""
    lines = [f"== {title} ==", ""] if title else []
    if not evaluations:
        return "\n".join([*lines, "no object is in every catalogue", ""])
    lines += _heads(evaluations)
    level = 100 * evaluations[0].options.level
    lines += [
        f"Each number: value [{level:g} % interval] sample size. Intervals: Wilson's on fractions, "
        "bootstrap",
        f"({evaluations[0].options.nboot} samples) on the others.",
        "",
    ]
    sections = dict.fromkeys(metric.section for each in evaluations for metric in each.metrics)
    defined: set[str] = set()
    for section in sections:
        lines += [*_section(evaluations, section, defined), ""]
        if section == "classification":
            for each in evaluations:
                lines += [*_scans(each), *_confusion("class confusion", each, each.classes)]
        if section == "redshift errors":
            for each in evaluations:
                lines += _confusion("line confusion", each, each.lines)
    return "\n".join(lines)


def _heads(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    for each in evaluations:
        yield f"{each.name} ({each.kind}): a quasar is {each.criterion}"
    yield ""
    names = list(dict.fromkeys(name for each in evaluations for name in each.counts))
    rows = [[name, *(str(each.counts.get(name, "-")) for each in evaluations)] for name in names]
    yield from _table(["counts", *(each.name for each in evaluations)], rows)
    yield ""


def _section(evaluations: Sequence[Evaluation], section: str, defined: set[str]) -> Iterator[str]:
    """One table, then the definitions; those in `defined` were printed above."""
    found = [
        {
            (metric.name, metric.where): metric
            for metric in each.metrics
            if metric.section == section
        }
        for each in evaluations
    ]
    keys = list(dict.fromkeys(key for metrics in found for key in metrics))
    rows = [
        [name, where, *(_cell(metrics.get((name, where))) for metrics in found)]
        for name, where in keys
    ]
    yield from _table([section, "of", *(each.name for each in evaluations)], rows)
    definitions = {
        metric.name: metric.definition for metrics in found for metric in metrics.values()
    }
    if known := [name for name in definitions if name in defined]:
        yield from _wrap(f"{', '.join(known)}: as above, of the rows named.")
    for name, definition in definitions.items():
        if name not in defined:
            yield from _wrap(f"{name}: {definition}.")
    defined.update(definitions)


def _cell(metric: Metric | None) -> str:
    """Value, interval and sample size."""
    if metric is None:
        return "-"
    if not np.isfinite(metric.value):
        return f"- {metric.n}"
    spec, unit = (".1f", f" {metric.unit}") if metric.unit else (".4f", "")
    value, low, high = (format(v, spec) for v in (metric.value, metric.low, metric.high))
    ends = f"[{low}, {high}]" if np.isfinite(metric.low) else "[-]"
    return f"{value} {ends}{unit} {metric.n}"


def _scans(each: Evaluation) -> Iterator[str]:
    """Purity and completeness at some thresholds."""
    for scan in each.scans:
        rows = []
        for threshold in _THRESHOLDS:
            at = int(np.abs(scan.thresholds - threshold).argmin())
            row = [f"{scan.thresholds[at]:.2f}"]
            for name in _SCAN_COLUMNS:
                value, low, high = (
                    getattr(scan, f"{name}{end}")[at] for end in ("", "_low", "_high")
                )
                finite = np.isfinite(value)
                row.append(f"{value:.4f} [{low:.4f}, {high:.4f}]" if finite else "-")
            rows.append([*row, str(scan.ncalled[at]), str(scan.nquasars)])
        heads = [f"{scan.label} >", *_SCAN_COLUMNS, "called, not BAD", "true quasars"]
        yield f"{each.name}: threshold on {scan.label}; definitions as above"
        yield from _table(heads, rows)
        yield ""


def _confusion(title: str, each: Evaluation, table: Confusion) -> Iterator[str]:
    """A table of counts, rows and columns without any left out of the larger ones."""
    yield f"{each.name}: {title}"
    yield from _wrap(f"{table.definition}.")
    if not table.counts.any():
        yield from ("  none", "")
        return
    square = table.rows == table.columns
    keep = [i for i, row in enumerate(table.counts) if row.any() or not square]
    columns = [j for j, column in enumerate(table.counts.T) if column.any() or not square]
    rows = [[table.rows[i], *(str(table.counts[i, j]) for j in columns)] for i in keep]
    yield from _table(["", *(table.columns[j] for j in columns)], rows)
    yield ""


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns of text, aligned."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="    ")
