"""QuasarNP's names, so that a pipeline that calls QuasarNP runs on qnet.

``from quasarnp.io import ...`` and ``from quasarnp.utils import ...`` become ``from qnet.compat
import ...``; nothing else changes. What differs numerically: the rescale of the offsets is applied
whatever its layer is called (QuasarNP misses it in the six-layer network), and bins are found as in
the rest of qnet. As in QuasarNP, and unlike the rest of qnet, DESI's MASK is left unread, spectra
without weight are dropped, and redshifts are clamped at the ends of the grid.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet import __version__
from qnet.core.arrays import BoolArray, FloatArray, IntArray
from qnet.core.errors import InputError, QnetWarning
from qnet.core.files import PathLike
from qnet.core.flags import QNFlag
from qnet.core.grid import QUASARNET_GRID, QUASARNET_LINEAR_GRID, WavelengthGrid, as_grid
from qnet.core.spectra import Spectra
from qnet.io.reader import read_spectra
from qnet.lines import absorber_IGM, rest_wavelengths
from qnet.model.model import Model
from qnet.model.model import load_model as _load_model
from qnet.postprocess.decoding import decode
from qnet.preprocess.normalisation import preprocess

__all__ = [
    "__version__",
    "absorber_IGM",
    "linear_wave",
    "load_desi_coadd",
    "load_desi_exposure",
    "load_model",
    "process_preds",
    "wave",
]

logger = logging.getLogger(__name__)

#: Fibres of a DESI spectrograph.
_NFIBERS = 500

#: QuasarNP's names of the two grids: left edges [Angstrom].
wave: FloatArray = QUASARNET_GRID.wave
linear_wave: FloatArray = QUASARNET_LINEAR_GRID.wave


def load_model(filename: PathLike) -> tuple[Model, FloatArray]:
    """Load a model, as ``quasarnp.io.load_model``.

    Parameters
    ----------
    filename : str or path
        QuasarNET's .h5, or a qnet weights file.

    Returns
    -------
    model : Model
        Its ``predict`` takes (nspec, npix, 1).
    wave : ndarray of float64, shape (npix,)
        Left edges of its grid [Angstrom].

    Raises
    ------
    MissingFileError, WeightsError
        As `qnet.load_model`.
    """
    model = _load_model(filename)
    return model, model.wave


def load_desi_coadd(
    filename: PathLike,
    rows: BoolArray | None = None,
    out_grid: npt.ArrayLike = wave,
) -> tuple[FloatArray, IntArray]:
    """Read and normalise a DESI coadd, as ``quasarnp.io.load_desi_coadd``.

    Parameters
    ----------
    filename : str or path
    rows : ndarray of bool, shape (nspec,), optional
        Rows to read; all when None.
    out_grid : array_like, shape (npix,)
        Left edges of the grid [Angstrom]. QuasarNET's log grid by default.

    Returns
    -------
    X : ndarray of float64, shape (nkept, npix)
        Spectra with weight; NaN where there is no scatter.
    index : ndarray of int, shape (nkept,)
        Their places among the rows asked for.

    Raises
    ------
    FileError, InputError
        The file is bad, or wholly outside of the grid.
    """
    return _normalised(_read(filename, rows), as_grid(out_grid))


def load_desi_exposure(
    dir_name: PathLike,
    spec_number: int,
    fibers: BoolArray | None = None,
    out_grid: npt.ArrayLike = wave,
) -> tuple[FloatArray, IntArray]:
    """Read and normalise the cframes of an exposure, as ``quasarnp.io.load_desi_exposure``.

    Parameters
    ----------
    dir_name : str or path
        Folder of the exposure, named by its number; holds ``cframe-[brz]N-EXPID.fits``.
    spec_number : int
        Spectrograph, 0 to 9.
    fibers : ndarray of bool, shape (500,), optional
        Fibres to read; all when None.
    out_grid : array_like, shape (npix,)
        Left edges of the grid [Angstrom]. QuasarNET's log grid by default.

    Returns
    -------
    X : ndarray of float64, shape (nkept, npix)
        Spectra with weight; NaN where there is no scatter.
    index : ndarray of int, shape (nkept,)
        Their places among the fibres asked for.

    Raises
    ------
    FileError, InputError
        A file is bad, or an argument out of range.
    """
    if not 0 <= spec_number <= 9:
        raise InputError(f"spec_number must be in 0 .. 9, not {spec_number!r}")
    if fibers is not None and (np.shape(fibers) != (_NFIBERS,) or np.asarray(fibers).dtype != bool):
        raise InputError(f"fibers must be {_NFIBERS} booleans, not of shape {np.shape(fibers)}")
    folder = Path(dir_name)
    frames = [folder / f"cframe-{camera}{spec_number}-{folder.name}.fits" for camera in "brz"]
    return _normalised(_read(frames, fibers), as_grid(out_grid))


def process_preds(
    preds: Sequence[npt.ArrayLike] | npt.NDArray[Any],
    lines: Sequence[str],
    lines_bal: Sequence[str],
    verbose: bool = True,
    wave: npt.ArrayLike = wave,
    rest: Mapping[str, float] | None = None,
) -> tuple[FloatArray, ...]:
    """Decode predictions, as ``quasarnp.utils.process_preds``: clamped at the grid's ends.

    Parameters
    ----------
    preds : sequence of array_like, each of shape (nspec, 2 * nboxes)
    lines, lines_bal : sequence of str
    verbose : bool
        Log the numbers of spectra and boxes.
    wave : array_like, shape (npix,)
        Left edges of the grid [Angstrom]. QuasarNET's log grid by default.
    rest : mapping of str to float, optional
        Rest wavelengths [Angstrom] of lines that differ from QuasarNET's, as ``model.rest`` has
        them. QuasarNP has no such argument; networks of qnet need it, whose H-alpha lies at
        6564.61, its wavelength in vacuum.

    Returns
    -------
    c_line, z_line, zbest, c_line_bal, z_line_bal : ndarray of float64
        As `qnet.postprocess.process_preds`, but lines past an end of the grid are put on it.

    Raises
    ------
    InputError
        The predictions do not match the lines, or a line is unknown.
    """
    grid = as_grid(wave)
    found = decode(preds, lines, lines_bal, grid, rest)
    if verbose:
        logger.info("nspec = %d, nboxes = %d", len(found), np.shape(preds[0])[1] // 2)
    z_line = _clamp(found.z_line, lines, grid, rest)
    best = found.c_line.argmax(axis=0)
    zbest = z_line[best, np.arange(len(best))]
    z_line_bal = _clamp(found.z_line_bal, lines_bal, grid, rest)
    return found.c_line, z_line, zbest, found.c_line_bal, z_line_bal


def _clamp(
    z_line: FloatArray,
    lines: Sequence[str],
    grid: WavelengthGrid,
    rest: Mapping[str, float] | None,
) -> FloatArray:
    """Redshifts that put each line between the first and the last left edge."""
    places = rest_wavelengths(lines, rest)[:, None]
    edges = grid.wave
    return np.clip(z_line, edges[0] / places - 1, edges[-1] / places - 1)


def _read(path: PathLike | Sequence[PathLike], rows: BoolArray | None) -> Spectra:
    """Spectra with MASK unread; ids are the caller's business, so their absence is no news."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QnetWarning)
        return read_spectra(path, rows=rows, use_mask=False)


def _normalised(spectra: Spectra, grid: WavelengthGrid) -> tuple[FloatArray, IntArray]:
    """Normalised spectra and where they stood; those without weight are left out."""
    if len(spectra) == 0:
        return np.zeros((0, grid.npix)), np.zeros(0, dtype=np.int64)
    data = preprocess(spectra.cameras, grid)
    kept = np.flatnonzero((data.flag & QNFlag.NODATA) == 0)
    return data.X[kept].astype(np.float64), kept
