"""The command ``qnet evaluate``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from qnet.cli import parser as shared
from qnet.cli.common import OK, refuse_output, report_failures, summarise
from qnet.core.errors import InputError


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    parser = add_parser(
        description="Compare one or several catalogues with truth: purity and completeness, "
        "redshift errors, calibration, BAL quasars; every number with its interval and definition.",
        parents=[shared.model(" for --spectra"), shared.criterion("the catalogue's own")],
        examples=(
            "qnet evaluate catalogue.fits --truth truth.fits",
            "qnet evaluate catalogue.fits pure.csv --truth truth.fits --json out.json --plots figs",
        ),
    )
    text = "catalogues of qnet, QuasarNET, DESI's afterburner, redrock or SQUEzE"
    shared.add(parser, "catalogues", "CATALOGUE", text, nargs="*")
    text = "truth tables: FITS, CSV, ECSV or Parquet"
    shared.add(parser, "--truth", "T", text, nargs="+", required=True)
    shared.truth_columns(parser)
    text = "spectra to classify first and to evaluate beside the catalogues (default: none)"
    shared.add(parser, "--spectra", "FILE", text, [], nargs="+")
    text = "files of redrock, SQUEzE or DESI's afterburners that --strategy needs (default: none)"
    shared.add(parser, "--evidence", "FILE", text, nargs="+")
    text = "quasars of redrock must have ZWARN == 0"
    parser.add_argument("--zwarn", action="store_true", help=text)
    text = "largest velocity error of a right redshift [km/s] (default: 6000)"
    shared.add(parser, "--dv-max", "V", text, type=float)
    text = "confidence level of the intervals (default: 0.95)"
    shared.add(parser, "--level", "L", text, type=float)
    shared.add(parser, "--seed", "S", "seed of the bootstrap", 0)
    text = "print all numbers with their definitions: by class, redshift, brightness and line"
    parser.add_argument("--full", action="store_true", help=text)
    shared.add(
        parser,
        "--json",
        "OUT",
        "write all numbers to this JSON file, - in place of the report (default: none)",
    )
    text = "draw figures (PNG) into this folder; needs matplotlib (default: none)"
    shared.add(parser, "--plots", "DIR", text)
    parser.add_argument("--overwrite", action="store_true", help="replace existing outputs")
    parser.set_defaults(command=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> int:
    """Run ``qnet evaluate``."""
    _check_outputs(arguments)
    from qnet.core.files import atomic_write
    from qnet.evaluation import compare

    classified, status = _classified(arguments)
    if status != OK and not classified:
        return status
    names = "strategy c_threshold min_lines p_threshold dv_max level seed"
    comparison = compare(
        [*arguments.catalogues, *classified],
        arguments.truth,
        need_zwarn=arguments.zwarn,
        evidence=arguments.evidence,
        truth_columns=shared.named(arguments.truth_columns, "--truth-columns"),
        **{
            name: value
            for name, value in shared.given(arguments, names).items()
            if value is not None
        },
    )
    to_output = arguments.json == "-"
    if to_output:
        print(comparison.to_json())
    elif arguments.full:
        print(comparison.to_text(), end="")
    else:
        print(comparison.summary(), end="")
        summarise(arguments, "--full prints all numbers with their definitions")
    if arguments.plots is not None:
        from qnet.plotting.evaluation import write_figures

        write_figures(comparison.evaluations, arguments.plots, overwrite=arguments.overwrite)
    if arguments.json is not None and not to_output:
        with atomic_write(arguments.json, overwrite=arguments.overwrite) as partial:
            partial.write_text(comparison.to_json() + "\n", encoding="utf-8")
    return status


def _classified(arguments: argparse.Namespace) -> tuple[list[Any], int]:
    """The catalogue of the spectra, where there are any, and the exit status so far."""
    if not arguments.spectra:
        if not arguments.catalogues:
            raise InputError("nothing to measure: give catalogues, --spectra, or both")
        if arguments.model is not None:
            raise InputError("--model is for --spectra, which is not given")
        return [], OK
    from qnet.classification.files import classify_files
    from qnet.classification.options import Options

    options = Options(arguments.model, progress=not arguments.quiet)
    catalogue, failures = classify_files(arguments.spectra, options)
    classified = [catalogue.to_table()] if catalogue.columns else []
    status = report_failures(failures, arguments.spectra, bool(classified), "classified")
    return classified, status


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Raise, before any work is done, if an output may not be written or would replace an input."""
    inputs = [*arguments.catalogues, *arguments.spectra, *arguments.truth, arguments.model]
    inputs += arguments.evidence or []
    if arguments.json not in (None, "-"):
        refuse_output(arguments.json, arguments.overwrite, inputs)
    if arguments.plots is None:
        return
    from qnet.plotting.evaluation import figure_paths
    from qnet.plotting.style import require_matplotlib

    require_matplotlib()
    folder = Path(arguments.plots)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, but the name of a folder was expected")
    for path in figure_paths(folder) if folder.is_dir() else ():
        refuse_output(os.fspath(path), arguments.overwrite, [*inputs, arguments.json])
