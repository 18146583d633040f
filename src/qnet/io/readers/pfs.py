"""Common parts of the layouts of PFS: bits of the mask by name, ids of targets.

From Subaru-PFS/datamodel (datamodel.txt of 2026-03-24; pfs.datamodel.masks, pfs.datamodel.target):
flux in nJy, wavelengths in nm in vacuum, COVAR with the variance in its first row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray, Int32Array
from qnet.core.flags import QNFlag
from qnet.io.columns import id_columns, id_numbers
from qnet.io.fits.file import FitsFile

#: Bits of MASK that take a pixel's weight, by their names; others, as EDGE or OVERLAP, do not.
_BAD = (
    *("NO_DATA", "NODATA", "BAD", "SAT", "CR", "UNMASKEDNAN"),
    *("SUSPECT", "BAD_FLAT", "BAD_SKY", "BAD_FLUXCAL"),
)

#: Beginning of the names of cards that have the numbers of bits.
_PREFIX = "MP_"

#: Types of target by number, from 1 (pfs.datamodel.TargetType).
_TYPES = (
    *("", "SCIENCE", "SKY", "FLUXSTD", "UNASSIGNED", "ENGINEERING", "SUNSS_IMAGING"),
    *("SUNSS_DIFFUSE", "DCB", "HOME", "BLACKSPOT", "AFL", "SCIENCE_MASKED"),
)

#: Types that are objects on the sky.
_OBJECTS = ("SCIENCE", "FLUXSTD", "SCIENCE_MASKED")

#: Columns of a catalogue by the names of a target's properties.
NAMES: Mapping[str, str] = {
    "OBJID": "TARGETID",
    "CATID": "CATID",
    "TRACT": "TRACT",
    "PATCH": "PATCH",
    "RA": "TARGET_RA",
    "DEC": "TARGET_DEC",
    "TARGETTYPE": "OBJTYPE",
}

#: Fields of `Reader` that are the same for all layouts of PFS.
DECLARED: Mapping[str, Any] = {
    "survey": "PFS",
    "targetid": "objId",
    "wavelengths": "vacuum, centres",
    "no_weight": f"bits of MASK named {', '.join(_BAD)}, by the MP_* cards",
    "ids": tuple(NAMES.values()),
}


def bad_pixels(mask: AnyArray, planes: Mapping[str, Any]) -> BoolArray:
    """Pixels that have a bad bit, whose number `planes` has by MP_ and its name.

    Without any names of bits all that are not 0 are bad.
    """
    bits = {
        name.removeprefix(_PREFIX): int(number)
        for name, number in planes.items()
        if name.startswith(_PREFIX) and isinstance(number, int) and 0 <= number < 63
    }
    if not bits:
        return np.asarray(mask != 0)
    wanted = sum(1 << bits[name] for name in set(_BAD) & bits.keys())
    fits = mask.dtype.kind == "i" and wanted.bit_length() < 8 * mask.dtype.itemsize
    whole = mask if fits else mask.astype(np.int64)
    return np.asarray((whole & whole.dtype.type(wanted)) != 0)


def target_ids(fits: FitsFile, values: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Ids of targets from their properties."""
    found = {NAMES[name]: column for name, column in values.items()}
    if "OBJTYPE" in found:
        numbers = id_numbers(found["OBJTYPE"], "targetType", fits.path)
        known = (numbers > 0) & (numbers < len(_TYPES))
        found["OBJTYPE"] = np.array(_TYPES)[np.where(known, numbers, 0)]
    return id_columns(found, fits.path)


def row_flags(ids: Mapping[str, AnyArray]) -> Int32Array:
    """The NOT_TARGET bit of fibres on the sky and on nothing."""
    flag = np.zeros(len(ids["TARGETID"]), dtype=np.int32)
    if "OBJTYPE" in ids:
        flag[~np.isin(ids["OBJTYPE"], ["", *_OBJECTS])] |= QNFlag.NOT_TARGET
    return flag
