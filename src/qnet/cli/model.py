"""The commands ``qnet model list``, ``qnet model inspect`` and ``qnet model convert``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qnet.cli import parser as shared
from qnet.cli.common import OK, refuse_output, summarise
from qnet.core.errors import InputError, printable

if TYPE_CHECKING:
    from qnet.model.architecture import RefineArchitecture
    from qnet.model.calibration import Calibration
    from qnet.model.layers import ConvLayer
    from qnet.model.model import Model
    from qnet.model.weights import WeightsFile

#: Lists and mappings whose text is longer than this are summarised.
_LONGEST = 200


def configure(add_parser: shared.AddParser) -> None:
    """Add the command and its three actions."""
    model = add_parser(
        description="List, inspect or convert weights files.",
        examples=("qnet model list", "qnet model inspect qnet"),
    )
    model.set_defaults(command=model.show_help)
    actions: Any = model.add_subparsers(title="actions", metavar="ACTION")
    text = "Print the names of the models of qnet"
    examples = ("qnet model list", "qnet classify coadd-*.fits -o old.fits --model qnet@4")
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
    own = "(default: the file's)"
    shared.add(convert, "--name", "NAME", f"name of the model {own}")
    shared.add(convert, "--model-version", "V", f"version of the model {own}", dest="version")
    shared.add(convert, "--licence", "LICENCE", f"licence of the weights {own}")
    convert.set_defaults(command=_convert)


def _list(_arguments: argparse.Namespace) -> int:
    """Run ``qnet model list``."""
    from qnet.model.shipped import DEFAULT_MODEL, shipped_models

    for name in shipped_models():
        print(name + ("  (default)" if name == DEFAULT_MODEL else ""))
    return OK


def _inspect(arguments: argparse.Namespace) -> int:
    """Run ``qnet model inspect``."""
    weights = _load(arguments).weights
    refine, calibration = weights.refine, weights.calibration
    if arguments.json:
        names = ("name", "version", "sha256", "licence", "notices")
        description = {name: getattr(weights, name) for name in names} | {
            "parameters": weights.architecture.nparameters,
            "stages": weights.stages,
            "architecture": weights.architecture.to_dict(),
            "refine": None if refine is None else refine.to_dict(),
            "calibration": None if calibration is None else calibration.to_dict(),
            "provenance": dict(weights.provenance),
        }
        print(json.dumps(description, indent=2))
        return OK
    rows = dict(_describe_lines(weights))
    if refine is not None:
        rows |= {f"refine: {name}": text for name, text in _describe_refine(refine)}
    if calibration is not None:
        rows |= _describe_calibration(calibration)
    rows |= _describe_provenance(weights.provenance)
    width = max(map(len, rows))
    for key, value in rows.items():
        print(f"{printable(key):<{width}}  {printable(value)}")
    for notice in weights.notices:
        print(f"\n{notice.rstrip()}")
    return OK


def _describe_lines(weights: WeightsFile) -> Iterator[tuple[str, str]]:
    """Rows that describe a weights file and its first stage."""
    first, bins = weights.architecture, weights.architecture.redshifts
    shift, scale = first.offset_shift, first.offset_scale
    rescale = "" if (shift, scale) == (0, 1) else f", {shift:g} + {scale:g} x"
    yield "model", f"{weights.name}@{weights.version}"
    yield "sha256", weights.sha256
    yield "licence", weights.licence or "not stated"
    yield "stages", ", ".join(weights.stages)
    yield "grid", str(first.grid)
    for name, lines in (("lines", first.lines), ("BAL lines", first.lines_bal)):
        yield name, ", ".join(f"{line} {first.rest[line]:g}" for line in lines) or "none"
    yield "boxes", str(first.nboxes)
    yield "convolutions", _convolutions(first.convs)
    yield "dense", str(first.units)
    yield "offsets", first.offset_activation + rescale
    if bins is not None:
        others = ", ".join(bins.others)
        yield "redshift head", f"{bins.nbins} bins, z {bins.z_min:g} to {bins.z_max:g}; {others}"
    yield "parameters", str(first.nparameters)


def _describe_refine(refine: RefineArchitecture) -> Iterator[tuple[str, str]]:
    """Rows that describe the second stage."""
    window = refine.window
    spans, pixels = f"{window.rest_min:g}-{window.rest_max:g}", f"{window.npooled} pixels"
    yield "grid", str(window.grid)
    yield "window", f"{spans} Angstrom at rest, {pixels} of {window.pool} each"
    yield "convolutions", _convolutions(refine.convs)
    yield "dense", str(refine.units)
    yield "passes", f"{refine.passes}, at most {refine.max_dv:g} km/s from the redshift given"
    yield "scores candidates", "yes" if refine.scores else "no"
    yield "broad absorption", "yes" if refine.bal else "no"
    yield "parameters", str(refine.nparameters)


def _describe_calibration(calibration: Calibration) -> Iterator[tuple[str, str]]:
    """Rows that describe the calibration."""
    low, high = calibration.z_range
    mix = ", ".join(f"{name} {fraction:g}" for name, fraction in calibration.mix.items())
    yield "P_QSO", f"of {', '.join(calibration.p_qso.names)}"
    yield "class mix", mix
    yield "IS_QSO", f"P_QSO > {calibration.p_threshold:g}"
    if calibration.p_bal is not None:
        yield "P_BAL", f"of {', '.join(calibration.p_bal.names)}"
        yield "IS_BAL", f"P_BAL > {calibration.p_bal_threshold:g}"
    yield "refined", f"rows of P_QSO > {calibration.refine_floor:g}"
    if calibration.p_candidate is not None:
        least, exponent = calibration.candidate_floor, calibration.fraction_exponent
        number = f"at most {calibration.candidates}, of fraction >= {least:g}"
        yield "candidates", f"{number}, by score + {exponent:g} log(fraction)"
        yield "P_QSO then", f"of {', '.join(calibration.p_candidate.names)}"
    if calibration.p_z is not None:
        yield "P_Z", f"of {', '.join(calibration.p_z.names)}"
    if calibration.evidence is not None:
        evidence = calibration.evidence
        odds, confidence = f"|ln odds| < {evidence.log_odds:g}", f"{evidence.confidence:g}"
        lines = f"at most {evidence.lines} line(s) with data, none of confidence {confidence}"
        yield "NO_EVIDENCE", f"{odds}, {lines} or more"
    yield "trained redshifts", f"{low:g} to {high:g}"
    if (density := calibration.density) is not None:
        bins = f"{len(density.z) - 1} x {len(density.r) - 1} bins"
        yield "quasar density", f"{bins} of redshift and r, r {density.r[0]:g} to {density.r[-1]:g}"
    yield "AMBIGUOUS", f"P2 > {calibration.ambiguous:g}"
    if calibration.outlier_threshold is not None:
        yield "OUTLIER", f"distance > {calibration.outlier_threshold:g}"
    for name, ranges in (("JOINT", calibration.joints), ("SKYLINE", calibration.skylines)):
        if ranges:
            yield name, ", ".join(f"{low:g}-{high:g}" for low, high in ranges) + " Angstrom"


def _describe_provenance(provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Rows that describe the training; of long values their number."""
    for key, value in provenance.items():
        text = str(value)
        if isinstance(value, (list, dict)) and len(text) > _LONGEST:
            kind = "entries" if isinstance(value, list) else "keys"
            text = f"{len(value)} {kind} (all with --json)"
        if value:
            yield key, text


def _convolutions(convs: Sequence[ConvLayer]) -> str:
    """Convolutions in words."""
    layers = (f"{conv.filters}x{conv.width}/{conv.stride} {conv.padding}" for conv in convs)
    return f"{', '.join(layers)} (filters x width / stride)"


def _convert(arguments: argparse.Namespace) -> int:
    """Run ``qnet model convert``."""
    import dataclasses

    from qnet.model.weights import write_weights

    refuse_output(arguments.output, arguments.overwrite, [arguments.model], "weights file")
    if arguments.name == "":
        raise InputError("--name must not be empty")
    own, given = _load(arguments).weights, vars(arguments)
    names = [name for name in ("name", "version", "licence") if given[name] is not None]
    weights = dataclasses.replace(own, **{name: given[name] for name in names})
    write_weights(arguments.output, weights, overwrite=arguments.overwrite)
    summarise(arguments, f"{weights.name}@{weights.version} -> {arguments.output}")
    return OK


def _load(arguments: argparse.Namespace) -> Model:
    """The model that the arguments name."""
    from qnet.model import load_model

    return load_model(arguments.model, lines=arguments.lines, lines_bal=arguments.lines_bal)
