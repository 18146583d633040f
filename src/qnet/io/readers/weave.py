"""WEAVE L1 files: an arm of the spectra of a field's fibres; those of one exposure are one set.

From the readers of the L1 data model in SQUEzE (format_weave_spectra, aps_squeze) and weaveio
(opr3.l1files): images <ARM>_DATA [counts], <ARM>_IVAR and <ARM>_SENSFUNC, the flux of a count, of
the arms BLUE or GREEN, and RED; the row of a fibre is its NSPEC in FIBTABLE, from 1. Wavelengths
are in air: the survey's pipeline (APS) converts them for redrock.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np

from qnet.core.arrays import AnyArray, IntArray
from qnet.core.errors import FileError, QnetError
from qnet.core.files import real_path
from qnet.core.flags import QNFlag
from qnet.core.spectra import SURVEY_FLUX_UNIT, Spectra
from qnet.io.columns import NO_ID, id_columns, id_numbers, text_column
from qnet.io.fits.file import FitsFile
from qnet.io.pixels import Pixels, make_spectra
from qnet.io.readers.registry import (
    Frame,
    Reader,
    Request,
    check_set,
    lacks,
    left_out,
    recognised,
    refuse,
    register,
)
from qnet.io.readers.wcs import linear_wave
from qnet.io.units import states_vacuum

_ARMS = ("BLUE", "GREEN", "RED")
_PARTS = ("DATA", "IVAR", "SENSFUNC")

#: Columns of FIBTABLE by their names in a catalogue.
_NAMES = {
    "CNAME": "TARGET_NAME",
    "TARGID": "TARGID",
    "TARGRA": "TARGET_RA",
    "TARGDEC": "TARGET_DEC",
    "TARGUSE": "OBJTYPE",
}

#: Use of a fibre on the sky, in TARGUSE.
_SKY = "S"

#: Exposures of two arms that begin within so many days are one.
_TOGETHER = 60 / 86400


def _is_cube(fits: FitsFile) -> bool:
    """Whether the data of an arm are a cube."""
    return any(len(fits.shape(f"{arm}_DATA")) == 3 for arm in _arms(fits))


def _is_l1(fits: FitsFile) -> bool:
    """Whether there are data of an arm, of fibres."""
    return bool(_arms(fits)) and not _is_cube(fits)


def _arms(fits: FitsFile) -> list[str]:
    """Arms that a file has."""
    return [arm for arm in _ARMS if f"{arm}_DATA" in fits]


def _images(fits: FitsFile) -> list[str]:
    """Images that are read."""
    return [f"{arm}_{part}" for arm in _arms(fits) for part in _PARTS]


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file that has the data of an arm."""
    images = _images(fits)
    if fault := lacks(fits, images):
        return fault
    for name in images:
        data = name.partition("_")[0] + "_DATA"
        if len(fits.shape(name)) != 2 or fits.shape(name) != fits.shape(data):
            return f"HDU {name} has shape {fits.shape(name)}, but {data} has {fits.shape(data)}"
    if "CNAME" not in fits.columns("FIBTABLE"):
        return f"lacks the column CNAME of a table FIBTABLE; it holds {fits.describe()}"
    return left_out(fits, map(fits.all_names.index, images))


def _count(fits: FitsFile) -> int:
    """Number of spectra."""
    return fits.shape(f"{_arms(fits)[0]}_DATA")[0]


def _read(files: Sequence[FitsFile], request: Request) -> Spectra:
    """Read the arms of one exposure, or of one stack."""
    arms = [(fits, arm) for fits in files for arm in _arms(fits)]
    check_set([_frame(fits, arm) for fits, arm in arms])
    ids = _ids(files[0], request.rows)
    flag = np.zeros(len(ids["TARGETID"]), dtype=np.int32)
    if "OBJTYPE" in ids:
        flag[ids["OBJTYPE"] == _SKY] |= QNFlag.NOT_TARGET
    if {arm for _, arm in arms} not in ({"BLUE", "RED"}, {"GREEN", "RED"}):
        flag |= QNFlag.CAMERA_MISSING
    return make_spectra([_pixels(fits, arm, request.rows) for fits, arm in arms], ids, flag=flag)


def _pixels(fits: FitsFile, arm: str, rows: IntArray | None) -> Pixels:
    """The pixels of an arm, in flux."""
    data, ivar, one = (fits.image(f"{arm}_{part}", rows) for part in _PARTS)
    flux = one * np.float32(1e17)  # its inverse square is beyond float32 otherwise
    weight = np.zeros_like(flux)
    np.divide(ivar, np.square(flux), out=weight, where=flux > 0)
    flux = flux * data
    header, where = fits.header(f"{arm}_DATA"), f"{fits.path}: HDU {arm}_DATA"
    return Pixels(
        wave=linear_wave(header, flux.shape[1], where),
        wave_unit=str(header.get("CUNIT1", "")),
        flux=flux,
        flux_unit=SURVEY_FLUX_UNIT,
        weights=weight,
        air=not states_vacuum(header),
        name=arm.lower(),
        where=where,
    )


def _frame(fits: FitsFile, arm: str) -> Frame:
    """Observing block, arm and targets of a file."""
    names = _ids(fits, None)["TARGET_NAME"].tolist()
    return Frame(fits.path, fits.header(0).get("OBID"), arm[:1], _count(fits), names)


def _ids(fits: FitsFile, rows: IntArray | None) -> dict[str, AnyArray]:
    """Ids of the fibres, from their rows of FIBTABLE."""
    index = _fibres(fits)
    have = [name for name in _NAMES if name in fits.columns("FIBTABLE")]
    table = fits.table("FIBTABLE", have, index if rows is None else index[rows])
    found = {_NAMES[name]: column for name, column in table.items()}
    found["TARGET_NAME"] = text_column(found["TARGET_NAME"], "CNAME", fits.path)
    return id_columns({"TARGETID": np.full(len(found["TARGET_NAME"]), NO_ID)} | found, fits.path)


def _fibres(fits: FitsFile) -> IntArray:
    """Row of FIBTABLE of each spectrum."""
    nspec, nrows = _count(fits), fits.nrows("FIBTABLE")
    numbers = np.arange(1, nrows + 1)
    if "NSPEC" in fits.columns("FIBTABLE"):
        column = fits.table("FIBTABLE", ["NSPEC"])["NSPEC"]
        numbers = id_numbers(column, "NSPEC", fits.path)
    index = np.flatnonzero((numbers > 0) & (numbers <= nspec))
    if not np.array_equal(np.sort(numbers[index]), np.arange(1, nspec + 1)):
        raise FileError(
            f"{fits.path}: FIBTABLE of {nrows} rows does not have one row for each of the {nspec} "
            "spectra, by the column NSPEC"
        )
    return np.asarray(index[np.argsort(numbers[index])])


def _sets(paths: Sequence[Path]) -> list[Hashable]:
    """Observing block, kind and number of the exposure of each file; None where it has none."""
    files: dict[str, list[int]] = {}
    for number, path in enumerate(paths):
        files.setdefault(real_path(path), []).append(number)
    blocks: dict[Hashable, list[tuple[float, str, list[int]]]] = {}
    for numbers in files.values():
        path = paths[numbers[0]]
        try:
            with FitsFile(path) as fits:
                header, arms = fits.header(0), "".join(_arms(fits))
            start = float(header.get("MJD-OBS", 0.0))
        except (QnetError, ValueError, TypeError):  # it is read, and refused, by itself
            continue
        block: Hashable = (path.parent, path.name.partition("_")[0], header.get("OBID"))
        blocks.setdefault(block, []).append((start, arms, numbers))
    found: list[Hashable] = [None] * len(paths)
    for block, exposures in blocks.items():
        exposure, begin, seen = 0, -np.inf, set[str]()
        for start, arms, numbers in sorted(exposures):
            apart = start - begin > _TOGETHER and paths[numbers[0]].name.startswith("single_")
            if apart or arms in seen:
                exposure, seen = exposure + 1, set()
            begin = start
            seen.add(arms)
            for number in numbers:
                found[number] = (block, exposure)
    return found


register(
    Reader(
        name="WEAVE L1 files",
        survey="WEAVE",
        hdus="images BLUE_ (GREEN_, RED_) DATA, IVAR and SENSFUNC (nspec, npix), table FIBTABLE",
        targetid="-1, with CNAME in TARGET_NAME",
        wavelengths="air, converted to vacuum; centres",
        no_weight="SENSFUNC not above 0",
        **recognised(_is_l1, _fault),
        count=_count,
        read=_read,
        whole=True,
        ids=("TARGETID", *_NAMES.values()),
        frames=re.compile(r"(single|stack|stacked|superstack|superstacked)_\d+\.fits?(\.gz|\.fz)?"),
        sets=_sets,
    )
)
refuse(
    name="WEAVE cube of an integral-field unit",
    survey="WEAVE",
    hdus="images BLUE_DATA (GREEN_DATA, RED_DATA) of three axes",
    detect=_is_cube,
    why="it holds no spectra of targets: give single_, stack_ or superstack_ files of fibres",
)
