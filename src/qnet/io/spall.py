"""THING_IDs from the spAll file of SDSS, BOSS and eBOSS, for files that do not hold them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, IntArray
from qnet.core.errors import FileError, InputError
from qnet.core.files import PathLike
from qnet.io.columns import NO_ID, id_numbers
from qnet.io.fits.file import FitsFile

#: THING_ID by (PLATE, MJD, FIBERID), as `read_spall` returns it.
SpAll = Mapping[tuple[int, int, int], int]

#: What `as_spall` takes for it.
SpAllLike = PathLike | SpAll | tuple[AnyArray, SpAll]


def read_spall(path: PathLike) -> tuple[IntArray, dict[tuple[int, int, int], int]]:
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
        The file or a column is missing, or a fibre has two THING_IDs.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from qnet.io import read_spall
    >>> columns = {"PLATE": [7102], "MJD": [56666], "FIBERID": [126], "THING_ID": [465298745]}
    >>> Table(columns).write("spAll.fits")
    >>> read_spall("spAll.fits")
    (array([465298745]), {(7102, 56666, 126): 465298745})
    """
    check_arguments(read_spall, locals())
    with FitsFile(path) as fits:
        data = {
            name: id_numbers(column, name, fits.path)
            for name, column in fits.table(1, ["PLATE", "MJD", "FIBERID", "THING_ID"]).items()
        }
        thing_id = data["THING_ID"]
        keys = zip(*(data[name].tolist() for name in ("PLATE", "MJD", "FIBERID")), strict=True)
        known: dict[tuple[int, int, int], int] = {}
        for key, number in zip(keys, thing_id.tolist(), strict=True):
            if NO_ID in key:
                continue
            if known.setdefault(key, number) != number:
                raise FileError(
                    f"{fits.path}: plate, MJD and fibre {key} are there twice, with the THING_IDs "
                    f"{known[key]} and {number}"
                )
    return thing_id, known


def as_spall(given: SpAllLike | None) -> SpAll | None:
    """THING_ID by (PLATE, MJD, FIBERID) from an spAll file, or from what `read_spall` returns."""
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
