"""The command ``qnet prepare``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from qnet.cli.common import count, flat, integers, refuse_output, report_failures
from qnet.core.errors import InputError

if TYPE_CHECKING:
    from qnet.core.grid import WavelengthGrid


def add_commands(commands: Any) -> None:
    """The command ``qnet prepare``."""
    parser = commands.add_parser(
        "prepare",
        help="spectra in, prepared data out",
        description="Rebin spectra onto a network's grid and write them to one file, as training "
        "needs them.",
    )
    parser.set_defaults(command=_prepare)
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="FITS files of spectra")
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="prepared data to write: .fits"
    )
    rows = parser.add_argument_group("which spectra are taken")
    rows.add_argument(
        "--targets", choices=("all", "qso"), default="all", help="all, or quasar targets"
    )
    rows.add_argument(
        "--truth", nargs="+", metavar="T", help="only what was inspected in these truth files"
    )
    rows.add_argument("--targetids", nargs="+", type=integers, metavar="ID", help="these TARGETIDs")
    grid = parser.add_argument_group("the grid (default: QuasarNET's log grid)")
    grid.add_argument("--grid", choices=("log", "linear"), help="one of QuasarNET's grids")
    grid.add_argument("--wave-min", type=float, metavar="A", help="its first edge [Angstrom]")
    grid.add_argument("--wave-max", type=float, metavar="A", help="its last edge [Angstrom]")
    grid.add_argument("--step", type=float, metavar="S", help="its step [dex, or Angstrom]")
    grid.add_argument("--model", metavar="M", help="the grid of this weights file")
    parser.add_argument(
        "--coadd",
        choices=("none", "target"),
        default="none",
        help="target: join the exposures of each TARGETID into one spectrum",
    )
    parser.add_argument(
        "--spall", metavar="FILE", help="spAll file with the THING_IDs of spPlate, spCFrame files"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing OUT")


def _prepare(arguments: argparse.Namespace) -> int:
    """Run ``qnet prepare``."""
    from pathlib import Path

    from qnet.io.prepared import check_prepared_name
    from qnet.io.truth import read_truth
    from qnet.training.data import describe
    from qnet.training.preparation import prepare

    check_prepared_name(Path(arguments.output))
    truth_files = arguments.truth or []
    others = [*truth_files, arguments.spall, arguments.model]
    refuse_output(arguments.output, arguments.overwrite, [*arguments.inputs, *others])
    done = prepare(
        arguments.inputs,
        arguments.output,
        grid=_grid(arguments),
        targets=arguments.targets,
        truth=read_truth(truth_files) if truth_files else None,
        targetids=flat(arguments.targetids, frozenset),
        coadd=arguments.coadd,
        spall=arguments.spall,
        overwrite=arguments.overwrite,
        progress=True,
    )
    status = report_failures(done.failures, arguments.inputs, done.path is not None, "read")
    if done.path is None:
        return status
    failed = sum(len(failure.paths) for failure in done.failures)
    print(
        f"qnet: {count(done.nspec, 'spectrum')} of {done.nread} in "
        f"{count(len(arguments.inputs) - failed, 'file')}"
        + (f", {count(failed, 'file')} failed" if failed else "")
        + f" -> {arguments.output}"
    )
    if done.removed:
        print(f"qnet: left out: {describe(done.removed)}")
    return status


def _grid(arguments: argparse.Namespace) -> WavelengthGrid:
    """The grid that the options ask for."""
    from qnet.core.grid import (
        QUASARNET_GRID,
        QUASARNET_LIMITS,
        QUASARNET_LINEAR_GRID,
        WavelengthGrid,
    )
    from qnet.model.model import load_model

    limits = (arguments.wave_min, arguments.wave_max, arguments.step)
    given = any(value is not None for value in limits)
    if arguments.model is not None:
        if given or arguments.grid is not None:
            raise InputError("--model has a grid: leave out --grid, --wave-min, --wave-max, --step")
        return load_model(arguments.model).grid
    linear = arguments.grid == "linear"
    if not given:
        return QUASARNET_LINEAR_GRID if linear else QUASARNET_GRID
    low, high, step = (
        default if value is None else value
        for value, default in zip(
            limits, QUASARNET_LIMITS["linear" if linear else "log"], strict=True
        )
    )
    return (WavelengthGrid.linear if linear else WavelengthGrid.log)(low, high, step)
