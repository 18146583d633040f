"""Prepared data files: spectra on a network's grid, as `PreparedWriter` or QuasarNET writes them.

HDU 0 is an image (nspec, 2 * npix), flux then ivar; HDU 1 a table with TARGETID and other ids.
"""

from __future__ import annotations

from collections.abc import Sequence

from qnet.core.arrays import AnyArray, IntArray
from qnet.core.errors import FileError, GridError, first_few
from qnet.core.grid import QUASARNET_GRID, WavelengthGrid
from qnet.core.spectra import Camera, Spectra
from qnet.io.columns import id_columns, is_integer_id, text_column
from qnet.io.fits.file import FitsFile
from qnet.io.pixels import settle_flux
from qnet.io.readers.registry import Reader, Request, left_out, register
from qnet.io.units import Stated, stated_unit

#: Header cards of the image that give its grid; QuasarNET's own files have none.
GRID_CARDS = {"spacing": "QNGRID", "start": "QNSTART", "step": "QNSTEP"}


def is_prepared(fits: FitsFile) -> bool:
    """Whether a file is a prepared data file, and holds no other spectra."""
    return _has_parts(fits) and not prepared_fault(fits)


def _has_parts(fits: FitsFile) -> bool:
    """Whether a file has the HDUs of a prepared data file: flux and ivar are in one image."""
    return len(fits.shape(0)) == 2 and "TARGETID" in fits.columns(1) and "IVAR" not in fits


def prepared_fault(fits: FitsFile) -> str:
    """Which further spectra a prepared data file holds."""
    if not _has_parts(fits):
        return ""
    if others := [n for n in range(1, len(fits)) if fits.shape(n) == fits.shape(0)]:
        return f"holds further spectra, in HDU {first_few(others)}, that would be left out"
    return left_out(fits, [0])


def count_prepared(fits: FitsFile) -> int:
    """Number of spectra of a prepared data file."""
    return fits.shape(0)[0]


def prepared_ids(fits: FitsFile, rows: IntArray | None = None) -> dict[str, AnyArray]:
    """TARGETID and the survey's ids of a prepared data file."""
    nspec = count_prepared(fits)
    if fits.nrows(1) != nspec:
        raise FileError(f"{fits.path}: HDU 1 has {fits.nrows(1)} rows, but HDU 0 has {nspec}")
    columns = fits.table(1, fits.columns(1), rows)
    ids = id_columns({name: columns[name] for name in columns if is_integer_id(name)}, fits.path)
    for name, column in columns.items():
        if name not in ids and column.ndim == 1 and column.dtype.kind in "iufbSU":
            text = column.dtype.kind in "SU"
            ids[name] = text_column(column, name, fits.path) if text else column
    return ids


def prepared_grid(fits: FitsFile) -> WavelengthGrid:
    """Grid of a prepared data file, from its header; QuasarNET's where that has none."""
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


def _read(files: Sequence[FitsFile], request: Request) -> Spectra:
    """Read a prepared data file."""
    (fits,) = files
    grid = prepared_grid(fits)
    data = fits.image(0, request.rows)
    flux, ivar = data[:, : grid.npix], data[:, grid.npix :]
    ids = prepared_ids(fits, request.rows)
    camera = Camera("prepared", grid.wave, flux, ivar, edges=True)
    stated = Stated(f"{fits.path}: HDU 0", stated_unit(fits, 0))
    cameras, unit = settle_flux([camera], [stated])
    return Spectra(cameras=cameras, ids=ids, flux_unit=unit)


register(
    Reader(
        name="prepared data file",
        survey="",
        hdus="HDU 0 an image (nspec, 2 npix) of flux and ivar, HDU 1 a table with TARGETID",
        targetid="HDU 1",
        wavelengths="vacuum, left edges of the pixels of a grid",
        no_weight="",
        detect=is_prepared,
        fault=prepared_fault,
        count=count_prepared,
        read=_read,
        whole=False,
        ids=("TARGETID", "all other one-dimensional columns of HDU 1"),
    )
)
