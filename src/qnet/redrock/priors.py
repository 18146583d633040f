"""Windows of redshift that redrock is given, and its priors file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments
from qnet.core.arrays import BoolArray, FloatArray, as_floats, as_integers
from qnet.core.errors import InputError
from qnet.core.files import PathLike
from qnet.core.grid import WavelengthGrid
from qnet.io.fits.file import FitsFile
from qnet.io.tables import write_table
from qnet.lines import SPEED_OF_LIGHT

if TYPE_CHECKING:
    from astropy.table import Table

#: Least half width of a window [km/s]: redshifts of redrock's quasars differ by up to this from
#: those of other finders (Farr et al. 2020, arXiv:2007.10348, section 5).
LEAST_VELOCITY = 3000.0

#: Half width of a window in units of ZERR.
NSIGMA = 5.0

#: Points of a template's redshifts that a window must hold: the two at its ends do not count.
_LEAST_POINTS = 3

#: Redshifts of the templates that do not hold theirs: redrock's default for quasars.
_DEFAULT_RANGE = (0.05, 6.0, 5e-4)


def find_windows(table: Table, grid: WavelengthGrid, nboxes: int) -> FloatArray:
    """Full width in redshift of the window around ZBEST in each row (nspec,).

    `NSIGMA` times ZERR to each side, at least `LEAST_VELOCITY`, and not beyond halfway to the
    second candidate Z2; where there is no ZERR, two boxes of the network, as in desispec.
    """
    z, zerr, z2 = (np.asarray(table[name], np.float64) for name in ("ZBEST", "ZERR", "Z2"))
    half = np.maximum(NSIGMA * zerr, LEAST_VELOCITY / SPEED_OF_LIGHT * (1 + z))
    half = np.fmin(half, np.abs(z2 - z) / 2)
    box = (grid.wave[-1] / grid.wave[0]) ** (1 / nboxes) - 1
    return np.where(np.isfinite(zerr), 2 * half, 2 * box * (1 + z))


def write_priors(
    path: PathLike,
    targetid: npt.ArrayLike,
    z: npt.ArrayLike,
    width: npt.ArrayLike,
    *,
    overwrite: bool = False,
) -> Path:
    """Write redrock's file of priors: a window of redshift for each target.

    The file is that of ``rrdesi --priors``: HDU PRIORS with TARGETID, FUNCTION 'tophat', Z and
    SIGMA, the full width of the window.

    Parameters
    ----------
    path : str or path
        .fits
    targetid : array_like of int, shape (n,)
        The targets.
    z, width : array_like, shape (n,)
        Middle and full width of the windows, in redshift.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        The lengths disagree, a redshift is not finite, or a width is not positive.
    OutputExistsError, FileError
        The file exists already, or cannot be written.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from qnet.redrock import write_priors
    >>> path = write_priors("priors.fits", [39627866878511337], [2.1], [0.06])
    >>> Table.read(path, hdu="PRIORS").colnames
    ['TARGETID', 'FUNCTION', 'Z', 'SIGMA']
    """
    check_arguments(write_priors, locals())
    try:
        ids = np.array(as_integers("targetid", targetid), dtype=np.int64)
    except OverflowError:
        raise InputError("targetid must be integers of 64 bits, with a sign") from None
    middle, full = as_floats("z", z), as_floats("width", width)
    if not ids.shape == middle.shape == full.shape:
        shapes = f"{ids.shape}, {middle.shape} and {full.shape}"
        raise InputError(f"targetid, z and width must have the same shape (n,), not {shapes}")
    if not (np.isfinite(middle).all() and (full > 0).all() and np.isfinite(full).all()):
        raise InputError("z must be finite, and width finite and positive, in every row")
    columns = {
        "TARGETID": ids,
        "FUNCTION": np.full(len(ids), "tophat"),
        "Z": middle,
        "SIGMA": full,
    }
    return write_table(path, columns, extname="PRIORS", overwrite=overwrite)


def read_redshift_grids(templates: Sequence[Path]) -> list[FloatArray]:
    """The redshifts that redrock tries with each of some templates."""
    low, high, step = _DEFAULT_RANGE
    default = 10 ** np.arange(np.log10(1 + low), np.log10(1 + high), step) - 1
    grids = []
    for path in templates:
        with FitsFile(path) as fits:
            found = fits.image("REDSHIFTS") if "REDSHIFTS" in fits else default
        grids.append(np.asarray(found, dtype=np.float64))
    return grids


def is_covered(z: FloatArray, width: FloatArray, grids: Sequence[FloatArray]) -> BoolArray:
    """Rows whose window holds enough redshifts of a template for redrock to fit in it."""
    covered: BoolArray = np.zeros(len(z), dtype=bool)
    for grid in grids:
        ends = np.searchsorted(grid, np.stack([z - width / 2, z + width / 2]))
        covered |= ends[1] - ends[0] >= _LEAST_POINTS
    return covered
