"""Which target bits of the surveys mean "quasar target".

The bits are those with which SDSS-III/BOSS (Dawson et al. 2013; Ross et al. 2012), SDSS-IV/eBOSS
(Dawson et al. 2016; Myers et al. 2015) and DESI (Myers et al. 2023; Chaussidon et al. 2023)
selected quasar candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.errors import InputError


def _bits(*parts: int | tuple[int, int]) -> int:
    """Bit mask of single bits and inclusive ranges of bits."""
    mask = 0
    for part in parts:
        low, high = part if isinstance(part, tuple) else (part, part)
        for bit in range(low, high + 1):
            mask |= 1 << bit
    return mask


#: Mask of the quasar-target bits, by target column.
QSO_TARGET_BITS: Mapping[str, int] = MappingProxyType(
    {
        "BOSS_TARGET1": _bits((10, 19), (40, 44)),
        "EBOSS_TARGET0": _bits((10, 18), 20, 22, 30, 31, (33, 35), 40),
        "EBOSS_TARGET1": _bits((9, 18), 30, 31),
        "EBOSS_TARGET2": _bits(0, 2, 4, 20, 21, (23, 27), (31, 34), (50, 62)),
        "ANCILLARY_TARGET1": _bits((6, 31), (50, 55), 58, 59),
        "ANCILLARY_TARGET2": _bits((0, 5), (7, 10), (13, 15), (24, 27), (31, 33), (53, 56)),
        "DESI_TARGET": _bits(2),
        "SV1_DESI_TARGET": _bits(2),
        "SV2_DESI_TARGET": _bits(2),
        "SV3_DESI_TARGET": _bits(2),
        "CMX_TARGET": _bits(12, 55),  # SV0_QSO, MINI_SV_QSO
    }
)


def is_qso_target(columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.bool_]:
    """Rows that a survey targeted as quasar candidates.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (nspec,)
        Columns of the spectra, among them at least one of `QSO_TARGET_BITS`.

    Returns
    -------
    ndarray of bool, shape (nspec,)

    Raises
    ------
    InputError
        None of the known target columns is there.
    """
    known = [name for name in QSO_TARGET_BITS if name in columns]
    if not known:
        raise InputError(
            "quasar targets were asked for, but the spectra have no target column: expected one of "
            f"{', '.join(QSO_TARGET_BITS)}"
        )
    asked: npt.NDArray[np.bool_] = np.zeros(len(columns[known[0]]), dtype=bool)
    for name in known:
        if columns[name].dtype.kind not in "iu":
            raise InputError(f"target column {name} must hold integers, not {columns[name].dtype}")
        asked |= (np.asarray(columns[name], dtype=np.int64) & QSO_TARGET_BITS[name]) != 0
    return asked
