"""Targets are what the network's decoder inverts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qnet
from qnet.core.bins import RedshiftBins
from qnet.core.errors import InputError
from qnet.core.grid import QUASARNET_GRID, QUASARNET_LINEAR_GRID, WavelengthGrid
from qnet.lines import QUASARNET_LINES, QUASARNET_LINES_BAL, absorber_IGM
from qnet.objective import CLASSES, box_offset, objective, redshift_target

SHORT_GRID = WavelengthGrid("log", 3.6, 2e-3, 150)


def classes(*names):
    """One-hot class vectors."""
    return np.eye(len(CLASSES))[[CLASSES.index(name) for name in names]]


def test_a_known_place():
    """The tutorial's figure: Lyman-alpha near the right edge of the first box."""
    grid = QUASARNET_GRID
    place = grid.wave[10] + 0.25 * (grid.wave[11] - grid.wave[10])
    box, offset = box_offset([place / absorber_IGM["LYA"] - 1], "LYA")
    position = 13 * 10.25 / grid.npix
    np.testing.assert_array_equal(np.flatnonzero(box), [0])
    assert offset[0, 0] == pytest.approx(position, abs=1e-9)
    assert box.shape == offset.shape == (1, 13)


@pytest.mark.parametrize("grid", [QUASARNET_GRID, QUASARNET_LINEAR_GRID, SHORT_GRID], ids=str)
@given(seed=st.integers(0, 2**32 - 1), nboxes=st.integers(1, 40))
def test_decoding_a_target_gives_the_redshift_back(grid, seed, nboxes):
    rng = np.random.default_rng(seed)
    z = rng.uniform(-0.2, 7, 30)
    Y = classes(*rng.choice(["QSO_LZ", "QSO_HZ"], 30))
    lines, lines_bal = list(QUASARNET_LINES), list(QUASARNET_LINES_BAL)
    target, _ = objective(z, Y, np.ones(30), lines, lines_bal, nboxes, wave=grid)
    found = qnet.postprocess.decoding.decode(target, lines, lines_bal, grid)
    z_all = np.concatenate([found.z_line, found.z_line_bal])
    c_all = np.concatenate([found.c_line, found.c_line_bal])
    for row, line in enumerate(lines + lines_bal):
        place = absorber_IGM[line] * (1 + z)
        inside = (place >= grid.wave[0]) & (place <= grid.wave[-1])
        np.testing.assert_array_equal(c_all[row], inside)
        np.testing.assert_allclose(z_all[row, inside], z[inside], rtol=0, atol=1e-9)
        assert not target[row][~inside].any()


def test_only_quasars_have_boxes_and_offsets_stay():
    Y = classes("STAR", "GALAXY", "QSO_LZ", "QSO_HZ", "BAD")
    target, weight = objective(np.full(5, 2.5), Y, np.zeros(5), ["LYA", "CIV(1548)"], [])
    assert len(target) == len(weight) == 2
    for line, weights in zip(target, weight, strict=True):
        assert line.shape == (5, 26)
        np.testing.assert_array_equal(line[:, :13].sum(axis=1), [0, 0, 1, 1, 0])
        assert (line[:, 13:] == line[0, 13:]).all()
        assert line[0, 13:].any()
        np.testing.assert_array_equal(weights, 1)


def test_bal_lines_know_yes_no_and_unknown():
    Y = classes("QSO_HZ", "QSO_HZ", "QSO_HZ", "STAR")
    target, weight = objective(np.full(4, 2.5), Y, [1, -1, 0, 1], ["LYA"], ["CIV(1548)"])
    np.testing.assert_array_equal(target[0][:, :13].sum(axis=1), [1, 1, 1, 0])
    np.testing.assert_array_equal(target[1][:, :13].sum(axis=1), [1, 0, 1, 0])
    np.testing.assert_array_equal(weight[0], 1)
    np.testing.assert_array_equal(weight[1], [1, 1, 0, 1])


def test_other_rest_wavelengths_move_the_offset():
    places = []
    for rest in (None, {**absorber_IGM, "Halpha": 6564.61}):
        box, offset = box_offset([0.3], "Halpha", rest=rest)
        places.append(box[0].argmax() + offset[0].max())
    pixels = (places[1] - places[0]) * QUASARNET_GRID.npix / 13
    assert pixels == pytest.approx(np.log10(6564.61 / 6562.8) / QUASARNET_GRID.step, rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], np.ones((1, 4)), [0]), r"z \(1,\), Y \(1, 4\) and bal \(1,\) must have shapes"),
        (([1.0, 2.0], classes("STAR"), [0, 0]), r"Y \(1, 5\)"),
        (([1.0], classes("STAR"), [0, 1]), r"bal \(2,\)"),
        (([1.0], classes("STAR"), [0], ["Lya"]), r"unknown line name\(s\) \['Lya'\]"),
        (([1.0], classes("STAR"), [0], ["LYA"], [], 0), "nboxes must be at least 1, not 0"),
    ],
)
def test_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(InputError, match=message):
        objective(*arguments)
    with pytest.raises(InputError, match="z must be an array of 1 dimension"):
        box_offset(np.zeros((2, 2)))


def test_redshift_classes_are_bins_of_quasars_and_kinds_of_others():
    bins = RedshiftBins(0.0, 9.0, 100, ("GALAXY", "STAR"))
    Y = classes("STAR", "GALAXY", "QSO_LZ", "QSO_HZ", "BAD", "QSO_HZ", "QSO_LZ")
    z = np.array([0.0, 0.4, 0.5, 99.0, 2.0, np.nan, -0.5])
    target, weight = redshift_target(z, Y, bins)
    np.testing.assert_array_equal(target, [101, 100, np.floor(100 * np.log10(1.5)), 99, 0, 0, 0])
    np.testing.assert_array_equal(weight, [1, 1, 1, 1, 0, 0, 1])


def test_redshift_classes_that_cannot_be():
    bins = RedshiftBins(0.0, 9.0, 100, ("GALAXY", "PLANET"))
    with pytest.raises(InputError, match=r"has classes \['PLANET'\] beside"):
        redshift_target([1.0], classes("STAR"), bins)
    with pytest.raises(InputError, match=r"z \(2,\) and Y \(1, 5\) must have shapes"):
        redshift_target([1.0, 2.0], classes("STAR"), RedshiftBins(0.0, 9.0, 100))
