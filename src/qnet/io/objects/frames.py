"""Spectra from DataFrames with list columns, recognised by what they can do: of pandas, nested."""

from __future__ import annotations

from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, of_objects
from qnet.core.errors import InputError
from qnet.core.guards import foreign_faults
from qnet.core.spectra import Spectra
from qnet.io.objects.kind import ObjectKind, by_attributes
from qnet.io.roles import is_pixels
from qnet.io.tabular import from_columns

_EXPECTED = "a DataFrame with columns of wavelengths, flux and errors"


def from_dataframe(frame: Any, *, air: bool = False, edges: bool | None = None) -> Spectra:
    """Spectra of a DataFrame: a list of pixels in each row, or a row per pixel of one spectrum."""
    with foreign_faults("spectra", frame, _EXPECTED):
        columns: dict[str, Any] = {}
        for name in frame.columns:
            column = frame[name]
            if type(column.dtype).__module__.startswith("nested_pandas"):
                lists = column.nest.to_lists()
                found = {str(field): _cells(lists[field]) for field in lists.columns}
            else:
                found = {str(name): _cells(column)}
            if twice := [field for field in found if field in columns and is_pixels(field)]:
                raise InputError(
                    f"the DataFrame has {', '.join(twice)} twice, once in column {name}: give the "
                    "columns of the spectra alone"
                )
            columns |= found
    return from_columns(columns, "DataFrame", "DataFrame", air, edges)


def _cells(column: Any) -> AnyArray:
    """A column as a plain array: of lists, or of numbers or text with a mask where it has gaps."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufb":
        return np.asarray(column)
    # Of pandas's own types with gaps, an array of integers would be one of rounded floats.
    cells = of_objects(list(column))
    missing = np.array([_is_missing(cell) for cell in cells], dtype=bool)
    kept = cells[~missing]
    if not len(kept) or any(isinstance(cell, (list, tuple, np.ndarray)) for cell in kept):
        cells[missing] = None
        return cells
    values = np.array(kept.tolist())
    if values.dtype.kind not in "iufbSU":
        return cells
    filled = np.zeros(len(cells), dtype=values.dtype)
    filled[~missing] = values
    masked: AnyArray = np.ma.MaskedArray(filled, mask=missing)
    return masked


def _is_missing(cell: Any) -> bool:
    """Whether a cell holds nothing: None, pandas's NA or NaN."""
    if isinstance(cell, float):
        return cell != cell
    return cell is None or type(cell).__name__ == "NAType"


DATAFRAME = ObjectKind(
    name="DataFrame",
    module="pandas",
    given="lists of wavelengths, flux and errors in each row, or a row per pixel",
    targetid="the column TARGETID, else the row number",
    detect=by_attributes("columns", "dtypes", "iloc"),
    read=lambda value, air, edges: from_dataframe(value, air=air, edges=edges),
    air=True,
)
