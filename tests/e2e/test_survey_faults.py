"""Faults made to happen during a survey: it goes on, and ends as an undisturbed one does."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import qnet
import traps
from makers import BOSS_LOGLAM, boss_spec, make_spectra, write
from qnet.classification.driver import ThisProcess
from qnet.core.errors import FileError
from qnet.io.readers import READERS
from qnet.survey.folder import HIDDEN
from qnet.survey.running import Logged, Request, run_survey
from traps import mark, write_trap

#: Number of good files, and seconds that nothing comes near.
GOOD, LONG = 10, 120


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Files without a fault."""
    folder = tmp_path_factory.mktemp("good")
    for number in range(GOOD):
        flux, ivar = make_spectra(10**BOSS_LOGLAM, [1.0 + number / 5], seed=number)
        write(folder / f"spec-{number:02d}.fits", boss_spec(BOSS_LOGLAM, flux[0], ivar[0]))
    return folder


@pytest.fixture(scope="module")
def undisturbed(good, small_model):
    """Their rows by the name of the file."""
    return {path.name: qnet.classify(path, model=small_model) for path in sorted(good.iterdir())}


@pytest.fixture
def source(good, tmp_path):
    """A folder of the good files, for others beside them."""
    folder = tmp_path / "in"
    folder.mkdir()
    for path in good.iterdir():
        os.link(path, folder / path.name)
    return folder


@pytest.fixture
def environment(tmp_path):
    """Environment in which processes have the reader of traps, and are counted."""
    processes = tmp_path / "processes"
    processes.mkdir()
    path = os.pathsep.join([str(Path(traps.__file__).parent), *filter(None, sys.path)])
    return os.environ | {"QNET_TEST_PROCESSES": str(processes), "PYTHONPATH": path}


@pytest.fixture
def command(source, tmp_path, small_weights, environment):
    """Starts the command on the folder; what still runs at the end of the test is ended."""
    started = []

    def start(*options, out=tmp_path / "out"):
        words = ["survey", "run", source, "-o", out, "--model", small_weights, "--workers", 2]
        started.append(
            subprocess.Popen(
                [sys.executable, traps.__file__, *map(str, [*words, *options])],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
                start_new_session=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def go_on(source, tmp_path, small_weights, monkeypatch):
    """Start the run again, in this process: its failures, and what it notes."""

    @contextlib.contextmanager
    def one(*_):
        yield ThisProcess, 1

    monkeypatch.setattr("qnet.survey.running.open_engine", one)
    monkeypatch.setattr("qnet.survey.running._PATIENCE", 0.1)
    monkeypatch.setattr("qnet.io.readers.READERS", [*READERS, traps.READER])
    monkeypatch.setattr("qnet.io.reader.READERS", [*READERS, traps.READER])

    def start(out=tmp_path / "out", **options):
        notes = []
        report = Logged()
        monkeypatch.setattr(report, "note", notes.append, raising=False)
        request = Request(inputs=source, outdir=out, model=small_weights, **options)
        return run_survey(request, report, False), notes

    return start


def finish(process):
    """Exit status, lines of errors and of output of a command."""
    output, errors = process.communicate(timeout=LONG)
    assert "Traceback" not in output + errors, errors
    return process.returncode, errors.splitlines(), output.splitlines()


def wait_for(condition):
    """Wait until something is so."""
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def check(out, undisturbed, others=()):
    """Every catalogue is that of an undisturbed run, and no file more has a final name."""
    names = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    assert names == {*undisturbed, *others}
    for name, wanted in undisturbed.items():
        table = qnet.read_catalogue(out / name)
        for column in wanted.colnames:
            np.testing.assert_array_equal(table[column], wanted[column], err_msg=column)
    found = qnet.survey.status(out)
    assert (found.done, found.running) == (len(names), 0)
    return found


def lines_of(out):
    """Lines of the journals."""
    return sum(path.read_bytes().count(b"\n") for path in (out / HIDDEN).glob("journal*"))


def workers_left(tmp_path):
    """Whether a worker of the tests' commands still runs."""
    pids = [int(path.name) for path in (tmp_path / "processes").iterdir()]
    return any(Path(f"/proc/{pid}/stat").exists() and not is_dead(pid) for pid in pids)


def is_dead(pid):
    """Whether a process has ended, and waits for its parent to notice."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def test_bad_files_fail_alone_and_the_workers_go_on(command, source, tmp_path, undisturbed, go_on):
    """Files that kill, exhaust memory, vanish, are cut, empty or garbage, beside good ones."""
    whole = (source / "spec-00.fits").read_bytes()
    write_trap(source / "a-kill.fits", "kill", 1)
    write_trap(source / "a-once.fits", "kill once", 2)
    write_trap(source / "a-exit.fits", "exit", 3)
    write_trap(source / "a-memory.fits", "memory", 4)
    write_trap(source / "a-remove.fits", "remove", 5, VICTIM="z-gone.fits")
    for name, content in (("cut", whole[:9000]), ("empty", b""), ("garbage", b"\x93NUMPY" * 999)):
        (source / f"b-{name}.fits").write_bytes(content)
    (source / "b-link.fits").symlink_to(source / "nowhere")
    os.mkfifo(source / "b-pipe.fits")
    (source / "z-gone.fits").write_bytes(whole)
    wanted = {
        "a-kill.fits: was not classified: the process that read it ended abruptly",
        "a-exit.fits: was not classified: the process that read it ended abruptly",
        "a-memory.fits: is too large for this machine's memory",
        "b-cut.fits: is cut short",
        "b-empty.fits: is empty, but",
        "b-garbage.fits: is a NumPy array",
        "b-link.fits: no such file (it is a link",
        "b-pipe.fits: is a pipe",
        "z-gone.fits: no such file",
    }
    status, errors, _ = finish(command())
    assert status == 1
    assert {text for text in wanted if any(text in line for line in errors)} == wanted
    assert len(errors) == len(wanted)
    found = check(tmp_path / "out", undisturbed, ["a-once.fits", "a-remove.fits"])
    assert found.failed == len(wanted)
    # The first one, two workers, and one for each death.
    assert len(list((tmp_path / "processes").iterdir())) <= 1 + 2 + 5

    # What failed is tried again, and nothing else.
    for name in ("a-kill", "a-exit"):
        (source / f"{name}.fits").unlink()
    failures, notes = go_on()
    assert len(failures) == len(wanted) - 3
    assert notes == ["12 of 18 inputs are done already; to do: 6 failed before"]


@pytest.mark.parametrize("seed", [1, 2])
def test_driver_killed_at_any_moment(command, tmp_path, undisturbed, seed, go_on):
    """The first run is killed as it has done a few files, and with it its workers."""
    out, few = tmp_path / "out", random.Random(seed).randrange(1, GOOD)
    first = command()
    wait_for(lambda: lines_of(out) > few or first.poll() is not None)
    first.kill()
    first.communicate()
    wait_for(lambda: not workers_left(tmp_path))
    with open(out / HIDDEN / "journal.jsonl", "a") as journal:
        journal.write('{"event": "done", "files": ["/cut')  # as a full disk or a dead node leaves
    failures, (note,) = go_on()
    assert failures == []
    assert f"of {GOOD} inputs are done already" in note
    check(out, undisturbed)


@pytest.mark.parametrize(
    ("sent", "status", "message", "to_all"),
    [
        (signal.SIGTERM, 143, "ended by SIGTERM", True),
        (signal.SIGTERM, 143, "ended by SIGTERM", False),
        (signal.SIGINT, 130, "interrupted", True),
    ],
)
def test_signals_of_batch_systems_and_keyboards(
    command, source, tmp_path, undisturbed, go_on, sent, status, message, to_all
):
    """They end the run at once, also while a file is read; the same command goes on."""
    trap = write_trap(source / "a-wait.fits", "wait", 1)
    first = command()
    wait_for(lambda: mark(trap).exists() and lines_of(tmp_path / "out") > 1)
    (os.killpg if to_all else os.kill)(first.pid, sent)
    found, errors, _ = finish(first)
    assert found == status
    assert errors == [f"qnet: error: {message}; what is done is kept: the same command goes on"]
    assert not workers_left(tmp_path)
    assert qnet.survey.status(tmp_path / "out").pending >= 1
    mark(trap, "go").touch()
    assert go_on()[0] == []
    check(tmp_path / "out", undisturbed, ["a-wait.fits"])


def test_worker_killed_from_outside(command, source, tmp_path, undisturbed):
    """As by the system when memory is short: its file is tried again, by another worker."""
    waiting = [write_trap(source / f"{name}-wait.fits", "wait", 1) for name in "ab"]
    run = command()
    wait_for(lambda: all(mark(trap).exists() for trap in waiting))
    for path in (tmp_path / "processes").iterdir():
        if int(path.name) != run.pid:
            os.kill(int(path.name), signal.SIGKILL)
    for trap in waiting:
        mark(trap, "go").touch()
    assert finish(run)[:2] == (0, [])
    check(tmp_path / "out", undisturbed, [trap.name for trap in waiting])


def test_two_runs_into_one_folder(command, source, tmp_path, undisturbed, go_on):
    """A second one is refused; other shards are not."""
    trap, out = write_trap(source / "a-wait.fits", "wait", 1), tmp_path / "out"
    first = command("--shard", "1/2")  # the trap and every second file
    wait_for(lambda: mark(trap).exists() and lines_of(out) > GOOD // 2)
    found = qnet.survey.status(out)
    assert (found.running, found.done, found.pending) == (1, GOOD // 2, GOOD // 2 + 1)
    assert found.seconds_left is not None
    for shard in (None, "1/2"):
        with pytest.raises(FileError, match="out: another run is at work in it"):
            go_on(shard=shard)
    assert go_on(shard="2/2") == ([], [])
    mark(trap, "go").touch()
    assert finish(first)[:2] == (0, [])
    check(out, undisturbed, ["a-wait.fits"])


@pytest.fixture
def small_disk(tmp_path):
    """A file system of little room, and what changes it."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(*options):
        words = ["mount", "-t", "tmpfs", "-o", ",".join(options), "qnet-test", str(disk)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a file system can be mounted by root only: {done.stderr}")
        return disk

    yield mount
    subprocess.run(["umount", str(disk)], check=False, capture_output=True)


def test_full_disk_and_read_only_folder(command, small_disk, undisturbed, go_on):
    """The run stops with one error, and goes on when there is room."""
    disk = small_disk("size=120k")
    out = disk / "out"
    status, errors, _ = finish(command(out=out))
    assert status == 1
    (line,) = errors
    assert str(out) in line
    assert "No space left on device" in line
    left = qnet.survey.status(out)
    assert left.done < GOOD
    assert left.failed == 0
    for path in out.glob("*.fits"):
        assert len(qnet.read_catalogue(path)) == 1  # whole
    small_disk("remount", "ro")
    with pytest.raises(FileError, match=r"out: (cannot be written|no permission)"):
        go_on(out=out)
    small_disk("remount", "rw", "size=4m")
    assert go_on(out=out)[0] == []
    check(out, undisturbed)


def test_dask_worker_killed(source, tmp_path, small_weights, undisturbed, environment):
    """Dask gives the task of a dead worker to another one."""
    pytest.importorskip("distributed")
    once = write_trap(source / "a-once.fits", "kill once", 1)
    script = tmp_path / "cluster.py"
    script.write_text(
        "import sys\n"
        "from distributed import LocalCluster\n"
        "from qnet.cli import main\n"
        "if __name__ == '__main__':\n"
        f"    options = {{'preload': [{traps.__file__!r}]}}\n"
        "    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None,\n"
        "                      silence_logs=60, **options) as cluster:\n"
        "        status = main([*sys.argv[1:], '--dask', cluster.scheduler_address])\n"
        "    sys.exit(status)\n"
    )
    words = ["survey", "run", source, "-o", tmp_path / "out", "--model", small_weights]
    done = subprocess.run(
        [sys.executable, script, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert mark(once).exists()
    check(tmp_path / "out", undisturbed, ["a-once.fits"])


def test_mpi_rank_that_raises_and_one_that_dies(
    source, tmp_path, small_weights, undisturbed, environment
):
    """The error is that of the file; a death ends the job, and the next one goes on."""
    pytest.importorskip("mpi4py")
    mpirun = shutil.which("mpirun")
    if mpirun is None:
        pytest.skip("mpirun is not installed")
    kill = write_trap(source / "z-kill.fits", "kill", 1)
    write_trap(source / "a-exit.fits", "exit", 2)
    out = tmp_path / "out"
    words = [sys.executable, traps.__file__, "survey", "run", source, "-o", out, "--mpi"]
    words = [mpirun, "--allow-run-as-root", "--oversubscribe", "-n", "2", *words]

    def start():
        return subprocess.run(
            [*map(str, words), "--model", str(small_weights)],
            capture_output=True,
            text=True,
            check=False,
            timeout=LONG,
            env=environment,
        )

    assert start().returncode != 0
    kill.unlink()
    done = start()
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("qnet: error")]
    assert len(lines) == 1
    assert "a-exit.fits: was not classified (SystemExit: 5)" in lines[0]
    check(out, undisturbed)
