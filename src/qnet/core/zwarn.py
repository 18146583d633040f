"""Bits of redrock's ZWARN, made from QN_FLAG and P_Z."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qnet.core.arrays import AnyArray, IntArray
from qnet.core.flags import QNFlag

#: Under this P_Z a redshift is more probably wrong than right.
UNSURE_P_Z = 0.5


class ZWarn(NamedTuple):
    """A bit of ZWARN (redrock, `redrock.zwarning.ZWarningMask`), and what sets it."""

    bit: int
    name: str
    flags: QNFlag
    #: What else sets it, in words.
    beside: str = ""


ZWARN = (
    ZWarn(0, "SKY", QNFlag.NOT_TARGET),
    ZWarn(1, "LITTLE_COVERAGE", QNFlag.SPARSE),
    ZWarn(
        2,
        "SMALL_DELTA_CHI2",
        QNFlag.AMBIGUOUS | QNFlag.DISAGREE | QNFlag.NO_EVIDENCE,
        f"`P_Z` under {UNSURE_P_Z:g}; in `redrock`, a row that is no quasar",
    ),
    ZWarn(4, "MANY_OUTLIERS", QNFlag.OUTLIER),
    ZWarn(5, "Z_FITLIMIT", QNFlag.ZRANGE),
    ZWarn(7, "UNPLUGGED", QNFlag.BAD_FIBER),
    ZWarn(9, "NODATA", QNFlag.NODATA | QNFlag.CONSTANT, "no `ZBEST`"),
    ZWarn(10, "BAD_MINFIT", QNFlag.NOREFINE),
)

#: The values of the bits by name.
BITS = {row.name: 1 << row.bit for row in ZWARN}


def make_zwarn(qn_flag: AnyArray, p_z: AnyArray, zbest: AnyArray) -> IntArray:
    """ZWARN of each row, 0 where nothing is doubtful; a P_Z of NaN is no doubt."""
    zwarn = np.zeros(len(qn_flag), dtype=np.int64)
    for row in ZWARN:
        zwarn[(qn_flag & int(row.flags)) != 0] |= BITS[row.name]
    zwarn[p_z < UNSURE_P_Z] |= BITS["SMALL_DELTA_CHI2"]
    zwarn[~np.isfinite(zbest)] |= BITS["NODATA"]
    return zwarn
