"""The command ``qnet evaluate``, as a user runs it."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from catalogues import mock_survey, write_quasarnet, write_redrock, write_truth
from qnet import evaluate
from qnet.evaluation import compare
from qnet.plotting.evaluation import FIGURES
from shell import errors, run


@pytest.fixture
def survey(tmp_path):
    """Folder with truth.fits, qn.fits and rr.fits."""
    truth, result = mock_survey(150)
    write_truth(tmp_path / "truth.fits", truth)
    write_quasarnet(tmp_path / "qn.fits", result)
    write_redrock(tmp_path / "rr.fits", result, zwarn=[4] * 75 + [0] * 75)
    return tmp_path


def test_the_command_says_what_the_library_says(survey):
    words = ("evaluate", "qn.fits", "--truth", "truth.fits")
    short, full = run(*words, cwd=survey), run(*words, "--full", cwd=survey)
    expected = compare([survey / "qn.fits"], survey / "truth.fits")
    assert (full.returncode, full.stderr, full.stdout) == (0, "", expected.to_text())
    *summary, hint = short.stdout.splitlines(keepends=True)
    assert (short.returncode, "".join(summary)) == (0, expected.summary())
    assert len(summary) == 9
    assert "--full" in hint
    # The numbers of the summary are those of the full report.
    cells = {line.split()[0]: line.split(maxsplit=1)[1].strip() for line in summary[3:]}
    assert set(cells) >= {"purity", "completeness", "dv_nmad"}
    for name, cell in cells.items():
        where = "ZBEST " if name.startswith("dv_") else ""
        assert re.search(rf"^{name} +{where} *{re.escape(cell)}$", full.stdout, re.MULTILINE)


def test_all_options_together(survey):
    done = run(
        *("evaluate", "qn.fits", "rr.fits", "--truth", "truth.fits"),
        *("--c-threshold", "0.8", "--min-lines", "2", "--zwarn", "--dv-max", "3000"),
        *("--level", "0.68", "--seed", "5", "--json", "out.json", "--plots", "figures", "--full"),
        cwd=survey,
    )
    assert (done.returncode, done.stderr) == (0, "")
    expected = compare(
        [survey / "qn.fits", survey / "rr.fits"],
        survey / "truth.fits",
        c_threshold=0.8,
        min_lines=2,
        need_zwarn=True,
        dv_max=3000.0,
        level=0.68,
        seed=5,
    )
    assert json.loads((survey / "out.json").read_text()) == json.loads(expected.to_json())
    assert {path.stem for path in (survey / "figures").iterdir()} == set(FIGURES)
    assert done.stdout == expected.to_text()
    assert "68 % interval" in done.stdout
    assert "and ZWARN == 0" in done.stdout


def test_json_to_standard_output(survey):
    done = run("evaluate", "qn.fits", "--truth", "truth.fits", "--json", "-", cwd=survey)
    assert (done.returncode, done.stderr) == (0, "")
    expected = compare([survey / "qn.fits"], survey / "truth.fits")
    assert json.loads(done.stdout) == json.loads(expected.to_json())
    assert not (survey / "-").exists()


def test_spectra_are_classified_first(tmp_path):
    options = ("-n", "40", "--survey", "desi", "--format", "coadd", "--seed", "2")
    made = run("simulate", *options, "-o", "coadd.fits", "--truth-out", "truth.fits", cwd=tmp_path)
    assert made.returncode == 0
    truth = ("--truth", "truth.fits", "--json")
    direct = run("evaluate", "--spectra", "coadd.fits", *truth, "direct.json", cwd=tmp_path)
    assert (direct.returncode, direct.stderr) == (0, "")
    assert run("classify", "coadd.fits", "-o", "cat.fits", cwd=tmp_path).returncode == 0
    assert run("evaluate", "cat.fits", *truth, "two.json", cwd=tmp_path).returncode == 0
    one, two = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("direct", "two"))
    assert one["catalogues"][0]["metrics"] == two["catalogues"][0]["metrics"]
    # A bad file is reported, and the others are measured all the same.
    (tmp_path / "cut.fits").write_bytes((tmp_path / "coadd.fits").read_bytes()[:100_000])
    spectra = ("--spectra", "cut.fits", "coadd.fits")
    three = run("evaluate", *spectra, *truth, "three.json", cwd=tmp_path)
    assert three.returncode == 1
    assert "cut.fits: is cut short" in errors(three)[0]
    assert three.stdout == direct.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to measure: give catalogues, --spectra, or both"),
        (("qn.fits", "--model", "qnet"), "--model is for --spectra, which is not given"),
        (("--spectra", "none.fits"), "none.fits: no such file"),
        (("qn.fits", "--plots", ""), "--plots is empty: the name of a file or folder was expected"),
        (("qn.fits", "--plots", "-"), "--plots -: is not written to standard output: give a file"),
        (
            ("qn.fits", "--zwarn"),
            "need_zwarn is for catalogues of redrock, and these are of quasarn",
        ),
        (("-",), "-: no such file (standard input is not read)"),
    ],
)
def test_what_cannot_be_measured(survey, arguments, message):
    done = run("evaluate", *arguments, "--truth", "truth.fits", cwd=survey)
    assert done.returncode != 0
    assert message in errors(done)[0]


def test_a_threshold_on_the_score(survey):
    done = run("evaluate", "qn.fits", "--truth", "truth.fits", "--p-threshold", "0.5", cwd=survey)
    assert (done.returncode, done.stdout) == (2, "")
    assert errors(done) == [
        "qnet: error: qn.fits: has no P_QSO or PROB, which p_threshold needs",
    ]


def test_a_published_rule_on_the_files_of_two_finders(survey):
    options = ("--strategy", "farr20-or", "--evidence", "rr.fits")
    done = run("evaluate", "qn.fits", "--truth", "truth.fits", *options, "--json", "-", cwd=survey)
    assert (done.returncode, errors(done)) == (0, [])
    files = survey / "qn.fits", survey / "truth.fits", survey / "rr.fits"
    expected = evaluate(*files[:2], strategy="farr20-or", evidence=files[2])
    (found,) = json.loads(done.stdout)["catalogues"]
    assert found["rule"] == expected.criterion == "strategy farr20-or@1"
    assert found["metrics"] == json.loads(expected.to_json())["catalogues"][0]["metrics"]


def test_outputs_are_refused_before_any_work_is_done(survey):
    (survey / "out.json").write_text("mine")
    (survey / "figures").mkdir()
    (survey / "figures" / "dv.png").write_text("mine")
    for option in (("--json", "out.json"), ("--plots", "figures")):
        done = run("evaluate", "none.fits", "--truth", "truth.fits", *option, cwd=survey)
        assert done.returncode == 2
        assert "exists already" in errors(done)[0]
    for option, message in (
        (("--json", "truth.fits", "--overwrite"), "truth.fits: is an input"),
        (("--json", "w.h5", "--model", "w.h5", "--overwrite"), "w.h5: is an input"),
        (("--json", "nowhere/out.json"), "its folder nowhere does not exist"),
        (("--plots", "rr.fits"), "rr.fits: is a file, but the name of a folder was expected"),
    ):
        done = run("evaluate", "qn.fits", "--truth", "truth.fits", *option, cwd=survey)
        assert done.returncode == 2
        assert message in errors(done)[0]
    assert (survey / "out.json").read_text() == (survey / "figures" / "dv.png").read_text()
    done = run(
        *("evaluate", "qn.fits", "--truth", "truth.fits", "--json", "out.json"),
        *("--plots", "figures", "--overwrite"),
        cwd=survey,
    )
    assert done.returncode == 0
    found = evaluate(survey / "qn.fits", survey / "truth.fits")
    assert json.loads((survey / "out.json").read_text()) == json.loads(found.to_json())


def test_files_that_cannot_be_read(survey):
    (survey / "cut.fits").write_bytes((survey / "qn.fits").read_bytes()[:5000])
    for catalogue, truth, message in (
        ("none.fits", "truth.fits", "none.fits: no such file"),
        ("qn.fits", "none.csv", "none.csv: no such file"),
        ("cut.fits", "truth.fits", "cut.fits: "),
        ("truth.fits", "truth.fits", "truth.fits: is no catalogue that qnet knows"),
        ("qn.fits", "rr.fits", "rr.fits: is no truth table that qnet knows"),
    ):
        done = run("evaluate", catalogue, "--truth", truth, "--json", "out.json", cwd=survey)
        assert done.returncode == 1
        assert message in errors(done)[0]
    assert not (survey / "out.json").exists()


def test_evaluating_loads_nothing_heavy(survey):
    program = (
        "import sys; from qnet.cli import main\n"
        "assert main(['evaluate', sys.argv[1], '--truth', sys.argv[2]]) == 0\n"
        "print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(survey / "qn.fits"), str(survey / "truth.fits")],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in ("tensorflow", "keras", "jax", "matplotlib", "pandas", "scipy.stats", "h5py"):
        assert f"'{name}'" not in done.stderr, name
