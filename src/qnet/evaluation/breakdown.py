"""Purity and completeness: of all rows, by class, by redshift, by magnitude and signal-to-noise."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import BoolArray, FloatArray, IntArray
from qnet.evaluation.definitions import CLASS_CONFUSION, fill
from qnet.evaluation.metric import Metric, fraction
from qnet.evaluation.options import Z_EDGES, Options
from qnet.evaluation.sample import Sample
from qnet.objective import CLASSES

#: Edges of the bins of signal-to-noise; below the first and above the last are bins too.
SNR_EDGES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)

#: Columns of the truth that the numbers are broken down by, where they are there.
_MAGNITUDES = ("RMAG", "MAG")


@dataclasses.dataclass(frozen=True, eq=False)
class Confusion:
    """Counts of pairs.

    Attributes
    ----------
    rows, columns : tuple of str
        What is true, and what was said.
    counts : ndarray of int64, shape (nrows, ncolumns)
    definition : str
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: IntArray
    definition: str

    def to_dict(self) -> dict[str, Any]:
        """The table as JSON has it."""
        return {
            "rows": list(self.rows),
            "columns": list(self.columns),
            "counts": self.counts.tolist(),
            "definition": self.definition,
        }


def classification(sample: Sample, options: Options) -> Iterator[Metric]:
    """Purity, completeness and what is between them, of all rows."""
    called, judged = sample.called, sample.called & ~sample.bad
    quasar, right = sample.quasar, sample.right
    section = "classification"
    yield fraction(section, "purity", right, judged, options)
    yield fraction(section, "strict_purity", right & quasar, judged, options)
    yield fraction(section, "contamination", ~quasar, judged, options)
    yield fraction(section, "completeness", right & called, quasar, options)
    yield fraction(section, "found", called, quasar, options)
    yield fraction(section, "wrong_redshift", ~right, called & quasar, options)


def by_class(sample: Sample, options: Options) -> Iterator[Metric]:
    """Completeness by true class, purity by the class that is called."""
    section, called, number = "by class", sample.called, sample.number
    for name in ("QSO_LZ", "QSO_HZ"):
        of_class = number == CLASSES.index(name)
        where = f"true {name}"
        yield fraction(section, "completeness", sample.right & called, of_class, options, where)
        yield fraction(section, "found", called, of_class, options, where)
    for name in ("STAR", "GALAXY"):
        of_class = number == CLASSES.index(name)
        yield fraction(section, "called_qso", called, of_class, options, f"true {name}")
    judged = called & ~sample.bad
    with np.errstate(invalid="ignore"):
        high = sample.result.zbest >= options.z_lim
    for name, chosen in (("QSO_LZ", ~high), ("QSO_HZ", high)):
        where = f"called {name}"
        yield from _purities(section, sample, judged & chosen, options, where)


def by_redshift(sample: Sample, options: Options) -> Iterator[Metric]:
    """Completeness by true redshift, purity by ZBEST."""
    section = "by redshift"
    for inside, where in _bins(sample.z, Z_EDGES, "true z"):
        if (whole := sample.quasar & inside).any():
            part = sample.right & sample.called
            yield fraction(section, "completeness", part, whole, options, where)
    for inside, where in _bins(sample.result.zbest, Z_EDGES, "ZBEST"):
        if (whole := sample.called & ~sample.bad & inside).any():
            yield from _purities(section, sample, whole, options, where)


def by_brightness(sample: Sample, options: Options) -> Iterator[Metric]:
    """Completeness and purity by magnitude and by signal-to-noise, where they are known.

    Magnitudes are the truth's, in bins of one magnitude; signal-to-noise is the truth's, else the
    catalogue's.
    """
    for name in _MAGNITUDES:
        values = sample.columns.get(name)
        if values is not None and np.isfinite(values).any():
            low, high = np.floor(np.nanmin(values)), np.floor(np.nanmax(values)) + 1
            yield from _by_value(sample, options, name, values, np.arange(low, high + 1))
    snr = sample.columns.get("SNR", sample.result.snr)
    if snr is not None and np.isfinite(snr).any():
        yield from _by_value(sample, options, "SNR", snr, (-np.inf, *SNR_EDGES, np.inf))


def class_confusion(sample: Sample, options: Options) -> Confusion:
    """True class by called class."""
    with np.errstate(invalid="ignore"):
        said = np.where(sample.called, 1 + (sample.result.zbest >= options.z_lim), 0)
    counts = np.zeros((len(CLASSES), 3), dtype=np.int64)
    np.add.at(counts, (sample.number, said), 1)
    definition = fill(CLASS_CONFUSION, options)
    return Confusion(CLASSES, ("not a quasar", "QSO_LZ", "QSO_HZ"), counts, definition)


def _by_value(
    sample: Sample, options: Options, name: str, values: FloatArray, edges: npt.ArrayLike
) -> Iterator[Metric]:
    section = f"by {name}"
    for inside, where in _bins(values, edges, name):
        if (whole := sample.quasar & inside).any():
            part = sample.right & sample.called
            yield fraction(section, "completeness", part, whole, options, where)
    for inside, where in _bins(values, edges, name):
        if (whole := sample.called & ~sample.bad & inside).any():
            yield from _purities(section, sample, whole, options, where)


def _purities(
    section: str, sample: Sample, whole: BoolArray, options: Options, where: str
) -> Iterator[Metric]:
    yield fraction(section, "purity", sample.right, whole, options, where)
    yield fraction(section, "strict_purity", sample.right & sample.quasar, whole, options, where)


def _bins(values: FloatArray, edges: npt.ArrayLike, name: str) -> Iterator[tuple[BoolArray, str]]:
    """Masks of the bins [low, high), and what they are called."""
    places = np.asarray(edges, dtype=np.float64)
    for low, high in itertools.pairwise(places):
        with np.errstate(invalid="ignore"):
            inside = (values >= low) & (values < high)
        if np.isneginf(low):
            where = f"{name} < {high:g}"
        elif np.isposinf(high):
            where = f"{name} >= {low:g}"
        else:
            where = f"{low:g} <= {name} < {high:g}"
        yield inside, where
