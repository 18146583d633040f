"""SDSS-V spField files: the coadded spectra of a field's targets on one log grid of wavelengths."""

from __future__ import annotations

from qnet.io.fits.file import FitsFile
from qnet.io.readers import sdss
from qnet.io.readers.registry import Reader, register


def _is_spfield(fits: FitsFile) -> bool:
    """Whether there are images on one wavelength solution, a row per target."""
    return sdss.is_coadd(fits) and sdss.is_field(fits)


register(
    Reader(
        name="SDSS-V spField file",
        survey="SDSS",
        hdus="as spPlate, HDU 5 a table with TARGET_INDEX, or CATALOGID and no FIBERID",
        targetid="ICATALOGID, else -1 with the text of CATALOGID in TARGET_NAME",
        ids=(*sdss.FIELD_IDS, "target bits"),
        qso_targets=sdss.QSO_TARGETS,
        **sdss.coadd_fields(_is_spfield, sdss.field_ids),
    )
)
