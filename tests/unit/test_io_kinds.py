"""Objects that pipelines hold: the same spectra, ids and answers whatever they come in."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from astropy import units
from astropy.io import fits
from astropy.table import Column, Table

import qnet
from makers import (
    COMBINEREJ,
    as_spectra,
    boss_spec,
    check_camera,
    desi_cframe,
    desi_coadd,
    desi_set,
    fibermap,
    make_spectra,
    make_spectrum,
    write,
)
from qnet.core.errors import InputError, QnetWarning
from qnet.core.spectra import SURVEY_FLUX_UNIT
from qnet.io import from_arrays, read_spectra
from qnet.io.objects.batches import read_batches
from qnet.io.objects.registry import KINDS, find_kind

WAVE, FLUX, IVAR = make_spectrum(2.4, seed=7)
FLUX3, IVAR3 = make_spectra(WAVE, (1.0, 2.0, 3.0), seed=8)
UNIT = units.Unit(SURVEY_FLUX_UNIT)
IDS = [11, 12, 13]

#: A frequency-based unit by its name, and the factor of erg/s/cm2/Hz, computed by hand.
PER_FREQUENCY = {
    "Jy": (units.Jy, 1e-23),
    "nJy": (units.nJy, 1e-32),
    "erg": (units.Unit("erg / (s cm2 Hz)"), 1.0),
    "AB": (units.AB, 10 ** (-48.6 / 2.5)),
    "maggy": (units.mgy, 10 ** (-48.6 / 2.5)),
    "nanomaggy": (units.Unit("nmgy"), 1e-9 * 10 ** (-48.6 / 2.5)),
}


def check(spectra, flux=FLUX3, ivar=IVAR3, *, wave=WAVE, rtol=1e-6):
    check_camera(spectra, flux, ivar, wave, rtol)


def frequency_arrays(name, flux=FLUX, ivar=IVAR):
    """The same flux and ivar per frequency: f_nu = f_lambda lambda^2 / c, c in Angstrom/s."""
    unit, cgs = PER_FREQUENCY[name]
    factor = 1e-17 * WAVE**2 / 2.99792458e18 / cgs
    return flux * factor * unit, ivar / factor**2 * unit**-2


@pytest.mark.parametrize("name", PER_FREQUENCY)
@pytest.mark.parametrize("errors", ["ivar", "error", "variance"])
def test_flux_per_frequency_is_converted_with_its_errors(name, errors):
    flux, ivar = frequency_arrays(name)
    power = {"ivar": 1, "error": -0.5, "variance": -1}[errors]
    spectra = from_arrays(WAVE, flux, **{errors: ivar**power})
    check(spectra, FLUX, IVAR, rtol=1e-5)
    assert spectra.flux_unit == SURVEY_FLUX_UNIT
    plain = from_arrays(WAVE, flux, **{errors: (ivar**power).value})
    check(plain, FLUX, IVAR, rtol=1e-5)


@pytest.mark.parametrize("holder", ["table", "specutils", "air"])
def test_flux_per_frequency_in_other_holders(holder):
    flux, ivar = frequency_arrays("nJy")
    if holder == "table":
        columns = {"wave": WAVE, "flux": Column(flux.value, unit="nJy"), "variance": 1 / ivar}
        check(as_spectra(Table(columns)), FLUX, IVAR, rtol=1e-5)
        return
    if holder == "air":
        (camera,) = from_arrays(WAVE, flux, ivar, air=True).cameras
        expected = FLUX * (WAVE / camera.wave) ** 2
        assert (camera.wave > WAVE).all()
        np.testing.assert_allclose(camera.flux[0], expected, rtol=1e-6)
        return
    uncertainty = SimpleNamespace(array=ivar.value**-0.5, uncertainty_type="std", unit=units.nJy)
    nu = (WAVE * units.AA).to("Hz", units.spectral())
    duck = SimpleNamespace(spectral_axis=nu, flux=flux, uncertainty=uncertainty)
    check(as_spectra(duck), FLUX, IVAR, rtol=1e-5)


def test_pixels_without_wavelength_have_no_flux_per_wavelength():
    flux, ivar = frequency_arrays("Jy")
    wave = WAVE.copy()
    wave[:5] = 0, 0, -1, np.nan, 0
    spectra = from_arrays(wave, flux, np.where(np.arange(len(WAVE)) < 5, 0, ivar))
    assert not spectra.cameras[0].ivar[0, :5].any()
    np.testing.assert_allclose(spectra.cameras[0].flux[0, 5:], FLUX[5:], rtol=1e-5)
    with pytest.raises(InputError, match="wave must have shape"):
        from_arrays(WAVE[:-1], flux, ivar)


def test_arrays_with_errors_ids_and_positions(small_model):
    given = {"targetid": IDS, "ra": [10, 20, 30] * units.deg, "dec": [1.0, 2.0, 3.0]}
    tables = [
        qnet.classify(WAVE, FLUX3, **errors, **given, model=small_model)
        for errors in (
            {"ivar": IVAR3},
            {"error": IVAR3.astype(float) ** -0.5},
            {"variance": 1 / IVAR3.astype(float)},
        )
    ]
    for table in tables:
        assert table["TARGETID"].tolist() == IDS
        assert table["TARGET_RA"].tolist() == [10, 20, 30]
        assert table["TARGET_DEC"].tolist() == [1, 2, 3]
        np.testing.assert_allclose(table["C_LINES"], tables[0]["C_LINES"], atol=1e-5)
    assert from_arrays(WAVE, FLUX3, IVAR3).ids["TARGETID"].tolist() == [0, 1, 2]  # no warning


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "there is none of the three"),
        ({"ivar": IVAR, "error": IVAR}, "there is ivar and error"),
        ({"ivar": IVAR, "ra": [1.0]}, "ra and dec must be given together"),
        ({"ivar": IVAR, "ra": [1.0, 2.0], "dec": [1.0]}, r"ra must be 1 angles, not of shape \(2,"),
        ({"ivar": IVAR, "ra": [1] * units.m, "dec": [1]}, "ra must be an array of numbers .deg"),
    ],
)
def test_arguments_of_arrays_that_do_not_fit(options, message):
    with pytest.raises(InputError, match=message):
        qnet.classify(WAVE, FLUX, **options)


def test_what_goes_with_arrays_does_not_go_with_files_or_objects(tmp_path):
    path = write(tmp_path / "c.fits", desi_coadd(desi_set(), fibermap(IDS)))
    for name in ("targetid", "ra", "variance"):
        with pytest.raises(InputError, match=f"{name} is for arrays, not for files"):
            qnet.classify(path, **{name: IDS})
    with pytest.raises(InputError, match="ra and dec go with an array wave, not with a qnet"):
        qnet.classify(from_arrays(WAVE, FLUX, IVAR), ra=[1.0], dec=[2.0])


FRAMES = {
    "lists": lambda x: list(map(list, x.astype(float))),
    "arrays": list,
    "arrow": lambda x: pd.Series(
        list(map(list, x.astype(float))), dtype=pd.ArrowDtype(pytest.importorskip("pyarrow").list_(
            pytest.importorskip("pyarrow").float64()))
    ),
}  # fmt: skip


def frame(kind="arrays", **columns):
    make = FRAMES[kind]
    pixels = {"wave": make(np.tile(WAVE, (3, 1))), "flux": make(FLUX3), "ivar": make(IVAR3)}
    return pd.DataFrame({"TARGETID": IDS, **pixels, **columns})


@pytest.mark.parametrize("kind", FRAMES)
def test_dataframe_with_list_columns(kind):
    given = frame(kind, NAME=["a", None, "c"], RA=[1.0, 2.0, np.nan], PLATE=[1, 2, 3])
    given["FIBERID"] = pd.array([5, None, 2**60 + 1], dtype="Int64")
    spectra = as_spectra(given)
    check(spectra)
    assert {name: column.tolist() for name, column in spectra.ids.items() if name != "RA"} == {
        "TARGETID": IDS,
        "NAME": ["a", "", "c"],
        "PLATE": [1, 2, 3],
        "FIBERID": [5, -1, 2**60 + 1],
    }
    np.testing.assert_array_equal(spectra.ids["RA"], [1, 2, np.nan])


def test_rows_of_a_dataframe_of_any_length(small_model):
    short = slice(0, len(WAVE) - 100)
    given = frame()
    for name in ("wave", "flux", "ivar"):
        given.at[1, name] = given.at[1, name][short]
    table = qnet.classify(given, model=small_model)
    alone = qnet.classify(WAVE[short], FLUX3[1, short], IVAR3[1, short], model=small_model)
    np.testing.assert_allclose(table["C_LINES"][1], alone["C_LINES"][0], atol=1e-6)
    given.at[0, "flux"] = None
    given.at[2, "ivar"] = given.at[2, "ivar"][:7]
    with pytest.warns(QnetWarning, match="rows 0, 2: the lists wave, flux, ivar are missing or of"):
        table = qnet.classify(given, model=small_model)
    assert [qnet.flag_names(x)[:1] for x in table["QN_FLAG"]][::2] == [["NODATA"]] * 2
    np.testing.assert_allclose(table["C_LINES"][1], alone["C_LINES"][0], atol=1e-6)


def test_dataframes_of_masks_logarithms_pixels_and_nothing():
    mask = np.arange(len(WAVE)) % 5 == 0
    logs = (
        frame()
        .drop(columns="wave")
        .assign(loglam=list(np.tile(np.log10(WAVE), (3, 1))), mask=list(np.tile(mask, (3, 1))))
    )
    check(as_spectra(logs), ivar=np.where(mask, 0, IVAR3), rtol=1e-6, wave=10 ** np.log10(WAVE))
    check(as_spectra(pd.DataFrame({"wave": WAVE, "flux": FLUX, "ivar": IVAR})), FLUX, IVAR)
    assert len(as_spectra(frame().iloc[:0])) == 0
    with pytest.raises(InputError, match=r"the DataFrame lacks a column named one of \['flux', "):
        as_spectra(frame().drop(columns="flux"))
    bad = frame()
    bad.at[0, "flux"] = ["x"] * len(WAVE)
    with pytest.raises(InputError, match="column flux must be a list of numbers in each row"):
        as_spectra(bad)


@pytest.mark.parametrize("name", ["mask", "and_mask"])
def test_a_mask_of_floats_masks_what_is_missing(name):
    mask = np.zeros((3, len(WAVE)))
    mask[0, :20], mask[1, 3], mask[2, 7] = COMBINEREJ, np.nan, 0
    check(as_spectra(frame(**{name: list(mask)})), ivar=np.where(mask == 0, IVAR3, 0))


def test_nested_dataframes(small_model):
    nested = pytest.importorskip("nested_pandas", reason="nested-pandas is not installed")
    pixels = {"wave": np.tile(WAVE, 3), "flux": FLUX3.ravel(), "ivar": IVAR3.ravel()}
    rows = pd.DataFrame(pixels, index=np.repeat([0, 1, 2], len(WAVE)))
    given = nested.NestedFrame({"TARGETID": IDS}).join_nested(rows, "spectrum")
    spectra = as_spectra(given)
    check(spectra)
    assert spectra.ids["TARGETID"].tolist() == IDS
    assert len(qnet.classify(given, model=small_model)) == 3
    # Of two columns with flux none is known to be that of the spectra; other names may repeat.
    light = pd.DataFrame({"mjd": np.ones(3), "band": 0.0}, index=[0, 1, 2])
    curves = given.join_nested(light, "curve").join_nested(light, "forced")
    with pytest.warns(QnetWarning, match=r"columns \['mjd', 'band'\] are left out"):
        check(as_spectra(curves))
    light = light.rename(columns={"band": "flux"})
    with pytest.raises(InputError, match="has flux twice, once in column curve: give the columns"):
        as_spectra(given.join_nested(light, "curve"))


def test_mapping_of_arrays_and_tuples(small_model):
    check(as_spectra({"wave": WAVE, "flux": FLUX3, "ivar": IVAR3, "TARGETID": IDS}))
    check(as_spectra({"WAVELENGTH": WAVE, "FLUX": list(FLUX3), "error": list(IVAR3**-0.5)}))
    one = {"wave": WAVE, "flux": FLUX, "ivar": IVAR}
    rows = [one | {"targetid": 2**60 + n, "CAMPAIGN": "ab"[n]} for n in range(2)]
    table = qnet.classify(rows, model=small_model)
    assert table["TARGETID"].tolist() == [2**60, 2**60 + 1]
    assert table["CAMPAIGN"].tolist() == ["a", "b"]
    for given, keys in (({"wave": WAVE, "f": FLUX}, "wave, f"), ({}, "none")):
        with pytest.raises(InputError, match=rf"dict without flux or .* \(its keys: {keys}\)$"):
            qnet.classify(given, model=small_model)
    pixels = Table(one | {"TARGETID": np.full(len(WAVE), 5)})
    assert as_spectra(pixels).ids["TARGETID"].tolist() == [5]
    arrays = (WAVE, FLUX, IVAR)
    check(as_spectra(arrays), FLUX, IVAR)
    table = qnet.classify([arrays, (WAVE[:-9], FLUX[:-9], IVAR[:-9])], model=small_model)
    assert table["TARGETID"].tolist() == [0, 1]
    assert table["INPUT_INDEX"].tolist() == [0, 0]


def test_lists_and_generators_of_spectra(small_model):
    """Each is an input of its own, of any cameras, and read when its turn comes."""
    one = from_arrays(WAVE, FLUX3, IVAR3, targetid=IDS)
    other = qnet.Spectra(
        [qnet.Camera("r", WAVE[:900], FLUX[None, :900], IVAR[None, :900])],
        {"TARGETID": [7], "FIELD": [3]},
    )
    table = qnet.classify([one, other], model=small_model)
    assert table["TARGETID"].tolist() == [*IDS, 7]
    assert table["FIELD"].tolist() == [-1, -1, -1, 3]
    assert table["INPUT_INDEX"].tolist() == [0, 0, 0, 1]
    assert table["INPUT_ROW"].tolist() == [0, 1, 2, 0]
    lone = qnet.classify(other, model=small_model)
    np.testing.assert_array_equal(table["C_LINES"][3], lone["C_LINES"][0])
    taken = []

    def generate():
        for spectra in (one, other):
            taken.append(len(spectra))
            yield spectra

    batches = read_batches(generate())
    assert next(batches).spectra is not None
    assert taken == [3]
    again = qnet.classify(generate(), model=small_model, rows=[0])
    assert [qnet.flag_names(x)[-1:] == ["NOT_TARGET"] for x in again["QN_FLAG"]] == [
        *(False, True, True, False)
    ]


def test_a_generator_of_single_spectra_is_one_input_of_blocks():
    items = [(WAVE, flux, ivar) for flux, ivar in zip(FLUX3, IVAR3, strict=True)]
    batches = list(read_batches(iter(items), nrows=2))
    assert [len(batch.spectra) for batch in batches] == [2, 1]
    assert [batch.number for batch in batches] == [0, 0]
    for column in (lambda x: x.row, lambda x: x.ids["TARGETID"]):
        assert [x for batch in batches for x in column(batch.spectra).tolist()] == [0, 1, 2]


def test_iterables_of_paths_and_objects_with_faults(tmp_path, small_model):
    path = write(tmp_path / "c.fits", desi_coadd(desi_set(), fibermap(IDS)))
    for source in (iter([path]), {path: 1}.keys(), pd.Series([str(path)])):
        assert qnet.classify(source, model=small_model)["TARGETID"].tolist() == IDS

    def failing():
        yield from_arrays(WAVE, FLUX, IVAR)
        raise LookupError("what their\nlibrary says")

    with pytest.raises(InputError, match=r"source must be a list or generator .*LookupError: what"):
        qnet.classify(failing(), model=small_model)
    with pytest.raises(InputError, match=r"of these, but item 1 of the source is a int"):
        qnet.classify([from_arrays(WAVE, FLUX, IVAR), 5], model=small_model)
    with pytest.raises(InputError, match=r"air=True is for arrays and specutils Spec.*not for"):
        qnet.classify([from_arrays(WAVE, FLUX, IVAR)], model=small_model, air=True)
    with pytest.raises(InputError, match="the list of paths is empty"):
        qnet.classify(iter([]), model=small_model)


class LazyList(list):
    """A list that loads an object when its number is given, as specutils's lazy SpectrumList."""

    def __init__(self, loader, length):
        super().__init__([object()] * length)
        self.loader = loader

    def __getitem__(self, number):
        return self.loader(number)


def duck(number):
    uncertainty = SimpleNamespace(array=IVAR3[number], uncertainty_type="ivar")
    return SimpleNamespace(spectral_axis=WAVE, flux=FLUX3[number], uncertainty=uncertainty)


def test_lazy_lists_are_loaded(small_model):
    table = qnet.classify(LazyList(duck, 3), model=small_model)
    expected = qnet.classify(WAVE, FLUX3, IVAR3, model=small_model)
    np.testing.assert_allclose(table["C_LINES"], expected["C_LINES"], atol=1e-6)
    assert len(qnet.io.from_specutils(LazyList(duck, 2))) == 2
    with pytest.raises(InputError, match=r"source must be a list or generator .*ZeroDivisionError"):
        qnet.classify(LazyList(lambda number: 1 / 0, 2), model=small_model)


@pytest.mark.parametrize("layout", ["DESI coadd", "SDSS spec"])
def test_hdulist_is_read_as_its_file(tmp_path, layout, small_model):
    hdus = {
        "DESI coadd": lambda: desi_coadd(desi_set(), fibermap(IDS)),
        "SDSS spec": lambda: boss_spec(np.log10(WAVE), FLUX, IVAR),
    }[layout]()
    path = write(tmp_path / "file.fits", hdus)
    with fits.open(path) as hdulist:
        spectra = as_spectra(hdulist)
        table, expected = (qnet.classify(x, model=small_model) for x in (hdulist, path))
    assert (spectra.source, spectra.layout) == ((), read_spectra(path).layout)
    for name in expected.colnames:
        np.testing.assert_array_equal(table[name], expected[name])
    with pytest.raises(InputError, match="the HDUList: holds no spectra that qnet knows"):
        as_spectra(fits.HDUList([fits.PrimaryHDU()]))


class TestFrames:
    """Frames of desispec, as its cframe files."""

    @pytest.fixture
    def frames(self, tmp_path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            desispec = pytest.importorskip("desispec.io")
            cameras = desi_set((1.0, 2.0, 3.0))
            self.paths = {
                name.lower(): write(
                    tmp_path / f"cframe-{name.lower()}0-00085607.fits",
                    desi_cframe(f"{name.lower()}0", *arrays, fibermap(IDS)),
                )
                for name, arrays in cameras.items()
            }
            return {
                name: desispec.read_frame(str(path), skip_resolution=True)
                for name, path in self.paths.items()
            }

    @pytest.mark.parametrize("form", [dict, lambda x: list(x.values())], ids=["by band", "list"])
    def test_of_an_exposure_are_one_set(self, frames, form, small_model):
        table = qnet.classify(form(frames), model=small_model)
        expected = qnet.classify(list(self.paths.values()), model=small_model)
        for name in set(expected.colnames) - {"INPUT_INDEX"}:
            np.testing.assert_array_equal(table[name], expected[name], err_msg=name)

    def test_alone_or_not_of_one_exposure(self, frames):
        spectra = as_spectra(frames["r"])
        assert spectra.ids["TARGETID"].tolist() == IDS
        assert [qnet.flag_names(int(x)) for x in spectra.flag] == [["CAMERA_MISSING"]] * 3
        frames["r"].meta["EXPID"] = 5
        with pytest.raises(InputError, match="frame r0: is not of one set with frame b0: exposure"):
            as_spectra(frames)
        frames["b"].meta["BUNIT"] = "electron/Angstrom"
        with pytest.raises(InputError, match="frame b0: the flux has unit 'electron/Angstrom'"):
            as_spectra(frames["b"])

    def test_whatever_an_attribute_raises(self):
        class Frame:
            wave, flux, ivar, mask, meta = WAVE, FLUX3, IVAR3, None, None
            fibermap = property(lambda self: 1 / 0)

        with pytest.raises(InputError, match=r"must be a desispec Frame, .*ZeroDivisionError"):
            as_spectra(Frame())


class Record(dict):
    """A record as SPARCL's client makes it: fields are attributes too."""

    def __init__(self, **fields):
        super().__init__(fields)
        self.__dict__ = self


def record(number, release="DESI-DR1", **fields):
    return Record(
        **{
            "sparcl_id": f"00-{number}",
            "specid": 100 + number,
            "targetid": IDS[number],
            "data_release": release,
            "_dr": release,
            "ra": 10.0 + number,
            "dec": -5.0,
            "wavelength": WAVE,
            "flux": FLUX3[number],
            "ivar": IVAR3[number],
        }
        | fields
    )


def results(records):
    """Records in the object of SPARCL's client where it is installed, else in one like it."""
    try:
        from sparcl.Results import Retrieved
    except ImportError:
        return SimpleNamespace(records=list(records), hdr={}, info={}, recs=list(records))
    names = SimpleNamespace(_science_name=lambda name, release: name)
    return Retrieved([{"status": {}}, *records], client=SimpleNamespace(fields=names))


class TestSparcl:
    """Records of SPARCL."""

    @pytest.mark.parametrize("form", [results, list, iter, tuple], ids=lambda form: form.__name__)
    def test_several(self, form, small_model):
        table = qnet.classify(form(list(map(record, range(3)))), model=small_model)
        assert table["TARGETID"].tolist() == IDS
        assert table["SPARCL_ID"].tolist() == ["00-0", "00-1", "00-2"]
        assert table["SPECID"].tolist() == [100, 101, 102]
        assert table["TARGET_RA"].tolist() == [10, 11, 12]
        expected = qnet.classify(WAVE, FLUX3 * UNIT, IVAR3 * UNIT**-2, model=small_model)
        np.testing.assert_allclose(table["C_LINES"], expected["C_LINES"], atol=1e-6)

    def test_one(self):
        spectra = as_spectra(record(1))
        check(spectra, FLUX3[1], IVAR3[1])
        assert (spectra.layout, spectra.flux_unit) == ("SPARCL records", SURVEY_FLUX_UNIT)
        assert find_kind(dict(record(0))).name == "SPARCL record"

    @pytest.mark.parametrize("release", ["DESI-DR1", "BOSS-DR17", "SDSS-DR16"])
    def test_masks_mean_what_they_mean_in_the_survey(self, release):
        mask = np.zeros(len(WAVE), np.int64)
        mask[:20], mask[20:40] = 1 << 3, COMBINEREJ
        bad = mask != 0 if release.startswith("DESI") else mask == COMBINEREJ
        spectra = as_spectra(record(0, release, mask=mask))
        check(spectra, FLUX3[0], np.where(bad, 0, IVAR3[0]))

    def test_of_several_releases(self):
        """A row of SDSS is not flagged by what OBJTYPE means in DESI."""
        rows = [
            record(0, objtype="SKY", coadd_fiberstatus=0, survey="main", healpix=5),
            record(1, "BOSS-DR17", objtype="QSO", plate=7, mjd=55000, fiberid=9, thing_id=3),
            record(2, objtype="TGT", coadd_fiberstatus=8),
        ]
        rows[1] |= {name: rows[1][name][:-50] for name in ("wavelength", "flux", "ivar")}
        spectra = as_spectra(rows)
        names = [qnet.flag_names(int(x)) for x in spectra.flag]
        assert names == [["NOT_TARGET"], [], ["BAD_FIBER"]]
        assert spectra.ids["HPXPIXEL"].tolist() == [5, -1, -1]
        assert spectra.ids["PLATE"].tolist() == [-1, 7, -1]
        assert spectra.ids["SURVEY"].tolist() == ["main", "", ""]

    def test_dummies_of_ids_that_were_not_found_stay_as_rows(self, small_model):
        dummy = Record(sparcl_id=None, specid=None, _dr="SDSS-DR16")
        with pytest.warns(QnetWarning, match="rows 1: the lists .* missing"):
            table = qnet.classify([record(0), dummy, record(2)], model=small_model)
        assert table["TARGETID"].tolist() == [11, -1, 13]
        assert "NODATA" in qnet.flag_names(table["QN_FLAG"][1])

    def test_metadata_alone(self):
        rows = [Record(sparcl_id="1", _dr="DESI-DR1", redshift=2.0)]
        for found in (results(rows), rows):
            with pytest.raises(InputError, match="records lack the fields wavelength, flux, ivar"):
                as_spectra(found)
        rows = [record(0)]
        del rows[0]["ivar"]
        with pytest.raises(InputError, match="records lack the fields ivar: retrieve them"):
            as_spectra(rows)

    def test_nothing_found(self, small_model):
        table = qnet.classify(results([]), model=small_model)
        assert len(table) == 0

    def test_ids_of_other_fields(self):
        assert as_spectra(record(0, targetid=None)).ids["TARGETID"].tolist() == [0]
        rows = [record(0), record(1)]
        for row in rows:
            del row["targetid"]
        assert as_spectra(rows).ids["TARGETID"].tolist() == [100, 101]

    def test_the_clients_own_types(self):
        """The record and the results of sparclclient, without a network."""
        utils = pytest.importorskip("sparcl.utils", reason="sparclclient is not installed")
        one = utils._AttrDict(record(0))
        assert find_kind(one).name == "SPARCL record"
        found = results([record(0), record(1)])
        assert type(found).__module__ == "sparcl.Results"
        assert find_kind(found).name == "SPARCL result"
        assert as_spectra(found).ids["TARGETID"].tolist() == IDS[:2]


def test_kinds_are_named_once():
    assert len({kind.name for kind in KINDS}) == len(KINDS)


class Raising(dict):
    """A mapping whose items raise an error."""

    def __getitem__(self, name):
        raise LookupError("what their\nlibrary says")


class Frame:
    """A DataFrame whose columns raise an error."""

    columns, dtypes, iloc = ["flux"], None, None

    def __getitem__(self, name):
        raise LookupError("what their\nlibrary says")


class Results:
    """A result of SPARCL whose records raise an error."""

    hdr, info = {}, {}

    @property
    def records(self):
        raise LookupError("what their\nlibrary says")


class OpenFile:
    """An HDUList that cannot be written."""

    fileinfo, info = None, None

    def writeto(self, path, **options):
        raise LookupError("what their\nlibrary says")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Raising(wave=1, flux=2, ivar=3), "a mapping of columns"),
        (Frame(), "a DataFrame with columns"),
        (Results(), "records of SPARCL, with"),
        (OpenFile(), "an HDUList that can be written"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_an_object_raises_is_an_error_of_qnet(value, expected):
    for source in (value, [value]):
        with pytest.raises(InputError, match=rf"must be {expected}.*LookupError: what their"):
            qnet.classify(source)
