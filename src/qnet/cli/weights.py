"""The commands ``qnet model list``, ``qnet model inspect`` and ``qnet model convert``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qnet.cli.common import OK, refuse_output
from qnet.core.errors import InputError

if TYPE_CHECKING:
    from qnet.model.architecture import RefineArchitecture
    from qnet.model.calibration import Calibration
    from qnet.model.layers import ConvLayer
    from qnet.model.model import Model

#: Lists and mappings whose text is longer than this are summed up.
_LONGEST = 200


def add_commands(commands: Any) -> None:
    """The commands ``qnet model list``, ``qnet model inspect`` and ``qnet model convert``."""
    model = commands.add_parser("model", help="look at or convert weights files")
    actions = model.add_subparsers(title="actions", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="print the models that ship with qnet")
    listed.set_defaults(command=_list)
    inspect = actions.add_parser("inspect", help="print what a weights file holds")
    inspect.set_defaults(command=_inspect)
    inspect.add_argument("--json", action="store_true", help="print JSON")
    convert = actions.add_parser(
        "convert", help="write QuasarNET's .h5 as a self-describing .safetensors file"
    )
    convert.set_defaults(command=_convert)
    convert.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="file to write, .safetensors"
    )
    convert.add_argument("--name", help="name of the model (default: the file's)")
    convert.add_argument("--model-version", metavar="V", help="version of the model")
    convert.add_argument("--licence", help="licence of the weights")
    convert.add_argument("--overwrite", action="store_true", help="replace an existing OUT")
    for parser in (inspect, convert):
        parser.add_argument(
            "model", metavar="MODEL", help="weights file, or name of a model that ships with qnet"
        )
        parser.add_argument(
            "--lines", nargs="+", metavar="LINE", help="emission lines of a .h5 file's outputs"
        )
        parser.add_argument(
            "--lines-bal", nargs="*", metavar="LINE", help="BAL lines of a .h5 file's outputs"
        )


def _list(_arguments: argparse.Namespace) -> int:
    """Run ``qnet model list``."""
    from qnet.model.shipped import DEFAULT_MODEL, shipped_models

    models = shipped_models()
    for model in models:
        print(model.label + ("  (default)" if model.label == DEFAULT_MODEL else ""))
    if not models:
        print("no weights ship with this version of qnet")
    return OK


def _inspect(arguments: argparse.Namespace) -> int:
    """Run ``qnet model inspect``."""
    from qnet.model.model import load_model

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
    rows |= dict(_summarise(weights.provenance))
    width = max(map(len, rows))
    for key, value in rows.items():
        print(f"{_printable(key):<{width}}  {_printable(value)}")
    for notice in weights.notices:
        print(f"\n{notice.rstrip()}")
    return OK


def _printable(text: str) -> str:
    """Text without what would steer a terminal: a file may hold anything."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _describe_lines(model: Model) -> Iterator[tuple[str, str]]:
    """What ``qnet model inspect`` prints of a model and its first stage."""
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
    """What it prints of the second stage."""
    window = refine.window
    yield "refine: grid", str(window.grid)
    yield (
        "refine: window",
        f"{window.rest_min:g}-{window.rest_max:g} Angstrom at rest, {window.npooled} pixels of "
        f"{window.pool} each",
    )
    yield "refine: convolutions", _convolutions(refine.convs)
    yield "refine: dense", str(refine.units)
    yield "refine: passes", f"{refine.passes}, at most {refine.max_dv:g} km/s from the guess"
    yield "refine: scores candidates", "yes" if refine.scores else "no"
    yield "refine: broad absorption", "yes" if refine.bal else "no"
    yield "refine: parameters", str(refine.nparameters)


def _describe_calibration(calibration: Calibration) -> Iterator[tuple[str, str]]:
    """What it prints of the calibration."""
    low, high = calibration.z_range
    yield "P_QSO", f"of {', '.join(calibration.p_qso.names)}"
    yield "class mix", ", ".join(f"{name} {share:g}" for name, share in calibration.mix.items())
    yield "IS_QSO", f"P_QSO > {calibration.p_threshold:g}"
    if calibration.p_bal is not None:
        yield "P_BAL", f"of {', '.join(calibration.p_bal.names)}"
        yield "IS_BAL", f"P_BAL > {calibration.p_bal_threshold:g}"
    yield "refined", f"rows of P_QSO > {calibration.refine_floor:g}"
    if calibration.p_candidate is not None:
        yield (
            "candidates",
            f"at most {calibration.candidates}, of share >= {calibration.candidate_floor:g}, by "
            f"score + {calibration.fraction_exponent:g} log(share)",
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


def _summarise(provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What it prints of what made the weights: short values whole, of long ones how many."""
    for key, value in provenance.items():
        text = str(value)
        if isinstance(value, (list, dict)) and len(text) > _LONGEST:
            kind = "entries" if isinstance(value, list) else "keys"
            text = f"{len(value)} {kind} (whole with --json)"
        if value:
            yield key, text


def _convert(arguments: argparse.Namespace) -> int:
    """Run ``qnet model convert``."""
    import dataclasses

    from qnet.model.model import load_model
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
    print(f"qnet: {weights.name}@{weights.version} -> {arguments.output}")
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
