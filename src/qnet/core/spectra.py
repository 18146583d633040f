"""Batches of spectra on their native wavelengths, with ids and units."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_fields
from qnet.core.arrays import (
    AnyArray,
    BoolArray,
    FloatArray,
    Int32Array,
    IntArray,
    as_array,
    as_floats,
    as_numbers,
    as_rows,
    good_pixels,
)
from qnet.core.errors import InputError, first_few, shown, warn
from qnet.core.flags import QNFlag
from qnet.core.html import describe
from qnet.core.positions import LINKING, position_names, split_by_position
from qnet.core.wavelengths import repair_wave, wave_beyond

#: Unit of the flux in the files of all surveys.
SURVEY_FLUX_UNIT = "1e-17 erg / (s cm2 Angstrom)"


@dataclasses.dataclass(frozen=True, eq=False)
class Camera:
    """Flux of a batch of spectra in one camera, or in one coadd of cameras.

    Parameters
    ----------
    name : str
        Name of the camera, as in the survey's files.
    wave : array_like, shape (npix,) or (nspec, npix)
        Wavelengths in vacuum [Angstrom], increasing along the last axis. Pixels that have no weight
        in any row may have any number; it is replaced.
    flux : array_like, shape (nspec, npix)
        Flux density. A pixel that is NaN or infinite has no weight.
    ivar : array_like, shape (nspec, npix)
        Inverse variance of `flux`; a pixel with ivar <= 0, NaN or infinite has no weight.
    edges : bool
        Whether `wave` holds the left edges of the pixels, as in prepared data files, or their
        centres, as in the surveys' files.

    Raises
    ------
    InputError
        Shapes disagree, or wavelengths (npix,), or those of all rows, are not finite, positive and
        increasing.

    Warns
    -----
    QnetWarning
        Some rows have no valid wavelengths. Their ivar is set to 0.

    Examples
    --------
    >>> import numpy as np
    >>> from qnet import Camera
    >>> wave = np.arange(3600.0, 9800.0, 0.8)
    >>> flux = np.random.default_rng(1).normal(3.0, 1.0, (2, len(wave)))
    >>> camera = Camera("coadd", wave, flux, np.ones_like(flux))
    >>> camera.flux.shape
    (2, 7750)
    >>> camera.select([True, False]).flux.shape
    (1, 7750)
    """

    name: str
    wave: FloatArray
    flux: AnyArray
    ivar: AnyArray
    edges: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        wave = as_floats("wave", self.wave, unit="Angstrom")
        flux, ivar = _native_float("flux", self.flux), _native_float("ivar", self.ivar)
        if flux.ndim != 2:
            raise InputError(f"{self.name}: flux must be (nspec, npix), not of shape {flux.shape}")
        if ivar.shape != flux.shape:
            raise InputError(
                f"{self.name}: flux {flux.shape} and ivar {ivar.shape} must have the same shape"
            )
        if wave.shape not in (flux.shape, flux.shape[1:]):
            raise InputError(
                f"{self.name}: wave must have shape {flux.shape[1:]} or {flux.shape} to go with "
                f"flux {flux.shape}, not {wave.shape}"
            )
        wave, ivar = repair_wave(wave, flux, ivar, self.name)
        for field, value in (("wave", wave), ("flux", flux), ("ivar", ivar)):
            object.__setattr__(self, field, value)

    def select(self, rows: npt.ArrayLike) -> Camera:
        """The camera of some rows: indices, or a boolean mask of shape (nspec,)."""
        rows = as_rows(rows, len(self.flux))
        wave = self.wave if self.wave.ndim == 1 else self.wave[rows]
        return Camera(self.name, wave, self.flux[rows], self.ivar[rows], self.edges)


@dataclasses.dataclass(frozen=True, eq=False)
class Spectra:
    """Batch of spectra: cameras on native wavelengths, ids, flags, and origin.

    Parameters
    ----------
    cameras : sequence of Camera
        One camera or more, with the same number of rows each.
    ids : mapping of str to ndarray, shape (nspec,)
        Identifying columns, in upper case; TARGETID (an integer) is required.
    flag : ndarray of int32, shape (nspec,), optional
        Bits of `qnet.QNFlag` that the file sets (fibre status, missing camera, sky).
    row : ndarray of int32, shape (nspec,), optional
        Row of each spectrum in its input; 0 .. nspec - 1 when None.
    survey : str
        'DESI', 'SDSS', or '' where unknown.
    layout : str
        Kind of file or object that the spectra come from, in words.
    source : sequence of str
        Names of the files.
    cards : sequence of (str, str)
        Versions in the header of the input (DEPNAM and DEPVER pairs; SPECPROD), which go to the
        header of the catalogue.
    flux_unit : str
        Unit of the flux, as text; '' where it is not known.
    units : mapping of str to str
        Units, in FITS's notation, of those ids that have one and are not a survey's own columns.

    Raises
    ------
    InputError
        There is no camera or no TARGETID, or numbers of rows disagree.

    Examples
    --------
    >>> import numpy as np
    >>> from qnet import Camera, Spectra
    >>> wave, ones = [4000.0, 5000.0, 6000.0], np.ones((3, 3))
    >>> spectra = Spectra([Camera("coadd", wave, ones, ones)], {"TARGETID": [7, 8, 7]})
    >>> spectra
    <Spectra: 3 spectra, arrays; coadd (3 pixels)>
    >>> spectra[0], len(spectra[1:]), [int(one.ids["TARGETID"][0]) for one in spectra]
    (<Spectra: 1 spectrum, arrays; coadd (3 pixels)>, 2, [7, 8, 7])
    >>> joined = spectra.coadd()
    >>> joined.ids["TARGETID"], joined.cameras[0].ivar[0]
    (array([7, 8]), array([2., 2., 2.]))
    """

    cameras: tuple[Camera, ...]
    ids: Mapping[str, AnyArray]
    flag: Int32Array = None  # type: ignore[assignment]  # set in __post_init__
    row: Int32Array = None  # type: ignore[assignment]
    survey: str = ""
    layout: str = "arrays"
    source: tuple[str, ...] = ()
    cards: tuple[tuple[str, str], ...] = ()
    flux_unit: str = ""
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "cameras", tuple(self.cameras))
        if not self.cameras:
            raise InputError("spectra need at least one camera")
        nspec = len(self.cameras[0].flux)
        ids = {str(name): as_array(f"ids[{name!r}]", column) for name, column in self.ids.items()}
        if "TARGETID" not in ids:
            raise InputError(f"{self.where()}spectra need a TARGETID column")
        if ids["TARGETID"].dtype.kind not in "iu" or ids["TARGETID"].ndim != 1:
            raise InputError(
                f"{self.where()}TARGETID must be an integer per spectrum, not of type "
                f"{ids['TARGETID'].dtype} and shape {ids['TARGETID'].shape}"
            )
        if (ids["TARGETID"] > np.iinfo(np.int64).max).any():
            raise InputError(f"{self.where()}TARGETID holds {ids['TARGETID'].max()}, beyond int64")
        ids["TARGETID"] = ids["TARGETID"].astype(np.int64)
        object.__setattr__(self, "ids", ids)
        defaults = {"flag": np.zeros(nspec, np.int32), "row": np.arange(nspec, dtype=np.int32)}
        for field, default in defaults.items():
            value = getattr(self, field)
            given = default if value is None else as_numbers(field, value, kinds="iu", ndim=1)
            object.__setattr__(self, field, _int32(field, given))
        counts = {f"camera {camera.name}": len(camera.flux) for camera in self.cameras}
        counts |= {f"column {name}": len(column) for name, column in ids.items()}
        counts |= {"flag": len(self.flag), "row": len(self.row)}
        wrong = {name: count for name, count in counts.items() if count != nspec}
        if wrong:
            raise InputError(
                f"{self.where()}the numbers of spectra disagree: camera {self.cameras[0].name} has "
                f"{nspec}, but {', '.join(f'{name} has {count}' for name, count in wrong.items())}"
            )

    def __len__(self) -> int:
        return len(self.row)

    def __repr__(self) -> str:
        cameras = ", ".join(
            f"{camera.name} ({camera.flux.shape[1]} pixels)" for camera in self.cameras
        )
        noun = "spectrum" if len(self) == 1 else "spectra"
        return f"<Spectra: {len(self)} {noun}, {self.layout}; {cameras}>"

    def _repr_html_(self) -> str:
        """The same for notebooks, with files, wavelengths and ids."""
        rows = [("layout", self.layout), ("survey", self.survey), ("unit", self.flux_unit)]
        rows += [("files", first_few(self.source))] if self.source else []
        for camera in self.cameras:
            ends = f"{camera.wave.min():.1f} to {camera.wave.max():.1f} Angstrom"
            rows.append((f"camera {camera.name}", f"{camera.flux.shape[1]} pixels, {ends}"))
        rows.append(("columns", ", ".join(self.ids)))
        return describe(f"Spectra: {len(self)}", [row for row in rows if row[1]])

    def __getitem__(self, rows: Any) -> Spectra:
        """The spectra of a row, a slice, indices or a boolean mask: always a batch."""
        if isinstance(rows, slice):
            return self.select(np.arange(len(self))[rows])
        if isinstance(rows, (int, np.integer)) and not isinstance(rows, bool):
            if not -len(self) <= rows < len(self):
                raise InputError(f"{self.where()}row {rows} is not in 0 .. {len(self) - 1}")
            return self.select([int(rows)])
        return self.select(rows)

    def __iter__(self) -> Iterator[Spectra]:
        """The spectra one by one, each as a batch of one."""
        return (self.select([row]) for row in range(len(self)))

    def where(self) -> str:
        """Names of the files, as a prefix for messages; '' where there are none."""
        return f"{', '.join(self.source)}: " if self.source else ""

    def select(self, rows: npt.ArrayLike) -> Spectra:
        """Some of the spectra, in the order of `rows`: indices, or a boolean mask (nspec,).

        InputError is raised where a row is out of range, or a mask of another length.
        """
        index = as_rows(rows, len(self))
        return dataclasses.replace(
            self,
            cameras=tuple(camera.select(index) for camera in self.cameras),
            ids={name: column[index] for name, column in self.ids.items()},
            flag=self.flag[index],
            row=self.row[index],
        )

    def coadd(self) -> Spectra:
        """Coadd the exposures of each target: one row per positive TARGETID, and position.

        Pixels are averaged with inverse-variance weights on the native wavelengths. Exposures with
        the bit BAD_FIBER have no weight where the target has a good one. Rows of TARGETID <= 0
        (sky, stuck positioners) are not unique and stay apart. Rows of one TARGETID at several
        positions (TARGET_RA, TARGET_DEC, where known) are joined by position, with a warning: steps
        of at most 2 arcsec link rows of one position. Targets are in the order of their first rows;
        ids and row are those of the first (good) exposure. InputError is raised if each row has its
        own wavelengths.
        """
        if any(camera.wave.ndim == 2 for camera in self.cameras):
            raise InputError(
                f"{self.where()}spectra on wavelengths of their own cannot be joined by TARGETID"
            )
        bad = (self.flag & QNFlag.BAD_FIBER) != 0
        keys = self._target_numbers()
        # Good exposures first, so that the first row of a group is good where any is.
        order = np.lexsort((np.arange(len(self)), bad, keys))
        keys, starts = np.unique(keys[order], return_index=True)
        if not len(keys):
            return self
        first = order[starts]
        group = np.repeat(np.arange(len(keys)), np.diff(np.append(starts, len(order))))
        weight = np.where(bad[order] & ~bad[first][group], 0.0, 1.0)
        cameras = tuple(_coadd_camera(camera, order, starts, weight) for camera in self.cameras)
        # The coadded pixels are finite: BADPIX is set here.
        masked = np.any([_has_bad_pixels(camera)[order] for camera in self.cameras], axis=0)
        masked = np.logical_or.reduceat(masked & (weight > 0), starts)
        appearance = np.argsort(np.minimum.reduceat(order, starts), kind="stable")
        joined = dataclasses.replace(
            self,
            cameras=cameras,
            ids={name: column[first] for name, column in self.ids.items()},
            flag=self.flag[first] | np.where(masked, np.int32(QNFlag.BADPIX), np.int32(0)),
            row=self.row[first],
        )
        return joined.select(appearance)

    def _target_numbers(self) -> IntArray:
        """A number per row that rows have in common where they are of one target and position."""
        targetid = self.ids["TARGETID"]
        alone = np.where(targetid > 0, targetid, -1 - np.arange(len(self)))
        numbers: IntArray = np.unique(alone, return_inverse=True)[1]
        angles = [self.ids[name] for name in position_names(self.ids)]
        if len(angles) != 2 or any(x.ndim != 1 or x.dtype.kind not in "iuf" for x in angles):
            return numbers
        apart = split_by_position(numbers, *angles)
        if split := np.unique(targetid[apart != numbers]).tolist():
            warn(
                f"{self.where()}TARGETID {first_few(split)} is at positions more than "
                f"{LINKING:g} arcsec apart: the spectra of each are joined by themselves"
            )
        return apart


def stack(batches: Sequence[Spectra]) -> Spectra:
    """One batch of several, of one camera each, padded at the red end, with the ids of all."""
    if not batches:
        raise InputError("there are no spectra to stack")
    if any(len(batch.cameras) != 1 for batch in batches):
        raise InputError("only spectra with one camera can be stacked")
    if len({batch.cameras[0].edges for batch in batches}) > 1:
        raise InputError("wavelengths of left edges and of centres cannot be stacked")
    if len(found := {batch.flux_unit for batch in batches}) > 1:
        raise InputError(f"spectra with flux in several units cannot be stacked: {sorted(found)}")
    npix = max(batch.cameras[0].flux.shape[1] for batch in batches)
    padded = [_pad(batch.cameras[0], npix) for batch in batches]
    wave, flux, ivar = (np.concatenate(parts) for parts in zip(*padded, strict=True))
    names = [name for name in batches[0].ids if all(name in batch.ids for batch in batches)]
    return dataclasses.replace(
        batches[0],
        cameras=(dataclasses.replace(batches[0].cameras[0], wave=wave, flux=flux, ivar=ivar),),
        ids={name: np.concatenate([batch.ids[name] for batch in batches]) for name in names},
        flag=np.concatenate([batch.flag for batch in batches]),
        row=np.arange(len(flux), dtype=np.int32),
        source=tuple(name for batch in batches for name in batch.source),
    )


def _int32(name: str, values: AnyArray) -> Int32Array:
    """Integers as int32."""
    if values.size and not -(2**31) <= values.min() <= values.max() < 2**31:
        raise InputError(f"{name} holds {shown(values)}, beyond the range of int32")
    return values.astype(np.int32, copy=False)


def _native_float(name: str, values: npt.ArrayLike) -> AnyArray:
    """Values as float32 or float64 in the byte order of the machine."""
    array = as_numbers(name, values, unit=None)
    wide = array.dtype.kind != "f" or array.dtype.itemsize > 4
    return array.astype(np.float64 if wide else np.float32, copy=False)


def _has_bad_pixels(camera: Camera) -> BoolArray:
    """Rows with pixels that are not finite, though their ivar is not 0."""
    finite = np.isfinite(camera.flux) & np.isfinite(camera.ivar)
    return np.asarray((~finite & (camera.ivar != 0)).any(axis=1))


def _coadd_camera(camera: Camera, order: IntArray, starts: IntArray, weight: FloatArray) -> Camera:
    """Weighted mean of the rows `order` between each two of `starts`."""
    flux = camera.flux[order].astype(np.float64)
    ivar = camera.ivar[order].astype(np.float64)
    good = good_pixels(flux, ivar)
    ivar = np.where(good, ivar, 0.0) * weight[:, None]
    total = np.add.reduceat(ivar, starts, axis=0)
    summed = np.add.reduceat(np.where(good, flux, 0.0) * ivar, starts, axis=0)
    mean = np.divide(summed, total, out=np.zeros_like(summed), where=total > 0)
    dtype = camera.flux.dtype
    return Camera(camera.name, camera.wave, mean.astype(dtype), total.astype(dtype), camera.edges)


def _pad(camera: Camera, npix: int) -> tuple[FloatArray, AnyArray, AnyArray]:
    """Wave, flux and ivar of a camera, each (nspec, npix), padded with pixels of ivar 0."""
    missing = npix - camera.flux.shape[1]
    wave = np.broadcast_to(camera.wave, camera.flux.shape)
    beyond = wave_beyond(wave[:, -1:], np.arange(1, missing + 1))
    flux, ivar = (np.pad(x, ((0, 0), (0, missing))) for x in (camera.flux, camera.ivar))
    return np.hstack([wave, beyond]), flux, ivar
