"""The command ``qnet show``."""

from __future__ import annotations

import argparse
import shutil
import sys
from typing import TYPE_CHECKING

import numpy as np

from qnet.cli import parser as shared
from qnet.cli.common import OK
from qnet.core.errors import InputError

if TYPE_CHECKING:
    from astropy.table import Table

    from qnet.core.arrays import AnyArray, IntArray


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    parser = add_parser(
        description="Print rows of a catalogue as a table: main columns first, QN_FLAG in words.",
        examples=(
            "qnet show catalogue.fits --qso --sort P_QSO -n 20",
            "qnet show catalogue.fits --columns TARGETID ZBEST C_LYA -n 0",
        ),
    )
    shared.add(parser, "catalogue", "CATALOGUE", "catalogue of qnet")
    text = "quasars only: the rows where IS_QSO is true"
    parser.add_argument("--qso", action="store_true", help=text)
    text = "sort by this column, the largest value first (default: the order of the file)"
    shared.add(parser, "--sort", "COLUMN", text)
    text = "with --sort: the smallest value first"
    parser.add_argument("--ascending", action="store_true", help=text)
    text = "columns, of the catalogue or of one line, as C_LYA (default: those that fit)"
    shared.add(parser, "--columns", "COLUMN", text, nargs="+")
    shared.add(parser, "-n", "N", "number of rows; 0: all", 20)
    parser.set_defaults(command=_show)


def _show(arguments: argparse.Namespace) -> int:
    """Run ``qnet show``."""
    from qnet.core.flags import flag_names
    from qnet.io.catalogue import read_catalogue
    from qnet.io.line_columns import split_lines

    if arguments.n < 0:
        raise InputError(f"-n {arguments.n}: 0 (all rows) or more was expected")
    table = read_catalogue(arguments.catalogue)
    shown, total = table.colnames, len(table)
    lines = split_lines(table)
    table.add_columns([lines[name] for name in lines.colnames if name not in shown], copy=False)
    wanted = [*(arguments.columns or shown), *([arguments.sort] if arguments.sort else [])]
    wanted += ["IS_QSO"] if arguments.qso else []
    if unknown := [name for name in wanted if name not in table.colnames]:
        raise InputError(
            f"{arguments.catalogue}: has no column {unknown[0]}; it has {', '.join(table.colnames)}"
        )
    rows = np.arange(total)
    if arguments.qso:
        rows = rows[np.asarray(table["IS_QSO"], bool)]
    if arguments.sort:
        values = np.asarray(table[arguments.sort])[rows]
        if values.ndim != 1:
            raise InputError(
                f"--sort {arguments.sort}: has several values in a row: name that of one line"
            )
        rows = rows[_order(values, arguments.ascending)]
    some = rows[: arguments.n or None]
    chosen = table[arguments.columns or shown][some]
    if "QN_FLAG" in chosen.colnames:
        chosen["QN_FLAG"] = [",".join(flag_names(flag)) or "-" for flag in chosen["QN_FLAG"]]
    _print(chosen, bool(arguments.columns))
    kind = f"quasars among {total} rows" if arguments.qso else "rows"
    if not arguments.quiet:
        print(f"qnet: {len(some)} of {len(rows)} {kind}", file=sys.stderr)
    return OK


def _order(values: AnyArray, ascending: bool) -> IntArray:
    """Order of the values; those that are not known (NaN) are last."""
    order = np.argsort(values, kind="stable")
    if ascending:
        return order
    unknown = values[order] != values[order]
    return np.concatenate([order[~unknown][::-1], order[unknown]])


def _print(table: Table, all_columns: bool) -> None:
    """Print a table: the columns that fit on a terminal, all to a pipe or a file."""
    fits = sys.stdout.isatty() and not all_columns
    width = shutil.get_terminal_size().columns if fits else -1
    print("\n".join(table.pformat(max_lines=-1, max_width=width)))
