"""DESI files to arrays: coadd, spectra and cframe, in the tile and healpix layouts."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.errors import FileError, QnetWarning
from qnet.flags import QNFlag
from qnet.io.fits import FitsFile, text_column
from qnet.spectra import Camera, Spectra

Rows = npt.NDArray[np.int64] | None

#: The three cameras of a DESI spectrograph, blue to red.
CAMERAS = ("B", "R", "Z")

#: Camera HDUs by name; older coadds have the three cameras in one, BRZ.
_FLUX_HDU = re.compile(r"(B|R|Z|BRZ)_FLUX")

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
    return any(_FLUX_HDU.fullmatch(name) for name in fits.names)


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
    names = [name.removesuffix("_FLUX") for name in fits.names if _FLUX_HDU.fullmatch(name)]
    cameras = [
        _camera(fits, name, {part: f"{name}_{part}" for part in _PARTS}, rows, use_mask)
        for name in names
    ]
    nspec = fits.shape(f"{names[0]}_FLUX")[0]
    ids = _ids(fits, nspec, rows)
    flag = _row_flags(ids)
    if "BRZ" not in names and set(names) != set(CAMERAS):
        flag |= QNFlag.CAMERA_MISSING
    return Spectra(
        cameras=tuple(cameras),
        ids=ids,
        flag=flag,
        row=_row_numbers(nspec, rows),
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
    cameras, frames = [], []
    nspec = first.shape("FLUX")[0]
    ids = _ids(first, nspec, rows)
    for fits in files:
        header = fits.header("FLUX")
        frame = (header.get("EXPID"), str(header.get("CAMERA", "?")).strip().lower())
        frames.append(frame)
        name = frame[1][:1].upper()
        cameras.append(_camera(fits, name, {part: part for part in _PARTS}, rows, use_mask))
        same = frame[0] == frames[0][0] and frame[1][1:] == frames[0][1][1:]
        others = _ids(fits, fits.shape("FLUX")[0], rows)["TARGETID"]
        if not same or not np.array_equal(others, ids["TARGETID"]):
            raise FileError(
                f"{fits.path}: is not of one set with {first.path}: exposure {frame[0]}, camera "
                f"{frame[1]} beside exposure {frames[0][0]}, camera {frames[0][1]}"
            )
    if len({camera for _, camera in frames}) != len(frames):
        raise FileError(f"{first.path}: a camera is there twice in its set of cframes")
    flag = _row_flags(ids)
    if {camera.name for camera in cameras} != set(CAMERAS):
        flag |= QNFlag.CAMERA_MISSING
    if isinstance(frames[0][0], int):
        ids["EXPID"] = np.full(len(flag), frames[0][0], dtype=np.int32)
    return Spectra(
        cameras=tuple(cameras),
        ids=ids,
        flag=flag,
        row=_row_numbers(nspec, rows),
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


def _camera(
    fits: FitsFile, name: str, hdus: Mapping[str, str], rows: Rows, use_mask: bool
) -> Camera:
    """One camera, pixels with a non-zero MASK given ivar 0."""
    wave = fits.image(hdus["WAVELENGTH"]).astype(np.float64)
    flux = fits.image(hdus["FLUX"], rows)
    ivar = fits.image(hdus["IVAR"], rows)
    shapes = {"IVAR": ivar.shape}
    mask = None
    if use_mask and hdus["MASK"] in fits:
        mask = fits.image(hdus["MASK"], rows)
        shapes["MASK"] = mask.shape
    if flux.ndim != 2:
        raise FileError(
            f"{fits.path}: HDU {hdus['FLUX']} has shape {flux.shape}, not (nspec, npix)"
        )
    for part, shape in shapes.items():
        if shape != flux.shape:
            raise FileError(
                f"{fits.path}: HDU {hdus[part]} has shape {shape}, but {hdus['FLUX']} has "
                f"{flux.shape}"
            )
    if wave.shape != flux.shape[1:]:
        raise FileError(
            f"{fits.path}: HDU {hdus['WAVELENGTH']} has shape {wave.shape}, but {hdus['FLUX']} has "
            f"{flux.shape[1]} pixels"
        )
    if mask is not None:
        ivar = np.where(mask == 0, ivar, ivar.dtype.type(0))
    return Camera(name, wave, flux, ivar)


def _ids(fits: FitsFile, nspec: int, rows: Rows) -> dict[str, npt.NDArray[Any]]:
    """Columns of the FIBERMAP and cards of the header that a catalogue carries."""
    selected = nspec if rows is None else len(rows)
    if "FIBERMAP" not in fits:
        warnings.warn(
            f"{fits.path}: has no FIBERMAP: TARGETID is the row number", QnetWarning, stacklevel=2
        )
        return {"TARGETID": _row_numbers(nspec, rows).astype(np.int64)}
    have = fits.columns("FIBERMAP")
    if fits.nrows("FIBERMAP") != nspec:
        raise FileError(
            f"{fits.path}: HDU FIBERMAP has {fits.nrows('FIBERMAP')} rows, but there are {nspec} "
            "spectra"
        )
    wanted = [name for name in _ID_COLUMNS if name in have]
    wanted += [name for name in have if _TARGET_COLUMN.fullmatch(name)]
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
        ids[name] = np.full(selected, header[card])
    return {
        name: text_column(values) if values.dtype.kind in "SU" else values
        for name, values in ids.items()
    }


def _row_flags(ids: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.int32]:
    """QN_FLAG bits of sky and unassigned fibres, and of bad fibre status."""
    flag = np.zeros(len(ids["TARGETID"]), dtype=np.int32)
    if "OBJTYPE" in ids:
        flag[ids["OBJTYPE"] != "TGT"] |= QNFlag.NOT_TARGET
    for name in ("COADD_FIBERSTATUS", "FIBERSTATUS"):
        if name in ids:
            flag[ids[name] != 0] |= QNFlag.BAD_FIBER
    return flag


def _row_numbers(nspec: int, rows: Rows) -> npt.NDArray[np.int32]:
    """Row of each spectrum in its file."""
    return (np.arange(nspec) if rows is None else rows).astype(np.int32)
