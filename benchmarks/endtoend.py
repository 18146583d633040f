"""From a file to redshifts: qnet against QuasarNP's method, and the command from a cold start.

    OPENBLAS_NUM_THREADS=1 python benchmarks/endtoend.py --output endtoend.json

A DESI coadd of simulated spectra, in the page cache. The published network has random weights; the
model that ships runs with its second stage, on coadds of which none, a tenth and all of the spectra
are refined. qnet makes the whole catalogue in memory; QuasarNP's method stops at the redshifts, and
reads no MASK, so that qnet is measured on coadds without one too. All on one thread, in turn, in
one process.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import baseline
import coadds
import measure
import numpy as np

import qnet

#: Shares of the spectra that go to the second stage.
SHARES = {"none": 0.0, "a tenth": 0.1, "all": 1.0}

THEIRS, OURS = "QuasarNP's method, {} filters", "qnet, {} filters"
SHIPPED = "qnet, model that ships, {} refined"
BARE = "{}, no MASK"


def cases(path: Path, folder: Path) -> dict[str, Callable[[], Any]]:
    """Ways from the file to redshifts."""
    found: dict[str, Callable[[], Any]] = {}
    ours = functools.partial(qnet.classify, threads=1)
    bare = coadds.without_mask(path, folder / "bare.fits")
    for filters in (100, 25):
        model = measure.published(filters)
        theirs = functools.partial(baseline.classify, path, model, baseline.double(model))
        found[THEIRS.format(filters)] = theirs
        found[f"the same, 32 at a time, {filters} filters"] = functools.partial(theirs, size=32)
        name = OURS.format(filters)
        found[name] = functools.partial(ours, path, model=model)
        found[BARE.format(name)] = functools.partial(ours, bare, model=model)
    model = qnet.load_model()
    refined = coadds.candidates(path, model)
    for number, (name, share) in enumerate(SHARES.items()):
        coadd = coadds.of_share(path, folder / f"share-{number}.fits", refined, share, len(refined))
        found[SHIPPED.format(name)] = functools.partial(ours, coadd, model=model)
        bare = coadds.without_mask(coadd, folder / f"bare-{number}.fits")
        found[BARE.format(SHIPPED.format(name))] = functools.partial(ours, bare, model=model)
    return found


def parts(path: Path) -> dict[str, Callable[[], Any]]:
    """The steps of the way, one by one, for the model that ships."""
    from qnet.preprocess.normalisation import preprocess

    model = qnet.load_model()
    spectra = qnet.read_spectra(path)
    data = preprocess(spectra.cameras, model.grid)
    return {
        "read": functools.partial(qnet.read_spectra, path),
        "rebin and normalise": functools.partial(preprocess, spectra.cameras, model.grid),
        "predict, model that ships": functools.partial(model.predict, data.X, threads=1),
    }


def precision(path: Path) -> dict[str, Any]:
    """What single precision changes in the answers of the model that ships."""
    model = qnet.load_model()
    X = model.preprocess(qnet.read_spectra(path)).X
    X = X[np.isfinite(X).all(axis=1)]
    single, double = model.predict(X), model.predict(X, dtype=np.float64)
    c_single, c_double = (np.asarray(preds)[:, :, : model.nboxes] for preds in (single, double))
    found, wanted = model.decode(single), model.decode(double)
    sure = wanted.c_line > 0.5
    moved = np.abs(found.z_line - wanted.z_line) / (1 + wanted.z_line)
    boxes = c_single.argmax(axis=2) != c_double.argmax(axis=2)
    return {
        "nspec": len(X),
        "confidence": float(np.abs(c_single - c_double).max()),
        "redshift": float(moved[sure].max(initial=0)),
        "lines_above_half": int(sure.sum()),
        "boxes_changed": int(boxes[c_double.max(axis=2) > 0.5].sum()),
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
    classify = ("classify", str(path), "-o", str(folder / "catalogue.fits"), "--overwrite")
    commands: dict[str, tuple[str, ...]] = {
        "import numpy": ("import numpy",),
        "import numpy, qnet": ("import numpy, qnet",),
        "qnet classify": ("import sys; from qnet.cli import main; main(sys.argv[1:])", *classify),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for repeat in range(repeats + 1):
        for name, command in commands.items():
            found = cold(*command)
            if repeat:
                times[name].append(found)
    return {
        name: {
            "wall": statistics.median(seconds for seconds, _ in values),
            "peak_mb": statistics.median(peak for _, peak in values),
        }
        for name, values in times.items()
    }


def ratios(medians: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """How many times qnet is as fast as QuasarNP's method."""
    pairs = {OURS.format(filters): THEIRS.format(filters) for filters in (100, 25)}
    pairs |= {SHIPPED.format(name): THEIRS.format(100) for name in SHARES}
    pairs |= {BARE.format(ours): theirs for ours, theirs in pairs.items()}
    return {
        f"{ours} / {theirs}": {
            kind: medians[theirs][kind] / medians[ours][kind] for kind in medians[ours]
        }
        for ours, theirs in pairs.items()
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--coadd", type=Path, help="a DESI coadd; simulated when not given")
    parser.add_argument("--spectra", type=int, default=500, help="of the simulated coadd")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = options.coadd or coadds.simulated(folder, options.spectra)
        ways, steps = cases(path, folder), parts(path)
        times = measure.interleave({**ways, **steps, **measure.machine_cases()}, options.repeats)
        starts = cold_starts(path, folder, options.repeats)
        single = precision(path)
    medians = {
        name: {kind: 1e3 * statistics.median(values) for kind, values in times[name].items()}
        for name in (*ways, *steps)
    }
    report = {
        "conditions": measure.conditions(),
        "machine": measure.machine_speed(times),
        "milliseconds": medians,
        "ratios": ratios(medians),
        "cold": starts,
        "single_precision": single,
        "seconds": times,
    }
    rows = [(name, *found.values()) for name, found in medians.items()]
    print(measure.table(("way", "wall [ms]", "processor [ms]"), rows), end="\n\n")
    rows = [(name, *found.values()) for name, found in report["ratios"].items()]
    print(measure.table(("times as fast", "wall", "processor"), rows), end="\n\n")
    rows = [(name, *found.values()) for name, found in starts.items()]
    print(measure.table(("fresh interpreter", "wall [s]", "peak [MB]"), rows), end="\n\n")
    print(f"single precision: {single}")
    print(f"machine: {report['machine']}, {report['conditions']}")
    measure.write_json(options.output, report)


if __name__ == "__main__":
    main()
