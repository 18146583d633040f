"""qnet's own weights file."""

from __future__ import annotations

import dataclasses
import json
import os
import struct

import numpy as np
import pytest

import qnet
from qnet.errors import InputError, OutputExistsError, WeightsError
from qnet.weights import WeightsFile, read_weights, write_weights


@pytest.fixture
def saved(tmp_path, small_model):
    return small_model.save(tmp_path / "model.safetensors")


def test_a_model_survives_writing_and_reading(saved, small_model):
    model = qnet.load_model(saved)
    assert model.architecture == small_model.architecture
    assert model.name == small_model.name == "small@imported"
    assert model.weights.provenance == small_model.weights.provenance
    assert model.sha256 != small_model.sha256
    X = np.random.default_rng(0).normal(size=(5, model.grid.npix))
    np.testing.assert_array_equal(model.predict(X), small_model.predict(X))
    for name, array in small_model.weights.arrays.items():
        np.testing.assert_array_equal(model.weights.arrays[name], array)


def test_everything_that_describes_a_model_is_kept(tmp_path, small_model):
    described = dataclasses.replace(
        small_model.weights,
        name="deep",
        version="2.1",
        licence="BSD-3-Clause",
        notices=("of someone",),
        provenance={"seed": 7, "curve": [1.0, 0.5]},
    )
    write_weights(tmp_path / "deep.safetensors", described)
    found = read_weights(tmp_path / "deep.safetensors")
    for field in dataclasses.fields(WeightsFile):
        if field.name not in ("arrays", "sha256"):
            assert getattr(found, field.name) == getattr(described, field.name), field.name


def test_an_existing_file_is_kept_unless_asked(saved, small_model):
    before = saved.read_bytes()
    with pytest.raises(OutputExistsError, match=r"model.safetensors: exists already"):
        small_model.save(saved)
    assert saved.read_bytes() == before
    small_model.save(saved, overwrite=True)
    assert os.listdir(saved.parent) == [saved.name]


def test_another_suffix_is_refused(tmp_path, small_model):
    with pytest.raises(InputError, match=r"model.h5: a weights file must end in .safetensors"):
        small_model.save(tmp_path / "model.h5")


def rewrite(path, change):
    """Change the JSON in a safetensors file's header."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    ours = json.loads(header["__metadata__"]["qnet"])
    change(header, ours)
    if "__metadata__" in header:
        header["__metadata__"]["qnet"] = json.dumps(ours)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def _architecture(**values):
    return lambda header, ours: ours["stages"]["lines"].update(values)


CHANGES = [
    (lambda header, ours: header.pop("__metadata__"), "without qnet's header"),
    (lambda header, ours: ours.update(format="other"), "its header is not that of qnet-weights"),
    (lambda header, ours: ours.update(format_version=99), "format version is 99, but this version"),
    (lambda header, ours: ours.update(stages={}), r"has the stages \[\], of which this version"),
    (lambda header, ours: ours.update(notices=5), "damaged|notices must be a list"),
    (lambda header, ours: ours.update(notices="abc"), "its notices must be a list"),
    (lambda header, ours: ours.update(provenance=[1]), "its provenance a mapping"),
    (lambda header, ours: ours.update(name="a\x1b[2Jb"), "where plain text was expected"),
    (
        lambda header, ours: ours["stages"].update(refine={}),
        r"has the stages \['lines', 'refine'\]",
    ),
    (
        lambda header, ours: ours["stages"]["lines"]["convs"][0].update(stride=2.0),
        "positive filters",
    ),
    (_architecture(epsilon=0.0), "epsilon must be positive"),
    (_architecture(lines=["LYA"]), "holds arrays that its architecture does not have"),
    (_architecture(lines=["Lya"] * 6), "unknown line name"),
    (_architecture(units=9), r"fc_common.kernel has shape \(\d+, 8\), but \(\d+, 9\) was expected"),
    (_architecture(units=10**9), "parameters, above"),
    (_architecture(convs=[{"filters": 1}]), "not a network's architecture"),
    (_architecture(grid={"spacing": "log"}), "not a wavelength grid"),
    (_architecture(offset_scale=float("nan")), "offset scale and shift must be finite"),
    (_architecture(rest={"LYA": 1215.67}), "unknown line name"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_headers_that_do_not_fit_are_refused(saved, change, message):
    rewrite(saved, change)
    with pytest.raises(WeightsError, match=message) as caught:
        qnet.load_model(saved)
    assert str(caught.value).startswith(f"{saved}: ")


@pytest.mark.parametrize("share", [0.001, 0.5, 0.99])
def test_a_file_cut_short(saved, share):
    data = saved.read_bytes()
    saved.write_bytes(data[: max(int(share * len(data)), 4)])
    with pytest.raises(WeightsError, match="is damaged, cut short or no weights file"):
        qnet.load_model(saved)


def test_a_self_describing_file_cannot_be_overridden(saved):
    with pytest.raises(InputError, match="holds its own lines and grid"):
        qnet.load_model(saved, lines=["LYA"])
