"""Importing costs nothing, and predicting needs nothing heavy."""

from __future__ import annotations

import operator
import rlcompleter
import subprocess
import sys

import numpy as np
import pytest

import qnet
import qnet.compat
import qnet.io
from makers import desi_coadd, desi_set, fibermap, write

HEAVY = ("tensorflow", "keras", "torch", "jax", "matplotlib", "scipy.optimize", "pandas", "dask")


def modules_after(program, *arguments):
    """Modules that a fresh interpreter has loaded after running a program."""
    program += "\nimport sys; print('\\n'.join(sorted(sys.modules)), file=sys.__stdout__)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())


def test_importing_qnet_loads_next_to_nothing():
    loaded = modules_after("import qnet")
    assert "qnet" in loaded
    for name in (*HEAVY, "numpy", "astropy", "fitsio", "h5py", "scipy"):
        assert name not in loaded, name


@pytest.mark.parametrize("suffix", ["fits", "ecsv"])
def test_a_whole_classify_run_loads_nothing_heavy(tmp_path, small_weights, suffix):
    path = write(tmp_path / "coadd.fits", desi_coadd(desi_set([1.0, 2.0]), fibermap([1, 2])))
    loaded = modules_after(
        "import sys; from qnet.cli import main\n"
        "assert main(['classify', sys.argv[1], '--model', sys.argv[2], '-o', sys.argv[3]]) == 0",
        path,
        small_weights,
        tmp_path / f"cat.{suffix}",
    )
    assert {"qnet.model.network", "fitsio"} <= loaded
    for name in HEAVY:
        assert name not in loaded, name
    if suffix == "fits":
        assert "astropy" not in loaded


PACKAGES = {
    "classification", "compat", "core", "evaluation", "inspection", "io", "lines", "model",
    "models", "objective", "plotting", "postprocess", "preprocess", "redrock", "simulation",
    "strategies", "survey", "training", "utils",
}  # fmt: skip
VERBS = {
    "classify", "evaluate", "simulate", "prepare", "train", "load_model", "read_spectra",
    "read_catalogue", "write_catalogue", "process_preds", "plot_spectrum", "inspect",
}  # fmt: skip


def test_completion_shows_the_packages_and_the_verbs():
    names = [name for name in dir(qnet) if not name.startswith("_")]
    assert set(names) >= PACKAGES | VERBS
    matches = rlcompleter.Completer({"qnet": qnet}).attr_matches("qnet.")
    completed = {match.removeprefix("qnet.").rstrip("(") for match in matches}
    assert set(names) <= completed
    for name in VERBS:
        assert callable(getattr(qnet, name)), name
    for name in PACKAGES:
        assert getattr(qnet, name).__name__ == f"qnet.{name}"


def test_no_package_loads_anything_heavy():
    loaded = modules_after("\n".join(f"import qnet.{n}; dir(qnet.{n})" for n in sorted(PACKAGES)))
    assert {f"qnet.{name}" for name in PACKAGES} <= loaded
    assert not loaded.intersection(HEAVY)


def test_names_of_quasarnet_and_quasarnp():
    for old, new in {
        "io.read_truth": "io.truth.read_truth",
        "io.read_data": "io.training_data.read_data",
        "io.objective": "objective.objective",
        "utils.process_preds": "process_preds",
        "utils.absorber_IGM": "lines.absorber_IGM",
        "compat.absorber_IGM": "lines.absorber_IGM",
    }.items():
        first, second = (operator.attrgetter(path)(qnet) for path in (old, new))
        assert first is second, old
    np.testing.assert_array_equal(qnet.io.wave, qnet.core.grid.QUASARNET_GRID.wave)
    assert set(qnet.models.__all__) == {"QuasarNET", "custom_loss"}
    with pytest.raises(AttributeError, match=r"No qnet\.model attribute Quasar"):
        _ = qnet.models.Quasar


def test_public_names_are_there():
    for module in (qnet, qnet.io, qnet.compat):
        for name in module.__all__:
            assert getattr(module, name) is not None, name
        assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match="No qnet attribute clasify"):
        _ = qnet.clasify
    with pytest.raises(AttributeError, match=r"No qnet\.io attribute read"):
        _ = qnet.io.read


def test_submodules_come_as_attributes():
    loaded = modules_after("import qnet; qnet.lines.absorber_IGM; qnet.io.wave")
    assert "qnet.lines" in loaded
    # Importing the modules in any order leaves the functions in their place.
    modules_after("import qnet.classification.files; assert callable(qnet.classify)")
