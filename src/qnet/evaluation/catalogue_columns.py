"""Columns of catalogues of answers: of several lines, logical, optional; and of a .csv file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import BoolArray, Columns, FloatArray
from qnet.core.errors import FileError
from qnet.core.files import check_input
from qnet.io.columns import filled, float_column, text_column
from qnet.lines import QUASARNET_LINES, absorber_IGM

_SPLIT_COLUMN = re.compile(r"([CZ]_LINES(?:_BAL)?)_(\d+)")


def read_csv_columns(path: Path) -> Columns:
    """Columns of qnet's .csv file, those of several lines put together again."""
    from astropy.table import Table

    try:
        table = Table.read(check_input(path, "a catalogue"), format="ascii.csv")
    except (OSError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path}: cannot be read as a catalogue in csv ({error})") from error
    columns: Columns = {}
    split: dict[str, dict[int, npt.NDArray[Any]]] = {}
    for name in table.colnames:
        match = _SPLIT_COLUMN.fullmatch(name.upper())
        values = filled(table[name], name)
        if match is None:
            columns[name.upper()] = values
        else:
            split.setdefault(match[1], {})[int(match[2])] = float_column(values, name, path)
    for name, parts in split.items():
        # By their numbers, wherever they stand in the file.
        if sorted(parts) != list(range(len(parts))):
            raise FileError(
                f"{path}: has the columns {name}_{', '.join(map(str, sorted(parts)))}, but one for "
                f"each line from {name}_0 on was expected"
            )
        columns[name] = np.stack([parts[number] for number in range(len(parts))], axis=1)
    return columns


def card_number(meta: Mapping[str, Any], key: str, default: float, path: Path) -> float:
    """A number of a catalogue's header."""
    try:
        return float(meta.get(key, default))
    except ValueError as error:
        raise FileError(f"{path}: card {key} holds {meta[key]!r}, not a number") from error


def line_names(
    meta: Mapping[str, Any], nlines: int, path: Path
) -> tuple[tuple[str, ...], Mapping[str, float]]:
    """Names and rest wavelengths by the header; without one, QuasarNET's if their number fits."""
    if all(f"LINE{number}" in meta for number in range(nlines)):
        names = tuple(str(meta[f"LINE{number}"]) for number in range(nlines))
        places = {
            line: card_number(meta, f"REST{number}", np.nan, path)
            for number, line in enumerate(names)
            if f"REST{number}" in meta
        }
        return names, places
    if nlines == len(QUASARNET_LINES):
        return QUASARNET_LINES, {line: absorber_IGM[line] for line in QUASARNET_LINES}
    return tuple(f"line {number}" for number in range(nlines)), {}


def optional_column(columns: Columns, name: str, path: Path) -> FloatArray | None:
    """A column as float64; None where there is none."""
    return float_column(columns[name], name, path) if name in columns else None


def lines_column(columns: Columns, name: str, path: Path) -> FloatArray | None:
    """A column of several lines as (nspec, nlines); None where there is none, or of no line."""
    if name not in columns:
        return None
    values = columns[name]
    table = values[:, None] if values.ndim == 1 else values
    if table.ndim != 2 or table.dtype.kind not in "fiu":
        raise FileError(
            f"{path}: column {name} holds {values.dtype} of shape {values.shape[1:]} per row, but "
            "a number per line was expected"
        )
    return table.astype(np.float64) if table.shape[1] else None


def bool_column(columns: Columns, name: str, path: Path) -> BoolArray:
    """A column as bool: logical, a number that is 0 or not, or the words true and false."""
    values = columns[name]
    if values.dtype.kind in "SU":
        text = np.char.lower(text_column(values, name, path))
        if np.isin(text, ["true", "false"]).all():
            return np.asarray(text == "true")
    elif values.ndim == 1 and values.dtype.kind in "biu":
        return np.asarray(values > 0)
    raise FileError(f"{path}: column {name} holds {values.dtype}, but true or false was expected")
