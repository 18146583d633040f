"""Calibration of a model: fits near a parent's, and what they make of a sample."""

from __future__ import annotations

import numpy as np
import pytest

from qnet.core.errors import InputError
from qnet.training.fitting import fit_logistic


def labelled_sample(nspec=20000, seed=0):
    """Features, and labels drawn from a known logistic law of their monomials."""
    rng = np.random.default_rng(seed)
    x = rng.normal([1.0, -2.0], [2.0, 0.5], (nspec, 2))
    a, b = (x[:, 0] - 1) / 2, (x[:, 1] + 2) / 0.5
    p = 1 / (1 + np.exp(-(0.3 + a - 0.5 * b + 0.4 * a * b)))
    return x, (rng.uniform(size=nspec) < p).astype(float), p


def test_a_fit_finds_the_law_that_made_the_labels():
    x, label, p = labelled_sample()
    fit = fit_logistic(x, label, names=("a", "b"))
    assert np.abs(fit.probability(x) - p).mean() < 0.01
    assert fit.monomials == [(), (0,), (1,), (0, 0), (0, 1), (1, 1)]
    np.testing.assert_allclose(fit.coefficients, [0.3, 1, -0.5, 0, 0.4, 0], atol=0.1)
    # A constant that is not penalised makes the mean of the probabilities that of the labels.
    assert fit.probability(x).mean() == pytest.approx(label.mean(), abs=1e-7)


def test_a_weight_is_a_number_of_rows():
    x, label, _ = labelled_sample(300)
    weight = np.random.default_rng(1).integers(0, 4, 300)
    once = fit_logistic(x, label, weight, names=("a", "b"))
    repeated = fit_logistic(
        np.repeat(x, weight, axis=0), np.repeat(label, weight), names=("a", "b")
    )
    np.testing.assert_allclose(once.coefficients, repeated.coefficients, rtol=1e-5, atol=1e-8)


def test_the_penalty_shrinks_and_separable_data_need_it():
    x, label = np.linspace(-1, 1, 40)[:, None], np.arange(40) >= 20
    weak, strong = (fit_logistic(x, label, names=["a"], degree=1, l2=l2) for l2 in (0.1, 10.0))
    assert weak.coefficients[1] > 2 * strong.coefficients[1] > 0


@pytest.mark.parametrize(
    ("features", "label", "options", "message"),
    [
        (np.ones((3, 2)), [0, 1], {}, "must have the shapes"),
        (np.ones((2, 2)), [0, 2], {}, "label 0 or 1"),
        ([[np.nan], [1]], [0, 1], {}, "must be finite"),
        ([[0], [1]], [1, 1], {}, "rows of both labels"),
        ([[0], [1]], [0, 1], {"weight": [1, -1]}, "must not be negative"),
        ([[0], [1]], [0, 1], {"l2": -1}, "must not be negative"),
        ([[0], [1]], [0, 1], {"degree": 3}, "degree must be 1 or 2"),
        ([[0], [1]], [0, 1], {"names": ["a", "b"]}, "for 2 features|need"),
    ],
)
def test_fits_that_are_refused(features, label, options, message):
    names = ["a", "b"][: np.shape(features)[1]]
    with pytest.raises(InputError, match=message):
        fit_logistic(features, label, **{"names": names, **options})
