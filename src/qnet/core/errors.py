"""Errors, warnings, checks of numbers, and the guarded call that turns any fault into one of them.

Every message is one sentence that names the argument, file, HDU or column, what it held and what
was expected.
"""

from __future__ import annotations

import dataclasses
import logging
import numbers
import warnings
from collections.abc import Callable
from typing import TypeVar

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


class QnetError(Exception):
    """Base of every error that qnet raises on purpose."""


class InputError(QnetError, ValueError):
    """An argument is not of the legal kind, shape, unit or value."""


class GridError(InputError):
    """A wavelength grid is not of constant step, or the data do not touch it."""


class FileError(QnetError):
    """A file cannot be read, or does not hold what it should."""


class MissingFileError(FileError, FileNotFoundError):
    """A file is not there."""


class WeightsError(FileError):
    """A weights file is damaged, of an unknown kind, or not a QuasarNET network."""


class OutputExistsError(QnetError, FileExistsError):
    """An output file exists and overwriting was not asked for."""


class TrainingError(QnetError):
    """A training run went wrong: its loss is not a number."""


class QnetWarning(UserWarning):
    """Something the user should know about an answer that was given all the same."""


def with_source(error: Exception, source: str) -> str:
    """Message of an error, with the file that it is about in front, once.

    Parameters
    ----------
    error : Exception
    source : str
        The file; '' where there is none.

    Returns
    -------
    str
    """
    message = str(error)
    return message if not source or message.startswith(source) else f"{source}: {message}"


def check_number(name: str, value: object) -> None:
    """Raise InputError unless a value is a number."""
    if not isinstance(value, numbers.Real):
        raise InputError(f"{name} must be a number, not {value!r}")


def check_whole(name: str, value: object) -> None:
    """Raise InputError unless a value is a whole number."""
    if not isinstance(value, numbers.Integral):
        raise InputError(f"{name} must be a whole number, not {value!r}")


logger = logging.getLogger(__name__)

T = TypeVar("T")

#: What came of an input, or why nothing did; and the warnings that came up.
Result = tuple[T | QnetError, list[str]]


@dataclasses.dataclass(frozen=True)
class Failure:
    """An input that could not be worked on.

    Attributes
    ----------
    paths : tuple of str
        The file, or the files of the set.
    error : QnetError
        Why.
    """

    paths: tuple[str, ...]
    error: QnetError


def guarded_call(work: Callable[[], T], path: str, done: str) -> Result[T]:
    """Do the work on one input.

    Parameters
    ----------
    work : callable
    path : str
        The input.
    done : str
        What the work does to it, as a participle, for the message.

    Returns
    -------
    result : object or QnetError
        What `work` returned, or why it failed.
    messages : list of str
        The warnings of qnet that came up.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", QnetWarning)
        result: T | QnetError
        try:
            result = work()
        except QnetError as error:
            result = error
        except MemoryError:
            result = FileError(f"{path}: is too large for this machine's memory")
        except Exception as error:  # one file must not end a run over many
            logger.debug("unexpected error in %s", path, exc_info=True)
            result = FileError(f"{path}: cannot be {done} ({type(error).__name__}: {error})")
            result.__cause__ = error
    # The same of every block of rows: said once.
    return result, list(dict.fromkeys(str(warning.message) for warning in caught))
