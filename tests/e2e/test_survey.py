"""`qnet survey run` and `status`: what is done, what is done again, where it runs."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest

import qnet
from makers import (
    BOSS_LOGLAM,
    desi_coadd,
    desi_set,
    fibermap,
    make_spectra,
    primary,
    table,
    write,
)
from qnet.classification.driver import ThisProcess
from qnet.core.errors import FileError, InputError, QnetWarning
from qnet.survey.inputs import find_files, place_outputs
from qnet.survey.running import Logged, Request, run_survey
from shell import errors, run


class Notes(Logged):
    """What a run says it will do."""

    def __init__(self):
        self.notes = []

    def note(self, message):
        self.notes.append(message)


def make(folder, numbers):
    """Coadds of three spectra, two to a folder."""
    files = []
    for number in numbers:
        path = folder / f"tile{number // 2}" / f"coadd-{number}.fits"
        path.parent.mkdir(parents=True, exist_ok=True)
        ids = fibermap(range(3 * number, 3 * number + 3))
        files.append(write(path, desi_coadd(desi_set([0.7, 1.5, 2.5], seed=number), ids)))
    return files


@pytest.fixture
def in_this_process(monkeypatch):
    """No other processes: what is done does not depend on them."""

    @contextlib.contextmanager
    def one(*_):
        yield ThisProcess, 1

    monkeypatch.setattr("qnet.survey.running.open_engine", one)


def classify(source, outdir, weights, **options):
    """Run a survey; its failures, and what it says."""
    report = Notes()
    request = Request(inputs=source, outdir=outdir, model=weights, **options)
    return run_survey(request, report, False), report.notes


def test_one_catalogue_for_each_input_and_the_second_run_does_what_is_missing(
    tmp_path, small_weights, in_this_process
):
    source, out = tmp_path / "in", tmp_path / "out"
    files = make(source, range(4))
    assert classify(source, out, small_weights) == ([], [])
    for file in files:
        table = qnet.read_catalogue(out / file.relative_to(source))
        alone = qnet.classify(file, model=qnet.load_model(small_weights))
        assert table.meta["IN000000"] == str(file)
        for name in alone.colnames:
            np.testing.assert_array_equal(table[name], alone[name], err_msg=name)
    found = qnet.survey.status(out)
    assert (found.inputs, found.done, found.spectra, found.running) == (4, 4, 12, 0)

    # Nothing is left to do; then a file changes, a catalogue goes, and an input comes.
    assert classify(source, out, small_weights) == ([], ["4 of 4 inputs are done already"])
    files[0].unlink()
    write(files[0], desi_coadd(desi_set([1.0, 2.0]), fibermap([1, 2])))
    (out / files[1].relative_to(source)).unlink()
    make(source, [6])
    failures, notes = classify(f"{source}/**/*.fits", out, small_weights)
    assert failures == []
    assert notes == ["2 of 5 inputs are done already; to do: 1 changed since, 2 new"]
    assert len(qnet.read_catalogue(out / "tile0" / "coadd-0.fits")) == 2
    # An input that is gone stays done.
    files[2].unlink()
    listed = tmp_path / "files.txt"
    listed.write_text("\n".join(map(str, files)))
    with pytest.warns(QnetWarning, match="1 of the files are given more than once"):
        _, notes = classify([f"@{listed}", files[0]], out, small_weights)
    assert notes == ["4 of 4 inputs are done already"]
    assert qnet.survey.status(out).spectra == 14


def test_other_options_are_refused_unless_all_is_to_be_done_anew(
    tmp_path, small_weights, in_this_process
):
    source, out = tmp_path / "in", tmp_path / "out"
    make(source, range(2))
    classify(source, out, small_weights)
    other = {"options": {"c_threshold": 0.9}}
    with pytest.raises(InputError, match=r"made with other settings \(c_threshold None, not 0.9\)"):
        classify(source, out, small_weights, **other)
    assert classify(source, out, small_weights, overwrite=True, **other) == ([], [])
    assert qnet.read_catalogue(out / "coadd-0.fits").meta["CTHRESH"] == 0.9
    assert classify(source, out, small_weights, **other)[1] == ["2 of 2 inputs are done already"]


def test_files_of_no_known_layout_are_read_as_they_are_in_classify(
    tmp_path, small_model, small_weights, in_this_process
):
    """What is given of their columns belongs to the settings, for every worker."""
    path, out = tmp_path / "odd.fits", tmp_path / "out"
    flux, ivar = make_spectra(10**BOSS_LOGLAM, [2.0])
    write(path, [primary(), table({"L": 10**BOSS_LOGLAM, "F": flux[0], "E": ivar[0] ** -0.5})])
    columns = {"wave": "L", "flux": "F", "error": "E"}
    given = {"columns": columns, "air": False, "wave_unit": "Angstrom"}
    with pytest.warns(QnetWarning, match="no TARGETID"):
        assert classify(path, out, small_weights, options=given) == ([], [])
    with pytest.warns(QnetWarning, match="no TARGETID"):
        alone = qnet.classify(path, model=small_model, **given)
    np.testing.assert_array_equal(qnet.read_catalogue(out / "odd.fits")["ZBEST"], alone["ZBEST"])
    with pytest.raises(InputError, match=r"made with other settings \(air False, not True\)"):
        classify(path, out, small_weights, options={**given, "air": True})


def test_inputs_and_folders_that_are_refused(tmp_path, small_weights):
    files = make(tmp_path / "in", range(2))
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "precious").touch()
    for source, outdir, message in (
        (files, foreign, "foreign: is not empty and holds no survey"),
        ([], tmp_path / "out", "there are no input files"),
        ("none-*.fits", tmp_path / "out", r"none-\*.fits: no file fits this pattern"),
        (foreign, tmp_path / "out", "foreign: no file below it ends in .fits, "),
        (["a.fits", "a.fits.gz"], tmp_path / "out", "a.fits.gz: both would have the cat.* a.fits"),
    ):
        with pytest.raises(InputError, match=message):
            qnet.survey.run(source, outdir, model=small_weights)
    for options, message in (
        ({"shard": "0/2"}, "shard must be K/N with K of 1 to N, .*not '0/2'"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"to": "word"}, "to must be one of picca"),
        ({"targets": "QSO"}, "targets must be one of all, qso, not 'QSO'"),
        ({"colour": 1}, r"unknown option\(s\) \['colour'\]"),
        ({"workers": 1, "dask": "tcp://x:1"}, "give one of workers, dask and mpi"),
    ):
        with pytest.raises(InputError, match=message):
            qnet.survey.run(files, tmp_path / "new", model=small_weights, **options)
    with pytest.raises(InputError, match="would be replaced by its catalogue"):
        place_outputs([(files[0],)], str(tmp_path / "in"), tmp_path / "in", ".fits")
    with pytest.raises(FileError, match="holds no survey of qnet"):
        qnet.survey.status(foreign)


def test_folders_of_files(tmp_path, monkeypatch):
    """Links in a circle, names of hidden folders, and a folder that may not be read."""
    (file,) = make(tmp_path / "tree", [0])
    for name, target in (("up", ".."), ("again", "../.."), ("same", ".")):
        (file.parent / name).symlink_to(target)
    make(tmp_path / "tree" / ".snapshot", [1])
    assert find_files(tmp_path / "tree") == [str(file)]

    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(FileError, match=r"tree: cannot be listed \(Permission denied\)"):
        find_files(tmp_path / "tree")


def test_shards_make_one_survey_with_files_of_other_formats(
    tmp_path, small_weights, in_this_process
):
    source, out = tmp_path / "in", tmp_path / "out"
    make(source, range(3))
    for shard, todo in (("2/2", 2), ("1/2", 0)):
        assert classify(source, out, small_weights, shard=shard, to="csv") == ([], [])
        assert qnet.survey.status(out).pending == todo
    names = {str(path.relative_to(out)) for path in out.glob("*/*")} - {".qnet-survey"}
    wanted = {f"tile{n // 2}/coadd-{n}.csv" for n in range(3)}
    assert {name for name in names if not name.startswith(".")} == wanted


def test_a_large_input_is_split_by_rows_and_its_catalogue_is_the_same(
    tmp_path, small_model, small_weights, monkeypatch
):
    """Parts are whole blocks: no bit depends on the number of workers."""
    cells = fibermap(range(513))
    path = write(tmp_path / "coadd.fits", desi_coadd(desi_set(np.linspace(0.5, 3, 513)), cells))
    whole = qnet.classify(path, model=small_model)
    taken = []
    submit = qnet.core.workers.Workers.submit

    def count(self, task):
        taken.append((task.part, task.parts))
        return submit(self, task)

    monkeypatch.setattr("qnet.core.workers.Workers.submit", count)
    split = qnet.classify(path, model=small_model, workers=2)
    assert sorted(taken) == [(0, 2), (1, 2)]
    found = qnet.survey.run(path, tmp_path / "out", model=small_weights, workers=2)
    assert found.spectra == 513
    assert len(taken) == 4
    for found in (split, qnet.read_catalogue(tmp_path / "out" / "coadd.fits")):
        for name in whole.colnames:
            np.testing.assert_array_equal(found[name], whole[name], err_msg=name)


def test_the_command_and_python_tell_failures(tmp_path, small_weights, in_this_process):
    source, out = tmp_path / "in", tmp_path / "out"
    make(source, range(2))
    (source / "bad.fits").write_text("nothing")
    words = ("survey", "run", source, "-o", out, "--model", small_weights, "--workers", 1)
    done = run(*words)
    assert done.returncode == 1
    (line,) = errors(done)
    assert f"{source / 'bad.fits'}: cannot be read as FITS" in line
    assert done.stdout.endswith(f" in 6 spectra of 2 files, 1 file failed -> {out}\n")
    told = json.loads(run("survey", "status", out, "--json").stdout)
    assert told["failures"][0]["files"] == [str(source / "bad.fits")]
    assert (told["done"], told["failed"], told["pending"]) == (2, 1, 0)
    with pytest.raises(FileError, match="cannot be read as FITS") as caught:
        qnet.survey.run(source, out, model=small_weights)
    assert caught.value.partial.done == 2
    with pytest.warns(QnetWarning, match="cannot be read as FITS.* it is skipped"):
        found = qnet.survey.run(source, out, model=small_weights, errors="skip")
    assert [failure.paths for failure in found.failures] == [(str(source / "bad.fits"),)]


def test_the_merged_catalogue_is_that_of_one_classification(
    tmp_path, small_weights, in_this_process
):
    source, out, merged = tmp_path / "in", tmp_path / "out", tmp_path / "all.fits"
    files = make(source, range(3))
    classify(source, out, small_weights)
    done = run("survey", "merge", out, "-o", merged)
    assert (done.returncode, done.stderr) == (0, "")
    table = qnet.read_catalogue(merged)
    assert done.stdout == f"qnet: {table['IS_QSO'].sum()} quasars in 9 rows -> {merged}\n"
    whole = qnet.classify(files, model=qnet.load_model(small_weights))
    assert table.colnames == whole.colnames
    for name in whole.colnames:
        np.testing.assert_array_equal(table[name], whole[name], err_msg=name)
    assert {key: table.meta[key] for key in whole.meta} == dict(whole.meta)
