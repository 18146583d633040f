"""Spectra from what is in memory already: arrays, astropy tables, specutils spectra."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.errors import InputError, QnetWarning
from qnet.io.air import air_to_vacuum
from qnet.spectra import SURVEY_FLUX_UNIT, Camera, Spectra, stack

#: Names of table columns, in any letter case, by what they hold; best first.
_TABLE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "wave": ("wave", "wavelength", "lambda", "spectral_axis"),
    "loglam": ("loglam",),
    "flux": ("flux",),
    "ivar": ("ivar",),
    "error": ("error", "flux_error", "err", "sigma", "uncertainty"),
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
        Flux density per wavelength, in any scale.
    ivar : array_like or Quantity, the shape of `flux`
        Inverse variance of `flux`, in the same scale. NaN and values <= 0: no weight.
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
    if flux is None or ivar is None:
        raise InputError("flux and ivar must be given with wave")
    flux_array, flux_unit = _value_unit(flux)
    ivar_array, ivar_unit = _value_unit(ivar)
    if flux_unit is not None and ivar_unit is not None:
        try:
            ivar_array = ivar_array * ivar_unit.to(flux_unit**-2)
        except Exception as error:
            raise InputError(f"ivar has unit {ivar_unit}, but flux has {flux_unit}") from error
    flux_array, ivar_array = (np.atleast_2d(array) for array in (flux_array, ivar_array))
    wave_array = _angstrom(wave)
    if air:
        wave_array = air_to_vacuum(wave_array)
    nspec = len(flux_array)
    if targetid is None:
        if nspec > 1:
            warnings.warn(
                "the arrays come without ids: TARGETID is the row number", QnetWarning, stacklevel=3
            )
        targetid = np.arange(nspec)
    ids = np.atleast_1d(np.asarray(targetid))
    if ids.dtype.kind not in "iu" or ids.shape != (nspec,):
        raise InputError(
            f"targetid must be {nspec} integers, not of type {ids.dtype} and shape {ids.shape}"
        )
    return Spectra(
        cameras=(Camera("arrays", wave_array, flux_array, ivar_array),),
        ids={"TARGETID": ids.astype(np.int64)},
        flux_unit=str(flux_unit) if flux_unit is not None else SURVEY_FLUX_UNIT,
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
        (npix,) a row is a pixel. Masked values have no weight.
    air : bool
        The wavelengths are in air: convert them to vacuum.

    Returns
    -------
    Spectra

    Raises
    ------
    InputError
        A column is missing or has an unexpected shape.
    """
    names = {name.lower(): name for name in table.colnames}
    found = {
        kind: next((names[name] for name in candidates if name in names), None)
        for kind, candidates in _TABLE_COLUMNS.items()
    }
    wave_column = found["wave"] or found["loglam"]
    weight_column = found["ivar"] or found["error"]
    for column, kinds in (
        (wave_column, ("wave", "loglam")),
        (found["flux"], ("flux",)),
        (weight_column, ("ivar", "error")),
    ):
        if column is None:
            legal = [name for kind in kinds for name in _TABLE_COLUMNS[kind]]
            raise InputError(
                f"the table lacks a column named one of {legal}; it has {table.colnames}"
            )
    wave = _column(table, wave_column)
    wave = wave if found["wave"] else np.power(10.0, np.asarray(wave, dtype=np.float64))
    flux, ivar = _column(table, found["flux"]), _column(table, weight_column)
    if found["ivar"] is None:
        ivar = _inverse_square(ivar)
    if np.ndim(flux) != 2:
        return from_arrays(wave, flux, ivar, air=air)
    used = {wave_column, found["flux"], weight_column}
    ids = {
        name.upper(): np.asarray(table[name])
        for name in table.colnames
        if name not in used and np.ndim(table[name]) == 1 and table[name].dtype.kind in "iufbSU"
    }
    spectra = from_arrays(wave, flux, ivar, targetid=ids.pop("TARGETID", None), air=air)
    return dataclasses.replace(spectra, ids={**spectra.ids, **ids}, layout="astropy Table")


def is_spectrum(value: Any) -> bool:
    """Whether an object looks like a specutils Spectrum."""
    return hasattr(value, "spectral_axis") and hasattr(value, "flux")


def from_specutils(value: Any, *, air: bool = False) -> Spectra:
    """Spectra from a specutils Spectrum, SpectrumCollection or SpectrumList.

    Parameters
    ----------
    value : Spectrum or sequence of Spectrum
        A Spectrum with flux (npix,) or (nspec, npix); or a list: of the cameras of the same spectra
        (as specutils reads DESI files: each with a band in its meta), or of one-dimensional
        spectra, a row each. Masked pixels have no weight.
    air : bool
        The wavelengths are in air: convert them to vacuum.

    Returns
    -------
    Spectra

    Raises
    ------
    InputError
        The shapes do not fit together, or a unit cannot be converted.

    Warns
    -----
    QnetWarning
        There is no uncertainty (all pixels weigh the same), or the mask merges bits of an SDSS mask
        of which qnet would use one.
    """
    if is_spectrum(value):
        return _one_spectrum(value, air)
    items = list(value)
    if not items or not all(is_spectrum(item) for item in items):
        raise InputError("a list of spectra must hold specutils spectra, and at least one")
    batches = [_one_spectrum(item, air) for item in items]
    bands = [str(_meta(item).get("band", "")).upper() for item in items]
    if all(bands):
        return _join_bands(batches, bands)
    if any(len(batch) != 1 for batch in batches):
        raise InputError(
            "a list of spectra with several rows each must name each one's camera in meta['band']"
        )
    joined = stack(batches, layout="specutils list")
    if not any("THING_ID" in batch.ids for batch in batches):
        ids = {**joined.ids, "TARGETID": np.arange(len(joined), dtype=np.int64)}
        joined = dataclasses.replace(joined, ids=ids)
    return joined


def _one_spectrum(spectrum: Any, air: bool) -> Spectra:
    """One specutils Spectrum, of one row or several."""
    flux, unit = _value_unit(spectrum.flux)
    flux = np.atleast_2d(flux)
    ivar = np.atleast_2d(_spectrum_ivar(spectrum, flux))
    wave = _angstrom(spectrum.spectral_axis)
    if wave.ndim == 1 and len(wave) > 1 and wave[0] > wave[-1]:
        wave, flux, ivar = wave[::-1], flux[:, ::-1], ivar[:, ::-1]
    header = _meta(spectrum).get("header", {})
    thing_id = header.get("THING_ID") if hasattr(header, "get") else None
    sdss = _is_sdss(header)
    mask = getattr(spectrum, "mask", None)
    if mask is not None:
        masked = np.broadcast_to(np.atleast_2d(mask), flux.shape)
        if sdss:
            _warn_merged_mask(masked, ivar)
        else:
            ivar = np.where(masked, 0.0, ivar).astype(ivar.dtype)
    if air:
        wave = air_to_vacuum(wave)
    fibermap = _meta(spectrum).get("fibermap")
    ids = {"TARGETID": np.arange(len(flux), dtype=np.int64)}
    if fibermap is not None and "TARGETID" in fibermap.colnames:
        ids["TARGETID"] = np.asarray(fibermap["TARGETID"], dtype=np.int64)
    elif thing_id is not None and len(flux) == 1:
        ids = {name: np.array([int(thing_id)]) for name in ("TARGETID", "THING_ID")}
    return Spectra(
        cameras=(Camera("spectrum", wave, flux, ivar),),
        ids=ids,
        survey="SDSS" if sdss else "",
        layout="specutils Spectrum",
        flux_unit=str(unit) if unit is not None else SURVEY_FLUX_UNIT,
    )


def _join_bands(batches: Sequence[Spectra], bands: Sequence[str]) -> Spectra:
    """The cameras of the same spectra, from one Spectrum each."""
    if len({len(batch) for batch in batches}) != 1:
        raise InputError(
            f"the bands {list(bands)} hold {[len(batch) for batch in batches]} spectra, but the "
            "same number was expected"
        )
    cameras = tuple(
        dataclasses.replace(batch.cameras[0], name=band)
        for batch, band in zip(batches, bands, strict=True)
    )
    return dataclasses.replace(batches[0], cameras=cameras, layout="specutils list of cameras")


def _spectrum_ivar(spectrum: Any, flux: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Inverse variance of a Spectrum, from whichever uncertainty it has."""
    uncertainty = getattr(spectrum, "uncertainty", None)
    if uncertainty is None:
        warnings.warn(
            "a spectrum comes without uncertainty: all of its pixels get the same weight",
            QnetWarning,
            stacklevel=4,
        )
        return np.ones_like(flux)
    values = np.asarray(uncertainty.array)
    kind = uncertainty.uncertainty_type
    if kind == "ivar":
        return values
    if kind == "var":
        return np.asarray(_inverse_square(np.sqrt(values)))
    if kind == "std":
        return np.asarray(_inverse_square(values))
    raise InputError(f"uncertainty of type {kind!r} is not one of 'ivar', 'var', 'std'")


def _warn_merged_mask(masked: npt.NDArray[np.bool_], ivar: npt.NDArray[Any]) -> None:
    """Warn where the mask of an SDSS spectrum, which merges all bits, hides pixels with weight."""
    with np.errstate(invalid="ignore"):
        hidden = int((masked & (ivar > 0)).sum())
    if hidden:
        warnings.warn(
            f"the mask of this SDSS spectrum merges all bits of and_mask, of which qnet drops one "
            f"(COMBINEREJ): it was left unread, so {hidden} masked pixels keep their weight, "
            "and the result can differ from that of the file where COMBINEREJ is among them",
            QnetWarning,
            stacklevel=5,
        )


def _is_sdss(header: Any) -> bool:
    """Whether a header is that of an SDSS spectrum."""
    return hasattr(header, "get") and str(header.get("TELESCOP", "")).startswith("SDSS")


def _meta(spectrum: Any) -> Mapping[str, Any]:
    meta = getattr(spectrum, "meta", None)
    return meta if isinstance(meta, Mapping) else {}


def _column(table: Any, name: str | None) -> Any:
    """A table column, with its unit, masked values as NaN."""
    column = table[name]
    values = (
        column.filled(np.nan) if hasattr(column, "filled") and column.dtype.kind == "f" else column
    )
    unit = getattr(column, "unit", None)
    if hasattr(values, "to"):
        return values
    return np.asarray(values) if unit is None else np.asarray(values) * unit


def _inverse_square(error: Any) -> Any:
    """Inverse variance of an error; 0 where the error is 0, negative or NaN."""
    values, unit = _value_unit(error)
    with np.errstate(divide="ignore", invalid="ignore"):
        ivar = np.where(values > 0, 1.0 / np.square(values.astype(np.float64)), 0.0)
    return ivar if unit is None else ivar * unit**-2


def _value_unit(values: Any) -> tuple[npt.NDArray[Any], Any]:
    """Values and unit of a Quantity; unit None for anything else."""
    unit = getattr(values, "unit", None)
    return np.asarray(
        values.value if unit is not None and hasattr(values, "value") else values
    ), unit


def _angstrom(wave: Any) -> npt.NDArray[np.float64]:
    """Wavelengths [Angstrom]; a Quantity is converted, plain numbers are taken as Angstrom."""
    if not hasattr(wave, "to_value"):
        return np.asarray(wave, dtype=np.float64)
    from astropy import units

    try:
        return np.asarray(wave.to_value(units.AA, equivalencies=units.spectral()), dtype=np.float64)
    except units.UnitConversionError as error:
        raise InputError(f"wave has unit {wave.unit}, which is no wavelength") from error
