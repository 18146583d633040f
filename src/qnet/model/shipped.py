"""The models that ship with qnet, by name."""

from __future__ import annotations

import dataclasses
import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from qnet.core.errors import InputError, WeightsError
from qnet.core.files import PathLike
from qnet.model.weights import WeightsFile, read_weights

#: The model that is loaded when none is named: a new default is a new version, and never removes
#: one that a release had.
DEFAULT_MODEL = "qnet@4"

#: Suffix of the files.
_SUFFIX = ".safetensors"

#: A name, or name@version. A version begins with a digit, so that in the name of a file, which has
#: a hyphen where this has an @, it can be told from the name.
_NAME = re.compile(r"(?P<name>[A-Za-z][\w-]*)(@(?P<version>\d[\w.]*))?")


@dataclasses.dataclass(frozen=True)
class Shipped:
    """A model that ships with qnet.

    Attributes
    ----------
    name, version : str
    file : Traversable
        Its weights.
    """

    name: str
    version: str
    file: Traversable

    @property
    def label(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"

    @property
    def order(self) -> tuple[str, tuple[int, ...], str]:
        """Sorts models by name, then from the oldest version to the newest: 2 before 10."""
        return self.name, tuple(map(int, re.findall(r"\d+", self.version))), self.version

    def read(self) -> WeightsFile:
        """The weights.

        Raises
        ------
        WeightsError
            The file is damaged, or holds another model than its name says.
        """
        with resources.as_file(self.file) as path:
            weights = read_weights(path)
        found = f"{weights.name}@{weights.version}"
        if found != self.label:
            raise WeightsError(f"{self.file}: holds the model {found}, but is called {self.label}")
        return weights


def data_folder() -> Traversable:
    """The folder of the shipped weights."""
    return resources.files("qnet.model") / "data"


def shipped_models() -> list[Shipped]:
    """The models that ship with this version of qnet.

    Returns
    -------
    list of Shipped
        By name, then from the oldest version to the newest.
    """
    folder, found = data_folder(), []
    for file in folder.iterdir() if folder.is_dir() else ():
        if not file.name.endswith(_SUFFIX):
            continue
        name, _, version = file.name.removesuffix(_SUFFIX).rpartition("-")
        if _NAME.fullmatch(f"{name}@{version}"):
            found.append(Shipped(name, version, file))
    return sorted(found, key=lambda model: model.order)


def default_model() -> Shipped:
    """The model that is loaded when none is named.

    Raises
    ------
    InputError
        No weights ship with this version.
    """
    for model in shipped_models():
        if model.label == DEFAULT_MODEL:
            return model
    raise InputError(
        "no weights ship with this version of qnet: give the path of a weights file (qnet's "
        ".safetensors or QuasarNET's .h5)"
    )


def find_shipped(text: str) -> Shipped | None:
    """A shipped model by its name.

    Parameters
    ----------
    text : str
        ``name@version``, or a name, which stands for its newest version.

    Returns
    -------
    Shipped or None
        None where none is called so.
    """
    match = _NAME.fullmatch(text)
    if match is None:
        return None
    name, version = match["name"], match["version"]
    models = [
        model
        for model in shipped_models()
        if model.name == name and version in (None, model.version)
    ]
    return models[-1] if models else None


def resolve(path: PathLike | None) -> Shipped | None:
    """The shipped model that `qnet.load_model` is asked for.

    Parameters
    ----------
    path : str, path or None
        The default when None.

    Returns
    -------
    Shipped or None
        None where it is the path of a file.

    Raises
    ------
    InputError
        It looks like a name, but there is neither a file nor a shipped model of that name; or none
        was given and none ships.
    """
    if path is None:
        return default_model()
    if not isinstance(path, str):
        return None
    found = find_shipped(path)
    if found is None and _NAME.fullmatch(path) and not Path(path).exists():
        labels = ", ".join(model.label for model in shipped_models()) or "none"
        raise InputError(
            f"model {path!r}: no such file, and no model of that name ships with this version of "
            f"qnet (which has: {labels})"
        )
    return found
