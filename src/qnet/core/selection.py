"""Which spectra of an input are asked for, and how their exposures are joined."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import BoolArray, IntArray
from qnet.core.errors import InputError, QnetWarning
from qnet.core.spectra import Spectra


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which rows are asked for, and how exposures are joined.

    Attributes
    ----------
    targets : {'all', 'qso'}
        All rows, or those that the survey targeted as quasar candidates.
    targetids : frozenset of int or None
        Only these TARGETIDs.
    rows : tuple of int or None
        Only these rows of each input.
    nrows : int or None
        Where the rows came as a mask: its length, which an input must have.
    coadd : {'none', 'target'}
        'target' joins the exposures of each positive TARGETID into one row.
    """

    targets: Literal["all", "qso"] = "all"
    targetids: frozenset[int] | None = None
    rows: tuple[int, ...] | None = None
    nrows: int | None = None
    coadd: Literal["none", "target"] = "none"

    def __post_init__(self) -> None:
        for name, value, legal in (
            ("targets", self.targets, ("all", "qso")),
            ("coadd", self.coadd, ("none", "target")),
        ):
            if value not in legal:
                raise InputError(f"{name} must be one of {', '.join(legal)}, not {value!r}")
        if self.rows is not None and self.coadd == "target":
            raise InputError("rows cannot be selected when exposures are joined: give targetids")

    def asked(self, spectra: Spectra) -> BoolArray | None:
        """Rows that are asked for; None for all of them.

        Raises
        ------
        InputError
            A row is out of range, or there is no target column.
        """
        if self.targets == "all" and self.targetids is None and self.rows is None:
            return None
        asked: BoolArray = np.ones(len(spectra), dtype=bool)
        if self.targets == "qso":
            asked &= is_qso_target(spectra.ids)
        if self.targetids is not None:
            asked &= np.isin(spectra.ids["TARGETID"], list(self.targetids))
        if self.nrows not in (None, len(spectra)):
            raise InputError(
                f"rows is a mask of {self.nrows}, but there are {len(spectra)} spectra"
            )
        if self.rows is not None:
            low, high = min(self.rows, default=0), max(self.rows, default=0)
            if self.rows and (low < 0 or high >= len(spectra)):
                raise InputError(
                    f"rows must be in 0 .. {len(spectra) - 1}, not {low if low < 0 else high}"
                )
            asked &= np.isin(np.arange(len(spectra)), self.rows)
        return asked

    def warn_missing(self, targetids: IntArray) -> None:
        """Warn of TARGETIDs that were asked for and are not among those of the inputs."""
        missing = sorted((self.targetids or frozenset()) - set(targetids.tolist()))
        if missing:
            warnings.warn(
                f"TARGETID(s) in no input: {', '.join(map(str, missing))}",
                QnetWarning,
                stacklevel=4,
            )


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


def is_qso_target(columns: Mapping[str, npt.NDArray[Any]]) -> BoolArray:
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
    asked: BoolArray = np.zeros(len(columns[known[0]]), dtype=bool)
    for name in known:
        if columns[name].dtype.kind not in "iu":
            raise InputError(f"target column {name} must hold integers, not {columns[name].dtype}")
        asked |= (np.asarray(columns[name], dtype=np.int64) & QSO_TARGET_BITS[name]) != 0
    return asked
