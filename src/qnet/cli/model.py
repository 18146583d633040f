"""The commands ``qnet model list``, ``qnet model inspect`` and ``qnet model convert``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qnet.cli import parser as shared
from qnet.cli.common import OK, refuse_output, summarise
from qnet.core.errors import InputError

if TYPE_CHECKING:
    from qnet.model.architecture import RefineArchitecture
    from qnet.model.calibration import Calibration
    from qnet.model.layers import ConvLayer
    from qnet.model.model import Model

#: Lists and mappings whose text is longer than this are summarised.
_LONGEST = 200


def configure(add_parser: shared.AddParser) -> None:
    """Add the command and its three actions."""
    model = add_parser(
        description="List, inspect or convert weights files.",
        examples=("qnet model list", "qnet model inspect qnet"),
    )
    model.set_defaults(command=shared.show_help(model))
    actions: Any = model.add_subparsers(title="actions", metavar="ACTION")
    text = "Print the names of the models of qnet"
    examples = ("qnet model list", "qnet classify coadd-*.fits -o old.fits --model qnet@1")
    listed = actions.add_parser("list", help=text, description=f"{text}.", examples=examples)
    listed.set_defaults(command=_list)

    source = argparse.ArgumentParser(add_help=False)
    source.add_argument("model", metavar="MODEL", help="weights file, or name of a model of qnet")
    for option, nargs, outputs in (("--lines", "+", "emission"), ("--lines-bal", "*", "BAL")):
        text = f"{outputs} lines of the outputs of a .h5 file (default: QuasarNET's)"
        shared.add(source, option, "LINE", text, nargs=nargs)
    text = "Print what a weights file holds"
    inspect = actions.add_parser(
        "inspect",
        help=text,
        description=f"{text}: stages, lines, calibration, a summary of its training.",
        parents=[source],
        examples=("qnet model inspect qnet", "qnet model inspect quasarnet.h5 --json"),
    )
    inspect.add_argument("--json", action="store_true", help="print everything as JSON")
    inspect.set_defaults(command=_inspect)

    text = "Write QuasarNET's .h5 as a .safetensors file"
    convert = actions.add_parser(
        "convert",
        help=text,
        description=f"{text}, which holds its own lines, rest wavelengths and grid.",
        parents=[source, shared.output("weights file to write: .safetensors")],
        examples=(
            "qnet model convert quasarnet.h5 -o quasarnet.safetensors",
            "qnet model convert quasarnet.h5 -o mine.safetensors --name mine --model-version 2",
        ),
    )
    for option, metavar, part in (
        ("--name", "NAME", "name of the model"),
        ("--model-version", "V", "version of the model"),
        ("--licence", "LICENCE", "licence of the weights"),
    ):
        shared.add(convert, option, metavar, f"{part} (default: the file's)")
    convert.set_defaults(command=_convert)


def _list(_arguments: argparse.Namespace) -> int:
    """Run ``qnet model list``."""
    from qnet.model.shipped import DEFAULT_MODEL, shipped_models

    for name in shipped_models():
        print(name + ("  (default)" if name == DEFAULT_MODEL else ""))
    return OK


def _inspect(arguments: argparse.Namespace) -> int:
    """Run ``qnet model inspect``."""
    from qnet.model import load_model

    model = load_model(arguments.model, lines=arguments.lines, lines_bal=arguments.lines_bal)
    weights = model.weights
    if arguments.json:
        calibration = weights.calibration
        description = {
            "name": weights.name,
            "version": weights.version,
            "sha256": weights.sha256,
            "licence": weights.licence,
            "notices": list(weights.notices),
            "parameters": weights.architecture.nparameters,
            "stages": list(weights.stages),
            "architecture": weights.architecture.to_dict(),
            "refine": None if weights.refine is None else weights.refine.to_dict(),
            "calibration": None if calibration is None else calibration.to_dict(),
            "provenance": dict(weights.provenance),
        }
        print(json.dumps(description, indent=2))
        return OK
    rows = dict(_describe_lines(model))
    if weights.refine is not None:
        rows |= dict(_describe_refine(weights.refine))
    if weights.calibration is not None:
        rows |= dict(_describe_calibration(weights.calibration))
    rows |= dict(_describe_making(weights.provenance))
    width = max(map(len, rows))
    for key, value in rows.items():
        print(f"{_printable(key):<{width}}  {_printable(value)}")
    for notice in weights.notices:
        print(f"\n{notice.rstrip()}")
    return OK


def _printable(text: str) -> str:
    """Text without control characters, which a file may hold."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _describe_lines(model: Model) -> Iterator[tuple[str, str]]:
    """Rows that describe a model and its first stage."""
    architecture, weights = model.architecture, model.weights
    rescale = f"{architecture.offset_shift:g} + {architecture.offset_scale:g} x"
    plain = architecture.offset_scale == 1 and architecture.offset_shift == 0
    yield "model", model.name
    yield "sha256", weights.sha256
    yield "licence", weights.licence or "not stated"
    yield "stages", ", ".join(weights.stages)
    yield "grid", str(architecture.grid)
    yield "lines", _with_rest(model.lines, model.rest)
    yield "BAL lines", _with_rest(model.lines_bal, model.rest) or "none"
    yield "boxes", str(architecture.nboxes)
    yield "convolutions", _convolutions(architecture.convs)
    yield "dense", str(architecture.units)
    yield "offsets", architecture.offset_activation + ("" if plain else f", {rescale}")
    if (bins := architecture.redshifts) is not None:
        others = ", ".join(bins.others)
        yield "redshift head", f"{bins.nbins} bins, z {bins.z_min:g} to {bins.z_max:g}; {others}"
    yield "parameters", str(architecture.nparameters)


def _describe_refine(refine: RefineArchitecture) -> Iterator[tuple[str, str]]:
    """Rows that describe the second stage."""
    window = refine.window
    yield "refine: grid", str(window.grid)
    yield (
        "refine: window",
        f"{window.rest_min:g}-{window.rest_max:g} Angstrom at rest, {window.npooled} pixels of "
        f"{window.pool} each",
    )
    yield "refine: convolutions", _convolutions(refine.convs)
    yield "refine: dense", str(refine.units)
    yield (
        "refine: passes",
        f"{refine.passes}, at most {refine.max_dv:g} km/s from the redshift given",
    )
    yield "refine: scores candidates", "yes" if refine.scores else "no"
    yield "refine: broad absorption", "yes" if refine.bal else "no"
    yield "refine: parameters", str(refine.nparameters)


def _describe_calibration(calibration: Calibration) -> Iterator[tuple[str, str]]:
    """Rows that describe the calibration."""
    low, high = calibration.z_range
    yield "P_QSO", f"of {', '.join(calibration.p_qso.names)}"
    yield (
        "class mix",
        ", ".join(f"{name} {fraction:g}" for name, fraction in calibration.mix.items()),
    )
    yield "IS_QSO", f"P_QSO > {calibration.p_threshold:g}"
    if calibration.p_bal is not None:
        yield "P_BAL", f"of {', '.join(calibration.p_bal.names)}"
        yield "IS_BAL", f"P_BAL > {calibration.p_bal_threshold:g}"
    yield "refined", f"rows of P_QSO > {calibration.refine_floor:g}"
    if calibration.p_candidate is not None:
        yield (
            "candidates",
            f"at most {calibration.candidates}, of fraction >= {calibration.candidate_floor:g}, by "
            f"score + {calibration.fraction_exponent:g} log(fraction)",
        )
        yield "P_QSO then", f"of {', '.join(calibration.p_candidate.names)}"
    yield "trained redshifts", f"{low:g} to {high:g}"
    yield "AMBIGUOUS", f"P2 > {calibration.ambiguous:g}"
    if calibration.outlier_threshold is not None:
        yield "OUTLIER", f"distance > {calibration.outlier_threshold:g}"
    for name, ranges in (("JOINT", calibration.joints), ("SKYLINE", calibration.skylines)):
        if ranges:
            spans = ", ".join(f"{first:g}-{last:g}" for first, last in ranges)
            yield name, f"{spans} Angstrom"


def _describe_making(provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Rows that describe the making of the weights; of long values their number."""
    for key, value in provenance.items():
        text = str(value)
        if isinstance(value, (list, dict)) and len(text) > _LONGEST:
            kind = "entries" if isinstance(value, list) else "keys"
            text = f"{len(value)} {kind} (all with --json)"
        if value:
            yield key, text


def _convert(arguments: argparse.Namespace) -> int:
    """Run ``qnet model convert``."""
    import dataclasses

    from qnet.model import load_model
    from qnet.model.weights import write_weights

    refuse_output(arguments.output, arguments.overwrite, [arguments.model], "weights file")
    if arguments.name == "":
        raise InputError("--name must not be empty")
    model = load_model(arguments.model, lines=arguments.lines, lines_bal=arguments.lines_bal)
    given = {
        "name": arguments.name,
        "version": arguments.model_version,
        "licence": arguments.licence,
    }
    weights = dataclasses.replace(
        model.weights, **{key: value for key, value in given.items() if value is not None}
    )
    write_weights(arguments.output, weights, overwrite=arguments.overwrite)
    summarise(arguments, f"{weights.name}@{weights.version} -> {arguments.output}")
    return OK


def _with_rest(lines: Sequence[str], rest: Any) -> str:
    """Lines with their rest wavelengths."""
    return ", ".join(f"{line} {rest[line]:g}" for line in lines)


def _convolutions(convs: Sequence[ConvLayer]) -> str:
    """Convolutions in words."""
    layers = ", ".join(
        f"{conv.filters}x{conv.width}/{conv.stride} {conv.padding}" for conv in convs
    )
    return f"{layers} (filters x width / stride)"
