"""The journal of a survey: what was done with each input, and what became of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from qnet.core.errors import QnetError
from qnet.survey.folder import (
    Folder,
    Input,
    LineFile,
    hash_settings,
    read_inputs,
    read_lines,
    read_settings,
)

State = Literal["done", "failed", "pending"]


class Signature(NamedTuple):
    """By what a file is recognised as unchanged."""

    size: int
    mtime_ns: int


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """What was made of an input."""

    signatures: tuple[Signature | None, ...]  # None for a file that is not there
    rows: int = 0
    quasars: int = 0
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """An input of a survey with the last that the journals have of it."""

    paths: tuple[str, ...]
    output: str  # below the survey's folder
    state: State
    rows: int = 0
    quasars: int = 0
    seconds: float = 0.0
    error: str = ""  # message
    kind: str = ""  # class of the error


def sign(paths: Sequence[str | os.PathLike[str]]) -> tuple[Signature | None, ...]:
    """Signatures of files as they are now."""

    def one(path: str | os.PathLike[str]) -> Signature | None:
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return None
        return Signature(status.st_size, status.st_mtime_ns)

    return tuple(map(one, paths))


class Journal(LineFile):
    """The journal of a run, for appending.

    A line follows the renaming of a catalogue, so that what is in a journal is on disk; a run that
    is killed between the two does one input again.
    """

    def __init__(self, folder: Folder, shard: str, settings: str) -> None:
        super().__init__(folder.journal(shard))
        self._settings = settings

    def start(self, **about: Any) -> None:
        """Write that a run starts."""
        self._line("run", about)

    def done(self, paths: Sequence[str], output: str, record: Record) -> None:
        """Write that the catalogue of an input is there."""
        self._line("done", {"files": paths, "output": output, **dataclasses.asdict(record)})

    def failed(self, paths: Sequence[str], error: QnetError, record: Record) -> None:
        """Write that an input failed."""
        why = {"error": type(error).__name__, "message": str(error)}
        self._line("failed", {"files": paths, **why, **dataclasses.asdict(record)})

    def _line(self, event: str, values: Mapping[str, Any]) -> None:
        line = {"event": event, "time": round(time.time(), 3), "settings": self._settings, **values}
        self.write([json.dumps(line)])


def read_events(folder: Folder, settings: str) -> Iterator[dict[str, Any]]:
    """Lines of all journals about inputs, under these settings; of an input the last one counts."""
    times: dict[bytes, float] = {}
    for path in folder.journals():
        for line in read_lines(path):
            if line.get("settings") != settings or line.get("event") not in ("done", "failed"):
                continue
            key = _digest(line["files"])
            if line["time"] >= times.get(key, 0.0):  # else of another shard, earlier
                times[key] = line["time"]
                yield line


def read_entries(folder: Folder) -> Iterator[Entry]:
    """The inputs of a survey in their order, with what is known of each."""
    settings = hash_settings(read_settings(folder))
    last: dict[tuple[str, ...], Entry] = {}
    for line in read_events(folder, settings):
        paths = tuple(line["files"])
        numbers = {name: line[name] for name in ("rows", "quasars", "seconds")}
        why = {"error": line.get("message", ""), "kind": line.get("error", "")}
        last[paths] = Entry(paths, "", line["event"], **numbers, **why)
    for each in read_inputs(folder):
        found = last.get(each.paths)
        if found is None:
            yield Entry(each.paths, each.output, "pending")
        else:
            yield dataclasses.replace(found, output=each.output)


class Earlier:
    """What earlier runs did, in little memory for many inputs."""

    def __init__(self, folder: Folder, settings: str) -> None:
        self._folder = folder
        #: The files of an input, and their signatures when it was done, both as hashes; b"" where
        #: it failed.
        self._last: dict[bytes, bytes] = {}
        for line in read_events(folder, settings):
            done = line["event"] == "done"
            self._last[_digest(line["files"])] = _digest(line["signatures"]) if done else b""

    def find(self, each: Input) -> Literal["done", "failed", "changed", "new"]:
        """What became of an input: done means unchanged since, and its catalogue in its place."""
        last = self._last.get(_digest(each.paths))
        if last is None or (last and not os.path.exists(self._folder.path / each.output)):
            return "new"
        if not last:
            return "failed"
        now = sign(each.paths)
        # What is no longer there cannot be classified again.
        return "done" if None in now or _digest(now) == last else "changed"


def _digest(values: Any) -> bytes:
    """A short hash of plain values."""
    return hashlib.sha256(json.dumps(values).encode()).digest()[:16]
