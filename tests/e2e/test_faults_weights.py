"""Weights files that are none, through the installed command and the library."""

from __future__ import annotations

import json
import re

import h5py
import numpy as np
import pytest

import qnet
from makers import BOSS_LOGLAM, boss_spec, make_spectra, write
from networks import keras_config, random_arrays, write_keras, write_legacy
from qnet.core.errors import FileError, WeightsError
from shell import errors, run

FLUX, IVAR = make_spectra(10**BOSS_LOGLAM)
SPEC = boss_spec(BOSS_LOGLAM, FLUX[0], IVAR[0])


def _half(path, folder, share=0.5):
    content = path.read_bytes()
    cut = folder / f"bad{path.suffix}"
    cut.write_bytes(content[: int(share * len(content))])
    return cut


def _legacy(folder, **options):
    return write_legacy(folder / "whole.h5", **options)


def _safetensors(folder):
    return qnet.load_model(_legacy(folder)).save(folder / "whole.safetensors")


def _other_keras_model(folder):
    """A dense classifier that Keras saved: not QuasarNET."""
    layers = [
        {
            "class_name": kind,
            "name": name,
            "config": {"name": name, **config},
            "inbound_nodes": [[[source, 0, 0, {}]]] if source else [],
        }
        for kind, name, source, config in (
            ("InputLayer", "pixels", None, {"batch_input_shape": [None, 784]}),
            ("Dense", "hidden", "pixels", {"units": 3, "activation": "relu"}),
            ("Dense", "digits", "hidden", {"units": 10, "activation": "softmax"}),
        )
    ]
    config = {
        "class_name": "Functional",
        "config": {
            "name": "mnist",
            "layers": layers,
            "input_layers": [["pixels", 0, 0]],
            "output_layers": [["digits", 0, 0]],
        },
    }
    arrays = {
        "hidden": {"kernel": np.ones((784, 3), "f4"), "bias": np.ones(3, "f4")},
        "digits": {"kernel": np.ones((3, 10), "f4"), "bias": np.ones(10, "f4")},
    }
    return write_keras(folder / "bad.h5", config, arrays)


def _sequential(folder):
    path = folder / "bad.h5"
    with h5py.File(path, "w") as stream:
        config = {"class_name": "Sequential", "config": [{"class_name": "Dense", "config": {}}]}
        stream.attrs["model_config"] = json.dumps(config)
        stream.create_group("model_weights")
    return path


def _plain_hdf5(folder):
    path = folder / "bad.h5"
    with h5py.File(path, "w") as stream:
        stream["flux"] = np.ones(5)
    return path


def _weights_only(folder):
    config = keras_config()
    path = write_keras(folder / "bad.h5", config, random_arrays(config))
    with h5py.File(path, "r+") as stream:
        del stream.attrs["model_config"]
    return path


def _without_a_layer(folder):
    config = keras_config()
    path = write_keras(folder / "bad.h5", config, random_arrays(config))
    with h5py.File(path, "r+") as stream:
        del stream["model_weights"]["fc_common"]
    return path


def _foreign_safetensors(folder):
    from safetensors.numpy import save_file

    path = folder / "bad.safetensors"
    save_file({"layer.weight": np.ones((3, 3), np.float32)}, path)
    return path


def _text(name):
    def make(folder):
        path = folder / name
        path.write_text("these are no weights\n" * 50)
        return path

    return make


BAD_WEIGHTS = {
    "missing": lambda folder: folder / "bad.h5",
    "directory": lambda folder: folder,
    "empty": lambda folder: (folder / "bad.h5").touch() or folder / "bad.h5",
    "text .h5": _text("bad.h5"),
    "text .safetensors": _text("bad.safetensors"),
    "text": _text("bad.txt"),
    "half an h5": lambda folder: _half(_legacy(folder), folder),
    "a tenth of an h5": lambda folder: _half(_legacy(folder), folder, 0.1),
    "nearly an h5": lambda folder: _half(_legacy(folder), folder, 0.99),
    "half a safetensors": lambda folder: _half(_safetensors(folder), folder),
    "a bit of a safetensors": lambda folder: _half(_safetensors(folder), folder, 0.01),
    "nearly a safetensors": lambda folder: _half(_safetensors(folder), folder, 0.999),
    "another Keras model": _other_keras_model,
    "a sequential Keras model": _sequential,
    "plain HDF5": _plain_hdf5,
    "weights without their model": _weights_only,
    "a layer is missing": _without_a_layer,
    "foreign safetensors": _foreign_safetensors,
    "a FITS file": lambda folder: write(folder / "bad.fits", SPEC),
    "another grid": lambda folder: write_legacy(folder / "bad.h5", npix=300),
    "other heads": lambda folder: write_legacy(folder / "bad.h5", nheads=3),
    "a Lambda of one's own": lambda folder: write_legacy(
        folder / "bad.h5", lambda_code=b"\xe3import os"
    ),
}


@pytest.mark.parametrize("fault", BAD_WEIGHTS)
def test_bad_weights_in_python(tmp_path, fault):
    path = BAD_WEIGHTS[fault](tmp_path)
    kind = FileError if fault in ("missing", "empty", "directory") else WeightsError
    with pytest.raises(kind, match=f"^{re.escape(str(path))}: ") as caught:
        qnet.load_model(path)
    message = str(caught.value)
    assert message.count("\n") == 0
    assert len(message) < 1500


@pytest.mark.parametrize(
    "fault",
    ["missing", "text", "half an h5", "half a safetensors", "another Keras model", "plain HDF5"],
)
@pytest.mark.parametrize("command", ["classify", "inspect"])
def test_bad_weights_on_the_command_line(tmp_path, fault, command):
    path = BAD_WEIGHTS[fault](tmp_path)
    before = sorted(tmp_path.iterdir())
    if command == "classify":
        spec = tmp_path / "in" / "spec.fits"
        spec.parent.mkdir()
        done = run("classify", write(spec, SPEC), "-o", tmp_path / "out.fits", "--model", path)
    else:
        done = run("model", "inspect", path)
    assert done.returncode == 1
    (line,) = errors(done)
    assert str(path) in line
    assert done.stdout == ""
    assert [entry for entry in sorted(tmp_path.iterdir()) if entry.name != "in"] == before
