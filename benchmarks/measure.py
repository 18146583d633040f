"""What the benchmarks share: interleaved medians, the machine's own speed, tables, networks."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl

import qnet
from qnet.core.grid import QUASARNET_GRID
from qnet.lines import QUASARNET_LINES, QUASARNET_LINES_BAL, rest_wavelengths
from qnet.model.architecture import Architecture
from qnet.model.layers import ConvLayer
from qnet.model.weights import WeightsFile

#: Rows, columns and depth of the matrix product that stands for the machine's speed: about those of
#: the network's second convolution.
GEMM_SHAPE = (1000, 100, 1000)

#: How often it is made.
PRODUCTS = 60

#: Bytes that are read to measure the bandwidth: far more than a cache holds.
STREAM_BYTES = 1 << 28


def published(filters: int) -> qnet.Model:
    """The published network (Busca & Balland 2018), random weights, of any number of filters."""
    lines = (*QUASARNET_LINES, *QUASARNET_LINES_BAL)
    rest = dict(zip(lines, map(float, rest_wavelengths(lines)), strict=True))
    architecture = Architecture(
        grid=QUASARNET_GRID,
        lines=tuple(QUASARNET_LINES),
        lines_bal=tuple(QUASARNET_LINES_BAL),
        rest=rest,
        nboxes=13,
        convs=(ConvLayer(filters, 10, 2, "valid"),) * 4,
        units=100,
    )
    arrays = random_weights(architecture.shapes())
    weights = WeightsFile(architecture, arrays, name="benchmark", version="1")
    return qnet.Model(weights)


def random_weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Weights of the size that trained ones have: the time must not depend on denormal numbers."""
    rng = np.random.default_rng(0)
    arrays = {}
    for name, shape in shapes.items():
        if name.endswith(".kernel"):
            values = rng.normal(0, 1.5 / np.sqrt(np.prod(shape[:-1])), shape)
        elif name.endswith((".gamma", ".moving_variance")):
            values = rng.uniform(0.5, 1.5, shape)
        else:
            values = rng.normal(0, 0.1, shape)
        arrays[name] = values.astype(np.float32)
    return arrays


def interleave(
    cases: Mapping[str, Callable[[], Any]], repeats: int
) -> dict[str, dict[str, list[float]]]:
    """Run all cases in turn, `repeats` times after one that does not count.

    Returns wall and processor seconds of each run by case.
    """
    times: dict[str, dict[str, list[float]]] = {name: {"wall": [], "cpu": []} for name in cases}
    for repeat in range(repeats + 1):
        for name, run in cases.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if repeat:
                times[name]["wall"].append(wall)
                times[name]["cpu"].append(cpu)
    return times


def machine_cases() -> dict[str, Callable[[], Any]]:
    """The machine's matrix product and its read bandwidth, to be measured among the cases."""
    rows, columns, depth = GEMM_SHAPE
    rng = np.random.default_rng(0)
    a = rng.normal(size=(rows, depth)).astype(np.float32)
    b = rng.normal(size=(depth, columns)).astype(np.float32)
    out = np.empty((rows, columns), np.float32)
    stream = np.ones(STREAM_BYTES // 8)

    def products(target: np.ndarray, times: int) -> None:
        for _ in range(times):
            np.matmul(a, b, out=target)

    def gemm() -> None:
        with threadpoolctl.threadpool_limits(1, "blas"):
            products(out, PRODUCTS)

    other = np.empty_like(out)

    def two_threads() -> None:
        with threadpoolctl.threadpool_limits(1, "blas"), ThreadPoolExecutor(2) as pool:
            list(pool.map(products, (out, other), (PRODUCTS // 2,) * 2))

    return {"sgemm": gemm, "sgemm, two threads": two_threads, "read": stream.max}


def machine_speed(times: Mapping[str, Mapping[str, list[float]]]) -> dict[str, float]:
    """GFLOP/s of the matrix product, GB/s of the bandwidth, from processor time.

    And how many times as fast this product is on two threads, each with its own output.
    """
    gemm = statistics.median(times["sgemm"]["cpu"])
    alone, both = (
        statistics.median(times[name]["wall"]) for name in ("sgemm", "sgemm, two threads")
    )
    read = statistics.median(times["read"]["cpu"])
    return {
        "sgemm_gflops": 2 * PRODUCTS * float(np.prod(GEMM_SHAPE)) / gemm / 1e9,
        "sgemm_two_threads": alone / both,
        "read_gb_per_s": STREAM_BYTES / read / 1e9,
    }


def conditions() -> dict[str, Any]:
    """What the figures depend on, beside the machine's speed."""
    return {
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "blas": [
            {key: found.get(key) for key in ("prefix", "version", "architecture", "num_threads")}
            for found in threadpoolctl.threadpool_info()
            if found["user_api"] == "blas"
        ],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "qnet": qnet.__version__,
    }


def _processor() -> str:
    """The processor's name and its widest vector instructions."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    values = dict(
        (part.strip() for part in line.split(":", 1)) for line in text.splitlines() if ":" in line
    )
    vector = "AVX-512" if "avx512f" in values.get("flags", "") else "no AVX-512"
    return f"{values.get('model name', platform.machine())}, {vector}"


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    cells = [[_text(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _text(cell: Any) -> str:
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:.0f}" if cell >= 100 else f"{cell:.3g}"


def write_json(path: Path | None, report: Mapping[str, Any]) -> None:
    """Write the report, if a file was asked for."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n")
