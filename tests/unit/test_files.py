"""No half-written file under a final name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

import qnet
from qnet.cli import main
from qnet.cli.common import complain, show_warning
from qnet.core.errors import (
    FileError,
    InputError,
    MissingFileError,
    OutputExistsError,
    QnetError,
    QnetWarning,
)
from qnet.core.files import as_paths, atomic_write, check_input, check_output
from qnet.core.kinds import A_FITS_FILE, TEXT, find_kind
from qnet.core.partials import name_partial


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


KILLED = """
import os, signal, sys
from qnet.core.files import atomic_write
with atomic_write(sys.argv[1]) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_no_final_file_and_the_next_removes_the_rest(tmp_path):
    finals = [tmp_path / name for name in ("a.fits", "x" * 240 + "[1].fits")]
    for final in finals:
        done = subprocess.run([sys.executable, "-c", KILLED, str(final)], check=False)
        assert done.returncode == -signal.SIGKILL
        assert not final.exists()
    assert all(name.startswith(".qnet-") for name in os.listdir(tmp_path))
    assert len(os.listdir(tmp_path)) == 2
    for number, final in enumerate(finals, start=1):
        with atomic_write(final) as partial:
            partial.write_text("whole")
        left = [name for name in os.listdir(tmp_path) if name.startswith(".qnet-")]
        assert len(left) == 2 - number


def test_what_may_be_written_still_is_left_and_reported(tmp_path):
    final = tmp_path / "a.fits"
    with atomic_write(final) as running:
        running.write_text("half")
        with (
            pytest.warns(QnetWarning, match=rf"a\.fits: is being written by .*{running.name}"),
            atomic_write(final) as partial,
        ):
            partial.write_text("first")
        assert running.read_text() == "half"
        final.unlink()
    # The same from another machine, whose processes have numbers of their own.
    machine, process = running.name.split(".")[2:4]
    other = tmp_path / running.name.replace(f"{machine}.{process}", f"0123456789ab.{2**22 + 1}")
    other.touch()
    with (
        pytest.warns(QnetWarning, match=re.escape(f"killed on another machine left {other}")),
        atomic_write(final, overwrite=True) as partial,
    ):
        partial.write_text("whole")
    assert sorted(os.listdir(tmp_path)) == [other.name, "a.fits"]


def test_outputs_that_cannot_be(tmp_path):
    with pytest.raises(FileError, match="is a directory, but the name of an output file"):
        check_output(tmp_path, overwrite=True)
    with pytest.raises(FileError, match=r"its folder .*none does not exist"):
        check_output(tmp_path / "none" / "a.fits", overwrite=True)
    (tmp_path / "a.fits").write_text("x")
    with pytest.raises(OutputExistsError, match="ask for overwriting"):
        check_output(tmp_path / "a.fits", overwrite=False)


def test_inputs_that_cannot_be(tmp_path):
    with pytest.raises(MissingFileError, match=r"none: no such file; a FITS file was expected"):
        check_input(tmp_path / "none", A_FITS_FILE)
    with pytest.raises(FileError, match="is a directory, but a FITS file was expected"):
        check_input(tmp_path, A_FITS_FILE)
    (tmp_path / "empty").touch()
    with pytest.raises(FileError, match=r"empty: is empty, but a FITS file was expected"):
        check_input(tmp_path / "empty", A_FITS_FILE)


NAMES = ["b.fits", "a.fits"]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ("a.fits", ["a.fits"]),
        (b"a.fits", ["a.fits"]),
        ((Path(name) for name in NAMES), NAMES),
        (map(Path, NAMES), NAMES),
        (dict.fromkeys(NAMES).keys(), NAMES),
        (dict(enumerate(NAMES)).values(), NAMES),
        (set(NAMES), sorted(NAMES)),
        (frozenset(map(Path, NAMES)), sorted(NAMES)),
        (np.array(NAMES), NAMES),
        (np.array(NAMES, dtype="S"), NAMES),
        (np.array([Path(name) for name in NAMES]), NAMES),
        (np.array([["b.fits"], ["a.fits"]], dtype=object), NAMES),
        (np.array("a.fits"), ["a.fits"]),
        (Table({"name": NAMES})["name"], NAMES),
        ([], []),
    ],
    ids=lambda value: type(value).__name__,
)
def test_paths_of_any_kind_of_collection(paths, names):
    assert [str(path) for path in as_paths(paths)] == names


@pytest.mark.parametrize(
    "paths",
    [
        None,
        3,
        [3],
        ["a", None],
        np.arange(3.0),
        {"a.fits": 1},
        Table({"a.fits": [1]}),
        io.StringIO("a.fits"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_collection_of_paths(paths):
    with pytest.raises(InputError, match=r"^files must be a path( or several)?, not "):
        as_paths(paths, "files")


def test_paths_in_objects_of_pandas():
    pandas = pytest.importorskip("pandas")
    assert [str(path) for path in as_paths(pandas.Series(NAMES))] == NAMES
    with pytest.raises(InputError, match=r"^files must be a path or several, not a.fits"):
        as_paths(pandas.DataFrame({"a.fits": [1]}), "files")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("-", r"\(standard input is not read\)"),
        ("folder", r"give the files in it, as .*folder/\*.fits in a shell or sorted\(Path\(folder"),
        (
            "*.fits",
            r"a pattern: a shell leaves .* no file matches; .*sorted\(Path\(folder\).glob",
        ),
        ("spec-[0-9].fits", "a pattern: a shell"),
    ],
)
@pytest.mark.parametrize("command", ["read", "classify", "prepare", "truth", "evaluate"])
def test_folders_and_patterns_say_how(
    tmp_path, monkeypatch, capsys, small_weights, name, hint, command
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    if command == "read":
        with pytest.raises(FileError, match=hint):
            qnet.read_spectra(name)
        return
    arguments = {
        "classify": [name, "-o", "out.fits", "--model", str(small_weights)],
        "prepare": [name, "-o", "out.fits"],
        "truth": ["--superset", name, "-o", "out.fits"],
        "evaluate": ["--spectra", name, "--truth", name, "--model", str(small_weights)],
    }
    assert main([command, *arguments[command]]) == 1
    error = capsys.readouterr().err
    assert re.search(hint, error)
    assert len(error.splitlines()) == 1


def _zipped(*names):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return stream.getvalue()


def _tarred():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("coadd.fits"))
    return stream.getvalue()


def _saved(save, *arrays):
    stream = io.BytesIO()
    save(stream, *arrays)
    return stream.getvalue()


#: Contents of files, what each is called, and what the error advises; None: it passes.
CONTENTS = {
    "fits": (b"SIMPLE  =                    T", None, None),
    "gzip of fits": (gzip.compress(b"SIMPLE  =                    T"), None, None),
    "gzip cut short": (gzip.compress(bytes(999))[:15], None, None),
    "unknown": (bytes(range(256)), None, None),
    "keras": (
        _zipped("metadata.json", "config.json", "model.weights.h5"),
        "a Keras arch",
        "from_k",
    ),
    "keras alone": (_zipped("config.json"), "a Keras archive", "Model.from_keras"),
    "zip": (_zipped("coadd.fits"), "a zip archive", "unpack it"),
    "empty zip": (_zipped(), "a zip archive", "unpack it"),
    "npz": (_saved(np.savez, np.ones(3)), "a NumPy archive", "as arrays"),
    "npy": (_saved(np.save, np.ones(3)), "a NumPy array", "as arrays"),
    "torch": (_zipped("archive/data.pkl"), "a PyTorch file", ""),
    "pickle": (pickle.dumps([1]), "a Python pickle, which qnet never reads", ""),
    "pickle 2": (pickle.dumps([1], 2), "a Python pickle", ""),
    "tar": (_tarred(), "a tar archive", "unpack it"),
    "tar.gz": (gzip.compress(_tarred()), "a tar archive in gzip", "unpack it"),
    "bz2": (bz2.compress(b"x"), "a bzip2 file", "unpack it"),
    "xz": (lzma.compress(b"x"), "an xz file", "unpack it"),
    "zst": (b"\x28\xb5\x2f\xfd\x04\x00", "a Zstandard file", "unpack it"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4", "a 7-Zip archive", "unpack it"),
    "lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid",
        "a Git LFS pointer",
        "git lfs pull",
    ),
    "annex": (b"/annex/objects/SHA256E-s1--0.fits\n", "a git-annex pointer", "git annex get"),
    "html": (b"\n<!DOCTYPE HTML>\n<html>", "an HTML page", "download"),
    "html of a browser": (b"<!-- saved -->\n<HTML>\n", "an HTML page", "download"),
    "votable": (b"<?xml version='1.0'?>\n<VOTABLE/>", "a VOTable", ""),
    "onnx": (b"\x08\x08\x12\x07pytorch\x1a\x051.9.1", "an ONNX network", ""),
    "hdf5": (b"\x89HDF\r\n\x1a\n\0", "an HDF5 file", ""),
    "weights": (b"\x40\0\0\0\0\0\0\0{}", "a safetensors file", "--model"),
    "text": (b"# wave flux\n3600 1\n", "a text file", "as arrays"),
    "latin": ("# \xc5ngstr\xf6m\r\n1 2\r\n".encode("latin-1"), "a text file", "as arrays"),
    "utf-16": ("a,b\n".encode("utf-16"), "text in UTF-16", "in UTF-8"),
    "ecsv": (b"# %ECSV 1.0\n# ---\n", "an ECSV table", ".ecsv"),
    "parquet": (b"PAR1\x15\x04", "a Parquet table", ".parquet"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_a_file_of_another_kind_is_called_what_it_is(tmp_path, name):
    content, kind, advice = CONTENTS[name]
    path = tmp_path / "a.fits"
    path.write_bytes(content)
    if kind is None:
        assert check_input(path, A_FITS_FILE) == path
        return
    expected = rf"a\.fits: is {kind}.*, but a FITS file was expected.*{advice}"
    with pytest.raises(FileError, match=expected):
        check_input(path, A_FITS_FILE)


def test_a_column_may_begin_as_a_kind_does(tmp_path):
    path = tmp_path / "a.csv"
    for header in ("PAR1,PAR2", "ARROW1,B", "MM,II"):
        path.write_text(f"{header}\n1,2\n")
        assert find_kind(path) is TEXT


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("https://x.org/a.fits", "https://x.org/a.fits: is an address, .*: download it first"),
        ("s3://bucket/a.fits", "s3://bucket/a.fits: is an address"),
        (Path("gs://bucket/a.fits"), "gs://bucket/a.fits: is an address"),
        ("file:///a.fits", "is an address, .*: give its path"),
        ("-", "standard input is not read"),
        ("~/a.fits", "~ is not expanded"),
        ("coadd-*.fits", "glob"),
        ("", r"\.: is a directory \(an empty name means it too\)|must be a path, not ''"),
        ("link", r"link: no such file \(it is a link to nowhere\)"),
        ("loop", "loop: cannot be read .*links"),
        ("file/a.fits", "file/a.fits: no such file"),
        ("a" * 300, "cannot be read .*too long"),
        ("a/" * 5000, "cannot be read .*too long"),
        ("a\0b", r"cannot be read .*null"),
        ("new\nline", "no such file"),
        ("\udcff", "no such file"),
        ("/dev/null", "/dev/null: is a device, but a (FITS )?file"),
        ("/dev/zero", "/dev/zero: is a device, but a (FITS )?file"),
        ("fifo", "fifo: is a pipe, but a (FITS )?file"),
        ("socket", "socket: is a socket, but a (FITS )?file"),
        ("saved", "saved: is a TensorFlow SavedModel, .*Model.from_keras"),
    ],
)
def test_names_that_lead_to_no_file(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    os.symlink("nowhere", "link")
    os.symlink("loop", "loop")
    os.mkfifo("fifo")
    Path("file").touch()
    Path("saved").mkdir()
    Path("saved/saved_model.pb").touch()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for use in (lambda: check_input(name, A_FITS_FILE), lambda: qnet.classify([name])):
            with pytest.raises(QnetError, match=message) as caught:
                use()
            assert "\n" not in str(caught.value)
        with pytest.raises(
            QnetError, match=r"but a weights file|no such file|cannot be read|on disk|be a path"
        ):
            qnet.load_model(name)


@pytest.mark.parametrize(
    "use",
    [
        qnet.read_spectra,
        qnet.read_catalogue,
        qnet.io.read_truth,
        qnet.load_model,
        lambda name: check_output(name, overwrite=True),
        lambda name: qnet.train("data.fits", "truth.fits", name),
    ],
)
def test_an_empty_name_is_not_the_folder_that_one_is_in(use):
    with pytest.raises(InputError, match="must be a path, not ''"):
        use("")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("s3://bucket/a.fits", "is an address"),
        ("fifo", "fifo: is a pipe"),
        ("fifo/a.fits", "its folder fifo is no folder"),
        ("/dev/null", "/dev/null: is a device"),
        ("loop", "cannot be written"),
        ("a" * 300, "cannot be written .*too long"),
        ("a\0b", "cannot be written .*null"),
    ],
)
def test_names_that_cannot_be_written(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    os.symlink("loop", "loop")
    os.mkfifo("fifo")
    with pytest.raises(FileError, match=message):
        check_output(name, overwrite=True)


def test_what_the_command_prints_is_one_line(capsys):
    for say in (complain, show_warning):
        say("a\nb\x1b[2J " + "x" * 5000)
        (line,) = capsys.readouterr().err.splitlines()
        assert "a b" in line
        assert line.isprintable()
        assert len(line) < 1600


def test_what_a_process_left_that_nobody_asked_for_is_removed(tmp_path):
    """A process that has ended, and whose parent does not ask for it, still has its number."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    final = tmp_path / "out.fits"
    own = name_partial(final)
    left = own.with_name(own.name.replace(f".{os.getpid()}.", f".{process.pid}."))
    left.touch()
    with atomic_write(final) as partial:
        partial.write_text("x")
    process.wait()
    assert [path.name for path in tmp_path.iterdir()] == ["out.fits"]
