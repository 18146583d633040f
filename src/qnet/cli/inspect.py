"""The command ``qnet inspect``."""

from __future__ import annotations

import argparse
from pathlib import Path

from qnet.cli import parser as shared
from qnet.cli.common import OK, refuse_output, summarise


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    parser = add_parser(
        description="Write a page for visual inspection: one HTML file, which a browser shows "
        "without network. The page exports a table that qnet evaluate and qnet train take as "
        "truth. Needs plotly.",
        parents=[
            _catalogue(),
            shared.spectra("SPECTRA", "the files that the catalogue was made of"),
            shared.output("page to write: .html"),
            shared.model(", for redshift distributions and --explain", "that of the catalogue"),
        ],
        examples=(
            "qnet inspect catalogue.fits coadd-*.fits -o page.html",
            "qnet inspect catalogue.fits coadd.fits --other redrock.fits -n 200 -o page.html",
        ),
    )
    text = "another catalogue of the same objects, of qnet, redrock or another classifier: rows "
    shared.add(parser, "--other", "F", f"{text}that disagree come first (default: none)")
    text = "folder of redrock's templates: shows the best fits of --other (default: none)"
    shared.add(parser, "--templates", "DIR", text)
    text = "number of spectra on the page, from the head of the queue"
    shared.add(parser, "-n", "N", text, 500, dest="most")
    text = "show which pixels decided; takes a second for three spectra"
    parser.add_argument("--explain", action="store_true", help=text)
    parser.set_defaults(command=_inspect)


def _catalogue() -> argparse.ArgumentParser:
    """The catalogue, which comes before the spectra."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("catalogue", metavar="CATALOGUE", help="catalogue of qnet")
    return parent


def _inspect(arguments: argparse.Namespace) -> int:
    """Run ``qnet inspect``."""
    from qnet.inspection import inspect
    from qnet.inspection.report import check_page_name, require_plotly

    check_page_name(arguments.output)
    inputs = [arguments.catalogue, *arguments.inputs, arguments.spall, arguments.other]
    refuse_output(arguments.output, arguments.overwrite, [*inputs, arguments.model], "page")
    require_plotly()
    inspect(
        arguments.catalogue,
        arguments.inputs,
        arguments.output,
        **shared.given(arguments, "model other templates most explain coadd spall overwrite"),
        **shared.reading(arguments),
    )
    size = Path(arguments.output).stat().st_size / 1e6
    summarise(arguments, f"page of {size:.1f} MB -> {arguments.output}")
    return OK
