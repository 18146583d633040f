"""Redrock on some targets of a coadd, each in its window of redshift, in a process of its own."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from qnet.core.arrays import FloatArray, IntArray
from qnet.core.errors import FileError, InputError, shorten, shown
from qnet.core.files import PathLike, as_path, as_paths
from qnet.redrock.priors import write_priors
from qnet.redrock.redshifts import Redshifts, read_redshifts

logger = logging.getLogger(__name__)

#: Beginning of the names of redrock's templates of quasars.
_QSO_TEMPLATES = "rrtemplate-QSO-"

#: In a folder of templates, the list of those that redrock uses.
_DEFAULT_LIST = "templates-default.txt"

#: Calls redrock where this Python has it. Redrock 0.21 names numpy.NaN, which NumPy 2 lacks.
_CALL = """
import numpy
if not hasattr(numpy, "NaN"):
    numpy.NaN = numpy.nan
from redrock.external.desi import rrdesi
rrdesi()
"""

#: TARGETIDs in one call: an argument of a command has at most 128 kB.
_LARGEST_CALL = 5000


def find_redrock(command: str | None) -> list[str] | None:
    """The words that call redrock: a command, or that of this Python or of PATH; None without."""
    if command is not None:
        if (found := shutil.which(command)) is None:
            raise InputError(f"rrdesi is {shown(command)}, which is no command that can be run")
        return [found]
    if importlib.util.find_spec("redrock") is not None:
        return [sys.executable, "-c", _CALL]
    installed = shutil.which("rrdesi")
    return None if installed is None else [installed]


def find_templates(templates: PathLike | Iterable[PathLike] | None) -> list[Path]:
    """Redrock's templates of quasars: files, or those in a folder; its own, if any, for None."""
    if templates is None:
        folder = _own_templates()
        return [] if folder is None else _in_folder(folder)
    paths = list(map(Path, as_paths(templates, "templates")))
    found: list[Path] = []
    for path in paths:
        found += _in_folder(path) if path.is_dir() else [as_path(path, "templates")]
    if not found:
        where = ", ".join(map(str, paths))
        raise FileError(f"{where}: no template {_QSO_TEMPLATES}*.fits of redrock is there")
    return found


def _own_templates() -> Path | None:
    """The folder of templates that redrock takes when it is given none; None where it is not."""
    if named := os.environ.get("RR_TEMPLATE_DIR"):
        return Path(named)
    spec = importlib.util.find_spec("redrock")
    places = (spec and spec.submodule_search_locations) or ()
    folders = (Path(place) / "data" / "templates" for place in places)
    return next((folder for folder in folders if folder.is_dir()), None)


def _in_folder(folder: Path) -> list[Path]:
    """Templates of quasars in a folder: those on its list, where it has one."""
    names = sorted(path.name for path in folder.glob(f"{_QSO_TEMPLATES}*.fits"))
    if (listing := folder / _DEFAULT_LIST).is_file():
        listed = [line.split()[0] for line in listing.read_text().splitlines() if line.strip()]
        names = [name for name in names if name in listed]
    return [folder / name for name in names]


def rerun(
    coadd: Path,
    targetid: IntArray,
    z: FloatArray,
    width: FloatArray,
    *,
    templates: Sequence[Path],
    command: Sequence[str],
) -> list[Redshifts]:
    """What redrock finds for some targets of a coadd within their windows."""
    results = []
    with tempfile.TemporaryDirectory(prefix="qnet-") as folder:
        priors = write_priors(Path(folder) / "priors.fits", targetid, z, width)
        for first in range(0, len(targetid), _LARGEST_CALL):
            output = Path(folder) / f"redrock-{first}.fits"
            ids = ",".join(map(str, targetid[first : first + _LARGEST_CALL].tolist()))
            words = [*command, "--infiles", coadd, "--templates", *templates]
            # With =, because a first TARGETID that is negative looks like an option.
            words += [f"--targetids={ids}", "--priors", priors, "--outfile", output]
            _run(list(map(str, words)), coadd)
            if not output.is_file():
                raise FileError(f"{coadd}: redrock ended without its output")
            results.append(read_redshifts(output))
    return results


def _run(words: Sequence[str], coadd: Path) -> None:
    """Run a command; FileError with the last line of what it printed where it fails."""
    logger.info("redrock runs on %s", coadd)
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            check=False,
        )  # fmt: skip
    except OSError as error:
        raise FileError(f"{coadd}: redrock could not be started ({error})") from error
    text = done.stdout.decode(errors="replace")
    logger.debug("%s", text)
    if done.returncode:
        lines = [line for line in text.splitlines() if line.strip()] or ["it printed nothing"]
        raise FileError(
            f"{coadd}: redrock failed with status {done.returncode} ({shorten(lines[-1])})"
        )
