"""The command ``qnet``. Each command's module is imported when the command is used."""

from __future__ import annotations

import argparse
import functools
import importlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence

from qnet import __version__
from qnet.cli.common import (
    ENDED,
    FAILED,
    USAGE,
    Terminated,
    check_names,
    complain,
    find_outputs,
    show_warning,
    standard_output,
    terminable,
)
from qnet.cli.parser import Parser
from qnet.core.errors import FileError, QnetError, TrainingError, first_few

#: Commands and what they do; each is a module of this package with a function `configure`.
COMMANDS = {
    "classify": "find the quasars in spectra and write a catalogue",
    "survey": "classify a whole survey, on one machine or many, with a journal",
    "afterburner": "find the quasars of a DESI coadd and run redrock again on them",
    "export": "write a catalogue in the format of another program: picca, TOPCAT, ...",
    "merge": "merge a catalogue with redrock's redshifts: one answer per object",
    "prepare": "rebin spectra into one file, for training",
    "train": "train a network on prepared data and truth",
    "calibrate": "calibrate a model on spectra of known class and redshift",
    "model": "list, inspect or convert weights files",
    "truth": "make a truth file from supersets and a quasar catalogue",
    "inspect": "write a page for visual inspection of a catalogue and its spectra",
    "plot": "draw a spectrum and the lines found in it",
    "show": "print rows of a catalogue as a table",
    "evaluate": "compare catalogues with truth: purity, completeness, redshift errors",
    "formats": "list the layouts of files of spectra, and whether they are read",
    "strategies": "list the published rules for classifying a spectrum as a quasar",
    "simulate": "make a mock survey: spectra and truth",
    "doctor": "print versions, threads and model, for reports of problems",
    "completion": "print the script that completes commands and options in the shell",
}

#: Levels of the messages of the library, by the number of -v.
_LEVELS = (logging.CRITICAL + 1, logging.INFO, logging.DEBUG)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status: one of `OK`, `FAILED`, `USAGE` or of `ENDED`."""
    for stream in (sys.stdout, sys.stderr):
        # A file's name may hold what the terminal's encoding does not.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if argv is None else argv
    arguments = _parser(words).parse_args(words)
    logging.basicConfig(
        level=_LEVELS[min(arguments.verbose, len(_LEVELS) - 1)], format="qnet: %(message)s"
    )
    command: Callable[[argparse.Namespace], int] = arguments.command
    before = find_outputs(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = show_warning
        try:
            with terminable(), standard_output(arguments):
                check_names(arguments)
                return command(arguments)
        except QnetError as error:
            complain(error)
            return FAILED if isinstance(error, (FileError, TrainingError)) else USAGE
        except (KeyboardInterrupt, Terminated) as error:
            what, status = ENDED[type(error)]
            written = sorted({path for path, *_ in find_outputs(arguments) - before})
            hint = f"{first_few(written) if written else 'no output'} was written"
            complain(f"{what}; {getattr(arguments, 'ended', hint)}")
            return status
        except BrokenPipeError:
            # The reader of the output is gone: nothing is left to print, nor to flush at exit.
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            return FAILED
        except OSError as error:
            complain(error)
            return FAILED


def _parser(words: Sequence[str] | None = None) -> Parser:
    """Parser of all commands; with the options only of the commands in `words`, if given."""
    parser = Parser(
        prog="qnet",
        description="Find quasars and their redshifts in survey spectra.",
        fromfile_prefix_chars="@",
        examples=(
            "qnet classify coadd-*.fits -o catalogue.fits",
            "qnet evaluate catalogue.fits --truth truth.fits",
        ),
        note="An argument @FILE is replaced by the lines of FILE.\n",
    )
    parser.add_argument("--version", action="version", version=f"qnet {__version__}")
    parser.set_defaults(verbose=0, quiet=False, command=parser.show_help)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    used = set(COMMANDS).intersection(COMMANDS if words is None else words)
    if not used and any(word.startswith("@") for word in words or ()):
        used = set(COMMANDS)
    for name, text in COMMANDS.items():
        add_parser = functools.partial(commands.add_parser, name, help=text)
        if name in used:
            importlib.import_module(f"qnet.cli.{name}").configure(add_parser)
        else:
            add_parser()
    return parser
