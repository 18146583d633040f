"""The catalogue as a file and back."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.votable.ucd import check_ucd
from astropy.table import Table

import qnet
from qnet.core.columns import BY_NAME
from qnet.core.columns import COLUMNS as COLUMNS_TABLE
from qnet.core.errors import FileError, InputError, OutputExistsError, QnetWarning
from qnet.io.catalogue import Catalogue, concatenate
from qnet.io.columns import filled, missing_value
from qnet.io.readers import READERS
from qnet.io.tables import Card

COLUMNS = {
    "TARGETID": np.array([39633297352951412, -5, 7], dtype=np.int64),
    "TARGET_RA": np.array([1.5, 2.5, np.nan]),
    "OBJTYPE": np.array(["TGT", "", "SKY"]),
    "ZBEST": np.array([2.345678901234, np.nan, 0.1]),
    "IS_QSO": np.array([True, False, False]),
    "C_LINES": np.arange(6, dtype=np.float32).reshape(3, 2) / 7,
    "C_LINES_BAL": np.array([[0.25], [np.nan], [0.5]], dtype=np.float32),
    "QN_FLAG": np.array([0, 1 << 17, 3], dtype=np.int32),
}
HEADER = (
    Card("MODEL", "name@1", "a model"),
    Card("MODELSHA", "f" * 64),
    Card("CTHRESH", 0.5),
    Card("MINLINES", 1),
    Card("LINE0", "LYA"),
    Card("REST0", 1215.67),
    Card("LINE1", "CIV(1548)"),
    Card("BAL0", "CIV(1548)"),
    Card("IN000000", "a/rather/long/" + "folder/" * 20 + "name.fits"),
)


@pytest.fixture
def catalogue():
    return Catalogue(COLUMNS, HEADER)


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".csv", ".ecsv", ".parquet"])
def test_a_catalogue_survives_writing_and_reading(tmp_path, catalogue, suffix):
    path = qnet.write_catalogue(catalogue, tmp_path / f"cat{suffix}")
    found = qnet.read_catalogue(path)
    assert found.colnames == list(COLUMNS)
    for name, column in COLUMNS.items():
        values = np.asarray(found[name])
        np.testing.assert_array_equal(values, column, err_msg=name)
        assert values.shape == column.shape
        if column.dtype.kind != "U":
            assert values.dtype == column.dtype
        assert found[name].description == BY_NAME[name].description
        assert str(found[name].unit or "") == BY_NAME[name].unit
    wanted = {card.key: card.value for card in HEADER}
    if suffix == ".csv":  # which has no header
        wanted = {"LINE0": "LYA", "LINE1": "CIV(1548)", "BAL0": "CIV(1548)"}
    assert {key: found.meta[key] for key in wanted} == wanted
    assert found["ZBEST"].pformat(show_name=False)[-3].strip() == "2.34568"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".ecsv"])
def test_columns_of_one_s_own_keep_their_names_and_units(tmp_path, catalogue, suffix):
    table = catalogue.to_table()
    table["note"] = ["a", "b", "c"]
    table["mag"] = np.array([20.0, 21.0, 22.0])
    table["mag"].unit = "mag"
    found = qnet.read_catalogue(qnet.write_catalogue(table, tmp_path / f"cat{suffix}"))
    assert found.colnames == table.colnames
    assert found["note"].tolist() == ["a", "b", "c"]
    assert [str(found[name].unit) for name in ("mag", "TARGET_RA")] == ["mag", "deg"]


def test_astropy_reads_the_fits_file_with_units_and_shapes(tmp_path, catalogue):
    qnet.write_catalogue(catalogue, tmp_path / "cat.fits")
    table = Table.read(tmp_path / "cat.fits", hdu="QNET")
    assert table["C_LINES"].shape == (3, 2)
    assert table["C_LINES_BAL"].shape == (3, 1)
    assert str(table["TARGET_RA"].unit) == "deg"
    assert table["IS_QSO"].dtype == bool
    assert table.meta["MODEL"] == "name@1"


def test_a_table_can_be_written_as_classify_returns_it(tmp_path, catalogue):
    for kind in ("fits", "ecsv"):
        qnet.write_catalogue(catalogue.to_table(), tmp_path / f"cat.{kind}")
        found = qnet.read_catalogue(tmp_path / f"cat.{kind}")
        np.testing.assert_array_equal(found["C_LINES"], COLUMNS["C_LINES"])
        assert found.meta["MODEL"] == "name@1"


def test_csv_has_a_column_per_line(tmp_path, catalogue):
    qnet.write_catalogue(catalogue, tmp_path / "cat.csv")
    lines = (tmp_path / "cat.csv").read_text().splitlines()
    assert lines[0] == (
        "TARGETID,TARGET_RA,OBJTYPE,ZBEST,IS_QSO,C_LYA,C_CIV(1548),C_BAL_CIV(1548),QN_FLAG"
    )
    assert lines[1].startswith("39633297352951412,1.5,TGT,2.345678901234,True,0.0,0.14285")


@pytest.mark.parametrize("suffix", [".csv", ".ecsv", ".parquet", ".fits"])
def test_redshifts_of_redrock_are_no_line(tmp_path, catalogue, suffix):
    """Those that `qnet merge` and `qnet afterburner` write."""
    table = catalogue.to_table()
    names = ["Z_RR", "ZERR_RR", "Z_QN", "ZERR_QN", "Z_NEW", "ZERR_NEW"]
    for name in names:
        table[name] = table["ZBEST"]
    found = qnet.read_catalogue(qnet.write_catalogue(table, tmp_path / f"cat{suffix}"))
    np.testing.assert_array_equal(found["C_LINES"], COLUMNS["C_LINES"])
    for name in names:
        np.testing.assert_array_equal(found[name], table["ZBEST"])
    assert "LINE2" not in found.meta


def test_no_rows_and_no_bal_lines(tmp_path):
    for count, nbal in ((0, 1), (3, 0), (0, 0)):
        columns = {name: column[:count] for name, column in COLUMNS.items()}
        columns["C_LINES_BAL"] = np.zeros((count, nbal), dtype=np.float32)
        path = tmp_path / f"{count}-{nbal}.fits"
        qnet.write_catalogue(Catalogue(columns, HEADER), path)
        assert len(qnet.read_catalogue(path)) == count


def test_an_existing_file_is_kept_unless_asked(tmp_path, catalogue):
    path = tmp_path / "cat.fits"
    path.write_text("precious")
    with pytest.raises(OutputExistsError, match=r"cat.fits: exists already"):
        qnet.write_catalogue(catalogue, path)
    assert path.read_text() == "precious"
    qnet.write_catalogue(catalogue, path, overwrite=True)
    assert len(qnet.read_catalogue(path)) == 3


def test_names_that_fits_libraries_would_interpret(tmp_path, catalogue):
    folder = tmp_path / "a [b] (c)"
    folder.mkdir()
    for name in ("cat[1].fits", "cat+3.fits", "a b.fits"):
        qnet.write_catalogue(catalogue, folder / name)
        assert len(qnet.read_catalogue(folder / name)) == 3
    assert sorted(os.listdir(folder)) == ["a b.fits", "cat+3.fits", "cat[1].fits"]


def test_an_error_while_writing_leaves_nothing(tmp_path, catalogue, monkeypatch):
    import fitsio

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(fitsio.FITS, "create_table_hdu", fail)
    with pytest.raises(FileError, match=r"could not be written \(disk full\)"):
        qnet.write_catalogue(catalogue, tmp_path / "cat.fits")
    assert os.listdir(tmp_path) == []


def test_suffixes_and_files_that_are_no_catalogue(tmp_path, catalogue):
    with pytest.raises(InputError, match=r"cat.txt: the name of a catalogue must end in one of"):
        qnet.write_catalogue(catalogue, tmp_path / "cat.txt")
    Table({"A": [1]}).write(tmp_path / "other.fits")
    with pytest.raises(FileError, match=r"other.fits: lacks the table QNET of a qnet catalogue"):
        qnet.read_catalogue(tmp_path / "other.fits")
    (tmp_path / "bad.ecsv").write_text("# %ECSV 1.0\nnonsense")
    with pytest.raises(FileError, match=r"bad.ecsv: cannot be read as a catalogue in ecsv"):
        qnet.read_catalogue(tmp_path / "bad.ecsv")


def test_masks_and_units_of_a_table(tmp_path):
    from astropy.table import MaskedColumn

    table = Table(
        {
            "TARGETID": MaskedColumn(np.uint64([1, 2, 3]), mask=[0, 1, 0]),
            "DESI_TARGET": MaskedColumn([4, 4, 4], mask=[0, 1, 0]),
            "D": MaskedColumn([1.0, 2.0, 3.0], mask=[0, 1, 0], unit="km"),
            "NAME": MaskedColumn(["a", "b", "c"], mask=[0, 1, 0]),
            "HALF": np.float16([1, 2, 3]),
        }
    )
    found = qnet.read_catalogue(qnet.write_catalogue(table, tmp_path / "t.fits"))
    assert found["TARGETID"].tolist() == [1, -1, 3]
    assert found["DESI_TARGET"].tolist() == [4, 0, 4]
    np.testing.assert_array_equal(found["D"], [1, np.nan, 3])
    assert found["NAME"].tolist() == ["a", "", "c"]
    assert str(Table.read(tmp_path / "t.fits")["D"].unit) == "km"
    table["BAD"] = np.array([None, 1, "x"], dtype=object)
    with pytest.raises(InputError, match="column BAD holds object, which FITS tables do not have"):
        qnet.write_catalogue(table, tmp_path / "u.fits")
    with pytest.raises(InputError, match="catalogue must be an astropy Table, not dict"):
        qnet.write_catalogue({}, tmp_path / "u.fits")
    assert os.listdir(tmp_path) == ["t.fits"]


def test_text_that_fits_does_not_have_is_escaped(tmp_path):
    catalogue = Catalogue(
        {"TARGETID": np.array([1]), "NAME": np.array(["é"])}, (Card("IN000000", "donné/é.fits"),)
    )
    found = qnet.read_catalogue(qnet.write_catalogue(catalogue, tmp_path / "c.fits"))
    assert found.meta["IN000000"] == r"donn\xe9/\xe9.fits"
    assert found["NAME"][0] == r"\xe9"


@pytest.mark.parametrize("suffix", [".fits", ".ecsv"])
@pytest.mark.parametrize("values", [["a", "b"], [None, "b"]])
def test_a_column_of_text_under_a_name_of_numbers_is_read_as_it_is(tmp_path, suffix, values):
    path = tmp_path / f"odd{suffix}"
    masked = np.ma.array(["a", "b"], mask=[value is None for value in values])
    table = Table({"TARGETID": [7, 8], "TARGET_RA": masked}, meta={"MODELSHA": "0"})
    table.write(path)
    found = qnet.read_catalogue(path)
    assert found["TARGET_RA"].tolist() == [value or "" for value in values]
    assert "b" in str(found)


def test_a_column_of_a_line_that_is_missing_is_named(tmp_path, catalogue):
    path = qnet.write_catalogue(catalogue, tmp_path / "cat.csv")
    text = path.read_text()
    path.write_text(text.replace("C_CIV(1548)", "c_civ(1548)"))
    assert qnet.read_catalogue(path)["C_LINES"].shape == (3, 2)
    path.write_text(text.replace("TARGETID", "X").replace("ZBEST", "TARGETID"))
    with pytest.warns(QnetWarning, match=r"TARGETID hold values that are no integers"):
        assert qnet.read_catalogue(path)["TARGETID"].tolist() == [-1, -1, -1]
    path.write_text(text.replace("TARGET_RA", "Z_LYA"))
    with pytest.raises(
        FileError, match=r"cat.csv: lacks the column\(s\) Z_CIV\(1548\), which other"
    ):
        qnet.read_catalogue(path)
    path.write_text(text.replace("TARGET_RA", "Z_VI"))
    assert qnet.read_catalogue(path).colnames[1] == "Z_VI"
    table = catalogue.to_table()
    table["C_LYA"] = 0.0
    with pytest.raises(InputError, match=r"the table has the column\(s\) C_LYA of lines already"):
        qnet.write_catalogue(table, tmp_path / "other.csv")


def test_ecsv_has_a_column_per_line_and_all_digits(tmp_path, catalogue):
    table = catalogue.to_table()
    path = qnet.write_catalogue(table, tmp_path / "cat.ecsv")
    found = Table.read(path)
    assert found.colnames[5:8] == ["C_LYA", "C_CIV(1548)", "C_BAL_CIV(1548)"]
    assert found["C_LYA"].description == "confidence of LYA"
    assert found["ZBEST"][0] == 2.345678901234
    # The table itself is as it was.
    assert table["ZBEST"].format == ".5f"
    assert table.colnames == list(COLUMNS)


def test_fits_headers_describe_the_columns(tmp_path, catalogue):
    table = catalogue.to_table()
    table["mag"] = np.array([20.0, 21.0, 22.0])
    table["mag"].description, table["mag"].format = "magnitude in the r band", "8.3f"
    path = qnet.write_catalogue(table, tmp_path / "cat.fits")
    with fits.open(path) as hdus:
        header = hdus["QNET"].header
        assert (header["TTYPE4"], header["TDISP4"]) == ("ZBEST", "F13.5")
        assert header["TCOMM4"] == header.comments["TTYPE4"] == "redshift"
        assert header["TUNIT2"] == "deg"
        assert header["TCOMM9"] == "magnitude in the r band"
        assert "TDISP1" not in header
        assert (header["TUCD1"], header["TUCD4"]) == ("meta.id;meta.main", "src.redshift")
        assert "TUCD9" not in header
    found = qnet.read_catalogue(path)
    assert not any(key.startswith("TUCD") for key in found.meta)
    assert found["mag"].description == "magnitude in the r band"
    assert found["ZBEST"].format == ".5f"
    assert Table.read(path)["ZBEST"].format == "{:13.5f}"


def test_the_table_of_the_columns():
    assert len(BY_NAME) == len(COLUMNS_TABLE)
    for column in COLUMNS_TABLE:
        assert check_ucd(column.ucd, check_controlled_vocabulary=True), column.name
        assert 0 < len(column.description) <= 47, column  # behind TTYPE
        assert column.description.isascii()
        assert bool(column.format) == (column.dtype in ("f4", "f8")) == bool(column.display)
        dtype = np.dtype(column.dtype)
        np.testing.assert_array_equal(np.full(2, column.empty, dtype), [column.empty] * 2)
        if column.survey:
            np.testing.assert_equal(missing_value(column.name, dtype), column.empty)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_the_ids_of_each_survey_are_in_the_table(reader):
    names = {name for name in reader.ids if name.isupper()} | set(reader.qso_targets)
    assert names <= set(BY_NAME)


def test_parquet_without_its_packages_is_refused_before_any_work(tmp_path, catalogue, monkeypatch):
    monkeypatch.setattr(qnet.io.tables, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"cat.parquet: .parquet needs pyarrow, .*\[parquet\]"):
        qnet.write_catalogue(catalogue, tmp_path / "cat.parquet")


def _arrow(values, kind):
    import pyarrow as pa

    return pa.array(values, kind(pa))


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([[1.0, 2.0], [3.0, 4.0]], lambda pa: pa.list_(pa.float32()), [[1, 2], [3, 4]]),
        ([[1.0, 2.0], [3.0, 4.0]], lambda pa: pa.large_list(pa.float64()), [[1, 2], [3, 4]]),
        ([[1.0, 2.0], [3.0, 4.0]], lambda pa: pa.list_(pa.float32(), 2), [[1, 2], [3, 4]]),
        ([1.5, None], lambda pa: pa.float32(), [1.5, np.nan]),
        ([7, None], lambda pa: pa.int32(), [7, -1]),
        ([True, None], lambda pa: pa.bool_(), [True, False]),
        (["a", None], lambda pa: pa.large_string(), ["a", ""]),
        (["a", "b"], lambda pa: pa.dictionary(pa.int8(), pa.string()), ["a", "b"]),
    ],
    ids=lambda value: None,
)
def test_parquet_of_other_libraries(tmp_path, values, kind, expected):
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"TARGETID": [5, 6], "X": _arrow(values, kind)})
    pytest.importorskip("pyarrow.parquet").write_table(table, tmp_path / "c.parquet")
    found = filled(qnet.read_catalogue(tmp_path / "c.parquet")["X"], "X")
    np.testing.assert_array_equal(found, expected)
    assert found.dtype.kind == np.array(expected).dtype.kind or found.dtype.kind == "f"


def test_parquet_is_written_and_read_with_pyarrow_alone(tmp_path, catalogue):
    """Where pandas is not installed, with lists for the lines."""
    from pyarrow import parquet, types

    path = qnet.write_catalogue(catalogue, tmp_path / "one.parquet")
    field = parquet.read_schema(path).field("C_LINES")
    assert types.is_fixed_size_list(field.type)
    program = (
        "import sys\n"
        "class Hidden:\n"
        "    def __init__(self, finder):\n"
        "        self.finder = finder\n"
        "    def find_spec(self, name, *args):\n"
        "        return None if name == 'pandas' else self.finder.find_spec(name, *args)\n"
        "    def __getattr__(self, name):\n"
        "        return getattr(self.finder, name)\n"
        "sys.meta_path[:] = map(Hidden, sys.meta_path)\n"
        "import qnet\n"
        "table = qnet.read_catalogue(sys.argv[1])\n"
        "qnet.write_catalogue(table, sys.argv[2])\n"
        "qnet.read_catalogue(sys.argv[2])\n"
    )
    command = [sys.executable, "-W", "error", "-c", program, path, tmp_path / "two.parquet"]
    subprocess.run(command, check=True)
    one, two = (qnet.read_catalogue(tmp_path / f"{name}.parquet") for name in ("one", "two"))
    assert one.meta == two.meta
    assert one["C_LINES"].shape == two["C_LINES"].shape == (3, 2)


@pytest.mark.parametrize("suffix", ["fits", "csv", "ecsv"])
def test_a_full_disk_is_a_file_error(tmp_path, catalogue, suffix):
    """A limit on the size of files stands for the disk; in a process of its own."""
    import resource

    qnet.write_catalogue(catalogue, tmp_path / "small.ecsv")
    program = (
        "import sys, qnet, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "table = qnet.read_catalogue(sys.argv[1])\n"
        "from astropy.table import vstack\n"
        "table = vstack([table] * 3000, metadata_conflicts='silent')\n"
        "try:\n"
        "    qnet.write_catalogue(table, sys.argv[2])\n"
        "except qnet.FileError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "small.ecsv", tmp_path / f"big.{suffix}"],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)),
    )
    assert f"big.{suffix}: could not be written" in done.stdout
    assert os.listdir(tmp_path) == ["small.ecsv"]


def test_inputs_with_other_columns_are_filled():
    merged = concatenate(
        [
            {"TARGETID": np.array([1, 2]), "PLATE": np.array([7, 7], "i4"), "Z": np.zeros(2)},
            {
                "TARGETID": np.array([3]),
                "DESI_TARGET": np.array([4]),
                "OBJTYPE": np.array(["TGT"]),
                "TARGET_RA": np.array([1.5]),
            },
        ]
    )
    assert merged["TARGETID"].tolist() == [1, 2, 3]
    assert merged["PLATE"].tolist() == [7, 7, -1]
    assert merged["PLATE"].dtype == np.int32
    assert merged["DESI_TARGET"].tolist() == [0, 0, 4]
    assert merged["OBJTYPE"].tolist() == ["", "", "TGT"]
    np.testing.assert_array_equal(merged["TARGET_RA"], [np.nan, np.nan, 1.5])
    np.testing.assert_array_equal(merged["Z"], [0, 0, np.nan])
