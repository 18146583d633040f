"""The command ``qnet survey merge``."""

from __future__ import annotations

import argparse
from typing import Any

from qnet.cli import parser as shared
from qnet.cli.common import FAILED, OK, count, summarise
from qnet.core.exports import EXPORTS


def configure(actions: Any) -> None:
    """Add the action to those of ``qnet survey``."""
    merge = shared.action(
        actions,
        "merge",
        "Merge the catalogues of a survey into one",
        ", in little memory",
        parents=[shared.output("catalogue to write, by its suffix or --to; a folder for hats")],
        examples=(
            "qnet survey merge out -o unique.parquet --duplicates best --sort TARGETID",
            "qnet survey merge out -o sky --to hats --healpix-order 4",
        ),
    )
    merge.add_argument("outdir", metavar="OUTDIR", help="folder of the survey")
    text = "format, see qnet export; hats: a folder of Parquet files by HEALPix pixel, for LSDB "
    shared.add(merge, "--to", (*EXPORTS, "hats"), f"{text}(default: qnet's catalogue)")
    text = "order of the pixels of hats, nested (default: 3)"
    shared.add(merge, "--healpix-order", "K", text, type=int)
    text = "sort by this column of numbers (default: order of the inputs)"
    shared.add(merge, "--sort", "COLUMN", text)
    text = "rows of one TARGETID: all, or the one of the largest SNR"
    shared.add(merge, "--duplicates", ("keep", "best"), text, "keep")
    merge.set_defaults(command=_merge)


def _merge(arguments: argparse.Namespace) -> int:
    """Run ``qnet survey merge``."""
    from qnet.survey import merge

    found = merge(
        arguments.outdir,
        arguments.output,
        **shared.given(arguments, "to sort duplicates healpix_order overwrite"),
        progress=not arguments.quiet,
    )
    words = f"{count(found.quasars, 'quasar')} in {count(found.rows, 'row')}"
    if found.duplicates:
        words += f", {count(found.duplicates, 'duplicate')} left out"
    if found.partitions:
        words += f", {count(found.partitions, 'partition')}"
    summarise(arguments, f"{words} -> {arguments.output}")
    return FAILED if found.missing else OK
