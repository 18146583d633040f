"""Seeded mock surveys: quasars, galaxies, stars and sky, put through an instrument.

`qnet.simulate.survey.simulate` makes spectra in memory, `qnet.simulate.write.write_simulation` puts
them into files; both are names of this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qnet.simulate.noise import Errors
    from qnet.simulate.survey import Batch, Simulation, simulate
    from qnet.simulate.write import write_simulation

__all__ = ["Batch", "Errors", "Simulation", "simulate", "write_simulation"]

_HOMES = {
    "Batch": "survey",
    "Errors": "noise",
    "Simulation": "survey",
    "simulate": "survey",
    "write_simulation": "write",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"qnet.simulate.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'qnet.simulate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
