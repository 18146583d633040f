"""SDSS spPlate files: the coadded spectra of a plate on one log grid of wavelengths."""

from __future__ import annotations

from collections.abc import Sequence

from qnet.core.spectra import Spectra
from qnet.io.fits.file import FitsFile
from qnet.io.readers import sdss
from qnet.io.readers.registry import Reader, Request, register


def _detect(fits: FitsFile) -> bool:
    """Whether there are images on one wavelength solution, a row per fibre, and no others."""
    return _is_spplate(fits) and not sdss.coadd_fault(fits)


def _is_spplate(fits: FitsFile) -> bool:
    """Whether there are images on one wavelength solution, a row per fibre."""
    return sdss.is_coadd(fits) and not sdss.is_field(fits)


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file of such images."""
    return sdss.coadd_fault(fits) if _is_spplate(fits) else ""


def _read(files: Sequence[FitsFile], request: Request) -> Spectra:
    """Read an spPlate file."""
    return sdss.read_coadd(files[0], sdss.plate_ids(files[0], request), request.rows)


register(
    Reader(
        name="SDSS spPlate file",
        hdus="HDU 0 flux, 1 ivar, 2 and_mask (nspec, npix), COEFF0 in the header",
        wavelengths="vacuum, centres: 10**(COEFF0 + COEFF1 i)",
        no_weight="bit 25 (COMBINEREJ) of and_mask",
        detect=_detect,
        fault=_fault,
        count=sdss.count_fibers,
        read=_read,
        whole=True,
        fibers=sdss.plate_fibers,
        **sdss.PLATE_DECLARED,
    )
)
