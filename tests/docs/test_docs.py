"""The commands and code of the documentation run, and its tables are those of the code."""

from __future__ import annotations

import argparse
import configparser
import functools
import importlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import qnet
import qnet.cli
import qnet.evaluation
from makers import (
    BOSS_LOGLAM,
    boss_spec,
    image,
    make_spectra,
    primary,
    sdss5_spec,
    table,
    write,
)
from makers_surveys import SURVEY_LAYOUTS
from qnet.evaluation.metric import DEFINITIONS
from qnet.io.readers import READERS

DOCS = Path(__file__).parents[2] / "docs"
CONTRIBUTING = DOCS.parent / "CONTRIBUTING.md"

pytestmark = pytest.mark.skipif(
    not DOCS.is_dir(), reason=f"the documentation is not here: {DOCS} does not exist"
)

#: Spectra of the quickstart: two quasars, a star, a quasar at low redshift.
FIBERS = ("0129", "0208", "0224", "0521")

HOW_TO = (
    "classify-files",
    "any-instrument",
    "whole-survey",
    "in-memory",
    "select-rows",
    "thresholds",
    "redshift-distributions",
    "evaluate",
    "simulate",
    "training-data",
    "plot",
    "inspect",
    "sparcl",
    "weights",
    "onnx",
    "quasarnp",
    "desi-pipeline",
    "lyman-alpha",
    "topcat",
    "redrock",
)

#: Packages that pages need and qnet does not.
NEEDS = {
    "in-memory": ("specutils", "pandas"),
    "onnx": ("onnx", "onnxruntime"),
    "inspect": ("plotly",),
}

#: Pages that need Keras, and no data.
TRAINING = ("tutorials/training", "how-to/train", "how-to/own-survey")

#: Pages on files that are made for them.
MADE = ("how-to/sdss-v-inspection",)

#: What is smaller in the test of a page than on it.
SMALLER = (("-n 6000", "-n 300"), ("-n 4000", "-n 100"), ("--epochs 4", "--epochs 1"))

_FENCE = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: What a page's script begins with.
_HEAD = """\
import subprocess
import warnings


def run_command(line):
    subprocess.run(line, shell=True, check=True)


"""


@pytest.fixture
def workspace(tmp_path, shared_data) -> Path:
    """A folder as the quickstart describes it, of real spectra: spectra/ and quasarnet.h5."""
    (tmp_path / "spectra").mkdir()
    for fiber in FIBERS:
        name = f"spec-7102-56666-{fiber}.fits"
        shutil.copy(shared_data / "boss_dr12" / name, tmp_path / "spectra" / name)
    weights = shared_data / "quasarnet_weights" / "quasarnet_4layer_25filter.h5"
    shutil.copy(weights, tmp_path / "quasarnet.h5")
    return tmp_path


@pytest.fixture
def made_workspace(tmp_path, legacy_weights) -> Path:
    """The same of made-up spectra and a small random network: it needs no sample data."""
    (tmp_path / "spectra").mkdir()
    for number, fiber in enumerate(FIBERS):
        flux, ivar = make_spectra(10**BOSS_LOGLAM, [1.0 + number / 2], seed=number)
        name = f"spec-7102-56666-{fiber}.fits"
        write(tmp_path / "spectra" / name, boss_spec(BOSS_LOGLAM, flux[0], ivar[0]))
    shutil.copy(legacy_weights, tmp_path / "quasarnet.h5")
    return tmp_path


@pytest.fixture
def survey_workspace(workspace, shared_data) -> Path:
    """The same with coadd.fits, as the how-to pages describe it."""
    for name in ("coadd", "redrock"):
        file = shared_data / "desi_afterburner" / f"{name}-x.fits"
        shutil.copy(file, workspace / f"{name}.fits")
    shutil.copy(shared_data / "boss_dr12" / "truth_superset.fits", workspace / "truth.fits")
    return workspace


@pytest.mark.parametrize("spectra", ["made_workspace", "workspace"])
def test_quickstart_runs(spectra, request):
    """Every block of the quickstart runs, without a warning of qnet."""
    workspace = request.getfixturevalue(spectra)
    errors = "from qnet import QnetWarning\n\nwarnings.simplefilter('error', QnetWarning)\n"
    run_page("tutorials/quickstart.md", workspace, errors)
    made = {"catalogue.fits", "quasars.fits", "spectrum.png"}
    assert made <= {path.name for path in workspace.iterdir()}
    assert len(qnet.read_catalogue(workspace / "catalogue.fits")) == len(FIBERS)


@pytest.mark.parametrize("page", HOW_TO)
def test_how_to_runs(page, survey_workspace):
    """Every block of a how-to page runs."""
    for package in NEEDS.get(page, ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    run_page(f"how-to/{page}.md", survey_workspace)


def test_picca_reads_the_catalogue_by_the_configuration_of_its_page(survey_workspace, monkeypatch):
    """The section [data] of the page, with picca's defaults, and the files of its commands."""
    module = "picca.delta_extraction.quasar_catalogues"
    desi = pytest.importorskip(f"{module}.desi_quasar_catalogue")
    drq = pytest.importorskip(f"{module}.drq_catalogue")
    run_page("how-to/lyman-alpha.md", survey_workspace)
    monkeypatch.chdir(survey_workspace)
    page = (DOCS / "how-to" / "lyman-alpha.md").read_text()
    config = configparser.ConfigParser()
    config.read_string(re.search(r"^```ini\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[1])
    section = config["data"]
    config.read_dict({"data": {k: v for k, v in desi.defaults.items() if k not in section}})
    found = desi.DesiQuasarCatalogue(section).catalogue
    table = qnet.read_catalogue("catalogue.fits")
    wanted = table[table["IS_QSO"] & (table["ZBEST"] >= 2)]
    assert sorted(found["TARGETID"]) == sorted(wanted["TARGETID"])
    section.update({"drq catalogue": "drq.fits", "best obs": "True", "keep BAL": "True"})
    assert (drq.DrqCatalogue(section).catalogue["PLATE"] == 7102).all()


@pytest.mark.parametrize("page", TRAINING)
def test_training_pages_run(page, tmp_path):
    """Every block of a page that trains runs; it simulates what it needs."""
    if not all(map(importlib.util.find_spec, ("keras", "tensorflow"))):
        pytest.skip("Keras and TensorFlow are not installed")
    run_page(f"{page}.md", tmp_path, smaller=SMALLER if page == "how-to/own-survey" else ())


def test_the_page_on_the_inspection_of_sdss_v_runs(tmp_path):
    """Its commands, on small files of the layouts that are published."""
    (tmp_path / "dr20").mkdir()
    batch = qnet.simulate(6, seed=4, survey="boss", mix={"quasar": 0.8, "star": 0.2}).collect()
    (camera,), truth = batch.spectra.cameras, batch.truth
    ids = np.arange(6) + 2**54 + 1
    rows = {"FIELD": np.int32(15000), "MJD": np.int32(59300), "OBS": "APO"}
    for number, catalogid in enumerate(ids):
        row = {**rows, "CATALOGID": catalogid, "OBJTYPE": "science"}
        hdus = sdss5_spec(np.log10(camera.wave), camera.flux[number], camera.ivar[number], row=row)
        write(tmp_path / "dr20" / f"spec-15000-59300-{catalogid}.fits", hdus)
    z = truth["TRUEZ"]
    columns = {
        "field": np.full(6, 15000, np.int32),
        "mjd": np.full(6, 59300, np.int32),
        "catalogid": ids,
        "has_vi": np.arange(6) < 5,
        "z_best": z.astype(np.float32),
        "z_conf_best": np.full(6, 3, np.int16),
        "class_best": truth["TRUESPECTYPE"],
    }
    write(tmp_path / "boss_vi_results-1.0.3.fits", [primary(), table(columns, "VI_RESULTS")])
    columns = {"CATALOGID": ids, "Z_SYS": z, "Z_SYS_ERR": np.full(6, 1e-3), "Z_FIT": z}
    write(tmp_path / "DR20Q_prop-v6_2_1.fits", [primary(), table(columns)])
    kinds = [str(kind) for kind in truth["TRUESPECTYPE"]]
    lines = [f"{i},{z},{kind}" for i, z, kind in zip(ids, z, kinds, strict=True)]
    (tmp_path / "own.csv").write_text("\n".join(["CatalogID,redshift,kind", *lines]))
    run_page("how-to/sdss-v-inspection.md", tmp_path)
    (found,) = json.loads((tmp_path / "dr20.json").read_text())["catalogues"]
    assert found["counts"]["rows evaluated"] == 5
    assert found["counts"]["rows whose truth was not inspected"] == 1
    completeness = next(m for m in found["metrics"] if m["name"] == "completeness")
    assert completeness["n"] == sum(kind == "QSO" for kind in kinds[:5])
    assert completeness["value"] == 1


def test_the_page_of_surveys_runs(tmp_path, small_weights):
    """Every block of the page, on files made from the layouts, with a small model."""
    layouts = {
        "pfsCoadd.fits": "PFS pfsCoadd or pfsCalibrated file",
        "stacked_1.fit": "WEAVE L1 files",
        "qmost_LJ1.fits": "4MOST L1 file",
        "container.fits": "4MOST container of spectra",
        "lamost.fits": "LAMOST file of low resolution since DR8",
        "mwmVisit.fits": "SDSS-V mwmStar or mwmVisit file",
    }
    for name, layout in layouts.items():
        write(tmp_path / name, SURVEY_LAYOUTS[layout])
    options = (" -o ", f" --model {small_weights} -o ")
    run_page("reference/surveys.md", tmp_path, smaller=[options])
    catalogue = qnet.read_catalogue(tmp_path / "catalogue.fits")
    assert len(catalogue) == 4 * 3 + 2


def test_the_page_on_other_instruments_runs(tmp_path):
    """Its three commands, on fewer spectra."""
    run_page("explanation/other-instruments.md", tmp_path, smaller=(("-n 3000", "-n 200"),))
    assert qnet.load_model(tmp_path / "qnet-lamost.safetensors").calibration is not None
    assert len(qnet.read_catalogue(tmp_path / "catalogue.fits")) == 200


def test_all_how_to_pages_are_run():
    """No page is left out of the test above."""
    pages = {path.stem for path in (DOCS / "how-to").glob("*.md")} - {"index"}
    others = {Path(page).stem for page in (*TRAINING, *MADE)}
    assert pages == {*HOW_TO, *others} - {"training"}


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
        exec(_FENCE.search(text)[2], {"__name__": "mysurvey"})
        catalogue = qnet.classify(path, model=small_model, rows=[1])
    finally:
        READERS[:] = before
    assert catalogue["TARGETID"].tolist() == [7, 8]
    assert np.isfinite(catalogue["ZBEST"]).tolist() == [False, True]


def run_page(
    name: str, folder: Path, setup: str = "", smaller: Sequence[tuple[str, str]] = ()
) -> None:
    """Run the console and python blocks of a page in a folder, in their order, as one script."""
    text = page_script(DOCS / name)
    for long, short in smaller:
        assert long in text
        text = text.replace(long, short)
    script = folder / "page.py"
    script.write_text(_HEAD + setup + "\n" + text)
    run(f"{sys.executable} page.py", folder)


def page_script(page: Path) -> str:
    """The blocks of a page as Python: each console line that begins with `$ ` becomes a call."""
    parts = []
    for language, text in _FENCE.findall(page.read_text()):
        if language == "console":
            lines = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
            text = "".join(f"run_command({line!r})\n" for line in lines)
        parts.append(text)
    assert parts, f"{page} has no blocks"
    return "\n".join(parts)


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; fail with its output unless it exits with status 0."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path, "MPLBACKEND": "Agg"}
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def has_word(text: str, word: str) -> bool:
    """Whether a name stands in a text, not as a part of another."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None
