"""Redshift distributions against true redshifts: PIT and CRPS."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, FloatArray, as_floats
from qnet.core.errors import InputError
from qnet.core.pz import BLOCK
from qnet.io.pz import pz_grid
from qnet.lines import SPEED_OF_LIGHT

if TYPE_CHECKING:
    from astropy.table import Table


def pit(distributions: Table, z: npt.ArrayLike) -> FloatArray:
    """Probability integral transform: the probability of a redshift below the true one.

    If the distributions are correct, the values are uniform in 0 .. 1 (Dawid 1984, J. R. Stat. Soc.
    A 147, 278). A histogram that is high at both ends means that they are too narrow.

    Parameters
    ----------
    distributions : astropy.table.Table
        As `qnet.classify` with ``pz=True``, or `qnet.io.read_pz`, returns it.
    z : array_like of float, shape (nspec,)
        True redshifts.

    Returns
    -------
    ndarray of float64, shape (nspec,)
        NaN where the distribution or the redshift is NaN.

    Raises
    ------
    InputError
        The table has no distributions, or not as many rows as there are redshifts.

    Examples
    --------
    >>> import qnet
    >>> batch = qnet.simulate(4, seed=1, mix={"quasar": 1}).collect()
    >>> table = qnet.classify(batch.spectra, pz=True)
    >>> values = qnet.evaluation.pit(table, table["ZBEST"])
    >>> bool((abs(values - 0.5) < 0.1).all())
    True
    """
    check_arguments(pit, locals())
    return _each(distributions, z, lambda block: block.at_truth)


def crps(distributions: Table, z: npt.ArrayLike) -> FloatArray:
    """Continuous ranked probability score [km/s], smallest for correct distributions.

    The integral of (F(x) - [x > x_true])^2 over x = c ln(1+z), with F the cumulative distribution
    (Gneiting & Raftery 2007, JASA 102, 359, equation 20). For a narrow distribution it is the
    velocity from the true redshift.

    Parameters
    ----------
    distributions, z
        As in `pit`.

    Returns
    -------
    ndarray of float64, shape (nspec,)
        NaN where the distribution or the redshift is NaN.

    Raises
    ------
    InputError
        As in `pit`.

    Examples
    --------
    >>> import qnet
    >>> batch = qnet.simulate(4, seed=1, mix={"quasar": 1}).collect()
    >>> table = qnet.classify(batch.spectra, pz=True)
    >>> near, far = (qnet.evaluation.crps(table, table["ZBEST"] + dz) for dz in (0.0, 0.1))
    >>> bool((near < far).all())
    True
    """
    check_arguments(crps, locals())
    return _each(distributions, z, lambda block: SPEED_OF_LIGHT * block.score())


class _Block:
    """Cumulative distributions of some rows, linear in each pixel, and where the truth is."""

    def __init__(self, ln_p: AnyArray, x: FloatArray, start: float, step: float) -> None:
        mass = np.exp(np.asarray(ln_p, np.float64))
        below = np.cumsum(mass, axis=1)
        below /= below[:, -1:]
        self._edges = np.hstack([np.zeros((len(below), 1)), below])
        self._step, npix = step, mass.shape[1]
        position = (x - start) / step + 0.5
        inside = np.clip(np.nan_to_num(position), 0, npix)
        self._beyond = np.abs(position - inside)
        self._pixel = np.minimum(inside.astype(np.int64), npix - 1)
        self._part = inside - self._pixel
        low, high = self._ends()
        self.at_truth = np.where(np.isnan(position), np.nan, low + self._part * (high - low))

    def _ends(self) -> tuple[FloatArray, FloatArray]:
        """The cumulative distribution at both ends of the pixel of the truth."""
        rows = np.arange(len(self._pixel))
        return self._edges[rows, self._pixel], self._edges[rows, self._pixel + 1]

    def score(self) -> FloatArray:
        """Integral of (F - step function)^2: of F^2, and of 1 - 2 F from the truth on."""
        (_, high), middle, part = self._ends(), self.at_truth, self._part
        left, right = self._edges[:, :-1], self._edges[:, 1:]
        squares = [np.einsum("ij,ij->i", *pair) for pair in ((left, left), (left, right))]
        total = (2 * squares[0] + squares[1] - left[:, 0] ** 2 + right[:, -1] ** 2) / 3
        pixels = np.cumsum(1 - left - right, axis=1)
        total += pixels[:, -1] - np.take_along_axis(pixels, self._pixel[:, None], axis=1)[:, 0]
        total += (1 - part) * (1 - middle - high)
        return np.asarray(self._step * (total + self._beyond))


def _each(
    distributions: Table, z: npt.ArrayLike, measure: Callable[[_Block], FloatArray]
) -> FloatArray:
    """What is measured of each row of a table of distributions and true redshifts."""
    npix = len(pz_grid(distributions))
    true = as_floats("z", z, ndim=1)
    if len(true) != len(distributions):
        raise InputError(f"z has {len(true)} redshifts for {len(distributions)} distributions")
    with np.errstate(invalid="ignore", divide="ignore"):
        x = np.where(true > -1, np.log1p(true), np.nan)
    start, step = (float(distributions.meta[key]) for key in ("PZSTART", "PZSTEP"))
    found = np.full(len(true), np.nan)
    for first in range(0, len(true) if npix else 0, BLOCK):
        rows = slice(first, first + BLOCK)
        found[rows] = measure(_Block(distributions["LN_PZ"][rows], x[rows], start, step))
    return found
