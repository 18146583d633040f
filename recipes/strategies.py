"""The strategies of `qnet strategies`, compared on one simulated truth.

    python recipes/strategies.py FOLDER [--model M] [--rrdesi PATH] [--mgii PATH]

FOLDER is that of `recipes/redrock_sample.py`: coadds, their truth and what redrock says of them.
`qnet afterburner` and desispec's MgII afterburner add their tables, where they are not there; the
table of purity and completeness, with 95 % intervals, goes to standard output as Markdown. A
strategy that needs what is not there, as SQUEzE's candidates, is listed without numbers.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import qnet
from qnet.strategies import STRATEGIES, Strategy, join_evidence


def afterburn(redrock: Path, model: list[str], commands: argparse.Namespace) -> list[Path]:
    """The files of DESI's afterburners beside a file of redrock, made where they are not there."""
    coadd, qn, mgii = (
        redrock.with_name(redrock.name.replace("redrock", name))
        for name in ("coadd", "qso_qn", "qso_mgii")
    )
    if not qn.exists():
        options = [*model, "--rrdesi", commands.rrdesi, "--templates", redrock.parent / "templates"]
        command = [sys.executable, "-m", "qnet", "afterburner", coadd, redrock, "-o", qn]
        subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
    if not mgii.exists():
        command = [commands.mgii, "--coadd", coadd, "--redrock", redrock, "--output", mgii]
        command += ["--target_selection", "all", "--save_target", "all"]
        templates = {**os.environ, "RR_TEMPLATE_DIR": str(redrock.parent / "templates")}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=templates)
    return [redrock, qn, mgii]


def measure(strategy: Strategy, catalogue: Any, truth: list[Path]) -> list[str]:
    """A row of the table: the strategy and its numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", qnet.QnetWarning)
        try:
            found = qnet.evaluate(catalogue, truth, strategy=strategy.name)
            inspect = int(strategy(catalogue).inspect.sum())
        except qnet.InputError:
            return [f"`{strategy}`", "", "", ""]
    numbers = [found.metric(name) for name in ("purity", "completeness")]
    cells = [f"{x.value:.3f} [{x.low:.3f}, {x.high:.3f}] {x.n}" for x in numbers]
    return [f"`{strategy}`", *cells, str(inspect or "")]


def main() -> None:
    """Classify, gather the evidence, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", help="a name or a weights file (default: the default model)")
    parser.add_argument("--rrdesi", default="rrdesi", help="redrock's command")
    parser.add_argument(
        "--mgii", default="desi_qso_mgii_afterburner", help="command of the MgII afterburner"
    )
    arguments = parser.parse_args()
    model = [] if arguments.model is None else ["--model", arguments.model]
    redrock = sorted(arguments.folder.glob("redrock-*.fits"))
    evidence = [path for file in redrock for path in afterburn(file, model, arguments)]
    coadds = [path.with_name(path.name.replace("redrock", "coadd")) for path in redrock]
    truth = [path.with_name(path.name.replace("redrock", "truth")) for path in redrock]
    with warnings.catch_warnings():
        # Each file holds the TARGETIDs of its own chunk.
        warnings.simplefilter("ignore", qnet.QnetWarning)
        catalogue = join_evidence(qnet.classify(coadds, model=arguments.model), evidence)
    print(f"{catalogue.meta['MODEL']}, {len(catalogue)} spectra\n")
    print("| strategy | purity | completeness | left to inspection |\n|---|---|---|---|")
    for strategy in STRATEGIES.values():
        print("|", " | ".join(measure(strategy, catalogue, truth)), "|")


if __name__ == "__main__":
    main()
