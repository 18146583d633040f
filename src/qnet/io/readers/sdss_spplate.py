"""SDSS spPlate files: the coadded spectra of a plate on one log grid of wavelengths."""

from __future__ import annotations

from collections.abc import Sequence

from qnet.core.spectra import Spectra
from qnet.io.fits.file import FitsFile
from qnet.io.readers import sdss
from qnet.io.readers.registry import Reader, Request, recognised, register


def _is_spplate(fits: FitsFile) -> bool:
    """Whether there are images on one wavelength solution, a row per fibre."""
    return sdss.is_coadd(fits) and not sdss.is_field(fits)


def _read(files: Sequence[FitsFile], request: Request) -> Spectra:
    """Read an spPlate file."""
    return sdss.read_coadd(files[0], sdss.plate_ids(files[0], request), request.rows)


register(
    Reader(
        name="SDSS spPlate file",
        hdus="HDU 0 flux, 1 ivar, 2 and_mask (nspec, npix), COEFF0 in the header",
        wavelengths="vacuum, centres: 10**(COEFF0 + COEFF1 i)",
        no_weight="bit 25 (COMBINEREJ) of and_mask",
        **recognised(_is_spplate, sdss.coadd_fault),
        count=sdss.count_fibers,
        read=_read,
        whole=True,
        fibers=sdss.plate_fibers,
        **sdss.PLATE_DECLARED,
    )
)
