"""The command ``qnet strategies``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from qnet.cli import parser as shared
from qnet.cli.common import OK, print_entry, print_json

if TYPE_CHECKING:
    from qnet.strategies import Strategy


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    parser = add_parser(
        description="List the published rules for classifying a spectrum as a quasar: what each "
        "decides, its numbers, the columns that it needs, and its source.",
        examples=("qnet strategies", "qnet strategies --json"),
    )
    shared.as_json(parser)
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
    from qnet.core.plain import for_json
    from qnet.strategies import STRATEGIES

    if arguments.json:
        return print_json(
            [
                for_json(each)
                | {"needs": each.columns, "uses": each.further_columns}
                | {"of_predictions": each.of_predictions, "commands": _commands(each)}
                for each in STRATEGIES.values()
            ]
        )
    for each in STRATEGIES.values():
        numbers = ", ".join(f"{name} {value}" for name, value in each.numbers.items())
        print_entry(
            f"{each}  ({', '.join(_commands(each))})",
            each.summary,
            numbers and f"numbers: {numbers}",
            f"needs: {', '.join(each.columns)}",
            each.uses and f"uses: {', '.join(each.further_columns)}",
            f"source: {each.source}",
        )
    return OK
