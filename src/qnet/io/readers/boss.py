"""SDSS, BOSS, eBOSS and SDSS-V files to arrays: spec, spPlate and spCFrame."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import FloatArray, IntArray
from qnet.core.errors import FileError, QnetWarning
from qnet.core.flags import QNFlag
from qnet.core.spectra import Camera, Spectra
from qnet.io.columns import (
    NO_ID,
    float_column,
    id_column,
    integer_card,
    integer_column,
    row_numbers,
)
from qnet.io.fits.file import FitsFile
from qnet.io.frames import Frame, check_set
from qnet.io.spall import SpAll

Rows = IntArray | None

#: Bit of and_mask (and of a single exposure's mask) that means: rejected when combining exposures.
COMBINEREJ = 1 << 25

#: Id columns of a catalogue by their names in the one-row table of a spec file, best first.
_SPEC_IDS: Mapping[str, tuple[str, ...]] = {
    "PLATE": ("PLATE", "PLATEID"),
    "MJD": ("MJD",),
    "FIBERID": ("FIBERID",),
    "THING_ID": ("THING_ID",),
    "FIELD": ("FIELD",),
    "CATALOGID": ("CATALOGID",),
    "SDSS_ID": ("SDSS_ID",),
    "TARGET_INDEX": ("TARGET_INDEX",),
    "TARGET_RA": ("PLUG_RA", "RACAT", "FIBER_RA", "RA"),
    "TARGET_DEC": ("PLUG_DEC", "DECCAT", "FIBER_DEC", "DEC"),
    "OBJTYPE": ("OBJTYPE",),
    "OBS": ("OBS",),
}

#: Columns that only SDSS-V has; FIELD means something else in older files.
_SDSS5_ONLY = ("FIELD", "CATALOGID", "SDSS_ID", "TARGET_INDEX", "OBS")

#: Of the header's cards these are the telescope's, not the object's.
_TELESCOPE_CARDS = ("RA", "DEC", "OBJTYPE")

#: Target columns of BOSS and eBOSS.
_TARGET_COLUMNS = (
    "BOSS_TARGET1",
    "BOSS_TARGET2",
    "ANCILLARY_TARGET1",
    "ANCILLARY_TARGET2",
    "EBOSS_TARGET0",
    "EBOSS_TARGET1",
    "EBOSS_TARGET2",
)

#: HDU of the plugmap in spPlate and spCFrame files, which name their HDUs only in late versions.
_PLUGMAP = 5


def is_spec(fits: FitsFile) -> bool:
    """Whether a file has the HDUs of a spec file: a table with a loglam column in HDU 1."""
    return "COADD" in fits or "LOGLAM" in fits.columns(1)


def is_spplate(fits: FitsFile) -> bool:
    """Whether a file has the HDUs of an spPlate: images on one wavelength solution."""
    return _is_frame(fits) and "COEFF0" in fits.header(0) and not is_spcframe(fits)


def is_spcframe(fits: FitsFile) -> bool:
    """Whether a file has the HDUs of an spCFrame: images with an image of loglam."""
    if not _is_frame(fits) or fits.shape(3) != fits.shape(0):
        return False
    return fits.image(3, np.arange(1)).dtype.kind == "f"


def read_spec(fits: FitsFile) -> Spectra:
    """Read a spec file (SDSS, BOSS, eBOSS, SDSS-V): one spectrum.

    Pixels with the COMBINEREJ bit of and_mask get ivar 0. TARGETID is the THING_ID, in SDSS-V the
    CATALOGID; -1 where the file has none.

    Parameters
    ----------
    fits : FitsFile

    Returns
    -------
    Spectra

    Raises
    ------
    FileError
        An HDU or column is missing.
    """
    coadd = "COADD" if "COADD" in fits else 1
    masked = ["AND_MASK"] if "AND_MASK" in fits.columns(coadd) else []
    data = fits.table(coadd, ["LOGLAM", "FLUX", "IVAR", *masked])
    loglam = float_column(data["LOGLAM"], "LOGLAM", fits.path)
    ivar = data["IVAR"]
    if masked:
        if data["AND_MASK"].dtype.kind not in "iu":
            raise FileError(f"{fits.path}: column AND_MASK holds no integers")
        ivar = np.where(data["AND_MASK"].astype(np.int64) & COMBINEREJ, ivar.dtype.type(0), ivar)
    ids = _spec_ids(fits)
    return Spectra(
        cameras=(Camera("coadd", _wave(loglam), data["FLUX"][None], ivar[None]),),
        ids=ids,
        flag=_sky_flag(ids, 1),
        survey="SDSS",
        layout="SDSS spec file",
        source=(str(fits.path),),
        cards=_reduction(fits.header(0)),
    )


def read_spplate(
    fits: FitsFile,
    rows: Rows = None,
    *,
    fibers: Sequence[int] | None = None,
    spall: SpAll | None = None,
) -> Spectra:
    """Read an spPlate file: all fibres of a plate, or selected ones.

    Parameters
    ----------
    fits : FitsFile
    rows : ndarray of int, optional
        Rows to read; all when None.
    fibers : sequence of int, optional
        FIBERIDs to read, in place of `rows`.
    spall : mapping, optional
        THING_ID by (PLATE, MJD, FIBERID), from `read_spall`. Without it TARGETID is -1.

    Returns
    -------
    Spectra

    Raises
    ------
    FileError
        An HDU, column, card or fibre is missing, or sizes disagree.
    """
    header = fits.header(0)
    ids, rows = _plate_ids(fits, header, rows, fibers, spall)
    start, step = (
        float(float_column(np.array([header.get(card)]), card, fits.path)[0])
        for card in ("COEFF0", "COEFF1")
    )
    flux, ivar = _frame_arrays(fits, rows)
    wave = _wave(start + step * np.arange(flux.shape[1]))
    return Spectra(
        cameras=(Camera("coadd", wave, flux, ivar),),
        ids=ids,
        flag=_sky_flag(ids, len(flux)),
        row=row_numbers(len(flux), rows),
        survey="SDSS",
        layout="SDSS spPlate file",
        source=(str(fits.path),),
        cards=_reduction(header),
    )


def read_spcframes(
    files: Sequence[FitsFile],
    rows: Rows = None,
    *,
    fibers: Sequence[int] | None = None,
    spall: SpAll | None = None,
) -> Spectra:
    """Read the spCFrames of one exposure and spectrograph: one set of spectra.

    Parameters
    ----------
    files : sequence of FitsFile
        The blue frame, the red frame or both.
    rows, fibers, spall
        As in `read_spplate`.

    Returns
    -------
    Spectra

    Raises
    ------
    FileError
        An HDU, column, card or fibre is missing, or the files are not of one exposure.
    """
    first = files[0]
    header = first.header(0)
    ids, rows = _plate_ids(first, header, rows, fibers, spall)
    frames = [_frame(fits) for fits in files]
    check_set(frames)
    cameras = []
    for fits, frame in zip(files, frames, strict=True):
        flux, ivar = _frame_arrays(fits, rows)
        loglam = fits.image(3, rows)
        if loglam.shape != flux.shape:
            raise FileError(
                f"{fits.path}: HDU 3 (loglam) has shape {loglam.shape}, but HDU 0 has {flux.shape}"
            )
        cameras.append(Camera(frame.camera[:1], _wave(loglam), flux, ivar))
    flag = _sky_flag(ids, len(flux))
    if {camera.name for camera in cameras} != {"b", "r"}:
        flag |= QNFlag.CAMERA_MISSING
    return Spectra(
        cameras=tuple(cameras),
        ids=ids,
        flag=flag,
        row=row_numbers(len(flux), rows),
        survey="SDSS",
        layout="SDSS spCFrame files",
        source=tuple(str(fits.path) for fits in files),
        cards=_reduction(header),
    )


def _is_frame(fits: FitsFile) -> bool:
    """Whether HDUs 0, 1 and 2 are images of one two-dimensional shape."""
    shape = fits.shape(0)
    return len(shape) == 2 and fits.shape(1) == shape and fits.shape(2) == shape


def _frame_arrays(fits: FitsFile, rows: Rows) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Flux and ivar of an spPlate or spCFrame; ivar 0 where the COMBINEREJ bit is set."""
    flux, ivar = fits.image(0, rows), fits.image(1, rows)
    mask = fits.image(2, rows, integers=True)
    return flux, np.where(mask.astype(np.int64) & COMBINEREJ, ivar.dtype.type(0), ivar)


def _frame(fits: FitsFile) -> Frame:
    """What an spCFrame says of itself."""
    header = fits.header(0)
    camera = str(header.get("CAMERAS", "?")).strip().lower()
    fibers = fits.table(_PLUGMAP, ["FIBERID"])["FIBERID"].tolist()
    return Frame(fits.path, header.get("EXPOSURE"), camera, fits.shape(0)[0], fibers)


def _wave(loglam: npt.NDArray[Any]) -> FloatArray:
    """Wavelengths [Angstrom] from their decimal logarithms, raised in float64."""
    with np.errstate(over="ignore"):  # what overflows is refused as infinite
        return np.power(10.0, loglam.astype(np.float64))


def _spec_ids(fits: FitsFile) -> dict[str, npt.NDArray[Any]]:
    """Ids of a spec file, from its one-row table, or from the header where that lacks them."""
    table = next((name for name in ("SPALL", "SPECOBJ") if name in fits), None)
    row = table or (2 if fits.is_table(2) and fits.nrows(2) == 1 else None)
    if row is not None and fits.nrows(row) != 1:
        raise FileError(f"{fits.path}: HDU {row} has {fits.nrows(row)} rows, but 1 was expected")
    have = [] if row is None else fits.columns(row)
    header = fits.header(0)
    sdss5 = "CATALOGID" in have or "SDSS_ID" in have
    columns: dict[str, str] = {}
    values: dict[str, npt.NDArray[Any]] = {}
    for name, candidates in _SPEC_IDS.items():
        if name in _SDSS5_ONLY and not sdss5:
            continue
        column = next((candidate for candidate in candidates if candidate in have), None)
        if column is not None:
            columns[name] = column
        else:
            cards = [card for card in candidates if card not in _TELESCOPE_CARDS]
            card = next((card for card in cards if header.get(card) is not None), None)
            if card is not None:
                values[name] = np.array([header[card]])
    columns |= {name: name for name in _TARGET_COLUMNS if name in have}
    if row is not None and columns:
        found = fits.table(row, list(columns.values()))
        values |= {name: found[column] for name, column in columns.items()}
    ids = {name: id_column(value, name, fits.path) for name, value in values.items()}
    source = "CATALOGID" if sdss5 else "THING_ID"
    if source not in ids:
        _warn_no_id(fits, source)
        ids[source] = np.full(1, NO_ID, dtype=np.int64)
    return {"TARGETID": ids[source].astype(np.int64), **ids}


def _plate_ids(
    fits: FitsFile,
    header: Mapping[str, Any],
    rows: Rows,
    fibers: Sequence[int] | None,
    spall: SpAll | None,
) -> tuple[dict[str, npt.NDArray[Any]], Rows]:
    """Ids of the fibres of an spPlate or spCFrame, and the rows they stand in."""
    nspec = fits.shape(0)[0]
    have = fits.columns(_PLUGMAP)
    wanted = ["FIBERID", *(name for name in ("RA", "DEC", "OBJTYPE") if name in have)]
    plugmap = fits.table(_PLUGMAP, wanted + [name for name in _TARGET_COLUMNS if name in have])
    if len(plugmap["FIBERID"]) != nspec:
        raise FileError(
            f"{fits.path}: the plugmap in HDU {_PLUGMAP} has {len(plugmap['FIBERID'])} rows, but "
            f"there are {nspec} spectra"
        )
    plugmap["FIBERID"] = _small_integers(plugmap["FIBERID"], "FIBERID", fits.path)
    if fibers is not None:
        place = {int(fiber): row for row, fiber in enumerate(plugmap["FIBERID"])}
        missing = [fiber for fiber in fibers if fiber not in place]
        if missing:
            raise FileError(
                f"{fits.path}: lacks the fibre(s) {missing}; it has {min(place)} to {max(place)}"
            )
        rows = np.array([place[fiber] for fiber in fibers], dtype=np.int64)
    if rows is not None:
        plugmap = {name: column[rows] for name, column in plugmap.items()}
    plate, mjd = (
        integer_card(header.get(card, NO_ID), card, fits.path) for card in ("PLATEID", "MJD")
    )
    fiber = plugmap.pop("FIBERID")
    if spall is None:
        _warn_no_id(fits, "THING_ID")
        spall = {}
    thing_id = [spall.get((plate, mjd, int(number)), NO_ID) for number in fiber]
    renamed = {"RA": "TARGET_RA", "DEC": "TARGET_DEC"}
    ids: dict[str, npt.NDArray[Any]] = {
        "TARGETID": np.array(thing_id, dtype=np.int64),
        "PLATE": np.full(len(fiber), plate, dtype=np.int32),
        "MJD": np.full(len(fiber), mjd, dtype=np.int32),
        "FIBERID": fiber,
        "THING_ID": np.array(thing_id, dtype=np.int64),
    }
    for column, values in plugmap.items():
        name = renamed.get(column, column)
        ids[name] = id_column(values, name, fits.path)
    return ids, rows


def _warn_no_id(fits: FitsFile, name: str) -> None:
    """Warn that a file does not hold the id that TARGETID is taken from."""
    hint = "; give spall (an spAll file)" if name == "THING_ID" else ""
    warnings.warn(
        f"{fits.path}: holds no {name}: TARGETID is {NO_ID}{hint}", QnetWarning, stacklevel=2
    )


def _sky_flag(ids: Mapping[str, npt.NDArray[Any]], nspec: int) -> npt.NDArray[np.int32]:
    """The NOT_TARGET bit for sky fibres."""
    flag = np.zeros(nspec, dtype=np.int32)
    if "OBJTYPE" in ids:
        sky = np.char.find(np.char.upper(ids["OBJTYPE"].astype(str)), "SKY") >= 0
        flag[sky] |= QNFlag.NOT_TARGET
    return flag


def _reduction(header: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Version of the survey's reduction, as a dependency to be carried on."""
    run2d = header.get("RUN2D")
    return (("RUN2D", str(run2d).strip()),) if run2d else ()


def _small_integers(values: npt.NDArray[Any], name: str, path: Path) -> npt.NDArray[np.int32]:
    """A column as int32."""
    column, limits = integer_column(values, name, path), np.iinfo(np.int32)
    if len(column) and not limits.min <= column.min() <= column.max() <= limits.max:
        raise FileError(f"{path}: column {name} holds numbers beyond the range of int32")
    return column.astype(np.int32)
