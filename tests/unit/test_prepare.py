"""Prepared data hold what the network sees; each spectrum that is left out is counted."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

import qnet
import qnet.training.preparation
from makers import (
    BOSS_LOGLAM,
    BOSS_ROW,
    DESI_WAVE,
    HEALPIX_CARDS,
    boss_spec,
    desi_cframe,
    desi_coadd,
    desi_set,
    fibermap,
    make_spectra,
    spplate,
    write,
)
from qnet.core.errors import FileError, InputError, OutputExistsError, QnetWarning
from qnet.core.grid import QUASARNET_GRID, QUASARNET_LINEAR_GRID, WavelengthGrid
from qnet.io import TruthRecord, read_data, read_spectra
from qnet.io.fits.file import FitsFile
from qnet.io.readers.prepared import prepared_grid
from qnet.preprocess.restframe import fine_spectra
from qnet.training.preparation import prepare

SURE_QUASAR = TruthRecord(2.0, 3, 3, 0, 0.0)


def spec(path, thing_id=1, fiber=1, z=2.0, seed=0, **row):
    """A spec file of one quasar."""
    flux, ivar = make_spectra(10**BOSS_LOGLAM, [z], seed=seed)
    columns = BOSS_ROW | {"THING_ID": np.int32(thing_id), "FIBERID": np.int32(fiber)} | row
    return write(path, boss_spec(BOSS_LOGLAM, flux[0], ivar[0], row=columns))


@pytest.fixture
def specs(tmp_path):
    """Three spec files."""
    return [spec(tmp_path / f"spec-{n}.fits", n, n, z, n) for n, z in enumerate((1.0, 2.0, 3.0), 1)]


@pytest.fixture
def coadd(tmp_path):
    """A healpix coadd of ten rows, each but the first and last with something amiss."""
    cameras = desi_set(np.linspace(1, 3, 10))
    for _, flux, ivar in cameras.values():
        ivar[7] = 0
        flux[8] = 3.0
    columns = fibermap(
        [11, -5, 12, 13, 14, 15, 16, 17, 18, 19],
        objtype=["TGT", "SKY", "SKY", *["TGT"] * 7],
        status=[0, 0, 0, 8, *[0] * 6],
        DESI_TARGET=np.int64([4, 4, 4, 4, 1, *[4] * 5]),
    )
    return write(tmp_path / "coadd.fits", desi_coadd(cameras, columns, **HEALPIX_CARDS))


def preprocessed(path, grid, rows):
    """What `classify` gives to a network on a grid."""
    return qnet.preprocess.normalisation.preprocess(read_spectra(path).cameras, grid).X[rows]


@pytest.mark.parametrize("grid", [QUASARNET_GRID, QUASARNET_LINEAR_GRID], ids=["log", "linear"])
def test_networks_see_what_they_see_of_the_original(tmp_path, specs, coadd, grid):
    output = tmp_path / "data.fits"
    done = prepare([*specs, coadd], output, grid=grid)
    assert (done.path, done.nread, done.nspec, done.failures) == (output, 13, 8, [])
    tids, X = read_data(output)
    assert tids.tolist() == [1, 2, 3, 11, 14, 15, 16, 19]
    expected = np.concatenate(
        [
            *(preprocessed(path, grid, [0]) for path in specs),
            preprocessed(coadd, grid, [0, 4, 5, 6, 9]),
        ]
    )
    np.testing.assert_allclose(X, expected, rtol=2e-5, atol=2e-5)
    with FitsFile(output) as fits:
        assert prepared_grid(fits) == grid


def test_one_path_is_one_file(tmp_path, coadd):
    done = prepare(str(coadd), tmp_path / "one.fits")
    assert done.nread == 10
    assert not done.failures


def test_reading_what_was_written_as_an_input_changes_nothing(tmp_path, specs):
    """The pixels of a grid fall into their own bins."""
    first, second = tmp_path / "first.fits", tmp_path / "second.fits"
    prepare(specs, first)
    prepare([first], second)
    one, two = read_spectra(first), read_spectra(second)
    np.testing.assert_array_equal(one.cameras[0].flux, two.cameras[0].flux)
    np.testing.assert_array_equal(one.cameras[0].ivar, two.cameras[0].ivar)
    assert one.ids.keys() == two.ids.keys()


def test_the_survey_s_ids_are_kept(tmp_path, specs, coadd):
    output = tmp_path / "data.fits"
    prepare([specs[0], coadd], output)
    ids = read_spectra(output).ids
    assert ids["PLATE"].tolist() == [7102, -1, -1, -1, -1, -1]
    assert ids["FIBERID"].tolist() == [1, -1, -1, -1, -1, -1]
    assert ids["HPXPIXEL"].tolist() == [-1] + [26065] * 5
    assert ids["SURVEY"].tolist() == [""] + ["sv3"] * 5
    assert ids["DESI_TARGET"].tolist() == [0, 4, 1, 4, 4, 4]
    (plate, mjd, fiber) = read_data(output, return_pmf=True)[-3:]
    assert (plate[0], mjd[0], fiber[0]) == (7102, 56666, 1)


def test_each_spectrum_left_out_is_counted_by_its_first_reason(tmp_path, coadd):
    truth = {
        number: SURE_QUASAR._replace(class_person=0, z_conf_person=0)
        if number == 16
        else SURE_QUASAR
        for number in range(11, 19)
    }
    done = prepare([coadd], tmp_path / "data.fits", targets="qso", truth=truth)
    assert done.removed == {
        "no id": 1,
        "no target (sky)": 1,
        "bad fibre": 1,
        "not a quasar target": 1,
        "not in truth": 1,
        "not inspected": 1,
        "NODATA": 1,
        "CONSTANT": 1,
    }
    assert (done.nread, done.nspec) == (10, 2)
    assert read_data(tmp_path / "data.fits", truth)[0].tolist() == [11, 15]


def test_what_float32_cannot_hold_is_left_out(tmp_path):
    flux, ivar = make_spectra(10**BOSS_LOGLAM, [1.0, 2.0])
    wide = flux.astype(np.float64) * np.array([[1.0], [1e60]])
    hdus = spplate(wide, ivar.astype(np.float64), fibers=[1, 2])
    path = write(tmp_path / "spPlate-7102-56666.fits", hdus)
    spall = {(7102, 56666, 1): 5, (7102, 56666, 2): 6}
    done = prepare([path], tmp_path / "data.fits", spall=spall)
    assert done.removed == {"beyond the range of float32": 1}
    assert read_data(tmp_path / "data.fits")[0].tolist() == [5]


def test_ids_that_are_asked_for(tmp_path, specs):
    output = tmp_path / "data.fits"
    with pytest.warns(QnetWarning, match=r"TARGETID\(s\) in no input: 7$"):
        done = prepare(specs, output, targetids=[3, 7, 1])
    assert done.removed == {"not asked for": 1}
    assert read_data(output)[0].tolist() == [1, 3]


def test_frames_are_one_set_and_exposures_join(tmp_path):
    cameras = desi_set((1.0, 2.0))
    columns = fibermap([7, 8])
    names = []
    for camera, data in cameras.items():
        for exposure in (1, 2):
            name = tmp_path / f"cframe-{camera.lower()}0-{exposure:08d}.fits"
            hdus = desi_cframe(f"{camera.lower()}0", *data, columns, EXPID=exposure)
            names.append(write(name, hdus))
    done = prepare(names, tmp_path / "data.fits")
    assert (done.nread, done.nspec) == (4, 4)  # exposures of one target are observations of it
    many = {name: (w, np.vstack([f, f]), np.vstack([i, i])) for name, (w, f, i) in cameras.items()}
    columns = fibermap([7, 8, 7, 8], EXPID=np.int32([1, 1, 2, 2]))
    path = write(tmp_path / "spectra.fits", desi_coadd(many, columns))
    joined = tmp_path / "joined.fits"
    assert prepare([path], joined, coadd="target").nspec == 2
    ivar = read_spectra(joined).cameras[0].ivar
    single = read_spectra(tmp_path / "data.fits").cameras[0].ivar
    np.testing.assert_allclose(ivar, 2 * single[:2], rtol=1e-6)


def test_bad_files_are_reported_and_the_others_written(tmp_path, specs):
    bad = tmp_path / "bad.fits"
    bad.write_bytes(specs[0].read_bytes()[:4000])
    other = write(tmp_path / "table.fits", [*boss_spec(BOSS_LOGLAM, *np.ones((2, 1150)))[:1]])
    done = prepare([bad, *specs, tmp_path / "none.fits", other], tmp_path / "data.fits")
    assert [failure.paths for failure in done.failures] == [
        (str(bad),),
        (str(tmp_path / "none.fits"),),
        (str(other),),
    ]
    assert all(str(failure.error).startswith(failure.paths[0]) for failure in done.failures)
    assert done.nspec == 3
    (tmp_path / "data.fits").unlink()
    before = sorted(os.listdir(tmp_path))
    assert prepare([bad, other], tmp_path / "data.fits").path is None
    assert sorted(os.listdir(tmp_path)) == before


def test_no_target_column_is_the_fault_of_the_file(tmp_path, specs):
    row = {name: value for name, value in BOSS_ROW.items() if "TARGET" not in name}
    flux, ivar = make_spectra(10**BOSS_LOGLAM, [2.0])
    bare = write(tmp_path / "bare.fits", boss_spec(BOSS_LOGLAM, flux[0], ivar[0], row=row))
    done = prepare([*specs, bare], tmp_path / "data.fits", targets="qso")
    (failure,) = done.failures
    assert str(failure.error).startswith(f"{bare}: quasar targets were asked for, but the spectra")
    assert done.nspec == 3


def test_the_same_observation_twice_is_an_error(tmp_path, specs):
    with pytest.raises(InputError, match=r"spec-1\.fits: is given twice"):
        prepare([*specs, specs[0]], tmp_path / "data.fits")
    link = tmp_path / "link.fits"
    link.symlink_to(specs[0])
    with pytest.raises(InputError, match=r"link\.fits: is given twice"):
        prepare([*specs, link], tmp_path / "data.fits")
    copy = shutil.copy(specs[0], tmp_path / "copy.fits")
    done = prepare([*specs, copy], tmp_path / "data.fits")
    (failure,) = done.failures
    assert str(failure.error) == (
        f"{copy}: row 0 (TARGETID 1) is the same observation as row 0 of {specs[0]}"
    )
    assert done.nspec == 3


def test_rows_of_one_file_that_are_the_same_observation(tmp_path):
    columns = fibermap([5, 6, 5], FIBER=np.int32([1, 2, 1]))
    path = write(tmp_path / "coadd.fits", desi_coadd(desi_set(), columns))
    (failure,) = prepare([path], tmp_path / "data.fits").failures
    assert "row 2 (TARGETID 5) is the same observation as row 0 of" in str(failure.error)


def test_another_observation_of_an_object_is_taken(tmp_path, specs):
    again = spec(tmp_path / "again.fits", 1, 1, MJD=np.int32(57000))
    assert prepare([*specs, again], tmp_path / "data.fits").nspec == 4


def test_the_truth_of_another_survey_is_an_error(tmp_path, specs):
    truth = dict.fromkeys(range(39627000, 39627010), SURE_QUASAR)
    message = (
        "none of the ids of the 3 spectra is in the truth: the spectra have 1, 2, 3, the truth has "
        "39627000, 39627001, 39627002, ...; is it the truth of another survey?"
    )
    with pytest.raises(InputError) as caught:
        prepare(specs, tmp_path / "data.fits", truth=truth)
    assert str(caught.value) == message
    assert not (tmp_path / "data.fits").exists()


def test_nothing_left_is_an_error_that_says_why(tmp_path, specs):
    truth = {n: SURE_QUASAR._replace(class_person=0, z_conf_person=0) for n in (1, 2)}
    with pytest.raises(InputError, match="no spectrum is left of 3: 1 not in truth, 2 not insp"):
        prepare(specs, tmp_path / "data.fits", truth=truth)
    assert sorted(os.listdir(tmp_path)) == ["spec-1.fits", "spec-2.fits", "spec-3.fits"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"targets": "quasars"}, "targets must be one of all, qso, not 'quasars'"),
        ({"coadd": "all"}, "coadd must be one of none, target, not 'all'"),
        ({"paths": []}, "there are no input files"),
        ({"output": "data.csv"}, r"data\.csv: the name of a prepared data file must end in \.fits"),
    ],
    ids=str,
)
def test_illegal_arguments(tmp_path, specs, arguments, message):
    values = {"paths": specs, "output": "data.fits"} | arguments
    paths, output = values.pop("paths"), tmp_path / values.pop("output")
    with pytest.raises(InputError, match=message):
        prepare(paths, output, **values)


def test_spectra_off_the_grid_are_the_fault_of_their_file(tmp_path, specs):
    done = prepare(specs, tmp_path / "data.fits", grid=WavelengthGrid.log(100, 200, 1e-3))
    assert done.path is None
    assert len(done.failures) == 3
    assert "spec-1.fits: wavelengths from" in str(done.failures[0].error)


def test_an_output_is_never_lost(tmp_path, specs):
    data = tmp_path / "data.fits"
    data.write_text("mine")
    with pytest.raises(OutputExistsError, match=r"data\.fits: exists already"):
        prepare(specs, data)
    assert data.read_text() == "mine"
    prepare(specs, data, overwrite=True)
    assert len(read_data(data)[0]) == 3
    with pytest.raises(InputError, match=r"data\.fits: is an input: give the output another name"):
        prepare([*specs, data], data, overwrite=True)
    with pytest.raises(FileError, match=r"its folder .* does not exist"):
        prepare(specs, tmp_path / "nowhere" / "data.fits")


def test_an_interrupt_leaves_nothing(tmp_path, specs, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(qnet.training.preparation, "read_whole", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(specs, tmp_path / "data.fits")
    assert sorted(os.listdir(tmp_path)) == ["spec-1.fits", "spec-2.fits", "spec-3.fits"]


def test_cameras_of_one_spectrum_add(tmp_path):
    """Where cameras overlap, ivar in a bin is the sum of both."""
    path = write(tmp_path / "coadd.fits", desi_coadd(desi_set((2.0,)), fibermap([1])))
    prepare([path], tmp_path / "data.fits")
    camera = read_spectra(tmp_path / "data.fits").cameras[0]
    spectra = read_spectra(path)
    total = sum(
        qnet.preprocess.rebin(camera.wave, camera.flux, camera.ivar, QUASARNET_GRID)[1].astype(
            np.float64
        )
        for camera in spectra.cameras
    )
    np.testing.assert_allclose(camera.ivar, total, rtol=1e-6)
    both = (QUASARNET_GRID.wave > DESI_WAVE["R"][0]) & (QUASARNET_GRID.wave < DESI_WAVE["B"][-1])
    assert both.any()


def test_wide_pixels_are_spread_as_for_the_second_stage(tmp_path):
    """On the fine grid; pixels of 8 of its own."""
    grid = WavelengthGrid.log(3700.0, 9000.0, 2.5e-4)
    loglam = BOSS_LOGLAM[::20]
    flux, ivar = make_spectra(10**loglam, [2.0], seed=1)
    path = write(tmp_path / "spec.fits", boss_spec(loglam, flux[0], ivar[0]))
    seen = {}
    for spread in (False, True):
        output = tmp_path / f"{spread}.fits"
        prepare([path], output, grid=grid, spread=spread)
        spectra = read_spectra(output)
        (camera,) = spectra.cameras
        seen[spread] = camera.flux[0], camera.ivar[0]
    assert (seen[False][1] > 0).mean() < 0.2
    assert (seen[True][1] > 0).mean() > 0.95
    expected = fine_spectra(read_spectra(path).cameras, grid)
    np.testing.assert_allclose(seen[True], [values[0] for values in expected], rtol=1e-6)


def test_real_spectra_are_seen_as_by_classify(shared_data, tmp_path):
    files = sorted((shared_data / "boss_dr12").glob("spec-*.fits"))[:10]
    truth = qnet.io.read_truth(shared_data / "boss_dr12" / "truth_superset.fits")
    done = prepare(files, tmp_path / "data.fits", targets="qso", truth=truth)
    assert (done.nspec, done.removed) == (10, {})
    _, X = read_data(tmp_path / "data.fits")
    expected = np.concatenate([preprocessed(path, QUASARNET_GRID, [0]) for path in files])
    np.testing.assert_allclose(X, expected, rtol=2e-5, atol=2e-5)
