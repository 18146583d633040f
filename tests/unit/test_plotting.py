"""Figures show what was found."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

import qnet
from makers import make_spectra
from qnet.errors import InputError
from qnet.plotting import plot_spectrum

mpl.use("Agg")

WAVE = np.arange(3700.0, 9500.0, 4.0)


@pytest.fixture
def spectra():
    flux, ivar = make_spectra(WAVE, [1.5, 2.5])
    ivar[1, 500:600] = 0
    return qnet.io.from_arrays(WAVE, flux, ivar, targetid=[11, 12])


@pytest.fixture
def ax():
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


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
    assert ax.get_title().startswith("TARGETID 12: ")
    assert "wavelength" in ax.get_xlabel()


def test_new_axes_when_none_are_given(spectra, small_model):
    import matplotlib.pyplot as plt

    axes = plot_spectrum(spectra, small_model)
    assert axes.get_title().startswith("TARGETID 11: ")
    plt.close(axes.figure)


def test_rows_that_cannot_be_drawn(spectra, small_model):
    with pytest.raises(InputError, match=r"row must be in 0 \.\. 1, not 2"):
        plot_spectrum(spectra, small_model, 2)
    flux = np.ones((1, len(WAVE)))
    flat = qnet.io.from_arrays(WAVE, flux, flux, targetid=[1])
    with pytest.raises(InputError, match="row 0 has no data that can be normalised"):
        plot_spectrum(flat, small_model)
