"""The models that ship with qnet, by name."""

from __future__ import annotations

import os
import re
from importlib import resources
from importlib.resources.abc import Traversable

from qnet.core.errors import InputError, WeightsError, shown
from qnet.core.files import PathLike
from qnet.model.weights import WeightsFile, read_weights

#: File and SHA-256 of each model by name@version, of each name from the oldest version to the
#: newest. A new model is a new row, and no row that a release had is ever removed.
SHIPPED = {
    "qnet@4": (
        "qnet-4.safetensors",
        "8bec3668f8b9c715f48a6d868dd22a17f1feeee90d0f3ddcb889342de07cf59a",
    ),
    "qnet@5": (
        "qnet-5.safetensors",
        "60a9003c418cc7a3d4c13dc7226da238c1c0af46e54a9ac13f4225d07dc5da88",
    ),
}

#: The model that is loaded when none is named.
DEFAULT_MODEL = "qnet@5"

#: A name, or name@version.
_NAME = re.compile(r"[A-Za-z][\w-]*(@\d[\w.]*)?")


def shipped_models() -> list[str]:
    """The models that ship with this version of qnet.

    Returns
    -------
    list of str
        Names as ``name@version``, of each name from the oldest version to the newest.

    Examples
    --------
    >>> from qnet.model import shipped_models
    >>> shipped_models()
    ['qnet@4', 'qnet@5']
    """
    return list(SHIPPED)


def data_folder() -> Traversable:
    """The folder of the shipped weights."""
    return resources.files("qnet.model") / "data"


def read_shipped(name: str) -> WeightsFile:
    """The weights of a shipped model, by name@version; WeightsError if the file is another one."""
    file, digest = SHIPPED[name]
    with resources.as_file(data_folder() / file) as path:
        weights = read_weights(path)
        if weights.sha256 != digest:
            raise WeightsError(f"{path}: is not the file of {name} that this version of qnet has")
    return weights


def resolve(path: PathLike | None) -> str | None:
    """Name@version of the shipped model that `qnet.load_model` is asked for; None for a file.

    The newest version is that of a name alone. InputError where what looks like a name is neither
    that of a shipped model nor a file.
    """
    if path is None:
        return DEFAULT_MODEL
    if not isinstance(path, str):
        return None
    found = [name for name in SHIPPED if path in (name, name.partition("@")[0])]
    if found:
        return found[-1]
    if _NAME.fullmatch(path) and not os.path.lexists(path):
        raise InputError(
            f"model {shown(path)}: no such file, and no model of that name ships with this version "
            f"of qnet (which has: {', '.join(SHIPPED)})"
        )
    return None
