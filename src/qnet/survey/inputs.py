"""The inputs of a survey: files, patterns, folders and lists of them; and their catalogues."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from qnet.core.errors import FileError, InputError, MissingFileError, first_few, warn
from qnet.core.files import PathLike, as_paths
from qnet.io.reader import group_frames
from qnet.survey.folder import HIDDEN, Input

#: Suffixes of the files that are taken from folders.
_SUFFIXES = (".fits", ".fits.gz", ".fits.fz")

#: Suffixes that a catalogue does not take over from its input.
_DROPPED = (".gz", ".fz", ".fits", ".fit")


def find_files(inputs: PathLike | Iterable[PathLike]) -> list[str]:
    """The files of the inputs, as absolute paths in their order: text, as they may be many."""
    files = [
        os.path.abspath(path)
        for given in as_paths(inputs, "inputs")
        for path in _expand(os.fsdecode(given))
    ]
    if not files:
        raise InputError("there are no input files")
    return files


def _expand(given: str) -> Iterator[str]:
    """The files of one input."""
    if given.startswith("@") and not os.path.lexists(given):
        yield from _listed(given[1:])
    elif os.path.isdir(given):
        found = list(_below(given))
        if not found:
            raise InputError(f"{given}: no file below it ends in {', '.join(_SUFFIXES)}")
        yield from found
    elif glob.has_magic(given) and not os.path.lexists(given):
        found = sorted(glob.glob(given, recursive=True))
        if not found:
            raise InputError(f"{given}: no file fits this pattern")
        yield from found
    else:
        yield given


def _listed(name: str) -> list[str]:
    """The files that a list names, one a line."""
    try:
        lines = Path(name).read_text().splitlines()
    except FileNotFoundError as error:
        raise MissingFileError(f"{name}: no such file; a list of files was expected") from error
    except (OSError, ValueError) as error:
        raise FileError(f"{name}: cannot be read as a list of files ({error})") from error
    return [line.strip() for line in lines if line.strip()]


def _below(folder: str) -> Iterator[str]:
    """The FITS files below a folder, without those of surveys; each folder once, for all links."""
    seen = set()
    for path, folders, names in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(path)
        if HIDDEN in folders or real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.join(path, name) for name in sorted(names) if _is_fits(name))


def _refuse(error: OSError) -> NoReturn:
    """Raise the error of a folder that cannot be listed, whose files would be lost."""
    raise FileError(f"{error.filename}: cannot be listed ({error.strerror})") from error


def _is_fits(name: str) -> bool:
    return name.lower().endswith(_SUFFIXES) and not name.startswith(".")


def group_files(files: Sequence[str]) -> list[tuple[Path, ...]]:
    """The sets of frames and the other files, each once."""
    once = list(dict.fromkeys(files))
    if twice := len(files) - len(once):
        warn(f"{twice} of the files are given more than once: they are classified once")
    return group_frames(once)


def common_folder(groups: Sequence[tuple[Path, ...]]) -> str:
    """The folder that all inputs are below."""
    return os.path.commonpath({os.path.dirname(group[0]) for group in groups})


def place_outputs(
    groups: Sequence[tuple[Path, ...]], root: str, outdir: Path, suffix: str
) -> list[Input]:
    """The inputs with their catalogues, which lie as the inputs lie below `root`."""
    placed = []
    for group in groups:
        try:
            below = group[0].relative_to(root)
        except ValueError as error:
            raise InputError(
                f"{group[0]}: is not below {root}, the common folder of the survey's first inputs, "
                "whose folders the catalogues follow: give another output folder"
            ) from error
        stem = below.name
        for dropped in _DROPPED:
            if stem.lower().endswith(dropped) and len(stem) > len(dropped):
                stem = stem[: -len(dropped)]
        output = str(below.with_name(stem + suffix))
        if _is_same(outdir / output, group[0]):
            raise InputError(f"{group[0]}: would be replaced by its catalogue")
        placed.append(Input(tuple(map(str, group)), output))
    return placed


def _is_same(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file; False where one of them leads to none."""
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):
        return False


def check_clashes(inputs: Iterable[Input]) -> None:
    """Raise where two inputs would have the same catalogue."""
    owners: dict[str, Input] = {}
    for each in inputs:
        other = owners.setdefault(each.output, each)
        if other.paths != each.paths:
            raise InputError(
                f"{first_few(other.paths)} and {first_few(each.paths)}: both would have the "
                f"catalogue {each.output}"
            )
