"""The few numbers of an evaluation that are read first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from qnet.evaluation.metric import metric_cell

if TYPE_CHECKING:
    from qnet.evaluation.report import Evaluation

#: Metrics of the summary, and what each is about.
_METRICS = (
    ("purity", ""),
    ("completeness", ""),
    ("contamination", ""),
    ("wrong_redshift", ""),
    ("dv_median", "ZBEST"),
    ("dv_nmad", "ZBEST"),
)

_EVALUATED = "rows evaluated"


def summary_rows(evaluations: Sequence[Evaluation]) -> list[list[str]]:
    """The head and the rows of the table: a column for each evaluation."""
    rows = [["value [interval] sample size", *(each.name for each in evaluations)]]
    rows.append([_EVALUATED, *(str(each.counts[_EVALUATED]) for each in evaluations)])
    found = [{(m.name, m.where): m for m in each.metrics} for each in evaluations]
    return rows + [[key[0], *(metric_cell(each.get(key)) for each in found)] for key in _METRICS]


def titles(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    """The classifier and the criterion of each."""
    for each in evaluations:
        yield f"{each.name} ({each.kind}): quasars by {each.criterion}"
