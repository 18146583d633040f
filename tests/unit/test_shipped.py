"""The models that ship with qnet, from a folder made for the test."""

from __future__ import annotations

import dataclasses

import pytest

import qnet
from qnet.core.errors import InputError, WeightsError
from qnet.model import shipped
from qnet.model.weights import write_weights


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of shipped weights, empty."""
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setattr(shipped, "data_folder", lambda: data)
    return data


@pytest.fixture
def ship(folder, two_stage_model):
    """Puts a model into it."""

    def put(name, version):
        weights = dataclasses.replace(two_stage_model.weights, name=name, version=version)
        return write_weights(folder / f"{name}-{version}.safetensors", weights)

    return put


@pytest.fixture
def several(ship):
    for name, version in (("deep", "2"), ("deep", "10"), ("deep", "9.5"), ("small-net", "1")):
        ship(name, version)


@pytest.mark.usefixtures("folder")
def test_nothing_ships():
    assert shipped.shipped_models() == []
    with pytest.raises(
        InputError, match="no weights ship with this version of qnet: give the path"
    ):
        qnet.load_model()
    with pytest.raises(InputError, match=r"model 'deep': no such file, .*\(which has: none\)"):
        qnet.load_model("deep")


def test_a_folder_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "data_folder", lambda: tmp_path / "none")
    assert shipped.shipped_models() == []


@pytest.mark.usefixtures("several")
def test_the_default_is_pinned(ship, monkeypatch):
    with pytest.raises(InputError, match="no weights ship"):
        qnet.load_model()
    monkeypatch.setattr(shipped, "DEFAULT_MODEL", "deep@2")
    assert qnet.load_model().name == "deep@2"
    ship("deep", "11")
    assert qnet.load_model().name == "deep@2"
    assert qnet.load_model("deep").name == "deep@11"


@pytest.mark.usefixtures("several")
def test_models_by_name():
    labels = [model.label for model in shipped.shipped_models()]
    assert labels == ["deep@2", "deep@9.5", "deep@10", "small-net@1"]
    for label in labels:
        model = qnet.load_model(label)
        assert (model.name, len(model.sha256)) == (label, 64)
    assert qnet.load_model("deep").name == "deep@10"
    assert qnet.load_model("small-net").name == "small-net@1"


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("name", ["dee", "deep@3", "deep@9", "small", "DEEP"])
def test_names_that_none_has(name):
    with pytest.raises(InputError, match=rf"model '{name}': .*which has: deep@2, .*small-net@1"):
        qnet.load_model(name)


@pytest.mark.usefixtures("several")
def test_paths_are_paths(tmp_path, monkeypatch, two_stage_model):
    monkeypatch.chdir(tmp_path)
    two_stage_model.save("mine.safetensors")
    (tmp_path / "mine.safetensors").rename("deep")
    (tmp_path / "deep").rename("other")
    two_stage_model.save("mine.safetensors")
    assert qnet.load_model("other").name == "full@1.2"
    assert qnet.load_model("mine.safetensors").name == "full@1.2"
    for path in ("none.h5", "./deep", tmp_path / "deep"):
        with pytest.raises(qnet.MissingFileError, match="no such file"):
            qnet.load_model(path)
    (tmp_path / "other").rename("deep")
    assert qnet.load_model("deep").name == "deep@10"
    assert qnet.load_model("./deep").name == "full@1.2"


@pytest.mark.usefixtures("several")
def test_shipped_models_hold_their_own_lines():
    with pytest.raises(InputError, match="deep@10: holds its own lines and grid"):
        qnet.load_model("deep", lines=["LYA"])


def test_a_file_that_holds_another_model(folder, ship):
    ship("deep", "2").rename(folder / "deep-3.safetensors")
    with pytest.raises(WeightsError, match="holds the model deep@2, but is called deep@3"):
        qnet.load_model("deep")


def test_other_files_are_no_models(folder):
    for name in ("README.md", "NOTICE", "deep.safetensors", "-1.safetensors", "a-b.safetensors"):
        (folder / name).write_text("x")
    assert shipped.shipped_models() == []


def test_the_package_holds_its_folder():
    """What is installed has the folder, and each of its models can be read."""
    assert shipped.data_folder().is_dir()
    for model in shipped.shipped_models():
        assert model.read().calibration is not None
