"""Sphinx: tables of the documentation that are made of declarations in the code.

The block ::

    ```{declared-table} flags
    ```

becomes the table of that name in `TABLES`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from qnet.core.flags import QNFlag

#: The title row, and the rows.
Table = tuple[tuple[str, ...], Iterable[tuple[object, ...]]]

_BLOCK = re.compile(r"^```\{declared-table\} (\w+)\n```$", re.MULTILINE)


def flags() -> Table:
    """Bits of QN_FLAG."""
    rows = ((flag.bit, flag.value, f"`{flag.name}`", flag.meaning, flag.set_by) for flag in QNFlag)
    return ("bit", "value", "name", "meaning", "set by"), rows


TABLES: dict[str, Callable[[], Table]] = {"flags": flags}


def markdown(table: Table) -> str:
    """A table as Markdown."""
    title, rows = table
    lines = [title, ("---",) * len(title), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def write_tables(app: Any, document: str, source: list[str]) -> None:
    """Put the tables into the place of their blocks."""
    source[0] = _BLOCK.sub(lambda match: markdown(TABLES[match[1]]()), source[0])


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", write_tables)
    return {"parallel_read_safe": True}
