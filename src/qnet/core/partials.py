"""Unfinished outputs: their names, and those that killed processes left."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import secrets
import shutil
from pathlib import Path

from qnet.core.errors import warn

logger = logging.getLogger(__name__)

#: Name of an unfinished output: the hash of the output's name, that of the machine, the process.
#: Plain characters, which libraries do not interpret, and as many for an output of any name.
_NAME = ".qnet-{output}.{machine}.{process}.{token}.partial"
_PARTS = re.compile(r"\.(?P<machine>\w+)\.(?P<process>\d+)\.\w+\.(?P<kind>partial|replaced).*")


def name_partial(final: Path) -> Path:
    """A temporary name in the folder of an output; the suffix is that of its format."""
    name = _NAME.format(
        output=_digest(final.name),
        machine=_machine(),
        process=os.getpid(),
        token=secrets.token_hex(4),
    )
    return final.with_name(name + final.suffix)


def name_replaced(partial: Path) -> Path:
    """The temporary name of what an output replaces, by that of the output."""
    return partial.with_name(partial.name.replace(".partial", ".replaced"))


def clear_partials(final: Path) -> None:
    """Remove what killed processes of this machine left of an output; warn of others' files."""
    start = f".qnet-{_digest(final.name)}"
    with os.scandir(final.parent) as entries:
        found = [entry.name for entry in entries if entry.name.startswith(start)]
    for name in found:
        left, parts = final.with_name(name), _PARTS.fullmatch(name, len(start))
        if parts is None or parts["machine"] != _machine() or _is_running(int(parts["process"])):
            warn(
                f"{final}: is being written by another run, or one that was killed on another "
                f"machine left {left}: remove that if no other run goes on"
            )
        elif parts["kind"] == "replaced" and not final.exists():
            warn(f"{final}: was to be replaced by a run that was killed: what it held is {left}")
        else:
            logger.info("%s: %s, which a killed run left, is removed", final, left)
            _remove(left)


def _remove(left: Path) -> None:
    """Remove a file or folder, if it is there and may be removed."""
    if left.is_dir():
        shutil.rmtree(left, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            left.unlink()


def _digest(text: str) -> str:
    """A short hash of text, in hexadecimal."""
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:12]


def _machine() -> str:
    """Hash of what numbers processes: the machine, and on Linux the container."""
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    with contextlib.suppress(OSError):
        name += os.readlink("/proc/self/ns/pid")
    return _digest(name)


def _is_running(process: int) -> bool:
    """Whether a process of this machine may still run."""
    if os.name != "posix":  # where signal 0 ends a process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    with contextlib.suppress(OSError, IndexError):
        # One that has ended stays until its parent asks for it, in containers for ever.
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        return state not in "ZX"
    return True
