"""Classify the sample spectra and compare with the visual inspection.

``make demo`` runs this. It needs sample spectra and weights: see the option ``--data``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from astropy.table import Table

import qnet

REPOSITORY = Path(__file__).resolve().parents[1]
WEIGHTS = Path("quasarnet_weights", "quasarnet_4layer_25filter.h5")
OUTPUT = Path("demo-catalogue.fits")

#: CLASS_PERSON of quasars and BAL quasars, and Z_CONF_PERSON of a sure inspection (DR12Q superset).
QUASARS, SURE = (3, 30), 3


def main() -> int:
    """Run the demo; 0 also where there is nothing to run it on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = REPOSITORY.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default, help=f"folder (default {default})")
    data = parser.parse_args().data
    weights, spectra = data / WEIGHTS, sorted((data / "boss_dr12").glob("spec-*.fits"))
    if not (weights.is_file() and spectra):
        print(
            "Until weights ship with qnet, the demo needs the sample spectra and weights in "
            f"{data}/boss_dr12 and {data}/quasarnet_weights, which are not there."
        )
        return 0
    table = qnet.classify(spectra, model=weights)
    qnet.write_catalogue(table, OUTPUT, overwrite=True)
    print_answers(table)
    print(f"\n{table['IS_QSO'].sum()} quasars in {len(table)} spectra -> {OUTPUT}")
    truth = data / "boss_dr12" / "truth_superset.fits"
    if truth.is_file():
        print(compare(table, Table.read(truth)))
    return 0


def print_answers(table: Table) -> None:
    """Print a line for each spectrum: its id, answer, most confident line and flags."""
    lines = [table.meta[f"LINE{number}"] for number in range(table["C_LINES"].shape[1])]
    print(f"{'TARGETID':>10}  IS_QSO   ZBEST  {'best line':10}      c  flags")
    for row in table:
        if np.isnan(row["ZBEST"]):
            answer = f"{'-':>6}  {'-':10}  {'-':>5}"
        else:
            best = int(np.argmax(row["C_LINES"]))
            answer = f"{row['ZBEST']:6.4f}  {lines[best]:10}  {row['C_LINES'][best]:5.3f}"
        verdict = "yes" if row["IS_QSO"] else "no"
        flags = ", ".join(qnet.flag_names(row["QN_FLAG"])) or "-"
        print(f"{row['TARGETID']:10d}  {verdict:6}  {answer}  {flags}")


def compare(table: Table, truth: Table) -> str:
    """One line that compares the answers with sure visual inspections."""
    truth = truth[truth["Z_CONF_PERSON"] == SURE]
    place = {int(thing_id): row for row, thing_id in enumerate(truth["THING_ID"])}
    known = np.array([int(target) in place for target in table["TARGETID"]])
    rows = [place[int(target)] for target in table["TARGETID"][known]]
    called = np.asarray(table["IS_QSO"][known])
    quasar = np.isin(np.asarray(truth["CLASS_PERSON"])[rows], QUASARS)
    z = np.asarray(truth["Z_VI"])[rows]
    found = called & quasar
    line = (
        f"Visual inspection: {found.sum()} of {quasar.sum()} quasars found, "
        f"{(called & ~quasar).sum()} of {(~quasar).sum()} others called quasar"
    )
    if found.any():
        shift = np.abs(np.asarray(table["ZBEST"][known]) - z) / (1 + z)
        line += f", largest |dz|/(1+z) {shift[found].max():.4f}"
    return line


if __name__ == "__main__":
    sys.exit(main())
