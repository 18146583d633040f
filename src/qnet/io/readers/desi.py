"""Common parts of the layouts of DESI: columns of the FIBERMAP, cards, flags, cameras."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, Float32Array, Int32Array, IntArray
from qnet.core.columns import DESI_TARGETS
from qnet.core.errors import FileError, warn
from qnet.core.flags import QNFlag
from qnet.core.spectra import Camera
from qnet.io.columns import id_column, row_numbers
from qnet.io.fits.file import FitsFile
from qnet.io.readers.registry import Request, bit_mask
from qnet.io.units import Stated, stated_unit, stated_vacuum, to_angstrom

#: Columns of the FIBERMAP that a catalogue carries, where the file has them.
_ID_COLUMNS = (
    *("TARGETID", "TARGET_RA", "TARGET_DEC", "OBJTYPE", "COADD_FIBERSTATUS", "FIBERSTATUS"),
    *("TILEID", "LASTNIGHT", "EXPID", "PETAL_LOC", "FIBER"),
)

#: Header cards of the primary HDU that become columns.
_ID_CARDS = ("SURVEY", "PROGRAM", "HPXPIXEL")

#: Cards of a tile's files that become columns where the FIBERMAP does not have them.
_TILE_CARDS = {"TILEID": "TILEID", "NIGHT": "LASTNIGHT", "PETAL": "PETAL_LOC"}

#: Quasar-target bits by column (desitarget's targetmask: QSO; SV0_QSO and MINI_SV_QSO of CMX).
QSO_TARGETS = {
    **{f"{phase}DESI_TARGET": bit_mask(2) for phase in ("", "SV1_", "SV2_", "SV3_")},
    "CMX_TARGET": bit_mask(12, 55),
}

#: Fields of `Reader` that are the same for all layouts of DESI.
DECLARED: Mapping[str, Any] = {
    "survey": "DESI",
    "targetid": "FIBERMAP, else the row number",
    "wavelengths": "vacuum, centres",
    "no_weight": "MASK not 0, as in redrock",
    "ids": (*_ID_COLUMNS, *_ID_CARDS, "target bits"),
    "qso_targets": QSO_TARGETS,
}


def dependency_cards(header: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Pairs of name and version from the DEPNAMnn and DEPVERnn cards of a header."""
    cards = []
    for key, value in header.items():
        match = re.fullmatch(r"DEPNAM(\d+)", key)
        if match:
            cards.append((str(value).strip(), str(header.get(f"DEPVER{match[1]}", "")).strip()))
    if "SPECPROD" in header and not any(name == "SPECPROD" for name, _ in cards):
        cards.append(("SPECPROD", str(header["SPECPROD"]).strip()))
    return tuple(cards)


def read_camera(
    fits: FitsFile,
    name: str,
    request: Request,
    *,
    prefix: str = "",
    out: tuple[Float32Array, ...] | None = None,
) -> Camera:
    """Camera of the HDUs of a prefix, masked pixels with ivar 0; flux and ivar in memory `out`."""
    hdus = {part: prefix + part for part in ("WAVELENGTH", "FLUX", "IVAR", "MASK")}
    flux_out, ivar_out = (None, None) if out is None else out
    masked = request.use_mask and hdus["MASK"] in fits
    shape = fits.shape(hdus["FLUX"])
    if shape and len(shape) != 2:
        raise FileError(f"{fits.path}: HDU {hdus['FLUX']} has shape {shape}, not (nspec, npix)")
    for part, expected in (("IVAR", shape), ("MASK", shape), ("WAVELENGTH", shape[1:])):
        found = fits.shape(hdus[part])
        if shape and found not in ((), expected) and (part != "MASK" or masked):
            raise FileError(
                f"{fits.path}: HDU {hdus[part]} has shape {found}, but {hdus['FLUX']} has {shape}"
            )
    key = hdus["WAVELENGTH"]
    wave = fits.image(key).astype(np.float64)
    wave = to_angstrom(wave, stated_unit(fits, key), f"{fits.path}: HDU {key}")
    flux = fits.image(hdus["FLUX"], request.rows, out=flux_out)
    ivar = fits.image(hdus["IVAR"], request.rows, out=ivar_out)
    if masked:
        fits.clear_masked(hdus["MASK"], request.rows, ivar)
    return stated_vacuum(Camera(name, wave, flux, ivar), fits, key)


def stated_units(fits: FitsFile, prefix: str = "") -> Stated:
    """Units that the flux and ivar HDUs of a prefix state."""
    flux, ivar = (stated_unit(fits, f"{prefix}{part}") for part in ("FLUX", "IVAR"))
    return Stated(f"{fits.path}: HDU {prefix}FLUX", flux, ivar)


def read_ids(fits: FitsFile, nspec: int, rows: IntArray | None) -> dict[str, AnyArray]:
    """Columns of the FIBERMAP and cards of the header that a catalogue carries."""
    selected = nspec if rows is None else len(rows)
    if "FIBERMAP" not in fits:
        warn(f"{fits.path}: has no FIBERMAP: TARGETID is the row number")
        return {"TARGETID": row_numbers(nspec, rows).astype(np.int64)}
    have = fits.columns("FIBERMAP")
    if fits.nrows("FIBERMAP") != nspec:
        raise FileError(
            f"{fits.path}: HDU FIBERMAP has {fits.nrows('FIBERMAP')} rows, but there are {nspec} "
            "spectra"
        )
    wanted = id_names(have)
    if "TARGETID" not in wanted:
        wanted.insert(0, "TARGETID")  # `table` raises the error that it is not there
    ids = fits.table("FIBERMAP", wanted, rows)
    header = fits.header(0)
    cards = {card: card for card in _ID_CARDS}
    if "SURVEY" not in header:
        cards |= {card: name for card, name in _TILE_CARDS.items() if name not in ids}
    for card, name in cards.items():
        if header.get(card) is not None:
            ids[name] = np.full(selected, header[card])
    return {name: id_column(values, name, fits.path) for name, values in ids.items()}


def id_names(columns: list[str]) -> list[str]:
    """Those columns of a FIBERMAP that a catalogue carries: ids and target bits."""
    targets = {*DESI_TARGETS, "CMX_TARGET"}
    ids = [name for name in _ID_COLUMNS if name in columns]
    return ids + [name for name in columns if name in targets]


def row_flags(ids: Mapping[str, AnyArray], cameras: Sequence[str] = ("BRZ",)) -> Int32Array:
    """QN_FLAG bits of sky and unassigned fibres, bad fibre status, and missing cameras."""
    complete = "BRZ" in cameras or set("BRZ") <= set(cameras)
    flag = np.full(len(ids["TARGETID"]), 0 if complete else QNFlag.CAMERA_MISSING, np.int32)
    if "OBJTYPE" in ids:
        flag[ids["OBJTYPE"] != "TGT"] |= QNFlag.NOT_TARGET
    for name in ("COADD_FIBERSTATUS", "FIBERSTATUS"):
        if name in ids:
            flag[ids[name] != 0] |= QNFlag.BAD_FIBER
    return flag
