"""The targets of fuzz/, for as many files as a suite has time for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import qnet
from damage import seed_files
from qnet.io.readers import READERS

FUZZ = Path(__file__).parents[2] / "fuzz"

pytestmark = pytest.mark.skipif(not FUZZ.is_dir(), reason=f"{FUZZ} does not exist")


@pytest.fixture
def fuzz(monkeypatch):
    """The modules of the folder."""
    monkeypatch.syspath_prepend(str(FUZZ))
    import run
    import targets

    yield run, targets
    for name in ("run", "targets"):
        del sys.modules[name]


def test_every_target_reads_whole_files_and_survives_damaged_ones(fuzz, tmp_path):
    run, targets = fuzz
    seeds = seed_files(tmp_path)
    results = []
    for name, (read, pattern) in targets.TARGETS.items():

        def keep(path, read=read):
            results.append(read(path))

        outcomes = {path.name: targets.judge(keep, path) for path in seeds if path.match(pattern)}
        assert set(outcomes.values()) <= {"read", "error"}, outcomes
        assert "read" in outcomes.values(), (name, outcomes)
    results = [x for result in results for x in (result if isinstance(result, list) else [result])]
    layouts = {result.layout for result in results if isinstance(result, qnet.Spectra)}
    assert layouts == {reader.name for reader in READERS if not reader.refused}
    report = run.run(seconds=1e9, count=1700, seed=1, findings=None, seeds=seeds)
    assert report["found"] == []
    total = {key: sum(x[key] for x in report["outcomes"].values()) for key in ("read", "error")}
    assert total["read"] > 5
    assert total["error"] > 30


@pytest.mark.parametrize("what", ["raises", "dies", "hangs", "swells"])
def test_what_a_reader_must_not_do_is_found(fuzz, tmp_path, monkeypatch, what):
    """Each kind of finding, by readers that do it."""
    import os
    import time

    run, _ = fuzz
    bad = {
        "raises": lambda _: [][0],
        "dies": lambda _: os.kill(os.getpid(), 9),
        "hangs": lambda _: time.sleep(60),
        "swells": lambda _: bytearray(4 << 30),
    }
    said = {
        "raises": "IndexError",
        "dies": "died (status -9)",
        "hangs": "too long",
        "swells": "MemoryError",
    }
    monkeypatch.setattr(run, "SECONDS", 0.05 if what == "hangs" else 100.0)
    monkeypatch.setattr(run, "TARGETS", {"bad": (bad[what], "*")})
    reader = run.Reader()
    try:
        assert said[what] in reader.read("bad", tmp_path)
    finally:
        reader.close()
