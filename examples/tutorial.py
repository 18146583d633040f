"""QuasarNET's tutorial on qnet: read, train, predict, purity and completeness.

    qnet simulate -n 30000 --survey boss -o sim.fits --truth-out truth.fits
    python examples/tutorial.py sim.fits truth.fits

Needs the extra `train`. The steps are those of the tutorial's training section, on the arrays that
qnet's functions of the same names give.
"""

from __future__ import annotations

import argparse

import numpy as np
from keras.optimizers import Adam
from keras.utils import set_random_seed

from qnet.io import read_data, read_truth
from qnet.model import QuasarNET, custom_loss
from qnet.objective import objective
from qnet.postprocess import process_preds

LINES = ["LYA", "CIV(1548)", "CIII(1909)", "MgII(2796)", "Hbeta", "Halpha"]
LINES_BAL = ["CIV(1548)"]


def main() -> None:
    """Train on some of the spectra, and judge on the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("truth")
    parser.add_argument("--nspec", type=int, default=30_000, help="spectra to read")
    parser.add_argument("--ntrain", type=int, default=10_000, help="spectra to train on")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()

    set_random_seed(options.seed)
    truth = read_truth([options.truth])
    tids, X, Y, z, bal = read_data([options.data], truth, nspec=options.nspec)
    order = np.random.default_rng(options.seed).permutation(len(tids))
    train = np.isin(np.arange(len(tids)), order[: options.ntrain])

    model = QuasarNET((X.shape[1], 1), nlines=len(LINES) + len(LINES_BAL))
    model.compile(optimizer=Adam(), loss=[custom_loss] * 7, metrics=[])
    target, sample_weight = objective(
        z[train], Y[train], bal[train], lines=LINES, lines_bal=LINES_BAL
    )
    model.fit(
        X[train][:, :, None],
        target,
        epochs=options.epochs,
        batch_size=32,
        sample_weight=sample_weight,
        verbose=2,
    )

    X, Y, z = X[~train], Y[~train], z[~train]
    c_line, _, zbest, *_ = process_preds(model.predict(X[:, :, None], verbose=0), LINES, LINES_BAL)
    is_qso = (Y.argmax(axis=1) == 2) | (Y.argmax(axis=1) == 3)
    is_bad = Y.argmax(axis=1) == 4
    good = (z > 0) & (abs(zbest - z) < 6000.0 / 300000.0 * (1 + z))
    print(f"{len(z)} spectra, {is_qso.sum()} quasars\nc_th  purity  completeness")
    for c_th in (0.1, 0.3, 0.5, 0.7, 0.9):
        called = (c_line > c_th).sum(axis=0) >= 1
        purity = (called & good & ~is_bad).sum() / max((called & ~is_bad).sum(), 1)
        completeness = (called & good & is_qso).sum() / is_qso.sum()
        print(f"{c_th:.1f}   {purity:.4f}  {completeness:.4f}")


if __name__ == "__main__":
    main()
