"""Spectra from specutils: the same answers as from the file, or a warning that says why not."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units
from astropy.nddata import (
    InverseVariance,
    StdDevUncertainty,
    UnknownUncertainty,
    VarianceUncertainty,
)
from astropy.table import Table

import qnet
from makers import (
    BOSS_LOGLAM,
    COMBINEREJ,
    TILE_CARDS,
    as_spectra,
    boss_spec,
    desi_coadd,
    desi_set,
    fibermap,
    make_spectra,
    make_spectrum,
    sdss5_spec,
    write,
)
from qnet.core.errors import InputError, QnetWarning
from qnet.core.grid import QUASARNET_GRID
from qnet.io import from_specutils, read_spectra
from qnet.io.noise import estimate_ivar
from qnet.preprocess.normalisation import preprocess

WAVE, FLUX, IVAR = make_spectrum(2.4, seed=7)
FLUX2, IVAR2 = make_spectra(WAVE, (1.0, 3.0), seed=8)
UNIT = units.Unit("1e-17 erg / (s cm2 Angstrom)")
CGS = units.Unit("erg / (s cm2 Angstrom)")


@pytest.fixture(scope="module")
def specutils():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("specutils")


def network_input(spectra):
    return preprocess(spectra.cameras, QUASARNET_GRID)


def read_by_specutils(kind, path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind.read(path, **options)


def compare(theirs, path, *, rows=slice(None)):
    """The network's input of an object and of the file: the same within rounding."""
    ours = read_spectra(path)
    one, other = network_input(theirs), network_input(ours)
    np.testing.assert_allclose(one.X[rows], other.X[rows], atol=1e-5)
    assert theirs.ids["TARGETID"].tolist() == ours.ids["TARGETID"].tolist()
    assert one.flag.tolist() == other.flag.tolist()


@pytest.mark.parametrize("kind", ["Spectrum", "SpectrumList"])
def test_real_boss_spectra(shared_data, specutils, kind):
    for path in sorted((shared_data / "boss_dr12").glob("spec-*.fits"))[::5]:
        theirs = read_by_specutils(getattr(specutils, kind), path)
        with pytest.warns(QnetWarning, match="mask of this SDSS spectrum merges all bits"):
            spectra = as_spectra(theirs)
        assert spectra.survey == "SDSS"
        compare(spectra, path)


@pytest.mark.parametrize(
    "name",
    [
        "coadd-5-169-thru20210419.fits",
        "coadd-sv3-dark-26065.fits",
        "spectra-5-169-thru20210419.fits",
        "spectra-sv3-dark-26065.fits",
    ],
)
def test_real_desi_files(shared_data, specutils, name):
    path = shared_data / "desi_formats" / name
    spectra = as_spectra(read_by_specutils(specutils.SpectrumList, path))
    assert [camera.name for camera in spectra.cameras] == ["B", "R", "Z"]
    compare(spectra, path)


@pytest.mark.parametrize("masked", ["nothing", "by other bits", "by combinerej"])
@pytest.mark.parametrize("make", [boss_spec, sdss5_spec])
def test_synthetic_spec_file(tmp_path, specutils, make, masked):
    mask = np.zeros(len(WAVE), np.int32)
    mask[200:220] = {"nothing": 0, "by other bits": 1 << 3, "by combinerej": COMBINEREJ}[masked]
    hdus = make(BOSS_LOGLAM, FLUX, IVAR, and_mask=mask)
    column = "or_mask" if make is boss_spec else "OR_MASK"
    hdus[1].data[column] = mask
    path = write(tmp_path / "spec-7102-56666-0126.fits", hdus)
    form = "SDSS-III/IV spec" if make is boss_spec else "SDSS-V spec"
    options = {} if make is boss_spec else {"hdu": 1}
    theirs = read_by_specutils(specutils.Spectrum, path, format=form, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        spectra = as_spectra(theirs)
    merged = [
        str(w.message) for w in caught if "mask of this SDSS spectrum merges" in str(w.message)
    ]
    assert len(merged) == (masked != "nothing")
    one, other = network_input(spectra).X, network_input(read_spectra(path)).X
    if masked == "by combinerej":
        assert not np.allclose(one, other, atol=1e-5)
    else:
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("masks", [False, True])
def test_synthetic_coadd(tmp_path, specutils, masks):
    cameras = desi_set()
    made = {
        name: (np.arange(flux.size).reshape(flux.shape) % 9 == 0).astype(np.int32)
        for name, (_, flux, _) in cameras.items()
    }
    fmap = fibermap([5, -7, 2**60])
    hdus = desi_coadd(cameras, fmap, masks=made if masks else None, **TILE_CARDS)
    path = write(tmp_path / "coadd-5-169-thru20210419.fits", hdus)
    theirs = read_by_specutils(specutils.SpectrumList, path, format="DESI coadd")
    compare(as_spectra(theirs), path)


def test_sky_and_bad_fibers_of_a_desi_file_are_flagged(tmp_path, specutils):
    fmap = fibermap([5, -7, 6], objtype=["TGT", "SKY", "TGT"], status=[0, 0, 8])
    hdus = desi_coadd(desi_set(), fmap, **TILE_CARDS)
    path = write(tmp_path / "coadd-5-169-thru20210419.fits", hdus)
    theirs = read_by_specutils(specutils.SpectrumList, path, format="DESI coadd")
    spectra = as_spectra(theirs)
    assert spectra.flag.tolist() == read_spectra(path).flag.tolist()


def spectrum(specutils, wave=WAVE * units.AA, flux=FLUX * UNIT, **options):
    options.setdefault("uncertainty", InverseVariance(IVAR))
    return specutils.Spectrum(spectral_axis=wave, flux=flux, **options)


def check(spectra, flux=FLUX, ivar=IVAR, rtol=1e-6):
    (camera,) = spectra.cameras
    np.testing.assert_allclose(np.atleast_2d(camera.wave)[0], WAVE, rtol=1e-12)
    np.testing.assert_allclose(camera.flux, np.atleast_2d(flux), rtol=rtol)
    np.testing.assert_allclose(camera.ivar, np.atleast_2d(ivar), rtol=rtol)


ERROR = 1 / np.sqrt(IVAR.astype(float))


@pytest.mark.parametrize(
    "uncertainty",
    [
        InverseVariance(IVAR),
        VarianceUncertainty(ERROR**2),
        StdDevUncertainty(ERROR),
        StdDevUncertainty(ERROR * 1e-17, unit=CGS),
        VarianceUncertainty(ERROR**2 * 1e-34, unit=CGS**2),
        InverseVariance(IVAR.astype(float) * 1e34, unit=CGS**-2),
    ],
    ids=["ivar", "var", "std", "std in cgs", "var in cgs", "ivar in cgs"],
)
def test_uncertainty_of_any_kind_and_unit(specutils, uncertainty):
    check(as_spectra(spectrum(specutils, uncertainty=uncertainty)))


@pytest.mark.parametrize("unit", ["AA", "nm", "um", "Hz", "eV"])
@pytest.mark.parametrize("order", [1, -1])
def test_spectral_axis_in_any_unit_and_direction(specutils, unit, order):
    wave = (WAVE * units.AA).to(unit, units.spectral())
    mask = np.arange(len(WAVE)) % 7 == 2
    mask[:50] = True
    reverse = slice(None, None, order)
    for given, ivar in ((None, IVAR), (mask[reverse], np.where(mask, 0, IVAR))):
        theirs = spectrum(
            specutils,
            wave[reverse],
            FLUX[reverse] * UNIT,
            uncertainty=InverseVariance(IVAR[reverse]),
            mask=given,
        )
        check(as_spectra(theirs), ivar=ivar)


def test_spectrum_without_uncertainty_warns(specutils):
    with pytest.warns(QnetWarning, match="no errors of the flux: they are estimated from its"):
        spectra = as_spectra(spectrum(specutils, uncertainty=None))
    check(spectra, ivar=estimate_ivar(FLUX[None])[0])
    assert qnet.flag_names(spectra.flag[0]) == ["NO_ERROR"]


def test_rows_of_a_spectrum_and_collections(specutils):
    many = spectrum(specutils, flux=FLUX2 * UNIT, uncertainty=InverseVariance(IVAR2))
    check(as_spectra(many), FLUX2, IVAR2)
    collection = specutils.SpectrumCollection(
        spectral_axis=np.stack([WAVE, WAVE]) * units.AA,
        flux=FLUX2 * UNIT,
        uncertainty=InverseVariance(IVAR2),
    )
    check(as_spectra(collection), FLUX2, IVAR2)


def test_list_of_spectra_of_other_lengths_is_a_row_each(specutils, small_model):
    short = spectrum(
        specutils, WAVE[:-50] * units.AA, FLUX[:-50] * UNIT, uncertainty=InverseVariance(IVAR[:-50])
    )
    for container in (specutils.SpectrumList, list, tuple):
        spectra = as_spectra(container([spectrum(specutils), short]))
        assert spectra.ids["TARGETID"].tolist() == [0, 1]
        (camera,) = spectra.cameras
        assert camera.flux.shape == (2, len(WAVE))
        assert not camera.ivar[1, -50:].any()
    alone = qnet.classify(short, model=small_model)
    both = qnet.classify([spectrum(specutils), short], model=small_model)
    np.testing.assert_allclose(both["C_LINES"][1], alone["C_LINES"][0], atol=1e-6)


def test_list_of_the_cameras_of_the_same_spectra(specutils):
    items = [
        spectrum(
            specutils,
            wave * units.AA,
            flux * UNIT,
            uncertainty=InverseVariance(ivar),
            meta={"band": name.lower()},
        )
        for name, (wave, flux, ivar) in desi_set().items()
    ]
    spectra = as_spectra(specutils.SpectrumList(items))
    assert [camera.name for camera in spectra.cameras] == ["B", "R", "Z"]
    assert spectra.ids["TARGETID"].tolist() == [0, 1, 2]
    with pytest.raises(InputError, match=r"the bands .* hold \[3, 3, 1\] spectra"):
        as_spectra([*items[:2], spectrum(specutils, meta={"band": "z"})])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"uncertainty": UnknownUncertainty(ERROR)}, "uncertainty of type 'unknown'"),
        ({"flux": FLUX * units.K}, "flux has unit K"),
        ({"wave": np.arange(len(WAVE)) * units.km / units.s}, "wave has unit km"),
        ({"flux": FLUX2[None] * UNIT, "uncertainty": InverseVariance(IVAR2[None])}, "flux must be"),
    ],
    ids=["unknown uncertainty", "temperature", "velocity", "cube"],
)
def test_spectra_that_do_not_fit_are_refused(specutils, options, message):
    with pytest.raises(InputError, match=message):
        as_spectra(spectrum(specutils, **options))


def test_lists_that_do_not_fit_are_refused(specutils):
    many = spectrum(specutils, flux=FLUX2 * UNIT, uncertainty=InverseVariance(IVAR2))
    with pytest.raises(InputError, match=r"must name each one's camera in meta\['band'\]"):
        as_spectra([many, many])
    with pytest.raises(InputError, match="spectra must be a path"):
        as_spectra([spectrum(specutils), 5])
    for items in ([], [1]):
        with pytest.raises(InputError, match="must hold specutils spectra, and at least one"):
            from_specutils(items)


def test_anything_with_the_same_attributes_will_do():
    uncertainty = SimpleNamespace(array=IVAR, uncertainty_type="ivar")
    duck = SimpleNamespace(spectral_axis=WAVE, flux=FLUX, uncertainty=uncertainty)
    check(as_spectra(duck))


@pytest.mark.parametrize("unit", [units.ABmag, units.STmag, units.dex(CGS), units.mag])
@pytest.mark.filterwarnings("ignore:there are no errors of the flux")
def test_spectra_in_magnitudes_are_refused(specutils, unit):
    """specutils's own flux raises where a spectrum is in magnitudes."""
    spectrum = specutils.Spectrum(spectral_axis=WAVE * units.AA, flux=FLUX * unit)
    with pytest.raises(InputError, match="flux per wavelength") as caught:
        qnet.classify(spectrum)
    assert "specutils" in str(caught.value) or f"unit {unit}" in str(caught.value)
    with pytest.raises(InputError, match="flux per wavelength"):
        qnet.io.from_arrays(WAVE, FLUX * unit, IVAR, targetid=[1])


@pytest.mark.parametrize("name", ["spectral_axis", "flux", "uncertainty", "mask", "meta"])
def test_whatever_an_attribute_raises_is_an_error_of_qnet(name):
    class Spectrum:
        spectral_axis, flux, uncertainty = WAVE * units.AA, FLUX * UNIT, InverseVariance(IVAR)
        mask, meta = None, {}

    assert len(qnet.io.from_specutils(Spectrum())) == 1

    def fail(_):
        raise LookupError("what their\nlibrary says")

    setattr(Spectrum, name, property(fail))
    with pytest.raises(InputError, match=r"a specutils Spectrum .*LookupError: what their"):
        qnet.classify([Spectrum()])


def test_a_type_of_the_same_name_is_told_by_its_module():
    class Spectra:
        pass

    with pytest.raises(InputError, match=r"desispec Spectra, .*, not .*test_io_specutils\.Spectra"):
        qnet.classify(Spectra())
    with pytest.raises(InputError, match=r"not with a .*table\.Table"):
        qnet.classify(Table({"flux": FLUX}), FLUX, IVAR)
