"""The command ``qnet export``."""

from __future__ import annotations

import argparse

from qnet.cli import parser as shared
from qnet.cli.common import OK, refuse_output, summarise
from qnet.core.exports import EXPORTS, check_export, list_exports


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    parser = add_parser(
        description="Write a catalogue in the format of another program.",
        parents=[shared.output("file to write, with a suffix of the format")],
        examples=(
            "qnet export catalogue.fits --to picca -o quasars.fits",
            "qnet export catalogue.fits --to votable -o catalogue.vot",
        ),
        note=list_exports(),
    )
    shared.add(parser, "catalogue", "CATALOGUE", "catalogue of qnet")
    shared.add(parser, "--to", tuple(EXPORTS), "format, one of those below", required=True)
    parser.set_defaults(command=_export)


def _export(arguments: argparse.Namespace) -> int:
    """Run ``qnet export``."""
    from qnet.io.catalogue import read_catalogue
    from qnet.io.exports.writing import export

    check_export(arguments.to, arguments.output)
    refuse_output(arguments.output, arguments.overwrite, [arguments.catalogue])
    table = read_catalogue(arguments.catalogue)
    export(table, arguments.output, to=arguments.to, overwrite=arguments.overwrite)
    summarise(arguments, f"{arguments.catalogue} for {arguments.to} -> {arguments.output}")
    return OK
