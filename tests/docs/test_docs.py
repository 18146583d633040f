"""The names and tables of the documentation are those of the code."""

from __future__ import annotations

import argparse
import functools
import importlib
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

import qnet
import qnet.cli
import qnet.evaluation
from makers import BOSS_LOGLAM, image, make_spectra, primary, table, write
from pages import FENCE
from qnet.evaluation.metric import DEFINITIONS
from qnet.io.readers import READERS

DOCS = Path(__file__).parents[2] / "docs"
CONTRIBUTING = DOCS.parent / "CONTRIBUTING.md"

pytestmark = pytest.mark.skipif(
    not DOCS.is_dir(), reason=f"the documentation is not here: {DOCS} does not exist"
)


@pytest.mark.parametrize(
    ("page", "tables"),
    [
        ("catalogue", ["columns qnet", "columns survey", "flags", "exports", "zwarn"]),
        ("formats", ["formats", "refused", "roles", "objects"]),
    ],
)
def test_reference_pages_have_the_tables_of_the_declarations(page, tables):
    """Tables of columns, flags and layouts are those of the code."""
    text = (DOCS / "reference" / f"{page}.md").read_text()
    assert re.findall(r"^```{declared-table} (.*)$", text, re.MULTILINE) == tables


def test_cli_page_has_every_command():
    """Each command has a section with the table of its options, made from its parser."""
    page = (DOCS / "reference" / "cli.md").read_text()
    for command in commands(qnet.cli._parser()):
        section = page.split(f"## qnet {command}\n")[1].split("\n## ")[0]
        assert f"```{{declared-table}} command {command}\n" in section or command == "model list"


def test_metrics_page_defines_every_number():
    """Each number that is measured is in a table of the page, made of its definition."""
    text = (DOCS / "reference" / "metrics.md").read_text()
    tables = re.findall(r"{declared-table} metrics (.*)", text)
    assert sorted(" ".join(tables).split()) == sorted(DEFINITIONS)


def resolves(name: str) -> bool:
    """Whether a dotted name is that of a module, or of an attribute of one."""
    parts = name.split(".")
    for number in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:number]))
            return functools.reduce(getattr, parts[number:], value) is not None
        except (ImportError, AttributeError):
            continue
    return False


def commands(parser: argparse.ArgumentParser, name: str = "") -> list[str]:
    """Names of the commands below a parser that have none below them."""
    below = [a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not below:
        return [name]
    return [c for key, value in below[0].items() for c in commands(value, f"{name} {key}".strip())]


def test_names_on_the_pages_exist():
    """Every name of qnet that a page mentions can be imported."""
    pages = [
        *DOCS.rglob("*.md"),
        *(DOCS.parent / name for name in ("README.md", "CONTRIBUTING.md")),
    ]
    for page in filter(Path.is_file, pages):
        for name in set(re.findall(r"`(qnet(?:\.\w+)+)[`(]", page.read_text())):
            if "keras" in name or name.endswith((".QuasarNET", ".custom_loss")):
                continue  # importing them imports Keras
            assert resolves(name), f"{page.name}: {name}"


def test_the_reader_of_contributing_reads(tmp_path, small_model):
    """The worked example of a reader, as it is written."""
    if not CONTRIBUTING.is_file():
        pytest.skip(f"no {CONTRIBUTING}")
    text = CONTRIBUTING.read_text().split("### A reader")[1]
    flux, ivar = make_spectra(10**BOSS_LOGLAM, [1.0, 2.0])
    path = write(
        tmp_path / "stack.fits",
        [
            primary(),
            image(flux, "STACK_FLUX"),
            image(ivar, "STACK_IVAR"),
            image(10**BOSS_LOGLAM, "STACK_WAVE"),
            table({"TARGETID": np.array([7, 8])}, "TARGETS"),
        ],
    )
    before = list(READERS)
    try:
        exec(FENCE.search(text)[2], {"__name__": "mysurvey"})
        catalogue = qnet.classify(path, model=small_model, rows=[1])
    finally:
        READERS[:] = before
    assert catalogue["TARGETID"].tolist() == [7, 8]
    assert np.isfinite(catalogue["ZBEST"]).tolist() == [False, True]
