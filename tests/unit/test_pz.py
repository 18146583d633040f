"""Redshift distributions: what they hold, as a table, in files, and against true redshifts."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import resource
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

import qnet
from makers import desi_coadd, desi_set, fibermap, make_spectra, write
from networks import (
    full_model,
    random_weights,
    refine_architecture,
    verifying_model,
    with_density,
)
from qnet.classification.pz import find_distributions
from qnet.classification.refinement import Candidates
from qnet.cli import main
from qnet.core.bins import RedshiftBins
from qnet.core.errors import FileError, InputError
from qnet.core.pz import FLOOR, STEP, RedshiftDistributions, component_cdf
from qnet.evaluation import crps, pit
from qnet.io import pz_grid, read_pz, write_pz
from qnet.io.catalogue import Catalogue
from qnet.lines import SPEED_OF_LIGHT
from qnet.model.laws import Logistic
from shell import errors, run

BINS = RedshiftBins(0.05, 6.8, 40)
WAVE = np.arange(3700.0, 9500.0, 2.0)


def distributions(z=(2.0,), sigma=(200.0,), weight=(1.0,), coarse=0.0):
    """One component in each row, of a width [km/s], and so much in each redshift bin."""
    z, sigma, weight = (np.array(values, float)[:, None] for values in (z, sigma, weight))
    bins = np.full((len(z), BINS.nbins), coarse, np.float32)
    others = np.full((len(z), 2), 0.1, np.float32)
    return RedshiftDistributions(BINS, z, sigma / SPEED_OF_LIGHT * (1 + z), weight, bins, others)


def as_table(found):
    ids = {name: np.arange(len(found)) for name in ("TARGETID", "INPUT_INDEX", "INPUT_ROW")}
    return Catalogue({**ids, "P_QSO": np.full(len(found), 0.8)}, (), {}, found).to_table()


def below(found, z):
    """The probability of redshifts below those of each row."""
    return pit(as_table(found), z)


@pytest.fixture(scope="module")
def spectra():
    flux, ivar = make_spectra(WAVE, np.linspace(0.3, 3.5, 24), seed=3)
    ivar[5] = 0
    return qnet.io.from_arrays(WAVE, flux, ivar, targetid=np.arange(100, 124))


@pytest.fixture(scope="module")
def model(small_model):
    return verifying_model(small_model)


@pytest.fixture(scope="module")
def table(spectra, model):
    return qnet.classify(spectra, model=model, pz=True)


@pytest.mark.parametrize("sigma", [25.0, 60.0, 400.0, 3000.0])
def test_a_component_is_as_wide_as_zerr_and_its_integral_is_1(sigma):
    found = distributions(z=[2.0, 0.4, 5.0], sigma=[sigma] * 3, weight=[1.0] * 3)
    p = np.exp(found.ln_p(slice(None)).astype(float))
    np.testing.assert_allclose(p.sum(axis=1) * STEP, 1, atol=1e-3)
    # Half of it is between the quartiles of a Gaussian; tails are those of the pulls.
    z, zerr = found.z[:, 0], found.zerr[:, 0]
    for number, expected in ((0.67449, 0.5), (3.0, 0.01377), (5.0, 0.00079)):
        low, high = (np.log1p(z) + side * number * zerr / (1 + z) for side in (-1, 1))
        outside = 1 - component_cdf(high, z, zerr) + component_cdf(low, z, zerr)
        np.testing.assert_allclose(outside, expected, atol=1e-5)
        if sigma * number > 200:  # several pixels
            on_grid = 1 - below(found, np.expm1(high)) + below(found, np.expm1(low))
            np.testing.assert_allclose(on_grid, expected, atol=2e-3)


def test_the_bins_have_their_probabilities():
    found = distributions(weight=[0.0], coarse=0.0)
    found.coarse[0, [3, 20]] = 0.25, 0.75
    edges = BINS.z_at(np.array([3, 4, 20, 21]))
    every = [float(below(found, [z])[0]) for z in edges]
    np.testing.assert_allclose(every, [0, 0.25, 0.25, 1], atol=1e-3)
    ln_p = found.ln_p(slice(None))[0]
    width = BINS.step * math.log(10)
    assert ln_p.max() == pytest.approx(math.log(0.75 / width), abs=1e-3)
    assert ln_p.min() == FLOOR


def candidates(score, probability, z=((2.0, 3.0),), zerr=0.001):
    score, probability, z = (np.array(x, float) for x in (score, probability, z))
    ok = np.isfinite(score)
    zerr = np.full(z.shape, zerr)
    return Candidates(z, probability, z, zerr, score, score, ok, np.ones(z.shape))


def found_of(model, chosen, posterior, **columns):
    columns = {"P_QSO": np.full(len(posterior), 0.7), **columns}
    snr, rows = np.full(len(posterior), 5.0), np.arange(len(chosen.z))
    parts = find_distributions(chosen, rows, posterior, model, snr, columns)
    return RedshiftDistributions.take(parts, model.architecture.redshifts)


@pytest.fixture
def posterior(model):
    """Half at z = 2, 0.3 at z = 3, 0.1 at z = 5 and 0.1 of the other classes."""
    bins = model.architecture.redshifts
    values = np.zeros((1, bins.noutputs))
    values[0, bins.bin_of([2.0, 3.0, 5.0])] = 0.5, 0.3, 0.1
    values[0, bins.nbins :] = 0.08, 0.02
    return values


def test_candidates_have_their_odds_and_the_rest_those_of_score_0(model, posterior):
    score = [[4.0, 1.0]]
    found = found_of(model, candidates(score, [[0.5, 0.3]]), posterior.copy())
    exponent = model.calibration.fraction_exponent
    odds = np.array([*np.exp(score[0]) * (np.array([0.5, 0.3]) / 0.9) ** exponent, 0.1 / 0.9])
    shares = [*found.weight[0], found.coarse.sum()]
    np.testing.assert_allclose(shares, odds / odds.sum(), rtol=1e-5)
    assert found.coarse[0].argmax() == model.architecture.redshifts.bin_of(5.0)
    factor = model.calibration.zerr(np.log10(5.0), found.z)
    np.testing.assert_allclose(found.zerr, 0.001 * factor)
    np.testing.assert_allclose(found.others[0], [0.24, 0.06], rtol=1e-5)


def test_a_candidate_that_was_not_refined_stays_in_the_posterior(model, posterior):
    found = found_of(model, candidates([[4.0, np.nan]], [[0.5, 0.3]]), posterior.copy())
    bins = model.architecture.redshifts
    three, five = found.coarse[0, bins.bin_of([3.0, 5.0])]
    assert three == pytest.approx(3 * five)
    assert found.weight[0, 1] == 0
    nothing = found_of(
        model, candidates(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros((0, 2))), posterior.copy()
    )
    np.testing.assert_allclose(nothing.coarse[0], posterior[0, : bins.nbins] / 0.9, atol=1e-6)


def test_a_second_stage_without_scores_leaves_the_posterior_its_fractions(model, posterior):
    refine = refine_architecture()
    arrays = model.weights.arrays | random_weights(refine.shapes())
    calibration = dataclasses.replace(model.calibration, p_candidate=None)
    changes = {"refine": refine, "arrays": arrays, "calibration": calibration}
    other = qnet.Model(dataclasses.replace(model.weights, **changes))
    unscored = candidates([[0.0, np.nan]], [[0.5, 0.3]])
    unscored = dataclasses.replace(unscored, score=np.full((1, 2), np.nan))
    found = found_of(other, unscored, posterior.copy())
    assert found.weight[0].tolist() == pytest.approx([5 / 9, 0])
    assert found.coarse.sum() == pytest.approx(4 / 9)


@pytest.mark.parametrize("p_z", [0.1, 0.6, 0.97])
@pytest.mark.parametrize("second", [3.0, 2.005], ids=["apart", "near"])
def test_the_probability_near_zbest_is_p_z(model, posterior, p_z, second):
    chosen = candidates([[4.0, 1.0]], [[0.5, 0.3]], [[2.0, second]])
    found = found_of(model, chosen, posterior.copy(), P_Z=np.array([p_z]))
    ends = 2.0 + 3.0 * 3000 / SPEED_OF_LIGHT * np.array([-1, 1])
    near = below(found, ends[1:]) - below(found, ends[:1])
    assert near[0] == pytest.approx(p_z, abs=1e-3)
    assert found.weight.sum() + found.coarse.sum() == pytest.approx(1)


def test_the_table_has_a_distribution_for_each_row(table, model):
    z, p = pz_grid(table), np.exp(np.asarray(table["LN_PZ"], float))
    bad = np.zeros(len(table), bool)
    bad[5] = True
    for name in ("LN_PZ", "P_STAR", "P_GALAXY"):
        empty = np.isnan(np.asarray(table[name])).reshape(len(table), -1)
        np.testing.assert_array_equal(empty.all(axis=1), bad)
        np.testing.assert_array_equal(empty.any(axis=1), bad)
    known = table[~bad]
    np.testing.assert_allclose(known["P_QSO"] + known["P_STAR"] + known["P_GALAXY"], 1, atol=1e-5)
    np.testing.assert_allclose(p[~bad].sum(axis=1) * STEP, 1, atol=1e-3)
    refined = np.isfinite(table["ZERR"])
    assert 3 < refined.sum() < (~bad).sum()
    # The best candidate has the largest odds, and is by far narrower than the bins.
    peak = z[p[refined].argmax(axis=1)]
    np.testing.assert_allclose(peak, table["ZBEST"][refined], atol=2e-4 * (1 + peak.max()))
    assert table["LN_PZ"].description.startswith("ln of the probability density of ln(1+z)")
    assert table.meta["PZCLASS"] == "QSO, STAR, GALAXY"


def test_rows_that_were_not_refined_have_the_posterior(spectra, table, model):
    rows = np.flatnonzero(np.isnan(table["ZERR"]) & np.isfinite(table["ZBEST"]))
    output = model.forward(model.preprocess(spectra).X)
    bins = model.architecture.redshifts
    posterior = output.posterior[rows][:, : bins.nbins].astype(float)
    expected = np.cumsum(posterior, axis=1) / posterior.sum(axis=1, keepdims=True)
    for last in (3, 17, 30):
        found = pit(table[rows], np.full(len(rows), bins.z_at(last + 1)))
        np.testing.assert_allclose(found, expected[:, last], atol=2e-3)


def test_a_row_is_the_same_alone_and_nothing_is_there_unasked(spectra, table, model):
    alone = qnet.classify(spectra, model=model, rows=[7, 9], pz=True)
    for row in (7, 9):
        np.testing.assert_allclose(alone["LN_PZ"][row], table["LN_PZ"][row], atol=0.05)
    others = np.setdiff1d(np.arange(len(table)), [7, 9])
    assert np.isnan(alone["LN_PZ"][others]).all()
    plain = qnet.classify(spectra, model=model)
    assert not {"LN_PZ", "P_STAR", "P_GALAXY"} & {*plain.colnames}
    for name in plain.colnames:
        np.testing.assert_array_equal(plain[name], table[name], err_msg=name)


@pytest.mark.parametrize("suffix", ["fits", "parquet"])
def test_files_hold_the_table(tmp_path, table, suffix):
    path = write_pz(table, tmp_path / f"pz.{suffix}")
    found = read_pz(path)
    names = ["TARGETID", "P_QSO", "P_STAR", "P_GALAXY", "INPUT_INDEX", "INPUT_ROW", "LN_PZ"]
    assert found.colnames == names
    for name in names:
        np.testing.assert_array_equal(found[name], table[name], err_msg=name)
        assert found[name].dtype == table[name].dtype
    for key in ("MODEL", "PRIORQSO", "PZSTART", "PZSTEP", "PZCLASS", "IN000000"):
        assert found.meta[key] == table.meta[key]
    for rows in ([3], [20, 3, 3, -1], np.arange(24) > 21, []):
        some = read_pz(path, rows)
        np.testing.assert_array_equal(some["LN_PZ"], table["LN_PZ"][rows])
        np.testing.assert_array_equal(some["TARGETID"], table["TARGETID"][rows])
    with pytest.raises(InputError, match=r"rows must be in 0 \.\. 23"):
        read_pz(path, [24])
    with pytest.raises(qnet.OutputExistsError, match="exists already"):
        write_pz(table, path)
    text = qnet.read_catalogue(qnet.write_catalogue(table, tmp_path / "text.csv"))
    assert not any(name.startswith("LN_PZ") for name in text.colnames)
    # A hundredth of the numbers themselves: 82 kB in each row.
    assert path.stat().st_size < 0.1 * table["LN_PZ"].nbytes


def test_other_libraries_read_the_files(tmp_path, table):
    with fits.open(write_pz(table, tmp_path / "pz.fits")) as hdus:
        hdus.verify("exception")
        np.testing.assert_array_equal(hdus["PZ"].data, table["LN_PZ"])
        assert hdus["PZ"].header["PZSTEP"] == STEP
        np.testing.assert_array_equal(hdus["IDS"].data["TARGETID"], table["TARGETID"])
    from pyarrow import parquet

    arrow = parquet.read_table(write_pz(table, tmp_path / "pz.parquet"))
    np.testing.assert_array_equal(np.stack(arrow["LN_PZ"].to_numpy()), table["LN_PZ"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x["TARGETID", "P_QSO"], "no column LN_PZ of floats of shape"),
        (lambda x: (x.replace_column("LN_PZ", x["ZBEST"]), x)[1], "no column LN_PZ of floats"),
        (lambda x: (x.replace_column("LN_PZ", np.full((24, 3), "a")), x)[1], "LN_PZ of floats"),
        (lambda x: x["LN_PZ", "INPUT_ROW"], "lacks the column.s. TARGETID, INPUT_INDEX"),
        (lambda x: (x.meta.update(PZSTEP="a"), x)[1], "must be those of a grid in ln.1.z., not 0"),
        (lambda x: x["TARGETID"], "distributions must be .*Table, not .*Column"),
    ],
)
def test_a_table_without_distributions_is_refused(tmp_path, table, change, message):
    with pytest.raises(InputError, match=message):
        write_pz(change(table.copy()), tmp_path / "pz.fits")
    assert os.listdir(tmp_path) == []


def _other_length(path):
    with fits.open(path) as hdus:
        hdus["IDS"].data = hdus["IDS"].data[:5]
        hdus.writeto(path, overwrite=True)


def _without_grid(path):
    fits.delval(path, "PZSTEP", "IDS")


def _cut(path):
    os.truncate(path, os.path.getsize(path) // 2)


def _ragged(path):
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"LN_PZ": [[1.0], [1.0, 2.0]]}), path)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("pz.fits", _other_length, r"PZ has shape \(24, 20\d+\), but IDS has 5 rows"),
        ("pz.fits", _without_grid, "PZSTART and PZSTEP of the table's meta"),
        ("pz.fits", _cut, "cut short"),
        (
            "pz.fits",
            lambda x: fits.PrimaryHDU().writeto(x, overwrite=True),
            "lacks the image PZ and the table",
        ),
        ("pz.parquet", _ragged, "lists of LN_PZ are not of one length"),
        ("pz.parquet", lambda x: Table({"A": [1]}).write(x, overwrite=True), "lacks the column"),
        ("pz.parquet", _cut, "cannot be read as redshift distributions"),
    ],
)
def test_a_file_that_holds_something_else_is_a_file_error(tmp_path, table, name, damage, message):
    path = write_pz(table, tmp_path / name)
    damage(path)
    with pytest.raises(FileError, match=message):
        read_pz(path)


@pytest.mark.parametrize("suffix", ["fits", "parquet"])
def test_files_of_no_rows(tmp_path, table, suffix):
    found = read_pz(write_pz(table[:0], tmp_path / f"pz.{suffix}"))
    assert (len(found), len(found["LN_PZ"])) == (0, 0)
    assert found.meta["PZSTEP"] == STEP


def test_models_that_cannot_are_refused(spectra, small_model, model):
    without = dataclasses.replace(model.weights, calibration=None)
    for other, lacking in (
        (small_model, "no redshift head and no second stage and no calibration"),
        (full_model(small_model), "no redshift head"),
        (qnet.Model(without), "no calibration"),
    ):
        with pytest.raises(InputError, match=f"pz needs a model with .*: .* has {lacking}$"):
            qnet.classify(spectra, model=other, pz=True)
    bins = dataclasses.replace(model.architecture.redshifts, others=("BAL", "GALAXY"))
    architecture = dataclasses.replace(model.architecture, redshifts=bins)
    other = qnet.Model(dataclasses.replace(model.weights, architecture=architecture))
    with pytest.raises(InputError, match=r"in the column\(s\) P_BAL"):
        qnet.classify(spectra, model=other, pz=True)


def test_the_columns_p_z_and_zerr_are_those_of_the_distributions(spectra, model):
    law = Logistic(("score", "log_snr"), (0.0, 0.0), (4.0, 1.0), (-99.0,) * 2, (99.0,) * 2,
                   (0.2, 0.9, 0.5), 1)  # fmt: skip
    calibration = dataclasses.replace(model.calibration, p_z=law)
    other = qnet.Model(dataclasses.replace(model.weights, calibration=calibration))
    found = qnet.classify(spectra, model=other, pz=True)
    found = found[np.isfinite(found["P_Z"])]
    assert len(found) > 3
    z, p_z = np.asarray(found["ZBEST"]), np.asarray(found["P_Z"])
    low, high = (z + side * 3000 / SPEED_OF_LIGHT * (1 + z) for side in (-1, 1))
    near = pit(found, high) - pit(found, low)
    narrow = found["ZERR"] * SPEED_OF_LIGHT / (1 + z) < 500  # others have tails beyond
    assert narrow.sum() > 3
    np.testing.assert_allclose(near[narrow], p_z[narrow], atol=2e-3)


def test_a_population_weighs_bins_candidates_and_classes(spectra, model):
    here = with_density(model)
    edges, values = [0.05, 2.0, 6.8], [[1.0], [1e-3]]
    mix = {"QSO": 0.1, "STAR": 0.8, "GALAXY": 0.05, "SKY": 0.05}
    prior = qnet.Population(edges, [10.0, 30.0], values, mix)
    before, after = (qnet.classify(spectra, model=here, prior=x, pz=True)
                     for x in ("training", prior))  # fmt: skip
    known = np.isfinite(before["ZBEST"])
    limit = np.full(len(before), 2.0)
    far, then = (1 - pit(x, limit)[known] for x in (after, before))
    assert (far <= then + 1e-3).all()
    assert far.sum() < 0.1 * then.sum()
    for x in (before, after):
        np.testing.assert_allclose((x["P_QSO"] + x["P_STAR"] + x["P_GALAXY"])[known], 1, atol=1e-5)
    ratio = [x["P_STAR"][known] / x["P_GALAXY"][known] for x in (after, before)]
    trained = here.calibration.mix
    factor = 0.85 / (trained["STAR"] + trained["SKY"]) / (0.05 / trained["GALAXY"])
    np.testing.assert_allclose(ratio[0] / ratio[1], factor, rtol=1e-3)


def test_pit_is_uniform_and_crps_least_for_the_true_width():
    rng = np.random.default_rng(1)
    nspec = 500
    t = rng.standard_t(8, nspec) * 0.9548 * 300.0
    z = np.exp(np.log(3.0) + t / SPEED_OF_LIGHT) - 1
    scores = []
    for factor in (0.5, 1.0, 2.0):
        found = distributions(np.full(nspec, 2.0), np.full(nspec, factor * 300.0), np.ones(nspec))
        short = RedshiftBins(1.9, 2.1, BINS.nbins)  # a short grid is quicker
        found = as_table(dataclasses.replace(found, bins=short))
        outer = np.mean(np.abs(pit(found, z) - 0.5) > 0.4)
        assert {0.5: outer > 0.4, 1.0: abs(outer - 0.2) < 0.05, 2.0: outer < 0.1}[factor]
        scores.append(crps(found, z).mean())
    assert scores[1] < min(scores[0], scores[2])


def test_pit_and_crps_of_a_box():
    """Of a box of width w: w/3 from an end, w/12 from the middle, and the distance beyond."""
    found = distributions(np.full(5, 2.0), np.ones(5), np.zeros(5))
    found.coarse[:, 10:12] = 0.5
    low, middle, high = np.log1p(BINS.z_at(np.array([10.0, 11.0, 12.0])))
    width = SPEED_OF_LIGHT * (high - low)
    z = np.expm1([low, middle, high, high + 0.1, np.nan])
    np.testing.assert_allclose(below(found, z), [0, 0.5, 1, 1, np.nan], atol=1e-3)
    expected = [width / 3, width / 12, width / 3, width / 3 + 0.1 * SPEED_OF_LIGHT, np.nan]
    np.testing.assert_allclose(crps(as_table(found), z), expected, rtol=2e-3)
    far = crps(as_table(found), np.full(5, 20.0))
    np.testing.assert_allclose(far, SPEED_OF_LIGHT * (np.log(21) - high) + width / 3, rtol=2e-3)
    with pytest.raises(InputError, match="z has 2 redshifts for 5 distributions"):
        pit(as_table(found), [1.0, 2.0])


@pytest.mark.parametrize("suffix", ["csv", "ecsv"])
def test_text_holds_no_distributions(tmp_path, suffix):
    """They would be 20 000 columns, each written as text."""
    catalogue = Catalogue({"TARGETID": np.array([1])}, pz=distributions())
    path = qnet.write_catalogue(catalogue, tmp_path / f"c.{suffix}")
    assert qnet.read_catalogue(path).colnames == ["TARGETID"]


@pytest.fixture
def folder(tmp_path, model):
    """Two files of three and two spectra, and the weights of a model."""
    cameras = desi_set((1.0, 2.0, 3.0))
    for name, rows in (("a", slice(0, 3)), ("b", slice(1, 3))):
        part = {key: (wave, *(x[rows] for x in data)) for key, (wave, *data) in cameras.items()}
        write(tmp_path / f"{name}.fits", desi_coadd(part, fibermap(np.arange(10, 13)[rows])))
    model.save(tmp_path / "m.safetensors")
    return tmp_path


def test_rows_follow_the_catalogue_over_files_and_workers(folder):
    inputs = [folder / "b.fits", folder / "a.fits"]
    pz, output, weights = folder / "pz.fits", folder / "cat.fits", folder / "m.safetensors"
    command = ("classify", *inputs, "--model", weights, "-o", output)
    done = run(*command, "--pz", pz, "--workers", "2")
    assert (done.returncode, errors(done)) == (0, [])
    catalogue, found = qnet.read_catalogue(output), read_pz(pz)
    expected = qnet.classify(inputs, model=weights, pz=True)
    assert found["TARGETID"].tolist() == [11, 12, 10, 11, 12]
    for name in ("TARGETID", "INPUT_INDEX", "INPUT_ROW", "P_QSO"):
        np.testing.assert_array_equal(found[name], catalogue[name], err_msg=name)
    for name in ("P_STAR", "LN_PZ"):
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    assert "LN_PZ" not in catalogue.colnames
    # Both spectra of the first file are in the second one too.
    for first, again, other in ((0, 3, 4), (1, 4, 3)):
        np.testing.assert_allclose(found["LN_PZ"][first], found["LN_PZ"][again], atol=0.05)
        assert np.abs(found["LN_PZ"][first] - found["LN_PZ"][other]).max() > 1
    assert [found.meta[f"IN{n:06d}"] for n in (0, 1)] == list(map(str, inputs))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cat.fits", "cat.fits: is an input: give the file of redshift distributions another name"),
        ("a.fits", "a.fits: is an input: give the file of redshift distributions another name"),
        ("old.fits", "old.fits: exists already"),
        ("pz.csv", "pz.csv: the name of a file of redshift distributions must end in .fits or "),
        ("pz.fits.gz", "must end in .fits or .parquet"),
        ("none/pz.fits", "its folder .*none does not exist"),
        ("", "--pz is empty"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_any_work(folder, name, message, capsys):
    (folder / "old.fits").write_text("old")
    before = sorted(os.listdir(folder))
    command = ["classify", str(folder / "a.fits"), "--model", str(folder / "m.safetensors"), "-o"]
    overwrite = ["--overwrite"] if name == "a.fits" else []
    path = str(folder / name) if name else ""
    assert main([*command, str(folder / "cat.fits"), "--pz", path, *overwrite]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert sorted(os.listdir(folder)) == before


def test_a_full_disk_is_a_file_error_and_leaves_nothing(tmp_path, table):
    """A limit on the size of files stands for the disk; in a process of its own."""
    small = write_pz(table, tmp_path / "small.fits")
    program = (
        "import sys, qnet, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "table = qnet.io.read_pz(sys.argv[1])\n"
        "for name in sys.argv[2:]:\n"
        "    try:\n"
        "        qnet.io.write_pz(table, name)\n"
        "    except qnet.FileError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, small, tmp_path / "big.fits", tmp_path / "big.parquet"],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000)),
    )
    for suffix in ("fits", "parquet"):
        assert f"big.{suffix}: could not be written" in done.stdout
    assert os.listdir(tmp_path) == ["small.fits"]
