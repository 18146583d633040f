"""The tutorial notebooks run, and their stored outputs are of their code."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"

if not TUTORIALS.is_dir():
    pytest.skip(f"the documentation is not here: no {TUTORIALS}", allow_module_level=True)

_spec = importlib.util.spec_from_file_location("execute", TUTORIALS / "execute.py")
execute = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(execute)

#: Packages that code may need and the tests need not have.
NEEDS = ("tensorflow", "keras", "sklearn", "plotly", "matplotlib")

#: Fraction of the computations of a notebook that the test does.
SIZE = "0.02"

#: Notebooks whose few steps, cut short, take less time than the compilation of their network.
EAGER = ("4-quasarnet",)

each_notebook = pytest.mark.parametrize("path", execute.notebooks(), ids=lambda path: path.stem)


@each_notebook
@pytest.mark.filterwarnings("ignore::DeprecationWarning:keras")  # Keras's own use of numpy
# A network of seconds calls everything a quasar: the median of those that it misses is NaN.
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value encountered in")
@pytest.mark.filterwarnings("ignore:Even though the `tf.config:UserWarning")
def test_notebook_runs(path, tmp_path, monkeypatch, request):
    """The code of a notebook runs in an empty folder, cut short, without a warning."""
    code = "\n\n".join(execute.code_cells(json.loads(path.read_text())))
    for package in NEEDS:
        if f"import {package}" in code or f"from {package}" in code:
            pytest.importorskip(package)
    plt = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QNET_TUTORIAL_SIZE", SIZE)
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    if path.stem in EAGER:
        tf = pytest.importorskip("tensorflow")
        tf.config.run_functions_eagerly(True)
        request.addfinalizer(lambda: tf.config.run_functions_eagerly(False))
    with plt.rc_context({"backend": "agg"}):
        exec(compile(code, str(path), "exec"), {"__name__": "__main__"})


@each_notebook
def test_stored_outputs_are_those_of_the_code(path):
    """A notebook whose code was changed must be executed again; none holds an error."""
    notebook = json.loads(path.read_text())
    stored = notebook["metadata"].get(execute.EXECUTED)
    assert stored == execute.digest(notebook), f"run: python docs/tutorials/execute.py {path.name}"
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output["output_type"] == "error"]


@each_notebook
def test_notebook_opens_with_what_it_teaches_and_ends_with_exercises(path):
    """The first cell says what the reader can do afterwards."""
    cells = json.loads(path.read_text())["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    assert "\nAfter this notebook you can\n" in texts[0]
    assert texts[-1].startswith("## Exercises\n\n1. ")
