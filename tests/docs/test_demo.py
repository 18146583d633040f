"""The demo runs where there are no data, and says what is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import qnet

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"

pytestmark = pytest.mark.skipif(not DEMO.is_file(), reason=f"the demo is not here: no {DEMO}")


def test_demo_simulates_classifies_and_compares(tmp_path):
    """A line for each row asked for, three files, and numbers of the quasars in them."""
    command = [sys.executable, str(DEMO), "-n", "120", "--rows", "5"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        f"demo-{name}.fits" for name in ("coadd", "truth", "catalogue")
    }
    table = qnet.read_catalogue(tmp_path / "demo-catalogue.fits")
    assert len(table) == 120
    assert table.meta["MODEL"] == qnet.load_model().name
    assert all(str(targetid) in done.stdout for targetid in table["TARGETID"][:5])
    assert str(table["TARGETID"][5]) not in done.stdout
    assert f"{table['IS_QSO'].sum()} quasars in 120 spectra" in done.stdout
    completeness = float(re.search(r"^completeness +([\d.]+)", done.stdout, re.M).group(1))
    assert 0.7 < completeness <= 1
