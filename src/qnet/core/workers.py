"""Worker processes: fresh interpreters, which import the script that started them."""

from __future__ import annotations

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

from qnet.core.errors import InputError

#: Name of the processes, by which they know in time that they are workers.
_NAME = "qnet worker"

#: Exit status of a worker whose imported script would start workers of its own.
_NO_GUARD = 117

_GUARD = "put the code that starts it under if __name__ == '__main__':, or give workers=1"


class _Context(SpawnContext):
    """Makes named processes, and keeps them; no forks: that of a process with threads may hang."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[SpawnProcess] = []

    def Process(self, **options: Any) -> SpawnProcess:  # type: ignore[override]
        """A process with the name of workers."""
        self.made.append(SpawnProcess(**{**options, "name": _NAME}))
        return self.made[-1]


class WorkerPool(ProcessPoolExecutor):
    """Processes, and why they ended where none began: before any work was handed to one."""

    def __init__(self, workers: int) -> None:
        self.workers, self._context = workers, _Context()
        try:
            self._begun = self._context.Event()
            super().__init__(workers, mp_context=self._context, initializer=self._begun.set)
        except OSError as error:  # of systems without the semaphores
            raise InputError(f"workers={workers}: processes cannot share work ({error})") from error

    @property
    def begun(self) -> bool:
        """Whether one of the processes came so far that work could be handed to it."""
        return self._begun.is_set()

    def explain(self) -> InputError:
        """Why the processes ended before any had begun; waits until all ended."""
        self.shutdown()
        statuses = [process.exitcode for process in self._context.made]
        if _NO_GUARD in statuses:
            return InputError(
                f"workers={self.workers}: each worker imports the script {_main_file()}, which "
                f"starts the run again: {_GUARD}"
            )
        ended = ", ".join(sorted({str(status) for status in statuses}))
        return InputError(
            f"workers={self.workers}: the workers ended (exit status {ended}) before they read any "
            f"input, as they imported the script {_main_file()} or the packages: their errors are "
            f"printed above; {_GUARD}"
        )


def check_main(workers: int) -> None:
    """Raise where this process cannot start workers, which import its main module."""
    process = multiprocessing.current_process()
    if process.name == _NAME:
        # Quietly: the process that started this one reports what is wrong.
        raise SystemExit(_NO_GUARD)
    if getattr(process, "_inheriting", False):  # a worker of another's, which imports the script
        raise InputError(f"workers={workers}: the run is started again by a worker: {_GUARD}")
    if process.daemon:
        raise InputError(
            f"workers={workers}: a daemonic process of multiprocessing, such as that of a Pool, "
            "can have no workers: give workers=1"
        )
    file, spec = _main_file(), getattr(sys.modules.get("__main__"), "__spec__", None)
    if file is not None and spec is None and not os.path.exists(file):
        raise InputError(
            f"workers={workers}: each worker imports the script, but {file} is no file that can be "
            "imported: write the script into a file, or give workers=1"
        )


def _main_file() -> str | None:
    """File of the script, as workers import it; None for an interactive session."""
    return getattr(sys.modules.get("__main__"), "__file__", None)
