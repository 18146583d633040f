"""Catalogues in the formats of other programs, read by those programs."""

from __future__ import annotations

import configparser
import os

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table

import qnet
from makers import desi_coadd, desi_set, fibermap, write
from qnet import QnetWarning, QNFlag
from qnet.cli import main
from qnet.core.errors import QnetError
from qnet.core.exports import EXPORTS
from qnet.core.zwarn import ZWARN, make_zwarn
from qnet.io import export

LINES = ("LYA", "CIV(1548)", "MgII(2796)")

#: Six rows: three quasars of which the last is there twice, a star, one that is sky.
TARGETID = np.array([39633297352951401, 39633297352951402, 39633297352951403, 7, -8, 7])
P_QSO = np.float32([0.9, 0.8, 0.1, 0.7, 0.0, 0.95])
ZBEST = np.array([2.5, 3.1, 0.2, 2.2, np.nan, 2.3])


@pytest.fixture
def catalogue():
    """A catalogue of DESI, in memory, as `qnet.classify` returns it."""
    c_lines = np.linspace(0, 1, 18, dtype=np.float32).reshape(6, 3)
    columns = {
        "TARGETID": TARGETID,
        "IS_QSO": P_QSO > 0.5,
        "P_QSO": P_QSO,
        "ZBEST": ZBEST,
        "ZERR": np.float32(ZBEST / 1000),
        "P_Z": np.float32([0.9, 0.3, np.nan, 0.9, np.nan, 0.9]),
        "QN_FLAG": np.int32([0, 0, 0, QNFlag.ZRANGE, QNFlag.NOT_TARGET | QNFlag.NODATA, 0]),
        "C_LINES": c_lines,
        "Z_LINES": c_lines + 2,
        "ZERR_LINES": c_lines / 100,
        "C_LINES_BAL": c_lines[:, :1],
        "TARGET_RA": np.array([10.0, 20.0, 30.0, 40.0, 50.0, 40.0]),
        "TARGET_DEC": np.array([-5.0, 15.0, 25.0, 35.0, 45.0, 35.0]),
        "OBJTYPE": np.array(["TGT", "TGT", "TGT", "TGT", "SKY", "TGT"]),
        "COADD_FIBERSTATUS": np.zeros(6, dtype=np.int32),
        "SURVEY": np.array(["main", "sv3", "main", "main", "main", "main"]),
        "TILEID": np.int32([1, 2, 3, -1, 5, 6]),
        "LASTNIGHT": np.int32([20210501, 20230501, 20210501, 20210501, 20210501, 20210501]),
        **{f"{name}_TARGET": np.full(6, 4) for name in ("DESI", "BGS", "MWS")},
    }
    meta = {"MODEL": "name@1", "MODELSHA": "0" * 64, "BAL0": "CIV(1548)"}
    table = Table(columns, meta=meta | {f"LINE{n}": line for n, line in enumerate(LINES)})
    table["TARGET_RA"].unit = table["TARGET_DEC"].unit = "deg"
    return table


@pytest.fixture
def sdss_catalogue(catalogue):
    """The same with the ids of SDSS."""
    for name in ("SURVEY", "TILEID", "LASTNIGHT"):
        catalogue.remove_column(name)
    catalogue["TARGETID"] = [11, 12, 13, 14, -1, 14]
    catalogue["THING_ID"] = np.int32(catalogue["TARGETID"])
    catalogue["PLATE"] = np.int32([7000, 7001, 7000, 7002, 7000, 7002])
    catalogue["MJD"] = np.int32([56666] * 6)
    catalogue["FIBERID"] = np.int32([1, 2, 3, 4, 5, 4])
    return catalogue


def picca_reads(module, name, **options):
    """What picca's own reader makes of a file."""
    found = pytest.importorskip(f"picca.delta_extraction.{module}")
    defaults = {"z min": "2.0", "z max": "4.0", "keep surveys": "all", "in_nside": "64"}
    parser = configparser.ConfigParser()
    parser["section"] = defaults | {"add uniqpix": "False"} | options
    return getattr(found, name)(parser["section"])


def with_bals(catalogue):
    """The catalogue with troughs that another program measured, none in the second row."""
    catalogue["AI_CIV"] = [500.0, 0.0, 0.0, 0.0, 0.0, 700.0]
    catalogue["BI_CIV"] = [100.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    # Either end first.
    catalogue["VMIN_CIV_450"] = np.array([[9000.0, -99.0]] + [[-99.0, -99.0]] * 4 + [[300.0, 5e3]])
    catalogue["VMAX_CIV_450"] = np.array([[8000.0, -99.0]] + [[-99.0, -99.0]] * 4 + [[900.0, 4e3]])
    return catalogue


def test_picca_reads_quasars_of_desi(tmp_path, catalogue):
    catalogue["TARGET_RA"][0] = np.nan
    with pytest.warns(QnetWarning, match="^1 of 4 quasars have no position: they are left out"):
        path = export(catalogue, tmp_path / "q.fits", to="picca")
    written = Table.read(path, hdu="ZCATALOG")
    # Of the object that is there twice the row with the largest P_QSO.
    assert written["TARGETID"].tolist() == [TARGETID[1], 7]
    assert written["ZWARN"].tolist() == [4, 0]
    assert "VMIN_CIV_450" not in written.colnames
    module = "quasar_catalogues.desi_quasar_catalogue"
    found = picca_reads(module, "DesiQuasarCatalogue", catalogue=str(path)).catalogue
    found.sort("Z")
    assert found["TARGETID"].tolist() == [7, TARGETID[1]]
    np.testing.assert_array_equal(found["Z"], [2.3, 3.1])
    np.testing.assert_allclose(found["RA"], np.radians([40.0, 20.0]))
    assert found["SURVEY"].tolist() == ["main", "sv3"]
    assert found["LASTNIGHT"].tolist() == [20210501, 20230501]


@pytest.mark.parametrize(("name", "unknown"), [("TARGETID", -1), ("THING_ID", 0)])
def test_quasars_without_id_are_not_taken_for_one_object(tmp_path, request, name, unknown):
    given = "catalogue" if name == "TARGETID" else "sdss_catalogue"
    table = request.getfixturevalue(given)
    table[name][:2] = unknown
    with pytest.warns(QnetWarning, match=f"^2 of 4 quasars have no {name}: they are left out"):
        path = export(table, tmp_path / "q.fits", to="picca")
    assert Table.read(path, hdu=1)[name].tolist() == [table[name][5]]


def test_an_index_of_zero_is_measured(tmp_path, catalogue):
    catalogue["AI_CIV"], catalogue["BI_CIV"] = np.nan, 0.0
    path = export(catalogue, tmp_path / "q.fits", to="picca")
    names = Table.read(path, hdu=1).colnames
    assert ("BI_CIV" in names, "AI_CIV" in names) == (True, False)


def test_picca_reads_quasars_of_sdss(tmp_path, sdss_catalogue):
    path = export(with_bals(sdss_catalogue), tmp_path / "q.fits.gz", to="picca")
    options = {"drq catalogue": str(path), "best obs": "True", "keep BAL": "True"}
    module = "quasar_catalogues.drq_catalogue"
    found = picca_reads(module, "DrqCatalogue", **options).catalogue
    assert found["THING_ID"].tolist() == [11, 12, 14]
    assert found["PLATE"].tolist() == [7000, 7001, 7002]
    assert found["FIBERID"].tolist() == [1, 2, 4]
    np.testing.assert_allclose(found["DEC"], np.radians([-5.0, 15.0, 35.0]))
    limited = picca_reads(module, "DrqCatalogue", **options, **{"BI max": "50"}).catalogue
    assert limited["THING_ID"].tolist() == [12, 14]


@pytest.mark.parametrize(
    ("given", "name"), [("catalogue", "TARGETID"), ("sdss_catalogue", "THING_ID")]
)
def test_picca_reads_troughs(tmp_path, request, given, name):
    """Those that were measured; the larger velocity is VMAX, whatever the catalogue has."""
    table = with_bals(request.getfixturevalue(given))
    path = export(table, tmp_path / "q.fits", to="picca")
    options = {"filename": str(path), "los_id name": name, "bal index type": "ai"}
    mask = picca_reads("masks.bal_mask", "BalMask", **options, **{"keep pixels": "False"})
    first, last = (mask.los_ids[table[name][row]] for row in (0, 5))
    np.testing.assert_array_equal(first[2][first[1] == table[name][0]], [[8000, -99]])
    np.testing.assert_array_equal(first[3][first[1] == table[name][0]], [[9000, -99]])
    np.testing.assert_array_equal(last[2][last[1] == table[name][5]], [[300, 4000]])


def test_desi_has_the_columns_of_the_afterburner_row_by_row(tmp_path, catalogue):
    path = export(catalogue, tmp_path / "d.fits", to="desi")
    with fits.open(path) as hdus:
        written, header = hdus["ZCATALOG"].data, hdus["ZCATALOG"].header
        np.testing.assert_array_equal(written["TARGETID"], TARGETID)
        np.testing.assert_array_equal(written["Z_QSO"], ZBEST)
        np.testing.assert_array_equal(written["IS_QSO_QNET"], P_QSO > 0.5)
        np.testing.assert_array_equal(written["QN_FLAG"], catalogue["QN_FLAG"])
        for number, name in enumerate(("LYA", "CIV", "MgII")):
            np.testing.assert_array_equal(written[f"C_{name}"], catalogue["C_LINES"][:, number])
            assert written[f"Z_{name}"].dtype == ">f4"
        assert [name for name in written.names if "BAL" in name or "ZERR_C" in name] == []
        assert header["TUCD2"] == "src.redshift"
        assert (header["MODEL"], "MODELSHA" in header) == ("name@1", False)


def test_redrock_files_are_read_by_desi_s_tools(tmp_path, catalogue):
    validredshifts = pytest.importorskip("desispec.validredshifts")
    spectra_io = pytest.importorskip("desispec.io.spectra")
    # They know the files by their names.
    path = export(catalogue, tmp_path / "redrock-x.fits", to="redrock")
    coadd = desi_coadd(desi_set(np.linspace(1, 2, 6)), fibermap(TARGETID))
    write(tmp_path / "coadd-x.fits", coadd)
    redshifts = spectra_io.read_spectra(tmp_path / "coadd-x.fits", return_redshifts=True).redshifts
    quasar = np.array(catalogue["IS_QSO"])
    np.testing.assert_array_equal(redshifts["TARGETID"], TARGETID)
    np.testing.assert_array_equal(redshifts["Z"], np.where(quasar, ZBEST, np.nan))
    types = np.char.strip(np.array(redshifts["SPECTYPE"]).astype(str))
    assert types.tolist() == np.where(quasar, "QSO", "").tolist()
    assert redshifts["ZWARN"].tolist() == [0, 4, 4, 32, 1 + 4 + 512, 0]
    valid = validredshifts.validate(str(path))
    assert valid["TARGETID"].tolist() == TARGETID.tolist()
    assert not valid["GOOD_Z_LRG"].any()  # which needs a DELTACHI2
    found = qnet.evaluation.read_result(path)
    np.testing.assert_array_equal(found.is_qso, quasar)


def test_a_redrock_file_has_the_columns_of_redrock(tmp_path, catalogue):
    """Names, order and types of `redrock.external.desi.write_zbest`; the class, where known."""
    catalogue["P_STAR"] = np.float32([0, 0, 0.8, 0, np.nan, 0])
    catalogue["P_GALAXY"] = np.float32([0.1, 0, 0.1, 0, np.nan, 0])
    path = export(catalogue, tmp_path / "r.fits", to="redrock")
    with fits.open(path) as hdus:
        columns = hdus["REDSHIFTS"].columns
        assert dict(zip(columns.names, columns.formats, strict=True)) == {
            "TARGETID": "K",
            "CHI2": "D",
            "COEFF": "10D",
            "Z": "D",
            "ZERR": "D",
            "ZWARN": "K",
            "NPIXELS": "K",
            "SPECTYPE": "6A",
            "SUBTYPE": "20A",
            "NCOEFF": "K",
            "DELTACHI2": "D",
        }
        rows = hdus["REDSHIFTS"].data
        assert rows["SPECTYPE"].tolist() == ["QSO", "QSO", "STAR", "QSO", "", "QSO"]
        assert np.isnan(rows["DELTACHI2"]).all()
        assert hdus["FIBERMAP"].data["TARGETID"].tolist() == TARGETID.tolist()
        assert "ZBEST" not in hdus["FIBERMAP"].columns.names


def test_a_votable_says_what_its_columns_are(tmp_path, catalogue):
    from astropy.io.votable import parse
    from astropy.io.votable.ucd import check_ucd

    path = export(catalogue, tmp_path / "c.vot", to="votable")
    votable = parse(path, verify="exception")
    (infos,) = (resource.infos for resource in votable.resources)
    assert ("MODEL", "name@1") in [(info.name, info.value) for info in infos]
    fields = {field.name: field for field in votable.get_first_table().fields}
    assert all(check_ucd(field.ucd, check_controlled_vocabulary=True) for field in fields.values())
    assert all(field.description for field in fields.values())
    assert (fields["TARGET_RA"].unit, fields["TARGET_RA"].ref) == ("deg", "ICRS")
    assert fields["C_BAL_CIV"].description == "confidence of BAL CIV(1548)"
    assert fields["IS_QSO"].datatype == "boolean"
    table = votable.get_first_table().to_table()
    np.testing.assert_array_equal(table["TARGETID"], TARGETID)
    np.testing.assert_array_equal(table["C_CIV"], catalogue["C_LINES"][:, 1])
    assert table["TILEID"].mask.tolist() == [False, False, False, True, False, False]


def test_parquet_has_lists(tmp_path, catalogue):
    parquet = pytest.importorskip("pyarrow.parquet")
    catalogue["LN_PZ"] = np.linspace(-20, 0, 6 * 50, dtype=np.float32).reshape(6, 50)
    arrow = parquet.read_table(export(catalogue, tmp_path / "c.parquet", to="parquet"))
    for name in ("C_LINES", "LN_PZ"):
        np.testing.assert_array_equal(arrow[name].to_pylist(), catalogue[name])


def test_csv_has_a_column_for_each_line(tmp_path, catalogue):
    """And none for each pixel of redshift distributions."""
    catalogue["LN_PZ"] = np.zeros((6, 50), np.float32)
    path = export(catalogue, tmp_path / "c.csv", to="csv")
    table = Table.read(path)
    np.testing.assert_array_equal(table["TARGETID"], TARGETID)
    np.testing.assert_allclose(table["Z_CIV(1548)"], catalogue["Z_LINES"][:, 1])
    assert not any(name.startswith("LN_PZ") for name in table.colnames)


def _mixed(table):
    table["PLATE"], table["MJD"], table["FIBERID"] = [7000, -1, -1, -1, -1, -1], 1, 1


def _text_of_troughs(table):
    table["VMIN_CIV_450"], table["VMAX_CIV_450"] = "a", "b"


def _objects(table):
    table["X"] = [object()] * 6


def _coordinates(table):
    table["X"] = SkyCoord(np.ones(6), np.ones(6), unit="deg")


def _cubes(table):
    table["X"] = np.ones((6, 2, 2))


@pytest.mark.parametrize(
    ("change", "name", "to", "message"),
    [
        (lambda t: None, "q.fits", "picka", "to must be one of picca, desi, .*, not 'picka'"),
        (lambda t: None, "q.csv", "picca", "q.csv: the name of a file for picca must end in .fits"),
        (lambda t: t.remove_column("TARGET_DEC"), "q.fits", "picca", "lacks .* TARGET_DEC, which"),
        (lambda t: t.remove_column("IS_QSO"), "q.fits", "redrock", "lacks the column.s. IS_QSO"),
        (lambda t: t.meta.pop("LINE0"), "q.fits", "desi", "has no columns of lines, or its header"),
        (_text_of_troughs, "q.fits", "picca", "VMIN_CIV_450"),
        (_objects, "c.vot", "votable", "c.vot: cannot be written as a VOTable"),
        (_objects, "c.parquet", "parquet", "c.parquet: could not be written as parquet"),
        (_cubes, "c.csv", "csv", "c.csv: could not be written as csv .* dimension > 1"),
        *(
            (
                _coordinates,
                f"c{EXPORTS[to].suffixes[0]}",
                to,
                "column X is a .*SkyCoord, not numbers",
            )
            for to in EXPORTS
        ),
        (_mixed, "q.fits", "picca", "1 of 4 quasars have a PLATE of SDSS and the others none"),
    ],
)
def test_what_cannot_be_exported_is_one_error(tmp_path, catalogue, change, name, to, message):
    change(catalogue)
    with pytest.raises(QnetError, match=message):
        export(catalogue, tmp_path / name, to=to)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("row", ZWARN, ids=lambda row: row.name)
def test_each_bit_of_zwarn_is_redrock_s_and_set_by_its_flags(row):
    for flag in row.flags:
        assert make_zwarn(np.array([flag]), np.ones(1), np.ones(1)).tolist() == [1 << row.bit]
    zwarning = pytest.importorskip("redrock.zwarning")
    assert getattr(zwarning.ZWarningMask, row.name) == 1 << row.bit


def test_commands_export(tmp_path, catalogue, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    qnet.write_catalogue(catalogue, "c.ecsv")
    for to, form in EXPORTS.items():
        output = f"{to}{form.suffixes[0]}"
        assert main(["export", "c.ecsv", "--to", to, "-o", output]) == 0
        assert capsys.readouterr().out == f"qnet: c.ecsv for {to} -> {output}\n"
        assert main(["export", "c.ecsv", "--to", to, "-o", output]) == 2
        assert "exists already" in capsys.readouterr().err


@pytest.mark.filterwarnings("default:.*no FIBERMAP")
@pytest.mark.parametrize("fmap", [fibermap([5, 6]), None], ids=["positions", "none"])
def test_classify_writes_the_format(tmp_path, small_weights, fmap, capsys, monkeypatch):
    """Where it cannot, the catalogue that took long to make is kept."""
    monkeypatch.chdir(tmp_path)
    write("coadd.fits", desi_coadd(desi_set([2.0, 2.5]), fmap))
    model = ["--model", str(small_weights), "--c-threshold", "0.01"]
    status = main(["classify", "coadd.fits", "-o", "q.fits", "--to", "picca", *model])
    message = capsys.readouterr().err
    if fmap is None:
        assert status == 2
        again = main(["classify", "coadd.fits", "-o", "q.fits", "--to", "picca", *model])
        # Before any work: the catalogue would be lost.
        assert again == 2
        assert "q.fits.qnet.fits: exists already" in capsys.readouterr().err
        assert "lacks the column(s) TARGET_RA, TARGET_DEC, which picca needs" in message
        assert "qnet's own catalogue is in q.fits.qnet.fits" in message
        assert len(qnet.read_catalogue("q.fits.qnet.fits")) == 2
        return
    assert (status, message) == (0, "")
    assert Table.read("q.fits", hdu="ZCATALOG")["TARGETID"].tolist() == [5, 6]
    assert sorted(os.listdir()) == ["coadd.fits", "q.fits"]
