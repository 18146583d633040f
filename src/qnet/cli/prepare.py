"""The command ``qnet prepare``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from qnet.cli import parser as shared
from qnet.cli.common import count, files_done, refuse_output, report_failures, summarise
from qnet.core.errors import InputError

if TYPE_CHECKING:
    from qnet.core.grid import WavelengthGrid


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    selection, group = shared.rows("spectra to take")
    text = "only objects that were inspected, by these truth files (default: all)"
    shared.add(group, "--truth", "T", text, [], nargs="+")
    shared.truth_columns(group)
    parser = add_parser(
        description="Rebin spectra onto a network's grid and write them to one file, as training "
        "needs them.",
        parents=[shared.spectra(), shared.output("prepared data to write: .fits"), selection],
        examples=(
            "qnet prepare spec-*.fits -o data.fits",
            "qnet prepare coadd.fits -o fine.fits --fine --targets qso",
        ),
    )
    grid = parser.add_argument_group("wavelength grid")
    text = "spacing of QuasarNET's grids (default: log)"
    shared.add(grid, "--grid", ("log", "linear"), text)
    for option, metavar, text in (
        ("--wave-min", "A", "first edge [Angstrom]"),
        ("--wave-max", "A", "last edge [Angstrom]"),
        ("--step", "S", "step [dex for log, Angstrom for linear]"),
    ):
        own = f"{text} (default: that of QuasarNET's grid)"
        shared.add(grid, option, metavar, own, type=float)
    shared.add(grid, "--model", "M", "the grid of this weights file (default: see --grid)")
    text = "the finer grid of the second stage of --model, or of the default model: it serves both"
    grid.add_argument("--fine", action="store_true", help=f"{text} stages, and calibration")
    parser.set_defaults(command=_prepare)


def _prepare(arguments: argparse.Namespace) -> int:
    """Run ``qnet prepare``."""
    from qnet import prepare
    from qnet.io import read_truth
    from qnet.io.prepared import check_prepared_name
    from qnet.training.data import describe

    check_prepared_name(Path(arguments.output))
    others = [*arguments.truth, arguments.spall, arguments.model]
    refuse_output(arguments.output, arguments.overwrite, [*arguments.inputs, *others])
    names = shared.named(arguments.truth_columns, "--truth-columns")
    if names and not arguments.truth:
        raise InputError("--truth-columns goes with --truth")
    done = prepare(
        arguments.inputs,
        arguments.output,
        grid=_grid(arguments),
        truth=read_truth(arguments.truth, columns=names) if arguments.truth else None,
        targetids=shared.flat(arguments.targetids, frozenset),
        **shared.given(arguments, "targets coadd spall overwrite"),
        **shared.reading(arguments),
        spread=arguments.fine,
        progress=not arguments.quiet,
    )
    status = report_failures(done.failures, arguments.inputs, done.path is not None, "read")
    if done.path is None:
        return status
    spectra, files = count(done.nspec, "spectrum"), files_done(arguments.inputs, done.failures)
    summarise(arguments, f"{spectra} of {done.nread} in {files} -> {arguments.output}")
    if done.removed:
        summarise(arguments, f"left out: {describe(done.removed)}")
    return status


def _grid(arguments: argparse.Namespace) -> WavelengthGrid:
    """The grid that the options ask for."""
    from qnet.core.grid import QUASARNET_LIMITS, WavelengthGrid
    from qnet.model import load_model

    limits = (arguments.wave_min, arguments.wave_max, arguments.step)
    if arguments.model is not None or arguments.fine:
        if arguments.grid is not None or any(value is not None for value in limits):
            option = "--fine" if arguments.fine else "--model"
            raise InputError(
                f"{option} has a grid: leave out --grid, --wave-min, --wave-max, --step"
            )
        model = load_model(arguments.model)
        if not arguments.fine:
            return model.grid
        if model.weights.refine is None:
            raise InputError(f"--fine: {model.name} has no second stage, which has a finer grid")
        return model.weights.refine.window.grid
    kind = arguments.grid or "log"
    pairs = zip(limits, QUASARNET_LIMITS[kind], strict=True)
    chosen = [default if value is None else value for value, default in pairs]
    return (WavelengthGrid.linear if kind == "linear" else WavelengthGrid.log)(*chosen)
