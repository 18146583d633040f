"""Simulated DESI coadds that redrock has run on: the sample of the weights of `qnet merge`.

    python recipes/redrock_sample.py FOLDER --templates DIR --rrdesi PATH [-n N] [--sure F]
                                    [--part K/M]

Simulates N targets in chunks, and writes of every chunk I FOLDER/coadd-I.fits, truth-I.fits,
catalogue-I.fits, redrock-I.fits, its scan rrdetails-I.h5, and sample-I.fits, which says what
redrock ran on. Redrock takes about four seconds a target on one core, so it runs on all targets of
which qnet is not sure, and on a fraction of the others, which then stand for all of these.
Chunks that are done are not done again; M processes with parts 0/M to (M-1)/M share the work.

DIR holds redrock's and redmonster's templates: objects are drawn from them and from the parametric
models, and redrock fits with all of its own. A galaxy template of before 2024 lacks two cards,
which the copy that redrock reads is given.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from pathlib import Path

import fitsio
import numpy as np

import qnet
from qnet.simulation import write_simulation
from qnet.simulation.instrument.instrument import make_instrument
from qnet.simulation.survey import simulate

#: Targets in a chunk, seed of the first chunk, and diagonals of DESI's resolution matrices.
CHUNK, SEED, NDIAG = 160, 160_100, 11

#: A probability of class or redshift this close to 0 or 1 is sure.
LIMIT = 0.01


def complete(path: Path) -> None:
    """Add what redrock needs: the resolution of the simulated instrument, EXP_FIBERMAP, SCORES."""
    targetids = fitsio.read(path, "FIBERMAP")["TARGETID"]
    offsets = np.arange(NDIAG // 2, -(NDIAG // 2) - 1, -1)[:, None]
    scores = np.zeros(len(targetids), [("TARGETID", "i8"), ("TSNR2_QSO", "f4")])
    scores["TARGETID"] = targetids
    with fitsio.FITS(path, "rw") as file:
        for detector in make_instrument("desi").detectors:
            lsf = np.exp(-0.5 * (offsets * np.gradient(detector.wave) / detector.sigma) ** 2)
            lsf = np.broadcast_to(lsf / lsf.sum(axis=0), (len(targetids), *lsf.shape))
            file.write(lsf.astype("f4"), extname=f"{detector.name}_RESOLUTION")
        file.write(scores[["TARGETID"]], extname="EXP_FIBERMAP")
        file.write(scores, extname="SCORES")


def copy_templates(source: Path, folder: Path) -> Path:
    """A copy of redrock's templates in which the galaxies name their absorption by the IGM."""
    copy = folder / "templates"
    if not copy.exists():
        partial = folder / f"templates-{os.getpid()}"
        partial.mkdir()
        for path in sorted(source.rglob("rrtemplate-*.fits")):
            shutil.copyfile(path, partial / path.name)
            with fitsio.FITS(partial / path.name, "rw") as file:
                if "VERSION" not in file["BASIS_VECTORS"].read_header():
                    file["BASIS_VECTORS"].write_key("VERSION", "unknown")
                    file["BASIS_VECTORS"].write_key("RRIGM", "None")
        if copy.exists():
            shutil.rmtree(partial)
        else:
            partial.rename(copy)
    return copy


def choose(folder: Path, index: int, model: str | None, fraction: float) -> np.ndarray:
    """Choose the targets of a chunk that redrock runs on: their TARGETIDs."""
    table = qnet.classify(folder / f"coadd-{index:03d}.fits", model=model)
    qnet.write_catalogue(table, folder / f"catalogue-{index:03d}.fits", overwrite=True)
    p_qso, p_z = (np.nan_to_num(table[name], nan=0.0) for name in ("P_QSO", "P_Z"))
    sure = (p_qso < LIMIT) | ((p_qso > 1 - LIMIT) & (p_z > 1 - LIMIT))
    rng = np.random.default_rng(SEED + index)
    chosen = ~sure | (rng.random(len(table)) < fraction)
    targetids = np.asarray(table["TARGETID"])
    columns = {"TARGETID": targetids, "SURE": sure, "CHOSEN": chosen}
    path = folder / f"sample-{index:03d}.fits"
    qnet.io.write_table(path, columns, extname="SAMPLE", overwrite=True)
    return targetids[chosen]


def run_chunk(index: int, arguments: argparse.Namespace) -> None:
    """Simulate a chunk and run redrock on it."""
    folder, templates = arguments.folder, arguments.templates
    done = folder / f"redrock-{index:03d}.fits"
    if done.exists():
        return
    coadd, truth = (folder / f"{name}-{index:03d}.fits" for name in ("coadd", "truth"))
    simulation = simulate(CHUNK, seed=SEED + index, survey="desi", templates=templates)
    write_simulation(simulation, coadd, truth, format="coadd", overwrite=True)
    targetids = choose(folder, index, arguments.model, arguments.sure)
    complete(coadd)
    partial = folder / f"partial-{index:03d}.fits"
    command = [arguments.rrdesi, "-i", coadd, "-o", partial, "--mp", "1"]
    command += ["-d", folder / f"rrdetails-{index:03d}.h5"]
    command += ["-t", copy_templates(templates, folder)]
    command += [f"--targetids={','.join(map(str, targetids.tolist()))}"]
    with open(folder / f"redrock-{index:03d}.log", "w", encoding="utf-8") as log:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, check=True, stdout=log, stderr=log, env=environment)
    partial.rename(done)


def main() -> None:
    """Simulate and run redrock."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--templates", type=Path, required=True)
    parser.add_argument("--rrdesi", default="rrdesi", help="redrock's command")
    parser.add_argument("--model", help="a name or a weights file (default: the default model)")
    parser.add_argument("-n", type=int, default=4000, help="simulated targets in all")
    parser.add_argument(
        "--sure", type=float, default=0.06, help="fraction of sure targets to run on"
    )
    parser.add_argument("--part", default="0/1", help="K/M: every Mth chunk, from the Kth")
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    first, step = map(int, arguments.part.split("/"))
    for index in range(first, arguments.n // CHUNK, step):
        run_chunk(index, arguments)


if __name__ == "__main__":
    main()
