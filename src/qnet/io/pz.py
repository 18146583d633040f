"""Redshift distributions to files of their own, and back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, Columns, Float32Array, FloatArray, IntArray, as_rows
from qnet.core.errors import FileError, InputError, shown
from qnet.core.files import PathLike, as_path, atomic_write, check_input
from qnet.core.guards import library_faults
from qnet.core.kinds import PARQUET, Expected
from qnet.core.pz import BLOCK, CARDS, LN_PZ, class_column, describe_column
from qnet.io.catalogue import Catalogue, is_structural, pz_cards
from qnet.io.columns import filled
from qnet.io.fits.file import FitsFile
from qnet.io.fits.writer import Card, FitsWriter
from qnet.io.parquet import check_values, stack_lists
from qnet.io.tables import check_format, check_table, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from astropy.table import Table

#: Names of the HDUs: of ln p, and of the table beside it.
EXTNAME, IDS = "PZ", "IDS"

#: Columns that identify a row, whatever else the file holds.
_IDS = ("TARGETID", "INPUT_INDEX", "INPUT_ROW")

#: Cards of a catalogue that are of other columns than these, by their first characters; and what
#: a catalogue is known by.
_OTHER_CARDS = ("LINE", "REST", "BAL", "BREST", "QNBIT", "QNDOC", "CTHRESH", "MINLINES", "MODELSHA")

#: Key of the header in the metadata of a Parquet file.
_KEY = b"qnet"


@dataclasses.dataclass(frozen=True)
class _Content:
    """What a file holds."""

    columns: Columns  # ids and class probabilities
    cards: tuple[Card, ...]
    npix: int
    blocks: Iterator[Float32Array]  # ln p of some rows after the other

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def check_pz_format(path: PathLike) -> str:
    """'fits' or 'parquet', by the suffix; InputError if it is none of these."""
    if not as_path(path, "path").name.lower().endswith((".fits", ".parquet")):
        raise InputError(
            f"{path}: the name of a file of redshift distributions must end in .fits or .parquet"
        )
    return check_format(path)


def write_pz(distributions: Table | Catalogue, path: PathLike, *, overwrite: bool = False) -> Path:
    """Write redshift distributions; the suffix is the format: .fits or .parquet.

    Parameters
    ----------
    distributions : astropy.table.Table
        As `qnet.classify` returns it with ``pz=True``; of its columns LN_PZ, TARGETID, INPUT_INDEX,
        INPUT_ROW and the class probabilities are written.
    path : str or path
        The file is written under a temporary name in the same folder, flushed and renamed.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        The suffix is unknown, the format needs a package that is not installed, or the table has
        no column LN_PZ.
    OutputExistsError, FileError
        The file exists already, or cannot be written.

    See Also
    --------
    read_pz : the inverse.

    Examples
    --------
    >>> import qnet
    >>> batch = qnet.simulate(2, seed=1, mix={"quasar": 1}).collect()
    >>> table = qnet.classify(batch.spectra, pz=True)
    >>> path = qnet.io.write_pz(table, "pz.fits")
    >>> qnet.io.read_pz(path).colnames
    ['TARGETID', 'P_QSO', 'P_STAR', 'P_GALAXY', 'INPUT_INDEX', 'INPUT_ROW', 'LN_PZ']
    """
    check_arguments(write_pz, locals())
    kind = check_pz_format(path)
    content = _content(distributions)
    if kind == "parquet":
        with atomic_write(path, overwrite=overwrite) as partial:
            _write_parquet(partial, content)
        return Path(path)
    with FitsWriter(path, overwrite=overwrite) as fits:
        cards = [card for card in content.cards if card.key in CARDS]
        shape = len(content), content.npix
        fits.empty_image(EXTNAME, shape, "f4", cards=cards, compress=True)
        first = 0
        for block in content.blocks:
            fits.fill(EXTNAME, block, first)
            first += len(block)
        comments = {name: describe_column(name).description for name in content.columns}
        fits.table(IDS, content.columns, cards=content.cards, comments=comments)
    return Path(path)


def read_pz(path: PathLike, rows: npt.ArrayLike | None = None) -> Table:
    """Read redshift distributions that `write_pz` or ``qnet classify --pz`` wrote.

    Parameters
    ----------
    path : str or path
    rows : array_like of int, or of bool of shape (nspec,), optional
        Only these rows. Of a FITS file only rows between the first and the last are decompressed.

    Returns
    -------
    astropy.table.Table
        The ids, the class probabilities and LN_PZ of shape (nspec, npix); the header in its meta.

    Raises
    ------
    MissingFileError, FileError
        The file is missing, damaged, or holds no redshift distributions.
    InputError
        The rows are not rows of the file.

    See Also
    --------
    pz_grid : redshifts of the pixels.

    Examples
    --------
    >>> import qnet
    >>> batch = qnet.simulate(4, seed=1, mix={"quasar": 1}).collect()
    >>> path = qnet.io.write_pz(qnet.classify(batch.spectra, pz=True), "pz.fits")
    >>> qnet.io.read_pz(path, rows=[0, 3])["LN_PZ"].shape
    (2, 20957)
    """
    check_arguments(read_pz, locals())
    if check_pz_format(path) == "parquet":
        columns, cards = _read_parquet(as_path(path, "path"), rows)
    else:
        with FitsFile(path) as fits:
            if EXTNAME not in fits or not fits.is_table(IDS):
                raise FileError(
                    f"{path}: lacks the image {EXTNAME} and the table {IDS} of redshift "
                    f"distributions; it holds {fits.describe()}"
                )
            if fits.shape(EXTNAME)[:-1] != (fits.nrows(IDS),):
                raise FileError(
                    f"{path}: {EXTNAME} has shape {fits.shape(EXTNAME)}, but {IDS} has "
                    f"{fits.nrows(IDS)} rows"
                )
            chosen = _indices(rows, fits.nrows(IDS))
            columns = fits.table(IDS, fits.columns(IDS), chosen)
            columns[LN_PZ.name] = fits.image(EXTNAME, chosen)
            header = fits.header(IDS).items()
            cards = tuple(Card(key, value) for key, value in header if not is_structural(key))
    table = to_table(columns, cards, {name: describe_column(name) for name in columns})
    try:
        pz_grid(table)
    except InputError as error:
        raise FileError(f"{path}: {error}") from error
    return table


def pz_grid(distributions: Table) -> FloatArray:
    """Redshifts at the centres of the pixels of LN_PZ.

    Parameters
    ----------
    distributions : astropy.table.Table
        As `read_pz`, or `qnet.classify` with ``pz=True``, returns it.

    Returns
    -------
    ndarray of float64, shape (npix,)
        1 + z = exp(PZSTART + PZSTEP i) in pixel i.

    Raises
    ------
    InputError
        The table has no column LN_PZ of floats of shape (nspec, npix), or its meta no legal
        PZSTART and PZSTEP.

    Examples
    --------
    The most probable redshift, and the probability of 2.1 < z < 3.5:

    >>> import numpy as np
    >>> import qnet
    >>> batch = qnet.simulate(4, seed=1, mix={"quasar": 1}).collect()
    >>> table = qnet.classify(batch.spectra, pz=True)
    >>> z, p = qnet.io.pz_grid(table), np.exp(table["LN_PZ"])
    >>> bool(np.abs(z[p.argmax(axis=1)] - table["ZBEST"]).max() < 1e-3)
    True
    >>> fraction = p[:, (z > 2.1) & (z < 3.5)].sum(axis=1) * table.meta["PZSTEP"]
    """
    check_table("distributions", distributions)
    known = LN_PZ.name in distributions.colnames
    ln_p: Any = distributions[LN_PZ.name] if known else None
    if not known or np.ndim(ln_p) != 2 or ln_p.dtype.kind != "f":
        raise InputError(
            f"the table has no column {LN_PZ.name} of floats of shape (nspec, npix): "
            "qnet.classify(..., pz=True) and qnet.io.read_pz give one"
        )
    start, step = (distributions.meta.get(key) for key in ("PZSTART", "PZSTEP"))
    legal = all(isinstance(value, (int, float)) and np.isfinite(value) for value in (start, step))
    if not legal or not 0 < step <= 1 or not -20 < start < 20:
        raise InputError(
            f"PZSTART and PZSTEP of the table's meta must be those of a grid in ln(1+z), not "
            f"{shown(start)} and {shown(step)}"
        )
    with np.errstate(over="ignore"):
        return np.asarray(np.expm1(start + step * np.arange(ln_p.shape[1])))


def _indices(rows: npt.ArrayLike | None, nspec: int) -> IntArray:
    """Indices of rows from 0; all when None."""
    return np.arange(nspec) if rows is None else as_rows(rows, nspec) % max(nspec, 1)


def _stacked(column: pa.ListArray, path: Path) -> AnyArray:
    """A column of lists as (nrows, npix)."""
    values = stack_lists(column)
    if values is None:
        raise FileError(f"{path}: the lists of {LN_PZ.name} are not of one length")
    return values


def _content(distributions: Table | Catalogue) -> _Content:
    """What is written of a catalogue with distributions, or of a table."""
    if isinstance(distributions, Catalogue):
        pz = distributions.pz
        if pz is None:
            raise InputError("the catalogue was made without redshift distributions: give pz=True")
        columns = {**distributions.columns, **pz.classes}
        cards = (*distributions.header, *pz_cards(pz))
        npix = pz.grid[1]
        blocks = (pz.ln_p(slice(n, n + BLOCK)) for n in range(0, len(pz), BLOCK))
    else:
        npix = len(pz_grid(distributions))
        columns = {
            name: filled(distributions[name], name)
            for name in distributions.colnames
            if name != LN_PZ.name
        }
        ln_p = filled(distributions[LN_PZ.name], LN_PZ.name).astype(np.float32)
        blocks = (ln_p[n : n + BLOCK] for n in range(0, len(ln_p), BLOCK))
        meta = distributions.meta.items()
        cards = tuple(Card(key, x) for key, x in meta if isinstance(x, (str, int, float, bool)))
    if lacking := [name for name in _IDS if name not in columns]:
        raise InputError(f"the table lacks the column(s) {', '.join(lacking)}")
    named = next((str(card.value) for card in cards if card.key == "PZCLASS"), "").split(", ")
    probabilities = [name for name in map(class_column, named) if name in columns]
    chosen = {name: columns[name] for name in (_IDS[0], *probabilities, *_IDS[1:])}
    cards = tuple(card for card in cards if not card.key.startswith(_OTHER_CARDS))
    return _Content(chosen, cards, npix, blocks)


def _write_parquet(path: Path, content: _Content) -> None:
    """Write a Parquet file, whose columns of ln p are lists, a group of rows at a time."""
    import pyarrow as pa
    from pyarrow import parquet

    header = json.dumps({card.key: card.value for card in content.cards})
    fields = [(name, pa.from_numpy_dtype(x.dtype)) for name, x in content.columns.items()]
    fields.append((LN_PZ.name, pa.list_(pa.float32())))
    schema = pa.schema(fields, metadata={_KEY: header})
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        first = 0
        for block in content.blocks:
            rows = slice(first, first := first + len(block))
            offsets = pa.array(np.arange(len(block) + 1, dtype=np.int32) * content.npix)
            arrays = [pa.array(np.ascontiguousarray(x[rows])) for x in content.columns.values()]
            arrays.append(pa.ListArray.from_arrays(offsets, pa.array(block.ravel())))
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _read_parquet(
    path: Path, rows: npt.ArrayLike | None
) -> tuple[dict[str, AnyArray], tuple[Card, ...]]:
    """Columns and header of a Parquet file, of some of its rows."""
    from pyarrow import RecordBatch, parquet

    expected = Expected("redshift distributions in parquet", (PARQUET,))
    with library_faults(path, "cannot be read as redshift distributions in parquet"):
        file = parquet.ParquetFile(whole := check_input(path, expected))
        check_values(file, whole)
        metadata = json.loads((file.schema_arrow.metadata or {}).get(_KEY, b"{}"))
        if LN_PZ.name not in (names := file.schema_arrow.names) or not isinstance(metadata, dict):
            raise FileError(f"{path}: lacks the column {LN_PZ.name} of redshift distributions")
        nspec = file.metadata.num_rows
        chosen, order = np.unique(_indices(rows, nspec), return_inverse=True)
        parts: dict[str, list[AnyArray]] = {name: [] for name in names}
        first = 0
        nothing = [RecordBatch.from_pylist([], schema=file.schema_arrow)]
        for batch in file.iter_batches(BLOCK) if nspec else nothing:
            last = first + batch.num_rows
            inside = chosen[(chosen >= first) & (chosen < last)] - first
            for name, column in zip(names, batch.columns, strict=True):
                lists = name == LN_PZ.name
                values = _stacked(column, path) if lists else column.to_numpy(zero_copy_only=False)
                parts[name].append(values[inside])
            first = last
        columns = {name: np.concatenate(part)[order] for name, part in parts.items()}
    return columns, tuple(Card(key, value) for key, value in metadata.items())
