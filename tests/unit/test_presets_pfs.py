"""PFS: names of mask bits, spectra of different lengths, ids, files that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from makers import image, make_spectra, primary, table, write
from makers_surveys import PFS_BITS, PFS_WAVE, pfs_coadd, pfs_object, pfs_old_object
from qnet import QNFlag
from qnet.core.errors import FileError
from qnet.io import read_spectra

FLUX, IVAR = make_spectra(PFS_WAVE, (1.1, 2.3, 0.7), seed=3)

#: A pixel with each bit of PFS_BITS alone; EDGE and FIBERTRACE are harmless.
MASK = np.zeros(len(PFS_WAVE), np.int32)
MASK[10 : 10 + len(PFS_BITS)] = [1 << bit for bit in PFS_BITS.values()]
HARMLESS = [10 + list(PFS_BITS).index(name) for name in ("EDGE", "FIBERTRACE")]


def lost(ivar):
    """Pixels without weight."""
    return np.flatnonzero(ivar == 0).tolist()


BAD = [n for n in range(10, 10 + len(PFS_BITS)) if n not in HARMLESS]


def test_bits_of_the_mask_are_read_by_name(tmp_path):
    one = read_spectra(
        write(tmp_path / "o.fits", pfs_object(PFS_WAVE, FLUX[0], IVAR[0], mask=MASK))
    )
    assert lost(one.cameras[0].ivar[0]) == BAD
    other = {"NO_DATA": 0, "EDGE": 8}  # numbers of another reduction
    masks = np.tile(MASK, (3, 1))
    hdus = pfs_coadd(PFS_WAVE, FLUX, IVAR, mask=masks, bits=[PFS_BITS, other, PFS_BITS])
    many = read_spectra(write(tmp_path / "c.fits", hdus)).cameras[0].ivar
    assert [lost(row) for row in many] == [BAD, [10], BAD]


def test_without_names_of_bits_all_take_the_weight(tmp_path):
    hdus = pfs_old_object(PFS_WAVE, FLUX[0], IVAR[0], mask=MASK)
    spectra = read_spectra(write(tmp_path / "o.fits", hdus))
    assert lost(spectra.cameras[0].ivar[0]) == list(range(10, 10 + len(PFS_BITS)))


@pytest.mark.parametrize("lengths", [[2201, 1500, 1800], [900, 900, 2201]])
def test_spectra_of_different_lengths_are_filled_up_without_weight(tmp_path, lengths):
    hdus = pfs_coadd(PFS_WAVE, FLUX, IVAR, lengths=lengths)
    (camera,) = read_spectra(write(tmp_path / "c.fits", hdus)).cameras
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(camera.wave[:length], PFS_WAVE[:length], rtol=1e-7)
        np.testing.assert_allclose(camera.flux[row, :length], FLUX[row, :length], rtol=2e-5)
        assert not camera.ivar[row, length:].any()


def test_ids_and_types_of_targets(tmp_path):
    hdus = pfs_coadd(PFS_WAVE, FLUX, IVAR, targetType=np.int16([1, 2, 3]))
    spectra = read_spectra(write(tmp_path / "c.fits", hdus))
    assert spectra.ids["TARGETID"].tolist() == [(1 << 55) + n for n in range(3)]
    assert spectra.ids["OBJTYPE"].tolist() == ["SCIENCE", "SKY", "FLUXSTD"]
    assert spectra.ids["PATCH"].tolist() == ["1,1"] * 3
    assert (spectra.ids["CATID"] == 10053).all()
    assert (spectra.ids["TRACT"] == 1).all()
    assert (spectra.flag & QNFlag.NOT_TARGET).tolist() == [0, QNFlag.NOT_TARGET, 0]
    one = read_spectra(write(tmp_path / "o.fits", pfs_object(PFS_WAVE, FLUX[0], IVAR[0])))
    assert one.ids["TARGETID"].tolist() == [3612 << 32]
    assert (one.ids["TARGET_RA"][0], one.ids["TARGET_DEC"][0]) == (150.5, 2.25)
    old = read_spectra(write(tmp_path / "old.fits", pfs_old_object(PFS_WAVE, FLUX[0], IVAR[0])))
    assert (old.ids["TARGETID"][0], old.ids["PATCH"][0]) == (1, "0,0")


def arm():
    shape = FLUX.shape
    parts = {"FLUX": FLUX, "MASK": np.zeros(shape, np.int32), "WAVELENGTH": np.ones(shape)}
    covar = np.ones((3, 3, shape[1]), np.float32)
    hdus = [image(part, name) for name, part in parts.items()]
    return [primary(), image(np.arange(3), "FIBERID"), *hdus, image(covar, "COVAR")]


def without(hdus, name):
    return [hdu for hdu in hdus if hdu.name != name]


OBJECT = pfs_object(PFS_WAVE, FLUX[0], IVAR[0])
COADD = pfs_coadd(PFS_WAVE, FLUX, IVAR)
PAIR = [image(FLUX[0], "NIR_FLUX"), image(IVAR[0], "NIR_IVAR")]

REFUSED = {
    "arms": (arm(), "PFS pfsArm or pfsMerged file, .* electrons: give pfsCalibrated, pfsCoadd"),
    "object without mask": (without(OBJECT, "MASK"), "lacks the image MASK; it holds"),
    "object, further spectra": ([*OBJECT, *PAIR], "further spectra, in NIR_FLUX, that would"),
    "coadd without targets": (without(COADD, "TARGET"), "lacks the column OBJID of a table TARGET"),
    "coadd without names": (without(COADD, "METADATA"), "lacks the column METADATA of a table"),
    "coadd, further spectra": ([*COADD, *PAIR], "further spectra, in NIR_FLUX, that would"),
    "coadd, fewer targets": (
        [table({"OBJID": [1, 2]}, "TARGET"), *without(COADD, "TARGET")[1:]],
        "HDU FLUX has 3 rows, but there are 2 targets",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_files_of_pfs_are_refused_by_what_they_lack(tmp_path, case):
    hdus, message = REFUSED[case]
    hdus = hdus if hdus[0].is_image else [primary(), *hdus]
    with pytest.raises(FileError, match=rf"x\.fits: .*{message}"):
        read_spectra(write(tmp_path / "x.fits", hdus))
