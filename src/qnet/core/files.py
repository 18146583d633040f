"""Files on disk: checks of inputs and outputs, and writing under a temporary name."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from qnet.core.errors import (
    FileError,
    InputError,
    MissingFileError,
    OutputExistsError,
    QnetError,
    shown,
)
from qnet.core.kinds import CONVERT, Expected, check_kind
from qnet.core.partials import clear_partials, name_partial

PathLike = str | os.PathLike[str]

#: What a path may lead to instead of a file, by the type in its mode.
_SPECIAL = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

#: Bytes of a disk that is taken for full.
_LITTLE = 1 << 16

#: An address, as it is or with its slashes joined by `Path`; a drive has one letter.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def check_input(path: PathLike, expected: Expected) -> Path:
    """The path of a file with something in it, not recognised as of another kind than expected."""
    file, name = as_path(path, "path"), expected.name
    with _file_errors(file, "read"):
        mode = _mode(file)
        if mode is None:
            raise _missing(path, file, name)
        if stat.S_ISDIR(mode):
            if (file / "saved_model.pb").exists():
                raise expected.refuse(file, "a TensorFlow SavedModel", CONVERT)
            empty = " (an empty name means it too)" if str(file) == "." else ""
            raise FileError(
                f"{file}: is a directory{empty}, but {name} was expected: give the files in it, as "
                f"{file}/*.fits in a shell or sorted(Path(folder).glob('*.fits')) in Python"
            )
        _refuse_special(file, mode, name)
        if not os.access(file, os.R_OK):
            raise FileError(f"{file}: no permission to read it")
        if file.stat().st_size == 0:
            raise FileError(f"{file}: is empty, but {name} was expected")
        check_kind(file, expected)
    return file


def check_output(path: PathLike, overwrite: bool) -> Path:
    """The path of a file that may be written."""
    file = as_path(path, "path")
    with _file_errors(file, "written"):
        if _ADDRESS.match(str(file)):
            raise FileError(f"{file}: is an address, but the name of an output file was expected")
        mode = _mode(file)
        if mode is not None and stat.S_ISDIR(mode):
            raise FileError(f"{file}: is a directory, but the name of an output file was expected")
        if not file.parent.is_dir():
            why = "is no folder" if file.parent.exists() else "does not exist"
            raise FileError(f"{file}: its folder {file.parent} {why}")
        if not os.access(file.parent, os.W_OK):
            raise FileError(f"{file}: no permission to write to its folder {file.parent}")
        if mode is not None:
            _refuse_special(file, mode, "the name of an output file")
            if not overwrite:
                raise OutputExistsError(
                    f"{file}: exists already; ask for overwriting (--overwrite, overwrite=True) to "
                    "replace it"
                )
    return file


def _missing(path: PathLike, file: Path, expected: str) -> MissingFileError:
    """The error that there is no file, with what may be the cause in its name."""
    name = os.fsdecode(path)
    if match := _ADDRESS.match(name):
        advice = "give its path" if name.startswith("file:") else "download it first"
        return MissingFileError(
            f"{match[0]}/{name[match.end() :].lstrip('/')}: is an address, but {expected} on disk "
            f"was expected: {advice}"
        )
    cause = ""
    if file.is_symlink():
        cause = f" (it is a link to {os.readlink(file)})"
    elif name == "-":
        cause = " (standard input is not read)"
    elif name.startswith("~"):
        cause = " (~ is not expanded: give the whole path)"
    elif re.search(r"[*?[]", name):
        cause = (
            " (a pattern: a shell leaves it as it is where no file matches; Python makes the list "
            "by sorted(Path(folder).glob(pattern)))"
        )
    return MissingFileError(f"{name}: no such file{cause}; {expected} was expected")


def _mode(file: Path) -> int | None:
    """Mode of what a path leads to; None where it leads to nothing."""
    try:
        return file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _refuse_special(file: Path, mode: int, expected: str) -> None:
    """Raise where a path leads to what is no file on disk."""
    if what := _SPECIAL.get(stat.S_IFMT(mode)):
        raise FileError(f"{file}: is {what}, but {expected} was expected")


@contextlib.contextmanager
def _file_errors(file: Path, done: str) -> Iterator[None]:
    """Turn an error of the system, or of a name that is none, into one that names the file."""
    try:
        yield
    except QnetError:
        raise
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise FileError(f"{file}: cannot be {done} ({why})") from error


@contextlib.contextmanager
def atomic_write(path: PathLike, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary name in the same folder; flush and rename the file when it is whole.

    On any error, an interrupt included, it is removed; after a kill, by the next writing.
    """
    final = check_output(path, overwrite)
    partial = name_partial(final)
    try:
        clear_partials(final)
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
        raise FileError(f"{final}: could not be written ({_why(error, final.parent)})") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _why(error: OSError, folder: Path) -> object:
    """Why a file could not be written: a full disk, which the FITS library does not report."""
    with contextlib.suppress(OSError):
        if error.errno is None and shutil.disk_usage(folder).free < _LITTLE:
            return os.strerror(errno.ENOSPC)
    return error


def sha256(path: PathLike) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def as_paths(paths: PathLike | Iterable[PathLike], what: str = "path") -> list[PathLike]:
    """One path or several, as a list; InputError where the argument named `what` is neither.

    Arrays, generators and views of mappings are taken as they come, sets in the order of the names.
    """
    given: list[PathLike]
    if isinstance(paths, (str, bytes, os.PathLike)):
        given = [paths]
    else:
        try:
            # A mapping, a table or an open file would give its keys, columns or lines.
            if isinstance(paths, Mapping) or hasattr(paths, "columns") or hasattr(paths, "read"):
                raise TypeError(type(paths))
            given = list(getattr(paths, "flat", paths))  # of arrays of any shape
        except Exception as error:  # the object of another library may raise anything
            raise InputError(f"{what} must be a path or several, not {shown(paths)}") from error
    # FITS tables give names as bytes.
    given = [os.fsdecode(path) if isinstance(path, bytes) else path for path in given]
    for path in given:
        if not is_path(path):
            raise _no_path(path, what)
    return sorted(given, key=os.fspath) if isinstance(paths, (set, frozenset)) else given


def real_path(path: PathLike) -> str:
    """Where a path leads; the path itself where it is none (it holds a NUL character)."""
    try:
        return os.path.realpath(path)
    except ValueError:
        return os.fspath(path)


def find_duplicates(paths: Sequence[PathLike]) -> list[PathLike]:
    """The paths that lead to a file which an earlier one of them leads to."""
    seen: set[str] = set()
    again = []
    for path in paths:
        real = real_path(path)
        if real in seen:
            again.append(path)
        seen.add(real)
    return again


def is_path(path: object) -> bool:
    """Whether an object is a path: text, or an object that gives the text of one."""
    try:
        return isinstance(path, (str, os.PathLike)) and isinstance(os.fsdecode(path), str)
    except Exception:  # noqa: BLE001 - the object of another library may raise anything
        return False


def as_path(path: object, what: str) -> Path:
    """The argument named `what` as a path; InputError where it is none, or is empty."""
    # Empty text would be the folder that the process is in.
    if not is_path(path) or not os.fsdecode(path):  # type: ignore[arg-type]
        raise _no_path(path, what)
    return Path(os.fsdecode(path))  # type: ignore[arg-type]


def _no_path(path: object, what: str) -> InputError:
    """The error that an argument is no path."""
    return InputError(f"{what} must be a path, not {shown(path)}")


def _sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, where the system allows it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
