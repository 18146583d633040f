"""The command ``qnet classify``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from qnet.cli import parser as shared
from qnet.cli.common import count, files_done, refuse_output, report_failures, summarise
from qnet.core.errors import FileError, InputError
from qnet.core.exports import EXPORTS, check_export

if TYPE_CHECKING:
    from qnet.io.catalogue import Catalogue


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    parser = add_parser(
        description="Classify spectra and write a catalogue with a row for every input spectrum.",
        parents=[
            shared.spectra(),
            shared.output(
                "catalogue to write: .fits, .fits.gz, .csv, .ecsv or .parquet", stdout_suffix=".csv"
            ),
            shared.model(),
            shared.criterion(),
            shared.chosen_rows(),
        ],
        examples=(
            "qnet classify coadd-*.fits -o catalogue.fits",
            "qnet classify spec-*.fits -o pure.csv --p-threshold 0.9 --workers 2",
        ),
    )
    text = "format of OUT, see qnet export (default: qnet's catalogue, by the suffix)"
    shared.add(parser, "--to", tuple(EXPORTS), text)
    text = "also write redshift distributions to this file: .fits or .parquet (default: none)"
    shared.add(parser, "--pz", "FILE", text)
    shared.add(parser, "--workers", "N", "number of processes", 1)
    text = "threads in each process (default: one per CPU, divided among the workers)"
    shared.add(parser, "--threads", "N", text, type=int)
    parser.set_defaults(command=_classify)


def _classify(arguments: argparse.Namespace) -> int:
    """Run ``qnet classify``."""
    from qnet.classification.files import classify_files
    from qnet.classification.options import Options
    from qnet.io.options import ReadOptions
    from qnet.io.pz import check_pz_format, write_pz
    from qnet.io.tables import check_format

    if arguments.to is None:
        check_format(arguments.output, "a catalogue without --to")
    elif getattr(arguments, "piped", False) and ".csv" not in EXPORTS[arguments.to].suffixes:
        raise InputError(
            f"--to {arguments.to}: standard output takes csv only: give -o the name of a file"
        )
    else:
        check_export(arguments.to, arguments.output)
    inputs = [*arguments.inputs, arguments.spall, arguments.model]
    refuse_output(arguments.output, arguments.overwrite, inputs, "catalogue")
    if arguments.to is not None:
        refuse_output(_own_name(arguments.output), arguments.overwrite, inputs, "catalogue")
    if arguments.pz is not None:
        check_pz_format(arguments.pz)
        what = "file of redshift distributions"
        refuse_output(arguments.pz, arguments.overwrite, [*inputs, arguments.output], what)
    options = Options(
        arguments.model,
        **shared.classification_options(arguments),
        reading=ReadOptions(**shared.reading(arguments)),
        **shared.given(arguments, "workers threads"),
        progress=not arguments.quiet,
        pz=arguments.pz is not None,
    )
    catalogue, failures = classify_files(arguments.inputs, options, apart=True)
    status = report_failures(failures, arguments.inputs, bool(catalogue.columns), "classified")
    if not catalogue.columns:
        return status
    try:
        _write(catalogue, arguments)
    finally:
        if arguments.pz is not None:
            write_pz(catalogue, arguments.pz, overwrite=arguments.overwrite)
    quasars, bals = (int(catalogue.columns[name].sum()) for name in ("IS_QSO", "IS_BAL"))
    summarise(
        arguments,
        f"{count(quasars, 'quasar')} ({bals} BAL) in {count(len(catalogue), 'spectrum')} of "
        f"{files_done(arguments.inputs, failures)} -> {arguments.output}",
    )
    return status


def _write(catalogue: Catalogue, arguments: argparse.Namespace) -> None:
    """Write the catalogue; as qnet's own, under another name, where it lacks what `to` needs."""
    from qnet.io.catalogue import write_catalogue
    from qnet.io.exports.writing import export

    output, overwrite = arguments.output, arguments.overwrite
    if arguments.to is None:
        write_catalogue(catalogue, output, overwrite=overwrite)
        return
    try:
        export(catalogue, output, to=arguments.to, overwrite=overwrite)
    except (InputError, FileError) as error:
        own = write_catalogue(catalogue, _own_name(output), overwrite=overwrite)
        raise type(error)(f"{error}; qnet's own catalogue is in {own}") from error


def _own_name(output: str) -> str:
    """File of qnet's own catalogue where that of another program cannot be written."""
    return f"{output}.qnet.fits"
