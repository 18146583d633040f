"""Section 4 of QuasarNET's tutorial on qnet: train on BOSS, measure, then classify DESI.

The steps, names and settings are the tutorial's; the imports and the paths are not. Its files are
simulated (the second command gives the first 10 000 spectra of the first one again: only
their TARGETIDs are read, those of the training sample):

    mkdir tutorial && cd tutorial
    qnet simulate -n 30000 --survey boss -o boss.fits --truth-out boss-truth.fits
    qnet simulate -n 10000 --survey boss -o boss-train.fits --truth-out boss-train-truth.fits
    qnet simulate -n 2000 --survey desi -o desi.fits --truth-out desi-truth.fits
    qnet classify desi.fits -o desi-catalogue.fits
    cd .. && python examples/tutorial.py tutorial

Needs the extras `train` and `plot`. `--seed` makes a run repeatable. Figures go into the folder,
and purity and completeness are printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import fitsio
import matplotlib as mpl
import numpy as np
from keras.optimizers import Adam
from keras.utils import set_random_seed

from qnet.io import objective, read_data, read_truth, wave
from qnet.models import QuasarNET, custom_loss
from qnet.utils import absorber_IGM, process_preds

mpl.use("agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", type=Path, help="folder of the files that the commands make")
parser.add_argument("--seed", type=int, help="seed of the initial weights and of the order")
arguments = parser.parse_args()
folder = arguments.folder
if arguments.seed is not None:
    set_random_seed(arguments.seed)

# %% Lines and loss
lines = ["LYA", "CIV(1548)", "CIII(1909)", "MgII(2796)", "Hbeta", "Halpha"]
lines_bal = ["CIV(1548)"]
loss = [custom_loss] * (len(lines) + len(lines_bal))

# %% Spectra: the training sample, and the others for validation
nspec = 30000
truth = read_truth([folder / "boss-truth.fits"])
tids_full, X_full, Y_full, z_full, bal_full = read_data([folder / "boss.fits"], truth, nspec=nspec)
with fitsio.FITS(str(folder / "boss-train.fits")) as h:
    tids_train = h[1]["TARGETID"][:]
w = np.isin(tids_full, tids_train)
X_train, Y_train, z_train, bal_train = X_full[w], Y_full[w], z_full[w], bal_full[w]
X_val, Y_val, z_val = X_full[~w], Y_full[~w], z_full[~w]

# %% Train
ntrain = 10000
nepochs = 5
model = QuasarNET((X_train.shape[1], 1), nlines=len(lines) + len(lines_bal))
model.compile(optimizer=Adam(), loss=loss, metrics=[])
target, sample_weight = objective(
    z_train[:ntrain], Y_train[:ntrain], bal_train[:ntrain], lines=lines, lines_bal=lines_bal
)
loss_history = model.fit(
    X_train[:ntrain, :, None],
    target,
    epochs=nepochs,
    batch_size=32,
    sample_weight=sample_weight,
    verbose=2,
)

# %% Predict
p = model.predict(X_val[:, :, None], verbose=0)
c_line, z_line, zbest, c_line_bal, z_line_bal = process_preds(p, lines, lines_bal)


# %% Single spectra
def plot_spectrum(name, ival, X, c_line, z_line, zbest, Y, z, c_th=0.5, ndetect=1):
    """Draw a spectrum and the lines found, their opacity the confidence."""
    fig, ax = plt.subplots(figsize=(10, 6))
    spectrum = X[ival]
    ax.plot(wave, spectrum)
    is_qso = (c_line[:, ival] > c_th).sum() >= ndetect
    found = f"{zbest[ival]:1.3f}" if is_qso else "N/A"
    ax.set_title(
        f"Is QSO? VI: {Y[ival].argmax() in (2, 3)}, QN: {is_qso}\n"
        f"$z_{{VI}}$ = {z[ival]:1.3f}, $z_{{QN}}$ = {found}"
    )
    ax.grid()
    ax.set_ylim(spectrum.min() - 2, spectrum.max() + 2)
    for line, c, redshift in zip(lines, c_line[:, ival], z_line[:, ival], strict=True):
        position = absorber_IGM[line] * (1 + redshift)
        near = spectrum[abs(wave - position) < 100]
        if len(near):
            alpha = 0.1 + 0.9 * c
            low, high = near.min() - 1, near.max() + 1
            ax.plot([position, position], [low, high], "r--", alpha=alpha)
            ax.text(position, high + 0.5, f"{line}: {c:.3f}", ha="center", alpha=alpha)
    ax.set_xlabel(r"$\lambda_\mathrm{obs}~[\AA]$")
    ax.set_ylabel("renormalised flux")
    fig.savefig(folder / f"{name}.png")
    plt.close(fig)


plot_spectrum("boss-spectrum-0", 0, X_val, c_line, z_line, zbest, Y_val, z_val)
plot_spectrum("boss-spectrum-10", 10, X_val, c_line, z_line, zbest, Y_val, z_val)


# %% All of them: purity and completeness against the threshold
def plot_purity_completeness(name, c_line, zbest, Y, z, ndetect=1):
    """Draw both, and print them at some thresholds."""
    c_th = np.arange(0, 1, 0.01)
    pur, com = np.zeros((2, len(c_th)))
    dv_max = 6000.0 / 300000.0
    isqso_truth = np.isin(Y.argmax(axis=1), (2, 3))
    is_bad = Y.argmax(axis=1) == 4
    zgood = (z > 0) & (abs(zbest - z) < dv_max * (1 + z))
    for i, cth in enumerate(c_th):
        isqso_qn = (c_line > cth).sum(axis=0) >= ndetect
        pur[i] = (isqso_qn & zgood & ~is_bad).sum() / (isqso_qn & ~is_bad).sum()
        com[i] = (isqso_qn & zgood & isqso_truth).sum() / isqso_truth.sum()
    fig, ax = plt.subplots(figsize=(10, 6))
    ax.plot(c_th, pur, label="Purity")
    ax.plot(c_th, com, label="Completeness")
    ax.set_xlim(0.0, 1.0)
    ax.set_ylim(0.8, 1.0)
    ax.set_xlabel(r"$c_{th}$")
    ax.grid()
    ax.legend()
    fig.savefig(folder / f"{name}.png")
    plt.close(fig)
    print(f"{name}: {len(z)} spectra, {isqso_truth.sum()} quasars\nc_th  purity  completeness")
    for i in (10, 30, 50, 70, 90):
        print(f"{c_th[i]:.1f}   {pur[i]:.4f}  {com[i]:.4f}")


plot_purity_completeness("boss-purity", c_line, zbest, Y_val, z_val)

# %% DESI: an existing catalogue, with spectra and truth
truth = read_truth([folder / "desi-truth.fits"])
truth = {k: record for k, record in truth.items() if record.z_conf_person == 3}
with fitsio.FITS(str(folder / "desi-catalogue.fits")) as results:
    catalogue = results[1].read()
with fitsio.FITS(str(folder / "desi.fits")) as h:
    tids = h[1]["TARGETID"][:]
    X = h[0][:, : len(wave)]
X[:, 434:443] = 0.0
w = np.isin(tids, list(truth)) & np.isin(tids, catalogue["TARGETID"])
tids, X = tids[w], X[w]
z = np.array([truth[t].z_vi for t in tids])
classes = np.array([truth[t].class_person for t in tids])
is_qso = (classes == 3) | (classes == 30)
Y = np.zeros((len(tids), 5))
Y[classes == 1, 0] = 1
Y[classes == 4, 1] = 1
Y[is_qso & (z < 2.1), 2] = 1
Y[is_qso & (z >= 2.1), 3] = 1
row = {t: i for i, t in enumerate(catalogue["TARGETID"])}
found = catalogue[[row[t] for t in tids]]
c_line, z_line, zbest = found["C_LINES"].T, found["Z_LINES"].T, found["ZBEST"]
plot_spectrum("desi-spectrum-0", 0, X, c_line, z_line, zbest, Y, z)
plot_spectrum("desi-spectrum-1", 1, X, c_line, z_line, zbest, Y, z)
plot_purity_completeness("desi-purity", c_line, zbest, Y, z)
