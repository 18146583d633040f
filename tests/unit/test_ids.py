"""Ids of every odd form: what is read, what is kept as text, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import qnet
from makers import (
    BOSS_LOGLAM,
    BOSS_ROW,
    boss_set,
    boss_spec,
    desi_cframe,
    desi_coadd,
    desi_set,
    fibermap,
    prepared,
    primary,
    spall,
    spfield,
    spplate,
    table,
    write,
)
from networks import write_legacy
from qnet.core.errors import FileError, InputError, QnetError, QnetWarning
from qnet.io import build_truth, from_arrays, from_table, read_spall, read_truth
from qnet.io.columns import id_columns, integer_column
from qnet.lines import absorber_IGM

WAVE = 10.0**BOSS_LOGLAM
FLUX, IVAR = boss_set()
CAMERAS = desi_set()
LARGE = 39627640000000001


def _coadd(ids):
    return desi_coadd(CAMERAS, fibermap([1, 2, 3]) | {"TARGETID": ids})


def _spec(ids):
    return boss_spec(BOSS_LOGLAM, FLUX[0], IVAR[0], row=BOSS_ROW | {"THING_ID": ids[0]})


def _prepared(ids):
    return prepared(FLUX[:, :443], IVAR[:, :443], {"TARGETID": ids})


def _superset(ids):
    known = {"CLASS_PERSON": np.full(3, 3), "Z_CONF_PERSON": np.full(3, 3)}
    return [primary(), table({"THING_ID": ids, "Z_VI": np.array([1.0, 2.0, 3.0])} | known)]


def _spall(ids):
    hdus = spall(7102, 56666, [1, 2, 3], [1, 2, 3])
    columns = {name: np.asarray(hdus[1].data[name]) for name in hdus[1].columns.names}
    return [primary(), table(columns | {"THING_ID": ids})]


def _catalogue(ids):
    columns = {"TARGETID": ids, "ZBEST": np.ones(3), "IS_QSO": np.ones(3, bool)}
    return [primary(), table(columns, "QNET")]


#: Files of ids, and what reads them.
FILES = {
    "DESI coadd": (_coadd, qnet.read_spectra),
    "spec": (_spec, qnet.read_spectra),
    "prepared": (_prepared, qnet.read_spectra),
    "superset": (_superset, read_truth),
    "superset of a truth": (_superset, build_truth),
    "spAll": (_spall, read_spall),
    "catalogue": (_catalogue, qnet.read_catalogue),
}


@pytest.mark.parametrize(("dtype", "digits"), [("f8", 53), ("f4", 24)])
@pytest.mark.parametrize("kind", FILES)
def test_floats_that_may_have_lost_digits_are_refused(tmp_path, kind, dtype, digits):
    make, read = FILES[kind]
    read(write(tmp_path / "whole.fits", make(np.array([2.0**digits - 1, 2, 3], dtype))))
    path = write(tmp_path / "lost.fits", make(np.array([2.0**digits, 2, 3], dtype)))
    with pytest.raises(FileError, match=rf"lost\.fits: .*_?ID holds {2**digits} as float"):
        read(path)


@pytest.mark.parametrize(
    "ids", [[3.9627640000000001e16, 1, 2], ["3.9627640000000001e16", "1", "2"]], ids=["f8", "text"]
)
def test_floats_that_may_have_lost_digits_are_refused_in_memory(ids, tmp_path):
    message = "TARGETID holds 39627640000000000 as float64, .*lose digits"
    with pytest.raises(InputError, match=message):
        from_arrays(WAVE, FLUX, IVAR, targetid=ids)
    spectra = {"wave": np.tile(WAVE, (3, 1)), "flux": FLUX, "ivar": IVAR, "targetid": ids}
    with pytest.raises(InputError, match=message):
        from_table(Table(spectra))
    truth = {"VI_Z": [1, 2, 3], "VI_QUALITY": [4, 4, 4], "VI_SPECTYPE": ["QSO"] * 3}
    Table({"TARGETID": ids} | truth).write(tmp_path / "truth.csv")
    with pytest.raises(FileError, match=rf"truth\.csv: .*{message}"):
        read_truth(tmp_path / "truth.csv")


@pytest.mark.parametrize("text", ["4.653E+08", "4.652987e+08", "-1e+06"])
@pytest.mark.parametrize("name", ["targetid", "TARGETID"])
def test_texts_that_do_not_state_all_digits_are_refused(tmp_path, text, name):
    """Spreadsheets and C's %g round ids that they write with an exponent."""
    message = rf"TARGETID holds '{text}', which does not state all digits".replace("+", r"\+")
    with pytest.raises(InputError, match=message):
        from_arrays(WAVE, FLUX, IVAR, targetid=[text, "1", "2"])
    path = tmp_path / "rounded.csv"
    path.write_text(f"{name},ZBEST,IS_QSO\n{text},1.0,True\n7,2.0,False\n")
    with pytest.raises(FileError, match=rf"rounded\.csv: .*{message}"):
        qnet.read_catalogue(path)
    path.write_text(f"{name},TRUEZ,TRUESPECTYPE\n{text},1.0,QSO\n7,2.0,STAR\n")
    with pytest.raises(FileError, match=rf"rounded\.csv: .*{message}"):
        read_truth(path)


def test_texts_with_all_digits_and_an_exponent_are_integers():
    given = ["4.65298745e8", "1.000000000000000000e+09", "-1.0"]
    assert from_arrays(WAVE, FLUX, IVAR, targetid=given).ids["TARGETID"].tolist() == [
        465298745,
        10**9,
        -1,
    ]


def test_floats_among_objects_have_the_digits_of_their_own_type():
    given = np.array([np.float32(465298745), 7, "x"], object)
    with pytest.raises(InputError, match="TARGETID holds 465298752 as float32"):
        from_arrays(WAVE, FLUX, IVAR, targetid=given)


@pytest.mark.filterwarnings("ignore:.*hold values that are no integers")
@pytest.mark.parametrize("form", ["0K", "0D", "0L", "0X", "0PJ", "0A"])
def test_columns_that_take_no_bytes_hold_nothing(tmp_path, form):
    """fitsio reads the bytes of other columns for them, and loses those."""
    columns = [fits.Column("TARGETID", "0K", array=np.zeros((3, 0), int))]
    columns.append(fits.Column("OBJTYPE", "3A", array=["TGT", "SKY", "TGT"]))
    fmap = fits.BinTableHDU.from_columns(columns, name="FIBERMAP")
    path = write(tmp_path / "empty.fits", [*desi_coadd(CAMERAS), fmap])
    path.write_bytes(path.read_bytes().replace(b"'0K      '", f"'{form:<8}'".encode()))
    spectra = qnet.read_spectra(path, rows=[1, 2])
    assert spectra.ids["TARGETID"].tolist() == [-1, -1]
    assert spectra.ids["OBJTYPE"].tolist() == ["SKY", "TGT"]


def test_a_plugmap_without_fibres_gives_none(tmp_path):
    hdus = spplate(FLUX, IVAR, fibers=[1, 2, 3])
    columns = hdus[5].columns
    hdus[5] = table({name: hdus[5].data[name] for name in columns.names if name != "FIBERID"})
    path = write(tmp_path / "spPlate.fits", hdus)
    with pytest.warns(QnetWarning, match="HDU number 5 has no FIBERID: it is -1"):
        ids = qnet.read_spectra(path, spall={(7102, 56666, 1): 5}).ids
    assert ids["FIBERID"].tolist() == ids["TARGETID"].tolist() == [-1, -1, -1]


@pytest.mark.parametrize("place", [["12:30:00", "10.5", ""], [[1, 2], [3, 4], [5, 6]]], ids=str)
def test_positions_that_are_no_numbers_are_missing(tmp_path, place):
    fmap = fibermap([1, 2, 3], TARGET_RA=np.array(place))
    path = write(tmp_path / "odd.fits", desi_coadd(CAMERAS, fmap))
    with pytest.warns(QnetWarning, match=r"odd\.fits: TARGET_RA hold values that are no numbers"):
        ids = qnet.read_spectra(path).ids
    expected = [np.nan, 10.5, np.nan] if place[0] == "12:30:00" else [np.nan] * 3
    np.testing.assert_array_equal(ids["TARGET_RA"], expected)
    assert ids["TARGETID"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("suffix", ["fits", "csv", "ecsv"])
def test_text_in_a_column_of_positions_of_a_table_stays(tmp_path, suffix, small_model):
    """The display format of TARGET_RA does not fit it, and astropy raises on such a one."""
    spectra = {"wave": np.tile(WAVE, (3, 1)), "flux": FLUX, "ivar": IVAR}
    places = ["12:30:00", "13:00:00", "x"]
    table = qnet.classify(Table(spectra | {"TARGET_RA": places}), model=small_model)
    assert table["TARGET_RA"].tolist() == places
    path = qnet.write_catalogue(table, tmp_path / f"c.{suffix}")
    assert qnet.read_catalogue(path)["TARGET_RA"].tolist() == places


def test_thing_ids_of_a_mapping_are_of_any_type(tmp_path):
    path = write(tmp_path / "spPlate.fits", spplate(FLUX, IVAR, fibers=[1, 2, 3]))
    lost = {(7102, 56666, 1): np.float32(465298745)}
    with pytest.raises(FileError, match="THING_ID holds 465298752 as float32"):
        qnet.read_spectra(path, spall=lost)
    assert qnet.read_spectra(path, spall={(7102, 56666, 2): 5}).ids["THING_ID"].dtype == np.int64


def test_columns_of_one_name_are_refused():
    columns = {"wave": np.tile(WAVE, (3, 1)), "flux": FLUX, "ivar": IVAR, "TARGETID": [1, 2, 3]}
    with pytest.raises(InputError, match=r"\['TARGETID'\] and \['targetid'\] .* one name but for"):
        from_table(Table(columns | {"targetid": [4, 5, 6]}))


def test_ids_of_parquet_files_that_lack_some_keep_their_digits(tmp_path):
    pa = pytest.importorskip("pyarrow")
    columns = {"TARGETID": pa.array([LARGE, None], pa.int64()), "ZBEST": [1.0, 2.0]}
    types = pa.array(["QSO", None]).dictionary_encode()  # as pandas writes categories
    classes = {"IS_QSO": [True, None], "TRUEZ": [1.0, 2.0], "TRUESPECTYPE": types}
    path = tmp_path / "c.parquet"
    pytest.importorskip("pyarrow.parquet").write_table(pa.table(columns | classes), path)
    assert list(read_truth(path)) == [LARGE]
    assert qnet.evaluation.read_result(path).targetid.tolist() == [LARGE, -1]


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2"])
@given(data=st.data())
def test_numbers_survive_as_floats_exactly_up_to_their_digits(dtype, data):
    limit = 2 ** (np.finfo(dtype).nmant + 1) - 1
    numbers = data.draw(hnp.arrays(np.int64, 3, elements=st.integers(-limit, limit)))
    numbers = numbers[np.abs(numbers) < np.finfo(dtype).max]
    column = numbers.astype(dtype)
    np.testing.assert_array_equal(integer_column(column, "TARGETID", None), numbers)


#: Ids of odd forms, what TARGETID is, and the text that is kept.
ODD = {
    "text": (["J0001+0002", "12", " 7 "], [-1, 12, 7], ["J0001+0002", "", ""]),
    "empty": (["", "12", "-1"], [-1, 12, -1], ["", "", ""]),
    "fractions": ([1.5, 2.0, 3.0], [-1, 2, 3], ["1.5", "", ""]),
    "not a number": ([np.nan, 2.0, np.inf], [-1, 2, -1], ["", "", "inf"]),
    "vectors": ([[1, 2], [3, 4], [5, 6]], [-1, -1, -1], ["1 2", "3 4", "5 6"]),
    "beyond int64": (np.array([1, 2, 2**64 - 1], "u8"), [1, 2, -1], ["", "", str(2**64 - 1)]),
    "text beyond int64": (["1", "9" * 30, "1e3"], [1, -1, 1000], ["", "9" * 30, ""]),
    "accents": (["\u00e9", "1", "2"], [-1, 1, 2], ["\u00e9", "", ""]),
}


@pytest.mark.filterwarnings("ignore:.*hold values that are no integers")
@pytest.mark.parametrize("ids", ODD.values(), ids=ODD)
def test_ids_of_odd_forms_stay_as_rows_with_their_text(ids):
    given, numbers, names = ids
    spectra = from_arrays(WAVE, FLUX, IVAR, targetid=given)
    assert spectra.ids["TARGETID"].tolist() == numbers
    assert spectra.ids.get("TARGET_NAME", np.array([""] * 3)).tolist() == names


@pytest.mark.parametrize("kind", ["text", "fractions", "not a number", "vectors"])
@pytest.mark.parametrize("layout", ["DESI coadd", "prepared"])
def test_files_with_ids_of_odd_forms_are_classified(tmp_path, layout, kind, small_model):
    given, numbers, names = ODD[kind]
    path = write(tmp_path / "odd.fits", FILES[layout][0](np.array(given)))
    with pytest.warns(QnetWarning, match=r"odd\.fits: TARGETID hold values that are no") as caught:
        table = qnet.classify(path, model=small_model)
    assert len(caught) == 1
    assert np.isfinite(table["ZBEST"]).all()
    assert table["TARGETID"].tolist() == numbers
    assert table["TARGET_NAME"].tolist() == names


@pytest.mark.parametrize("name", ["TARGETID", None])
def test_a_fibermap_without_ids_gives_none(tmp_path, name):
    columns = {key: x for key, x in fibermap([1, 2, 3]).items() if key != "TARGETID"}
    path = write(tmp_path / "bare.fits", desi_coadd(CAMERAS, columns))
    with pytest.warns(QnetWarning, match=r"bare\.fits: HDU FIBERMAP has no TARGETID: it is -1"):
        assert qnet.read_spectra(path).ids["TARGETID"].tolist() == [-1, -1, -1]


@pytest.mark.parametrize("column", ["PLATE", "FIBERID", "MJD", "BOSS_TARGET1"])
def test_text_in_a_column_of_integers_is_missing(tmp_path, column):
    row = BOSS_ROW | {column: "none"}
    path = write(tmp_path / "s.fits", boss_spec(BOSS_LOGLAM, FLUX[0], IVAR[0], row=row))
    with pytest.warns(QnetWarning, match=rf"s\.fits: {column} hold values that are no integers"):
        ids = qnet.read_spectra(path).ids
    assert ids[column].tolist() == [0 if "TARGET" in column else -1]
    assert ids["TARGETID"].tolist() == [BOSS_ROW["THING_ID"]]
    assert "TARGET_NAME" not in ids


def test_cards_that_are_no_integers_are_missing(tmp_path):
    hdus = spplate(FLUX, IVAR, fibers=[1, 2, 3], PLATEID="none")
    path = write(tmp_path / "spPlate.fits", hdus)
    with pytest.warns(QnetWarning, match="PLATEID hold values that are no integers"):
        assert qnet.read_spectra(path, spall={}).ids["PLATE"].tolist() == [-1, -1, -1]


@pytest.mark.parametrize("suffix", ["fits", "csv", "ecsv", "parquet"])
def test_text_of_ids_survives_a_catalogue_file(tmp_path, suffix, small_model):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    with pytest.warns(QnetWarning, match="TARGETID hold values that are no integers"):
        table = qnet.classify(WAVE, FLUX, IVAR, model=small_model, targetid=["J1", "2", "J3"])
    found = qnet.read_catalogue(qnet.write_catalogue(table, tmp_path / f"c.{suffix}"))
    assert found["TARGETID"].tolist() == [-1, 2, -1]
    assert found["TARGET_NAME"].tolist() == ["J1", "", "J3"]


def test_frames_of_ids_of_odd_forms_are_one_set(tmp_path):
    fmap = fibermap([1, 2, 3]) | {"TARGETID": np.array([1.0, np.nan, 3.0])}
    paths = [
        write(tmp_path / f"cframe-{b.lower()}0-00085607.fits", desi_cframe(f"{b}0", *x, fmap))
        for b, x in CAMERAS.items()
    ]
    with pytest.warns(QnetWarning, match="TARGETID hold values that are no integers") as caught:
        assert qnet.read_spectra(paths).ids["TARGETID"].tolist() == [1, -1, 3]
    assert len(caught) == 1


def test_masked_ids_are_missing():
    ids = MaskedColumn([1, 2, 3], mask=[False, True, False])
    columns = {"wave": np.tile(WAVE, (3, 1)), "flux": FLUX, "ivar": IVAR, "TARGETID": ids}
    assert from_table(Table(columns)).ids["TARGETID"].tolist() == [1, -1, 3]


@given(
    values=st.one_of(
        hnp.arrays(st.sampled_from(["i2", "i8", "u8", "f4", "f8", "U8", "S8", "?", "c16"]), 4),
        hnp.arrays("f8", (4, 2)),
    )
)
@pytest.mark.filterwarnings("ignore:.*hold values that are no integers")
def test_any_column_of_ids_gives_integers_or_an_error_of_qnet(values):
    try:
        ids = id_columns({"TARGETID": values}, None)
    except QnetError as error:
        assert "TARGETID" in str(error)  # noqa: PT017 - either outcome is legal
    else:
        assert ids["TARGETID"].dtype == np.int64
        assert ids["TARGETID"].shape == (4,)


class TestSpField:
    """The layout that SDSS-V has in place of spPlate."""

    NAMES = ("27021597911984196", "u092210.1+012345.6", "7")

    def read(self, tmp_path, names=NAMES, **options):
        hdus = spfield(FLUX, IVAR, catalogids=names, **options)
        return qnet.read_spectra(write(tmp_path / "spField-015143-59205.fits", hdus))

    def test_ids(self, tmp_path):
        spectra = self.read(tmp_path, objtype=["science", "SKY", "science"])
        assert (spectra.survey, spectra.layout) == ("SDSS", "SDSS-V spField file")
        assert spectra.ids["TARGETID"].tolist() == [27021597911984196, -1, 7]
        assert spectra.ids["TARGET_NAME"].tolist() == ["", self.NAMES[1], ""]
        assert spectra.ids["CATALOGID"].tolist() == spectra.ids["TARGETID"].tolist()
        assert spectra.ids["FIELD"].tolist() == [15143] * 3
        assert spectra.ids["MJD"].tolist() == [59205] * 3
        assert spectra.ids["TARGET_INDEX"].tolist() == [1, 2, 3]
        assert spectra.ids["FIBERID_LIST"].tolist() == ["0 500", "1 501", "2 502"]
        assert spectra.ids["TARGET_RA"].tolist() == [20.0, 21.0, 22.0]
        assert [qnet.flag_names(int(x)) for x in spectra.flag] == [[], ["NOT_TARGET"], []]

    def test_wavelengths_are_those_of_an_spplate(self, tmp_path):
        spectra = self.read(tmp_path)
        plate = write(tmp_path / "spPlate.fits", spplate(FLUX, IVAR, fibers=[1, 2, 3]))
        other = qnet.read_spectra(plate, spall={})
        np.testing.assert_array_equal(spectra.cameras[0].wave, other.cameras[0].wave)
        np.testing.assert_array_equal(spectra.cameras[0].flux, other.cameras[0].flux)

    def test_rows_and_a_catalogue(self, tmp_path, small_model):
        path = write(tmp_path / "f.fits", spfield(FLUX, IVAR, catalogids=self.NAMES))
        targetid = qnet.read_spectra(path, rows=[2, 0]).ids["TARGETID"]
        assert targetid.tolist() == [7, 27021597911984196]
        catalogue = qnet.classify(path, model=small_model)
        assert catalogue["TARGET_NAME"].tolist() == ["", self.NAMES[1], ""]

    def test_a_plugmap_of_other_length_is_an_error(self, tmp_path):
        hdus = spfield(FLUX, IVAR, catalogids=self.NAMES)
        short = spfield(FLUX[:2], IVAR[:2], catalogids=self.NAMES[:2])
        path = write(tmp_path / "f.fits", [*hdus[:5], short[5], *hdus[6:]])
        with pytest.raises(FileError, match=r"f\.fits: the plugmap in HDU 5 has 2 rows"):
            qnet.read_spectra(path)


class TestDesiHeaders:
    """HDUs and cards by which DESI's files have told their ids."""

    TILE = {"TILEID": 80605, "NIGHT": 20210205, "PETAL": 3}
    COLUMNS = {"TILEID": 80605, "LASTNIGHT": 20210205, "PETAL_LOC": 3}

    @pytest.mark.parametrize("left_out", [None, "TILEID", "NIGHT", "PETAL", "SURVEY", "PROGRAM"])
    def test_each_card_is_read_whatever_the_others(self, tmp_path, left_out):
        cards = self.TILE | {"SURVEY": "main", "PROGRAM": "dark"}
        cards.pop(left_out, None)
        path = write(tmp_path / "c.fits", desi_coadd(CAMERAS, fibermap([1, 2, 3]), **cards))
        names = dict(zip(self.TILE, self.COLUMNS, strict=True))
        expected = {names.get(card, card): value for card, value in cards.items()}
        ids = qnet.read_spectra(path).ids
        assert {name: ids[name].tolist() for name in expected} == {
            name: [value] * 3 for name, value in expected.items()
        }
        assert names.get(left_out, left_out) not in ids

    @pytest.mark.parametrize("pixel", ["HPXPIXEL", "UNIQPIX"])
    def test_pixels_of_the_sky(self, tmp_path, pixel):
        cards = {"SURVEY": "main", "PROGRAM": "dark", pixel: 26065}
        path = write(tmp_path / "c.fits", desi_coadd(CAMERAS, fibermap([1, 2, 3]), **cards))
        ids = qnet.read_spectra(path).ids
        assert ids[pixel].tolist() == [26065] * 3
        assert "TILEID" not in ids

    def test_the_fibermap_is_nearer_than_a_card(self, tmp_path):
        columns = fibermap([1, 2, 3]) | {"TILEID": np.array([5, 6, 7])}
        path = write(tmp_path / "c.fits", desi_coadd(CAMERAS, columns, **self.TILE))
        assert qnet.read_spectra(path).ids["TILEID"].tolist() == [5, 6, 7]

    @pytest.mark.parametrize("exposures", [None, "FIBERMAP", "EXP_FIBERMAP"])
    def test_older_names_of_the_fibermap(self, tmp_path, exposures):
        hdus = desi_coadd(CAMERAS, fibermap([11, 12, 13], objtype=["SKY", "TGT", "TGT"]))
        hdus[1].header["EXTNAME"] = "COADD_FIBERMAP"
        if exposures is not None:
            hdus.append(table(fibermap([11, 11, 12, 12, 13]), exposures))
        spectra = qnet.read_spectra(write(tmp_path / "c.fits", hdus))
        assert spectra.ids["TARGETID"].tolist() == [11, 12, 13]
        assert [qnet.flag_names(int(x)) for x in spectra.flag] == [["NOT_TARGET"], [], []]

    def test_a_cframe_has_no_coadded_fibermap(self, tmp_path):
        hdus = desi_cframe("b0", *CAMERAS["B"], fibermap([1, 2, 3]))
        spectra = qnet.read_spectra(write(tmp_path / "f.fits", hdus))
        assert spectra.ids["TARGETID"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("nlines", [31, 32, 39])
def test_bits_of_many_lines(tmp_path, nlines):
    lines = list(absorber_IGM)[:nlines]
    model = qnet.load_model(
        write_legacy(tmp_path / "many.h5", nheads=nlines), lines=lines, lines_bal=[]
    )
    table = qnet.classify(from_arrays(WAVE, FLUX, IVAR, targetid=[1, 2, 3]), model=model)
    assert table["LINE_OBSERVED"].dtype == (np.int32 if nlines < 32 else np.int64)
    low, high = max(WAVE[0], model.grid.wave[0]), min(WAVE[-1], model.grid.wave[-1])
    rest = np.array([absorber_IGM[line] for line in lines])
    for row in table:
        observed = rest * (1 + row["ZBEST"])
        bits = np.array([bool(int(row["LINE_OBSERVED"]) >> n & 1) for n in range(nlines)])
        assert bits[(observed > low * 1.01) & (observed < high / 1.01)].all()
        assert not bits[(observed < low / 1.01) | (observed > high * 1.01)].any()
