"""Spectra of archives, space telescopes and the AAT's surveys are read as they were stored."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from astropy import units
from astropy.table import Table

import qnet
from makers import make_spectra, primary, table, write
from makers_archives import (
    aaomega,
    eso,
    euclid,
    euclid_table,
    gama,
    iraf,
    jwst,
    jwst_wfss,
    linear_cards,
    ozdes,
    sigma,
    sixdf,
    to_air,
    twoqz,
)
from qnet import QNFlag
from qnet.core.errors import FileError, QnetWarning
from qnet.io import from_arrays, read_spectra

WAVE = np.linspace(3800.0, 9200.0, 1500)
FLUX, IVAR = make_spectra(WAVE, (1.0, 2.0, 3.0))
IVAR[:, 100:110] = 0
IDS = [2731173428682078045, 12, -7]
CGS = "erg / (s cm2 Angstrom)"
DISPERSION = f"{to_air(WAVE)[0]:.12f} {np.diff(to_air(WAVE)).mean():.12f} {len(WAVE)} 0. 1. 2."

#: HDUs of each layout; number of spectra, unit of the flux, survey and TARGETIDs of what they hold.
LAYOUTS = {
    "eso": (eso(WAVE, FLUX[0], IVAR[0]), 1, "erg / (Angstrom s cm2)", "ESO", [-1]),
    "euclid": (euclid(WAVE, FLUX, IVAR, ids=IDS), 3, f"1e-17 {CGS}", "Euclid", IDS),
    "jwst x1d": (jwst(WAVE, FLUX, IVAR, ids=[1, 2, 3]), 3, f"1e-17 {CGS}", "JWST", [1, 2, 3]),
    "jwst c1d": (
        jwst(WAVE, FLUX, IVAR, ids=[4, 5, 6], name="COMBINE1D"),
        *(3, f"1e-17 {CGS}", "JWST", [4, 5, 6]),
    ),
    "jwst wfss": (jwst_wfss(WAVE, FLUX, IVAR, ids=[7, 8, 9]), 3, f"1e-17 {CGS}", "JWST", [7, 8, 9]),
    "jwst from red to blue": (
        jwst_wfss(WAVE, FLUX, IVAR, ids=[7, 8, 9], swap=True),
        *(3, f"1e-17 {CGS}", "JWST", [7, 8, 9]),
    ),
    "6dFGS": (sixdf(WAVE, FLUX, IVAR, layout="split"), 1, "", "6dFGS", [-1]),
    "6dFGS archive": (sixdf(WAVE, FLUX, IVAR, layout="archive"), 3, "", "6dFGS", [-1] * 3),
    "2QZ": (twoqz(WAVE, FLUX, IVAR, errors=True), 1, "", "2QZ", [-1]),
    "2SLAQ": (twoqz(WAVE, FLUX, IVAR, survey="2SLAQ-QSO", errors=True), 1, "", "2QZ", [-1]),
    "gama": (gama(WAVE, FLUX, IVAR), 1, f"1e-17 {CGS}", "GAMA", [204868]),
    "ozdes": (ozdes(WAVE, FLUX, IVAR), 1, "", "OzDES", [-1]),
    "aaomega": (aaomega(WAVE, FLUX, IVAR), 3, "", "AAOmega", [-1] * 3),
    "iraf": (
        iraf(FLUX, IVAR, [f"{n} {n} 0 {DISPERSION}" for n in (4, 5, 6)]),
        *(3, "", "", [4, 5, 6]),
    ),
}


def arrays(spectra, nspec):
    """Wavelengths, flux and ivar of the pixels before the padding, in units of 1e-17 if of any."""
    (camera,) = spectra.cameras
    wave = np.broadcast_to(camera.wave, camera.flux.shape)[:, : len(WAVE)]
    scale = 1e17 if spectra.flux_unit.startswith("erg") else 1.0
    assert len(spectra) == nspec
    assert not (camera.ivar[:, len(WAVE) :] > 0).any()
    return wave, camera.flux[:, : len(WAVE)] * scale, camera.ivar[:, : len(WAVE)] / scale**2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_read_is_what_was_stored(tmp_path, layout):
    hdus, nspec, unit, survey, ids = LAYOUTS[layout]
    spectra = read_spectra(write(tmp_path / "a.fits", hdus))
    wave, flux, ivar = arrays(spectra, nspec)
    good = IVAR[:nspec] > 0
    assert ((ivar > 0) == good).all()
    # Wavelengths that are linear in air are nearly so in vacuum.
    np.testing.assert_allclose(wave[good], np.tile(WAVE, (nspec, 1))[good], rtol=2e-6)
    np.testing.assert_allclose(flux[good], FLUX[:nspec][good], rtol=1e-5)
    np.testing.assert_allclose(ivar[good], IVAR[:nspec][good], rtol=1e-5)
    assert (spectra.flux_unit, spectra.survey) == (unit, survey)
    assert spectra.ids["TARGETID"].tolist() == ids
    assert spectra.flag.tolist() == [0] * nspec


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_that_are_chosen_keep_their_ids(tmp_path, layout):
    hdus, nspec, *_ = LAYOUTS[layout]
    path = write(tmp_path / "a.fits", hdus)
    order = list(range(nspec))[::-1][:2]
    some, whole = read_spectra(path, rows=order), read_spectra(path).select(order)
    assert some.row.tolist() == order
    for name, column in whole.ids.items():
        np.testing.assert_array_equal(some.ids[name], column)
    np.testing.assert_array_equal(some.cameras[0].flux, whole.cameras[0].flux)
    np.testing.assert_array_equal(some.cameras[0].ivar, whole.cameras[0].ivar)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_file_arrays_and_table_have_the_same_answers(tmp_path, layout, small_model):
    hdus, nspec, *_ = LAYOUTS[layout]
    flux, ivar = FLUX[:nspec], IVAR[:nspec]
    path = write(tmp_path / "a.fits", hdus)
    columns = {"wavelength": np.tile(WAVE, (nspec, 1)) * units.AA, "flux": flux, "ivar": ivar}
    inputs = (path, from_arrays(WAVE, flux, ivar), Table(columns))
    found = [qnet.classify(each, model=small_model) for each in inputs]
    for other in found[1:]:
        np.testing.assert_allclose(found[0]["Z_LINES"], other["Z_LINES"], atol=2e-3)
        np.testing.assert_allclose(found[0]["C_LINES"], other["C_LINES"], atol=2e-3)


#: Loaders of specutils for some of these files.
SPECUTILS = {
    "jwst x1d": "JWST x1d multi",
    "jwst c1d": "JWST c1d multi",
    "jwst wfss": "JWST x1d multi",
    "6dFGS archive": "6dFGS-combined",
    "2QZ": "GAMA-2QZ",
    "2SLAQ": "GAMA-2SLAQ-QSO",
    "gama": "GAMA",
    "ozdes": "OzDES",
    "aaomega": "Data Central AAOmega",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layout", SPECUTILS)
def test_files_are_of_the_layouts_that_specutils_reads(tmp_path, layout):
    from specutils import SpectrumList

    hdus, nspec, *_ = LAYOUTS[layout]
    others = SpectrumList.read(write(tmp_path / "a.fits", hdus), format=SPECUTILS[layout])
    if layout == "6dFGS archive":  # V, R and their splice of each observation
        others = others[2::3]
    for row, spectrum in enumerate(others[:nspec]):
        wave = spectrum.spectral_axis
        stored = wave.value * (1e4 if wave.unit == units.um else 1.0)
        expected = WAVE if layout.startswith("jwst") else to_air(WAVE)
        np.testing.assert_allclose(stored[: len(WAVE)], expected, rtol=2e-6)
        flux = spectrum.flux
        if layout.startswith("jwst"):
            flux = flux.to(f"1e-17 {CGS}", units.spectral_density(WAVE * units.AA))
        good = IVAR[row] > 0
        np.testing.assert_allclose(flux.value[good], FLUX[row][good], rtol=1e-5)


WITHOUT_ERRORS = {
    "2QZ": twoqz(WAVE, FLUX, IVAR),
    "6dFGS table": sixdf(WAVE, FLUX, IVAR, layout="table"),
    "iraf without bands": iraf(FLUX[:1], IVAR, [f"4 4 0 {DISPERSION}"], bands=False),
    "eso": [
        primary(PRODCATG="SCIENCE.SPECTRUM"),
        table({"WAVE": WAVE[None], "FLUX": FLUX[:1]}, VOCLASS="SPECTRUM V1.0", TUCD1="em.wl"),
    ],
}


@pytest.mark.parametrize("layout", WITHOUT_ERRORS)
def test_spectra_without_errors_are_flagged_and_keep_all_pixels(tmp_path, layout):
    path = write(tmp_path / "a.fits", WITHOUT_ERRORS[layout])
    with pytest.warns(QnetWarning, match="there are no errors of the flux") as caught:
        spectra = read_spectra(path)
    assert len(caught) == 1
    assert spectra.flag.tolist() == [QNFlag.NO_ERROR]
    ratio = spectra.cameras[0].ivar[0, IVAR[0] > 0] / IVAR[0, IVAR[0] > 0]
    assert 0.5 < np.median(ratio) < 2


def test_eso_wavelengths_are_in_air_or_vacuum_by_their_ucd(tmp_path):
    for air in (True, False):
        path = write(tmp_path / f"{air}.fits", eso(WAVE, FLUX[0], IVAR[0], air=air))
        np.testing.assert_allclose(read_spectra(path).cameras[0].wave.ravel(), WAVE, rtol=1e-9)
    hdus = eso(WAVE, FLUX[0], IVAR[0], air=False)
    hdus[1].header["TUCD1"] = "em.wl;obs.atmos"
    shifted = read_spectra(write(tmp_path / "c.fits", hdus)).cameras[0].wave.ravel()
    assert 80 < np.median(shifted / WAVE - 1) * 299792.458 < 90


def test_eso_wavelengths_of_no_ucd_are_taken_for_vacuum_with_a_warning(tmp_path):
    hdus = eso(WAVE, FLUX[0], IVAR[0], air=False)
    del hdus[1].header["TUCD1"]
    with pytest.warns(QnetWarning, match="does not say by TUCD whether its wavelengths are in air"):
        spectra = read_spectra(write(tmp_path / "a.fits", hdus))
    np.testing.assert_allclose(spectra.cameras[0].wave.ravel(), WAVE, rtol=1e-9)


def test_eso_flux_is_the_calibrated_one_and_its_error_that_of_its_namespace(tmp_path):
    hdus = eso(WAVE, FLUX[0], IVAR[0])
    cards = hdus[1].header
    assert cards["TTYPE2"] == "FLUX_REDUCED"
    cards["TUTYP2"], cards["TUTYP4"] = cards["TUTYP4"], cards["TUTYP2"]  # UCDs decide first
    cards["TUTYP3"], cards["TUTYP5"] = cards["TUTYP5"], cards["TUTYP3"]
    spectra = read_spectra(write(tmp_path / "a.fits", hdus))
    _, flux, ivar = arrays(spectra, 1)
    np.testing.assert_allclose(flux[0], FLUX[0], rtol=1e-5)
    np.testing.assert_allclose(ivar[0], IVAR[0], rtol=1e-5)
    cards["TUCD4"] = "phot.flux;em.wl;arith.ratio;meta.main"  # normalised to the continuum
    with pytest.warns(QnetWarning, match="the flux has unit adu: it is read as flux per wavel"):
        spectra = read_spectra(write(tmp_path / "b.fits", hdus))
    np.testing.assert_allclose(spectra.cameras[0].flux[0], 5 * FLUX[0], rtol=1e-5)
    np.testing.assert_allclose(spectra.cameras[0].ivar[0], IVAR[0] / 25, rtol=1e-5)
    assert spectra.flux_unit == ""


def test_euclid_pixels_of_odd_mask_or_64_and_more_have_no_weight(tmp_path):
    mask = np.zeros(FLUX.shape, np.int32)
    mask[:, 20:32] = [1, 2, 3, 4, 62, 63, 64, 65, 66, 128, 32, 16]
    good = IVAR.copy()
    good[good == 0] = 1.0
    hdus = euclid(WAVE, FLUX, good, ids=IDS, mask=mask)
    ivar = read_spectra(write(tmp_path / "a.fits", hdus)).cameras[0].ivar
    weights = (ivar[:, 20:32] > 0).astype(int).tolist()
    assert weights == [[0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1]] * 3
    assert (ivar[:, :20] > 0).all()


def test_euclid_objects_of_other_lengths_and_without_meta_are_read(tmp_path):
    hdus = euclid(WAVE, FLUX, IVAR, ids=IDS)
    short = euclid(WAVE[:700], FLUX[:1, :700], IVAR[:1, :700], ids=[99], scale=1e-15)
    short[2].header["EXTNAME"] = "3_COMBINED1D_SIGNAL"
    spectra = read_spectra(write(tmp_path / "a.fits", [*hdus, short[2]]))
    assert spectra.ids["TARGETID"].tolist() == [*IDS, -1]
    assert np.isnan(spectra.ids["TARGET_RA"]).tolist() == [False] * 3 + [True]
    flux, ivar = spectra.cameras[0].flux[3], spectra.cameras[0].ivar[3]
    np.testing.assert_allclose(flux[:700], FLUX[0, :700], rtol=1e-5)
    assert (ivar[:100] > 0).all()
    assert not ivar[700:].any()


@pytest.mark.parametrize("kind", ["votable", "fits", "ascii.ecsv"])
def test_euclid_tables_of_one_object_have_the_scale_in_their_unit(tmp_path, kind):
    path = tmp_path / "a.table"
    made = euclid_table(WAVE, FLUX[0], IVAR[0], OBJ_ID=IDS[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", units.UnitsWarning)  # the VO wants 0.1nm
        made.write(path, format=kind)
    spectra = read_spectra(path)
    (camera,) = spectra.cameras
    np.testing.assert_allclose(camera.wave, WAVE, rtol=1e-9)
    np.testing.assert_allclose(camera.flux[0], FLUX[0] / 10, rtol=1e-5)
    np.testing.assert_allclose(camera.ivar[0], IVAR[0] * 100, rtol=1e-5)
    assert spectra.flux_unit == "1e-16 erg / (Angstrom s cm2)"
    assert spectra.layout == "Euclid combined spectrum"
    assert spectra.ids["TARGETID"].tolist() == ([-1] if kind == "votable" else [IDS[0]])


def test_jwst_pixels_of_dq_bit_0_have_no_weight_and_empty_rows_stay(tmp_path):
    hdus = jwst_wfss(WAVE, FLUX, IVAR, ids=[7, -999, 9])
    data = hdus[1].data
    for name in ("WAVELENGTH", "FLUX", "FLUX_ERROR"):
        data[name][1] = np.nan
    data["DQ"][:, 50:54] = [1, 2, 5, 0]
    with pytest.warns(QnetWarning, match="1 of 3 spectra have no legal wavelengths"):
        spectra = read_spectra(write(tmp_path / "a.fits", hdus))
    assert spectra.ids["TARGETID"].tolist() == [7, -1, 9]
    ivar = spectra.cameras[0].ivar
    assert (ivar[0, 50:54] > 0).tolist() == [False, True, False, True]
    assert not ivar[1].any()


def test_jwst_orders_and_tables_of_one_row_are_rows(tmp_path):
    hdus = jwst(WAVE, FLUX, IVAR, ids=[5, 5, 6])
    single = jwst_wfss(WAVE, FLUX[:1], IVAR[:1], ids=[8])
    spectra = read_spectra(write(tmp_path / "a.fits", [*hdus[:-1], single[1], hdus[-1]]))
    assert spectra.ids["TARGETID"].tolist() == [5, 5, 6, 8]
    np.testing.assert_allclose(spectra.cameras[0].flux[3, : len(WAVE)], FLUX[0], rtol=1e-5)


def test_fibres_of_2dfdr_without_a_target_are_flagged(tmp_path):
    hdus = aaomega(WAVE, FLUX, IVAR, kinds=["P", "S", "N"])
    spectra = read_spectra(write(tmp_path / "a.fits", hdus))
    broken = QNFlag.NOT_TARGET | QNFlag.BAD_FIBER
    assert spectra.flag.tolist() == [0, QNFlag.NOT_TARGET, broken]
    np.testing.assert_allclose(spectra.ids["TARGET_RA"], [150, 151, 152])
    assert spectra.ids["TARGET_NAME"].tolist() == ["target_0", "target_1", "target_2"]


@pytest.mark.parametrize("statement", [{"VACUUM": True}, {"CTYPE1": "WAVE"}, {"CTYPE1": "AWAV"}])
def test_linear_wavelengths_are_in_air_unless_the_header_says_vacuum(tmp_path, statement):
    hdus = gama(WAVE, FLUX, IVAR)
    hdus[0].header.update(statement)
    wave = read_spectra(write(tmp_path / "a.fits", hdus)).cameras[0].wave
    expected = WAVE if statement.get("CTYPE1") == "AWAV" else linear_cards(WAVE)[1]
    np.testing.assert_allclose(wave, expected, rtol=2e-6)


def chebyshev(p, low, high, c):
    """The polynomial as IRAF defines it: x1 = 1, x2 = n, xi = 2 n x(i-1) - x(i-2)."""
    n = (p - (low + high) / 2) / ((high - low) / 2)
    x = [np.ones_like(n), n]
    for _ in c[2:]:
        x.append(2 * n * x[-1] - x[-2])
    return sum(a * b for a, b in zip(c, x, strict=False))


def legendre(p, low, high, c):
    """The same: xi = ((2i-3) n x(i-1) - (i-2) x(i-2)) / (i-1)."""
    n = (p - (low + high) / 2) / ((high - low) / 2)
    x = [np.ones_like(n), n]
    for i in range(3, len(c) + 1):
        x.append(((2 * i - 3) * n * x[-1] - (i - 2) * x[-2]) / (i - 1))
    return sum(a * b for a, b in zip(c, x, strict=False))


PIXELS = np.arange(1.0, 1501.0)
COEFFICIENTS = [6500.0, 2500.0, 30.0, -4.0]
TEXT = " ".join(map(str, COEFFICIENTS))
DISPERSIONS = {
    "linear": ("7 7 0 4000. 3. 1500 0. 1 2", 4000 + 3 * (PIXELS - 1)),
    "log": ("7 7 1 3.6 0.0002 1500 0. 1 2", 10 ** (3.6 + 2e-4 * (PIXELS - 1))),
    "doppler": ("7 7 0 4000. 3. 1500 0.01 1 2", (4000 + 3 * (PIXELS - 1)) / 1.01),
    "from red to blue": ("7 7 0 8497. -3. 1500 0. 1 2", 4000 + 3 * (PIXELS - 1)),
    "chebyshev": (
        f"7 7 2 4000. 3. 1500 0.002 1 2 0.25 10. 1 4 1. 1500. {TEXT} 0.75 10. 1 4 1. 1500. {TEXT}",
        (10 + chebyshev(PIXELS, 1.0, 1500.0, COEFFICIENTS)) / 1.002,
    ),
    "legendre": (
        f"7 7 2 4000. 3. 1500 0. 1 2 1. 0. 2 4 -3. 1510. {TEXT}",
        legendre(PIXELS, -3.0, 1510.0, COEFFICIENTS),
    ),
}


@pytest.mark.parametrize("kind", DISPERSIONS)
def test_dispersions_of_iraf(tmp_path, kind):
    spec, expected = DISPERSIONS[kind]
    hdus = iraf(FLUX[:1], IVAR[:1], [spec], AIRORVAC="vacuum")
    spectra = read_spectra(write(tmp_path / "a.fits", hdus))
    (camera,) = spectra.cameras
    np.testing.assert_allclose(camera.wave.ravel(), expected, rtol=1e-12)
    assert camera.flux[0, 0] == FLUX[0, -1 if "red" in kind else 0]
    assert spectra.ids["TARGETID"].tolist() == [7]


def test_iraf_pixels_beyond_the_valid_ones_and_sections_of_images(tmp_path):
    spec = "7 7 0 4000. 3. 1200 0. 1 2"
    cards = {"LTV1": -100.0, "LTM1_1": 0.5, "AIRORVAC": "vacuum"}
    (camera,) = read_spectra(
        write(tmp_path / "a.fits", iraf(FLUX[:1], IVAR[:1], [spec], **cards))
    ).cameras
    physical = (PIXELS + 100) / 0.5
    np.testing.assert_allclose(camera.wave.ravel(), 4000 + 3 * (physical - 1), rtol=1e-12)
    np.testing.assert_array_equal(camera.ivar[0] > 0, (physical <= 1200) & (IVAR[0] > 0))


def test_iraf_texts_are_joined_with_the_blanks_at_their_ends(tmp_path):
    for width in range(40, 60):  # one of these puts a blank at the end of a card
        spec = f"7 7 0 {'4000.':0<{width}} 3. 1500 0. 1 2"
        hdus = iraf(FLUX[:1], IVAR[:1], [spec], AIRORVAC="vacuum")
        wave = read_spectra(write(tmp_path / f"{width}.fits", hdus)).cameras[0].wave
        assert wave.ravel()[[0, -1]].tolist() == [4000.0, 4000 + 3 * 1499]


def test_iraf_wavelengths_are_in_air_with_a_warning_unless_stated(tmp_path):
    hdus = iraf(FLUX[:1], IVAR[:1], [f"7 7 0 {DISPERSION}"])
    del hdus[0].header["AIRORVAC"]
    with pytest.warns(QnetWarning, match="does not say whether its wavelengths are in air or in"):
        wave = read_spectra(write(tmp_path / "a.fits", hdus)).cameras[0].wave
    np.testing.assert_allclose(wave, WAVE, rtol=2e-6)
    hdus[0].header["AIRORVAC"] = "vacuum"
    wave = read_spectra(write(tmp_path / "b.fits", hdus)).cameras[0].wave
    np.testing.assert_allclose(wave, linear_cards(WAVE)[1], rtol=1e-9)


def test_equispec_images_are_linear(tmp_path):
    cards, _ = linear_cards(WAVE, "CD1_1")
    names = {"WAT0_001": "system=equispec", "APNUM1": "41 3 7.37 13.48", "APNUM2": "15 1 2. 3."}
    names |= {
        "AIRORVAC": "air",
        "WAT1_001": "wtype=linear label=Wavelength units=Angstroms",
        "BANDID2": "sigma - x",
    }
    stack = np.stack([FLUX[:2], np.nan_to_num(sigma(IVAR[:2]))])
    spectra = read_spectra(write(tmp_path / "a.fits", [primary(stack, **(cards | names))]))
    np.testing.assert_allclose(spectra.cameras[0].wave, WAVE, rtol=2e-6)
    assert spectra.ids["TARGETID"].tolist() == [41, 15]


def broken(hdus, change):
    change(hdus)
    return hdus


def without_column(number, name):
    def change(hdus):
        old = hdus[number]
        kept = [column for column in old.columns.names if column != name]
        hdus[number] = table({key: old.data[key] for key in kept}, old.name)
        hdus[number].header["VOCLASS"] = "SPECTRUM V1.0"

    return change


def set_card(number, card, value):
    return lambda hdus: hdus[number].header.set(card, value)


SECOND = table({"WAVE": WAVE[None], "FLUX": FLUX[:1], "IVAR": IVAR[:1]}, "SECOND")

REFUSED = {
    "eso without wavelengths": (
        broken(eso(WAVE, FLUX[0], IVAR[0]), without_column(1, "WAVE")),
        "HDU number 1 lacks a spectral axis; it has FLUX_REDUCED",
    ),
    "eso with another table": (
        [*eso(WAVE, FLUX[0], IVAR[0]), SECOND],
        "holds further spectra, in SECOND, that would be left out",
    ),
    "euclid without variance": (
        broken(euclid(WAVE, FLUX, IVAR, ids=IDS), without_column(2, "VAR")),
        "HDU 0_COMBINED1D_SIGNAL lacks the column.s. VAR",
    ),
    "euclid of no scale": (
        broken(euclid(WAVE, FLUX, IVAR, ids=IDS), set_card(2, "FSCALE", 0.0)),
        "HDU 0_COMBINED1D_SIGNAL has FSCALE 0.0, not a positive number",
    ),
    "jwst without dq": (
        broken(jwst(WAVE, FLUX, IVAR, ids=[1, 2, 3]), without_column(1, "DQ")),
        "HDU number 1 lacks the column.s. DQ",
    ),
    "jwst twice": (
        [
            *jwst(WAVE, FLUX, IVAR, ids=[1, 2, 3]),
            *jwst(WAVE, FLUX, IVAR, ids=[1], name="COMBINE1D")[1:2],
        ],
        "holds EXTRACT1D and COMBINE1D, the same spectra twice",
    ),
    "6dFGS of two rows": (
        [primary(FLUX[:2], **sixdf(WAVE, FLUX, IVAR, layout="split")[0].header)],
        "image of shape .2, 1500. in place of 6dFGS's 3 or 4 rows",
    ),
    "gama of four rows": (
        [primary(np.ones((4, 9)), ORIGIN="GAMA", GAMANAME="G")],
        "image of shape .4, 9. in place of GAMA's 5 rows",
    ),
    "gama without wavelengths": (
        broken(gama(WAVE, FLUX, IVAR), set_card(0, "CRVAL1", "none")),
        "HDU 0: card CRVAL1 is 'none', but a number was expected",
    ),
    "2qz of rows": (
        [primary(FLUX, SURVEY="2QZ", GAMANAME="G")],
        "image of shape .3, 1500. in place of a spectrum",
    ),
    "ozdes without variance": (
        ozdes(WAVE, FLUX, IVAR)[:2],
        "lacks the three images of OzDES, coadd, variance and bad pixels",
    ),
    "2dfdr of fewer fibres": (
        [*aaomega(WAVE, FLUX, IVAR)[:2], *aaomega(WAVE, FLUX[:2], IVAR[:2])[2:]],
        "variance of shape .3, 1500. and 2 fibres, but the same number",
    ),
    "2dfdr without types": (
        broken(aaomega(WAVE, FLUX, IVAR), without_column(2, "TYPE")),
        "HDU FIBRES lacks the column.s. TYPE",
    ),
    "iraf spline": (
        iraf(FLUX[:1], IVAR[:1], ["7 7 2 4000. 3. 1500 0. 1 2 1. 0. 3 2 1. 1500. 1. 2. 3."]),
        "spec1 gives the dispersion as a cubic spline, .* make it linear with dispcor",
    ),
    "iraf without dispersion": (
        iraf(FLUX[:1], IVAR[:1], ["7 7 -1 1. 1. 1500 0. 1 2"]),
        "spec1 has no dispersion .type -1.",
    ),
    "iraf of few fields": (
        iraf(FLUX[:1], IVAR[:1], ["7 7 0 4000."]),
        "WAT2 holds spec1 '7 7 0 4000.', no dispersion of IRAF",
    ),
    "iraf of few coefficients": (
        iraf(FLUX[:1], IVAR[:1], ["7 7 2 1. 1. 1500 0. 1 2 1. 0. 1 4 1. 1500. 5. 6."]),
        "no dispersion of IRAF",
    ),
    "iraf of fewer apertures": (
        iraf(FLUX[:2], IVAR[:2], [f"7 7 0 {DISPERSION}"]),
        "WAT2 holds spec2 '', no dispersion of IRAF",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_files_that_lack_something_are_refused_in_one_sentence(tmp_path, case):
    hdus, message = REFUSED[case]
    path = write(tmp_path / "a.fits", hdus)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(FileError, match=message) as caught:
            read_spectra(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert text.isprintable()
    assert len(text) < 600
