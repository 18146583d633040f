"""Candidates of the second stage: which are refined, and which is chosen."""

from __future__ import annotations

import numpy as np
import pytest

import qnet
from makers import make_spectra
from networks import random_weights, refine_architecture
from qnet.classification.refinement import Candidates, refine_candidates
from qnet.model.refiner import Refiner
from qnet.preprocess.restframe import fine_spectra

WAVE = np.arange(3700.0, 9500.0, 2.0)


@pytest.fixture(scope="module")
def spectra():
    flux, ivar = make_spectra(WAVE, np.linspace(0.3, 3.5, 4), seed=3)
    return qnet.io.from_arrays(WAVE, flux, ivar, targetid=np.arange(4))


def refiner(**options):
    arch = refine_architecture(**options)
    weights = random_weights(arch.shapes(), 5)
    weights["refine_out.kernel"] *= 0.3
    return Refiner(arch, weights)


def test_each_candidate_is_refined_in_its_own_frame(spectra):
    stage = refiner(scores=True, bal=True)
    z = np.array([[0.5, 2.0], [1.0, np.nan], [3.0, 1.5], [np.nan, 0.7]])
    probability = np.array([[0.6, 0.3], [0.9, 0.0], [0.001, 0.01], [np.nan, 0.4]])
    found = refine_candidates(spectra, stage, z, probability, floor=0.05)
    flux, ivar = fine_spectra(spectra.cameras, stage.arch.window.grid)
    wanted = np.array([[True, True], [True, False], [True, False], [False, True]])
    np.testing.assert_array_equal(np.isfinite(found.score), wanted & found.ok)
    for rank in (0, 1):
        rows = wanted[:, rank]
        expected = stage.refine(flux[rows], ivar[rows], z[rows, rank])
        for name in ("z", "zerr", "ok", "score", "bal"):
            np.testing.assert_allclose(getattr(found, name)[rows, rank], getattr(expected, name))


def test_what_ran_away_has_no_logits(spectra):
    stage = refiner(scores=True, bal=True, max_dv=1e-6)
    found = refine_candidates(spectra, stage, np.full((4, 2), 1.0), np.full((4, 2), 0.3))
    assert not found.ok.any()
    assert np.isnan([found.score, found.bal, found.zerr]).all()
    np.testing.assert_array_equal(found.z, 1.0)


def test_a_stage_without_scores_refines_the_first_alone(spectra):
    found = refine_candidates(spectra, refiner(), np.full((4, 3), 1.0), np.full((4, 3), 0.3))
    assert found.z.shape == (4, 1)
    chosen = found.choose(1.0)
    assert found.ok.all()
    np.testing.assert_array_equal(chosen.z, found.z[:, 0])
    assert np.isnan(chosen.z2).all()
    assert (chosen.odds2 == 0).all()


def made(z, score, probability, ok=None, weight=1.0):
    z, score, probability = (np.array([values], float) for values in (z, score, probability))
    ok = np.ones(z.shape, bool) if ok is None else np.array([ok])
    refined, weight = np.where(ok, z, np.nan), np.broadcast_to(np.array(weight, float), z.shape)
    return Candidates(z + 0.001, probability, refined, z / 100, score, -score, ok, weight)


def test_the_largest_score_wins_and_the_probability_counts_by_its_exponent():
    candidates = made([1.0, 2.0, 3.0], [1.0, 2.0, -1.0], [0.8, 0.1, 0.1])
    alone = candidates.choose(0.0)
    assert (alone.z[0], alone.z2[0]) == (2.0, 1.0)
    assert alone.odds2[0] == pytest.approx(np.exp(-1))
    assert alone.bal[0] == -2
    assert (alone.score[0], alone.probability[0], alone.score2[0], alone.probability2[0]) == (
        2,
        0.1,
        1,
        0.8,
    )
    both = candidates.choose(1.0)
    assert (both.z[0], both.zerr[0], both.z2[0]) == (1.0, 0.01, 2.0)
    assert both.odds2[0] == pytest.approx(np.exp(1) * 0.1 / 0.8)


def test_the_weight_of_a_population_counts_whole():
    """Whatever the exponent: it is a ratio of priors, which the score knows nothing of."""
    for exponent in (0.0, 0.5):
        plain = made([1.0, 2.0, 3.0], [1.0, 2.0, -1.0], [0.2, 0.2, 0.2]).choose(exponent)
        given = {"weight": [[np.e**3, 1.0, 0.0]]}
        chosen = made([1.0, 2.0, 3.0], [1.0, 2.0, 9.0], [0.2] * 3, **given).choose(exponent)
        assert (plain.z[0], chosen.z[0], chosen.z2[0]) == (2.0, 1.0, 2.0)
        assert chosen.odds2[0] == pytest.approx(np.exp(-2))
        assert (chosen.weight[0], chosen.weight2[0]) == (pytest.approx(np.e**3), 1.0)
        assert (chosen.probability[0], chosen.probability2[0]) == (0.2, 0.2)


def test_candidates_are_refined_by_their_probability_in_the_population(spectra):
    stage = refiner(scores=True, bal=True)
    z, p = np.full((4, 3), [1.0, 2.0, 3.0]), np.full((4, 3), [0.5, 0.3, 0.1])
    weight = np.full((4, 3), [1.0, 0.1, 2.0])
    found = refine_candidates(spectra, stage, z, p, 0.15, weight)
    np.testing.assert_array_equal(np.isfinite(found.score), np.full((4, 3), [True, False, True]))
    np.testing.assert_array_equal(found.weight, weight)


def test_the_next_best_is_another_redshift():
    candidates = made([1.0, 1.02, 3.0], [1.0, 0.9, -1.0], [0.5, 0.3, 0.1])
    assert candidates.choose().z2[0] == 3.0
    assert np.isnan(made([1.0, 1.02], [1.0, 0.9], [0.5, 0.3]).choose().z2[0])


def test_a_candidate_that_failed_is_not_chosen_unless_all_did():
    chosen = made([1.0, 2.0], [9.0, -3.0], [0.9, 0.1], ok=[False, True]).choose()
    assert (chosen.z[0], chosen.ok[0]) == (2.0, True)
    assert np.isnan(chosen.z2[0])
    chosen = made([1.0, 2.0], [np.nan, np.nan], [0.9, 0.1], ok=[False, False]).choose()
    assert (chosen.z[0], chosen.ok[0]) == (1.001, False)
    assert np.isnan([chosen.zerr[0], chosen.score[0], chosen.z2[0]]).all()
    assert chosen.odds2[0] == 0
