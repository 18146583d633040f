"""PreparedWriter and read_spectra are inverse, and no half-written file bears its final name."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from qnet.core.errors import FileError, InputError, OutputExistsError
from qnet.core.grid import QUASARNET_GRID, QUASARNET_LINEAR_GRID, WavelengthGrid
from qnet.io import Card, PreparedWriter, read_spectra
from qnet.io.fits.file import FitsFile
from qnet.io.readers.prepared import prepared_grid

GRID = WavelengthGrid.log(4000, 5000, 1e-2)


def random_spectra(nspec, grid=GRID, seed=0):
    rng = np.random.default_rng(seed)
    shape = (nspec, grid.npix)
    return rng.normal(size=shape).astype(np.float32), rng.random(shape).astype(np.float32)


def write_parts(path, flux, ivar, ids, stops, **options):
    with PreparedWriter(path, GRID, **options) as writer:
        for start, stop in zip([0, *stops], [*stops, len(flux)], strict=True):
            part = {name: column[start:stop] for name, column in ids.items()}
            writer.write(flux[start:stop], ivar[start:stop], part)
        assert writer.nspec == len(flux)
    return path


@given(data=st.data(), nspec=st.integers(0, 12))
def test_what_is_written_in_any_parts_is_read(tmp_path_factory, data, nspec):
    stops = sorted(data.draw(st.lists(st.integers(0, nspec), max_size=4)))
    targetid = data.draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=nspec, max_size=nspec))
    flux, ivar = random_spectra(nspec)
    ids = {"TARGETID": np.array(targetid, np.int64), "RANK": np.arange(nspec, dtype=np.int32)}
    path = tmp_path_factory.mktemp("data") / "data.fits"
    spectra = read_spectra(write_parts(path, flux, ivar, ids, stops))
    (camera,) = spectra.cameras
    np.testing.assert_array_equal(camera.wave, GRID.wave)
    np.testing.assert_array_equal(camera.flux, flux)
    np.testing.assert_array_equal(camera.ivar, ivar)
    assert spectra.ids["TARGETID"].tolist() == targetid
    if nspec:
        assert spectra.ids["RANK"].tolist() == list(range(nspec))


@given(
    spacing=st.sampled_from(["log", "linear"]),
    start=st.floats(3.0, 4.5),
    step=st.floats(1e-9, 1e-2),
    npix=st.integers(2, 30),
)
def test_the_grid_comes_back_bit_for_bit(tmp_path_factory, spacing, start, step, npix):
    grid = WavelengthGrid(spacing, start, step, npix)
    path = tmp_path_factory.mktemp("data") / "data.fits"
    with PreparedWriter(path, grid):
        pass
    with FitsFile(path) as file:
        assert prepared_grid(file) == grid


@pytest.mark.parametrize("grid", [QUASARNET_GRID, QUASARNET_LINEAR_GRID], ids=["log", "linear"])
def test_other_readers_find_a_whole_file(tmp_path, grid):
    """The standard's checksums and names, with a name of characters that cfitsio interprets."""
    path = tmp_path / "data é[1](2)+.fits"
    cards = (Card("SEED", 7, "of the simulation"), Card("LONG", "x" * 200), Card("PLACE", "é"))
    flux, ivar = random_spectra(5, grid)
    with PreparedWriter(path, grid, cards=cards) as writer:
        writer.write(flux, ivar, {"TARGETID": np.arange(5), "SURVEY": np.array(list("abcde"))})
    with fits.open(path, checksum=True) as hdus:
        hdus.verify("exception")
        header = hdus[0].header
        np.testing.assert_array_equal(hdus[0].data, np.hstack([flux, ivar]))
        assert hdus[0].data.dtype == np.dtype(">f4")
        assert (header["NPIX"], header["QNGRID"]) == (grid.npix, grid.spacing)
        assert (header["SEED"], header["LONG"], header["PLACE"]) == (7, "x" * 200, r"\xe9")
        assert hdus[1].name == "IDS"
        assert hdus[1].data["SURVEY"].tolist() == list("abcde")
    assert os.listdir(tmp_path) == [path.name]


def test_batches_with_other_columns_and_longer_text(tmp_path):
    flux, ivar = random_spectra(1)
    with PreparedWriter(tmp_path / "data.fits", GRID) as writer:
        writer.write(flux, ivar, {"TARGETID": [1], "PLATE": np.int32([7]), "NAME": ["a"]})
        writer.write(flux, ivar, {"TARGETID": [2], "DESI_TARGET": [4], "NAME": ["long name"]})
    ids = read_spectra(tmp_path / "data.fits").ids
    assert ids["PLATE"].tolist() == [7, -1]
    assert ids["DESI_TARGET"].tolist() == [0, 4]
    assert ids["NAME"].tolist() == ["a", "long name"]


def test_many_small_batches(tmp_path):
    flux, ivar = random_spectra(1)
    with PreparedWriter(tmp_path / "data.fits", GRID) as writer:
        for number in range(600):
            writer.write(flux * number, ivar, {"TARGETID": [number]})
    spectra = read_spectra(tmp_path / "data.fits")
    assert spectra.ids["TARGETID"].tolist() == list(range(600))
    np.testing.assert_array_equal(spectra.cameras[0].flux[500], flux[0] * 500)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flux": np.ones((2, 3))}, r"must have the shape \(nspec, 9\) of the grid"),
        ({"ivar": np.ones((1, 9))}, r"must have the shape \(nspec, 9\) of the grid"),
        ({"flux": np.ones(9)}, r"must have the shape \(nspec, 9\) of the grid"),
        ({"ids": {"PLATE": [1, 2]}}, r"ids must have TARGETID, not only \['PLATE'\]"),
        ({"ids": {"TARGETID": [1, 2, 3]}}, r"ids must have the shape \(2,\) of the spectra"),
        ({"flux": np.full((2, 9), np.nan)}, "2 of 2 spectra are not so, the first in row 0"),
        ({"flux": np.full((2, 9), 1e39)}, "flux and ivar must be finite in float32"),
        ({"ivar": np.full((2, 9), -1.0)}, "ivar not negative"),
    ],
    ids=range(8),
)
def test_what_cannot_be_stored(tmp_path, change, message):
    values = {"flux": np.ones((2, 9)), "ivar": np.ones((2, 9)), "ids": {"TARGETID": [1, 2]}}
    with (
        pytest.raises(InputError, match=message),
        PreparedWriter(tmp_path / "data.fits", GRID) as writer,
    ):
        writer.write(**(values | change))
    assert os.listdir(tmp_path) == []


def test_an_error_or_interrupt_leaves_what_was_there(tmp_path):
    path = tmp_path / "data.fits"
    flux, ivar = random_spectra(3)
    write_parts(path, flux, ivar, {"TARGETID": np.arange(3)}, [])
    before = path.read_bytes()

    def fail(error):
        with PreparedWriter(path, GRID, overwrite=True) as writer:
            writer.write(flux, ivar, {"TARGETID": np.arange(3)})
            raise error

    for error in (ZeroDivisionError, KeyboardInterrupt):
        with pytest.raises(error):
            fail(error)
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["data.fits"]


def test_outputs_that_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"d\.fits\.gz: the name of a prepared data file must end"):
        PreparedWriter(tmp_path / "d.fits.gz", GRID)
    (tmp_path / "d.fits").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"d\.fits: exists already"):
        PreparedWriter(tmp_path / "d.fits", GRID)
    with pytest.raises(FileError, match="does not exist"):
        PreparedWriter(tmp_path / "no" / "d.fits", GRID)
    with pytest.raises(InputError, match="is not open: use the writer in a with statement"):
        PreparedWriter(tmp_path / "e.fits", GRID).write([[1.0] * 9], [[1.0] * 9], {"TARGETID": [1]})
    for card in (Card("TOO LONG A KEY", 1), Card("TEXT", "two\nlines"), Card("NAN", np.nan)):
        writer = PreparedWriter(tmp_path / "e.fits", GRID, cards=[card])
        with pytest.raises(InputError, match=f"card '?{card.key}"):
            writer.__enter__()
    assert os.listdir(tmp_path) == ["d.fits"]


@pytest.mark.parametrize("limit", [2000, 20000, 57000], ids=["header", "pixels", "table"])
def test_a_full_disk_is_a_file_error(tmp_path, limit):
    """A limit on the size of files stands for the disk; in a process of its own."""
    program = (
        "import sys, signal, numpy as np, qnet\n"
        "from qnet.core.grid import WavelengthGrid\n"
        "from qnet.io import PreparedWriter\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try:\n"
        "    with PreparedWriter(sys.argv[1], WavelengthGrid.log(4000, 5000, 1e-2)) as writer:\n"
        "        for number in range(70):\n"
        "            data = np.ones((10, 9))\n"
        "            writer.write(data, data, {'TARGETID': np.arange(10)})\n"
        "except qnet.FileError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "data.fits"],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert "data.fits: could not be written" in done.stdout
    assert os.listdir(tmp_path) == []


def test_memory_does_not_grow_with_the_pixels(tmp_path):
    """A hundred times more spectra than are held at a time; measured in a process of its own."""
    program = (
        "import sys, resource, numpy as np\n"
        "from qnet.core.grid import QUASARNET_GRID\n"
        "from qnet.io import PreparedWriter\n"
        "def peak():\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "data = np.ones((500, 443), np.float32)\n"
        "with PreparedWriter(sys.argv[1], QUASARNET_GRID) as writer:\n"
        "    for number in range(60):\n"
        "        writer.write(data, data, {'TARGETID': np.arange(500)})\n"
        "        if number == 2:\n"
        "            before = peak()\n"
        "print(peak() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "data.fits"],
        capture_output=True,
        text=True,
        check=True,
    )
    size = (tmp_path / "data.fits").stat().st_size / 1024
    assert size > 100_000
    assert int(done.stdout) < size / 5  # both in KiB
