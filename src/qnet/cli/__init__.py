"""The command ``qnet``. Each command's code is imported when it is called."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence

from qnet import __version__
from qnet.cli import classify, evaluate, plot, prepare, simulate, train, truth, weights
from qnet.cli.common import (
    FAILED,
    INTERRUPTED,
    TERMINATED,
    USAGE,
    Terminated,
    complain,
    show_warning,
    terminable,
)
from qnet.core.errors import FileError, QnetError, TrainingError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process when None.

    Returns
    -------
    int
        Exit status: 0, 1 (some input failed, the rest is written), 2 (usage), 130 (interrupted),
        143 (ended by SIGTERM).
    """
    for stream in (sys.stdout, sys.stderr):
        # A file's name may hold what the terminal's encoding does not.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    arguments = _parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO if arguments.verbose else logging.CRITICAL + 1,
        format="qnet: %(message)s",
    )
    command: Callable[[argparse.Namespace], int] = arguments.command
    with warnings.catch_warnings():
        warnings.showwarning = show_warning
        try:
            with terminable():
                return command(arguments)
        except (FileError, TrainingError) as error:
            complain(error)
            return FAILED
        except QnetError as error:
            complain(error)
            return USAGE
        except KeyboardInterrupt:
            complain("interrupted; no output was written")
            return INTERRUPTED
        except Terminated:
            complain("ended by SIGTERM; no output was written")
            return TERMINATED
        except BrokenPipeError:
            # The reader of the output went away: nothing is left to say, nor to flush at exit.
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            return FAILED
        except OSError as error:
            complain(error)
            return FAILED


class _Parser(argparse.ArgumentParser):
    """A parser for which blank lines of an argument file are no arguments."""

    def convert_arg_line_to_args(self, arg_line: str) -> list[str]:
        """Argument of a line."""
        return [arg_line.strip()] if arg_line.strip() else []


def _parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _Parser(
        prog="qnet",
        description="Find quasars and their redshifts in survey spectra.",
        epilog="An argument @FILE is replaced by the lines of FILE.",
        fromfile_prefix_chars="@",
    )
    parser.add_argument("--version", action="version", version=f"qnet {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="say what is being done")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (classify, prepare, train, weights, truth, plot, evaluate, simulate):
        module.add_commands(commands)
    return parser
