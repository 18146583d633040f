"""Models that ship with qnet, by name."""

from __future__ import annotations

import dataclasses
import logging
import os

import pytest

import qnet
from qnet.core.errors import InputError, WeightsError
from qnet.core.files import sha256
from qnet.model import shipped
from qnet.model.weights import write_weights


@pytest.fixture
def ship(tmp_path, monkeypatch, two_stage_model):
    """Puts a model into a folder of shipped weights."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setattr(shipped, "data_folder", lambda: folder)
    monkeypatch.setattr(shipped, "SHIPPED", {})

    def put(name, version):
        weights = dataclasses.replace(two_stage_model.weights, name=name, version=version)
        path = write_weights(folder / f"{name}-{version}.safetensors", weights)
        shipped.SHIPPED[f"{name}@{version}"] = path.name, sha256(path)
        return path

    return put


@pytest.fixture
def several(ship):
    for name, version in (("deep", "2"), ("deep", "9.5"), ("deep", "10"), ("small-net", "1")):
        ship(name, version)


@pytest.mark.usefixtures("several")
def test_the_default_is_pinned(ship, monkeypatch):
    monkeypatch.setattr(shipped, "DEFAULT_MODEL", "deep@2")
    assert qnet.load_model().name == "deep@2"
    ship("deep", "11")
    assert qnet.load_model().name == "deep@2"
    assert qnet.load_model("deep").name == "deep@11"


@pytest.mark.usefixtures("several")
def test_models_by_name():
    names = shipped.shipped_models()
    assert names == ["deep@2", "deep@9.5", "deep@10", "small-net@1"]
    for name in names:
        model = qnet.load_model(name)
        assert (model.name, len(model.sha256)) == (name, 64)
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
    (tmp_path / "mine.safetensors").rename("other")
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


class TestEnvironment:
    """Models that the environment names."""

    @pytest.fixture
    def folders(self, tmp_path, monkeypatch, two_stage_model, legacy_weights):
        """Two folders of QNET_MODEL_PATH with models, one that is not there, and an empty name."""
        monkeypatch.chdir(tmp_path)
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
        for name, version in (("one", "1"), ("two", "1"), ("two", "2")):
            weights = dataclasses.replace(two_stage_model.weights, name="mine", version=version)
            write_weights(tmp_path / name / f"mine-{version}.safetensors", weights, overwrite=True)
        (tmp_path / "two" / "theirs.h5").write_bytes(legacy_weights.read_bytes())
        names = [str(tmp_path / name) for name in ("no", "one", "two")]
        monkeypatch.setenv("QNET_MODEL_PATH", os.pathsep.join([*names, ""]))
        return tmp_path

    @pytest.mark.parametrize(
        ("name", "file", "found"),
        [
            ("mine@1", "one/mine-1.safetensors", "mine@1"),
            ("mine@2", "two/mine-2.safetensors", "mine@2"),
            ("mine-2.safetensors", "two/mine-2.safetensors", "mine@2"),
            ("mine-2", "two/mine-2.safetensors", "mine@2"),
            ("theirs", "two/theirs.h5", None),
            ("theirs.h5", "two/theirs.h5", None),
            ("qnet@4", "qnet-4.safetensors", "qnet@4"),
        ],
    )
    def test_names_are_found_and_logged(self, folders, caplog, name, file, found):
        with caplog.at_level(logging.INFO, logger="qnet"):
            model = qnet.load_model(name)
        assert found in (None, model.name)
        (record,) = caplog.records
        assert record.levelname == "INFO"
        assert f"{file}, SHA-256 {model.sha256}" in record.getMessage()

    def test_a_file_here_comes_first_and_nothing_else_is_taken(self, folders, two_stage_model):
        (folders / "mine@2").write_bytes((folders / "one" / "mine-1.safetensors").read_bytes())
        assert qnet.load_model("mine@2").name == "mine@1"  # a path to a file that is there
        for name in ("mine", "mine@3", "other"):
            with pytest.raises(InputError, match=rf"model '{name}': .*nor in QNET_MODEL_PATH \("):
                qnet.load_model(name)
        with pytest.raises(
            qnet.MissingFileError, match=r"none\.h5: no such file, nor in QNET_MODEL"
        ):
            qnet.load_model("none.h5")
        for path in ("./theirs.h5", "no/theirs.h5", folders / "theirs.h5"):
            with pytest.raises(qnet.MissingFileError, match="no such file"):
                qnet.load_model(path)

    def test_another_version_under_the_name(self, folders):
        (folders / "two" / "mine-2.safetensors").rename(folders / "two" / "mine-3.safetensors")
        with pytest.raises(
            WeightsError, match=r"mine-3\.safetensors: is the model 'mine@2', but m"
        ):
            qnet.load_model("mine@3")

    @pytest.mark.parametrize("value", ["two/theirs.h5", "theirs", "mine@2", "qnet@4"])
    def test_the_pipelines_model_is_the_default(self, folders, monkeypatch, value):
        monkeypatch.setenv("QN_MODEL_FILE", value)
        assert qnet.load_model().sha256 == qnet.load_model(value).sha256
        assert qnet.load_model("qnet@4").name == "qnet@4"
        monkeypatch.setenv("QN_MODEL_FILE", "")
        assert qnet.load_model().name == shipped.DEFAULT_MODEL

    def test_a_pipelines_model_that_is_not_there_is_an_error(self, folders, monkeypatch):
        for value in ("/no/such.h5", "mine@7"):
            monkeypatch.setenv("QN_MODEL_FILE", value)
            with pytest.raises(qnet.QnetError, match=f"the environment's QN_MODEL_FILE: .*{value}"):
                qnet.load_model()


def test_another_file_in_the_place_of_a_model(ship):
    path = ship("deep", "2")
    ship("deep", "3").rename(path)
    with pytest.raises(WeightsError, match=r"deep-2\.safetensors: is not the file of deep@2 that"):
        qnet.load_model("deep@2")


def test_the_package_holds_its_models():
    """What is installed has the files, and each of them is that of its row."""
    assert shipped.DEFAULT_MODEL in shipped.SHIPPED
    assert all(name.count("@") == 1 for name in shipped.SHIPPED)
    files = {file.name for file in shipped.data_folder().iterdir()}
    assert {name for name in files if name.endswith(".safetensors")} == {
        file for file, _ in shipped.SHIPPED.values()
    }
    for name in shipped.shipped_models():
        weights = shipped.read_shipped(name)
        assert (f"{weights.name}@{weights.version}", weights.calibration is None) == (name, False)
