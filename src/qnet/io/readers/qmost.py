"""Common parts of the layouts of 4MOST: uses of fibres, ids of objects.

From the readers of its L1 products in qmostxp (l1spectrum, targets) and tides_pipe
(data_ingestion), and the mock spectra of py4most (etc/qmost_etc.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, Int32Array
from qnet.core.flags import QNFlag
from qnet.io.columns import id_columns, id_numbers
from qnet.io.fits.file import FitsFile

#: What ids are called, best first, by their names in a catalogue.
NAMES: Mapping[str, tuple[str, ...]] = {
    "TARGETID": ("TRG_UID", "OBJ_UID"),
    "TARGET_NAME": ("CNAME", "IAU_NAME", "TRG_NME", "OBJ_NME", "OBJECT"),
    "TARGET_RA": ("TRG_RA", "OBJ_RA"),
    "TARGET_DEC": ("TRG_DEC", "OBJ_DEC"),
}

#: Uses of a fibre (FIB_USE) on no object: sky and calibration.
_NO_OBJECT = (3, 4)

#: Status of a fibre (FIB_ST) that is on its target.
_ALLOCATED = 2

#: Fields of `Reader` that are the same for all layouts of 4MOST.
DECLARED: Mapping[str, Any] = {
    "survey": "4MOST",
    "targetid": "TRG_UID or OBJ_UID, else -1",
    "wavelengths": "air, converted to vacuum; centres",
    "no_weight": "QUAL not 0",
    "ids": tuple(NAMES),
}


def is_qmost(fits: FitsFile) -> bool:
    """Whether a file is of the instrument."""
    return str(fits.header(0).get("INSTRUME", "")).upper().startswith("QMOST")


def target_ids(fits: FitsFile, values: Mapping[str, AnyArray], nspec: int) -> dict[str, AnyArray]:
    """Ids of objects by what they are called."""
    found = {
        name: next((values[one] for one in names if one in values), None)
        for name, names in NAMES.items()
    }
    known = {name: column for name, column in found.items() if column is not None}
    return id_columns({"TARGETID": np.full(nspec, -1)} | known, fits.path)


def row_flags(fits: FitsFile, values: Mapping[str, AnyArray], nspec: int) -> Int32Array:
    """The NOT_TARGET bit of fibres on the sky, on lamps and on nothing."""
    flag = np.zeros(nspec, dtype=np.int32)
    if "FIB_USE" in values:
        use = id_numbers(values["FIB_USE"], "FIB_USE", fits.path)
        flag[np.isin(use, _NO_OBJECT)] |= QNFlag.NOT_TARGET
    if "FIB_ST" in values:
        status = id_numbers(values["FIB_ST"], "FIB_ST", fits.path)
        flag[status != _ALLOCATED] |= QNFlag.NOT_TARGET
    return flag


def weights(columns: list[str]) -> tuple[str, str]:
    """The column of errors, and what they are; '' where there is none."""
    kinds = {"FLUX_IVAR": "ivar", "ERR_FLUX": "std"}
    return next(((name, kind) for name, kind in kinds.items() if name in columns), ("", ""))
