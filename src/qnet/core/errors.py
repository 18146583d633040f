"""Errors and warnings, checks of numbers, and the guarded call for runs over many files.

Every message is one sentence that names the argument, file, HDU or column, its value and what was
expected.
"""

from __future__ import annotations

import contextlib
import logging
import math
import numbers
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

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

logger = logging.getLogger(__name__)

T = TypeVar("T")

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
        line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
    tail = most // 4
    return line if len(line) <= most else f"{line[: most - tail - 5]} ... {line[-tail:]}"


def shown(value: object, most: int = SHOWN) -> str:
    """A value as messages quote it: its repr, shortened; its type where it has no repr."""
    try:
        return shorten(repr(value), most)
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
        Of a run over many files (`qnet.classify`): the inputs that failed. Empty for other errors.
    partial : astropy.table.Table or None
        Of such a run: the result of the other inputs, where there are any.

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
    """A warning about a result that is returned all the same.

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


#: What a guarded call returns: a result or the error, and the messages of the warnings.
Guarded = tuple[T | QnetError, list[str]]


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


def settle_failures(failures: Sequence[Failure], done: T | None, errors: str) -> T:
    """The result of a run over many files; raises if some failed, or warns if errors is 'skip'.

    The error is that of the failure, or a FileError of several, and holds the result of the others.
    """
    if done is not None and (errors == "skip" or not failures):
        for failure in failures:
            warn(f"{failure.error}; it is skipped")
        return done
    error, *others = (failure.error for failure in failures)
    if others:
        few = "; ".join(map(str, (error, *others[: EXAMPLES - 1])))
        more = len(others) + 1 - EXAMPLES
        cause, error = error, FileError(few + (f"; and {more} more" if more > 0 else ""))
        error.__cause__ = cause
    error.failures, error.partial = failures, done
    raise error


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


def check_number(name: str, value: Any) -> None:
    """Raise InputError unless a value is a number that a float can hold; True is none."""
    try:
        legal = isinstance(value, numbers.Real) and not isinstance(value, bool)
        legal = legal and isinstance(float(value), float)
    except OverflowError:
        legal = False
    if not legal:
        raise InputError(f"{name} must be a number, not {shown(value)}")


def check_finite(
    name: str,
    value: Any,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    most: float = math.inf,
) -> None:
    """Raise InputError unless a value is a finite number, within limits if these are given."""
    check_number(name, value)
    if not (math.isfinite(value) and above < value and least <= value <= most):
        limits = {"above": above, "at least": least, "at most": most}
        words = [f"{word} {limit:g}" for word, limit in limits.items() if math.isfinite(limit)]
        raise InputError(f"{name} must be {' and '.join(['finite', *words])}, not {value!r}")


def check_fraction(name: str, value: Any) -> None:
    """Raise InputError unless a value is a number in 0 .. 1."""
    check_number(name, value)
    if not 0 <= value <= 1:
        raise InputError(f"{name} must be in 0 .. 1, not {value!r}")


def check_whole(name: str, value: Any, least: int | None = None, most: int | None = None) -> None:
    """Raise InputError unless a value is a whole number (True is none), within limits if given."""
    if type(value) is bool or not isinstance(value, numbers.Integral):
        raise InputError(f"{name} must be a whole number, not {shown(value)}")
    if least is not None and int(value) < least:
        raise InputError(f"{name} must be at least {least}, not {shown(value)}")
    if most is not None and int(value) > most:
        raise InputError(f"{name} must be at most {most}, not {shown(value)}")


def check_choice(name: str, value: Any, legal: Iterable[str]) -> None:
    """Raise InputError unless a value is one of some words."""
    words = list(legal)
    if not isinstance(value, str) or value not in words:
        raise InputError(f"{name} must be one of {', '.join(words)}, not {shown(value)}")


def check_text(name: str, value: Any) -> None:
    """Raise InputError unless a value is text."""
    if not isinstance(value, str):
        raise InputError(f"{name} must be text, not {shown(value)}")


def check_type(name: str, value: Any, expected: type[T], or_else: str = "") -> T:
    """The value; InputError unless it is an object of a class."""
    if not isinstance(value, expected):
        raise InputError(f"{name} must be a {expected.__name__}{or_else}, not a {type_name(value)}")
    return value


def reason(error: BaseException) -> str:
    """First line of another library's error, with its type unless that is the system's."""
    lines = [line for line in map(shorten, str(error).splitlines()) if line]
    kind = type(error).__name__
    if not lines:
        return kind
    return lines[0] if isinstance(error, OSError) else f"{kind}: {lines[0]}"


@contextlib.contextmanager
def library_faults(
    path: object, fault: str = "cannot be read", *, kind: type[FileError] = FileError
) -> Iterator[None]:
    """Turn whatever a library raises on a file into a FileError: `path: fault (reason)`."""
    try:
        yield
    except (QnetError, QnetWarning):
        raise
    except MemoryError as error:
        raise kind(f"{path}: is too large for this machine's memory") from error
    except Exception as error:  # a library may raise anything on a damaged file
        logger.debug("error of a library in %s", path, exc_info=True)
        raise kind(f"{path}: {fault} ({reason(error)})") from error


@contextlib.contextmanager
def foreign_faults(name: str, value: object, expected: str) -> Iterator[None]:
    """Turn whatever an object of another library raises into an InputError: what was expected.

    Around the access to its attributes alone, so that no fault of qnet is hidden.
    """
    try:
        yield
    except (QnetError, QnetWarning):
        raise
    except Exception as error:
        raise InputError(
            f"{name} must be {expected}, but the {type_name(value)} that was given cannot be read "
            f"({reason(error)})"
        ) from error


def guarded_call(work: Callable[[], T], path: str, done: str) -> Guarded[T]:
    """Result of `work` on a file, or the error why it failed; and the messages of its warnings.

    Errors of other kinds become a FileError: the file cannot be `done` (a participle, as 'read').
    """
    result: T | QnetError
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", QnetWarning)
        try:
            with library_faults(path, f"cannot be {done}"):
                result = work()
        except QnetError as error:  # one file must not end a run over many
            result = error
    # Each block of rows may give the same warning.
    messages = dict.fromkeys(with_source(str(warning.message), path) for warning in caught)
    return result, list(messages)
