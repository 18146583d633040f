"""The models that ship with qnet, by name."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable

from qnet.core.errors import WeightsError
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


def shipped_models() -> list[str]:
    """The models that come with this version of qnet.

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


def shipped_file(name: str) -> Traversable:
    """The file of a shipped model, by name@version."""
    return data_folder() / SHIPPED[name][0]


def read_shipped(name: str) -> WeightsFile:
    """The weights of a shipped model, by name@version; WeightsError if the file is another one."""
    with resources.as_file(shipped_file(name)) as path:
        weights = read_weights(path)
        if weights.sha256 != SHIPPED[name][1]:
            raise WeightsError(f"{path}: is not the file of {name} that this version of qnet has")
    return weights


def resolve(path: PathLike) -> str | None:
    """Name@version of the shipped model of a name, the newest of a name alone; None for others."""
    found = [name for name in SHIPPED if path in (name, name.partition("@")[0])]
    return found[-1] if found else None
