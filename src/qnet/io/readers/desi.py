"""DESI files to arrays: coadd, spectra and cframe, in the tile and healpix layouts."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import Float32Array, IntArray
from qnet.core.errors import FileError, QnetWarning
from qnet.core.flags import QNFlag
from qnet.core.spectra import Camera, Spectra
from qnet.io.columns import id_column, integer_card, row_numbers
from qnet.io.fits.file import FitsFile
from qnet.io.frames import Frame, check_set

Rows = IntArray | None

#: The three cameras of a DESI spectrograph, blue to red.
CAMERAS = ("B", "R", "Z")

#: HDUs of a camera by name; older coadds have the three cameras in one, BRZ.
_CAMERA_HDU = re.compile(r"(B|R|Z|BRZ)_(FLUX|IVAR|WAVELENGTH)")

#: Columns of the FIBERMAP that a catalogue carries, where the file has them.
_ID_COLUMNS = (
    "TARGETID",
    "TARGET_RA",
    "TARGET_DEC",
    "OBJTYPE",
    "COADD_FIBERSTATUS",
    "FIBERSTATUS",
    "TILEID",
    "LASTNIGHT",
    "EXPID",
    "PETAL_LOC",
    "FIBER",
)

_TARGET_COLUMN = re.compile(r"(SV[123]_)?(DESI|BGS|MWS|SCND)_TARGET|CMX_TARGET")

#: Header cards of the primary HDU that become columns.
_ID_CARDS = {"SURVEY": "SURVEY", "PROGRAM": "PROGRAM", "HPXPIXEL": "HPXPIXEL"}

#: Cards of a tile's files that become columns where the FIBERMAP does not have them.
_TILE_CARDS = {"TILEID": "TILEID", "NIGHT": "LASTNIGHT", "PETAL": "PETAL_LOC"}


def is_spectra(fits: FitsFile) -> bool:
    """Whether a file has the HDUs of a DESI coadd or spectra file."""
    return any(_CAMERA_HDU.fullmatch(name) for name in fits.names)


def camera_names(fits: FitsFile) -> list[str]:
    """Cameras of a coadd or spectra file, in the order of their flux HDUs."""
    matches = [match for name in fits.names if (match := _CAMERA_HDU.fullmatch(name))]
    first_flux = sorted(matches, key=lambda match: match[2] != "FLUX")
    return list(dict.fromkeys(match[1] for match in first_flux))


def count_spectra(fits: FitsFile) -> int:
    """Number of rows of a coadd, spectra or cframe file; 0 where there is no flux."""
    flux = "FLUX" if is_cframe(fits) else f"{camera_names(fits)[0]}_FLUX"
    return (*fits.shape(flux), 0)[0]


def is_cframe(fits: FitsFile) -> bool:
    """Whether a file has the HDUs of a DESI cframe."""
    return (
        len(fits.shape("FLUX")) == 2
        and len(fits.shape("IVAR")) == 2
        and len(fits.shape("WAVELENGTH")) == 1
    )


def read_desi(fits: FitsFile, rows: Rows = None, *, use_mask: bool = True) -> Spectra:
    """Read a coadd or spectra file.

    Parameters
    ----------
    fits : FitsFile
    rows : ndarray of int, optional
        Rows to read; all when None.
    use_mask : bool
        Whether pixels with a non-zero MASK get ivar 0.

    Returns
    -------
    Spectra

    Raises
    ------
    FileError
        An HDU or column is missing, or sizes disagree.
    """
    names = camera_names(fits)
    if use_mask and any(f"{name}_MASK" in fits for name in names):
        lacking = [f"{name}_MASK" for name in names if f"{name}_MASK" not in fits]
        if lacking:
            raise FileError(
                f"{fits.path}: lacks {', '.join(lacking)}, though other cameras have a MASK; is it "
                "whole?"
            )
    nspec = count_spectra(fits)
    selected = nspec if rows is None else len(rows)
    cameras = [
        _camera(fits, name, {part: f"{name}_{part}" for part in _PARTS}, rows, use_mask, out)
        for name, out in zip(names, _pixel_memory(fits, names, selected), strict=True)
    ]
    ids = _ids(fits, nspec, rows)
    flag = row_flags(ids)
    if not has_all_cameras(names):
        flag |= QNFlag.CAMERA_MISSING
    return Spectra(
        cameras=tuple(cameras),
        ids=ids,
        flag=flag,
        row=row_numbers(nspec, rows),
        survey="DESI",
        layout="DESI coadd or spectra file",
        source=(str(fits.path),),
        cards=dependency_cards(fits.header(0)),
    )


def read_cframes(files: Sequence[FitsFile], rows: Rows = None, *, use_mask: bool = True) -> Spectra:
    """Read the cframes of one exposure and spectrograph: one set of spectra.

    Parameters
    ----------
    files : sequence of FitsFile
        One file per camera.
    rows, use_mask
        As in `read_desi`.

    Returns
    -------
    Spectra

    Raises
    ------
    FileError
        An HDU or column is missing, or the files are not of one exposure and spectrograph.
    """
    first = files[0]
    nspec = count_spectra(first)
    ids = _ids(first, nspec, rows)
    frames = [_frame(fits) for fits in files]
    check_set(frames)
    cameras = [
        _camera(fits, frame.camera[:1].upper(), {part: part for part in _PARTS}, rows, use_mask)
        for fits, frame in zip(files, frames, strict=True)
    ]
    flag = row_flags(ids)
    if not has_all_cameras([camera.name for camera in cameras]):
        flag |= QNFlag.CAMERA_MISSING
    if frames[0].exposure is not None:
        expid = integer_card(frames[0].exposure, "EXPID", first.path)
        ids["EXPID"] = np.full(len(flag), expid, dtype=np.int32)
    return Spectra(
        cameras=tuple(cameras),
        ids=ids,
        flag=flag,
        row=row_numbers(nspec, rows),
        survey="DESI",
        layout="DESI cframe files",
        source=tuple(str(fits.path) for fits in files),
        cards=dependency_cards(first.header("FLUX")),
    )


def dependency_cards(header: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Pairs of name and version from the DEPNAMnn and DEPVERnn cards of a header."""
    cards = []
    for key, value in header.items():
        match = re.fullmatch(r"DEPNAM(\d+)", key)
        if match:
            cards.append((str(value).strip(), str(header.get(f"DEPVER{match[1]}", "")).strip()))
    if "SPECPROD" in header and not any(name == "SPECPROD" for name, _ in cards):
        cards.append(("SPECPROD", str(header["SPECPROD"]).strip()))
    return tuple(cards)


_PARTS = ("WAVELENGTH", "FLUX", "IVAR", "MASK")


def _pixel_memory(
    fits: FitsFile, names: Sequence[str], nrows: int
) -> list[tuple[Float32Array, ...] | None]:
    """Memory for flux and ivar of each camera, in one piece; None where it would not be used.

    The system hands out one large piece in large pages: that costs a third of what it takes to get
    the same memory as arrays of a few megabytes each.
    """
    shapes = [fits.shape(f"{name}_FLUX") for name in names]
    if any(len(shape) != 2 for shape in shapes):
        return [None] * len(names)
    ends = np.cumsum([2 * nrows * shape[1] for shape in shapes])
    # A compressed file may claim any size, and its pixels come in memory of their own.
    if ends[-1] * np.dtype(np.float32).itemsize > fits.path.stat().st_size:
        return [None] * len(names)
    pieces = np.split(np.empty(ends[-1], np.float32), ends[:-1])
    return [
        tuple(piece.reshape(2, nrows, shape[1]))
        for piece, shape in zip(pieces, shapes, strict=True)
    ]


def _camera(
    fits: FitsFile,
    name: str,
    hdus: Mapping[str, str],
    rows: Rows,
    use_mask: bool,
    out: tuple[Float32Array, ...] | None = None,
) -> Camera:
    """One camera, pixels with a non-zero MASK given ivar 0; in memory that is there, or new."""
    flux_out, ivar_out = (None, None) if out is None else out
    masked = use_mask and hdus["MASK"] in fits
    shape = fits.shape(hdus["FLUX"])
    if hdus["FLUX"] in fits and len(shape) != 2:
        raise FileError(f"{fits.path}: HDU {hdus['FLUX']} has shape {shape}, not (nspec, npix)")
    for part in ("IVAR", "MASK") if masked else ("IVAR",):
        other = fits.shape(hdus[part])
        if hdus[part] in fits and hdus["FLUX"] in fits and other != shape:
            raise FileError(
                f"{fits.path}: HDU {hdus[part]} has shape {other}, but {hdus['FLUX']} has {shape}"
            )
    wave = fits.image(hdus["WAVELENGTH"]).astype(np.float64)
    flux = fits.image(hdus["FLUX"], rows, out=flux_out)
    ivar = fits.image(hdus["IVAR"], rows, out=ivar_out)
    if wave.shape != shape[1:]:
        raise FileError(
            f"{fits.path}: HDU {hdus['WAVELENGTH']} has shape {wave.shape}, but {hdus['FLUX']} has "
            f"{shape[1]} pixels"
        )
    if masked:
        fits.clear_masked(hdus["MASK"], rows, ivar)
    return Camera(name, wave, flux, ivar)


def _ids(fits: FitsFile, nspec: int, rows: Rows) -> dict[str, npt.NDArray[Any]]:
    """Columns of the FIBERMAP and cards of the header that a catalogue carries."""
    selected = nspec if rows is None else len(rows)
    if "FIBERMAP" not in fits:
        warnings.warn(
            f"{fits.path}: has no FIBERMAP: TARGETID is the row number", QnetWarning, stacklevel=2
        )
        return {"TARGETID": row_numbers(nspec, rows).astype(np.int64)}
    have = fits.columns("FIBERMAP")
    if fits.nrows("FIBERMAP") != nspec:
        raise FileError(
            f"{fits.path}: HDU FIBERMAP has {fits.nrows('FIBERMAP')} rows, but there are {nspec} "
            "spectra"
        )
    wanted = id_names(have)
    if "TARGETID" not in wanted:
        wanted.insert(0, "TARGETID")  # its absence is an error that `table` words
    ids = fits.table("FIBERMAP", wanted, rows)
    header = fits.header(0)
    cards = {card: name for card, name in _ID_CARDS.items() if card in header}
    if "SURVEY" not in header:
        cards |= {
            card: name for card, name in _TILE_CARDS.items() if card in header and name not in ids
        }
    for card, name in cards.items():
        if header[card] is not None:
            ids[name] = np.full(selected, header[card])
    return {name: id_column(values, name, fits.path) for name, values in ids.items()}


def _frame(fits: FitsFile) -> Frame:
    """What a cframe says of itself."""
    header = fits.header("FLUX")
    camera = str(header.get("CAMERA", "?")).strip().lower()
    targets = None
    if "FIBERMAP" in fits:
        targets = fits.table("FIBERMAP", ["TARGETID"])["TARGETID"].tolist()
    return Frame(fits.path, header.get("EXPID"), camera, count_spectra(fits), targets)


def id_names(columns: list[str]) -> list[str]:
    """Those columns of a FIBERMAP that a catalogue carries: ids and target bits."""
    targets = [name for name in columns if _TARGET_COLUMN.fullmatch(name)]
    return [name for name in _ID_COLUMNS if name in columns] + targets


def has_all_cameras(names: Sequence[str]) -> bool:
    """Whether the cameras B, R and Z are there, or their coadd BRZ."""
    return "BRZ" in names or set(CAMERAS) <= set(names)


def row_flags(ids: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.int32]:
    """QN_FLAG bits of sky and unassigned fibres, and of bad fibre status."""
    flag = np.zeros(len(ids["TARGETID"]), dtype=np.int32)
    if "OBJTYPE" in ids:
        flag[ids["OBJTYPE"] != "TGT"] |= QNFlag.NOT_TARGET
    for name in ("COADD_FIBERSTATUS", "FIBERSTATUS"):
        if name in ids:
            flag[ids[name] != 0] |= QNFlag.BAD_FIBER
    return flag
