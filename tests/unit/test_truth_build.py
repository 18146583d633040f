"""A truth file says what the superset and the DRQ say, and reads back as a superset."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from makers import primary, table, write
from qnet.core.errors import FileError, InputError, MissingFileError, OutputExistsError
from qnet.io import build_truth, read_truth, write_truth

SUPERSET = {
    "THING_ID": np.int64([10, 11, -1, 12, 13]),
    "Z_VI": np.array([2.5, 0.0, 1.0, 0.7, 3.1]),
    "PLATE": np.int32([7102, 7102, 7102, 7103, 7104]),
    "MJD": np.int32([56666, 56666, 56666, 56667, 56668]),
    "FIBERID": np.int32([1, 2, 3, 4, 5]),
    "CLASS_PERSON": np.int32([3, 1, 3, 4, 30]),
    "Z_CONF_PERSON": np.int32([3, 3, 3, 3, 2]),
}

DRQ = {
    "THING_ID": np.int64([13, -1, 10, 99, -1]),
    "BAL_FLAG_VI": np.int16([1, 0, 0, 1, 1]),
    "BI_CIV": np.array([1500.0, 0.0, 0.0, 20.0, 30.0]),
}


def save(path, columns, **changes):
    return write(path, [primary(), table(columns | changes)])


@pytest.fixture
def superset(tmp_path):
    return save(tmp_path / "superset.fits", SUPERSET)


@pytest.fixture
def drq(tmp_path):
    return save(tmp_path / "drq.fits", DRQ)


def test_the_bal_columns_come_from_the_drq(superset, drq):
    truth = build_truth(superset, drq)
    assert truth.columns["THING_ID"].tolist() == [10, 11, 12, 13]
    assert truth.columns["BAL_FLAG_VI"].tolist() == [0, 0, 0, 1]
    assert truth.columns["BI_CIV"].tolist() == [0.0, 0.0, 0.0, 1500.0]
    assert truth.removed == {"THING_ID -1": 1}
    assert (len(truth), truth.joined) == (4, 2)


@pytest.mark.parametrize("name", ["truth.fits", "truth.csv", "truth.fits.gz"])
def test_what_is_written_reads_back_as_a_superset(tmp_path, superset, drq, name):
    truth = build_truth(superset, drq)
    found = read_truth(write_truth(truth, tmp_path / name))
    original = read_truth(superset)
    assert list(found) == list(original) == [10, 11, 12, 13]
    for number, record in found.items():
        expected = original[number]._replace(bal_flag_vi=record.bal_flag_vi, bi_civ=record.bi_civ)
        assert record == expected
    assert [(r.bal_flag_vi, r.bi_civ) for r in found.values()] == [(0, 0.0)] * 3 + [(1, 1500.0)]


@given(
    rows=st.lists(
        st.tuples(
            st.integers(-1, 2**62),
            st.floats(0, 7),
            st.sampled_from([0, 1, 3, 4, 30, 50]),
            st.integers(0, 3),
            st.integers(0, 1),
            st.floats(0, 1e4) | st.just(float("nan")),
        ),
        max_size=8,
        unique_by=lambda row: row[0],
    )
)
def test_without_a_drq_the_truth_of_a_superset_is_the_superset_s(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("truth")
    kinds = (np.int64, np.float64, np.int32, np.int32, np.int32, np.float64)
    names = ("THING_ID", "Z_VI", "CLASS_PERSON", "Z_CONF_PERSON", "BAL_FLAG_VI", "BI_CIV")
    lists = list(zip(*rows, strict=True)) or [[]] * 6
    columns = {n: np.array(c, k) for n, c, k in zip(names, lists, kinds, strict=True)}
    path = save(folder / "superset.fits", columns)
    once = write_truth(build_truth(path), folder / "once.fits")
    assert str(read_truth(once)) == str(read_truth(path))  # as text: NaN agrees with NaN
    again = build_truth(once)
    for name, column in build_truth(path).columns.items():
        np.testing.assert_array_equal(again.columns[name], column)


def test_without_any_bal_column_nothing_is_known_of_bals(superset):
    truth = build_truth(superset)
    assert truth.columns["BAL_FLAG_VI"].tolist() == [0] * 4
    assert np.isnan(truth.columns["BI_CIV"]).all()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"BAL_PROB": np.array([0.9, 0, 0.2, 0, 0])}, [(0, 0.0), (0, 0.0), (0, 0.0), (1, 1500.0)]),
        (
            {"BAL_PROB": np.array([0.4, 0, -1, 0, 0])},
            [(0, np.nan), (0, 0.0), (0, 0.0), (0, 1500.0)],
        ),
        ({}, [(0, 0.0), (0, 0.0), (0, 0.0), (1, 1500.0)]),
    ],
    ids=["probability", "unknown", "balnicity"],
)
def test_other_releases_of_the_drq(tmp_path, superset, flags, expected):
    columns = {name: column for name, column in DRQ.items() if name != "BAL_FLAG_VI"}
    truth = build_truth(superset, save(tmp_path / "drq.fits", columns, **flags))
    found = zip(truth.columns["BAL_FLAG_VI"], truth.columns["BI_CIV"], strict=True)
    np.testing.assert_array_equal(list(found), expected)


def test_eboss_supersets_and_several_of_them(tmp_path, superset):
    columns = {name: column[3:] for name, column in SUPERSET.items()}
    columns["Z_CONF"] = columns.pop("Z_CONF_PERSON")
    columns["THING_ID"] = np.int64([13, 14])
    columns |= {"Z_VI": np.array([3.1, 2.2]), "CLASS_PERSON": np.int32([30, 3])}
    columns["Z_CONF"] = np.int32([2, 3])
    truth = build_truth([superset, save(tmp_path / "dr16.fits", columns)])
    assert truth.columns["THING_ID"].tolist() == [10, 11, 12, 13, 14]
    assert truth.columns["PLATE"].tolist() == [7102, 7102, 7103, 7104, 7104]
    assert truth.removed == {"THING_ID -1": 1, "further row of an object": 1}
    assert build_truth([superset, superset]).removed["further row of an object"] > 0


def test_rows_that_contradict_one_another_are_named(tmp_path, superset, drq):
    again = save(tmp_path / "again.fits", SUPERSET, Z_VI=np.array([2.5, 0.0, 1.0, 0.8, 3.1]))
    with pytest.raises(FileError) as caught:
        build_truth([superset, again])
    message = str(caught.value)
    assert message.startswith(
        f"{again}: THING_ID 12 is there twice with different truth: row 3 of "
    )
    assert f"row 3 of {superset} has" in message
    assert f"row 3 of {again} has" in message
    columns = {name: np.append(column, column[0]) for name, column in DRQ.items()}
    columns["BI_CIV"][5] = 7.0
    with pytest.raises(
        FileError,
        match=r"twice\.fits: THING_ID 13 is there twice with different BAL "
        "columns: row 0 has 1, 1500, row 5 has 1, 7",
    ):
        build_truth(superset, save(tmp_path / "twice.fits", columns))
    columns["BI_CIV"][5] = 1500.0
    assert build_truth(superset, save(tmp_path / "same.fits", columns)).joined == 2


def test_an_empty_drq_joins_nothing(tmp_path, superset):
    empty = save(tmp_path / "drq.fits", {name: column[:0] for name, column in DRQ.items()})
    truth = build_truth(superset, empty)
    assert truth.joined == 0
    assert truth.columns["BI_CIV"].tolist() == [0.0] * 4


def test_files_that_are_none(tmp_path, superset, drq):
    with pytest.raises(MissingFileError, match=r"none\.fits: no such file"):
        build_truth(tmp_path / "none.fits")
    with pytest.raises(
        FileError,
        match=r"drq\.fits: is no superset: it lacks Z_VI, CLASS_PERSON, Z_CONF_PERSON or Z_",
    ):
        build_truth(drq)
    with pytest.raises(FileError, match=r"superset\.fits: HDU .* lacks the column\(s\) BI_CIV"):
        build_truth(superset, superset)
    truth = build_truth(superset)
    with pytest.raises(InputError, match=r"t\.ecsv: the name of a truth file must end in \.fits"):
        write_truth(truth, tmp_path / "t.ecsv")
    with pytest.raises(OutputExistsError):
        write_truth(truth, superset)
    assert sorted(os.listdir(tmp_path)) == ["drq.fits", "superset.fits"]


def test_real_superset(shared_data, tmp_path):
    path = shared_data / "boss_dr12" / "truth_superset.fits"
    truth = build_truth(path, path)
    assert (len(truth), truth.joined, truth.removed) == (40, 40, {})
    assert read_truth(write_truth(truth, tmp_path / "t.fits")) == read_truth(path)


@pytest.mark.parametrize("column", ["PLATE", "MJD", "FIBERID", "CLASS_PERSON", "Z_CONF_PERSON"])
@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**62])
def test_integers_beyond_those_of_a_truth_file_are_errors(tmp_path, column, value):
    values = SUPERSET[column].astype(np.int64)
    values[1] = value
    path = save(tmp_path / "s.fits", SUPERSET, **{column: values})
    with pytest.raises(FileError, match=rf"s\.fits: {column} holds {value}, beyond the range"):
        build_truth(path)


@pytest.mark.parametrize("column", ["Z_VI", "CLASS_PERSON", "BI_CIV", "BAL_FLAG_VI"])
def test_vectors_in_a_column_of_truth_are_errors(tmp_path, column):
    columns = SUPERSET | {"BAL_FLAG_VI": np.zeros(5, int), "BI_CIV": np.zeros(5)}
    path = save(tmp_path / "s.fits", columns, **{column: np.ones((5, 2), np.int32)})
    with pytest.raises(FileError, match=rf"s\.fits: column {column} holds \[1, 1\] of type int32"):
        build_truth(path)
