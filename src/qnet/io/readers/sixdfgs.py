"""6dFGS spectra: the archive's files of an object, single spectra, and tables without errors.

Jones et al. 2009, MNRAS 399, 683, and the description of the FITS files at the Wide Field Astronomy
Unit: five thumbnails, then V, R and their splice VR of each observation. Rows of a spectrum are
counts, variance, sky and, in VR, wavelengths; these are linear (CRVAL1, CDELT1, CRPIX1), in air.
"""

from __future__ import annotations

from qnet.core.spectra import Spectra, stack
from qnet.io.fits.file import FitsFile
from qnet.io.pixels import Pixels, make_spectra
from qnet.io.readers import aat
from qnet.io.readers.registry import Reader, left_out, recognised, register, whole_file
from qnet.io.readers.rows import lacks_columns
from qnet.io.units import states_vacuum

#: Cards of the header of a spectrum.
_CARDS = ("OBSRA", "OBSDEC", "Z", "Z_HELIO", "QUALITY")

#: HDUs of thumbnails before the first spectrum in the archive's files; rows of a splice there.
_THUMBNAILS, _VR_ROWS = 5, 4


def _spectra_hdus(fits: FitsFile) -> list[int]:
    """HDUs of the spectra: VR of each observation, the one of a single spectrum, or the table."""
    if _has_cards(fits, 0):
        return [1 if fits.is_table(1) else 0]
    images = range(_THUMBNAILS, len(fits))
    return [n for n in images if fits.shape(n)[:1] == (_VR_ROWS,) and _has_cards(fits, n)]


def _has_cards(fits: FitsFile, number: int) -> bool:
    """Whether the header of an HDU has the survey's cards."""
    return all(card in fits.header(number) for card in _CARDS)


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file of such headers."""
    number = _spectra_hdus(fits)[0]
    if fits.is_table(number):
        if fault := lacks_columns(fits, number, ("WAVE", "FLUX")):
            return fault
    elif fits.shape(number)[:-1] not in ((_VR_ROWS - 1,), (_VR_ROWS,)):
        return f"has an image of shape {fits.shape(number)} in place of 6dFGS's 3 or 4 rows"
    return left_out(fits, _spectra_hdus(fits))


def _read(fits: FitsFile) -> Spectra:
    """Read the spectra of a file."""
    parts = [_one(fits, number) for number in _spectra_hdus(fits)]
    return parts[0] if len(parts) == 1 else stack(parts)


def _one(fits: FitsFile, number: int) -> Spectra:
    """The spectrum of an HDU."""
    if fits.is_table(number):
        table = fits.table(number, ["WAVE", "FLUX"])
        wave, flux, variance = table["WAVE"].ravel(), table["FLUX"].ravel(), None
    else:
        rows = fits.image(number)
        flux, variance = rows[:2]
        wave = aat.linear_wave(fits, number, len(flux))
    key = 0 if fits.is_table(number) else number
    pixels = Pixels(
        wave=wave,
        flux=flux,
        weights=variance,
        kind="var",
        air=not states_vacuum(fits.header(number)),
        name="6dF",
        where=f"{fits.path}: HDU {number}",
    )
    names = ["TARGET", "TARGETNA", "OBJECT"]
    return make_spectra([pixels], aat.card_ids(fits, key, names, position=("OBSRA", "OBSDEC")))


register(
    Reader(
        name="6dFGS spectra",
        survey="6dFGS",
        hdus="images of rows flux, variance, sky, or a table WAVE, FLUX; cards OBSRA, Z_HELIO",
        targetid="-1, with TARGET in TARGET_NAME",
        **recognised(lambda fits: bool(_spectra_hdus(fits)), _fault),
        **whole_file(_read, lambda fits: len(_spectra_hdus(fits))),
        **aat.ONE_SPECTRUM,
    )
)
