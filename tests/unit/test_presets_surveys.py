"""What holds of every preset: PFS, WEAVE, 4MOST, LAMOST and SDSS's astra."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

import qnet
from makers import make_spectra, write
from makers_surveys import (
    LAMOST_WAVE,
    MWM_WAVE,
    PFS_WAVE,
    QMOST_WAVE,
    WEAVE_WAVE,
    in_air,
    lamost_dr7,
    lamost_dr8,
    mwm,
    pfs_coadd,
    pfs_object,
    pfs_old_object,
    qmost_l1,
    qmost_mec,
    weave_l1,
)
from qnet import QNFlag
from qnet.io import read_spectra
from qnet.io.reader import read_blocks
from qnet.lines import air_to_vacuum

#: Wavelengths in air in equal steps, and what they are in vacuum.
MEC_AIR = 3700.0 + 2.0 * np.arange(2901)
MEC_WAVE = air_to_vacuum(MEC_AIR)
WEAVE_VACUUM = {arm: air_to_vacuum(wave) for arm, wave in WEAVE_WAVE.items()}


def _one(make, wave, **options):
    """A case of one spectrum."""
    return lambda flux, ivar: make(wave, flux[0], ivar[0], **options), wave, 1


def _many(make, wave, **options):
    """A case of three spectra."""
    return lambda flux, ivar: make(wave, flux, ivar, **options), wave, 3


CASES = {
    "PFS pfsObject": _one(pfs_object, PFS_WAVE),
    "PFS pfsSingle with WAVELENGTH": _one(pfs_object, PFS_WAVE, wcs=False),
    "PFS pfsObject of old": _one(pfs_old_object, PFS_WAVE),
    "PFS pfsCoadd": _many(pfs_coadd, PFS_WAVE),
    "PFS pfsCoadd with cube": _many(pfs_coadd, PFS_WAVE, cube=True),
    "PFS pfsCoadd of tables": _many(pfs_coadd, PFS_WAVE, lengths=[2201, 2201, 2201]),
    "4MOST L1": _one(qmost_l1, QMOST_WAVE),
    "4MOST container": (lambda flux, ivar: qmost_mec(MEC_AIR, flux, ivar), MEC_WAVE, 3),
    "4MOST container with errors": (
        lambda flux, ivar: qmost_mec(MEC_AIR, flux, ivar, error=True),
        MEC_WAVE,
        3,
    ),
    "LAMOST DR7": _one(lamost_dr7, LAMOST_WAVE),
    "LAMOST DR8": _one(lamost_dr8, LAMOST_WAVE),
    "SDSS-V mwmVisit": (lambda flux, ivar: mwm("visit", MWM_WAVE, flux, ivar), MWM_WAVE, 3),
    "SDSS-V mwmStar": (lambda flux, ivar: mwm("star", MWM_WAVE, flux, ivar), MWM_WAVE, 3),
    "WEAVE": (
        lambda flux, ivar: weave_l1("RED", WEAVE_WAVE["RED"], flux, ivar),
        WEAVE_VACUUM["RED"],
        3,
    ),
}

#: Files whose rows are shared among blocks.
BLOCKS = ("pfsCoadd", "container")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The file of a case, its spectra as they went in."""
    folder, done = tmp_path_factory.mktemp("presets"), {}

    def get(case):
        if case not in done:
            make, wave, nspec = CASES[case]
            flux, ivar = make_spectra(wave, (1.1, 2.3, 0.7)[:nspec], seed=8)
            ivar[:, 100:120] = 0
            path = write(folder / f"{case}.fits", make(flux, ivar))
            done[case] = path, wave, flux, ivar
        return done[case]

    return get


@pytest.mark.parametrize("case", CASES)
def test_pixels_are_what_went_in(written, case):
    path, wave, flux, ivar = written(case)
    (camera,) = read_spectra(path).cameras
    np.testing.assert_allclose(np.broadcast_to(camera.wave, flux.shape)[0], wave, rtol=2e-7)
    scale = {"4MOST": 1e17}.get(case.split()[0], 1.0)
    good = ivar > 0
    np.testing.assert_array_equal(camera.ivar > 0, good)
    np.testing.assert_allclose(camera.flux[good] * scale, flux[good], rtol=2e-5)
    np.testing.assert_allclose(camera.ivar[good] / scale**2, ivar[good], rtol=5e-5)


@pytest.mark.parametrize("case", CASES)
def test_answers_of_files_arrays_and_tables_are_the_same(written, case, small_model):
    path, wave, flux, ivar = written(case)
    found = qnet.classify(path, model=small_model)
    table = Table({"WAVE": np.tile(wave, (len(flux), 1)), "FLUX": flux, "IVAR": ivar})
    with fits.open(path) as hdus:
        opened = qnet.classify(hdus, model=small_model)
    np.testing.assert_array_equal(found["C_LINES"], opened["C_LINES"])
    assert found["TARGETID"].tolist() == opened["TARGETID"].tolist()
    for other in (
        qnet.classify(wave, flux, ivar, model=small_model),
        qnet.classify(table, model=small_model),
    ):
        np.testing.assert_allclose(found["C_LINES"], other["C_LINES"], atol=2e-4)
        np.testing.assert_allclose(found["SNR"], other["SNR"], rtol=1e-3)
    assert found["INPUT_ROW"].tolist() == list(range(len(flux)))
    assert not (found["QN_FLAG"] & (QNFlag.BADPIX | QNFlag.NOT_TARGET | QNFlag.NODATA)).any()


@pytest.mark.parametrize("case", CASES)
def test_rows_and_blocks_are_those_of_the_whole(written, case):
    path, _, flux, _ = written(case)
    whole = read_spectra(path)
    assert len(whole) == len(flux)
    unique = len(set(whole.ids["TARGETID"].tolist())) == len(flux)
    assert unique == (case not in ("SDSS-V mwmStar", "WEAVE"))  # of one source, and of text
    index = np.arange(len(flux))[::-1][:2]
    some = read_spectra(path, rows=index)
    np.testing.assert_array_equal(some.cameras[0].flux, whole.cameras[0].flux[index])
    np.testing.assert_array_equal(some.cameras[0].ivar, whole.cameras[0].ivar[index])
    assert len(read_spectra(path, rows=[])) == 0
    blocks = list(read_blocks([path], nrows=2))
    assert len(blocks) == (2 if any(name in case for name in BLOCKS) else 1)
    for name, column in whole.ids.items():
        assert some.ids[name].tolist() == column[index].tolist()
        assert np.concatenate([b.ids[name] for b in blocks]).tolist() == column.tolist()


def test_wavelengths_in_air_are_those_of_another_formula():
    np.testing.assert_allclose(in_air(MEC_WAVE), MEC_AIR, rtol=3e-8)
