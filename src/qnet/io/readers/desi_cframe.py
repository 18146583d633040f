"""DESI cframe files: a camera of one exposure each; those of one spectrograph are one set."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from qnet.core.spectra import Spectra
from qnet.io.columns import integer_card
from qnet.io.fits.file import FitsFile
from qnet.io.readers.desi import DECLARED, dependency_cards, read_camera, read_ids, row_flags
from qnet.io.readers.registry import Frame, Reader, Request, check_set, register


def _detect(fits: FitsFile) -> bool:
    """Whether there are images FLUX and IVAR, and WAVELENGTH of one dimension."""
    return [len(fits.shape(name)) for name in ("FLUX", "IVAR", "WAVELENGTH")] == [2, 2, 1]


def _count(fits: FitsFile) -> int:
    """Number of fibres."""
    return fits.shape("FLUX")[0]


def _read(files: Sequence[FitsFile], request: Request) -> Spectra:
    """Read the cframes of one exposure and spectrograph: one set of spectra."""
    first = files[0]
    ids = read_ids(first, _count(first), request.rows)
    frames = [_frame(fits) for fits in files]
    check_set(frames)
    cameras = tuple(
        read_camera(fits, frame.camera[:1].upper(), request)
        for fits, frame in zip(files, frames, strict=True)
    )
    flag = row_flags(ids, [camera.name for camera in cameras])
    if frames[0].exposure is not None:
        expid = integer_card(frames[0].exposure, "EXPID", first.path)
        ids["EXPID"] = np.full(len(flag), expid, dtype=np.int32)
    cards = dependency_cards(first.header("FLUX"))
    return Spectra(cameras=cameras, ids=ids, flag=flag, cards=cards)


def _frame(fits: FitsFile) -> Frame:
    """Exposure, camera and targets of a cframe."""
    header = fits.header("FLUX")
    camera = str(header.get("CAMERA", "?")).strip().lower()
    targets = None
    if "FIBERMAP" in fits:
        targets = fits.table("FIBERMAP", ["TARGETID"])["TARGETID"].tolist()
    return Frame(fits.path, header.get("EXPID"), camera, _count(fits), targets)


register(
    Reader(
        name="DESI cframe files",
        hdus="images FLUX and IVAR, WAVELENGTH (npix,), perhaps MASK",
        detect=_detect,
        count=_count,
        read=_read,
        whole=True,
        frames=re.compile(r"cframe-[brz](?P<spectrograph>\d)-(?P<exposure>\d+)\.fits(\.gz|\.fz)?"),
        **DECLARED,
    )
)
