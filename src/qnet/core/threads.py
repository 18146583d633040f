"""Threads: Python's share the work, and BLAS keeps to one in each; never both at once."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from qnet.core.errors import InputError, check_whole

T = TypeVar("T")


def choose_threads(threads: int | None) -> int:
    """Number of threads to use.

    Parameters
    ----------
    threads : int, optional
        What was asked for. None: as many as BLAS would take, which is the CPUs that this process
        may run on, or fewer where OMP_NUM_THREADS, its like, or threadpoolctl say so.

    Returns
    -------
    int

    Raises
    ------
    InputError
        The number is not positive.
    """
    if threads is None:
        found = [library["num_threads"] for library in _controller().info()]
        return max(found) if found else _cpus()
    check_whole("threads", threads)
    if threads < 1:
        raise InputError(f"threads must be at least 1, not {threads!r}")
    return threads


def share_work(work: Callable[[T], None], items: Sequence[T], threads: int) -> None:
    """Do the work on each item, by several threads; what one raises is raised here.

    Parameters
    ----------
    work : callable
        Takes an item. Results must not depend on which thread does it, nor when.
    items : sequence
    threads : int
        At least 1.
    """
    if threads == 1 or len(items) <= 1:
        for item in items:
            work(item)
        return
    with (
        one_blas_thread(),
        ThreadPoolExecutor(min(threads, len(items)), initializer=_limit) as pool,
    ):
        # Consumed, so that what a thread raises is raised here.
        list(pool.map(work, items))


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread, in the whole process, as long as anyone asks for it.

    With one thread a product of the same matrices has the same bits, whatever else runs.
    """
    _HOLD.take()
    try:
        yield
    finally:
        _HOLD.release()


class _Hold:
    """Counts who holds BLAS: the first one limits it, the last one restores what was."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._limit: Any = None

    def take(self) -> None:
        """Limit BLAS, unless it is."""
        with self._lock:
            if self._count == 0:
                self._limit = _limit()
            self._count += 1

    def release(self) -> None:
        """Restore what was, unless someone else holds BLAS too."""
        with self._lock:
            self._count -= 1
            if self._count == 0:
                _allow_this_thread()
                self._limit.restore_original_limits()
                _allow_this_thread()


#: BLAS has one setting for the process, so there is one counter for the process.
_HOLD = _Hold()


def _limit() -> Any:
    """Limit BLAS to one thread: of the process, or of this thread where BLAS (OpenMP) counts so."""
    _allow_this_thread()
    return _controller().limit(limits=1)


def _allow_this_thread() -> None:
    """Let whichever thread comes set the limits: `_Hold` sees to it that they do not quarrel.

    In newer releases of threadpoolctl the first thread that sets those of OpenBLAS is the
    only one that can, until it ends; calls from others do nothing, silently.
    """
    import threadpoolctl

    openblas = getattr(threadpoolctl, "OpenBLASController", None)
    clear = getattr(openblas, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)


@functools.cache
def _controller() -> Any:
    """The BLAS libraries of this process: NumPy's among them."""
    import numpy  # noqa: F401  # loads its library, if nothing did
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def _cpus() -> int:
    """CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
