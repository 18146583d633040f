"""How a model is found and loaded: by name, by path, or by what the environment names."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from qnet.core.arguments import check_arguments
from qnet.core.errors import (
    FileError,
    InputError,
    MissingFileError,
    WeightsError,
    first_few,
    shown,
)
from qnet.core.files import PathLike, as_path, check_input
from qnet.core.grid import WavelengthGrid, as_grid
from qnet.core.kinds import HDF5, WEIGHTS, find_kind
from qnet.model import shipped
from qnet.model.model import Model
from qnet.model.weights import WeightsFile, read_weights

logger = logging.getLogger(__name__)

#: The environment's variable of folders of weights files, and that of the model when none is named,
#: which DESI's pipeline sets (desispec.scripts.qsoqn).
FOLDERS, DEFAULT_FILE = "QNET_MODEL_PATH", "QN_MODEL_FILE"

#: Suffixes of weights files.
_SUFFIXES = (".safetensors", ".h5")

#: A name, or name@version; and the latter.
_NAME = re.compile(r"[A-Za-z][\w-]*(@\d[\w.]*)?")
_VERSION = re.compile(r"[A-Za-z][\w-]*@\d[\w.]*")


def as_model(model: Model | PathLike | None) -> Model:
    """A model as it is; one that is named, or the default one, loaded."""
    return model if isinstance(model, Model) else load_model(model)


def load_model(
    path: PathLike | None = None,
    *,
    lines: Sequence[str] | None = None,
    lines_bal: Sequence[str] | None = None,
    grid: npt.ArrayLike | WavelengthGrid | None = None,
) -> Model:
    """Load a model.

    Parameters
    ----------
    path : str or path, optional
        One of these: a qnet weights file (.safetensors); a QuasarNET network saved by Keras (.h5),
        from which no code is run; a model that comes with qnet, as ``name@version``, or as ``name``
        for its newest version; or the name, with or without suffix, of a file in a folder of the
        environment variable QNET_MODEL_PATH, where name@version may be
        ``name-version.safetensors``. Write ``./name`` for a file that has the name of a model of
        qnet. When None, the file or name in the variable QN_MODEL_FILE, which DESI's pipeline sets,
        else the default model of this version of qnet.
    lines, lines_bal : sequence of str, optional
        For .h5 files, which do not hold them: names of the outputs. QuasarNET's when None.
    grid : array_like of shape (npix,) or WavelengthGrid, optional
        For .h5 files: left edges of the input's pixels [Angstrom]. From the file or the input's
        length when None.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        No model has that name, or lines or grid are given for a file that holds its own.
    MissingFileError, WeightsError
        The file is missing, damaged, of another kind of network, or not of the requested version.

    Notes
    -----
    The file and its SHA-256 are logged at the level INFO. If a model is not found, no other is
    loaded in its place.

    Examples
    --------
    >>> import qnet
    >>> model = qnet.load_model()
    >>> model
    <Model qnet@5: LYA, CIV(1548), CIII(1909), MgII(2796), Hbeta, Halpha; BAL CIV(1548)>
    >>> qnet.load_model("qnet@4").name
    'qnet@4'
    """
    check_arguments(load_model, locals())
    meaning = {"lines": lines, "lines_bal": lines_bal, "grid": grid}
    if path is not None:
        return _load(path, meaning)
    if not (named := os.environ.get(DEFAULT_FILE)):
        return _load(shipped.DEFAULT_MODEL, meaning)
    try:
        return _load(named, meaning)
    except (InputError, FileError) as error:
        raise type(error)(f"the environment's {DEFAULT_FILE}: {error}") from error


def _load(path: PathLike, meaning: Mapping[str, Any]) -> Model:
    """The model of a name or path, with what a .h5 file lacks."""
    overridden = any(value is not None for value in meaning.values())
    if name := shipped.resolve(path):
        if overridden:
            raise InputError(f"{name}: holds its own lines and grid, as all that ship do")
        return _logged(shipped.read_shipped(name), shipped.shipped_file(name))
    file = check_input(_find(path), WEIGHTS)
    if find_kind(file) is HDF5:
        from qnet.model.keras_h5 import read_legacy

        grid = None if meaning["grid"] is None else as_grid(meaning["grid"])
        return _logged(read_legacy(file, **{**meaning, "grid": grid}), file)
    weights = read_weights(file)
    if overridden:
        raise InputError(f"{file}: holds its own lines and grid: they cannot be overridden")
    found = f"{weights.name}@{weights.version}"
    if path != found and _VERSION.fullmatch(str(path)) and not os.path.lexists(path):
        raise WeightsError(f"{file}: is the model {shown(found)}, but {path} was asked for")
    return _logged(weights, file)


def _logged(weights: WeightsFile, file: object) -> Model:
    """The model of a file, which the log names."""
    model = Model(weights)
    logger.info("model %s: %s, SHA-256 %s", model.name, file, model.sha256)
    return model


def _find(path: PathLike) -> Path:
    """The file of a path, or of a name in the folders of QNET_MODEL_PATH."""
    file = as_path(path, "model")
    name = str(file)
    if os.path.lexists(file) or not isinstance(path, str) or os.path.basename(path) != path:
        return file
    folders = [folder for folder in os.environ.get(FOLDERS, "").split(os.pathsep) if folder]
    names = [name, *(name.replace("@", "-") + suffix for suffix in _SUFFIXES)]
    names += [name + suffix for suffix in _SUFFIXES if "@" in name]
    for candidate in (Path(folder) / each for folder in folders for each in names):
        if candidate.is_file():
            return candidate
    where = f", nor in {FOLDERS} ({first_few(folders)})" if folders else f"; {FOLDERS} is not set"
    if _NAME.fullmatch(name):
        raise InputError(
            f"model {shown(name)}: no such file, and no model of that name ships with this version "
            f"of qnet (which has: {', '.join(shipped.SHIPPED)}){where}"
        )
    if folders:
        raise MissingFileError(f"{name}: no such file{where}; {WEIGHTS.name} was expected")
    return file
