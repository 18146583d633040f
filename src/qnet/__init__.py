"""qnet: find quasars and their redshifts in survey spectra.

A rebuild of QuasarNET (Busca & Balland 2018, arXiv:1808.09955) as a library::

    import qnet

    table = qnet.classify("coadd-main-dark-10016.fits")

The names below are imported when they are first used: importing qnet costs nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from qnet._version import __version__

if TYPE_CHECKING:
    from qnet.classification import classify
    from qnet.errors import (
        FileError,
        GridError,
        InputError,
        MissingFileError,
        OutputExistsError,
        QnetError,
        QnetWarning,
        TrainingError,
        WeightsError,
    )
    from qnet.flags import QNFlag, flag_names
    from qnet.grid import WavelengthGrid
    from qnet.io.catalogue import read_catalogue, write_catalogue
    from qnet.io.reader import read_spectra
    from qnet.model import Model, load_model
    from qnet.postprocess import Predictions, process_preds
    from qnet.preprocess import normalise, rebin
    from qnet.spectra import Camera, Spectra

__all__ = [
    "Camera",
    "FileError",
    "GridError",
    "InputError",
    "MissingFileError",
    "Model",
    "OutputExistsError",
    "Predictions",
    "QNFlag",
    "QnetError",
    "QnetWarning",
    "Spectra",
    "TrainingError",
    "WavelengthGrid",
    "WeightsError",
    "__version__",
    "classify",
    "flag_names",
    "load_model",
    "normalise",
    "process_preds",
    "read_catalogue",
    "read_spectra",
    "rebin",
    "write_catalogue",
]

_HOMES = {
    "Camera": "spectra",
    "FileError": "errors",
    "GridError": "errors",
    "InputError": "errors",
    "MissingFileError": "errors",
    "Model": "model",
    "OutputExistsError": "errors",
    "Predictions": "postprocess",
    "QNFlag": "flags",
    "QnetError": "errors",
    "QnetWarning": "errors",
    "Spectra": "spectra",
    "TrainingError": "errors",
    "WavelengthGrid": "grid",
    "WeightsError": "errors",
    "classify": "classification",
    "flag_names": "flags",
    "load_model": "model",
    "normalise": "preprocess",
    "process_preds": "postprocess",
    "read_catalogue": "io.catalogue",
    "read_spectra": "io.reader",
    "rebin": "preprocess",
    "write_catalogue": "io.catalogue",
}

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        value = getattr(import_module(f"qnet.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    if not name.startswith("_"):
        try:
            return import_module(f"qnet.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"qnet.{name}":
                raise
    raise AttributeError(f"module 'qnet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
