"""Densities of quasars by redshift and magnitude."""

from __future__ import annotations

import numpy as np
import pytest

from qnet.core.bins import RedshiftBins
from qnet.core.density import QuasarDensity
from qnet.core.errors import InputError

BINS = RedshiftBins(0.05, 6.8, 120)
CENTRES = BINS.z_at(np.arange(BINS.nbins) + 0.5)


def sample(count=60_000, seed=0):
    """Quasars, the faint ones at low redshift, and as many stars."""
    rng = np.random.default_rng(seed)
    rmag = rng.uniform(17, 23, count)
    x = rng.beta(2, np.where(rmag > 20, 6.0, 2.0)) * np.log10(7.8 / 1.05) + np.log10(1.05)
    kind = np.repeat(["QSO", "STAR"], count)
    z, r = (np.concatenate([a, b]) for a, b in ((10**x - 1, np.zeros(count)), (rmag, rmag)))
    return z, kind, r


def test_a_sample_has_its_density_at_each_magnitude():
    z, kind, rmag = sample()
    density = QuasarDensity.of_sample(z, kind, rmag)
    found = density.fractions(BINS, [18.0, 22.0])
    np.testing.assert_allclose(found.sum(axis=1), 1)
    u = (np.log10(1 + CENTRES) - np.log10(1.05)) / np.log10(7.8 / 1.05)
    for row, b in enumerate((2.0, 6.0)):
        wanted = u * (1 - u) ** (b - 1)
        # The outer bins are constant up to their edges.
        inner = slice(2, -2)
        np.testing.assert_allclose(found[row][inner], (wanted / wanted.sum())[inner], atol=0.002)
    # Of all magnitudes together, half of each.
    np.testing.assert_allclose(density.fractions(BINS), found.mean(axis=0), atol=0.001)
    # Beyond the magnitudes of the sample: those of its ends.
    ends = density.fractions(BINS, [5.0, 17.0, 23.0, 30.0])
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-12)
    np.testing.assert_allclose(ends[2], ends[3], atol=1e-12)


@pytest.mark.parametrize("rmag", [None, np.full(120_000, np.nan)])
def test_without_magnitudes_it_does_not_depend_on_them(rmag):
    z, kind, _ = sample()
    density = QuasarDensity.of_sample(z, kind, rmag)
    found = density.fractions(BINS, [15.0, 20.0, 24.0])
    np.testing.assert_allclose(found, np.stack([density.fractions(BINS)] * 3))


def test_a_sample_without_quasars_has_none():
    assert QuasarDensity.of_sample([0.1, 0.2], np.array(["STAR", "GALAXY"])) is None
    assert QuasarDensity.of_sample([2.0, np.nan], np.array(["QSO", "QSO"])) is None


def test_a_magnitude_without_quasars_takes_those_of_all():
    density = QuasarDensity((0, 1, 7), (15, 16, 17, 18), ((1, 0, 0), (1, 0, 4)))
    found = density.fractions(BINS, [16.5, 17.5])
    np.testing.assert_allclose(found[0], density.fractions(BINS))
    assert found[1][CENTRES < 0.4].sum() == 0


def test_redshifts_beyond_the_bins_are_in_the_outer_ones():
    far = QuasarDensity((7, 8, 9), (15, 18), ((1,), (1,)))
    assert far.fractions(BINS, [16.0])[0, -1] == 1
    near = QuasarDensity((0.0, 0.05, 0.2), (15, 18), ((3,), (1,)))
    found = near.fractions(BINS)
    assert found[0] == pytest.approx(0.75, abs=0.06)
    assert found[CENTRES > 0.2].sum() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((0, 0, 1), (1, 2), ((1,), (1,))), "z must be two edges or more that increase"),
        (((0, np.nan), (1, 2), ((1,),)), "z must be two edges or more that increase"),
        (((0, 1), (1,), ((1,),)), "r must be two edges or more that increase"),
        (((-2, 1), (1, 2), ((1,),)), "z must be redshifts above -1, not -2.0"),
        (((0, 1), (1, 2), ((1, 2),)), r"values must have the shape \(1, 1\) of the bins, not"),
        (((0, 1), (1, 2), ((-1,),)), "values must be finite and at least 0"),
        (((0, 1), (1, 2), ((0,),)), "values must be finite and at least 0, and not all 0"),
        ((np.arange(9e3), (1, 2), ((0,),)), "z has 8999 bins, above 5000"),
    ],
)
def test_what_is_no_density(arguments, message):
    with pytest.raises(InputError, match=message):
        QuasarDensity(*arguments)
