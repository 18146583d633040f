"""Prepared data and truth to what a network is trained on."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.errors import FileError, InputError
from qnet.files import PathLike
from qnet.io.columns import NO_ID
from qnet.io.fits import FitsFile
from qnet.io.prepared import is_prepared, read_prepared
from qnet.io.truth import CLASS_BAL, CLASS_NONE, CLASS_PERSON, SURE, TruthRecord
from qnet.objective import CLASSES
from qnet.preprocess import normalise
from qnet.spectra import Spectra

logger = logging.getLogger(__name__)


def read_data(
    files: PathLike | Sequence[PathLike],
    truth: Mapping[int, TruthRecord] | None = None,
    z_lim: float = 2.1,
    return_pmf: bool = False,
    nspec: int | None = None,
) -> tuple[npt.NDArray[Any], ...]:
    """Read prepared data, and the truth of each spectrum, as QuasarNET's function of this name.

    Parameters
    ----------
    files : path or sequence of paths
        Prepared data files, on one grid.
    truth : mapping of int to TruthRecord, optional
        By id, from `read_truth`.
    z_lim : float
        Redshift that parts the classes QSO_LZ and QSO_HZ.
    return_pmf : bool
        Whether to return plate, mjd and fiberid too; -1 where the file has none.
    nspec : int, optional
        Rows to read, counted over all files together, before any cut.

    Returns
    -------
    tids : ndarray of int64, shape (nkept,)
        Ids.
    X : ndarray of float32, shape (nkept, npix)
        Normalised spectra.
    Y : ndarray of float64, shape (nkept, 5)
        With `truth`: one-hot classes STAR, GALAXY, QSO_LZ, QSO_HZ, BAD. BAD is all that is not a
        star, galaxy or quasar with confidence 3.
    z : ndarray of float64, shape (nkept,)
        With `truth`: redshifts.
    bal : ndarray of float64, shape (nkept,)
        With `truth`: 1 where broad absorption was seen and BI_CIV > 0, -1 where it was not and
        BI_CIV == 0, else 0.
    plate, mjd, fiberid : ndarray of int64, shape (nkept,)
        With `return_pmf`.

    Notes
    -----
    Removed, and counted in the log by reason: spectra of id -1, not in truth, without weight,
    without scatter, and not inspected (class and confidence 0).

    Raises
    ------
    FileError
        A file is no prepared data file, or on another grid than the first.
    InputError
        There is no file, or nspec is negative.
    """
    paths = [files] if isinstance(files, (str, os.PathLike)) else list(files)
    if not paths:
        raise InputError("files is empty: at least one prepared data file was expected")
    if nspec is not None and nspec < 0:
        raise InputError(f"nspec must be at least 0, not {nspec!r}")
    batches: list[Spectra] = []
    left = nspec
    for path in paths:
        batch = _read_rows(path, left)
        left = None if left is None else left - len(batch)
        if not np.array_equal(batch.cameras[0].wave, (batches or [batch])[0].cameras[0].wave):
            raise FileError(f"{path}: is on another grid than {paths[0]}")
        batches.append(batch)
    tids = np.concatenate([batch.ids["TARGETID"] for batch in batches])
    kept = _Kept(len(tids))
    kept.remove("id -1", tids == NO_ID)
    if truth is not None:
        kept.remove("not in truth", ~np.isin(tids, list(truth)))
        unseen = [_not_inspected(truth.get(int(tid))) for tid in tids]
        kept.remove("not inspected", np.array(unseen, dtype=bool))
    ivar = np.concatenate([batch.cameras[0].ivar for batch in batches])
    X = normalise(np.concatenate([batch.cameras[0].flux for batch in batches]), ivar)
    kept.remove("without weight", np.asarray(~(ivar > 0).any(axis=1)))
    kept.remove("without scatter", np.asarray(~np.isfinite(X).all(axis=1)))
    rows = kept.rows
    result: list[npt.NDArray[Any]] = [tids[rows], X[rows].astype(np.float32, copy=False)]
    if truth is not None:
        result += _answers([truth[int(tid)] for tid in tids[rows]], z_lim)
    if return_pmf:
        result += [_pmf(batches, name)[rows] for name in ("PLATE", "MJD", "FIBERID")]
    return tuple(result)


class _Kept:
    """Rows that are kept, with those removed counted by the first reason."""

    def __init__(self, count: int) -> None:
        self._keep: npt.NDArray[np.bool_] = np.ones(count, dtype=bool)

    def remove(self, reason: str, which: npt.NDArray[np.bool_]) -> None:
        """Remove rows that are still there."""
        count = int((which & self._keep).sum())
        if count:
            logger.info("%d spectra removed: %s", count, reason)
        self._keep &= ~which

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Indices of the rows that are left."""
        return np.flatnonzero(self._keep)


def _read_rows(path: PathLike, most: int | None) -> Spectra:
    """The first rows of a prepared data file; non-finite pixels have flux and ivar 0."""
    with FitsFile(path) as fits:
        if not is_prepared(fits):
            raise FileError(
                f"{fits.path}: is no prepared data file (an image of flux and ivar and a table "
                f"with TARGETID): it holds {fits.describe()}"
            )
        count = fits.shape(0)[0]
        rows = None if most is None or most >= count else np.arange(most)
        spectra = read_prepared(fits, rows)
    camera = spectra.cameras[0]
    bad = ~(np.isfinite(camera.flux) & np.isfinite(camera.ivar) & (camera.ivar > 0))
    camera.flux[bad], camera.ivar[bad] = 0, 0
    return spectra


def _not_inspected(record: TruthRecord | None) -> bool:
    """Whether nobody looked at an object that is in the truth."""
    return record is not None and record.class_person == CLASS_NONE and record.z_conf_person == 0


def _answers(records: Sequence[TruthRecord], z_lim: float) -> list[npt.NDArray[Any]]:
    """Y, z and bal of the records."""
    z = np.array([record.z_vi for record in records], dtype=np.float64)
    person = np.array([record.class_person for record in records], dtype=np.int64)
    sure = np.array([record.z_conf_person == SURE for record in records], dtype=bool)
    flag = np.array([record.bal_flag_vi != 0 for record in records], dtype=bool)
    balnicity = np.array([record.bi_civ for record in records], dtype=np.float64)
    quasar = sure & np.isin(person, [CLASS_PERSON["QSO"], CLASS_BAL])
    members = {
        "STAR": sure & (person == CLASS_PERSON["STAR"]),
        "GALAXY": sure & (person == CLASS_PERSON["GALAXY"]),
        "QSO_LZ": quasar & (z < z_lim),
        "QSO_HZ": quasar & (z >= z_lim),
    }
    members["BAD"] = ~np.any(list(members.values()), axis=0)
    if members["BAD"].any():
        logger.info(
            "%d spectra are BAD: neither star, galaxy nor quasar for sure", members["BAD"].sum()
        )
    Y = np.stack([members[name] for name in CLASSES], axis=1).astype(np.float64)
    bal = (flag & (balnicity > 0)).astype(np.float64) - (~flag & (balnicity == 0))
    return [Y, z, bal]


def _pmf(batches: Sequence[Spectra], name: str) -> npt.NDArray[np.int64]:
    """A column of all batches; -1 where a file lacks it."""
    return np.concatenate(
        [
            np.asarray(batch.ids.get(name, np.full(len(batch), NO_ID))).astype(np.int64)
            for batch in batches
        ]
    )
