"""Common parts of the layouts of SDSS to SDSS-V: masks, wavelengths, ids of a plate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, Int32Array, IntArray
from qnet.core.columns import SDSS_TARGETS
from qnet.core.errors import FileError, first_few, warn
from qnet.core.flags import QNFlag
from qnet.core.spectra import Camera, Spectra
from qnet.io.columns import (
    NO_ID,
    float_column,
    id_card,
    id_columns,
    id_numbers,
    int32_column,
    text_column,
)
from qnet.io.fits.file import FitsFile
from qnet.io.pixels import settle_flux
from qnet.io.readers.registry import Request, bit_mask, left_out, recognised
from qnet.io.units import COMBINEREJ, Stated, stated_unit, stated_vacuum, to_wave

#: Quasar-target bits by column, of BOSS, its ancillary programs and eBOSS.
QSO_TARGETS: Mapping[str, int] = {
    "BOSS_TARGET1": bit_mask((10, 19), (40, 44)),
    "EBOSS_TARGET0": bit_mask((10, 18), 20, 22, 30, 31, (33, 35), 40),
    "EBOSS_TARGET1": bit_mask((9, 18), 30, 31),
    "EBOSS_TARGET2": bit_mask(0, 2, 4, 20, 21, (23, 27), (31, 34), (50, 62)),
    "ANCILLARY_TARGET1": bit_mask((6, 31), (50, 55), 58, 59),
    "ANCILLARY_TARGET2": bit_mask((0, 5), (7, 10), (13, 15), (24, 27), (31, 33), (53, 56)),
}

#: HDU of the plugmap in spPlate, spField and spCFrame files, which name HDUs in late versions only.
_PLUGMAP = 5

#: Columns of the plugmap that a catalogue carries, by its own names for them.
_PLUGMAP_IDS = {"RA": "TARGET_RA", "DEC": "TARGET_DEC", "OBJTYPE": "OBJTYPE"}

#: Columns of SDSS-V's plugmap: CATALOGID as text, and as a number where it is one, else -999.
_CATALOGID, _ICATALOGID = "CATALOGID", "ICATALOGID"

#: Those that are ids of a catalogue as they are; the position is the target's, not the fibre's.
_FIELD_IDS = {"RACAT": "TARGET_RA", "DECCAT": "TARGET_DEC", "OBJTYPE": "OBJTYPE"} | {
    name: name for name in ("SDSS_ID", "TARGET_INDEX", "FIBERID", "FIBERID_LIST")
}

#: What SDSS-V's integers are where there is no value, target bits too.
_NULL = -999

#: Id columns of a field of SDSS-V.
FIELD_IDS = ("FIELD", "MJD", "OBS", _CATALOGID, "TARGET_NAME", *_FIELD_IDS.values())

#: Fields of `Reader` that are the same for the layouts that hold the fibres of a plate.
PLATE_DECLARED: Mapping[str, Any] = {
    "survey": "SDSS",
    "targetid": "THING_ID of the spAll file, in SDSS-V CATALOGID, else -1",
    "ids": ("THING_ID", "PLATE", *FIELD_IDS, "target bits"),
    "qso_targets": QSO_TARGETS,
    "spall": True,
}


def is_plate(fits: FitsFile) -> bool:
    """Whether HDUs 0, 1 and 2 are images of one two-dimensional shape."""
    shape = fits.shape(0)
    return len(shape) == 2 and fits.shape(1) == shape and fits.shape(2) == shape


def has_loglam(fits: FitsFile) -> bool:
    """Whether HDU 3 is an image of real numbers in the shape of HDU 0: loglam of each fibre."""
    if fits.shape(3) != fits.shape(0):
        return False
    return fits.image(3, np.arange(1)).dtype.kind == "f"


def is_coadd(fits: FitsFile) -> bool:
    """Whether there are images on one wavelength solution."""
    return is_plate(fits) and "COEFF0" in fits.header(0) and not has_loglam(fits)


def is_field(fits: FitsFile) -> bool:
    """Whether the plugmap is that of a field of SDSS-V, with a row per target, not per fibre."""
    have = fits.columns(_PLUGMAP)
    return "TARGET_INDEX" in have or ("FIBERID" not in have and _has_catalogid(fits))


def _has_catalogid(fits: FitsFile) -> bool:
    """Whether the plugmap has the ids of SDSS-V."""
    return not {_CATALOGID, _ICATALOGID}.isdisjoint(fits.columns(_PLUGMAP))


def coadd_fault(fits: FitsFile) -> str:
    """What is wrong with an spPlate or spField file."""
    if "COEFF1" not in fits.header(0):
        return "lacks the card COEFF1 beside COEFF0"
    return plate_fault(fits, 6)


def plate_fault(fits: FitsFile, last: int) -> str:
    """What is wrong with a file of images, whose HDUs after the one numbered `last` vary."""
    if not fits.is_table(_PLUGMAP):
        return f"lacks the table number {_PLUGMAP}, the plugmap; it holds {fits.describe()}"
    others = [number for number in range(last + 1, len(fits)) if len(fits.shape(number)) == 2]
    if len(others) > 1:  # flux and ivar at least; one may be a resolution
        return f"holds further images, in HDU {first_few(others, 6)}, that would be left out"
    return left_out(fits, [0])


def stated_units(fits: FitsFile) -> Stated:
    """Unit that the first HDU states for flux, as in all layouts of SDSS."""
    return Stated(f"{fits.path}: HDU 0", stated_unit(fits, 0))


def count_fibers(fits: FitsFile) -> int:
    """Number of spectra of an spPlate or spCFrame."""
    return fits.shape(0)[0]


def plate_arrays(fits: FitsFile, rows: IntArray | None) -> tuple[AnyArray, AnyArray]:
    """Flux and ivar of an spPlate or spCFrame; ivar 0 where the COMBINEREJ bit is set."""
    flux, ivar = fits.image(0, rows), fits.image(1, rows)
    return flux, without_rejected(ivar, fits.image(2, rows, integers=True))


def read_coadd(fits: FitsFile, ids: Mapping[str, AnyArray], rows: IntArray | None) -> Spectra:
    """The spectra of an spPlate or spField file, on wavelengths 10**(COEFF0 + COEFF1 i)."""
    start, step = (
        float(float_column(np.array([fits.header(0).get(card)]), card, fits.path)[0])
        for card in ("COEFF0", "COEFF1")
    )
    flux, ivar = plate_arrays(fits, rows)
    wave = to_wave(start + step * np.arange(flux.shape[1]))
    camera = stated_vacuum(Camera("coadd", wave, flux, ivar), fits, 0)
    cameras, unit = settle_flux([camera], [stated_units(fits)])
    return Spectra(
        cameras=cameras,
        ids=ids,
        flag=sky_flag(ids),
        cards=reduction_cards(fits),
        flux_unit=unit,
    )


def coadd_fields(
    looks: Callable[[FitsFile], bool],
    read_ids: Callable[[FitsFile, Request], dict[str, AnyArray]],
) -> Mapping[str, Any]:
    """Fields of `Reader` that are the same for spPlate and spField, which differ in their ids."""

    def read(files: Sequence[FitsFile], request: Request) -> Spectra:
        (fits,) = files
        return read_coadd(fits, read_ids(fits, request), request.rows)

    return {
        **recognised(looks, coadd_fault),
        "wavelengths": "vacuum, centres: 10**(COEFF0 + COEFF1 i)",
        "no_weight": "bit 25 (COMBINEREJ) of and_mask",
        "count": count_fibers,
        "read": read,
        "whole": True,
    }


def without_rejected(ivar: AnyArray, mask: AnyArray) -> AnyArray:
    """The ivar with 0 where a mask has the COMBINEREJ bit."""
    return np.where(mask.astype(np.int64) & COMBINEREJ, ivar.dtype.type(0), ivar)


def _plugmap(fits: FitsFile, columns: list[str], rows: IntArray | None) -> dict[str, AnyArray]:
    """Columns of the plugmap, which must have a row per spectrum."""
    found = fits.table(_PLUGMAP, columns, rows)
    if fits.nrows(_PLUGMAP) != count_fibers(fits):
        raise FileError(
            f"{fits.path}: the plugmap in HDU {_PLUGMAP} has {fits.nrows(_PLUGMAP)} rows, but "
            f"there are {count_fibers(fits)} spectra"
        )
    return found


def plate_fibers(fits: FitsFile) -> Int32Array:
    """FIBERIDs of the rows of an spPlate or spCFrame; -1 where there are none."""
    if "FIBERID" not in fits.columns(_PLUGMAP):
        return np.full(count_fibers(fits), NO_ID, dtype=np.int32)
    fibers = _plugmap(fits, ["FIBERID"], None)["FIBERID"]
    return int32_column(id_numbers(fibers, "FIBERID", fits.path), "FIBERID", fits.path)


def plate_ids(fits: FitsFile, request: Request) -> dict[str, AnyArray]:
    """Ids of the fibres of an spPlate or spCFrame."""
    if request.spall is None and _has_catalogid(fits):
        return field_ids(fits, request)
    fiber = plate_fibers(fits)
    have = fits.columns(_PLUGMAP)
    columns = [name for name in (*_PLUGMAP_IDS, *SDSS_TARGETS) if name in have]
    plugmap = _plugmap(fits, columns, request.rows) if columns else {}
    fiber = fiber if request.rows is None else fiber[request.rows]
    plate, mjd = (id_card(fits.header(0).get(card), card, fits.path) for card in ("PLATEID", "MJD"))
    if "FIBERID" not in have:
        warn(f"{fits.path}: HDU number {_PLUGMAP} has no FIBERID: it is {NO_ID}")
    if request.spall is None:
        warn_no_id(fits, "THING_ID")
    spall = request.spall or {}
    found = [spall.get((plate, mjd, int(number)), NO_ID) for number in fiber]
    thing_id = np.array(found, dtype=object)  # whatever numbers they are
    ids: dict[str, AnyArray] = {
        "PLATE": np.full(len(fiber), plate, dtype=np.int32),
        "MJD": np.full(len(fiber), mjd, dtype=np.int32),
        "FIBERID": fiber,
        "THING_ID": thing_id,
    }
    ids |= {_PLUGMAP_IDS.get(name, name): column for name, column in plugmap.items()}
    return id_columns(without_null_bits(ids), fits.path, target="THING_ID")


def field_ids(fits: FitsFile, request: Request) -> dict[str, AnyArray]:
    """Ids of the targets of SDSS-V: TARGETID is ICATALOGID where that is positive."""
    have = fits.columns(_PLUGMAP)
    position = {} if "RACAT" in have else {"RA": "TARGET_RA", "DEC": "TARGET_DEC"}
    names = _FIELD_IDS | position | {name: name for name in SDSS_TARGETS}
    columns = [name for name in (_CATALOGID, _ICATALOGID, *names) if name in have]
    plugmap = _plugmap(fits, columns, request.rows)
    header = fits.header(0)
    field = next((header[card] for card in ("FIELDID", "PLATEID") if header.get(card)), None)
    nspec = count_fibers(fits) if request.rows is None else len(request.rows)
    ids: dict[str, AnyArray] = {
        "FIELD": np.full(nspec, id_card(field, "FIELDID", fits.path), dtype=np.int32),
        "MJD": np.full(nspec, id_card(header.get("MJD"), "MJD", fits.path), dtype=np.int32),
    }
    if header.get("OBSERVAT"):
        ids["OBS"] = np.full(nspec, str(header["OBSERVAT"]))
    text, number = plugmap.pop(_CATALOGID, None), plugmap.pop(_ICATALOGID, None)
    if number is not None:
        number = id_numbers(number, _ICATALOGID, fits.path)
        if text is not None and (number <= 0).any():
            text = text_column(text, _CATALOGID, fits.path)
            ids["TARGET_NAME"] = np.where((number > 0) | (text == str(_NULL)), "", text)
        text = np.where(number > 0, number, NO_ID)
    if text is None:
        warn_no_id(fits, _CATALOGID)
    ids[_CATALOGID] = np.full(nspec, NO_ID) if text is None else text
    ids |= {names[name]: column for name, column in plugmap.items()}
    return id_columns(without_null_bits(ids), fits.path, target=_CATALOGID)


def without_null_bits(ids: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Ids with 0 in place of SDSS-V's -999 in target bits."""
    found = dict(ids)
    for name in found.keys() & set(SDSS_TARGETS):
        if found[name].dtype.kind == "i":
            found[name] = np.where(found[name] == _NULL, 0, found[name])
    return found


def warn_no_id(fits: FitsFile, name: str) -> None:
    """Warn that a file does not hold the id that TARGETID is taken from."""
    hint = "; give spall (an spAll file)" if name == "THING_ID" else ""
    warn(f"{fits.path}: holds no {name}: TARGETID is {NO_ID}{hint}")


def sky_flag(ids: Mapping[str, AnyArray]) -> Int32Array:
    """The NOT_TARGET bit for sky fibres."""
    flag = np.zeros(len(ids["TARGETID"]), dtype=np.int32)
    if "OBJTYPE" in ids:
        sky = np.char.find(np.char.upper(ids["OBJTYPE"].astype(str)), "SKY") >= 0
        flag[sky] |= QNFlag.NOT_TARGET
    return flag


def reduction_cards(fits: FitsFile) -> tuple[tuple[str, str], ...]:
    """Version of the survey's reduction, as a dependency to be carried on."""
    run2d = fits.header(0).get("RUN2D")
    return (("RUN2D", str(run2d).strip()),) if run2d else ()
