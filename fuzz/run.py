"""Damaged files to every reader of spectra, truth, catalogues and weights, in other processes.

    PYTHONPATH=tests python fuzz/run.py --seconds 3600 --findings findings

A reader may give a result, or raise an error of qnet in one line. Anything else is a finding: other
exceptions, the death of the process, more than 20 seconds, or more than 2 GiB of memory. The file
is kept, with what happened. tests/damage.py makes whole files, and damages them in their own way.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from targets import TARGETS, judge

#: Memory [bytes] that reading a small file may take, and seconds.
MEMORY, SECONDS = 2 << 30, 20.0


def serve(connection: Connection) -> None:
    """Read the files that are asked for, with little memory; print nothing."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY + (1 << 29),) * 2)
    while True:
        target, path = connection.recv()
        connection.send(judge(TARGETS[target][0], Path(path)))


class Reader:
    """A process that reads files, and is made anew when it died or hangs."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("fork")
        self._process: Any = None

    def read(self, target: str, path: Path) -> str:
        """What became of reading a file."""
        if self._process is None:
            self._pipe, other = self._context.Pipe()
            self._process = self._context.Process(target=serve, args=(other,), daemon=False)
            self._process.start()
            other.close()
        self._pipe.send((target, str(path)))
        if not self._pipe.poll(SECONDS * max(1.0, os.getloadavg()[0])):
            return self._end("took too long")
        try:
            return str(self._pipe.recv())
        except EOFError:
            self._process.join()
            return self._end(f"the process died (status {self._process.exitcode})")

    def _end(self, what: str) -> str:
        self.close()
        return what

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def cases(seeds: list[Path], seed: int) -> Iterator[tuple[str, str, bytes]]:
    """Targets with damaged files, without end: all targets in turn."""
    from damage import damage

    rng = np.random.default_rng(seed)
    files = {
        target: [path for path in seeds if path.match(pattern)]
        for target, (_, pattern) in TARGETS.items()
    }
    while True:
        for target, paths in files.items():
            path = paths[rng.integers(len(paths))]
            yield target, path.name, damage(path.name, path.read_bytes(), rng)


def run(
    seconds: float, count: int, seed: int, findings: Path | None, seeds: list[Path] | None = None
) -> dict[str, Any]:
    """Fuzz for so long, or so many files; the numbers of outcomes, and what was found."""
    from damage import seed_files

    found: list[dict[str, str]] = []
    outcomes = {target: {"read": 0, "error": 0, "found": 0} for target in TARGETS}
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if seeds is None:
            (folder / "seeds").mkdir()
            seeds = seed_files(folder / "seeds")
        reader = Reader()
        try:
            for number, case in enumerate(cases(seeds, seed)):
                if number >= count or time.monotonic() > end:
                    break
                target, file, content = case
                path = folder / file
                path.write_bytes(content)
                outcome = reader.read(target, path)
                outcomes[target][outcome if outcome in ("read", "error") else "found"] += 1
                if outcome not in ("read", "error"):
                    found.append({"target": target, "file": f"{number}-{file}", "what": outcome})
                    if findings is not None:
                        findings.mkdir(parents=True, exist_ok=True)
                        (findings / f"{number}-{file}").write_bytes(content)
        finally:
            reader.close()
    return {"seed": seed, "outcomes": outcomes, "found": found}


def main() -> int:
    """Fuzz, and print what came out; the exit status is 1 where there are findings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--count", type=int, default=sys.maxsize, help="files at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--findings", type=Path, help="folder for files that were found")
    options = parser.parse_args()
    report = run(options.seconds, options.count, options.seed, options.findings)
    print(json.dumps(report, indent=1))
    return 1 if report["found"] else 0


if __name__ == "__main__":
    sys.exit(main())
