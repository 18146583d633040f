"""The driver of runs over many files: tasks to executors, and what comes of them."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from qnet.core.errors import FileError, QnetError, reason
from qnet.core.workers import Setup

_DIED = (
    "the process that read it ended abruptly (out of memory, killed, or the file is damaged so "
    "that the FITS library does not survive it)"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """An input, or one of the parts that its rows are split into."""

    number: int  # of the input
    paths: tuple[Path, ...]
    part: int = 0
    parts: int = 1
    output: str = ""  # of a survey


class Engine(Protocol):
    """Where tasks run: the one place that knows how they come to processes.

    A future gives what the work of a task returned. An error of qnet in it is that of the setup of
    a process, and ends the run; any other is a failure of the task's input.
    """

    #: Times that a task is handed to it whose process dies.
    tries: int

    @property
    def capacity(self) -> int:
        """Number of tasks that are handed to it at a time."""

    def submit(self, task: Task) -> Future[Any]:
        """Hand a task to it."""

    def lost(self, future: Future[Any]) -> bool:
        """Whether the process of an ended future died."""

    def __enter__(self) -> Engine: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None: ...


class ThisProcess:
    """The engine without other processes."""

    capacity = tries = 1

    def __init__(self, setup: Setup) -> None:
        self._work = setup()

    def __enter__(self) -> ThisProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        """Nothing is to be ended."""

    def submit(self, task: Task) -> Future[Any]:
        """Work on a task at once; its errors are raised here."""
        future: Future[Any] = Future()
        future.set_result(self._work(task))
        return future

    def lost(self, future: Future[Any]) -> bool:
        """No process dies but this one."""
        return False


def split_task(task: Task, parts: int) -> Iterator[Task]:
    """The parts of a task."""
    for part in range(parts):
        yield dataclasses.replace(task, part=part, parts=parts)


def run_tasks(engine: Engine, tasks: Iterable[Task]) -> Iterator[tuple[Task, Any]]:
    """Tasks with their results as they come: no more are held than the engine runs at a time.

    Where a task has no result its failure, a FileError, stands in a pair with no messages.
    """
    coming, again = iter(tasks), deque[Task]()
    running: dict[Future[Any], Task] = {}
    tries: dict[Task, int] = {}
    while True:
        while len(running) < engine.capacity:
            task = again.popleft() if again else next(coming, None)
            if task is None:
                break
            running[engine.submit(task)] = task
        if not running:
            return
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            task = running.pop(future)
            if not engine.lost(future):
                yield task, _result(task, future)
                continue
            tries[task] = tries.get(task, 0) + 1
            if tries[task] < engine.tries:
                again.append(task)
            else:
                yield task, (FileError(f"{task.paths[0]}: was not classified: {_DIED}"), [])


def _result(task: Task, future: Future[Any]) -> Any:
    """The result of a task; its failure for errors that are not those of a setup."""
    if future.cancelled():
        raise FileError(
            "the cluster has dropped what it was to do, its scheduler may have ended: what is done "
            "is kept, start the run again"
        )
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, QnetError):
        raise error
    failure = FileError(f"{task.paths[0]}: was not classified ({reason(error)})")
    failure.__cause__ = error
    return failure, []


def join_parts(
    outcomes: Iterable[tuple[Task, Any]],
) -> Iterator[tuple[Task, Sequence[Any]]]:
    """A task of each input and the results of its parts in order, as soon as all are there."""
    some: dict[int, dict[int, Any]] = {}
    for task, result in outcomes:
        found = some.setdefault(task.number, {})
        found[task.part] = result
        if len(found) == task.parts:
            del some[task.number]
            yield task, [found[part] for part in range(task.parts)]


def in_order(outcomes: Iterable[tuple[Task, Any]]) -> Iterator[tuple[Task, Any]]:
    """The same in the order of the inputs' numbers 0, 1, ..."""
    early: dict[int, tuple[Task, Any]] = {}
    number = 0
    for task, result in outcomes:
        early[task.number] = task, result
        while number in early:
            yield early.pop(number)
            number += 1
