"""Grids that are legal and grids that are not."""

from __future__ import annotations

import numpy as np
import pytest

import qnet.io
from qnet.core.errors import GridError, InputError
from qnet.core.grid import QUASARNET_GRID, QUASARNET_LINEAR_GRID, WavelengthGrid, as_grid


def test_quasarnets_log_grid():
    step, start = 1e-3, np.log10(3600)
    npix = int((np.log10(10000) - start) / step)
    np.testing.assert_array_equal(QUASARNET_GRID.wave, 10 ** (start + np.arange(npix) * step))
    np.testing.assert_array_equal(qnet.io.wave, QUASARNET_GRID.wave)
    assert QUASARNET_GRID.npix == 443


def test_quasarnets_linear_grid():
    expected = np.round(np.arange(3600, 9824.8, 13.6), 1)
    np.testing.assert_allclose(QUASARNET_LINEAR_GRID.wave, expected, rtol=1e-13)
    assert QUASARNET_LINEAR_GRID.npix == 458
    assert WavelengthGrid.from_wave(expected).spacing == "linear"


def test_a_step_may_vary_by_a_millionth_and_not_more():
    wave = 3600 + 10.0 * np.arange(100)
    wave[50] += 0.5e-6 * 10
    assert WavelengthGrid.from_wave(wave).spacing == "linear"
    wave[50] += 2e-6 * 10
    with pytest.raises(GridError, match="constant step neither in wavelength nor in log"):
        WavelengthGrid.from_wave(wave)


@pytest.mark.parametrize(
    ("wave", "message"),
    [
        ([3600.0], "at least 2 wavelengths"),
        (np.ones((2, 3)), "at least 2 wavelengths"),
        ([3600, 3610, np.nan], "finite, positive and increasing"),
        ([3600, 3590, 3580], "finite, positive and increasing"),
        ([0, 1, 2], "finite, positive and increasing"),
        ([3600, 3610, 3625, 3660], "constant step neither"),
    ],
)
def test_wavelengths_that_make_no_grid(wave, message):
    with pytest.raises(GridError, match=message):
        WavelengthGrid.from_wave(wave)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"spacing": "cubic", "start": 1, "step": 1, "npix": 10},
            "spacing must be one of log, linear, not 'cubic'",
        ),
        ({"spacing": "log", "start": 3.5, "step": -1e-3, "npix": 10}, "step positive"),
        ({"spacing": "log", "start": 3.5, "step": 1e-3, "npix": 1}, "2 to 10000000 pixels, not 1"),
        ({"spacing": "log", "start": 3.5, "step": 1e-3, "npix": 10**12}, "not 1000000000000"),
        ({"spacing": "log", "start": 3.5, "step": 1.0, "npix": 10**6}, "absurd"),
        ({"spacing": "linear", "start": -5, "step": 1.0, "npix": 10}, "must be positive"),
        ({"spacing": "log", "start": 3.5, "step": 1e-3}, "not a wavelength grid"),
        ({"spacing": "log", "start": "x", "step": 1e-3, "npix": 5}, "not a wavelength grid"),
        ({"spacing": "log", "start": float("nan"), "step": 1e-3, "npix": 5}, "must be finite"),
    ],
)
def test_values_that_make_no_grid(values, message):
    with pytest.raises(GridError, match=message):
        WavelengthGrid.from_dict(values)


def test_as_grid_takes_what_quasarnets_functions_take():
    assert as_grid(None) is QUASARNET_GRID
    assert as_grid(QUASARNET_LINEAR_GRID) is QUASARNET_LINEAR_GRID
    assert as_grid(QUASARNET_GRID.wave).npix == QUASARNET_GRID.npix


def test_bins_of_wavelengths_that_are_none():
    bins = QUASARNET_GRID.bins([np.nan, -1.0, 0.0, np.inf, 3599.99, 3600.0, 9999.0])
    np.testing.assert_array_equal(bins, [-1, -1, -1, -1, -1, 0, -1])


@pytest.mark.parametrize("grid", [QUASARNET_GRID, QUASARNET_LINEAR_GRID])
def test_both_ends_of_a_grid_have_a_box(grid):
    box, offset = grid.to_box(grid.wave[[0, -1]], 13)
    assert box.tolist() == [0, 12]
    assert offset[0] == 0
    assert 0 < offset[1] < 1


def test_a_grid_says_what_it_is():
    assert str(QUASARNET_GRID) == "443 pixels, 3600.0-9961.0 Angstrom, log step 0.001 dex"


@pytest.mark.parametrize("kind", [WavelengthGrid.log, WavelengthGrid.linear])
@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ((3600, 9000, 0), "a positive step, not 3600, 9000, 0"),
        ((9000, 3600, 1), "0 < wave_min < wave_max"),
        ((0, 3600, 1), "0 < wave_min < wave_max"),
        ((3600, 9000, np.nan), "a positive step"),
        ((3600, np.inf, 1), "0 < wave_min < wave_max"),
        (("3600", 9000, 1), "wave_min must be a number, not '3600'"),
        ((3600, 9000, None), "step must be a number, not None"),
        ((3600, 9000, 1e-320), "a grid has 2 to 10000000 pixels"),
    ],
)
def test_limits_that_hold_no_grid(kind, limits, message):
    with pytest.raises(InputError, match=message):
        kind(*limits)


FINE = WavelengthGrid.log(3600.0, 10400.0, 2.5e-4)


@pytest.mark.parametrize(
    ("grid", "whole"),
    [
        (QUASARNET_GRID, True),
        (FINE, True),
        (WavelengthGrid("log", FINE.start + 3 * FINE.step, 5e-4, 100), True),
        (WavelengthGrid("log", FINE.start - 40 * FINE.step, 5e-4, 100), True),
        (WavelengthGrid("log", FINE.start - 40 * FINE.step, 5e-4, 10), False),
        (WavelengthGrid("log", FINE.start + FINE.step / 2, 1e-3, 100), False),
        (WavelengthGrid("log", FINE.start, 1.1e-3, 100), False),
        (WavelengthGrid("log", FINE.start, 1.00001e-3, 443), False),
        (WavelengthGrid("log", FINE.start, 1e-4, 443), False),
        (QUASARNET_LINEAR_GRID, False),
    ],
)
def test_grids_that_are_made_of_whole_pixels_of_a_finer_one(grid, whole):
    assert FINE.nests(grid) is whole
