"""The commands ``qnet model``: ``list``, ``inspect``, ``card``, ``convert`` and ``export``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from qnet.cli import parser as shared
from qnet.cli.common import OK, print_json, refuse_output, summarise
from qnet.core.errors import InputError, printable

if TYPE_CHECKING:
    from qnet.model.model import Model


def configure(add_parser: shared.AddParser) -> None:
    """Add the command and its actions."""
    model = add_parser(
        description="List, inspect, describe, convert or export weights files.",
        examples=("qnet model list", "qnet model inspect qnet"),
    )
    model.set_defaults(command=model.show_help)
    actions: Any = model.add_subparsers(title="actions", metavar="ACTION")
    examples = ("qnet model list", "qnet classify coadd-*.fits -o old.fits --model qnet@4")
    text = "Print the names of the models of qnet"
    listed = shared.action(actions, "list", text, examples=examples)
    listed.set_defaults(command=_list)

    source = argparse.ArgumentParser(add_help=False)
    source.add_argument("model", metavar="MODEL", help="weights file, or name of a model of qnet")
    for option, nargs, outputs in (("--lines", "+", "emission"), ("--lines-bal", "*", "BAL")):
        text = f"{outputs} lines of the outputs of a .h5 file (default: QuasarNET's)"
        shared.add(source, option, "LINE", text, nargs=nargs)
    inspect = shared.action(
        actions,
        "inspect",
        "Print what a weights file holds",
        ": stages, lines, calibration, a summary of its training",
        parents=[source],
        examples=("qnet model inspect qnet", "qnet model inspect quasarnet.h5 --json"),
    )
    shared.as_json(inspect)
    inspect.set_defaults(command=_inspect)

    card = shared.action(
        actions,
        "card",
        "Print the model card of a weights file",
        ": YAML metadata and Markdown, as model hubs show it",
        parents=[source],
        examples=("qnet model card qnet", "qnet model card mine.safetensors"),
    )
    card.set_defaults(command=_card)

    _configure_convert(actions, source)
    _configure_export(actions)


def _configure_convert(actions: Any, source: argparse.ArgumentParser) -> None:
    """Add ``qnet model convert``."""
    convert = shared.action(
        actions,
        "convert",
        "Write QuasarNET's .h5 as a .safetensors file",
        ", which holds its own lines, rest wavelengths and grid",
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


def _configure_export(actions: Any) -> None:
    """Add ``qnet model export``."""
    export = shared.action(
        actions,
        "export",
        "Write the networks of a model as ONNX files",
        ": the first stage, and the second beside it",
        parents=[shared.model()],
        examples=("qnet model export qnet.onnx", "qnet model export mine.onnx --model mine.h5"),
    )
    export.add_argument("output", metavar="OUT", help="file to write: .onnx")
    export.add_argument("--overwrite", action="store_true", help="replace existing files")
    export.set_defaults(command=_export)


def _list(_arguments: argparse.Namespace) -> int:
    """Run ``qnet model list``."""
    from qnet.model.shipped import DEFAULT_MODEL, shipped_models

    for name in shipped_models():
        print(name + ("  (default)" if name == DEFAULT_MODEL else ""))
    return OK


def _inspect(arguments: argparse.Namespace) -> int:
    """Run ``qnet model inspect``."""
    from qnet.model.description import describe

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
        return print_json(description)
    rows = describe(weights)
    width = max(map(len, rows))
    for key, value in rows.items():
        print(f"{printable(key):<{width}}  {printable(value)}")
    for notice in weights.notices:
        print(f"\n{notice.rstrip()}")
    return OK


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


def _card(arguments: argparse.Namespace) -> int:
    """Run ``qnet model card``."""
    print(_load(arguments).card(), end="")
    return OK


def _export(arguments: argparse.Namespace) -> int:
    """Run ``qnet model export``."""
    from qnet.model import load_model

    model = load_model(arguments.model)
    paths = model.to_onnx(arguments.output, overwrite=arguments.overwrite)
    summarise(arguments, f"{model.name} -> {', '.join(map(str, paths))}")
    return OK


def _load(arguments: argparse.Namespace) -> Model:
    """The model that the arguments name."""
    from qnet.model import load_model

    return load_model(arguments.model, **shared.given(arguments, "lines lines_bal"))
