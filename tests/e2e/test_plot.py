"""qnet plot, as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from makers import desi_cframe, desi_coadd, desi_set, fibermap, write
from shell import errors, run

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def coadd(tmp_path, monkeypatch):
    """A coadd of three targets, one of them twice, in the current folder."""
    monkeypatch.chdir(tmp_path)
    columns = fibermap([7, 8, 9, 8], EXPID=np.int32([1, 1, 1, 2]))
    return write("coadd.fits", desi_coadd(desi_set((1.0, 2.0, 3.0, 2.0)), columns))


def test_a_figure_of_a_row_or_target(coadd, small_weights):
    model = ["--model", small_weights]
    done = run("plot", coadd, "--row", "2", "-o", "row.png", *model)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("qnet: TARGETID 9, coadd.fits row ")
    assert done.stdout.endswith(" -> row.png\n")
    again = run("plot", coadd, "--targetid", "9", "-o", "target.png", *model)
    assert again.stdout == done.stdout.replace("row.png", "target.png")
    row, target = (Path(name).read_bytes() for name in ("row.png", "target.png"))
    assert row.startswith(PNG)
    assert row == target


def test_exposures_of_a_target(coadd, small_weights):
    options = [coadd, "--targetid", "8", "--model", small_weights]
    done = run("plot", *options, "-o", "one.png")
    assert done.returncode == 0
    assert done.stderr == (
        "qnet: warning: coadd.fits: rows 1, 3 are of TARGETID 8: row 1 is shown; --coadd target "
        "joins them\n"
    )
    done = run("plot", *options, "--coadd", "target", "-o", "two.pdf", "--c-threshold", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "TARGETID 8, coadd.fits row " in done.stdout
    assert ": no quasar" in done.stdout


def test_frames_are_one_spectrum(coadd, small_weights):
    names = []
    for camera, data in desi_set((2.0,)).items():
        name = f"cframe-{camera.lower()}0-00085607.fits"
        names.append(write(name, desi_cframe(f"{camera.lower()}0", *data, fibermap([5]))))
    done = run("plot", *names, "-o", "a.svg", "--model", small_weights)
    assert (done.returncode, done.stderr) == (0, "")
    assert "TARGETID 5, " in done.stdout


def test_a_panel_of_what_decided(coadd, small_weights):
    options = [coadd, "--row", "0", "--model", small_weights]
    done = run("plot", *options, "-o", "a.png", "--explain")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("qnet: TARGETID 7, coadd.fits row 0: ")
    width, height = (int.from_bytes(Path("a.png").read_bytes()[at:][:4], "big") for at in (16, 20))
    assert height > 0.7 * width  # one panel has half of the width


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["coadd.fits", "-o", "a.png"], 2, "has 4 spectra: say which with --row or --targetid"),
        (["coadd.fits", "-o", "a.png", "--row", "4"], 2, "row must be in 0 .. 3, not 4"),
        (["coadd.fits", "-o", "a.png", "--targetid", "4"], 2, "has no spectrum of TARGETID 4"),
        (["coadd.fits", "-o", "a.txt", "--row", "0"], 2, "must end in one of .png, .pdf, .svg"),
        (["coadd.fits", "-o", "no/a.png", "--row", "0"], 2, "its folder no does not exist"),
        (["coadd.fits", "b.fits", "-o", "a.png"], 2, "is not of one set of frames with coadd.fits"),
        (["none.fits", "-o", "a.png"], 1, "none.fits: no such file"),
    ],
    ids=range(7),
)
def test_what_cannot_be_plotted(coadd, small_weights, arguments, status, message):
    done = run("plot", *arguments, "--model", small_weights)
    assert done.returncode == status
    (error,) = errors(done)
    assert message in error
    assert os.listdir() == ["coadd.fits"]


def test_without_matplotlib_the_error_says_what_to_install(coadd, small_weights):
    """A finder in front of all others hides matplotlib."""
    program = (
        "import sys\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'matplotlib':\n"
        "            raise ModuleNotFoundError(name)\n"
        "import importlib.util\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda n, p=None: None if n == 'matplotlib' else real(n, p)\n"
        "sys.meta_path.insert(0, Hide())\n"
        "from qnet.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    arguments = ["plot", "coadd.fits", "--row", "0", "-o", "a.png", "--model", str(small_weights)]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        "qnet: error: figures need matplotlib, which is not installed: install qnet-quasar[plot]\n"
    )
