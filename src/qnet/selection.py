"""Which spectra of an input are asked for, and how their exposures are joined."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Literal

import numpy as np
import numpy.typing as npt

from qnet.errors import InputError, QnetWarning
from qnet.spectra import Spectra
from qnet.targets import is_qso_target


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

    def asked(self, spectra: Spectra) -> npt.NDArray[np.bool_] | None:
        """Rows that are asked for; None for all of them.

        Raises
        ------
        InputError
            A row is out of range, or there is no target column.
        """
        if self.targets == "all" and self.targetids is None and self.rows is None:
            return None
        asked: npt.NDArray[np.bool_] = np.ones(len(spectra), dtype=bool)
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

    def warn_missing(self, targetids: npt.NDArray[np.int64]) -> None:
        """Warn of TARGETIDs that were asked for and are not among those of the inputs."""
        missing = sorted((self.targetids or frozenset()) - set(targetids.tolist()))
        if missing:
            warnings.warn(
                f"TARGETID(s) in no input: {', '.join(map(str, missing))}",
                QnetWarning,
                stacklevel=4,
            )
