"""What the commands share: exit statuses, messages, kinds of arguments."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from qnet.core.errors import FileError, InputError

if TYPE_CHECKING:
    from qnet.core.errors import Failure

#: Exit statuses: all done; some or all input failed; the command line or an option is wrong.
OK, FAILED, USAGE = 0, 1, 2

#: Exit statuses after an interrupt and after SIGTERM, as shells have them.
INTERRUPTED, TERMINATED = 130, 143


#: Rows that a range may name: more than any file has.
_MOST_ROWS = 10_000_000


class Terminated(BaseException):
    """The process was asked to end (SIGTERM), as batch systems do: what is half written goes."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Make SIGTERM an exception, so that temporary files are removed on the way out."""
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


def count(number: int, noun: str) -> str:
    """A number and its noun."""
    plural = "spectra" if noun == "spectrum" else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def integers(text: str) -> list[int]:
    """One integer or several joined by commas."""
    return _joined(text, lambda part: [_integer(part)])


def row_range(text: str) -> list[int]:
    """A row, a range start:stop, or several joined by commas."""
    return _joined(text, lambda part: _range(part) if ":" in part else [_integer(part)])


def _joined(text: str, parse: Callable[[str], list[int]]) -> list[int]:
    """What the parts of a text say that are joined by commas."""
    numbers = [number for part in text.split(",") if part.strip() for number in parse(part)]
    if not numbers:
        raise argparse.ArgumentTypeError(f"{text!r} holds no integer")
    return numbers


def _integer(text: str) -> int:
    """An integer."""
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer") from error


def _range(text: str) -> list[int]:
    """The integers of start:stop."""
    try:
        start, stop = (int(part) for part in text.split(":"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a range of rows: expected start:stop"
        ) from error
    if not 0 <= start < stop:
        raise argparse.ArgumentTypeError(f"{text!r} is an empty range of rows")
    if stop - start > _MOST_ROWS:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {_MOST_ROWS} rows")
    return list(range(start, stop))


def flat(lists: list[list[int]] | None, kind: Callable[[list[int]], Any]) -> Any:
    """Lists of integers as one collection; None stays None."""
    return None if lists is None else kind([value for part in lists for value in part])


def refuse_output(
    output: str, overwrite: bool, inputs: Iterable[str | None], what: str = "output"
) -> None:
    """Raise, before any work is done, if an output cannot be written or would replace an input."""
    from qnet.core.files import check_output

    try:
        check_output(output, overwrite)
    except FileError as error:
        raise InputError(str(error)) from error
    if os.path.realpath(output) in {os.path.realpath(path) for path in inputs if path}:
        raise InputError(f"{output}: is an input: give the {what} another name")


def complain(message: object) -> None:
    """Print an error, one line."""
    print(f"qnet: error: {' '.join(str(message).split())}", file=sys.stderr)


def report_failures(
    failures: Sequence[Failure], inputs: Sequence[str], anything: bool, done: str
) -> int:
    """Say what failed, and if nothing is left of several inputs, that; the exit status."""
    for failure in failures:
        complain(failure.error)
    if not anything and len(inputs) > 1:
        complain(f"none of the {len(inputs)} inputs could be {done}")
    return FAILED if failures else OK


def show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning, one line."""
    print(f"qnet: warning: {message}", file=sys.stderr)


def add_criterion(group: Any) -> None:
    """Options that say what is called a quasar."""
    group.add_argument("--p-threshold", type=float, metavar="P", help="P_QSO above P")
    group.add_argument(
        "--prior-qso", type=float, metavar="S", help="P_QSO for a share S of quasars in the input"
    )
    group.add_argument(
        "--c-threshold", type=float, metavar="C", help="lines of confidence above C (default 0.5)"
    )
    group.add_argument(
        "--min-lines", type=int, metavar="N", help="at least N such lines (default 1)"
    )
