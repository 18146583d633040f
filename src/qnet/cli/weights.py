"""The commands ``qnet model inspect`` and ``qnet model convert``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from qnet.cli.common import OK


def add_commands(commands: Any) -> None:
    """The commands ``qnet model inspect`` and ``qnet model convert``."""
    model = commands.add_parser("model", help="look at or convert weights files")
    actions = model.add_subparsers(title="actions", required=True, metavar="ACTION")
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
        parser.add_argument("model", metavar="MODEL", help="weights file")
        parser.add_argument(
            "--lines", nargs="+", metavar="LINE", help="emission lines of a .h5 file's outputs"
        )
        parser.add_argument(
            "--lines-bal", nargs="*", metavar="LINE", help="BAL lines of a .h5 file's outputs"
        )


def _inspect(arguments: argparse.Namespace) -> int:
    """Run ``qnet model inspect``."""
    from qnet.model import load_model

    model = load_model(arguments.model, lines=arguments.lines, lines_bal=arguments.lines_bal)
    architecture, weights = model.architecture, model.weights
    if arguments.json:
        description = {
            "name": weights.name,
            "version": weights.version,
            "sha256": weights.sha256,
            "licence": weights.licence,
            "notices": list(weights.notices),
            "parameters": architecture.nparameters,
            "architecture": architecture.to_dict(),
            "provenance": dict(weights.provenance),
        }
        print(json.dumps(description, indent=2))
        return OK
    convolutions = ", ".join(
        f"{conv.filters}x{conv.width}/{conv.stride} {conv.padding}" for conv in architecture.convs
    )
    rescale = f"{architecture.offset_shift:g} + {architecture.offset_scale:g} x"
    plain = architecture.offset_scale == 1 and architecture.offset_shift == 0
    rows = {
        "model": model.name,
        "sha256": weights.sha256,
        "licence": weights.licence or "not stated",
        "grid": str(architecture.grid),
        "lines": _with_rest(model.lines, model.rest),
        "BAL lines": _with_rest(model.lines_bal, model.rest) or "none",
        "boxes": str(architecture.nboxes),
        "convolutions": f"{convolutions} (filters x width / stride)",
        "dense": str(architecture.units),
        "offsets": architecture.offset_activation + ("" if plain else f", {rescale}"),
        "parameters": str(architecture.nparameters),
    }
    rows |= {key: str(value) for key, value in weights.provenance.items() if value}
    width = max(map(len, rows))
    for key, value in rows.items():
        print(f"{key:<{width}}  {value}")
    return OK


def _convert(arguments: argparse.Namespace) -> int:
    """Run ``qnet model convert``."""
    import dataclasses

    from qnet.model import load_model
    from qnet.weights import write_weights

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
