"""DESI coadd and spectra files: the three cameras, or their coadd, of many targets."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from qnet.core.arrays import Float32Array
from qnet.core.errors import FileError
from qnet.core.spectra import Spectra
from qnet.io.fits.file import FitsFile
from qnet.io.pixels import settle_flux
from qnet.io.readers.desi import (
    DECLARED,
    cameras_fault,
    dependency_cards,
    read_camera,
    read_ids,
    row_flags,
    stated_units,
)
from qnet.io.readers.registry import Reader, Request, lacks, left_out, recognised, register

#: HDUs of a camera by name; older coadds have the three cameras in one, BRZ.
_CAMERA_HDU = re.compile(r"(B|R|Z|BRZ)_(FLUX|IVAR|WAVELENGTH)")


def _camera_names(fits: FitsFile) -> list[str]:
    """Cameras in the order of their flux HDUs."""
    matches = [match for name in fits.names if (match := _CAMERA_HDU.fullmatch(name))]
    first_flux = sorted(matches, key=lambda match: match[2] != "FLUX")
    return list(dict.fromkeys(match[1] for match in first_flux))


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file that has an HDU of a camera."""
    names = _camera_names(fits)
    images = [f"{name}_{part}" for name in names for part in ("FLUX", "IVAR", "WAVELENGTH")]
    if fault := lacks(fits, images):
        return fault
    if fault := cameras_fault(names):
        return fault
    return left_out(fits, map(fits.all_names.index, images))


def _count(fits: FitsFile) -> int:
    """Number of rows; 0 where there is no flux."""
    return (*fits.shape(f"{_camera_names(fits)[0]}_FLUX"), 0)[0]


def _read(files: Sequence[FitsFile], request: Request) -> Spectra:
    """Read a coadd or spectra file."""
    (fits,) = files
    names = _camera_names(fits)
    lacking = [f"{name}_MASK" for name in names if f"{name}_MASK" not in fits]
    if request.use_mask and 0 < len(lacking) < len(names):
        raise FileError(
            f"{fits.path}: lacks {', '.join(lacking)}, though other cameras have a MASK; is it "
            "whole?"
        )
    nspec = _count(fits)
    memory = _pixel_memory(fits, names, nspec if request.rows is None else len(request.rows))
    found = [
        read_camera(fits, name, request, prefix=f"{name}_", out=out)
        for name, out in zip(names, memory, strict=True)
    ]
    cameras, unit = settle_flux(found, [stated_units(fits, f"{name}_") for name in names])
    ids = read_ids(fits, nspec, request.rows)
    return Spectra(
        cameras=cameras,
        ids=ids,
        flag=row_flags(ids, names),
        cards=dependency_cards(fits.header(0)),
        flux_unit=unit,
    )


def _pixel_memory(
    fits: FitsFile, names: Sequence[str], nrows: int
) -> list[tuple[Float32Array, ...] | None]:
    """Memory for flux and ivar of each camera, in one piece; None where it would not be used."""
    # One large piece comes in large pages, in a third of the time of arrays of a few megabytes.
    shapes = [fits.shape(f"{name}_FLUX") for name in names]
    if any(len(shape) != 2 for shape in shapes):
        return [None] * len(names)
    ends = np.cumsum([2 * nrows * shape[1] for shape in shapes])
    # A compressed file may claim any size, and its pixels come in memory of their own.
    if ends[-1] * np.dtype(np.float32).itemsize > fits.path.stat().st_size:
        return [None] * len(names)
    pieces = np.split(np.empty(ends[-1], np.float32), ends[:-1])
    return [
        tuple(piece.reshape(2, nrows, shape[1]))
        for piece, shape in zip(pieces, shapes, strict=True)
    ]


register(
    Reader(
        name="DESI coadd or spectra file",
        hdus="images B_FLUX, R_FLUX, Z_FLUX or BRZ_FLUX with _IVAR, _WAVELENGTH, perhaps _MASK",
        **recognised(lambda fits: bool(_camera_names(fits)), _fault),
        count=_count,
        read=_read,
        whole=False,
        **DECLARED,
    )
)
