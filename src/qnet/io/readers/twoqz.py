"""Spectra of 2QZ and 2SLAQ's quasars as GAMA's archive publishes them: counts, mostly no errors.

Croom et al. 2004, MNRAS 349, 1397; Croom et al. 2009, MNRAS 392, 19. The first HDU is the spectrum,
wavelengths are linear (CD1_1 in 2QZ, CDELT1 in 2SLAQ); HDUs named VARIANCE or SIGMA are errors.
"""

from __future__ import annotations

from qnet.core.spectra import Spectra
from qnet.io.fits.file import FitsFile
from qnet.io.readers import aat
from qnet.io.readers.registry import Reader, left_out, recognised, register, whole_file

#: Names of HDUs of errors, and what these are.
_ERRORS = {"VARIANCE": "var", "SIGMA": "std", "STDEV": "std"}

#: The surveys, as the card SURVEY names them.
_SURVEYS = ("2QZ", "2SLAQ-QSO")


def _is_2qz(fits: FitsFile) -> bool:
    """Whether the header is that of the archive for one of the two surveys."""
    header = fits.header(0)
    survey = str(header.get("SURVEY", ""))
    return any(name in survey for name in _SURVEYS) and "GAMANAME" in header


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file of such a header."""
    if len(shape := fits.shape(0)) != 1:
        return f"has an image of shape {shape} in place of a spectrum (npix,)"
    return left_out(fits, [0])


def _read(fits: FitsFile) -> Spectra:
    """Read a spectrum, with the errors where there are any."""
    flux = fits.image(0)
    found = [name for name in _ERRORS if name in fits and fits.shape(name) == flux.shape]
    weights = fits.image(found[0]) if found else None
    kind = _ERRORS[found[0]] if found else "ivar"
    ids = aat.card_ids(fits, 0, ["SPECID", "GAMANAME"])
    return aat.one_spectrum(fits, ids, flux, weights, kind=kind, name="2dF")


register(
    Reader(
        name="2QZ or 2SLAQ spectrum",
        survey="2QZ",
        hdus="HDU 0 a spectrum (npix,), SURVEY 2QZ or 2SLAQ-QSO, GAMANAME; perhaps VARIANCE",
        targetid="-1, with SPECID in TARGET_NAME",
        **recognised(_is_2qz, _fault),
        **whole_file(_read),
        **aat.ONE_SPECTRUM,
    )
)
