"""The command ``qnet doctor``."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import re
import sys
from typing import Any

from qnet.cli import parser as shared
from qnet.cli.common import FAILED, OK, complain, print_json
from qnet.core.errors import QnetError

#: Variables that change what qnet does.
_VARIABLES = (
    *("QN_MODEL_FILE", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("KERAS_BACKEND", "CUDA_VISIBLE_DEVICES"),
)


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    parser = add_parser(
        description="Print the versions, threads, variables and model in use, after a short test "
        "of the model. Add the output to a report of a problem.",
        parents=[shared.model()],
        examples=("qnet doctor", "qnet doctor --json"),
    )
    shared.as_json(parser)
    parser.set_defaults(command=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    """Run ``qnet doctor``."""
    report: dict[str, dict[str, Any]] = {
        "system": _system(),
        "packages": _packages(),
        "threads": _threads(),
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }
    status = OK
    try:
        report["model"] = _model(arguments.model)
    except QnetError as error:
        complain(error)
        status, report["model"] = FAILED, {"error": str(error)}
    if arguments.json:
        print_json(report)
        return status
    for section, values in report.items():
        print(section)
        width = max(map(len, values), default=0)
        for name, value in values.items() or [("none is set", "")]:
            print(f"  {name:{width}}  {value}".rstrip())
    return status


def _system() -> dict[str, Any]:
    """The interpreter and the machine."""
    import qnet

    return {
        "qnet": qnet.__version__,
        "folder": os.path.dirname(qnet.__file__),
        "python": platform.python_version(),
        "interpreter": sys.executable,
        "platform": platform.platform(),
        "machine": platform.machine(),
    }


def _packages() -> dict[str, str]:
    """Versions of the packages that qnet and its extras require; none is imported."""
    try:
        required = importlib.metadata.requires("qnet-quasar") or []
    except importlib.metadata.PackageNotFoundError:
        return {"qnet-quasar": "not installed: the package is used from its source"}
    versions = {}
    for text in required:
        if re.search(r"extra == .(test|docs|dev|bench)", text):
            continue
        name = re.split(r"[^\w.-]", text, maxsplit=1)[0]
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if "extra ==" not in text:
                versions[name] = "not installed"
    return {name: version for name, version in versions.items() if name != "qnet-quasar"}


def _threads() -> dict[str, Any]:
    """CPUs that the process may use, its threads, and the BLAS library."""
    import numpy  # noqa: F401  # loads BLAS
    from threadpoolctl import threadpool_info

    from qnet.core.threads import choose_threads

    affinity = getattr(os, "sched_getaffinity", None)
    report: dict[str, Any] = {
        "CPUs": os.cpu_count(),
        "CPUs that may be used": len(affinity(0)) if affinity else os.cpu_count(),
        "threads": choose_threads(None),
    }
    for pool in threadpool_info():
        name = f"{pool['internal_api']} {pool['version'] or ''}".strip()
        report[name] = f"{pool['num_threads']} threads, {pool.get('architecture', 'CPU unknown')}"
    return report


def _model(name: str | None) -> dict[str, Any]:
    """The model, and whether it classifies a few simulated spectra."""
    import numpy as np

    from qnet.model import load_model
    from qnet.simulation import simulate

    model = load_model(name)
    batch = simulate(8, seed=1, mix={"quasar": 1.0}).collect()
    table = model.classify(batch.spectra)
    finite = int(np.isfinite(table["ZBEST"]).sum())
    return {
        "name": model.name,
        "SHA-256": model.sha256,
        "grid": str(model.grid),
        "test": f"{finite} of {len(table)} simulated quasars have a redshift, "
        f"{int(table['IS_QSO'].sum())} are called quasars",
    }
