"""The numbers of the judge as the tables in Markdown of the model's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Columns of a table of bins: heading, key of the number, factor and digits.
COLUMNS = (
    ("completeness [%]", "completeness", 100, 1),
    ("purity [%]", "purity", 100, 1),
    ("beyond 3000 km/s [%]", "outliers", 100, 1),
    ("NMAD [km/s]", "dv_nmad", 1, 0),
    ("NMAD, line", "dv_nmad_line", 1, 0),
    ("pull", "pull_width", 1, 2),
    ("ECE", "calibration_error", 1, 3),
)

#: The same for bins of redshift, whose rows are quasars alone.
Z_COLUMNS = (
    ("completeness [%]", "completeness", 100, 1),
    ("median dv [km/s]", "dv_median", 1, 0),
    ("NMAD [km/s]", "dv_nmad", 1, 0),
)

Number = Mapping[str, float]


def text(number: Number, digits: int, factor: float = 1) -> str:
    """A number with its interval, where it has one."""
    value, low, high = (factor * number.get(key, float("nan")) for key in ("value", "low", "high"))
    if "low" not in number:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def percent(number: Number) -> str:
    """A fraction in per cent, with its interval and the size of its sample."""
    return f"{text(number, 1, 100)} of {number['n']}"


def general(number: Number) -> str:
    """A number of any kind with its interval, sample size and bin."""
    ends = f" [{number['low']:.3g}, {number['high']:.3g}]" if "low" in number else ""
    where = f" ({number['where']})" if "where" in number else ""
    return f"{number['value']:.3g}{ends} of {number['n']}{where}"


def is_number(value: Any) -> bool:
    """Whether a value is a measured number."""
    return isinstance(value, Mapping) and "value" in value


def markdown(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(heading) + " |", "|---" * len(heading) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def table(rows: Mapping[str, Mapping[str, Any]], first: str, columns: Any) -> str:
    """Rows of bins as a table."""
    cells = [
        [name, str(values["found"]["n"])]
        + [text(values[key], digits, factor) for _, key, factor, digits in columns]
        for name, values in rows.items()
    ]
    return markdown([first, "quasars", *(heading for heading, *_ in columns)], cells)


def print_checks(checks: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> None:
    """What must be reached, and what was."""
    rows = []
    for check in checks:
        sign = ">=" if check.get("least") else "<="
        row = [check["what"], f"{sign} {check['limit']:g}"]
        for label in labels:
            found = check["found"].get(label) or check["found"].get("simulator")
            verdict = check["verdict"].get(label) or check["verdict"].get("simulator", "")
            row.append("" if found is None else f"{general(found)}: {verdict}")
        rows.append(row)
    print("\n" + markdown(["must reach", "limit", *labels], rows))


def print_tree(numbers: Mapping[str, Any], level: int = 0) -> None:
    """Numbers within numbers as an indented list."""
    for name, value in numbers.items():
        if is_number(value):
            print(f"{'  ' * level}- {name}: {general(value)}")
        elif isinstance(value, Mapping):
            print(f"{'  ' * level}- {name}:")
            print_tree(value, level + 1)
        else:
            print(f"{'  ' * level}- {name}: {value}")


def print_whole(numbers: Mapping[str, Any]) -> None:
    """Whole spectra: a sample and model after the other."""
    for name, result in numbers.items():
        if name.endswith("equal purity"):
            print(f"\n{name}:")
            print_equal_purity(result)
        elif " less " in name or name.startswith("bias"):
            print(f"\n{name}:")
            print_tree(result)
        else:
            print_sample(name, result)


def print_sample(name: str, result: Mapping[str, Any]) -> None:
    """All numbers of a sample."""
    print(f"\n{name}:\n")
    print(table({"all": result["all"], **result["snr"]}, "S/N", COLUMNS), "\n")
    print(table(result["pixel snr"], "S/N of native pixels, without noise", COLUMNS), "\n")
    print(table(result["z"], "z", Z_COLUMNS), "\n")
    for key, value in result["false positives"].items():
        print(f"| {key} called quasars [%] | {percent(value)} |")
    for key, value in result["bal"].items():
        print(f"| {key} [%] | {percent(value)} |")
    for key, value in result["subtypes"].items():
        print(f"| {key} found [%] | {percent(value['found'])} |")
        print(f"| {key} completeness [%] | {percent(value['completeness'])} |")
    hosts = result["DLA hosts"]
    print(f"| DLA hosts, completeness [%] | {percent(hosts['completeness'])} |")
    print(f"| DLA hosts, beyond 3000 km/s [%] | {percent(hosts['outliers'])} |")
    print(f"| purity above ZBEST 3.6 [%] | {percent(result['purity above 3.6'])} |\n")
    rest = ("sure", "cuts", "lost", "comb", "pull by z", "bias", "bias by luminosity")
    print_tree({key: result[key] for key in rest})


def print_equal_purity(result: Mapping[str, Mapping[str, Any]]) -> None:
    """Two models beside each other."""
    columns = COLUMNS[:4]
    rows = [
        [name, label] + [text(values[key], digits, factor) for _, key, factor, digits in columns]
        for name, models in result.items()
        for label, values in models.items()
    ]
    print(markdown(["S/N", "model", *(heading for heading, *_ in columns)], rows))
