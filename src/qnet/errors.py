"""The errors and warnings of qnet.

Every message is one sentence that names the argument, file, HDU or column, what it held and what
was expected.
"""

from __future__ import annotations


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
