"""Exit statuses, messages and checks that the commands share."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

from qnet.core.errors import LONGEST, FileError, InputError, shorten
from qnet.core.progress import above_bars

if TYPE_CHECKING:
    import argparse

    from qnet.core.errors import Failure

#: Exit statuses: all done; some or all input failed; the command line or an option is wrong.
OK, FAILED, USAGE = 0, 1, 2

#: Width of lists.
_WIDTH = 100

#: Options that name an output.
OUTPUTS = ("output", "truth_out", "pz", "priors", "json", "plots")


class Terminated(BaseException):
    """The process is to end (SIGTERM, as batch systems send): temporary files are removed."""


#: How a command was ended from outside, and its exit status then, as shells have it.
ENDED = {KeyboardInterrupt: ("interrupted", 130), Terminated: ("ended by SIGTERM", 143)}


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Make SIGTERM an exception, so that temporary files are removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> NoReturn:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def standard_output(arguments: argparse.Namespace) -> Iterator[None]:
    """Write the output to a temporary file, and then to standard output, where it is named ``-``.

    Only for commands whose output has a format for it (`qnet.cli.parser.output`).
    """
    suffix = getattr(arguments, "stdout_suffix", "")
    if not suffix or arguments.output != "-":
        yield
        return
    with tempfile.TemporaryDirectory(prefix="qnet-") as folder:
        arguments.output, arguments.piped = os.path.join(folder, f"output{suffix}"), True
        yield
        if os.path.exists(arguments.output):
            sys.stdout.flush()
            with open(arguments.output, "rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()


def check_names(arguments: argparse.Namespace) -> None:
    """Raise if an output has an empty name, or may not go to standard output and is to."""
    for option in OUTPUTS:
        name, given = option.replace("_", "-"), getattr(arguments, option, None)
        if option != "json" and given == "-":
            raise InputError(f"--{name} -: is not written to standard output: give a file's name")
        if given == "":
            raise InputError(f"--{name} is empty: the name of a file or folder was expected")


def find_outputs(arguments: argparse.Namespace) -> set[tuple[str, int, int]]:
    """Outputs that are there, those in a folder too: name, and what changes when one is written."""
    found = set()
    for output in (getattr(arguments, option, None) for option in OUTPUTS):
        if not isinstance(output, str):
            continue
        with contextlib.suppress(OSError, ValueError):
            folder = os.path.isdir(output)
            for name in os.listdir(output) if folder else [""]:
                path = os.path.join(output, name) if folder else output
                if not name.startswith("."):
                    status = os.stat(path)
                    found.add((path, status.st_ino, status.st_mtime_ns))
    return found


def count(number: int, noun: str) -> str:
    """A number and its noun."""
    plural = "spectra" if noun == "spectrum" else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def files_done(inputs: Sequence[str], failures: Sequence[Failure]) -> str:
    """Numbers of files that were read and that failed, in words."""
    failed = sum(len(failure.paths) for failure in failures)
    words = count(len(inputs) - failed, "file")
    return f"{words}, {count(failed, 'file')} failed" if failed else words


def summarise(arguments: argparse.Namespace, text: str) -> None:
    """Print a line about what was done, unless --quiet is given."""
    if getattr(arguments, "piped", False):
        text = text.replace(arguments.output, "standard output")
        stream = sys.stderr
    else:
        stream = sys.stdout
    if not arguments.quiet:
        print(f"qnet: {text}", file=stream)


def print_json(value: object) -> int:
    """Print a record, or a collection of such, as JSON."""
    from qnet.core.plain import for_json

    print(json.dumps(for_json(value), indent=2, allow_nan=False))
    return OK


def print_entry(title: str, *texts: object) -> None:
    """Print an entry of a list: a title, and texts below it where there are any."""
    print(title)
    for text in filter(None, texts):
        lines = textwrap.wrap(str(text), _WIDTH - 2, subsequent_indent="  ", break_on_hyphens=False)
        print(textwrap.indent("\n".join(lines), "  "))


def refuse_output(
    output: str, overwrite: bool, inputs: Iterable[str | None], what: str = "output"
) -> None:
    """Raise, before any work is done, if an output cannot be written or would replace an input."""
    from qnet.core.files import check_output, real_path

    try:
        check_output(output, overwrite)
    except FileError as error:
        raise InputError(str(error)) from error
    if real_path(output) in {real_path(path) for path in inputs if path}:
        raise InputError(f"{output}: is an input: give the {what} another name")


def complain(message: object) -> None:
    """Print an error, one line."""
    _say(f"error: {shorten(message, LONGEST)}")


def report_failures(
    failures: Sequence[Failure], inputs: Sequence[str], any_done: bool, done: str
) -> int:
    """Print the failures, and whether any of several inputs is left; the exit status."""
    for failure in failures:
        complain(failure.error)
    if not any_done and len(inputs) > 1:
        complain(f"none of the {len(inputs)} inputs could be {done}")
    return FAILED if failures else OK


def show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning, one line."""
    _say(f"warning: {shorten(message, LONGEST)}")


def _say(text: str) -> None:
    """Print a line to standard error, above the bar where one is shown."""
    with above_bars():
        print(f"qnet: {text}", file=sys.stderr)
