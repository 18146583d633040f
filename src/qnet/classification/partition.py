"""Classification of one partition of a DataFrame, for Dask, LSDB and nested-pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qnet.classification.classifier import classify
from qnet.core.arguments import has_attributes
from qnet.core.columns import MODEL_COLUMNS
from qnet.core.errors import InputError, type_name
from qnet.core.guards import foreign_faults
from qnet.io.line_columns import split_lines
from qnet.io.objects.arrays import from_arrays
from qnet.model.loading import as_model

if TYPE_CHECKING:
    from astropy.table import Table

#: Options of `qnet.classify` that a partition takes.
_OPTIONS = frozenset(
    {
        *("strategy", "p_threshold", "c_threshold", "min_lines", "prior_qso", "prior"),
        *("air", "edges", "threads"),
    }
)


def classify_partition(frame: Any, *, model: Any = None, **options: Any) -> Any:
    """Classify the spectra of a DataFrame, one in each row, as a function for ``map_partitions``.

    It needs neither Dask nor pandas: the result is made by the methods of the frame.

    Parameters
    ----------
    frame : DataFrame
        A partition, of pandas or nested-pandas, with a list of pixels in each row: wave,
        wavelength, lambda or loglam; flux; ivar or error or variance; mask, where there is one
        (`qnet.classify` of a DataFrame). They may be fields of a nested column.
    model : Model, str or path, optional
        As in `qnet.classify`. A name or a path is loaded anew in each partition.
    **options
        strategy, p_threshold, c_threshold, min_lines, prior_qso, prior, air, edges and threads, as
        in `qnet.classify`. One thread when `threads` is not given: partitions run side by side.

    Returns
    -------
    DataFrame
        Of the class and with the index of `frame`: TARGETID, where the frame has it, and the
        columns of a catalogue, with a column for each line (C_LYA, Z_LYA, ...). An empty frame
        gives the same columns and types without rows: the metadata that Dask asks for. A row whose
        lists are missing or of different lengths, or without weight, is NaN and flagged in QN_FLAG.

    Raises
    ------
    InputError
        `frame` is not a DataFrame of spectra, or an option is not valid.

    Warns
    -----
    QnetWarning
        Rows whose lists are missing or of different lengths.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from qnet.classification import classify_partition
    >>> wave = np.linspace(3600, 9800, 1000)
    >>> cells = {"wave": [wave, wave], "flux": [np.sin(wave), wave], "ivar": [np.ones(1000)] * 2}
    >>> frame = pd.DataFrame(cells, index=[10, 20])
    >>> found = classify_partition(frame)
    >>> found.index.tolist(), found.columns.tolist()[:3]
    ([10, 20], ['IS_QSO', 'P_QSO', 'ZBEST'])

    With Dask: ``ddf.map_partitions(classify_partition, meta=classify_partition(ddf._meta))``.
    """
    if unknown := sorted(set(options) - _OPTIONS):
        raise InputError(f"unknown option(s) {unknown}: the legal ones are {sorted(_OPTIONS)}")
    if not has_attributes(frame, "columns", "iloc", "index", "assign"):
        raise InputError(f"frame must be a DataFrame, not {type_name(frame)}")
    options.setdefault("threads", 1)
    loaded = as_model(model)
    with foreign_faults("frame", frame, "a DataFrame"):
        nrows, names = len(frame), [str(name) for name in frame.columns]
    if nrows:
        table = classify(frame, model=loaded, **options)
    else:
        pixels = np.ones((1, loaded.grid.npix))
        empty = from_arrays(loaded.grid.wave, pixels, pixels, targetid=[0], edges=True)
        table = classify(empty.select([]), model=loaded, **options)
    if len(table) != nrows:
        raise InputError(
            f"frame must have a spectrum in each row, not a pixel: its {nrows} rows are "
            f"{len(table)} spectrum"
        )
    kept = [column.name for column in MODEL_COLUMNS]
    if "TARGETID" in map(str.upper, names):
        kept.insert(0, "TARGETID")
    return _as_frame(split_lines(table[kept]), frame)


def _as_frame(table: Table, frame: Any) -> Any:
    """The columns of a table as a frame like another, with its index."""
    columns = {name: np.array(table[name]) for name in table.colnames}
    with foreign_faults("frame", frame, "a DataFrame"):
        return frame.iloc[:, :0].assign(**columns)
