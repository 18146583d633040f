"""The command with a reader whose files do what faults do; a script, which its workers import."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from qnet.core.errors import InputError
from qnet.core.spectra import Camera, Spectra
from qnet.io import Reader, register

#: Seconds after which a file that waits gives up: no test comes near.
_LONGEST = 120


def write_trap(path, what, targetid, **cards):
    """A file of one spectrum that does something when it is read, and where that is marked."""
    from makers import BOSS_LOGLAM, image, make_spectra, primary, table, write

    flux, ivar = make_spectra(10**BOSS_LOGLAM, [2.0], seed=targetid)
    hdus = [
        primary(TRAP=what, **cards),
        image(flux, "TRAP_FLUX"),
        image(ivar, "TRAP_IVAR"),
        image(BOSS_LOGLAM, "TRAP_LOGLAM"),
        table({"TARGETID": np.array([targetid])}, "TARGETS"),
    ]
    return write(path, hdus)


def mark(path, name="mark"):
    """The file by which a trap tells that it was reached, or is told to go on."""
    return Path(f"{path}.{name}")


def spring(path, what, header):
    """Do what a file says."""
    match what:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "kill once" if not mark(path).exists():
            mark(path).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        case "memory":
            before = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (1 << 32, before[1]))
            try:
                np.ones(1 << 30)
            finally:
                resource.setrlimit(resource.RLIMIT_AS, before)
        case "remove":
            path.with_name(header["VICTIM"]).unlink(missing_ok=True)
        case "exit":
            raise SystemExit(5)
        case "wait":
            mark(path).touch()
            end = time.monotonic() + _LONGEST
            while not mark(path, "go").exists() and time.monotonic() < end:
                time.sleep(0.01)


def cut_result(die):
    """Work of a process that is killed in the middle of giving its result."""
    for found in gc.get_objects() if die else ():
        if type(found) is Connection and not found.closed and found.writable:
            os.write(found.fileno(), (1 << 20).to_bytes(4, "big") + b"the first bytes")
    return os.kill(os.getpid(), signal.SIGKILL) if die else "done"


def _read(files, request):
    (fits,) = files
    header = fits.header(0)
    spring(Path(fits.path), header["TRAP"], header)
    flux, ivar = (fits.image(name, request.rows) for name in ("TRAP_FLUX", "TRAP_IVAR"))
    camera = Camera("trap", 10 ** fits.image("TRAP_LOGLAM"), flux, ivar)
    return Spectra(cameras=(camera,), ids=fits.table("TARGETS", ["TARGETID"], request.rows))


READER = Reader(
    name="trap",
    survey="none",
    hdus="images TRAP_FLUX, TRAP_IVAR, TRAP_LOGLAM, table TARGETS",
    targetid="TARGETS",
    wavelengths="vacuum, centres",
    no_weight="",
    detect=lambda fits: "TRAP" in fits.header(0),
    count=lambda fits: fits.shape("TRAP_FLUX")[0],
    read=_read,
    whole=False,
    ids=("TARGETID",),
)

# The script, its workers, and those of Dask, which import it twice.
if folder := os.environ.get("QNET_TEST_PROCESSES"):
    (Path(folder) / str(os.getpid())).touch()
    with contextlib.suppress(InputError):
        register(READER)

if __name__ == "__main__":
    from qnet.cli import main

    sys.exit(main())
