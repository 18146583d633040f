"""Flux per wavelength and its inverse variance, from flux and errors in any unit."""

from __future__ import annotations

from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray, FloatArray, as_floats, unmasked
from qnet.core.errors import InputError, type_name
from qnet.core.guards import foreign_faults
from qnet.core.spectra import SURVEY_FLUX_UNIT
from qnet.io.units import is_flux
from qnet.lines import SHORTEST, SPEED_OF_LIGHT, air_to_vacuum

#: Power of the flux unit that the unit of inverse variance, variance and standard deviation is.
_POWERS = {"ivar": -2, "var": 2, "std": 1}

#: Names of these, as arguments have them.
_NAMES = {"var": "variance", "std": "error"}

#: 1 Jy over 1e-17 erg/s/cm2/Angstrom, times a squared wavelength [Angstrom]: f_lambda = f_nu c /
#: lambda^2, with 1 Jy = 1e-23 erg/s/cm2/Hz and the speed of light [km/s] in Angstrom/s.
_JANSKY = 1e-23 / 1e-17 * SPEED_OF_LIGHT * 1e13


def angstrom(wave: Any) -> FloatArray:
    """Wavelengths [Angstrom] of wavelengths, frequencies or energies; plain ones as they are."""
    numbers, unit = as_floats("wave", wave, unit=None), getattr(wave, "unit", None)
    if unit is None:
        return numbers
    from astropy import units

    try:
        quantity = units.Quantity(numbers, unit)
        with np.errstate(divide="ignore"):  # of no energy or frequency: an infinite wavelength
            return np.asarray(quantity.to_value(units.AA, equivalencies=units.spectral()))
    except (units.UnitsError, TypeError, ValueError) as error:
        raise InputError(f"wave has unit {unit}, which is no wavelength") from error


def flux_and_ivar(
    wave: FloatArray, flux: Any, weights: Any, kind: str, weight_unit: Any = None, *, air: bool
) -> tuple[AnyArray, AnyArray, str]:
    """Flux per wavelength, its inverse variance and their unit; masked pixels have ivar 0.

    `kind` of the weights is 'ivar', 'var' or 'std'. Flux per frequency is converted.
    """
    numbers, unit, mask = _plain(flux, "flux")
    name = _NAMES.get(kind, kind)
    weights, own_unit, weight_mask = _plain(weights, name)
    weight_unit = own_unit if weight_unit is None else weight_unit
    jansky = None if unit is None or is_flux(unit) else _in_jansky(unit)
    if weight_unit is not None and unit is None:
        raise InputError(f"{name} has unit {weight_unit}, but flux has none")
    if kind not in _POWERS:
        raise InputError(f"uncertainty of type {kind!r} is not one of 'ivar', 'var', 'std'")
    if weight_unit is not None:
        expected = unit ** _POWERS[kind]
        try:
            factor = weight_unit.to(expected)
        except Exception as error:
            raise InputError(
                f"{name} has unit {weight_unit}, but flux has {unit}: expected {expected}"
            ) from error
        if factor != 1:
            weights = weights.astype(np.float64) * factor
    if kind != "ivar":
        weights = _inverse(weights, squared=kind == "std")
    if jansky is not None:
        # Shorter ones are legal in pixels without weight.
        vacuum = air_to_vacuum(np.maximum(wave, SHORTEST)) if air else wave
        numbers, weights = _per_wavelength(vacuum, numbers, weights, jansky)
    for masked in (mask, weight_mask):
        if masked is not None and masked.shape == weights.shape:
            weights = np.where(masked, weights.dtype.type(0), weights)
    if jansky is not None:
        return numbers, weights, SURVEY_FLUX_UNIT
    return numbers, weights, "" if unit is None else str(unit)


def _in_jansky(unit: Any) -> float:
    """Jansky in a unit of flux per frequency; AB maggies are among these."""
    from astropy import units

    # A maggy is the flux of AB magnitude 0: Oke & Gunn 1983, ApJ 266, 713.
    for known, size in ((units.Jy, 1.0), (units.mgy, units.AB.to(units.Jy))):
        try:
            if isinstance(unit, units.UnitBase):
                return float(unit.to(known)) * float(size)
        except units.UnitsError:
            continue
    raise InputError(
        f"flux has unit {unit}, but flux per wavelength, such as {SURVEY_FLUX_UNIT}, or per "
        "frequency, such as Jy, was expected: convert it, or give plain numbers"
    )


def _per_wavelength(
    wave: FloatArray, flux: AnyArray, ivar: AnyArray, jansky: float
) -> tuple[FloatArray, FloatArray]:
    """Flux [1e-17 erg/s/cm2/A] and ivar of flux in units of so many Jansky; without wavelength 0.

    The wavelengths (npix,) or (nspec, npix) are in vacuum [Angstrom].
    """
    if wave.shape not in (flux.shape, flux.shape[-1:]):
        raise InputError(
            f"wave must have shape {flux.shape[-1:]} or {flux.shape} to go with flux {flux.shape}, "
            f"not {wave.shape}"
        )
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        good = np.isfinite(wave) & (wave > 0)
        factor = np.where(good, jansky * _JANSKY / np.square(wave), 0.0)
        weights = np.where(good, np.asarray(ivar, np.float64) / np.square(factor), 0.0)
        return np.asarray(flux, np.float64) * factor, weights


def _plain(values: Any, name: str) -> tuple[AnyArray, Any, BoolArray | None]:
    """Numbers, masked ones included, unit and mask of an array, Quantity or table column."""
    with foreign_faults(name, values, "a rectangular array of numbers"):
        numbers, mask = unmasked(values)
        unit = getattr(values, "unit", None)
    if numbers.dtype.kind not in "fiub":
        kind = f"type {numbers.dtype} ({type_name(values)})"
        raise InputError(f"{name} must hold numbers, not {kind}")
    return numbers, unit, mask


def _inverse(spread: AnyArray, *, squared: bool) -> FloatArray:
    """Inverse variance of a variance, or of a deviation; 0 where that is not positive."""
    values = spread.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        variance = np.square(values) if squared else values
        return np.asarray(np.where((values > 0) & (variance > 0), 1.0 / variance, 0.0))
