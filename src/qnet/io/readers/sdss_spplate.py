"""SDSS spPlate files: the coadded spectra of a plate on one log grid of wavelengths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnet.core.spectra import Camera, Spectra
from qnet.io.columns import float_column
from qnet.io.fits.file import FitsFile
from qnet.io.readers import sdss
from qnet.io.readers.registry import Reader, Request, register
from qnet.io.units import flux_unit, stated_vacuum


def _detect(fits: FitsFile) -> bool:
    """Whether there are images on one wavelength solution, a plugmap, and no other spectra."""
    return _is_spplate(fits) and not _fault(fits)


def _is_spplate(fits: FitsFile) -> bool:
    """Whether there are images on one wavelength solution."""
    return sdss.is_plate(fits) and "COEFF0" in fits.header(0) and not sdss.has_loglam(fits)


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file of such images."""
    if not _is_spplate(fits):
        return ""
    if "COEFF1" not in fits.header(0):
        return "lacks the card COEFF1 beside COEFF0"
    return sdss.plate_fault(fits, 6)


def _read(files: Sequence[FitsFile], request: Request) -> Spectra:
    """Read an spPlate file."""
    (fits,) = files
    ids = sdss.plate_ids(fits, request)
    start, step = (
        float(float_column(np.array([fits.header(0).get(card)]), card, fits.path)[0])
        for card in ("COEFF0", "COEFF1")
    )
    flux, ivar = sdss.plate_arrays(fits, request.rows)
    wave = sdss.to_wave(start + step * np.arange(flux.shape[1]))
    return Spectra(
        cameras=(stated_vacuum(Camera("coadd", wave, flux, ivar), fits, 0),),
        ids=ids,
        flag=sdss.sky_flag(ids),
        cards=sdss.reduction_cards(fits),
        flux_unit=flux_unit([sdss.stated_units(fits)]),
    )


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
