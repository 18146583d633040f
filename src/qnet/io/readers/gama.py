"""GAMA spectra: an image of five rows, as in the survey's data releases 2 to 4.

Rows (Hopkins et al. 2013, MNRAS 430, 2047; Liske et al. 2015, MNRAS 452, 2087): flux-calibrated
spectrum [1e-17 erg/s/cm2/A], its standard deviation, the same before flux calibration, sky.
"""

from __future__ import annotations

from qnet.core.spectra import SURVEY_FLUX_UNIT, Spectra
from qnet.io.fits.file import FitsFile
from qnet.io.readers import aat
from qnet.io.readers.registry import Reader, left_out, recognised, register, whole_file

#: Rows of the image.
_NROWS = 5


def _is_gama(fits: FitsFile) -> bool:
    """Whether the header is that of the survey's own spectra; its archive holds others too."""
    header = fits.header(0)
    return "GAMA" in str(header.get("ORIGIN", "")) and "GAMANAME" in header


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file of such a header."""
    shape = fits.shape(0)
    if len(shape) != 2 or shape[0] != _NROWS:
        return f"has an image of shape {shape} in place of GAMA's {_NROWS} rows"
    return left_out(fits, [0])


def _read(fits: FitsFile) -> Spectra:
    """Read a GAMA spectrum."""
    flux, error, *_ = fits.image(0)
    ids = aat.card_ids(fits, 0, ["SPECID", "GAMANAME"], number="CATAID")
    return aat.one_spectrum(
        fits, ids, flux, error, kind="std", flux_unit=SURVEY_FLUX_UNIT, name="spliced"
    )


register(
    Reader(
        name="GAMA spectrum",
        survey="GAMA",
        hdus="HDU 0 an image of 5 rows, cards ORIGIN GAMA and GAMANAME",
        targetid="CATAID, else -1; SPECID in TARGET_NAME",
        **recognised(_is_gama, _fault),
        **whole_file(_read),
        **aat.ONE_SPECTRUM,
    )
)
