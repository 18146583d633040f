"""The command ``qnet simulate``."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from qnet.cli import parser as shared
from qnet.cli.common import OK, count, summarise
from qnet.core.errors import FileError, InputError


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    written = "spectra to write: .fits; for --format spec a folder"
    parser = add_parser(
        description="Simulate spectra of quasar targets and sky fibres, and their truth.",
        parents=[shared.output(written, "replace existing outputs")],
        examples=(
            "qnet simulate -n 200 -o sim.fits --truth-out sim_truth.fits",
            "qnet simulate -n 100 --survey desi --format coadd -o mock.fits --truth-out mock.csv",
        ),
    )
    parser.add_argument(
        "-n", "--number", type=int, required=True, metavar="N", help="number of spectra"
    )
    text = "truth to write: .fits, .fits.gz, .csv, .ecsv or .parquet"
    shared.add(parser, "--truth-out", "TRUTH", text, required=True)
    text = "prepared data, a file of DESI's coadds, or SDSS spec files (for boss and sdss)"
    shared.add(parser, "--format", ("prepared", "coadd", "spec"), text, "prepared")
    text = "QuasarNET's grid for --format prepared (default: log)"
    shared.add(parser, "--grid", ("log", "linear"), text)
    survey = parser.add_argument_group("survey")
    text = "the instrument, and the magnitudes of its targets"
    surveys = ("boss", "sdss", "desi", "pfs", "weave", "4most", "lamost")
    shared.add(survey, "--survey", surveys, text, "boss")
    shared.add(survey, "--seed", "S", "seed of all numbers", 0)
    text = "seed of the instrument: the same objects with other noise (default: --seed)"
    shared.add(survey, "--noise-seed", "S", text, type=int)
    text = "fractions of quasar, galaxy, star and sky, which add up to 1 (default: the survey's)"
    shared.add(survey, "--mix", "KIND=FRACTION", text, nargs="+", type=_fraction)
    text = "folder of redrock's and redmonster's templates, to draw objects from (default: none)"
    shared.add(survey, "--templates", "DIR", text)
    text = "fraction of the objects that are drawn from --templates (default: 0.6)"
    shared.add(survey, "--template-fraction", "F", text, type=float)
    parser.set_defaults(command=_simulate)


def _simulate(arguments: argparse.Namespace) -> int:
    """Run ``qnet simulate``."""
    from qnet import simulate
    from qnet.core.grid import QUASARNET_GRID, QUASARNET_LINEAR_GRID
    from qnet.simulation import write_simulation
    from qnet.simulation.write import check_outputs

    if arguments.grid is not None and arguments.format != "prepared":
        raise InputError(f"--grid goes with --format prepared, not {arguments.format}")
    if arguments.template_fraction is not None and arguments.templates is None:
        raise InputError("--template-fraction needs --templates")
    paths = Path(arguments.output), Path(arguments.truth_out)
    how = shared.given(arguments, "format overwrite")
    try:
        check_outputs(arguments.survey, *paths, **how)
    except FileError as error:
        raise InputError(str(error)) from error
    part = arguments.template_fraction
    simulation = simulate(
        arguments.number,
        **shared.given(arguments, "seed noise_seed survey templates"),
        mix=None if arguments.mix is None else _mix(arguments.mix),
        **({} if part is None else {"template_fraction": part}),
    )
    grid = QUASARNET_LINEAR_GRID if arguments.grid == "linear" else QUASARNET_GRID
    progress = not arguments.quiet
    truth = write_simulation(simulation, *paths, grid=grid, progress=progress, **how)
    quasars, sky = (int((truth["TRUESPECTYPE"] == kind).sum()) for kind in ("QSO", "SKY"))
    summarise(
        arguments,
        f"{count(len(simulation), 'spectrum')} ({count(quasars, 'quasar')}, "
        f"{count(sky, 'sky fibre')}) -> {paths[0]}, {paths[1]}",
    )
    return OK


def _fraction(text: str) -> tuple[str, float]:
    """A kind and its fraction, from KIND=FRACTION."""
    kind, _, fraction = text.partition("=")
    try:
        return kind, float(fraction)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a kind and its fraction, such as sky=0.13"
        ) from error


def _mix(fractions: Sequence[tuple[str, float]]) -> dict[str, float]:
    """The fractions of --mix by kind."""
    twice = [kind for kind, n in Counter(kind for kind, _ in fractions).items() if n > 1]
    if twice:
        raise InputError(f"--mix gives {', '.join(twice)} more than once")
    return dict(fractions)
