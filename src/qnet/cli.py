"""The command ``qnet``. Each command's code is imported when it is called."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from qnet._version import __version__
from qnet.errors import FileError, InputError, QnetError

#: Exit statuses: all done; some or all input failed; the command line or an option is wrong.
OK, FAILED, USAGE = 0, 1, 2

#: Exit status after an interrupt, as shells have it.
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process when None.

    Returns
    -------
    int
        Exit status: 0, 1 (some input failed, the rest is written), 2 (usage), 130 (interrupted).
    """
    arguments = _parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO if arguments.verbose else logging.CRITICAL + 1,
        format="qnet: %(message)s",
    )
    command: Callable[[argparse.Namespace], int] = arguments.command
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            return command(arguments)
        except FileError as error:
            _complain(error)
            return FAILED
        except QnetError as error:
            _complain(error)
            return USAGE
        except KeyboardInterrupt:
            _complain("interrupted; no output was written")
            return INTERRUPTED
        except BrokenPipeError:
            # The reader of the output went away: nothing is left to say, nor to flush at exit.
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            return FAILED
        except OSError as error:
            _complain(error)
            return FAILED


class _Parser(argparse.ArgumentParser):
    """A parser for which blank lines of an argument file are no arguments."""

    def convert_arg_line_to_args(self, arg_line: str) -> list[str]:
        """Argument of a line."""
        return [arg_line.strip()] if arg_line.strip() else []


def _parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _Parser(
        prog="qnet",
        description="Find quasars and their redshifts in survey spectra.",
        epilog="An argument @FILE is replaced by the lines of FILE.",
        fromfile_prefix_chars="@",
    )
    parser.add_argument("--version", action="version", version=f"qnet {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="say what is being done")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_classify(commands)
    _add_model(commands)
    return parser


def _add_classify(commands: Any) -> None:
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
    parser.add_argument("--model", metavar="M", help="weights file")
    rule = parser.add_argument_group("what is called a quasar")
    rule.add_argument("--p-threshold", type=float, metavar="P", help="P_QSO above P")
    rule.add_argument(
        "--c-threshold", type=float, metavar="C", help="lines of confidence above C (default 0.5)"
    )
    rule.add_argument(
        "--min-lines", type=int, metavar="N", help="at least N such lines (default 1)"
    )
    rows = parser.add_argument_group(
        "which rows are classified (the others stay in the catalogue, NaN and flagged)"
    )
    rows.add_argument(
        "--targets", choices=("all", "qso"), default="all", help="all, or quasar targets"
    )
    rows.add_argument("--targetids", nargs="+", type=_integers, metavar="T", help="these TARGETIDs")
    rows.add_argument(
        "--rows", nargs="+", type=_row_range, metavar="R", help="these rows: 3 or 0:10"
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
    parser.add_argument("--overwrite", action="store_true", help="replace an existing OUT")


def _add_model(commands: Any) -> None:
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


def _classify(arguments: argparse.Namespace) -> int:
    """Run ``qnet classify``."""
    from qnet.answers import choose_rule
    from qnet.io.boss import read_spall
    from qnet.io.catalogue import write_catalogue
    from qnet.model import load_model
    from qnet.survey import Selection, classify_files

    _check_output(arguments)
    model = load_model(arguments.model)
    rule = choose_rule(
        model,
        p_threshold=arguments.p_threshold,
        c_threshold=arguments.c_threshold,
        min_lines=arguments.min_lines,
    )
    selection = Selection(
        targets=arguments.targets,
        targetids=_flat(arguments.targetids, frozenset),
        rows=_flat(arguments.rows, tuple),
        coadd=arguments.coadd,
    )
    spall = None if arguments.spall is None else read_spall(arguments.spall)[1]
    catalogue, failures = classify_files(
        arguments.inputs,
        model,
        rule,
        selection,
        spall=spall,
        workers=arguments.workers,
        progress=True,
    )
    for failure in failures:
        _complain(failure.error)
    if not catalogue.columns:
        _complain(f"none of the {_count(len(arguments.inputs), 'input')} could be classified")
        return FAILED
    write_catalogue(catalogue, arguments.output, overwrite=arguments.overwrite)
    failed = sum(len(failure.paths) for failure in failures)
    quasars, bals = (int(catalogue.columns[name].sum()) for name in ("IS_QSO", "IS_BAL"))
    print(
        f"qnet: {_count(quasars, 'quasar')} ({bals} BAL) in {_count(len(catalogue), 'spectrum')} "
        f"of {_count(len(arguments.inputs) - failed, 'file')}"
        + (f", {_count(failed, 'file')} failed" if failed else "")
        + f" -> {arguments.output}"
    )
    return FAILED if failures else OK


def _check_output(arguments: argparse.Namespace) -> None:
    """Raise, before any work is done, if the output cannot be written or would replace an input."""
    from qnet.files import check_output
    from qnet.io.catalogue import check_format

    check_format(arguments.output)
    try:
        check_output(arguments.output, arguments.overwrite)
    except FileError as error:
        raise InputError(str(error)) from error
    inputs = [*arguments.inputs, *(path for path in (arguments.spall, arguments.model) if path)]
    if os.path.realpath(arguments.output) in map(os.path.realpath, inputs):
        raise InputError(f"{arguments.output}: is an input: give the catalogue another name")


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


def _count(number: int, noun: str) -> str:
    """A number and its noun."""
    plural = "spectra" if noun == "spectrum" else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def _with_rest(lines: Sequence[str], rest: Any) -> str:
    """Lines with their rest wavelengths."""
    return ", ".join(f"{line} {rest[line]:g}" for line in lines)


def _integers(text: str) -> list[int]:
    """One integer or several joined by commas."""
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer") from error
    if not numbers:
        raise argparse.ArgumentTypeError(f"{text!r} holds no integer")
    return numbers


def _row_range(text: str) -> list[int]:
    """A row, several joined by commas, or a range start:stop."""
    if ":" not in text:
        return _integers(text)
    try:
        start, stop = (int(part) for part in text.split(":"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a range of rows: expected start:stop"
        ) from error
    if not 0 <= start < stop:
        raise argparse.ArgumentTypeError(f"{text!r} is an empty range of rows")
    return list(range(start, stop))


def _flat(lists: list[list[int]] | None, kind: Callable[[list[int]], Any]) -> Any:
    """Lists of integers as one collection; None stays None."""
    return None if lists is None else kind([value for part in lists for value in part])


def _complain(message: object) -> None:
    """Print an error, one line."""
    print(f"qnet: error: {' '.join(str(message).split())}", file=sys.stderr)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning, one line."""
    print(f"qnet: warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
