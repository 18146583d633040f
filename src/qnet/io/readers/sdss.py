"""Common parts of the layouts of SDSS to SDSS-V: masks, wavelengths, ids of a plate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, FloatArray, Int32Array, IntArray
from qnet.core.columns import SDSS_TARGETS
from qnet.core.errors import FileError, first_few, warn
from qnet.core.flags import QNFlag
from qnet.io.columns import NO_ID, id_column, int32_column, integer_card
from qnet.io.fits.file import FitsFile
from qnet.io.readers.registry import Request, bit_mask, left_out
from qnet.io.units import Stated, stated_unit

#: Bit of and_mask (and of a single exposure's mask) that means: rejected when combining exposures.
COMBINEREJ = 1 << 25

#: Quasar-target bits by column, of BOSS, its ancillary programs and eBOSS.
QSO_TARGETS: Mapping[str, int] = {
    "BOSS_TARGET1": bit_mask((10, 19), (40, 44)),
    "EBOSS_TARGET0": bit_mask((10, 18), 20, 22, 30, 31, (33, 35), 40),
    "EBOSS_TARGET1": bit_mask((9, 18), 30, 31),
    "EBOSS_TARGET2": bit_mask(0, 2, 4, 20, 21, (23, 27), (31, 34), (50, 62)),
    "ANCILLARY_TARGET1": bit_mask((6, 31), (50, 55), 58, 59),
    "ANCILLARY_TARGET2": bit_mask((0, 5), (7, 10), (13, 15), (24, 27), (31, 33), (53, 56)),
}

#: HDU of the plugmap in spPlate and spCFrame files, which name their HDUs only in late versions.
_PLUGMAP = 5

#: Columns of the plugmap that a catalogue carries, by its own names for them.
_PLUGMAP_IDS = {"RA": "TARGET_RA", "DEC": "TARGET_DEC", "OBJTYPE": "OBJTYPE"}

#: Fields of `Reader` that are the same for the layouts that hold the fibres of a plate.
PLATE_DECLARED: Mapping[str, Any] = {
    "survey": "SDSS",
    "targetid": "THING_ID of the spAll file, else -1",
    "ids": ("THING_ID", "PLATE", "MJD", "FIBERID", *_PLUGMAP_IDS.values(), "target bits"),
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


def plate_fault(fits: FitsFile, last: int) -> str:
    """What is wrong with an spPlate or spCFrame, whose HDUs after the one numbered `last` vary."""
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


def without_rejected(ivar: AnyArray, mask: AnyArray) -> AnyArray:
    """The ivar with 0 where a mask has the COMBINEREJ bit."""
    return np.where(mask.astype(np.int64) & COMBINEREJ, ivar.dtype.type(0), ivar)


def to_wave(loglam: AnyArray) -> FloatArray:
    """Wavelengths [Angstrom] from their decimal logarithms, raised in float64."""
    with np.errstate(over="ignore"):  # what overflows is refused as infinite
        return np.power(10.0, loglam.astype(np.float64))


def plate_fibers(fits: FitsFile) -> Int32Array:
    """FIBERIDs of the rows of an spPlate or spCFrame."""
    fibers = fits.table(_PLUGMAP, ["FIBERID"])["FIBERID"]
    if len(fibers) != count_fibers(fits):
        raise FileError(
            f"{fits.path}: the plugmap in HDU {_PLUGMAP} has {len(fibers)} rows, but there are "
            f"{count_fibers(fits)} spectra"
        )
    return int32_column(fibers, "FIBERID", fits.path)


def plate_ids(fits: FitsFile, request: Request) -> dict[str, AnyArray]:
    """Ids of the fibres of an spPlate or spCFrame."""
    fiber = plate_fibers(fits)
    have = fits.columns(_PLUGMAP)
    columns = {name: id_name for name, id_name in _PLUGMAP_IDS.items() if name in have}
    columns |= {name: name for name in SDSS_TARGETS if name in have}
    plugmap = fits.table(_PLUGMAP, list(columns), request.rows)
    fiber = fiber if request.rows is None else fiber[request.rows]
    header = fits.header(0)
    plate, mjd = (
        integer_card(header.get(card, NO_ID), card, fits.path) for card in ("PLATEID", "MJD")
    )
    if request.spall is None:
        warn_no_id(fits, "THING_ID")
    spall = request.spall or {}
    thing_id = np.array([spall.get((plate, mjd, int(number)), NO_ID) for number in fiber], np.int64)
    ids: dict[str, AnyArray] = {
        "TARGETID": thing_id,
        "PLATE": np.full(len(fiber), plate, dtype=np.int32),
        "MJD": np.full(len(fiber), mjd, dtype=np.int32),
        "FIBERID": fiber,
        "THING_ID": thing_id,
    }
    for name, values in plugmap.items():
        ids[columns[name]] = id_column(values, columns[name], fits.path)
    return ids


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
