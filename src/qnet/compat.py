"""QuasarNP's names, for pipelines that call QuasarNP.

``from quasarnp.io import ...`` and ``from quasarnp.utils import ...`` become ``from qnet.compat
import ...``; nothing else changes. As in QuasarNP, and unlike in the rest of qnet, DESI's MASK is
not read, spectra without weight are left out, and redshifts are clamped at the ends of the grid.
Unlike in QuasarNP the offsets of the six-layer network are rescaled, and bins are found as in the
rest of qnet.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qnet import __version__
from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, BoolArray, FloatArray, IntArray, as_numbers
from qnet.core.checks import check_whole
from qnet.core.errors import InputError, QnetWarning, shown
from qnet.core.files import PathLike
from qnet.core.flags import QNFlag
from qnet.core.grid import QUASARNET_GRID, QUASARNET_LINEAR_GRID, WavelengthGrid, as_grid
from qnet.io.reader import read_spectra
from qnet.lines import absorber_IGM, rest_wavelengths
from qnet.model.loading import load_model as _load_model
from qnet.model.model import Model
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

#: Number of fibres of a DESI spectrograph.
_NFIBERS = 500

wave: FloatArray = QUASARNET_GRID.wave
"""Left edges [Angstrom] of QuasarNET's log grid.

Examples
--------
>>> from qnet.compat import wave
>>> len(wave)
443
"""

linear_wave: FloatArray = QUASARNET_LINEAR_GRID.wave
"""Left edges [Angstrom] of QuasarNET's linear grid for DESI.

Examples
--------
>>> from qnet.compat import linear_wave
>>> len(linear_wave)
458
"""


def load_model(filename: PathLike) -> tuple[Model, FloatArray]:
    """Model and its grid, as ``quasarnp.io.load_model`` returns them.

    Parameters
    ----------
    filename : str or path
        Weights file of QuasarNET (.h5) or of qnet, or the name of a model that comes with qnet.

    Returns
    -------
    model : Model
        Its ``predict`` takes arrays of shape (nspec, npix, 1).
    wave : ndarray of float64, shape (npix,)
        Left edges of its grid [Angstrom].

    Raises
    ------
    MissingFileError, WeightsError
        As `qnet.load_model`.

    Examples
    --------
    >>> from qnet import compat
    >>> model, wave = compat.load_model("qnet@4")
    >>> len(wave) == model.grid.npix
    True
    """
    check_arguments(load_model, locals())
    model = _load_model(filename)
    return model, model.wave


def load_desi_coadd(
    filename: PathLike, rows: BoolArray | None = None, out_grid: npt.ArrayLike = wave
) -> tuple[FloatArray, IntArray]:
    """Normalised spectra of a DESI coadd, as ``quasarnp.io.load_desi_coadd`` returns them.

    Parameters
    ----------
    filename : str or path
        The coadd.
    rows : ndarray of bool, shape (nspec,), optional
        Rows to read; all when None.
    out_grid : array_like, shape (npix,)
        Left edges of the grid [Angstrom].

    Returns
    -------
    X : ndarray of float64, shape (nkept, npix)
        Spectra with weight; NaN where there is no scatter.
    index : ndarray of int, shape (nkept,)
        Position of each among the rows that were read.

    Raises
    ------
    FileError, InputError
        The file cannot be read, or is wholly outside of the grid.

    Examples
    --------
    >>> import qnet
    >>> from qnet.simulation import write_simulation
    >>> simulation = qnet.simulate(3, seed=1, survey="desi")
    >>> truth = write_simulation(simulation, "coadd.fits", "truth.csv", format="coadd")
    >>> X, index = qnet.compat.load_desi_coadd("coadd.fits")
    >>> X.shape, index
    ((3, 443), array([0, 1, 2]))
    """
    check_arguments(load_desi_coadd, locals())
    return _normalised(filename, rows, as_grid(out_grid))


def load_desi_exposure(
    dir_name: PathLike,
    spec_number: int,
    fibers: BoolArray | None = None,
    out_grid: npt.ArrayLike = wave,
) -> tuple[FloatArray, IntArray]:
    """Normalised spectra of an exposure, as ``quasarnp.io.load_desi_exposure`` returns them.

    Parameters
    ----------
    dir_name : str or path
        Folder named by the number of the exposure, with ``cframe-[brz]N-EXPID.fits``.
    spec_number : int
        Spectrograph N, 0 to 9.
    fibers : ndarray of bool, shape (500,), optional
        Fibres to read; all when None.
    out_grid
        As in `load_desi_coadd`.

    Returns
    -------
    X, index : ndarray
        As `load_desi_coadd` returns them: `index` among the fibres that were read.

    Raises
    ------
    FileError, InputError
        A file cannot be read, or an argument is out of range.

    Examples
    --------
    >>> from qnet import compat
    >>> compat.load_desi_exposure("00071246", 0)
    Traceback (most recent call last):
    ...
    qnet.core.errors.MissingFileError: 00071246/cframe-b0-00071246.fits: ...
    """
    check_arguments(load_desi_exposure, locals())
    check_whole("spec_number", spec_number, least=0, most=9)
    if fibers is not None and as_numbers("fibers", fibers, kinds="b").shape != (_NFIBERS,):
        raise InputError(f"fibers must be {_NFIBERS} booleans, not {shown(fibers)}")
    folder = Path(dir_name)
    frames = [folder / f"cframe-{camera}{spec_number}-{folder.name}.fits" for camera in "brz"]
    return _normalised(frames, fibers, as_grid(out_grid))


def process_preds(
    preds: Sequence[npt.ArrayLike] | AnyArray,
    lines: Sequence[str],
    lines_bal: Sequence[str],
    verbose: bool = True,
    wave: npt.ArrayLike = wave,
    rest: Mapping[str, float] | None = None,
) -> tuple[FloatArray, ...]:
    """Decode network output, as ``quasarnp.utils.process_preds``: clamped at the ends of the grid.

    Parameters
    ----------
    preds, lines, lines_bal, verbose
        As in `qnet.process_preds`.
    wave : array_like, shape (npix,)
        Left edges of the grid [Angstrom].
    rest : mapping of str to float, optional
        Rest wavelengths [Angstrom] as in ``model.rest``; QuasarNET's when None. QuasarNP has no
        such argument; networks of qnet need it, because their H-alpha is at the vacuum wavelength.

    Returns
    -------
    c_line, z_line, zbest, c_line_bal, z_line_bal : ndarray of float64
        As `qnet.process_preds` returns them, but with the redshifts of lines outside of the grid
        set to those of its first or last left edge.

    Raises
    ------
    InputError
        The predictions do not match the lines, or a line is unknown.

    Examples
    --------
    A line beyond the last left edge is moved there:

    >>> import numpy as np
    >>> from qnet import compat, process_preds
    >>> preds = np.zeros((1, 1, 26))
    >>> preds[0, 0, 12], preds[0, 0, 25] = 0.9, 1.05
    >>> process_preds(preds, ["LYA"], [], wave=compat.wave)[2].round(3)
    array([7.245])
    >>> compat.process_preds(preds, ["LYA"], [])[2].round(3)
    array([7.194])
    """
    check_arguments(process_preds, locals())
    grid = as_grid(wave)
    found = decode(preds, lines, lines_bal, grid, rest)
    if verbose:
        logger.info("nspec = %d, nboxes = %d", len(found), np.shape(preds[0])[1] // 2)

    def clamp(z: FloatArray, names: Sequence[str]) -> FloatArray:
        rest_wave = rest_wavelengths(names, rest)[:, None]
        return np.clip(z, grid.wave[0] / rest_wave - 1, grid.wave[-1] / rest_wave - 1)

    z_line = clamp(found.z_line, lines)
    zbest = z_line[found.c_line.argmax(axis=0), np.arange(len(found))]
    return found.c_line, z_line, zbest, found.c_line_bal, clamp(found.z_line_bal, lines_bal)


def _normalised(
    path: PathLike | Sequence[PathLike], rows: BoolArray | None, grid: WavelengthGrid
) -> tuple[FloatArray, IntArray]:
    """Normalised spectra of a file, those with weight, and their positions among `rows`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QnetWarning)  # ids are not used: they may be missing
        spectra = read_spectra(path, rows=rows, use_mask=False)
    if len(spectra) == 0:
        return np.zeros((0, grid.npix)), np.zeros(0, dtype=np.int64)
    data = preprocess(spectra.cameras, grid)
    kept = np.flatnonzero((data.flag & QNFlag.NODATA) == 0)
    return data.X[kept].astype(np.float64), kept
