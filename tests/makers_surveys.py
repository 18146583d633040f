"""Files of further surveys, from their published layouts: PFS, WEAVE, 4MOST, LAMOST, SDSS's astra.

Each maker takes flux per wavelength [1e-17 erg/s/cm2/A] and its ivar on wavelengths in vacuum
[Angstrom], as `makers.make_spectra` gives them, and returns HDUs in the units and on the
wavelengths of the survey. `expected` arrays of a test are what went in.
"""

from __future__ import annotations

import warnings

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.wcs import WCS

from makers import compressed, image, make_spectra, primary, table

#: Wavelengths [Angstrom] in vacuum on the surveys' grids, in wider steps.
PFS_WAVE = np.linspace(3800.0, 12600.0, 2201)
WEAVE_WAVE = {"BLUE": 3676.0 + 2.0 * np.arange(1200), "RED": 5772.0 + 2.0 * np.arange(1900)}
QMOST_WAVE = 3700.0 + 2.0 * np.arange(2901)
LAMOST_WAVE = 10 ** (3.5682 + 4e-4 * np.arange(977))
MWM_WAVE = 10 ** (3.5523 + 4e-4 * np.arange(1162))

#: Bits of PFS's MASK by name, in an order of one file.
PFS_BITS = {
    "BAD": 0,
    "SAT": 1,
    "CR": 3,
    "EDGE": 4,
    "NO_DATA": 8,
    "FIBERTRACE": 9,
    "UNMASKEDNAN": 11,
}


def refractive_index(vacuum):
    """Index of air at 15 C by vacuum wavelength [Angstrom]: Ciddor 1996, as astropy knows it."""
    from astropy.units import Quantity

    squared = (1e4 / Quantity(vacuum).value) ** 2
    return 1 + 0.05792105 / (238.0185 - squared) + 0.00167917 / (57.362 - squared)


def in_air(vacuum):
    """Wavelengths in air of wavelengths in vacuum [Angstrom]."""
    return np.asarray(vacuum) / refractive_index(vacuum)


def to_njy(wave, flux, ivar):
    """Flux [nJy] and its variance of flux per wavelength [1e-17 erg/s/cm2/A]."""
    per_wave = units.Unit("1e-17 erg / (s cm2 Angstrom)")
    one = (1 * per_wave).to_value("nJy", units.spectral_density(wave * units.AA))
    with np.errstate(divide="ignore"):
        return (flux * one).astype(np.float32), (one**2 / ivar).astype(np.float32)


def _hierarch(**cards):
    """A header with cards of long names."""
    header = fits.Header()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        for name, value in cards.items():
            header[name if len(name) < 9 else f"HIERARCH {name}"] = value
    return header


def _named(hdu, name, header=None):
    """An HDU with a name and further cards."""
    hdu.header.extend(header or [])
    hdu.name = name
    return hdu


def pfs_wcs(wave):
    """Cards of PFS's `WavelengthArray`: nm in the writer, metre in the file, first pixel at 2."""
    wcs = WCS(naxis=1)
    wcs.wcs.ctype, wcs.wcs.cname, wcs.wcs.cunit = ["WAVE"], ["Wavelength"], ["nm"]
    nm = np.asarray(wave) / 10
    wcs.wcs.crval = [0.5 * (nm[0] + nm[-1])]
    wcs.wcs.crpix = [0.5 * len(nm) + 1.5]
    wcs.wcs.cdelt = [(nm[-1] - nm[0]) / (len(nm) - 1)]
    return wcs.to_header()


def pfs_object(wave, flux, ivar, *, mask=None, bits=None, wcs=True, **target):
    """A pfsObject (pfsSingle) file of one object."""
    flux, variance = to_njy(wave, flux, ivar)
    mask = np.zeros(len(wave), np.int32) if mask is None else np.asarray(mask, np.int32)
    cards = pfs_wcs(wave) if wcs else fits.Header()
    cards["DAMD_VER"] = 2
    planes = _hierarch(**{f"MP_{k}": v for k, v in (PFS_BITS if bits is None else bits).items()})
    ids = {"CATID": 10053, "TRACT": 1, "PATCH": "1,1", "OBJID": 3612 << 32, "RA": 150.5}
    ids |= {"DEC": 2.25, "TARGETTYPE": 1} | target
    covariance = np.stack([variance, 0.1 * variance, np.zeros_like(variance)])
    visits = {"visit": np.arange(2, dtype=np.int32), "fiberId": np.arange(2, dtype=np.int32)}
    tables = {"wavelength": wave / 10, "flux": flux, "error": np.sqrt(variance), "mask": mask}
    waves = [] if wcs else [_named(fits.ImageHDU(wave / 10), "WAVELENGTH", cards)]
    return [
        primary(),
        _named(fits.ImageHDU(flux), "FLUX", cards),
        _named(fits.ImageHDU(mask), "MASK", planes + cards),
        *waves,
        _named(table({"filterName": ["g_hsc"], "fiberFlux": [10.0]}), "TARGET", _hierarch(**ids)),
        image(np.zeros_like(flux), "SKY"),
        _named(fits.ImageHDU(covariance), "COVAR", cards),
        image(np.eye(10, dtype=np.float32), "COVAR2"),
        table(visits, "OBSERVATIONS"),
        table({"blackSpotId": [-1]}, "NOTES"),
        table(tables, "FLUXTABLE"),
    ]


def pfs_old_object(wave, flux, ivar, *, mask=None, **target):
    """A pfsObject file of the first data model: linear WCS, no names of mask bits."""
    flux, variance = to_njy(wave, flux, ivar)
    mask = np.zeros(len(wave), np.int32) if mask is None else np.asarray(mask, np.int32)
    nm = wave / 10
    cards = {"CRVAL1": nm[0], "CRPIX1": 1.0, "CD1_1": nm[1] - nm[0]}
    ids = {"tract": 0, "patch": "0,0", "catId": 0, "objId": 1, "pfsVHash": 961095851} | target
    pixels = {"lambda": nm.astype(np.float32), "flux": flux, "fluxVariance": variance, "mask": mask}
    return [
        primary(**ids),
        image(flux, "FLUX", **cards),
        table(pixels, "FLUXTBL"),
        image(np.stack([variance, *np.zeros((2, len(variance)))]), "COVAR"),
        image(np.eye(10), "COVAR2"),
        image(mask, "MASK"),
        image(np.zeros_like(flux), "SKY"),
        table({"visit": np.arange(1), "pfsConfigId": np.arange(1)}, "CONFIG"),
    ]


def _varying(name, rows, code, column="value"):
    """A table of one column with an array of any length in each row."""
    values = np.empty(len(rows), dtype=object)
    values[:] = rows
    return fits.BinTableHDU.from_columns(
        [fits.Column(column, f"P{code}()", array=values)], name=name
    )


def pfs_coadd(wave, flux, ivar, *, mask=None, bits=None, lengths=None, cube=False, **target):
    """A pfsCoadd (pfsCalibrated) file of many objects.

    `bits` are those of each row; `lengths` cuts rows short and writes tables; with `cube` COVAR is
    an image (nspec, 3, npix), as the data model has it, else the table that its writer makes.
    """
    nspec = len(flux)
    flux, variance = to_njy(wave, flux, ivar)
    mask = np.zeros(flux.shape, np.int32) if mask is None else np.asarray(mask, np.int32)
    bits = [PFS_BITS] * nspec if bits is None else bits
    index = np.arange(nspec, dtype=np.int16)
    columns = {
        "targetId": index,
        "catId": np.full(nspec, 10053, np.int32),
        "tract": np.ones(nspec, np.int32),
        "objId": (np.int64(1) << 55) + np.arange(nspec),
        "ra": 150.0 + np.arange(nspec),
        "dec": np.full(nspec, 2.0),
        "targetType": np.ones(nspec, np.int16),
    } | target
    targets = fits.BinTableHDU.from_columns(
        [*table(columns).columns, fits.Column("patch", "PA()", array=["1,1"] * nspec)],
        name="TARGET",
    )
    texts = [
        "".join(f"MP_{name}: {bit}\n" for name, bit in row.items()) + "W_VISIT: 117\n"
        for row in bits
    ]
    metadata = fits.BinTableHDU.from_columns(
        [
            fits.Column("targetId", "I", array=index),
            fits.Column("metadata", "PA()", array=texts),
        ],
        name="METADATA",
    )
    ends = [len(wave)] * nspec if lengths is None else lengths
    rows = [slice(0, end) for end in ends]
    if lengths is None:
        waves = image(wave / 10, "WAVELENGTH")
        fluxes, masks = image(flux, "FLUX"), compressed(mask, "MASK", "RICE_1")
    else:
        waves = _varying("WAVELENGTH", [wave[row] / 10 for row in rows], "D")
        fluxes = _varying("FLUX", [x[row] for x, row in zip(flux, rows, strict=True)], "E")
        masks = _varying("MASK", [x[row] for x, row in zip(mask, rows, strict=True)], "J")
    if cube:
        covar = image(
            np.stack([variance, 0.1 * variance, np.zeros_like(variance)], axis=1), "COVAR"
        )
    else:
        parts = [
            _varying(
                "", [f * x[row] for x, row in zip(variance, rows, strict=True)], "E", f"row_{n}"
            )
            for n, f in enumerate(np.float32([1, 0.1, 0.01]))
        ]
        covar = fits.BinTableHDU.from_columns([part.columns[0] for part in parts], name="COVAR")
    return [
        primary(DAMD_VER=1),
        targets,
        table({"targetId": index, "fiberFlux": np.ones(nspec)}, "TARGETFLUX"),
        table({"targetId": index, "visit": np.arange(nspec)}, "OBSERVATIONS"),
        waves,
        fluxes,
        masks,
        image(np.zeros_like(flux), "SKY"),
        covar,
        metadata,
        table({"targetId": index, "wavelength": np.ones((nspec, 3)), "flux": np.ones((nspec, 3)),
               "error": np.ones((nspec, 3)), "mask": np.zeros((nspec, 3), np.int32)}, "FLUXTABLE"),
        table({"blackSpotId": index}, "NOTES"),
    ]  # fmt: skip


def weave_l1(arm, wave, flux, ivar, *, fibres=None, nspec=None, **cards):
    """An arm of a WEAVE L1 file, in counts, on wavelengths in air in equal steps."""
    count, npix = flux.shape
    sensitivity = (1e-18 * (1 + np.linspace(0, 1, npix))).astype(np.float32)
    sensitivity = (
        np.tile(sensitivity, (count, 1)) * (1 + np.arange(count, dtype=np.float32))[:, None]
    )
    scale = 1e-17 / sensitivity
    data, weight = (flux * scale).astype(np.float32), (ivar / scale**2).astype(np.float32)
    linear = {"CRVAL1": wave[0], "CRPIX1": 1.0, "CD1_1": wave[1] - wave[0], "CUNIT1": "Angstrom"}
    numbers = np.arange(1, count + 1) if nspec is None else np.asarray(nspec)
    order = np.arange(1, len(numbers) + 1)
    columns = {
        "FIBREID": order.astype(np.int32),
        "CNAME": np.array([f"WVE_0{n}000000+0000000" for n in order]),
        "TARGID": np.array([f"target {n}" for n in order]),
        "TARGRA": 10.0 + order,
        "TARGDEC": order / 10.0,
        "TARGUSE": np.array(["T"] * len(order)),
        "NSPEC": numbers.astype(np.int32),
    } | (fibres or {})
    header = {"RUN": 1002814, "OBID": 3001, "CAMERA": f"WEAVE{arm}", "MJD-OBS": 59000.25} | cards
    return [
        primary(**header),
        image(data, f"{arm}_DATA", BUNIT="ADU", **linear),
        image(weight, f"{arm}_IVAR", **linear),
        image(data + 1, f"{arm}_DATA_NOSS", **linear),
        image(weight, f"{arm}_IVAR_NOSS", **linear),
        image(sensitivity, f"{arm}_SENSFUNC", BUNIT="erg/cm2/s/Angstrom/ADU"),
        table(columns, "FIBTABLE"),
    ]


def qmost_l1(wave, flux, ivar, *, qual=None, first=None, columns=None, **cards):
    """A 4MOST L1 file of one spectrum, on wavelengths in air."""
    npix = len(wave)
    with np.errstate(divide="ignore"):
        error = 1e-17 / np.sqrt(ivar)
    unit, code = "erg/(s*cm^2*Angstrom)", f"{npix}E"
    qual = np.zeros(npix, np.int32) if qual is None else np.asarray(qual, np.int32)
    parts = {
        "WAVE": fits.Column("WAVE", code, "Angstrom", array=in_air(wave)[None]),
        "FLUX": fits.Column("FLUX", code, unit, array=1e-17 * flux[None]),
        "ERR_FLUX": fits.Column("ERR_FLUX", code, unit, array=error[None]),
        "QUAL": fits.Column("QUAL", f"{npix}J", null=-1, array=qual[None]),
        "FLUX_NOSS": fits.Column("FLUX_NOSS", code, unit, array=2e-17 * flux[None]),
        "ERR_FLUX_NOSS": fits.Column("ERR_FLUX_NOSS", code, unit, array=error[None]),
    } | (columns or {})
    hdu = fits.BinTableHDU.from_columns([part for part in parts.values() if part is not None])
    ids = {"CNAME": "QMOST_10293014-3015298", "TRG_UID": 123456789012, "TRG_NME": "S0412",
           "TRG_RA": 157.37, "TRG_DEC": -30.25, "FIB_USE": 1}  # fmt: skip
    hdu.header.extend(fits.Header(list((ids | cards).items())))
    hdu.name = "PHASE3SPECTRUM"
    header = {"TELESCOP": "ESO-VISTA", "INSTRUME": "QMOST", "MJD-OBS": 60000.0} | (first or {})
    return [primary(**header), hdu]


def qmost_mec(wave, flux, ivar, *, qual=None, error=False, fibres=None, **cards):
    """A 4MOST container of the spectra of a night, `wave` (in air) in equal steps."""
    count, npix = flux.shape
    unit, code = "erg/(s*cm^2*Angstrom)", f"{npix}E"
    qual = np.zeros(flux.shape, np.int32) if qual is None else np.asarray(qual, np.int32)
    with np.errstate(divide="ignore"):
        weight = 1e-17 / np.sqrt(ivar) if error else 1e34 * ivar
    names = ("ERR_FLUX", unit) if error else ("FLUX_IVAR", "s^2*cm^4*Angstrom^2/erg^2")
    hdu = fits.BinTableHDU.from_columns(
        [
            fits.Column("FLUX", code, unit, dim=f"({npix})", array=1e-17 * flux),
            fits.Column(names[0], code.replace("E", "D"), names[1], array=weight),
            fits.Column("QUAL", f"{npix}J", null=-1, array=qual),
        ],
        name="SPECTAB",
    )
    nm = {"1CRVL1": wave[0] / 10, "1CDLT1": (wave[1] - wave[0]) / 10, "1CRPX1": 1.0, "1CUNI1": "nm"}
    hdu.header.extend(fits.Header(list((nm | cards).items())))
    columns = {
        "OBJ_UID": 5000000000 + np.arange(count),
        "OBJ_NME": np.array([f"S0400{n}" for n in range(count)]),
        "OBJ_RA": 100.0 + np.arange(count),
        "OBJ_DEC": -30.0 + np.arange(count),
        "SPECUID": np.array([f"20260312_{n:07d}" for n in range(count)]),
        "FIB_USE": np.ones(count, np.int16),
        "FIB_ST": np.full(count, 2, np.int16),
        "SNR": np.ones(count, np.float32),
    } | (fibres or {})
    return [
        primary(PROCSOFT="qmost/1.0"),
        table({"OBJECT": ["OB 1"], "MJD-OBS": [60000.0]}, "OBMETATAB"),
        hdu,
        table(columns, "FIBMETATAB"),
        table({"SPECUID": columns["SPECUID"]}, "PROVTAB"),
    ]


LAMOST_CARDS = {
    "OBSID": 220812034,
    "DESIG": "LAMOST J001717.79+412829.8",
    "RA": 4.324,
    "DEC": 41.475,
    "OBJTYPE": "Star",
    "TELESCOP": "LAMOST",
    "VACUUM": True,
    "MJD": 56918,
    "LMJD": 56919,
    "PLANID": "M31005N41B1",
    "SPID": 12,
    "FIBERID": 34,
}


def lamost_dr7(wave, flux, ivar, *, andmask=None, rows=5, **cards):
    """A LAMOST file of low resolution of the releases up to the seventh."""
    andmask = np.zeros(len(wave)) if andmask is None else andmask
    data = np.float32([flux, ivar, wave, andmask, andmask][:rows])
    log = {"COEFF0": float(np.log10(wave[0])), "COEFF1": float(np.log10(wave[1] / wave[0]))}
    return [primary(data, **(LAMOST_CARDS | log | {"DC-FLAG": 1, "DATA_V": "LAMOST DR7"} | cards))]


def lamost_dr8(wave, flux, ivar, *, andmask=None, columns=None, **cards):
    """A LAMOST file of low resolution since the eighth release."""
    andmask = np.zeros(len(wave)) if andmask is None else andmask
    names = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK", "NORMALIZATION")
    arrays = (flux, ivar, wave, andmask, andmask, np.full(len(wave), -9999.0))
    found = {name: np.float32(array)[None] for name, array in zip(names, arrays, strict=True)}
    found |= columns or {}
    found = {name: column for name, column in found.items() if column is not None}
    return [primary(**(LAMOST_CARDS | {"DATA_V": "LAMOST DR9"} | cards)), table(found, "COADD")]


def lamost_mrs(wave, flux, ivar, **cards):
    """A LAMOST file of medium resolution: the coadds of two arms, and their exposures."""
    columns = {"FLUX": flux[None], "IVAR": ivar[None], "WAVELENGTH": wave[None]}
    names = ("COADD_B", "COADD_R", "B-83862911", "R-83862911")
    return [primary(**(LAMOST_CARDS | cards)), *(table(columns, name) for name in names)]


def _mwm_table(name, wave, flux, ivar, columns, *, own_wave):
    """A table of spectra of one observatory and instrument, perhaps without rows."""
    count, npix = flux.shape
    arrays = {"flux": flux, "ivar": ivar, "pixel_flags": np.zeros_like(flux)}
    if own_wave:
        arrays = {"wavelength": np.tile(np.float32(wave), (count, 1))} | arrays
    scalars = {key: np.asarray(column)[:count] for key, column in columns.items()}
    step = float(np.log10(wave[1] / wave[0]))
    cards = {"CRVAL": float(np.log10(wave[0])), "CDELT": step, "CTYPE": "LOG-LINEAR",
             "CUNIT": "Angstrom (Vacuum)", "CRPIX": 1, "DC-FLAG": 1, "NPIXELS": npix}  # fmt: skip
    if not count:  # astra writes columns of no pixels then
        arrays = {key: np.zeros((0, 0), np.float32) for key in arrays}
    parts = [fits.Column(key, _code(x), array=x) for key, x in (scalars | arrays).items()]
    hdu = fits.BinTableHDU.from_columns(parts, fits.Header(list(cards.items())), nrows=count)
    hdu.name = name
    return hdu


def _code(array):
    """FITS's code of a column."""
    kind = {"i": "K", "f": "E", "b": "L"}.get(array.dtype.kind)
    if kind is None:
        return f"{max(array.dtype.itemsize // 4, 1)}A"
    return f"{array.shape[1] if array.ndim == 2 else ''}{kind}"


#: Wavelengths of APOGEE, in wider steps.
APOGEE_WAVE = 10 ** (4.179 + 6e-5 * np.arange(858))


def mwm(kind, wave, flux, ivar, *, apogee=0, south=0, columns=None, **cards):
    """A file of astra, "star" (coadds) or "visit"; the last `south` rows are of Las Campanas.

    `flux` is in the rest frame of the star, as astra writes it.
    """
    count = len(flux)
    visit = {
        "mjd": np.arange(count) + 59500,
        "fieldid": np.arange(count) + 15000,
        "catalogid": np.arange(count) + 27021597911984196,
        "in_stack": np.zeros(count, bool),
        "xcsao_v_rad": np.zeros(count, np.float32),
    }
    star = {"min_mjd": np.arange(count) + 59500, "v_rad": np.zeros(count, np.float32)}
    found = {"sdss_id": np.full(count, 103020000), "telescope": np.array(["apo25m"] * count)}
    found |= (visit if kind == "visit" else star) | (columns or {})
    own = kind == "star"
    north = count - south
    parts = {"BOSS/APO": slice(0, north), "BOSS/LCO": slice(north, count)}
    hdus = [
        _mwm_table(name, wave, flux[part], ivar[part], {k: v[part] for k, v in found.items()},
                   own_wave=own)
        for name, part in parts.items()
    ]  # fmt: skip
    infrared = np.ones((apogee, len(APOGEE_WAVE)), np.float32)
    stars = {"sdss_id": np.full(apogee, 103020000)}
    hdus += [
        _mwm_table("APOGEE/APO", APOGEE_WAVE, infrared, infrared, stars, own_wave=own),
        _mwm_table("APOGEE/LCO", APOGEE_WAVE, infrared[:0], infrared[:0], stars, own_wave=own),
    ]
    ids = {"V_ASTRA": "0.6.0", "SDSS_ID": 103020000, "CAT_ID": 63050396092955182}
    return [primary(**(ids | {"RA": 187.125, "DEC": -66.5} | cards)), *hdus]


def _layouts():
    """A file of each layout, by the name of its reader; of one spectrum, and of three."""
    one = {
        "PFS pfsObject or pfsSingle file": (pfs_object, PFS_WAVE),
        "4MOST L1 file": (qmost_l1, QMOST_WAVE),
        "LAMOST file of low resolution to DR7": (lamost_dr7, LAMOST_WAVE),
        "LAMOST file of low resolution since DR8": (lamost_dr8, LAMOST_WAVE),
    }
    many = {
        "PFS pfsCoadd or pfsCalibrated file": (pfs_coadd, PFS_WAVE),
        "WEAVE L1 files": (lambda *arrays: weave_l1("RED", *arrays), WEAVE_WAVE["RED"]),
        "4MOST container of spectra": (qmost_mec, QMOST_WAVE),
        "SDSS-V mwmStar or mwmVisit file": (lambda *arrays: mwm("visit", *arrays), MWM_WAVE),
    }
    found = {}
    for name, (make, wave) in (one | many).items():
        flux, ivar = make_spectra(wave, (1.0, 2.0, 3.0), seed=2)
        found[name] = make(wave, *((flux[0], ivar[0]) if name in one else (flux, ivar)))
    return found, tuple(one)


#: A file of each layout by the name of its reader, and the names of those of one spectrum.
SURVEY_LAYOUTS, SURVEY_SINGLE = _layouts()
