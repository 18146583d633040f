"""Sphinx configuration. Nothing is fetched: the documentation builds without a network."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from qnet import __version__
from qnet.core.flags import QNFlag, describe

project = "qnet"
author = "The qnet developers"
copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
default_role = "autolink"
myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3

autosummary_generate = False
autodoc_typehints = "none"
# The reference is built without Keras.
autodoc_mock_imports = ["keras"]
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
nitpicky = True
nitpick_ignore = [
    ("py:class", name)
    for name in ("Exception", "ValueError", "FileNotFoundError", "FileExistsError", "UserWarning")
]
# Names in docstrings that are documented, but not under the module that mentions them.
nitpick_ignore += [("py:obj", "wave"), ("py:obj", "Architecture.shapes")]

html_theme = "pydata_sphinx_theme"
html_title = f"qnet {release}"
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": False, "show_prev_next": False}
html_sidebars = {"index": []}

copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True


class FlagTable(SphinxDirective):
    """The table of the QN_FLAG bits, from `qnet.core.flags`.

    The option ``calibrated`` names the bits that need a model with a second stage or a calibration.
    """

    option_spec = {"calibrated": str.split}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        """Build the table."""
        calibrated = {QNFlag[name] for name in self.options.get("calibrated", [])}
        rows = [["bit", "value", "name", "meaning", "set with"]]
        rows += [
            [
                str(flag.value.bit_length() - 1),
                str(flag.value),
                str(flag.name),
                describe(flag),
                "a calibrated model" if flag in calibrated else "any model",
            ]
            for flag in QNFlag
        ]
        group = nodes.tgroup(cols=len(rows[0]))
        group += [nodes.colspec(colwidth=width) for width in (5, 8, 18, 57, 12)]
        group += nodes.thead("", self._row(rows[0]))
        group += nodes.tbody("", *(self._row(row, literal=2) for row in rows[1:]))
        return [nodes.table("", group)]

    @staticmethod
    def _row(cells: list[str], literal: int | None = None) -> nodes.row:
        """One row; the cell number `literal` is set as code."""
        kinds = [
            nodes.literal if number == literal else nodes.inline for number in range(len(cells))
        ]
        return nodes.row(
            "",
            *(
                nodes.entry("", nodes.paragraph("", "", kind(cell, cell)))
                for kind, cell in zip(kinds, cells, strict=True)
            ),
        )


def resolve_lazy(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Lead a name that a package imports lazily (qnet.classify) to the module that documents it."""
    target = node.get("reftarget", "")
    package, _, name = (
        target.rpartition(".") if "." in target else (node.get("py:module"), "", target)
    )
    homes = getattr(import_module(package), "_HOMES", {}) if package in ("qnet", "qnet.io") else {}
    if name not in homes:
        return None
    home = f"{package}.{homes[name]}.{name}"
    python = env.get_domain("py")
    return python.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], home, node, contnode
    )


def setup(app: Any) -> None:
    """Register the table of the flags and the resolver of lazy names."""
    app.add_directive("qnflag-table", FlagTable)
    app.connect("missing-reference", resolve_lazy)
