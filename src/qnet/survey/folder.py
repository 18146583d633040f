"""The folder of a survey: its settings, its list of inputs, and the locks of its runs."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from qnet.core.errors import FileError, InputError, warn
from qnet.core.files import PathLike, as_path, atomic_write

#: Folder of what is known of a survey, in the folder of its catalogues.
HIDDEN = ".qnet-survey"

#: Version of the files in it.
_FORMAT = 1

#: Keys of the settings that do not change results: where the same file was found.
_PLACES = ("model",)

#: Errors of file systems that have no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)

#: Seconds between two tries to lock.
_PAUSE = 0.05

#: Lines that are written at a time.
_LINES = 1000


class Input(NamedTuple):
    """An input of a survey, and its catalogue."""

    paths: tuple[str, ...]
    output: str  # below the survey's folder


class Folder:
    """Names of the files of a survey."""

    def __init__(self, outdir: PathLike) -> None:
        self.path = as_path(outdir, "outdir")
        self.hidden = self.path / HIDDEN

    @property
    def settings(self) -> Path:
        """What all catalogues of the survey were made with."""
        return self.hidden / "settings.json"

    @property
    def inputs(self) -> Path:
        """The inputs of all runs, in their order: JSON lines."""
        return self.hidden / "inputs.jsonl"

    def journal(self, shard: str) -> Path:
        """What the runs of a shard, or those without shards, have done: JSON lines."""
        return self.hidden / f"journal{shard}.jsonl"

    def journals(self) -> list[Path]:
        """All journals."""
        return sorted(self.hidden.glob("journal*.jsonl"))

    def lock(self, shard: str) -> Path:
        """The file that a run locks."""
        return self.hidden / f"lock{shard}"

    def check(self) -> None:
        """Raise unless there is a survey."""
        if not self.settings.is_file():
            raise FileError(f"{self.path}: holds no survey of qnet: {self.settings} does not exist")

    def prepare(self) -> None:
        """Make the folder; raise where it holds something else."""
        try:
            if self.path.is_dir() and not self.hidden.is_dir() and any(self.path.iterdir()):
                raise InputError(
                    f"{self.path}: is not empty and holds no survey: give a new folder, whose "
                    "files will all be the survey's"
                )
            self.hidden.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{self.path}: cannot be written ({error.strerror})") from error
        if not os.access(self.path, os.W_OK) or not os.access(self.hidden, os.W_OK):
            raise FileError(f"{self.path}: no permission to write to it")


def hash_settings(settings: Mapping[str, Any]) -> str:
    """Hash of what decides the results of a survey."""
    kept = {key: value for key, value in settings.items() if key not in _PLACES}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def read_settings(folder: Folder) -> dict[str, Any]:
    """The settings of a survey."""
    folder.check()
    try:
        settings: Any = json.loads(folder.settings.read_text())
    except (OSError, ValueError) as error:
        raise FileError(f"{folder.settings}: cannot be read ({error})") from error
    if not isinstance(settings, dict) or settings.get("format") != _FORMAT:
        raise FileError(
            f"{folder.settings}: is not of format {_FORMAT}: another version of qnet wrote it"
        )
    return dict(settings)


def settle_settings(folder: Folder, settings: Mapping[str, Any], overwrite: bool) -> str:
    """Write the settings of a new survey, or compare with those that it has; their hash."""
    settings = {"format": _FORMAT, **settings}
    if folder.settings.exists():
        before = read_settings(folder)
        if hash_settings(before) == hash_settings(settings):
            return hash_settings(settings)
        if not overwrite:
            raise InputError(
                f"{folder.path}: the survey in it was made with other settings "
                f"({_differences(before, settings)}): use these, give another folder, or ask for "
                "overwriting (--overwrite, overwrite=True) to classify its inputs anew"
            )
    with atomic_write(folder.settings, overwrite=True) as partial:
        partial.write_text(json.dumps(settings, indent=1, sort_keys=True))
    return hash_settings(settings)


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs between settings."""

    def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
        grouped: dict[str, Any] = settings["options"] | settings["reading"]
        left_out = ("options", "reading", *_PLACES)
        return {k: v for k, v in settings.items() if k not in left_out} | grouped

    old, new = flat(before), flat(now)
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    return "; ".join(f"{name} {old.get(name)!r}, not {new.get(name)!r}" for name in names)


def read_inputs(folder: Folder) -> Iterator[Input]:
    """The inputs of a survey in their order, each once."""
    seen = set()
    for line in read_lines(folder.inputs):
        found = Input(tuple(line["files"]), line["output"])
        if found.paths not in seen:
            seen.add(found.paths)
            yield found


def add_inputs(folder: Folder, inputs: Sequence[Input]) -> None:
    """Append inputs to the list, some at a time, with the lock of the settings held."""
    if inputs:
        with LineFile(folder.inputs) as file:
            for start in range(0, len(inputs), _LINES):
                some = inputs[start : start + _LINES]
                file.write([json.dumps({"files": x.paths, "output": x.output}) for x in some])


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Records of a file of JSON lines; lines that a killed process left unfinished are none."""
    try:
        with open(path, "rb") as file:
            for line in file:
                with contextlib.suppress(ValueError):
                    record = json.loads(line)
                    if isinstance(record, dict) and line.endswith(b"\n"):
                        yield record
    except FileNotFoundError:
        return
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror})") from error


class LineFile:
    """A file of lines that are only appended, each in one call of the system."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        with self._errors():
            self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
            size = os.fstat(self._file).st_size
            if size and os.pread(self._file, 1, size - 1) != b"\n":
                os.write(self._file, b"\n")  # after the unfinished line of a killed process
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def write(self, lines: Sequence[str]) -> None:
        """Append lines."""
        content = "".join(f"{line}\n" for line in lines).encode()
        with self._errors():
            if os.write(self._file, content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FileError(f"{self._path}: cannot be written ({error.strerror})") from error


@contextlib.contextmanager
def hold_lock(path: Path, *, shared: bool = False, seconds: float = 0.0) -> Iterator[bool]:
    """Lock a file while the context lasts; False where others have it for so many seconds more.

    The lock ends with the process, however that ends.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        deadline = time.monotonic() + seconds
        while not (held := _lock(file, path, shared)) and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        yield held
    finally:
        os.close(file)


def _lock(file: int, path: Path, shared: bool) -> bool:
    """Lock an open file, unless another process has it; with a warning where nothing is locked."""
    import fcntl

    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise FileError(f"{path}: cannot be locked ({error.strerror})") from error
        warn(f"{path}: is on a file system without locks: two runs at once are not noticed")
    return True
