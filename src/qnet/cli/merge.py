"""The command ``qnet merge``."""

from __future__ import annotations

import argparse

from qnet.cli import parser as shared
from qnet.cli.common import OK, count, refuse_output, summarise


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    parser = add_parser(
        description="Merge a catalogue with redrock's redshifts of the same targets: one answer "
        "per object from the evidence of both, and a column that says why.",
        parents=[
            shared.output(
                "catalogue to write: .fits, .fits.gz, .csv, .ecsv or .parquet", stdout_suffix=".csv"
            )
        ],
        examples=(
            "qnet merge catalogue.fits redrock.fits -o merged.fits",
            "qnet merge catalogue.fits redrock.fits --chi2-scan rrdetails.h5 -o merged.fits",
        ),
    )
    parser.add_argument("catalogue", metavar="CATALOGUE", help="catalogue of qnet, with P_QSO")
    parser.add_argument("redshifts", metavar="REDSHIFTS", help="redrock's file of the targets")
    text = "redrock's details file: how well a quasar at qnet's redshift fits (default: none)"
    shared.add(parser, "--chi2-scan", "F", text)
    text = "rule for quasars in the merged catalogue, by its name in qnet strategies"
    shared.add(parser, "--strategy", "NAME", text, "qnet")
    parser.set_defaults(command=_merge)


def _merge(arguments: argparse.Namespace) -> int:
    """Run ``qnet merge``."""
    from qnet.io.catalogue import write_catalogue
    from qnet.io.tables import check_format
    from qnet.redrock.merging import merge

    check_format(arguments.output, "a catalogue")
    inputs = [arguments.catalogue, arguments.redshifts, arguments.chi2_scan]
    refuse_output(arguments.output, arguments.overwrite, inputs, "catalogue")
    table = merge(
        arguments.catalogue,
        arguments.redshifts,
        **shared.given(arguments, "chi2_scan strategy"),
    )
    write_catalogue(table, arguments.output, overwrite=arguments.overwrite)
    quasars, taken = int(table["IS_QSO"].sum()), int((table["Z_FROM"] == "redrock").sum())
    summarise(
        arguments,
        f"{count(quasars, 'quasar')} in {count(len(table), 'row')}, {taken} at redrock's redshift "
        f"-> {arguments.output}",
    )
    return OK
