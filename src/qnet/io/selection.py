"""Selection of spectra of an input, and of the joining of their exposures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np

from qnet.core.arguments import check_fields
from qnet.core.arrays import AnyArray, BoolArray, IntArray
from qnet.core.errors import InputError, warn
from qnet.core.spectra import Spectra
from qnet.io.readers.registry import qso_target_bits


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which rows are asked for, and whether the exposures of a TARGETID are joined."""

    targets: Literal["all", "qso"] = "all"
    targetids: frozenset[int] | None = None
    rows: tuple[int, ...] | None = None  # of each input
    nrows: int | None = None  # length of the mask that the rows came as
    coadd: Literal["none", "target"] = "none"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.rows is not None and self.coadd == "target":
            raise InputError("rows cannot be selected when exposures are joined: give targetids")

    def asked(self, spectra: Spectra) -> BoolArray | None:
        """Rows (nspec,) that are asked for; None for all of them."""
        if self.targets == "all" and self.targetids is None and self.rows is None:
            return None
        asked: BoolArray = np.ones(len(spectra), dtype=bool)
        if self.targets == "qso":
            asked &= is_qso_target(spectra.ids)
        asked &= self.has_target(spectra.ids["TARGETID"])
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

    def has_target(self, targetid: IntArray) -> BoolArray:
        """Whether each of some TARGETIDs is asked for; all are where none is named."""
        if self.targetids is None:
            return np.ones(len(targetid), dtype=bool)
        # Beside numbers beyond int64 all would become floats, which lose digits.
        limits = np.iinfo(np.int64)
        named = [number for number in self.targetids if limits.min <= number <= limits.max]
        return np.isin(targetid, np.array(named, dtype=np.int64))

    def warn_missing(self, targetids: IntArray) -> None:
        """Warn of TARGETIDs that were asked for and are not among those of the inputs."""
        missing = sorted((self.targetids or frozenset()) - set(targetids.tolist()))
        if missing:
            warn(f"TARGETID(s) in no input: {', '.join(map(str, missing))}")


def is_qso_target(columns: Mapping[str, AnyArray]) -> BoolArray:
    """Rows (nspec,) that a survey targeted as quasar candidates, by the readers' target columns."""
    bits = qso_target_bits()
    known = [name for name in bits if name in columns]
    if not known:
        raise InputError(
            "quasar targets were asked for, but the spectra have no target column: expected one of "
            f"{', '.join(bits)}"
        )
    asked: BoolArray = np.zeros(len(columns[known[0]]), dtype=bool)
    for name in known:
        if columns[name].dtype.kind not in "iu":
            raise InputError(f"target column {name} must hold integers, not {columns[name].dtype}")
        asked |= (np.asarray(columns[name], dtype=np.int64) & bits[name]) != 0
    return asked
