"""Common parts of the layouts of DESI: columns of the FIBERMAP, cards, flags, cameras."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, Float32Array, Int32Array, IntArray
from qnet.core.columns import DESI_TARGETS
from qnet.core.errors import FileError, warn
from qnet.core.flags import QNFlag
from qnet.core.positions import POSITIONS, position_names
from qnet.core.spectra import Camera
from qnet.io.columns import NO_ID, id_columns, id_numbers, int32_column, row_numbers
from qnet.io.fits.file import FitsFile
from qnet.io.readers.registry import Request, bit_mask
from qnet.io.units import Stated, stated_unit, stated_vacuum, to_angstrom

#: HDUs with a row per spectrum, the surest first. Some versions of desispec named that of a coadd
#: COADD_FIBERMAP, and kept FIBERMAP for the exposures, as EXP_FIBERMAP is now.
_FIBERMAPS = ("COADD_FIBERMAP", "FIBERMAP")

#: HDUs with a row per exposure of a coadd, their columns of the night, and rows read at a time.
_EXPOSURES, _NIGHTS, _PIECE = ("EXP_FIBERMAP", "FIBERMAP"), ("TARGETID", "NIGHT"), 100_000

#: Columns of the FIBERMAP that a catalogue carries, where the file has them.
_ID_COLUMNS = (
    *("TARGETID", "TARGET_RA", "TARGET_DEC", "OBJTYPE", "COADD_FIBERSTATUS", "FIBERSTATUS"),
    *("SURVEY", "PROGRAM", "HPXPIXEL", "UNIQPIX"),
    *("TILEID", "LASTNIGHT", "EXPID", "PETAL_LOC", "FIBER"),
)

#: What the columns of a position become, of which a FIBERMAP has the best that there is.
_POSITION = {name: POSITIONS[0][at] for pair in POSITIONS for at, name in enumerate(pair)}

#: Header cards that become columns, by the names of these, where the FIBERMAP does not have them.
_CARDS = {name: name for name in ("SURVEY", "PROGRAM", "HPXPIXEL", "UNIQPIX")}
_TILE_CARDS = {"TILEID": "TILEID", "LASTNIGHT": "NIGHT", "PETAL_LOC": "PETAL"}


def _target_bits(bit: int, *commissioning: int) -> dict[str, int]:
    """Mask of a target class by column: its bit, and its bits of the commissioning."""
    columns = [f"{phase}DESI_TARGET" for phase in ("", "SV1_", "SV2_", "SV3_")]
    return dict.fromkeys(columns, bit_mask(bit)) | {"CMX_TARGET": bit_mask(*commissioning)}


#: Target bits by column (desitarget's targetmask: QSO, ELG, BGS_ANY; of CMX SV0_QSO, MINI_SV_QSO,
#: SV0_ELG, MINI_SV_ELG, SV0_BGS, MINI_SV_BGS_BRIGHT).
QSO_TARGETS = _target_bits(2, 12, 55)
ELG_TARGETS = _target_bits(1, 11, 54)
BGS_TARGETS = _target_bits(60, 8, 56)

#: Fields of `Reader` that are the same for all layouts of DESI.
DECLARED: Mapping[str, Any] = {
    "survey": "DESI",
    "targetid": "FIBERMAP (COADD_FIBERMAP), else the row number",
    "wavelengths": "vacuum, centres",
    "no_weight": "MASK not 0, as in redrock",
    "ids": (*_ID_COLUMNS, "TARGET_NAME", "target bits"),
    "qso_targets": QSO_TARGETS,
}


def cameras_fault(names: Sequence[str]) -> str:
    """What is wrong with cameras of these names together, as a `Reader.fault`."""
    if "BRZ" in names and len(names) > 1:
        return f"holds the cameras {', '.join(names)}, of which BRZ is the coadd of the others"
    return ""


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


def fibermap_hdu(fits: FitsFile, nspec: int) -> str | None:
    """Name of the HDU with a row for each of the spectra; None where the file has no such HDU."""
    there = [name for name in _FIBERMAPS if name in fits]
    return next((name for name in there if fits.nrows(name) == nspec), next(iter(there), None))


def read_ids(fits: FitsFile, nspec: int, rows: IntArray | None) -> dict[str, AnyArray]:
    """Columns of the FIBERMAP and cards of the headers that a catalogue carries."""
    selected = nspec if rows is None else len(rows)
    hdu = fibermap_hdu(fits, nspec)
    if hdu is None:
        warn(f"{fits.path}: has no FIBERMAP: TARGETID is the row number")
        return {"TARGETID": row_numbers(nspec, rows).astype(np.int64)}
    if fits.nrows(hdu) != nspec:
        raise FileError(
            f"{fits.path}: HDU {hdu} has {fits.nrows(hdu)} rows, but there are {nspec} spectra"
        )
    wanted = id_names(fits.columns(hdu))
    ids = fits.table(hdu, wanted, rows) if wanted else {}
    where, headers = f"{fits.path}: HDU {hdu}", (fits.header(0), fits.header(hdu))
    ids = complete_ids(ids, headers, selected, where, fits.path)
    exposures = next((name for name in _EXPOSURES if name in fits and name != hdu), None)
    if "LASTNIGHT" not in ids and exposures and {*_NIGHTS} <= {*fits.columns(exposures)}:
        count = fits.nrows(exposures)
        pieces = np.split(np.arange(count), range(_PIECE, count, _PIECE))
        tables = (fits.table(exposures, list(_NIGHTS), piece) for piece in pieces)
        ids["LASTNIGHT"] = last_nights(ids["TARGETID"], tables, fits.path)
    return ids


def last_nights(
    targetid: IntArray, exposures: Iterable[Mapping[str, AnyArray]], path: Path | None
) -> Int32Array:
    """Last night of each target among tables of exposures with TARGETID and NIGHT; -1 without."""
    unique, inverse = np.unique(targetid, return_inverse=True)
    last = np.full(len(unique), NO_ID, np.int32)
    for table in exposures if len(unique) else ():
        number = id_numbers(table["TARGETID"], "TARGETID", path)
        night = int32_column(id_numbers(table["NIGHT"], "NIGHT", path), "NIGHT", path)
        at = np.searchsorted(unique, number).clip(max=len(unique) - 1)
        # Sky fibres share ids below 0: a night of one is none of another.
        known = (unique[at] == number) & (number > 0)
        np.maximum.at(last, at[known], night[known])
    return np.asarray(last[inverse], dtype=np.int32)


def complete_ids(
    ids: dict[str, AnyArray],
    headers: tuple[Mapping[str, Any], Mapping[str, Any]],
    nspec: int,
    where: str,
    path: Path | None,
) -> dict[str, AnyArray]:
    """Columns of a FIBERMAP and cards of headers, that of HDU 0 first, checked; with a TARGETID."""
    ids = {_POSITION.get(name, name): column for name, column in ids.items()}
    if "TARGETID" not in ids:
        warn(f"{where} has no TARGETID: it is {NO_ID}")
        ids = {"TARGETID": np.full(nspec, NO_ID)} | ids
    for name, value in _id_cards(*headers).items():
        ids.setdefault(name, np.full(nspec, value))
    return id_columns(ids, path)


def _id_cards(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Values of header cards by the names of their columns: of HDU 0, else of the FIBERMAP."""
    # Files of a healpix are of many tiles; old ones kept cards of one of these in the FIBERMAP.
    healpix = any(card in header for card in ("HPXPIXEL", "UNIQPIX") for header in (first, second))
    found = {}
    for name, card in (_CARDS | _TILE_CARDS).items():
        headers = (first,) if healpix and name in _TILE_CARDS else (first, second)
        values = [header[card] for header in headers if header.get(card) not in (None, "")]
        if values:
            found[name] = values[0]
    return found


def id_names(columns: list[str]) -> list[str]:
    """Those columns of a FIBERMAP that a catalogue carries: ids and target bits."""
    targets = {*DESI_TARGETS, "CMX_TARGET"}
    ids = [name for name in _ID_COLUMNS if name in columns]
    ids += [name for name in position_names(columns) if name not in ids]
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
