"""What is released: the wheel and the sdist, built from the checkout."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Largest size of each [bytes].
MOST = 10e6

#: Suffixes of files of data: of the package only its own weights may have one.
DATA = (".fits", ".fits.gz", ".fit", ".h5", ".hdf5", ".npy", ".npz", ".parquet", ".csv", ".ecsv")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the sdist."""
    for name in ("build", "hatchling"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("there is no checkout")
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def contents(path):
    """Names and sizes of the files of a wheel or an sdist."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as file:
            return {each.filename: each.file_size for each in file.infolist()}
    with tarfile.open(path) as file:
        return {each.name.partition("/")[2]: each.size for each in file if each.isfile()}


def test_the_release_holds_the_package_and_no_data(built):
    for path in built:
        assert path.stat().st_size < MOST, path.name
        names = contents(path)
        assert not [name for name in names if name.lower().endswith(DATA)]
        weights = [name for name in names if name.endswith(".safetensors")]
        assert {Path(name).parent.name for name in weights} == {"data"}
        assert {Path(name).name for name in weights} == {"qnet-4.safetensors", "qnet-5.safetensors"}
        others = [name for name in names if name not in weights]
        # A template or a spectrum, whatever its name, would be larger than source and pictures.
        assert max(names[name] for name in others) < 1.5e6
        own = {"src", "tests", "docs", "benchmarks", "examples", "fuzz", "recipes"}
        top = {name.split("/")[0] for name in others if "/" in name}
        assert {name for name in top if not name.endswith(".dist-info")} <= own | {"qnet"}
        assert any(name.endswith("LICENSE") for name in names)


def test_the_metadata_are_those_of_a_release(built):
    wheel, sdist = built
    assert "docs/figures/spectrum.png" in contents(sdist)  # README shows it
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith("/METADATA"))
        metadata = message_from_bytes(file.read(name))
    citation = (ROOT / "CITATION.cff").read_text()
    assert metadata["Name"] == "qnet-quasar"
    assert f"version: {metadata['Version']}\n" in citation
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert f"license: {metadata['License-Expression']}\n" in citation
    assert metadata["Keywords"]
    assert len(metadata.get_all("Classifier")) > 8
    if importlib.util.find_spec("twine") is None:
        pytest.skip("twine is not installed")
    words = [sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_page_installs_the_package_of_another_project():
    """The name qnet is another project's: users install qnet-quasar, or a checkout."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    pages += [*(ROOT / "src").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
    for page in pages:
        for line in page.read_text().splitlines():
            if "pip install" in line:
                words = line.split("pip install")[1].replace('"', " ").replace("'", " ").split()
                assert not {word for word in words if word.partition("[")[0] == "qnet"}, page
