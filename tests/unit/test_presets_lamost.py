"""LAMOST: masks, ids, files that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from makers import boss_spec, make_spectra, table, write
from makers_surveys import LAMOST_WAVE, lamost_dr7, lamost_dr8, lamost_mrs
from qnet import QNFlag
from qnet.core.errors import FileError
from qnet.io import read_spectra

(FLUX,), (IVAR,) = make_spectra(LAMOST_WAVE, (1.1,), seed=6)
MAKERS = {"DR7": lamost_dr7, "DR8": lamost_dr8}


def make(release, **options):
    return MAKERS[release](LAMOST_WAVE, FLUX, IVAR, **options)


@pytest.mark.parametrize("release", MAKERS)
def test_pixels_bad_in_all_exposures_have_no_weight(tmp_path, release):
    mask = np.zeros(len(LAMOST_WAVE))
    mask[[3, 4]] = 1, 32
    spectra = read_spectra(write(tmp_path / "x.fits", make(release, andmask=mask)))
    assert np.flatnonzero(spectra.cameras[0].ivar[0] == 0).tolist() == [3, 4]
    assert spectra.flux_unit == ""


@pytest.mark.parametrize("release", MAKERS)
def test_ids(tmp_path, release):
    spectra = read_spectra(write(tmp_path / "x.fits", make(release)))
    ids = {name: column[0] for name, column in spectra.ids.items()}
    assert (ids["TARGETID"], ids["MJD"]) == (220812034, 56918)
    assert ids["TARGET_NAME"] == "LAMOST J001717.79+412829.8"
    assert (ids["TARGET_RA"], ids["TARGET_DEC"], ids["FIBERID"]) == (4.324, 41.475, 34)
    assert not spectra.flag.any()
    sky = read_spectra(write(tmp_path / "s.fits", make(release, OBJTYPE="Sky")))
    assert (sky.flag & QNFlag.NOT_TARGET).all()


@pytest.mark.parametrize("release", MAKERS)
def test_wavelengths_are_in_air_where_the_file_says_so(tmp_path, release):
    (camera,) = read_spectra(write(tmp_path / "x.fits", make(release, VACUUM=False))).cameras
    shift = camera.wave / LAMOST_WAVE - 1
    assert 2.7e-4 < shift.min() < shift.max() < 2.9e-4


REFUSED = {
    "medium resolution": (
        lamost_mrs(LAMOST_WAVE, FLUX, IVAR),
        "LAMOST .*medium resolution.* low resolution",
    ),
    "three rows": (make("DR7", rows=3), "HDU 0 has 3 rows, but FLUX, IVAR, WAVELENGTH, ANDMASK"),
    "no mask": (make("DR8", columns={"ANDMASK": None}), "HDU COADD lacks the column.s. ANDMASK"),
    "two rows": (
        make("DR8", columns={name: np.ones((2, 977)) for name in
                             ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK", "NORMALIZATION")}),
        "HDU COADD has 2 rows, but 1 was expected",
    ),
    "an exposure too": (
        [*make("DR8"), table({"WAVELENGTH": LAMOST_WAVE[None], "FLUX": FLUX[None]}, "SECOND")],
        "holds further spectra, in SECOND, that would be left out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_other_files_of_lamost_are_refused_by_what_they_are(tmp_path, case):
    hdus, message = REFUSED[case]
    with pytest.raises(FileError, match=rf"x\.fits: .*{message}"):
        read_spectra(write(tmp_path / "x.fits", hdus))


def test_a_file_like_sdss_without_the_telescope_is_still_that_of_sdss(tmp_path):
    hdus = make("DR8", TELESCOP="SDSS 2.5-M")
    with pytest.raises(FileError, match=r"HDU COADD lacks the column.s. LOGLAM; it has FLUX, IVAR"):
        read_spectra(write(tmp_path / "x.fits", hdus))
    spec = boss_spec(np.log10(LAMOST_WAVE), FLUX, IVAR)
    assert read_spectra(write(tmp_path / "s.fits", spec)).survey == "SDSS"
