"""Named strategies: each decides, row by row, as its source does."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
from astropy.table import Table

import qnet
from makers import make_spectra, primary, table, write
from qnet.core.flags import QNFlag
from qnet.lines import QUASARNET_LINES
from qnet.strategies import STRATEGIES, Strategy, as_strategy, join_evidence

NAMES = [f"C_{line.partition('(')[0]}" for line in QUASARNET_LINES]


@pytest.fixture(scope="module")
def rows():
    """Rows of every kind: values at, below and above each threshold of each strategy."""
    rng, n = np.random.default_rng(1), 4000
    levels = [0.05, 0.1, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.9, 0.95, 0.97, 0.99, 0.995, np.nan]
    weights = np.array([20.0, *np.ones(len(levels) - 1)])
    values = rng.choice(levels, (n, len(NAMES)), p=weights / weights.sum())
    z = rng.choice([0.7, 2.1, 2.15, 3.65, 3.7, 3.9, 5.2], n)
    table = Table({name: values[:, number] for number, name in enumerate(NAMES)})
    table["Z_QN"] = z + rng.choice([0.0, 0.01, 0.3], n)
    table["Z"], table["Z_NEW"] = z, np.where(rng.random(n) < 0.5, z + 0.004, np.nan)
    table["IS_QSO_QN_NEW_RR"] = np.isfinite(table["Z_NEW"])
    table["SPECTYPE"] = rng.choice(["QSO", "GALAXY", "STAR"], n)
    table["ZWARN"] = rng.choice([0, 4], n)
    table["IS_QSO_MGII"] = rng.random(n) < 0.2
    table["PROB"], table["Z_TRY"] = rng.choice([0.31, 0.32, 0.33], n), z + 0.02
    table["OBJTYPE"] = rng.choice(["TGT", "TGT", "SKY"], n)
    table["COADD_FIBERSTATUS"] = rng.choice([0, 8, 1 << 20, 1 << 23, (1 << 23) + 8], n)
    table["DESI_TARGET"] = rng.choice([1, 2, 4, 6, 1 << 60, (1 << 60) + 2], n)
    return table


def by_row(rows):
    """The rows as dictionaries."""
    return [dict(zip(rows.colnames, row, strict=True)) for row in rows.as_array().tolist()]


def best(row):
    return max((row[name] for name in NAMES if row[name] == row[name]), default=0.0)


def quasar_and_z(of):
    return lambda row: (best(row) > of, row["Z_QN"])


def farr_rr(row):
    return row["SPECTYPE"] == "QSO" and row["ZWARN"] == 0


def farr_and(row):
    near = 299792.458 * abs(row["Z_QN"] - row["Z"]) < 6000 * (1 + row["Z_QN"])
    z = row["Z_QN"] if best(row) > 0.5 else row["Z"]
    return farr_rr(row) and best(row) > 0.5 and near, z


def farr_or(row):
    by_lines = best(row) > 0.5
    return farr_rr(row) or by_lines, row["Z_QN"] if by_lines else row["Z"]


def afterburner(row):
    z = row["Z_QN"]
    if row["IS_QSO_QN_NEW_RR"]:
        z = row["Z_NEW"]
    elif row["SPECTYPE"] == "QSO":
        z = row["Z"]
    return best(row) > 0.5 and row["OBJTYPE"] == "TGT", z


def of_desi(row, least):
    """Whether DESI takes a row, before cuts: a target counts as QSO, else as ELG, else as BGS."""
    target, spectype = int(row["DESI_TARGET"]), row["SPECTYPE"] == "QSO"
    if target & 4:
        return spectype or bool(row["IS_QSO_MGII"]) or best(row) > least
    if target & 2:
        return spectype and best(row) > 0.6
    if target & 1 << 60:
        return spectype and (best(row) > 0.6 or bool(row["IS_QSO_MGII"]))
    return False


def desi_dr1(row):
    quasar = of_desi(row, 0.95) and row["COADD_FIBERSTATUS"] in (0, 1 << 23, 1 << 24)
    again = row["IS_QSO_QN_NEW_RR"] and (best(row) > 0.95 or not int(row["DESI_TARGET"]) & 4)
    z = row["Z_NEW"] if again else row["Z"]
    if 3.65 < z < 3.9 or 5.15 < z < 5.35:
        quasar = quasar and not (row["C_LYA"] < 0.95 or row["C_CIV"] < 0.95)
    return quasar, z


def desi_matterhorn(row):
    quasar = of_desi(row, 0.99) and row["COADD_FIBERSTATUS"] in (0, 8) and row["OBJTYPE"] == "TGT"
    again = row["IS_QSO_QN_NEW_RR"] and best(row) > 0.99
    return quasar, row["Z_NEW"] if again else row["Z"]


BY_HAND = {
    "quasarnet": quasar_and_z(0.4),
    "tutorial": quasar_and_z(0.5),
    "farr20-qn": quasar_and_z(0.5),
    "farr20-rr": lambda row: (farr_rr(row), row["Z"]),
    "farr20-squeze": lambda row: (row["PROB"] > 0.32, row["Z_TRY"]),
    "farr20-or": farr_or,
    "farr20-and": farr_and,
    "farr20-vi": quasar_and_z(0.9),
    "desi-afterburner": afterburner,
    "desi-dr1": desi_dr1,
    "desi-matterhorn": desi_matterhorn,
}


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "qnet"])
def test_a_strategy_decides_as_its_rule_says(name, rows):
    decision = STRATEGIES[name](rows)
    is_qso, z = map(np.array, zip(*map(BY_HAND[name], by_row(rows)), strict=True))
    np.testing.assert_array_equal(decision.is_qso, is_qso)
    np.testing.assert_array_equal(decision.z, z)
    assert 50 < is_qso.sum() < len(rows) - 50
    assert decision.inspect.any() == (name == "farr20-vi")


def test_desispec_takes_the_same_quasar_targets(rows):
    validredshifts = pytest.importorskip("desispec.validredshifts", reason="desispec is needed")
    targets = rows[(rows["DESI_TARGET"] & 4) != 0]
    for name in NAMES:
        targets[name] = np.nan_to_num(targets[name])
    targets["ZERR"] = targets["ZERR_NEW"] = targets["DELTACHI2"] = 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # desispec's own
        theirs = validredshifts.actually_validate(targets, ignore_emline=True)
    ours = STRATEGIES["desi-matterhorn"](targets)
    np.testing.assert_array_equal(ours.is_qso, theirs["GOOD_Z_QSO"])
    np.testing.assert_array_equal(ours.z[ours.is_qso], theirs["Z_QSO"][ours.is_qso])
    assert ours.is_qso.any()


def test_rows_between_two_confidences_are_left_to_inspection(rows):
    decision = STRATEGIES["farr20-vi"](rows)
    np.testing.assert_array_equal(
        decision.inspect, [0.1 < best(row) <= 0.9 for row in by_row(rows)]
    )
    assert not (decision.inspect & decision.is_qso).any()
    assert decision.to_table().colnames == ["IS_QSO", "Z", "INSPECT"]


def test_lines_are_found_by_name_in_either_form(rows):
    stacked = Table({name: rows[name] for name in rows.colnames if name not in NAMES})
    order = NAMES[::-1]
    stacked["C_LINES"] = np.stack([rows[name] for name in order], axis=1)
    stacked.meta["LINES"] = list(QUASARNET_LINES)[::-1]
    lower = Table({name.lower(): rows[name] for name in rows.colnames})
    expected = STRATEGIES["desi-dr1"](rows)
    for each in (stacked, lower, {name: rows[name].data for name in rows.colnames}):
        found = STRATEGIES["desi-dr1"](each)
        np.testing.assert_array_equal(found.is_qso, expected.is_qso)
    stacked.meta["LINES"][-1] = "OVI(1032)"
    with pytest.raises(
        qnet.InputError, match=r"table has no line LYA: its lines are Halpha, .*OVI"
    ):
        STRATEGIES["desi-dr1"](stacked)


def test_confidences_of_one_model_decide_alone(rows):
    """Those of the table itself, where DESI's afterburner has given those of its model too."""
    both = Table({name: rows[name] for name in rows.colnames})
    both["C_LINES"] = np.stack([rows[name][::-1] for name in NAMES], axis=1)
    own = both[[name for name in both.colnames if name not in NAMES]]
    for strategy in STRATEGIES.values():
        if "lines" in strategy.needs:
            np.testing.assert_array_equal(strategy(both).is_qso, strategy(own).is_qso)


def test_flags_of_qnet_forbid_a_quasar(rows):
    few = rows[:5]
    few["C_LYA"], few["SPECTYPE"], few["COADD_FIBERSTATUS"], few["OBJTYPE"] = 0.999, "QSO", 8, "TGT"
    few["DESI_TARGET"] = 4
    flags = [0, QNFlag.NODATA, QNFlag.NOT_TARGET, QNFlag.BAD_FIBER, QNFlag.NO_EVIDENCE]
    few["QN_FLAG"] = np.array(flags, dtype=np.int32)
    assert STRATEGIES["tutorial"](few).is_qso.tolist() == [True, *[False] * 4]
    # DESI takes fibres of restricted reach, which qnet flags.
    assert STRATEGIES["desi-matterhorn"](few).is_qso.tolist() == [True, False, False, True, True]


def test_the_threshold_of_the_qnet_strategy_is_that_of_the_header():
    table = Table({"P_QSO": [0.2, 0.7, np.nan], "ZBEST": [1.0, 2.0, np.nan]}, meta={"PTHRESH": 0.6})
    decision = STRATEGIES["qnet"](table)
    assert decision.is_qso.tolist() == [False, True, False]
    del table.meta["PTHRESH"]
    with pytest.raises(qnet.InputError, match=r"the strategy qnet needs the threshold.*PTHRESH"):
        STRATEGIES["qnet"](table)


@pytest.mark.parametrize(
    ("name", "missing", "message"),
    [
        ("desi-dr1", ["SPECTYPE"], "desi-dr1@1: table has no column SPECTYPE or SPECTYPE_RR"),
        (
            "farr20-or",
            ["ZWARN"],
            "farr20-or@1: table has no column ZWARN or ZWARN_RR, which redrock gives",
        ),
        ("farr20-squeze", ["PROB"], "farr20-squeze@1: table has no column PROB, which SQUEzE"),
        ("tutorial", ["Z_QN"], "tutorial@1: table has no column ZBEST or Z_QN"),
        ("tutorial", NAMES[:1], "tutorial@1: table has no column C_LINES, which qnet, QuasarNET"),
    ],
)
def test_a_table_that_lacks_what_a_strategy_needs_is_refused(name, missing, message, rows):
    rest = rows.copy()
    rest.remove_columns(missing)
    with pytest.raises(qnet.InputError, match=message):
        STRATEGIES[name](rest)


def test_what_a_strategy_could_use_and_has_not_is_named(rows):
    rest = rows.copy()
    rest.remove_columns(["IS_QSO_MGII", "DESI_TARGET"])
    text = "desi-matterhorn@1: the table has no IS_QSO_MGII, DESI_TARGET: decided without"
    with pytest.warns(qnet.QnetWarning, match=text):
        decision = STRATEGIES["desi-matterhorn"](rest)
    # Without target bits each row counts as a quasar target.
    quasars = rows["SPECTYPE"] == "QSO"
    quasars |= np.array([best(row) > 0.99 for row in by_row(rows)])
    quasars &= np.isin(rows["COADD_FIBERSTATUS"], (0, 8)) & (rows["OBJTYPE"] == "TGT")
    np.testing.assert_array_equal(decision.is_qso, quasars)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (3, "table must be a table, or columns by name, but the int that was given"),
        (
            {"C_LINES": np.ones(3), "ZBEST": np.ones(3)},
            r"C_LINES must be of shape \(nrows, nlines\), not \(3,\)",
        ),
        ({"C_LINES": np.ones((3, 2)), "ZBEST": np.ones(2)}, "must have one length, not .2, 3."),
        ({"C_LINES": np.ones((1, 2)), "ZBEST": np.array(["x"])}, "ZBEST holds .* a number per row"),
    ],
)
def test_what_is_no_table_of_evidence_is_refused(table, message):
    with pytest.raises(qnet.InputError, match=message):
        STRATEGIES["tutorial"](table)


def test_strategies_are_asked_for_by_name_and_version():
    for name, strategy in STRATEGIES.items():
        assert as_strategy(name) is as_strategy(str(strategy)) is as_strategy(strategy) is strategy
        assert isinstance(strategy, Strategy)
        for value in strategy.numbers.values():
            if isinstance(value, float):
                assert f"{value:g}" in strategy.summary or "farr20-qn" in strategy.summary
    for wrong in ("farr20", "tutorial@2", "Tutorial", 3, None):
        with pytest.raises(qnet.InputError, match=r"strategy must be one of qnet@1, quasarnet@1"):
            as_strategy(wrong)


@pytest.fixture(scope="module")
def spectra():
    wave = np.arange(3700.0, 9500.0, 4.0)
    flux, ivar = make_spectra(wave, np.linspace(0.3, 3.5, 30), seed=3)
    ivar[4] = 0
    return qnet.io.from_arrays(wave, flux, ivar, targetid=np.arange(30))


@pytest.mark.parametrize("name", [each.name for each in STRATEGIES.values() if each.of_predictions])
def test_a_classification_by_a_strategy_is_what_it_makes_of_the_catalogue(
    name, spectra, two_stage_model
):
    table = qnet.classify(spectra, model=two_stage_model, strategy=name)
    decision = STRATEGIES[name](table)
    np.testing.assert_array_equal(decision.is_qso, table["IS_QSO"])
    np.testing.assert_array_equal(decision.z, table["ZBEST"])
    assert table.meta["STRATEGY"].startswith(f"{name}@1: ")
    numbers = STRATEGIES[name].numbers
    if "c_threshold" in numbers:
        assert table.meta["CTHRESH"] == numbers["c_threshold"]


def test_without_a_strategy_it_is_the_one_that_the_model_can_follow(
    spectra, small_model, two_stage_model
):
    for model, name in ((small_model, "tutorial@1"), (two_stage_model, "qnet@1")):
        default, named = (qnet.classify(spectra, model=model, strategy=s) for s in (None, name))
        assert default.meta["STRATEGY"] == named.meta["STRATEGY"]
        assert named.meta["STRATEGY"].startswith(f"{name}: ")
        np.testing.assert_array_equal(default["IS_QSO"], named["IS_QSO"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "farr20-or"}, r"farr20-or@1 needs .*SPECTYPE, ZWARN, Z_RR, which spectra do"),
        ({"strategy": "tutorial", "min_lines": 2}, r"cannot be given with strategy tutorial@1"),
        (
            {"strategy": "tutorial", "prior": "fibres"},
            r"prior cannot .* strategy tutorial@1: it is",
        ),
        ({"strategy": "qnet", "p_threshold": 0.5}, r"cannot be given with strategy qnet@1, which"),
        ({"strategy": "none"}, r"strategy must be one of qnet@1, .*, not 'none'"),
    ],
)
def test_a_strategy_that_a_classification_cannot_follow_is_refused(
    options, message, spectra, two_stage_model
):
    with pytest.raises(qnet.InputError, match=message):
        qnet.classify(spectra, model=two_stage_model, **options)


def test_the_qnet_strategy_needs_a_calibrated_model(spectra, small_model):
    with pytest.raises(qnet.InputError, match=r"strategy qnet@1 needs a model with a calibrated"):
        qnet.classify(spectra, model=small_model, strategy="qnet")


def evidence_files(rows, folder):
    """Files of redrock, SQUEzE and DESI's afterburners on the rows, in other orders."""
    ids = rows["TARGETID"].data
    fmap = {name: rows[name].data for name in ("OBJTYPE", "COADD_FIBERSTATUS", "DESI_TARGET")}
    redrock = {name: rows[name].data for name in ("Z", "SPECTYPE", "ZWARN")}
    half = len(rows) // 2
    paths = []
    for number, part in enumerate((slice(half), slice(half, None))):
        names = {"TARGETID": ids[part][::-1]}
        columns = names | {name: values[part][::-1] for name, values in redrock.items()}
        mapped = names | {name: values[part][::-1] for name, values in fmap.items()}
        hdus = [primary(), table(columns, "REDSHIFTS"), table(mapped, "FIBERMAP")]
        paths.append(write(folder / f"redrock-{number}.fits", hdus))
    again = {"SPECID": ids, "Z_TRY": rows["Z_TRY"].data, "PROB": rows["PROB"].data}
    doubled = {name: np.concatenate([values * 0.5, values]) for name, values in again.items()}
    doubled["SPECID"] = np.concatenate([ids, ids])
    doubled["DUPLICATED"] = np.arange(2 * len(ids)) < len(ids)
    paths.append(write(folder / "squeze.fits", [primary(), table(doubled, "CANDIDATES")]))
    for name, hdu, columns in (
        ("qso_mgii.fits", "MGII", ["IS_QSO_MGII"]),
        ("qso_qn.fits", "QN_RR", ["IS_QSO_QN_NEW_RR", "Z_NEW"]),
    ):
        values = {"TARGETID": ids} | {column: rows[column].data for column in columns}
        paths.append(write(folder / name, [primary(), table(values, hdu)]))
    return paths


@pytest.fixture(scope="module")
def split(rows, tmp_path_factory):
    """The rows as a catalogue of qnet alone, and the files of the other finders."""
    known = rows[:300].copy()
    known["TARGETID"] = np.random.default_rng(2).permutation(300) + 39_000_000_000_000
    catalogue = known["TARGETID", *NAMES].copy()
    catalogue["ZBEST"], catalogue["IS_QSO"] = known["Z_QN"], False
    return known, catalogue, evidence_files(known, tmp_path_factory.mktemp("evidence"))


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "qnet"])
def test_evidence_of_files_is_joined_by_targetid(name, split):
    known, catalogue, files = split
    alone = len(catalogue.colnames)
    joined = join_evidence(catalogue, files)
    expected, found = STRATEGIES[name](known), STRATEGIES[name](joined)
    np.testing.assert_array_equal(found.is_qso, expected.is_qso)
    np.testing.assert_array_equal(found.z, expected.z)
    assert len(catalogue.colnames) == alone


def test_rows_without_evidence_have_none(split, tmp_path):
    _, catalogue, files = split
    other = catalogue[[0, 1, 2, 299]].copy()
    other["TARGETID"][:2] = [-1, 5]
    joined = join_evidence(other, files)
    assert joined["SPECTYPE"].tolist()[:2] == ["", ""]
    assert np.isnan(joined["Z_RR"][:2]).all()
    assert joined["ZWARN"].tolist()[:2] == [-1, -1]
    assert not joined["IS_QSO_MGII"][:2].any()
    assert joined["SPECTYPE"][2] in ("QSO", "GALAXY", "STAR")
    with pytest.warns(qnet.QnetWarning, match=r"none of the TARGETIDs of its table MGII is in the"):
        join_evidence(other[:2], files[3])
    empty = write(tmp_path / "none.fits", [primary(), table({"X": np.arange(3)}, "SOMETHING")])
    with pytest.raises(
        qnet.FileError, match=r"none.fits: holds none of the tables REDSHIFTS, .*SOMETHING"
    ):
        join_evidence(other, empty)
    with pytest.raises(qnet.InputError, match="table has no column TARGETID, by which"):
        join_evidence(other["ZBEST",], files)


@pytest.mark.parametrize("name", ["tutorial", "farr20-squeze", "desi-matterhorn"])
def test_an_evaluation_measures_what_a_strategy_decides(name, split):
    known, catalogue, files = split
    strategy = STRATEGIES[name]
    decision = strategy(known)
    rng = np.random.default_rng(4)
    quasars = np.where(rng.random(len(known)) < 0.8, decision.is_qso, ~decision.is_qso)
    z = np.where(quasars, decision.z + rng.choice([0.0, 0.5], len(known)), 0.0)
    truth = {
        int(number): qnet.io.TruthRecord(z_true, 3 if quasar else 4, 3, 0, 0.0)
        for number, z_true, quasar in zip(known["TARGETID"], z, quasars, strict=True)
    }
    catalogue = catalogue.copy()
    catalogue["P_Z"] = 0.5
    found = qnet.evaluate(catalogue, truth, strategy=name, evidence=files, nboot=5)
    assert found.criterion == f"strategy {strategy}"
    assert found.options.strategy == str(strategy)
    right = quasars & (np.abs(decision.z - z) < 0.01)
    purity = (decision.is_qso & right).sum() / decision.is_qso.sum()
    completeness = (decision.is_qso & right).sum() / quasars.sum()
    assert found.metric("purity").value == pytest.approx(purity)
    assert found.metric("completeness").value == pytest.approx(completeness)
    # P_Z is the probability of ZBEST, and of no other redshift.
    p_z = found.sample.result.p_z
    np.testing.assert_array_equal(np.isnan(p_z), decision.z != catalogue["ZBEST"])
    if name != "tutorial":
        with pytest.raises(qnet.InputError, match=f"has no .*, which strategy {strategy} needs"):
            qnet.evaluate(catalogue, truth, strategy=name)


def test_files_of_redrock_and_the_afterburner_follow_a_strategy(split):
    known, _, files = split
    truth = {
        int(number): qnet.io.TruthRecord(z, 3, 3, 0, 0.0)
        for number, z in zip(known["TARGETID"], known["Z"], strict=True)
    }
    found = qnet.evaluation.compare(files[:3], truth, strategy="farr20-rr", nboot=5)
    assert [each.criterion for each in found.evaluations] == [
        "strategy farr20-rr@1",
        "strategy farr20-rr@1",
        "PROB > 0.5",
    ]
    called = sum(int(each.sample.called.sum()) for each in found.evaluations[:2])
    assert called == int(((known["SPECTYPE"] == "QSO") & (known["ZWARN"] == 0)).sum())
    with pytest.raises(qnet.InputError, match="strategy cannot be given with c_threshold"):
        qnet.evaluate(files[0], truth, strategy="farr20-rr", c_threshold=0.5)
    bare = dataclasses.replace(found.evaluations[0].sample.result, evidence=None)
    with pytest.raises(qnet.InputError, match="has no columns, which strategy tutorial@1 needs"):
        qnet.evaluate(bare, truth, strategy="tutorial")


def test_rows_left_to_inspection_are_counted_in_the_criterion(split):
    known, catalogue, _ = split
    truth = {int(n): qnet.io.TruthRecord(1.0, 3, 3, 0, 0.0) for n in known["TARGETID"]}
    found = qnet.evaluate(catalogue, truth, strategy="farr20-vi", nboot=5)
    left = int(STRATEGIES["farr20-vi"](known).inspect.sum())
    assert found.criterion == f"strategy farr20-vi@1, which leaves {left} rows to visual inspection"
