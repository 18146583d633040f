"""Two draws of the noise of the same objects; the speed of the models and the package's size."""

from __future__ import annotations

import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

import qnet
from judge.catalogue import TRAINING, Catalogue, Judge, fraction, observe, statistic, whole
from judge.checks import at_most
from qnet import simulate
from qnet.core.arrays import nmad

#: Objects that are observed twice, and their seed.
COUNT, SEED = 4000, 4000

#: Spectra that are classified for the speed, how often, and what it may cost.
SPEED, ROUNDS, SLOWER = 2000, 5, 1.1

#: Largest size of the package, compressed as in a wheel [MB].
PACKAGE = 10.0


def judge_repeats(judge: Judge) -> dict[str, Any]:
    """Two draws of the noise of the same objects: the same class, and redshifts that agree."""
    result: dict[str, Any] = {}
    for survey in ("boss", "desi"):
        draws = [
            observe(
                simulate(judge.size(COUNT), seed=SEED, survey=survey, noise_seed=noise),
                judge.models,
                {"whole": whole},
                (TRAINING,),
            )["whole"]
            for noise in (1, 2)
        ]
        result[survey] = {
            label: _agreement(*(draw[label][TRAINING] for draw in draws)) for label in judge.models
        }
    return {"numbers": result, "checks": []}


def _agreement(one: Catalogue, two: Catalogue) -> dict[str, Any]:
    """How two catalogues of the same objects agree."""
    bright = (one.snr > 4) & (two.snr > 4)
    both = bright & one.is_qso & two.is_qso & one.quasar & one.right & two.right
    widths = {}
    for name, key in (("ZERR", "zerr"), ("ZERR_NOISE", "zerr_noise")):
        joint = np.hypot(getattr(one, key), getattr(two, key))[both]
        pull = (one.zbest - two.zbest)[both] / joint
        widths[f"pull width, {name}"] = statistic(pull[np.isfinite(pull)], nmad)
    return {"same class": fraction((one.is_qso == two.is_qso)[bright]), **widths}


def judge_speed(judge: Judge) -> dict[str, Any]:
    """Time of classification of the same spectra, the models in turn; size of the package."""
    spectra = simulate(judge.size(SPEED), seed=SEED, survey="desi").collect().spectra
    seconds: dict[str, list[float]] = {label: [] for label in judge.models}
    for _ in range(ROUNDS):
        for label, model in judge.models.items():
            start = time.process_time()
            qnet.classify(spectra, model=model, threads=1)
            seconds[label].append(time.process_time() - start)
    best = {label: min(values) for label, values in seconds.items()}
    paths = [path for path in Path(qnet.__file__).parent.rglob("*") if path.suffix != ".pyc"]
    files = [path.read_bytes() for path in paths if path.is_file()]
    package = {"value": sum(len(zlib.compress(data)) for data in files) / 1e6, "n": len(files)}
    result: dict[str, Any] = {
        label: {"spectra per second of one CPU": len(spectra) / value}
        for label, value in best.items()
    }
    result["package, compressed [MB]"] = package
    checks = [at_most("package, compressed [MB]", PACKAGE, {next(iter(best)): package})]
    if len(best) > 1:
        ours, theirs = list(best)[:2]
        ratio = {ours: {"value": best[ours] / best[theirs], "n": ROUNDS}}
        checks.append(at_most("time over that of the baseline", SLOWER, ratio))
    return {"numbers": result, "checks": checks}
