"""What the default model finds in simulated spectra of each instrument: a row of a table for each.

    python recipes/other_instruments.py [--number 3000] [--model M] [SURVEY ...]

Quasars, galaxies and stars are simulated as each survey sees them, classified and evaluated, a
batch at a time: neither files nor pixels are kept. Sky fibres are left out. The page
docs/explanation/other-instruments.md has the rows.
"""

from __future__ import annotations

import argparse
from typing import Any

from astropy.table import vstack

import qnet
from qnet.evaluation import Evaluation
from qnet.simulation import make_instrument, simulate
from qnet.simulation.instrument.instrument import SURVEYS
from qnet.simulation.population import DEFAULT_MIX

#: Seed of the spectra: no sample of training or measurement has it.
SEED = 8800

#: Fractions of kinds: those of simulations, without sky fibres.
MIX = {kind: part / (1 - DEFAULT_MIX["sky"]) for kind, part in DEFAULT_MIX.items() if kind != "sky"}

#: Metrics by column, and what each is about.
METRICS = {
    "completeness": ("completeness", ""),
    "purity": ("strict_purity", ""),
    "NMAD [km/s]": ("dv_nmad", "ZBEST"),
    "beyond 3000 km/s": ("outliers_3000", "ZBEST"),
}


def evaluate(survey: str, number: int, model: str | None = None) -> Evaluation:
    """Evaluation of a model, or the default one, on simulated spectra of a survey."""
    known = {} if model is None else {"model": model}
    mix = MIX | {"sky": 0.0}
    found, truth = [], {}
    for batch in simulate(number, seed=SEED, survey=survey, mix=mix):
        found.append(qnet.classify(batch.spectra, **known))
        rows = batch.truth
        for row, target in enumerate(rows["TARGETID"].tolist()):
            kind, z = rows["TRUESPECTYPE"][row], float(rows["TRUEZ"][row])
            person = {"STAR": 1, "QSO": 3, "GALAXY": 4}[str(kind)]
            truth[target] = qnet.io.TruthRecord(z, person, 3, 0, float("nan"))
    return qnet.evaluate(vstack(found, metadata_conflicts="silent"), truth)


def row(survey: str, evaluation: Evaluation) -> str:
    """The row of a survey: coverage, resolution at 5000 and 8000 Angstrom, and the metrics."""
    detectors = make_instrument(survey).detectors
    cells = [survey, f"{detectors[0].wave[0]:.0f}-{detectors[-1].wave[-1]:.0f}"]
    for wave in (5000.0, 8000.0):
        (detector,) = [d for d in detectors if d.wave[0] <= wave <= d.wave[-1]][:1]
        sigma = detector.sigma[abs(detector.wave - wave).argmin()]
        cells.append(f"{wave / (2.3548 * sigma):.0f}")
    for number, (name, where) in enumerate(METRICS.values()):
        metric: Any = evaluation.metric(name, where)
        cells += [str(metric.n)] if number == 0 else []
        digits = 0 if name == "dv_nmad" else 3
        cells.append(
            f"{metric.value:.{digits}f} ({metric.low:.{digits}f}-{metric.high:.{digits}f})"
        )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the rows of the surveys that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("surveys", nargs="*", metavar="SURVEY", help=f"of {', '.join(SURVEYS)}")
    parser.add_argument("--number", type=int, default=3000, help="spectra of each survey")
    parser.add_argument("--model", help="a name or a weights file (default: the default model)")
    given = parser.parse_args()
    names = ["survey", "Angstrom", "R at 5000", "R at 8000", "quasars", *METRICS]
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)
    for survey in given.surveys or SURVEYS:
        print(row(survey, evaluate(survey, given.number, given.model)), flush=True)


if __name__ == "__main__":
    main()
