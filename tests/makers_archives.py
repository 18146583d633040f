"""Files in the layouts of archives, space telescopes and the AAT surveys, as they publish them.

Each maker takes wavelengths in vacuum [Angstrom] with flux and ivar, and stores them as the layout
does: in its unit of wavelength, in air where it is in air, and with its kind of errors.
"""

from __future__ import annotations

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.table import Table

from makers import image, make_spectra, primary, table

CLIGHT = 2.99792458e18  # Angstrom / s

#: 1e-17 erg/s/cm2/A times a squared wavelength [Angstrom], over 1 Jy.
JANSKY = 1e-17 / CLIGHT / 1e-23


def to_air(wave):
    """Wavelengths in air of those in vacuum: the refractive index of Morton (2000), inverted."""
    sigma2 = (1e4 / np.asarray(wave)) ** 2
    index = 1 + 8.34254e-5 + 2.406147e-2 / (130 - sigma2) + 1.5998e-4 / (38.9 - sigma2)
    return wave / index


def sigma(ivar):
    """Standard deviations; NaN without weight."""
    return np.where(ivar > 0, 1 / np.sqrt(np.where(ivar > 0, ivar, 1)), np.nan).astype(np.float32)


def variance(ivar):
    """Variances; NaN without weight."""
    return sigma(ivar) ** 2


def eso(wave, flux, ivar, *, air=True, unit="erg.cm**(-2).s**(-1).angstrom**(-1)", **cards):
    """An ESO Phase 3 spectrum: one row of vector cells, as X-shooter's, with a raw flux beside."""
    stored, error = (to_air(wave) if air else wave), sigma(ivar)
    columns = {
        "WAVE": (stored / 10, "nm", "spec:Data.SpectralAxis.Value", "em.wl"),
        "FLUX_REDUCED": (flux * 5, "adu", "eso:Data.FluxAxis.Value", "phot.flux;stat.uncalib"),
        "ERR_REDUCED": (error * 5, "adu", "eso:Data.FluxAxis.Accuracy.StatError", "stat.error"),
        "FLUX": (flux * 1e-17, unit, "spec:Data.FluxAxis.Value", "phot.flux;em.wl;meta.main"),
        "ERR": (error * 1e-17, unit, "spec:Data.FluxAxis.Accuracy.StatError", "stat.error"),
        "QUAL": (
            np.where(ivar > 0, 0, 1).astype(np.int32),
            "",
            "spec:Data.FluxAxis.Accurancy.QualityStatus",
            "meta.code.qual",
        ),
        "SNR": (flux / error, "", "eso:Data.FluxAxis.Accuracy.SNR", "stat.snr"),
    }
    hdu = fits.BinTableHDU.from_columns(
        [
            fits.Column(
                name, f"{len(wave)}{'J' if name == 'QUAL' else 'D'}", unit=unit, array=values[None]
            )
            for name, (values, unit, _, _) in columns.items()
        ]
    )
    hdu.header["EXTNAME"] = "SPECTRUM"
    hdu.header["VOCLASS"], hdu.header["NELEM"] = "SPECTRUM V2.0", len(wave)
    for number, (_, _, utype, ucd) in enumerate(columns.values(), start=1):
        hdu.header[f"TUTYP{number}"] = utype
        hdu.header[f"TUCD{number}"] = ucd + (";obs.atmos" if air and number == 1 else "")
    header = {"ORIGIN": "ESO", "TELESCOP": "ESO-VLT-U2", "INSTRUME": "XSHOOTER"}
    header |= {"PRODCATG": "SCIENCE.SPECTRUM", "OBJECT": "J0100+2802", "RA": 15.05, "DEC": 28.04}
    header |= {"SPECSYS": "BARYCENT", "FLUXCAL": "ABSOLUTE", "CONTNORM": False}
    return [primary(**(header | cards)), hdu]


def euclid(wave, flux, ivar, *, ids, scale=1e-16, mask=None, dithers=2):
    """A tile of Euclid's combined spectra: some HDUs an object, flux in units of FSCALE."""
    hdus = [primary(FITS_DEF="sir.combinedSpectra", TILE_ID=102160339, N_OBJ=len(ids))]
    for number, targetid in enumerate(ids):
        meta = image(None, f"{number}_META", OBJ_ID=targetid, RA_OBJ=269.0 + number, DEC_OBJ=66.0)
        bad = ivar[number] <= 0
        columns = {
            "WAVELENGTH": np.float32(wave),
            "SIGNAL": np.float32(flux[number] * 1e-17 / scale),
            "MASK": np.int32(bad) * 65 if mask is None else np.int32(mask[number]),
            "QUALITY": np.ones(len(wave), np.float32),
            "VAR": np.float32(variance(ivar[number]) * (1e-17 / scale) ** 2),
            "NDITH": np.full(len(wave), 4, np.int32),
        }
        cards = {"FSCALE": scale, "WMIN": wave[0], "BINCOUNT": len(wave), "EXPTIME": 2270.0}
        hdus += [meta, _euclid_table(columns, f"{number}_COMBINED1D_SIGNAL", cards)]
        for dither in range(dithers):
            name = f"{number}_DITH1D_{4500 + dither}"
            single = {key: values for key, values in columns.items() if key != "NDITH"}
            hdus.append(_euclid_table(single, f"{name}_SIGNAL", cards))
            hdus.append(table({"OBJ_ID": np.array([5, 6])}, f"{name}_CONTAMINANTS"))
    return hdus


def euclid_table(wave, flux, ivar, *, scale=1e-16, **cards):
    """The combined spectrum of one object as IRSA gives it: a table with the scale in the unit."""
    unit = units.Unit(f"{scale} erg / (s cm2 Angstrom)")
    columns = {
        "WAVELENGTH": wave * units.AA,
        "SIGNAL": flux * 1e-17 / scale * unit,
        "MASK": np.where(ivar > 0, 2, 65).astype(np.int32),
        "QUALITY": np.ones(len(wave), np.float32),
        "VAR": variance(ivar) * (1e-17 / scale) ** 2 * unit**2,
        "NDITH": np.full(len(wave), 4, np.int32),
    }
    return Table(columns, meta=cards)


def _euclid_table(columns, name, cards):
    hdu = table(columns, name, **cards)
    for number, column in enumerate(columns, start=1):
        texts = {"WAVELENGTH": "Angstrom", "SIGNAL": "erg/s/cm2/Angstrom"}
        if column in texts:
            hdu.header[f"TUNIT{number}"] = texts[column]
    return hdu


def _jwst_columns(wave, flux, ivar, *, error="FLUX_ERROR", swap=False):
    """Columns of a JWST spectrum, or of several: micron and Jy; swap: from red to blue."""
    jansky = np.square(wave) * JANSKY
    columns = {
        "WAVELENGTH": np.broadcast_to(wave / 1e4, flux.shape).astype(np.float64),
        "FLUX": np.float64(flux) * jansky,
        error: np.float64(sigma(ivar)) * jansky,
        "SURF_BRIGHT": np.zeros(flux.shape),
        "SB_ERROR": np.zeros(flux.shape),
        "DQ": np.where(ivar > 0, 4, 1 + 4).astype(np.uint32),
        "NPIXELS": np.full(flux.shape, 5.0),
    }
    return {name: values[..., ::-1] for name, values in columns.items()} if swap else columns


def _jwst_table(columns, name, **cards):
    hdu = table(columns, name, **cards)
    texts = {"WAVELENGTH": "um", "SURF_BRIGHT": "MJy/sr", "SB_ERROR": "MJy/sr"}
    texts |= dict.fromkeys(("FLUX", "FLUX_ERROR", "ERROR"), "Jy")
    for number, column in enumerate(columns, start=1):
        if column in texts:
            hdu.header[f"TUNIT{number}"] = texts[column]
    return hdu


def _jwst_asdf():
    return table({"ASDF_METADATA": np.zeros((1, 40), np.uint8)}, "ASDF")


def jwst(wave, flux, ivar, *, ids, name="EXTRACT1D"):
    """A JWST x1d (c1d) file: an HDU per source, a row per pixel."""
    error = "ERROR" if name == "COMBINE1D" else "FLUX_ERROR"
    hdus = [primary(TELESCOP="JWST", INSTRUME="NIRSPEC", TARGNAME="ABELL2744", TARG_RA=3.5)]
    for number, targetid in enumerate(ids):
        columns = _jwst_columns(wave, flux[number], ivar[number], error=error)
        cards = {"SOURCEID": targetid, "SRCNAME": f"s{targetid}", "SRCTYPE": "POINT"}
        cards |= {"SRCRA": 3.5 + number, "SRCDEC": -30.0, "SPORDER": 1}
        hdus.append(_jwst_table(columns, name, EXTVER=number + 1, **cards))
    return [*hdus, _jwst_asdf()]


def jwst_wfss(wave, flux, ivar, *, ids, swap=False):
    """A WFSS x1d file: a row of padded vector cells per source."""
    columns = {"SOURCE_ID": np.int32(ids)}
    columns |= _jwst_columns(wave, flux, ivar, swap=swap)
    pad = np.full((len(ids), 7), np.nan)
    for name, values in columns.items():
        if values.ndim == 2:
            fill = np.zeros_like(pad, dtype=values.dtype) if name == "DQ" else pad
            columns[name] = np.hstack([values, fill])
    columns["NELEMENTS"] = np.full(len(ids), len(wave), np.uint32)
    columns["SOURCE_TYPE"] = np.array(["POINT"] * len(ids))
    columns["SOURCE_RA"], columns["SOURCE_DEC"] = (
        53.0 + np.arange(len(ids)),
        -27.0 * np.ones(len(ids)),
    )
    columns["SPECTRAL_ORDER"] = np.ones(len(ids), np.int32)
    first = primary(TELESCOP="JWST", INSTRUME="NIRISS", EXP_TYPE="NIS_WFSS")
    return [first, _jwst_table(columns, "EXTRACT1D"), _jwst_asdf()]


def linear_cards(wave, step="CDELT1", *, reference=1.0, air=True):
    """Cards of a linear WCS of equidistant wavelengths, which are in air, and their wavelengths."""
    stored = to_air(wave) if air else np.asarray(wave)
    width = (stored[-1] - stored[0]) / (len(stored) - 1)
    cards = {"CRVAL1": stored[0] + (reference - 1) * width, step: width, "CRPIX1": reference}
    return cards, stored[0] + width * np.arange(len(stored))


def _sixdf_cards(number):
    return {
        "OBSRA": 10.5 + number,
        "OBSDEC": -30.25,
        "Z": 0.0507,
        "Z_HELIO": 0.0508,
        "QUALITY": 4,
        "TARGET": f"g0042000-30150{number}",
    }


def sixdf(wave, flux, ivar, *, layout):
    """A 6dFGS file: 'split' and 'archive' are images of rows, 'table' has no errors."""
    cards, stored = linear_cards(wave)
    cards |= {"CTYPE1": "LINEAR", "CUNIT1": "Angstroms"}
    if layout == "table":
        columns = {"WAVE": stored, "FLUX": flux[0]}
        hdu = table(columns)
        hdu.header["TUNIT1"], hdu.header["TUNIT2"] = "Angstroms", "counts/s"
        return [primary(**_sixdf_cards(0)), hdu]
    sky = np.ones(len(wave))
    rows = [
        np.stack([one, variance(weights), sky, stored]).astype(np.float32)
        for one, weights in zip(flux, ivar, strict=True)
    ]
    if layout == "split":
        return [primary(rows[0], **(cards | _sixdf_cards(0)))]
    hdus = [primary(np.ones((60, 60), np.int16))]
    hdus += [image(np.ones((60, 60), np.int16)) for _ in range(4)]
    for number, data in enumerate(rows):
        for arm, part in (("V", data[:3, :300]), ("R", data[:3, 300:600])):
            hdus.append(image(part, f"SPECTRUM {arm}", **(cards | _sixdf_cards(number))))
        hdus.append(image(data, "SPECTRUM VR", **(cards | _sixdf_cards(number))))
    return hdus


def twoqz(wave, flux, ivar, *, survey="2QZ", errors=False):
    """A spectrum of 2QZ or 2SLAQ as GAMA's archive has it: counts in the first HDU, no errors."""
    cards, _ = linear_cards(wave, "CD1_1" if survey == "2QZ" else "CDELT1")
    names = {"SURVEY": survey, "GAMANAME": "GAMAJ120000.00+000000.0", "SPECID": f"{survey}_J1200"}
    hdus = [primary(flux[0], **(cards | names | {"RA": 180.0, "DEC": 0.5, "Z": 1.2}))]
    return [*hdus, image(variance(ivar[0]), "VARIANCE", **cards)] if errors else hdus


def gama(wave, flux, ivar):
    """A GAMA spectrum: five rows, of which the first two are calibrated flux and its error."""
    cards, _ = linear_cards(wave, "CD1_1", reference=1200.0)
    names = {"ORIGIN": "GAMA", "GAMANAME": "GAMAJ085500.00+010000.0", "SPECID": "G09_Y1_AN1_001"}
    names |= {"CATAID": 204868, "RA": 133.75, "DEC": 1.0, "Z": 0.3}
    names |= {"ROW1": "Flux-calibrated spectrum in 10^-17 erg/s/cm^2/A", "ROW2": "Error"}
    counts = 30 * flux[0]
    rows = [flux[0], sigma(ivar[0]), counts, 30 * sigma(ivar[0]), np.ones(len(wave))]
    return [primary(np.stack(rows).astype(np.float32), **(cards | names))]


def ozdes(wave, flux, ivar, *, exposures=2):
    """An OzDES spectrum: the coadd with variance and bad pixels, and the same of each exposure."""
    cards, _ = linear_cards(wave)
    cards |= {"CTYPE1": "Wavelength", "CUNIT1": "Angstrom", "BUNIT": "count"}
    names = {"REFERENC": "2020MNRAS.496...19L ozdes", "OBJECT": "SVA1_COADD-2925467366"}
    bad = np.int16(ivar[0] <= 0)
    triple = [flux[0], variance(ivar[0]), bad]
    hdus = [
        primary(triple[0], **(cards | names | {"RA": 52.5, "DEC": -28.0, "Z": 2.0})),
        image(triple[1], "VARIANCE", **cards),
        image(triple[2], "BADPIX", **cards),
    ]
    for number in range(exposures):
        for name, values in zip(("", "VARIANCE_", "BADPIX_"), triple, strict=True):
            hdus.append(image(values, f"{name}EXP{number}", **cards))
    return hdus


def aaomega(wave, flux, ivar, *, kinds=None, science=""):
    """A reduced AAOmega frame of 2dfdr: all fibres, their variance, and a table of them."""
    cards, _ = linear_cards(wave, reference=len(wave) / 2)
    nspec = len(flux)
    fibres = {
        "NAME": np.array([f"target_{n}" for n in range(nspec)]),
        "RA": np.radians(150.0 + np.arange(nspec)),
        "DEC": np.radians(-2.0 * np.ones(nspec)),
        **{name: np.zeros(nspec) for name in ("X", "Y", "XERR", "YERR", "THETA")},
        "TYPE": np.array(["P"] * nspec if kinds is None else kinds),
        "PIVOT": np.arange(1, nspec + 1, dtype=np.int32),
        "MAGNITUDE": np.full(nspec, 19.5),
        "PID": np.zeros(nspec, np.int32),
        "RETRACTOR": np.array(["r"] * nspec),
        "COMMENT": np.array(["quasar"] * nspec),
    }
    names = {"INSTRUME": "AAOMEGA-2dF", "OBJECT": "field", "MEANRA": 150.0, "MEANDEC": -2.0}
    if science:
        names["EXTNAME"] = science
    return [
        primary(flux, **(cards | names)),
        image(variance(ivar), "VARIANCE", **cards),
        table(fibres, "FIBRES"),
        table({"ARG": np.array(["a"])}, "REDUCTION_ARGS"),
    ]


def _wat(number, text):
    """A text over WAT cards of 68 characters."""
    return {
        f"WAT{number}_{part + 1:03d}": text[68 * part : 68 * part + 68]
        for part in range(-(-len(text) // 68))
    }


def iraf(flux, ivar, specs, *, bands=True, unit="Angstroms", **cards):
    """An IRAF multispec image, with bands of raw flux, sky and sigma; `specs` after each specN."""
    spectra = " ".join(f'spec{n} = "{spec}"' for n, spec in enumerate(specs, start=1))
    names = {f"APID{n}": f"star{n}" for n in range(1, len(specs) + 1)}
    header = {"CTYPE1": "MULTISPE", "CTYPE2": "MULTISPE", "CD1_1": 1.0, "AIRORVAC": "air"} | names
    header |= _wat(0, "system=multispec")
    header |= _wat(1, f"wtype=multispec label=Wavelength units={unit}")
    header |= _wat(2, f"wtype=multispec {spectra}")
    if not bands:
        return [primary(np.squeeze(flux), **(header | cards))]
    stack = np.stack([flux, 2 * flux, np.ones_like(flux), np.nan_to_num(sigma(ivar))])
    header |= {"BANDID1": "spectrum - background fit, weights variance, clean no"}
    header |= {"BANDID2": "raw - background fit, weights none, clean no"}
    header |= {"BANDID3": "background - background fit"}
    header |= {"BANDID4": "sigma - background fit, weights variance, clean no"}
    return [primary(stack.astype(np.float32), **(header | cards))]


def mmu_columns(wave, flux, ivar, *, ids, padding=0, weights=True):
    """Columns of rows of the Multimodal Universe; padded with lambda -1, ivar 0, mask True."""
    nspec = len(flux)
    waves = np.tile(np.float32(wave), (nspec, 1))
    bad = ivar <= 0
    parts = {"flux": (flux, 7.0), "lambda" if weights else "wavelength": (waves, -1.0)}
    if weights:
        parts |= {"ivar": (ivar, 0.0), "mask": (bad, True), "lsf_sigma": (np.ones_like(flux), 1.0)}
    columns = {
        name: np.pad(values, ((0, 0), (0, padding)), constant_values=fill)
        for name, (values, fill) in parts.items()
    }
    catalogue = {"object_id": np.asarray(ids), "ra": 10.0 + np.arange(nspec), "dec": np.ones(nspec)}
    return columns, catalogue | {"Z": np.full(nspec, 2.0), "healpix": np.full(nspec, 7)}


def mmu_hdf5(path, *arrays, **options):
    """A file of the Multimodal Universe: HDF5, a data set a column."""
    import h5py

    spectra, catalogue = mmu_columns(*arrays, **options)
    with h5py.File(path, "w") as stream:
        for name, values in spectra.items():
            stream.create_dataset(f"spectrum_{name}", data=values)
        for name, values in catalogue.items():
            stream.create_dataset(
                name, data=values.astype("S") if values.dtype.kind == "U" else values
            )
    return path


def mmu_parquet(path, *arrays, **options):
    """The same as Parquet: a struct of lists in a row."""
    import pyarrow as pa
    from pyarrow import parquet

    spectra, catalogue = mmu_columns(*arrays, **options)
    lists = [pa.array(list(values)) for values in spectra.values()]
    struct = pa.StructArray.from_arrays(lists, names=list(spectra))
    rows = {"spectrum": struct} | {name: pa.array(values) for name, values in catalogue.items()}
    parquet.write_table(pa.table(rows), path)
    return path


def presets(wave=None):
    """HDUs of three spectra (or one) in each layout in FITS, by the name of its reader."""
    wave = np.linspace(3800.0, 9200.0, 900) if wave is None else wave
    flux, ivar = make_spectra(wave, (1.0, 2.0, 3.0), seed=6)
    dispersion = f"{to_air(wave)[0]:.9f} {np.diff(to_air(wave)).mean():.9f} {len(wave)} 0. 1 2"
    return {
        "ESO Phase 3 spectrum": eso(wave, flux[0], ivar[0]),
        "Euclid combined spectra": euclid(wave, flux, ivar, ids=[7, 8, 9]),
        "Euclid combined spectrum": [
            primary(),
            table(euclid_table(wave, flux[0], ivar[0]), "SPECTRUM"),
        ],
        "JWST spectra": jwst(wave, flux, ivar, ids=[7, 8, 9]),
        "6dFGS spectra": sixdf(wave, flux, ivar, layout="archive"),
        "2QZ or 2SLAQ spectrum": twoqz(wave, flux, ivar, errors=True),
        "GAMA spectrum": gama(wave, flux, ivar),
        "OzDES spectrum": ozdes(wave, flux, ivar),
        "2dfdr frame": aaomega(wave, flux, ivar),
        "IRAF multispec image": iraf(flux, ivar, [f"{n} {n} 0 {dispersion}" for n in (1, 2, 3)]),
    }
