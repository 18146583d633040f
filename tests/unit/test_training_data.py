"""What a network is fed: splits, bootstrap samples, batches in memory and from disk, changes."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from makers import make_spectra, prepared, primary, table, write
from qnet.core.errors import InputError
from qnet.core.grid import QUASARNET_GRID, WavelengthGrid
from qnet.io import read_data, read_truth
from qnet.lines import absorber_IGM
from qnet.model.architecture import Architecture
from qnet.model.layers import ConvLayer
from qnet.objective import objective
from qnet.preprocess.normalisation import normalise
from qnet.training.batches import Batches, LineMaker
from qnet.training.coverage import draw_coverage
from qnet.training.data import augment, bootstrap, load, split
from qnet.training.settings import Augmentation

COUNT = 700

LINES = ("LYA", "CIV(1548)")

#: Wavelengths of the pixels of `spectra`.
WAVE = np.linspace(3600.0, 10_000.0, 200)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Two prepared data files and their truth; every id stands once to three times."""
    folder = tmp_path_factory.mktemp("survey")
    rng = np.random.default_rng(5)
    z = rng.uniform(1.8, 3.2, COUNT)
    flux, ivar = make_spectra(QUASARNET_GRID.wave, z, seed=1, snr=20.0)
    ids = rng.integers(1000, 1400, COUNT)
    halves = [np.arange(300), np.arange(300, COUNT)]
    paths = [
        write(folder / f"{i}.fits", prepared(flux[part], ivar[part], {"TARGETID": ids[part]}))
        for i, part in enumerate(halves)
    ]
    unique = np.unique(ids)
    columns = {
        "THING_ID": unique,
        "Z_VI": rng.uniform(1.8, 3.2, len(unique)),
        "CLASS_PERSON": rng.choice([1, 3, 30, 4], len(unique)),
        "Z_CONF_PERSON": rng.choice([3, 3, 1], len(unique)),
        "BAL_FLAG_VI": rng.integers(0, 2, len(unique)),
        "BI_CIV": rng.choice([0.0, 100.0], len(unique)),
    }
    truth = read_truth(write(folder / "truth.fits", [primary(), table(columns)]))
    return paths, truth


@pytest.fixture(scope="module")
def data(survey):
    return load(*survey, memory=1.0, keep_pixels=False)


@pytest.fixture(scope="module")
def make():
    names = (*LINES, "CIV(1548)")
    rest = {name: absorber_IGM[name] for name in names}
    convs = (ConvLayer(2, 10, 2, "valid"),)
    return LineMaker(
        Architecture(QUASARNET_GRID, LINES, ("CIV(1548)",), rest, 13, convs, 2), Augmentation()
    )


def test_the_data_are_those_of_read_data(survey, data):
    tids, X, Y, z, bal = read_data(*survey)
    for ours, theirs in ((data.tids, tids), (data.X, X), (data.Y, Y), (data.z, z), (data.bal, bal)):
        np.testing.assert_array_equal(ours, theirs)
    assert data.nread == (300, 400)
    assert data.in_memory


@pytest.mark.parametrize("keep_pixels", [False, True])
def test_spectra_that_stay_on_disk_are_not_held(survey, data, monkeypatch, keep_pixels):
    """Not even while the files are read, block by block."""
    monkeypatch.setattr("qnet.io.training_data.ROWS_PER_BLOCK", 25)
    tracemalloc.start()
    try:
        streamed = load(*survey, memory=1e-6, keep_pixels=keep_pixels)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not streamed.in_memory
    np.testing.assert_array_equal(streamed.tids, data.tids)
    assert peak < data.X.nbytes


@given(fraction=st.floats(0.01, 0.99), seed=st.integers(0, 2**32))
def test_a_target_is_on_one_side_of_the_split(data, fraction, seed):
    train, validation = split(data, fraction, seed)
    assert not set(data.tids[train]) & set(data.tids[validation])
    assert sorted([*train, *validation]) == list(range(len(data)))
    targets = len(np.unique(data.tids))
    assert len(np.unique(data.tids[validation])) == round(fraction * targets)


def test_a_split_that_leaves_a_side_empty(data):
    train, validation = split(data, 0.0, 3)
    assert len(train) == len(data)
    assert not len(validation)
    with pytest.raises(InputError, match="cannot be split with a validation fraction"):
        split(data, 0.0001, 3)


@given(seed=st.integers(0, 2**32))
def test_a_bootstrap_sample_takes_targets_whole(data, seed):
    train, _ = split(data, 0.2, 1)
    sample = bootstrap(data, train, seed)
    assert set(sample) <= set(train)
    times = {row: int((sample == row).sum()) for row in train}
    by_target: dict[int, set[int]] = {}
    for row, count in times.items():
        by_target.setdefault(int(data.tids[row]), set()).add(count)
    assert all(len(counts) == 1 for counts in by_target.values())
    targets = len(np.unique(data.tids[train]))
    assert sum(max(counts) for counts in by_target.values()) == targets
    # About 1 - 1/e of the targets are drawn, some of them more than once.
    assert 0.4 < sum(max(counts) > 0 for counts in by_target.values()) / targets < 0.85


@pytest.mark.parametrize("size", [64, 350, 10_000])
@pytest.mark.parametrize("where", ["memory", "disk"])
def test_an_epoch_sees_every_spectrum_once(survey, make, size, where):
    memory = 1.0 if where == "memory" else 1e-9
    held = load(*survey, memory=memory, keep_pixels=where == "disk")
    assert held.in_memory == (where == "memory")
    rows = np.arange(len(held))
    batches = Batches(held, rows, size, make, group=256, seed=3)
    seen = np.concatenate(list(batches.order(0)))
    np.testing.assert_array_equal(np.sort(seen), rows)
    assert list(seen) != list(np.concatenate(list(batches.order(1))))
    found = list(batches.epoch(0))
    assert len(found) == batches.steps == max(1, len(rows) // size)
    _, X, Y, z, bal = read_data(*survey)
    for step, (inputs, target, weight) in enumerate(found):
        at = batches.rows_of(0, step)
        np.testing.assert_allclose(inputs[:, :, 0], X[at], rtol=1e-5, atol=1e-5)
        wanted = objective(z[at], Y[at], bal[at], LINES, ("CIV(1548)",))
        for ours, theirs in zip((*target, *weight), (*wanted[0], *wanted[1]), strict=True):
            assert ours.dtype == np.float32
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_validation_keeps_the_order_and_the_last_batch(data, make):
    rows = np.arange(100, 350)
    batches = Batches(data, rows, 64, make, group=100)
    assert batches.steps == 4
    found = list(batches.epoch(0))
    assert [len(inputs) for inputs, *_ in found] == [64, 64, 64, 58]
    np.testing.assert_array_equal(
        np.concatenate([batch[0] for batch in found])[:, :, 0], data.X[rows]
    )


@pytest.mark.parametrize("memory", [1.0, 1e-9])
def test_batches_of_the_validation_can_be_had_one_by_one(survey, make, memory):
    held = load(*survey, memory=memory, keep_pixels=True)
    batches = Batches(held, np.arange(100, 350), 64, make, group=100)
    for step, batch in enumerate(batches.epoch(0)):
        X, target, weight = batches.at(step)
        np.testing.assert_array_equal(X, batch[0])
        for ours, theirs in zip((*target, *weight), (*batch[1], *batch[2]), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match="only batches without a seed"):
        dataclasses.replace(batches, seed=1).at(0)


def test_processes_part_every_batch(data, make):
    rows = np.arange(256)
    whole = Batches(data, rows, 64, make, group=100, seed=2)
    parts = [dataclasses.replace(whole, process=(process, 2)) for process in range(2)]
    for batch, *own in zip(whole.epoch(4), *(part.epoch(4) for part in parts), strict=True):
        for process, part in enumerate(own):
            np.testing.assert_array_equal(part[0], batch[0][process::2])
            np.testing.assert_array_equal(part[1][1], batch[1][1][process::2])


def test_augmentation_differs_by_epoch_and_is_repeated_by_seed(survey, make):
    held = load(*survey, memory=1.0, keep_pixels=True)
    noisy = dataclasses.replace(make, augmentation=Augmentation(noise=1.0))
    batches = Batches(held, np.arange(64), 64, noisy, group=100, seed=2)
    first, again, later = (next(batches.epoch(epoch))[0] for epoch in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    by_row = [
        inputs[np.argsort(batches.rows_of(epoch, 0))] for epoch, inputs in ((0, first), (1, later))
    ]
    assert not np.allclose(*by_row)
    # Also at the same place in a batch.
    alone = Batches(held, np.array([5]), 1, noisy, group=100, seed=2)
    assert not np.allclose(next(alone.epoch(0))[0], next(alone.epoch(1))[0])
    plain = Batches(held, np.arange(64), 64, noisy, group=100, seed=None)
    np.testing.assert_array_equal(
        next(plain.epoch(0))[0][:, :, 0], normalise(held.flux[:64], held.ivar[:64])
    )


def spectra(count=400, npix=200):
    rng = np.random.default_rng(8)
    flux = rng.normal(5, 1, (count, npix)).astype(np.float32)
    ivar = rng.uniform(0.5, 4, (count, npix)).astype(np.float32)
    flux[:, 50:60], ivar[:, 50:60] = 0, 0
    return flux, ivar


def test_noise_is_what_the_new_inverse_variance_says():
    flux, ivar = spectra()
    noisy, lower = augment(flux, ivar, WAVE, Augmentation(noise=2.0), np.random.default_rng(0))
    assert (noisy[:, 50:60] == 0).all()
    assert (lower[:, 50:60] == 0).all()
    good = ivar > 0
    added = 1 / lower[good] - 1 / ivar[good]
    assert (added >= -1e-6).all()
    shares = np.sqrt(ivar / np.where(lower > 0, lower, 1) - good).clip(0)[:, 0]
    assert shares.max() <= 2.0 + 1e-5
    assert shares.std() == pytest.approx(2 / np.sqrt(12), rel=0.1)
    pull = (noisy - flux)[good] / np.sqrt(added.clip(1e-12))
    assert pull.std() == pytest.approx(1.0, rel=0.02)


def test_a_tilt_keeps_the_signal_to_noise_of_every_pixel():
    flux, ivar = spectra()
    tilted, changed = augment(flux, ivar, WAVE, Augmentation(tilt=0.3), np.random.default_rng(0))
    np.testing.assert_allclose(tilted * np.sqrt(changed), flux * np.sqrt(ivar), rtol=1e-4)
    ratio = np.log(tilted[:, [0, -1]] / flux[:, [0, -1]])
    assert ratio.std() > 0.1


def test_a_part_is_kept_as_it_was():
    flux, ivar = spectra(400)
    cut, weight = augment(flux, ivar, WAVE, Augmentation(coverage=0.5), np.random.default_rng(0))
    lost = (ivar > 0) & (weight == 0)
    assert (cut[lost] == 0).all()
    np.testing.assert_array_equal(cut[~lost], flux[~lost])
    np.testing.assert_array_equal(weight[~lost], ivar[~lost])
    assert 0.4 < lost.any(axis=1).mean() < 0.6
    assert (weight > 0).any(axis=1).all()
    # What would leave nothing is not cut.
    nearly = np.zeros_like(ivar)
    nearly[:, 100] = 1
    _, left = augment(flux, nearly, WAVE, Augmentation(coverage=1.0), np.random.default_rng(0))
    np.testing.assert_array_equal(left, nearly)


def test_coverage_has_windows_of_all_widths_arms_and_gaps():
    kept = draw_coverage(np.random.default_rng(1), QUASARNET_GRID.wave, 20_000)
    fraction = kept.mean(axis=1)
    runs = (np.diff(kept.astype(int), axis=1, prepend=0) == 1).sum(axis=1)
    assert 0.02 < (fraction < 0.05).mean() < 0.15
    assert 0.02 < (fraction > 0.9).mean() < 0.3
    assert set(np.unique(runs)) == {1, 2, 3, 4}
    # No place is favoured: each pixel is kept in about as many spectra.
    assert kept.mean(axis=0).min() > 0.2
    assert kept.mean(axis=0).max() < 0.75
    again = draw_coverage(np.random.default_rng(1), QUASARNET_GRID.wave, 20_000)
    np.testing.assert_array_equal(kept, again)


def test_coverage_does_not_depend_on_the_pixels():
    coarse, fine = (
        draw_coverage(np.random.default_rng(2), WavelengthGrid.log(3600, 10_000, step).wave, 500)
        for step in (1e-3, 2.5e-4)
    )
    assert (coarse == fine[:, : 4 * coarse.shape[1] : 4]).mean() > 0.99


def test_faults_keep_what_has_no_weight_and_change_one_spectrum_alone():
    flux, ivar = spectra(400)
    changed, weight = augment(flux, ivar, WAVE, Augmentation(fault=0.5), np.random.default_rng(0))
    assert (changed[:, 50:60] == 0).all()
    assert (weight[:, 50:60] == 0).all()
    assert np.isfinite(changed).all()
    touched = (changed != flux).any(axis=1)
    assert 0.4 < touched.mean() < 0.6
    np.testing.assert_array_equal(weight[~touched], ivar[~touched])
    ratio = changed / np.where(flux == 0, 1, flux)
    step = (np.abs(np.log(np.maximum(ratio, 1e-3))) > 0.2).sum(axis=1)
    assert (step > 6).mean() > 0.1
    zeros = ((changed == 0) & (weight > ivar)).sum(axis=1)
    assert 0.02 < (zeros > 0).mean() < 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": -1.0}, "noise must be finite and at least 0"),
        ({"coverage": 1.5}, "coverage is a fraction"),
        ({"fault": 1.5}, "fault is a fraction"),
    ],
)
def test_changes_that_make_no_sense(options, message):
    with pytest.raises(InputError, match=message):
        Augmentation(**options)


@pytest.mark.parametrize("memory", [1.0, 1e-9])
def test_data_on_a_finer_grid_are_rebinned_as_for_classification(tmp_path, memory):
    import qnet

    fine = WavelengthGrid.log(3600.0, 10400.0, 2.5e-4)
    flux, ivar = make_spectra(fine.wave, np.linspace(1, 3, 30), seed=1)
    ivar[3, ::7], flux[4, 100:200], ivar[5, 20:28] = 0, np.nan, np.inf
    ids = np.arange(30)
    path = write(
        tmp_path / "fine.fits",
        prepared(flux, ivar, {"TARGETID": ids}, grid=(fine.spacing, fine.start, fine.step)),
    )
    truth = {number: qnet.io.TruthRecord(1.0, 3, 3, 0, 0.0) for number in ids.tolist()}
    data = load(path, truth, memory=memory, keep_pixels=True, grid=QUASARNET_GRID)
    assert data.grid == QUASARNET_GRID
    assert data.in_memory == (memory == 1.0)
    rows = np.array([4, 2, 29, 3, 5])
    X = data.take(rows).normalised(Augmentation(), None)
    seen = qnet.load_model("qnet@4").preprocess(qnet.read_spectra(path))
    np.testing.assert_allclose(X, seen.X[rows], rtol=0, atol=1e-5)
