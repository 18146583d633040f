"""The spAll file of SDSS, BOSS and eBOSS: THING_IDs for the files that do not hold them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.errors import InputError
from qnet.files import PathLike
from qnet.io.fits import FitsFile

#: THING_ID by (PLATE, MJD, FIBERID), as `read_spall` returns it.
SpAll = Mapping[tuple[int, int, int], int]

#: What `as_spall` takes for it.
SpAllLike = PathLike | SpAll | tuple[npt.NDArray[Any], SpAll]


def read_spall(path: PathLike) -> tuple[npt.NDArray[np.int64], dict[tuple[int, int, int], int]]:
    """Read the THING_IDs of an spAll file, which spPlate and spCFrame files do not hold.

    Parameters
    ----------
    path : str or path
        An spAll file: a table in HDU 1 with PLATE, MJD, FIBERID, THING_ID.

    Returns
    -------
    thing_id : ndarray of int64, shape (nobs,)
        THING_ID of every row.
    pmf2tid : dict
        THING_ID by (PLATE, MJD, FIBERID): the argument `spall` of the readers.

    Raises
    ------
    MissingFileError, FileError
        The file or a column is missing.
    """
    with FitsFile(path) as fits:
        data = fits.table(1, ["PLATE", "MJD", "FIBERID", "THING_ID"])
    thing_id = data["THING_ID"].astype(np.int64)
    keys = zip(*(data[name].tolist() for name in ("PLATE", "MJD", "FIBERID")), strict=True)
    return thing_id, dict(zip(keys, thing_id.tolist(), strict=True))


def as_spall(given: SpAllLike | None) -> SpAll | None:
    """What stands for an spAll file as THING_ID by (PLATE, MJD, FIBERID).

    Parameters
    ----------
    given : path, mapping, tuple, or None
        An spAll file, or what `read_spall` returns of it, whole or its mapping alone.

    Raises
    ------
    InputError
        It is none of these.
    MissingFileError, FileError
        As `read_spall`.
    """
    if given is None or isinstance(given, Mapping):
        return given
    if isinstance(given, (str, os.PathLike)):
        return read_spall(given)[1]
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Mapping):
        return given[1]
    raise InputError(
        "spall must be the path of an spAll file, or what read_spall returns, not "
        f"{type(given).__name__}"
    )
