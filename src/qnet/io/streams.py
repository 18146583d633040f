"""Catalogues that are larger than memory: written from blocks of rows, one after the other."""

from __future__ import annotations

import dataclasses
import gzip
import io
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qnet.core.arrays import AnyArray
from qnet.core.columns import Column
from qnet.core.exports import OWN, check_export
from qnet.core.files import PathLike, as_path, atomic_write
from qnet.core.pz import LN_PZ
from qnet.io.catalogue import EXTNAME, Catalogue, concatenate
from qnet.io.exports.desi import make_desi, make_redrock
from qnet.io.exports.writing import export
from qnet.io.fits.writer import Card, FitsWriter
from qnet.io.line_columns import split_lines
from qnet.io.tables import check_format, to_table, write_astropy

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows of a block, and of a row group of Parquet files.
BLOCK = 1 << 16

#: Cards that name the inputs, up to this many; of more a file has a table, as headers end at 4 MB.
_MOST_CARDS = 1000

#: HDU and key of the metadata, in Parquet, with the names of many inputs.
INPUTS = "INPUTS"

#: Formats that are made block by block, and what makes their HDUs.
_HDUS: Mapping[str, Callable[[Catalogue], dict[str, Catalogue]]] = {
    "desi": make_desi,
    "redrock": make_redrock,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Stream:
    """Rows of a catalogue, in blocks that can be asked for again."""

    #: The catalogue without rows: types, header without inputs, units.
    empty: Catalogue
    blocks: Callable[[], Iterator[dict[str, AnyArray]]]
    inputs: Sequence[str] = ()

    def whole(self, columns: Mapping[str, AnyArray]) -> Catalogue:
        """A block with the header."""
        return dataclasses.replace(self.empty, columns=columns)

    def with_inputs(self) -> Stream:
        """The same with cards of the inputs in the header, unless there are many."""
        if len(self.inputs) > _MOST_CARDS:
            return self
        cards = (Card(f"IN{number:06d}", path) for number, path in enumerate(self.inputs))
        header = (*self.empty.header, *cards)
        return dataclasses.replace(
            self, empty=dataclasses.replace(self.empty, header=header), inputs=()
        )


def check_stream(to: str | None, path: PathLike) -> str:
    """Name of the format of an output: 'fits', 'ecsv' or one of `EXPORTS`; InputError for none."""
    if to is None:
        return check_format(path, "a catalogue")
    form = check_export(to, path)
    return check_format(path) if form.name in OWN else form.name


def write_stream(
    stream: Stream, path: PathLike, *, to: str | None = None, overwrite: bool = False
) -> Path:
    """Write a catalogue block by block; 'picca' is made of all its quasars, 'votable' of all rows.

    The formats are those of `write_catalogue` by the suffix, or those of `export` by `to`.
    """
    kind, stream = check_stream(to, path), stream.with_inputs()
    if kind in ("picca", "votable"):
        export(_gather(stream, kind), path, to=kind, overwrite=overwrite)
        return Path(path)
    with atomic_write(path, overwrite=overwrite) as partial:
        if kind == "parquet":
            _write_parquet(stream, partial)
        elif kind in ("csv", "ecsv"):
            _write_text(stream, partial, kind)
        elif partial.suffix == ".gz":
            _write_gzipped(stream, partial, kind)
        else:
            _write_fits(stream, partial, kind)
    return Path(path)


def _gather(stream: Stream, kind: str) -> Catalogue:
    """The rows that a format needs at once."""
    quasars = kind == "picca" and "IS_QSO" in stream.empty.columns
    parts = [stream.empty.columns]
    for block in stream.blocks():
        chosen = block["IS_QSO"] if quasars else slice(None)
        parts.append({name: values[chosen] for name, values in block.items()})
    return stream.whole(concatenate(parts))


def _write_fits(stream: Stream, path: Path, kind: str) -> None:
    """The tables of a FITS file, one after the other."""
    make = _HDUS.get(kind, _own_hdu)
    with FitsWriter(path, atomic=False) as fits:
        for name, empty in make(stream.empty).items():
            info = empty.info.items()
            fits.table(
                name,
                {column: _fixed(values) for column, values in empty.columns.items()},
                cards=empty.header,
                units={column: known.unit for column, known in info},
                comments={column: known.description for column, known in info},
                formats={column: known.display for column, known in info if known.display},
                ucds={column: known.ucd for column, known in info},
            )
            for block in stream.blocks():
                fits.extend(make(stream.whole(block))[name].columns)
            fits.seal()
        if stream.inputs and kind == "fits":
            comments = {"INPUT": "name of the input that INPUT_INDEX counts"}
            fits.table(INPUTS, {"INPUT": np.array(stream.inputs)}, comments=comments)


def _own_hdu(catalogue: Catalogue) -> dict[str, Catalogue]:
    """The table of qnet's own catalogues."""
    return {EXTNAME: catalogue}


def _fixed(values: AnyArray) -> AnyArray:
    """A column as FITS has it: text as bytes of a fixed width, at least one."""
    if values.dtype.kind != "U":
        return values
    return values.astype(f"S{max(1, values.dtype.itemsize // 4)}")


def _write_gzipped(stream: Stream, path: Path, kind: str) -> None:
    """A FITS file, then compressed: the C library would hold it in memory."""
    plain = path.with_name(f"{path.name}.fits")
    try:
        _write_fits(stream, plain, kind)
        with open(plain, "rb") as source, gzip.open(path, "wb", compresslevel=4) as target:
            shutil.copyfileobj(source, target, 1 << 20)
    finally:
        plain.unlink(missing_ok=True)


def _write_text(stream: Stream, path: Path, kind: str) -> None:
    """CSV or ECSV, with a column for each line."""

    def lines(columns: Mapping[str, AnyArray]) -> str:
        text = io.StringIO()
        write_astropy(text, split_lines(_plain(stream.whole(columns)).to_table()), kind)
        return text.getvalue()

    head = lines(stream.empty.columns)
    with open(path, "w", encoding="utf-8", newline="") as target:
        target.write(head)
        for block in stream.blocks():
            target.write(lines(block)[len(head) :])


def _plain(catalogue: Catalogue) -> Catalogue:
    """The catalogue without distributions, which as text would be thousands of columns."""
    columns = {name: x for name, x in catalogue.columns.items() if name != LN_PZ.name}
    return dataclasses.replace(catalogue, columns=columns)


def _write_parquet(stream: Stream, path: Path) -> None:
    """A Parquet file as `write_catalogue` writes it, in row groups of a block."""
    from pyarrow import parquet

    schema = arrow_schema(stream.empty, path, stream.inputs)
    with parquet.ParquetWriter(path, schema, version="2.4") as writer:
        for block in stream.blocks():
            writer.write_table(arrow_table(block, schema))


def arrow_schema(empty: Catalogue, path: Path, inputs: Sequence[str] = ()) -> pa.Schema:
    """Types and header of a catalogue as astropy writes them to Parquet; `path` is made for it."""
    import json

    from pyarrow import parquet

    info: Mapping[str, Column] = empty.info
    write_astropy(path, to_table(empty.columns, empty.header, info), "parquet")
    schema = parquet.read_schema(path)
    path.unlink()
    if not inputs:
        return schema
    return schema.with_metadata({**schema.metadata, INPUTS: json.dumps(list(inputs))})


def arrow_table(columns: Mapping[str, AnyArray], schema: pa.Schema) -> pa.Table:
    """Columns as a table of Arrow with the types of a schema."""
    import pyarrow as pa

    arrays: list[Any] = []
    for field in schema:
        values = columns[field.name]
        if values.ndim == 1:
            arrays.append(pa.array(values, type=field.type))
            continue
        flat = pa.array(np.ascontiguousarray(values).reshape(-1), type=field.type.value_type)
        arrays.append(pa.FixedSizeListArray.from_arrays(flat, type=field.type))
    return pa.table(arrays, schema=schema)


def split_block(stream: Stream, columns: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """A block with a column for each line, by the short names."""
    table = split_lines(_plain(stream.whole(columns)).to_table(), short=True)
    return {name: np.asarray(table[name]) for name in table.colnames}


def name_of(path: PathLike) -> str:
    """Name of a catalogue by that of its file or folder."""
    return as_path(path, "path").name.split(".")[0] or "catalogue"
