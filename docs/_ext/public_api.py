"""Sphinx: the API reference, made of the public names (``public_names``).

On a page, the block ::

    ```{public-api} qnet.io qnet.core.spectra
    ```

documents every public name that is defined in these packages, and links in docstrings to a name
of qnet lead to the page that documents it.
"""

from __future__ import annotations

import inspect
import re
from functools import cache
from typing import Any

import public_names
from sphinx.ext.autodoc.mock import mock

#: Options of autodoc's directives.
_OPTIONS = {"class": ["   :members:"], "exception": ["   :show-inheritance:"]}

_MISSING = object()

_BLOCK = re.compile(r"^```\{public-api\} (.*)\n```$", re.MULTILINE)


@cache
def documented() -> dict[str, Any]:
    """Each public object by its path, without Keras."""
    with mock(["keras"]):
        return public_names.documented()


def write_blocks(app: Any, document: str, source: list[str]) -> None:
    """Put the directives of autodoc into the place of a block."""
    source[0] = _BLOCK.sub(lambda match: _block(match[1].split()), source[0])


def _block(packages: list[str]) -> str:
    """Directives of the packages' docstrings and of all public names that they define."""
    lines = ["```{eval-rst}"]
    for package in packages:
        lines += [f".. automodule:: {package}", "   :no-members:", ""]
    kinds = {kind: [] for kind in ("function", "class", "exception", "data")}
    for path, value in documented().items():
        if _within(public_names.home(path, value), packages):
            kinds[_kind(value)].append((path, value))
    for kind, names in kinds.items():
        for path, value in names:
            lines += _data(path, value) if kind == "data" else [f".. auto{kind}:: {path}"]
            lines += {"class": ["   :members:"], "exception": ["   :show-inheritance:"]}.get(
                kind, []
            )
            lines += [""]
    return "\n".join([*lines, "```"])


def _within(module: str, packages: list[str]) -> bool:
    """Whether a module is one of the packages or lies in one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _kind(value: Any) -> str:
    """What autodoc calls the kind of an object."""
    if inspect.isclass(value):
        return "exception" if issubclass(value, BaseException) else "class"
    return "function" if callable(value) else "data"


def _data(path: str, value: Any) -> list[str]:
    """Directive of a constant, described by the string below its assignment."""
    module, _, name = path.rpartition(".")
    text = public_names.docstring(path, value)
    text = re.sub(r"^(.+)\n-{3,}$", r".. rubric:: \1\n", text, flags=re.MULTILINE)
    body = [f"   {line}".rstrip() for line in text.splitlines()]
    return [f".. py:data:: {name}", f"   :module: {module}", "", *body]


def resolve_public(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Lead a name to the path that documents it; other names in backticks stay code."""
    target = node.get("reftarget", "")
    owner, _, attribute = target.rpartition(".")
    for name, member in ((target, ""), (owner, f".{attribute}")):
        value = _value(name, node.get("py:module"), node.get("py:class"))
        for path in (path for path, other in documented().items() if value is other):
            for place in (f"{path}{member}", path):
                link = env.get_domain("py").resolve_xref(
                    env, node["refdoc"], app.builder, "obj", place, node, contnode
                )
                if link is not None:
                    return link
    return contnode if node.get("reftype") == "obj" else None


def _value(name: str, module: str | None, owner: str | None) -> Any:
    """The object of a name, seen from a module and a class; `_MISSING` where there is none."""
    scopes = ["", f"{module}.", f"{module}.{owner}.", "qnet."]
    if (described := documented().get(f"{module}.{owner}")) is not None:
        scopes.append(public_names.home(f"{module}.{owner}", described) + ".")
    with mock(["keras"]):
        for scope in scopes:
            try:
                return public_names.resolve(scope + name)
            except (ImportError, AttributeError, ValueError):
                continue
    return _MISSING


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", write_blocks)
    app.connect("missing-reference", resolve_public)
    return {"parallel_read_safe": True}
