"""Threads share the work: the same bits, and BLAS held to one thread meanwhile."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

import qnet
from makers import desi_coadd, desi_set, fibermap, write
from qnet.classification import refinement
from qnet.classification.columns import compute_columns
from qnet.classification.driver import ThisProcess
from qnet.cli import main
from qnet.core.errors import InputError
from qnet.core.threads import choose_threads, count_cpus, one_blas_thread
from qnet.model import network


def blas_threads():
    """Threads that the BLAS of NumPy would use; SciPy may have loaded one that is not held."""
    every = ThreadpoolController().info()
    numpy = [found for found in every if "numpy" in found["filepath"]]
    return [found["num_threads"] for found in numpy or every]


@pytest.fixture
def X(small_model):
    values = np.random.default_rng(4).normal(size=(150, small_model.grid.npix)).astype(np.float32)
    values[17, 3] = np.nan
    return values


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_do_not_depend_on_the_number_of_threads(small_model, X, dtype):
    wanted = np.array(small_model.predict(X, threads=1, dtype=dtype))
    for threads in (2, 3, 16):
        found = np.array(small_model.predict(X, threads=threads, dtype=dtype))
        np.testing.assert_array_equal(found, wanted)
    # Nor on what BLAS was allowed before.
    with threadpool_limits(2, user_api="blas"):
        np.testing.assert_array_equal(np.array(small_model.predict(X, dtype=dtype)), wanted)


def test_each_chunk_goes_to_one_thread_of_those_asked_for(small_model, X, monkeypatch):
    seen, run = [], network.Network._run_heads
    meeting = threading.Barrier(2, timeout=60)

    def watch(self, common, *outputs):
        seen.append((threading.current_thread(), len(common), max(blas_threads())))
        if len(seen) <= 2:
            meeting.wait()  # The second thread has work while the first is busy.
        run(self, common, *outputs)

    monkeypatch.setattr(network.Network, "_run_heads", watch)
    small_model.predict(X, batch_size=50, threads=2)
    assert sorted(rows for _, rows, _ in seen) == [50, 50, 50]
    assert len({thread for thread, _, _ in seen}) == 2
    assert {blas for _, _, blas in seen} == {1}


def test_an_error_in_a_thread_is_raised(small_model, X, monkeypatch):
    def fail(self, common, *outputs):
        raise MemoryError("no memory for a chunk")

    monkeypatch.setattr(network.Network, "_run_heads", fail)
    with pytest.raises(MemoryError, match="no memory for a chunk"):
        small_model.predict(X, threads=2)


def test_blas_is_held_by_the_first_and_restored_by_the_last():
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        inner, outer = one_blas_thread(), one_blas_thread()
        outer.__enter__()
        assert set(blas_threads()) == {1}
        inner.__enter__()
        # In any order, as threads come and go.
        outer.__exit__(None, None, None)
        assert set(blas_threads()) == {1}
        inner.__exit__(None, None, None)
        assert blas_threads() == before


def test_blas_is_held_from_any_thread(small_model, X):
    def held():
        with one_blas_thread():
            return set(blas_threads())

    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        wanted = np.array(small_model.predict(X, threads=1))
        assert held() == {1}
        with ThreadPoolExecutor(1) as pool:  # whose thread lives on
            assert pool.submit(held).result() == {1}
            assert blas_threads() == before
            found = pool.submit(small_model.predict, X, threads=1).result()
            np.testing.assert_array_equal(np.array(found), wanted)
            assert held() == {1}
        assert blas_threads() == before


def test_blas_is_restored_by_another_thread_than_held_it():
    inside, go, out, end = (threading.Event() for _ in range(4))

    def first():
        with one_blas_thread():
            inside.set()
            go.wait()
        out.set()
        end.wait()  # lives on, as a pool's thread does

    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        thread = threading.Thread(target=first)
        thread.start()
        inside.wait()
        with one_blas_thread():
            go.set()
            out.wait()
            assert set(blas_threads()) == {1}
        assert blas_threads() == before
        end.set()
        thread.join()


def test_blas_is_restored_after_an_error():
    before = blas_threads()
    with pytest.raises(RuntimeError, match="inside"), one_blas_thread():
        raise RuntimeError("inside")
    assert blas_threads() == before


def test_as_many_threads_as_blas_may_use():
    for limit in (1, 2):
        with threadpool_limits(limit, user_api="blas"):
            assert choose_threads(None) == limit
    assert choose_threads(5) == 5
    with pytest.raises(InputError, match="threads must be at least 1, not 0"):
        choose_threads(0)


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"])
def test_the_environment_is_heeded(name):
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    kept = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    code = "from qnet.core.threads import choose_threads; print(choose_threads(None))"
    for settings, wanted in (({}, cpus), ({name: "1"}, 1)):
        done = subprocess.run(
            [sys.executable, "-c", code], env=kept | settings, capture_output=True, check=True
        )
        assert int(done.stdout) == wanted


@pytest.fixture
def coadd(tmp_path):
    return write(
        tmp_path / "coadd.fits", desi_coadd(desi_set([0.5, 1.0, 2.0]), fibermap([1, 2, 3]))
    )


def test_a_catalogue_does_not_depend_on_the_number_of_threads(coadd, two_stage_model):
    wanted = qnet.classify(coadd, model=two_stage_model, threads=1)
    for threads in (None, 2):
        found = qnet.classify(coadd, model=two_stage_model, threads=threads)
        for name in wanted.colnames:
            np.testing.assert_array_equal(found[name], wanted[name])
    assert two_stage_model.threads is None


def meeting_in(monkeypatch, module, name):
    """Make the first two calls of a function wait for each other; the threads that call it."""
    seen, plain = [], getattr(module, name)
    meeting = threading.Barrier(2, timeout=60)

    def watch(*arguments):
        seen.append(threading.current_thread())
        if len(seen) <= 2:
            meeting.wait()
        return plain(*arguments)

    monkeypatch.setattr(module, name, watch)
    return seen


def test_threads_share_the_second_stage(tmp_path, two_stage_model, monkeypatch):
    redshifts = np.linspace(0.5, 3.0, 24)
    path = tmp_path / "coadd.fits"
    write(path, desi_coadd(desi_set(redshifts), fibermap(list(range(24)))))
    monkeypatch.setattr(refinement, "ROW_BLOCK", 4)
    wanted = qnet.classify(path, model=two_stage_model, threads=1)
    refining = meeting_in(monkeypatch, refinement, "fine_spectra")
    found = qnet.classify(path, model=two_stage_model, threads=2)
    assert len(set(refining)) == 2
    for name in wanted.colnames:
        np.testing.assert_array_equal(found[name], wanted[name])


@pytest.mark.parametrize(
    ("nfiles", "options", "wanted"),
    [
        (1, {}, 6),
        (1, {"workers": 2}, 6),
        (2, {"workers": 2}, 3),
        (2, {"workers": 5}, 3),
        (4, {"workers": 4}, 1),
        (9, {"workers": 9}, 1),
        (9, {"workers": 9, "threads": 2}, 2),
        (0, {"workers": 9}, 6),
    ],
)
def test_threads_are_divided_among_the_workers_that_run(
    coadd, small_model, monkeypatch, nfiles, options, wanted
):
    monkeypatch.setattr("qnet.core.threads._controller", lambda: Fake(6))
    seen = []
    compute = functools.partial(_note, seen)
    monkeypatch.setattr("qnet.classification.files.compute_columns", compute)
    monkeypatch.setattr(
        "qnet.classification.files.Workers", lambda _workers, setup, _advice: ThisProcess(setup)
    )
    source = [shutil.copy(coadd, coadd.with_name(f"{n}.fits")) for n in range(nfiles)]
    # Spectra in memory are one input.
    qnet.classify(source or qnet.read_spectra(coadd), model=small_model, **options)
    assert seen == [wanted] * max(1, nfiles)
    assert small_model.threads is None


def _note(seen, spectra, model, *rest, **options):
    """What `compute_columns` gives, noting the threads."""
    seen.append(model.threads)
    return compute_columns(spectra, model, *rest, **options)


class Fake:
    """BLAS libraries that may use so many threads."""

    def __init__(self, threads):
        self.threads = threads

    def info(self):
        return [{"num_threads": self.threads}]

    def limit(self, limits):
        return self

    def restore_original_limits(self):
        pass


def test_the_command_takes_threads(coadd, small_weights, tmp_path, capsys):
    arguments = ["classify", str(coadd), "--model", str(small_weights), "-o"]
    assert main([*arguments, str(tmp_path / "a.fits"), "--threads", "2"]) == 0
    assert main([*arguments, str(tmp_path / "b.fits"), "--threads", "0"]) != 0
    assert "threads must be at least 1, not 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("groups", "files", "cpus"),
    [
        ("0::/a/b", {"a/cpu.max": "150000 100000", "a/b/cpu.max": "max 100000"}, 2),
        ("0::/", {"cpu.max": "100000 100000"}, 1),
        (
            "4:cpu,cpuacct:/job\n3:memory:/job",
            {"cpu/job/cpu.cfs_quota_us": "300000", "cpu/job/cpu.cfs_period_us": "100000"},
            3,
        ),
        ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ("", {}, 8),
    ],
)
def test_cpus_are_those_that_affinity_and_control_groups_leave(
    tmp_path, monkeypatch, groups, files, cpus
):
    monkeypatch.setattr(os, "process_cpu_count", lambda: 8, raising=False)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"{groups}\n" if groups else "")
    for name, content in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    assert count_cpus(tmp_path) == cpus
