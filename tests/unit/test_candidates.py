"""Redshift bins, and the candidates of a posterior."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnet.core.bins import RedshiftBins, softmax
from qnet.core.errors import InputError
from qnet.postprocess.candidates import find_candidates, quasar_probability

BINS = RedshiftBins(0.05, 6.8, 160)


@given(st.floats(-0.5, 3), st.floats(0.1, 9), st.integers(2, 500), st.floats(0, 1))
def test_a_redshift_lies_in_its_bin(z_min, width, nbins, share):
    bins = RedshiftBins(z_min, z_min + width, nbins)
    z = z_min + share * width
    place = bins.bin_of(z)
    low, high = bins.z_at(place), bins.z_at(place + 1)
    assert low - 1e-9 <= z <= high + 1e-9
    assert bins.bin_of(bins.z_at(place + 0.5)) == place


def test_redshifts_beyond_the_ends_belong_to_the_last_bins():
    np.testing.assert_array_equal(BINS.bin_of([-0.5, 0.0, 0.05, 6.8, 99.0]), [0, 0, 0, 159, 159])
    assert BINS.z_at(0) == pytest.approx(0.05)
    assert BINS.z_at(160) == pytest.approx(6.8)


def test_bins_survive_json():
    assert RedshiftBins.from_dict(BINS.to_dict()) == BINS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z_min": -1.0}, "z_min and z_max must be above -1 and increase"),
        ({"z_max": 0.01}, "z_min and z_max must be above -1 and increase"),
        ({"z_max": np.inf}, "z_min and z_max must be above -1 and increase"),
        ({"nbins": 1}, "nbins must be an integer in 2"),
        ({"nbins": 2.5}, r"nbins must be a whole number, not 2\.5"),
        ({"nbins": 10**9}, "nbins must be an integer in 2"),
        ({"others": ()}, "others must be one class or more"),
        ({"others": ("STAR", "STAR")}, "others must be one class or more"),
        ({"z_min": None}, "z_min must be a number, not None"),
        ({"others": None}, "others must be a list"),
        ({"others": "STAR"}, "others must be a list"),
        ({"others": ["a\nb"]}, "others must be names of classes"),
        ({"more": 1}, "not the bins of a redshift head"),
    ],
)
def test_bins_that_cannot_be(change, message):
    with pytest.raises(InputError, match=message):
        RedshiftBins.from_dict({**BINS.to_dict(), **change})


@given(st.integers(0, 2**32 - 1))
def test_a_softmax_adds_up_to_one(seed):
    scores = np.random.default_rng(seed).normal(0, 300, (4, 7))
    probabilities = softmax(scores)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(softmax(scores + 1000), probabilities, atol=1e-12)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), scores.argmax(axis=1))


def posterior(peaks, other=0.0):
    """A row whose share lies in some bins."""
    row = np.zeros(BINS.noutputs)
    for place, share in peaks.items():
        row[place] = share
    row[-1] = other
    return row


def test_candidates_are_the_peaks_in_their_order():
    row = posterior({20: 0.1, 21: 0.2, 22: 0.1, 90: 0.3, 140: 0.15}, other=0.15)
    z, probability = find_candidates([row], BINS, 3)
    np.testing.assert_allclose(probability[0], [0.4, 0.3, 0.15])
    np.testing.assert_allclose(z[0], BINS.z_at([21.5, 90.5, 140.5]))
    assert quasar_probability([row], BINS) == pytest.approx(0.85)


def test_a_peak_is_where_its_share_lies():
    z, _ = find_candidates([posterior({50: 0.25, 51: 0.75})], BINS, 1)
    assert z[0, 0] == pytest.approx(BINS.z_at(51.25))


@pytest.mark.parametrize("end", [0, 159])
def test_a_peak_at_an_end_has_one_neighbour_less(end):
    z, probability = find_candidates([posterior({end: 1.0})], BINS, 2)
    assert z[0, 0] == pytest.approx(BINS.z_at(end + 0.5))
    assert probability[0].tolist() == [1.0, 0.0]
    assert np.isnan(z[0, 1])


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_candidates_share_no_bin(seed, count):
    rng = np.random.default_rng(seed)
    rows = softmax(rng.normal(0, 4, (3, BINS.noutputs)))
    z, probability = find_candidates(rows, BINS, count)
    assert (np.diff(probability, axis=1) <= 1e-12).all()
    assert (probability.sum(axis=1) <= quasar_probability(rows, BINS) + 1e-12).all()
    assert ((z >= 0.05) & (z <= 6.8)).all()
    for row in z:
        assert len(set(BINS.bin_of(row))) == count


def test_the_wing_of_a_peak_is_no_candidate_before_another_peak():
    row = posterior({48: 0.1, 49: 0.2, 50: 0.37, 51: 0.13, 52: 0.08, 53: 0.03, 120: 0.09})
    z, probability = find_candidates([row], BINS, 3)
    np.testing.assert_allclose(probability[0], [0.7, 0.09, 0.03])
    np.testing.assert_allclose(z[0, 1:], BINS.z_at([120.5, 53.5]))


def test_a_posterior_without_quasars_has_no_candidate():
    z, probability = find_candidates([posterior({}, other=1.0)], BINS, 2)
    assert np.isnan(z).all()
    assert (probability == 0).all()


def test_a_row_of_nan_has_no_candidates():
    rows = np.stack([posterior({30: 1.0}), np.full(BINS.noutputs, np.nan)])
    z, probability = find_candidates(rows, BINS, 2)
    assert np.isnan(z[1]).all()
    assert np.isnan(probability[1]).all()
    assert z[0, 0] == pytest.approx(BINS.z_at(30.5))
