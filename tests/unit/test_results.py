"""Catalogues of each classifier come out as one kind of result."""

from __future__ import annotations

import numpy as np
import pytest

import qnet
from catalogues import make_result, mock_survey, write_quasarnet, write_redrock, write_squeze
from makers import desi_coadd, desi_set, fibermap, primary, table, write
from qnet.core.errors import FileError, InputError, MissingFileError, QnetWarning
from qnet.evaluation.catalogues import read_result, result_of_table
from qnet.lines import QUASARNET_LINES, absorber_IGM


@pytest.fixture
def catalogue(tmp_path, small_model):
    """A table of five spectra: a sky fibre, a bad fibre and one that was not asked for."""
    fmap = fibermap(
        [11, 12, -13, 14, 11], objtype=["TGT", "TGT", "SKY", "TGT", "TGT"], status=[0, 0, 0, 8, 0]
    )
    path = write(tmp_path / "coadd.fits", desi_coadd(desi_set([1.0, 1.5, 2, 2.5, 3]), fmap))
    return qnet.classify(path, model=small_model, rows=[0, 2, 3, 4], c_threshold=0.3, min_lines=2)


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".ecsv", ".parquet", ".csv"])
def test_a_catalogue_of_qnet_in_every_format(tmp_path, catalogue, suffix):
    path = qnet.write_catalogue(catalogue, tmp_path / f"cat{suffix}")
    result = qnet.evaluation.read_result(path)
    expected = result_of_table(catalogue)
    assert (result.name, result.kind) == (f"cat{suffix}", "qnet")
    # Sky, and what was not asked for, is not judged; what lies on a bad fibre is no quasar.
    assert result.left_out == {"NOT_TARGET": 2}
    np.testing.assert_array_equal(result.targetid, [11, 14, 11])
    np.testing.assert_array_equal(result.never_qso, [False, True, False])
    kept = [0, 3, 4]
    np.testing.assert_array_equal(result.zbest, catalogue["ZBEST"][kept])
    np.testing.assert_array_equal(result.is_qso, catalogue["IS_QSO"][kept])
    np.testing.assert_array_equal(result.is_bal, catalogue["IS_BAL"][kept])
    assert result.score is None
    assert result.lines == tuple(QUASARNET_LINES)
    for name in ("c_lines", "z_lines", "c_lines_bal", "snr"):
        found = getattr(result, name)
        np.testing.assert_allclose(found, getattr(expected, name), rtol=1e-6, err_msg=name)
        assert found.dtype == np.float64
    assert result.c_lines_bal.shape == (3, 1)
    if suffix != ".csv":  # which has no header
        assert (result.c_threshold, result.min_lines) == (0.3, 2)
        assert "at least 2 line(s) with c > 0.3" in result.criterion
        assert result.rest["LYA"] == 1215.67


def test_errors_and_probabilities_of_redshifts_are_read(tmp_path, catalogue):
    catalogue["ZERR"], catalogue["P_Z"] = np.float32([[0.01], [0.9]]) + np.arange(5) / 100
    path = qnet.write_catalogue(catalogue, tmp_path / "cat.fits", overwrite=True)
    for name, values in (("zerr", [0.01, 0.04, 0.05]), ("p_z", [0.9, 0.93, 0.94])):
        np.testing.assert_allclose(getattr(read_result(path), name), values, rtol=1e-6)
    others = read_result(write_redrock(tmp_path / "redrock.fits", make_result(np.ones(3))))
    np.testing.assert_array_equal(others.zerr, np.zeros(3))
    assert others.p_z is None


def test_a_catalogue_that_astropy_wrote_is_the_same(tmp_path, catalogue):
    few, path = catalogue[:4], tmp_path / "few.fits"
    few.write(path)
    found, wanted = read_result(path, name="few"), result_of_table(few, name="few")
    assert (found.kind, found.criterion, found.rest) == ("qnet", wanted.criterion, wanted.rest)
    assert (found.min_lines, found.left_out) == (2, {"NOT_TARGET": 2})
    for name in ("targetid", "zbest", "is_qso", "never_qso", "c_lines", "z_lines", "is_bal", "snr"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), err_msg=name)
    read = qnet.read_catalogue(path)
    assert read.meta == few.meta
    assert (read.colnames, len(read)) == (few.colnames, 4)


def test_the_columns_of_a_csv_file_may_stand_in_any_order(tmp_path, catalogue):
    path = qnet.write_catalogue(catalogue, tmp_path / "cat.csv")
    rows = [line.split(",") for line in path.read_text().splitlines()]
    path.write_text("".join(",".join(row[::-1]) + "\n" for row in rows))
    found, wanted = read_result(path), result_of_table(catalogue)
    assert found.lines == wanted.lines[::-1]
    np.testing.assert_array_equal(found.z_lines, wanted.z_lines[:, ::-1])
    assert found.rest == {line: absorber_IGM[line] for line in found.lines}
    number = rows[0].index("Z_MgII(2796)")
    path.write_text("".join(",".join(row[:number] + row[number + 1 :]) + "\n" for row in rows))
    with pytest.raises(
        FileError, match=r"lacks the column\(s\) Z_MgII\(2796\), which other lines have"
    ):
        read_result(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"QN_FLAG": np.nan}, "column QN_FLAG holds nan"),
        ({"CTHRESH": "high"}, "card CTHRESH holds 'high', not a number"),
        ({"REST2": "red"}, "card REST2 holds 'red', not a number"),
    ],
)
def test_catalogues_that_lie(catalogue, change, message):
    (name, value), table = *change.items(), catalogue.copy()
    if name in table.colnames:
        table[name] = np.full(len(table), value)
    else:
        table.meta[name] = value
    with pytest.raises(FileError, match=message):
        result_of_table(table)


def test_what_is_no_number_nor_text_in_a_header_is_left_unread(catalogue):
    wanted = result_of_table(catalogue).criterion
    catalogue.meta["LINE0"] = catalogue.meta["HISTORY"] = [["many"] * 10] * 10
    assert result_of_table(catalogue).criterion == wanted


def test_a_score_is_read_where_there_is_one(catalogue):
    assert result_of_table(catalogue).score is None
    catalogue["P_QSO"] = np.array([0.9, np.nan, np.nan, 0.2, 0.1])
    result = result_of_table(catalogue)
    np.testing.assert_allclose(result.score, [0.9, 0.2, 0.1])
    assert result.score_name == "P_QSO"


@pytest.mark.parametrize(("id_name", "squeeze"), [("THING_ID", False), ("TARGETID", True)])
def test_quasarnets_file(tmp_path, id_name, squeeze):
    _, made = mock_survey(20)
    path = write_quasarnet(tmp_path / "qnAll.fits", made, id_name=id_name, squeeze=squeeze)
    result = read_result(path, name="QN")
    assert (result.name, result.kind, result.lines) == ("QN", "quasarnet", tuple(QUASARNET_LINES))
    for name in ("targetid", "zbest", "is_qso", "c_lines", "z_lines", "c_lines_bal"):
        np.testing.assert_array_equal(getattr(result, name), getattr(made, name), err_msg=name)


@pytest.mark.parametrize("hdu", ["REDSHIFTS", "ZBEST"])
def test_redrocks_file(tmp_path, hdu):
    made = make_result([0.5, 2.0, 3.0], is_qso=np.array([False, True, True]))
    path = write_redrock(tmp_path / "redrock.fits", made, hdu=hdu, zwarn=[0, 4, 0])
    result = read_result(path)
    assert result.kind == "redrock"
    np.testing.assert_array_equal(result.zbest, made.zbest)
    np.testing.assert_array_equal(result.is_qso, [False, True, True])
    assert result.c_lines is None
    strict = read_result(path, need_zwarn=True)
    np.testing.assert_array_equal(strict.is_qso, [False, False, True])
    assert "ZWARN" in strict.criterion


def test_squezes_file_has_one_row_per_spectrum(tmp_path):
    path = write_squeze(
        tmp_path / "squeze.fits",
        [7, 7, 8, 9],
        [2.0, 1.1, 3.0, 0.4],
        [0.9, 0.3, 0.5, 0.1],
        [False, True, False, False],
    )
    result = read_result(path)
    np.testing.assert_array_equal(result.targetid, [7, 8, 9])
    np.testing.assert_array_equal(result.zbest, [2.0, 3.0, 0.4])
    np.testing.assert_array_equal(result.is_qso, [True, False, False])
    np.testing.assert_array_equal(result.score, [0.9, 0.5, 0.1])
    assert result.left_out == {"DUPLICATED": 1}


def test_the_afterburners_file(shared_data):
    result = read_result(shared_data / "desi_afterburner" / "qso_qn-x-golden.fits")
    assert (result.kind, len(result), result.is_qso.sum()) == ("desi", 25, 6)
    answered = np.flatnonzero(np.isfinite(result.zbest))
    assert len(answered) == 24  # the other spectrum has no weight
    best = result.c_lines[answered].argmax(axis=1)
    np.testing.assert_allclose(result.z_lines[answered, best], result.zbest[answered], rtol=1e-6)


def test_selecting_rows_takes_every_column():
    _, made = mock_survey(10)
    some = made.select(np.array([3, 1]))
    np.testing.assert_array_equal(some.targetid, [4, 2])
    np.testing.assert_array_equal(some.c_lines, made.c_lines[[3, 1]])
    np.testing.assert_array_equal(some.snr, made.snr[[3, 1]])
    assert (some.lines, some.criterion, len(some)) == (made.lines, made.criterion, 2)


def test_files_that_are_no_catalogue(tmp_path, catalogue):
    with pytest.raises(MissingFileError, match=r"none\.fits"):
        read_result(tmp_path / "none.fits")
    other = write(tmp_path / "other.fits", [primary(), table({"A": np.zeros(2)}, "THINGS")])
    with pytest.raises(FileError, match=r"other\.fits: is no catalogue .* holds .*THINGS"):
        read_result(other)
    lacking = write(
        tmp_path / "lacking.fits", [primary(), table({"TARGETID": np.arange(2)}, "REDSHIFTS")]
    )
    with pytest.raises(FileError, match=r"REDSHIFTS lacks the column\(s\) Z, SPECTYPE"):
        read_result(lacking)
    csv = tmp_path / "bare.csv"
    csv.write_text("TARGETID,ZBEST\n1,2.0\n")
    with pytest.raises(FileError, match=r"bare\.csv: lacks the column\(s\) IS_QSO"):
        read_result(csv)
    csv.write_text("TARGETID,ZBEST,IS_QSO\n1,2.0,maybe\n")
    with pytest.raises(FileError, match=r"IS_QSO holds .* true or false was expected"):
        read_result(csv)
    csv.write_text("TARGETID,ZBEST,IS_QSO\nx,2.0,True\n")
    with pytest.warns(QnetWarning, match="TARGETID hold values that are no integers"):
        assert read_result(csv).targetid.tolist() == [-1]
    catalogue["C_LINES"] = ["a"] * 5
    with pytest.raises(FileError, match=r"C_LINES holds .* a number per line"):
        result_of_table(catalogue)
    with pytest.raises(InputError, match="must be a path, a Result or an astropy Table, not dict"):
        result_of_table({"ZBEST": 1})
