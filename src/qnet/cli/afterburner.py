"""The command ``qnet afterburner``."""

from __future__ import annotations

import argparse
from pathlib import Path

from qnet.cli import parser as shared
from qnet.cli.common import OK, count, refuse_output, summarise
from qnet.core.errors import InputError


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    selection, _ = shared.rows("rows to classify (the others stay, with NaN and a flag)")
    parser = add_parser(
        description="Find the quasars of a DESI coadd, run redrock again where it does not agree "
        "with them, and write the table QN_RR of DESI's quasar afterburner.",
        parents=[shared.output("table to write: .fits or .fits.gz"), shared.model(), selection],
        examples=(
            "qnet afterburner coadd.fits redrock.fits -o qso_qn.fits",
            "qnet afterburner coadd.fits redrock.fits -o qso_qn.fits --strategy qnet --targets qso",
        ),
    )
    parser.add_argument("coadd", metavar="COADD", help="DESI coadd")
    parser.add_argument("redrock", metavar="REDROCK", help="redrock's file of the coadd")
    text = "rule for quasars, by its name in qnet strategies"
    shared.add(parser, "--strategy", "NAME", text, "desi-afterburner")
    group = parser.add_argument_group("redrock")
    text = "redrock's command (default: the installed redrock, else rrdesi)"
    shared.add(group, "--rrdesi", "COMMAND", text)
    text = (
        "redrock's templates of quasars, files or their folder (default: RR_TEMPLATE_DIR, else "
        "those of the installed redrock)"
    )
    shared.add(group, "--templates", "T", text, nargs="+")
    shared.add(
        group, "--priors", "FILE", "also keep redrock's priors in FILE: .fits (default: not kept)"
    )
    shared.add(parser, "--threads", "N", "threads (default: one per CPU)", type=int)
    parser.set_defaults(command=_afterburner)


def _afterburner(arguments: argparse.Namespace) -> int:
    """Run ``qnet afterburner``."""
    from qnet.redrock.afterburner import EXTNAME, run_afterburner, write_qn_rr

    for path in filter(None, (arguments.output, arguments.priors)):
        if not Path(path).name.lower().endswith((".fits", ".fits.gz")):
            raise InputError(f"{path}: the name of a table {EXTNAME} or of priors ends in .fits")
    inputs = [arguments.coadd, arguments.redrock, arguments.model]
    refuse_output(arguments.output, arguments.overwrite, inputs, f"table {EXTNAME}")
    if arguments.priors is not None:
        others = [*inputs, arguments.output]
        refuse_output(arguments.priors, arguments.overwrite, others, "file of priors")
    table = run_afterburner(
        arguments.coadd,
        arguments.redrock,
        targetids=shared.flat(arguments.targetids, list),
        **shared.given(arguments, "model strategy targets templates rrdesi priors threads"),
    )
    write_qn_rr(table, arguments.output, overwrite=arguments.overwrite)
    quasars, again = int(table["IS_QSO"].sum()), int(table["IS_QSO_QN_NEW_RR"].sum())
    summarise(
        arguments,
        f"{count(quasars, 'quasar')} in {count(len(table), 'spectrum')}, redrock ran again on "
        f"{again} -> {arguments.output}",
    )
    return OK
