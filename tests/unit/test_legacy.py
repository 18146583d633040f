"""QuasarNET's .h5 files: any architecture, and nothing in them is run."""

from __future__ import annotations

import base64
import json
import os
import pickle
import struct

import h5py
import numpy as np
import pytest

import qnet
from networks import (
    RESCALE_CODE,
    keras_config,
    naive_forward,
    random_arrays,
    write_keras,
    write_legacy,
)
from qnet.core.errors import MissingFileError, WeightsError
from qnet.core.grid import QUASARNET_LINEAR_GRID
from qnet.model import keras_h5

SIX_LINES = ("LYA", "CIV(1548)", "CIII(1909)", "MgII(2796)", "Hbeta", "Halpha")

VARIANTS = {
    "four layers": {},
    "six layers, same": {"nlayers": 6, "padding": "same"},
    "batch norms from 1": {"first_norm": 1},
    "batch norms from 7, twelve layers": {"nlayers": 12, "first_norm": 7, "padding": "same"},
    "ten layers of stride 1": {"nlayers": 10, "stride": 1, "npix": 458},
    "no rescale": {"rescale": False},
    "lambda_0, lambda_1": {"lambda_name": "lambda_{}"},
    "linear offsets": {"offset_activation": "linear", "rescale": False},
    "linear offsets, rescaled": {"offset_activation": "linear"},
    "other sizes": {"filters": 5, "units": 11, "nboxes": 29, "width": 7, "stride": 3},
    "one filter": {"filters": 1, "units": 1, "nboxes": 1},
    "linear grid": {"npix": 458, "padding": "same"},
    "no dropout": {"dropout": False},
    "other epsilon": {"epsilon": 0.05},
}


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Read without a process for each file, to be quick; test_bounded.py has the processes."""
    monkeypatch.setattr(
        keras_h5,
        "read_bounded",
        lambda _, file, request, *__: keras_h5._read({"file": str(file), **request}),
    )


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())
def test_every_architecture_equals_plain_loops(tmp_path, options):
    config = keras_config(**options)
    arrays = random_arrays(config, seed=3)
    model = qnet.load_model(write_keras(tmp_path / "model.h5", config, arrays))
    X = np.random.default_rng(4).normal(size=(3, model.grid.npix))
    expected = naive_forward(config, arrays, X)
    found = model.predict(X[:, :, None], dtype=np.float64)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(model.predict(X), expected, rtol=0, atol=2e-5)
    assert model.lines == SIX_LINES
    assert model.lines_bal == ("CIV(1548)",)


def test_any_number_of_lines(tmp_path):
    path = write_legacy(tmp_path / "three.h5", nheads=3)
    with pytest.raises(WeightsError, match=r"has 3 outputs, but 6 lines .* give lines and"):
        qnet.load_model(path)
    model = qnet.load_model(path, lines=["LYA", "Hbeta", "OIII(5008)"], lines_bal=[])
    found = model.decode(model.predict(np.zeros((2, model.grid.npix))))
    assert found.c_line.shape == (3, 2)
    assert found.c_line_bal.shape == (0, 2)
    with pytest.raises(WeightsError, match=r"unknown line name\(s\) \['Lya'\]: the legal ones are"):
        qnet.load_model(path, lines=["Lya", "Hbeta", "OIII(5008)"], lines_bal=[])


def test_the_grid_from_the_file_the_length_or_the_caller(tmp_path):
    assert qnet.load_model(write_legacy(tmp_path / "a.h5", npix=458)).grid == QUASARNET_LINEAR_GRID
    wave = 10 ** (3.6 + 2e-3 * np.arange(200))
    path = write_legacy(tmp_path / "b.h5", npix=200, grid=wave)
    np.testing.assert_allclose(qnet.load_model(path).wave, wave, rtol=1e-12)
    path = write_legacy(tmp_path / "c.h5", npix=200)
    with pytest.raises(WeightsError, match=r"200 pixels is none of QuasarNET's \(443, 458\)"):
        qnet.load_model(path)
    np.testing.assert_allclose(qnet.load_model(path, grid=wave).wave, wave, rtol=1e-12)
    with pytest.raises(WeightsError, match="takes 200 pixels, but the grid has 150"):
        qnet.load_model(path, grid=wave[:150])
    path = write_legacy(tmp_path / "d.h5", npix=200, grid=wave[:150])
    with pytest.raises(WeightsError, match=r"model_grid has shape \(150,\), but the network"):
        qnet.load_model(path)


def test_layers_saved_without_bias_centre_or_scale(tmp_path):
    config = keras_config()
    arrays = random_arrays(config)
    arrays["conv_2"]["bias"][:] = 0
    arrays["batch_normalization_1"]["beta"][:] = 0
    arrays["batch_normalization_2"]["gamma"][:] = 1
    X = np.random.default_rng(0).normal(size=(2, 443))
    expected = naive_forward(config, arrays, X)
    del arrays["conv_2"]["bias"]
    del arrays["batch_normalization_1"]["beta"], arrays["batch_normalization_2"]["gamma"]
    model = qnet.load_model(write_keras(tmp_path / "model.h5", config, arrays, suffix=""))
    np.testing.assert_allclose(model.predict(X, dtype=float), expected, rtol=0, atol=1e-12)


def test_layers_in_the_notation_of_keras_3(tmp_path):
    config = keras_config(rescale=False)
    arrays = random_arrays(config)
    for layer in config["config"]["layers"]:
        sources = [source[0] for node in layer["inbound_nodes"] for source in node]
        tensors = [
            {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}
            for name in sources
        ]
        if tensors:
            args = [tensors] if len(tensors) > 1 else tensors
            layer["inbound_nodes"] = [{"args": args, "kwargs": {}}]
    layer = config["config"]["layers"][0]["config"]
    layer["batch_shape"] = layer.pop("batch_input_shape")
    path = write_keras(tmp_path / "keras3.h5", config, arrays, suffix="")
    old = write_legacy(tmp_path / "keras2.h5", rescale=False)
    X = np.random.default_rng(0).normal(size=(2, 443))
    found, expected = (np.array(qnet.load_model(file).predict(X)) for file in (path, old))
    np.testing.assert_array_equal(found, expected)


class Hostile:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (self.trace,)


@pytest.mark.parametrize("honest", [True, False])
def test_hostile_lambdas_are_data(tmp_path, honest):
    """Bytes that hold the rescale's constants are the rescale, whatever else; none are run."""
    trace = str(tmp_path / "executed")
    code = pickle.dumps(Hostile(trace)) + (RESCALE_CODE if honest else b"")
    path = write_legacy(tmp_path / "hostile.h5", lambda_code=code)
    if honest:
        model = qnet.load_model(path)
        X = np.random.default_rng(0).normal(size=(2, 443))
        same = qnet.load_model(write_legacy(tmp_path / "same.h5"))
        np.testing.assert_array_equal(model.predict(X), same.predict(X))
    else:
        with pytest.raises(WeightsError, match="lambda_0 is a Lambda other than QuasarNET's"):
            qnet.load_model(path)
    assert not os.path.exists(trace)


@pytest.mark.parametrize("present", [(-0.1,), (1.2,), (-0.1, 1.0), (0.1, 1.2), ()])
def test_a_lambda_needs_both_constants(tmp_path, present):
    code = b"\xe3code" + b"g".join(struct.pack("<d", value) for value in present)
    path = write_legacy(tmp_path / "model.h5", lambda_code=code)
    with pytest.raises(WeightsError, match="lambda_0 is a Lambda other than QuasarNET's rescale"):
        qnet.load_model(path)


@pytest.mark.parametrize("present", [(-0.1, 1.2), (1.2, -0.1)])
def test_a_lambda_of_both_constants_is_the_rescale(tmp_path, present):
    code = b"g".join(struct.pack("<d", value) for value in present)
    architecture = qnet.load_model(write_legacy(tmp_path / "a.h5", lambda_code=code)).architecture
    assert (architecture.offset_shift, architecture.offset_scale) == (-0.1, 1.2)


def edit(path, change):
    """Change the JSON of a .h5 file."""
    with h5py.File(path, "r+") as stream:
        config = json.loads(stream.attrs["model_config"])
        change({layer["name"]: layer for layer in config["config"]["layers"]}, config)
        stream.attrs["model_config"] = json.dumps(config)


def _set(layer, **values):
    return lambda layers, config: layers[layer]["config"].update(values)


def _loop(layers, config):
    layers["conv_1"]["inbound_nodes"] = [[["activation_3", 0, 0, {}]]]
    layers["conv_2"]["inbound_nodes"] = [[["input_1", 0, 0, {}]]]


def _fed_by(layer, *sources):
    nodes = [[[source, 0, 0, {}] for source in sources]]
    return lambda layers, config: layers[layer].update(inbound_nodes=nodes)


def _swap_names(layers, config):
    text = json.dumps(config).replace('"conv_1"', '"x"').replace('"conv_2"', '"conv_1"')
    config.update(json.loads(text.replace('"x"', '"conv_2"')))


FOREIGN = {
    "a head that leaves early": (_fed_by("fc_box_3", "flatten"), "expected convolutions conv_1"),
    "offsets before boxes": (
        _fed_by("conc_box_2", "fc_offset_2", "fc_box_2"),
        "conc_box_2 is not the concatenation of the dense fc_box_2 and fc_offset_2",
    ),
    "the offsets of another line": (
        _fed_by("lambda_2", "fc_offset_1"),
        "conc_box_2 is not the concatenation",
    ),
    "a way past a layer": (_fed_by("flatten", "dropout_3", "conv_1"), "expected convolutions"),
    "names in another order": (_swap_names, "expected convolutions conv_1, conv_2"),
    "another activation": (
        _set("activation_1", activation="elu"),
        "expected convolutions conv_1, conv_2",
    ),
    "an activated convolution": (_set("conv_2", activation="relu"), "expected convolutions"),
    "dilation": (_set("conv_2", dilation_rate=[2]), r"conv_2 has dilation_rate 2, but only 1"),
    "channels first": (_set("conv_1", data_format="channels_first"), "data_format 'channels_fi"),
    "norm over pixels": (_set("batch_normalization", axis=[1]), "is over axis 1, not the last"),
    "softmax boxes": (_set("fc_box_3", activation="softmax"), "fc_box_3 must have a sigmoid"),
    "offsets that differ": (_set("fc_offset_3", activation="linear"), "the outputs differ in how"),
    "unknown padding": (
        _set("conv_1", padding="causal"),
        "padding must be one of valid, same, not 'causal'",
    ),
    "too many filters": (_set("conv_1", filters=10**9), "parameters, above 200000000"),
    "no such key": (lambda layers, config: layers["conv_1"].pop("config"), "KeyError"),
    "layers of another type": (
        lambda layers, config: config["config"].update(layers=3),
        "not that of a QuasarNET network",
    ),
    "a circle": (_loop, "expected convolutions|run in a circle|inputs"),
    "an output of one layer": (
        lambda layers, config: config["config"].update(output_layers=[["fc_box_0", 0, 0]]),
        r"outputs conc_box_0, conc_box_1, ... were expected, not \['fc_box_0'\]",
    ),
    "another sum of pixels": (_set("input_1", batch_input_shape=[None, 12, 1]), "too few|pixels"),
    "an infinite number": (_set("conv_1", filters=float("inf")), "not that of a QuasarNET network"),
    "an input beyond any grid": (
        _set("input_1", batch_input_shape=[None, 10**13, 1]),
        "10000000000000",
    ),
    "text for a number": (_set("conv_1", filters="many"), "not that of a QuasarNET network"),
}


@pytest.mark.parametrize(("change", "message"), FOREIGN.values(), ids=FOREIGN.keys())
def test_other_networks_are_refused_in_one_sentence(tmp_path, change, message):
    path = write_legacy(tmp_path / "foreign.h5")
    edit(path, change)
    with pytest.raises(WeightsError, match=message) as caught:
        qnet.load_model(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def _resize(stream):
    del stream["model_weights/conv_2/conv_2/kernel:0"]
    stream["model_weights/conv_2/conv_2"].create_dataset("kernel:0", shape=(10, 8, 9), dtype="f4")


def _huge(stream):
    del stream["model_weights/conv_2/conv_2/kernel:0"]
    stream["model_weights/conv_2/conv_2"].create_dataset(
        "kernel:0", shape=(10**6, 10**6, 100), dtype="f4", chunks=(100, 100, 1)
    )


def _missing(stream):
    del stream["model_weights/fc_box_2"]


def _lacking(stream):
    del stream["model_weights/batch_normalization/batch_normalization/moving_mean:0"]


def _not_finite(stream):
    stream["model_weights/fc_box_1/fc_box_1/bias:0"][3] = np.nan


def _negative(stream):
    stream["model_weights/batch_normalization/batch_normalization/moving_variance:0"][0] = -1


def _external(stream):
    group = stream["model_weights/conv_2/conv_2"]
    shape = group["kernel:0"].shape
    del group["kernel:0"]
    external = [(__file__, 0, h5py.h5f.UNLIMITED)]
    group.create_dataset("kernel:0", shape=shape, dtype="f4", external=external)


def _linked(stream):
    stream.copy("model_weights", "elsewhere")
    del stream["model_weights"]
    stream["model_weights"] = h5py.ExternalLink(stream.filename, "elsewhere")


def _linked_layer(stream):
    stream.move("model_weights/conv_2", "elsewhere")
    stream["model_weights/conv_2"] = h5py.SoftLink("/elsewhere")


def _path_in_a_name(stream):
    stream["model_weights/away"] = h5py.ExternalLink(stream.filename, "/model_weights")
    name = "batch_normalization_2"
    stream.attrs["model_config"] = stream.attrs["model_config"].replace(
        f'"{name}"', f'"away/{name}"'
    )


def _large_chunks(stream):
    group = stream["model_weights/fc_box_1/fc_box_1"]
    shape = group["bias:0"].shape
    del group["bias:0"]
    group.create_dataset("bias:0", shape=shape, maxshape=(None,), dtype="f4", chunks=(10**8,))


def _filter_upon_filter(stream):
    group = stream["model_weights/fc_box_1/fc_box_1"]
    shape = group["bias:0"].shape
    del group["bias:0"]
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk(shape)
    plan.set_deflate(9)
    plan.set_deflate(9)
    space = h5py.h5s.create_simple(shape)
    h5py.h5d.create(group.id, b"bias:0", h5py.h5t.IEEE_F32LE, space, plan)


def _external_grid(stream):
    external = [(__file__, 0, h5py.h5f.UNLIMITED)]
    stream.create_dataset("model_grid", shape=(443,), dtype="f8", external=external)


def _no_config(stream):
    del stream.attrs["model_config"]


def _bad_json(stream):
    stream.attrs["model_config"] = "{" * 10


def _deep_json(stream):
    del stream.attrs["model_config"]
    stream.attrs["model_config"] = "[" * 20000


DAMAGES = [
    (_resize, r"conv_2/kernel has shape \(10, 8, 9\) .* of shape \(10, 8, 8\) were expected"),
    (_huge, r"conv_2/kernel has shape \(1000000, 1000000, 100\)"),
    (_missing, "model_weights lacks the layer fc_box_2"),
    (_lacking, "layer batch_normalization lacks the array moving_mean"),
    (_not_finite, r"array fc_box_1.bias must hold finite floats"),
    (_negative, r"array bn_1.moving_variance holds a negative variance"),
    (_external, "conv_2/kernel lies outside of the file"),
    (_linked, "model_weights is missing, or a link out of the file"),
    (_linked_layer, "conv_2 is missing, or a link out of the file"),
    (_path_in_a_name, "model_weights lacks the layer away/batch_normalization_2"),
    (_large_chunks, "fc_box_1/bias is stored in chunks or filters larger than it needs"),
    (_filter_upon_filter, "fc_box_1/bias is stored in chunks or filters larger than it needs"),
    (_external_grid, "array model_grid lies outside of the file"),
    (_no_config, "lacks the attribute model_config"),
    (_bad_json, "is not that of a QuasarNET network"),
    (_deep_json, "is not that of a QuasarNET network"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_damaged_files_are_refused_in_one_sentence(tmp_path, damage, message):
    path = write_legacy(tmp_path / "damaged.h5")
    with h5py.File(path, "r+") as stream:
        damage(stream)
    with pytest.raises(WeightsError, match=message) as caught:
        qnet.load_model(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_file_cut_short(tmp_path, legacy_weights, share):
    whole = legacy_weights.read_bytes()
    path = tmp_path / "cut.h5"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(WeightsError, match=r"cut.h5: is damaged, cut short or no HDF5 file"):
        qnet.load_model(path)


def test_files_that_are_not_there_or_something_else(tmp_path):
    with pytest.raises(MissingFileError, match=r"none.h5: no such file"):
        qnet.load_model(tmp_path / "none.h5")
    with pytest.raises(FileNotFoundError):
        qnet.load_model(str(tmp_path / "none.h5"))
    (tmp_path / "text.h5").write_text("not a network\n")
    with pytest.raises(WeightsError, match=r"text.h5: is a text file, but a weights file"):
        qnet.load_model(tmp_path / "text.h5")
    with pytest.raises(qnet.FileError, match="is a directory, but a weights file"):
        qnet.load_model(tmp_path)
    with pytest.raises(qnet.InputError, match="path must be a path, not 3"):
        qnet.load_model(3)


@pytest.mark.parametrize("name", ["\udcff", "a\nb", "x" * 240])
def test_a_model_of_any_name_is_saved_and_read_again(tmp_path, name):
    model = qnet.load_model(write_legacy(tmp_path / f"{name}.h5", seed=1))
    assert qnet.load_model(model.save(tmp_path / "again.safetensors")).name == model.name


def test_lambda_without_code_is_refused(tmp_path):
    path = write_legacy(tmp_path / "model.h5")
    edit(path, _set("lambda_2", function="quasarnet.models.rescale", function_type="function"))
    with pytest.raises(WeightsError, match="lambda_2 is a Lambda other than"):
        qnet.load_model(path)
    assert base64.b64decode(base64.b64encode(RESCALE_CODE)) == RESCALE_CODE
