"""Worker processes: fresh interpreters, which import the script that started them."""

from __future__ import annotations

import contextlib
import mmap
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, reduction
from multiprocessing.context import SpawnContext, SpawnProcess
from types import TracebackType
from typing import Any, NoReturn

from qnet.core.errors import FileError, InputError

#: Name of the processes, by which they know in time that they are workers.
_NAME = "qnet worker"

#: Exit status of a worker whose imported script would start workers of its own.
_NO_GUARD = 117

_GUARD = "put the code that starts it under if __name__ == '__main__':"

#: What else helps where one worker is this process itself, and no other.
ALONE = ", or give workers=1"

#: Seconds in which a worker that is asked to end removes its unfinished output.
_GRACE = 5.0

#: Makes the function that a worker calls for each task; called once in each worker.
Setup = Callable[[], Callable[[Any], Any]]


class _Process(SpawnProcess):
    """A process that leaves an interrupt by the keyboard to the one that started it."""

    def start(self) -> None:
        """Start with the signal blocked, which the process inherits."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Context(SpawnContext):
    """Makes named processes, and keeps them; no forks: that of a process with threads may hang."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[SpawnProcess] = []

    def Process(self, **options: Any) -> SpawnProcess:  # type: ignore[override]
        """A process with the name of workers."""
        self.made.append(_Process(**{**options, "name": _NAME}))
        return self.made[-1]


class _Stored:
    """A setup in a file without a name, which each process inherits.

    Its arguments are written to a pipe before it runs: with megabytes of a model this would wait
    forever for a process that ends without reading them.
    """

    def __init__(self, setup: Setup) -> None:
        try:
            self._file: Any = tempfile.TemporaryFile()  # noqa: SIM115  # as long as this object
            pickle.dump(setup, self._file)
            self._file.flush()
        except OSError as error:
            raise FileError(
                f"the folder for temporary files (TMPDIR) cannot be written ({error.strerror})"
            ) from error

    def __getstate__(self) -> Any:
        return reduction.DupFd(self._file.fileno())

    def __setstate__(self, file: Any) -> None:
        self._file = open(file.detach(), "rb")  # noqa: SIM115

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def load(self) -> Setup:
        """The setup; the place in the file, which all processes share, is not moved."""
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            setup: Setup = pickle.loads(content)  # noqa: S301  # the process that started this one wrote it
        return setup


class _Worker(ProcessPoolExecutor):
    """One process, and why it ended where it did before any task was handed to it."""

    def __init__(self, setup: _Stored, workers: int, advice: str) -> None:
        self.workers, self._advice, self._context = workers, advice, _Context()
        try:
            self._begun = self._context.RawValue("b", 0)  # no lock, with which a process may die
            super().__init__(
                1, mp_context=self._context, initializer=_begin, initargs=(self._begun, setup)
            )
        except OSError as error:  # of systems without the semaphores
            raise InputError(f"workers={workers}: processes cannot share work ({error})") from error

    def submit(self, work: Any, /, *args: Any, **options: Any) -> Future[Any]:
        """Hand over a task; only the process keeps the end of the pipe into which results go.

        Where it is killed in the middle of one, the other end then sees that no more will come.
        """
        future = super().submit(work, *args, **options)
        queue: Any = self._result_queue
        queue._writer.close()
        return future

    @property
    def processes(self) -> list[SpawnProcess]:
        """The process, once there is one."""
        return [process for process in self._context.made if process.pid is not None]

    def check_begun(self) -> None:
        """Raise where the process ended by itself before it came so far that it could work."""
        self.shutdown()
        status = next((process.exitcode for process in self.processes), None)
        if self._begun.value or status is None or status < 0:  # by a signal
            return
        if status == _NO_GUARD:
            raise InputError(
                f"workers={self.workers}: each worker imports the script {_main_file()}, which "
                f"starts the run again: {_GUARD}{self._advice}"
            )
        raise InputError(
            f"workers={self.workers}: the workers ended (exit status {status}) before they read "
            f"any input, as they imported the script {_main_file()} or the packages: their errors "
            f"are printed above; {_GUARD}{self._advice}"
        )


class Workers:
    """Processes of this machine, each an executor of its own: a death is that of one task.

    `advice` is what else helps where no process can be started.
    """

    tries = 2

    def __init__(self, workers: int, setup: Setup, advice: str = "") -> None:
        self.capacity = workers
        self._setup, self._advice = _Stored(setup), advice
        self._idle: list[_Worker] = []
        self._busy: dict[Future[Any], _Worker] = {}

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        """End the processes: at once where there was an error."""
        workers = [*self._idle, *self._busy.values()]
        for worker in workers:
            worker.shutdown(wait=False, cancel_futures=True)
        if kind is not None:
            _end([process for worker in workers for process in worker.processes])
        for worker in workers:
            worker.shutdown()
        self._setup.close()

    def submit(self, task: Any) -> Future[Any]:
        """Hand a task to a process that has none."""
        while True:
            worker = self._idle.pop() if self._idle else self._start()
            try:
                future = worker.submit(_call, task)
            except BrokenProcessPool:  # it died between two tasks
                worker.check_begun()
                continue
            self._busy[future] = worker
            return future

    def _start(self) -> _Worker:
        return _Worker(self._setup, self.capacity, self._advice)

    def lost(self, future: Future[Any]) -> bool:
        """Whether the process of an ended future died; another one will take its place."""
        worker = self._busy.pop(future)
        if not isinstance(future.exception(), BrokenProcessPool):
            self._idle.append(worker)
            return False
        worker.check_begun()
        return True


class _Held:
    """What a worker process keeps: its setup, the function made by that, and whether it works."""

    def __init__(self) -> None:
        self.setup: _Stored | None = None
        self.work: Callable[[Any], Any] | None = None
        self.busy = False


_HELD = _Held()


def _begin(begun: Any, setup: _Stored) -> None:
    """Prepare a worker process."""

    def end(*_: object) -> NoReturn:
        if not _HELD.busy:
            os._exit(128 + signal.SIGTERM)
        raise SystemExit  # the unfinished output is removed on the way

    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _HELD.setup = setup
    begun.value = 1


def _end_with_parent() -> None:
    """End this process with the one that started it, also where that is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(task: Any) -> Any:
    """Work on a task, in a worker process."""
    _HELD.busy = True
    try:
        if _HELD.work is None and _HELD.setup is not None:
            _HELD.work = _HELD.setup.load()()
        return _HELD.work(task)  # type: ignore[misc]
    except SystemExit:  # of `end`: what was unfinished is removed
        os._exit(128 + signal.SIGTERM)
    finally:
        _HELD.busy = False


def _end(processes: list[SpawnProcess]) -> None:
    """Ask processes to end, and end those that do not."""
    alive = [process for process in processes if process.is_alive()]
    for process in alive:
        process.terminate()
    deadline = time.monotonic() + _GRACE
    waiting = {process.sentinel: process for process in alive}
    while waiting and (left := deadline - time.monotonic()) > 0:
        for sentinel in connection.wait(list(waiting), left):
            waiting.pop(sentinel)  # type: ignore[arg-type]
    for process in waiting.values():
        with contextlib.suppress(OSError):
            process.kill()


def check_main(workers: int, advice: str = "") -> None:
    """Raise where this process cannot start workers, which import its main module."""
    process = multiprocessing.current_process()
    if process.name == _NAME:
        # Quietly: the process that started this one reports what is wrong.
        raise SystemExit(_NO_GUARD)
    if getattr(process, "_inheriting", False):  # a worker of another's, which imports the script
        raise InputError(
            f"workers={workers}: the run is started again by a worker: {_GUARD}{advice}"
        )
    if process.daemon:
        raise InputError(
            f"workers={workers}: a daemonic process of multiprocessing, such as that of a Pool, "
            f"can have no workers: start the run outside of it{advice}"
        )
    file, spec = _main_file(), getattr(sys.modules.get("__main__"), "__spec__", None)
    if file is not None and spec is None and not os.path.exists(file):
        raise InputError(
            f"workers={workers}: each worker imports the script, but {file} is no file that can be "
            f"imported: write the script into a file{advice}"
        )


def _main_file() -> str | None:
    """File of the script, as workers import it; None for an interactive session."""
    return getattr(sys.modules.get("__main__"), "__file__", None)
