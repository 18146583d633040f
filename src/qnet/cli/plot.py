"""The command ``qnet plot``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from qnet.cli import parser as shared
from qnet.cli.common import OK, refuse_output, summarise
from qnet.core.errors import InputError, warn

if TYPE_CHECKING:
    from qnet.core.spectra import Spectra


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    parser = add_parser(
        description="Draw a spectrum and the lines that a network finds in it. Needs matplotlib.",
        parents=[
            shared.spectra("FILE", "file of spectra, or the frames of one exposure"),
            shared.output("figure to write: .png, .pdf or .svg", stdout_suffix=".png"),
            shared.model(),
            shared.criterion(),
        ],
        examples=(
            "qnet plot spec-7102-56666-0129.fits -o spectrum.png",
            "qnet plot coadd.fits --row 3 -o row.pdf --c-threshold 0.8",
        ),
    )
    which = parser.add_mutually_exclusive_group()
    text = "row of the spectrum, from 0 (default: the only one)"
    shared.add(which, "--row", "N", text, type=int)
    text = "TARGETID of the spectrum (default: see --row)"
    shared.add(which, "--targetid", "T", text, type=int)
    text = "add a panel that shows which pixels decided on class and redshift"
    parser.add_argument("--explain", action="store_true", help=text)
    parser.set_defaults(command=_plot)


def _plot(arguments: argparse.Namespace) -> int:
    """Run ``qnet plot``."""
    from qnet.model import load_model
    from qnet.plotting import new_axes, plot_explanation, plot_spectrum, save_figure
    from qnet.plotting.figure import check_figure_name, new_panels
    from qnet.plotting.style import require_matplotlib

    check_figure_name(arguments.output)
    inputs = [*arguments.inputs, arguments.spall, arguments.model]
    refuse_output(arguments.output, arguments.overwrite, inputs, "figure")
    require_matplotlib()
    model = load_model(arguments.model)
    spectra = _read(arguments)
    row, criterion = _row(spectra, arguments), shared.criterion_options(arguments)
    axes = new_panels((5, 2)) if arguments.explain else [new_axes()]
    title = plot_spectrum(spectra, model, row, **criterion, ax=axes[0]).get_title()
    if arguments.explain:
        axes[0].set_xlabel("")
        plot_explanation(spectra, model, row, prior=arguments.prior, ax=axes[1])
    save_figure(axes[0], arguments.output, overwrite=arguments.overwrite)
    summarise(arguments, f"{title.replace(chr(10), ': ')} -> {arguments.output}")
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
    spectra = read_spectra(groups[0], spall=arguments.spall, **shared.reading(arguments))
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
        warn(
            f"{spectra.where()}rows {', '.join(map(str, rows))} are of TARGETID "
            f"{arguments.targetid}: row {rows[0]} is shown; --coadd target joins them"
        )
    return int(rows[0])
