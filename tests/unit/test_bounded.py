"""Work in a process of its own: it ends, whatever the work does."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import qnet
from networks import write_legacy
from qnet.core import bounded
from qnet.core.bounded import NoReply, call_bounded
from qnet.core.errors import WeightsError


def test_an_answer_and_a_refusal():
    request = {"file": "\udcff\n", "lines": None}
    assert json.loads(call_bounded("replies", "echo", request)) == [request, True]
    with pytest.raises(qnet.QnetError, match="x is refused"):
        call_bounded("replies", "refuse", "x")


def test_what_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr(bounded, "SECONDS", 1)
    with pytest.raises(NoReply, match="takes more than 1 s of CPU time"):
        call_bounded("replies", "loop", None)


def test_what_waits_is_ended(monkeypatch):
    monkeypatch.setattr(bounded, "SECONDS", 1)
    monkeypatch.setattr(bounded, "_WAIT", 1)
    with pytest.raises(NoReply, match=r"takes more than 1 s$"):
        call_bounded("replies", "wait", None)


def test_a_crash_is_no_crash_of_this_process():
    with pytest.raises(NoReply, match="ended abruptly"):
        call_bounded("os", "abort", None)


@pytest.mark.skipif(sys.platform != "linux", reason="no limit of memory")
def test_memory_is_limited_by_the_size_of_the_file(tmp_path):
    file = tmp_path / "a.h5"
    for size in (0, 1 << 26):  # for the second, 3 GiB
        file.write_bytes(b"")
        os.truncate(file, size)
        request = {"file": str(file), "size": 3 << 29}
        if size:
            assert call_bounded("replies", "allocate", request) == b"1610612736"
        else:
            with pytest.raises(NoReply, match=r"ended abruptly \(MemoryError"):
                call_bounded("replies", "allocate", request)


def test_without_an_interpreter(monkeypatch):
    monkeypatch.setattr(bounded.spawn, "get_executable", lambda: "/no/such/python")
    with pytest.raises(NoReply, match="no process can be started"):
        call_bounded("replies", "echo", None)


def test_hdf5_whose_library_does_not_end(tmp_path, monkeypatch):
    """An object of size 0 in the heap of the texts: libhdf5 looks for the next one for ever."""
    monkeypatch.setattr(bounded, "SECONDS", 1)
    path = write_legacy(tmp_path / "a.h5", seed=1)
    content = path.read_bytes()
    after_version = content.index(b"2.9.0") + 8
    path.write_bytes(content[:after_version] + bytes(64) + content[after_version + 64 :])
    with pytest.raises(WeightsError, match=r"a\.h5: (reading it takes more than 1 s|is damaged)"):
        qnet.load_model(path)


def test_a_module_beside_the_script_is_not_run(tmp_path, monkeypatch):
    """The process takes its modules from where this one does, not from the current folder."""
    monkeypatch.chdir(tmp_path)
    path = write_legacy(tmp_path / "a.h5", seed=1)
    for name in ("json", "h5py", "numpy"):
        Path(f"{name}.py").write_text("raise SystemExit('run')")
    assert qnet.load_model(os.path.basename(path)).nboxes == 13
