"""Simulate a DESI coadd, classify it with the default model, and compare with the truth.

``make demo`` runs this. It needs no data and writes ``demo-coadd.fits``, ``demo-truth.fits`` and
``demo-catalogue.fits`` into the current folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from astropy.table import Table

import qnet
from qnet.simulation import write_simulation

COADD, TRUTH, CATALOGUE = (Path(f"demo-{name}.fits") for name in ("coadd", "truth", "catalogue"))

#: The numbers that are printed: name, and line or redshift.
NUMBERS = (("purity", ""), ("strict_purity", ""), ("completeness", ""), ("dv_nmad", "ZBEST"))


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=500, help="spectra (default 500)")
    parser.add_argument("--seed", type=int, default=0, help="seed (default 0)")
    parser.add_argument("--rows", type=int, default=20, help="rows to print (default 20)")
    options = parser.parse_args()
    simulation = qnet.simulate(options.n, seed=options.seed, survey="desi")
    write_simulation(simulation, COADD, TRUTH, format="coadd", overwrite=True)
    table = qnet.classify(COADD)
    qnet.write_catalogue(table, CATALOGUE, overwrite=True)
    truth = Table.read(TRUTH, hdu=1)
    print_rows(table[: options.rows], truth)
    print(f"\n{table['IS_QSO'].sum()} quasars in {len(table)} spectra -> {CATALOGUE}\n")
    found = qnet.evaluate(CATALOGUE, TRUTH)
    for name, where in NUMBERS:
        metric = found.metric(name, where) if where else found.metric(name)
        interval = f"[{metric.low:.4g}, {metric.high:.4g}]"
        print(f"{name:14} {metric.value:8.4g}  {interval:18} of {metric.n}: {metric.definition}")


def print_rows(table: Table, truth: Table) -> None:
    """Print a line for each spectrum: the truth and the classification."""
    print(f"{'TARGETID':>20}  {'true':6} {'z':>7}  {'IS_QSO':6} {'P_QSO':>6} {'ZBEST':>7}  flags")
    for row, known in zip(table, truth, strict=False):
        is_qso = "yes" if row["IS_QSO"] else "no"
        z, p = (f"{value:.4f}" if np.isfinite(value) else "-" for value in row["ZBEST", "P_QSO"])
        flags = ", ".join(qnet.flag_names(row["QN_FLAG"])) or "-"
        print(
            f"{row['TARGETID']:20d}  {known['TRUESPECTYPE']!s:6} {known['TRUEZ']:7.4f}  "
            f"{is_qso:6} {p:>6} {z if row['IS_QSO'] else '-':>7}  {flags}"
        )


if __name__ == "__main__":
    main()
