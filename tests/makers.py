"""Synthetic spectra, and files of them in the layouts of the surveys.

A layout is a function that returns the HDUs of a file; `write` puts them on disk: plain, compressed
as a whole (.gz) or image by image as fpack does it (.fz). Tests change the HDUs in between.
"""

from __future__ import annotations

import warnings

import numpy as np
from astropy.io import fits
from astropy.table import Table

#: Rest wavelength [Angstrom], equivalent width [Angstrom] and width [km/s] of some broad lines.
BROAD_LINES = (
    (1215.67, 80.0, 4000.0),
    (1549.06, 30.0, 4500.0),
    (1908.73, 20.0, 5000.0),
    (2799.12, 30.0, 3500.0),
    (4862.68, 40.0, 3500.0),
    (6564.61, 150.0, 3000.0),
)

#: Bit of and_mask that takes a pixel's weight.
COMBINEREJ = 1 << 25

#: Wavelengths [Angstrom] of DESI's cameras, in steps of 3.2 in place of 0.8.
DESI_WAVE = {
    "B": np.arange(3600.0, 5800.0, 3.2),
    "R": np.arange(5760.0, 7620.0, 3.2),
    "Z": np.arange(7520.0, 9824.0, 3.2),
}

#: log10 wavelengths of BOSS, in steps of 4e-4 in place of 1e-4.
BOSS_LOGLAM = 3.5563 + 4e-4 * np.arange(1150)


def quasar_flux(wave, z, *, slope=-1.5):
    """A power law, 1 at 6000 Angstrom, with broad emission lines at redshift z."""
    continuum = (np.asarray(wave) / 6000.0) ** slope
    flux = continuum.copy()
    for rest, width, velocity in BROAD_LINES:
        centre = rest * (1 + z)
        sigma = centre * velocity / 299792.458
        profile = np.exp(-0.5 * ((wave - centre) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        flux += width * (1 + z) * profile * continuum
    return flux


def make_spectra(wave, redshifts=(2.0,), *, seed=0, snr=5.0):
    """Flux and ivar (nspec, npix), float32, of quasars on one or each on its own wavelengths."""
    rng = np.random.default_rng(seed)
    wave = np.broadcast_to(wave, (len(redshifts), np.shape(wave)[-1]))
    rows = zip(wave, redshifts, strict=True)
    truth = np.array([quasar_flux(row, z) for row, z in rows])
    truth = truth.reshape(wave.shape)
    noise = (0.7 + 0.6 * rng.random(truth.shape)) / snr
    flux = truth + noise * rng.normal(size=truth.shape)
    return flux.astype(np.float32), (1 / noise**2).astype(np.float32)


def make_spectrum(z=2.0, *, wave=None, seed=0, snr=5.0):
    """Wavelengths, flux and ivar of one quasar, shape (npix,)."""
    wave = 10**BOSS_LOGLAM if wave is None else np.asarray(wave, dtype=np.float64)
    flux, ivar = make_spectra(wave, (z,), seed=seed, snr=snr)
    return wave, flux[0], ivar[0]


def wave_of(loglam):
    """Wavelengths of log10 of them in float32, as files of SDSS have it."""
    return 10.0 ** np.asarray(loglam, dtype=np.float32).astype(np.float64)


def replaced(name, data):
    """What changes HDUs: the image of a name gets other data."""
    return lambda hdus: [image(data, name) if hdu.name == name else hdu for hdu in hdus]


def as_spectra(source, *args, **options):
    """Spectra of arrays or of any object in memory, of one batch."""
    from qnet.io.objects.batches import read_source

    (batch,) = read_source(source, *args, **options)
    return batch.spectra


def check_camera(spectra, flux, ivar, wave, rtol=1e-6):
    """Compare the one camera of spectra with arrays."""
    (camera,) = spectra.cameras
    np.testing.assert_allclose(np.broadcast_to(wave, camera.wave.shape), camera.wave, rtol=1e-12)
    np.testing.assert_allclose(camera.flux, np.atleast_2d(flux), rtol=rtol)
    np.testing.assert_allclose(camera.ivar, np.atleast_2d(ivar), rtol=rtol)


def image(data=None, name="", **cards):
    """An image HDU; a name of '' writes no EXTNAME."""
    hdu = fits.ImageHDU(data, fits.Header(list(cards.items())))
    if name:
        hdu.header["EXTNAME"] = name
    return hdu


def primary(data=None, **cards):
    """The first HDU, empty or an image."""
    return fits.PrimaryHDU(data, fits.Header(list(cards.items())))


def table(columns, name="", **cards):
    """A table HDU of a dict of columns; a name of '' writes no EXTNAME."""
    hdu = fits.BinTableHDU(Table(dict(columns)), fits.Header(list(cards.items())))
    if name:
        hdu.header["EXTNAME"] = name
    return hdu


def write(path, hdus, *, order=None):
    """Write HDUs: gzipped for .gz, image by image for .fz; `order` shuffles those after the first.

    Returns the path.
    """
    first, *rest = hdus
    if order is not None:
        rest = [rest[index] for index in order]
    hdus = [first, *rest]
    if str(path).endswith(".fz"):
        hdus = _fpacked(hdus)
    fits.HDUList(hdus).writeto(path, output_verify="silentfix")
    return path


def _fpacked(hdus):
    """The HDUs as fpack leaves them: images lossless, an image in front moved behind a shell."""
    if hdus[0].data is not None:
        hdus = [fits.PrimaryHDU(), *hdus]
    full = [hdu.is_image and hdu.data is not None for hdu in hdus]
    return [_compressed(hdu) if n and full[n] else hdu for n, hdu in enumerate(hdus)]


def _compressed(hdu):
    return compressed(hdu.data, hdu.header.get("EXTNAME", ""), **_own_cards(hdu.header))


def compressed(data, name="", kind="GZIP_1", **cards):
    """An image HDU that is tile-compressed without loss."""
    with warnings.catch_warnings():  # of long names
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        header = fits.Header(list(cards.items()))
    named = {"name": name} if name else {}
    return fits.CompImageHDU(data, header, compression_type=kind, quantize_level=0, **named)


def _own_cards(header):
    """Cards that are not about the image's size or name."""
    words = ("SIMPLE", "XTENSION", "BITPIX", "EXTEND", "PCOUNT", "GCOUNT", "EXTNAME")
    return {
        key: value
        for key, value in header.items()
        if key not in words and not key.startswith("NAXIS")
    }


def coadd_columns(loglam, flux, ivar, *, and_mask=None, upper=False):
    """Columns of the COADD table of a spec file."""
    npix = len(loglam)
    columns = {
        "flux": np.asarray(flux),
        "loglam": np.asarray(loglam, dtype=np.float32),
        "ivar": np.asarray(ivar),
        "and_mask": np.zeros(npix, np.int32) if and_mask is None else and_mask,
        "or_mask": np.full(npix, COMBINEREJ, np.int32),
        "wdisp": np.ones(npix, np.float32),
        "sky": np.ones(npix, np.float32),
        "model": np.zeros(npix, np.float32),
    }
    return {key.upper(): value for key, value in columns.items()} if upper else columns


def one_row(**values):
    """Columns of a one-row table."""
    return {name: np.array([value]) for name, value in values.items()}


#: What the one-row table of a BOSS spec file says, beside much else.
BOSS_ROW = {
    "PLATE": np.int32(7102),
    "MJD": np.int32(56666),
    "FIBERID": np.int32(126),
    "THING_ID": np.int32(465298745),
    "PLUG_RA": 165.25,
    "PLUG_DEC": 58.5,
    "OBJTYPE": "QSO             ",
    "BOSS_TARGET1": np.int64(1) << 40,
    "EBOSS_TARGET0": np.int64(1) << 10,
    "ANCILLARY_TARGET1": np.int64(0),
    "FIELD": np.int32(99),
}

#: The same for SDSS-V.
SDSS5_ROW = {
    "FIELD": np.int32(15000),
    "MJD": np.int32(59146),
    "CATALOGID": np.int64(4375786564),
    "SDSS_ID": np.int64(54392544),
    "OBS": "APO",
    "TARGET_INDEX": np.int32(17),
    "RACAT": 20.5,
    "DECCAT": -0.25,
    "OBJTYPE": "science",
    "FIRSTCARTON": "bhm_rm_core",
}


def boss_spec(loglam, flux, ivar, *, and_mask=None, row=None, row_name="SPALL", coadd="COADD"):
    """A spec file of SDSS, BOSS or eBOSS; names of '' leave out EXTNAME."""
    columns = coadd_columns(loglam, flux, ivar, and_mask=and_mask)
    found = one_row(**(BOSS_ROW if row is None else row))
    lines = {"LINENAME": np.array(["Ly_alpha", "C_IV 1549"]), "LINEZ": np.array([2.0, 2.0])}
    # RA and DEC are where the telescope pointed, not where the fibre is.
    cards = {"PLATEID": 7102, "MJD": 56666, "FIBERID": 126, "RA": 1.0, "DEC": 2.0}
    return [
        primary(TELESCOP="SDSS 2.5-M", VERS2D="v5_7_0", RUN2D="v5_7_0", **cards),
        table(columns, coadd),
        table(found, row_name),
        table(lines, "SPZLINE"),
    ]


def sdss5_spec(loglam, flux, ivar, *, and_mask=None, row=None):
    """A spec file of SDSS-V."""
    columns = coadd_columns(loglam, flux, ivar, and_mask=and_mask, upper=True)
    lines = {"LINENAME": np.array(["Ly_alpha", "C_IV 1549"]), "LINEZ": np.array([2.0, 2.0])}
    return [
        primary(TELESCOP="SDSS 2.5-M", VERS2D="v6_1_3", RUN2D="v6_1_3", MJD=59146),
        table(columns, "COADD"),
        table(one_row(**(SDSS5_ROW if row is None else row)), "SPALL"),
        table({"Z": np.array([2.0, 2.1]), "CLASS": np.array(["QSO", "STAR"])}, "ZALL"),
        table(lines, "ZLINE"),
    ]


def plugmap(fibers, objtype=None):
    """Columns of the plugmap of spPlate and spCFrame files."""
    fibers = np.asarray(fibers, dtype=np.int32)
    return {
        "FIBERID": fibers,
        "RA": 100.0 + fibers / 1000.0,
        "DEC": -fibers / 1000.0,
        "OBJTYPE": np.array(["QSO"] * len(fibers) if objtype is None else objtype),
        "BOSS_TARGET1": np.int64(1) << (10 + np.arange(len(fibers), dtype=np.int64)),
    }


def spplate(flux, ivar, *, fibers, and_mask=None, start=3.5563, step=4e-4, objtype=None, **cards):
    """An spPlate file: a plate's fibres on one log grid."""
    zeros = np.zeros(flux.shape, np.int32)
    header = {"PLATEID": 7102, "MJD": 56666, "COEFF0": start, "COEFF1": step, "RUN2D": "v5_7_0"}
    return [
        primary(flux, **(header | cards)),
        image(ivar),
        image(zeros if and_mask is None else and_mask),
        image(zeros + COMBINEREJ),
        image(np.ones_like(flux)),
        table(plugmap(fibers, objtype)),
        image(np.ones_like(flux)),
    ]


def spfield(flux, ivar, *, catalogids, objtype=None, **columns):
    """An spField file of SDSS-V: as spPlate, with a row per target and its ids."""
    hdus = spplate(flux, ivar, fibers=np.arange(len(flux)), PLATEID=None, FIELDID=15143, MJD=59205)
    names = np.asarray(catalogids)
    targets = {
        "TARGET_INDEX": np.arange(1, len(flux) + 1),
        "FIBERID_LIST": np.array([f"{n} 50{n}" for n in range(len(flux))]),
        "CATALOGID": names,
        "ICATALOGID": np.array([int(name) if str(name).isdigit() else -999 for name in names]),
        "SDSS_ID": np.arange(len(flux)) + 114986844,
        "RACAT": 20.0 + np.arange(len(flux)),
        "DECCAT": np.zeros(len(flux)),
        "OBJTYPE": np.array(["science"] * len(flux) if objtype is None else objtype),
    }
    hdus[5] = table(targets | columns)
    return hdus


def spcframe(loglam, flux, ivar, *, fibers, camera="b1", mask=None, objtype=None, **cards):
    """An spCFrame file: a camera of one exposure, with wavelengths of each fibre's own."""
    header = {"PLATEID": 7102, "MJD": 56666, "EXPOSURE": 171234, "CAMERAS": f"{camera:<8}"}
    return [
        primary(flux, **(header | cards)),
        image(ivar),
        image(np.zeros(flux.shape, np.int32) if mask is None else mask),
        image(np.asarray(loglam, dtype=np.float32)),
        image(np.ones_like(flux)),
        table(plugmap(fibers, objtype)),
        image(np.ones_like(flux)),
    ]


def spall(plate, mjd, fibers, thing_ids):
    """An spAll file."""
    fibers = np.asarray(fibers, dtype=np.int32)
    columns = {
        "PLATE": np.full(len(fibers), plate, np.int32),
        "MJD": np.full(len(fibers), mjd, np.int32),
        "FIBERID": fibers,
        "THING_ID": np.asarray(thing_ids, dtype=np.int32),
        "CLASS": np.array(["QSO"] * len(fibers)),
    }
    return [primary(), table(columns)]


def fibermap(targetids, *, objtype=None, status=None, status_name="COADD_FIBERSTATUS", **columns):
    """Columns of a FIBERMAP; exposures of one target are at one place."""
    nspec = len(targetids)
    place = np.array([list(targetids).index(targetid) for targetid in targetids]) / 8
    return {
        "TARGETID": np.asarray(targetids, dtype=np.int64),
        "TARGET_RA": 150.0 + place,
        "TARGET_DEC": 2.0 - place,
        "OBJTYPE": np.array(["TGT"] * nspec if objtype is None else objtype),
        status_name: np.zeros(nspec, np.int32) if status is None else np.int32(status),
        "FIBER": np.arange(nspec, dtype=np.int32) + 2500,
        "DESI_TARGET": np.int64(1) << np.arange(nspec, dtype=np.int64),
        "FLUX_R": np.ones(nspec, np.float32),
    } | columns


#: Cards of the first HDU of tile and healpix files.
TILE_CARDS = {"TILEID": 169, "NIGHT": 20210419, "PETAL": 5, "SPGRP": "cumulative"}
HEALPIX_CARDS = {"SURVEY": "sv3", "PROGRAM": "dark", "HPXPIXEL": 26065, "SPGRP": "healpix"}
DEPENDENCIES = {
    "DEPNAM00": "desispec",
    "DEPVER00": "0.51.4",
    "DEPNAM01": "SPECPROD",
    "DEPVER01": "fuji",
}


def desi_coadd(cameras, fmap=None, *, masks=None, compress=False, **cards):
    """A coadd or spectra file of DESI.

    `cameras` is {name: (wave, flux, ivar)}, `masks` {name: mask} for those that have one, tile
    compressed if `compress`; without `fmap` there is no FIBERMAP.
    """
    hdus = [primary(**(DEPENDENCIES | cards))]
    if fmap is not None:
        hdus.append(table(fmap, "FIBERMAP"))
    for name, (wave, flux, ivar) in cameras.items():
        wave = np.asarray(wave, dtype=np.float64)
        hdus.append(image(wave, f"{name}_WAVELENGTH", BUNIT="Angstrom"))
        hdus.append(image(flux, f"{name}_FLUX", BUNIT="10**-17 erg/(s cm2 Angstrom)"))
        hdus.append(image(ivar, f"{name}_IVAR", BUNIT="10**+34 (s2 cm4 Angstrom2) / erg2"))
        if masks and name in masks:
            make = compressed if compress else image
            hdus.append(make(masks[name], f"{name}_MASK"))
        hdus.append(image(np.ones((len(flux), 3, len(wave)), np.float32), f"{name}_RESOLUTION"))
    return hdus


def desi_cframe(camera, wave, flux, ivar, fmap=None, *, mask=None, **cards):
    """A cframe file of DESI: one camera, its flux in front."""
    header = {"EXTNAME": "FLUX", "CAMERA": camera, "EXPID": 85607, "NIGHT": 20210419}
    hdus = [
        primary(flux, **(header | {"TILEID": 169} | DEPENDENCIES | cards)),
        image(ivar, "IVAR"),
        image(np.zeros(flux.shape, np.int32) if mask is None else mask, "MASK"),
        image(np.asarray(wave, dtype=np.float64), "WAVELENGTH"),
        image(np.ones((len(flux), 3, len(wave)), np.float32), "RESOLUTION"),
    ]
    return hdus if fmap is None else [*hdus, table(fmap, "FIBERMAP")]


def prepared(flux, ivar, columns, *, grid=None):
    """A prepared data file; QuasarNET's without grid, else with (spacing, start, step)."""
    cards = {} if grid is None else dict(zip(("QNGRID", "QNSTART", "QNSTEP"), grid, strict=True))
    return [primary(np.hstack([flux, ivar]), **cards), table(columns)]


def boss_set(redshifts=(1.0, 2.0, 3.0), *, seed=6):
    """Flux and ivar (nspec, npix) of quasars on the wavelengths of BOSS."""
    return make_spectra(10**BOSS_LOGLAM, redshifts, seed=seed)


def desi_set(redshifts=(1.0, 2.0, 3.0), *, cameras="BRZ", seed=0):
    """Cameras of DESI spectra: {name: (wave, flux, ivar)}."""
    return {
        name: (DESI_WAVE[name], *make_spectra(DESI_WAVE[name], redshifts, seed=seed + number))
        for number, name in enumerate(cameras)
    }
