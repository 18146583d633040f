"""Any spectra into one container: the layout is found by the HDUs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import IntArray
from qnet.core.errors import FileError, InputError, with_source
from qnet.core.files import PathLike, as_paths
from qnet.core.spectra import Spectra
from qnet.io import memory, prepared, specutils
from qnet.io.fits.file import FitsFile
from qnet.io.readers import boss, desi
from qnet.io.spall import SpAll, SpAllLike, as_spall

#: Rows of a block of `read_blocks`: flux and ivar of a DESI coadd take 33 MB.
BLOCK_ROWS = 512

#: What `read_spectra` looks for.
LAYOUTS = (
    "DESI coadd or spectra (HDUs B_FLUX, R_FLUX or Z_FLUX with _IVAR and _WAVELENGTH)",
    "DESI cframe (HDUs FLUX, IVAR and a 1-D WAVELENGTH)",
    "SDSS spec (a table COADD with flux, loglam and ivar)",
    "prepared data (an image of flux and ivar and a table with TARGETID)",
    "SDSS spCFrame (images of flux, ivar, mask and loglam)",
    "SDSS spPlate (images of flux, ivar and mask, and COEFF0 in the header)",
)


def read_spectra(
    path: PathLike | Sequence[PathLike],
    *,
    rows: npt.ArrayLike | None = None,
    fibers: Sequence[int] | None = None,
    spall: SpAllLike | None = None,
    use_mask: bool = True,
) -> Spectra:
    """Read spectra from a FITS file, of whichever survey; gz and fpack files are read as they are.

    The layout is found by the HDUs: DESI coadd, spectra and cframe; SDSS, BOSS, eBOSS and SDSS-V
    spec; spPlate and spCFrame; prepared data.

    Parameters
    ----------
    path : str, path, or sequence of them
        A file; or the cframes (spCFrames) of one exposure and spectrograph, which are one set of
        spectra.
    rows : array_like of int, optional
        Rows to read; all when None.
    fibers : sequence of int, optional
        FIBERIDs to read from an spPlate or spCFrame, in place of `rows`.
    spall : path, mapping or tuple, optional
        For spPlate and spCFrame files, which hold no THING_ID: an spAll file, or what
        `qnet.io.read_spall` returns of it.
    use_mask : bool
        Whether pixels with a non-zero DESI MASK get ivar 0.

    Returns
    -------
    Spectra
        Every row of the file, whatever its quality; masked pixels have ivar 0.

    Raises
    ------
    MissingFileError, FileError
        The file is not there, damaged, of none of the layouts, or lacks an HDU or column.
    InputError
        A row is out of range, or a wavelength grid does not increase.

    Warns
    -----
    QnetWarning
        The file has no ids.
    """
    paths = as_paths(path)
    if not paths:
        raise InputError("path is empty: at least one file was expected")
    if rows is not None and fibers is not None:
        raise InputError("rows and fibers cannot both be given: each says which spectra to read")
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(FitsFile(name)) for name in paths]
        return _read_named(files, rows, fibers, as_spall(spall), use_mask)


def read_blocks(
    paths: Sequence[PathLike], *, nrows: int = BLOCK_ROWS, spall: SpAll | None = None
) -> Iterator[Spectra]:
    """Read spectra some rows at a time, so that a file may be larger than the memory.

    Parameters
    ----------
    paths : sequence of str or path
        A file, or the frames of one set, as in `read_spectra`.
    nrows : int
        Rows of a block.
    spall : mapping, optional
        THING_ID by (PLATE, MJD, FIBERID) of spPlate and spCFrame files.

    Yields
    ------
    Spectra
        The rows in their order. Layouts that hold at most a plate of spectra come as one block.

    Raises
    ------
    MissingFileError, FileError, InputError
        As `read_spectra`.
    """
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(FitsFile(name)) for name in paths]
        nspec = _count_rows(files)
        if nspec <= nrows:
            yield _read_named(files, None, None, spall, True)
            return
        for first in range(0, nspec, nrows):
            rows = np.arange(first, min(first + nrows, nspec))
            yield _read_named(files, rows, None, spall, True)


def _count_rows(files: Sequence[FitsFile]) -> int:
    """Number of rows of a layout that is read in blocks; 0 for the others."""
    first = files[0]
    if len(files) > 1 or desi.is_cframe(first) or boss.is_spcframe(first) or boss.is_spplate(first):
        return 0
    if desi.is_spectra(first):
        return desi.count_spectra(first)
    if boss.is_spec(first) or not prepared.is_prepared(first):
        return 0
    return first.shape(0)[0]


def _read_named(
    files: list[FitsFile],
    rows: npt.ArrayLike | None,
    fibers: Sequence[int] | None,
    spall: SpAll | None,
    use_mask: bool,
) -> Spectra:
    """Read; what is wrong with the spectra names the file."""
    try:
        return _read(files, rows, fibers, spall, use_mask)
    except InputError as error:
        # Shapes and wavelengths are checked where they are not known to come from a file.
        if isinstance(error, _RowError):
            raise
        raise FileError(with_source(error, str(files[0].path))) from error


class _RowError(InputError):
    """A row, fibre or combination of arguments that does not fit the file."""


def _read(
    files: list[FitsFile],
    rows: npt.ArrayLike | None,
    fibers: Sequence[int] | None,
    spall: SpAll | None,
    use_mask: bool,
) -> Spectra:
    """Find the layout and read."""
    first = files[0]
    if desi.is_cframe(first):
        index = _row_index(first, rows, desi.count_spectra(first))
        for fits in files:
            _require(fits, desi.is_cframe(fits), first)
        _no_fibers(first, fibers)
        return desi.read_cframes(files, index, use_mask=use_mask)
    if boss.is_spcframe(first):
        index = _row_index(first, rows, first.shape(0)[0])
        for fits in files:
            _require(fits, boss.is_spcframe(fits), first)
        return boss.read_spcframes(files, index, fibers=fibers, spall=spall)
    if len(files) > 1:
        raise _RowError(
            f"{first.path}: is no cframe or spCFrame, so it cannot be one set with the "
            f"{len(files) - 1} other file(s): read them one by one"
        )
    if boss.is_spplate(first):
        index = _row_index(first, rows, first.shape(0)[0])
        return boss.read_spplate(first, index, fibers=fibers, spall=spall)
    _no_fibers(first, fibers)
    if desi.is_spectra(first):
        index = _row_index(first, rows, desi.count_spectra(first))
        return desi.read_desi(first, index, use_mask=use_mask)
    if boss.is_spec(first):
        spectra = boss.read_spec(first)
        index = _row_index(first, rows, 1)
        return spectra if index is None else spectra.select(index)
    if prepared.is_prepared(first):
        return prepared.read_prepared(first, _row_index(first, rows, first.shape(0)[0]))
    raise FileError(
        f"{first.path}: holds no spectra that qnet knows: it has {first.describe()}; looked for "
        f"{'; '.join(LAYOUTS)}"
    )


def as_spectra(source: Any, flux: Any = None, ivar: Any = None, *, air: bool = False) -> Spectra:
    """Spectra from an object in memory, whatever it is.

    Parameters
    ----------
    source : Spectra, array_like, Table, Spectrum or sequence of Spectrum
        Spectra pass through; an array is `wave`, and goes with `flux` and `ivar`; astropy tables
        and specutils objects are recognised by what they can do.
    flux, ivar : array_like, optional
        With `source` as wave.
    air : bool
        The wavelengths are in air: convert them to vacuum.

    Returns
    -------
    Spectra

    Raises
    ------
    InputError
        The object is none of these.
    """
    if flux is not None or ivar is not None:
        if isinstance(source, Spectra) or memory.is_table(source) or specutils.is_spectrum(source):
            raise InputError(
                f"flux and ivar go with an array wave, not with a {type(source).__name__}"
            )
        return memory.from_arrays(source, flux, ivar, air=air)
    if isinstance(source, Spectra):
        if air:
            raise InputError(
                "air=True is for arrays, tables and specutils objects, not for Spectra"
            )
        return source
    if memory.is_table(source):
        return memory.from_table(source, air=air)
    if specutils.is_spectrum(source):
        return specutils.from_specutils(source, air=air)
    if isinstance(source, Sequence) and source and all(map(specutils.is_spectrum, source)):
        return specutils.from_specutils(source, air=air)
    if isinstance(source, np.ndarray):
        raise InputError("an array of wavelengths must come with flux and ivar")
    raise InputError(
        "spectra must be a path or a list of paths, arrays (wave, flux, ivar), Spectra, an astropy "
        f"Table or a specutils Spectrum or SpectrumList, not {type(source).__name__}"
    )


def _row_index(fits: FitsFile, rows: npt.ArrayLike | None, nspec: int) -> IntArray | None:
    """Rows as checked indices."""
    if rows is None:
        return None
    index = np.atleast_1d(np.asarray(rows))
    if index.dtype == bool and index.shape == (nspec,):
        index = np.flatnonzero(index)
    if index.size == 0:
        return np.zeros(0, dtype=np.int64)
    if index.dtype.kind not in "iu" or index.ndim != 1:
        raise _RowError(f"rows must be integers, or {nspec} booleans, not of type {index.dtype}")
    if index.min() < 0 or index.max() >= nspec:
        raise _RowError(
            f"{fits.path}: rows must be in 0 .. {nspec - 1}, not {index.min()} .. {index.max()}"
        )
    return index.astype(np.int64)


def _require(fits: FitsFile, fulfilled: bool, first: FitsFile) -> None:
    """Raise unless a file is of the same kind as the first of its set."""
    if not fulfilled:
        raise FileError(f"{fits.path}: is not the kind of frame that {first.path} is")


def _no_fibers(fits: FitsFile, fibers: Sequence[int] | None) -> None:
    """Raise if fibres were asked for where only rows can be selected."""
    if fibers is not None:
        raise _RowError(f"{fits.path}: fibers is for spPlate and spCFrame files; give rows")
