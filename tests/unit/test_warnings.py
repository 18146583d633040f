"""Warnings point at the line of the caller's code that led to them."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

import qnet
from makers import desi_coadd, desi_set, make_spectra, write
from qnet.core.errors import QnetWarning
from qnet.training import prepare

WAVE = np.arange(3700.0, 9500.0, 4.0)
FLUX, IVAR = make_spectra(WAVE, [1.0, 2.0])


@pytest.fixture
def bare(tmp_path):
    """A coadd without FIBERMAP."""
    return write(tmp_path / "bare.fits", desi_coadd(desi_set()))


def _of_a_table():
    times = np.array(["2020-01-01"] * 2, dtype="datetime64[D]")
    return qnet.io.from_table(Table({"wave": [WAVE] * 2, "flux": FLUX, "ivar": IVAR, "t": times}))


#: Calls that warn from the readers, through a progress bar, a generator and a guarded call.
CALLS = {
    "read_spectra": lambda bare, _: qnet.read_spectra(bare),
    "classify": lambda bare, model: qnet.classify([bare, bare], model=model, progress=True),
    "classify skips": lambda bare, model: qnet.classify([bare, "n"], model=model, errors="skip"),
    "classify ids": lambda bare, model: qnet.classify(bare, model=model, targetids=[77]),
    "classify grid": lambda _, model: qnet.classify(
        model.wave, *qnet.preprocess.rebin(WAVE, FLUX, IVAR, model.grid), model=model
    ),
    "from_table": lambda *_: _of_a_table(),
    "prepare": lambda bare, _: prepare([bare], bare.with_name("out.fits")),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_warning_points_at_the_callers_line(bare, small_model, call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        CALLS[call](bare, small_model)
    assert caught
    lines, _ = inspect.getsourcelines(sys.modules[__name__])
    for warning in caught:
        assert warning.category is QnetWarning
        assert warning.filename == __file__
        assert "qnet." in lines[warning.lineno - 1] or "prepare(" in lines[warning.lineno - 1]


def test_a_warning_is_shown_once_for_each_line_of_a_script(tmp_path, bare):
    """As those of any library: the filters of Python apply to the script's lines."""
    script = tmp_path / "script.py"
    read = f"    qnet.read_spectra({str(bare)!r})\n"
    script.write_text(f"import qnet\nfor _ in range(3):\n{read}{read}")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    shown = [line for line in done.stderr.splitlines() if "QnetWarning" in line]
    assert [line.split(": ")[0] for line in shown] == [f"{script}:3", f"{script}:4"]


def test_warnings_are_given_in_one_place():
    """By `qnet.core.errors.warn` alone, which finds the line."""
    sources = Path(qnet.__file__).parent.rglob("*.py")
    calls = [
        f"{path.name}:{node.lineno}"
        for path in sources
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("warn", "warn_explicit")
    ]
    assert [call.split(":")[0] for call in calls] == ["errors.py"]
