"""HTML of the objects that notebooks show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def describe(title: str, rows: Iterable[tuple[str, object]]) -> str:
    """A title and a table of names and values."""
    shown = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(str(value))}</td></tr>'
        for name, value in rows
    )
    return f"<b>{escape(title)}</b><table>{shown}</table>"


def tabulate(title: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A title and a table with a head."""
    lines = [("th", heads), *(("td", row) for row in rows)]
    shown = "".join(
        f"<tr>{''.join(f'<{tag}>{escape(str(cell))}</{tag}>' for cell in row)}</tr>"
        for tag, row in lines
    )
    return f"<b>{escape(title)}</b><table>{shown}</table>"
