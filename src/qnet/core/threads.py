"""Threads: several of Python's with one BLAS thread in each, or one with several of BLAS."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from qnet.core.checks import check_whole

T = TypeVar("T")


def choose_threads(threads: int | None) -> int:
    """Number of threads: as asked for, or as many as BLAS may use (OMP_NUM_THREADS) when None."""
    if threads is None:
        found = [library["num_threads"] for library in _controller().info()]
        return max(found, default=count_cpus())
    check_whole("threads", threads, least=1)
    return threads


def share_work(work: Callable[[T], None], items: Sequence[T], threads: int) -> None:
    """Call `work` on each item, in several threads; an error in one of them is raised here."""
    if threads == 1 or len(items) <= 1:
        for item in items:
            work(item)
        return
    with (
        one_blas_thread(),
        ThreadPoolExecutor(min(threads, len(items)), initializer=_limit) as pool,
    ):
        list(pool.map(work, items))  # consuming the results raises the errors


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread in the whole process, until the last such context ends.

    With one thread the product of the same matrices has the same bits, whatever else runs.
    """
    _HOLD.take()
    try:
        yield
    finally:
        _HOLD.release()


class _Hold:
    """Count of the contexts that limit BLAS: the first sets the limit, the last restores it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._limit: Any = None

    def take(self) -> None:
        """Limit BLAS, if no other context does."""
        with self._lock:
            if self._count == 0:
                self._limit = _limit()
            self._count += 1

    def release(self) -> None:
        """Restore the setting, if no other context limits BLAS."""
        with self._lock:
            self._count -= 1
            if self._count == 0:
                _allow_this_thread()
                self._limit.restore_original_limits()
                _allow_this_thread()


#: One count for the process, as BLAS has one setting for the process.
_HOLD = _Hold()


def _limit() -> Any:
    """Limit BLAS to one thread in the process, or in this thread where it runs on OpenMP."""
    _allow_this_thread()
    return _controller().limit(limits=1)


def _allow_this_thread() -> None:
    """Allow this thread to set the limits of OpenBLAS; `_Hold` keeps the order."""
    # Newer releases of threadpoolctl ignore all threads but the first that sets them.
    import threadpoolctl

    openblas = getattr(threadpoolctl, "OpenBLASController", None)
    clear = getattr(openblas, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)


@functools.cache
def _controller() -> Any:
    """Controller of the BLAS libraries of this process, NumPy's among them."""
    import numpy  # noqa: F401  # loads its library
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def count_cpus(root: Path = Path("/")) -> int:
    """Number of CPUs that this process may use: by its affinity and the limits of its cgroups."""
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on
        found = os.process_cpu_count() or 1
    elif hasattr(os, "sched_getaffinity"):
        found = len(os.sched_getaffinity(0))
    else:
        found = os.cpu_count() or 1
    return max(1, min([found, *map(math.ceil, _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """CPUs that the control groups of this process, versions 1 and 2, leave it."""
    mounted = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        folder = mounted / "cpu" if controllers else mounted
        # Every group above limits it too; a container may see its own as the root.
        for part in (Path(group), *Path(group).parents):
            at = folder / str(part).lstrip("/")
            if controllers:
                limit = [_read(at / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
            else:
                limit = _read(at / "cpu.max").split()
            if len(limit) == 2 and all(number.isdigit() and int(number) for number in limit):
                yield int(limit[0]) / int(limit[1])


def _read(path: Path) -> str:
    """Text of a file; none where it cannot be read."""
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
