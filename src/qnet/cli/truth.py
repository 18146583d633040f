"""The command ``qnet truth``."""

from __future__ import annotations

import argparse
from typing import Any

from qnet.cli.common import OK, count, refuse_output


def add_commands(commands: Any) -> None:
    """The command ``qnet truth``."""
    parser = commands.add_parser(
        "truth",
        help="superset and quasar catalogue in, truth file out",
        description="Build a truth file from supersets of visually inspected targets and the "
        "quasar catalogue (DRQ) that has their BAL columns.",
    )
    parser.set_defaults(command=_truth)
    parser.add_argument(
        "--superset", nargs="+", required=True, metavar="S", help="BOSS or eBOSS supersets"
    )
    parser.add_argument(
        "--drq", metavar="D", help="quasar catalogue with THING_ID, BAL_FLAG_VI and BI_CIV"
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="truth file to write: .fits or .csv"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing OUT")


def _truth(arguments: argparse.Namespace) -> int:
    """Run ``qnet truth``."""
    from qnet.io.superset import build_truth, check_truth_name, write_truth

    check_truth_name(arguments.output)
    refuse_output(arguments.output, arguments.overwrite, [*arguments.superset, arguments.drq])
    truth = build_truth(arguments.superset, arguments.drq)
    write_truth(truth, arguments.output, overwrite=arguments.overwrite)
    print(
        f"qnet: {count(len(truth), 'object')}"
        + ("" if arguments.drq is None else f", {truth.joined} of them in the DRQ")
        + f" -> {arguments.output}"
    )
    if truth.removed:
        left_out = ", ".join(f"{number} {reason}" for reason, number in truth.removed.items())
        print(f"qnet: rows left out: {left_out}")
    return OK
