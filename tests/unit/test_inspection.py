"""The inspection page before it is in a browser: the queue, the spectra found, what is written."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest
from astropy.table import Table

import qnet
from catalogues import make_result, write_templates
from makers import desi_coadd, desi_set, fibermap, make_spectra, primary, write
from makers import table as hdu
from qnet.core.errors import InputError, QnetWarning
from qnet.core.flags import QNFlag
from qnet.inspection import sort_queue
from qnet.inspection.fitted import read_fits
from qnet.inspection.marks import unit_text

NATIVE = {
    "B": np.arange(3600.0, 5800.0, 0.8),
    "R": np.arange(5760.0, 7620.0, 0.8),
    "Z": np.arange(7520.0, 9824.0, 0.8),
}


def catalogue(**columns):
    table = Table({"TARGETID": np.arange(4), "ZBEST": [1.0, 2.0, 3.0, 0.5]})
    table["IS_QSO"] = [True, True, False, False]
    for name, values in columns.items():
        table[name] = values
    return table


@pytest.mark.parametrize(
    ("columns", "order", "p_wrong"),
    [
        # 1 - P_QSO P_Z of a quasar, P_QSO of others; P_Z = 1 where it is not known.
        (
            {"P_QSO": [0.9, 0.8, 0.4, 0.1], "P_Z": [0.5, np.nan, np.nan, np.nan]},
            [0, 2, 1, 3],
            [0.55, 0.2, 0.4, 0.1],
        ),
        # Rows without data come last; others with flags do not.
        (
            {
                "P_QSO": [0.9, 0.8, 0.4, np.nan],
                "QN_FLAG": [0, QNFlag.NOT_TARGET, 32, QNFlag.NODATA],
            },
            [2, 0, 1, 3],
            [0.1, np.nan, 0.4, np.nan],
        ),
        # QuasarNET's models: the confidence of the best line.
        (
            {"C_LINES": np.array([[0.6, 0.1], [0.2, 0.9], [0.1, 0.3], [0.0, 0.0]])},
            [0, 2, 1, 3],
            [0.4, 0.1, 0.3, 0.0],
        ),
    ],
    ids=["P_QSO", "flags", "confidence"],
)
def test_the_queue_is_sorted_by_the_probability_that_a_row_is_wrong(columns, order, p_wrong):
    found = sort_queue(catalogue(**columns))
    assert found[0].tolist() == order
    assert np.allclose(found[1], p_wrong, equal_nan=True)


def test_disagreement_comes_first():
    """In class, or by more than 3000 km/s where both say quasar; whatever the probability."""
    quasars = np.array([True, True, True, False])
    far = 3.0 * 3100 / 299792.458
    other = make_result([1.0, 2.0 + far, 3.0, 0.9], targetid=np.arange(4), is_qso=quasars)
    table = catalogue(P_QSO=[0.6, 0.99, 0.2, 0.3])
    assert sort_queue(table, other)[0].tolist() == [2, 1, 0, 3]
    near = make_result([1.0, 2.0 + 0.9 * far, 3.0, 0.9], targetid=np.arange(4), is_qso=quasars)
    assert sort_queue(table, near)[0].tolist() == [2, 0, 3, 1]


@pytest.mark.parametrize(
    ("remove", "add", "message"),
    [
        ("ZBEST", {"P_QSO": np.ones(4)}, "lacks the column ZBEST"),
        ("IS_QSO", {}, "lacks the column IS_QSO"),
        (None, {}, "neither P_QSO nor C_LINES"),
    ],
)
def test_a_table_that_has_no_queue(remove, add, message):
    table = catalogue(**add)
    if remove:
        table.remove_column(remove)
    with pytest.raises(InputError, match=message):
        sort_queue(table)


def page_of(path):
    """Shared values of a page, and its blocks of spectra."""
    text = path.read_text()
    shared = re.search(r'<script type="application/json" id="shared">(.*?)</script>', text)[1]
    return json.loads(shared), re.findall(r'<script type="text/plain" id="s(\d+)">', text)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two coadds with one TARGETID twice in the second and once in the first; their catalogue."""
    pytest.importorskip("plotly")
    monkeypatch.chdir(tmp_path)
    write("a.fits", desi_coadd(desi_set((1.0, 2.0)), fibermap([7, 8])))
    write("b.fits", desi_coadd(desi_set((1.5, 2.5, 3.0), seed=9), fibermap([9, 7, 7])))
    table = qnet.classify(["a.fits", "b.fits"])
    qnet.write_catalogue(table, "catalogue.fits")
    return tmp_path


def test_rows_are_found_by_id_file_and_row(files):
    shared, blocks = page_of(qnet.inspect("catalogue.fits", ["b.fits", "a.fits"], "page.html"))
    assert sorted(item["row"] for item in shared["items"]) == [0, 1, 2, 3, 4]
    assert len(blocks) == 5
    expected = ["a.fits row 0", "a.fits row 1", "b.fits row 0", "b.fits row 1", "b.fits row 2"]
    found = sorted(shared["items"], key=lambda item: item["row"])
    assert [item["source"] for item in found] == expected
    assert [item["id"] for item in found] == ["7", "8", "9", "7", "7"]


def test_the_first_of_the_queue_are_shown(files):
    table = qnet.read_catalogue("catalogue.fits")
    table["IS_QSO"], table["P_QSO"] = True, [0.9, 0.5, 0.8, 0.6, 0.7]
    table["P_Z"] = 1.0
    shared, _ = page_of(qnet.inspect(table, ["a.fits", "b.fits"], "page.html", most=3))
    assert [item["row"] for item in shared["items"]] == [1, 3, 4]
    assert [item["wrong"] for item in shared["items"]] == pytest.approx([0.5, 0.4, 0.3])


def test_rows_without_spectra_and_spectra_of_others(files):
    (files / "a.fits").rename(files / "moved.fits")
    with pytest.warns(QnetWarning, match=r"^3 of 5 rows of the catalogue have no spectrum"):
        shared, _ = page_of(qnet.inspect("catalogue.fits", "moved.fits", "page.html"))
    # A file may have another name: then the TARGETID and the row are enough.
    assert sorted(item["row"] for item in shared["items"]) == [0, 1]
    write("c.fits", desi_coadd(desi_set((1.0,)), fibermap([77])))
    with pytest.raises(InputError, match=r"none of the TARGETIDs of the catalogue \(7, 8, 9, "):
        qnet.inspect("catalogue.fits", "c.fits", "other.html")
    assert not (files / "other.html").exists()


def test_spectra_of_a_table_with_columns_of_its_own(files):
    """What `qnet classify` was told of the file is told again."""
    wave = np.arange(3700.0, 9500.0, 4.0)
    flux, ivar = make_spectra(wave, (2.0, 3.0))
    lam = np.tile(wave, (2, 1)) / 10
    Table({"TARGETID": [5, 6], "L": lam, "F": flux, "IV": ivar}).write("t.fits")
    reading = {"columns": {"wave": "L", "flux": "F", "ivar": "IV"}, "wave_unit": "nm", "air": False}
    table = qnet.classify("t.fits", **reading)
    shared, _ = page_of(qnet.inspect(table, "t.fits", "page.html", **reading))
    assert len(shared["items"]) == 2
    assert 10 ** shared["grid"]["start"] == pytest.approx(3700, rel=1e-3)


def test_joined_exposures(files):
    table = qnet.classify("b.fits", coadd="target")
    shared, _ = page_of(qnet.inspect(table, "b.fits", "page.html", coadd="target"))
    assert sorted(item["id"] for item in shared["items"]) == ["7", "9"]


def test_a_model_that_is_not_known_by_its_name(files):
    table = qnet.read_catalogue("catalogue.fits")
    table.meta["MODEL"] = "mine@3"
    with pytest.warns(QnetWarning, match="the model mine@3 of the catalogue is not known"):
        shared, _ = page_of(qnet.inspect(table, ["a.fits", "b.fits"], "page.html"))
    assert "pz" not in shared
    with (
        pytest.warns(QnetWarning, match="mine@3"),
        pytest.raises(InputError, match="explain needs the model of the catalogue"),
    ):
        qnet.inspect(table, ["a.fits", "b.fits"], "other.html", explain=True)
    again = qnet.inspect(table, ["a.fits", "b.fits"], "third.html", model="qnet")
    assert "pz" in page_of(again)[0]


def test_names_of_the_header_are_no_html(files):
    """Plotly takes tags in names of lines and units for HTML: none reaches it."""
    table = qnet.read_catalogue("catalogue.fits")
    table.meta["LINE0"] = "<a href='javascript:alert(1)'>x</a>"
    spectra = qnet.read_spectra("a.fits")
    shared, _ = page_of(qnet.inspect(table[:2], spectra, "page.html"))
    assert not set("<>&") & set(shared["lines"][0][0])
    assert shared["unit"] == "10⁻¹⁷ erg Å⁻¹ s⁻¹ cm⁻²"
    assert unit_text("<b>counts</b>") == "bcounts/b"
    assert "<a href" not in (files / "page.html").read_text().split("</script>")[0]


def test_five_hundred_spectra_of_desi_weigh_less_than_thirty_megabytes(tmp_path, monkeypatch):
    """On DESI's native pixels, with p(z) and what decided; extrapolated from two pages."""
    pytest.importorskip("plotly")
    monkeypatch.chdir(tmp_path)
    cameras = {name: (wave, *make_spectra(wave, (1.0, 2.0, 3.0))) for name, wave in NATIVE.items()}
    write("coadd.fits", desi_coadd(cameras, fibermap([1, 2, 3])))
    table = qnet.classify("coadd.fits")
    sizes = [
        qnet.inspect(table, "coadd.fits", f"{most}.html", most=most, explain=True).stat().st_size
        for most in (1, 3)
    ]
    assert sizes[0] + 499 * (sizes[1] - sizes[0]) / 2 < 25e6


def redrock_file(path, **columns):
    given = {
        "TARGETID": np.array([7, 8, 9, 10]),
        "Z": np.array([2.0, 2.0, 0.5, 0.0]),
        "SPECTYPE": np.array(["QSO", "QSO", "GALAXY", "STAR"]),
        "SUBTYPE": np.array(["LOZ", "HIZ", "", "M"]),
        "COEFF": np.array([[1.0, 2.0, 0.0]] * 4),
    }
    return write(path, [primary(), hdu(given | columns, "REDSHIFTS")])


def test_the_fits_of_redrock(tmp_path):
    """Coefficients times templates at the redshift; of quasars beyond Lyman alpha alone."""
    found = read_fits(redrock_file(tmp_path / "redrock.fits"), write_templates(tmp_path / "t"))
    wave = np.array([3000.0, 4500.0, 6000.0])
    expected = 1 + 2 * wave / 5000 / 3
    loz, hiz, galaxy = (found.flux(number, wave) for number in (7, 8, 9))
    assert np.isnan(loz[0])  # rest wavelength 1000
    assert np.allclose(loz[1:], expected[1:], rtol=1e-4)
    assert np.allclose(hiz[1:], 2 * expected[1:], rtol=1e-4)
    assert np.allclose(galaxy, 1 + 2 * wave / 5000 / 1.5, rtol=1e-4)
    assert np.isnan(found.flux(9, np.array([20000.0])))
    # A star of another type than the templates, and an id that is not there.
    assert found.flux(10, wave) is None
    assert found.flux(11, wave) is None


def test_fits_need_a_file_of_redrock_with_coefficients(tmp_path):
    folder = write_templates(tmp_path / "t")
    other = make_result([1.0])
    with pytest.raises(InputError, match="give its file as other"):
        read_fits(other, folder)
    path = redrock_file(tmp_path / "redrock.fits", COEFF=np.zeros(4))
    with pytest.raises(InputError, match=r"redrock\.fits: lacks the column COEFF"):
        read_fits(path, folder)
    assert read_fits(other, None) is None


def test_without_plotly_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(InputError, match=r"install qnet-quasar\[inspect\]"):
        qnet.inspect(catalogue(P_QSO=np.ones(4)), "none.fits", "page.html")
