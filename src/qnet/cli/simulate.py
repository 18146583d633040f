"""The command ``qnet simulate``."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from typing import Any

from qnet.cli.common import OK, count
from qnet.core.errors import FileError, InputError


def add_commands(commands: Any) -> None:
    """The command ``qnet simulate``."""
    parser = commands.add_parser(
        "simulate",
        help="make a mock survey: spectra and truth",
        description="Simulate spectra of quasar targets and sky fibres, and their truth.",
    )
    parser.set_defaults(command=_simulate)
    parser.add_argument(
        "-n", "--number", type=int, required=True, metavar="N", help="number of spectra"
    )
    _add_outputs(parser.add_argument_group("outputs"))
    _add_survey(parser.add_argument_group("survey"))


def _add_outputs(group: Any) -> None:
    """What is written."""
    group.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="spectra to write: .fits, for --format spec a folder",
    )
    group.add_argument(
        "--truth-out",
        required=True,
        metavar="TRUTH",
        help="truth to write: .fits, .csv, .ecsv or .parquet",
    )
    group.add_argument(
        "--format",
        choices=("prepared", "coadd", "spec"),
        default="prepared",
        help="prepared data, a DESI coadd, or SDSS spec files",
    )
    group.add_argument(
        "--grid", choices=("log", "linear"), help="grid of prepared data (default log)"
    )
    group.add_argument("--overwrite", action="store_true", help="replace existing outputs")


def _add_survey(group: Any) -> None:
    """What is simulated."""
    group.add_argument(
        "--seed", type=int, default=0, metavar="S", help="seed of all numbers (default 0)"
    )
    group.add_argument(
        "--noise-seed", type=int, metavar="S", help="seed of the instrument (default: --seed)"
    )
    group.add_argument(
        "--survey", choices=("boss", "sdss", "desi"), default="boss", help="the instrument"
    )
    group.add_argument(
        "--mix",
        nargs="+",
        type=_share,
        metavar="KIND=SHARE",
        help="shares of quasar, galaxy, star and sky, which add up to 1",
    )
    group.add_argument(
        "--templates", metavar="DIR", help="folder of redrock's and redmonster's templates"
    )
    group.add_argument(
        "--template-fraction",
        type=float,
        metavar="F",
        help="with --templates, the share of objects that are drawn from them (default 0.6)",
    )


def _simulate(arguments: argparse.Namespace) -> int:
    """Run ``qnet simulate``."""
    from pathlib import Path

    from qnet.core.grid import QUASARNET_GRID, QUASARNET_LINEAR_GRID
    from qnet.simulation.survey import simulate
    from qnet.simulation.write import check_outputs, write_simulation

    if arguments.grid is not None and arguments.format != "prepared":
        raise InputError(f"--grid goes with --format prepared, not {arguments.format}")
    if arguments.template_fraction is not None and arguments.templates is None:
        raise InputError("--template-fraction goes with --templates")
    output, truth_output = Path(arguments.output), Path(arguments.truth_out)
    try:
        check_outputs(
            arguments.survey,
            output,
            truth_output,
            format=arguments.format,
            overwrite=arguments.overwrite,
        )
    except FileError as error:
        raise InputError(str(error)) from error
    given = {"template_fraction": arguments.template_fraction}
    simulation = simulate(
        arguments.number,
        seed=arguments.seed,
        noise_seed=arguments.noise_seed,
        survey=arguments.survey,
        mix=None if arguments.mix is None else _mix(arguments.mix),
        templates=arguments.templates,
        **{name: value for name, value in given.items() if value is not None},
    )
    truth = write_simulation(
        simulation,
        output,
        truth_output,
        format=arguments.format,
        grid=QUASARNET_LINEAR_GRID if arguments.grid == "linear" else QUASARNET_GRID,
        overwrite=arguments.overwrite,
        progress=True,
    )
    quasars = int((truth["TRUESPECTYPE"] == "QSO").sum())
    sky = int((truth["TRUESPECTYPE"] == "SKY").sum())
    print(
        f"qnet: {count(len(simulation), 'spectrum')} ({count(quasars, 'quasar')}, "
        f"{count(sky, 'sky fibre')}) -> {output}, {truth_output}"
    )
    return OK


def _share(text: str) -> tuple[str, float]:
    """A kind and its share, from KIND=SHARE."""
    kind, _, share = text.partition("=")
    try:
        return kind, float(share)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a kind and its share, such as sky=0.13"
        ) from error


def _mix(shares: Sequence[tuple[str, float]]) -> dict[str, float]:
    """The shares of --mix by kind."""
    twice = [kind for kind, number in Counter(kind for kind, _ in shares).items() if number > 1]
    if twice:
        raise InputError(f"--mix gives {', '.join(twice)} more than once")
    return dict(shares)
