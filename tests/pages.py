"""Run the pages of the documentation as a reader does: one after another, in one folder.

All pages share a process, so that qnet and TensorFlow are imported once. Lines of the shell that
are a command of qnet run in that process; other lines run in a shell.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import glob
import multiprocessing
import os
import re
import shlex
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

FENCE = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

_TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: What only a shell understands.
_SHELL = re.compile(r"[|&;<>$`\\]")

#: File that holds what the pages print.
_LOG = "pages.log"

#: Characters of it that a failure shows.
_MOST = 6000


def pages_in_order(docs: Path, page: str = "index") -> Iterator[str]:
    """Pages below a page, without suffix, in the order of the tables of contents."""
    path = docs / f"{page}.md"
    if not path.is_file():
        return  # made when the documentation is built, or a notebook
    yield page
    for tree in _TOCTREE.findall(path.read_text()):
        for line in filter(None, map(str.strip, tree.splitlines())):
            if not line.startswith(":"):
                target = line.rpartition("<")[2].removesuffix(">")
                below = os.path.normpath(Path(page).parent / target)
                yield from pages_in_order(docs, below)


class Reader:
    """A process that works through pages in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pool = self._start()

    def run(self, page: Path, smaller: Sequence[tuple[str, str]] = ()) -> str:
        """Run the blocks of a page; what failed and what was printed, or nothing."""
        text = page.read_text()
        for long, short in smaller:
            if long not in text:
                return f"the page has no {long!r}"
            text = text.replace(long, short)
        try:
            return self._pool.submit(run_text, text, page.name).result()
        except BrokenProcessPool:
            self._pool = self._start()
            log = (self.folder / _LOG).read_text(errors="replace")
            return f"the process died\n{log[-_MOST:]}"

    def close(self) -> None:
        """End the process at once: TensorFlow takes its time to end by itself."""
        self._pool.submit(os._exit, 0)
        self._pool.shutdown()

    def _start(self) -> ProcessPoolExecutor:
        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, spawn, initializer=_begin, initargs=(str(self.folder),))


def _begin(folder: str) -> None:
    """Begin in a folder, with all output in a file."""
    os.chdir(folder)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ.update(PATH=path, MPLBACKEND="Agg")
    log = os.open(_LOG, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(log, stream.fileno())


@dataclasses.dataclass
class _Printed:
    """What was printed since it was made."""

    start: int = dataclasses.field(default_factory=lambda: os.stat(_LOG).st_size)

    def read(self) -> str:
        """The text."""
        sys.stdout.flush()
        with open(_LOG, "rb") as file:
            file.seek(self.start)
            return file.read().decode(errors="replace")


def run_text(text: str, name: str) -> str:
    """Run the blocks of a page; what failed, or nothing."""
    names = {"__name__": "__main__"}
    environment, printed = dict(os.environ), _Printed()
    with warnings.catch_warnings():
        try:
            for language, block in FENCE.findall(text):
                if language == "python":
                    exec(compile(block, name, "exec"), names)
                else:
                    run_console(block)
        except BaseException:  # noqa: BLE001
            return f"{traceback.format_exc()}\nprinted:\n{printed.read()[-_MOST:]}"
        finally:
            os.environ.clear()
            os.environ.update(environment)
            if "matplotlib.pyplot" in sys.modules:
                sys.modules["matplotlib.pyplot"].close("all")
    return ""


def run_console(block: str) -> None:
    """Run the lines that begin with `$ `; the lines that the page shows below must be printed."""
    printed = _Printed()
    lines = block.replace("\\\n", " ").splitlines()
    for line in lines:
        if line.startswith("$ "):
            run_line(line[2:])
    found = printed.read().splitlines()
    for line in lines:
        pattern = glob.escape(line.strip()).replace("...", "*")
        if not line.startswith("$ ") and not fnmatch.filter(map(str.strip, found), pattern):
            raise AssertionError(f"the page shows, and it was not printed: {line}")


def run_line(line: str) -> None:
    """Run a line of the shell; raise unless its status is 0."""
    words = shlex.split(line, comments=True)
    if words[0] != "qnet" or _SHELL.search(line):
        subprocess.run(line, shell=True, check=True)
        return
    from qnet.cli import main

    words = [name for word in words[1:] for name in sorted(glob.glob(word)) or [word]]
    try:
        status = main(words)
    except SystemExit as end:  # argparse's
        status = end.code
    if status != 0:
        raise AssertionError(f"exit status {status}: {line}")
