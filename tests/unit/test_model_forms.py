"""Other forms of a model: ONNX files, and the model card."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import qnet
from makers import make_spectra
from networks import full_model
from qnet.core.errors import InputError, OutputExistsError
from qnet.model.architecture import Architecture
from qnet.model.layers import ConvLayer
from qnet.model.weights import CARD_KEY, HEADER_KEY, WeightsFile, read_weights, write_weights

WAVE = np.arange(3600.0, 9800.0, 1.0)


@pytest.fixture
def onnxruntime():
    pytest.importorskip("onnx", reason="onnx is not installed")
    return pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def run(onnxruntime, path, **inputs):
    """The outputs of an ONNX file by their names, and its header."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(names, inputs), strict=True))
    return outputs, json.loads(session.get_modelmeta().custom_metadata_map["qnet"])


def padded_model(small_model):
    """A model with every kind of layer that the default one lacks."""
    convs = (ConvLayer(6, 7, 3, "same"), ConvLayer(5, 4, 2, "same"), ConvLayer(4, 3, 1, "valid"))
    arch = small_model.architecture
    own = {"convs": convs, "units": 9, "offset_activation": "linear", "clip": (-1.0, 2.0)}
    arch = Architecture(**{f.name: getattr(arch, f.name) for f in dataclasses.fields(arch)} | own)
    chance = np.random.default_rng(3)
    arrays = {
        name: np.abs(chance.normal(0.5, 0.3, shape)).astype(np.float32) - 0.2 * ("kernel" in name)
        for name, shape in arch.shapes().items()
    }
    return qnet.Model(WeightsFile(arch, arrays, name="padded", version="1"))


@pytest.mark.parametrize("name", ["default", "qnet@4", "padded", "two stages"])
def test_both_stages_in_onnxruntime(onnxruntime, tmp_path, small_model, two_stage_model, name):
    """Agreement to 1e-5 with NumPy, for several spectra and for one."""
    model = {
        "default": qnet.load_model,
        "qnet@4": lambda: qnet.load_model("qnet@4"),
        "padded": lambda: padded_model(small_model),
        "two stages": lambda: two_stage_model,
    }[name]()
    paths = model.to_onnx(tmp_path / "m.onnx")
    names = ["m.onnx", "m-refine.onnx"] if model.refiner else ["m.onnx"]
    assert [path.name for path in paths] == names
    flux, ivar = make_spectra(WAVE, (0.8, 1.9, 2.7, 3.4), seed=2)
    X = model.preprocess(qnet.io.from_arrays(WAVE, flux, ivar)).X.astype(np.float32)
    for rows in (slice(None), slice(0, 1)):
        ours = model.forward(X[rows])
        theirs, header = run(onnxruntime, paths[0], spectra=X[rows])
        expected = {
            "predictions": np.stack(ours.preds, axis=1),
            "common": ours.common,
            "logits": ours.logits.transpose(1, 0, 2),
            "posterior": ours.posterior,
        }
        assert set(theirs) == {key for key, value in expected.items() if value is not None}
        for key, value in theirs.items():
            scale = max(1.0, float(np.abs(expected[key]).max()))
            assert np.abs(value - expected[key]).max() < 1e-5 * scale, key
    assert (header["name"], header["version"]) == (model.weights.name, model.weights.version)
    assert header["architecture"] == json.loads(json.dumps(model.architecture.to_dict()))
    if model.refiner is None:
        return
    frames = np.random.default_rng(1).normal(size=(3, model.refiner.arch.window.npooled, 2))
    ours = model.refiner.predict(frames)
    theirs, header = run(onnxruntime, paths[1], frames=frames.astype(np.float32))
    assert list(theirs) == [key for key, value in ours._asdict().items() if value is not None]
    for key, value in theirs.items():
        assert value.shape == (3,)
        np.testing.assert_allclose(value, getattr(ours, key), rtol=1e-5, atol=1e-5, err_msg=key)
    assert header["stage"] == "refine"


def test_the_model_is_clipped_in_onnx_too(onnxruntime, tmp_path, small_model):
    model = padded_model(small_model)
    X = 9 * np.random.default_rng(0).normal(size=(3, model.grid.npix)).astype(np.float32)
    (path,) = model.to_onnx(tmp_path / "m.onnx")
    found = run(onnxruntime, path, spectra=X)[0]["predictions"]
    np.testing.assert_allclose(found, np.stack(model.predict(X), axis=1), rtol=1e-5, atol=1e-5)


def test_files_of_onnx_are_whole_or_not_there(tmp_path, two_stage_model, monkeypatch):
    pytest.importorskip("onnx", reason="onnx is not installed")
    with pytest.raises(InputError, match=r"m\.h5: an ONNX file must end in \.onnx"):
        two_stage_model.to_onnx(tmp_path / "m.h5")
    (tmp_path / "m-refine.onnx").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"m-refine\.onnx: exists already"):
        two_stage_model.to_onnx(tmp_path / "m.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["m-refine.onnx"]
    two_stage_model.to_onnx(tmp_path / "m.onnx", overwrite=True)
    assert (tmp_path / "m-refine.onnx").stat().st_size > 1000
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(InputError, match=r"install qnet-quasar\[onnx\]"):
        two_stage_model.to_onnx(tmp_path / "n.onnx")


def metadata(card):
    """The YAML of a card, and its Markdown."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    begin, head, text = card.split("---\n", 2)
    assert begin == ""
    return yaml.safe_load(head), text


def test_card_of_each_model(legacy_weights, two_stage_model):
    models = [*map(qnet.load_model, (None, "qnet@4", legacy_weights)), two_stage_model]
    for model in models:
        head, text = metadata(model.card())
        assert head["library_name"] == "qnet"
        assert "quasars" in head["tags"]
        assert text.count(f"# {model.name}\n") == 1
        assert ("## Calibration" in text) == (model.calibration is not None)
        assert str(model.architecture.nparameters) in text
        for notice in model.weights.notices:
            assert notice.split()[-1] in text
    assert metadata(models[0].card())[0]["license"] == "bsd-3-clause"
    assert "license" not in metadata(models[2].card())[0]
    assert "No calibration" in models[2].card()


def test_card_as_a_hub_reads_it():
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    card = hub.ModelCard(qnet.load_model().card())
    assert card.data.to_dict() == {
        "license": "bsd-3-clause",
        "library_name": "qnet",
        "tags": ["astronomy", "spectroscopy", "quasars", "redshift", "safetensors"],
    }
    assert card.text.lstrip().startswith("# qnet@")


def test_what_a_header_holds_is_no_markup(small_model):
    """A header is data: it makes neither metadata, nor markup, nor blocks of its own."""
    text = 'a"b\n---\nlicense: mit\n```<b>|x'
    weights = dataclasses.replace(
        small_model.weights,
        name="```n",
        licence=text,
        notices=(text,),
        provenance={text: text, "history": [3], "sources": {"data": [1], text: "x"}},
    )
    head, body = metadata(qnet.Model(weights).card())
    assert head["license"] == "other"
    assert head["license_name"] == text
    assert body.count("```") == 2
    assert "<b>" not in body.replace("\\<b\\>", "")
    assert all(line.count("|") - line.count("\\|") in (0, 3) for line in body.splitlines())


def test_the_card_is_in_the_file(tmp_path, small_model):
    from safetensors import safe_open

    path = write_weights(tmp_path / "m.safetensors", full_model(small_model).weights)
    with safe_open(path, framework="numpy") as stream:
        card = json.loads(stream.metadata()[HEADER_KEY])[CARD_KEY]
    assert card == qnet.Model(read_weights(path)).card()
