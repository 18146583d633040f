"""The recipe of the weights that ship, from trained stages to the file: what runs after hours."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import qnet
from networks import random_weights, verifying_model
from qnet.core.errors import QnetWarning
from qnet.training.sample import Sample

RECIPES = Path(__file__).parents[2] / "recipes"
SAMPLES = {
    "train": ({"boss": 20}, 10),
    "fine": ({"boss": 20}, 20),
    "calibrate": ({"boss": 400, "sdss": 300}, 30),
}


@pytest.fixture(scope="module")
def recipe(small_model, tmp_path_factory):
    """The module `default_model` of the recipes, for small samples and a small model to start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RECIPES))
        import default_model

        patch.setattr(default_model, "SAMPLES", SAMPLES)
        path = tmp_path_factory.mktemp("start") / "start-1.safetensors"
        verifying_model(small_model, bal=True).save(path)
        patch.setattr(default_model, "START", path)
        yield default_model
        sys.modules.pop("default_model", None)


@pytest.fixture(scope="module")
def folder(recipe, small_model, tmp_path_factory):
    """A folder of the recipe after its trainings, of which random weights take the place."""
    path = tmp_path_factory.mktemp("recipe")
    recipe.make_samples(path, None, list(SAMPLES))
    (path / "lines").mkdir()
    weights = verifying_model(small_model, bal=True).weights
    arrays = {name: weights.arrays[name] for name in weights.architecture.shapes()}
    first = dataclasses.replace(
        weights, arrays=arrays, refine=None, calibration=None, provenance={"seed": 1}
    )
    qnet.Model(first).save(path / "lines" / "best.safetensors")
    (path / "refine").mkdir()
    arrays = random_weights(weights.refine.shapes(), 5)
    save_file(arrays, path / "refine" / "best.safetensors")
    plan = {
        "settings": {"epochs": 12},
        "finder": qnet.load_model(path / "lines" / "best.safetensors").sha256,
    }
    state = {"plan": plan, "epoch": 1, "history": [{"loss": 1.0}], "best_epoch": 1}
    (path / "refine" / "state.json").write_text(json.dumps(state))
    return path


def test_trained_stages_become_a_model_that_classifies(recipe, folder, tmp_path, monkeypatch):
    # Random weights find no redshift: any of a quasar counts, but for some.
    monkeypatch.setattr(Sample, "is_right", lambda self, z, *_: self.quasar & (self.number % 5 > 0))
    output = tmp_path / "made-3.safetensors"
    with pytest.warns(QnetWarning, match="calibrate P2, P_BAL: none is used"):
        recipe.pack(folder, output, "made", "3")
    model = qnet.load_model(output)
    assert model.name == "made@3"
    assert model.refiner.arch == qnet.load_model(recipe.START).refiner.arch
    calibration, provenance = model.calibration, model.weights.provenance
    assert calibration.p_bal is None
    assert calibration.mix["QSO"] == pytest.approx(0.54, abs=0.05)
    assert provenance["refine"]["settings"] == {"epochs": 12}
    assert provenance["refine"]["history"] == [{"loss": 1.0}]
    assert model.weights.notices == ()
    assert len(provenance["calibration"]["sources"]) == 4
    table = qnet.classify(folder / "calibrate-boss.fits", model=model, prior="training")
    assert np.isfinite(table["P_QSO"]).all()
    judged = np.isfinite(table["ZERR"])
    assert judged.any()
    assert np.isfinite(table["P_Z"][judged]).all()
    # The classes that the calibration was made for: their share is what P_QSO says.
    assert np.mean(table["P_QSO"]) == pytest.approx(calibration.mix["QSO"], abs=0.06)


def test_the_model_to_start_from_gets_bins_down_to_redshift_zero(recipe):
    old, new = qnet.load_model(recipe.START), recipe.start()
    bins, wider = old.architecture.redshifts, new.architecture.redshifts
    assert wider.nbins == bins.nbins + recipe.NEW_BINS
    assert wider.z_min < bins.z_min
    assert wider.step == pytest.approx(bins.step, rel=1e-12)
    assert new.architecture.clip == recipe.CLIP
    X = np.random.default_rng(0).uniform(-4, 4, (20, old.grid.npix))
    before, after = (model.forward(X).posterior for model in (old, new))
    first = recipe.NEW_BINS + 1
    np.testing.assert_allclose(after[:, :first].sum(axis=1), before[:, 0], rtol=1e-4)
    np.testing.assert_allclose(after[:, first:], before[:, 1:], rtol=1e-4)


def test_what_was_made_with_other_settings_is_not_taken_for_it(
    recipe, folder, small_model, tmp_path, monkeypatch
):
    recipe.make_samples(folder, None, ["train"])  # is there: nothing is done
    with pytest.raises(SystemExit, match="was trained with other line finders: remove it"):
        recipe.trained_refiner(folder, small_model)
    for sizes, seed in (({"boss": 21}, 10), ({"boss": 20}, 11)):
        monkeypatch.setitem(SAMPLES, "train", (sizes, seed))
        with pytest.raises(SystemExit, match=r"train-boss.fits: was simulated as .* remove it"):
            recipe.make_samples(folder, None, ["train"])
    monkeypatch.setitem(SAMPLES, "train", ({"boss": 20}, 10))
    truth = folder / "train-boss-truth.fits"
    with monkeypatch.context() as patch:
        patch.setitem(SAMPLES, "train", ({"boss": 20}, 12))
        truth.unlink()
        recipe.make_samples(folder, None, ["train"])  # both anew: they belong together
    with pytest.raises(SystemExit, match="was simulated as"):
        recipe.make_samples(folder, None, ["train"])


def test_a_notice_says_what_share_was_drawn_from_templates(recipe, tmp_path, monkeypatch):
    from makers import primary, write

    monkeypatch.setitem(SAMPLES, "train", ({"boss": 20}, 10))
    write(tmp_path / "train-boss.fits", [primary(SIMTFRAC=0.6)])
    (notice,) = recipe.notices(tmp_path)
    assert "of which 60% of the objects were drawn from templates" in notice


def test_the_table_of_other_instruments(monkeypatch):
    """A row has the sample that was simulated, and numbers of the default model."""
    monkeypatch.syspath_prepend(str(RECIPES))
    import other_instruments

    monkeypatch.setattr(other_instruments, "MIX", {"quasar": 0.8, "galaxy": 0.2, "star": 0.0})
    evaluation = other_instruments.evaluate("weave", 40)
    cells = other_instruments.row("weave", evaluation).strip("| ").split(" | ")
    assert cells[:4] == ["weave", "3660-9590", "5155", "5195"]
    assert len(cells) == 5 + len(other_instruments.METRICS)
    (batch,) = qnet.simulate(
        40, seed=other_instruments.SEED, survey="weave", mix=other_instruments.MIX
    )
    assert int(cells[4]) == (batch.truth["TRUESPECTYPE"] == "QSO").sum()
    assert evaluation.metric("completeness").value > 0.9
    sys.modules.pop("other_instruments")
