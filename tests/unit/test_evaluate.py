"""Every number of an evaluation, by hand on small samples."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from astropy.table import Table

import qnet
from catalogues import (
    REST,
    make_result,
    mock_survey,
    record,
    write_quasarnet,
    write_redrock,
    write_truth,
)
from qnet import evaluate
from qnet.core.arrays import nmad
from qnet.core.errors import FileError, InputError, QnetWarning
from qnet.evaluation import Options, bootstrap, compare, wilson
from qnet.evaluation.catalogues import result_of_table
from qnet.evaluation.metric import DEFINITIONS, statistic
from qnet.io.truth import read_truth_columns
from qnet.lines import SPEED_OF_LIGHT

#: Ten objects and what a classifier says of them.
KINDS = ["QSO", "QSO", "QSO", "QSO", "STAR", "STAR", "GALAXY", "GALAXY", "BAD", "UNSEEN"]
Z = [1.0, 1.5, 2.5, 3.0, 0.0, 0.0, 0.5, 0.4, 2.0, 0.0]
ZBEST = [1.0, 1.5, 3.1, 3.0, 2.2, 0.0, 0.5, 2.5, 2.0, 1.0]
CALLED = [True, True, True, False, True, False, True, True, True, True]


def ten(**changes):
    truth = {n: record(kind, z) for n, (kind, z) in enumerate(zip(KINDS, Z, strict=True), start=1)}
    return truth, make_result(ZBEST, **({"is_qso": np.array(CALLED)} | changes))


def value(evaluation, name, where=""):
    metric = evaluation.metric(name, where)
    return metric.value, metric.n


def test_purity_and_completeness_by_hand():
    truth, result = ten()
    found = evaluate(result, truth)
    # Called and not BAD: 1, 2, 3, 5, 7, 8. At the right redshift: 1, 2 and the galaxy 7.
    assert value(found, "purity") == (3 / 6, 6)
    assert value(found, "strict_purity") == (2 / 6, 6)
    assert value(found, "contamination") == (3 / 6, 6)
    assert value(found, "completeness") == (2 / 4, 4)
    assert value(found, "found") == (3 / 4, 4)
    assert value(found, "wrong_redshift") == (1 / 3, 3)
    assert value(found, "completeness", "true QSO_LZ") == (1.0, 2)
    assert value(found, "completeness", "true QSO_HZ") == (0.0, 2)
    assert value(found, "found", "true QSO_HZ") == (0.5, 2)
    assert value(found, "called_qso", "true STAR") == (0.5, 2)
    assert value(found, "called_qso", "true GALAXY") == (1.0, 2)
    assert value(found, "purity", "called QSO_LZ") == (1.0, 3)
    assert value(found, "strict_purity", "called QSO_LZ") == (2 / 3, 3)
    assert value(found, "purity", "called QSO_HZ") == (0.0, 3)
    assert value(found, "completeness", "1.5 <= true z < 2.1") == (1.0, 1)
    assert value(found, "purity", "2.5 <= ZBEST < 3") == (0.0, 1)
    assert found.classes.counts.tolist() == [[1, 0, 1], [0, 1, 1], [0, 2, 0], [1, 0, 1], [0, 1, 0]]
    assert found.counts["rows evaluated"] == 9
    assert found.counts["rows whose truth was not inspected"] == 1
    # A catalogue of classes only: nothing against thresholds, no calibration, no BALs.
    assert found.scans == ()
    assert found.calibration is None
    assert not [metric for metric in found.metrics if metric.section == "BAL quasars"]


def test_the_limit_of_a_right_redshift_and_of_the_classes_can_be_moved():
    truth, result = ten()
    assert value(evaluate(result, truth, dv_max=60000.0), "completeness") == (3 / 4, 4)
    wide = evaluate(result, truth, dv_max=60000.0)
    assert "60000/300000" in wide.metric("purity").definition
    assert value(evaluate(result, truth, z_lim=1.2), "completeness", "true QSO_LZ") == (1.0, 1)


def test_rows_and_truth_that_do_not_meet_are_counted():
    truth = {n: record("QSO", 2.0) for n in (1, 2, 3, 9)} | {8: record("STAR", 0.0)}
    ids = np.array([1, 1, 2, 5, -1])
    result = make_result([2.0, 2.0, 3.0, 2.0, 2.0], targetid=ids, left_out={"NOT_TARGET": 4})
    found = evaluate(result, truth)
    assert dict(found.counts) == {
        "rows left out: NOT_TARGET": 4,
        "rows": 5,
        "rows without truth": 2,
        "rows whose truth was not inspected": 0,
        "rows evaluated": 3,
        "rows evaluated beyond the first of their TARGETID": 1,
        "rows evaluated without a redshift": 0,
        "objects of the truth": 5,
        "objects of the truth without a row": 3,
        "true quasars without a row": 2,
    }
    # Each row counts once, also both of object 1.
    assert value(found, "completeness") == (2 / 3, 3)
    with pytest.raises(InputError, match=r"none of its 5 rows has truth: .* 1, 1, 2, .* 70"):
        evaluate(result, {70: record("QSO", 2.0)})
    with pytest.raises(InputError, match="truth is empty"):
        evaluate(result, {})


@pytest.mark.parametrize(
    ("columns", "apart"),
    [
        (("TARGET_RA", "TARGET_DEC"), True),
        (("RA", "DEC"), True),
        (("RA",), False),
        (("RA", "DEC", "hours"), False),
    ],
    ids=str,
)
def test_rows_elsewhere_than_the_truth_of_their_id_are_not_joined(tmp_path, columns, apart):
    places = {"TRUEZ": [2.0, 2.0, 2.0], "TRUESPECTYPE": ["QSO"] * 3, "TARGETID": [1, 2, 3]}
    ra, dec = np.array([359.9999, 10.0, np.nan]), np.array([60.0, -5.0, np.nan])
    truth = dict(zip(columns, (ra, dec), strict=False))
    if "hours" in columns:
        truth = {name: ["12:30:00"] * 3 for name in columns[:2]}
    Table(places | truth).write(tmp_path / "truth.fits")
    offsets = np.array([1.9, 0.0, 240.0, 0.0, 0.0]) / 3600
    catalogue = Table({"TARGETID": [1, 2, 2, 2, 3], "ZBEST": [2.0] * 5, "IS_QSO": [True] * 5})
    catalogue["TARGET_RA"] = (ra[[0, 1, 1, 1, 1]] + offsets * 2) % 360
    catalogue["TARGET_DEC"] = dec[[0, 1, 1, 1, 1]]
    catalogue["TARGET_DEC"][3] = np.nan
    if not apart:
        assert evaluate(catalogue, tmp_path / "truth.fits").counts["rows evaluated"] == 5
        return
    with pytest.warns(QnetWarning, match="1 of the 5 rows are more than 2 arcsec .* joined.*: 2$"):
        found = evaluate(catalogue, tmp_path / "truth.fits")
    assert found.counts["rows evaluated"] == 4
    assert found.counts["rows without truth"] == 1
    redrock = {"TARGETID": catalogue["TARGETID"], "Z": np.full(5, 2.0), "SPECTYPE": ["QSO"] * 5}
    redrock |= {name: catalogue[f"TARGET_{name}"] for name in ("RA", "DEC")}
    Table(redrock, meta={"EXTNAME": "ZBEST"}).write(tmp_path / "zbest.fits")
    with pytest.warns(QnetWarning, match="1 of the 5 rows are more than 2 arcsec .* joined.*: 2$"):
        evaluate(tmp_path / "zbest.fits", tmp_path / "truth.fits")


def test_rows_without_an_answer_are_quasars_missed():
    truth = {1: record("QSO", 2.0), 2: record("QSO", 2.0)}
    result = make_result([2.0, np.nan], [[0.9], [np.nan]])
    found = evaluate(result, truth)
    assert value(found, "completeness") == (0.5, 2)
    assert value(found, "purity") == (1.0, 1)
    assert value(found, "dv_median", "ZBEST") == (0.0, 1)
    assert found.calibration.n.sum() == 1


def test_redshift_errors_by_hand():
    dv = np.array([-100.0, 0.0, 50.0, 300.0, 3500.0, -6500.0])
    z = np.linspace(1, 3, 6)
    truth = {n: record("QSO", float(x)) for n, x in enumerate(z, start=1)}
    zbest = z + dv / SPEED_OF_LIGHT * (1 + z)
    z_lines = np.stack([zbest, z], axis=1)
    c_lines = np.array([[0.9, 0.1]] * 3 + [[0.6, 0.9]] * 3)
    found = evaluate(make_result(zbest, c_lines, z_lines=z_lines), truth)
    assert value(found, "dv_median", "ZBEST")[0] == pytest.approx(25.0)
    assert value(found, "dv_abs_median", "ZBEST")[0] == pytest.approx(200.0)
    # |dv - 25|: 125, 25, 25, 275, 3475, 6525, of which the median is 200.
    assert value(found, "dv_nmad", "ZBEST")[0] == pytest.approx(1.4826 * 200)
    assert value(found, "outliers_3000", "ZBEST") == (2 / 6, 6)
    assert value(found, "outliers_6000", "ZBEST") == (1 / 6, 6)
    # The second line is above 0.5 in three rows, and exact there.
    assert value(found, "dv_nmad", "CIV(1548)") == (0.0, 3)
    # The line's threshold is the rule's: above 0.7 the first line is found in three rows.
    assert value(evaluate(found.sample.result, truth, c_threshold=0.7), "dv_median", "LYA")[1] == 3
    assert found.metric("dv_median", "ZBEST").unit == "km/s"


def test_pulls_by_hand():
    pull = np.array([0.0, 1.0, -1.0, 2.0, 4.0, -6.0, 9.0, 9.0, 9.0])
    z, zerr = np.full(9, 2.0), np.full(9, 0.001)
    zerr[6:8] = np.nan, 0.0
    zbest = z + 0.001 * pull
    zbest[8] = 2.5  # an outlier, which has no pull
    truth = {n: record("QSO", 2.0) for n in range(1, 10)}
    found = evaluate(make_result(zbest, zerr=zerr), truth)
    assert value(found, "pull_3", "ZBEST") == (2 / 6, 6)
    assert value(found, "pull_5", "ZBEST") == (1 / 6, 6)
    assert value(found, "pull_width", "ZBEST")[0] == pytest.approx(nmad(pull[:6]))
    low, high = wilson([2], [6])
    assert found.metric("pull_3", "ZBEST").low == pytest.approx(low[0])
    assert found.metric("pull_3", "ZBEST").high == pytest.approx(high[0])
    assert "pull_5" in found.to_text()
    assert {"pull_width", "pull_3"} < {x["name"] for x in found.to_dict()["metrics"]}
    with pytest.raises(InputError, match="no metric 'pull_3'"):
        evaluate(make_result(zbest), truth).metric("pull_3", "ZBEST")


def test_the_probability_of_the_redshift_by_hand():
    truth, result = ten()
    p_z = np.array([0.95, 0.65, 0.65, np.nan, 0.95, 0.1, 0.95, 0.2, 0.95, 0.95])
    score = np.array([0.95, 0.95, 0.95, 0.95, 0.95, 0.1, 0.6, 0.95, 0.95, 0.95])
    made = dataclasses.replace(result, p_z=p_z, score=score, score_name="P_QSO")
    found = evaluate(made, truth)
    # The quasars 1, 2, 3: right, right, wrong. Of the bin of 0.65 one of two is right.
    error = (0.05 + 2 * abs(0.65 - 0.5)) / 3
    assert value(found, "p_z_error", "P_Z") == (pytest.approx(error), 3)
    assert value(found, "strict_purity", "P_QSO and P_Z > 0.9") == (1 / 2, 2)
    assert value(found, "completeness", "P_QSO and P_Z > 0.9") == (1 / 4, 4)
    assert value(found, "strict_purity", "P_QSO and P_Z > 0.5") == (2 / 5, 5)
    assert value(found, "completeness", "P_QSO and P_Z > 0.5") == (2 / 4, 4)
    nothing = evaluate(dataclasses.replace(made, p_z=np.full(10, np.nan)), truth)
    assert not [x for x in nothing.metrics if x.section == "probability of the redshift"]


def test_line_confusion_by_hand():
    # Lyman alpha at z = 2.4 taken for MgII; CIII at z = 1 taken for Lyman alpha; nothing known.
    z = np.array([2.4, 1.0, 2.0, 2.0])
    zbest = np.array([0, 0, 2.5, 2.0])
    zbest[:2] = REST[[0, 2]] * (1 + z[:2]) / REST[[3, 0]] - 1
    c_lines = np.full((4, 6), 0.1)
    c_lines[[0, 1, 2, 3], [3, 0, 1, 1]] = 0.9
    truth = {n: record("QSO", float(x)) for n, x in enumerate(z, start=1)}
    for result in (make_result(zbest, c_lines), make_result(zbest)):
        found = evaluate(result, truth)
        table = found.lines
        assert table.counts[table.rows.index("LYA"), table.columns.index("MgII(2796)")] == 1
        assert table.counts[table.rows.index("CIII(1909)"), table.columns.index("LYA")] == 1
        assert table.counts[table.rows.index("other")].sum() == 1
        assert table.counts.sum() == 3
        assert value(found, "line_confusion") == (2 / 4, 4)
        # Where the confidences say which line it was, the row of no explanation says it too.
        said = "other" if result.c_lines is None else "CIV(1548)"
        assert table.counts[-1, table.columns.index(said)] == 1


def test_calibration_by_hand():
    score = np.array([0.05, 0.05, 0.95, 0.95, 0.95, 1.0, 0.3])
    kinds = ["STAR", "QSO", "QSO", "QSO", "STAR", "QSO", "BAD"]
    truth = {n: record(kind, 2.0) for n, kind in enumerate(kinds, start=1)}
    result = make_result(np.full(7, 2.0), score=score, score_name="P_QSO")
    found = evaluate(result, truth)
    curve = found.calibration
    assert (curve.score_name, curve.n.tolist()) == ("P_QSO", [2, 0, 0, 0, 0, 0, 0, 0, 0, 4])
    assert curve.mean[[0, 9]] == pytest.approx([0.05, 0.9625])
    assert curve.fraction[[0, 9]] == pytest.approx([0.5, 0.75])
    assert np.isnan(curve.mean[1:9]).all()
    expected = (2 * 0.45 + 4 * 0.2125) / 6
    assert value(found, "calibration_error", "P_QSO") == (pytest.approx(expected), 6)
    assert value(found, "true_fraction", "0.9 <= P_QSO <= 1") == (0.75, 4)
    # The score has thresholds too, and can be the rule.
    (scan,) = found.scans
    assert scan.label == "P_QSO"
    assert scan.ncalled[[0, 50, 99]].tolist() == [6, 4, 1]
    strict = evaluate(result, truth, p_threshold=0.96)
    assert (strict.criterion, strict.sample.called.sum()) == ("P_QSO > 0.96", 1)


def test_bal_quasars_by_hand():
    bal = [1, 1, 1, -1, -1, 0]
    truth = {n: record("QSO", 2.0, bal=b) for n, b in enumerate(bal, start=1)}
    c_lines = np.array([[0.9], [0.9], [0.1], [0.9], [0.1], [0.9]])
    c_bal = np.array([[0.8], [0.2], [0.8], [0.3], [0.9], [0.9]])
    found = evaluate(make_result(np.full(6, 2.0), c_lines, c_lines_bal=c_bal), truth)
    assert value(found, "bal_found") == (2 / 3, 3)
    assert value(found, "bal_recall") == (1 / 2, 2)
    assert value(found, "bal_rejection") == (1.0, 1)
    assert value(found, "bal_recall_all") == (2 / 3, 3)
    assert value(found, "bal_rejection_all") == (1 / 2, 2)
    # IS_BAL alone does as well; both count where nothing else is asked for.
    only = make_result(np.full(6, 2.0), c_lines, is_bal=c_bal[:, 0] > 0.5)
    assert value(evaluate(only, truth), "bal_recall_all") == (2 / 3, 3)
    loose = make_result(
        np.full(6, 2.0), c_lines, c_lines_bal=c_bal, is_bal=np.array([False, True] + [False] * 4)
    )
    assert value(evaluate(loose, truth), "bal_recall") == (1.0, 2)
    assert value(evaluate(loose, truth, c_threshold=0.5), "bal_recall") == (1 / 2, 2)


def test_magnitudes_and_signal_to_noise(tmp_path):
    truth, result = ten(snr=np.full(10, 3.0))
    magnitude = np.array([18.5, 19.5, 19.0, np.nan, 18.0, 18, 18, 18, 18, 18])
    path = write_truth(tmp_path / "truth.fits", truth, RMAG=magnitude)
    found = evaluate(result, path)
    assert value(found, "completeness", "18 <= RMAG < 19") == (1.0, 1)
    assert value(found, "completeness", "19 <= RMAG < 20") == (0.5, 2)
    assert value(found, "completeness", "2 <= SNR < 4") == (0.5, 4)
    # The truth's signal-to-noise comes before the catalogue's.
    path = write_truth(tmp_path / "snr.fits", truth, SNR=np.r_[0.1, np.full(9, 20.0)])
    found = evaluate(result, path)
    assert value(found, "completeness", "SNR < 0.5") == (1.0, 1)
    assert value(found, "completeness", "SNR >= 16") == (1 / 3, 3)


def test_columns_of_several_truth_tables(tmp_path):
    truth, _ = ten()
    bands = np.arange(50.0).reshape(10, 5)
    first = write_truth(tmp_path / "a.fits", truth, PSFMAG=bands)
    second = tmp_path / "b.csv"
    second.write_text("TARGETID,TRUEZ,TRUESPECTYPE,SNR\n21,2.0,QSO,3.5\n22,1.0,QSO,\n")
    ids, columns = read_truth_columns([first, second])
    assert ids.tolist() == [*range(1, 11), 21, 22]
    np.testing.assert_array_equal(columns["RMAG"], [*bands[:, 2], np.nan, np.nan])
    np.testing.assert_array_equal(columns["SNR"], [*[np.nan] * 10, 3.5, np.nan])
    second.write_text("NAME,TRUEZ\nx,2.0\n")
    with pytest.raises(FileError, match=r"b\.csv: lacks the column THING_ID or TARGETID"):
        read_truth_columns(second)


def test_rules_that_cannot_be():
    truth, bare = ten()
    _, lines = mock_survey(10)
    with pytest.raises(InputError, match="made: has no line confidences, which c_threshold"):
        evaluate(bare, truth, c_threshold=0.5)
    with pytest.raises(InputError, match="made: has no P_QSO or PROB, which p_threshold"):
        evaluate(lines, truth, p_threshold=0.5)
    with pytest.raises(InputError, match=r"min_lines must be in 1 \.\. 6 lines, not 7"):
        evaluate(lines, truth, min_lines=7)
    for options, message in (
        ({"c_threshold": 1.5}, r"c_threshold must be in 0 \.\. 1, not 1\.5"),
        ({"min_lines": 0}, "min_lines must be at least 1, not 0"),
        ({"min_lines": 1.5}, r"min_lines must be a whole number, not 1\.5"),
        ({"z_lim": float("nan")}, "z_lim must be finite, not nan"),
        ({"c_threshold": 0.5, "p_threshold": 0.5}, "choose one criterion"),
        ({"dv_max": 0.0}, r"dv_max \[km/s\] must be finite and above 0, not 0\.0"),
        ({"dv_max": float("inf")}, r"dv_max \[km/s\] must be finite and above 0, not inf"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
        ({"level": 1.0}, "level must be between 0 and 1"),
        ({"nboot": 0}, "nboot must be at least 1"),
        *(
            ({name: "0.5"}, rf"{name}.* must be a (whole )?number, not '0\.5'")
            for name in ("c_threshold", "p_threshold", "min_lines", "dv_max", "z_lim", "level")
        ),
        ({"nboot": True}, "nboot must be a whole number, not True"),
    ):
        with pytest.raises(InputError, match=message):
            Options(**options)
    with pytest.raises(InputError, match="need_zwarn must be True or False, not 'no'"):
        evaluate(bare, truth, need_zwarn="no")
    with pytest.raises(InputError, match=r"unknown option\(s\) \['dv'\]: the legal ones are"):
        compare([bare], truth, dv=1.0)
    with pytest.raises(InputError, match="made: has no rows to evaluate"):
        evaluate(bare.select(np.zeros(len(bare), dtype=bool)), truth)
    found = evaluate(bare, truth)
    with pytest.raises(InputError, match="has no metric 'purity' of 'nowhere'"):
        found.metric("purity", "nowhere")
    with pytest.raises(InputError, match=r"Y \(6, 5\)"):
        qnet.evaluation.purity_completeness(lines.c_lines[:6].T, np.ones(5), np.ones((6, 5)), 1)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"IS_QSO": ["True", "yes"]}, "column IS_QSO holds 'yes' of type"),
        ({"IS_QSO": np.array([True, None])}, "column IS_QSO holds None of type object"),
        ({"ZBEST": ["1.5", "high"]}, "column ZBEST holds 'high' of type"),
        ({"QN_FLAG": [1.0, 2.5]}, "column QN_FLAG holds 2.5 of type"),
    ],
)
def test_the_value_that_is_wrong_is_shown(column, message):
    rows = Table({"TARGETID": [1, 2], "ZBEST": [1.0, 2.0], "IS_QSO": [True, True]} | column)
    with pytest.raises(FileError, match=message):
        result_of_table(rows)


@pytest.mark.parametrize(
    ("columns", "cards", "message"),
    [
        ({}, {"MINLINES": "nan"}, "made: card MINLINES holds 'nan', not a number"),
        ({}, {"MINLINES": "inf"}, "made: card MINLINES holds 'inf', not a number"),
        ({}, {"MINLINES": 2.5}, r"made: card MINLINES holds 2\.5, but a number of lines"),
        ({}, {"MINLINES": 0}, "made: card MINLINES holds 0, but a number of lines"),
        ({}, {"MINLINES": 1e300}, r"made: card MINLINES holds 1e\+300, but a number of lines of"),
        ({}, {"CTHRESH": "nan"}, "made: card CTHRESH holds 'nan', not a number"),
        ({"Z_LINES": 5}, {}, "made: C_LINES is of 6 lines, but Z_LINES of 5"),
        ({"C_LINES": 1}, {}, "made: C_LINES is of 1 lines, but Z_LINES of 6"),
        ({}, {f"LINE{n}": "LYA" for n in range(7)}, "name 7 lines, but C_LINES and Z_LINES are of"),
        ({}, {"LINE0": "LYA"}, "name 1 lines, but C_LINES and Z_LINES are of 6"),
    ],
)
def test_a_header_and_columns_that_contradict_one_another(columns, cards, message):
    truth, _ = ten()
    shapes = {"C_LINES": 6, "Z_LINES": 6} | columns
    lines = {name: np.ones((2, count)) for name, count in shapes.items()}
    rows = Table({"TARGETID": [1, 2], "ZBEST": [1.0, 2.0], "IS_QSO": [True, True]} | lines)
    rows.meta |= cards
    with pytest.raises(FileError, match=message):
        evaluate(result_of_table(rows, name="made"), truth)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"z_lines": np.ones((10, 5))}, r"z_lines has shape \(10, 5\), but \(10, 6\) was expected"),
        ({"c_lines": np.ones((9, 6))}, r"c_lines has shape \(9, 6\), but \(10, 6\) was expected"),
        ({"c_lines": np.ones(10)}, "c_lines must be an array of 2 dimension"),
        ({"lines": "LYA"}, "lines must be a list of line names, not the string 'LYA'"),
        ({"is_qso": np.ones(10)}, "is_qso must hold booleans, not type float64"),
        ({"snr": np.ones(3)}, r"snr has shape \(3,\), but \(10,\) was expected"),
        ({"targetid": None}, "targetid must hold integers, not type object"),
        ({"min_lines": 0}, "min_lines must be at least 1, not 0"),
    ],
)
def test_a_result_whose_arrays_do_not_go_together(changes, message):
    _, result = mock_survey(10)
    with pytest.raises(InputError, match=message):
        dataclasses.replace(result, **changes)


@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf, 1e300, -1e300])
def test_wild_numbers_are_wrong_and_change_no_other_row(tmp_path, wild):
    """Of a catalogue of two quasars one number is wild, in each column and in the truth."""
    rows = Table({"TARGETID": [1, 2], "ZBEST": [1.0, 1.0], "IS_QSO": [True, True]})
    truth = Table({"TARGETID": [1, 2], "TRUEZ": [1.0, 1.0], "TRUESPECTYPE": ["QSO", "QSO"]})
    truth["RMAG"], truth["MAG"], truth["SNR"] = [20.5, wild], [wild, 19.5], [wild, 3.0]
    truth.write(tmp_path / "truth.fits")
    bad = evaluate(rows, tmp_path / "truth.fits")
    assert value(bad, "completeness", "20 <= RMAG < 21") == (1.0, 1)
    assert value(bad, "completeness", "19 <= MAG < 20") == (1.0, 1)
    assert sum("MAG" in metric.where for metric in bad.metrics) == 6
    rows["P_QSO"], rows["SNR"] = [0.95, wild], [wild, 1.0]
    rows["C_LINES"] = rows["Z_LINES"] = np.array([[1.0] * 6, [wild] * 6])
    rows["ZBEST"] = [1.0, wild]
    bad = evaluate(rows, tmp_path / "truth.fits")
    assert value(bad, "completeness") == (0.5, 2)
    records = {1: qnet.io.TruthRecord(1.0, 3, 3, 0, 0.0), 2: qnet.io.TruthRecord(wild, 3, 3, 0, 0)}
    evaluation = evaluate(rows, records)
    assert value(evaluation, "completeness") == (1.0, 1) if np.isnan(wild) else (0.5, 2)


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ({}, "truth is empty"),
        (None, "truth must be a path or several, not None"),
        ([5], "truth must be a path, not 5"),
        ({1: None}, r"truth\[1\] must be a TruthRecord, not a NoneType"),
        ({"1": qnet.io.TruthRecord(1.0, 3, 3, 0, 0)}, "an id of the truth must be a whole number"),
        ({2**70: qnet.io.TruthRecord(1.0, 3, 3, 0, 0)}, "an id of the truth must be at most"),
        ({1: qnet.io.TruthRecord("QSO", 3, 3, 0, 0)}, "a record of the truth is not of numbers"),
    ],
)
def test_truth_that_is_none(truth, message):
    _, result = ten()
    with pytest.raises(InputError, match=message):
        evaluate(result, truth)


def test_tables_without_rows(tmp_path):
    truth, result = ten()
    none = Table({"TARGETID": np.zeros(0, int), "TRUEZ": [], "TRUESPECTYPE": np.zeros(0, "U3")})
    for name in ("empty.fits", "empty.csv"):
        none.write(tmp_path / name)
        with pytest.raises(InputError, match="truth is empty: no object with an id was found"):
            evaluate(result, tmp_path / name)
    rows = Table({"TARGETID": np.zeros(0, int), "ZBEST": [], "IS_QSO": np.zeros(0, bool)})
    with pytest.raises(InputError, match="catalogue: has no rows to evaluate"):
        evaluate(rows, truth)


def test_rows_that_are_never_quasars():
    truth, result = mock_survey(50)
    never = np.zeros(50, dtype=bool)
    never[:25] = True
    from dataclasses import replace

    found = evaluate(replace(result, never_qso=never), truth, c_threshold=0.0)
    assert not found.sample.called[:25].any()
    assert found.scans[0].ncalled[0] == (~found.sample.bad[25:]).sum()


@pytest.mark.parametrize(("level", "width"), [(0.95, 2 * 1.96), (0.68, 2 * 0.994)])
def test_the_bootstrap_interval_of_a_mean_is_that_of_theory(level, width):
    """Of a normal sample: its standard deviation over the root of its size, so many times."""
    sample = np.random.default_rng(5).normal(size=400)
    low, high = bootstrap(np.mean, sample, level=level, nboot=4000)
    assert high - low == pytest.approx(width * sample.std() / 20, rel=0.06)
    assert (low + high) / 2 == pytest.approx(sample.mean(), abs=0.005)
    # Many samples at a time have the same interval, also where they do not fit into one block.
    for size in (2, 400, 30_000):
        options = Options(level=level, nboot=50, seed=3)
        made = statistic("", "dv_nmad", nmad, (values := np.resize(sample, size),), options)
        assert (made.low, made.high) == bootstrap(nmad, values, level=level, nboot=50, seed=3)


def test_intervals():
    low, high = wilson([0, 5, 10], [10, 10, 10])
    # Wilson's interval of 5 of 10 at 95 %: Newcombe 1998, Stat. Med. 17, 857 gives such values.
    np.testing.assert_allclose([low[1], high[1]], [0.2366, 0.7634], atol=5e-5)
    assert (low[0], high[2]) == (0, 1)
    assert np.isnan(wilson(0, 0)).all()
    rng = np.random.default_rng(1)
    sample = rng.normal(10, 2, 400)
    interval = bootstrap(np.median, sample, seed=3)
    assert interval == bootstrap(np.median, sample, seed=3)
    assert interval != bootstrap(np.median, sample, seed=4)
    # The standard error of a median is 1.253 sigma / sqrt(n).
    assert interval[1] - interval[0] == pytest.approx(2 * 1.96 * 1.253 * 2 / 20, rel=0.25)
    assert interval[0] < np.median(sample) < interval[1]
    assert nmad(sample) == pytest.approx(2, rel=0.1)
    assert np.isnan(bootstrap(np.median, sample[:1])).all()
    wide, narrow = (bootstrap(np.median, sample, level=level) for level in (0.99, 0.5))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_several_catalogues_on_their_rows_and_on_common_targets(tmp_path):
    truth, result = mock_survey(200)
    path = write_truth(tmp_path / "truth.fits", truth)
    write_quasarnet(tmp_path / "qn.fits", result.select(np.arange(150)))
    write_redrock(tmp_path / "rr.fits", result.select(np.arange(50, 200)))
    both = compare([tmp_path / "qn.fits", tmp_path / "rr.fits"], path, c_threshold=0.7)
    first, second = both.evaluations
    assert (first.criterion, second.criterion) == (
        "at least 1 line(s) with c > 0.7",
        "SPECTYPE == 'QSO'",
    )
    assert [each.counts["rows evaluated"] for each in both.evaluations] == [150, 150]
    assert [each.counts["rows evaluated"] for each in both.common] == [100, 100]
    alone = evaluate(tmp_path / "rr.fits", path)
    single = compare(str(tmp_path / "rr.fits"), path).evaluations[0]
    assert single.metric("purity") == alone.metric("purity")
    assert second.metric("purity") == alone.metric("purity")
    some = result.select(np.arange(50, 150))
    assert both.common[1].metric("purity") == evaluate(some, truth).metric("purity")
    text = both.to_text()
    assert text.index("== all rows with truth ==") < text.index("== common targets ==")
    # One alone has no common targets; two without a common object say so.
    assert compare([result], truth).common is None
    parts = [result.select(np.arange(100)), result.select(np.arange(100, 200))]
    apart = compare(parts, truth)
    assert [each.name for each in apart.evaluations] == ["made (1)", "made (2)"]
    assert apart.common == ()
    assert "no object is in every catalogue" in apart.to_text()
    with pytest.raises(InputError, match="catalogues is empty"):
        compare([], truth)
    with pytest.raises(InputError, match=r"rr\.fits: has no line confidences"):
        compare([tmp_path / "rr.fits"], path, min_lines=2)


def test_files_of_one_name_are_told_apart(tmp_path):
    truth, result = mock_survey(20)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_redrock(tmp_path / folder / "rr.fits", result)
    found = compare([tmp_path / folder / "rr.fits" for folder in "ab"], truth)
    assert [each.name for each in found.evaluations] == [
        str(tmp_path / folder / "rr.fits") for folder in "ab"
    ]


def test_a_table_of_classify_is_evaluated(small_model):
    from makers import BOSS_LOGLAM, make_spectra

    flux, ivar = make_spectra(10**BOSS_LOGLAM, [1.0, 2.0])
    table = qnet.classify(10**BOSS_LOGLAM, flux, ivar, model=small_model)
    found = evaluate(table, {0: record("QSO", 1.0), 1: record("STAR", 0.0)})
    assert (found.kind, len(found.sample)) == ("qnet", 2)


def test_every_number_comes_with_its_definition():
    truth, result = mock_survey(300)
    errors = {"zerr": np.full(300, 0.01), "p_z": np.full(300, 0.9)}
    found = evaluate(dataclasses.replace(result, **errors), truth)
    text = found.to_text()
    assert {metric.name for metric in found.metrics} == set(DEFINITIONS)
    flat = " ".join(text.split())
    for metric in found.metrics:
        assert metric.definition
        assert "{" not in metric.definition
        assert f"{metric.name}: {metric.definition}." in flat
        assert metric.n >= 0
        if np.isfinite(metric.value) and np.isfinite(metric.low) and metric.unit == "":
            assert 0 <= metric.low <= metric.high <= 1
    for table in (found.classes, found.lines):
        assert f"{table.definition}." in flat


def test_json_holds_what_the_text_holds():
    truth, result = mock_survey(100)
    single = evaluate(result, truth, level=0.9, seed=7)
    written = json.loads(single.to_json())
    assert (written["format"], written["format_version"]) == ("qnet-evaluation", 1)
    assert written["options"]["level"] == 0.9
    (catalogue,) = written["catalogues"]
    assert written["common_targets"] is None
    assert len(catalogue["metrics"]) == len(single.metrics)
    for entry, metric in zip(catalogue["metrics"], single.metrics, strict=True):
        assert {"name", "value", "low", "high", "n", "definition"} <= set(entry)
        if np.isfinite(metric.value):
            assert entry["value"] == metric.value
        else:
            assert entry["value"] is None
    assert catalogue["class_confusion"]["counts"] == single.classes.counts.tolist()
    assert len(catalogue["scans"][0]["purity"]) == 100
    assert catalogue["calibration"]["n"] == single.calibration.n.tolist()
    assert single.to_json() == evaluate(result, truth, level=0.9, seed=7).to_json()


def test_real_spectra(shared_data, four_layer):
    """QuasarNET's own weights on 40 quasar targets of BOSS."""
    files = sorted((shared_data / "boss_dr12").glob("spec-*.fits"))
    table = qnet.classify(files, model=four_layer)
    found = evaluate(table, shared_data / "boss_dr12" / "truth_superset.fits")
    for name in ("purity", "strict_purity", "completeness", "found"):
        assert value(found, name) == (1.0, 25)
    assert value(found, "bal_found") == (1.0, 3)
    assert value(found, "called_qso", "true STAR") == (0.0, 12)
    assert value(found, "outliers_6000", "ZBEST") == (0.0, 25)
    assert 300 < found.metric("dv_nmad", "ZBEST").value < 1500
