"""The command ``qnet completion``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib.util import find_spec

from qnet.cli import parser as shared
from qnet.cli.common import OK
from qnet.core.errors import InputError


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    parser = add_parser(
        description="Print the script that completes commands, options and file names in the "
        "shell. Needs shtab.",
        examples=(
            "qnet completion bash",
            "qnet completion zsh",
        ),
    )
    shared.add(parser, "shell", ("bash", "zsh", "tcsh"), "the shell")
    parser.set_defaults(command=_completion)


def _completion(arguments: argparse.Namespace) -> int:
    """Run ``qnet completion``."""
    if find_spec("shtab") is None:
        raise InputError("qnet completion needs shtab: install qnet-quasar[completion]")
    import shtab

    from qnet.cli import _parser

    parser = _parser()
    for action in _actions(parser):
        # File names are completed where a value is expected that is not one of a list.
        if action.nargs != 0 and action.choices is None:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, shell=arguments.shell))
    return OK


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All arguments of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
