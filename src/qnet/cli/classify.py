"""The command ``qnet classify``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from qnet.cli.common import (
    add_criterion,
    count,
    flat,
    integers,
    refuse_output,
    report_failures,
    row_range,
)

if TYPE_CHECKING:
    from qnet.io.catalogue import Catalogue


def add_commands(commands: Any) -> None:
    """The command ``qnet classify``."""
    parser = commands.add_parser(
        "classify",
        help="spectra in, quasar catalogue out",
        description="Classify spectra and write a catalogue with a row for every input spectrum.",
    )
    parser.set_defaults(command=_classify)
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="FITS files of spectra")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="catalogue to write: .fits, .fits.gz, .csv, .ecsv or .parquet",
    )
    parser.add_argument(
        "--model", metavar="M", help="weights file, or name of a model that ships with qnet"
    )
    add_criterion(parser.add_argument_group("what is called a quasar"))
    _add_rows(
        parser.add_argument_group(
            "which rows are classified (the others stay in the catalogue, NaN and flagged)"
        )
    )
    parser.add_argument(
        "--coadd",
        choices=("none", "target"),
        default="none",
        help="target: join the exposures of each TARGETID into one row",
    )
    parser.add_argument(
        "--spall", metavar="FILE", help="spAll file with the THING_IDs of spPlate, spCFrame files"
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="processes that share the files"
    )
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="threads in each process (default: one per CPU; with workers, 1)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing OUT")


def _add_rows(group: Any) -> None:
    """Which rows are classified."""
    group.add_argument(
        "--targets", choices=("all", "qso"), default="all", help="all, or quasar targets"
    )
    group.add_argument(
        "--targetids",
        nargs="+",
        type=integers,
        metavar="T",
        help="these TARGETIDs (--targetids=-1,2 where the first is negative)",
    )
    group.add_argument(
        "--rows", nargs="+", type=row_range, metavar="R", help="these rows: 3 or 0:10,12"
    )


def _classify(arguments: argparse.Namespace) -> int:
    """Run ``qnet classify``."""
    from qnet.classification.files import classify_files
    from qnet.classification.options import Options
    from qnet.io.catalogue import write_catalogue
    from qnet.io.tables import check_format

    check_format(arguments.output, "a catalogue")
    refuse_output(
        arguments.output,
        arguments.overwrite,
        [*arguments.inputs, arguments.spall, arguments.model],
        "catalogue",
    )
    options = Options(
        arguments.model,
        p_threshold=arguments.p_threshold,
        c_threshold=arguments.c_threshold,
        min_lines=arguments.min_lines,
        prior_qso=arguments.prior_qso,
        targets=arguments.targets,
        targetids=flat(arguments.targetids, frozenset),
        rows=flat(arguments.rows, tuple),
        coadd=arguments.coadd,
        spall=arguments.spall,
        workers=arguments.workers,
        threads=arguments.threads,
        progress=True,
    )
    catalogue, failures = classify_files(arguments.inputs, options)
    status = report_failures(failures, arguments.inputs, bool(catalogue.columns), "classified")
    if not catalogue.columns:
        return status
    write_catalogue(catalogue, arguments.output, overwrite=arguments.overwrite)
    _report(catalogue, arguments, sum(len(failure.paths) for failure in failures))
    return status


def _report(catalogue: Catalogue, arguments: argparse.Namespace, failed: int) -> None:
    """Say what was found in how much, and where it is."""
    quasars, bals = (int(catalogue.columns[name].sum()) for name in ("IS_QSO", "IS_BAL"))
    print(
        f"qnet: {count(quasars, 'quasar')} ({bals} BAL) in {count(len(catalogue), 'spectrum')} "
        f"of {count(len(arguments.inputs) - failed, 'file')}"
        + (f", {count(failed, 'file')} failed" if failed else "")
        + f" -> {arguments.output}"
    )
