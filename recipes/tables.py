"""The numbers of `judge.py` as tables in Markdown."""

from __future__ import annotations


def text(number: dict[str, float], digits: int) -> str:
    """A number with its interval."""
    if "low" not in number:
        return f"{number['value']:.{digits}f}"
    return f"{number['value']:.{digits}f} [{number['low']:.{digits}f}, {number['high']:.{digits}f}]"


def print_tables(name: str, result: dict) -> None:
    """Tables in Markdown."""
    columns = {
        "completeness": 4,
        "purity": 4,
        "outliers": 4,
        "dv_median": 0,
        "dv_nmad": 0,
        "dv_nmad_line": 0,
        "pull_width": 2,
        "calibration_error": 3,
    }
    print(f"\n## {name}\n")
    for table in ("snr", "z"):
        print(f"| {table} | quasars | " + " | ".join(columns) + " |")
        print("|" + "---|" * (len(columns) + 2))
        rows = {"all": result["all"], **result[table]} if table == "snr" else result[table]
        for row, values in rows.items():
            cells = [text(values[key], digits) for key, digits in columns.items()]
            print(f"| {row} | {values['found']['n']} | " + " | ".join(cells) + " |")
        print()
    print("| z | median dv |\n|---|---|")
    for row in result["bias"]:
        print(f"| {row['z']:g} | {text(row, 0)} of {row['n']} |")
    print(f"\n- comb {result['comb']}")
    print(f"- DLA hosts: completeness {text(result['DLA hosts']['completeness'], 4)}")
    print("- pulls by z:", {key: text(value, 2) for key, value in result["pull by z"].items()})
    single = {"purity above 3.6": result["purity above 3.6"]}
    for key, value in {**result["false positives"], **single, **result["bal"]}.items():
        print(f"- {key}: {text(value, 4)} of {value['n']}")
    for key, value in result["subtypes"].items():
        print(f"- {key}: found {text(value['found'], 3)} of {value['found']['n']}")


def print_equal_purity(result: dict) -> None:
    """Two models beside each other, as a table in Markdown."""
    columns = {"purity": 4, "completeness": 4, "dv_nmad": 0, "outliers": 4}
    print("\n| S/N | model | " + " | ".join(columns) + " |")
    print("|" + "---|" * (len(columns) + 2))
    for name, models in result.items():
        for label, values in models.items():
            cells = [text(values[key], digits) for key, digits in columns.items()]
            print(f"| {name} | {label} | " + " | ".join(cells) + " |")
