"""The astropy Table of a catalogue: in print, its first columns, which are the answers."""

from __future__ import annotations

from typing import Any

from astropy.table import Table
from astropy.table.pprint import TableFormatter

#: What is printed in place of the columns that do not fit.
_MORE = " ..."


class FirstColumns(TableFormatter):  # type: ignore[misc]  # astropy has no types
    """Formatter that leaves out the last columns where not all fit, not those in the middle."""

    def _pformat_table(
        self, table: Table, max_lines: Any = -1, max_width: Any = -1, *args: Any, **options: Any
    ) -> Any:
        """Lines of a table, and what astropy's formatter returns beside them."""
        lines, more = super()._pformat_table(table, max_lines, -1, *args, **options)
        width = self._get_pprint_size(max_lines, max_width)[1]
        # The dashes below the names show where each column ends; HTML has none.
        dashes = next((line for line in lines if line.strip() and not line.strip("- ")), "")
        if len(dashes) <= width or " " not in dashes:
            return lines, more
        end = dashes.rfind(" ", 0, max(width - len(_MORE), 0) + 1)
        end = dashes.find(" ") if end < 0 else end  # one column is shown at least
        return [line[:end] + _MORE for line in lines], more


class CatalogueTable(Table):  # type: ignore[misc]
    """An astropy Table, with `FirstColumns` in print."""

    TableFormatter = FirstColumns
