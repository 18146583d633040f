"""Which pixels decide: what is hidden, and whether hiding what counts changes the answer."""

from __future__ import annotations

import numpy as np
import pytest

import qnet
from makers import make_spectra
from qnet.classification import explain
from qnet.classification.criterion import choose_criterion
from qnet.classification.occlusion import explain_row, hide_parts, score
from qnet.core.errors import InputError
from qnet.lines import SPEED_OF_LIGHT

WAVE = np.arange(3600.0, 9800.0, 3.0)


@pytest.fixture(scope="module")
def default():
    model = qnet.load_model()
    return model, choose_criterion(model)


def spectra(flux, ivar):
    return qnet.io.from_arrays(WAVE, flux, ivar, targetid=np.arange(len(flux)))


def test_hidden_parts_are_straight_and_others_stay():
    """A straight spectrum with a line in the part; masked pixels beside it do not count."""
    straight = 3 + WAVE / 2000
    flux = straight + 40 * np.exp(-0.5 * ((WAVE - 6000) / 20) ** 2)
    ivar = np.ones_like(flux)
    flux[(WAVE > 6150) & (WAVE < 6170)], ivar[(WAVE > 6150) & (WAVE < 6170)] = 1e6, 0.0
    edges = np.array([5800.0, 5900.0, 6100.0, 6300.0])
    hidden = np.array([[False, False, False], [False, True, False], [True, True, True]])
    copies = hide_parts(spectra(flux[None], ivar[None]), edges, hidden).cameras[0].flux
    assert np.array_equal(copies[0], flux)
    inside = (WAVE >= 5900) & (WAVE < 6100)
    assert np.allclose(copies[1, inside], straight[inside], atol=0.02)
    assert np.array_equal(copies[1, ~inside], flux[~inside])
    assert np.allclose(copies[2, inside], straight[inside], atol=0.02)
    assert np.abs(copies[2, (WAVE >= 5800) & (WAVE < 6300)]).max() < 10


def test_deleting_what_counts_changes_the_answer(default):
    """The ten parts that count most against ten at random, on simulated quasars (Samek 2017)."""
    model, criterion = default
    batch = qnet.simulate(6, seed=5, mix={"quasar": 1}).collect().spectra.select([1, 2, 4, 5])
    rng = np.random.default_rng(0)
    drops = []
    for row in range(len(batch)):
        one = batch.select([row])
        found = explain_row(one, model, criterion)
        nparts = len(found.qso)
        hidden = np.zeros((12, nparts), dtype=bool)
        for copy, values in zip((1, 2), (found.qso, found.redshift), strict=True):
            hidden[copy, np.argsort(-values)[:10]] = True
        for copy in range(3, 12):
            hidden[copy, rng.permutation(nparts)[:10]] = True
        qso, redshift, _ = score(hide_parts(one, found.edges, hidden), model, criterion)
        drops.append([qso[0] - qso[1], qso[0] - qso[3:].mean()])
        drops.append([redshift[0] - redshift[2], redshift[0] - redshift[3:].mean()])
    most, random = np.array(drops).T
    assert most.mean() > 5 * abs(random.mean())
    assert (most >= random).all()


def test_the_parts_that_count_are_the_lines(default):
    """A quasar with one line in reach beside a spectrum without any: MgII carries the redshift."""
    flux, ivar = make_spectra(WAVE, (1.0,), seed=2, snr=5.0)
    found = explain(spectra(flux, ivar), default[0])
    assert found.z == pytest.approx(1.0, abs=0.02)
    middle = np.sqrt(found.edges[:-1] * found.edges[1:]) / 2
    lines = np.array([1908.73, 2799.12, 4862.68])
    best = middle[found.redshift.argmax()]
    assert np.abs(SPEED_OF_LIGHT * np.log(best / lines)).min() < 6000


def test_parts_without_data_count_for_nothing(default):
    flux, ivar = make_spectra(WAVE, (2.0,), seed=3)
    empty = (WAVE > 6900) & (WAVE < 8200)
    ivar[:, empty] = 0.0
    found = explain(spectra(flux, ivar), default[0])
    inside = (found.edges[:-1] > 7000) & (found.edges[1:] < 8100)
    assert inside.sum() > 5
    assert np.all(found.qso[inside] == 0)
    assert np.all(found.redshift[inside] == 0)


def test_a_model_without_p_qso(small_model):
    """The logits are those of the confidences."""
    found = explain(spectra(*make_spectra(WAVE, (2.0,))), small_model, width=30000.0)
    assert len(found.edges) == 1 + len(found.qso) == 1 + len(found.redshift) == 21
    assert np.isfinite(found.qso).all()
    assert np.abs(found.redshift).max() > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"row": 1}, "row must be in 0 .. 0, not 1"),
        ({"width": 1e6}, "gives 1 windows on the model's grid"),
        ({"width": -1.0}, "width must be finite and above 0"),
    ],
)
def test_what_cannot_be_explained(small_model, change, message):
    with pytest.raises(InputError, match=message):
        explain(spectra(*make_spectra(WAVE, (2.0,))), small_model, **change)
    if "row" in change:
        flux, ivar = make_spectra(WAVE, (2.0,))
        with pytest.raises(InputError, match="row 0 has no data that can be classified"):
            explain(spectra(flux, 0 * ivar), small_model)


def test_the_figure(small_model):
    from qnet.plotting import new_axes, plot_explanation

    batch = spectra(*make_spectra(WAVE, (2.0,)))
    found = explain(batch, small_model)
    ax = plot_explanation(batch, small_model, ax=new_axes())
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["quasar or not", f"redshift {found.z:.3f}"]
    drawn = [patch.get_data().values for patch in ax.patches]
    assert np.allclose(drawn[0], found.qso)
    assert np.allclose(drawn[2], found.redshift)
