"""Line confidences and redshifts from the output of the first stage."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, BoolArray, FloatArray, IntArray, as_numbers, as_rows
from qnet.core.checks import check_list, check_number, check_whole
from qnet.core.errors import InputError
from qnet.core.grid import WavelengthGrid, as_grid
from qnet.core.html import tabulate
from qnet.lines import rest_wavelengths

if TYPE_CHECKING:
    from astropy.table import Table

logger = logging.getLogger(__name__)

#: QuasarNET's criterion, in its tutorial and in DESI's pipeline: number of lines that a quasar has
#: above a confidence.
C_THRESHOLD, MIN_LINES = 0.5, 1

#: Rows that notebooks show.
_SHOWN = 10


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Predictions:
    """Confidences and redshifts of lines, as `qnet.postprocess.decode` returns them.

    Attributes
    ----------
    lines, lines_bal : tuple of str
        Names of the emission lines and of the BAL lines.
    c_line, z_line : ndarray of float64, shape (nlines, nspec)
        Confidence of each emission line, 0 to 1, and the redshift that it implies.
    zbest : ndarray of float64, shape (nspec,)
        Redshift of the most confident line. A spectrum whose network output is NaN is NaN in all
        arrays.
    c_line_bal, z_line_bal : ndarray of float64, shape (nlines_bal, nspec)
        Confidence and redshift of each BAL line.
    logit_line : ndarray of float, shape (nlines, nspec), or None
        Logit of the confidence of each emission line. It decides between equal confidences: in
        single precision all logits above 17 give 1. None if the network output has no logits.

    Examples
    --------
    >>> from qnet.core.grid import QUASARNET_GRID
    >>> from qnet.objective import objective
    >>> from qnet.postprocess import decode
    >>> lines, lines_bal = ["LYA", "MgII(2796)"], ["CIV(1548)"]
    >>> Y = [[0, 0, 0, 1, 0], [1, 0, 0, 0, 0]]  # a quasar and a star
    >>> preds, _ = objective([2.5, 0.0], Y, [0, 0], lines, lines_bal)
    >>> found = decode(preds, lines, lines_bal, QUASARNET_GRID)
    >>> found.c_line
    array([[1., 0.],
           [1., 0.]])
    >>> found.is_qso(c_threshold=0.5, min_lines=2)
    array([ True, False])
    >>> found.to_table().colnames
    ['ZBEST', 'C_LINES', 'Z_LINES', 'C_LINES_BAL', 'Z_LINES_BAL']
    """

    lines: tuple[str, ...]
    lines_bal: tuple[str, ...]
    c_line: FloatArray
    z_line: FloatArray
    zbest: FloatArray
    c_line_bal: FloatArray
    z_line_bal: FloatArray
    logit_line: AnyArray | None = None

    def __len__(self) -> int:
        return len(self.zbest)

    def __repr__(self) -> str:
        bal = ", ".join(self.lines_bal)
        return f"<Predictions: {len(self)} rows; {', '.join(self.lines)}; BAL {bal}>"

    def _repr_html_(self) -> str:
        """The first rows for notebooks: redshift, and confidence and redshift of each line."""
        names = [*self.lines, *(f"BAL {name}" for name in self.lines_bal)]
        confidence = np.vstack([self.c_line, self.c_line_bal])
        redshift = np.vstack([self.z_line, self.z_line_bal])
        rows = [
            [row, f"{self.zbest[row]:.5f}"]
            + [f"{c:.3f} at {z:.4f}" for c, z in zip(*each, strict=True)]
            for row, *each in zip(range(_SHOWN), confidence.T, redshift.T, strict=False)
        ]
        title = f"Predictions: {len(self)} rows" + (" (the first few)" * (len(self) > _SHOWN))
        return tabulate(title, ["row", "ZBEST", *names], rows)

    def select(self, rows: npt.ArrayLike) -> Predictions:
        """Some of the rows: indices, or a boolean for each."""
        rows = as_rows(rows, len(self))
        return Predictions(
            self.lines,
            self.lines_bal,
            self.c_line[:, rows],
            self.z_line[:, rows],
            self.zbest[rows],
            self.c_line_bal[:, rows],
            self.z_line_bal[:, rows],
            None if self.logit_line is None else self.logit_line[:, rows],
        )

    def best_line(self, preferred: BoolArray | bool = False) -> IntArray:
        """Number of the most confident line (nspec,), among the preferred lines if any."""
        return find_largest(self.c_line + preferred, self.logit_line, axis=0)

    def is_qso(self, c_threshold: float = C_THRESHOLD, min_lines: int = MIN_LINES) -> BoolArray:
        """Rows with `min_lines` lines of confidence above `c_threshold`; shape (nspec,).

        QuasarNET's criterion (Busca & Balland 2018, section 4). False for a row of NaN.
        """
        check_number("c_threshold", c_threshold)
        check_whole("min_lines", min_lines)
        return has_lines(self.c_line, c_threshold, min_lines)

    def is_bal(self, c_threshold: float = C_THRESHOLD) -> BoolArray:
        """Rows with a BAL line of confidence above `c_threshold`; shape (nspec,)."""
        check_number("c_threshold", c_threshold)
        return np.asarray((self.c_line_bal > c_threshold).any(axis=0))

    def to_table(self) -> Table:
        """`astropy.table.Table` with a row per spectrum and columns named as in the catalogue.

        The names of the lines are in ``meta['LINES']`` and ``meta['LINES_BAL']``.
        """
        from astropy.table import Table

        return Table(
            {
                "ZBEST": self.zbest,
                "C_LINES": self.c_line.T,
                "Z_LINES": self.z_line.T,
                "C_LINES_BAL": self.c_line_bal.T,
                "Z_LINES_BAL": self.z_line_bal.T,
            },
            meta={"LINES": list(self.lines), "LINES_BAL": list(self.lines_bal)},
        )


def has_lines(c_line: FloatArray, c_threshold: float, min_lines: int) -> BoolArray:
    """Rows with `min_lines` of the confidences (nlines, nspec) above `c_threshold`."""
    return np.asarray((c_line > c_threshold).sum(axis=0) >= min_lines)


def find_largest(values: AnyArray, logits: AnyArray | None, axis: int) -> IntArray:
    """Index of the largest value along an axis: of equal ones, that of the largest logit."""
    if logits is not None:
        values = np.where(values == values.max(axis=axis, keepdims=True), logits, -np.inf)
    return np.asarray(values.argmax(axis=axis))


def decode(
    preds: Sequence[npt.ArrayLike] | AnyArray,
    lines: Sequence[str],
    lines_bal: Sequence[str],
    grid: WavelengthGrid,
    rest: Mapping[str, float] | None = None,
    *,
    logits: AnyArray | None = None,
) -> Predictions:
    """Decode the output of the first stage into line confidences and redshifts.

    The confidence of a line is that of its most confident box; the wavelength of the line is that
    of the offset in this box, and gives the redshift (Busca & Balland 2018, section 3).

    Parameters
    ----------
    preds : sequence of array_like, each of shape (nspec, 2 * nboxes)
        Network output, one array per line: nboxes confidences, then nboxes offsets. Emission
        lines first, then BAL lines.
    lines, lines_bal : sequence of str
        Names of the lines, in the order of `preds`.
    grid : WavelengthGrid
        Grid of the network.
    rest : mapping of str to float, optional
        Rest wavelengths [Angstrom]; QuasarNET's when None.
    logits : ndarray, shape (nlines + nlines_bal, nspec, nboxes), optional
        Logits of the confidences (`qnet.model.network.NetworkOutput`), which decide between boxes,
        and between lines, of equal confidence. The first of these when None, as in QuasarNET.

    Returns
    -------
    Predictions
        Redshifts past the ends of the grid are extrapolated. Rows of NaN stay NaN.

    Raises
    ------
    InputError
        A line is unknown, or the numbers or shapes of the predictions do not match the lines.

    Examples
    --------
    A target decoded is the redshift that it was made from:

    >>> from qnet.core.grid import QUASARNET_GRID
    >>> from qnet.objective import objective
    >>> from qnet.postprocess import decode
    >>> target, _ = objective([2.5], [[0, 0, 0, 1, 0]], [0], ["LYA"], ["CIV(1548)"])
    >>> found = decode(target, ["LYA"], ["CIV(1548)"], QUASARNET_GRID)
    >>> found.zbest.round(6)
    array([2.5])
    """
    check_arguments(decode, locals())
    rest_line, rest_bal = rest_wavelengths(lines, rest), rest_wavelengths(lines_bal, rest)
    stacked = _stack_predictions(preds, list(lines), list(lines_bal))
    nboxes = stacked.shape[2] // 2
    confidence, offset = stacked[:, :, :nboxes], stacked[:, :, nboxes:]
    if logits is not None and np.shape(logits) != confidence.shape:
        raise InputError(f"logits must be of shape {confidence.shape}, not {np.shape(logits)}")
    box = find_largest(confidence, logits, axis=2)[:, :, None]
    c = np.take_along_axis(confidence, box, axis=2)[:, :, 0].astype(np.float64)
    inside = np.take_along_axis(offset, box, axis=2)[:, :, 0]
    wave = grid.from_box(box[:, :, 0], inside, nboxes)
    z = wave / np.concatenate([rest_line, rest_bal])[:, None] - 1
    z[np.isnan(c)] = np.nan
    nlines = len(rest_line)
    logit_line = None
    if logits is not None:
        logit_line = np.take_along_axis(logits, box, axis=2)[:nlines, :, 0]
    best = find_largest(c[:nlines], logit_line, axis=0)
    return Predictions(
        lines=tuple(lines),
        lines_bal=tuple(lines_bal),
        c_line=c[:nlines],
        z_line=z[:nlines],
        zbest=z[best, np.arange(z.shape[1])],
        c_line_bal=c[nlines:],
        z_line_bal=z[nlines:],
        logit_line=logit_line,
    )


def process_preds(
    preds: Sequence[npt.ArrayLike] | AnyArray,
    lines: Sequence[str],
    lines_bal: Sequence[str],
    verbose: bool = True,
    wave: npt.ArrayLike | WavelengthGrid | None = None,
    rest: Mapping[str, float] | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Decode network output, as QuasarNET's function of this name.

    Prefer `qnet.Model.decode`, which does the same with the grid, lines and rest wavelengths of the
    model.

    Parameters
    ----------
    preds, lines, lines_bal
        As in `qnet.postprocess.decode`.
    verbose : bool
        Whether to log, at level INFO, the numbers of spectra and boxes and the grid.
    wave : array_like of shape (npix,) or WavelengthGrid, optional
        Grid of the network: left edges of its pixels [Angstrom]. QuasarNET's log grid when None,
        which is wrong for a network on another grid.
    rest : mapping of str to float, optional
        Rest wavelengths [Angstrom]. QuasarNET's when None.

    Returns
    -------
    c_line, z_line : ndarray of float64, shape (nlines, nspec)
        Confidence and redshift of each line; redshifts past the ends of the grid are extrapolated.
    zbest : ndarray of float64, shape (nspec,)
        Redshift of the most confident line.
    c_line_bal, z_line_bal : ndarray of float64, shape (nlines_bal, nspec)
        The same as `c_line` and `z_line` for the BAL lines. A row of NaN gives NaN in all five.

    Raises
    ------
    InputError
        A line is unknown, or the numbers or shapes of the predictions do not match the lines.

    Examples
    --------
    >>> import numpy as np
    >>> from qnet import load_model, process_preds
    >>> model = load_model()
    >>> preds = model.predict(np.zeros((3, model.grid.npix)))
    >>> c_line, z_line, zbest, c_line_bal, z_line_bal = process_preds(
    ...     preds, model.lines, model.lines_bal, wave=model.wave, rest=model.rest
    ... )
    >>> z_line.shape, zbest.shape
    ((6, 3), (3,))
    """
    check_arguments(process_preds, locals())
    grid = as_grid(wave)
    result = decode(preds, lines, lines_bal, grid, rest)
    if verbose:
        logger.info(
            "%d spectra, %d boxes; grid: %s%s",
            len(result),
            np.shape(preds[0])[1] // 2,
            grid,
            "" if wave is not None else " (QuasarNET's, as no wave was given)",
        )
    return result.c_line, result.z_line, result.zbest, result.c_line_bal, result.z_line_bal


def _stack_predictions(
    preds: Sequence[npt.ArrayLike] | AnyArray, lines: list[str], lines_bal: list[str]
) -> AnyArray:
    """Predictions as one array (nlines + nlines_bal, nspec, 2 * nboxes), checked."""
    given = check_list("preds", preds, "one array per line")
    arrays = [as_numbers("an output in preds", array) for array in given]
    if not lines:
        raise InputError("lines is empty: at least one emission line is needed")
    if len(arrays) != len(lines) + len(lines_bal):
        raise InputError(
            f"preds holds {len(arrays)} outputs, but lines {lines} and lines_bal {lines_bal} name "
            f"{len(lines)} + {len(lines_bal)}"
        )
    shapes = {array.shape for array in arrays}
    shape = arrays[0].shape
    if len(shapes) != 1 or len(shape) != 2 or shape[1] < 2 or shape[1] % 2:
        raise InputError(
            "each output in preds must have the same shape (nspec, 2 * nboxes), not "
            f"{sorted(shapes)}"
        )
    if any(array.dtype.kind != "f" for array in arrays):
        raise InputError("preds must hold floats")
    return np.stack(arrays)
