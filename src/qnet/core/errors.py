"""Errors and warnings, and the parts of their messages.

Every message is one sentence that names the argument, file, HDU or column, its value and what was
expected.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

__all__ = [
    "Failure",
    "FileError",
    "GridError",
    "InputError",
    "MissingFileError",
    "OutputExistsError",
    "QnetError",
    "QnetWarning",
    "TrainingError",
    "WeightsError",
]

#: Ids that a message shows as examples.
EXAMPLES = 3

#: Characters of a value, or of another library's message, that a message shows.
SHOWN = 160

#: Characters of the longest message: the layouts that are known take about 1200.
LONGEST = 1500


def shorten(text: object, most: int = SHOWN) -> str:
    """Text in one line, control characters escaped, its middle left out where it is long."""
    line = str(text)
    if not line.isprintable():
        line = " ".join(part.strip() for part in line.splitlines() if part.strip())
        line = printable(line)
    tail = most // 4
    return line if len(line) <= most else f"{line[: most - tail - 5]} ... {line[-tail:]}"


def printable(text: str) -> str:
    """Text with its control characters escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def shown(value: object) -> str:
    """A value as messages quote it: its repr, shortened; its type where it has no repr."""
    try:
        return shorten(repr(value))
    except Exception:  # noqa: BLE001 - the objects of others raise anything
        return f"an object of type {type(value).__name__}"


def _short(args: tuple[object, ...]) -> tuple[object, ...]:
    """Arguments of an error or warning with its text in one line of limited length."""
    return tuple(shorten(x, LONGEST) if isinstance(x, str) else x for x in args)


class QnetError(Exception):
    """Base class of all errors that qnet raises; the message is one line of limited length.

    Attributes
    ----------
    failures : sequence of Failure
        The inputs that failed in a run over many files (`qnet.classify`). Empty for other errors.
    partial : astropy.table.Table or None
        The result of the other inputs of such a run, if there are any.

    Examples
    --------
    >>> import qnet
    >>> try:
    ...     qnet.classify("no-such-file.fits")
    ... except qnet.QnetError as error:
    ...     print(type(error).__name__, len(error.failures))
    MissingFileError 1
    """

    failures: Sequence[Failure] = ()
    partial: Any = None

    def __init__(self, *args: object) -> None:
        super().__init__(*_short(args))


class InputError(QnetError, ValueError):
    """An argument is not of the legal kind, shape, unit or value.

    Examples
    --------
    >>> import qnet
    >>> qnet.lines.rest_wavelengths("LYA")
    Traceback (most recent call last):
    ...
    qnet.core.errors.InputError: lines must be a list of line names, not the string 'LYA'
    """


class GridError(InputError):
    """A wavelength grid is not of constant step, or the data do not lie on it.

    Examples
    --------
    >>> import qnet
    >>> qnet.WavelengthGrid.from_wave([4000.0])
    Traceback (most recent call last):
    ...
    qnet.core.errors.GridError: a grid needs at least 2 wavelengths in 1-D, not shape (1,)
    """


class FileError(QnetError):
    """A file cannot be read or written, or lacks what it should hold.

    Examples
    --------
    >>> import qnet
    >>> open("empty.fits", "w").close()
    >>> qnet.read_spectra("empty.fits")
    Traceback (most recent call last):
    ...
    qnet.core.errors.FileError: empty.fits: ...
    """


class MissingFileError(FileError, FileNotFoundError):
    """A file does not exist.

    Examples
    --------
    >>> import qnet
    >>> qnet.read_spectra("no-such-file.fits")
    Traceback (most recent call last):
    ...
    qnet.core.errors.MissingFileError: no-such-file.fits: ...
    """


class WeightsError(FileError):
    """A weights file is damaged, of an unknown kind, or not of a network that qnet can run.

    Examples
    --------
    >>> from pathlib import Path
    >>> import qnet
    >>> _ = Path("weights.h5").write_text("no weights")
    >>> qnet.load_model("weights.h5")
    Traceback (most recent call last):
    ...
    qnet.core.errors.WeightsError: weights.h5: ...
    """


class OutputExistsError(QnetError, FileExistsError):
    """An output file exists already, and `overwrite` is not set.

    Examples
    --------
    >>> import qnet
    >>> open("out.fits", "w").close()
    >>> qnet.io.PreparedWriter("out.fits", qnet.core.grid.QUASARNET_GRID)
    Traceback (most recent call last):
    ...
    qnet.core.errors.OutputExistsError: out.fits: ...
    """


class TrainingError(QnetError):
    """A training run failed: a loss or a weight is not a finite number.

    Examples
    --------
    >>> import qnet
    >>> issubclass(qnet.TrainingError, qnet.QnetError)
    True
    """


class QnetWarning(UserWarning):
    """A warning about a result that is nevertheless returned.

    Examples
    --------
    >>> import warnings
    >>> import qnet
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", qnet.QnetWarning)  # silences qnet alone
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*_short(args))


class Failure(NamedTuple):
    """An input that failed in a run over many files.

    Attributes
    ----------
    paths : tuple of str
        The file, or the files of a set.
    error : QnetError
        What was wrong with it.

    Examples
    --------
    >>> from qnet.core.errors import Failure, FileError
    >>> failure = Failure(("coadd-1.fits",), FileError("coadd-1.fits: is cut short"))
    >>> print(failure.error)
    coadd-1.fits: is cut short
    """

    paths: tuple[str, ...]
    error: QnetError


def warn(message: str) -> None:
    """Give a QnetWarning that points at the line of the caller's code that called qnet."""
    frame = caller = sys._getframe(1)
    while frame.f_back is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] == "qnet":
            caller = frame.f_back
        frame = frame.f_back
    names = caller.f_globals
    warnings.warn_explicit(
        message,
        QnetWarning,
        caller.f_code.co_filename,
        caller.f_lineno,
        names.get("__name__"),
        names.setdefault("__warningregistry__", {}),
    )


def first_few(values: Iterable[object], most: int = EXAMPLES) -> str:
    """The first few of some values, for messages; 'none' where there are none."""
    shown = list(map(str, islice(values, most + 1)))
    return (", ".join(shown[:most]) or "none") + (", ..." if len(shown) > most else "")


def with_source(error: Exception | str, source: str) -> str:
    """Message of an error or a warning, preceded by its file, unless that is '' or named."""
    message = str(error)
    return message if not source or message.startswith(source) else f"{source}: {message}"


def type_name(value: object) -> str:
    """Type of a value for messages, with its module unless it is one of Python's own."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def reason(error: BaseException) -> str:
    """First line of another library's error, with its type unless that is the system's."""
    lines = [line for line in map(shorten, str(error).splitlines()) if line]
    kind = type(error).__name__
    if not lines:
        return kind
    return lines[0] if isinstance(error, OSError) else f"{kind}: {lines[0]}"
