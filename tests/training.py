"""Small surveys to train on, and settings of quick runs."""

from __future__ import annotations

import numpy as np

import qnet
from makers import make_spectra, prepared, primary, table, write
from qnet.core.grid import QUASARNET_GRID
from qnet.training import NetworkOptions, Settings

SMALL = NetworkOptions(lines=("LYA", "CIV(1548)"), filters=4, units=8, nlayers=3)
QUICK = Settings(epochs=3, batch_size=32, network=SMALL, learning_rate=3e-3, seed=7)


def make_survey(folder, count=300, grid=QUASARNET_GRID, first=1000, name="data"):
    """Prepared data, with a target that was observed four times, and a superset."""
    rng = np.random.default_rng(0)
    z = rng.uniform(1.8, 3.2, count)
    flux, ivar = make_spectra(grid.wave, z, seed=1, snr=20.0)
    ids = np.arange(count) + first
    ids[1:4] = ids[0]
    cards = {"QNGRID": grid.spacing, "QNSTART": grid.start, "QNSTEP": grid.step}
    header = None if grid == QUASARNET_GRID else tuple(cards.values())
    options = {} if header is None else {"grid": header}
    data = write(folder / f"{name}.fits", prepared(flux, ivar, {"TARGETID": ids}, **options))
    quasar = rng.uniform(size=count) < 0.7
    quasar[1:4], z[1:4] = quasar[0], z[0]
    columns = {
        "THING_ID": ids,
        "Z_VI": z,
        "CLASS_PERSON": np.where(quasar, 3, 1),
        "Z_CONF_PERSON": np.full(count, 3),
        "BAL_FLAG_VI": np.zeros(count),
        "BI_CIV": np.zeros(count),
    }
    return data, write(folder / f"{name}_truth.fits", [primary(), table(columns)])


def weights(path):
    """Arrays of a weights file."""
    return qnet.load_model(path).weights.arrays


def assert_same(one, other, **tolerance):
    """Two runs have the same best and last weights."""
    for name in ("best.safetensors", "last.safetensors"):
        first, second = weights(one / name), weights(other / name)
        assert first.keys() == second.keys()
        for key in first:
            np.testing.assert_allclose(first[key], second[key], err_msg=key, **tolerance)


def command_settings(text):
    """Settings of the options of ``qnet train``."""
    from qnet.cli import _parser
    from qnet.cli.train import _settings

    words = f"train --data d.fits --truth t.fits -o out {text}".split()
    return _settings(_parser().parse_args(words))
