"""PFS pfsCoadd and pfsCalibrated files: the spectra of many objects.

Where the spectra are of one length the parts are images, else tables of arrays: a column `value`,
of COVAR the columns row_0, row_1 and row_2 (pfs.datamodel.pfsTargetSpectra, datamodel version 1).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray, IntArray
from qnet.core.spectra import Spectra
from qnet.io.columns import text_column
from qnet.io.fits.file import FitsFile
from qnet.io.objects.ragged import is_ragged, rectangular
from qnet.io.pixels import Pixels, make_spectra
from qnet.io.readers import pfs
from qnet.io.readers.registry import Reader, Request, left_out, recognised, refuse, register
from qnet.io.units import stated_unit

#: Parts of the spectra, and the columns that have them in tables.
_PARTS = {"WAVELENGTH": "VALUE", "FLUX": "VALUE", "COVAR": "ROW_0", "MASK": "VALUE"}

#: A line of METADATA with the number of a bit of MASK.
_BIT = re.compile(r"\b(MP_\w+)['\"]?\s*:\s*(\d+)")


def _is_coadd(fits: FitsFile) -> bool:
    """Whether there are spectra of many targets, with their covariances."""
    many = "COVAR" in fits and "FLUX" in fits and len(fits.shape("FLUX")) != 1
    return many and not _is_arm(fits)


def _is_arm(fits: FitsFile) -> bool:
    """Whether there are spectra of fibres, not of targets."""
    return {"FLUX", "COVAR", "FIBERID"} <= set(fits.names)


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file of such HDUs."""
    tables = {"TARGET": "OBJID", "METADATA": "METADATA"}
    parts = [name for name in _PARTS if not fits.shape(name)]
    for name, column in (tables | {name: _PARTS[name] for name in parts}).items():
        if column not in fits.columns(name):
            return f"lacks the column {column} of a table {name}; it holds {fits.describe()}"
    for name in ("FLUX", "COVAR", "MASK", "METADATA"):
        count = (*fits.shape(name), fits.nrows(name))[0]
        if count != _count(fits):
            return f"HDU {name} has {count} rows, but there are {_count(fits)} targets"
    return left_out(fits, map(fits.all_names.index, _PARTS), but="FLUXTABLE")


def _count(fits: FitsFile) -> int:
    """Number of targets."""
    return fits.nrows("TARGET")


def _read(files: Sequence[FitsFile], request: Request) -> Spectra:
    """Read targets of a file."""
    (fits,) = files
    parts = {name: _part(fits, name, request.rows) for name in _PARTS}
    if any(map(is_ragged, parts.values())):
        parts = rectangular(parts, log=False)
    pixels = Pixels(
        wave=parts["WAVELENGTH"],
        wave_unit=stated_unit(fits, "WAVELENGTH") or "nm",
        flux=parts["FLUX"],
        flux_unit=stated_unit(fits, "FLUX") or "nJy",
        weights=parts["COVAR"],
        kind="var",
        bad=_bad_pixels(fits, parts["MASK"], request.rows),
        where=f"{fits.path}: HDU FLUX",
    )
    columns = [name for name in pfs.NAMES if name in fits.columns("TARGET")]
    ids = pfs.target_ids(fits, fits.table("TARGET", columns, request.rows))
    return make_spectra([pixels], ids, flag=pfs.row_flags(ids))


def _part(fits: FitsFile, name: str, rows: IntArray | None) -> AnyArray:
    """A part of the spectra: an array, or a column of arrays."""
    shape = fits.shape(name)
    if len(shape) == 1:  # the same wavelengths for all
        return fits.image(name)
    if shape:
        found = fits.image(name, rows, axes=len(shape), integers=name == "MASK")
        return found[:, 0] if name == "COVAR" else found
    return fits.table(name, [_PARTS[name]], rows)[_PARTS[name]]


def _bad_pixels(fits: FitsFile, mask: AnyArray, rows: IntArray | None) -> BoolArray:
    """Bad pixels, by the bits that METADATA names for each target."""
    texts = text_column(
        fits.table("METADATA", ["METADATA"], rows)["METADATA"], "metadata", fits.path
    )
    planes = [tuple(_BIT.findall(text)) for text in texts]
    different = {each: {name: int(number) for name, number in each} for each in planes}
    if len(different) == 1:
        return pfs.bad_pixels(mask, different[planes[0]])
    bad = np.zeros(mask.shape, dtype=bool)
    for each, bits in different.items():
        same = np.array([row == each for row in planes])
        bad[same] = pfs.bad_pixels(mask[same], bits)
    return bad


register(
    Reader(
        name="PFS pfsCoadd or pfsCalibrated file",
        hdus=(
            "tables TARGET and METADATA; FLUX, MASK, COVAR and WAVELENGTH as images or as tables "
            "of arrays"
        ),
        **recognised(_is_coadd, _fault),
        count=_count,
        read=_read,
        whole=False,
        **pfs.DECLARED,
    )
)
refuse(
    name="PFS pfsArm or pfsMerged file",
    survey="PFS",
    hdus="images FLUX, COVAR and FIBERID",
    detect=_is_arm,
    why="its flux is in electrons: give pfsCalibrated, pfsCoadd, pfsSingle or pfsObject files",
)
