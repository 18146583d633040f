"""Parser of the command line, and the options that several commands share."""

from __future__ import annotations

import argparse
import difflib
import functools
import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from qnet.cli.common import OK
from qnet.core.errors import InputError, reason

#: Page of the documentation that describes the commands.
DOCUMENTATION = "docs/reference/cli.md"

#: Rows that a range may name: more than any file has.
_MOST_ROWS = 10_000_000


class Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Help with defaults as they are typed, where there are any, and lines of examples kept."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.nargs == 0 or action.default in (None, "", [], argparse.SUPPRESS):
            return action.help
        if isinstance(action.default, tuple):
            return f"{action.help} (default: {' '.join(map(str, action.default))})"
        return super()._get_help_string(action)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """A parser that suggests what a mistyped command or option may mean."""

    def __init__(
        self,
        *,
        parents: Sequence[argparse.ArgumentParser] = (),
        examples: Sequence[str] = (),
        note: str = "",
        **options: Any,
    ) -> None:
        super().__init__(formatter_class=Formatter, parents=[*parents, verbosity()], **options)
        section = "" if self.prog == "qnet" else f", section {self.prog}"
        shown = "".join(f"  {line}\n" for line in examples)
        self.epilog = f"examples:\n{shown}\n{note}documentation: {DOCUMENTATION}{section}"

    def show_help(self, _arguments: argparse.Namespace) -> int:
        """Print the help: what is run when no command is named."""
        self.print_help()
        return OK

    def convert_arg_line_to_args(self, arg_line: str) -> list[str]:
        """Argument of a line of an argument file; blank lines are none."""
        return [arg_line.strip()] if arg_line.strip() else []

    def _read_args_from_files(self, arg_strings: list[str]) -> list[str]:
        """Replace @FILE by its lines; argparse would print an errno, or a traceback for no text."""
        for word in arg_strings:
            if word.startswith("@"):
                try:
                    Path(word[1:]).read_text()
                except (OSError, ValueError) as error:
                    self.error(f"{word}: cannot be read as lines of arguments ({reason(error)})")
        return super()._read_args_from_files(arg_strings)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the arguments of a command, whose options must all be known."""
        if self._subparsers is None:
            known = [*self._option_string_actions]
            for word in itertools.takewhile(lambda word: word != "--", args or ()):
                name = word.partition("=")[0]
                if name.startswith("--") and not any(option.startswith(name) for option in known):
                    self.error(f"unknown option {name}{_suggestion(name, known)}")
        return super().parse_known_args(args, namespace)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is not among the choices, and suggest one of them."""
        if action.choices is not None and value not in action.choices:
            hint = _suggestion(str(value), map(str, action.choices))
            choices = ", ".join(map(str, action.choices))
            raise argparse.ArgumentError(
                action, f"invalid choice: {value!r}{hint} (choose from {choices})"
            )


#: Makes the parser of a command, whose name and line of help are known already.
AddParser = Callable[..., Parser]


def _suggestion(word: str, known: Iterable[str]) -> str:
    """The nearest of the known words, as the end of a message."""
    nearest = difflib.get_close_matches(word, list(known), n=1)
    return f": did you mean {nearest[0]}?" if nearest else ""


def add(group: Any, option: str, values: Any, text: str, default: Any = None, **more: Any) -> None:
    """Add an option whose values are named by a metavar, or are a tuple of choices."""
    more["choices" if isinstance(values, tuple) else "metavar"] = values
    if isinstance(default, (int, float)):
        more["type"] = type(default)
    group.add_argument(option, help=text, default=default, **more)


def action(actions: Any, name: str, text: str, more: str = "", **options: Any) -> Any:
    """Add an action of a command, whose description begins with its line of help."""
    return actions.add_parser(name, help=text, description=f"{text}{more}.", **options)


def as_json(parser: Any) -> None:
    """The option of commands that list or describe."""
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def given(arguments: argparse.Namespace, names: str) -> dict[str, Any]:
    """Values of some arguments by their names, as functions take them."""
    return {name: getattr(arguments, name) for name in names.split()}


def truth_columns(group: Any) -> None:
    """Names of the columns of truth tables of other layouts."""
    text = (
        "columns of truth tables of other layouts: id=NAME z=NAME class=NAME (default: by layout)"
    )
    add(group, "--truth-columns", "PART=NAME", text, nargs="+")


def named(values: Sequence[str] | None, option: str) -> dict[str, str] | None:
    """PART=NAME of an option as a mapping; None where it is not given."""
    if values is None:
        return None
    parts = [value.partition("=") for value in values]
    if not all(sep and name for _, sep, name in parts) or len({p[0] for p in parts}) < len(parts):
        raise InputError(f"{option} takes each part once, as in id=NAME, not {' '.join(values)}")
    return {part: name for part, _, name in parts}


def verbosity() -> argparse.ArgumentParser:
    """-v and -q, of ``qnet`` and of each command."""
    parent = argparse.ArgumentParser(add_help=False)
    # SUPPRESS: where a command has no -v, one before the command stays.
    add = functools.partial(parent.add_argument, default=argparse.SUPPRESS)
    text = "print progress messages; given twice, tracebacks of errors too"
    add("-v", "--verbose", action="count", help=text)
    add("-q", "--quiet", action="store_true", help="print warnings and errors only")
    return parent


def spectra(metavar: str = "INPUT", text: str = "files of spectra") -> argparse.ArgumentParser:
    """Files of spectra, and how they are read."""
    parent = argparse.ArgumentParser(add_help=False)
    add(parent, "inputs", metavar, text, nargs="+")
    text = "target: join the exposures of each TARGETID of a file into one spectrum"
    add(parent, "--coadd", ("none", "target"), text, "none")
    text = "spAll file with the THING_IDs of spPlate and spCFrame files (default: none)"
    add(parent, "--spall", "FILE", text)
    group = parent.add_argument_group("files of no known layout (see qnet formats)")
    text = "table, or specutils:NAME for a loader of specutils (default: by what is in the file)"
    add(group, "--format", "F", text)
    text = "columns by quantity: wave=A,flux=B,error=C; see qnet formats (default: by names)"
    add(group, "--columns", "C", text, type=column_names)
    add(group, "--wave-unit", "U", "unit of wavelengths (default: as stated, or Angstrom)")
    add(group, "--flux-unit", "U", "unit of flux (default: as stated)")
    text = (
        "medium of the wavelengths, if the file does not state it (default: vacuum, with a warning)"
    )
    add(group, "--medium", ("air", "vacuum"), text)
    return parent


def reading(arguments: argparse.Namespace) -> dict[str, Any]:
    """Values of the options of files of no known layout, as functions take them."""
    air = None if arguments.medium is None else arguments.medium == "air"
    own = {"columns": arguments.columns or {}, "air": air}
    return given(arguments, "format wave_unit flux_unit") | own


def column_names(text: str) -> dict[str, str]:
    """Columns by what they hold, of wave=A,flux=B,..."""
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(name.strip() and column.strip() for name, _, column in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form wave=A,flux=B,error=C")
    return {name.strip(): column.strip() for name, _, column in pairs}


def output(
    text: str, overwrite: str = "replace an existing OUT", *, stdout_suffix: str = ""
) -> argparse.ArgumentParser:
    """The output, whether it may be replaced, and its format for standard output if it has one."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.set_defaults(stdout_suffix=stdout_suffix)
    if stdout_suffix:
        text = f"{text}; - for standard output, as {stdout_suffix.removeprefix('.').upper()}"
    parent.add_argument("-o", "--output", required=True, metavar="OUT", help=text)
    parent.add_argument("--overwrite", action="store_true", help=overwrite)
    return parent


def model(purpose: str = "", default: str = "") -> argparse.ArgumentParser:
    """The model."""
    parent = argparse.ArgumentParser(add_help=False)
    text = f"weights file, or NAME or NAME@VERSION of a model of qnet{purpose}"
    default = default or "that of QN_MODEL_FILE if set, else the default of qnet model list"
    add(parent, "--model", "M", f"{text} (default: {default})")
    return parent


def criterion(own: str = "the model's") -> argparse.ArgumentParser:
    """The criterion of a quasar, for a model or for catalogues that have their own."""
    parent = argparse.ArgumentParser(add_help=False)
    group = parent.add_argument_group("selection criterion of quasars")
    if own == "the model's":
        score, c_threshold, min_lines = "P_QSO", "0.5", "1"
    else:
        score, c_threshold, min_lines = "P_QSO, or PROB of SQUEzE,", own, own
    text = f"published rule, by NAME or NAME@VERSION of qnet strategies (default: {own})"
    add(group, "--strategy", "NAME", text)
    add(group, "--p-threshold", "P", f"quasars have {score} above P (default: {own})", type=float)
    if own == "the model's":
        text = (
            "population that P_QSO and redshifts assume: quasar-targets, fibres, training, or a "
            "file of one (default: quasar-targets; training for models without its density)"
        )
        add(group, "--prior", "NAME|FILE", text)
        text = "P_QSO for a fraction F of quasars in the input (default: the population's)"
        add(group, "--prior-qso", "F", text, type=float)
    text = f"count lines of confidence above C instead of using P_QSO (default: {c_threshold})"
    add(group, "--c-threshold", "C", text, type=float)
    add(group, "--min-lines", "N", f"at least N such lines (default: {min_lines})", type=int)
    return parent


def criterion_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Values of the options of the criterion, as functions take them."""
    return given(arguments, "strategy p_threshold prior prior_qso c_threshold min_lines")


def rows(title: str) -> tuple[argparse.ArgumentParser, Any]:
    """Rows of the input that are used, and the group for further options of this kind."""
    parent = argparse.ArgumentParser(add_help=False)
    group = parent.add_argument_group(title)
    add(group, "--targets", ("all", "qso"), "all, or the quasar targets", "all")
    text = "these TARGETIDs (--targetids=-1,2 where the first is negative; default: all)"
    add(group, "--targetids", "T", text, nargs="+", type=integers)
    return parent, group


def chosen_rows() -> argparse.ArgumentParser:
    """Rows that are classified."""
    selection, group = rows(
        "rows to classify (the others stay in the catalogue, with NaN and a flag)"
    )
    text = "these rows of each file: 3 or 0:10,12 (default: all)"
    add(group, "--rows", "R", text, nargs="+", type=row_range)
    return selection


def classification_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Values of the options of a classification, as functions take them."""
    rows = {"targetids": flat(arguments.targetids, frozenset), "rows": flat(arguments.rows, tuple)}
    return criterion_options(arguments) | given(arguments, "targets coadd spall") | rows


def integers(text: str, ranges: bool = False) -> list[int]:
    """One integer or several joined by commas; with ranges start:stop, where these are legal."""
    numbers: list[int] = []
    for part in filter(str.strip, text.split(",")):
        numbers += _range(part) if ranges and ":" in part else [_integer(part)]
    if not numbers:
        raise argparse.ArgumentTypeError(f"{text!r} holds no integer")
    return numbers


#: A row, a range start:stop, or several joined by commas.
row_range = functools.partial(integers, ranges=True)


def _integer(text: str) -> int:
    if not re.fullmatch(r"\s*[+-]?[0-9]+\s*", text):  # int() takes 1_0 for 10
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer")
    return int(text)


def _range(text: str) -> list[int]:
    """The integers of start:stop."""
    try:
        start, stop = map(_integer, text.split(":"))
    except (ValueError, argparse.ArgumentTypeError) as error:
        message = f"{text!r} is not a range of rows: expected start:stop"
        raise argparse.ArgumentTypeError(message) from error
    if not 0 <= start < stop:
        raise argparse.ArgumentTypeError(f"{text!r} is an empty range of rows")
    if stop - start > _MOST_ROWS:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {_MOST_ROWS} rows")
    return list(range(start, stop))


def flat(lists: list[list[int]] | None, kind: Callable[[list[int]], Any]) -> Any:
    """Lists of integers as one collection; None stays None."""
    return None if lists is None else kind([value for part in lists for value in part])
