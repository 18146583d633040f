"""SDSS spCFrame files: a camera of one exposure each; those of one spectrograph are one set."""

from __future__ import annotations

import re
from collections.abc import Sequence

from qnet.core.flags import QNFlag
from qnet.core.spectra import Camera, Spectra
from qnet.io.fits.file import FitsFile
from qnet.io.pixels import settle_flux
from qnet.io.readers import sdss
from qnet.io.readers.registry import Frame, Reader, Request, check_set, recognised, register
from qnet.io.units import stated_vacuum, to_wave


def _is_spcframe(fits: FitsFile) -> bool:
    """Whether there are images with an image of loglam."""
    return sdss.is_plate(fits) and sdss.has_loglam(fits)


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file of such images."""
    return sdss.plate_fault(fits, 8)


def _read(files: Sequence[FitsFile], request: Request) -> Spectra:
    """Read the spCFrames of one exposure and spectrograph: one set of spectra."""
    ids = sdss.plate_ids(files[0], request)
    frames = [_frame(fits) for fits in files]
    check_set(frames)
    cameras = []
    for fits, frame in zip(files, frames, strict=True):
        flux, ivar = sdss.plate_arrays(fits, request.rows)
        wave = to_wave(fits.image(3, request.rows))
        camera = Camera(frame.camera[:1], wave, flux, ivar)
        cameras.append(stated_vacuum(camera, fits, 0))
    flag = sdss.sky_flag(ids)
    if {camera.name for camera in cameras} != {"b", "r"}:
        flag |= QNFlag.CAMERA_MISSING
    settled, unit = settle_flux(cameras, map(sdss.stated_units, files))
    return Spectra(
        cameras=settled,
        ids=ids,
        flag=flag,
        cards=sdss.reduction_cards(files[0]),
        flux_unit=unit,
    )


def _frame(fits: FitsFile) -> Frame:
    """Exposure, camera and fibres of an spCFrame."""
    header = fits.header(0)
    camera = str(header.get("CAMERAS", "?")).strip().lower()
    fibers = sdss.plate_fibers(fits).tolist()
    return Frame(fits.path, header.get("EXPOSURE"), camera, sdss.count_fibers(fits), fibers)


register(
    Reader(
        name="SDSS spCFrame files",
        hdus="HDU 0 flux, 1 ivar, 2 mask, 3 loglam, all (nspec, npix)",
        wavelengths="vacuum, centres, of each fibre its own",
        no_weight="bit 25 (COMBINEREJ) of mask",
        **recognised(_is_spcframe, _fault),
        count=sdss.count_fibers,
        read=_read,
        whole=True,
        frames=re.compile(r"spCFrame-[br](?P<spectrograph>\d)-(?P<exposure>\d+)\.fits(\.gz|\.fz)?"),
        fibers=sdss.plate_fibers,
        **sdss.PLATE_DECLARED,
    )
)
