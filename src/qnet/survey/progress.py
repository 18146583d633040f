"""`qnet.survey.status`: how far a survey is, from outside of its runs."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

from qnet.core import errors
from qnet.core.arguments import check_arguments
from qnet.core.errors import Failure, FileError
from qnet.core.files import PathLike
from qnet.survey.folder import Folder, hold_lock, read_lines
from qnet.survey.journal import read_entries


@dataclasses.dataclass(frozen=True)
class Status:
    """Progress of a survey.

    Attributes
    ----------
    outdir : pathlib.Path
        Its folder.
    inputs, done, failed, pending : int
        Number of inputs (a file, or the frames of one exposure): all, those with a catalogue, those
        that failed when they were last tried, and those not tried yet.
    spectra, quasars : int
        Rows of the catalogues, and quasars among them.
    running : int
        Number of current runs; each shard counts as one.
    files_per_second, spectra_per_second : float
        Speed of these runs together, since they started; 0 without any.
    seconds_left : float or None
        Until all inputs were tried, at this rate; None where it is not known.
    failures : tuple of Failure
        The inputs that failed, and why.

    Examples
    --------
    >>> from pathlib import Path
    >>> import qnet
    >>> found = qnet.survey.Status(Path("out"), inputs=3, done=2, pending=1, spectra=1000)
    >>> found.pending, found.running, found.failures
    (1, 0, ())
    """

    outdir: Path
    inputs: int = 0
    done: int = 0
    failed: int = 0
    pending: int = 0
    spectra: int = 0
    quasars: int = 0
    running: int = 0
    files_per_second: float = 0.0
    spectra_per_second: float = 0.0
    seconds_left: float | None = None
    failures: tuple[Failure, ...] = ()


def status(outdir: PathLike) -> Status:
    """Progress of the survey in a folder, whether it is running or not.

    Parameters
    ----------
    outdir : str or path
        The folder of a survey, as `qnet.survey.run` made it.

    Returns
    -------
    Status

    Raises
    ------
    FileError
        The folder holds no survey.

    See Also
    --------
    run : its example has the status of a survey.

    Examples
    --------
    >>> import qnet
    >>> try:
    ...     qnet.survey.status(".")
    ... except qnet.FileError as error:
    ...     print(error)
    .: holds no survey of qnet: .qnet-survey/settings.json does not exist
    """
    check_arguments(status, locals())
    folder = Folder(outdir)
    counts = dict.fromkeys(("done", "failed", "pending"), 0)
    spectra = quasars = 0
    failures = []
    for entry in read_entries(folder):
        counts[entry.state] += 1
        spectra += entry.rows
        quasars += entry.quasars
        if entry.state == "failed":
            failures.append(Failure(entry.paths, _as_error(entry.kind, entry.error)))
    found = Status(
        folder.path,
        inputs=sum(counts.values()),
        spectra=spectra,
        quasars=quasars,
        failures=tuple(failures),
        **counts,
    )
    return dataclasses.replace(found, **_rates(folder, found.pending))


def _rates(folder: Folder, pending: int) -> dict[str, Any]:
    """What goes on at the moment."""
    running, files, spectra = 0, 0.0, 0.0
    for path in folder.journals():
        if not _is_held(folder.lock(path.stem.removeprefix("journal"))):
            continue
        running += 1
        start, nfiles, nspectra = time.time(), 0, 0
        for line in read_lines(path):
            if line["event"] == "run":
                start, nfiles, nspectra = line["time"], 0, 0
            else:
                nfiles += 1
                nspectra += line["rows"]
        seconds = max(time.time() - start, 1e-3)
        files += nfiles / seconds
        spectra += nspectra / seconds
    return {
        "running": running,
        "files_per_second": files,
        "spectra_per_second": spectra,
        "seconds_left": pending / files if files else None,
    }


def _is_held(lock: Path) -> bool:
    """Whether a run has its lock."""
    if not lock.exists():
        return False
    with hold_lock(lock, shared=True) as free:
        return not free


def _as_error(kind: str, message: str) -> errors.QnetError:
    """An error of a journal."""
    known = getattr(errors, kind, None) if kind in errors.__all__ else None
    is_error = isinstance(known, type) and issubclass(known, errors.QnetError)
    return known(message) if is_error and known is not None else FileError(message)
