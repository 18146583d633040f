"""Probabilities and errors that mean what they say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from networks import small_calibration
from qnet.core.errors import InputError
from qnet.model.calibration import Calibration, in_ranges, rescale
from qnet.model.laws import Logistic, Table
from qnet.postprocess.features import log_snr, logit

SHARES = st.floats(0.01, 0.99)


def test_a_probability_is_the_formula():
    law = Logistic(("a", "b"), (1, 2), (2, 4), (-9, -9), (9, 9), (0.1, 0.2, 0.3, 0.4, 0.5, 0.6))
    a, b = (3.0 - 1) / 2, (-2.0 - 2) / 4
    eta = 0.1 + 0.2 * a + 0.3 * b + 0.4 * a * a + 0.5 * a * b + 0.6 * b * b
    assert law.probability([[3.0, -2.0]])[0] == pytest.approx(1 / (1 + np.exp(-eta)))
    with pytest.raises(InputError, match=r"features have shape \(1, 3\)"):
        law.probability([[1, 2, 3]])
    # Nothing is extrapolated, and NaN has no probability.
    far, ends = law.probability([[1e6, -1e6], [-1e6, 1e6]]), law.probability([[9, -9], [-9, 9]])
    np.testing.assert_array_equal(far, ends)
    assert np.isnan(law.probability([[np.nan, 1.0]])).all()
    assert law.probability(np.empty((0, 2))).shape == (0,)


@given(p=st.floats(0, 1), prior=SHARES, mix=SHARES)
def test_odds_are_rescaled_and_back(p, prior, mix):
    there = rescale(p, prior, mix)
    assert 0 <= there <= 1
    if 1e-6 < p < 1 - 1e-6:
        assert rescale(there, mix, prior) == pytest.approx(p, rel=1e-6)
        odds = p / (1 - p) * prior / (1 - prior) / (mix / (1 - mix))
        assert there / (1 - there) == pytest.approx(odds, rel=1e-5)
    assert rescale(p, mix, mix) == pytest.approx(p)


@pytest.mark.parametrize(("prior", "mix"), [(0.0, 0.5), (1.0, 0.5), (0.5, 1.0), (np.nan, 0.5)])
def test_shares_that_are_none(prior, mix):
    with pytest.raises(InputError, match="must be between 0 and 1"):
        rescale(0.5, prior, mix)


def test_rescaling_is_bayes_theorem_on_a_sample():
    """Of spectra whose quasars are thinned out, as many are quasars as the new probability says."""
    rng = np.random.default_rng(0)
    p = rng.uniform(size=200_000)
    quasar = rng.uniform(size=len(p)) < p
    share = quasar.mean()
    kept = ~quasar | (rng.uniform(size=len(p)) < 0.2)
    prior = quasar[kept].mean()
    new = rescale(p[kept], prior, share)
    for low in np.arange(0, 1, 0.2):
        rows = (new >= low) & (new < low + 0.2)
        assert quasar[kept][rows].mean() == pytest.approx(new[rows].mean(), abs=0.02)


def test_a_table_is_its_values_in_the_middle_and_at_the_ends():
    table = Table((0, 2, 4, 6), (0, 10, 20), ((1, 2), (3, 4), (5, 8)))
    assert table([1, 3, 5], [5, 5, 15]).tolist() == [1, 3, 8]
    assert table(-99, -99) == 1
    assert table(99, 99) == 8
    assert table(2, 5) == pytest.approx(2)
    assert table(4, 10) == pytest.approx((3 + 4 + 5 + 8) / 4)
    found = table([1, np.nan, 1], [5, 5, np.nan])
    assert found[0] == 1
    assert np.isnan(found[1:]).all()
    assert Table((0, 1), (0, 1), ((7,),))([-5, 0.3], [9, 0.1]).tolist() == [7, 7]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((0,), (0, 1), ((1,),)), "x must be two edges or more"),
        (((0, 1), (1, 1), ((1,),)), "y must be two edges or more that increase"),
        (((0, 1), (0, 1), ((1, 2),)), r"must have the shape \(1, 1\)"),
        (((0, 1), (0, 1), ((0,),)), "values of a table must be positive"),
        (((0, 1), (0, 1), ((np.nan,),)), "values must be finite"),
    ],
)
def test_tables_that_are_not_legal(arguments, message):
    with pytest.raises(InputError, match=message):
        Table(*arguments)


def test_a_calibration_survives_json():
    calibration = small_calibration()
    text = json.dumps(calibration.to_dict(), allow_nan=False)
    assert Calibration.from_dict(json.loads(text)) == calibration
    bare = Calibration(calibration.p_qso, {"QSO": 0.5, "OTHER": 0.5}, (0, 7))
    assert Calibration.from_dict(json.loads(json.dumps(bare.to_dict()))) == bare
    assert bare.quasar_fraction == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mix": {"STAR": 1.0}}, "must give QSO a fraction"),
        ({"mix": {"QSO": 0.5, "STAR": 0.4}}, "must add up to 1"),
        ({"p_threshold": 1.5}, r"p_threshold must be in 0 \.\. 1"),
        ({"refine_floor": float("nan")}, "refine_floor must be in"),
        ({"outlier_threshold": 0.0}, "outlier_threshold must be positive"),
        ({"joints": ((2.0, 1.0),)}, "joints must be made of two numbers that increase"),
        ({"z_range": (0.0, float("inf"))}, "z_range must be finite"),
    ],
)
def test_calibrations_that_are_not_legal(options, message):
    with pytest.raises(InputError, match=message):
        small_calibration(**options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p_qso": None}, "has no p_qso"),
        ({"p_qso": {"names": ["a"]}}, "not a calibration"),
        ({"p_qso": 3}, "not a calibration"),
        ({"extra": 3}, "not a calibration"),
        ({"mix": [1]}, "not a calibration"),
        ({"zerr_lines": {"LYA": 3}}, "not a calibration"),
        ({"joints": 7}, "joints must be a list of ranges, not 7"),
        ({"ambiguous": "a"}, "ambiguous must be a number, not 'a'"),
    ],
)
def test_plain_values_that_are_no_calibration(change, message):
    with pytest.raises(InputError, match=message):
        Calibration.from_dict({**small_calibration().to_dict(), **change})
    values = small_calibration().to_dict()
    del values["ambiguous"]
    with pytest.raises(InputError, match=r"lacks \['ambiguous'\]"):
        Calibration.from_dict(values)


def test_what_goes_into_features_is_clipped():
    assert logit([0.0, 0.5, 1.0]).tolist() == pytest.approx([-13.8155, 0.0, 13.8155], abs=1e-4)
    assert log_snr([-3.0, 0.0, 10.0, 1e9]).tolist() == pytest.approx([-1.30103, -1.30103, 1.0, 2.0])
    assert np.isnan(log_snr(np.nan))
    assert np.isnan(logit(np.nan))


def test_ranges_are_closed_and_nan_is_in_none():
    ranges = ((1.0, 2.0), (5.0, 6.0))
    assert in_ranges([0.9, 1, 2, 3, 5.5, np.nan], ranges).tolist() == [0, 1, 1, 0, 1, 0]
    assert not in_ranges([1.0], ()).any()
