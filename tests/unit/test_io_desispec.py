"""Spectra of desispec: the same catalogue as that of the file which desispec read."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import qnet
from desifiles import FMAP
from makers import desi_coadd, desi_set, write
from qnet.core.errors import InputError
from qnet.io import read_spectra
from qnet.io.reader import as_spectra


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
