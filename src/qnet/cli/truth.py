"""The command ``qnet truth``."""

from __future__ import annotations

import argparse

from qnet.cli import parser as shared
from qnet.cli.common import OK, count, refuse_output, summarise


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    parser = add_parser(
        description="Make a truth file from supersets of visually inspected targets and the quasar "
        "catalogue (DRQ) that has their BAL columns.",
        parents=[
            shared.output("truth file to write: .fits, .fits.gz or .csv", stdout_suffix=".csv")
        ],
        examples=(
            "qnet truth --superset Superset_DR12Q.fits --drq DR12Q.fits -o truth.fits",
            "qnet truth --superset own.csv --truth-columns id=NAME z=Z class=KIND -o truth.fits",
        ),
    )
    supersets = "supersets of BOSS or eBOSS; with --truth-columns any tables"
    shared.add(parser, "--superset", "S", supersets, nargs="+", required=True)
    shared.truth_columns(parser)
    text = "quasar catalogue with THING_ID, BI_CIV, and BAL_FLAG_VI or BAL_PROB (default: none)"
    shared.add(parser, "--drq", "D", text)
    parser.set_defaults(command=_truth)


def _truth(arguments: argparse.Namespace) -> int:
    """Run ``qnet truth``."""
    from qnet.io.superset import build_truth, check_truth_name, write_truth
    from qnet.training.data import describe

    check_truth_name(arguments.output)
    refuse_output(arguments.output, arguments.overwrite, [*arguments.superset, arguments.drq])
    names = shared.named(arguments.truth_columns, "--truth-columns")
    truth = build_truth(arguments.superset, arguments.drq, columns=names)
    write_truth(truth, arguments.output, overwrite=arguments.overwrite)
    joined = "" if arguments.drq is None else f", {truth.joined} of them in the DRQ"
    summarise(arguments, f"{count(len(truth), 'object')}{joined} -> {arguments.output}")
    if truth.removed:
        summarise(arguments, f"rows left out: {describe(truth.removed)}")
    return OK
