"""What a merge finds in the first of its passes: types, header, and the place of each row."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qnet.classification.header import LAST
from qnet.core.arrays import AnyArray, BoolArray, Columns, IntArray
from qnet.core.errors import FileError, InputError, shown, warn
from qnet.core.flags import NEVER_QSO
from qnet.core.positions import POSITIONS
from qnet.io.catalogue import Catalogue, from_table, load_fits, read_catalogue, read_columns
from qnet.io.columns import missing_value
from qnet.io.fits.writer import Card
from qnet.io.hats import INDEX, find_pixels
from qnet.io.tables import find_format

#: Cards by which IS_QSO and the probabilities are comparable.
_SAME = ("MODEL", "MODELSHA", "STRATEGY", "PTHRESH", "CTHRESH", "MINLINES", "PRIOR", "PRIORQSO")

#: Cards of inputs, and all that each file has for itself.
_INPUT = re.compile(r"IN\d{6,}")
_OF_FILES = re.compile(rf"{_INPUT.pattern}|DEP(?:NAM|VER)\d+")


@dataclasses.dataclass(frozen=True)
class Merged:
    """Result of a merge.

    Attributes
    ----------
    rows, quasars : int
        Numbers of rows, and of quasars among them.
    duplicates : int
        Rows left out for a better one of their TARGETID.
    unplaced : int
        Rows left out because they have no position.
    partitions : int
        Number of partitions; 0 for a single file.
    missing : int
        Inputs of the survey that have no catalogue.

    See Also
    --------
    merge : what returns it.

    Examples
    --------
    >>> import qnet
    >>> merged = qnet.survey.Merged(rows=1000, quasars=500)
    >>> merged.duplicates, merged.partitions
    (0, 0)
    """

    rows: int
    quasars: int
    duplicates: int = 0
    unplaced: int = 0
    partitions: int = 0
    missing: int = 0


def _load(path: Path) -> tuple[Mapping[str, AnyArray], Mapping[str, Any]]:
    """Columns of a catalogue, which is one of many and fits into memory; and its header."""
    if find_format(path) == "fits":
        return read_columns(path)
    catalogue = from_table(read_catalogue(path))
    return catalogue.columns, {card.key: card.value for card in catalogue.header}


def _describe(path: Path) -> Catalogue:
    """A catalogue with what is known of its columns."""
    return load_fits(path) if find_format(path) == "fits" else from_table(read_catalogue(path))


class Plan:
    """What the first pass finds: types, header, and what the places of the rows depend on."""

    def __init__(self, sort: str | None, best: bool) -> None:
        self.files: list[Path] = []
        self.rows: list[int] = []
        self.inputs: list[str] = []
        self.first_input: list[int] = []  # of each file, in the list of all inputs
        self._sort, self._best = sort, best
        self._types: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
        self._where: dict[str, Path] = {}  # a file with each column
        self._info: dict[str, Any] = {}
        self._cards: tuple[Card, ...] = ()  # of the first
        self._first: dict[str, Any] = {}
        self._versions: dict[str, str] = {}
        self._differing: dict[str, None] = {}
        self._keys: list[AnyArray] = []
        self._ids: list[IntArray] = []
        self._scores: list[AnyArray] = []
        self._quasars: list[BoolArray] = []

    def add(self, path: Path) -> None:
        """Read a catalogue."""
        columns, header = _load(path)
        nrows = len(next(iter(columns.values()), ()))
        if not set(columns) <= set(self._types):  # the first, or one with more columns
            known = _describe(path)
            self._info = {**known.info, **self._info}
            self._cards = self._cards or known.header
        for name, values in columns.items():
            self._add_type(name, values, path)
        self._check_header(header, path)
        names = [str(value) for key, value in header.items() if _INPUT.fullmatch(key)]
        index = columns.get("INPUT_INDEX")
        if not names and index is not None:
            names = [str(path)] * (int(index.max(initial=-1)) + 1)
        self.first_input.append(len(self.inputs))
        self.inputs += names
        self.files.append(path)
        self.rows.append(nrows)
        self._quasars.append(np.asarray(columns.get("IS_QSO", np.zeros(nrows)), dtype=bool))
        if self._best:
            self._ids.append(_column(columns, "TARGETID", path).astype(np.int64))
            self._scores.append(_score(columns, path))
        if self._sort is not None:
            self._keys.append(_key(columns, self._sort, path))

    def _add_type(self, name: str, values: AnyArray, path: Path) -> None:
        """Widen the type of a column to that of a file."""
        dtype, shape = _ascii_type(values), values.shape[1:]
        before, first = self._types.get(name, (dtype, shape)), self._where.setdefault(name, path)
        if before[1] != shape:
            raise InputError(
                f"{path}: column {name} has shape {shape} in a row, but {before[1]} in {first}: the"
                " catalogues are of different models"
            )
        kinds = {before[0].kind, dtype.kind}
        common = np.result_type(before[0], dtype)
        if len(kinds) > 1 and (kinds & set("Ub") or (common.kind == "f" and kinds <= set("iu"))):
            raise InputError(
                f"{path}: column {name} holds {dtype}, but {before[0]} in {first}: catalogues of "
                "such different types cannot be merged"
            )
        self._types[name] = common, shape

    def _check_header(self, header: Mapping[str, Any], path: Path) -> None:
        """Raise where a catalogue was made in another way than the first; gather the versions."""
        if not self.files:
            self._first = {key: header.get(key) for key in _SAME}
        for key, first in self._first.items():
            if header.get(key) != first:
                raise InputError(
                    f"{path}: {key} is {shown(header.get(key))}, but {shown(first)} in "
                    f"{self.files[0]}: catalogues of different models or criteria are not merged"
                )
        for key, name in header.items():
            version = header.get(f"DEPVER{key[6:]}") if key.startswith("DEPNAM") else None
            if version and self._versions.setdefault(name, version) != version:
                self._differing[name] = None

    def choose(self) -> BoolArray:
        """Which rows are kept: of a TARGETID the best, and those with a position where needed."""
        if self._differing:
            warn(
                "the catalogues were made with different versions of "
                f"{', '.join(self._differing)}: the header keeps the first of each"
            )
        keep: BoolArray = np.ones(sum(self.rows), dtype=bool)
        if self._sort == INDEX:
            keep &= np.concatenate(self._keys) >= 0
            if not keep.any():
                raise InputError("no row has a position (TARGET_RA, TARGET_DEC), of which HATS is")
            if lost := int((~keep).sum()):
                warn(f"{lost} of {len(keep)} rows have no position: they are left out of HATS")
        self._unplaced = int((~keep).sum())
        if self._best:
            ids, scores = np.concatenate(self._ids), np.concatenate(self._scores)
            keep &= _best_rows(ids, np.where(keep, scores, -np.inf))
        return keep

    def places(self, keep: BoolArray) -> IntArray | None:
        """Place of each row in the output, -1 for none; None for the order of the input."""
        if self._sort is None:
            return None
        rows = np.flatnonzero(keep)
        rows = rows[np.argsort(np.concatenate(self._keys)[rows], kind="stable")]
        places = np.full(len(keep), -1, dtype=np.int64)
        places[rows] = np.arange(len(rows))
        return places

    def empty(self) -> Catalogue:
        """The catalogue without rows."""
        names = [name for name in self._types if name not in LAST]
        names += [name for name in LAST if name in self._types]
        columns = {name: np.zeros((0, *shape), dtype) for name, dtype, shape in self._typed(names)}
        if self._sort == INDEX:
            columns[INDEX] = np.zeros(0, dtype=np.int64)
        cards = [card for card in self._cards if not _OF_FILES.fullmatch(card.key)]
        cards += (
            Card(f"{key}{number:02d}", value)
            for number, pair in enumerate(self._versions.items())
            for key, value in zip(("DEPNAM", "DEPVER"), pair, strict=True)
        )
        return Catalogue(columns, tuple(cards), self._info)

    def _typed(self, names: Iterable[str]) -> Iterator[tuple[str, np.dtype[Any], tuple[int, ...]]]:
        return ((name, *self._types[name]) for name in names)

    def result(self, keep: BoolArray) -> Merged:
        """Numbers of rows."""
        quasars = int(np.concatenate(self._quasars)[keep].sum())
        dropped = int((~keep).sum()) - self._unplaced
        return Merged(int(keep.sum()), quasars, dropped, self._unplaced)

    def read(self, number: int, empty: Catalogue) -> Columns:
        """A file's columns with the types of all, INPUT_INDEX in the list of all inputs."""
        path, nrows = self.files[number], self.rows[number]
        found, _ = _load(path)
        if any(len(values) != nrows for values in found.values()) or not set(found) <= set(
            self._types
        ):
            raise FileError(f"{path}: changed while it was merged")
        columns = {}
        for name, like in empty.columns.items():
            if name in found:
                columns[name] = found[name].astype(like.dtype, copy=False)
            elif name == INDEX:
                columns[name] = _pixels(found, nrows)
            else:
                shape = (nrows, *like.shape[1:])
                columns[name] = np.full(shape, missing_value(name, like.dtype), like.dtype)
        if "INPUT_INDEX" in columns:
            columns["INPUT_INDEX"] = columns["INPUT_INDEX"] + self.first_input[number]
        return columns


def _column(columns: Mapping[str, AnyArray], name: str, path: Path) -> AnyArray:
    """A column that a catalogue must have."""
    if name not in columns:
        raise InputError(f"{path}: lacks the column {name}, by which rows are to be ordered")
    return columns[name]


def _key(columns: Mapping[str, AnyArray], name: str, path: Path) -> AnyArray:
    """Numbers by which rows are sorted; pixels of HEALPix for their column."""
    if name == INDEX:
        return _pixels(columns, len(next(iter(columns.values()), ())))
    values = _column(columns, name, path)
    if values.ndim != 1 or values.dtype.kind not in "iufb":
        raise InputError(f"sort must be a column with a number per row, not {name}")
    return values


def _pixels(columns: Mapping[str, AnyArray], nrows: int) -> IntArray:
    """Pixel of each row, -1 without a position."""
    if any(name not in columns for name in POSITIONS[0]):
        return np.full(nrows, -1, np.int64)
    ra, dec = (np.asarray(columns[name], dtype=np.float64) for name in POSITIONS[0])
    return find_pixels(ra, dec)


def _score(columns: Mapping[str, AnyArray], path: Path) -> AnyArray:
    """By what the best row of a TARGETID is chosen: SNR; below all others where never a quasar."""
    snr = np.nan_to_num(np.asarray(_column(columns, "SNR", path), float), nan=-1e30)
    flag = np.asarray(_column(columns, "QN_FLAG", path), np.int64)
    return np.asarray(np.where(flag & int(NEVER_QSO), snr - 1e35, snr))


def _best_rows(ids: IntArray, scores: AnyArray) -> BoolArray:
    """The row of largest score of each id, the first of equals; all of ids that are none."""
    order = np.lexsort((-scores, ids))
    best: BoolArray = np.zeros(len(ids), dtype=bool)
    best[order[np.flatnonzero(np.diff(ids[order], prepend=ids[order][:1] - 1))]] = True
    return best | (ids <= 0)


def _ascii_type(values: AnyArray) -> np.dtype[Any]:
    """Type of a column; of text wide enough for what FITS does not have, escaped."""
    if values.dtype.kind not in "SU":
        return values.dtype
    text = values.astype(str)
    width = text.dtype.itemsize // 4
    try:
        text.astype(bytes)
    except UnicodeEncodeError:
        width = np.char.encode(text, "ascii", "backslashreplace").dtype.itemsize
    return np.dtype(f"U{max(1, width)}")
