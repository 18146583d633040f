"""Mock surveys: seeds, mixes, truth."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qnet
from qnet.core.errors import InputError
from qnet.core.grid import QUASARNET_GRID
from qnet.preprocess.rebinning import rebin_cameras
from qnet.simulation import Batch, simulate
from qnet.simulation.frame import NPIX, Objects, scale_to_r
from qnet.simulation.population import (
    DEFAULT_MIX,
    KINDS,
    MAGNITUDES,
    QUASAR_REDSHIFTS,
    check_mix,
    draw,
    merge_columns,
)
from qnet.simulation.survey import CHUNK


class Flat:
    """A source of flat spectra, fast: what is tested here is what is done with them."""

    sha256 = "0" * 64

    def _make(self, rng, z, rmag, spectype):
        flux = 1 + 0.1 * rng.random((len(rmag), 1)) * np.ones(NPIX)
        truth = {
            "TRUEZ": z,
            "TRUESPECTYPE": np.full(len(rmag), spectype),
            "TRUESUBTYPE": np.full(len(rmag), "FLAT"),
            "BAL_FLAG_VI": np.zeros(len(rmag), np.int16),
            "BI_CIV": np.zeros(len(rmag)),
            "RMAG": rmag,
        }
        if spectype == "QSO":
            truth |= {"EW": np.ones(len(rmag)), "NLINE": np.ones(len(rmag), int), "A": z > 1}
        return Objects(scale_to_r(flux, rmag), truth)

    def quasars(self, rng, z, rmag):
        return self._make(rng, z, rmag, "QSO")

    def galaxies(self, rng, rmag):
        return self._make(rng, rng.random(len(rmag)), rmag, "GALAXY")

    def stars(self, rng, rmag):
        return self._make(rng, np.zeros(len(rmag)), rmag, "STAR")


def flat_survey(n, **options):
    return simulate(n, **{"seed": 1, "templates": Flat(), "template_fraction": 1.0} | options)


def assert_same(left: Batch, right: Batch, rows=slice(None)):
    """All pixels, ids and truth of a batch are those of some rows of another."""
    for ours, theirs in zip(left.spectra.cameras, right.spectra.cameras, strict=True):
        np.testing.assert_array_equal(ours.wave, theirs.wave)
        np.testing.assert_array_equal(ours.flux, theirs.flux[rows])
        np.testing.assert_array_equal(ours.ivar, theirs.ivar[rows])
    for ours, theirs in zip(left.signals, right.signals, strict=True):
        np.testing.assert_array_equal(ours, theirs[rows])
    assert list(left.truth) == list(right.truth)
    for name, column in left.truth.items():
        np.testing.assert_array_equal(column, right.truth[name][rows], err_msg=name)
    for name, column in left.spectra.ids.items():
        np.testing.assert_array_equal(column, right.spectra.ids[name][rows], err_msg=name)


@pytest.mark.parametrize("survey", ["sdss", "boss", "desi"])
def test_same_seed_same_spectra_and_the_first_of_a_larger_survey(survey):
    whole = flat_survey(CHUNK + 40, survey=survey).collect()
    assert len(whole) == CHUNK + 40
    assert_same(flat_survey(CHUNK + 40, survey=survey).collect(), whole)
    assert_same(flat_survey(30, survey=survey).collect(), whole, slice(30))
    assert_same(flat_survey(CHUNK + 1, survey=survey).collect(), whole, slice(CHUNK + 1))


def test_iterating_twice_gives_the_same_and_chunks_are_those_collected():
    survey = flat_survey(CHUNK + 10)
    whole = survey.collect()
    sizes = []
    for batch in survey:
        start = sum(sizes)
        sizes.append(len(batch))
        assert_same(batch, whole, slice(start, start + len(batch)))
    assert sizes == [CHUNK, 10]
    assert len(survey) == CHUNK + 10


def test_another_seed_is_another_survey_and_shares_no_targetid():
    batches = [
        flat_survey(50, seed=seed, survey=survey).collect()
        for seed in (0, 1, 2**32 - 1)
        for survey in ("sdss", "boss", "desi")
    ]
    ids = np.concatenate([batch.truth["TARGETID"] for batch in batches])
    assert len(set(ids.tolist())) == len(ids)
    assert (ids > 0).all()
    assert not np.array_equal(batches[0].truth["TRUEZ"], batches[3].truth["TRUEZ"])


def test_noise_seed_changes_the_noise_alone():
    one, two = (flat_survey(100, noise_seed=seed).collect() for seed in (1, 2))
    assert_same(flat_survey(100).collect(), one)
    np.testing.assert_array_equal(one.signals[0], two.signals[0])
    assert not np.array_equal(one.spectra.cameras[0].flux, two.spectra.cameras[0].flux)
    for name in set(one.truth) - {"SNR", "SN_MEDIAN_ALL"}:
        np.testing.assert_array_equal(one.truth[name], two.truth[name])
    correlation = np.corrcoef(
        *(
            (batch.spectra.cameras[0].flux - batch.signals[0])[:, 2000:2500].ravel()
            for batch in (one, two)
        )
    )
    assert abs(correlation[0, 1]) < 0.2


def test_fractions_of_kinds():
    truth = flat_survey(2048).collect().truth
    for kind, spectype in KINDS.items():
        fraction = DEFAULT_MIX[kind]
        found = (truth["TRUESPECTYPE"] == spectype).mean()
        assert found == pytest.approx(fraction, abs=5 * np.sqrt(fraction * (1 - fraction) / 2048))
    assert DEFAULT_MIX["sky"] >= 0.1
    assert sum(DEFAULT_MIX.values()) == pytest.approx(1)


def test_a_mix_of_one_kind():
    batch = flat_survey(100, mix={"sky": 1.0}).collect()
    assert set(batch.truth["TRUESPECTYPE"]) == {"SKY"}
    assert not batch.truth["TEMPLATE"].any()
    assert not batch.signals[0].any()
    np.testing.assert_array_equal(batch.truth["TRUEZ"], 0)
    np.testing.assert_array_equal(batch.truth["SNR"], 0)
    np.testing.assert_array_equal(batch.truth["SN_MEDIAN_ALL"], 0)
    assert np.isnan(batch.truth["RMAG"]).all()


def test_columns_of_a_kind_are_empty_for_the_others():
    truth = flat_survey(200).collect().truth
    quasar = truth["TRUESPECTYPE"] == "QSO"
    assert (truth["EW"][quasar] == 1).all()
    assert np.isnan(truth["EW"][~quasar]).all()
    assert (truth["NLINE"][~quasar] == -1).all()
    assert not truth["A"][~quasar].any()
    first = ["TARGETID", "TRUEZ", "TRUESPECTYPE", "TRUESUBTYPE", "BAL_FLAG_VI", "BI_CIV", "RMAG"]
    assert list(truth)[:10] == [*first, "SNR", "SN_MEDIAN_ALL", "TEMPLATE"]


def test_template_fraction():
    truth = simulate(1024, seed=5, templates=Flat(), mix={"star": 0.6, "sky": 0.4}).collect().truth
    star = truth["TRUESPECTYPE"] == "STAR"
    assert truth["TEMPLATE"][star].mean() == pytest.approx(0.6, abs=0.1)
    assert not truth["TEMPLATE"][~star].any()
    assert (truth["TRUESUBTYPE"][truth["TEMPLATE"]] == "FLAT").all()
    assert (truth["TRUESUBTYPE"][star & ~truth["TEMPLATE"]] != "FLAT").all()


def test_snr_is_that_of_the_signal_on_quasarnets_grid():
    batch = flat_survey(50, survey="desi").collect()
    cameras = [
        qnet.Camera(camera.name, camera.wave, signal, camera.ivar)
        for camera, signal in zip(batch.spectra.cameras, batch.signals, strict=True)
    ]
    flux, ivar = rebin_cameras(cameras, QUASARNET_GRID)
    for row in range(50):
        good = ivar[row] > 0
        expected = np.median(flux[row, good] * np.sqrt(ivar[row, good]))
        assert batch.truth["SNR"][row] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("survey", ["boss", "desi"])
def test_snr_of_native_pixels_is_that_of_the_signal(survey):
    batch = flat_survey(50, survey=survey).collect()
    for row in range(50):
        signal = np.concatenate([signal[row] for signal in batch.signals])
        ivar = np.concatenate([camera.ivar[row] for camera in batch.spectra.cameras])
        expected = np.median((signal * np.sqrt(ivar))[ivar > 0])
        assert batch.truth["SN_MEDIAN_ALL"][row] == pytest.approx(expected, rel=1e-5)
    # The grid's pixels hold ten of BOSS and up to twenty of DESI.
    seen = batch.truth["SN_MEDIAN_ALL"] > 0
    assert seen.sum() > 20
    assert 3 < np.median(batch.truth["SNR"][seen] / batch.truth["SN_MEDIAN_ALL"][seen]) < 5


def test_brighter_is_better():
    truth = flat_survey(1024, mix={"quasar": 1.0}).collect().truth
    bins = [(truth["RMAG"] > low) & (truth["RMAG"] < low + 1) for low in (18, 20, 22)]
    medians = [np.median(truth["SNR"][inside]) for inside in bins]
    assert medians[0] > 3 * medians[1] > 9 * medians[2] > 0


@pytest.mark.parametrize("survey", ["sdss", "boss", "desi"])
def test_real_kinds_go_through(survey):
    batch = simulate(CHUNK, seed=2, survey=survey).collect()
    assert set(batch.truth["TRUESPECTYPE"]) == {"QSO", "GALAXY", "STAR", "SKY"}
    for camera, signal in zip(batch.spectra.cameras, batch.signals, strict=True):
        assert camera.flux.dtype == camera.ivar.dtype == signal.dtype == np.float32
        assert np.isfinite(camera.flux).all()
        assert np.isfinite(signal).all()
        assert (camera.ivar >= 0).all()
    quasar = batch.truth["TRUESPECTYPE"] == "QSO"
    z = batch.truth["TRUEZ"][quasar]
    assert 0.01 <= z.min() < 1
    assert 2.5 < z.max() <= 6.8
    assert (batch.truth["BAL_FLAG_VI"][~quasar] == 0).all()
    assert np.isfinite(batch.truth["RMAG"][batch.truth["TRUESPECTYPE"] != "SKY"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n must be (an integer from 1|a whole number)"),
        ({"n": 2.5}, "n must be a whole number, not 2.5"),
        ({"n": True}, "n must be (an integer from 1|a whole number)"),
        ({"n": 2**26 + 1}, "n must be (an integer from 1|a whole number)"),
        ({"seed": -1}, "seed must be an integer from 0 to 4294967295, not -1"),
        ({"seed": None}, "seed must be (an integer|a whole number)"),
        ({"noise_seed": 2**32}, "noise_seed must be an integer"),
        ({"survey": "6df"}, "survey must be one of"),
        ({"mix": {"quasar": 0.5}}, "must add up to 1, but they add up to 0.5"),
        ({"mix": {"blazar": 1.0}}, "mix must name kinds among quasar, galaxy, star, sky, not blaz"),
        ({"mix": {"quasar": 1.5, "sky": -0.5}}, "at least 0"),
        ({"mix": {"quasar": float("nan")}}, "at least 0"),
        ({"template_fraction": 1.1}, "template_fraction must be in 0"),
        ({"template_fraction": 0.3, "templates": None}, "template_fraction 0.3 needs templates"),
        ({"templates": 3}, "templates must be a folder"),
    ],
)
def test_faults(options, message):
    with pytest.raises(InputError, match=message):
        simulate(options.pop("n", 10), **{"seed": 1} | options)


def test_provenance_names_the_templates_only_where_there_are_any():
    plain = {key: value for key, value, _ in simulate(5, seed=9, survey="desi").provenance()}
    assert plain["SIMSEED"] == plain["SIMNOISE"] == 9
    assert (plain["SIMSURV"], plain["SIMN"], plain["SIMSKY"]) == ("desi", 5, 0.13)
    assert plain["QNVER"] == qnet.__version__
    assert "SIMTSHA" not in plain
    mixed = {key: value for key, value, _ in flat_survey(5).provenance()}
    assert (mixed["SIMTSHA"], mixed["SIMTFRAC"]) == ("0" * 64, 1.0)


@settings(max_examples=30)
@given(
    density=st.lists(st.floats(0.01, 10), min_size=2, max_size=6),
    seed=st.integers(0, 100),
)
def test_drawn_numbers_follow_the_density(density, seed):
    knots = tuple((float(value), height) for value, height in enumerate(density))
    values = draw(np.random.default_rng(seed), knots, 20000)
    assert values.min() >= 0
    assert values.max() <= len(density) - 1
    areas = [(left + right) / 2 for left, right in itertools.pairwise(density)]
    found = np.histogram(values, np.arange(len(density)))[0] / 20000
    np.testing.assert_allclose(found, np.array(areas) / sum(areas), atol=0.02)


@pytest.mark.parametrize("survey", ["sdss", "boss", "desi"])
def test_redshifts_of_quasars_leave_no_gap(survey):
    z = draw(np.random.default_rng(1), QUASAR_REDSHIFTS[survey], 100000)
    assert 0.15 < (z < 0.9).mean() < 0.5
    assert (z > 3.6).mean() > 0.05
    assert (np.histogram(z, np.arange(0.05, 6.8, 0.25))[0] > 200).all()


def test_magnitudes_of_every_survey_and_kind():
    for kinds in MAGNITUDES.values():
        assert set(kinds) == set(KINDS) - {"sky"}


@given(st.lists(st.floats(0.01, 1), min_size=4, max_size=4))
def test_any_fractions_that_add_up_to_one_are_legal(values):
    fractions = {kind: value / sum(values) for kind, value in zip(KINDS, values, strict=True)}
    assert check_mix(fractions) == fractions
    assert check_mix(None) == DEFAULT_MIX


def test_merged_columns_widen_to_hold_all_values():
    parts = [
        (np.array([0, 2]), {"NAME": np.array(["A", "B"]), "X": np.array([1, 2], np.int16)}),
        (np.array([1]), {"NAME": np.array(["LONGER"]), "X": np.array([0.5])}),
    ]
    merged = merge_columns(parts, 3)
    assert merged["NAME"].tolist() == ["A", "LONGER", "B"]
    assert merged["X"].tolist() == [1, 0.5, 2]
