"""Worker processes of scripts, as users write them."""

from __future__ import annotations

import functools
import multiprocessing
import subprocess
import sys
from concurrent.futures import wait

import numpy as np
import pytest

import qnet
from makers import boss_spec, make_spectra, write
from qnet.core import workers
from qnet.core.errors import FileError, InputError
from qnet.model.shipped import DEFAULT_MODEL
from traps import cut_result

LOGLAM = 3.5563 + 4e-4 * np.arange(1100)

CALL = "print('rows', len(qnet.classify(sys.argv[2:], model=sys.argv[1], workers=2)))\n"


@pytest.fixture
def files(tmp_path):
    flux, ivar = make_spectra(10**LOGLAM, [1.0, 2.0, 3.0])
    return [
        write(tmp_path / f"spec-{row}.fits", boss_spec(LOGLAM, flux[row], ivar[row]))
        for row in range(3)
    ]


def run(how, files, weights):
    """A script of a user, in an interpreter of its own; its last line of errors, and its output."""
    program, *options = how
    done = subprocess.run(
        [sys.executable, *options, str(weights), *map(str, files)],
        input=program,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stderr.splitlines(), done.stdout


def test_a_script_without_a_guard_is_told_so(tmp_path, files):
    """With a model of megabytes, which no worker takes from a pipe."""
    script = tmp_path / "script.py"
    script.write_text("import sys\nimport qnet\n" + CALL)
    errors, output = run(("", script), files, DEFAULT_MODEL)
    assert output == ""
    assert errors[-1].startswith("qnet.core.errors.InputError: workers=2: each worker imports the")
    assert (
        "script.py, which starts the run again: put the code that starts it under if" in errors[-1]
    )
    assert sum("Traceback" in line for line in errors) == 1  # none of a worker
    assert not any("spec-" in line for line in errors)


def test_workers_whose_script_cannot_be_imported_blame_no_file(tmp_path, files, small_weights):
    script = tmp_path / "script.py"
    fault = "if __name__ != '__main__':\n    raise ValueError('only once')\n"
    script.write_text("import sys\nimport qnet\n" + fault + CALL)
    errors, _ = run(("", script), files, small_weights)
    assert any("ValueError: only once" in line for line in errors)
    assert "the workers ended (exit status" in errors[-1]
    assert "script.py or the packages: their errors are printed above" in errors[-1]
    assert not any("spec-" in line for line in errors)


def test_programs_that_are_no_file(files, small_weights):
    program = "import sys\nimport qnet\n" + CALL
    errors, _ = run((program, "-"), files, small_weights)
    assert errors[-1].endswith(
        "<stdin> is no file that can be imported: write the script into a file, or give workers=1"
    )
    assert run(("", "-c", program), files, small_weights) == ([], "rows 3\n")


def test_processes_that_may_have_no_workers(
    files, tmp_path, small_model, small_weights, monkeypatch
):
    """Daemons, as those of a Pool; and those of another's that import the script."""
    process = multiprocessing.current_process()
    for name, message in (
        ("daemon", "a daemonic process of"),
        ("_inheriting", "put the code that"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(type(process), name, True, raising=False)
            with pytest.raises(InputError, match=f"^workers=2: .*{message}"):
                qnet.classify(files, model=small_model, workers=2)
            with pytest.raises(InputError, match=f"^workers=1: .*{message}") as caught:
                qnet.survey.run(files, tmp_path / name, model=small_weights, workers=1)
            assert "give workers" not in str(caught.value)  # a survey's one is a process too
            assert len(qnet.classify(files, model=small_model, workers=1)) == 3


def test_no_folder_for_what_workers_are_given(files, small_model, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(FileError, match=r"TMPDIR\) cannot be written \(No such file"):
        qnet.classify(files, model=small_model, workers=2)


def test_a_worker_that_dies_in_the_middle_of_a_result():
    with workers.Workers(1, functools.partial(functools.partial, cut_result)) as engine:
        for task in (False, True, False):
            future = engine.submit(task)
            assert wait([future], timeout=120).done
            assert engine.lost(future) == task
            assert task or future.result() == "done"


def test_a_worker_knows_that_it_is_one(monkeypatch):
    monkeypatch.setattr(type(multiprocessing.current_process()), "name", "qnet worker")
    with pytest.raises(SystemExit):
        workers.check_main(2)
