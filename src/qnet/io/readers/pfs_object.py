"""PFS pfsObject and pfsSingle files: the spectrum of one object, of many visits or of one.

The present layout has the ids in the header of TARGET, the first one (pfsObject of 2016, with
FLUXTBL) in the first HDU, on wavelengths by CRVAL1, CRPIX1 and CD1_1.
"""

from __future__ import annotations

import numpy as np

from qnet.core.arrays import AnyArray, FloatArray
from qnet.core.spectra import Spectra
from qnet.io.fits.file import FitsFile
from qnet.io.pixels import Pixels, make_spectra
from qnet.io.readers import pfs
from qnet.io.readers.registry import Reader, lacks, left_out, recognised, register, whole_file
from qnet.io.readers.wcs import linear_wave
from qnet.io.units import stated_unit

#: Images of a file.
_IMAGES = ("FLUX", "MASK", "COVAR")

#: Tables of the pixels of each visit, of which the images are made.
_VISITS = "FLUXTABLE|FLUXTBL"


def _is_object(fits: FitsFile) -> bool:
    """Whether there are a flux of one spectrum and its covariance."""
    return len(fits.shape("FLUX")) == 1 and "COVAR" in fits


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file of such HDUs."""
    if fault := lacks(fits, _IMAGES):
        return fault
    npix = fits.shape("FLUX")[0]
    for name, shape in (("MASK", (npix,)), ("COVAR", (3, npix))):
        if fits.shape(name) != shape:
            return f"HDU {name} has shape {fits.shape(name)}, but {shape} was expected"
    return left_out(fits, map(fits.all_names.index, _IMAGES), but=_VISITS)


def _read(fits: FitsFile) -> Spectra:
    """Read the file of an object."""
    flux = fits.image("FLUX")
    wave, unit = _wavelengths(fits, len(flux))
    pixels = Pixels(
        wave=wave,
        wave_unit=unit,
        flux=flux[None],
        flux_unit=stated_unit(fits, "FLUX") or "nJy",
        weights=fits.image("COVAR")[:1],
        kind="var",
        bad=pfs.bad_pixels(fits.image("MASK", integers=True), fits.header("MASK"))[None],
        where=f"{fits.path}: HDU FLUX",
    )
    ids = pfs.target_ids(fits, _ids(fits))
    return make_spectra([pixels], ids, flag=pfs.row_flags(ids))


def _wavelengths(fits: FitsFile, npix: int) -> tuple[FloatArray, str]:
    """Wavelengths and their unit, from an image of them or else from the cards of FLUX."""
    if "WAVELENGTH" in fits:
        return fits.image("WAVELENGTH"), stated_unit(fits, "WAVELENGTH") or "nm"
    header = fits.header("FLUX")
    # What pfs.datamodel.WavelengthArray writes counts the pixels from 2, and it reads them so.
    first = 2 if str(header.get("CNAME1", "")).lower() == "wavelength" else 1
    where = f"{fits.path}: HDU FLUX"
    return linear_wave(header, npix, where, first=first), str(header.get("CUNIT1", "nm"))


def _ids(fits: FitsFile) -> dict[str, AnyArray]:
    """Properties of the target, from the header of TARGET or else of the first HDU."""
    header = fits.header("TARGET" if "TARGET" in fits else 0)
    cards = {name: header.get(name, header.get(name.lower())) for name in pfs.NAMES}
    found = {name: np.array([value]) for name, value in cards.items() if value is not None}
    return {"OBJID": np.array([-1])} | found


register(
    Reader(
        name="PFS pfsObject or pfsSingle file",
        hdus="images FLUX and MASK (npix,), COVAR (3, npix), perhaps WAVELENGTH",
        **recognised(_is_object, _fault),
        **whole_file(_read),
        **pfs.DECLARED,
    )
)
