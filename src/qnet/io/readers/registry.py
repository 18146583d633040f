"""The register of readers of files of spectra, and what they share."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qnet.core.arguments import check_arguments, check_fields
from qnet.core.arrays import Int32Array, IntArray
from qnet.core.errors import FileError, InputError, first_few
from qnet.core.spectra import Spectra
from qnet.io.fits.file import FitsFile
from qnet.io.openfile import OpenFile
from qnet.io.spall import SpAll


@dataclasses.dataclass(frozen=True)
class Request:
    """What is read of a file: which rows (None: all), with which THING_IDs, and whether MASK."""

    rows: IntArray | None = None
    spall: SpAll | None = None
    use_mask: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reader:
    """A layout of files of spectra: how it is recognised, and how it is read.

    Parameters
    ----------
    name : str
        Name of the layout, as `Spectra.layout` has it.
    survey : str
        'DESI', 'SDSS', or '' for none.
    hdus : str
        The HDUs, or other parts, by which a file is recognised, in words.
    targetid : str
        Where TARGETID comes from, in words.
    wavelengths : str
        What the wavelengths are, in words.
    no_weight : str
        Pixels that get ivar 0, in words; '' for none.
    detect : callable
        Whether an open file (a `FitsFile`, unless `opens` is another class) has the layout, with
        all that `read` needs and no spectra that it would leave out. A file that two readers
        recognise is an error.
    count : callable
        Number of spectra of an open file.
    read : callable
        ``read(files, request)``: the `Spectra` of one open file, or of the frames of one set, of
        those ``request.rows`` that are asked for. `read_spectra` fills in their survey, layout,
        source and row.
    whole : bool
        Whether all spectra of a file are read at once: a plate's at most. Others are read in
        blocks of rows.
    ids : tuple of str
        Columns of a catalogue that files of the layout can fill.
    qso_targets : mapping of str to int
        Target columns, with the mask of the bits that mean quasar.
    frames : re.Pattern, optional
        Names of files of which several are one set of spectra: those of the same groups
        `spectrograph` and `exposure` in one folder.
    sets : callable, optional
        For files whose names do not tell their set, and whose pattern `frames` needs no groups:
        the set of each of some files, None for those that are none's.
    fibers : callable, optional
        FIBERIDs of the rows of an open file, where spectra can be selected by them.
    spall : bool
        Whether ids are taken from an spAll file, where one is given.
    fault : callable, optional
        Why an open file that no reader recognises is not of the layout though it looks like it, in
        words that go on from the file's name ("lacks ..."); '' for a file of another kind.
    opens : subclass of OpenFile, or tuple of them
        What opens files of the layout.
    refused : str
        Why files of the layout are not read, and what to do; '' for those that are read.
    fallback : bool
        Whether the reader is tried only where no other recognises the file, or finds a fault in it.

    Examples
    --------
    >>> from qnet.io.readers import READERS
    >>> for reader in READERS:
    ...     if reader.survey == "DESI" and not reader.refused:
    ...         print(reader.name, "|", reader.targetid)
    DESI cframe files | FIBERMAP (COADD_FIBERMAP), else the row number
    DESI coadd or spectra file | FIBERMAP (COADD_FIBERMAP), else the row number
    """

    name: str
    survey: str
    hdus: str
    targetid: str
    wavelengths: str
    no_weight: str
    detect: Callable[[Any], bool]
    count: Callable[[Any], int]
    read: Callable[[Sequence[Any], Request], Spectra]
    whole: bool
    ids: tuple[str, ...]
    qso_targets: Mapping[str, int] = dataclasses.field(default_factory=dict)
    frames: re.Pattern[str] | None = None
    sets: Callable[[Sequence[Path]], Sequence[object]] | None = None
    fibers: Callable[[Any], Int32Array] | None = None
    spall: bool = False
    fault: Callable[[Any], str] | None = None
    opens: type[OpenFile] | tuple[type[OpenFile], ...] = FitsFile
    refused: str = ""
    fallback: bool = False

    def __post_init__(self) -> None:
        check_fields(self)


#: The readers that `read_spectra` tries, in this order.
READERS: list[Reader] = []


def register(reader: Reader) -> Reader:
    """Add a reader to those that `qnet.read_spectra` and `qnet.classify` try.

    Parameters
    ----------
    reader : Reader

    Returns
    -------
    Reader
        The same.

    Raises
    ------
    InputError
        There is a reader of this name, or one with other bits of a target column.

    Examples
    --------
    A reader of files whose second HDU is a table of one spectrum:

    >>> import qnet
    >>> from qnet.io import Reader, register
    >>> def read(files, request):
    ...     columns = files[0].table("ONE", ["WAVE", "FLUX", "IVAR"])
    ...     spectra = qnet.io.from_arrays(*columns.values())
    ...     return spectra if request.rows is None else spectra.select(request.rows)
    >>> reader = register(
    ...     Reader(
    ...         name="file of one spectrum",
    ...         survey="",
    ...         hdus="table ONE with WAVE, FLUX and IVAR",
    ...         targetid="the row number",
    ...         wavelengths="vacuum, centres",
    ...         no_weight="",
    ...         detect=lambda fits: "ONE" in fits,
    ...         count=lambda fits: 1,
    ...         read=read,
    ...         whole=True,
    ...         ids=("TARGETID",),
    ...     )
    ... )
    >>> from astropy.table import Table
    >>> table = Table({"WAVE": [4000.0, 4001.0], "FLUX": [1.0, 2.0], "IVAR": [1.0, 1.0]})
    >>> table.meta["EXTNAME"] = "ONE"
    >>> table.write("one.fits")
    >>> qnet.read_spectra("one.fits")
    <Spectra: 1 spectrum, file of one spectrum; arrays (2 pixels)>
    >>> qnet.io.readers.READERS.remove(reader)
    """
    check_arguments(register, locals())
    if any(known.name == reader.name for known in READERS):
        raise InputError(f"there is a reader named {reader.name!r} already")
    bits = qso_target_bits()
    for column, mask in reader.qso_targets.items():
        if bits.get(column, mask) != mask:
            raise InputError(
                f"reader {reader.name!r}: the quasar bits of {column} are {bits[column]:#x}, "
                f"not {mask:#x}"
            )
    READERS.append(reader)
    return reader


def refuse(
    *,
    name: str,
    survey: str,
    hdus: str,
    detect: Callable[[Any], bool],
    why: str,
    opens: type[OpenFile] = FitsFile,
) -> Reader:
    """Register a layout that is recognised, and not read: `why`, and what to do."""

    def no_spectra(*_: Any) -> Any:
        raise FileError(why)

    return register(
        Reader(
            name=name,
            survey=survey,
            hdus=hdus,
            targetid="",
            wavelengths="",
            no_weight="",
            detect=detect,
            count=no_spectra,
            read=no_spectra,
            whole=True,
            ids=(),
            opens=opens,
            refused=why,
        )
    )


def qso_target_bits() -> dict[str, int]:
    """Mask of the quasar-target bits, by target column, of all readers."""
    return {name: mask for reader in READERS for name, mask in reader.qso_targets.items()}


def bit_mask(*parts: int | tuple[int, int]) -> int:
    """Bit mask of single bits and inclusive ranges of bits."""
    ranges = [part if isinstance(part, tuple) else (part, part) for part in parts]
    return sum((1 << high + 1) - (1 << low) for low, high in ranges)


def recognised(looks: Callable[[Any], bool], fault: Callable[[Any], str]) -> Mapping[str, Any]:
    """`detect` and `fault` of a `Reader`, by what its files look like and what may be wrong."""
    return {
        "detect": lambda fits: looks(fits) and not fault(fits),
        "fault": lambda fits: fault(fits) if looks(fits) else "",
    }


def whole_file(
    read: Callable[[Any], Spectra], count: Callable[[Any], int] = lambda _: 1
) -> Mapping[str, Any]:
    """`read`, `count` and `whole` of a `Reader` of single files, which `read` reads whole."""

    def read_one(files: Sequence[Any], request: Request) -> Spectra:
        (file,) = files
        spectra = read(file)
        return spectra if request.rows is None else spectra.select(request.rows)

    return {"read": read_one, "count": count, "whole": True}


def lacks(fits: FitsFile, images: Sequence[str]) -> str:
    """Which of some images a file does not have, as a `Reader.fault`; '' where it has them."""
    missing = [name for name in images if not fits.shape(name)]
    s = "s" if len(missing) > 1 else ""
    return f"lacks the image{s} {', '.join(missing)}; it holds {fits.describe()}" if missing else ""


#: Names of what goes with FLUX in spectra: its errors, and wavelengths.
_ERRORS = ("IVAR", "ERROR", "ERR", "SIGMA")
_BESIDE_FLUX = {*_ERRORS, "LOGLAM", "WAVE", "WAVELENGTH", "LAMBDA"}


def left_out(fits: FitsFile, read: Iterable[int], *, but: str = r"(?!)") -> str:
    """Spectra in other HDUs than those that are read, as a `Reader.fault`; '' where there are none.

    These are images of FLUX and IVAR (or an error), by their names, and tables with these columns,
    or with FLUX and wavelengths. HDUs whose whole name matches `but` are none.
    """
    names, skipped = fits.all_names, set(read)
    others = []
    for number, name in enumerate(names):
        partners = [name.replace("FLUX", error) for error in _ERRORS]
        pair = "FLUX" in re.split(r"[^A-Z0-9]", name) and not set(partners).isdisjoint(names)
        have = set(fits.columns(number))
        spectra = ("FLUX" in have and have & _BESIDE_FLUX) or (pair and fits.shape(number))
        if spectra and number not in skipped and not re.fullmatch(but, name):
            others.append(name or f"HDU {number}")
    return (
        f"holds further spectra, in {first_few(others, 6)}, that would be left out"
        if others
        else ""
    )


class Frame(NamedTuple):
    """Exposure, camera and spectrograph ('b1') and targets by row of a frame, from its HDUs."""

    path: Path | str
    exposure: Any
    camera: str
    nspec: int
    targets: Sequence[Any] | None


def check_set(frames: Sequence[Frame]) -> None:
    """Raise FileError unless frames are of one exposure and spectrograph, a camera each."""
    first = frames[0]
    for frame in frames:
        one, other = ((f.exposure, f.camera[1:], f.nspec) for f in (first, frame))
        others = None not in (frame.targets, first.targets) and frame.targets != first.targets
        if one != other or others:
            raise FileError(
                f"{frame.path}: is not of one set with {first.path}: exposure {frame.exposure}, "
                f"camera {frame.camera}, {frame.nspec} spectra beside exposure {first.exposure}, "
                f"camera {first.camera}, {first.nspec} spectra"
                + (", of other targets" if others else "")
            )
    paths: dict[str, Path | str] = {}
    for frame in frames:
        if frame.camera in paths:
            raise FileError(
                f"{frame.path}: is camera {frame.camera} of exposure {frame.exposure}, as is "
                f"{paths[frame.camera]}: a camera is there twice, but one file of each was expected"
            )
        paths[frame.camera] = frame.path
