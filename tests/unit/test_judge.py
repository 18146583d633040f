"""The recipe that measures the default model: its changes of the simulator, and its verdicts."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import qnet

RECIPES = Path(__file__).parents[2] / "recipes"
MODULES = ("measure", "headline", "default_model", "calibrate", "logistic_fit", "judge")


@pytest.fixture(scope="module")
def judge():
    """The modules of the judge."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RECIPES))
        import judge.catalogue
        import judge.checks
        import judge.disturbed
        import judge.emitted
        import judge.frame
        import judge.kinds
        import judge.whole
        import measure
        from headline import COMMANDS

        yield SimpleNamespace(measure=measure, commands=COMMANDS, **vars(judge))
        for name in list(sys.modules):
            if name.partition(".")[0] in MODULES:
                sys.modules.pop(name)


def observed(judge, context, *, z=(2.6, 4.2), bal_fraction=0.5):
    """Truth and noiseless spectra of quasars that are made in a context."""
    source = judge.kinds.QuasarsIn(z, (18.0, 20.0), bal_fraction)
    with context:
        batch = judge.kinds.quasars_in(24, 11, "boss", source).collect()
    return batch.truth, batch.signals[0], batch.spectra.cameras[0].wave


def test_no_sample_has_the_seed_of_one_that_a_model_was_trained_on(judge):
    seeds = [
        *judge.disturbed.SEEDS.values(),
        *range(judge.frame.SEED, judge.frame.SEED + 4),
        judge.distributions.SEED,
        *(judge.kinds.SKY_SEED, judge.kinds.AGN_SEED, judge.kinds.BAL_SEED, judge.emitted.SEED),
    ]
    known = {
        seed + position
        for sizes, seed in judge.whole.SAMPLES.values()
        for position in range(len(sizes))
    }
    # Those of qnet@4, from which the default model was trained further.
    known |= {seed + position for seed in (1000, 2000, 5000) for position in range(3)}
    assert len(set(seeds)) == len(seeds)
    assert not set(seeds) & known


def test_more_opacity_dims_the_forest_of_the_same_quasars_alone(judge):
    truth, plain, wave = observed(judge, judge.frame.opacity(1.0))
    rest = wave / (1 + truth["TRUEZ"][:, None])
    forest = (rest > 1050) & (rest < 1180)
    for factor in (0.5, 1.5):
        other_truth, other, _ = observed(judge, judge.frame.opacity(factor))
        np.testing.assert_array_equal(other_truth["CIV_SHIFT"], truth["CIV_SHIFT"])
        np.testing.assert_array_equal(other[rest > 1225], plain[rest > 1225])
        # The mean transmission is exp(-factor * depth): the ratio follows from the plain one.
        depth = judge.frame.forest.effective_depth(wave / 1215.67 - 1)
        wanted = np.exp(-(factor - 1) * depth)
        ratio = other[forest].sum() / plain[forest].sum()
        shape = np.broadcast_to(wanted, plain.shape)[forest]
        assert ratio == pytest.approx(np.average(shape, weights=plain[forest]), rel=0.1)
    np.testing.assert_array_equal(observed(judge, judge.frame.opacity(1.0))[1], plain)


@pytest.mark.parametrize(
    ("module", "name", "value", "lines"),
    [
        ("absorbers", "ASSOCIATED_FRACTION", 1.0, (1238.8, 1548.2)),
        ("bal", "absorb", "no_troughs", (1400.0, 1549.06)),
    ],
)
def test_absorbers_are_put_in_and_taken_out_of_the_same_quasars(judge, module, name, value, lines):
    value = judge.frame.no_troughs if value == "no_troughs" else value
    setting, absorbers = judge.kinds.setting, judge.frame.absorbers
    with setting(absorbers, "ASSOCIATED_FRACTION", 0.0):
        truth, plain, wave = observed(judge, contextlib.nullcontext())
        changed_truth, changed, _ = observed(
            judge, setting(getattr(judge.frame, module), name, value)
        )
    for column in ("TRUEZ", "LOG_L1700", "CIV_SHIFT", "EW_MGII", "BI_CIV"):
        np.testing.assert_array_equal(changed_truth[column], truth[column])
    rest = wave / (1 + truth["TRUEZ"][:, None])
    # Troughs in the r band change the scale: it is that of light which they leave.
    free = np.where((rest > 1700) & (rest < 1800), 1.0, np.nan)
    changed, plain = (
        flux / np.nanmean(flux * free, axis=1, keepdims=True) for flux in (changed, plain)
    )
    more, less = (changed, plain) if name != "absorb" else (plain, changed)
    for line in lines:
        near = (rest > line - 60) & (rest < line + 10)
        assert more[near].sum() < 0.98 * less[near].sum()
    # Redward of CIII] but a few lines of low ions are left.
    assert np.mean(np.isclose(more, less, rtol=1e-3)[rest > 1950]) > 0.95


def test_peaks_are_where_the_light_is_highest(judge):
    from qnet.simulation.profiles import gaussians

    z, rest = np.array([0.3, 1.1]), np.array([1549.06, 2798.75])
    # Of each line a core and a wing of much light, of each object another velocity.
    velocity = np.array([[[-500, 900], [0, 0]], [[300, 300], [-200, -2500]]], dtype=float)
    sigma = np.broadcast_to([1000.0, 2500.0], velocity.shape)
    area = np.broadcast_to([1.0, 1.5], velocity.shape)
    wave = rest[None, :, None] * (1 + z)[:, None, None] * (1 + velocity / 299792.458)
    profiles = gaussians(np.arange(2)[:, None, None], wave, sigma, area)
    for line, reference in enumerate(rest):
        found = judge.emitted.peaks(profiles, "broad", line, z, reference)
        grid = np.linspace(-3000, 3000, 6001)
        for row in range(2):
            heights = area[row, line] / sigma[row, line]
            light = heights @ np.exp(
                -0.5 * ((grid - velocity[row, line][:, None]) / sigma[row, line][:, None]) ** 2
            )
            assert found[row] == pytest.approx(grid[light.argmax()], abs=10)


def test_steps_and_cuts_change_what_they_name_and_keep_the_signal_to_noise(judge):
    batch = qnet.simulate(3, seed=2, survey="desi").collect()
    b, r, z = batch.spectra.cameras
    stepped = judge.disturbed.step("R", True, 2.0)(batch).cameras
    half = len(r.wave) // 2
    np.testing.assert_array_equal(stepped[1].flux[:, :half], r.flux[:, :half])
    np.testing.assert_array_equal(stepped[1].flux[:, half:], 2 * r.flux[:, half:])
    np.testing.assert_allclose(
        stepped[1].flux * np.sqrt(stepped[1].ivar), r.flux * np.sqrt(r.ivar), rtol=1e-5
    )
    assert stepped[0] is b
    assert stepped[2] is z
    (only,) = judge.disturbed.cut((6000.0, 6300.0))(batch).cameras
    assert (only.name, only.wave[0] >= 6000, only.wave[-1] <= 6300) == ("R", True, True)
    names = [camera.name for camera in judge.disturbed.cut((5700.0, 5800.0))(batch).cameras]
    assert names == ["B", "R"]
    windowed = judge.frame.window(2600.0, 3000.0)(batch)
    for camera, signal in zip(windowed.cameras, batch.signals, strict=True):
        rest = camera.wave / (1 + batch.truth["TRUEZ"][:, None])
        assert not camera.ivar[(rest < 2600) | (rest > 3000)].any()
        np.testing.assert_array_equal(camera.flux, signal)


@pytest.mark.parametrize(("wrong", "low", "high"), [(0.0, 0.0, 0.02), (0.15, 0.1, 0.2)])
def test_calibration_errors_of_few_rows_are_less_that_by_chance(judge, wrong, low, high):
    rng = np.random.default_rng(3)
    p = rng.uniform(0.2, 0.8, 300)
    number = judge.disturbed.p_error(p, rng.random(300) < p + wrong)
    assert number["chance"] > 0.03
    assert low <= judge.disturbed.beyond_chance(number)["value"] < high
    assert number["excess"] == pytest.approx(-wrong, abs=0.07)


def test_the_readme_gives_the_commands_of_its_numbers(judge):
    readme = (RECIPES.parent / "README.md").read_text()
    assert "\n".join(judge.commands) in readme


@pytest.mark.parametrize(
    ("value", "low", "high", "most", "least", "either"),
    [
        (0.01, 0.005, 0.02, "met", "missed", "met"),
        (0.02, 0.01, 0.04, "met, not surely", "missed, not surely", "met, not surely"),
        (0.04, 0.02, 0.06, "missed, not surely", "met, not surely", "missed, not surely"),
        (0.05, 0.04, 0.06, "missed", "met", "missed"),
        (-0.05, -0.06, -0.04, "met", "missed", "missed"),
        (-0.01, -0.02, 0.02, "met", "missed", "met"),
        (np.nan, np.nan, np.nan, "not measured", "not measured", "not measured"),
    ],
)
def test_verdicts(judge, value, low, high, most, least, either):
    number = {"model": {"value": value, "low": low, "high": high, "n": 10}}
    checks = judge.checks
    assert checks.at_most("x", 0.03, number)["verdict"] == {"model": most}
    assert checks.at_least("x", 0.03, number)["verdict"] == {"model": least}
    assert checks.within("x", 0.03, number)["verdict"] == {"model": either}
    assert checks.at_least("x", 0.03, number)["found"] == number


def test_a_model_beside_itself_is_as_good_in_everything(judge, tmp_path, monkeypatch, capsys):
    model = qnet.load_model()
    both = judge.catalogue.Judge({"model": model, "baseline": model}, tmp_path, scale=0.01)
    monkeypatch.setitem(judge.whole.SAMPLES, "test", ({"boss": 16000}, 3000))
    monkeypatch.setattr(judge.disturbed, "SEEDS", {"desi": 9001})
    monkeypatch.setattr(judge.catalogue, "NBOOT", 10)
    output = tmp_path / "out.json"
    judge.measure.measure(both, ["whole", "coverage", "sky"], output, {})
    result = json.loads(output.read_text())
    whole = result["whole"]["numbers"]
    assert whole["all, model, training"] == whole["all, baseline, training"]
    assert whole["all, model, default"]["all"]["completeness"]["value"] > 0.9
    for metrics in whole["without templates, model less baseline"].values():
        assert {metric["value"] for metric in metrics.values()} == {0.0}
    for numbers in result["coverage"]["numbers"].values():
        for each in numbers["called"].values():
            assert each["model"] == each["baseline"]
        ratios = [ratio for pair in numbers["half"].values() for ratio in pair.values()]
        assert {ratio["value"] for ratio in ratios} <= {0.0, 1.0}
        called = {name: each["model"]["default"] for name, each in numbers["called"].items()}
        assert called["whole"]["wrong of called"]["value"] < 0.1
        assert called["whole"]["wrong of called"]["value"] < called["R"]["wrong of called"]["value"]
    assert result["sky"]["numbers"]["desi"]["model"]["fibres"]["sky called"]["n"] == 200
    found = {check["what"] for section in result.values() for check in section["checks"]}
    assert "sky called, sdss, prior fibres" in found
    assert "wrong of sure, 6300 - 6800, desi, without templates" in found
    # Measured anew, a section takes its place; the others stay.
    judge.measure.measure(both, ["whole"], output, {})
    assert json.loads(output.read_text()) == result
    assert capsys.readouterr().out.count("| must reach |") == 6
