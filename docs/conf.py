"""Sphinx configuration. Nothing is fetched: the documentation builds without a network."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from qnet import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "qnet"
author = "The qnet developers"
copyright = author
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_copybutton",
    "public_api",
    "declared_tables",
]
exclude_patterns = ["_build"]
default_role = "py:obj"
myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3
# Notebooks hold their outputs (docs/tutorials/execute.py): the documentation is built without
# TensorFlow, in seconds.
nb_execution_mode = "off"

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
# The default of a field of Reader, which Sphinx takes for a reference; it is not public.
nitpick_ignore.append(("py:class", "qnet.io.fits.file.FitsFile"))

# MathJax and all its extensions in one file, from a package: formulas are shown without a network.
_MATHJAX = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
html_static_path = [str(_MATHJAX / "tex-svg-full.js")]
mathjax_path = "tex-svg-full.js"

html_theme = "pydata_sphinx_theme"
html_title = f"qnet {release}"
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": False, "show_prev_next": False}
html_sidebars = {"index": []}

copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
