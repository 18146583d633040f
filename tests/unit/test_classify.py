"""Spectra in memory and in files to a catalogue, with a small random network."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import numpy as np
import pytest

import qnet
from makers import boss_spec, desi_coadd, desi_set, fibermap, make_spectra, write
from qnet.classification.columns import compute_columns
from qnet.classification.criterion import choose_criterion
from qnet.core.columns import BY_NAME, COLUMNS
from qnet.core.errors import FileError, InputError, MissingFileError, QnetWarning
from qnet.core.flags import QNFlag
from qnet.io.reader import read_blocks
from qnet.lines import SPEED_OF_LIGHT

WAVE = np.arange(3700.0, 9500.0, 4.0)
TARGETIDS = [39627600000000000, 39627600000000001, -7, 39627600000000003, 39627600000000004]


@pytest.fixture
def arrays():
    return WAVE, *make_spectra(WAVE, np.linspace(0.5, 3, 5))


@pytest.fixture
def coadd(tmp_path):
    ids = fibermap(TARGETIDS, objtype=["TGT", "TGT", "SKY", "TGT", "TGT"], status=[0, 0, 0, 8, 0])
    return write(tmp_path / "coadd.fits", desi_coadd(desi_set(np.linspace(0.5, 3, 5)), ids))


def rows_of(table):
    """Rows that are classified."""
    return np.flatnonzero(np.isfinite(table["ZBEST"])).tolist()


def test_every_bad_row_stays_where_it_was(arrays, small_model):
    wave, flux, ivar = arrays
    good = qnet.classify(wave, flux, ivar, model=small_model)
    bad = np.repeat(flux, 2, axis=0), np.repeat(ivar, 2, axis=0)
    bad[0][1], bad[1][3], bad[0][5], bad[1][7], bad[0][9] = np.nan, 0, 4.2, np.nan, 0.0
    table = qnet.classify(wave, *bad, model=small_model)
    assert rows_of(table) == [0, 2, 4, 6, 8]
    reasons = {
        1: {"NODATA", "BADPIX", "SPARSE"},
        3: {"NODATA", "SPARSE"},
        5: {"CONSTANT"},
        7: {"NODATA", "BADPIX", "SPARSE"},
        9: {"CONSTANT", "LOW_SNR"},
    }
    for row, names in reasons.items():
        assert set(qnet.flag_names(table["QN_FLAG"][row])) == names
        assert not table["IS_QSO"][row]
        assert not table["IS_BAL"][row]
        for name in ("C_LINES", "Z_LINES", "C_LINES_BAL", "Z_LINES_BAL"):
            assert np.isnan(table[name][row]).all()
        assert table["LINE_OBSERVED"][row] == 0
    for name in ("ZBEST", "C_LINES", "Z_LINES", "QN_FLAG", "SNR", "IS_QSO"):
        np.testing.assert_allclose(table[name][::2], good[name], rtol=0, atol=2e-5, err_msg=name)


def test_what_an_imported_network_does_not_give_is_nan(arrays, small_model):
    table = qnet.classify(*arrays, model=small_model)
    for name in ("ZERR", "Z2", "P2", "P_QSO", "P_BAL", "ZERR_LINES"):
        assert np.isnan(table[name]).all(), name
    assert table["C_LINES_BAL"].shape == (5, 1)
    assert table["TARGETID"].tolist() == table["INPUT_ROW"].tolist() == [0, 1, 2, 3, 4]
    assert table.meta["MODEL"] == "small@imported"
    assert table.meta["STRATEGY"] == "tutorial@1: at least 1 line(s) with c > 0.5"


@pytest.mark.parametrize(("c_threshold", "min_lines"), [(0.5, 1), (0.8, 1), (0.3, 3), (0.9, 6)])
def test_the_criterion_counts_lines_above_the_threshold(
    arrays, small_model, c_threshold, min_lines
):
    table = qnet.classify(*arrays, model=small_model, c_threshold=c_threshold, min_lines=min_lines)
    expected = (table["C_LINES"] > c_threshold).sum(axis=1) >= min_lines
    np.testing.assert_array_equal(table["IS_QSO"], expected)
    bal = expected & (table["C_LINES_BAL"] > c_threshold).any(axis=1)
    np.testing.assert_array_equal(table["IS_BAL"], bal)
    assert (table.meta["CTHRESH"], table.meta["MINLINES"]) == (c_threshold, min_lines)


def test_flags_of_lines_follow_their_definitions(small_model):
    flux, ivar = make_spectra(WAVE, np.linspace(0.3, 3.5, 60), seed=3)
    ivar[::2, 300:700] = 0
    spectra = qnet.io.from_arrays(WAVE, flux, ivar, targetid=np.arange(60))
    columns = compute_columns(
        spectra, small_model, choose_criterion(small_model, c_threshold=0.999)
    )
    observed = np.zeros((60, small_model.grid.npix), bool)
    for row in range(60):
        bins = small_model.grid.bins(WAVE[ivar[row] > 0])
        observed[row, bins[bins >= 0]] = True
    counts = {QNFlag.LINE_UNOBSERVED: 0, QNFlag.DISAGREE: 0}
    for row in range(60):
        c, z, zbest = (columns[name][row] for name in ("C_LINES", "Z_LINES", "ZBEST"))
        best = int(np.argmax(c))
        assert zbest == pytest.approx(z[best], abs=1e-6)
        seen = 0
        for number, line in enumerate(small_model.lines):
            pixel = int(small_model.grid.bins(small_model.rest[line] * (1 + zbest)))
            seen |= int(pixel >= 0 and observed[row, pixel]) << number
        assert columns["LINE_OBSERVED"][row] == seen
        contrary = any(
            c[line] > 0.999 and SPEED_OF_LIGHT * abs(z[line] - zbest) / (1 + zbest) > 6000
            for line in range(len(c))
        )
        for flag, expected in (
            (QNFlag.LINE_UNOBSERVED, not seen & (1 << best)),
            (QNFlag.DISAGREE, contrary),
        ):
            assert bool(columns["QN_FLAG"][row] & flag) == expected
            counts[flag] += expected
    assert all(0 < count < 60 for count in counts.values()), counts


def test_sky_and_bad_fibres_are_classified_but_no_quasars(coadd, small_model):
    table = qnet.classify(coadd, model=small_model, c_threshold=0.0)
    assert rows_of(table) == [0, 1, 2, 3, 4]
    assert table["IS_QSO"].tolist() == [True, True, False, False, True]
    assert table["QN_FLAG"][2] & QNFlag.NOT_TARGET
    assert table["QN_FLAG"][3] & QNFlag.BAD_FIBER


@pytest.mark.parametrize(
    ("options", "classified"),
    [
        ({"targets": "qso"}, [2]),
        ({"targetids": [39627600000000001, -7]}, [1, 2]),
        ({"rows": [4, 0]}, [0, 4]),
        ({"rows": np.array([1])}, [1]),
        ({"rows": [0, 1], "targetids": [39627600000000001]}, [1]),
        ({"rows": []}, []),
    ],
)
def test_rows_that_were_not_asked_for_stay_nan_and_flagged(coadd, small_model, options, classified):
    everything = qnet.classify(coadd, model=small_model)
    table = qnet.classify(coadd, model=small_model, **options)
    assert rows_of(table) == classified
    assert table["TARGETID"].tolist() == TARGETIDS
    unasked = np.setdiff1d(np.arange(5), classified)
    assert (table["QN_FLAG"][unasked] & QNFlag.NOT_TARGET).all()
    assert not table["IS_QSO"][unasked].any()
    assert np.isnan(table["SNR"][unasked]).all()
    np.testing.assert_allclose(
        table["C_LINES"][classified], everything["C_LINES"][classified], rtol=0, atol=2e-6
    )
    np.testing.assert_array_equal(table["QN_FLAG"][classified], everything["QN_FLAG"][classified])


def test_rows_as_a_mask(coadd, small_model):
    mask = np.array([False, True, True, False, False])
    assert rows_of(qnet.classify(coadd, model=small_model, rows=mask)) == [1, 2]
    assert rows_of(qnet.classify(coadd, model=small_model, rows=list(mask))) == [1, 2]
    with pytest.raises(InputError, match="rows is a mask of 4, but there are 5 spectra"):
        qnet.classify(coadd, model=small_model, rows=mask[:4])
    for rows in ([1.7], ["a"], [[1, 2]]):
        with pytest.raises(InputError, match="rows must be integers"):
            qnet.classify(coadd, model=small_model, rows=rows)
    with pytest.raises(InputError, match="targetids must be integers"):
        qnet.classify(coadd, model=small_model, targetids=["a"])


def test_a_row_off_the_grid_is_flagged_whichever_rows_are_asked_for(arrays, small_model):
    wave, flux, ivar = arrays
    waves = np.stack([wave, wave + 20000])
    spectra = qnet.io.from_arrays(waves, flux[:2], ivar[:2], targetid=[1, 2])
    for rows in (None, [1], [0, 1]):
        table = qnet.classify(spectra, model=small_model, rows=rows)
        assert table["QN_FLAG"][1] & QNFlag.NODATA


def test_columns_named_like_those_of_qnet_are_left_out(arrays, small_model):
    from astropy.table import Table

    wave, flux, ivar = arrays
    table = Table({"wave": [wave] * 5, "flux": flux, "ivar": ivar})
    table["TARGETID"], table["ZBEST"], table["MAG"] = np.arange(5), 1.0, 20.0
    with pytest.warns(
        QnetWarning, match=r"column\(s\) ZBEST are left out: qnet's own columns have these"
    ):
        found = qnet.classify(table, model=small_model)
    assert found.colnames == list(dict.fromkeys(found.colnames))
    assert found.colnames[-3:] == ["MAG", "INPUT_INDEX", "INPUT_ROW"]
    assert not (found["ZBEST"] == 1).any()


def test_the_columns_are_in_their_order_described_and_shown_with_few_digits(coadd, small_model):
    table = qnet.classify(coadd, model=small_model)
    first = ["TARGETID", "IS_QSO", "P_QSO", "ZBEST", "ZERR", "P_Z", "QN_FLAG"]
    assert table.colnames[:7] == first
    assert table.colnames[-2:] == ["INPUT_INDEX", "INPUT_ROW"]
    order = [column.name for column in COLUMNS]
    made = [name for name in order if name in table.colnames and not BY_NAME[name].survey]
    assert [name for name in table.colnames if name in made] == made
    for name in table.colnames:
        column = BY_NAME[name]
        assert table[name].description == column.description
        assert str(table[name].unit or "") == column.unit
        if not column.survey:
            assert table[name].dtype == np.dtype(column.dtype)
    heading, _, _, row, *_ = table.pformat(max_width=110)
    assert heading.split()[:5] == first[:5]
    assert re.fullmatch(r"\s*39627600000000000 +\w+ +nan +\d\.\d{5} +nan .*", row)


def test_columns_of_a_table_keep_their_units(arrays, small_model, tmp_path):
    from astropy.table import Table

    wave, flux, ivar = arrays
    table = Table({"wave": [wave] * 5, "flux": flux, "ivar": ivar, "TARGETID": np.arange(5)})
    # The last is no unit of FITS, nor of astropy.
    units = {"RA": "deg", "PERIOD": "fortnight", "WORTH": "ducat"}
    for name, unit in units.items():
        table[name] = np.arange(5.0)
        table[name].unit = unit
    found = qnet.classify(table, model=small_model)
    kept = qnet.read_catalogue(qnet.write_catalogue(found, tmp_path / "catalogue.fits"))
    for catalogue in (found, kept):
        assert {name: str(catalogue[name].unit) for name in units} == units
        assert catalogue["TARGETID"].unit is None


def test_masked_target_bits_are_no_target(arrays, small_model):
    from astropy.table import MaskedColumn, Table

    wave, flux, ivar = arrays
    table = Table({"wave": [wave] * 5, "flux": flux, "ivar": ivar, "TARGETID": np.arange(5)})
    table["DESI_TARGET"] = MaskedColumn([4, 4, 0, 4, 4], mask=[0, 1, 0, 0, 0])
    found = qnet.classify(table, model=small_model, targets="qso")
    assert rows_of(found) == [0, 3, 4]
    assert found["DESI_TARGET"].tolist() == [4, 0, 0, 4, 4]


def test_masked_pixels_are_no_bad_pixels(arrays, small_model):
    wave, flux, ivar = arrays
    mask = np.broadcast_to(np.arange(len(wave)) % 9 == 0, flux.shape)
    masked = np.ma.masked_array(flux, mask=mask)
    table = qnet.classify(
        qnet.io.from_arrays(wave, masked, ivar, targetid=np.arange(5)), model=small_model
    )
    assert not (table["QN_FLAG"] & QNFlag.BADPIX).any()


def test_ids_that_are_in_no_input_are_named(coadd, small_model):
    with pytest.warns(QnetWarning, match=r"TARGETID\(s\) in no input: 12, 13"):
        qnet.classify(coadd, model=small_model, targetids=[13, 12, TARGETIDS[0]])


def test_exposures_are_joined_by_target(tmp_path, small_model):
    targetids = [11, 12, 11, -5, -5, 12]
    cameras = desi_set([1.0, 2.0, 1.0, 3.0, 3.0, 2.0])
    ids = fibermap(targetids, status_name="FIBERSTATUS", EXPID=np.arange(6, dtype=np.int32))
    path = write(tmp_path / "spectra.fits", desi_coadd(cameras, ids))
    table = qnet.classify(path, model=small_model, coadd="target")
    assert table["TARGETID"].tolist() == [11, 12, -5, -5]
    assert table["INPUT_ROW"].tolist() == [0, 1, 3, 4]
    single = qnet.classify(path, model=small_model)
    assert (table["SNR"][:2] > 1.2 * single["SNR"][:2]).all()
    np.testing.assert_allclose(table["ZBEST"][2:], single["ZBEST"][3:5], atol=2e-6)
    with pytest.raises(InputError, match="rows cannot be selected when exposures are joined"):
        qnet.classify(path, model=small_model, coadd="target", rows=[1])


def test_files_of_several_surveys_in_one_catalogue(tmp_path, coadd, small_model):
    loglam = 3.5563 + 4e-4 * np.arange(1100)
    flux, ivar = make_spectra(10**loglam, [2.0])
    spec = write(tmp_path / "spec.fits", boss_spec(loglam, flux[0], ivar[0]))
    table = qnet.classify([spec, str(coadd)], model=small_model)
    assert len(table) == 6
    assert table["INPUT_INDEX"].tolist() == [0, 1, 1, 1, 1, 1]
    assert table["INPUT_ROW"].tolist() == [0, 0, 1, 2, 3, 4]
    assert table["FIBER"].tolist() == [-1, 2500, 2501, 2502, 2503, 2504]
    assert table["TARGETID"][1:].tolist() == TARGETIDS
    assert (table["PLATE"][1:] == -1).all()
    assert table.meta["IN000000"] == str(spec)
    assert table.meta["IN000001"] == str(coadd)
    numbers = [key[6:] for key in table.meta if key.startswith("DEPNAM")]
    cards = {table.meta[f"DEPNAM{number}"]: table.meta[f"DEPVER{number}"] for number in numbers}
    assert cards["qnet"] == qnet.__version__
    assert cards["SPECPROD"] == "fuji"
    assert cards["desispec"] == "0.51.4"
    assert table.meta["QNBIT16"] == "NOT_TARGET"


def test_several_processes_give_the_same(tmp_path, small_model):
    loglam = 3.5563 + 4e-4 * np.arange(1100)
    flux, ivar = make_spectra(10**loglam, np.linspace(1, 3, 9))
    files = [
        write(tmp_path / f"spec-{row}.fits", boss_spec(loglam, flux[row], ivar[row]))
        for row in range(9)
    ]
    one = qnet.classify(files, model=small_model)
    two = qnet.classify(files, model=small_model, workers=2)
    for name in one.colnames:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)
    assert one.meta == two.meta


def test_a_file_in_blocks_of_rows_is_that_file(coadd, small_model, monkeypatch):
    whole = qnet.classify(coadd, model=small_model)
    blocks = functools.partial(read_blocks, nrows=2)
    monkeypatch.setattr("qnet.classification.files.read_blocks", blocks)
    table = qnet.classify(coadd, model=small_model)
    assert table.meta == whole.meta
    assert "desispec" in table.meta.values()
    for name in ("TARGETID", "OBJTYPE", "INPUT_ROW", "QN_FLAG", "IS_QSO"):
        np.testing.assert_array_equal(table[name], whole[name], err_msg=name)
    np.testing.assert_allclose(table["C_LINES"], whole["C_LINES"], atol=2e-6)


def test_a_file_is_named_once_when_it_fails(tmp_path, coadd, small_model):
    bad = tmp_path / "bad.fits"
    bad.write_text("nothing")
    with pytest.raises(FileError, match=r"bad.fits: cannot be read as FITS") as caught:
        qnet.classify([coadd, bad], model=small_model)
    assert str(caught.value).count("bad.fits") == 1
    with pytest.raises(FileError, match=r"bad.fits: cannot.*; .*none.fits: no such file"):
        qnet.classify([coadd, bad, tmp_path / "none.fits"], model=small_model)
    with pytest.raises(FileNotFoundError, match=r"none.fits: no such file"):
        qnet.classify(tmp_path / "none.fits", model=small_model)
    with pytest.raises(InputError, match=r"^[^:]*coadd.fits: rows must be in 0 .. 4, not 9"):
        qnet.classify(coadd, model=small_model, rows=[9])


def test_files_that_fail_do_not_take_the_others_with_them(tmp_path, coadd, small_model):
    bad, none = tmp_path / "bad.fits", tmp_path / "none.fits"
    bad.write_text("nothing")
    good = qnet.classify(coadd, model=small_model)

    def same(table):
        return table.meta == good.meta and table["TARGETID"].tolist() == TARGETIDS

    with pytest.raises(MissingFileError, match=r"none.fits: no such file") as one:
        qnet.classify([coadd, none], model=small_model)
    assert [failure.paths for failure in one.value.failures] == [(str(none),)]
    assert one.value.failures[0].error is one.value
    assert same(one.value.partial)
    with pytest.raises(FileError, match=r"bad.fits: .*; .*none.fits: no such") as several:
        qnet.classify([bad, coadd, none], model=small_model)
    kinds = [(failure.paths, type(failure.error)) for failure in several.value.failures]
    assert kinds == [((str(bad),), FileError), ((str(none),), MissingFileError)]
    assert same(several.value.partial)
    with pytest.warns(QnetWarning) as caught:
        table = qnet.classify([bad, coadd, none], model=small_model, errors="skip")
    assert same(table)
    assert [Path(str(each.message).split(":")[0]) for each in caught] == [bad, none]


def test_an_error_tells_how_many_files_failed_and_keeps_all_of_them(tmp_path, small_model):
    names = [str(tmp_path / f"none-{number}.fits") for number in range(7)]
    for errors in ("raise", "skip"):
        with pytest.raises(FileError, match=r"none-0.*none-2.*; and 4 more$") as caught:
            qnet.classify(names, model=small_model, errors=errors)
        assert [failure.paths for failure in caught.value.failures] == [(name,) for name in names]
        assert caught.value.partial is None
    with pytest.raises(InputError, match="errors must be one of raise, skip, not 'ignore'"):
        qnet.classify(names, model=small_model, errors="ignore")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"p_threshold": 0.5}, "needs a model with a calibrated P_QSO, which small@imported does"),
        ({"p_threshold": 0.5, "min_lines": 2}, "cannot be given with c_threshold or min_lines"),
        ({"c_threshold": 1.5}, r"c_threshold must be in 0 \.\. 1, not 1.5"),
        ({"c_threshold": float("nan")}, "c_threshold must be in"),
        ({"min_lines": 0}, "min_lines must be at least 1, not 0"),
        ({"min_lines": 7}, "min_lines is 7, but model small@imported has 6 lines"),
        ({"targets": "lrg"}, "targets must be one of all, qso, not 'lrg'"),
        ({"coadd": "all"}, "coadd must be one of none, target, not 'all'"),
        ({"workers": 0}, "workers must be at least 1, not 0"),
        ({"workers": 1.5}, r"workers must be a whole number, not 1\.5"),
        ({"threads": "2"}, "threads must be a whole number, not '2'"),
        (
            {"prior_qso": 0.1, "c_threshold": 0.8},
            "prior_qso cannot be given with c_threshold or min",
        ),
        (
            {"prior_qso": 0.1, "min_lines": 2},
            "prior_qso cannot be given with c_threshold or min_lin",
        ),
        ({"min_lines": 1.5}, r"min_lines must be a whole number, not 1\.5"),
        ({"c_threshold": "a"}, "c_threshold must be a number, not 'a'"),
        ({"prior_qso": "a"}, "prior_qso"),
        (
            {"air": True},
            "is a DESI coadd or spectra file, whose wavelengths are vacuum, centres: le",
        ),
    ],
)
def test_options_that_are_not_legal(coadd, small_model, options, message):
    with pytest.raises(InputError, match=message):
        qnet.classify(coadd, model=small_model, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coadd": "target"}, "coadd='target' joins the spectra of a TARGETID: give targetid"),
        ({"spall": {(1, 2, 3): 4}}, "spall is for files, not for spectra in memory"),
    ],
)
def test_options_that_would_do_nothing_for_arrays(arrays, small_model, options, message):
    with pytest.raises(InputError, match=message):
        qnet.classify(*arrays, model=small_model, **options)


def test_an_spall_that_no_reader_takes_ids_from(coadd, small_model):
    for call in (
        lambda spall: qnet.classify([coadd, coadd], model=small_model, spall=spall),
        lambda spall: qnet.prepare(coadd, coadd.with_name("out.fits"), spall=spall),
        lambda spall: qnet.read_spectra(coadd, spall=spall),
    ):
        with pytest.warns(QnetWarning) as caught:
            call({(1, 2, 3): 4})
        message = "spall has no effect on DESI coadd or spectra file: it is for SDSS spCFrame"
        assert sum(str(each.message).startswith(message) for each in caught) == 1


def test_rows_and_ids_may_be_one_number(coadd, small_model):
    one = qnet.classify(coadd, model=small_model, rows=1)
    assert rows_of(one) == [1]
    targetid = int(one["TARGETID"][rows_of(one)[0]])
    assert rows_of(qnet.classify(coadd, model=small_model, targetids=targetid)) == [1]
    with pytest.raises(
        InputError, match=r"rows must be a boolean per spectrum, not of shape \(5, 2"
    ):
        qnet.classify(coadd, model=small_model, rows=np.ones((5, 2), dtype=bool))
    with pytest.raises(InputError, match="rows must be integers, not slice"):
        qnet.classify(coadd, model=small_model, rows=slice(0, 3))
    with pytest.raises(InputError, match=r"targetids must be integers, not 1\.5"):
        qnet.classify(coadd, model=small_model, targetids=1.5)


@pytest.mark.parametrize("source", [[], (), np.array([], dtype="U1"), iter([]), set()])
def test_no_paths_at_all(small_model, source):
    with pytest.raises(InputError, match="there are no input files: the list of paths is empty"):
        qnet.classify(source, model=small_model)


def test_generators_and_arrays_of_paths(coadd, small_model):
    pattern = coadd.parent.glob("*.fits")
    sources = [pattern, np.array([str(coadd)], dtype="S"), np.array(coadd), {coadd: 0}.keys()]
    for source in sources:
        assert qnet.classify(source, model=small_model).meta["IN000000"] == str(coadd)


def test_ids_of_arrays_are_those_given_or_the_row_numbers(arrays, coadd, small_model):
    plain = qnet.classify(*arrays, model=small_model)
    given = qnet.classify(*arrays, model=small_model, targetid=np.uint64(TARGETIDS[::3] * 3)[:5])
    assert plain["TARGETID"].tolist() == [0, 1, 2, 3, 4]
    assert given["TARGETID"].tolist() == (TARGETIDS[::3] * 3)[:5]
    np.testing.assert_array_equal(given["C_LINES"], plain["C_LINES"])
    with pytest.raises(InputError, match="targetid must be 5 ids, not of shap"):
        qnet.classify(*arrays, model=small_model, targetid=[1, 2])
    with pytest.raises(InputError, match="targetid is for arrays, not for files"):
        qnet.classify(coadd, model=small_model, targetid=[1])
    spectra = qnet.read_spectra(coadd)
    with pytest.raises(InputError, match="targetid goes with arrays wave, flux and ivar: a table"):
        qnet.classify(spectra, model=small_model, targetid=TARGETIDS)


def test_a_file_that_is_given_twice_is_told(coadd, small_model):
    same = f"{coadd.parent}/./{coadd.name}"
    with pytest.warns(QnetWarning, match=r"coadd.fits: given more than once, and so are the rows"):
        table = qnet.classify([coadd, same], model=small_model)
    assert len(table) == 2 * len(qnet.classify(coadd, model=small_model))


@pytest.mark.parametrize("source", [3, None, {}, {"a": 1}, [1, "a"], [b"a", 1], object(), (1, 2)])
def test_sources_that_are_no_spectra(small_model, source):
    with pytest.raises(InputError, match=r"spectra must be a path|source must be a path, not 1"):
        qnet.classify(source, model=small_model)


def test_quasar_targets_need_a_target_column(arrays, small_model):
    spectra = qnet.io.from_arrays(*arrays, targetid=np.arange(5))
    with pytest.raises(InputError, match="the spectra have no target column"):
        qnet.classify(spectra, model=small_model, targets="qso")


def test_wavelengths_that_may_be_edges_or_centres(small_model, legacy_weights):
    flux, ivar = make_spectra(WAVE, [2.0])
    grid = small_model.grid
    binned = qnet.preprocess.rebin(WAVE, flux, ivar, grid)
    with pytest.warns(QnetWarning, match=r"are the left edges .* give edges=True where they are"):
        qnet.classify(grid.wave, *binned, model=small_model)
    for edges in (True, False):
        qnet.classify(grid.wave, *binned, model=small_model, edges=edges)
    qnet.classify(grid.wave + 0.1, *binned, model=small_model)
    with pytest.raises(InputError, match="edges is for arrays and objects in memory, not for file"):
        qnet.classify("a.fits", model=small_model, edges=True)
    own = qnet.load_model(legacy_weights, grid=qnet.WavelengthGrid("log", 3.57, 8e-4, 443))
    with pytest.warns(QnetWarning, match=r"are the left edges .* give edges=True where they are"):
        qnet.classify(own.wave, *binned, model=own)


def test_one_spectrum_as_vectors(arrays, small_model):
    wave, flux, ivar = arrays
    table = qnet.classify(wave, flux[0], ivar[0], model=small_model)
    assert len(table) == 1
    with pytest.raises(InputError, match="an array of wavelengths must come with flux and ivar"):
        qnet.classify(wave, model=small_model)
