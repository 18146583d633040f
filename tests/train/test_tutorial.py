"""The steps of QuasarNET's tutorial, under qnet's names, on simulated spectra."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from qnet.simulate import simulate, write_simulation

SCRIPT = Path(__file__).parents[2] / "examples" / "tutorial.py"

pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason=f"the script is not here: no {SCRIPT}")


def test_the_steps_of_the_tutorial_run_to_the_end(tmp_path):
    pytest.importorskip("keras")
    paths = tmp_path / "data.fits", tmp_path / "truth.fits"
    write_simulation(simulate(2000, seed=5, survey="sdss"), *paths)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, paths), "--ntrain", "1500", "--epochs", "8"],
        cwd=tmp_path,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = re.findall(r"^(0\.\d)   ([\d.]+)  ([\d.]+)$", done.stdout, re.MULTILINE)
    assert [row[0] for row in rows] == ["0.1", "0.3", "0.5", "0.7", "0.9"]
    completeness = [float(row[2]) for row in rows]
    assert completeness == sorted(completeness, reverse=True)
    # The network has learned something, in the little time that a test has.
    assert completeness[0] > 0.3
    losses = [float(value) for value in re.findall(r" loss: ([\d.]+)", done.stdout)]
    assert losses[-1] < 0.5 * losses[0]
