"""Units that files state: taken over where they are flux per wavelength, else refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from astropy import units

import qnet
from makers import (
    BOSS_LOGLAM,
    boss_set,
    boss_spec,
    desi_cframe,
    desi_coadd,
    desi_set,
    fibermap,
    prepared,
    spcframe,
    spplate,
    write,
)
from qnet.core.errors import FileError, QnetWarning
from qnet.core.spectra import SURVEY_FLUX_UNIT
from qnet.io import read_spectra
from qnet.lines import air_to_vacuum

WAVE = 10**BOSS_LOGLAM
FLUX, IVAR = boss_set()
CAMERAS = desi_set()
IDS = fibermap([1, 2, 3])

LOGLAM = np.tile(BOSS_LOGLAM, (3, 1))

#: How each layout is made, the HDU of its flux, and the card of that unit.
LAYOUTS = {
    "coadd": (lambda: desi_coadd(CAMERAS, IDS), "B_FLUX", "BUNIT"),
    "cframe": (lambda: desi_cframe("b0", *CAMERAS["B"], IDS), 0, "BUNIT"),
    "spec": (lambda: boss_spec(BOSS_LOGLAM, FLUX[0], IVAR[0]), 0, "BUNIT"),
    "column of spec": (lambda: boss_spec(BOSS_LOGLAM, FLUX[0], IVAR[0]), 1, "TUNIT1"),
    "spplate": (lambda: spplate(FLUX, IVAR, fibers=[1, 2, 3]), 0, "BUNIT"),
    "spcframe": (lambda: spcframe(LOGLAM, FLUX, IVAR, fibers=[1, 2, 3]), 0, "BUNIT"),
    "prepared": (
        lambda: prepared(FLUX[:, :443], IVAR[:, :443], {"TARGETID": np.arange(3)}),
        0,
        "BUNIT",
    ),
}


def read(folder, hdus, **options):
    return read_spectra(write(folder / "x.fits", hdus), spall={}, **options)


def with_unit(layout, unit):
    """HDUs of a layout whose flux states a unit; those of all cameras."""
    make, key, card = LAYOUTS[layout]
    hdus = make()
    for hdu in hdus:
        if hdu is hdus[key] if isinstance(key, int) else hdu.name.endswith("_FLUX"):
            hdu.header[card] = unit
        elif hdu.name.endswith("_IVAR"):
            del hdu.header["BUNIT"]
    return hdus


SURVEY = [
    "10**-17 erg/(s cm2 Angstrom)",
    "1e-17 erg/(s cm2 Angstrom)",
    "1e-17 erg/(s cm2 A)",
    "1E-17 erg/cm^2/s/Ang",
    "10^-17 ergs/s/cm^2/Ang",
    "10-17 erg/s/cm2/Angstroms",
    "10**(-17) erg cm^-2 s^-1 Angstrom^-1",
    "10^{-17} erg s^{-1} cm^{-2} A^{-1}",
    "1.0e-17*erg.s-1.cm-2.Angstrom-1",
    "1e-17 erg / (Angstrom cm2 s)",
    "",
    "unknown",
]
OTHER_SCALES = {
    "erg/s/cm2/Angstrom": "erg / (s cm2 Angstrom)",
    "1e-20 erg/s/cm**2/Angstrom": "1e-20 erg / (s cm2 Angstrom)",
    "W m-2 um-1": "W / (m2 um)",
}
NO_FLUX = [
    *("electron/Angstrom", "electron", "e-/Angstrom", "photon/bin", "ADU", "counts", "DN"),
    *("mag", "Jy/beam", "MJy/sr", "erg/s/cm2", "1E-17 erg/s/cm^2/Ang/spaxel"),
]
PER_FREQUENCY = {
    "nJy": units.nJy,
    "1e-29 erg/s/cm2/Hz": 1e-29 * units.Unit("erg / (s cm2 Hz)"),
    "nanomaggies": 1e-9 * units.AB.to(units.Jy) * units.Jy,
}


def pairs(texts):
    """All texts with one layout, and the first with all layouts."""
    return [("spec", text) for text in texts] + [
        (layout, next(iter(texts))) for layout in LAYOUTS if layout != "spec"
    ]


@pytest.mark.parametrize(("layout", "text"), pairs(SURVEY))
def test_the_surveys_unit_in_all_spellings(tmp_path, layout, text):
    spectra = read(tmp_path, with_unit(layout, text))
    assert units.Unit(spectra.flux_unit) == units.Unit(SURVEY_FLUX_UNIT)


@pytest.mark.parametrize(("layout", "text"), pairs(OTHER_SCALES))
def test_other_units_of_flux_per_wavelength_are_taken_over(tmp_path, layout, text):
    spectra = read(tmp_path, with_unit(layout, text))
    assert units.Unit(spectra.flux_unit) == units.Unit(OTHER_SCALES[text])


@pytest.mark.parametrize(("layout", "text"), pairs(NO_FLUX))
def test_what_is_no_flux_per_wavelength_is_refused(tmp_path, layout, text):
    message = rf"x\.fits: HDU .*the flux has unit '{text}', but calibrated flux per wavelength was"
    if layout == "cframe":
        message = "DESI frame or sframe file, which is not read: .* give the cframe files"
    with pytest.raises(FileError, match=message.replace("^", r"\^")):
        read(tmp_path, with_unit(layout, text))


@pytest.mark.parametrize(("layout", "text"), pairs(PER_FREQUENCY))
def test_flux_per_frequency_is_converted(tmp_path, layout, text):
    plain = read_spectra(write(tmp_path / "y.fits", LAYOUTS[layout][0]()), spall={})
    spectra = read(tmp_path, with_unit(layout, text))
    assert spectra.flux_unit == SURVEY_FLUX_UNIT
    for camera, other in zip(spectra.cameras, plain.cameras, strict=True):
        one = np.ones(other.wave.shape) * PER_FREQUENCY[text]
        factor = one.to_value(SURVEY_FLUX_UNIT, units.spectral_density(other.wave * units.AA))
        np.testing.assert_allclose(camera.flux, other.flux * factor, rtol=1e-5)
        np.testing.assert_allclose(camera.ivar, other.ivar / factor**2, rtol=1e-5)


def test_an_uncalibrated_frame_fails_alone_in_a_run(tmp_path, small_model):
    good = write(tmp_path / "a.fits", LAYOUTS["coadd"][0]())
    frame = write(tmp_path / "frame-b0-1.fits", with_unit("cframe", "electron/Angstrom"))
    with pytest.raises(FileError, match=r"frame-b0-1\.fits: is a DESI frame or sframe file, which"):
        qnet.classify([good, frame], model=small_model)


def test_cameras_in_several_units_are_refused(tmp_path):
    hdus = LAYOUTS["coadd"][0]()
    for hdu in hdus:
        if hdu.name.startswith("R_") and hdu.name.endswith(("FLUX", "IVAR")):
            hdu.header["BUNIT"] = "1e-16 erg/(s cm2 Angstrom)"
            if hdu.name == "R_IVAR":
                hdu.header["BUNIT"] = "10**+32 (s2 cm4 Angstrom2) / erg2"
    with pytest.raises(FileError, match=r"HDU R_FLUX: the flux has unit 1e-16 .*HDU B_FLUX has 1e"):
        read(tmp_path, hdus)


def test_the_unit_of_ivar_is_looked_at_where_flux_has_none(tmp_path):
    hdus = LAYOUTS["coadd"][0]()
    for hdu in hdus:
        if hdu.name.endswith(("_FLUX", "_IVAR")):
            del hdu.header["BUNIT"]
    next(hdu for hdu in hdus if hdu.name == "R_IVAR").header["BUNIT"] = "1 / electron2"
    with pytest.raises(FileError, match=r"HDU R_FLUX: the ivar has unit '1 / electron2', but"):
        read(tmp_path, hdus)


@pytest.mark.parametrize(
    ("text", "legal"),
    [
        ("10**+34 (s2 cm4 Angstrom2) / erg2", True),
        ("1e34 s2 cm4 Angstrom2 erg-2", True),
        ("(10**-17 erg/(s cm2 Angstrom))^-2", True),  # no unit to astropy
        ("1e-17 erg/(s cm2 Angstrom)", True),  # the card of flux, carried over
        ("", True),
        ("(s2 cm4 Angstrom2) / erg2", False),
        ("10**+32 (s2 cm4 Angstrom2) / erg2", False),
        ("1 / electron2", False),
        ("10**-34 erg2/(s2 cm4 Angstrom2)", False),
    ],
)
def test_the_unit_of_ivar_is_the_inverse_square_of_that_of_flux(tmp_path, text, legal):
    hdus = LAYOUTS["coadd"][0]()
    next(hdu for hdu in hdus if hdu.name == "R_IVAR").header["BUNIT"] = text
    if legal:
        assert read(tmp_path, hdus).flux_unit == SURVEY_FLUX_UNIT
    else:
        with pytest.raises(FileError, match=r"HDU R_FLUX: the ivar has unit .*inverse square of"):
            read(tmp_path, hdus)


@pytest.mark.parametrize(
    ("text", "factor"),
    [("Angstrom", 1), ("Angstroms", 1), ("AA", 1), ("[A]", 1), ("", 1), ("nm", 10), ("um", 1e4)],
)
@pytest.mark.parametrize("layout", ["coadd", "cframe"])
def test_wavelengths_in_other_units_of_length_are_converted(tmp_path, layout, text, factor):
    hdus = LAYOUTS[layout][0]()
    for hdu in hdus:
        if hdu.name.endswith("WAVELENGTH"):
            hdu.header["BUNIT"] = text
    wave = read(tmp_path, hdus).cameras[0].wave
    np.testing.assert_allclose(wave, CAMERAS["B"][0] * factor, rtol=1e-12)


@pytest.mark.parametrize(
    "text", ["Hz", "eV", "pixel", "log10(Angstrom)", "dex(Angstrom)", "strange"]
)
def test_wavelengths_in_no_unit_of_length_are_refused(tmp_path, text):
    hdus = LAYOUTS["coadd"][0]()
    next(hdu for hdu in hdus if hdu.name == "R_WAVELENGTH").header["BUNIT"] = text
    with pytest.raises(FileError, match=r"x\.fits: HDU R_WAVELENGTH has unit .* a wavelength was"):
        read(tmp_path, hdus)


@pytest.mark.parametrize(
    ("text", "legal"),
    [
        *((text, True) for text in ("log10(Angstrom)", "log10 Angstroms", "dex(AA)", "Angstrom")),
        *((text, False) for text in ("log10(nm)", "micron", "ln(Angstrom)", "Hz")),
    ],
)
def test_loglam_is_the_logarithm_of_angstrom(tmp_path, text, legal):
    hdus = LAYOUTS["spec"][0]()
    hdus[1].header["TUNIT2"] = text
    if legal:
        np.testing.assert_allclose(read(tmp_path, hdus).cameras[0].wave, WAVE, rtol=1e-6)
    else:
        with pytest.raises(FileError, match=r"x\.fits: loglam has unit .* log10 of"):
            read(tmp_path, hdus)


@pytest.mark.parametrize(
    ("layout", "card", "value"),
    [
        ("spec", "VACUUM", False),
        ("spec", "VACUUM", 0),
        ("spec", "VACUUM", "F"),
        ("spplate", "CTYPE1", "AWAV"),
        ("spcframe", "VACUUM", False),
        ("coadd", "AIRORVAC", "air"),
        ("cframe", "AIRORVAC", "air"),
    ],
)
def test_wavelengths_that_a_file_says_are_in_air_are_converted(tmp_path, layout, card, value):
    hdus = LAYOUTS[layout][0]()
    for hdu in hdus:
        if hdu.name.endswith("WAVELENGTH") or (layout.startswith("sp") and hdu is hdus[0]):
            hdu.header[card] = value
    expected = read_spectra(write(tmp_path / "vacuum.fits", LAYOUTS[layout][0]()), spall={})
    with pytest.warns(QnetWarning, match=rf"x\.fits: the wavelengths are in air \({card} .*vacuum"):
        spectra = read(tmp_path, hdus)
    for camera, other in zip(spectra.cameras, expected.cameras, strict=True):
        np.testing.assert_allclose(camera.wave, air_to_vacuum(other.wave), rtol=1e-12)


@pytest.mark.parametrize("card", [{"VACUUM": True}, {"AIRORVAC": "vac"}, {"CTYPE1": "WAVE"}])
def test_wavelengths_that_a_file_says_are_in_vacuum_are_not(tmp_path, card):
    hdus = LAYOUTS["spec"][0]()
    hdus[0].header.update(card)
    np.testing.assert_allclose(read(tmp_path, hdus).cameras[0].wave, WAVE, rtol=1e-6)


def test_the_surveys_own_texts_need_no_astropy(tmp_path):
    paths = [
        str(write(tmp_path / f"{layout}.fits", with_unit(layout, text)))
        for layout, text in zip(LAYOUTS, SURVEY, strict=False)
    ]
    code = (
        "import sys, qnet; spectra = [qnet.read_spectra(x, spall={}) for x in sys.argv[1:]]; "
        "assert len(spectra) == 7 and 'astropy.units' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, *paths], check=True)
