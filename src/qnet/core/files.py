"""Files on disk: checks of inputs and outputs, and writing under a temporary name."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from qnet.core.errors import (
    FileError,
    InputError,
    MissingFileError,
    OutputExistsError,
    QnetError,
    shown,
)

PathLike = str | os.PathLike[str]


def check_input(path: PathLike, expected: str) -> Path:
    """The path of a file with something in it; the error names what was `expected`."""
    file = Path(path)
    with _file_errors(file, "read"):
        if file.is_dir():
            raise FileError(f"{file}: is a directory, but {expected} was expected")
        if not file.exists():
            raise MissingFileError(f"{file}: no such file; {expected} was expected")
        if not os.access(file, os.R_OK):
            raise FileError(f"{file}: no permission to read it")
        if file.stat().st_size == 0:
            raise FileError(f"{file}: is empty, but {expected} was expected")
    return file


def check_output(path: PathLike, overwrite: bool) -> Path:
    """The path of a file that may be written."""
    file = Path(path)
    with _file_errors(file, "written"):
        if file.is_dir():
            raise FileError(f"{file}: is a directory, but the name of an output file was expected")
        if not file.parent.is_dir():
            raise FileError(f"{file}: its folder {file.parent} does not exist")
        if not os.access(file.parent, os.W_OK):
            raise FileError(f"{file}: no permission to write to its folder {file.parent}")
        if file.exists() and not overwrite:
            raise OutputExistsError(
                f"{file}: exists already; ask for overwriting (--overwrite, overwrite=True) to "
                "replace it"
            )
    return file


@contextlib.contextmanager
def _file_errors(file: Path, done: str) -> Iterator[None]:
    """Turn an error of the system, or of a name that is none, into one that names the file."""
    try:
        yield
    except QnetError:
        raise
    except (OSError, ValueError) as error:
        raise FileError(f"{file}: cannot be {done} ({error})") from error


@contextlib.contextmanager
def atomic_write(path: PathLike, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary name in the same folder; flush and rename the file when it is whole.

    On any error, an interrupt included, it is removed.
    """
    final = check_output(path, overwrite)
    # A name of plain characters, which libraries do not interpret; the suffix is the format's.
    partial = final.with_name(f".qnet-{secrets.token_hex(8)}.partial{final.suffix}")
    try:
        yield partial
        if not partial.exists():
            raise FileError(f"{final}: nothing was written")
        with open(partial, "rb+") as stream:
            os.fsync(stream.fileno())
        check_output(final, overwrite)
        os.replace(partial, final)
        _sync_folder(final.parent)
    except OSError as error:
        if isinstance(error, QnetError):
            raise
        raise FileError(f"{final}: could not be written ({error})") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def sha256(path: PathLike) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def as_paths(paths: PathLike | Iterable[PathLike], what: str = "path") -> list[PathLike]:
    """One path or several, as a list; InputError where the argument named `what` is neither."""
    if isinstance(paths, (str, os.PathLike)):
        as_path(paths, what)
        return [paths]
    try:
        given = list(paths)
    except Exception as error:  # the object of another library may raise anything
        raise InputError(f"{what} must be a path or several, not {shown(paths)}") from error
    for path in given:
        as_path(path, what)
    return given


def find_duplicates(paths: Sequence[PathLike]) -> list[PathLike]:
    """The paths that lead to a file which an earlier one of them leads to."""
    seen: set[str] = set()
    again = []
    for path in paths:
        real = os.path.realpath(path)
        if real in seen:
            again.append(path)
        seen.add(real)
    return again


def as_path(path: object, what: str) -> Path:
    """The argument named `what` as a path; InputError where it is none."""
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"{what} must be a path, not {shown(path)}")
    try:
        return Path(os.fsdecode(path))
    except Exception as error:  # as in `as_paths`
        raise InputError(f"{what} must be a path, not {shown(path)}") from error


def _sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, where the system allows it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
