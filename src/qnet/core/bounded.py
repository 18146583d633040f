"""Work on files that may hang or crash a library: in a process of its own, with limits."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from multiprocessing import spawn
from pathlib import Path
from typing import Any, NoReturn

from qnet.core.errors import FileError, QnetError

#: Seconds of CPU time that such a process has for a small file, and bytes that one more is for.
SECONDS, BYTES_PER_SECOND = 10, 10_000_000

#: Seconds in which it ends for each of CPU time: the machine and the file system may be busy.
_WAIT = 6

#: Bytes of memory that it may use for a small file, and for each byte of a file.
MEMORY, MEMORY_PER_BYTE = 1 << 30, 32

#: The signal that ends it after its CPU time; 0 where the system has none.
_OUT_OF_TIME = int(getattr(signal, "SIGXCPU", 0))

#: Exit status of a process whose output is the message of an error.
_REFUSED = 3

#: What the process runs: the modules come from where this one has them.
_PROGRAM = """
import sys, json
path, module, name = json.loads(sys.argv[1])
sys.path[:] = path
getattr(__import__(module, fromlist=[name]), name)()
"""


class NoReply(Exception):
    """The process did not end in time, or ended abruptly; the message is a clause of its own."""


def call_bounded(module: str, name: str, request: Any) -> bytes:
    """Output of a function that calls `reply`, for a request of plain values, mostly of a file.

    The limits of time and memory grow with the size of ``request["file"]``.
    """
    target = json.dumps([sys.path, module, name])
    python = os.fsdecode(spawn.get_executable() or "python")
    threads = {f"{kind}_NUM_THREADS": "1" for kind in ("OMP", "OPENBLAS", "MKL")}
    size = 0
    with contextlib.suppress(OSError, ValueError, TypeError, LookupError):
        size = os.stat(request["file"]).st_size
    seconds = SECONDS + size // BYTES_PER_SECOND
    try:
        done = subprocess.run(
            [python, "-P", "-c", _PROGRAM, target],
            input=json.dumps([request, seconds, MEMORY + MEMORY_PER_BYTE * size]).encode(),
            capture_output=True,
            timeout=_WAIT * seconds,
            env=os.environ | threads,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoReply(f"reading it takes more than {_WAIT * seconds} s") from None
    except OSError as error:
        raise NoReply(f"no process can be started to read it ({error})") from error
    if done.returncode == _REFUSED:
        raise QnetError(done.stdout.decode())
    if done.returncode == -_OUT_OF_TIME:
        raise NoReply(f"reading it takes more than {seconds} s of CPU time")
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        reason = last[0] if last else f"status {done.returncode}"
        raise NoReply(f"the process that reads it ended abruptly ({reason})")
    return done.stdout


def read_bounded(
    module: str,
    file: Path,
    request: Mapping[str, Any],
    expected: str,
    error: type[QnetError] = FileError,
) -> bytes:
    """What the function `serve` of a module replies to a request about a file."""
    try:
        return call_bounded(module, "serve", {"file": str(file), **request})
    except NoReply as fault:
        raise error(f"{file}: {fault}; {expected} was expected") from fault
    except QnetError as fault:
        raise error(str(fault)) from fault


def reply(work: Callable[[Any], bytes]) -> NoReturn:
    """Write what `work` makes of the request, or the message of its error; what a process runs."""
    request, seconds, memory = json.load(sys.stdin)
    with contextlib.suppress(ImportError, ValueError, OSError):  # not on all systems
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    if hasattr(signal, "alarm"):  # where its parent is gone, nobody else ends it
        signal.alarm(2 * _WAIT * seconds)
    try:
        output, status = work(request), 0
    except QnetError as error:
        output, status = str(error).encode(), _REFUSED
    sys.stdout.buffer.write(output)
    sys.stdout.buffer.flush()
    sys.exit(status)
