"""The command ``qnet calibrate``."""

from __future__ import annotations

import argparse

from qnet.cli import parser as shared
from qnet.cli.common import OK, count, refuse_output, summarise
from qnet.core.errors import InputError


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    parser = add_parser(
        description="Calibrate a model on spectra of known class and redshift: probabilities, "
        "errors and thresholds of flags, for whole spectra and for parts of them.",
        parents=[shared.output("weights file to write: .safetensors")],
        examples=(
            "qnet calibrate qnet --data coadd-*.fits --truth truth.fits -o own.safetensors",
            "qnet calibrate run1/best.safetensors --data sim.fits --truth sim_truth.fits "
            "-o calibrated.safetensors --name mine",
        ),
    )
    text = "weights file, or NAME or NAME@VERSION of a model of qnet"
    shared.add(parser, "model", "MODEL", text)
    text = "files of spectra in the survey's format, or prepared data"
    shared.add(parser, "--data", "FILE", text, nargs="+", required=True)
    shared.add(parser, "--truth", "FILE", "truth tables", nargs="+", required=True)
    shared.truth_columns(parser)
    text = "name of the calibrated model (default: the model's, with -calibrated)"
    shared.add(parser, "--name", "NAME", text)
    text = "version of the calibrated model (default: the model's)"
    shared.add(parser, "--model-version", "V", text, dest="version")
    shared.add(parser, "--seed", "N", "seed of the cuts of spectra, and of noise", 0)
    parser.set_defaults(command=_calibrate)


def _calibrate(arguments: argparse.Namespace) -> int:
    """Run ``qnet calibrate``."""
    from qnet.training import calibrate

    if not arguments.output.endswith(".safetensors"):
        raise InputError(f"{arguments.output}: a weights file must end in .safetensors")
    inputs = [arguments.model, *arguments.data, *arguments.truth]
    refuse_output(arguments.output, arguments.overwrite, inputs, "weights file")
    model = calibrate(
        arguments.model,
        arguments.data,
        arguments.truth,
        truth_columns=shared.named(arguments.truth_columns, "--truth-columns"),
        **shared.given(arguments, "name version seed"),
        progress=False if arguments.quiet else None,
    )
    model.save(arguments.output, overwrite=arguments.overwrite)
    made = model.weights.provenance["calibration"]
    numbers = f"{count(made['spectra'], 'spectrum')}, {count(made['quasars'], 'quasar')}"
    summarise(arguments, f"{model.name}: {numbers} -> {arguments.output}")
    return OK
