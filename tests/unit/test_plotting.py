"""Figures show what was found."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

import qnet
from makers import make_spectra
from qnet.core.errors import InputError, OutputExistsError
from qnet.plotting import new_axes, plot_spectrum, save_figure
from qnet.plotting.figure import flux_label, line_label
from qnet.plotting.style import CYCLE

mpl.use("Agg")

WAVE = np.arange(3700.0, 9500.0, 4.0)


@pytest.fixture
def spectra():
    flux, ivar = make_spectra(WAVE, [1.5, 2.5])
    ivar[1, 500:600] = 0
    return qnet.io.from_arrays(WAVE, flux, ivar, targetid=[11, 12])


def test_every_line_stands_where_it_was_found(spectra, small_model, ax):
    assert plot_spectrum(spectra, small_model, 1, ax=ax, c_threshold=0.999) is ax
    table = qnet.classify(spectra, model=small_model, rows=[1])
    spectrum, *lines = ax.lines
    rest = np.array([small_model.rest[line] for line in small_model.lines])
    places = rest * (1 + table["Z_LINES"][1])
    np.testing.assert_allclose([line.get_xdata()[0] for line in lines][:6], places, rtol=1e-5)
    for line, confidence in zip(lines, table["C_LINES"][1], strict=False):
        assert line.get_linestyle() == ("-" if confidence > 0.999 else "--")
        assert line.get_alpha() == pytest.approx(0.05 + 0.95 * confidence, abs=1e-4)
    np.testing.assert_allclose(spectrum.get_xdata(), small_model.wave)
    # Pixels without data are gaps, not values.
    gap = (small_model.wave > 5720) & (small_model.wave < 6080)
    assert np.isnan(spectrum.get_ydata()[gap]).all()
    assert ax.get_title().startswith("TARGETID 12, row 1\n")
    assert "wavelength" in ax.get_xlabel()
    # The legend names what is drawn: no line is above the threshold.
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == ["noise (1 sigma)", "flux", "mean of 5 pixels", "below the threshold"]


def test_lines_are_counted_not_confidences(spectra, small_model, ax):
    """Many lines of little confidence are no line: what counts is each above the threshold."""
    found = small_model.decode(small_model.predict(small_model.preprocess(spectra).X))
    confidences = np.sort(found.c_line[:, 0])
    threshold = float(confidences[-3:-1].mean())  # two lines are above
    for min_lines, chosen in ((2, "quasar at z = "), (3, "no quasar, ")):
        ax.clear()
        plot_spectrum(spectra, small_model, 0, c_threshold=threshold, min_lines=min_lines, ax=ax)
        assert chosen in ax.get_title()
        assert f"2 lines with c > {threshold:g}" in ax.get_title()
    assert confidences.sum() > 3 * threshold


def test_a_quasar_has_its_rest_frame(spectra, small_model, ax):
    plot_spectrum(spectra, small_model, 1, ax=ax, c_threshold=0.0)
    zbest = qnet.classify(spectra, model=small_model)["ZBEST"][1]
    (rest,) = ax.child_axes
    assert rest.get_xlabel().startswith("rest wavelength")
    ax.figure.canvas.draw()
    np.testing.assert_allclose(rest.get_xlim(), np.array(ax.get_xlim()) / (1 + zbest), rtol=1e-5)
    marks = [line.get_xdata()[0] for line in ax.lines if line.get_ydata()[1] == 0.05]
    places = np.array([small_model.rest[line] for line in small_model.lines]) * (1 + zbest)
    inside = (places >= small_model.wave[0]) & (places <= small_model.wave[-1])
    np.testing.assert_allclose(marks, places[inside], rtol=1e-5)
    ax.clear()
    plot_spectrum(spectra, small_model, 1, ax=ax, c_threshold=1.0)
    assert not ax.child_axes


def test_the_figure_follows_the_rule_of_the_catalogue(spectra, ax):
    for threshold, words in ((0.0, "\nquasar at z"), (1.0, "\nno quasar")):
        plot_spectrum(spectra, "qnet", 0, ax=ax, p_threshold=threshold)
        assert words in ax.get_title()


def test_the_band_is_the_noise(spectra, small_model, ax):
    plot_spectrum(spectra, small_model, 0, ax=ax)
    (camera,) = spectra.cameras
    flux, ivar = qnet.preprocess.rebin(
        camera.wave, camera.flux[:1], camera.ivar[:1], small_model.grid
    )
    pixel = 200
    band = ax.collections[0]
    path = band.get_paths()[0].vertices
    inside = path[np.isclose(path[:, 0], small_model.wave[pixel])][:, 1]
    value, sigma = flux[0, pixel], 1 / np.sqrt(ivar[0, pixel])
    assert np.isclose(inside, value + sigma, rtol=1e-3).any()
    assert np.isclose(inside, value - sigma, rtol=1e-3).any()


def test_the_inset_is_the_redshift_distribution(spectra, ax):
    """The peak of p(z) is at ZBEST, and the sum of its bins is 1."""
    plot_spectrum(spectra, "qnet", 1, ax=ax, p_threshold=1.0)
    (inset,) = ax.child_axes
    values, edges, _ = inset.patches[0].get_data()
    assert values.sum() == pytest.approx(1, abs=1e-3)
    found = qnet.classify(spectra, rows=[1])["ZBEST"][1]
    peak = values.argmax()
    assert edges[peak - 1] < found < edges[peak + 2]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("LYA", r"Ly$\alpha$"),
        ("CIV(1548)", "C IV"),
        ("BAL CIV(1548)", "BAL C IV"),
        ("MgII(2796)", "Mg II"),
        ("CIII(1909)", "C III]"),
        ("Hbeta", r"H$\beta$"),
        ("CIV(eff)", "C IV"),
        ("mine", "mine"),
    ],
)
def test_lines_are_typeset(name, label):
    assert line_label(name) == label


@pytest.mark.parametrize(
    ("unit", "words"), [("", "flux"), ("1e-17 erg / (s cm2 Angstrom)", "erg"), ("odd", "[odd]")]
)
def test_the_axis_of_the_flux_has_its_unit(unit, words):
    assert words in flux_label(unit)


def test_figures_are_written_whole_or_not_at_all(spectra, small_model, tmp_path):
    axes = plot_spectrum(spectra, small_model, ax=new_axes())
    for suffix, start in (("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")):
        path = save_figure(axes, tmp_path / f"a.{suffix}")
        assert path.read_bytes().startswith(start)
    with pytest.raises(OutputExistsError):
        save_figure(axes, tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.txt: the name of a figure must end in one of \.png"):
        save_figure(axes, tmp_path / "a.txt")


def test_new_axes_when_none_are_given(spectra, small_model):
    """Of pyplot, so that notebooks show them."""
    import matplotlib.pyplot as plt

    axes = plot_spectrum(spectra, small_model)
    assert axes.get_title().startswith("TARGETID 11, row 0\n")
    assert axes.figure.number in plt.get_fignums()
    plt.close(axes.figure)
    before = plt.get_fignums()
    assert plot_spectrum(spectra, small_model, ax=new_axes()).figure is not None
    assert plt.get_fignums() == before


@pytest.mark.parametrize(("width", "in_view"), [(2, True), (1, False)])
def test_a_narrow_line_stays_in_view_and_a_bad_pixel_does_not(small_model, width, in_view):
    rng = np.random.default_rng(2)
    flux = rng.normal(10, 1, (1, len(WAVE)))
    flux[0, 200 : 200 + width] = 300.0
    spectra = qnet.io.from_arrays(WAVE, flux, np.ones_like(flux), targetid=[1])
    axes = plot_spectrum(spectra, small_model, ax=new_axes())
    (camera,) = spectra.cameras
    peak = qnet.preprocess.rebin(WAVE, camera.flux, camera.ivar, small_model.grid)[0].max()
    assert (axes.get_ylim()[1] > peak) == in_view


def test_rows_that_cannot_be_drawn(spectra, small_model):
    with pytest.raises(InputError, match=r"row must be in 0 \.\. 1, not 2"):
        plot_spectrum(spectra, small_model, 2)
    flux = np.ones((1, len(WAVE)))
    flat = qnet.io.from_arrays(WAVE, flux, flux, targetid=[1])
    with pytest.raises(InputError, match="row 0 has no data that can be normalised"):
        plot_spectrum(flat, small_model)


def test_figures_are_in_the_house_style_and_leave_others_alone(spectra, small_model):
    before = dict(mpl.rcParams)
    axes = plot_spectrum(spectra, small_model, ax=new_axes())
    assert dict(mpl.rcParams) == before
    with mpl.style.context("qnet.plotting.house"):
        assert mpl.rcParams["axes.prop_cycle"].by_key()["color"] == CYCLE
        sizes = [mpl.rcParams[f"axes.{which}size"] for which in ("title", "label")]
    assert [axes.title.get_fontsize(), axes.xaxis.label.get_fontsize()] == sizes
