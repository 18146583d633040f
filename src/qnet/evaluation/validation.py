"""A model after training, and that before it if there is one, on the validation spectra."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnet.classification import classify
from qnet.classification.population import TRAINING
from qnet.core.arrays import Columns
from qnet.core.files import PathLike, as_paths
from qnet.evaluation.catalogues import result_of_table
from qnet.evaluation.evaluation import compare
from qnet.evaluation.metric import Metric, metric_cell
from qnet.evaluation.report import Comparison, Evaluation, format_table
from qnet.evaluation.result import Result
from qnet.io.reader import read_spectra
from qnet.model.model import Model

#: Lines of the table: what it is called, the metric, and whether more is better.
TABLE = (
    ("purity", "purity", True),
    ("completeness", "completeness", True),
    ("NMAD", "dv_nmad", False),
    ("calibration error", "calibration_error", False),
)

#: Spectra that are read and classified at a time.
BLOCK = 4096


def compare_models(
    models: Sequence[Model],
    data: PathLike | Sequence[PathLike],
    truth: PathLike | Sequence[PathLike],
    rows: Columns,
) -> Comparison:
    """Evaluations of models on rows of data files: INPUT_INDEX, INPUT_ROW of `read_validation`."""
    files = as_paths(data, "data")
    parts: list[list[Result]] = [[] for _ in models]
    for index, path in enumerate(files):
        chosen = np.sort(rows["INPUT_ROW"][rows["INPUT_INDEX"] == index])
        for start in range(0, len(chosen), BLOCK):
            spectra = read_spectra(path, rows=chosen[start : start + BLOCK])
            for model, part in zip(models, parts, strict=True):
                # The spectra are drawn as those of the training: no other population is assumed.
                table = classify(spectra, model=model, prior=TRAINING)
                part.append(result_of_table(table, name=model.name))
    return compare([_join(part) for part in parts], truth)


def _join(parts: Sequence[Result]) -> Result:
    """One catalogue of several with other rows."""
    whole = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name, values in vars(parts[0]).items()
        if isinstance(values, np.ndarray)
    }
    return Result(**{**vars(parts[0]), **whole})


def validation_table(comparison: Comparison) -> tuple[str, list[str]]:
    """The table of a model after training, and before it if there is one; what became worse."""
    every = comparison.evaluations
    rows, worse = [], []
    for label, name, more in TABLE:
        found = [_metric(evaluation, name) for evaluation in every]
        if found == [None]:
            continue
        rows.append([label, *map(metric_cell, found)])
        old, new = found[0], found[-1]
        if old is not None and new is not None and _is_worse(old.value, new.value, more):
            digits = ".0f" if new.unit else ".4f"
            inside = " (inside its interval)" if old.low <= new.value <= old.high else ""
            worse.append(f"{label}: {new.value:{digits}}, before {old.value:{digits}}{inside}")
    names = [evaluation.name for evaluation in every]
    heads = names if len(names) == 1 else [f"before: {names[0]}", f"after: {names[1]}"]
    return "\n".join(format_table(["", *heads], rows)), worse


def _is_worse(old: float, new: float, more: bool) -> bool:
    """Whether a number is worse than before, where more is better or less is; NaN is not."""
    return new < old if more else new > old


def _metric(evaluation: Evaluation, name: str) -> Metric | None:
    """The first of the metrics of a name, that of all rows."""
    return next((metric for metric in evaluation.metrics if metric.name == name), None)
