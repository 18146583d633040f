"""Where the tasks of a survey run: processes of this machine, a Dask cluster, the ranks of MPI."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from importlib.util import find_spec
from types import TracebackType
from typing import Any

from qnet.classification.driver import Engine, Task
from qnet.core.errors import FileError, InputError, reason
from qnet.core.threads import count_cpus
from qnet.core.workers import Setup, Workers, check_main

#: Seconds that a scheduler has to answer, and after which its workers are counted again.
_TIMEOUT, _RECOUNT = 10.0, 5.0

#: One task at a time in a process: Python's warnings, which are caught, are of a whole process.
_ONE_AT_A_TIME = threading.Lock()

#: Makes the engine of a run, once its setup is known.
MakeEngine = Callable[[Setup], Engine]


class Cluster:
    """An engine over the executor of another library, which tries again what is lost itself."""

    tries = 1

    def __init__(
        self,
        executor: Executor,
        setup: Setup,
        *,
        count: Callable[[], int],
        end: Callable[[], None],
        losses: tuple[type[BaseException], ...] = (),
    ) -> None:
        self._executor, self._count, self._setup, self._end = executor, count, setup, end
        self._losses = losses
        self._counted, self._processes = 0.0, 0

    @property
    def capacity(self) -> int:
        """One task for each process: any other would be suspected where the process dies."""
        if time.monotonic() > self._counted + _RECOUNT:
            self._processes, self._counted = self._count(), time.monotonic()
        return max(1, self._processes)

    def submit(self, task: Task) -> Future[Any]:
        """Hand a task to it."""
        return self._executor.submit(call_cached, self._setup, task)

    def lost(self, future: Future[Any]) -> bool:
        """Whether the library gave it up, with several processes that died on it."""
        return not future.cancelled() and isinstance(future.exception(), self._losses)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        """Drop the tasks that have not begun where there was an error."""
        if kind is not None:
            self._end()


def call_cached(setup: Setup, task: Task) -> Any:
    """Work on a task in a process that keeps the work of the last setup."""
    with _ONE_AT_A_TIME:
        return _work(setup)(task)


@functools.lru_cache(maxsize=1)
def _work(setup: Setup) -> Callable[[Task], Any]:
    return setup()


@contextlib.contextmanager
def open_engine(
    workers: int | None, dask: str | None, mpi: bool
) -> Iterator[tuple[MakeEngine | None, int]]:
    """What makes the engine of a run, and its processes; None in processes that only work."""
    given = [workers is not None, dask is not None, mpi]
    if sum(given) > 1:
        raise InputError("give one of workers, dask and mpi")
    if dask is not None:
        with dask_cluster(dask) as found:
            yield found
    elif mpi:
        with mpi_ranks() as found:
            yield found
    else:
        count = count_cpus() if workers is None else workers
        check_main(count)
        yield functools.partial(Workers, count), count


@contextlib.contextmanager
def dask_cluster(address: str) -> Iterator[tuple[MakeEngine, int]]:
    """The workers of a running scheduler of dask.distributed."""
    _need("distributed", "dask")
    from distributed import Client, KilledWorker

    try:
        # The file that a scheduler writes has its address.
        where = {"scheduler_file": address} if os.path.exists(address) else {"address": address}
        client = Client(**where, timeout=_TIMEOUT, set_as_default=False)
    except Exception as error:  # whatever an address that is none raises
        raise FileError(f"dask={address}: no scheduler answers ({reason(error)})") from error
    with client:
        executor = client.get_executor(pure=False)
        end = functools.partial(executor.shutdown, wait=False)

        def count() -> int:
            return len(client.nthreads())

        make = functools.partial(Cluster, executor, count=count, end=end, losses=(KilledWorker,))
        yield make, max(1, count())


@contextlib.contextmanager
def mpi_ranks() -> Iterator[tuple[MakeEngine | None, int]]:
    """The ranks of MPI: None in those that work, once the first has no more tasks for them."""
    _need("mpi4py", "mpi")
    from mpi4py import MPI
    from mpi4py.futures import MPICommExecutor

    world = MPI.COMM_WORLD
    ranks = world.Get_size() - 1
    if ranks == 0:
        raise InputError(
            "mpi: there is one rank, which hands out tasks, and none that works: start with "
            "mpirun -n N or srun -n N, N of 2 or more"
        )
    before = None
    if world.Get_rank() and threading.current_thread() is threading.main_thread():
        # The first rank ends the run, and this one the task that it is at.
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Its annotations say that it gives itself; it gives an executor, or None.
    ranks_of_world: Any = MPICommExecutor(world, root=0)
    with ranks_of_world as executor:
        if executor is None:
            yield None, ranks
        else:
            end = functools.partial(executor.shutdown, wait=False, cancel_futures=True)
            yield functools.partial(Cluster, executor, count=lambda: ranks, end=end), ranks
    if before is not None:
        signal.signal(signal.SIGTERM, before)


def _need(module: str, argument: str) -> None:
    """Raise where a package is not installed."""
    if find_spec(module) is None:
        raise InputError(
            f"{argument} needs {module}, which is not installed: install qnet-quasar[cluster]"
        )


def parse_shard(shard: str) -> tuple[int, int]:
    """Number and count of 'K/N'."""
    match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", shard)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise InputError(
            f"shard must be K/N with K of 1 to N, as of a job array 1-N, not {shard!r}"
        )
    return number, count
