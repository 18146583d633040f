"""The public names of qnet: the lists `__all__` of its packages, each object under one path."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

#: Modules whose `__all__` is public. An object in several lists is documented at the first.
LISTS = (
    "qnet",
    "qnet.classification",
    "qnet.survey",
    "qnet.objective",
    "qnet.io",
    "qnet.model",
    "qnet.preprocess",
    "qnet.postprocess",
    "qnet.lines",
    "qnet.core.grid",
    "qnet.core.bins",
    "qnet.core.flags",
    "qnet.core.errors",
    "qnet.evaluation",
    "qnet.simulation",
    "qnet.strategies",
    "qnet.redrock",
    "qnet.training",
    "qnet.plotting",
    "qnet.inspection",
    "qnet.compat",
    "qnet.models",
    "qnet.utils",
)


def paths() -> list[str]:
    """Every name of the lists as `package.name`; nothing heavy is imported."""
    found = []
    for module in map(import_module, LISTS):
        within = getattr(module, "__path__", None)
        for name in getattr(module, "__all__", ()):
            path = f"{module.__name__}.{name}"
            if not name.startswith("__") and not (within and find_spec(path)):
                found.append(path)
    return found


def documented() -> dict[str, Any]:
    """Each public object by the path that documents it; None where a package is not installed."""
    found: dict[str, Any] = {}
    for path in paths():
        try:
            value = resolve(path)
        except ImportError:
            value = None
        if value is None or not any(value is other for other in found.values()):
            found[path] = value
    return found


def resolve(path: str) -> Any:
    """The object at a path, `module.name` or `module.class.method`."""
    module, _, name = path.rpartition(".")
    if not module:
        raise ImportError(f"no module in {path!r}")
    if module in LISTS or _is_module(module):
        return getattr(import_module(module), name)
    return getattr(resolve(module), name)


def home(path: str, value: Any) -> str:
    """The module that defines a public object."""
    if inspect.isroutine(value) or inspect.isclass(value):
        return str(value.__module__)
    return _stub(path.rpartition(".")[0]).get(path.rpartition(".")[2], path.rpartition(".")[0])


def docstring(path: str, value: Any) -> str:
    """Docstring of a function or class, or the string below the assignment of a constant."""
    if inspect.isroutine(value) or inspect.isclass(value):
        return inspect.getdoc(value) or ""
    name = path.rpartition(".")[2]
    body = ast.parse(inspect.getsource(import_module(home(path, value)))).body
    for node, after in pairwise(body):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if name not in [getattr(target, "id", None) for target in targets]:
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            return inspect.cleandoc(str(after.value.value))
    return ""


def _stub(package: str) -> dict[str, str]:
    """Modules that a package's `__init__.pyi` takes its names from."""
    found = {}
    file = Path(str(import_module(package).__file__)).with_suffix(".pyi")
    for node in ast.parse(file.read_text()).body if file.is_file() else ():
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                found[name.asname or name.name] = f"{package}.{node.module}"
    return found


def _is_module(path: str) -> bool:
    """Whether a path is that of a module."""
    try:
        return find_spec(path) is not None
    except ModuleNotFoundError:
        return False
