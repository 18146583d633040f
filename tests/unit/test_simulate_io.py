"""Simulated spectra in files: what is written is read back."""

from __future__ import annotations

import os

import numpy as np
import pytest
from astropy.io import fits

import qnet
from qnet.core.errors import FileError, InputError, OutputExistsError
from qnet.core.flags import QNFlag
from qnet.core.grid import QUASARNET_GRID, QUASARNET_LINEAR_GRID
from qnet.io import read_data, read_truth
from qnet.io.selection import is_qso_target
from qnet.preprocess.rebinning import rebin_cameras
from qnet.simulation import simulate, write_simulation
from qnet.simulation.mock_files import CoaddWriter, SpecFolder
from qnet.simulation.survey import CHUNK

#: No star: those take longest, and add nothing here.
MIX = {"quasar": 0.6, "galaxy": 0.1, "sky": 0.3}


@pytest.fixture(scope="module")
def surveys():
    """A simulation and all of its spectra, by survey."""
    made = {}
    for survey in ("sdss", "boss", "desi"):
        simulation = simulate(40, seed=11, survey=survey, mix=MIX)
        made[survey] = simulation, simulation.collect()
    return made


@pytest.mark.parametrize("survey", ["sdss", "boss", "desi"])
@pytest.mark.parametrize("grid", [QUASARNET_GRID, QUASARNET_LINEAR_GRID])
def test_prepared_data(tmp_path, surveys, survey, grid):
    simulation, batch = surveys[survey]
    write_simulation(simulation, tmp_path / "s.fits", tmp_path / "t.fits", grid=grid)
    spectra = qnet.read_spectra(tmp_path / "s.fits")
    flux, ivar = rebin_cameras(batch.spectra.cameras, grid)
    np.testing.assert_array_equal(spectra.cameras[0].wave, grid.wave)
    np.testing.assert_array_equal(spectra.cameras[0].flux, flux.astype(np.float32))
    np.testing.assert_array_equal(spectra.cameras[0].ivar, ivar.astype(np.float32))
    for name, column in batch.spectra.ids.items():
        np.testing.assert_array_equal(spectra.ids[name], column)
    assert not spectra.flag.any()


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".csv", ".ecsv", ".parquet"])
def test_truth_is_read_in_every_format_that_it_is_written_in(tmp_path, surveys, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    simulation, batch = surveys["boss"]
    path = tmp_path / f"t{suffix}"
    write_simulation(simulation, tmp_path / "s.fits", path)
    truth = qnet.io.read_truth(path)
    assert list(truth) == batch.truth["TARGETID"].tolist()
    np.testing.assert_allclose([record.z_vi for record in truth.values()], batch.truth["TRUEZ"])
    quasar = [record.class_person in (3, 30) for record in truth.values()]
    np.testing.assert_array_equal(quasar, batch.truth["TRUESPECTYPE"] == "QSO")


def test_coadd(tmp_path, surveys):
    simulation, batch = surveys["desi"]
    write_simulation(simulation, tmp_path / "c.fits", tmp_path / "t.fits", format="coadd")
    spectra = qnet.read_spectra(tmp_path / "c.fits")
    assert spectra.survey == "DESI"
    assert_same_pixels(spectra, batch.spectra)
    sky = batch.truth["TRUESPECTYPE"] == "SKY"
    assert 0 < sky.sum() < 40
    np.testing.assert_array_equal((spectra.flag & QNFlag.NOT_TARGET) != 0, sky)
    np.testing.assert_array_equal(is_qso_target(spectra.ids), ~sky)
    with fits.open(tmp_path / "c.fits") as hdus:
        np.testing.assert_array_equal(hdus["B_MASK"].data != 0, spectra.cameras[0].ivar == 0)
        magnitude = 22.5 - 2.5 * np.log10(hdus["FIBERMAP"].data["FLUX_R"][~sky])
        np.testing.assert_allclose(magnitude, batch.truth["RMAG"][~sky], atol=1e-4)
        assert not hdus["FIBERMAP"].data["FLUX_R"][sky].any()


@pytest.mark.parametrize("survey", ["sdss", "boss"])
def test_spec_files(tmp_path, surveys, survey):
    simulation, batch = surveys[survey]
    write_simulation(simulation, tmp_path / "spectra", tmp_path / "t.fits", format="spec")
    paths = sorted((tmp_path / "spectra").iterdir())
    assert [path.name for path in paths[:2]] == [
        "spec-20000-60000-0001.fits",
        "spec-20000-60000-0002.fits",
    ]
    assert len(paths) == 40
    places = set()
    for row, path in enumerate(paths[:15]):
        spectra = qnet.read_spectra(path)
        assert_same_pixels(spectra, batch.spectra.select([row]))
        for name in ("TARGETID", "PLATE", "MJD", "FIBERID"):
            assert spectra.ids[name][0] == batch.spectra.ids[name][row]
        places.add((spectra.ids["TARGET_RA"][0], spectra.ids["TARGET_DEC"][0]))
        sky = batch.truth["TRUESPECTYPE"][row] == "SKY"
        assert bool(spectra.flag[0] & QNFlag.NOT_TARGET) == sky
        assert is_qso_target(spectra.ids)[0] != sky
        with fits.open(path) as hdus:
            np.testing.assert_array_equal(hdus["COADD"].data["model"], batch.signals[0][row])
    assert len(places) == 15


def assert_same_pixels(read, made):
    for camera, expected in zip(read.cameras, made.cameras, strict=True):
        assert camera.name == expected.name
        np.testing.assert_array_equal(camera.wave, expected.wave)
        np.testing.assert_array_equal(camera.flux, expected.flux)
        np.testing.assert_array_equal(camera.ivar, expected.ivar)
    np.testing.assert_array_equal(read.ids["TARGETID"], made.ids["TARGETID"])


def test_several_chunks_are_written_one_after_the_other(tmp_path):
    simulation = simulate(CHUNK + 5, seed=1, survey="desi", mix={"sky": 1})
    write_simulation(simulation, tmp_path / "c.fits", tmp_path / "t.fits", format="coadd")
    write_simulation(simulation, tmp_path / "p.fits", tmp_path / "t.csv")
    batch = simulation.collect()
    assert_same_pixels(qnet.read_spectra(tmp_path / "c.fits"), batch.spectra)
    ids = qnet.read_spectra(tmp_path / "p.fits").ids["TARGETID"]
    np.testing.assert_array_equal(ids, batch.truth["TARGETID"])


@pytest.mark.parametrize("suffix", [".fits", ".csv"])
def test_truth_is_read_and_trained_on(tmp_path, surveys, suffix):
    simulation, batch = surveys["boss"]
    truth_path = tmp_path / f"t{suffix}"
    write_simulation(simulation, tmp_path / "s.fits", truth_path)
    truth = read_truth(truth_path)
    assert len(truth) == 40
    tids, X, Y, z, bal = read_data(tmp_path / "s.fits", truth)
    np.testing.assert_array_equal(tids, batch.truth["TARGETID"])
    assert np.isfinite(X).all()
    spectype = batch.truth["TRUESPECTYPE"]
    np.testing.assert_array_equal(Y[:, 2:4].any(axis=1), spectype == "QSO")
    np.testing.assert_array_equal(Y[:, 1] == 1, spectype == "GALAXY")
    # Sky fibres are sure negatives, not BAD: they count in training.
    np.testing.assert_array_equal(Y[:, 0] == 1, spectype == "SKY")
    np.testing.assert_array_equal(z, batch.truth["TRUEZ"])
    flag, balnicity = batch.truth["BAL_FLAG_VI"] != 0, batch.truth["BI_CIV"]
    np.testing.assert_array_equal(bal == 1, flag & (balnicity > 0))
    np.testing.assert_array_equal(bal == -1, ~flag & (balnicity == 0))


def test_headers_name_what_made_the_files(tmp_path, surveys):
    simulation, _ = surveys["desi"]
    write_simulation(simulation, tmp_path / "c.fits", tmp_path / "t.fits", format="coadd")
    write_simulation(simulation, tmp_path / "p.fits", tmp_path / "u.fits")
    expected = {key: value for key, value, _ in simulation.provenance()}
    assert expected["SIMSEED"] == 11
    for name, hdu in (("c.fits", 0), ("p.fits", 0), ("t.fits", 1), ("u.fits", 1)):
        header = fits.getheader(tmp_path / name, hdu)
        assert {key: header[key] for key in expected} == expected
    assert fits.getheader(tmp_path / "t.fits", 1)["EXTNAME"] == "TRUTH"


@pytest.mark.parametrize(
    ("survey", "names", "options", "message"),
    [
        (
            "boss",
            ("a.fits", "t.fits"),
            {"format": "coadd"},
            "is of the survey desi or pfs or .*, not of boss",
        ),
        ("desi", ("a", "t.fits"), {"format": "spec"}, "sdss or boss, not of desi"),
        ("boss", ("a.fits", "t.fits"), {"format": "zarr"}, "format must be one of prepared, coadd"),
        ("boss", ("a.fits", "a.fits"), {}, "is the name of both outputs"),
        ("boss", ("a.fits", "./a.fits"), {}, "is the name of both outputs"),
        ("boss", ("a.csv", "t.fits"), {}, "must end in .fits"),
        ("boss", ("a.fits", "t.txt"), {}, "the name of a truth table must end in"),
        ("boss", ("a", "a/t.fits"), {"format": "spec"}, "does not exist"),
    ],
)
def test_faults(tmp_path, surveys, survey, names, options, message):
    path, truth_path = (f"{tmp_path}/{name}" for name in names)
    with pytest.raises((InputError, FileError), match=message):
        write_simulation(surveys[survey][0], path, truth_path, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("exists", ["out", "truth.fits"])
@pytest.mark.parametrize("format", ["prepared", "spec"])
def test_existing_outputs_are_refused_unless_overwritten(tmp_path, surveys, exists, format):
    simulation = surveys["boss"][0]
    path = tmp_path / ("out" if format == "spec" else "out.fits")
    truth_path = tmp_path / "truth.fits"
    write_simulation(simulation, path, truth_path, format=format)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    other = tmp_path / "other"
    paths = (path, other.with_suffix(".fits"))
    if exists == "truth.fits":
        paths = (other if format == "spec" else other.with_suffix(".fits"), truth_path)
    with pytest.raises(OutputExistsError):
        write_simulation(simulation, *paths, format=format)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before
    smaller = simulate(3, seed=2, mix={"sky": 1})
    write_simulation(smaller, path, truth_path, format=format, overwrite=True)
    assert len(read_truth(truth_path)) == 3
    if format == "spec":
        assert len(list(path.iterdir())) == 3
    assert {file.name for file in tmp_path.iterdir()} == {path.name, "truth.fits"}


def test_a_folder_with_anything_else_is_never_replaced(tmp_path, surveys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("\\chapter{}")
    with pytest.raises(FileError, match=r"holds thesis\.tex, which is no spec file"):
        write_simulation(
            surveys["boss"][0], tmp_path / "out", tmp_path / "t.fits", format="spec", overwrite=True
        )
    assert (tmp_path / "out" / "thesis.tex").exists()


@pytest.mark.parametrize("format", ["prepared", "coadd", "spec"])
def test_nothing_is_left_when_writing_fails(tmp_path, monkeypatch, format):
    survey = "desi" if format == "coadd" else "boss"
    simulation = simulate(CHUNK + 1, seed=1, survey=survey, mix={"sky": 1})
    batches = iter(list(simulation))

    def fail_after_one():
        yield next(batches)
        raise KeyboardInterrupt

    monkeypatch.setattr(type(simulation), "__iter__", lambda self: fail_after_one())
    with pytest.raises(KeyboardInterrupt):
        write_simulation(
            simulation,
            tmp_path / ("out" if format == "spec" else "out.fits"),
            tmp_path / "t.fits",
            format=format,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_gets_its_name_back_when_its_replacement_fails(tmp_path, monkeypatch, surveys):
    simulation, _ = surveys["boss"]
    paths = tmp_path / "out", tmp_path / "t.fits"
    write_simulation(simulation, *paths, format="spec")
    before = sorted(file.name for file in paths[0].iterdir())
    replace, calls = os.replace, []

    def fail_at_the_second(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_at_the_second)
    smaller = simulate(3, seed=2, mix={"sky": 1})
    with pytest.raises(KeyboardInterrupt):
        write_simulation(smaller, *paths, format="spec", overwrite=True)
    assert sorted(file.name for file in paths[0].iterdir()) == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out", "t.fits"]


def test_writers_check_what_they_are_given(tmp_path, surveys):
    with pytest.raises(InputError, match=r"must end in \.fits"):
        CoaddWriter(tmp_path / "coadd.csv", 3)
    _, batch = surveys["desi"]
    with (
        pytest.raises(InputError, match="50 spectra were announced, not 40"),
        CoaddWriter(tmp_path / "coadd.fits", 50) as writer,
    ):
        writer.write(batch)
    with pytest.raises(FileError, match="does not exist"):
        SpecFolder(tmp_path / "no" / "folder", "boss")
    assert list(tmp_path.iterdir()) == []
