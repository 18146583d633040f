"""The examples of the public names run, each from an empty folder, and show what they say."""

from __future__ import annotations

import doctest
import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"

if not DOCS.is_dir():
    pytest.skip(f"the documentation is not here: no {DOCS}", allow_module_level=True)

_spec = importlib.util.spec_from_file_location("public_names", DOCS / "_ext" / "public_names.py")
public_names = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(public_names)

#: What examples may need and a user need not have.
OPTIONAL = {"keras", "tensorflow", "matplotlib", "specutils", "pandas", "pyarrow"}

#: No more names than this are public: what a reader of the reference has to look at.
MOST_NAMES = 142

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture(scope="module")
def documented():
    """Each public object by the path that documents it."""
    return public_names.documented()


@pytest.mark.filterwarnings("ignore::DeprecationWarning:keras")  # Keras's own use of numpy
@pytest.mark.parametrize("path", public_names.paths())
def test_examples_run(path, documented, tmp_path, monkeypatch):
    """The examples of a public name, and of its methods."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    if path not in documented:
        return  # the same object is documented under another path
    try:
        value = public_names.resolve(path)
    except ImportError as error:
        pytest.skip(f"not installed: {error}")
    text = public_names.docstring(path, value)
    if ">>> " not in text or "\nExamples\n--------\n" not in text:
        pytest.fail(f"{path} has no section Examples", pytrace=False)
    for test in examples(path, value, text):
        run(test)


def examples(path, value, text):
    """Examples of an object and of its methods, each with no names but Python's."""
    if callable(value):
        return doctest.DocTestFinder(exclude_empty=True).find(value, path, globs={})
    return [doctest.DocTestParser().get_doctest(text, {}, path, None, 0)]


def run(test):
    """Run one docstring's examples; fail as pytest does, skip without what is optional."""
    # Examples start without a module's names: what a reader copies runs.
    test.globs = {"__name__": "__main__"}
    runner = doctest.DebugRunner(optionflags=FLAGS)
    try:
        runner.run(test, clear_globs=True)
    except doctest.DocTestFailure as failure:
        wanted, got = failure.example.want, failure.got
        pytest.fail(
            f"{test.name}\n>>> {failure.example.source}expected\n{wanted}got\n{got}", pytrace=False
        )
    except doctest.UnexpectedException as raised:
        error = raised.exc_info[1]
        while error is not None:
            if isinstance(error, ImportError) and (error.name or "").split(".")[0] in OPTIONAL:
                pytest.skip(f"{error.name} is not installed")
            error = error.__cause__ or error.__context__
        pytest.fail(
            f"{test.name}\n>>> {raised.example.source}{raised.exc_info[1]!r}", pytrace=False
        )


def test_public_names_are_few(documented):
    """Each is documented, explained by an example, and kept."""
    assert len(documented) <= MOST_NAMES


def test_each_public_name_is_on_one_page(documented):
    """The packages of the reference's pages hold every public name once."""
    pages = [path.read_text() for path in (DOCS / "reference" / "api").glob("*.md")]
    blocks = [line.split() for page in pages for line in re.findall(r"{public-api} (.*)", page)]
    for path, value in documented.items():
        home = public_names.home(path, value) + "."
        found = [block for block in blocks if home.startswith(tuple(f"{name}." for name in block))]
        assert len(found) == 1, f"{path}, defined in {home}, is on {len(found)} pages"
