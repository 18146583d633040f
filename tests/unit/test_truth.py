"""Truth tables of every survey, and prepared data with them."""

from __future__ import annotations

import gzip
import logging

import numpy as np
import pytest
from astropy.table import Table

import qnet.io
from makers import prepared, table, write
from qnet.core.errors import FileError, InputError, MissingFileError
from qnet.core.grid import QUASARNET_GRID
from qnet.io.truth import TruthRecord
from qnet.objective import CLASSES
from qnet.preprocess.normalisation import normalise

BOSS = {
    "THING_ID": np.int32([11, 12, 13, 14, -1]),
    "PLATE": np.int32([7102] * 5),
    "MJD": np.int32([56666] * 5),
    "FIBERID": np.int32([1, 2, 3, 4, 5]),
    "Z_VI": np.array([0.0, 2.3, 1.5, 0.1, 0.0]),
    "CLASS_PERSON": np.int32([1, 30, 3, 4, 0]),
    "Z_CONF_PERSON": np.int32([3, 3, 2, 3, 0]),
    "BAL_FLAG_VI": np.int32([0, 1, 0, 0, 0]),
    "BI_CIV": np.array([0.0, 900.0, 0.0, 0.0, 0.0]),
}


def write_truth(path, columns):
    from makers import primary

    return write(path, [primary(), table(columns, "TRUTH")])


def test_a_boss_superset(tmp_path):
    truth = qnet.io.read_truth(write_truth(tmp_path / "truth.fits", BOSS))
    assert list(truth) == [11, 12, 13, 14]
    assert truth[12] == TruthRecord(2.3, 30, 3, 1, 900.0, 7102, 56666, 2)
    sure = {key: truth[key] for key in truth if truth[key].z_conf_person == 3}
    assert list(sure) == [11, 12, 14]


def test_several_files_and_agreeing_duplicates(tmp_path):
    first = write_truth(tmp_path / "a.fits", BOSS)
    later = {name: column[:2] for name, column in BOSS.items()}
    second = write_truth(tmp_path / "b.fits", {**later, "FIBERID": np.int32([8, 9])})
    truth = qnet.io.read_truth([first, str(second)])
    assert truth[11].fiberid == 1
    other = {**later, "Z_VI": np.array([0.0, 2.4])}
    third = write_truth(tmp_path / "c.fits", other)
    with pytest.raises(
        FileError, match=r"c\.fits: THING_ID 12 is there twice with different truth"
    ):
        qnet.io.read_truth([first, third])


def test_a_dr16_superset(tmp_path):
    columns = {name: column[:4] for name, column in BOSS.items()}
    columns["Z_CONF"] = columns.pop("Z_CONF_PERSON")
    del columns["BAL_FLAG_VI"]
    columns["BAL_PROB"] = np.array([0.0, 0.9, -1.0, 0.2])
    truth = qnet.io.read_truth(write_truth(tmp_path / "t.fits", columns))
    assert [truth[key].bal_flag_vi for key in truth] == [0, 1, 0, 0]
    assert np.isnan(truth[13].bi_civ)
    assert truth[14].bi_civ == 0
    assert [truth[key].z_conf_person for key in truth] == [3, 3, 2, 3]


@pytest.mark.parametrize("kind", ["fits", "csv"])
def test_desi_visual_inspection(tmp_path, kind):
    columns = {
        "TargetID": np.array([39627600000000001, 39627600000000002, 5, 6]),
        "vi_z": np.array([2.25, 0.5, 0.0, 1.0]),
        "VI_quality": np.array([4.0, 2.5, 2.0, 3.5]),
        "VI_Spectype": np.array(["QSO", "GALAXY", "STAR", "WEIRD"]),
    }
    path = tmp_path / f"vi.{kind}"
    if kind == "fits":
        write_truth(path, columns)
    else:
        rows = zip(*columns.values(), strict=True)
        lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    truth = qnet.io.read_truth(path)
    assert [record.class_person for record in truth.values()] == [3, 4, 1, 0]
    assert [record.z_conf_person for record in truth.values()] == [3, 3, 1, 3]
    assert truth[39627600000000001].z_vi == 2.25
    # Nothing is known of broad absorption.
    assert all(np.isnan(record.bi_civ) for record in truth.values())


def test_prospects_file_falls_back_on_redrock(tmp_path):
    path = tmp_path / "prospect.csv"
    path.write_text(
        "TARGETID,Redrock_z,Redrock_spectype,VI_z,VI_spectype,VI_quality\n"
        "1,2.5,QSO,,,4\n2,0.3,GALAXY,2.1,QSO,3\n3,1.0,QSO,,,-1\n4,0.0,STAR,,,\n"
    )
    truth = qnet.io.read_truth(path)
    assert [(r.z_vi, r.class_person, r.z_conf_person) for r in truth.values()] == [
        (2.5, 3, 3),
        (2.1, 3, 3),
        (1.0, 0, 0),
        (0.0, 0, 0),
    ]


def test_simulated_truth(tmp_path):
    columns = {
        "TARGETID": np.array([1, 2]),
        "TRUEZ": np.array([2.0, 0.1]),
        "TRUESPECTYPE": np.array(["QSO", "GALAXY"]),
        "BAL_FLAG_VI": np.int32([1, 0]),
        "BI_CIV": np.array([500.0, 0.0]),
    }
    truth = qnet.io.read_truth(write_truth(tmp_path / "t.fits", columns))
    assert truth[1] == TruthRecord(2.0, 3, 3, 1, 500.0)
    assert truth[2].bi_civ == 0


def test_a_csv_file_of_a_spreadsheet(tmp_path):
    """A byte order mark before the first name and blank lines are no part of the table."""
    path = tmp_path / "truth.csv"
    path.write_text("TARGETID,TRUEZ,TRUESPECTYPE\n\n7,1.5,QSO\n\n", encoding="utf-8-sig")
    assert qnet.io.read_truth(path)[7].z_vi == 1.5
    path.write_text("\n\n")
    (tmp_path / "twice.csv").write_text("TARGETID,Z_VI,z_vi\n1,2.0,0.5\n")
    with pytest.raises(FileError, match=r"twice\.csv: has the column\(s\) Z_VI more than once"):
        qnet.io.read_truth(tmp_path / "twice.csv")
    with pytest.raises(FileError, match=r"truth\.csv: holds blank lines only"):
        qnet.io.read_truth(path)


def test_tables_that_are_no_truth(tmp_path):
    with pytest.raises(MissingFileError, match=r"none\.fits: no such file"):
        qnet.io.read_truth(tmp_path / "none.fits")
    short = {name: column for name, column in BOSS.items() if name != "Z_VI"}
    with pytest.raises(
        FileError, match=r"t\.fits: is no truth table .* superset: THING_ID, Z_VI, C"
    ):
        qnet.io.read_truth(write_truth(tmp_path / "t.fits", short))
    with pytest.raises(FileError, match=r"t\.fits: .* it lacks Z_VI of a superset"):
        qnet.io.read_truth(tmp_path / "t.fits")
    with pytest.raises(
        FileError, match=r"e\.fits: .* qnet knows: it has the columns \['RA'\], but"
    ):
        qnet.io.read_truth(write_truth(tmp_path / "e.fits", {"RA": np.zeros(2)}))
    (tmp_path / "bad.csv").write_text("TARGETID,VI_Z,VI_QUALITY,VI_CLASS\n1,x,4,QSO\n")
    with pytest.raises(FileError, match=r"bad\.csv: column VI_Z holds 'x'"):
        qnet.io.read_truth(tmp_path / "bad.csv")
    with pytest.raises(InputError, match="files is empty: at least one truth table was expected"):
        qnet.io.read_truth(tmp_path.glob("nothing*.fits"))
    (tmp_path / "ragged.csv").write_text("TARGETID,VI_Z,VI_QUALITY,VI_CLASS\n1,2\n")
    with pytest.raises(FileError, match=r"ragged\.csv: a row has another number of fields"):
        qnet.io.read_truth(tmp_path / "ragged.csv")


@pytest.mark.parametrize("suffix", ["csv", "ecsv"])
def test_a_column_in_two_cases_is_refused(tmp_path, suffix):
    columns = {"TARGETID": [1], "TRUEZ": [1.5], "truez": [2.5], "TRUESPECTYPE": ["QSO"]}
    path = tmp_path / f"truth.{suffix}"
    Table(columns).write(path)
    with pytest.raises(FileError, match=rf"truth\.{suffix}: has the column\(s\) TRUEZ more than"):
        qnet.io.read_truth(path)
    columns |= {"ZBEST": [1.5], "zbest": [2.5], "IS_QSO": [True]}
    Table(columns).write(path, overwrite=True)
    with pytest.raises(FileError, match=rf"truth\.{suffix}: has the column\(s\) ZBEST more than"):
        qnet.evaluation.read_result(path)


def test_a_gzipped_csv_table_is_called_what_it_is(tmp_path):
    (tmp_path / "truth.csv").write_bytes(gzip.compress(b"TARGETID,TRUEZ,TRUESPECTYPE\n"))
    with pytest.raises(FileError, match=r"is a gzip file, but a truth table .*: unpack it first"):
        qnet.io.read_truth(tmp_path / "truth.csv")


def test_texts_that_are_missing_or_of_several_parts(tmp_path):
    odd = Table({"TARGETID": [1, 2, 3], "VI_Z": [1.5, 0.2, 0.3], "VI_QUALITY": [4.0, 4.0, 4.0]})
    odd["VI_SPECTYPE"] = np.array([None, ["QSO", "BAL"], "GALAXY"], dtype=object)
    odd["REDROCK_SPECTYPE"] = ["QSO", "STAR", "STAR"]
    odd.write(tmp_path / "odd.ecsv")
    found = qnet.io.read_truth(tmp_path / "odd.ecsv")
    assert [record.class_person for record in found.values()] == [3, 0, 4]


def data(count, seed=0):
    rng = np.random.default_rng(seed)
    flux = rng.normal(5, 2, (count, QUASARNET_GRID.npix)).astype(np.float32)
    return flux, np.ones_like(flux)


@pytest.fixture
def data_file(tmp_path):
    """Nine spectra, of which some must go."""
    flux, ivar = data(9)
    ivar[4], flux[5] = 0, 3.0
    columns = {
        "TARGETID": np.array([11, 12, 13, 14, 15, 16, -1, 99, 17]),
        "PLATE": np.arange(9, dtype=np.int32),
        "MJD": np.arange(9, dtype=np.int32) + 50000,
        "FIBERID": np.arange(9, dtype=np.int32) + 1,
    }
    return write(tmp_path / "data.fits", prepared(flux, ivar, columns)), flux, ivar


TRUTH = {
    11: TruthRecord(0.0, 1, 3, 0, 0.0),
    12: TruthRecord(2.3, 30, 3, 1, 900.0),
    13: TruthRecord(1.5, 3, 2, 0, 0.0),
    14: TruthRecord(0.1, 4, 3, 0, np.nan),
    15: TruthRecord(2.0, 3, 3, 0, 0.0),
    16: TruthRecord(2.0, 3, 3, 0, 0.0),
    17: TruthRecord(0.0, 0, 0, 0, 0.0),
}


def test_data_with_truth(data_file, caplog):
    path, flux, ivar = data_file
    with caplog.at_level(logging.INFO, logger="qnet"):
        tids, X, Y, z, bal = qnet.io.read_data(path, TRUTH)
    assert tids.tolist() == [11, 12, 13, 14]
    assert X.dtype == np.float32
    np.testing.assert_allclose(X, normalise(flux, ivar)[:4], rtol=1e-6)
    names = [CLASSES[column] for column in Y.argmax(axis=1)]
    assert names == ["STAR", "QSO_HZ", "BAD", "GALAXY"]
    np.testing.assert_array_equal(Y.sum(axis=1), 1)
    assert z.tolist() == [0.0, 2.3, 1.5, 0.1]
    assert bal.tolist() == [-1, 1, -1, 0]
    for reason in ("id -1", "not in truth", "not inspected", "without weight", "without scatter"):
        assert f"1 spectra removed: {reason}" in caplog.text
    assert "1 spectra are BAD" in caplog.text


def test_data_of_another_survey_than_the_truth(data_file):
    path, *_ = data_file
    with pytest.raises(
        InputError,
        match=r"none of the ids of the \d spectra is in the truth: the spectra have 11, 12, 13, "
        r"\.\.\., the truth has 5; is it the truth of another survey\?",
    ):
        qnet.io.read_data(path, {5: TRUTH[11]})
    with pytest.raises(InputError, match="the truth has none; is it"):
        qnet.io.read_data(path, {})
    assert len(qnet.io.read_data(path, {5: TRUTH[11]}, nspec=0)[0]) == 0


def test_data_without_truth_and_with_plates(data_file):
    path, *_ = data_file
    tids, X = qnet.io.read_data([str(path)])
    assert X.shape == (6, QUASARNET_GRID.npix)
    assert tids.tolist() == [11, 12, 13, 14, 99, 17]
    tids, _, plate, mjd, fiberid = qnet.io.read_data(path, return_pmf=True)
    assert plate.tolist() == [0, 1, 2, 3, 7, 8]
    assert mjd.tolist() == [50000, 50001, 50002, 50003, 50007, 50008]
    assert fiberid.tolist() == [1, 2, 3, 4, 8, 9]
    assert len(qnet.io.read_data(path, TRUTH, return_pmf=True)) == 8


def test_the_limit_between_the_quasar_classes(data_file):
    _, _, Y, *_ = qnet.io.read_data(data_file[0], TRUTH, z_lim=2.5)
    assert CLASSES[Y[1].argmax()] == "QSO_LZ"


def test_nspec_counts_rows_over_all_files_before_any_cut(data_file, tmp_path):
    path, *_ = data_file
    flux, ivar = data(3, seed=2)
    other = write(tmp_path / "b.fits", prepared(flux, ivar, {"TARGETID": np.array([21, 22, 23])}))
    for nspec, expected in (
        (0, []),
        (2, [11, 12]),
        (7, [11, 12, 13, 14]),
        (10, [11, 12, 13, 14, 99, 17, 21]),
        (100, [11, 12, 13, 14, 99, 17, 21, 22, 23]),
    ):
        assert qnet.io.read_data([path, other], nspec=nspec)[0].tolist() == expected


def test_data_that_do_not_fit(data_file, tmp_path):
    path, *_ = data_file
    grid = ("linear", 3600.0, 10.0)
    flux, ivar = data(2)
    columns = {"TARGETID": np.array([1, 2])}
    other = write(tmp_path / "b.fits", prepared(flux, ivar, columns, grid=grid))
    with pytest.raises(FileError, match=r"b\.fits: is on another grid"):
        qnet.io.read_data([path, other])
    truth = write_truth(tmp_path / "t.fits", BOSS)
    with pytest.raises(FileError, match=r"t\.fits: is no prepared data file"):
        qnet.io.read_data(truth)
    with pytest.raises(InputError, match="files is empty"):
        qnet.io.read_data([])
    with pytest.raises(InputError, match="nspec must be at least 0, not -1"):
        qnet.io.read_data(path, nspec=-1)


def test_real_truth_and_real_spectra(shared_data):
    truth = qnet.io.read_truth([shared_data / "boss_dr12" / "truth_superset.fits"])
    quasars = [r for r in truth.values() if r.class_person in (3, 30) and r.z_conf_person == 3]
    assert (len(truth), len(quasars)) == (40, 25)
    assert sum(record.bal_flag_vi for record in truth.values()) == 3
