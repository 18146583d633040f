"""Spectra from arrays and astropy tables."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import BoolArray, FloatArray, IntArray
from qnet.core.errors import InputError, QnetWarning
from qnet.core.spectra import Camera, Spectra
from qnet.io.columns import filled
from qnet.io.quantities import angstrom, flux_and_ivar, unit_text
from qnet.io.readers.boss import COMBINEREJ
from qnet.lines import air_to_vacuum

#: Names of table columns, in any letter case, by what they hold; best first.
_TABLE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "wave": ("wave", "wavelength", "lambda", "spectral_axis"),
    "loglam": ("loglam",),
    "flux": ("flux",),
    "ivar": ("ivar",),
    "std": ("error", "flux_error", "err", "sigma", "uncertainty"),
    "mask": ("mask",),
    "and_mask": ("and_mask",),
}


def from_arrays(
    wave: Any,
    flux: Any,
    ivar: Any,
    *,
    targetid: npt.ArrayLike | None = None,
    air: bool = False,
) -> Spectra:
    """Spectra from plain arrays.

    Parameters
    ----------
    wave : array_like or Quantity, shape (npix,) or (nspec, npix)
        Vacuum wavelengths, increasing: plain numbers in Angstrom; a Quantity is converted.
    flux : array_like or Quantity, shape (nspec, npix) or (npix,)
        Flux density per wavelength, in any scale. NaN and masked values have no weight.
    ivar : array_like or Quantity, the shape of `flux`
        Inverse variance of `flux`; plain numbers are in the unit of `flux`. NaN, masked values and
        values <= 0 have no weight.
    targetid : array_like of int, shape (nspec,), optional
        Ids. The row numbers when None, with a warning for more than one row.
    air : bool
        The wavelengths are in air: convert them to vacuum.

    Returns
    -------
    Spectra

    Raises
    ------
    InputError
        Shapes disagree, wavelengths do not increase, or a unit cannot be converted.
    """
    return _from_arrays(wave, flux, ivar, targetid=targetid, air=air)


def _from_arrays(
    wave: Any,
    flux: Any,
    weights: Any,
    *,
    kind: str = "ivar",
    mask: BoolArray | None = None,
    targetid: npt.ArrayLike | None = None,
    air: bool = False,
) -> Spectra:
    """As `from_arrays`, with weights of another kind, and pixels without weight."""
    if flux is None or weights is None:
        raise InputError("flux and ivar must be given with wave")
    flux_array, ivar_array, unit = flux_and_ivar(flux, weights, kind=kind)
    if mask is not None and mask.shape == ivar_array.shape:
        ivar_array = np.where(mask, ivar_array.dtype.type(0), ivar_array)
    flux_array, ivar_array = (np.atleast_2d(array) for array in (flux_array, ivar_array))
    wave_array = angstrom(wave)
    if air:
        wave_array = air_to_vacuum(wave_array)
    return Spectra(
        cameras=(Camera("arrays", wave_array, flux_array, ivar_array),),
        ids={"TARGETID": _targetid(targetid, len(flux_array))},
        flux_unit=unit,
    )


def is_table(value: Any) -> bool:
    """Whether an object looks like an astropy Table."""
    return hasattr(value, "colnames") and hasattr(value, "columns")


def from_table(table: Any, *, air: bool = False) -> Spectra:
    """Spectra from an astropy Table: a row per spectrum, or one spectrum with a row per pixel.

    Parameters
    ----------
    table : astropy.table.Table
        Columns, in any letter case: wave, wavelength or lambda (or loglam); flux; ivar, or an error
        (error, flux_error, err, sigma). With a flux of (nspec, npix) a row is a spectrum, and
        further one-dimensional columns are carried as ids (TARGETID, THING_ID, ...); with a flux of
        (npix,) a row is a pixel. Masked values have no weight, nor have pixels with a non-zero mask
        or with the COMBINEREJ bit of and_mask, where there are such columns; a masked id is -1.
    air : bool
        The wavelengths are in air: convert them to vacuum.

    Returns
    -------
    Spectra

    Raises
    ------
    InputError
        A column is missing or has an unexpected shape or unit.
    """
    names = {name.lower(): name for name in table.colnames}
    found = {
        kind: next((names[name] for name in candidates if name in names), None)
        for kind, candidates in _TABLE_COLUMNS.items()
    }
    for kinds in (("wave", "loglam"), ("flux",), ("ivar", "std")):
        if not any(found[kind] for kind in kinds):
            legal = [name for kind in kinds for name in _TABLE_COLUMNS[kind]]
            raise InputError(
                f"the table lacks a column named one of {legal}; it has {table.colnames}"
            )
    wave = table[found["wave"]] if found["wave"] else _wave_of(table[found["loglam"]])
    flux, kind = table[found["flux"]], "ivar" if found["ivar"] else "std"
    ids: dict[str, npt.NDArray[Any]] = {}
    if np.ndim(flux) == 2:
        ids = {
            name.upper(): filled(table[name], name.upper())
            for name in table.colnames
            if name not in found.values()
            and np.ndim(table[name]) == 1
            and _kind(table[name]) in "iufbSU"
        }
        taken = {*ids, *(name.upper() for name in found.values() if name)}
        flat = (name for name in table.colnames if np.ndim(table[name]) == 1)
        left = [name for name in flat if name.upper() not in taken]
        if left:
            warnings.warn(
                f"columns {left} are left out: only numbers and text are carried on",
                QnetWarning,
                stacklevel=2,
            )
    spectra = _from_arrays(
        wave,
        flux,
        table[found[kind]],
        kind=kind,
        mask=_mask(table, found),
        targetid=ids.pop("TARGETID", None),
        air=air,
    )
    units = {
        name.upper(): unit_text(table[name].unit)
        for name in table.colnames
        if name.upper() in ids and getattr(table[name], "unit", None) is not None
    }
    return dataclasses.replace(
        spectra, ids={**spectra.ids, **ids}, units=units, layout="astropy Table"
    )


def _kind(column: Any) -> str:
    """Kind of a column's numbers; "-" of coordinates, times and the like, which are no arrays."""
    return str(column.dtype.kind) if hasattr(column, "dtype") else "-"


def _wave_of(loglam: Any) -> FloatArray:
    """Wavelengths of a column of decimal logarithms, raised in float64."""
    return np.power(10.0, filled(loglam, "loglam").astype(np.float64))


def _mask(table: Any, found: Mapping[str, str | None]) -> BoolArray | None:
    """Pixels that the mask columns of a table say are bad; None where it has none."""
    bad = None
    for kind, bits in (("mask", None), ("and_mask", COMBINEREJ)):
        name = found[kind]
        if name is None:
            continue
        values = filled(table[name], name)
        if values.dtype.kind not in "iub":
            raise InputError(f"column {name} must hold integers or booleans, not {values.dtype}")
        these = values != 0 if bits is None else (values.astype(np.int64) & bits) != 0
        bad = these if bad is None else bad | these
    return bad


def row_number_ids(nspec: int) -> IntArray:
    """Row numbers in place of ids, with a warning for more than one row."""
    if nspec > 1:
        warnings.warn(
            "the arrays come without ids: TARGETID is the row number", QnetWarning, stacklevel=5
        )
    return np.arange(nspec, dtype=np.int64)


def _targetid(targetid: npt.ArrayLike | None, nspec: int) -> IntArray:
    """Ids as int64; the row numbers, with a warning, where there are none."""
    if targetid is None:
        return row_number_ids(nspec)
    ids = np.atleast_1d(np.asarray(targetid))
    if ids.dtype.kind not in "iu" or ids.shape != (nspec,) or (ids > np.iinfo(np.int64).max).any():
        raise InputError(
            f"targetid must be {nspec} integers, not of type {ids.dtype} and shape {ids.shape}"
        )
    return ids.astype(np.int64)
