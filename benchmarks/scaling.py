"""Cost by the number of spectra and of files, and memory by the number of spectra.

    OPENBLAS_NUM_THREADS=1 python benchmarks/scaling.py --output scaling.json

DESI coadds made of the rows of a simulated one, over and over, with every eighth of its pixels:
else 100 000 spectra would fill 10 GB. The model that ships, on one thread. Memory is the peak of
the command in a fresh interpreter.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import coadds
import endtoend
import measure
import numpy as np

import qnet

#: Every so manieth pixel of a DESI coadd.
THIN = 8

#: Spectra in each of many files.
FEW = 10

SOURCE = 500


def slope(sizes: list[int], seconds: list[float]) -> float:
    """Power of the size that the cost grows with, from its last two sizes."""
    (first, last), (begin, end) = sizes[-2:], seconds[-2:]
    return float(np.log(end / begin) / np.log(last / first))


def peaks(files: Mapping[int, Path], folder: Path, repeats: int) -> dict[int, float]:
    """Peak memory [MB] of the command on each file."""
    code = "import sys; from qnet.cli import main; main(sys.argv[1:])"
    out = str(folder / "catalogue.fits")
    found: dict[int, list[float]] = {size: [] for size in files}
    for _ in range(repeats):
        for size, path in files.items():
            arguments = ("classify", str(path), "-o", out, "--overwrite", "--threads", "1")
            found[size].append(endtoend.cold(code, *arguments)[1])
    return {size: statistics.median(values) for size, values in found.items()}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spectra", type=int, nargs="+", default=[100, 1000, 10_000, 100_000])
    parser.add_argument("--files", type=int, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--memory", type=int, nargs="+", default=[500, 100_000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    model = qnet.load_model()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = coadds.simulated(folder, SOURCE)
        sizes = sorted({*options.spectra, *options.memory})
        paths = {
            size: coadds.of_rows(
                source, folder / f"coadd-x{size}.fits", np.arange(size) % SOURCE, THIN
            )
            for size in sizes
        }
        few = coadds.of_rows(source, folder / "few.fits", np.arange(FEW), THIN)
        names = [folder / f"few-{number}.fits" for number in range(max(options.files))]
        for link in names:
            os.link(few, link)
        ways: dict[str, Any] = {
            f"{size} spectra": functools.partial(qnet.classify, paths[size], model=model, threads=1)
            for size in options.spectra
        }
        ways |= {
            f"{count} files": functools.partial(
                qnet.classify, names[:count], model=model, threads=1
            )
            for count in options.files
        }
        times = measure.interleave({**ways, **measure.machine_cases()}, options.repeats)
        memory = peaks({size: paths[size] for size in options.memory}, folder, options.repeats)
    medians = {
        name: {kind: statistics.median(values) for kind, values in times[name].items()}
        for name in ways
    }
    report = {
        "conditions": measure.conditions(),
        "machine": measure.machine_speed(times),
        "seconds": medians,
        "power": {
            unit: slope(counts, [medians[f"{count} {unit}"]["cpu"] for count in counts])
            for unit, counts in (("spectra", options.spectra), ("files", options.files))
        },
        "peak_mb": memory,
        "runs": times,
    }
    rows = [
        (name, found["wall"], found["cpu"], 1e3 * found["cpu"] / int(name.split()[0]))
        for name, found in medians.items()
    ]
    header = ("input", "wall [s]", "processor [s]", "processor [ms] each")
    print(measure.table(header, rows), end="\n\n")
    print(measure.table(("spectra", "peak [MB]"), list(memory.items())), end="\n\n")
    print(f"the cost grows as this power of the number: {report['power']}")
    print(f"machine: {report['machine']}, {report['conditions']}")
    measure.write_json(options.output, report)


if __name__ == "__main__":
    main()
