"""The headline numbers of the README: three commands that anyone can run, and what they give.

    python recipes/headline.py [--model M]

The commands are printed as they are run, in a folder that is removed. The spectra are simulated
from the parametric models alone: what the package holds is all that is needed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

#: The commands.
COMMANDS = (
    "qnet simulate -n 3000 --survey desi --format coadd --seed 5 -o coadd.fits "
    "--truth-out truth.fits",
    "qnet classify coadd.fits -o catalogue.fits",
    "qnet evaluate catalogue.fits --truth truth.fits --json numbers.json",
)

#: Metrics of the evaluation that are the headline: name, and what each is about.
METRICS = (
    ("strict_purity", ""),
    ("completeness", ""),
    ("dv_nmad", "ZBEST"),
    ("outliers_3000", "ZBEST"),
    ("calibration_error", "P_QSO"),
)


def headline(model: str | None = None, number: int = 3000) -> dict[str, dict[str, Any]]:
    """The numbers that the commands give; `number` spectra, by a model or the default one."""
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS:
            words = command.replace("-n 3000", f"-n {number}").split()[1:]
            if words[0] == "classify" and model is not None:
                words += ["--model", model]
            print("qnet", *words, flush=True)
            subprocess.run(
                [sys.executable, "-m", "qnet", *words], cwd=folder, check=True,
                stdout=subprocess.DEVNULL,
            )  # fmt: skip
        (found,) = json.loads((Path(folder) / "numbers.json").read_text())["catalogues"]
    metrics = {(each["name"], each["where"]): each for each in found["metrics"]}
    keys = ("value", "low", "high", "n")
    return {name: {key: metrics[name, where][key] for key in keys} for name, where in METRICS}


def main() -> None:
    """Run the commands and print what they give."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a name or a weights file (default: the default model)")
    for name, number in headline(parser.parse_args().model).items():
        print(name, *(f"{key} {value:.4g}" for key, value in number.items()))


if __name__ == "__main__":
    main()
