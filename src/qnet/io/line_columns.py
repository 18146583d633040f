"""Columns of emission lines: an array a row, and in text a column for each line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qnet.core.columns import LINE_CARDS, MODEL_COLUMNS
from qnet.core.errors import FileError, InputError
from qnet.io.columns import filled, float_column
from qnet.io.tables import set_format, set_ucd
from qnet.lines import absorber_IGM, short_names

if TYPE_CHECKING:
    from astropy.table import Table


def split_lines(table: Table, *, short: bool = False) -> Table:
    """The table with a column for each line that its header names: C_LYA, C_BAL_CIV(1548).

    With `short`, names without the wavelength, where that is the one line of the name: C_CIV.
    """
    split = table.copy(copy_data=False)
    for column in MODEL_COLUMNS:
        if column.shape == "scalar" or np.ndim(table.columns.get(column.name)) != 2:
            continue
        values = table[column.name]
        cards = [f"{LINE_CARDS[column.shape]}{n}" for n in range(values.shape[1])]
        if not all(card in table.meta for card in cards):
            continue
        of_cards = [str(table.meta[card]) for card in cards]
        names = short_names(of_cards) if short else of_cards
        lines = {f"{column.prefix}_{name}": x for name, x in zip(names, of_cards, strict=True)}
        if clash := sorted(set(lines) & set(split.colnames)):
            raise InputError(f"the table has the column(s) {', '.join(clash)} of lines already")
        at = [split.colnames.index(column.name)] * len(lines)
        split.add_columns(list(np.moveaxis(values, 1, 0)), at, list(lines))
        split.remove_column(column.name)
        for name, line in lines.items():
            split[name].description = re.sub(
                r"each (emission )?(.*)line", rf"\2{line}", column.description
            )
            set_format(split[name], column.format)
            set_ucd(split[name], column)
    return split


def join_lines(table: Table, path: Path) -> None:
    """The inverse of `split_lines`, in place; names of lines that the header lacks go into it."""
    for shape, card in LINE_CARDS.items():
        group = [column for column in MODEL_COLUMNS if column.shape == shape]
        parts = {column.name: _parts(table, column.prefix) for column in group}
        every = [line for found in parts.values() for line in found]
        # A line that qnet does not know by name has C_LINE and others; Z_RR, ZERR_RR are no line.
        named = parts[group[0].name]
        own = [x for x in every if x in absorber_IGM or (x in named and every.count(x) > 1)]
        lines = list(dict.fromkeys(own))
        for column in group:
            found = {line: name for line, name in parts[column.name].items() if line in lines}
            if missing := [line for line in lines if found and line not in found]:
                names = ", ".join(f"{column.prefix}_{line}" for line in missing)
                raise FileError(f"{path}: lacks the column(s) {names}, which other lines have")
            if not found:
                continue
            first = table.colnames.index(next(iter(found.values())))
            values = [float_column(filled(table[found[x]], x), found[x], path) for x in lines]
            table.add_column(np.stack(values, 1).astype(column.dtype), first, column.name)
            table.remove_columns(list(found.values()))
        for number, line in enumerate(lines):
            table.meta.setdefault(f"{card}{number}", line)


def _parts(table: Table, prefix: str) -> dict[str, str]:
    """Columns with a prefix, by the name of the line that follows it."""
    known = {line.upper(): line for line in absorber_IGM}
    pattern = re.compile(rf"{prefix}_(?!BAL_|LINES)(.+)", re.IGNORECASE)
    matches = {name: pattern.fullmatch(name) for name in table.colnames}
    return {known.get(match[1].upper(), match[1]): name for name, match in matches.items() if match}
