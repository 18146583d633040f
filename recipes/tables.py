"""The numbers of `measure.py` as the tables in Markdown of the model's page."""

from __future__ import annotations

from collections.abc import Mapping
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
    """A share in per cent, with its interval and the size of its sample."""
    return f"{text(number, 1, 100)} of {number['n']}"


def table(rows: Mapping[str, Mapping[str, Any]], first: str, columns: Any) -> str:
    """Rows of bins as a table."""
    names = [heading for heading, *_ in columns]
    lines = [f"| {first} | quasars | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for name, values in rows.items():
        cells = [text(values[key], digits, factor) for _, key, factor, digits in columns]
        lines.append(f"| {name} | {values['found']['n']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def print_tables(name: str, result: Mapping[str, Any]) -> None:
    """All numbers of a survey."""
    print(f"\n{name.upper()}:\n")
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
    print(f"| purity above ZBEST 3.6 [%] | {percent(result['purity above 3.6'])} |")
    print(f"\ncomb: {result['comb']}")
    print("pulls by z:", {key: text(value, 2) for key, value in result["pull by z"].items()})
    print("bias:", {row["z"]: text(row, 0) for row in result["bias"]})


def print_equal_purity(result: Mapping[str, Mapping[str, Any]]) -> None:
    """Two models beside each other."""
    columns = COLUMNS[:4]
    names = [heading for heading, *_ in columns]
    print("\n| S/N | model | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 2) + "|")
    for name, models in result.items():
        for label, values in models.items():
            cells = [text(values[key], digits, factor) for _, key, factor, digits in columns]
            print(f"| {name} | {label} | " + " | ".join(cells) + " |")
