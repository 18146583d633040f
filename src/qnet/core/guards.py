"""Guards around work that may fail: on files, on objects of other libraries, in runs over many."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from qnet.core.errors import (
    EXAMPLES,
    Failure,
    FileError,
    InputError,
    QnetError,
    QnetWarning,
    reason,
    type_name,
    warn,
    with_source,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: What a guarded call returns: a result or the error, and the messages of the warnings.
Guarded = tuple[T | QnetError, list[str]]


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


@contextlib.contextmanager
def library_faults(path: object, fault: str = "cannot be read") -> Iterator[None]:
    """Turn whatever a library raises on a file into a FileError: `path: fault (reason)`."""
    try:
        yield
    except (QnetError, QnetWarning):
        raise
    except MemoryError as error:
        raise FileError(f"{path}: is too large for this machine's memory") from error
    except Exception as error:  # a library may raise anything on a damaged file
        logger.debug("error of a library in %s", path, exc_info=True)
        raise FileError(f"{path}: {fault} ({reason(error)})") from error


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
            f"{name} must be {expected}, but the {type_name(value)} that was given cannot be taken "
            f"as one ({reason(error)})"
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
