"""The command ``qnet plot``."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qnet.cli.common import OK, add_criterion, refuse_output
from qnet.core.errors import InputError, QnetWarning

if TYPE_CHECKING:
    from qnet.core.spectra import Spectra


def add_commands(commands: Any) -> None:
    """The command ``qnet plot``."""
    parser = commands.add_parser(
        "plot",
        help="a spectrum in, a figure with the lines found out",
        description="Plot a spectrum with the lines that a network finds in it.",
    )
    parser.set_defaults(command=_plot)
    parser.add_argument(
        "inputs", nargs="+", metavar="FILE", help="file of spectra, or the frames of one exposure"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--row", type=int, metavar="N", help="the spectrum in this row, from 0")
    which.add_argument("--targetid", type=int, metavar="T", help="the spectrum of this TARGETID")
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="figure to write: .png, .pdf or .svg"
    )
    parser.add_argument(
        "--model",
        metavar="M",
        help="weights file, or name of a model that ships (default: the default one)",
    )
    add_criterion(parser)
    parser.add_argument(
        "--coadd",
        choices=("none", "target"),
        default="none",
        help="target: join the exposures of each TARGETID first",
    )
    parser.add_argument(
        "--spall", metavar="FILE", help="spAll file with the THING_IDs of spPlate, spCFrame files"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing OUT")


def _plot(arguments: argparse.Namespace) -> int:
    """Run ``qnet plot``."""
    from qnet.model.model import load_model
    from qnet.plotting import plot_spectrum
    from qnet.plotting.figure import check_figure_name, new_axes, require_matplotlib, save_figure

    check_figure_name(arguments.output)
    refuse_output(
        arguments.output,
        arguments.overwrite,
        [*arguments.inputs, arguments.spall, arguments.model],
        "figure",
    )
    require_matplotlib()
    model = load_model(arguments.model)
    spectra = _read(arguments)
    axes = plot_spectrum(
        spectra,
        model,
        _row(spectra, arguments),
        p_threshold=arguments.p_threshold,
        prior_qso=arguments.prior_qso,
        c_threshold=arguments.c_threshold,
        min_lines=arguments.min_lines,
        ax=new_axes(),
    )
    save_figure(axes, arguments.output, overwrite=arguments.overwrite)
    print(f"qnet: {axes.get_title()} -> {arguments.output}")
    return OK


def _read(arguments: argparse.Namespace) -> Spectra:
    """The spectra of the inputs, which are one file or one set of frames."""
    from qnet.io.reader import group_frames, read_spectra

    groups = group_frames(arguments.inputs)
    if len(groups) > 1:
        raise InputError(
            f"{groups[1][0]}: is not of one set of frames with {groups[0][0]}: give the files of "
            "one set of spectra"
        )
    paths: list[Path] = list(groups[0])
    spectra = read_spectra(paths, spall=arguments.spall)
    return spectra.coadd() if arguments.coadd == "target" else spectra


def _row(spectra: Spectra, arguments: argparse.Namespace) -> int:
    """The row that is asked for."""
    if arguments.targetid is None:
        if arguments.row is not None:
            return int(arguments.row)
        if len(spectra) == 1:
            return 0
        raise InputError(
            f"{spectra.where()}has {len(spectra)} spectra: say which with --row or --targetid"
        )
    rows = (spectra.ids["TARGETID"] == arguments.targetid).nonzero()[0].tolist()
    if not rows:
        raise InputError(f"{spectra.where()}has no spectrum of TARGETID {arguments.targetid}")
    if len(rows) > 1:
        warnings.warn(
            f"{spectra.where()}rows {', '.join(map(str, rows))} are of TARGETID "
            f"{arguments.targetid}: row {rows[0]} is shown; --coadd target joins them",
            QnetWarning,
            stacklevel=2,
        )
    return int(rows[0])
