"""The commands and code of all pages run, in one folder, in the order of the index."""

from __future__ import annotations

import configparser
import importlib.util
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

import qnet
from makers import primary, sdss5_spec, table, write
from makers_surveys import SURVEY_LAYOUTS
from pages import FENCE, Reader, pages_in_order

DOCS = Path(__file__).parents[2] / "docs"

if not DOCS.is_dir():
    pytest.skip(f"the documentation is not here: no {DOCS}", allow_module_level=True)

#: Pages that make the files which other pages use.
FIRST = {"tutorials/quickstart", "how-to/index"}

#: Pages that are not run, and why.
NOT_RUN = {
    "index": "one call on a file of the reader's own",
    "explanation/model": "its command takes hours and templates",
}

_KERAS = ("keras", "tensorflow")

#: Packages that pages need and qnet does not.
NEEDS = {
    "tutorials/training": _KERAS,
    "how-to/gpus": _KERAS,
    "how-to/objects": ("specutils", "pandas"),
    "how-to/inspect": ("plotly",),
    "how-to/onnx": ("onnx", "onnxruntime"),
    "how-to/own-survey": _KERAS,
    "how-to/train": _KERAS,
}

#: What is smaller in the test of a page than on it.
SMALLER = {
    "tutorials/training": (
        ("-n 6000", "-n 400"),
        ("-n 2000", "-n 200"),
        ("--epochs 5", "--epochs 1"),
    ),
    "how-to/own-survey": (
        ("-n 6000", "-n 300"),
        ("-n 4000", "-n 100"),
        ("--epochs 4", "--epochs 1"),
    ),
    "how-to/thresholds": (("-n 10000", "-n 100"),),
    "explanation/other-instruments": (("-n 3000", "-n 200"),),
}

#: All pages with commands or code, in the order of the tables of contents.
PAGES = [
    page
    for page in pages_in_order(DOCS)
    if FENCE.search((DOCS / f"{page}.md").read_text()) and page not in NOT_RUN
]


@pytest.fixture(scope="session")
def folder(tmp_path_factory, legacy_weights) -> Path:
    """The folder that the pages are run in: they make all files but QuasarNET's network."""
    folder = tmp_path_factory.mktemp("pages")
    shutil.copy(legacy_weights, folder / "quasarnet.h5")
    return folder


def make_sdss5(folder: Path) -> None:
    """Small files of the layouts that the page on the inspection of SDSS-V is about."""
    (folder / "dr20").mkdir()
    batch = qnet.simulate(6, seed=4, survey="boss", mix={"quasar": 0.8, "star": 0.2}).collect()
    (camera,), truth = batch.spectra.cameras, batch.truth
    ids = np.arange(6) + 2**54 + 1
    rows = {"FIELD": np.int32(15000), "MJD": np.int32(59300), "OBS": "APO"}
    for number, catalogid in enumerate(ids):
        row = {**rows, "CATALOGID": catalogid, "OBJTYPE": "science"}
        hdus = sdss5_spec(np.log10(camera.wave), camera.flux[number], camera.ivar[number], row=row)
        write(folder / "dr20" / f"spec-15000-59300-{catalogid}.fits", hdus)
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
    write(folder / "boss_vi_results-1.0.3.fits", [primary(), table(columns, "VI_RESULTS")])
    columns = {"CATALOGID": ids, "Z_SYS": z, "Z_SYS_ERR": np.full(6, 1e-3), "Z_FIT": z}
    write(folder / "DR20Q_prop-v6_2_1.fits", [primary(), table(columns)])
    kinds = [str(kind) for kind in truth["TRUESPECTYPE"]]
    lines = [f"{i},{z},{kind}" for i, z, kind in zip(ids, z, kinds, strict=True)]
    (folder / "own.csv").write_text("\n".join(["CatalogID,redshift,kind", *lines]))


def make_surveys(folder: Path) -> None:
    """A file of each layout that the page of surveys shows."""
    layouts = {
        "pfsCoadd.fits": "PFS pfsCoadd or pfsCalibrated file",
        "stacked_1.fit": "WEAVE L1 files",
        "qmost_LJ1.fits": "4MOST L1 file",
        "container.fits": "4MOST container of spectra",
        "lamost.fits": "LAMOST file of low resolution since DR8",
        "mwmVisit.fits": "SDSS-V mwmStar or mwmVisit file",
    }
    for name, layout in layouts.items():
        write(folder / name, SURVEY_LAYOUTS[layout])


#: Files that a page describes, made before it is run.
MADE = {"how-to/sdss-v-inspection": make_sdss5, "reference/surveys": make_surveys}


def check_picca(folder: Path) -> None:
    """picca reads the files of the page by the section [data] of the page and its own defaults."""
    module = "picca.delta_extraction.quasar_catalogues"
    desi = pytest.importorskip(f"{module}.desi_quasar_catalogue")
    drq = pytest.importorskip(f"{module}.drq_catalogue")
    text = (DOCS / "how-to" / "lyman-alpha.md").read_text()
    config = configparser.ConfigParser()
    config.read_string(re.search(r"^```ini\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1])
    section = config["data"]
    config.read_dict({"data": {k: v for k, v in desi.defaults.items() if k not in section}})
    section["catalogue"] = str(folder / "lya-main.fits")
    exported = Table.read(folder / "lya-picca.fits")
    exported.replace_column(
        "SURVEY", ["main"] * len(exported)
    )  # picca leaves out simulated spectra
    exported.write(section["catalogue"], overwrite=True)
    found = desi.DesiQuasarCatalogue(section).catalogue
    table = qnet.read_catalogue(folder / "lya.fits")
    wanted = table[table["IS_QSO"] & (table["ZBEST"] >= 2) & (table["ZBEST"] < 5)]
    assert sorted(found["TARGETID"]) == sorted(wanted["TARGETID"])
    boss = {
        "drq catalogue": str(folder / "boss-picca.fits"),
        "best obs": "True",
        "keep BAL": "True",
    }
    section.update(boss)
    assert (drq.DrqCatalogue(section).catalogue["PLATE"] == 20000).all()


def check_sdss5(folder: Path) -> None:
    """What was not inspected is not evaluated."""
    (found,) = json.loads((folder / "dr20.json").read_text())["catalogues"]
    assert found["counts"]["rows evaluated"] == 5
    assert found["counts"]["rows whose truth was not inspected"] == 1
    completeness = next(m for m in found["metrics"] if m["name"] == "completeness")
    assert completeness["value"] == 1


def check_surveys(folder: Path) -> None:
    """All spectra of the six files have rows."""
    assert len(qnet.read_catalogue(folder / "surveys.fits")) == 4 * 3 + 2


def check_instrument(folder: Path) -> None:
    """The model is calibrated, and classified all spectra."""
    assert qnet.load_model(folder / "qnet-lamost.safetensors").calibration is not None
    assert len(qnet.read_catalogue(folder / "lamost-catalogue.fits")) == 200


#: What is true of the files that a page made.
CHECKS = {
    "how-to/lyman-alpha": check_picca,
    "how-to/sdss-v-inspection": check_sdss5,
    "reference/surveys": check_surveys,
    "explanation/other-instruments": check_instrument,
}


@pytest.fixture(scope="session")
def outcomes(folder, request) -> Iterator[Callable[[str], str]]:
    """What failed on a page, or nothing; the selected pages before it are run first."""
    tests = (item for item in request.session.items if item.name.startswith("test_page_runs["))
    selected = {item.callspec.params["page"] for item in tests} | FIRST
    waiting = [page for page in PAGES if page in selected and not missing(page)]
    found: dict[str, str] = {}
    reader = Reader(folder)

    def find(page: str) -> str:
        while page not in found:
            first = waiting.pop(0)
            MADE.get(first, lambda folder: None)(folder)
            found[first] = reader.run(DOCS / f"{first}.md", SMALLER.get(first, ()))
        return found[page]

    yield find
    reader.close()


def missing(page: str) -> list[str]:
    """Packages that a page needs and that are not installed."""
    return [name for name in NEEDS.get(page, ()) if importlib.util.find_spec(name) is None]


@pytest.mark.parametrize("page", PAGES)
def test_page_runs(page, outcomes, folder):
    """Every block of a page runs, after the pages before it, and prints what the page shows."""
    if missing(page):
        pytest.skip(f"{missing(page)} are not installed")
    failure = outcomes(page)
    assert not failure, f"{page}:\n{failure}"
    CHECKS.get(page, lambda folder: None)(folder)


def test_every_page_is_in_the_order():
    """No page with commands is left out: each is in a table of contents."""
    pages = {str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.rglob("*.md")}
    runnable = {page for page in pages if FENCE.search((DOCS / f"{page}.md").read_text())}
    assert runnable - set(NOT_RUN) == set(PAGES)
    assert len(PAGES) == len(set(PAGES))
