"""SDSS spPlate files: the coadded spectra of a plate on one log grid of wavelengths."""

from __future__ import annotations

from qnet.io.fits.file import FitsFile
from qnet.io.readers import sdss
from qnet.io.readers.registry import Reader, register


def _is_spplate(fits: FitsFile) -> bool:
    """Whether there are images on one wavelength solution, a row per fibre."""
    return sdss.is_coadd(fits) and not sdss.is_field(fits)


register(
    Reader(
        name="SDSS spPlate file",
        hdus="HDU 0 flux, 1 ivar, 2 and_mask (nspec, npix), COEFF0 in the header",
        fibers=sdss.plate_fibers,
        **sdss.PLATE_DECLARED,
        **sdss.coadd_fields(_is_spplate, sdss.plate_ids),
    )
)
