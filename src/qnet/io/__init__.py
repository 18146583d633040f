"""Files and objects to spectra, and catalogues to files. No maths.

`read_spectra` reads the spectra of every survey; `write_catalogue` and `read_catalogue` are a pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qnet.grid import QUASARNET_GRID

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from qnet.io.catalogue import read_catalogue, write_catalogue
    from qnet.io.objects import from_arrays, from_table
    from qnet.io.prepared import PreparedWriter
    from qnet.io.reader import read_spectra
    from qnet.io.results import Result, read_result
    from qnet.io.spall import read_spall
    from qnet.io.specutils import from_specutils
    from qnet.io.superset import BuiltTruth, build_truth, write_truth
    from qnet.io.tables import Card, write_table
    from qnet.io.training import read_data
    from qnet.io.truth import TruthRecord, read_truth

    #: Left edges [Angstrom] of QuasarNET's log grid.
    wave: npt.NDArray[np.float64]

__all__ = [
    "BuiltTruth",
    "Card",
    "PreparedWriter",
    "Result",
    "TruthRecord",
    "build_truth",
    "from_arrays",
    "from_specutils",
    "from_table",
    "read_catalogue",
    "read_data",
    "read_result",
    "read_spall",
    "read_spectra",
    "read_truth",
    "wave",
    "write_catalogue",
    "write_table",
    "write_truth",
]

_HOMES = {
    "BuiltTruth": "superset",
    "Card": "tables",
    "PreparedWriter": "prepared",
    "Result": "results",
    "TruthRecord": "truth",
    "build_truth": "superset",
    "from_arrays": "objects",
    "from_specutils": "specutils",
    "from_table": "objects",
    "read_catalogue": "catalogue",
    "read_data": "training",
    "read_result": "results",
    "read_spall": "spall",
    "read_spectra": "reader",
    "read_truth": "truth",
    "write_catalogue": "catalogue",
    "write_table": "tables",
    "write_truth": "superset",
}


def __getattr__(name: str) -> Any:
    if name == "wave":
        return QUASARNET_GRID.wave
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"qnet.io.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'qnet.io' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
