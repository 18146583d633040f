"""Spectra from arrays, Quantities and astropy tables."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units
from astropy.table import Column, MaskedColumn, QTable, Table

import qnet
from makers import BOSS_LOGLAM, as_spectra, check_camera, make_spectra, make_spectrum
from qnet.core.errors import InputError, QnetWarning
from qnet.io import from_arrays, from_table

WAVE, FLUX, IVAR = make_spectrum(2.4, seed=7)
FLUX2, IVAR2 = make_spectra(WAVE, (1.0, 3.0), seed=8)
SURVEY_UNIT = units.Unit("1e-17 erg / (s cm2 Angstrom)")
CGS = units.Unit("erg / (s cm2 Angstrom)")
SI = units.Unit("W / m3")


def check(spectra, flux=FLUX, ivar=IVAR, *, wave=WAVE, rtol=1e-6):
    check_camera(spectra, flux, ivar, wave, rtol)


@pytest.mark.parametrize("kind", [np.asarray, list, tuple])
def test_one_spectrum_is_a_row(kind):
    spectra = as_spectra(kind(WAVE), kind(FLUX), kind(IVAR))
    check(spectra)
    assert spectra.ids["TARGETID"].tolist() == [0]


@pytest.mark.parametrize("wave", [WAVE, np.stack([WAVE, WAVE * 1.001])], ids=["shared", "own"])
def test_several_spectra_on_one_or_on_their_own_wavelengths(wave):
    spectra = as_spectra(wave, FLUX2, IVAR2)
    check(spectra, FLUX2, IVAR2, wave=wave)
    assert spectra.ids["TARGETID"].tolist() == [0, 1]
    given = from_arrays(wave, FLUX2, IVAR2, targetid=[2**62 + 1, -5])
    assert given.ids["TARGETID"].tolist() == [2**62 + 1, -5]


def test_no_spectra_are_an_empty_batch():
    spectra = from_arrays(WAVE, FLUX2[:0], IVAR2[:0])
    assert len(spectra) == 0
    assert spectra.ids["TARGETID"].dtype == np.int64


@pytest.mark.parametrize(
    ("flux", "dtype"),
    [
        (FLUX.astype(">f4"), np.float32),
        (FLUX.astype(">f8"), np.float64),
        (FLUX.astype(np.longdouble), np.float64),
        (np.round(FLUX * 10).astype(">i2"), np.float64),
        (np.round(FLUX * 10).astype(np.uint8), np.float64),
        (np.asfortranarray(np.stack([FLUX, FLUX]))[:1], np.float32),
        (np.repeat(FLUX, 2)[::2], np.float32),
    ],
    ids=["big-endian", "big-endian double", "long double", "int", "uint", "fortran", "strided"],
)
def test_arrays_of_any_kind_of_number(flux, dtype):
    spectra = as_spectra(WAVE.astype(">f8"), flux, np.broadcast_to(IVAR.astype(">f4"), flux.shape))
    check(spectra, np.asarray(flux, np.float64))
    assert spectra.cameras[0].flux.dtype == dtype
    assert spectra.cameras[0].flux.dtype.isnative


@pytest.mark.parametrize("unit", ["nm", "um", "m", "Hz", "eV"])
def test_wavelengths_with_a_unit_are_converted(unit):
    wave = (WAVE * units.AA).to(unit, units.spectral())
    check(as_spectra(wave, FLUX, IVAR))
    check(as_spectra(wave[::-1], FLUX[::-1], IVAR[::-1]))  # turned round


@pytest.mark.parametrize("unit", ["kg", "", "km / s"])
def test_wavelengths_with_another_unit_are_refused(unit):
    with pytest.raises(InputError, match=f"wave has unit {unit}.*no wavelength"):
        as_spectra(WAVE * units.Unit(unit), FLUX, IVAR)


@pytest.mark.parametrize("ivar_unit", [SURVEY_UNIT**-2, CGS**-2, SI**-2], ids=str)
@pytest.mark.parametrize("flux_unit", [SURVEY_UNIT, CGS, SI], ids=str)
def test_flux_and_ivar_in_different_scales_agree(flux_unit, ivar_unit, small_model):
    flux = (FLUX.astype(np.float64) * SURVEY_UNIT).to(flux_unit)
    ivar = (IVAR.astype(np.float64) * SURVEY_UNIT**-2).to(ivar_unit)
    spectra = as_spectra(WAVE, flux, ivar)
    (camera,) = spectra.cameras
    np.testing.assert_allclose(
        camera.flux * np.sqrt(camera.ivar), [FLUX * np.sqrt(IVAR)], rtol=1e-5
    )
    assert units.Unit(spectra.flux_unit) == flux_unit
    plain = qnet.classify(WAVE, FLUX, IVAR, model=small_model)
    scaled = qnet.classify(spectra, model=small_model)
    for name in ("C_LINES", "SNR"):
        np.testing.assert_allclose(scaled[name], plain[name], rtol=1e-4)
    assert scaled["QN_FLAG"].tolist() == plain["QN_FLAG"].tolist()


@pytest.mark.parametrize("power", [-300, -34, 17, 40])
def test_answers_do_not_depend_on_the_scale_of_the_flux(power, small_model):
    scale = 10.0 ** (power / 2)
    plain = qnet.classify(WAVE, FLUX, IVAR, model=small_model)
    scaled = qnet.classify(
        WAVE, FLUX.astype(float) * scale, IVAR.astype(float) / scale**2, model=small_model
    )
    np.testing.assert_allclose(scaled["C_LINES"], plain["C_LINES"], atol=1e-5)
    np.testing.assert_allclose(scaled["SNR"], plain["SNR"], rtol=1e-5)


@pytest.mark.parametrize(
    ("flux", "ivar", "message"),
    [
        (FLUX * CGS, IVAR * CGS, "ivar has unit .*, but flux has"),
        (FLUX * units.ABmag, IVAR, "flux has unit mag"),
        (FLUX, IVAR * CGS**-2, "ivar has unit .*flux"),
    ],
    ids=["ivar", "magnitudes", "ivar alone"],
)
def test_units_that_are_no_flux_per_wavelength_are_refused(flux, ivar, message):
    with pytest.raises(InputError, match=message):
        as_spectra(WAVE, flux, ivar)


@pytest.mark.parametrize("name", ["error", "variance"])
@pytest.mark.parametrize("flux", [FLUX * CGS, FLUX], ids=["other unit", "no unit"])
def test_a_wrong_unit_is_named_by_the_argument(name, flux):
    with pytest.raises(InputError, match=f"^{name} has unit Jy, but flux has"):
        as_spectra(WAVE, flux, **{name: FLUX * units.Jy})


@pytest.mark.parametrize("which", ["flux", "ivar"])
@pytest.mark.parametrize("kind", [np.float32, np.int64])
def test_masked_pixels_have_no_weight(which, kind, small_model):
    given = {"flux": np.round(FLUX * 100).astype(kind), "ivar": np.ceil(IVAR).astype(kind)}
    mask = np.arange(len(WAVE)) % 50 < 5
    given[which] = np.ma.masked_array(given[which], mask=mask)
    given[which].data[mask] = 30000
    (camera,) = as_spectra(WAVE, given["flux"], given["ivar"]).cameras
    with np.errstate(invalid="ignore"):
        weight = np.isfinite(camera.flux) & np.isfinite(camera.ivar) & (camera.ivar > 0)
    np.testing.assert_array_equal(weight, [~mask])


NUMBERS = np.ones(len(WAVE))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((WAVE[:-1], FLUX, IVAR), "wave must have shape .* to go with flux"),
        ((WAVE, FLUX, IVAR[:-1]), "flux .* and ivar .* must have the same shape"),
        ((WAVE, FLUX2, IVAR), "flux .* and ivar .* must have the same shape"),
        ((np.stack([WAVE] * 3), FLUX2, IVAR2), "wave must have shape"),
        ((WAVE, FLUX2[None], IVAR2[None]), r"flux must be \(nspec, npix\)"),
        ((5000.0, 1.0, 1.0), "wave must have shape"),
        (([], [], []), "wave holds no pixel"),
        ((WAVE, FLUX, None), "flux and ivar must be given"),
        ((WAVE, None, IVAR), "flux and ivar must be given"),
        ((np.roll(WAVE, 1), FLUX, IVAR), "wave must increase, but pixels 0 and 1"),
        ((np.where(np.arange(len(WAVE)) == 9, WAVE[8], WAVE), FLUX, IVAR), "pixels 8 and 9"),
        ((np.where(NUMBERS, np.nan, WAVE), FLUX, IVAR), "wave holds NaN"),
        ((WAVE - 3700, FLUX, IVAR), "zero or negative"),
        ((WAVE, FLUX.astype(complex), IVAR), "must hold numbers"),
        ((WAVE, FLUX.astype(str), IVAR), "must hold numbers"),
        ((["a"] * len(WAVE), FLUX, IVAR), "wave"),
        (([WAVE, WAVE[:-1]], FLUX2, IVAR2), "wave"),
        ((WAVE, [FLUX, FLUX[:-1]], IVAR2), "flux"),
        ((WAVE, [FLUX * units.Jy] * 2, IVAR2), "flux .* parts with units or masks: join them"),
        ((WAVE, [np.ma.masked_less(FLUX, np.median(FLUX))] * 2, IVAR2), "flux .* join them"),
        ((WAVE, FLUX2, (IVAR, np.ma.array(IVAR, mask=True))), "ivar .* join them"),
        (([WAVE * units.nm], FLUX, IVAR), "wave .* join them"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays, message):
    with pytest.raises(InputError, match=message):
        from_arrays(*arrays)


@pytest.mark.parametrize(
    ("factor", "hint"),
    [
        (0.1, "look like wavelengths in nm: convert them to Angstrom"),
        (1e-4, "look like wavelengths in micron"),
        (1e-10, "look like wavelengths in metre"),
    ],
)
def test_wavelengths_outside_of_the_grid_are_refused_with_a_hint(factor, hint, small_model):
    with pytest.raises(InputError, match=f"lie wholly outside of the model's grid.*{hint}|{hint}"):
        qnet.classify(WAVE * factor, FLUX, IVAR, model=small_model)
    with pytest.raises(InputError, match="log10 wavelengths: give 10"):
        qnet.classify(BOSS_LOGLAM, FLUX, IVAR, model=small_model)


PIXEL_TABLES = {
    "wave": Table({"wave": WAVE, "flux": FLUX, "ivar": IVAR}),
    "upper case": Table({"WAVELENGTH": WAVE, "FLUX": FLUX, "IVAR": IVAR}),
    "lambda": Table({"Lambda": WAVE, "Flux": FLUX, "Ivar": IVAR}),
    "loglam": Table({"loglam": np.log10(WAVE), "flux": FLUX, "ivar": IVAR}),
    "error": Table({"wave": WAVE, "flux": FLUX, "error": 1 / np.sqrt(IVAR)}),
    "sigma": Table({"wave": WAVE, "flux": FLUX, "sigma": 1 / np.sqrt(IVAR)}),
    "ivar before error": Table({"wave": WAVE, "flux": FLUX, "err": NUMBERS, "ivar": IVAR}),
    "big-endian": Table({"wave": WAVE.astype(">f8"), "flux": FLUX.astype(">f4"), "ivar": IVAR}),
    "nm column": Table({"wave": Column(WAVE / 10, unit="nm"), "flux": FLUX, "ivar": IVAR}),
    "nm quantity": QTable({"wave": WAVE / 10 * units.nm, "flux": FLUX, "ivar": IVAR}),
    "units": Table(
        {
            "wave": Column(WAVE, unit="Angstrom"),
            "flux": Column(FLUX, unit=SURVEY_UNIT),
            "error": Column(1e-17 / np.sqrt(IVAR, dtype=float), unit=CGS),
        }
    ),
}


@pytest.mark.parametrize("kind", PIXEL_TABLES)
def test_table_with_a_row_per_pixel_is_one_spectrum(kind):
    spectra = as_spectra(PIXEL_TABLES[kind])
    check(spectra)
    assert len(spectra) == 1


def test_table_with_a_row_per_spectrum_carries_its_columns():
    table = Table(
        {
            "TargetID": np.array([5, -2], ">i4"),
            "plate": np.int32([7102, 7103]),
            "name": np.array(["a", "bc"]),
            "vector": np.ones((2, 3)),
            "wave": np.stack([WAVE, WAVE]),
            "flux": FLUX2,
            "ivar": IVAR2,
        }
    )
    spectra = from_table(table)
    check(spectra, FLUX2, IVAR2)
    assert {name: column.tolist() for name, column in spectra.ids.items()} == {
        "TARGETID": [5, -2],
        "PLATE": [7102, 7103],
        "NAME": ["a", "bc"],
    }
    assert spectra.ids["TARGETID"].dtype == np.int64
    assert spectra.layout == "astropy Table"


@pytest.mark.parametrize("which", ["flux", "ivar", "error"])
@pytest.mark.parametrize("kind", [np.float32, np.int64])
@pytest.mark.parametrize("table", [Table, QTable])
def test_masked_values_of_a_table_have_no_weight(which, kind, table):
    mask = np.arange(len(WAVE)) % 50 < 5
    columns = {
        "wave": WAVE,
        "flux": np.round(FLUX * 100).astype(kind),
        ("error" if which == "error" else "ivar"): np.ceil(IVAR).astype(kind),
    }
    columns[which] = MaskedColumn(columns[which], mask=mask, unit=SURVEY_UNIT)
    if which == "ivar":
        columns[which].unit = SURVEY_UNIT**-2
    if which != "flux":
        columns["flux"] = Column(columns["flux"], unit=SURVEY_UNIT)
    (camera,) = as_spectra(table(columns)).cameras
    with np.errstate(invalid="ignore"):
        weight = np.isfinite(camera.flux) & np.isfinite(camera.ivar) & (camera.ivar > 0)
    np.testing.assert_array_equal(weight, [~mask])


def test_masked_targetid_is_no_id():
    table = Table({"wave": np.stack([WAVE, WAVE]), "flux": FLUX2, "ivar": IVAR2})
    table["TARGETID"] = MaskedColumn([5, 6], mask=[False, True])
    assert from_table(table).ids["TARGETID"].tolist() == [5, -1]


@pytest.mark.parametrize("error", [0.0, -1.0, np.nan, np.inf])
def test_error_that_is_not_positive_has_no_weight(error):
    errors = 1 / np.sqrt(IVAR)
    errors[3] = error
    (camera,) = from_table(Table({"wave": WAVE, "flux": FLUX, "error": errors})).cameras
    assert camera.ivar[0, 3] == 0
    np.testing.assert_allclose(camera.ivar[0, 4:], IVAR[4:], rtol=1e-6)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"wave": WAVE, "ivar": IVAR}, r"lacks a column named one of \['flux', .*; it has"),
        ({"flux": FLUX, "ivar": IVAR}, "lacks a column named one of .*'wave', 'wavelength'"),
        ({}, "lacks a column"),
        ({"wave": WAVE, "flux": FLUX2.T, "ivar": IVAR2.T}, "wave must have shape"),
        ({"wave": Column(WAVE, unit="kg"), "flux": FLUX, "ivar": IVAR}, "wave has unit kg"),
        (
            {"wave": Column(WAVE, unit=units.Unit("pixel")), "flux": FLUX, "ivar": IVAR},
            "wave has unit pix",
        ),
        ({"wave": WAVE, "flux": Column(FLUX, unit="K"), "ivar": IVAR}, "flux has unit K"),
    ],
)
def test_tables_that_do_not_fit_are_refused(columns, message):
    with pytest.raises(InputError, match=message):
        as_spectra(Table(columns))


def test_table_with_a_unit_that_nobody_knows_is_refused_with_its_name():
    unit = units.Unit("Angstroems", parse_strict="silent")
    table = Table({"wave": Column(WAVE, unit=unit), "flux": FLUX, "ivar": IVAR})
    with pytest.raises(InputError, match="wave has unit 'Angstroems'"):
        as_spectra(table)


@pytest.mark.parametrize(
    ("columns", "bad"),
    [
        ({"mask": np.arange(len(WAVE)) % 5 == 0}, np.arange(len(WAVE)) % 5 == 0),
        ({"MASK": np.arange(len(WAVE)) % 3}, np.arange(len(WAVE)) % 3 != 0),
        (
            {"and_mask": np.where(np.arange(len(WAVE)) < 9, 1 << 25, 1 << 3)},
            np.arange(len(WAVE)) < 9,
        ),
    ],
    ids=["boolean", "integer", "and_mask"],
)
def test_mask_columns_of_a_table_are_honoured(columns, bad):
    (camera,) = from_table(Table({"wave": WAVE, "flux": FLUX, "ivar": IVAR, **columns})).cameras
    np.testing.assert_array_equal(camera.ivar, [np.where(bad, 0, IVAR)])


@pytest.mark.parametrize(
    ("columns", "unread"),
    [
        ({"XMASK": np.ones(len(WAVE), np.int16)}, "XMASK"),
        ({"mask": np.ones((len(WAVE), 2), int)}, "mask"),
        ({"mask": np.ones((len(WAVE), 2), int), "and_mask": np.zeros(len(WAVE), int)}, "mask"),
        ({"ORMASK": np.ones(len(WAVE), int), "or_mask": np.ones(len(WAVE), int)}, None),
    ],
    ids=["another name", "another shape", "one of two", "or_mask"],
)
def test_mask_columns_that_are_not_read_are_reported(columns, unread):
    table = Table({"wave": WAVE, "flux": FLUX, "ivar": IVAR} | columns)
    if unread is None:
        check(from_table(table))
        return
    with pytest.warns(QnetWarning, match=rf"columns \['{unread}'\] are not read: a mask was"):
        check(from_table(table))


@pytest.mark.parametrize(("unit", "legal"), [("dex(AA)", True), ("dex(nm)", False), ("nm", False)])
def test_the_unit_of_loglam_is_log_angstrom(unit, legal):
    table = Table({"loglam": BOSS_LOGLAM, "flux": FLUX, "ivar": IVAR})
    table["loglam"].unit = units.Unit(unit)
    if legal:
        check(from_table(table))
    else:
        with pytest.raises(InputError, match=r"loglam has unit .*, but log10 of Angstrom"):
            from_table(table)


def test_a_mask_column_of_text_is_refused():
    table = Table({"wave": WAVE, "flux": FLUX, "ivar": IVAR, "mask": ["x"] * len(WAVE)})
    with pytest.raises(InputError, match="column mask must hold integers or booleans"):
        from_table(table)


def test_a_table_of_a_spec_file_gives_what_the_file_gives(shared_data):
    path = sorted((shared_data / "boss_dr12").glob("spec-*.fits"))[0]
    (ours,) = from_table(Table.read(path, hdu=1)).cameras
    (file,) = qnet.read_spectra(path).cameras
    np.testing.assert_array_equal(ours.flux, file.flux)
    np.testing.assert_array_equal(ours.ivar, file.ivar)
    np.testing.assert_array_equal(ours.wave, file.wave)


def test_columns_that_are_no_numbers_are_left_out_with_a_warning():
    from astropy.coordinates import SkyCoord

    table = QTable(
        {
            "wave": np.tile(WAVE, (2, 1)) * units.AA,
            "flux": np.tile(FLUX, (2, 1)),
            "ivar": np.tile(IVAR, (2, 1)),
            "TARGETID": [5, 6],
            "note": ["a", "b"],
            "place": SkyCoord([1, 2] * units.deg, [3, 4] * units.deg),
        }
    )
    with pytest.warns(QnetWarning, match=r"columns \['place'\] are left out"):
        spectra = as_spectra(table)
    assert spectra.ids["TARGETID"].tolist() == [5, 6]
    assert spectra.ids["NOTE"].tolist() == ["a", "b"]
