"""Which reader a file or an object gets, and which files are one set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import qnet
from makers import (
    BOSS_LOGLAM,
    boss_spec,
    desi_cframe,
    desi_coadd,
    desi_set,
    fibermap,
    make_spectra,
    make_spectrum,
    prepared,
    primary,
    sdss5_spec,
    spcframe,
    spplate,
    write,
)
from qnet.core.errors import FileError, InputError, QnetWarning
from qnet.io import from_arrays, read_spectra
from qnet.io.reader import as_spectra, group_frames

FLUX, IVAR = make_spectra(10**BOSS_LOGLAM, (1.0, 2.0, 3.0), seed=6)
CAMERAS = desi_set()

LAYOUTS = {
    "SDSS spec file": boss_spec(BOSS_LOGLAM, FLUX[0], IVAR[0]),
    "SDSS spec file (SDSS-V)": sdss5_spec(BOSS_LOGLAM, FLUX[0], IVAR[0]),
    "SDSS spPlate file": spplate(FLUX, IVAR, fibers=[1, 2, 3]),
    "SDSS spCFrame files": spcframe(np.tile(BOSS_LOGLAM, (3, 1)), FLUX, IVAR, fibers=[1, 2, 3]),
    "DESI coadd or spectra file": desi_coadd(CAMERAS, fibermap([1, 2, 3])),
    "DESI cframe files": desi_cframe("b0", *CAMERAS["B"], fibermap([1, 2, 3])),
    "prepared data file": prepared(FLUX[:, :443], IVAR[:, :443], {"TARGETID": np.arange(3)}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["x.fits", "spPlate-1.fits", "coadd-1.fits", "x.dat", "x"])
def test_layout_is_found_by_the_hdus_not_by_the_name(tmp_path, layout, name):
    path = write(tmp_path / "a.fits", LAYOUTS[layout]).rename(tmp_path / name)
    spectra = read_spectra(str(path), spall={})
    assert spectra.layout == layout.removesuffix(" (SDSS-V)")
    assert spectra.source == (str(path),)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_goes_through_the_network(tmp_path, layout, small_model):
    path = write(tmp_path / "a.fits", LAYOUTS[layout])
    catalogue = qnet.classify(path, model=small_model, spall={})
    assert np.isfinite(catalogue["ZBEST"]).all()
    assert catalogue["TARGETID"].dtype == np.int64
    direct = qnet.classify(read_spectra(path, spall={}), model=small_model)
    np.testing.assert_array_equal(catalogue["Z_LINES"], direct["Z_LINES"])


def test_reading_nothing_is_an_error():
    with pytest.raises(InputError, match="path is empty"):
        read_spectra([])


def test_spplate_without_coeff0_is_of_no_layout(tmp_path):
    hdus = spplate(FLUX, IVAR, fibers=[1, 2, 3])
    del hdus[0].header["COEFF0"]
    with pytest.raises(FileError, match=r"a\.fits: holds no spectra .*COEFF0 in the header"):
        read_spectra(write(tmp_path / "a.fits", hdus))


def test_file_without_hdus_after_the_first_is_of_no_layout(tmp_path):
    with pytest.raises(FileError, match=r"a\.fits: holds no spectra that qnet knows: it has HDU 0"):
        read_spectra(write(tmp_path / "a.fits", [primary()]))


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        ([], []),
        (["a.fits", "b.fits"], [[0], [1]]),
        (["a.fits", "a.fits"], [[0], [1]]),
        (
            ["cframe-b0-00085607.fits", "cframe-r0-00085607.fits", "cframe-z0-00085607.fits"],
            [[0, 1, 2]],
        ),
        (
            ["cframe-b0-00000001.fits", "cframe-b1-00000001.fits", "cframe-b0-00000002.fits"],
            [[0], [1], [2]],
        ),
        (
            ["cframe-z3-00000001.fits.gz", "coadd.fits", "cframe-b3-00000001.fits.fz"],
            [[0, 2], [1]],
        ),
        (["x/cframe-b0-00000001.fits", "y/cframe-r0-00000001.fits"], [[0], [1]]),
        (["./cframe-b0-00000001.fits", "cframe-r0-00000001.fits"], [[0, 1]]),
        (["spCFrame-r1-00171234.fits.gz", "spCFrame-b1-00171234.fits.gz"], [[0, 1]]),
        (["spCFrame-b1-00171234.fits", "spCFrame-b2-00171234.fits"], [[0], [1]]),
        (["spCFrame-b1-00171234.fits", "cframe-b1-00171234.fits"], [[0], [1]]),
        (["cframe-b0-1.fits", "cframe-r0-00000001.fits"], [[0, 1]]),
        (["cframe-b0-00000001.fits.bak", "cframe-r0-00000001.fits"], [[0], [1]]),
    ],
    ids=str,
)
def test_grouping_of_frames(names, groups):
    expected = [tuple(Path(names[index]) for index in group) for group in groups]
    assert group_frames(names) == expected
    assert group_frames(list(map(Path, names))) == expected


def test_frames_given_in_any_order_are_one_input(tmp_path, small_model):
    fmap = fibermap([1, 2, 3])
    paths = [
        write(tmp_path / f"cframe-{name.lower()}0-00085607.fits", desi_cframe(f"{name}0", *a, fmap))
        for name, a in CAMERAS.items()
    ]
    coadd = write(tmp_path / "coadd.fits", desi_coadd(CAMERAS, fmap))
    catalogue = qnet.classify([paths[2], coadd, paths[0], paths[1]], model=small_model)
    assert catalogue["TARGETID"].tolist() == [1, 2, 3, 1, 2, 3]
    assert catalogue["INPUT_INDEX"].tolist() == [0, 0, 0, 3, 3, 3]
    np.testing.assert_allclose(catalogue["C_LINES"][:3], catalogue["C_LINES"][3:], atol=1e-6)


def test_spectra_pass_through():
    spectra = from_arrays(*make_spectrum())
    assert as_spectra(spectra) is spectra
    with pytest.raises(InputError, match="air=True is for arrays"):
        as_spectra(spectra, air=True)


@pytest.mark.parametrize(
    "source",
    [None, 5, 1.5, {}, {"wave": [1]}, [], [1.0, 2.0], object(), np.arange(3.0), b"name.fits"],
    ids=repr,
)
def test_other_objects_are_refused(source):
    with pytest.raises(InputError, match=r"spectra must be|must come with flux and ivar"):
        as_spectra(source)


@pytest.mark.parametrize("kind", ["spectra", "table"])
def test_an_object_with_flux_beside_it_is_refused(kind):
    from astropy.table import Table

    wave, flux, ivar = make_spectrum()
    source = from_arrays(wave, flux, ivar) if kind == "spectra" else Table({"wave": wave})
    with pytest.raises(InputError, match="wave"):
        as_spectra(source, flux, ivar)


def test_files_are_refused_as_being_in_air(tmp_path, small_model):
    path = write(tmp_path / "a.fits", LAYOUTS["SDSS spec file"])
    with pytest.raises(InputError, match="air=True is for arrays, tables and specutils objects"):
        qnet.classify(path, model=small_model, air=True)


def test_warning_of_a_set_comes_once(tmp_path):
    paths = [
        write(tmp_path / f"cframe-{name.lower()}0-00085607.fits", desi_cframe(f"{name}0", *arrays))
        for name, arrays in CAMERAS.items()
    ]
    with pytest.warns(QnetWarning, match="has no FIBERMAP") as caught:
        spectra = read_spectra(paths)
    assert len(caught) == 1
    assert spectra.ids["TARGETID"].tolist() == [0, 1, 2]
