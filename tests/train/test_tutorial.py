"""The steps of QuasarNET's tutorial, under qnet's names, on made-up spectra."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from makers import make_spectra, prepared, primary, table, write
from qnet.grid import QUASARNET_GRID

#: A user's script that trains, predicts and judges, as the tutorial does. Arguments: data, truth.
SCRIPT = """
import sys

import fitsio
import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from keras.optimizers import Adam
from keras.utils import set_random_seed

from qnet.io import read_data, read_truth, wave
from qnet.lines import absorber_IGM
from qnet.model import QuasarNET, custom_loss
from qnet.objective import objective
from qnet.postprocess import process_preds

data_file, truth_file = sys.argv[1:]
set_random_seed(0)
truth = read_truth([truth_file])
tids, X, Y, z, bal = read_data([data_file], truth, nspec=30000)
with fitsio.FITS(data_file) as file:
    assert np.isin(tids, file[1]["TARGETID"][:]).all()
train = np.arange(len(tids)) % 4 != 0
lines = ["LYA", "CIV(1548)", "CIII(1909)", "MgII(2796)", "Hbeta", "Halpha"]
lines_bal = ["CIV(1548)"]
model = QuasarNET((X.shape[1], 1), nlines=len(lines) + len(lines_bal))
model.compile(optimizer=Adam(), loss=[custom_loss] * 7, metrics=[])
target, sample_weight = objective(
    z[train], Y[train], bal[train], lines=lines, lines_bal=lines_bal
)
history = model.fit(
    X[train, :, None],
    target,
    epochs=15,
    batch_size=32,
    sample_weight=sample_weight,
    verbose=0,
)
losses = history.history["loss"]
assert losses[-1] < 0.8 * losses[0], losses

X, Y, z = X[~train], Y[~train], z[~train]
c_line, z_line, zbest, c_line_bal, z_line_bal = process_preds(
    model.predict(X[:, :, None], verbose=0), lines, lines_bal
)
is_qso = (Y.argmax(axis=1) == 2) | (Y.argmax(axis=1) == 3)
is_bad = Y.argmax(axis=1) == 4
good = (z > 0) & (abs(zbest - z) < 6000 / 300000 * (1 + z))
c_th = np.arange(0, 1, 0.01)
purity, completeness = np.zeros((2, len(c_th)))
for i, threshold in enumerate(c_th):
    called = (c_line > threshold).sum(axis=0) >= 1
    purity[i] = (called & good & ~is_bad).sum() / max((called & ~is_bad).sum(), 1)
    completeness[i] = (called & good & is_qso).sum() / is_qso.sum()
fig, ax = plt.subplots()
ax.plot(c_th, purity)
ax.plot(c_th, completeness)
fig, ax = plt.subplots()
ax.plot(wave, X[0])
for i, line in enumerate(lines):
    ax.axvline(absorber_IGM[line] * (1 + z_line[i, 0]), alpha=0.1 + 0.9 * c_line[i, 0])
plt.savefig("spectrum.png")
assert ((purity >= 0) & (purity <= 1) & (completeness >= 0) & (completeness <= 1)).all()
assert (np.diff(completeness) <= 0).all()
print("completeness", completeness[10])
"""


@pytest.fixture
def survey(tmp_path):
    """Prepared data and a superset of quasars, stars (a power law) and unsure objects."""
    rng = np.random.default_rng(0)
    count = 1600
    z = rng.uniform(1.6, 3.4, count)
    quasar = rng.uniform(size=count) < 0.6
    flux, ivar = make_spectra(QUASARNET_GRID.wave, z, seed=1, snr=20.0)
    noise = rng.normal(size=flux.shape) / np.sqrt(ivar)
    power_law = (QUASARNET_GRID.wave / 6000.0) ** rng.uniform(-2, 2, (count, 1))
    flux = np.where(quasar[:, None], flux, power_law + noise).astype(np.float32)
    ids = np.arange(count) + 1000
    confidence = np.where(rng.uniform(size=count) < 0.05, 1, 3)
    truth = {
        "THING_ID": ids.astype(np.int32),
        "PLATE": np.full(count, 7102, np.int32),
        "MJD": np.full(count, 56666, np.int32),
        "FIBERID": np.arange(count, dtype=np.int32),
        "Z_VI": np.where(quasar, z, 0.0),
        "CLASS_PERSON": np.where(quasar, 3, 1).astype(np.int32),
        "Z_CONF_PERSON": confidence.astype(np.int32),
        "BAL_FLAG_VI": np.zeros(count, np.int32),
        "BI_CIV": np.zeros(count),
    }
    data = write(tmp_path / "data.fits", prepared(flux, ivar, {"TARGETID": ids}))
    return data, write(tmp_path / "truth.fits", [primary(), table(truth)])


def test_the_steps_of_the_tutorial_run_to_the_end(survey, tmp_path):
    pytest.importorskip("keras")
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py", *map(str, survey)],
        cwd=tmp_path,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "spectrum.png").stat().st_size > 0
    # The network has learned something: quasars have a line above 0.1 at their redshift.
    assert float(done.stdout.split("completeness ")[1]) > 0.3
