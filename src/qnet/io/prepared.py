"""Prepared data files: spectra already on a network's grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.errors import FileError, GridError
from qnet.grid import QUASARNET_GRID, WavelengthGrid
from qnet.io.columns import id_column, row_numbers, text_column
from qnet.io.fits import FitsFile
from qnet.spectra import Camera, Spectra

#: Header cards of the image that give its grid; QuasarNET's own files have none.
GRID_CARDS = {"spacing": "QNGRID", "start": "QNSTART", "step": "QNSTEP"}


def is_prepared(fits: FitsFile) -> bool:
    """Whether a file has the HDUs of a prepared data file."""
    return len(fits.shape(0)) == 2 and "TARGETID" in fits.columns(1)


def read_prepared(fits: FitsFile, rows: npt.NDArray[np.int64] | None = None) -> Spectra:
    """Read a prepared data file, of qnet or of QuasarNET.

    Parameters
    ----------
    fits : FitsFile
        HDU 0: image (nspec, 2 * npix), flux then ivar; HDU 1: table with TARGETID and the survey's
        ids. Without a grid in the header it is on QuasarNET's log grid.
    rows : ndarray of int, optional
        Rows to read; all when None.

    Returns
    -------
    Spectra

    Raises
    ------
    FileError
        Sizes disagree, or the grid is not legal.
    """
    nspec, width = fits.shape(0)
    grid = _grid(fits, width)
    if fits.nrows(1) != nspec:
        raise FileError(f"{fits.path}: HDU 1 has {fits.nrows(1)} rows, but HDU 0 has {nspec}")
    data = fits.image(0, rows)
    ids: dict[str, npt.NDArray[Any]] = {}
    for name, column in fits.table(1, fits.columns(1), rows).items():
        if name == "TARGETID":
            ids[name] = id_column(column, name, fits.path)
        elif column.ndim == 1:
            text = column.dtype.kind in "SU"
            ids[name] = text_column(column, name, fits.path) if text else column
    return Spectra(
        cameras=(Camera("prepared", grid.wave, data[:, : grid.npix], data[:, grid.npix :]),),
        ids=ids,
        row=row_numbers(nspec, rows),
        layout="prepared data file",
        source=(str(fits.path),),
    )


def _grid(fits: FitsFile, width: int) -> WavelengthGrid:
    """Grid of the image, from its header; QuasarNET's where that has none."""
    header = fits.header(0)
    values = {key: header.get(card) for key, card in GRID_CARDS.items()}
    if all(value is None for value in values.values()):
        grid = QUASARNET_GRID
    else:
        try:
            grid = WavelengthGrid.from_dict({**values, "npix": width // 2})
        except GridError as error:
            raise FileError(f"{fits.path}: header of HDU 0: {error}") from error
    if width != 2 * grid.npix:
        raise FileError(
            f"{fits.path}: HDU 0 has {width} columns, but flux and ivar on its grid "
            f"({grid}) make {2 * grid.npix}"
        )
    return grid
