"""Spectra of files, through the register of readers."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments
from qnet.core.arrays import IntArray, as_numbers
from qnet.core.errors import FileError, InputError, first_few, warn, with_source
from qnet.core.files import PathLike, as_path, as_paths, check_input, find_duplicates, real_path
from qnet.core.kinds import GZIP, Expected, unpacked_kind
from qnet.core.spectra import Spectra
from qnet.io.columns import row_numbers
from qnet.io.fits.file import FitsFile
from qnet.io.loaders import LoadedFile, loader_reader
from qnet.io.openfile import OpenFile
from qnet.io.options import TABLE, ReadOptions
from qnet.io.readers import READERS, Reader
from qnet.io.readers.registry import Request
from qnet.io.readers.table import table_reader
from qnet.io.spall import SpAll, SpAllLike, as_spall

#: Rows of a block of `read_blocks`: flux and ivar of a DESI coadd take 33 MB.
BLOCK_ROWS = 512

#: Of files that say all themselves.
NO_OPTIONS = ReadOptions()


def read_spectra(
    path: PathLike | Sequence[PathLike],
    *,
    rows: npt.ArrayLike | None = None,
    fibers: Sequence[int] | None = None,
    spall: SpAllLike | None = None,
    use_mask: bool = True,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    wave_unit: str | None = None,
    flux_unit: str | None = None,
    air: bool | None = None,
) -> Spectra:
    """Read spectra from a file of any survey, also from gz and fpack files.

    The layout is recognised by the contents of the file. It is one of ``qnet formats`` or one that
    `qnet.io.register` added; else any table of spectra in FITS, VOTable, ECSV, Parquet or text, or
    any image with wavelengths in its header.

    Parameters
    ----------
    path : str, path, or sequence of them
        A file; or several files of one set of spectra: the cframes (spCFrames) of one exposure and
        spectrograph, or the arms of one exposure of WEAVE.
    rows : array_like of int or of bool, optional
        Rows to read; all when None.
    fibers : sequence of int, optional
        FIBERIDs to read from an spPlate or spCFrame, instead of `rows`. An spField file has
        none: its rows are in the order of TARGET_INDEX, from 1.
    spall : path, mapping or tuple, optional
        For spPlate and spCFrame files, which hold no THING_ID: an spAll file, or the result of
        `qnet.io.read_spall`.
    use_mask : bool
        Whether pixels with a non-zero DESI MASK get ivar 0.
    format : str, optional
        'table': read it as a table of spectra, whatever its layout. 'specutils:NAME': read it by
        the loader NAME of specutils, where that is installed.
    columns : mapping of str to str, optional
        For a table: the columns (or images, or numbers from 1) of wave (or loglam), flux, one of
        ivar, error and variance, mask, targetid. Other columns are found by UTYPE, UCD or name.
    wave_unit, flux_unit : str, optional
        For a table: the units of wavelengths and flux, in place of those that it states.
    air : bool, optional
        For a table that does not state it: whether its wavelengths are in air.

    Returns
    -------
    Spectra
        Every row of the file, whatever its quality, with flux, ivar and vacuum wavelengths
        [Angstrom] per camera; masked pixels have ivar 0, NaN stay as they are.

    Raises
    ------
    MissingFileError, FileError
        The file is missing, damaged, of unknown layout, or lacks an HDU or column.
    InputError
        A row is out of range.

    Warns
    -----
    QnetWarning
        The file has no ids, no errors of the flux (they are estimated, and the rows flagged
        NO_ERROR), or is a table that does not state whether its wavelengths are in air or vacuum.

    Notes
    -----
    Errors are estimated as in DER_SNR (Stoehr et al. 2008, ASP Conf. Ser. 394, 505), in windows of
    128 pixels: 1.482602 / sqrt(6) times the median of abs(2 f(i) - f(i-2) - f(i+2)).

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
    options = ReadOptions(
        format=format, columns=columns or {}, wave_unit=wave_unit, flux_unit=flux_unit, air=air
    )
    with _opened(paths, options) as (reader, files):
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
    options: ReadOptions = NO_OPTIONS,
    part: int = 0,
    parts: int = 1,
) -> Iterator[Spectra]:
    """Read a file, or the frames of one set, `nrows` rows at a time, unless it is `whole`.

    The blocks are shared among so many parts, of which one is read; it may have none.
    """
    with _opened(paths, options) as (reader, files):
        nspec = _rows_to_split(reader, files[0])
        if nspec <= nrows:
            if part == 0:
                yield _read(reader, files, Request(spall=spall))
            return
        blocks = -(-nspec // nrows)
        for block in range(part * blocks // parts, (part + 1) * blocks // parts):
            rows = np.arange(block * nrows, min((block + 1) * nrows, nspec))
            yield _read(reader, files, Request(rows, spall))


def count_blocks(paths: Sequence[PathLike], options: ReadOptions = NO_OPTIONS) -> int:
    """Number of blocks that `read_blocks` reads a file, or the frames of one set, in."""
    with _opened(paths, options) as (reader, files):
        return max(1, -(-_rows_to_split(reader, files[0]) // BLOCK_ROWS))


@contextlib.contextmanager
def _opened(
    paths: Sequence[PathLike], options: ReadOptions
) -> Iterator[tuple[Reader, list[OpenFile]]]:
    """The reader of a file, or of the frames of one set, and the open files."""
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(_open(name, options)) for name in paths]
        yield _find_reader(files, options), files


def _rows_to_split(reader: Reader, file: OpenFile) -> int:
    """Number of spectra of a file that may be read in blocks; 0 where it is read as a whole."""
    return 0 if reader.whole else reader.count(file)


def read_whole(
    paths: Sequence[PathLike], *, spall: SpAll | None = None, options: ReadOptions = NO_OPTIONS
) -> Spectra:
    """All spectra of a file, or of the frames of one set."""
    (spectra,) = read_blocks(paths, nrows=sys.maxsize, spall=spall, options=options)
    return spectra


def warn_unused(spall: SpAll | None, layouts: Iterable[str]) -> None:
    """Warn of the ids of an spAll file that no input takes."""
    legal = [reader.name for reader in READERS if reader.spall]
    others = sorted(set(layouts))
    if spall and others and not set(legal).intersection(others):
        warn(f"spall has no effect on {', '.join(others)}: it is for {', '.join(legal)}")


def group_frames(paths: Sequence[PathLike]) -> list[tuple[Path, ...]]:
    """Group the frames of one set, by their names within a folder; other files stay alone."""
    files = list(map(Path, paths))
    keys: list[object] = list(range(len(files)))
    for reader in READERS:
        if reader.frames is None:
            continue
        names = {
            n: match for n, f in enumerate(files) if (match := reader.frames.fullmatch(f.name))
        }
        if reader.sets is None:
            sets: Sequence[object] = [
                (m["spectrograph"], int(m["exposure"])) for m in names.values()
            ]
        else:
            sets = reader.sets([files[number] for number in names])
        for number, one in zip(names, sets, strict=True):
            if one is not None:
                keys[number] = (real_path(files[number].parent), reader.name, one)
    groups: dict[object, list[Path]] = {}
    for key, path in zip(keys, files, strict=True):
        groups.setdefault(key, []).append(path)
    return [tuple(group if len(group) == 1 else _each_once(group)) for group in groups.values()]


def _each_once(paths: Sequence[PathLike]) -> list[Path]:
    """The files of a set, with a warning where one is given more than once."""
    files = {real_path(path): as_path(path, "path") for path in reversed(paths)}
    if again := find_duplicates(paths):
        warn(f"{first_few(again)}: given more than once, but one file of each camera is used")
    return list(files.values())[::-1]


def _open(path: PathLike, options: ReadOptions) -> OpenFile:
    """A file of spectra, opened by what its first bytes are; as FITS where they are nothing known.

    The readers of the register say what opens their files.
    """
    if options.loader:
        return LoadedFile(path, options.loader)
    ordered = sorted(READERS, key=lambda reader: reader.fallback)
    given = (r.opens if isinstance(r.opens, tuple) else (r.opens,) for r in ordered)
    openers = dict.fromkeys(itertools.chain.from_iterable(given))
    kinds = (*(kind for opener in openers for kind in opener.kinds), GZIP)
    advice = "give spectra in other formats as arrays wave, flux and ivar"
    file = check_input(path, Expected("a file of spectra", kinds, advice))
    kind = unpacked_kind(file)
    opener = next((opener for opener in openers if kind in opener.kinds), FitsFile)
    return opener(file)


def _find_reader(files: Sequence[OpenFile], options: ReadOptions) -> Reader:
    """The reader of a file, or of all files of a set."""
    first = files[0]
    if options.is_table or options.loader:
        asked = loader_reader(options.loader) if options.loader else table_reader(options)
        return _one_file(files, asked)
    known = [reader for reader in READERS if isinstance(first, reader.opens)]
    special = [reader for reader in known if not reader.fallback]
    found = [reader for reader in special if _detects(reader, first)]
    fault = "" if found else _find_fault(first, special)
    if not found and not fault:
        last = [table_reader(options) if r.name == TABLE else r for r in known if r.fallback]
        found = [reader for reader in last if _detects(reader, first)]
        fault = "" if found else _find_fault(first, last)
    if len(found) != 1:
        raise FileError(f"{first.path}: {fault or _unread(first, known, found)}")
    if options.air is not None and not found[0].fallback:
        raise InputError(
            f"{first.path}: is a {found[0].name}, whose wavelengths are {found[0].wavelengths}: "
            "leave out air (--medium), or say that it is a table (--format table)"
        )
    (reader,) = found
    if reader.refused:
        raise FileError(f"{first.path}: is a {reader.name}, which is not read: {reader.refused}")
    if len(files) > 1 and reader.frames is None:
        sets = ", ".join(reader.name for reader in READERS if reader.frames is not None)
        raise InputError(
            f"{first.path}: is a {reader.name} and cannot be one set with the {len(files) - 1} "
            f"other file(s), as {sets} can: read them one by one"
        )
    for fits in files[1:]:
        if not isinstance(fits, reader.opens) or not reader.detect(fits):
            fault = _find_fault(fits, [reader]) if isinstance(fits, reader.opens) else ""
            raise FileError(
                f"{fits.path}: is not the kind of frame that {first.path} is"
                + (f": it {fault}" if fault else "")
            )
    return reader


def _detects(reader: Reader, file: OpenFile) -> bool:
    """Whether a file has the layout of a reader; errors name the file."""
    try:
        return reader.detect(file)
    except InputError as error:
        raise FileError(with_source(error, str(file.path))) from error


def _one_file(files: Sequence[OpenFile], reader: Reader) -> Reader:
    """The reader that is asked for, of a single file of its layout."""
    (file,) = files[:1]
    if len(files) > 1:
        raise InputError(f"{file.path}: is a {reader.name}: read such files one by one")
    if not _detects(reader, file):
        fault = _find_fault(file, [reader])
        raise FileError(
            f"{file.path}: {fault}" if fault else f"{file.path}: {_unread(file, [reader], [])}"
        )
    return reader


def _find_fault(file: OpenFile, readers: Iterable[Reader]) -> str:
    """What is wrong with a file that looks like one of a layout; '' where nothing is known."""
    faults = (reader.fault(file) for reader in readers if reader.fault is not None)
    return next(filter(None, faults), "")


def _unread(file: OpenFile, known: Sequence[Reader], found: Sequence[Reader]) -> str:
    """Why a file of no layout, or of several, is not read."""
    if found:
        names = " and of ".join(reader.name for reader in found)
        return f"has the HDUs of {names}, but one layout was expected"
    layouts = known[0].name if len(known) == 1 else f"{len(known)} layouts"
    telescope = file.header(0).get("TELESCOP") if isinstance(file, FitsFile) else ""
    return (
        "holds no spectra that qnet knows: it "
        + (f"is of the telescope {telescope} and " if telescope else "")
        + f"has {file.describe()}; looked for {layouts} (see qnet formats); of another table say "
        "what its columns hold (columns, --columns wave=...,flux=...,error=...)"
    )


def _read(reader: Reader, files: Sequence[OpenFile], request: Request) -> Spectra:
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


def _row_index(fits: OpenFile, rows: npt.ArrayLike | None, nspec: int) -> IntArray | None:
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


def _fiber_rows(fits: OpenFile, reader: Reader, fibers: Sequence[int]) -> IntArray:
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
