"""What holds for every simulated quasar."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.simulation.absorption import bal
from qnet.simulation.frame import NPIX
from qnet.simulation.quasars import parametric

objects = st.lists(
    st.tuples(st.floats(*parametric.Z_RANGE), st.floats(14.0, 24.0)), min_size=1, max_size=6
)


@settings(max_examples=60)
@given(objects, st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.14, 1.0]))
def test_spectra_and_truth_are_whole(rows, seed, fraction):
    z, rmag = np.transpose(rows)
    made = parametric.make(np.random.default_rng(seed), z, rmag, bal_fraction=fraction)
    assert made.flux.shape == (len(rows), NPIX)
    assert made.flux.dtype == np.float32
    assert np.isfinite(made.flux).all()
    assert (made.flux >= 0).all()
    assert (made.flux.max(axis=1) > 0).all()
    truth = made.truth
    np.testing.assert_array_equal(truth["TRUEZ"], z)
    np.testing.assert_array_equal(truth["RMAG"], rmag)
    assert all(len(values) == len(rows) for values in truth.values())
    assert all(np.isfinite(v).all() for v in truth.values() if v.dtype.kind == "f")
    flagged = truth["BAL_FLAG_VI"] == 1
    assert (flagged | (truth["BI_CIV"] <= bal.AI_VISIBLE)).all()
    assert fraction > 0 or not flagged.any()
    damped = truth["NHI_DLA"] > 0
    assert ((truth["NHI_DLA"] >= 20.3) == damped).all()
    assert ((truth["Z_DLA"] > 0) == damped).all()
    assert ((truth["HOST_FRACTION"] >= 0) & (truth["HOST_FRACTION"] < 1)).all()


@given(
    st.lists(st.floats(0.0, 1.5), min_size=40, max_size=40),
    st.lists(st.floats(0.0, 1.0), min_size=40, max_size=40),
)
def test_more_absorption_never_lowers_the_index(light, factor):
    velocity = np.linspace(0, 30000, 400)
    spectrum = np.repeat(light, 10)[None]
    index = bal.balnicity(velocity, spectrum)
    deeper = bal.balnicity(velocity, spectrum * np.repeat(factor, 10))
    assert 0 <= index[0] <= deeper[0] + 1e-9
    assert deeper[0] <= 25000 - 3000
