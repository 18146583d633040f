"""What the runs over a whole survey cost: memory, time of the driver, workers, merging.

    python benchmarks/survey.py --output survey.json

Files are hard links: coadds of 500 simulated DESI spectra, in the page cache, and tiny ones of a
single spectrum. Each run is a process of its own, which starts its workers. Times a file are those
by which a long run differs from a short one: they hold no start. Catalogues of 500 rows are merged.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import coadds
import measure
import numpy as np

import qnet

#: Spectra of a file, and rows of a catalogue.
SPECTRA = 500

#: Ways to merge: what they write, and the options.
MERGES: dict[str, tuple[str, dict[str, Any]]] = {
    "input order": ("all.fits", {}),
    "sorted, best of each TARGETID": (
        "all.fits",
        {"sort": "TARGETID", "duplicates": "best"},
    ),
    "Parquet": ("all.parquet", {}),
    "HEALPix partitions": ("sky", {"healpix_order": 3}),
}


def peak(process: int | str = "self") -> float:
    """Peak memory [MB] of a process that runs; 0 for one that has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return 0.0


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Wall and processor time and peak memory of this process, and the memory of its workers."""
    found = {"worker_mb": 0.0}
    stop = threading.Event()

    def look() -> None:
        tasks = Path(f"/proc/{os.getpid()}/task")
        while not stop.wait(0.2):
            for task in tasks.iterdir():
                try:
                    children = (task / "children").read_text().split()
                except OSError:
                    continue
                found["worker_mb"] = max(found["worker_mb"], *map(peak, children), 0.0)

    thread = threading.Thread(target=look)
    thread.start()
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield found
    finally:
        found |= {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        stop.set()
        thread.join()
        found["driver_mb"] = peak()


def run_one(task: dict[str, Any]) -> None:
    """What a process of its own measures, as JSON."""
    with watched() as found:
        if task["do"] == "drive":
            _without_work()
        if task["do"] in ("run", "drive"):
            qnet.survey.run(f"@{task['list']}", task["out"], workers=task["workers"])
        else:
            from qnet.survey.merging import merge_catalogues

            paths = Path(task["list"]).read_text().splitlines()
            merge_catalogues(paths, task["out"], overwrite=True, **task["options"])
    print(json.dumps(found))


def _without_work() -> None:
    """Make the engine of surveys one that does nothing with a file: what is left is the driver."""
    from qnet.classification.driver import ThisProcess
    from qnet.survey import running
    from qnet.survey.journal import Record, sign

    @contextmanager
    def nothing(*_: Any) -> Iterator[tuple[Any, int]]:
        yield lambda setup: ThisProcess(lambda: lambda x: (Record(sign(x.paths), 1), [])), 1

    running.open_engine = nothing


def process(**task: Any) -> dict[str, float]:
    """Measure in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", json.dumps(task)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def links(source: Path, folder: Path, count: int) -> list[Path]:
    """Hard links to a file, a thousand to a folder."""
    paths = [folder / f"{number // 1000}" / f"coadd-{number}.fits" for number in range(count)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, path)
    return paths


class Surveys:
    """Runs over the first of some files."""

    def __init__(self, folder: Path, paths: Sequence[Path]) -> None:
        self._folder, self._paths = folder, paths

    def run(self, files: int, workers: int, do: str = "run") -> dict[str, float]:
        """Classify that many files, or drive a run over them that does nothing with them."""
        names = self._folder / "files.txt"
        names.write_text("".join(f"{path}\n" for path in self._paths[:files]))
        out = self._folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        return process(do=do, list=str(names), out=str(out), workers=workers)


def bare(path: Path, times: int) -> float:
    """Processor seconds that the classification of a file and writing its catalogue take."""
    model, out = qnet.load_model(), path.with_name("bare.fits")
    qnet.classify(path, model=model, threads=1)
    begin = time.process_time()
    for _ in range(times):
        table = qnet.classify(path, model=model, threads=1)
        qnet.write_catalogue(table, out, overwrite=True)
    return (time.process_time() - begin) / times


def tiny(folder: Path, source: Path, counts: Sequence[int]) -> dict[str, Any]:
    """One worker on tiny files: memory of the driver, and its processor time for each file."""
    one = coadds.of_rows(source, folder / "tiny.fits", np.arange(1), 8)
    surveys = Surveys(folder, links(one, folder / "tiny", max(counts)))
    runs = {count: surveys.run(count, 1) for count in counts}
    return {"runs": runs, **each(runs), "bare_ms": 1e3 * bare(one, 50)}


def drive(folder: Path, source: Path, counts: Sequence[int]) -> dict[str, Any]:
    """The driver alone, on files with which nothing is done: its memory and its time."""
    surveys = Surveys(folder, links(source, folder / "driven", max(counts)))
    runs = {count: surveys.run(count, 1, "drive") for count in counts}
    return {"runs": runs, **each(runs)}


def each(runs: dict[int, dict[str, float]]) -> dict[str, float]:
    """Milliseconds a file, by the largest run and the smallest."""
    first, last = min(runs), max(runs)
    return {
        f"{kind}_ms": 1e3 * (runs[last][kind] - runs[first][kind]) / (last - first)
        for kind in ("wall", "cpu")
    }


def large(folder: Path, source: Path, counts: Sequence[int], repeats: int) -> dict[str, Any]:
    """Memory of a worker, files per second of one and of two, and what two bare products gain."""
    few, many = counts
    surveys = Surveys(folder, links(source, folder / "large", many))
    walls: dict[int, list[float]] = {1: [], 2: []}
    gains, peaks = [], []
    machine = measure.machine_cases()
    for _ in range(repeats):
        for workers in walls:
            short, long = (surveys.run(files, workers) for files in counts)
            walls[workers].append((many - few) / (long["wall"] - short["wall"]))
            peaks.append({"files": few, "mb": short["worker_mb"]})
            peaks.append({"files": many, "mb": long["worker_mb"]})
        speed = measure.machine_speed(measure.interleave(machine, 3))
        gains.append(speed["sgemm_two_threads"])
    return {
        "files_per_second": {str(n): statistics.median(found) for n, found in walls.items()},
        "two_over_one": [two / one for one, two in zip(walls[1], walls[2], strict=True)],
        "two_products_over_one": gains,
        "worker_mb": {
            str(files): max(found["mb"] for found in peaks if found["files"] == files)
            for files in counts
        },
    }


def catalogues(folder: Path, source: Path, rows: int) -> list[Path]:
    """Catalogues of other ids, positions and numbers than that of a coadd."""
    from qnet.io.catalogue import load_fits, write_catalogue

    rng = np.random.default_rng(0)
    base = load_fits(qnet.write_catalogue(qnet.classify(source), folder / "base.fits"))
    paths = [folder / "merge" / f"{number}.fits" for number in range(-(-rows // SPECTRA))]
    paths[0].parent.mkdir()
    for path in paths:
        columns = dict(base.columns)
        # One in twenty is there twice.
        columns["TARGETID"] = rng.integers(1, 10 * rows, SPECTRA)
        columns["SNR"] = rng.permutation(columns["SNR"])
        columns["TARGET_RA"] = rng.uniform(0, 360, SPECTRA)
        columns["TARGET_DEC"] = rng.uniform(-20, 60, SPECTRA)
        write_catalogue(dataclasses.replace(base, columns=columns), path)
    return paths


def merging(folder: Path, source: Path, rows: int) -> dict[str, Any]:
    """Time and memory of merging, beside a bare copy of the same bytes."""
    paths = catalogues(folder, source, rows)
    names = folder / "catalogues.txt"
    names.write_text("\n".join(map(str, paths)))

    def copy() -> None:
        with open(folder / "copy", "wb") as target:
            for path in paths:
                target.write(path.read_bytes())
            os.fsync(target.fileno())

    found = {
        name: process(do="merge", list=str(names), out=str(folder / out), options=options)
        for name, (out, options) in MERGES.items()
    }
    return {"rows": rows, "files": len(paths), "runs": found, "copy": timed(copy)}


def timed(work: Callable[[], Any]) -> dict[str, float]:
    """Wall and processor time of some work."""
    with watched() as found:
        work()
    return found


def report_tables(report: dict[str, Any]) -> None:
    """Print what was measured."""
    for part, what in (("drive", "the driver alone"), ("tiny", "one worker")):
        if not (found := report.get(part)):
            continue
        rows = [(n, x["driver_mb"], x["worker_mb"], x["wall"]) for n, x in found["runs"].items()]
        header = (f"tiny files, {what}", "driver [MB]", "worker [MB]", "wall [s]")
        print(measure.table(header, rows), end="\n\n")
        print(f"a file: {found['cpu_ms']:.2f} ms of the driver's processor time, ", end="")
        print(f"{found['wall_ms']:.1f} ms of wall time", end="")
        print(f", {found['bare_ms']:.1f} ms of it bare\n" if "bare_ms" in found else "\n")
    if found := report.get("large"):
        rows = [(n, x) for n, x in found["files_per_second"].items()]
        print(measure.table(("workers", "files per second"), rows), end="\n\n")
        print(f"two over one: {found['two_over_one']}, of bare products ", end="")
        print(f"{found['two_products_over_one']}; peak of a worker [MB]: {found['worker_mb']}\n")
    if found := report.get("merge"):
        runs = {**found["runs"], "bare copy": found["copy"]}
        rows = [(name, x["wall"], x["cpu"], x["driver_mb"]) for name, x in runs.items()]
        header = (f"merge of {found['rows']} rows", "wall [s]", "processor [s]", "peak [MB]")
        print(measure.table(header, rows), end="\n\n")
    print(f"machine: {report['conditions']}")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ("drive", "tiny", "large", "merge")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--drive", type=int, nargs="+", default=[100, 2000, 20_000])
    parser.add_argument("--tiny", type=int, nargs="+", default=[100, 1100])
    parser.add_argument("--large", type=int, nargs=2, default=[10, 110], metavar=("FEW", "MANY"))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        run_one(options.one)
        return
    report: dict[str, Any] = {"conditions": measure.conditions()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = coadds.simulated(folder, SPECTRA)
        if "drive" in options.parts:
            report["drive"] = drive(folder, source, options.drive)
        if "tiny" in options.parts:
            report["tiny"] = tiny(folder, source, options.tiny)
        if "large" in options.parts:
            report["large"] = large(folder, source, options.large, options.repeats)
        if "merge" in options.parts:
            report["merge"] = merging(folder, source, options.rows)
    report["load_average_at_the_end"] = os.getloadavg()[0]
    report_tables(report)
    measure.write_json(options.output, report)


if __name__ == "__main__":
    main()
