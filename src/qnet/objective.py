"""Training targets from redshifts: the inverse of `qnet.postprocess.decode`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import as_names, check_arguments
from qnet.core.arrays import AnyArray, BoolArray, FloatArray, IntArray, as_floats, as_numbers
from qnet.core.bins import RedshiftBins
from qnet.core.errors import InputError
from qnet.core.grid import WavelengthGrid, as_grid
from qnet.lines import rest_wavelengths

__all__ = ["box_offset", "objective"]

#: Names of the columns of the class vector Y, in their order.
CLASSES: tuple[str, ...] = ("STAR", "GALAXY", "QSO_LZ", "QSO_HZ", "BAD")

#: Number of boxes per line in the published QuasarNET networks (Busca & Balland 2018, section 3).
NBOXES = 13

#: Columns of Y that are quasars.
QSO_CLASSES: tuple[int, ...] = (CLASSES.index("QSO_LZ"), CLASSES.index("QSO_HZ"))


def box_offset(
    z: npt.ArrayLike,
    line: str = "LYA",
    nboxes: int = NBOXES,
    *,
    wave: npt.ArrayLike | WavelengthGrid | None = None,
    rest: Mapping[str, float] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Box and offset vectors of a line at given redshifts.

    With p the fractional pixel of the line and x = nboxes * p / npix, box floor(x) is 1 and its
    offset x - floor(x) (Busca & Balland 2018, section 3; QuasarNET's code).

    Parameters
    ----------
    z : array_like, shape (nspec,)
        Redshifts.
    line : str
        Name of the line.
    nboxes : int
        Number of boxes that the grid is divided into.
    wave : array_like of shape (npix,) or WavelengthGrid, optional
        Grid: left edges of its pixels [Angstrom]. QuasarNET's log grid when None.
    rest : mapping of str to float, optional
        Rest wavelengths [Angstrom]. QuasarNET's when None.

    Returns
    -------
    box, offset : ndarray of float64, shape (nspec, nboxes)
        Zero except in the box of the line. All zero where the line is outside of
        [wave[0], wave[-1]], and for a redshift of NaN.

    Raises
    ------
    InputError
        The line is unknown, z is not one-dimensional, or nboxes is not positive.

    Examples
    --------
    >>> from qnet.objective import box_offset
    >>> box, offset = box_offset([2.0, 0.1], "LYA", nboxes=5)
    >>> box
    array([[1., 0., 0., 0., 0.],
           [0., 0., 0., 0., 0.]])
    >>> offset[0].round(4)
    array([0.0636, 0.    , 0.    , 0.    , 0.    ])
    """
    check_arguments(box_offset, locals())
    redshift = as_floats("z", z, ndim=1)
    (wavelength,) = rest_wavelengths([line], rest)
    with np.errstate(over="ignore"):
        observed = (1 + redshift) * wavelength
    index, position = as_grid(wave).to_box(observed, nboxes)
    rows = np.flatnonzero(index >= 0)
    box, offset = np.zeros((2, len(redshift), nboxes))
    box[rows, index[rows]] = 1.0
    offset[rows, index[rows]] = position[rows]
    return box, offset


def objective(
    z: npt.ArrayLike,
    Y: npt.ArrayLike,
    bal: npt.ArrayLike,
    lines: Sequence[str] = ("LYA",),
    lines_bal: Sequence[str] = ("CIV(1548)",),
    nboxes: int = NBOXES,
    *,
    wave: npt.ArrayLike | WavelengthGrid | None = None,
    rest: Mapping[str, float] | None = None,
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Targets and weights for training; QuasarNET's function of this name.

    Parameters
    ----------
    z : array_like, shape (nspec,)
        True redshifts.
    Y : array_like, shape (nspec, 5)
        One-hot classes: STAR, GALAXY, QSO_LZ, QSO_HZ, BAD.
    bal : array_like, shape (nspec,)
        1 for a BAL quasar, -1 for no BAL quasar, 0 where it is not known.
    lines, lines_bal : sequence of str
        Emission and BAL lines, in the order of the network's outputs.
    nboxes : int
        Boxes per line.
    wave : array_like of shape (npix,) or WavelengthGrid, optional
        Grid of the network: left edges of its pixels [Angstrom]. QuasarNET's log grid when None,
        which is wrong for a network on another grid.
    rest : mapping of str to float, optional
        Rest wavelengths [Angstrom]. QuasarNET's when None.

    Returns
    -------
    target : list of ndarray, each of shape (nspec, 2 * nboxes)
        Per line the boxes, then the offsets. Boxes are zero unless the object is a quasar, and
        those of a BAL line also where `bal` is -1; offsets are not changed.
    sample_weight : list of ndarray, each of shape (nspec,)
        1, but 0 for the BAL lines where `bal` is 0.

    Raises
    ------
    InputError
        Shapes disagree, or a line is unknown.

    Examples
    --------
    >>> from qnet.objective import objective
    >>> Y = [[0, 0, 0, 1, 0], [1, 0, 0, 0, 0]]  # a quasar and a star
    >>> target, weight = objective([2.5, 0.0], Y, [0, 0], ["LYA", "MgII(2796)"], ["CIV(1548)"])
    >>> [values.shape for values in target]
    [(2, 26), (2, 26), (2, 26)]
    >>> target[0][:, :13].sum(axis=1)
    array([1., 0.])
    >>> weight[2]
    array([0., 0.])
    """
    check_arguments(objective, locals())
    grid = as_grid(wave)
    lines, lines_bal = as_names("lines", lines), as_names("lines_bal", lines_bal)
    redshift, classes = as_floats("z", z, ndim=1), as_numbers("Y", Y)
    is_bal = as_numbers("bal", bal)
    nspec = len(redshift)
    if classes.shape != (nspec, len(CLASSES)) or is_bal.shape != (nspec,):
        raise InputError(
            f"z {redshift.shape}, Y {classes.shape} and bal {is_bal.shape} must have shapes "
            f"({nspec},), ({nspec}, {len(CLASSES)}) and ({nspec},)"
        )
    is_qso = is_quasar(classes)
    target, sample_weight = [], []
    for number, line in enumerate([*lines, *lines_bal]):
        box, offset = box_offset(redshift, line, nboxes, wave=grid, rest=rest)
        box[~is_qso] = 0.0
        weight = np.ones(nspec)
        if number >= len(lines):
            box[is_bal == -1] = 0.0
            weight[is_bal == 0] = 0.0
        target.append(np.concatenate([box, offset], axis=1))
        sample_weight.append(weight)
    return target, sample_weight


def is_quasar(Y: AnyArray) -> BoolArray:
    """Which rows of Y are of quasars, shape (nspec,)."""
    return np.isin(Y.argmax(axis=1), QSO_CLASSES)


def redshift_target(
    z: npt.ArrayLike, Y: npt.ArrayLike, bins: RedshiftBins
) -> tuple[IntArray, FloatArray]:
    """Bins or classes, and weights, of the redshift head; both 0 where these are not known."""
    redshift, classes = np.asarray(z, dtype=np.float64), np.asarray(Y)
    if redshift.ndim != 1 or classes.shape != (len(redshift), len(CLASSES)):
        raise InputError(
            f"z {redshift.shape} and Y {classes.shape} must have shapes (nspec,) and "
            f"(nspec, {len(CLASSES)})"
        )
    if unknown := [name for name in bins.others if name not in CLASSES]:
        raise InputError(f"the redshift head has classes {unknown} beside those of {CLASSES}")
    kind = classes.argmax(axis=1)
    known = np.isin(kind, QSO_CLASSES) & (redshift > -1)
    target = np.zeros(len(redshift), dtype=np.int64)
    target[known] = bins.bin_of(redshift[known])
    for number, name in enumerate(bins.others):
        here = kind == CLASSES.index(name)
        target[here] = bins.nbins + number
        known |= here
    return target, known.astype(np.float64)
