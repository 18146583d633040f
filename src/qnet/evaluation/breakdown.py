"""Purity and completeness: of all rows, by class, by redshift, by magnitude and signal-to-noise."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import BoolArray, FloatArray, IntArray
from qnet.evaluation.metric import Metric, define, fraction
from qnet.evaluation.options import Z_EDGES, Options
from qnet.evaluation.sample import Sample
from qnet.objective import CLASSES

#: Edges of the bins of signal-to-noise; below the first and above the last are bins too.
SNR_EDGES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)

#: A magnitude beyond this, of either sign, is none: it is in no bin.
LARGEST_MAGNITUDE = 100.0

#: Definition of the table of classes.
CLASS_CONFUSION = (
    "rows by true class and by what they are called: no quasar, or a quasar with ZBEST below or "
    "not below {z_lim:g}"
)


@dataclasses.dataclass(frozen=True, eq=False)
class Confusion:
    """Table of counts of rows: true class or line by the one found.

    Attributes
    ----------
    rows, columns : tuple of str
        Classes or lines: true, and found.
    counts : ndarray of int64, shape (nrows, ncolumns)
    definition : str

    Examples
    --------
    >>> import qnet
    >>> from astropy.table import Table
    >>> rows = Table({"TARGETID": [1], "ZBEST": [2.5], "IS_QSO": [True]})
    >>> table = qnet.evaluate(rows, {1: qnet.io.TruthRecord(0.0, 1, 3, 0, 0.0)}).classes
    >>> table.columns, table.counts[table.rows.index("STAR")]
    (('not a quasar', 'QSO_LZ', 'QSO_HZ'), array([0, 0, 1]))
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: IntArray
    definition: str


def classification(sample: Sample, options: Options) -> Iterator[Metric]:
    """Purity, completeness and the fractions between them, of all rows."""
    called, sure = sample.called, sample.called_sure
    quasar, right = sample.quasar, sample.right
    section = "classification"
    yield fraction(section, "purity", right, sure, options)
    yield fraction(section, "strict_purity", right & quasar, sure, options)
    yield fraction(section, "contamination", ~quasar, sure, options)
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
    high = sample.result.zbest >= options.z_lim
    for name, chosen in (("QSO_LZ", ~high), ("QSO_HZ", high)):
        where = f"called {name}"
        yield from _purities(section, sample, sample.called_sure & chosen, options, where)


def by_redshift(sample: Sample, options: Options) -> Iterator[Metric]:
    """Completeness by true redshift, purity by ZBEST."""
    true, found = ("true z", sample.z), ("ZBEST", sample.result.zbest)
    return _by_value(sample, options, "by redshift", Z_EDGES, true, found)


def by_brightness(sample: Sample, options: Options) -> Iterator[Metric]:
    """Completeness and purity by the truth's magnitudes, and by its S/N, else the catalogue's."""
    for name in ("RMAG", "MAG"):
        values = sample.columns.get(name)
        if values is None:
            continue
        known = values[np.abs(values) <= LARGEST_MAGNITUDE]
        if known.size:
            low, high = np.floor(known.min()), np.floor(known.max()) + 1
            edges, true = np.arange(low, high + 1), (name, values)
            yield from _by_value(sample, options, f"by {name}", edges, true, true)
    snr = sample.columns.get("SNR", sample.result.snr)
    if snr is not None and np.isfinite(snr).any():
        limits = (-np.inf, *SNR_EDGES, np.inf)
        yield from _by_value(sample, options, "by SNR", limits, ("SNR", snr), ("SNR", snr))


def class_confusion(sample: Sample, options: Options) -> Confusion:
    """True class by called class."""
    found = np.where(sample.called, 1 + (sample.result.zbest >= options.z_lim), 0)
    counts = np.zeros((len(CLASSES), 3), dtype=np.int64)
    np.add.at(counts, (sample.number, found), 1)
    definition = define(CLASS_CONFUSION, options)
    return Confusion(CLASSES, ("not a quasar", "QSO_LZ", "QSO_HZ"), counts, definition)


def _by_value(
    sample: Sample,
    options: Options,
    section: str,
    edges: npt.ArrayLike,
    true: tuple[str, FloatArray],
    found: tuple[str, FloatArray],
) -> Iterator[Metric]:
    """Completeness in bins of a true value, and purity in bins of a found one, with their names."""
    for inside, where in _bins(*true, edges):
        if (whole := sample.quasar & inside).any():
            part = sample.right & sample.called
            yield fraction(section, "completeness", part, whole, options, where)
    for inside, where in _bins(*found, edges):
        if (whole := sample.called_sure & inside).any():
            yield from _purities(section, sample, whole, options, where)


def _purities(
    section: str, sample: Sample, whole: BoolArray, options: Options, where: str
) -> Iterator[Metric]:
    yield fraction(section, "purity", sample.right, whole, options, where)
    yield fraction(section, "strict_purity", sample.right & sample.quasar, whole, options, where)


def _bins(name: str, values: FloatArray, edges: npt.ArrayLike) -> Iterator[tuple[BoolArray, str]]:
    """Masks of the bins [low, high), and their names."""
    limits = np.asarray(edges, dtype=np.float64)
    for low, high in itertools.pairwise(limits):
        inside = (values >= low) & (values < high)
        if np.isneginf(low):
            where = f"{name} < {high:g}"
        elif np.isposinf(high):
            where = f"{name} >= {low:g}"
        else:
            where = f"{low:g} <= {name} < {high:g}"
        yield inside, where
