"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import qnet
from networks import full_model, write_legacy

# No test depends on the models that the environment names.
for _name in ("QN_MODEL_FILE", "QNET_MODEL_PATH"):
    os.environ.pop(_name, None)

# No test depends on the clock: a slow machine is no failure.
settings.register_profile(
    "qnet", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("qnet")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real sample spectra and reference weights, beside the checkout."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("QNET_SAMPLE_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"the real sample spectra are not here: {folder} does not exist")
    return folder


@pytest.fixture(scope="session")
def four_layer(shared_data) -> Path:
    """QuasarNET's four-layer weights."""
    return shared_data / "quasarnet_weights" / "quasarnet_4layer_25filter.h5"


@pytest.fixture(scope="session")
def six_layer(shared_data) -> Path:
    """QuasarNET's six-layer weights."""
    return shared_data / "quasarnet_weights" / "quasarnet_6layer_100filter.h5"


@pytest.fixture(scope="session")
def golden(shared_data):
    """Golden outputs of a weights file, by its stem."""

    def load(weights: Path) -> dict[str, np.ndarray]:
        with np.load(weights.with_name(f"{weights.stem}_golden.npz"), allow_pickle=False) as file:
            return dict(file)

    return load


@pytest.fixture(scope="session")
def legacy_weights(tmp_path_factory) -> Path:
    """A small random network in QuasarNET's format."""
    return write_legacy(tmp_path_factory.mktemp("weights") / "small.h5", seed=1)


@pytest.fixture(scope="session")
def small_weights(legacy_weights) -> Path:
    """The same in qnet's format, which takes no process of its own to read."""
    return qnet.load_model(legacy_weights).save(legacy_weights.with_suffix(".safetensors"))


@pytest.fixture(scope="session")
def small_model(small_weights) -> qnet.Model:
    """The same, loaded."""
    return qnet.load_model(small_weights)


@pytest.fixture(scope="session")
def two_stage_model(small_model) -> qnet.Model:
    """A small random model with a second stage and a calibration."""
    return full_model(small_model)


@pytest.fixture
def ax():
    """Axes of a new figure."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)
