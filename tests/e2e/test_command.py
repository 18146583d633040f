"""The installed command, end to end."""

from __future__ import annotations

import argparse
import glob
import inspect
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table, vstack

import qnet
from makers import boss_spec, desi_coadd, desi_set, fibermap, make_spectra, write
from qnet.cli import _parser, main
from qnet.evaluation import Options
from qnet.postprocess.decoding import C_THRESHOLD, MIN_LINES
from qnet.strategies import STRATEGIES

LOGLAM = 3.5563 + 4e-4 * np.arange(1100)

#: The command that the package installs, beside the interpreter.
COMMAND = str(Path(sys.executable).with_name("qnet"))


def run(*arguments, **options):
    done = subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, **options
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def spectra(tmp_path):
    """Folder with five spec files."""
    flux, ivar = make_spectra(10**LOGLAM, np.linspace(1, 3, 5))
    for row in range(5):
        write(tmp_path / f"spec-{row}.fits", boss_spec(LOGLAM, flux[row], ivar[row]))
    return tmp_path


def files(folder):
    return sorted(folder.glob("spec-*.fits"))


def test_strategies_are_listed_and_followed(spectra, small_weights):
    listed = run("strategies")
    assert (listed.returncode, listed.stderr) == (0, "")
    described = {each["name"]: each for each in json.loads(run("strategies", "--json").stdout)}
    assert list(described) == list(STRATEGIES)
    for name, each in described.items():
        lines = " ".join(listed.stdout.split())
        assert f"{name}@{each['version']}" in lines
        assert each["source"] in lines
        assert each["summary"] in lines
        assert f"{name}@{each['version']} ({', '.join(each['commands'])})" in lines
    assert described["tutorial"]["commands"] == ["classify", "afterburner", "merge", "evaluate"]
    assert described["farr20-squeze"]["commands"] == ["evaluate"]
    output = spectra / "cat.fits"
    options = ["-o", output, "--model", small_weights]
    done = run("classify", *files(spectra), *options, "--strategy", "quasarnet@1")
    assert done.returncode == 0
    assert qnet.read_catalogue(output).meta["STRATEGY"].startswith("quasarnet@1: at least 1 line")
    done = run("classify", *files(spectra), *options, "--overwrite", "--strategy", "desi-dr1")
    assert done.returncode == 2
    assert "qnet: error: strategy desi-dr1@1 needs C_LINES, SPECTYPE, Z_RR" in done.stderr


def test_a_catalogue_from_the_shell_is_that_from_python(spectra, small_weights):
    output = spectra / "cat.fits"
    done = run("classify", *files(spectra), "-o", output, "--model", small_weights)
    assert done.returncode == 0
    assert done.stderr == ""
    table = qnet.read_catalogue(output)
    assert done.stdout == (
        f"qnet: {table['IS_QSO'].sum()} quasars ({table['IS_BAL'].sum()} BAL) in 5 spectra of 5 "
        f"files -> {output}\n"
    )
    expected = qnet.classify(files(spectra), model=small_weights)
    assert table.colnames == expected.colnames
    for name in expected.colnames:
        np.testing.assert_array_equal(table[name], expected[name], err_msg=name)
    for key, value in expected.meta.items():
        assert table.meta[key] == value, key


def test_all_options_together(spectra, small_weights):
    done = run(
        "classify",
        *files(spectra),
        "-o",
        spectra / "cat.ecsv",
        "--model",
        small_weights,
        "--c-threshold",
        "0.3",
        "--min-lines",
        "2",
        "--rows",
        "0:1",
        "--coadd",
        "none",
        "--workers",
        "2",
        "--targets",
        "all",
    )
    assert (done.returncode, done.stderr) == (0, "")
    table = qnet.read_catalogue(spectra / "cat.ecsv")
    expected = (table["C_LINES"] > 0.3).sum(axis=1) >= 2
    np.testing.assert_array_equal(table["IS_QSO"], expected)


@pytest.mark.parametrize("text", ["1_0", "1.0", "x", "0:1_0", "0:5:2", "\u0663", ""])
def test_rows_that_are_no_integers_are_refused(text, capsys):
    with pytest.raises(SystemExit):
        main(["classify", "coadd.fits", "-o", "cat.fits", "--rows", text])
    assert "argument --rows" in capsys.readouterr().err


def test_targets_and_ids_from_the_shell(tmp_path, small_weights):
    ids = fibermap([11, 12, -13, 14])
    path = write(tmp_path / "coadd.fits", desi_coadd(desi_set([1.0, 2.0, 2.5, 3.0]), ids))
    for options, answered in (
        (["--targets", "qso"], [2]),
        (["--targetids", "12,14", "-13"], [1, 2, 3]),
        (["--rows", "0", "2:4"], [0, 2, 3]),
    ):
        output = tmp_path / "cat.fits"
        done = run(
            "classify", path, "-o", output, "--model", small_weights, "--overwrite", *options
        )
        assert done.returncode == 0, done.stderr
        table = qnet.read_catalogue(output)
        assert np.flatnonzero(np.isfinite(table["ZBEST"])).tolist() == answered


def test_a_list_of_inputs_in_a_file(spectra, small_weights):
    listing = spectra / "list.txt"
    listing.write_text("\n\n".join(map(str, files(spectra))) + "\n\n")
    done = run("classify", f"@{listing}", "-o", spectra / "cat.fits", "--model", small_weights)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(qnet.read_catalogue(spectra / "cat.fits")) == 5


def test_bad_inputs_are_reported_and_the_rest_is_written(spectra, small_weights):
    (spectra / "bad.fits").write_text("nothing")
    output = spectra / "cat.fits"
    done = run(
        "classify",
        *files(spectra),
        spectra / "bad.fits",
        spectra / "none.fits",
        "-o",
        output,
        "--model",
        small_weights,
    )
    assert done.returncode == 1
    errors = done.stderr.splitlines()
    assert len(errors) == 2
    assert errors[0].startswith(f"qnet: error: {spectra}/bad.fits: cannot be read as FITS")
    assert errors[1].startswith(f"qnet: error: {spectra}/none.fits: no such file")
    assert "in 5 spectra of 5 files, 2 files failed ->" in done.stdout
    assert len(qnet.read_catalogue(output)) == 5


def test_nothing_is_written_when_every_input_fails(spectra, small_weights):
    output = spectra / "cat.fits"
    done = run("classify", spectra / "none.fits", "-o", output, "--model", small_weights)
    assert done.returncode == 1
    assert done.stdout == ""
    (error,) = done.stderr.splitlines()
    assert error.endswith("none.fits: no such file; a file of spectra was expected")
    done = run("classify", "none.fits", "no.fits", "-o", output, "--model", small_weights)
    assert done.returncode == 1
    assert done.stderr.splitlines()[2] == "qnet: error: none of the 2 inputs could be classified"
    assert not output.exists()


def test_an_existing_output_is_kept_unless_asked(spectra, small_weights):
    output = spectra / "cat.fits"
    output.write_text("precious")
    arguments = ["classify", *files(spectra), "-o", output, "--model", small_weights]
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr == (
        f"qnet: error: {output}: exists already; ask for overwriting "
        "(--overwrite, overwrite=True) to replace it\n"
    )
    assert output.read_text() == "precious"
    assert run(*arguments, "--overwrite").returncode == 0
    assert len(qnet.read_catalogue(output)) == 5


def test_an_input_is_never_overwritten(spectra, small_weights):
    victim = files(spectra)[0]
    before = victim.read_bytes()
    done = run("classify", *files(spectra), "-o", victim, "--model", small_weights, "--overwrite")
    assert done.returncode == 2
    assert done.stderr == f"qnet: error: {victim}: is an input: give the catalogue another name\n"
    assert victim.read_bytes() == before


def test_rows_and_ranges_in_any_order(tmp_path, small_weights):
    write(tmp_path / "coadd.fits", desi_coadd(desi_set([1.0, 2.0, 3.0]), fibermap([1, 2, 3])))
    for rows in (["1,0:1"], ["0:2"], ["1", "0"]):
        done = run(
            *("classify", "coadd.fits", "-o", "cat.fits", "--model", small_weights, "--overwrite"),
            *("--rows", *rows),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        zbest = qnet.read_catalogue(tmp_path / "cat.fits")["ZBEST"]
        assert np.flatnonzero(np.isfinite(zbest)).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["clasify"], "invalid choice: 'clasify': did you mean classify? (choose from"),
        (["model", "inspct"], "invalid choice: 'inspct': did you mean inspect? (choose from list"),
        (
            ["classify", "a.fits", "--ouput", "b.fits"],
            "unknown option --ouput: did you mean --outp",
        ),
        (["evaluate", "a.fits", "--nonesuch=1"], "unknown option --nonesuch\n"),
        (["classify", "a.fits"], "required: -o/--output"),
        (["classify", "a.fits", "-o", "b.txt", "--model", "W"], "must end in one of .fits, .fits"),
        (["classify", "a.fits", "-o", "no/b.fits", "--model", "W"], "its folder no does not exist"),
        (["classify", "a.fits", "-o", "b.fits", "--model", "nonesuch"], "no such file, and no mod"),
        (["classify", "a.fits", "-o", "b.fits", "--model", "W", "--prior-qso", "0.5"], "P_QSO"),
        (["classify", "a.fits", "-o", "b.fits", "--model", "W", "--min-lines", "0"], "at least 1"),
        (["classify", "a.fits", "-o", "b.fits", "--model", "W", "--p-threshold", "1"], "P_QSO"),
        (["classify", "a.fits", "-o", "b.fits", "--model", "W", "--rows", "1:x"], "range of rows"),
        (["classify", "a.fits", "-o", "b.fits", "--model", "W", "--rows", "5:2"], "empty range"),
        (["classify", "a.fits", "-o", "b.fits", "--rows", "0:1000000000"], "more than 10000000"),
        (["classify", "a.fits", "-o", "b.fits", "--model", "W", "--rows", ","], "no integer"),
        (["classify", "a.fits", "-o", "b.fits", "--model", "W", "--targetids", "x"], "an integer"),
        (["classify", "a.fits", "-o", "b.fits", "--model", "W", "--workers", "0"], "at least 1"),
    ],
)
def test_wrong_usage(tmp_path, small_weights, arguments, message):
    arguments = [str(small_weights) if word == "W" else word for word in arguments]
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert os.listdir(tmp_path) == []


def test_progress_on_a_terminal_only(spectra, small_weights):
    arguments = ["classify", *map(str, files(spectra)), "-o", str(spectra / "cat.fits")]
    arguments += ["--model", str(small_weights), "--overwrite"]
    assert run(*arguments).stderr == ""
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 80))
    done = subprocess.run(
        [COMMAND, *arguments], stderr=follower, stdout=subprocess.PIPE, check=False
    )
    os.close(follower)
    shown = os.read(leader, 100_000).decode()
    os.close(leader)
    assert done.returncode == 0
    assert "100%" in shown
    assert re.search(r"\d\d:\d\d left, 5 spectra, \d+/s, 5 of 5 files", shown)


def test_an_interrupt_leaves_no_catalogue(spectra, small_weights):
    """SIGINT in the middle of a run: status 130, one sentence, no output, no leftovers."""
    many = files(spectra) * 4000
    listing = spectra / "list.txt"
    listing.write_text("\n".join(map(str, many)) + "\n")
    before = set(os.listdir(spectra))
    with subprocess.Popen(
        [
            *(COMMAND, "-v", "classify", f"@{listing}", "-o", str(spectra / "cat.fits")),
            *("--model", str(small_weights)),
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A job in the background of a shell inherits that interrupts are ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        # The command is at work when its main module has been loaded and files are open.
        while process.poll() is None and "fitsio" not in _maps(process.pid):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130, err
    assert out == ""
    assert err.splitlines()[-1] == "qnet: error: interrupted; no output was written"
    assert "Traceback" not in err
    assert set(os.listdir(spectra)) == before


def _maps(pid):
    """Libraries that a process has loaded."""
    try:
        return Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return ""


def test_model_inspect_and_convert(tmp_path, legacy_weights):
    output = tmp_path / "small.safetensors"
    done = run(
        *("model", "convert", legacy_weights, "-o", output, "--name", "tiny"),
        *("--model-version", "3", "--licence", "CC0-1.0"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"qnet: tiny@3 -> {output}\n"
    assert qnet.load_model(output).name == "tiny@3"
    again = run("model", "convert", legacy_weights, "-o", output)
    assert again.returncode == 2
    assert "exists already" in again.stderr
    for words, message in (
        ([output, "-o", output, "--overwrite"], "is an input: give the weights file another name"),
        ([output, "-o", tmp_path / "none" / "m.safetensors"], "none"),
        ([output, "-o", tmp_path / "m.safetensors", "--name", ""], "--name must not be empty"),
    ):
        refused = run("model", "convert", *words)
        assert refused.returncode == 2
        assert message in refused.stderr
    text = run("model", "inspect", output).stdout
    for word in ("tiny@3", "CC0-1.0", "443 pixels", "LYA 1215.67", "Halpha 6562.8", "-0.1 + 1.2 x"):
        assert word in text
    description = json.loads(run("model", "inspect", output, "--json").stdout)
    assert description["architecture"]["grid"]["npix"] == 443
    assert description["architecture"]["lines_bal"] == ["CIV(1548)"]
    assert description["sha256"] == qnet.load_model(output).sha256


def test_version_and_help():
    assert run("--version").stdout == f"qnet {qnet.__version__}\n"
    assert run().stdout == run("--help").stdout
    assert run("model").stdout == run("model", "-h").stdout
    done = subprocess.run([sys.executable, "-m", "qnet", "-h"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, run("-h").stdout)


def parsers(parser=None):
    """Each command's parser, with that of the whole command first."""
    parser = parser or _parser()
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


COMMANDS = [parser.prog for parser in parsers()]

#: Examples that need what a test does not have: here they are only parsed.
NOT_RUN = (
    "qnet completion ",
    *("qnet train ", "qnet calibrate run1", "qnet truth ", "qnet model convert "),
    *("qnet afterburner ", "qnet merge ", "qnet model card mine", "qnet model export "),
    *("qnet model inspect quasarnet.h5", "qnet inspect ", "qnet survey "),
)


def help_of(command):
    """The help of a command, and what there is to say of each option."""
    (parser,) = (parser for parser in parsers() if parser.prog == command)
    expand = parser._get_formatter()._expand_help
    texts = {a: expand(a) for a in parser._actions if a.help is not None}
    return parser.format_help(), texts


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_does_and_its_default(command):
    text, options = help_of(command)
    assert f"usage: {command} " in text
    for action, meaning in options.items():
        takes_value = action.option_strings and action.nargs != 0
        assert len(meaning) > 5, action.option_strings
        assert action.required or not takes_value or meaning.count("default: ") == 1, meaning


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_two_examples_and_the_page_of_the_documentation(command):
    text, _ = help_of(command)
    end = text.split("\nexamples:\n")[1]
    examples = re.findall(r"^  (qnet .*)$", end, re.MULTILINE)
    assert len(examples) == 2
    assert all(example.startswith(command) or "qnet@4" in example for example in examples)
    section = "" if command == "qnet" else f", section {command}"
    assert text.endswith(f"\ndocumentation: docs/reference/cli.md{section}\n")
    for example in examples:
        arguments = _parser().parse_args(shlex.split(example)[1:])
        assert callable(arguments.command)


def test_the_defaults_in_the_texts_are_those_of_the_functions():
    _, options = help_of("qnet evaluate")
    texts = {a.dest: text for a, text in options.items()}
    assert texts["dv_max"].endswith(f"(default: {Options().dv_max:g})")
    assert texts["level"].endswith(f"(default: {Options().level:g})")
    _, options = help_of("qnet classify")
    texts = {a.dest: text for a, text in options.items()}
    assert texts["c_threshold"].endswith(f"(default: {C_THRESHOLD})")
    assert texts["min_lines"].endswith(f"(default: {MIN_LINES})")
    _, options = help_of("qnet simulate")
    (text,) = (text for a, text in options.items() if a.dest == "template_fraction")
    fraction = inspect.signature(qnet.simulate).parameters["template_fraction"].default
    assert text.endswith(f"(default: {fraction:g})")


@pytest.mark.filterwarnings("ignore:too few spectra to calibrate")
def test_examples_run(tmp_path, monkeypatch, capsys):
    """The examples of the help, in an order in which each has its files."""
    monkeypatch.chdir(tmp_path)
    for survey, layout, output in (("desi", "coadd", "coadd.fits"), ("boss", "spec", "specs")):
        how = ["-n", "12", "--survey", survey, "--format", layout, "-o", output]
        assert main(["simulate", *how, "--truth-out", f"{survey}.fits"]) == 0
    truth = [Table.read(f"{survey}.fits", hdu=1) for survey in ("desi", "boss")]
    vstack(truth, join_type="inner", metadata_conflicts="silent").write("truth.fits")
    os.link("coadd.fits", "coadd-1.fits")
    for path in (tmp_path / "specs").iterdir():
        path.rename(tmp_path / path.name)
    os.rename(min(glob.glob("spec-*.fits")), "spec-7102-56666-0129.fits")
    examples = [
        example
        for parser in parsers()
        for example in re.findall(r"^  (qnet .*)$", parser.format_help(), re.MULTILINE)
        if not example.startswith(NOT_RUN)
    ]
    examples.sort(key=lambda example: "evaluate" in example)  # what they evaluate is made first
    assert len(examples) > 10
    for example in dict.fromkeys(examples):
        words = [sorted(glob.glob(w)) if "*" in w else [w] for w in shlex.split(example)[1:]]
        assert main([word for each in words for word in each]) == 0, example
    assert "Traceback" not in capsys.readouterr().err
    made = {"catalogue.fits", "pure.csv", "old.fits", "out.json", "figs", "row.pdf", "mock.csv"}
    assert made <= set(os.listdir())


def test_quiet_and_verbose_stand_before_or_after_the_command(spectra, small_weights):
    words = [*files(spectra), "-o", spectra / "cat.fits", "--model", small_weights, "--overwrite"]
    for arguments in (["-q", "classify", *words], ["classify", *words, "-q"]):
        done = run(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (spectra / "bad.fits").write_text("nothing")
    done = run("-q", "classify", spectra / "bad.fits", *words)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    for line, level in (("-v model list", 1), ("model -v list", 1), ("model list -vv", 2)):
        assert _parser().parse_args(line.split()).verbose == level
    loud = [run(*words) for words in (["-vv", "model", "list"], ["model", "list"])]
    assert loud[0].stdout == loud[1].stdout


def test_the_help_of_the_command_loads_nothing_heavy():
    program = (
        "import sys\n"
        "from qnet.cli import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit:\n"
        "    pass\n"
        "print(sorted(sys.modules), file=sys.stderr)"
    )
    for arguments in (["--help"], ["classify", "--help"], ["evaluate", "-h"], ["clasify"], []):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
        )
        for name in ("numpy", "astropy", "fitsio", "keras", "matplotlib", "qnet.training"):
            assert f"'{name}'" not in done.stderr, (arguments, name)


def test_the_real_spectra_through_the_command(shared_data, four_layer, tmp_path):
    names = sorted((shared_data / "boss_dr12").glob("spec-*.fits"))
    done = run("classify", *names, "-o", tmp_path / "cat.fits", "--model", four_layer)
    assert done.returncode == 0
    assert "qnet: 25 quasars" in done.stdout
    assert "in 40 spectra of 40 files" in done.stdout


#: Runs the command; the process sends a signal to itself before or after an output gets its name.
SIGNALLED = """
import os, signal, sys
from qnet.cli import main
replace, (when, number) = os.replace, sys.argv[1:3]
def stop(*names):
    if when == "after":
        replace(*names)
    os.kill(os.getpid(), int(number))
    if when == "before":
        replace(*names)
os.replace = stop
sys.exit(main(sys.argv[3:]))
"""


def _signalled(when, number, *words):
    return subprocess.run(
        [sys.executable, "-c", SIGNALLED, when, str(int(number)), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.parametrize(
    ("number", "what", "status"),
    [(signal.SIGTERM, "ended by SIGTERM", 143), (signal.SIGINT, "interrupted", 130)],
)
def test_a_signal_as_the_output_gets_its_name(spectra, small_weights, number, what, status):
    output = spectra / "out" / "cat.fits"
    output.parent.mkdir()
    output.write_text("old")
    words = ("classify", files(spectra)[0], "-o", output, "--model", small_weights, "--overwrite")
    for when, written in (("before", "no output"), ("after", output)):
        done = _signalled(when, number, *words)
        assert done.returncode == status
        assert done.stderr.splitlines()[-1] == f"qnet: error: {what}; {written} was written"
        assert os.listdir(output.parent) == ["cat.fits"]
        assert (output.read_bytes() == b"old") is (when == "before")
    assert len(qnet.read_catalogue(output)) == 1


def test_the_run_after_a_killed_one_clears_up(spectra, small_weights):
    output = spectra / "out" / "cat.fits"
    output.parent.mkdir()
    words = ("classify", files(spectra)[0], "-o", output, "--model", small_weights)
    assert _signalled("before", signal.SIGKILL, *words).returncode == -signal.SIGKILL
    (left,) = os.listdir(output.parent)
    assert left.startswith(".qnet-")
    done = run("-v", *words)
    assert (done.returncode, os.listdir(output.parent)) == (0, ["cat.fits"])
    assert f"{left}, which a killed run left, is removed" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("prepare", "a.fits", "-o", "-"),
        ("simulate", "-n", "2", "--format", "spec", "-o", "-", "--truth-out", "a.csv"),
        ("simulate", "-n", "2", "-o", "a.fits", "--truth-out", "-"),
        ("train", "--data", "a.fits", "--truth", "a.fits", "-o", "-"),
        ("model", "convert", "a.h5", "-o", "-"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_outputs_are_not_written_to_standard_output(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert re.fullmatch(r"qnet: error: --[a-z-]+ -: is not written to standard .*\n", error)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [None, b"SIMPLE\xff"], ids=["none", "binary"])
def test_argument_files_are_text(tmp_path, capsys, content):
    listing = tmp_path / "files.txt"
    if content is not None:
        listing.write_bytes(content)
    with pytest.raises(SystemExit, match="2"):
        main(["survey", "run", f"@{listing}", "-o", "out"])
    assert "files.txt: cannot be read as lines of arguments (" in capsys.readouterr().err


def test_formats_other_than_csv_need_the_name_of_a_file(capsys):
    assert main(("classify", "a.fits", "-o", "-", "--to", "desi")) == 2
    assert capsys.readouterr().err.startswith("qnet: error: --to desi: standard output takes csv")
