"""Prepared data files: spectra already on a network's grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import Float32Array, IntArray
from qnet.core.errors import FileError, GridError, InputError
from qnet.core.files import PathLike, as_path, check_output
from qnet.core.grid import QUASARNET_GRID, WavelengthGrid
from qnet.core.spectra import Camera, Spectra
from qnet.io.catalogue import concatenate
from qnet.io.columns import id_column, row_numbers, text_column
from qnet.io.fits.file import FitsFile
from qnet.io.fits.writer import Card, FitsWriter

#: Header cards of the image that give its grid; QuasarNET's own files have none.
GRID_CARDS = {"spacing": "QNGRID", "start": "QNSTART", "step": "QNSTEP"}

#: Name of the table of ids.
IDS_EXTNAME = "IDS"

#: Batches of ids that are kept apart before they are joined into one.
_BATCHES = 256


def is_prepared(fits: FitsFile) -> bool:
    """Whether a file has the HDUs of a prepared data file."""
    return len(fits.shape(0)) == 2 and "TARGETID" in fits.columns(1)


def read_prepared(fits: FitsFile, rows: IntArray | None = None) -> Spectra:
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
    grid = prepared_grid(fits)
    data = fits.image(0, rows)
    ids = prepared_ids(fits, rows)
    return Spectra(
        cameras=(Camera("prepared", grid.wave, data[:, : grid.npix], data[:, grid.npix :], True),),
        ids=ids,
        row=row_numbers(fits.shape(0)[0], rows),
        layout="prepared data file",
        source=(str(fits.path),),
    )


def prepared_ids(fits: FitsFile, rows: IntArray | None = None) -> dict[str, npt.NDArray[Any]]:
    """TARGETID and the survey's ids of a prepared data file.

    Raises
    ------
    FileError
        The table has another number of rows than the image.
    """
    nspec = fits.shape(0)[0]
    if fits.nrows(1) != nspec:
        raise FileError(f"{fits.path}: HDU 1 has {fits.nrows(1)} rows, but HDU 0 has {nspec}")
    ids: dict[str, npt.NDArray[Any]] = {}
    for name, column in fits.table(1, fits.columns(1), rows).items():
        if name == "TARGETID":
            ids[name] = id_column(column, name, fits.path)
        elif column.ndim == 1 and column.dtype.kind in "iufbSU":
            text = column.dtype.kind in "SU"
            ids[name] = text_column(column, name, fits.path) if text else column
    return ids


def prepared_grid(fits: FitsFile) -> WavelengthGrid:
    """Grid of a prepared data file, from its header; QuasarNET's where that has none.

    Raises
    ------
    FileError
        The grid is not legal, or the image has another width.
    """
    width = fits.shape(0)[1]
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


class PreparedWriter:
    """Write a prepared data file batch by batch; `read_spectra` is the inverse.

    A context manager. The file is written under a temporary name in the same folder; on leaving
    without an error it is flushed and renamed, else removed. The pixels go to disk as they come;
    the ids are held in memory (of the order of 100 bytes a spectrum).

    Parameters
    ----------
    path : str or path
        File to write, .fits.
    grid : WavelengthGrid
        Grid of the spectra; it goes into the header without loss.
    overwrite : bool
        Whether an existing file may be replaced.
    cards : sequence of Card
        More cards for the header of HDU 0.

    Attributes
    ----------
    nspec : int
        Spectra written so far.

    Raises
    ------
    InputError
        The name does not end in .fits.
    OutputExistsError, FileError
        The file may not be written, or cannot be (a full disk).

    Examples
    --------
    >>> import numpy as np
    >>> import qnet
    >>> grid = qnet.WavelengthGrid.log(3600, 10000, 1e-3)
    >>> with qnet.io.PreparedWriter("data.fits", grid) as writer:
    ...     for number in range(3):
    ...         flux, ivar = np.full((1, 443), number), np.ones((1, 443))
    ...         writer.write(flux, ivar, {"TARGETID": [number]})
    >>> qnet.read_spectra("data.fits")
    <Spectra: 3 spectra, prepared data file; prepared (443 pixels)>
    """

    def __init__(
        self,
        path: PathLike,
        grid: WavelengthGrid,
        *,
        overwrite: bool = False,
        cards: Sequence[Card] = (),
    ) -> None:
        self.path = as_path(path, "path")
        check_prepared_name(self.path)
        check_output(self.path, overwrite)
        self.grid = grid
        header = (
            Card("NPIX", grid.npix, "pixels of the grid: flux, then ivar"),
            Card(GRID_CARDS["spacing"], grid.spacing, "what is constant in the grid"),
            Card(GRID_CARDS["start"], float(grid.start), "left edge of pixel 0"),
            Card(GRID_CARDS["step"], float(grid.step), "constant step"),
        )
        self._file = FitsWriter(
            self.path,
            overwrite=overwrite,
            cards=[*header, *cards],
            width=2 * grid.npix,
            finish=self._write_ids,
        )
        self._ids: list[Mapping[str, npt.NDArray[Any]]] = []
        self._recent: list[Mapping[str, npt.NDArray[Any]]] = []

    @property
    def nspec(self) -> int:
        """Spectra written so far."""
        return self._file.nrows

    def __enter__(self) -> Self:
        self._file.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.__exit__(kind, error, trace)

    def write(
        self,
        flux: npt.ArrayLike,
        ivar: npt.ArrayLike,
        ids: Mapping[str, npt.ArrayLike],
    ) -> None:
        """Append spectra.

        Parameters
        ----------
        flux, ivar : array_like, shape (nspec, npix)
            Spectra on the grid, as `qnet.preprocess.rebin` returns them: finite, 0 in bins without
            weight. They are stored as float32.
        ids : mapping of str to array_like, shape (nspec,)
            TARGETID and the survey's ids. A column that only some batches have holds
            -1, NaN, '' or, in target bits, 0 in the others.

        Raises
        ------
        InputError
            Shapes disagree, TARGETID is missing, or a value is not finite in float32 or an ivar is
            negative.
        """
        columns = {name: np.asarray(column) for name, column in ids.items()}
        data = self._checked(np.asarray(flux), np.asarray(ivar), columns)
        if not len(data):
            return
        self._file.append(data)
        self._recent.append(columns)
        if len(self._recent) >= _BATCHES:
            self._merge()

    def _checked(
        self,
        flux: npt.NDArray[Any],
        ivar: npt.NDArray[Any],
        ids: Mapping[str, npt.NDArray[Any]],
    ) -> Float32Array:
        """Flux and ivar side by side, float32, after all checks."""
        if flux.ndim != 2 or flux.shape != ivar.shape or flux.shape[1] != self.grid.npix:
            raise InputError(
                f"flux {flux.shape} and ivar {ivar.shape} must have the shape "
                f"(nspec, {self.grid.npix}) of the grid"
            )
        if "TARGETID" not in ids:
            raise InputError(f"ids must have TARGETID, not only {sorted(ids)}")
        wrong = {
            name: column.shape for name, column in ids.items() if column.shape != flux.shape[:1]
        }
        if wrong:
            raise InputError(
                f"ids must have the shape {flux.shape[:1]} of the spectra, not {wrong}"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            data = np.hstack([flux, ivar]).astype(np.float32)
        bad = np.asarray(
            ~np.isfinite(data).all(axis=1) | (data[:, self.grid.npix :] < 0).any(axis=1)
        )
        if bad.any():
            raise InputError(
                f"flux and ivar must be finite in float32 and ivar not negative, but "
                f"{bad.sum()} of {len(bad)} spectra are not so, the first in row {bad.argmax()}"
            )
        return data

    def _merge(self) -> None:
        """Join the latest batches of ids: many small arrays take more memory than their values."""
        if self._recent:
            self._ids.append(concatenate(self._recent))
            self._recent = []

    def _write_ids(self, file: FitsWriter) -> None:
        """Write the table of ids, the last HDU."""
        self._merge()
        ids = concatenate(self._ids) if self._ids else {"TARGETID": np.zeros(0, np.int64)}
        file.table(IDS_EXTNAME, ids)


def check_prepared_name(path: Path) -> None:
    """Raise InputError unless the name of a prepared data file ends in .fits."""
    if path.suffix.lower() != ".fits":
        raise InputError(f"{path}: the name of a prepared data file must end in .fits")
