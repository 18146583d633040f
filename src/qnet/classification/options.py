"""Options of a classification."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from qnet.classification.criterion import choose_criterion
from qnet.classification.pz import check_stages
from qnet.core.arrays import as_integers, as_items
from qnet.core.checks import check_whole
from qnet.core.errors import InputError
from qnet.core.files import PathLike
from qnet.core.threads import choose_threads
from qnet.io.options import ReadOptions
from qnet.io.selection import Selection
from qnet.io.spall import SpAllLike, as_spall
from qnet.model.loading import as_model
from qnet.model.model import Model


class Options:
    """Keywords of `qnet.classify`, checked; `criterion` as in `choose_criterion`."""

    def __init__(
        self,
        model: Model | PathLike | None = None,
        *,
        targets: Literal["all", "qso"] = "all",
        targetids: Iterable[int] | None = None,
        rows: Iterable[int] | Iterable[bool] | None = None,
        coadd: Literal["none", "target"] = "none",
        spall: SpAllLike | None = None,
        workers: int = 1,
        threads: int | None = None,
        progress: bool = False,
        pz: bool = False,
        reading: ReadOptions | None = None,
        **criterion: Any,
    ) -> None:
        self.model = copy.copy(as_model(model))
        self.criterion = choose_criterion(self.model, **criterion)
        self.selection = _select(targets, targetids, rows, coadd)
        check_whole("workers", workers, least=1)
        # Settled here, before BLAS is held to one thread.
        self._threads = choose_threads(self.model.threads if threads is None else threads)
        self._threads_given = threads is not None
        self.spall = as_spall(spall)
        self.reading = ReadOptions() if reading is None else reading
        self.workers, self.progress = workers, progress
        self.pz = pz
        if pz:
            check_stages(self.model)

    def for_each(self, workers: int) -> Options:
        """The options of one of so many processes: they divide the threads that are not given."""
        one = copy.copy(self)
        one.model = copy.copy(self.model)
        one.model.threads = max(1, self._threads // (1 if self._threads_given else workers))
        return one


def _select(
    targets: Literal["all", "qso"],
    targetids: Iterable[int] | None,
    rows: Iterable[int] | Iterable[bool] | None,
    coadd: Literal["none", "target"],
) -> Selection:
    """The selection of rows; a mask of rows with its length."""
    ids = None if targetids is None else frozenset(as_integers("targetids", targetids))
    if rows is None:
        return Selection(targets, ids, coadd=coadd)
    array = as_items("rows", rows)
    if array.dtype != bool:
        return Selection(targets, ids, tuple(as_integers("rows", array)), coadd=coadd)
    if array.ndim != 1:
        raise InputError(f"rows must be a boolean per spectrum, not of shape {array.shape}")
    return Selection(targets, ids, tuple(np.flatnonzero(array).tolist()), len(array), coadd)
