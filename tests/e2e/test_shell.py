"""Commands for people at a terminal: show, standard output, completion, doctor."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from astropy.table import Table

import qnet
from qnet.cli import main
from qnet.core.columns import known_column
from qnet.core.flags import QNFlag, flag_names
from qnet.io.catalogue import read_catalogue, write_catalogue
from qnet.io.tables import to_table
from shell import run


@pytest.fixture
def catalogue(tmp_path, monkeypatch):
    """Four rows, in the file cat.fits of the current folder."""
    monkeypatch.chdir(tmp_path)
    columns = {
        "TARGETID": np.arange(4),
        "IS_QSO": np.array([True, False, True, True]),
        "P_QSO": np.float32([0.9, np.nan, 0.99, 0.7]),
        "ZBEST": np.array([1.0, 0.0, 2.0, 3.0]),
        "C_LINES": np.float32([[0.25, 0.5]] * 4),
    }
    table = to_table(columns, (), {name: known_column(name) for name in columns})
    table.meta |= {"LINE0": "LYA", "LINE1": "CIV(1548)", "MODELSHA": "0"}
    return write_catalogue(table, "cat.fits")


@pytest.mark.parametrize(
    ("options", "targets"),
    [
        ([], "0123"),
        (["--qso"], "023"),
        (["--qso", "-n", "2"], "02"),
        (["--sort", "P_QSO"], "2031"),
        (["--sort", "P_QSO", "--ascending", "-n", "0"], "3021"),
        (["--sort", "C_LYA", "--qso"], "320"),
    ],
)
def test_show_chooses_and_sorts_rows(catalogue, capsys, options, targets):
    assert main(["show", "cat.fits", *options, "--columns", "TARGETID", "C_CIV(1548)"]) == 0
    printed = capsys.readouterr()
    assert printed.out.split()[:2] == ["TARGETID", "C_CIV(1548)"]
    rows = [line.split() for line in printed.out.splitlines()[2:]]
    assert rows == [[target, "0.500"] for target in targets]
    assert f"qnet: {len(targets)} of " in printed.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--columns", "Z"], "cat.fits: has no column Z; it has TARGETID, IS_QSO, P_QSO"),
        (["--sort", "C_LINES"], "--sort C_LINES: has several values in a row: name that of one"),
        (["-n", "-1"], "-n -1: 0 (all rows) or more was expected"),
    ],
)
def test_show_refuses(catalogue, capsys, options, message):
    assert main(["show", "cat.fits", *options]) == 2
    assert message in capsys.readouterr().err


def test_show_names_flags(catalogue, capsys):
    table = read_catalogue(catalogue)
    table["QN_FLAG"] = np.array([0, int(QNFlag.LOW_SNR | QNFlag.NOT_TARGET), 1, 0])
    write_catalogue(table, "cat.fits", overwrite=True)
    assert main(["show", "cat.fits", "--columns", "QN_FLAG"]) == 0
    words = capsys.readouterr().out.split()[2:]
    assert words == ["-", "LOW_SNR,NOT_TARGET", *flag_names(1), "-"]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_a_printed_catalogue_shows_its_first_columns(catalogue, width):
    table = read_catalogue(catalogue)
    for number in range(12):
        table[f"COLUMN{number}"] = number
    for text in (table[1:].pformat(max_width=width), repr(table).splitlines()[1:]):
        names = text[0].split()
        shown = [name for name in names if name != "..."]
        assert shown == table.colnames[: len(shown)]
        assert shown[:4] == ["TARGETID", "IS_QSO", "P_QSO", "ZBEST"]
        assert max(map(len, text)) <= max(width, 80)
        assert ("..." in names) == (len(shown) < len(table.colnames))
    assert type(Table(table)) is Table
    assert "COLUMN11" in table._repr_html_()


def test_tables_and_figures_to_standard_output(small_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", "-n", "2", "-q", "-o", "sim.fits", "--truth-out", "truth.csv"]) == 0
    before = sorted(os.listdir())
    words = ("sim.fits", "--model", small_weights)
    done = run("classify", *words, "-o", "-")
    assert done.returncode == 0
    assert "2 spectra of 1 file -> standard output" in done.stderr
    assert run("classify", *words, "-o", "cat.csv").returncode == 0
    with open("cat.csv") as file:
        assert done.stdout == file.read()
    os.remove("cat.csv")
    figure = subprocess.run(
        [sys.executable, "-m", "qnet", "plot", "--row", "0", "-o", "-", "-q", *map(str, words)],
        capture_output=True,
        check=True,
    )
    assert figure.stdout.startswith(b"\x89PNG")
    assert sorted(os.listdir()) == before


def test_completion_knows_commands_options_and_files(tmp_path):
    pytest.importorskip("shtab", reason="shtab is not installed")
    script = run("completion", "bash")
    assert script.returncode == 0
    (tmp_path / "qnet.bash").write_text(script.stdout)
    (tmp_path / "catalogue.fits").touch()
    lines = ["source qnet.bash", "f=$(complete -p qnet | sed 's/.*-F \\([^ ]*\\) .*/\\1/')"]
    for words in ("qnet sho", "qnet classify --p-t", "qnet classify --targets q", "qnet show cat"):
        last, before = words.split()[-1], words.split()[-2]
        count = len(words.split()) - 1
        lines += [
            f"COMP_WORDS=({words}); COMP_CWORD={count}; COMPREPLY=()",
            f'$f qnet "{last}" "{before}"; echo "${{COMPREPLY[@]}}"',
        ]
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["show", "--p-threshold", "qso", "catalogue.fits"]


def test_doctor_prints_what_a_report_needs(small_weights, capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert main(["doctor", "--model", str(small_weights), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["system"]["qnet"] == qnet.__version__
    assert report["packages"]["numpy"] == np.__version__
    assert report["variables"]["OMP_NUM_THREADS"] == "1"
    assert report["model"]["test"].startswith("8 of 8 simulated quasars have a redshift")
    assert main(["doctor", "--model", "none.safetensors"]) == 1
    printed = capsys.readouterr()
    assert "none.safetensors: no such file" in printed.err
    assert "threads" in printed.out
