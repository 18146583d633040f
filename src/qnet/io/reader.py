"""Spectra of files, through the register of readers."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments
from qnet.core.arrays import IntArray, as_numbers
from qnet.core.errors import FileError, InputError, first_few, warn, with_source
from qnet.core.files import PathLike, as_path, as_paths, find_duplicates, real_path
from qnet.core.spectra import Spectra
from qnet.io.columns import row_numbers
from qnet.io.fits.file import FitsFile
from qnet.io.readers import READERS, Reader
from qnet.io.readers.registry import Request
from qnet.io.spall import SpAll, SpAllLike, as_spall

#: Rows of a block of `read_blocks`: flux and ivar of a DESI coadd take 33 MB.
BLOCK_ROWS = 512


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
    spec; spPlate, spField and spCFrame; prepared data; and what `qnet.io.register` adds.

    Parameters
    ----------
    path : str, path, or sequence of them
        A file; or the cframes (spCFrames) of one exposure and spectrograph, which are one set of
        spectra.
    rows : array_like of int or of bool, optional
        Rows to read; all when None.
    fibers : sequence of int, optional
        FIBERIDs to read from an spPlate or spCFrame, instead of `rows`. An spField file has
        none: its rows are in the order of TARGET_INDEX, from 1.
    spall : path, mapping or tuple, optional
        For spPlate and spCFrame files, which hold no THING_ID: an spAll file, or what
        `qnet.io.read_spall` returns of it.
    use_mask : bool
        Whether pixels with a non-zero DESI MASK get ivar 0.

    Returns
    -------
    Spectra
        Every row of the file, whatever its quality, with flux, ivar and vacuum wavelengths
        [Angstrom] per camera; masked pixels have ivar 0, NaN stay as they are.

    Raises
    ------
    MissingFileError, FileError
        The file is not there, damaged, of none of the layouts, or lacks an HDU or column.
    InputError
        A row is out of range.

    Warns
    -----
    QnetWarning
        The file has no ids.

    Examples
    --------
    >>> import numpy as np
    >>> import qnet
    >>> grid = qnet.WavelengthGrid.log(3600, 10000, 1e-3)
    >>> with qnet.io.PreparedWriter("data.fits", grid) as writer:
    ...     writer.write(np.ones((3, 443)), np.ones((3, 443)), {"TARGETID": [7, 8, 9]})
    >>> qnet.read_spectra("data.fits")
    <Spectra: 3 spectra, prepared data file; prepared (443 pixels)>
    >>> qnet.read_spectra("data.fits", rows=[2, 0]).ids["TARGETID"].tolist()
    [9, 7]
    """
    check_arguments(read_spectra, locals())
    paths = _each_once(as_paths(path))
    if not paths:
        raise InputError("path is empty: at least one file was expected")
    if rows is not None and fibers is not None:
        raise InputError("rows and fibers cannot both be given: each selects the spectra to read")
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(FitsFile(name)) for name in paths]
        reader = _find_reader(files)
        if fibers is not None:
            rows = _fiber_rows(files[0], reader, fibers)
        index = _row_index(files[0], rows, reader.count(files[0]))
        known = as_spall(spall)
        warn_unused(known, {reader.name})
        return _read(reader, files, Request(index, known, use_mask))


def read_blocks(
    paths: Sequence[PathLike],
    *,
    nrows: int = BLOCK_ROWS,
    spall: SpAll | None = None,
    part: int = 0,
    parts: int = 1,
) -> Iterator[Spectra]:
    """Read a file, or the frames of one set, `nrows` rows at a time, unless it is `whole`.

    The blocks are shared among so many parts, of which one is read; it may have none.
    """
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(FitsFile(name)) for name in paths]
        reader = _find_reader(files)
        nspec = _rows_to_split(reader, files[0])
        if nspec <= nrows:
            if part == 0:
                yield _read(reader, files, Request(spall=spall))
            return
        blocks = -(-nspec // nrows)
        for block in range(part * blocks // parts, (part + 1) * blocks // parts):
            rows = np.arange(block * nrows, min((block + 1) * nrows, nspec))
            yield _read(reader, files, Request(rows, spall))


def count_blocks(paths: Sequence[PathLike]) -> int:
    """Number of blocks that `read_blocks` reads a file, or the frames of one set, in."""
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(FitsFile(name)) for name in paths]
        return max(1, -(-_rows_to_split(_find_reader(files), files[0]) // BLOCK_ROWS))


def _rows_to_split(reader: Reader, fits: FitsFile) -> int:
    """Number of spectra of a file that may be read in blocks; 0 where it is read as a whole."""
    return 0 if reader.whole else reader.count(fits)


def read_whole(paths: Sequence[PathLike], *, spall: SpAll | None = None) -> Spectra:
    """All spectra of a file, or of the frames of one set."""
    (spectra,) = read_blocks(paths, nrows=sys.maxsize, spall=spall)
    return spectra


def warn_unused(spall: SpAll | None, layouts: Iterable[str]) -> None:
    """Warn of the ids of an spAll file that no input takes."""
    legal = [reader.name for reader in READERS if reader.spall]
    others = sorted(set(layouts))
    if spall and others and not set(legal).intersection(others):
        warn(f"spall has no effect on {', '.join(others)}: it is for {', '.join(legal)}")


def group_frames(paths: Sequence[PathLike]) -> list[tuple[Path, ...]]:
    """Group the frames of one set, by their names within a folder; other files stay alone."""
    groups: dict[object, list[Path]] = {}
    for number, path in enumerate(map(Path, paths)):
        key: object = number
        for reader in READERS:
            if reader.frames is not None and (match := reader.frames.fullmatch(path.name)):
                spectrograph, exposure = match["spectrograph"], int(match["exposure"])
                key = (real_path(path.parent), reader.name, spectrograph, exposure)
        groups.setdefault(key, []).append(path)
    return [tuple(_each_once(group)) for group in groups.values()]


def _each_once(paths: Sequence[PathLike]) -> list[Path]:
    """The files of a set, with a warning where one is given more than once."""
    files = {real_path(path): as_path(path, "path") for path in reversed(paths)}
    if again := find_duplicates(paths):
        warn(f"{first_few(again)}: given more than once, but one file of each camera is used")
    return list(files.values())[::-1]


def _find_reader(files: Sequence[FitsFile]) -> Reader:
    """The reader of a file, or of all files of a set."""
    first = files[0]
    found = [reader for reader in READERS if reader.detect(first)]
    if len(found) != 1:
        raise FileError(_unread(first, found))
    (reader,) = found
    if len(files) > 1 and reader.frames is None:
        sets = ", ".join(reader.name for reader in READERS if reader.frames is not None)
        raise InputError(
            f"{first.path}: is a {reader.name} and cannot be one set with the {len(files) - 1} "
            f"other file(s), as {sets} can: read them one by one"
        )
    for fits in files[1:]:
        if not reader.detect(fits):
            fault = reader.fault(fits) if reader.fault is not None else ""
            raise FileError(
                f"{fits.path}: is not the kind of frame that {first.path} is"
                + (f": it {fault}" if fault else "")
            )
    return reader


def _unread(fits: FitsFile, found: Sequence[Reader]) -> str:
    """Why a file of no layout, or of several, is not read."""
    if found:
        names = " and of ".join(reader.name for reader in found)
        return f"{fits.path}: has the HDUs of {names}, but one layout was expected"
    for reader in READERS:
        if reader.fault is not None and (fault := reader.fault(fits)):
            return f"{fits.path}: {fault}"
    layouts = "; ".join(f"{reader.name} ({reader.hdus})" for reader in READERS)
    telescope = fits.header(0).get("TELESCOP")
    return (
        f"{fits.path}: holds no spectra that qnet knows: it "
        + (f"is of the telescope {telescope} and " if telescope else "")
        + f"has {fits.describe()}; looked for {layouts}"
    )


def _read(reader: Reader, files: Sequence[FitsFile], request: Request) -> Spectra:
    """Read some rows; errors name the file."""
    try:
        spectra = reader.read(files, request)
        return dataclasses.replace(
            spectra,
            survey=reader.survey,
            layout=reader.name,
            source=tuple(str(fits.path) for fits in files),
            row=row_numbers(len(spectra), request.rows),
        )
    except InputError as error:
        # Shapes and wavelengths are checked where they are not known to come from a file.
        raise FileError(with_source(error, str(files[0].path))) from error


def _row_index(fits: FitsFile, rows: npt.ArrayLike | None, nspec: int) -> IntArray | None:
    """Rows as checked indices."""
    if rows is None:
        return None
    index = np.atleast_1d(as_numbers("rows", rows))
    if index.dtype == bool and index.shape == (nspec,):
        index = np.flatnonzero(index)
    if index.size == 0:
        return np.zeros(0, dtype=np.int64)
    if index.dtype.kind not in "iu" or index.ndim != 1:
        raise InputError(f"rows must be integers, or {nspec} booleans, not of type {index.dtype}")
    if index.min() < 0 or index.max() >= nspec:
        raise InputError(
            f"{fits.path}: rows must be in 0 .. {nspec - 1}, not {index.min()} .. {index.max()}"
        )
    return index.astype(np.int64)


def _fiber_rows(fits: FitsFile, reader: Reader, fibers: Sequence[int]) -> IntArray:
    """Rows of FIBERIDs."""
    if reader.fibers is None:
        legal = ", ".join(reader.name for reader in READERS if reader.fibers is not None)
        raise InputError(f"{fits.path}: is a {reader.name}; fibers is for {legal}: give rows")
    row_of = {int(fiber): row for row, fiber in enumerate(reader.fibers(fits))}
    wanted = np.atleast_1d(as_numbers("fibers", fibers, kinds="iu")).ravel().tolist()
    missing = [fiber for fiber in wanted if fiber not in row_of]
    if missing:
        raise FileError(
            f"{fits.path}: lacks the fibre(s) {missing}; it has {min(row_of)} to {max(row_of)}"
        )
    return np.array([row_of[fiber] for fiber in wanted], dtype=np.int64)
