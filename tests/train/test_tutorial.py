"""QuasarNET's tutorial, its section 4, on simulated spectra: as a script of qnet's, and unchanged.

"Unchanged" is the code of the tutorial itself after ``sed s/quasarnet/qnet/`` and a change of
paths. It is not part of qnet: where its text is not beside the sample data, that test is skipped.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qnet.evaluation import purity_completeness
from shell import run

SCRIPT = Path(__file__).parents[2] / "examples" / "tutorial.py"

#: What a script of QuasarNET's needs beside new names: NumPy 2.4 has dropped `in1d`.
NUMPY = """
import numpy as np
if not hasattr(np, "in1d"):
    np.in1d = np.isin
"""

#: Makes the run repeatable.
SEED = """
import keras
keras.utils.set_random_seed(1)
"""

#: Folder of the tutorial's files, and the file that takes the place of each.
TUTORIAL_FOLDER = "/global/cfs/projectdirs/desi/users/jfarr/ML_TensorFlow_tutorial"
PATHS = {
    "truth_DR12Q.fits": "boss-truth.fits",
    "data_dr12.fits": "boss.fits",
    "data_train_0.fits": "boss-train.fits",
    "qn_on_68002.fits": "desi-catalogue.fits",
    "truth_68002.fits": "desi-truth.fits",
    "data_andes_68002_20200315.fits": "desi.fits",
}

#: Saves the results of a half: arrays for `purity_completeness`, and the tutorial's own numbers.
REPORT = """
np.savez("{name}.npz", c_line=c_line, zbest=zbest, Y={Y}, z={z}, pur=pur, com=com)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files that the script's docstring makes, but fewer and brighter spectra."""
    pytest.importorskip("keras")
    folder = tmp_path_factory.mktemp("tutorial")
    numbers = {"30000": "1500", "10000": "1000", "2000": "60"}
    commands = re.findall(r"^    qnet (.*)$", SCRIPT.read_text(), re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        words = [numbers.get(word, word) for word in command.split()]
        words = ["sdss" if word == "boss" else word for word in words]
        done = run(*words, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def run_script(*words, cwd):
    """Run a script to its end; what it prints."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.skipif(not SCRIPT.is_file(), reason=f"the script is not here: no {SCRIPT}")
def test_the_script_runs_to_the_end(folder):
    printed = run_script(SCRIPT, folder, "--seed", "1", cwd=folder)
    for survey in ("boss", "desi"):
        table = printed[printed.index(f"{survey}-purity: ") :]
        rows = re.findall(r"^(0\.\d)   ([\d.]+)  ([\d.]+)$", table, re.MULTILINE)[:5]
        assert [row[0] for row in rows] == ["0.1", "0.3", "0.5", "0.7", "0.9"]
        completeness = [float(row[2]) for row in rows]
        assert completeness == sorted(completeness, reverse=True)
        # The network has learned something, in the little that it is shown here.
        assert completeness[0] > 0.3
    losses = [float(value) for value in re.findall(r" loss: ([\d.]+)", printed)]
    assert len(losses) == 5
    assert losses[-1] < 0.5 * losses[0]
    names = {path.name for path in folder.glob("*.png")}
    assert {"boss-spectrum-0.png", "boss-purity.png", "desi-spectrum-1.png"} <= names


def section_four(text):
    """The code of the tutorial: its imports, then section 4 in two halves, BOSS and DESI."""
    imports = code_cells(text[: text.index("## 1. Machine learning")])
    cells = code_cells(text[text.index("## 4. QuasarNET") : text.index("# BONUS")])
    half = next(i for i, cell in enumerate(cells) if cell.startswith("results = "))
    return "\n".join(imports), "\n".join(cells[:half]), "\n".join(cells[half:])


def code_cells(section):
    """The code of each cell of a section that is not all notebook magic."""
    cells = section.split("In [None]:\n")[1:]
    return [longest_code(cell) for cell in cells if not cell.startswith("%")]


def longest_code(cell):
    """A cell without the prose that follows it."""
    rows = cell.split("\n")
    for end in range(len(rows), 0, -1):
        code = "\n".join(rows[:end])
        try:
            compile(code, "cell", "exec")
        except SyntaxError:
            continue
        return code
    raise AssertionError(f"no code in {cell!r}")


def test_section_four_runs_after_sed_and_a_change_of_paths(folder, shared_data):
    tutorial = shared_data.parent / "reference" / "tutorial_notebook.txt"
    if not tutorial.is_file():
        pytest.skip(f"QuasarNET's tutorial is not here: no {tutorial}")
    for name in ("pandas", "tensorflow"):
        pytest.importorskip(name, reason="the tutorial imports it")
    lines = tutorial.read_text().split("\n")
    renamed = "\n".join(line.replace("quasarnet", "qnet", 1) for line in lines)
    imports, boss, desi = section_four(renamed)
    assert imports.count("from qnet.") == 3
    code = "\n".join(
        [
            NUMPY,
            imports,
            SEED,
            boss,
            REPORT.format(name="boss", Y="Y_val", z="z_val"),
            desi,
            REPORT.format(name="desi", Y="Y", z="z"),
        ]
    )
    assert code.count(TUTORIAL_FOLDER) == len(PATHS)
    for theirs, ours in PATHS.items():
        code = code.replace(f"{TUTORIAL_FOLDER}/{theirs}", str(folder / ours))
    (folder / "section.py").write_text(code)
    run_script("section.py", cwd=folder)
    for survey in ("boss", "desi"):
        with np.load(folder / f"{survey}.npz") as found:
            scan = purity_completeness(*(found[name] for name in ("c_line", "zbest", "Y", "z")))
            # To the last bit: qnet counts as the tutorial's own code does.
            np.testing.assert_array_equal(scan.purity, found["pur"])
            np.testing.assert_array_equal(scan.completeness, found["com"])
            assert found["com"][10] > 0.3
