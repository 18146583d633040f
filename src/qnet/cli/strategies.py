"""The command ``qnet strategies``."""

from __future__ import annotations

import argparse
import json
import textwrap
from typing import TYPE_CHECKING

from qnet.cli import parser as shared
from qnet.cli.common import OK

if TYPE_CHECKING:
    from qnet.strategies import Strategy

#: Width of the text.
_WIDTH = 100


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    parser = add_parser(
        description="List the published rules by which a spectrum is a quasar: what each decides, "
        "its numbers, the columns that it needs, and its source.",
        examples=("qnet strategies", "qnet strategies --json"),
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(command=_strategies)


def _commands(strategy: Strategy) -> list[str]:
    """The commands that have what a strategy needs."""
    from qnet.strategies.evidence import OF_REDROCK, PREDICTIONS

    commands = ["classify"] if strategy.of_predictions else []
    if set(strategy.needs) <= PREDICTIONS | OF_REDROCK:
        commands += ["afterburner", "merge"]
    return [*commands, "evaluate"]


def _strategies(arguments: argparse.Namespace) -> int:
    """Run ``qnet strategies``."""
    from qnet.strategies import STRATEGIES

    if arguments.json:
        listed = [
            {
                "name": each.name,
                "version": each.version,
                "summary": each.summary,
                "source": each.source,
                "numbers": dict(each.numbers),
                "needs": each.columns,
                "uses": each.further_columns,
                "of_predictions": each.of_predictions,
                "commands": _commands(each),
            }
            for each in STRATEGIES.values()
        ]
        print(json.dumps(listed, indent=2))
        return OK
    for each in STRATEGIES.values():
        numbers = ", ".join(f"{name} {value}" for name, value in each.numbers.items())
        print(f"{each}  ({', '.join(_commands(each))})")
        for text in (
            each.summary,
            numbers and f"numbers: {numbers}",
            f"needs: {', '.join(each.columns)}",
            each.uses and f"uses: {', '.join(each.further_columns)}",
            f"source: {each.source}",
        ):
            if text:
                print(textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="    "))
    return OK
