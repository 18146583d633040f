"""The number of values that a Parquet file announces, and files that announce too many."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import qnet
from qnet.io.parquet_footer import count_values


def test_values_are_those_that_pyarrow_counts(tmp_path):
    path = tmp_path / "a.parquet"
    columns = {
        "n": np.arange(100, dtype=np.int64),
        "f": np.full(100, np.nan),
        "b": np.arange(100) % 2 == 0,
        "s": [None if n % 3 else "x" * n for n in range(100)],
        "l": [[1.0] * (n % 5) for n in range(100)],
    }
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    parquet.write_table(table, path, row_group_size=30, write_page_index=True)
    metadata = parquet.read_metadata(path)
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    wanted = sum(group.column(n).num_values for group in groups for n in range(5))
    assert count_values(path) == wanted > 600


def test_few_bytes_that_announce_a_long_list_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("qnet.io.parquet._SMALL", 1 << 20)
    path = tmp_path / "list.parquet"
    many = "announces 2097152 numbers, too many"
    for length, fault in ((1 << 10, "holds no spectra"), (1 << 20, many)):
        column = [np.zeros(length)]
        parquet.write_table(pa.table({"a": column, "b": column}), path)
        assert path.stat().st_size < 30_000
        with pytest.raises(qnet.FileError, match=fault):
            qnet.read_spectra(path)


def test_column_that_pyarrow_ends_the_process_on_is_an_error(tmp_path):
    """The schema has one level less than the column: pyarrow may not be asked for its values."""
    path = tmp_path / "list.parquet"
    parquet.write_table(pa.table({"flux": [[1.0, 2.0]], "wave": [[4000.0, 5000.0]]}), path)
    content = path.read_bytes()
    # An optional list of optional elements: the repetition of the element becomes `required`.
    element = content.rindex(b"element", 0, content.rindex(b"wave", 0, content.rindex(b"element")))
    at = content.rindex(b"\x25\x02", 0, element)
    path.write_bytes(content[: at + 1] + b"\0" + content[at + 2 :])
    program = f"import qnet; qnet.read_spectra({os.fspath(path)!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert "FileError" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "footer",
    [
        b"",
        b"\x15",  # a field without its value
        b"\x19\xfc\xff\xff\xff\xff\x0f",  # a list of 2^32 structures
        b"\x19\xf7\xff\xff\xff\xff\x0f",  # of floats
        b"\x1c" * 9000,  # a structure in a structure in ...
        b"\x16" + b"\xff" * 99 + b"\1\0",
        b"\x1e\0",
    ],
)
def test_footer_that_is_damaged_is_refused(tmp_path, footer):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(ValueError, match="its footer"):
        count_values(path)
    path.write_bytes(b"PAR1" + footer)
    with pytest.raises(ValueError, match="its end is not"):
        count_values(path)
