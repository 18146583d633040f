"""The demo runs where its data are, and says what is missing where they are not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import qnet

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"

pytestmark = pytest.mark.skipif(not DEMO.is_file(), reason=f"the demo is not here: no {DEMO}")


def run_demo(data: Path, folder: Path) -> str:
    """Output of the demo, run in a folder."""
    command = [sys.executable, str(DEMO), "--data", str(data)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_demo_without_data_says_so(tmp_path):
    """One line that names the folder; nothing is written."""
    output = run_demo(tmp_path / "absent", tmp_path)
    assert "the demo needs" in output
    assert str(tmp_path / "absent") in output
    assert output.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_demo_classifies_and_compares(tmp_path, shared_data):
    """A line for each spectrum, a catalogue, and the comparison with the visual inspection."""
    output = run_demo(shared_data, tmp_path)
    table = qnet.read_catalogue(tmp_path / "demo-catalogue.fits")
    assert all(str(targetid) in output for targetid in table["TARGETID"])
    found, quasars, wrong = map(
        int, re.search(r"(\d+) of (\d+) quasars found, (\d+) of \d+ others", output).groups()
    )
    assert 0 < found <= quasars
    assert found + wrong == table["IS_QSO"].sum()
