"""SDSS-V spField files: the coadded spectra of a field's targets on one log grid of wavelengths."""

from __future__ import annotations

from collections.abc import Sequence

from qnet.core.spectra import Spectra
from qnet.io.fits.file import FitsFile
from qnet.io.readers import sdss
from qnet.io.readers.registry import Reader, Request, recognised, register


def _is_spfield(fits: FitsFile) -> bool:
    """Whether there are images on one wavelength solution, a row per target."""
    return sdss.is_coadd(fits) and sdss.is_field(fits)


def _read(files: Sequence[FitsFile], request: Request) -> Spectra:
    """Read an spField file."""
    return sdss.read_coadd(files[0], sdss.field_ids(files[0], request), request.rows)


register(
    Reader(
        name="SDSS-V spField file",
        survey="SDSS",
        hdus="as spPlate, HDU 5 a table with TARGET_INDEX, or CATALOGID and no FIBERID",
        targetid="ICATALOGID, else -1 with the text of CATALOGID in TARGET_NAME",
        wavelengths="vacuum, centres: 10**(COEFF0 + COEFF1 i)",
        no_weight="bit 25 (COMBINEREJ) of and_mask",
        **recognised(_is_spfield, sdss.coadd_fault),
        count=sdss.count_fibers,
        read=_read,
        whole=True,
        ids=(*sdss.FIELD_IDS, "target bits"),
        qso_targets=sdss.QSO_TARGETS,
    )
)
