"""The numbers that the docs give of the default model, on simulated spectra.

    python recipes/measure.py FOLDER OUT.json [--model M] [--baseline B] [--templates DIR]
                              [--quick] [--only SECTION ...] [--figures DIR]

FOLDER is that of `recipes/default_model.py`; its sample `test` is read, which nothing was trained,
calibrated or chosen on, or simulated where it is not there; everything else is simulated, from
other seeds. OUT.json holds every number of both models with its interval and sample size, and the
table of what must be reached; sections that are not measured anew stay in it. Tables in Markdown go
to standard output. `--quick` takes a tenth of every sample.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from astropy.table import Table
from default_model import files
from headline import headline
from judge.catalogue import Judge
from judge.distributions import judge_distributions
from judge.disturbed import judge_coverage, judge_steps
from judge.emitted import judge_lines
from judge.frame import judge_absorption, judge_frame
from judge.kinds import judge_agn, judge_bal, judge_sky
from judge.repeats import judge_repeats, judge_speed
from judge.tables import print_checks, print_tree, print_whole
from judge.whole import judge_whole

import qnet

#: Sections, in the order of the page.
SECTIONS = {
    "whole": judge_whole,
    "coverage": judge_coverage,
    "distributions": judge_distributions,
    "sky": judge_sky,
    "agn": judge_agn,
    "lines": judge_lines,
    "frame": judge_frame,
    "absorption": judge_absorption,
    "steps": judge_steps,
    "bal": judge_bal,
    "repeats": judge_repeats,
    "speed": judge_speed,
}

#: Part of every sample that is taken with `--quick`.
QUICK = 0.1


def draw(folder: Path, figures: Path, model: str | None) -> None:
    """The training, the reliability of P_QSO, and redshifts against the truth."""
    from qnet import evaluate
    from qnet.plotting import plot_calibration, plot_history, plot_z, save_figure

    history = qnet.load_model(model).weights.provenance["history"]
    with TemporaryDirectory() as temporary:
        path = Path(temporary) / "history.fits"
        names = ("epoch", "loss", "val_loss")
        Table({name.upper(): [row[name] for row in history] for name in names}).write(path)
        training = plot_history(path)
    save_figure(training, figures / "model-training.png", overwrite=True)

    found = []
    names = [data.stem.removeprefix("test-").upper() for data in files(folder, "test")[0]]
    for data, truth in zip(*files(folder, "test"), strict=True):
        found.append(evaluate(qnet.classify(data, model=model), truth))
    found = [dataclasses.replace(one, name=name) for one, name in zip(found, names, strict=True)]
    save_figure(plot_calibration(found), figures / "model-reliability.png", overwrite=True)
    save_figure(plot_z(found[1]), figures / "model-redshifts.png", overwrite=True)


def measure(judge: Judge, sections: list[str], output: Path, names: dict[str, Any]) -> None:
    """Measure some sections, print them, and put them into the file."""
    result = json.loads(output.read_text()) if output.exists() else {}
    labels = list(judge.models)
    for section in sections:
        start = time.monotonic()
        if section == "headline":
            found = {"numbers": {label: headline(names[label]) for label in labels}, "checks": []}
        else:
            found = SECTIONS[section](judge)
        found["models"] = {label: model.sha256 for label, model in judge.models.items()}
        found["scale"] = judge.scale
        print(f"\n## {section} ({time.monotonic() - start:.0f} s)", flush=True)
        (print_whole if section == "whole" else print_tree)(found["numbers"])
        print_checks(found["checks"], labels)
        result[section] = found
        output.write_text(json.dumps(result, indent=1) + "\n")
    print("\n## What must be reached")
    print_checks([check for found in result.values() for check in found["checks"]], labels)


def main() -> None:
    """Judge a model, or two beside each other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", help="a name or a weights file (default: the default model)")
    parser.add_argument("--baseline", help="a model that is measured beside it")
    parser.add_argument("--templates", type=Path, help="folder of redrock's and redmonster's")
    parser.add_argument("--quick", action="store_true", help="a tenth of every sample")
    parser.add_argument("--only", nargs="+", choices=(*SECTIONS, "headline"), metavar="SECTION")
    parser.add_argument("--figures", type=Path, help="draw figures into this folder, and stop")
    options = parser.parse_args()
    if options.figures:
        draw(options.folder, options.figures, options.model)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    names = {"model": options.model}
    if options.baseline:
        names["baseline"] = options.baseline
    judge = Judge(
        models={label: qnet.load_model(name) for label, name in names.items()},
        folder=options.folder,
        templates=options.templates,
        scale=QUICK if options.quick else 1.0,
    )
    measure(judge, options.only or [*SECTIONS, "headline"], options.output, names)


if __name__ == "__main__":
    main()
