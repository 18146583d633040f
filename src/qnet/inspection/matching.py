"""The spectra of rows of a catalogue, found in their files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from qnet.core.arrays import Columns, IntArray
from qnet.core.errors import InputError, first_few, warn
from qnet.core.files import PathLike, as_paths
from qnet.core.spectra import Spectra
from qnet.io.options import ReadOptions
from qnet.io.reader import NO_OPTIONS, group_frames, read_blocks, read_whole
from qnet.io.spall import SpAllLike, as_spall


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """Some spectra of one batch, and the row of the catalogue of each."""

    spectra: Spectra
    rows: IntArray


def find_spectra(
    columns: Columns,
    header: Mapping[str, Any],
    order: IntArray,
    source: Spectra | PathLike | Sequence[PathLike],
    most: int,
    *,
    coadd: str = "none",
    spall: SpAllLike | None = None,
    options: ReadOptions = NO_OPTIONS,
) -> list[Found]:
    """The spectra of the first `most` rows in the order that have one.

    A row is that of a spectrum with its TARGETID; of several, the one in its file and row.
    """
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    keys, taken = _Keys(columns, header), np.zeros(len(order), dtype=bool)
    found: list[Found] = []
    for spectra in _batches(source, coadd, spall, options):
        rows = keys.rows_of(spectra)
        new = [n for n, row in enumerate(rows) if row >= 0 and not taken[row]]
        taken[rows[new]] = True
        # What cannot be among the first is not kept: a file may be larger than memory.
        last = np.sort(rank[taken])[:most][-1] if taken.any() else -1
        new = [n for n in new if rank[rows[n]] <= last]
        if new:
            found.append(Found(spectra.select(new), rows[new]))
    if not found:
        raise InputError(
            f"none of the TARGETIDs of the catalogue ({first_few(columns['TARGETID'])}) is in the "
            "spectra: are they of another file?"
        )
    if missing := int((~taken).sum()):
        warn(f"{missing} of {len(taken)} rows of the catalogue have no spectrum in the files given")
    last = np.sort(rank[taken])[:most][-1]
    kept = [(part, rank[part.rows] <= last) for part in found]
    return [Found(p.spectra.select(mask), p.rows[mask]) for p, mask in kept if mask.any()]


class _Keys:
    """Rows of a catalogue by TARGETID, and where each comes from."""

    def __init__(self, columns: Columns, header: Mapping[str, Any]) -> None:
        self.rows: dict[int, list[int]] = {}
        for row, number in enumerate(columns["TARGETID"].tolist()):
            self.rows.setdefault(number, []).append(row)
        nowhere = np.full(len(columns["TARGETID"]), -1)
        self.input_row = columns.get("INPUT_ROW", nowhere)
        names = (str(header.get(f"IN{n:06d}", "")) for n in columns.get("INPUT_INDEX", nowhere))
        self.names = [os.path.basename(name) for name in names]

    def rows_of(self, spectra: Spectra) -> IntArray:
        """Row of the catalogue of each spectrum, -1 for none."""
        files = {os.path.basename(name) for name in spectra.source}
        ids = zip(spectra.ids["TARGETID"].tolist(), spectra.row.tolist(), strict=True)
        return np.array([self._row(number, row, files) for number, row in ids], dtype=np.int64)

    def _row(self, number: int, input_row: int, files: set[str]) -> int:
        """Row of the catalogue of a spectrum; -1 for none."""
        candidates = self.rows.get(number, [])
        here = [row for row in candidates if self.names[row] in files]
        exact = [row for row in here or candidates if self.input_row[row] == input_row]
        if exact:
            return exact[0]
        # The file has another name, or rows in another order: the TARGETID must be enough.
        return candidates[0] if len(candidates) == 1 and not here else -1


def _batches(
    source: Spectra | PathLike | Sequence[PathLike],
    coadd: str,
    spall: SpAllLike | None,
    options: ReadOptions,
) -> Iterator[Spectra]:
    """The spectra of the files, a part at a time."""
    if isinstance(source, Spectra):
        yield source.coadd() if coadd == "target" else source
        return
    paths = as_paths(source, "spectra")
    if not paths:
        raise InputError("spectra is empty: at least one file was expected")
    known = as_spall(spall)
    for group in group_frames(paths):
        if coadd == "target":
            yield read_whole(group, spall=known, options=options).coadd()
        else:
            yield from read_blocks(group, spall=known, options=options)
