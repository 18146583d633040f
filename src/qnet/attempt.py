"""Work on one input of many: what goes wrong there is reported, and ends no run."""

from __future__ import annotations

import dataclasses
import logging
import warnings
from collections.abc import Callable
from typing import TypeVar

from qnet.errors import FileError, QnetError, QnetWarning

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


def attempt(work: Callable[[], T], path: str, done: str) -> Result[T]:
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
