"""DESI cframe files: a camera of one exposure each; those of one spectrograph are one set."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from qnet.core.spectra import Spectra
from qnet.io.columns import id_card
from qnet.io.fits.file import FitsFile
from qnet.io.pixels import settle_flux
from qnet.io.readers.desi import (
    DECLARED,
    dependency_cards,
    fibermap_hdu,
    read_camera,
    read_ids,
    row_flags,
    stated_units,
)
from qnet.io.readers.registry import (
    Frame,
    Reader,
    Request,
    check_set,
    lacks,
    left_out,
    recognised,
    refuse,
    register,
)
from qnet.io.units import stated_unit

#: Images of a cframe, and their axes.
_IMAGES = {"FLUX": ("nspec", "npix"), "IVAR": ("nspec", "npix"), "WAVELENGTH": ("npix",)}


def _has_parts(fits: FitsFile) -> bool:
    """Whether there is FLUX, and IVAR or WAVELENGTH, but not the covariances of PFS."""
    return "FLUX" in fits and ("IVAR" in fits or "WAVELENGTH" in fits) and "COVAR" not in fits


def _is_uncalibrated(fits: FitsFile) -> bool:
    """Whether the flux is in electrons, as in frame and sframe files."""
    return _has_parts(fits) and "electron" in stated_unit(fits, "FLUX").lower()


def _is_cframe(fits: FitsFile) -> bool:
    """Whether there are such HDUs of flux."""
    return _has_parts(fits) and not _is_uncalibrated(fits)


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file of such HDUs: a missing image, a shape, or other spectra."""
    if fault := lacks(fits, list(_IMAGES)):
        return fault
    for name, axes in _IMAGES.items():
        if len(fits.shape(name)) != len(axes):
            return f"HDU {name} has shape {fits.shape(name)}, not ({', '.join(axes)})"
    return left_out(fits, map(fits.all_names.index, _IMAGES))


def _count(fits: FitsFile) -> int:
    """Number of fibres."""
    return fits.shape("FLUX")[0]


def _read(files: Sequence[FitsFile], request: Request) -> Spectra:
    """Read the cframes of one exposure and spectrograph: one set of spectra."""
    first = files[0]
    ids = read_ids(first, _count(first), request.rows)
    frames = [_frame(fits) for fits in files]
    check_set(frames)
    found = [
        read_camera(fits, frame.camera[:1].upper(), request)
        for fits, frame in zip(files, frames, strict=True)
    ]
    cameras, unit = settle_flux(found, map(stated_units, files))
    flag = row_flags(ids, [camera.name for camera in cameras])
    if frames[0].exposure is not None:
        expid = id_card(frames[0].exposure, "EXPID", first.path)
        ids["EXPID"] = np.full(len(flag), expid, dtype=np.int32)
    cards = dependency_cards(first.header("FLUX"))
    return Spectra(cameras=cameras, ids=ids, flag=flag, cards=cards, flux_unit=unit)


def _frame(fits: FitsFile) -> Frame:
    """Exposure, camera and targets of a cframe."""
    header = fits.header("FLUX")
    camera = str(header.get("CAMERA", "?")).strip().lower()
    targets = None
    hdu = fibermap_hdu(fits, _count(fits))
    if hdu is not None and "TARGETID" in fits.columns(hdu):
        targets = list(map(str, fits.table(hdu, ["TARGETID"])["TARGETID"].tolist()))  # NaN too
    return Frame(fits.path, header.get("EXPID"), camera, _count(fits), targets)


register(
    Reader(
        name="DESI cframe files",
        hdus="images FLUX and IVAR, WAVELENGTH (npix,), perhaps MASK",
        **recognised(_is_cframe, _fault),
        count=_count,
        read=_read,
        whole=True,
        frames=re.compile(r"cframe-[brz](?P<spectrograph>\d)-(?P<exposure>\d+)\.fits(\.gz|\.fz)?"),
        **DECLARED,
    )
)
refuse(
    name="DESI frame or sframe file",
    survey="DESI",
    hdus="as cframe, BUNIT of FLUX electron/Angstrom",
    detect=_is_uncalibrated,
    why="its flux is in electrons: give the cframe files of the exposure",
)
