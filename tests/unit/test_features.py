"""Features of the calibration, and the second redshift."""

from __future__ import annotations

import numpy as np
import pytest

from qnet.core.errors import InputError
from qnet.core.grid import QUASARNET_GRID
from qnet.lines import absorber_IGM
from qnet.postprocess.candidates import second_redshift
from qnet.postprocess.decoding import Predictions, decode
from qnet.postprocess.features import (
    ABSORPTION_FEATURES,
    CANDIDATE_FEATURES,
    FEATURES,
    HEAD_FEATURES,
    ChosenCandidates,
    Coverage,
    compute_features,
    logit,
)

#: Features of more than the line finders.
LATER = HEAD_FEATURES | CANDIDATE_FEATURES | ABSORPTION_FEATURES

LINES = ("LYA", "CIV(1548)", "MgII(2796)")
NBOXES = 13


def predictions(c_line, z_line, c_bal=((0.3,),), lines=LINES):
    c_line, z_line = np.array(c_line, float), np.array(z_line, float)
    best = c_line.argmax(axis=0)
    return Predictions(
        lines,
        ("CIV(1548)",),
        c_line,
        z_line,
        z_line[best, np.arange(z_line.shape[1])],
        np.array(c_bal, float),
        np.ones(np.shape(c_bal)),
    )


def chosen(**values):
    """What the second stage says of one spectrum."""
    names = ("z", "zerr", "score", "probability", "bal", "z2", "score2", "probability2")
    plain = dict.fromkeys(names, np.nan)
    given = {**plain, "odds2": 0.0, "ok": True, "weight": 1.0, "weight2": np.nan, **values}
    return ChosenCandidates(**{name: np.array([value]) for name, value in given.items()})


def coverage(z=2.2, at_z=(1, 1, 1), at_own=(1, 1, 1), goodfrac=0.5):
    """What one spectrum covers."""
    lines = (np.array(seen, bool)[:, None] for seen in (at_z, at_own))
    return Coverage(np.array([goodfrac]), np.array([z]), *lines)


def test_features_follow_their_definitions():
    found = predictions([[0.2], [0.9], [0.6]], [[2.0], [2.2], [2.21]])
    second = chosen(z=2.2, zerr=0.032, score=2.5, probability=0.8, score2=-99.0, odds2=0.25)
    more = {"quasar": np.array([0.7]), "chosen": second, "coverage": coverage(at_own=(1, 0, 1))}
    more["score_bal"] = np.array([99.0])
    values = dict(
        zip(FEATURES, compute_features(list(FEATURES), found, [3.0], **more)[0], strict=True)
    )
    expected = {
        "logit_c1": logit(0.9),
        "logit_c2": logit(0.6),
        "logit_c3": logit(0.2),
        "logit_agree": logit(0.6),
        "log_snr": np.log10(3.0),
        "log_1pz": np.log10(3.2),
        "log_goodfrac": np.log10(0.5),
        "lines_seen": 3.0,
        "logit_seen": logit(0.6),
        "logit_near": logit(0.9),
        "logit_near2": logit(0.6),
        "log_1pz_best": np.log10(3.2),
        "logit_bal": logit(0.3),
        "logit_bal_emission": logit(0.9),
        "logit_quasar": logit(0.7),
        "score": 2.5,
        "score2": -12.0,
        "logit_share": logit(0.8),
        "logit_share2": logit(0.0),
        "log_odds2": np.log(0.25),
        "log_zerr": -2.0,
        "score_bal": 12.0,
    }
    assert values == pytest.approx({name: float(value) for name, value in expected.items()})


def test_agreement_needs_another_line_nearby():
    found = predictions([[0.2], [0.9], [0.6]], [[2.19], [2.2], [2.4]])
    assert compute_features(["logit_agree"], found, [1.0])[0, 0] == pytest.approx(logit(0.2))
    # 14 990 km/s at redshift 0, but 4685 km/s at 2.2.
    found = predictions([[0.2], [0.9], [0.6]], [[1.0], [2.2], [2.25]])
    assert compute_features(["logit_agree"], found, [1.0])[0, 0] == pytest.approx(logit(0.6))
    found = predictions([[0.2], [0.9], [0.6]], [[1.0], [2.2], [2.4]])
    assert compute_features(["logit_agree"], found, [1.0])[0, 0] == logit(0.0)


@pytest.mark.parametrize(
    ("of", "near"),
    [
        ({}, (0.9, 0.6)),
        ({"at_z": (1, 0, 1)}, (0.6, 0.0)),  # without data there
        ({"z": 2.0}, (0.2, 0.0)),  # far from the others
        ({"z": 2.0, "at_z": (0, 1, 1)}, (0.0, 0.0)),
    ],
)
def test_lines_near_a_redshift_have_data_there(of, near):
    found = predictions([[0.2], [0.9], [0.6]], [[2.0], [2.2], [2.21]])
    names = ["logit_near", "logit_near2"]
    values = compute_features(names, found, [1.0], coverage=coverage(**of))
    assert values[0] == pytest.approx(logit(near))


def test_without_an_error_or_another_candidate_the_features_are_the_least():
    found = predictions([[0.8]] * 3, [[2.0]] * 3)
    values = compute_features(["log_zerr", "log_odds2"], found, [1.0], chosen=chosen(ok=False))
    assert values[0] == pytest.approx([-1.0, -12.0])


def test_with_fewer_lines_the_last_is_repeated():
    found = predictions([[0.8]], [[2.0]], lines=("LYA",))
    values = compute_features(
        ["logit_c1", "logit_c2", "logit_c3", "logit_bal_emission"], found, [1.0]
    )
    assert values[0, :3].tolist() == [pytest.approx(logit(0.8))] * 3
    assert values[0, 3] == logit(0.0)


def test_rows_without_an_answer_are_nan():
    nan = np.full((3, 1), np.nan)
    found = predictions(np.hstack([nan, nan + 1]), np.hstack([nan, nan]), [[np.nan, np.nan]])
    # S/N and coverage are of the spectrum alone.
    of_lines = set(FEATURES) - LATER - {"log_snr", "log_goodfrac", "lines_seen"}
    seen = np.zeros((3, 2), bool)
    where = Coverage(np.ones(2), np.full(2, np.nan), seen, seen)
    assert np.isnan(compute_features(sorted(of_lines), found, [1.0, 1.0], coverage=where)).all()
    quasar = np.full(2, np.nan)
    assert np.isnan(compute_features(["logit_quasar"], found, [1.0, 1.0], quasar=quasar)).all()
    assert np.isnan(compute_features(["score_bal"], found, [1.0, 1.0], score_bal=quasar)).all()


@pytest.mark.parametrize("name", sorted(LATER))
def test_a_feature_needs_the_stage_that_makes_it(name):
    found = predictions([[0.8]] * 3, [[2.0]] * 3)
    with pytest.raises(InputError, match=f"feature {name} needs a"):
        compute_features([name], found, [1.0])


def test_an_unknown_feature_is_named():
    with pytest.raises(InputError, match=r"unknown feature\(s\) \['colour'\]: the legal ones are"):
        compute_features(["colour"], predictions([[0.8]] * 3, [[2.0]] * 3), [1.0])


def made_preds(seed, nspec=50):
    rng = np.random.default_rng(seed)
    shape = (len(LINES) + 1, nspec, NBOXES)
    return list(np.concatenate([rng.uniform(size=shape) ** 2, rng.uniform(0, 1, shape)], axis=2))


@pytest.mark.parametrize("seed", range(3))
def test_the_second_redshift_is_the_best_of_two_boxes_of_each_line(seed):
    preds = made_preds(seed)
    zbest = decode(preds, LINES, ("CIV(1548)",), QUASARNET_GRID).zbest
    z2, p2 = second_redshift(preds, LINES, QUASARNET_GRID, absorber_IGM, zbest)
    for row in range(len(zbest)):
        best = (-1.0, None)
        for line, pred in zip(LINES, preds, strict=False):
            for box in sorted(range(NBOXES), key=lambda box: -pred[row, box])[:2]:
                wave = QUASARNET_GRID.from_box(box, pred[row, NBOXES + box], NBOXES)
                z = float(wave) / absorber_IGM[line] - 1
                if z > 0 and 299792.458 * abs(z - zbest[row]) / (1 + zbest[row]) > 6000:
                    best = max(best, (pred[row, box], z))
        assert (p2[row], z2[row]) == pytest.approx(best)


def test_a_second_redshift_is_above_0():
    """The more confident box of the second line lies blueward of its rest wavelength."""
    preds = np.zeros((2, 1, 2 * NBOXES))
    preds[0, 0, 5], preds[1, 0, [1, 12]] = 0.9, (0.8, 0.3)
    lines = ("LYA", "Halpha")
    zbest = decode(preds, lines, (), QUASARNET_GRID).zbest
    z2, p2 = second_redshift(preds, lines, QUASARNET_GRID, absorber_IGM, zbest)
    assert p2[0] == 0.3
    assert 0 < z2[0] < 0.5


def test_without_another_redshift_it_is_nan():
    preds = [np.zeros((2, 2 * NBOXES))]
    preds[0][:, 5] = 0.9, np.nan
    zbest = decode(preds, ("LYA",), (), QUASARNET_GRID).zbest
    assert np.isfinite(zbest[0])
    assert np.isnan(zbest[1])
    z2, p2 = second_redshift(preds, ("LYA",), QUASARNET_GRID, absorber_IGM, zbest)
    assert p2[0] == 0
    assert np.isnan([z2[1], p2[1]]).all()
    alone = [np.array([[0.9, 0.5]])]
    zbest = decode(alone, ("LYA",), (), QUASARNET_GRID).zbest
    assert np.isnan(second_redshift(alone, ("LYA",), QUASARNET_GRID, absorber_IGM, zbest)).all()
