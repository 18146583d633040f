"""From a file to redshifts: qnet against QuasarNP's method, and the command from a cold start.

    OPENBLAS_NUM_THREADS=1 python benchmarks/endtoend.py --output endtoend.json

A DESI coadd of simulated spectra, in the page cache; networks with random weights. qnet writes the
whole catalogue in memory; QuasarNP's method stops at the redshifts. All in turn in one process.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import baseline
import measure
import numpy as np

import qnet
from qnet.flags import NEVER_QSO
from qnet.simulate import simulate, write_simulation

#: Shares of the spectra that go to the second stage.
SHARES = {"none": 0.0, "a tenth": 0.1, "all": 1.0}


def make_coadd(folder: Path, nspec: int) -> Path:
    """A simulated coadd, as `qnet simulate --survey desi --format coadd` writes it."""
    path = folder / f"coadd-{nspec}.fits"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        simulation = simulate(nspec, seed=1, survey="desi")
        write_simulation(simulation, path, folder / "truth.fits", format="coadd")
    return path


def threshold(model: qnet.Model, path: Path, share: float) -> float:
    """Confidence above which that share of the rows lies, so that they are refined."""
    table = qnet.classify(path, model=model, c_threshold=1.0)
    able = (table["QN_FLAG"] & NEVER_QSO) == 0
    best = np.sort(np.max(np.asarray(table["C_LINES"])[able], axis=1))[::-1]
    count = min(round(share * len(table)), len(best))
    if count == 0:
        return 1.0
    return float(best[count]) if count < len(best) else 0.0


def cases(path: Path) -> dict[str, Callable[[], Any]]:
    """Ways from the file to redshifts."""
    found: dict[str, Callable[[], Any]] = {}
    for filters in (100, 25):
        model = measure.published(filters)
        theirs = functools.partial(baseline.classify, path, model, baseline.double(model))
        found[f"QuasarNP's method, {filters} filters"] = theirs
        found[f"the same, 32 at a time, {filters} filters"] = functools.partial(theirs, size=32)
        found[f"qnet, {filters} filters"] = functools.partial(qnet.classify, path, model=model)
    model = measure.published(32, units=64, refine=True)
    for name, share in SHARES.items():
        found[f"qnet, two stages, {name} refined"] = functools.partial(
            qnet.classify, path, model=model, c_threshold=threshold(model, path, share)
        )
    return found


def parts(path: Path) -> dict[str, Callable[[], Any]]:
    """The steps of the way, one by one, for the network of the second stage."""
    from qnet.preprocess import preprocess

    model = measure.published(32, units=64)
    spectra = qnet.read_spectra(path)
    data = preprocess(spectra.cameras, model.grid)
    return {
        "read": functools.partial(qnet.read_spectra, path),
        "rebin and normalise": functools.partial(preprocess, spectra.cameras, model.grid),
        "predict, 32 filters": functools.partial(model.predict, data.X),
    }


def cold(code: str, *arguments: str) -> tuple[float, float]:
    """Wall seconds and peak memory [MB] of a fresh interpreter that runs some code."""
    # What the kernel reports of a child counts the parent's memory at the fork; this does not.
    code += "; print(next(s for s in open('/proc/self/status') if s.startswith('VmHWM')))"
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True
    )
    return time.perf_counter() - begin, int(done.stdout.split()[-2]) / 1024


def cold_starts(path: Path, folder: Path, repeats: int) -> dict[str, dict[str, float]]:
    """The command and the bare imports, each from a fresh interpreter."""
    weights = folder / "model.safetensors"
    measure.published(32, units=64, refine=True).save(weights)
    out = str(folder / "catalogue.fits")
    classify = ("classify", str(path), "--model", str(weights), "-o", out, "--overwrite")
    commands: dict[str, tuple[str, ...]] = {
        "import numpy": ("import numpy",),
        "import numpy, qnet": ("import numpy, qnet",),
        "qnet classify": ("import sys; from qnet.cli import main; main(sys.argv[1:])", *classify),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            times[name].append(cold(*command))
    return {
        name: {
            "wall": statistics.median(seconds for seconds, _ in values),
            "peak_mb": statistics.median(peak for _, peak in values),
        }
        for name, values in times.items()
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--coadd", type=Path, help="a DESI coadd; simulated when not given")
    parser.add_argument("--spectra", type=int, default=500, help="of the simulated coadd")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.coadd or make_coadd(Path(folder), options.spectra)
        ways, steps = cases(path), parts(path)
        times = measure.interleave({**ways, **steps, **measure.machine_cases()}, options.repeats)
        starts = cold_starts(path, Path(folder), options.repeats)
    medians = {
        name: {kind: 1e3 * statistics.median(values) for kind, values in times[name].items()}
        for name in (*ways, *steps)
    }
    report = {
        "conditions": measure.conditions(),
        "machine": measure.machine_speed(times),
        "milliseconds": medians,
        "cold": starts,
        "seconds": times,
    }
    slow = medians["QuasarNP's method, 100 filters"]["cpu"]
    rows = [(name, *found.values(), slow / found["cpu"]) for name, found in medians.items()]
    print(measure.table(("way", "wall [ms]", "processor [ms]", "x the first"), rows))
    print(
        measure.table(
            ("fresh interpreter", "wall [s]", "peak [MB]"),
            [(name, *found.values()) for name, found in starts.items()],
        )
    )
    print(report["machine"])
    measure.write_json(options.output, report)


if __name__ == "__main__":
    main()
