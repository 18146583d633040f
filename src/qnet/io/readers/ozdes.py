"""OzDES spectra, data releases 1 and 2: the coadd of an object with its variance, then exposures.

Lidman et al. 2020, MNRAS 496, 19: HDU 0 is the coadd [normalised counts], HDU 1 its variance, HDU 2
its bad pixels; the same three follow for each exposure. Wavelengths are linear, heliocentric.
"""

from __future__ import annotations

from qnet.core.spectra import Spectra
from qnet.io.fits.file import FitsFile
from qnet.io.readers import aat
from qnet.io.readers.registry import Reader, recognised, register, whole_file


def _is_ozdes(fits: FitsFile) -> bool:
    """Whether the header refers to OzDES."""
    return "ozdes" in str(fits.header(0).get("REFERENC", "")).lower()


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file of such a header."""
    shapes = [fits.shape(number) for number in range(3)]
    if len(shapes[0]) != 1 or shapes[1] != shapes[0] or len(fits) % 3:
        return (
            "lacks the three images of OzDES, coadd, variance and bad pixels, and three more an "
            f"exposure; it holds {fits.describe()}"
        )
    return ""


def _read(fits: FitsFile) -> Spectra:
    """Read the coadd."""
    flux, variance = fits.image(0), fits.image(1)
    bad = None
    # Recognised by its name: other versions hold the sky there.
    if "BADPIX" in fits.all_names[2] and fits.shape(2) == flux.shape:
        bad = fits.image(2) != 0
    ids = aat.card_ids(fits, 0, ["OBJECT", "SOURCE"])
    return aat.one_spectrum(fits, ids, flux, variance, kind="var", bad=bad)


register(
    Reader(
        name="OzDES spectrum",
        survey="OzDES",
        hdus="HDU 0 the coadd (npix,), 1 its variance, 2 bad pixels, card REFERENC with ozdes",
        targetid="-1, with OBJECT in TARGET_NAME",
        **recognised(_is_ozdes, _fault),
        **whole_file(_read),
        **{**aat.ONE_SPECTRUM, "no_weight": "pixels that the HDU BADPIX marks"},
    )
)
