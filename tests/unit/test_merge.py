"""One answer per object from qnet and redrock."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.table import Table

import qnet
from makers import primary, table, write
from qnet import cli
from qnet.redrock import merge, merging
from qnet.redrock.weights import LAWS, load_weights


def catalogue(**columns):
    """A catalogue of as many rows as ZBEST has."""
    n = len(columns["ZBEST"])
    values = {
        "TARGETID": np.arange(n) + 7,
        "IS_QSO": np.ones(n, bool),
        "P_QSO": np.full(n, 0.9, np.float32),
        "ZERR": np.full(n, 0.01, np.float32),
        "P_Z": np.full(n, 0.9, np.float32),
        "QN_FLAG": np.zeros(n, np.int32),
        "C_LINES": np.full((n, 2), 0.9, np.float32),
    }
    return Table(values | columns, meta={"PTHRESH": 0.5, "LINE0": "LYA", "LINE1": "CIV(1548)"})


def redrock(path, z, *, targetid=None, **columns):
    """redrock's file; quasars without a warning unless told otherwise."""
    n = len(z)
    values = {
        "TARGETID": np.arange(n) + 7 if targetid is None else targetid,
        "Z": np.array(z),
        "ZERR": np.full(n, 1e-4),
        "ZWARN": np.zeros(n, int),
        "SPECTYPE": np.full(n, "QSO"),
        "DELTACHI2": np.full(n, 5000.0),
    }
    return write(path, [primary(), table(values | columns, "REDSHIFTS")])


def test_weak_lines_replace_no_good_redshift(tmp_path):
    """The row of a public report: a line of 0.6 at 1.94 against redrock's good 5.62."""
    ours = catalogue(
        ZBEST=[1.94, 1.94, 1.94],
        P_Z=np.float32([0.94, 0.94, 0.999]),
        C_LINES=np.float32([[0.6, 0.1], [0.99, 0.1], [0.6, 0.1]]),
    )
    theirs = redrock(tmp_path / "a.fits", [5.62] * 3)
    found = merge(ours, theirs)
    assert found["ZBEST"].tolist() == [5.62, 1.94, 1.94]
    assert found["Z_FROM"].tolist() == ["redrock", "qnet", "qnet"]
    assert found["ZERR"][0] == 1e-4
    assert found["WHY"][0] == "redrock kept: the line is weak"
    # Where redrock warns the weights decide.
    warned = redrock(tmp_path / "b.fits", [5.62] * 3, ZWARN=[4] * 3, DELTACHI2=[2.0] * 3)
    found = merge(ours, warned)
    assert found["ZBEST"].tolist() == [1.94] * 3
    assert set(found["WHY"]) == {"qnet has better odds"}
    np.testing.assert_array_equal(found["Z_QN"], ours["ZBEST"])
    np.testing.assert_array_equal(found["P_Z_QN"], ours["P_Z"])
    assert found["ZERR"].dtype == np.float32
    assert all(found[name].description for name in found.colnames if name not in ours.colnames)


@pytest.mark.parametrize(("p_qso", "z"), [(0.94, 5.62), (0.96, 1.94)])
def test_good_redshifts_of_galaxies_yield_to_sure_quasars(tmp_path, p_qso, z):
    ours = catalogue(ZBEST=[1.94], P_QSO=np.float32([p_qso]), C_LINES=np.float32([[0.9, 0.1]]))
    theirs = redrock(tmp_path / "r.fits", [5.62], SPECTYPE=["GALAXY"])
    assert merge(ours, theirs)["ZBEST"].tolist() == [z]


@pytest.mark.parametrize("where", ["catalogue", "redshifts"])
def test_mgii_quasars_stay(tmp_path, where):
    ours = catalogue(ZBEST=[2.4, 0.3], P_QSO=np.float32([0.01, 0.9]), P_Z=np.float32([1.0, 1.0]))
    ours["C_LINES"] = np.float32([[1, 1], [1, 1]])
    mgii = {"IS_QSO_MGII": np.array([True, False])}
    theirs = redrock(
        tmp_path / "r.fits", [0.9, 0.3], SPECTYPE=["GALAXY", "QSO"], DELTACHI2=[9.0, 99.0],
        **(mgii if where == "redshifts" else {}),
    )  # fmt: skip
    if where == "catalogue":
        ours["IS_QSO_MGII"] = mgii["IS_QSO_MGII"]
    found = merge(ours, theirs)
    assert found["IS_QSO"].tolist() == [True, True]
    assert found["ZBEST"].tolist() == [0.9, 0.3]
    assert found["WHY"].tolist() == ["redrock kept: MgII quasar", "both agree"]


def test_answers_of_one_finder_alone(tmp_path):
    ours = catalogue(ZBEST=[2.1, np.nan, np.nan, 1.0], P_Z=np.float32([0.9, np.nan, np.nan, 0.5]))
    ours["P_QSO"] = np.float32([0.9, np.nan, np.nan, 0.9])
    ours["QN_FLAG"] = [0, int(qnet.QNFlag.NODATA), 0, 0]
    theirs = redrock(tmp_path / "r.fits", [0.4, 0.5, 1.001], targetid=[8, 9, 10])
    found = merge(ours, theirs)
    assert found["WHY"].tolist() == [
        "qnet alone has an answer", "redrock alone has an answer", "redrock alone has an answer",
        "both agree",
    ]  # fmt: skip
    np.testing.assert_array_equal(found["ZBEST"], [2.1, 0.4, 0.5, 1.0])
    assert found["P_QSO"][0] == np.float32(0.9)
    assert np.isnan(found["P_QSO"][1])
    assert not found["IS_QSO"][1]
    assert found["P_QSO"][3] > 0.9  # two that agree are surer
    assert found["P_Z"][3] >= 0.5


def test_weights_have_a_number_for_every_feature():
    weights = load_weights()
    assert "simulated targets" in weights.fitted_on
    assert {law: set(values) for law, values in weights.weights.items()} == {
        law: set(features(_one_row())) for law, (features, _) in LAWS.items()
    }
    # More evidence for a quasar at qnet's redshift never counts against it.
    assert weights.weights["quasar"]["logit_p_qso"] > 0
    assert weights.weights["qnet_right"]["logit_p_z"] > 0
    assert weights.weights["quasar"]["agree"] >= 0
    assert weights.weights["qnet_right"]["redrock_warned"] >= 0
    assert weights.weights["qnet_right"]["excess"] <= 0


def _one_row():
    from qnet.redrock.weights import Evidence

    one = np.ones(1)
    return Evidence(one / 2, one / 2, one, one, one > 0, one, one < 0, one)


def scan(path, *, nz=50, damage=""):
    """A details file of redrock for the targets 7 and 8: best at z = 5 and z = 2."""
    with h5py.File(path, "w") as file:
        file["targetids"] = np.array([8, 7])
        redshifts = np.linspace(1.5, 6.0, 451)
        chi2 = np.stack([1000 + 400 * np.abs(redshifts - best) for best in (2.0, 5.0)])
        for name, values in (("QSO:::HIZ", chi2), ("GALAXY", chi2 + 50)):
            file[f"zscan/{name}/redshifts"] = redshifts
            file[f"zscan/{name}/zchi2"] = values if damage != "shape" else values[:1]
            file[f"zscan/{name}/penalty"] = np.zeros_like(values)
        if damage == "link":
            del file["targetids"]
            file["targetids"] = h5py.ExternalLink("other.h5", "x")
    return path


def test_the_scan_is_evidence(tmp_path, monkeypatch):
    weights = load_weights()
    law = {**weights.weights["qnet_right"], "excess": -1.0}
    other = dataclasses.replace(weights, weights={**weights.weights, "qnet_right": law})
    monkeypatch.setattr(merging, "load_weights", lambda: other)
    ours = catalogue(ZBEST=[2.0, 2.0], P_Z=np.float32([0.6, 0.6]))
    theirs = redrock(tmp_path / "r.fits", [5.0, 5.0], DELTACHI2=[9.0, 9.0])
    found = merge(ours, theirs, chi2_scan=scan(tmp_path / "scan.h5"))
    without = merge(ours, theirs)
    # Redrock fits row 1 as well at qnet's redshift, and row 0 much worse.
    p = [row["P_Z"] if row["Z_FROM"] == "qnet" else 1 - row["P_Z"] for row in found]
    assert p[1] > p[0]
    assert without["P_Z"][0] == without["P_Z"][1]
    for damage, match in (("shape", "chi2 of shape"), ("link", "lacks targetids")):
        path = scan(tmp_path / f"{damage}.h5", damage=damage)
        with pytest.raises(qnet.FileError, match=match):
            merge(ours, theirs, chi2_scan=path)


def test_the_command(tmp_path, capsys):
    ours = catalogue(ZBEST=[2.1, 1.94])
    qnet.write_catalogue(ours, tmp_path / "catalogue.fits")
    theirs = redrock(tmp_path / "r.fits", [2.1, 5.62])
    output = tmp_path / "merged.fits"

    def run(*words):
        return cli.main(["merge", str(tmp_path / "catalogue.fits"), *map(str, words)])

    assert run(theirs, "-o", output) == 0
    assert "2 quasars in 2 rows, 1 at redrock's redshift" in capsys.readouterr().out
    found = qnet.read_catalogue(output)
    assert found.meta["STRATEGY"] == "qnet@1"
    assert found["WHY"].tolist() == ["both agree", "redrock kept: the line is weak"]
    strict = tmp_path / "strict.csv"
    assert run(theirs, "-o", strict, "--strategy", "farr20-rr") == 0
    with pytest.raises(qnet.InputError, match="merged already"):
        merge(output, theirs)
    assert run(redrock(tmp_path / "o.fits", [1.0], targetid=[1]), "-o", tmp_path / "n.fits") == 1
    assert "none of the TARGETIDs" in capsys.readouterr().err
    short = Table.read(theirs)
    short.remove_columns(["ZWARN", "DELTACHI2"])
    short.write(tmp_path / "short.fits")
    with pytest.warns(qnet.QnetWarning, match=r"short\.fits: lacks ZWARN, DELTACHI2, which"):
        merge(ours, tmp_path / "short.fits")
    ours.remove_column("P_Z")
    with pytest.raises(qnet.InputError, match=r"lacks the column\(s\) P_Z"):
        merge(ours, theirs)


def test_confidences_stand_in_for_probabilities(tmp_path):
    """Of QuasarNET's networks, which have none."""
    none = np.full(2, np.nan, np.float32)
    ours = catalogue(ZBEST=[2.1, 1.94], P_Z=none, P_QSO=none)
    ours["C_LINES"] = np.float32([[0.99, 0.2], [0.6, 0.1]])
    theirs = redrock(tmp_path / "r.fits", [2.1, 5.62])
    found = merge(ours, theirs, strategy="farr20-or")
    assert found["ZBEST"].tolist() == [2.1, 5.62]
    assert (found["P_QSO"] > 0.5).all()
    assert found["IS_QSO"].all()


@pytest.fixture
def recipe(monkeypatch):
    """The module `merge_weights` of the recipes."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "recipes"))
    import merge_weights

    yield merge_weights
    sys.modules.pop("merge_weights")


def test_fitted_weights_use_what_each_finder_knows(recipe):
    """Finders that err independently, and know when: merged they err less than each alone."""
    rng = np.random.default_rng(4)
    n = 1500
    quasar, true = rng.random(n) < 0.6, rng.uniform(0.5, 3.5, n)

    def finder(errors):
        """Redshifts that are wrong with given probabilities."""
        wrong = rng.random(n) < errors
        return np.where(wrong, rng.uniform(0.5, 3.5, n), true), wrong

    doubt, other = (rng.choice([0.01, 0.4], p=[0.85, 0.15], size=n) for _ in range(2))
    (ours, _), (theirs, _) = finder(doubt), finder(other)
    odds = np.where(quasar, 3.0, -3.0) + rng.normal(size=n) * 2
    table = catalogue(ZBEST=ours, P_Z=(1 - doubt).astype("f4"), TARGETID=np.arange(n))
    table["P_QSO"] = (1 / (1 + np.exp(-odds))).astype("f4")
    table["IS_QSO"] = odds > 0
    table["Z_RR"], table["ZERR_RR"] = theirs, 1e-4
    table["ZWARN_RR"] = np.where(other > 0.1, 4, 0)
    table["DELTACHI2_RR"] = np.where(other > 0.1, 5.0, 500.0)
    table["SPECTYPE_RR"] = np.where(quasar ^ (rng.random(n) < 0.1), "QSO", "GALAXY")
    table["TRUE_QSO"], table["TRUE_Z"] = quasar, true
    table["CHUNK"], table["WEIGHT"] = np.arange(n) % 2, 1.0
    found = recipe.measure(recipe.merged(table, recipe._evidence(table, None), ""))
    assert found["at the purity of qnet"]["merged - qnet"] > 0.02
    assert found["at the purity of redrock"]["merged - redrock"] > 0.02
    assert found["right redshifts of all quasars"]["merged"] > 0.96
