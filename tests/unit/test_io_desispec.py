"""Spectra of desispec: the same catalogue as that of the file which desispec read."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table

import qnet
from desifiles import FMAP
from makers import as_spectra, desi_coadd, desi_set, write
from qnet.core.errors import InputError
from qnet.io import read_spectra


@pytest.fixture(scope="module")
def desispec():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("desispec.io")


@pytest.fixture(scope="module")
def coadd(tmp_path_factory):
    """A coadd with masked pixels, cards and a spectrum of sky."""
    cameras = desi_set((1.0, 2.0, 3.0))
    masks = {name: np.zeros(flux.shape, np.int32) for name, (_, flux, _) in cameras.items()}
    for mask in masks.values():
        mask[:, 10:40] = 4
    cards = {"SURVEY": "main", "PROGRAM": "dark", "HPXPIXEL": 10016, "SPECPROD": "loa"}
    hdus = desi_coadd(cameras, FMAP, masks=masks, **cards)
    return write(tmp_path_factory.mktemp("coadd") / "coadd.fits", hdus)


def read(desispec, path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return desispec.read_spectra(str(path), **options)


@pytest.mark.parametrize("single", [True, False])
def test_the_object_is_classified_as_its_file(desispec, coadd, two_stage_model, single):
    theirs = read(desispec, coadd, single=single)
    ours, one = read_spectra(coadd), as_spectra(theirs)
    assert one.survey == "DESI"
    assert one.cards == ours.cards
    np.testing.assert_array_equal(one.flag, ours.flag)
    for camera, other in zip(one.cameras, ours.cameras, strict=True):
        assert camera.name == other.name
        for name in ("wave", "flux", "ivar"):
            np.testing.assert_array_equal(getattr(camera, name), getattr(other, name))
    table, expected = (qnet.classify(x, model=two_stage_model) for x in (theirs, coadd))
    assert table.colnames == expected.colnames
    for name in table.colnames:
        kinds = {table[name].dtype, expected[name].dtype}
        assert len(kinds) == 1 or {kind.kind for kind in kinds} == {"U"}, name  # of another width
        np.testing.assert_array_equal(table[name], expected[name])


def test_cameras_and_their_coadd_in_one_object_are_refused():
    """Their pixels would be counted twice, as in a file; names of columns are in any case."""
    pixels = desi_set(cameras="BR")
    parts = (
        dict(zip(("b", "brz"), values, strict=True))
        for values in zip(*pixels.values(), strict=True)
    )
    wave, flux, ivar = parts
    fmap = Table({name.lower(): column for name, column in FMAP.items()})
    one = SimpleNamespace(bands=["b", "brz"], wave=wave, flux=flux, ivar=ivar, fibermap=fmap)
    with pytest.raises(InputError, match="holds the cameras B, BRZ, of which BRZ is the coadd"):
        as_spectra(one)
    one.bands = ["b"]
    assert as_spectra(one).ids["TARGETID"].tolist() == FMAP["TARGETID"].tolist()


def test_objects_that_are_not_whole_are_refused(desispec, coadd):
    spectra = read(desispec, coadd)
    with pytest.raises(InputError, match="air=True is for arrays"):
        qnet.classify(spectra, air=True)
    with pytest.raises(InputError, match=r"not with a desispec\.spectra\.Spectra"):
        qnet.classify(spectra, np.ones(3), np.ones(3))
    spectra.ivar.pop("r")
    with pytest.raises(InputError, match=r"must be a desispec Spectra, .*KeyError: 'r'"):
        qnet.classify(spectra)
    with pytest.raises(InputError, match="at least one camera"):
        qnet.classify(type(spectra)())
