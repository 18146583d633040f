"""Sphinx: tables of the documentation that are made of declarations in the code.

The block ::

    ```{declared-table} flags
    ```

becomes the table of that name in `TABLES`; further words are the arguments of its function.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

from qnet import cli
from qnet.core.columns import COLUMNS, Column
from qnet.core.exports import EXPORTS
from qnet.core.flags import QNFlag
from qnet.core.zwarn import ZWARN
from qnet.evaluation import Options
from qnet.evaluation.metric import DEFINITIONS, define
from qnet.io.objects.registry import KINDS
from qnet.io.readers import READERS
from qnet.io.roles import NAMES, OPTIONS
from qnet.strategies import STRATEGIES

#: The title row, and the rows.
Table = tuple[tuple[str, ...], Iterable[tuple[object, ...]]]

_NO_OPTIONS = (argparse._SubParsersAction, argparse._HelpAction)

_BLOCK = re.compile(r"^```\{declared-table\} (\w+)(.*)\n```$", re.MULTILINE)


def flags() -> Table:
    """Bits of QN_FLAG."""
    rows = ((flag.bit, flag.value, f"`{flag.name}`", flag.meaning, flag.set_by) for flag in QNFlag)
    return ("bit", "value", "name", "meaning", "set by"), rows


def columns(of: str) -> Table:
    """Columns of the catalogue: those of `qnet`, or those of a `survey`."""
    survey = of == "survey"
    chosen = [c for c in COLUMNS if bool(c.survey and c.name != "TARGETID") == survey]
    rows = []
    for row, group in groupby(chosen, lambda column: _column(column, survey)):
        rows.append((", ".join(f"`{column.name}`" for column in group), *row))
    return ("column", "type, shape", "meaning", "surveys" if survey else "empty where"), rows


def _column(column: Column, survey: bool) -> tuple[str, str, str]:
    """What the table has of a column beside its name."""
    size = {"scalar": "", "lines": " (nlines,)", "lines_bal": " (nbal,)"}[column.shape]
    unit = f" [{column.unit}]" if column.unit else ""
    meaning = ". ".join(filter(None, (plain(column.description), column.details)))
    empty = {"nan": "NaN", "False": "false"}.get(str(column.empty), str(column.empty))
    last = column.survey if survey else f"{empty}: {column.empty_where}"
    return column.dtype + size, meaning + unit, last


def formats() -> Table:
    """Layouts of files of spectra, from the register of readers."""
    rows = (
        [plain(cell or "-") for cell in (r.name, r.hdus, r.targetid, r.wavelengths, r.no_weight)]
        for r in READERS
        if not r.refused
    )
    return ("layout", "recognised by", "TARGETID", "wavelengths", "pixels without weight"), rows


def refused() -> Table:
    """Layouts of files of spectra that are recognised, and not read."""
    rows = ([plain(cell) for cell in (r.name, r.hdus, r.refused)] for r in READERS if r.refused)
    return ("layout", "recognised by", "why it is not read"), rows


def roles() -> Table:
    """What columns of tables of spectra hold, by their names."""
    options = {kind: option for option, kind in OPTIONS.items()}
    rows = (
        (f"`{options.get(kind, '-')}`", ", ".join(f"`{name}`" for name in names))
        for kind, names in NAMES.items()
    )
    return ("`--columns`", "names in any letter case, best first"), rows


def strategies() -> Table:
    """Strategies, from their register."""
    rows = (
        (
            f"`{each}`",
            plain(each.summary),
            ", ".join(f"`{name}`" for name in each.columns),
            each.source,
        )
        for each in STRATEGIES.values()
    )
    return ("strategy", "quasars and redshift", "needs", "source"), rows


def objects() -> Table:
    """Kinds of objects in memory, from their register."""
    rows = (
        (*map(plain, (kind.name, kind.given, kind.targetid)), number)
        for kind in KINDS
        for number in ["one input" if kind.join else "an input each"]
    )
    return ("object", "holds", "TARGETID", "several in a list are"), rows


def exports() -> Table:
    """Formats that catalogues are exported to."""
    rows = (
        (f"`{row.name}`", row.description, row.source, " ".join(f"`{x}`" for x in row.suffixes))
        for row in EXPORTS.values()
    )
    return ("format", "what is written", "defined by", "suffix"), rows


def zwarn() -> Table:
    """Bits of ZWARN that qnet sets."""
    rows = (
        (row.bit, f"`{row.name}`", "; ".join(filter(None, (_names(row.flags), row.beside))))
        for row in ZWARN
    )
    return ("bit", "name", "set by"), rows


def _names(flags: QNFlag) -> str:
    """Names of bits of QN_FLAG."""
    return ", ".join(f"`{flag.name}`" for flag in flags)


def metrics(*names: str) -> Table:
    """Definitions of numbers of an evaluation, at the default options."""
    options = Options()
    rows = ((f"`{name}`", plain(define(DEFINITIONS[name], options))) for name in names)
    return ("name", "definition"), rows


def command(*names: str) -> Table:
    """Options of a command of ``qnet``; of ``qnet`` itself without a name."""
    parser = cli._parser()
    for name in names:
        (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
        parser = commands.choices[name]
    expand = parser._get_formatter()._expand_help
    rows = []
    for group in parser._action_groups:
        actions = [a for a in group._group_actions if not isinstance(a, _NO_OPTIONS)]
        if actions and group.title not in ("positional arguments", "options"):
            rows.append((f"*{plain(group.title)}*", ""))
        rows += [(_option(action), plain(expand(action))) for action in actions]
    return ("option", "meaning"), rows


def _option(action: argparse.Action) -> str:
    """Names of an option, and its values."""
    values = "" if action.nargs == 0 else action.metavar or ", ".join(action.choices or ())
    if isinstance(values, tuple):
        values = " ".join(values)
    names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{values}`"
    repeated = "..." * (action.nargs in ("+", "*"))
    return f"{names} {values}{repeated}" if action.option_strings else names + repeated


def plain(text: str) -> str:
    """A text without markup, as Markdown; options are set as code."""
    parts = re.split(r"(?<!\w)(--[a-z][\w-]*(?:=[\w,-]+)?)", text)
    parts[::2] = [re.sub(r"([*_<>`\\[\]$])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [f"`{part}`" for part in parts[1::2]]
    return "".join(parts)


TABLES: dict[str, Callable[..., Table]] = {
    "flags": flags,
    "columns": columns,
    "formats": formats,
    "refused": refused,
    "roles": roles,
    "strategies": strategies,
    "objects": objects,
    "exports": exports,
    "zwarn": zwarn,
    "metrics": metrics,
    "command": command,
}


def markdown(table: Table) -> str:
    """A table as Markdown."""
    title, rows = table
    lines = [title, ("---",) * len(title), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def write_tables(app: Any, document: str, source: list[str]) -> None:
    """Put the tables into the place of their blocks."""
    source[0] = _BLOCK.sub(lambda match: markdown(TABLES[match[1]](*match[2].split())), source[0])


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", write_tables)
    return {"parallel_read_safe": True}
