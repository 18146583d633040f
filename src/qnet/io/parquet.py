"""Parquet files as astropy Tables, with pyarrow alone: astropy's own reader needs pandas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qnet.core.arrays import AnyArray
from qnet.core.errors import FileError
from qnet.io.columns import missing_value, text_array
from qnet.io.parquet_footer import count_values

if TYPE_CHECKING:
    import pyarrow as pa
    from astropy.table import Table
    from pyarrow import parquet

#: Key of the metadata in which astropy writes the header, and what it has of columns.
_HEADER, _OF_COLUMNS = b"table_meta_yaml", ("unit", "description", "format")


#: Numbers that a Parquet file may hold (8 GB): a small one, and so many more for each byte.
_MOST, _SMALL, _PER_BYTE = 1 << 30, 1 << 26, 16


def read_parquet(path: Path, *, flatten: bool = False) -> Table:
    """Read a Parquet file that qnet, astropy, pandas or another library wrote.

    Lists of one length become a two-dimensional column; missing values are masked. `flatten`: the
    fields of structures become columns.
    """
    from astropy.table import Table, meta
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        check_values(file, path)
        arrow = file.read()
    arrow = arrow.flatten() if flatten else arrow
    table = Table({name: _column(arrow[name], name) for name in arrow.column_names})
    written = (arrow.schema.metadata or {}).get(_HEADER, b"").decode()
    header = meta.get_header_from_yaml(written.split("\n")) if written else {"datatype": []}
    table.meta.update(header.get("meta", {}))
    for described in header["datatype"]:
        if described["name"] in table.colnames:
            for key in _OF_COLUMNS:
                setattr(table[described["name"]], key, described.get(key))
    return table


def check_values(file: parquet.ParquetFile, path: Path) -> None:
    """Raise FileError where an open file announces more numbers than it may hold."""
    values = file.metadata.num_rows * file.metadata.num_columns
    if any(column.max_repetition_level for column in file.schema):  # lists, of any length
        values = max(values, count_values(path))
    if values > min(_MOST, _SMALL + _PER_BYTE * path.stat().st_size):
        raise FileError(f"{path}: announces {values} numbers, too many for one table")


def _column(column: pa.ChunkedArray, name: str) -> Any:
    """A column as an array, masked where it has missing values."""
    from astropy.table import MaskedColumn
    from pyarrow import types

    if types.is_dictionary(column.type):  # categories of pandas
        column = column.cast(column.type.value_type)
    if _is_list(column.type):
        lists = stack_lists(column)
        return column.to_numpy() if lists is None else lists
    kind = column.type
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return text_array(["" if text is None else text for text in column.to_pylist()])
    if column.null_count and (types.is_integer(kind) or types.is_boolean(kind)):
        missing = column.is_null().to_numpy()
        empty = missing_value(name, np.dtype(kind.to_pandas_dtype())).item()
        return MaskedColumn(column.fill_null(empty).to_numpy(), mask=missing)
    return column.to_numpy()


def stack_lists(column: pa.ChunkedArray | pa.Array) -> AnyArray | None:
    """Lists as an array (nrows, length); None where they are not of one length."""
    from pyarrow import compute, types

    if types.is_fixed_size_list(column.type):
        lengths = {column.type.list_size}
    else:
        lengths = set(np.asarray(compute.list_value_length(column)).tolist())
    if column.null_count or len(lengths) > 1:
        return None
    values = np.asarray(compute.list_flatten(column))
    return np.asarray(values.reshape(len(column), lengths.pop() if lengths else 0))


def _is_list(kind: pa.DataType) -> bool:
    """Whether the values of a type are lists."""
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))
