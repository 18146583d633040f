"""Reduced frames of 2dfdr, as of AAOmega: all fibres of one arm, or of both spliced.

The AAO's description of the format (AAOmegaFileFormat, 2010): the first HDU holds a row a fibre,
VARIANCE the same shape, the table FIBRES a row a fibre: NAME, RA and DEC [radian], TYPE (P program,
S sky, F guide, N broken, U unused). Flux is in counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnet.core.arrays import AnyArray
from qnet.core.flags import QNFlag
from qnet.core.spectra import Spectra
from qnet.io.columns import float_column, text_column
from qnet.io.fits.file import FitsFile
from qnet.io.pixels import Pixels, make_spectra
from qnet.io.readers import aat
from qnet.io.readers.registry import Reader, Request, left_out, recognised, register
from qnet.io.readers.rows import lacks_columns
from qnet.io.units import states_vacuum

#: Columns of the fibre table that are read.
_COLUMNS = ("NAME", "RA", "DEC", "TYPE")

#: TYPE of fibres on targets, and of broken ones.
_PROGRAM, _BROKEN = "P", "N"


def _science(fits: FitsFile) -> str | int:
    """The image of flux: by its name, else HDU 0."""
    return "SCIENCE" if fits.shape("SCIENCE") else 0


def _is_frame(fits: FitsFile) -> bool:
    """Whether there are a table FIBRES and an image VARIANCE."""
    return fits.is_table("FIBRES") and bool(fits.shape("VARIANCE"))


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file of these HDUs."""
    if fault := lacks_columns(fits, "FIBRES", _COLUMNS):
        return fault
    shape = fits.shape(key := _science(fits))
    if len(shape) != 2 or shape != fits.shape("VARIANCE") or shape[0] != fits.nrows("FIBRES"):
        return (
            f"has flux of shape {shape} in HDU {key}, variance of shape {fits.shape('VARIANCE')} "
            f"and {fits.nrows('FIBRES')} fibres, but the same number of rows was expected"
        )
    return left_out(fits, [0])


def _read(files: Sequence[FitsFile], request: Request) -> Spectra:
    """Read a frame, with the fibres that hold no target flagged."""
    (fits,) = files
    key = _science(fits)
    ids = _ids(fits, request)
    kind = ids["OBJTYPE"]
    flag = np.where(kind == _PROGRAM, 0, QNFlag.NOT_TARGET)
    flag = np.where(kind == _BROKEN, flag | QNFlag.BAD_FIBER, flag).astype(np.int32)
    flux = fits.image(key, request.rows)
    pixels = Pixels(
        wave=aat.linear_wave(fits, key, flux.shape[1]),
        flux=flux,
        weights=fits.image("VARIANCE", request.rows),
        kind="var",
        air=not states_vacuum(fits.header(key)),
        name="AAOmega",
        where=f"{fits.path}: HDU {key}",
    )
    return make_spectra([pixels], ids, flag=flag)


def _ids(fits: FitsFile, request: Request) -> dict[str, AnyArray]:
    """Names, types and positions of the fibres."""
    table = fits.table("FIBRES", list(_COLUMNS), request.rows)
    names, kinds = (text_column(table[name], name, fits.path) for name in ("NAME", "TYPE"))
    ra, dec = (np.degrees(float_column(table[name], name, fits.path)) for name in ("RA", "DEC"))
    ids = {"TARGETID": np.full(len(names), -1), "TARGET_NAME": names}
    return ids | {"TARGET_RA": ra, "TARGET_DEC": dec, "OBJTYPE": kinds}


register(
    Reader(
        name="2dfdr frame",
        survey="AAOmega",
        hdus="HDU 0 (SCIENCE) and VARIANCE images (nspec, npix), table FIBRES",
        targetid="-1, with NAME of FIBRES in TARGET_NAME",
        wavelengths=aat.WAVELENGTHS,
        no_weight="",
        **recognised(_is_frame, _fault),
        count=lambda fits: fits.shape(_science(fits))[0],
        read=_read,
        whole=True,
        ids=("TARGETID", "TARGET_NAME", "TARGET_RA", "TARGET_DEC", "OBJTYPE"),
    )
)
