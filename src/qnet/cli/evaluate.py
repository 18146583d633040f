"""The command ``qnet evaluate``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from qnet.cli.common import OK, refuse_output, report_failures
from qnet.core.errors import InputError


def add_commands(commands: Any) -> None:
    """The command ``qnet evaluate``."""
    parser = commands.add_parser(
        "evaluate",
        help="catalogues against truth: purity, completeness, redshift errors",
        description=(
            "Measure one or several catalogues against truth: purity and completeness, redshift "
            "errors, calibration, BAL quasars; every number with its interval and definition."
        ),
    )
    parser.set_defaults(command=_evaluate)
    parser.add_argument(
        "catalogues",
        nargs="*",
        metavar="CATALOGUE",
        help="catalogues of qnet, QuasarNET, DESI's afterburner, redrock or SQUEzE",
    )
    parser.add_argument(
        "--truth", nargs="+", required=True, metavar="T", help="truth tables: FITS or CSV"
    )
    parser.add_argument(
        "--spectra",
        nargs="+",
        default=[],
        metavar="FILE",
        help="spectra to classify first, and to measure beside the catalogues",
    )
    parser.add_argument("--model", metavar="M", help="model for --spectra (default: qnet's own)")
    criterion = parser.add_argument_group(
        "what is called a quasar (default: the catalogue's own rule)"
    )
    criterion.add_argument(
        "--c-threshold", type=float, metavar="C", help="lines of confidence above C"
    )
    criterion.add_argument("--min-lines", type=int, metavar="N", help="at least N such lines")
    criterion.add_argument("--p-threshold", type=float, metavar="P", help="P_QSO or PROB above P")
    criterion.add_argument(
        "--zwarn", action="store_true", help="redrock: a quasar needs ZWARN == 0 too"
    )
    parser.add_argument(
        "--dv-max",
        type=float,
        metavar="V",
        help="largest velocity error of a right redshift [km/s] (default 6000)",
    )
    parser.add_argument(
        "--level", type=float, metavar="L", help="confidence level of the intervals (default 0.95)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the bootstrap (default 0)")
    parser.add_argument("--json", metavar="OUT", help="write all numbers as JSON")
    parser.add_argument("--plots", metavar="DIR", help="draw figures (PNG) into this folder")
    parser.add_argument("--overwrite", action="store_true", help="replace existing outputs")


def _evaluate(arguments: argparse.Namespace) -> int:
    """Run ``qnet evaluate``."""
    _check_outputs(arguments)
    from qnet.core.files import atomic_write
    from qnet.evaluation import compare

    classified, status = _classified(arguments)
    if status != OK and not classified:
        return status
    given = {"dv_max": arguments.dv_max, "level": arguments.level, "seed": arguments.seed}
    comparison = compare(
        [*arguments.catalogues, *classified],
        arguments.truth,
        c_threshold=arguments.c_threshold,
        min_lines=arguments.min_lines,
        p_threshold=arguments.p_threshold,
        need_zwarn=arguments.zwarn,
        **{name: value for name, value in given.items() if value is not None},
    )
    print(comparison.to_text(), end="")
    if arguments.plots is not None:
        from qnet.plotting.evaluation import write_figures

        write_figures(comparison.evaluations, arguments.plots, overwrite=arguments.overwrite)
    if arguments.json is not None:
        with atomic_write(arguments.json, overwrite=arguments.overwrite) as partial:
            partial.write_text(comparison.to_json() + "\n", encoding="utf-8")
    return status


def _classified(arguments: argparse.Namespace) -> tuple[list[Any], int]:
    """The catalogue of the spectra, where there are any, and the exit status that is left."""
    if not arguments.spectra:
        if not arguments.catalogues:
            raise InputError("nothing to measure: give catalogues, --spectra, or both")
        if arguments.model is not None:
            raise InputError("--model is for --spectra, which is not given")
        return [], OK
    from qnet.classification.files import classify_files
    from qnet.classification.options import Options

    options = Options(arguments.model, progress=True)
    catalogue, failures = classify_files(arguments.spectra, options)
    classified = [catalogue.to_table()] if catalogue.columns else []
    status = report_failures(failures, arguments.spectra, bool(classified), "classified")
    return classified, status


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Raise, before any work is done, if an output may not be written or would replace an input."""
    inputs = [*arguments.catalogues, *arguments.spectra, *arguments.truth, arguments.model]
    if arguments.json is not None:
        refuse_output(arguments.json, arguments.overwrite, inputs)
    if arguments.plots is None:
        return
    from qnet.plotting.evaluation import figure_paths
    from qnet.plotting.figure import require_matplotlib

    require_matplotlib()
    if not arguments.plots:
        raise InputError("--plots must be the name of a folder, and is empty")
    folder = Path(arguments.plots)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, but the name of a folder was expected")
    for path in figure_paths(folder):
        if folder.is_dir():
            refuse_output(os.fspath(path), arguments.overwrite, [*inputs, arguments.json])
