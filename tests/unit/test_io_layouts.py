"""A layout is recognised by all that it needs, and no spectra are left out without a word."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits as astropy_fits

import qnet
from makers import (
    BOSS_LOGLAM,
    boss_set,
    boss_spec,
    coadd_columns,
    desi_cframe,
    desi_coadd,
    desi_set,
    fibermap,
    image,
    plugmap,
    prepared,
    primary,
    spcframe,
    spplate,
    table,
    write,
)
from qnet.core.errors import FileError
from qnet.io import read_spectra

WAVE = 10**BOSS_LOGLAM
FLUX, IVAR = boss_set()
CAMERAS = desi_set()
COADD = CAMERAS["B"]


def spec(*hdus, **options):
    return [*boss_spec(BOSS_LOGLAM, FLUX[0], IVAR[0], **options), *hdus]


def coadd_table(name, **changes):
    """A table of a spectrum; a column changed to None is left out."""
    columns = coadd_columns(BOSS_LOGLAM, FLUX[0], IVAR[0]) | changes
    return table({key: column for key, column in columns.items() if column is not None}, name)


def plate(*hdus, **options):
    return [*spplate(FLUX, IVAR, fibers=[1, 2, 3], **options), *hdus]


def frame(*hdus):
    loglam = np.tile(BOSS_LOGLAM, (3, 1))
    x, superflat = image(np.ones_like(FLUX)), image(np.ones_like(FLUX))
    return [*spcframe(loglam, FLUX, IVAR, fibers=[1, 2, 3]), x, superflat, *hdus]


def coadd(*hdus, cameras=CAMERAS):
    return [*desi_coadd(cameras, fibermap([1, 2, 3])), *hdus]


def cframe(*hdus):
    return [*desi_cframe("b0", *COADD, fibermap([1, 2, 3])), *hdus]


def data(*hdus):
    return [*prepared(FLUX[:, :443], IVAR[:, :443], {"TARGETID": np.arange(3)}), *hdus]


def without(hdus, *names):
    return [hdu for hdu in hdus if hdu.name not in names]


BRZ = {"BRZ": (WAVE, FLUX, IVAR)}
PAIR = [image(FLUX, "NIR_FLUX"), image(IVAR, "NIR_IVAR")]
TABLE = table({"WAVE": WAVE[None], "FLUX": FLUX[:1], "IVAR": IVAR[:1]}, "SECOND")

REFUSED = {
    "mask of another name": (
        [primary(), coadd_table("COADD", and_mask=None, MASK=np.zeros(len(WAVE), np.int32))],
        "HDU COADD has the mask MASK in place of and_mask",
    ),
    "two coadds": (spec(coadd_table("COADD")), "further spectra, in COADD, that would be left out"),
    "an arm with errors": (
        [primary(), coadd_table("BLUE"), table({"WAVE": WAVE, "FLUX": FLUX[0]}, "RED")],
        "holds further spectra, in RED, that would be left out",
    ),
    "a camera with errors": (
        coadd(image(COADD[1], "NIR_FLUX"), image(COADD[2], "NIR_ERROR")),
        "holds further spectra, in NIR_FLUX, that would be left out",
    ),
    "two arms": (
        [primary(), coadd_table("BLUE"), coadd_table("RED")],
        "holds further spectra, in RED, that would be left out",
    ),
    "coadd not in HDU 1": (
        [primary(), coadd_table("FIRST"), coadd_table("COADD")],
        "holds further spectra, in FIRST, that would be left out",
    ),
    "spec and cameras": (spec(*PAIR), "holds further spectra, in NIR_FLUX, that would be left out"),
    "cameras and coadd of them": (
        coadd(*coadd(cameras=BRZ)[2:]),
        "holds the cameras B, R, Z, BRZ, of which BRZ is the coadd of the others",
    ),
    "a camera of another name": (coadd(*PAIR), "holds further spectra, in NIR_FLUX, that"),
    "a camera twice": (
        coadd(image(COADD[1], "B_FLUX"), image(COADD[2], "B_IVAR")),
        "holds further spectra, in B_FLUX, that would be left out",
    ),
    "spectra in a table too": (coadd(TABLE), "holds further spectra, in SECOND, that"),
    "flux alone": (without(coadd(), "R_IVAR", "R_WAVELENGTH"), "lacks the images R_IVAR, R_WAVEL"),
    "ivar alone": (without(coadd(), "Z_FLUX", "Z_WAVELENGTH"), "lacks the images Z_FLUX, Z_WAVEL"),
    "no ivar at all": (
        without(coadd(), "B_IVAR", "R_IVAR", "Z_IVAR"),
        "lacks the images B_IVAR, R_IVAR, Z_IVAR; it holds",
    ),
    "a table for an image": (
        [*without(coadd(), "B_FLUX"), table({"A": np.ones(3)}, "B_FLUX")],
        "lacks the image B_FLUX; it holds",
    ),
    "cframe without ivar": (without(cframe(), "IVAR"), "lacks the image IVAR; it holds FLUX"),
    "cframe of a spectrum": (
        [
            primary(),
            *(image(x[0], n) for x, n in ((FLUX, "FLUX"), (IVAR, "IVAR"))),
            image(WAVE, "WAVELENGTH"),
        ],
        r"HDU FLUX has shape \(1150,\), not \(nspec, npix\)",
    ),
    "cframe and a pair": (cframe(*PAIR), "holds further spectra, in NIR_FLUX, that would"),
    "cframe and coadd": (
        cframe(*coadd()[2:]),
        "holds further spectra, in B_FLUX, R_FLUX, Z_FLUX, that would be left out",
    ),
    "spplate of two arms": (
        plate(image(FLUX[:, :9]), image(IVAR[:, :9])),
        "further images, in HDU 7, 8,",
    ),
    "spplate and a pair": (plate(*PAIR), "further images, in HDU 7, 8, that would be left out"),
    "spplate and a table": (plate(TABLE), "holds further spectra, in SECOND, that"),
    "spcframe of two": (frame(image(FLUX), image(IVAR)), "further images, in HDU 9, 10, that"),
    "prepared twice": (
        data(image(np.hstack([FLUX, IVAR])[:, :886], "AGAIN")),
        "holds further spectra, in HDU 2, that would be left out",
    ),
    "prepared and cameras": (data(*PAIR), "holds further spectra, in NIR_FLUX, that would be"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_files_with_parts_that_no_reader_reads_are_refused(tmp_path, case):
    hdus, message = REFUSED[case]
    with pytest.raises(FileError, match=rf"x\.fits: .*{message}"):
        read_spectra(write(tmp_path / "x.fits", hdus), spall={})


READ = {
    "exposures of a spec file": spec(
        coadd_table("B1-00169768-00169770-00169769", and_mask=None, or_mask=None),
        coadd_table("R2-00169768-00169770-00169769", and_mask=None, or_mask=None),
        coadd_table("MJD_EXP_59146-00-00001", and_mask=None),
    ),
    "names in lower case": spec(coadd="coadd"),
    "a table of another name": spec(coadd="SPECTRUM"),
    "scores and exposures of a coadd": coadd(
        table(fibermap([1, 2, 3]), "EXP_FIBERMAP"),
        table({"TARGETID": [1, 2, 3], "SUM_FLUX_B": np.ones(3)}, "SCORES"),
        image(COADD[1], "B_MODEL"),
        image(COADD[1], "B_SKY"),
        image(COADD[1], "B_MASK"),
    ),
    "coadd of the cameras": coadd(cameras=BRZ),
    "one camera": coadd(cameras={"R": CAMERAS["R"]}),
    "scores of a cframe": cframe(table({"TARGETID": [1, 2, 3]}, "SCORES"), image(FLUX, "CHI2PIX")),
    "resolution of a plate": plate(image(np.ones_like(FLUX), "SPECRESL")),
    "sky position and superflat": frame(),
    "truth of prepared data": data(table({"Z": np.ones(3)}, "TRUTH")),
}


@pytest.mark.parametrize("case", READ)
@pytest.mark.filterwarnings("ignore:.*:qnet.QnetWarning")
def test_files_with_further_parts_that_are_no_spectra_are_read(tmp_path, case):
    spectra = read_spectra(write(tmp_path / "x.fits", READ[case]), spall={}, use_mask=False)
    first = spectra.cameras[0].flux[0]
    expected = {"DESI": CAMERAS["R" if case == "one camera" else "B"][1]}.get(spectra.survey, FLUX)
    expected = FLUX if "BRZ" in spectra.cameras[0].name else expected
    np.testing.assert_array_equal(first, expected[0, : len(first)])


def test_a_file_that_two_readers_recognise_is_an_error_naming_both(tmp_path):
    hdus = [*spplate(FLUX, IVAR, fibers=[1, 2, 3]), table(fibermap([1, 2, 3]), "FIBERMAP")]
    hdus[0].header["EXTNAME"], hdus[1].header["EXTNAME"] = "FLUX", "IVAR"
    hdus.append(image(WAVE, "WAVELENGTH"))
    hdus[6] = table(plugmap([1, 2, 3]))
    path = write(tmp_path / "both.fits", hdus)
    with pytest.raises(
        FileError,
        match=r"both\.fits: has the HDUs of DESI cframe files and of SDSS spPlate file, but",
    ):
        read_spectra(path, spall={})


def test_a_frame_of_a_set_that_is_half_there_is_refused(tmp_path):
    paths = [
        write(tmp_path / f"cframe-{name.lower()}0-1.fits", desi_cframe(f"{name}0", *arrays))
        for name, arrays in CAMERAS.items()
    ]
    with astropy_fits.open(paths[1]) as hdus:
        write(tmp_path / "cframe-r0-2.fits", without([hdu.copy() for hdu in hdus], "IVAR"))
    with pytest.raises(
        FileError, match=r"r0-2.fits: is not the kind .*b0-1\.fits is: it lacks the"
    ):
        read_spectra([paths[0], tmp_path / "cframe-r0-2.fits", paths[2]])


def test_all_real_files_of_spectra_are_read(shared_data):
    folders = ("boss_dr12", "desi_everest", "desi_formats", "desi_afterburner")
    names = [name for folder in folders for name in (shared_data / folder).glob("*.fits")]
    tables = ("truth_superset", "redrock", "qso_qn")
    for name in names:
        if name.name.startswith(tables):
            with pytest.raises(FileError, match="holds no spectra that qnet knows"):
                read_spectra(name)
        elif "everest" in str(name):
            with pytest.warns(qnet.QnetWarning, match="has no FIBERMAP"):
                read_spectra(name)
        elif "boss" not in str(name) or name.name.endswith("0.fits"):
            assert len(read_spectra(name))
