"""No half-written file under a final name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from qnet.core.errors import FileError, MissingFileError, OutputExistsError
from qnet.core.files import atomic_write, check_input, check_output


def test_a_file_appears_when_it_is_whole(tmp_path):
    final = tmp_path / "a.txt"
    with atomic_write(final) as partial:
        partial.write_text("half")
        assert not final.exists()
        assert partial.parent == final.parent
        assert partial.suffix == final.suffix
    assert final.read_text() == "half"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_an_error_leaves_nothing_behind(tmp_path, error):
    final = tmp_path / "a.txt"
    final.write_text("old")

    def fail():
        with atomic_write(final, overwrite=True) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert final.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    final = tmp_path / "a.txt"

    def race():
        with atomic_write(final) as partial:
            partial.write_text("ours")
            final.write_text("theirs")

    with pytest.raises(OutputExistsError, match="exists already"):
        race()
    assert final.read_text() == "theirs"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_nothing_written_is_an_error(tmp_path):
    nothing = atomic_write(tmp_path / "a.txt")
    nothing.__enter__()
    with pytest.raises(FileError, match=r"a.txt: nothing was written"):
        nothing.__exit__(None, None, None)


def test_a_killed_process_leaves_no_final_file(tmp_path):
    """SIGKILL in the middle of a write: the final name does not exist."""
    program = (
        "import os, signal, sys\n"
        "from qnet.core.files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as partial:\n"
        "    partial.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    final = tmp_path / "a.fits"
    done = subprocess.run([sys.executable, "-c", program, str(final)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not final.exists()
    assert all(name.startswith(".qnet-") for name in os.listdir(tmp_path))


def test_outputs_that_cannot_be(tmp_path):
    with pytest.raises(FileError, match="is a directory, but the name of an output file"):
        check_output(tmp_path, overwrite=True)
    with pytest.raises(FileError, match=r"its folder .*none does not exist"):
        check_output(tmp_path / "none" / "a.fits", overwrite=True)
    (tmp_path / "a.fits").write_text("x")
    with pytest.raises(OutputExistsError, match="ask for overwriting"):
        check_output(tmp_path / "a.fits", overwrite=False)


def test_inputs_that_cannot_be(tmp_path):
    with pytest.raises(MissingFileError, match=r"none: no such file; spectra was expected"):
        check_input(tmp_path / "none", "spectra")
    with pytest.raises(FileError, match="is a directory, but spectra was expected"):
        check_input(tmp_path, "spectra")
    (tmp_path / "empty").touch()
    with pytest.raises(FileError, match=r"empty: is empty, but spectra was expected"):
        check_input(tmp_path / "empty", "spectra")
