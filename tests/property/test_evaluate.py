"""Purity and completeness are those of QuasarNET's tutorial, whatever the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from catalogues import REST, make_result, record
from qnet import evaluate
from qnet.evaluation import is_right, purity_completeness, velocity, wilson
from qnet.evaluation.velocities import explain
from qnet.lines import SPEED_OF_LIGHT

SEEDS = st.integers(0, 2**32 - 1)

#: Class number of each kind of record; QSO is parted at 2.1.
NUMBERS = {"STAR": 0, "GALAXY": 1, "BAD": 4}


def random_survey(seed, nspec=60):
    """Kinds, redshifts, confidences and answers without any sense, with values on every edge."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(["STAR", "GALAXY", "QSO", "BAD"], nspec)
    z = rng.choice([-1e-4, 0.0, 1e-4, 0.5, 2.0999, 2.1, 3.0], nspec)
    z = np.where(rng.random(nspec) < 0.5, z, rng.uniform(0, 4, nspec))
    zbest = z + rng.choice([0, 0.0199, 0.02, 0.0201, -0.02, 1.0], nspec) * (1 + z)
    zbest[rng.random(nspec) < 0.05] = np.nan
    c_lines = rng.choice([0.0, 0.005, 0.3, 0.5, 0.505, 0.99, 1.0], (nspec, 6))
    c_lines = np.where(rng.random((nspec, 6)) < 0.5, c_lines, rng.random((nspec, 6)))
    c_lines[np.isnan(zbest)] = np.nan
    return kinds, z, zbest, c_lines


def by_hand(kinds, z, zbest, c_lines, threshold, nlines):
    """Counts of the tutorial's two fractions, one spectrum after the other."""
    called = pure = true = complete = strict = 0
    for kind, redshift, guess, confidences in zip(kinds, z, zbest, c_lines, strict=True):
        says_quasar = sum(1 for c in confidences if c > threshold) >= nlines
        well_placed = redshift > 0 and abs(guess - redshift) < 6000 / 300000 * (1 + redshift)
        called += says_quasar and kind != "BAD"
        pure += says_quasar and kind != "BAD" and well_placed
        strict += says_quasar and kind == "QSO" and well_placed
        true += kind == "QSO"
        complete += says_quasar and kind == "QSO" and well_placed
    return called, pure, true, complete, strict


@given(SEEDS, st.integers(1, 6))
def test_the_scan_is_the_tutorials(seed, nlines):
    kinds, z, zbest, c_lines = random_survey(seed)
    Y = np.zeros((len(z), 5))
    for row, (kind, redshift) in enumerate(zip(kinds, z, strict=True)):
        Y[row, NUMBERS.get(kind, 2 + (redshift >= 2.1))] = 1
    scan = purity_completeness(c_lines.T, zbest, Y, z, min_lines=nlines)
    np.testing.assert_array_equal(scan.thresholds, np.arange(0, 1, 0.01))
    for at, threshold in enumerate(scan.thresholds):
        counts = by_hand(kinds, z, zbest, c_lines, threshold, nlines)
        called, pure, true, complete, strict = counts
        assert (scan.ncalled[at], scan.nquasars) == (called, true)
        expected = [pure, strict, complete]
        wholes = [called, called, true]
        names = ["purity", "strict_purity", "completeness"]
        for name, part, whole in zip(names, expected, wholes, strict=True):
            value = getattr(scan, name)[at]
            if whole == 0:
                assert np.isnan(value)
                continue
            assert value == part / whole
            low, high = getattr(scan, f"{name}_low")[at], getattr(scan, f"{name}_high")[at]
            assert 0 <= low <= value <= high <= 1


@given(SEEDS, st.sampled_from([0.0, 0.3, 0.5, 0.99]), st.integers(1, 3))
def test_the_numbers_at_a_threshold_are_those_of_the_scan(seed, threshold, nlines):
    kinds, z, zbest, c_lines = random_survey(seed)
    truth = {
        number: record(str(kind), float(redshift))
        for number, (kind, redshift) in enumerate(zip(kinds, z, strict=True), start=1)
    }
    result = make_result(zbest, c_lines)
    found = evaluate(result, truth, c_threshold=threshold, min_lines=nlines, nboot=2)
    called, pure, true, complete, strict = by_hand(kinds, z, zbest, c_lines, threshold, nlines)
    for name, part, whole in (
        ("purity", pure, called),
        ("strict_purity", strict, called),
        ("completeness", complete, true),
    ):
        metric = found.metric(name)
        assert metric.n == whole
        assert np.isnan(metric.value) if whole == 0 else metric.value == part / whole
    # Purity falls apart into what is strict and what is a star or galaxy at the right redshift.
    assert found.metric("strict_purity").value <= found.metric("purity").value or called == 0
    # Parts of the sample add up to it.
    classes = found.classes.counts
    assert classes[:, 1:].sum() == found.sample.called.sum()
    assert classes[:4, 1:].sum() == called
    assert classes[2:4].sum() == true
    wrong = found.metric("wrong_redshift")
    assert found.lines.counts.sum() == round(wrong.value * wrong.n if wrong.n else 0)
    explained = found.metric("line_confusion")
    if explained.n:
        assert found.lines.counts[:-1].sum() == round(explained.value * explained.n)


@given(
    arrays.arrays(float, 20, elements=st.floats(0, 6)),
    arrays.arrays(float, 20, elements=st.floats(-0.03, 0.03)),
)
def test_a_right_redshift_is_one_of_small_velocity(z, shift):
    zbest = z + shift * (1 + z)
    dv = velocity(zbest, z)
    right = is_right(zbest, z)
    clear = np.abs(np.abs(dv) - 6000) > 5  # the rule's speed of light is rounded
    np.testing.assert_array_equal(right[clear], (np.abs(dv) < 6000)[clear] & (z > 0)[clear])
    # Velocities are those of the exact constant.
    np.testing.assert_allclose(dv, SPEED_OF_LIGHT * shift, atol=1e-6)


@given(st.integers(0, 500), st.integers(1, 500), st.sampled_from([0.5, 0.68, 0.95, 0.99]))
def test_wilsons_interval_solves_its_equation(k, n, level):
    from scipy.special import ndtri

    k = min(k, n)
    low, high = wilson(k, n, level)
    share, z2 = k / n, float(ndtri(0.5 + level / 2)) ** 2
    for end in (float(low), float(high)):
        # Wilson 1927: the ends p are where (share - p)^2 = z^2 p (1 - p) / n.
        assert (share - end) ** 2 == pytest.approx(z2 * end * (1 - end) / n, abs=1e-9)
    assert low <= share <= high


@given(
    st.integers(0, 5),
    st.integers(0, 5),
    st.floats(0, 4),
    st.floats(-5900, 5900),
    st.booleans(),
)
def test_a_line_taken_for_another_is_found(there, taken, z, dv, known):
    zbest = REST[there] * (1 + z) / REST[taken] * (1 + dv / SPEED_OF_LIGHT) - 1
    best = np.array([taken]) if known else None
    found, said = explain(np.array([(1 + zbest) / (1 + z)]), REST, best, 6000.0)
    if there == taken:  # the right redshift is no confusion
        assert said[0] == (taken if known else 6)
        assert found[0] == 6
        return
    ratio = REST[found[0]] / REST[said[0]]
    assert abs((1 + zbest) / (1 + z) / ratio - 1) * SPEED_OF_LIGHT <= abs(dv) + 1e-3
    if known:
        assert said[0] == taken
    if abs(dv) < 1:
        assert ratio == pytest.approx(REST[there] / REST[taken])
