"""Arrays with units and masks, whatever they come as, to plain numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import BoolArray, FloatArray
from qnet.core.errors import InputError
from qnet.core.spectra import SURVEY_FLUX_UNIT


def plain(values: Any, name: str) -> tuple[npt.NDArray[Any], Any, BoolArray | None]:
    """Numbers, unit and mask of an array, Quantity, table column or masked array.

    Parameters
    ----------
    values : array_like
    name : str
        What the message calls it.

    Returns
    -------
    numbers : ndarray
        Whatever stands behind a mask included.
    unit : astropy unit or None
    mask : ndarray of bool or None
        Where values are masked; None where none is.

    Raises
    ------
    InputError
        The values make no rectangular array.
    """
    unit = getattr(values, "unit", None)
    mask = getattr(values, "mask", None)
    bare = getattr(values, "unmasked", values)
    if isinstance(bare, np.ma.MaskedArray):
        bare = bare.data
    if unit is not None and hasattr(bare, "value"):
        bare = bare.value
    try:
        numbers = np.asarray(bare)
    except ValueError as error:
        raise InputError(f"{name} is no rectangular array of numbers ({error})") from error
    if isinstance(mask, (np.ndarray, np.bool_)) and np.any(mask):
        return numbers, unit, np.broadcast_to(mask, numbers.shape)
    return numbers, unit, None


def angstrom(wave: Any) -> FloatArray:
    """Wavelengths [Angstrom]; units are converted, plain numbers are taken as Angstrom.

    Parameters
    ----------
    wave : array_like or Quantity
        Wavelengths, or frequencies or energies with their unit.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    InputError
        The unit is none of a wavelength, or the values are no numbers.
    """
    numbers, unit, mask = plain(wave, "wave")
    if mask is not None:
        raise InputError("wave holds masked wavelengths")
    try:
        numbers = numbers.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(f"wave must hold numbers, not {numbers.dtype}") from error
    if unit is None:
        return numbers
    from astropy import units

    try:
        quantity = units.Quantity(numbers, unit)
        return np.asarray(quantity.to_value(units.AA, equivalencies=units.spectral()))
    except (units.UnitsError, TypeError, ValueError) as error:
        raise InputError(f"wave has unit {unit}, which is no wavelength") from error


def flux_and_ivar(
    flux: Any, ivar: Any, *, kind: str = "ivar"
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], str]:
    """Flux and its inverse variance in one unit.

    Parameters
    ----------
    flux : array_like or Quantity
        Flux per wavelength.
    ivar : array_like or Quantity
        Its inverse variance, or what `kind` says.
    kind : {'ivar', 'var', 'std'}
        Inverse variance, variance or standard deviation. Of the latter two, zero, negative and NaN
        mean no weight.

    Returns
    -------
    flux, ivar : ndarray
    unit : str
        Unit of the flux; the surveys' where none was given.

    Raises
    ------
    InputError
        A unit is no flux per wavelength, or the two do not go together.
    """
    numbers, unit, mask = plain(flux, "flux")
    weights, weight_unit, weight_mask = plain(ivar, kind)
    if unit is not None:
        _check_flux_unit(unit)
    if weight_unit is not None and unit is None:
        raise InputError(f"{kind} has unit {weight_unit}, but flux has none")
    power = {"ivar": -2, "var": 2, "std": 1}.get(kind)
    if power is None:
        raise InputError(f"uncertainty of type {kind!r} is not one of 'ivar', 'var', 'std'")
    if weight_unit is not None:
        try:
            factor = weight_unit.to(unit**power)
        except Exception as error:
            raise InputError(
                f"{kind} has unit {weight_unit}, but flux has {unit}: expected {unit**power}"
            ) from error
        if factor != 1:
            weights = weights.astype(np.float64) * factor
    if kind != "ivar":
        weights = _inverse(weights, squared=kind == "std")
    for masked in (mask, weight_mask):
        if masked is not None and masked.shape == weights.shape:
            weights = np.where(masked, weights.dtype.type(0), weights)
    return numbers, weights, SURVEY_FLUX_UNIT if unit is None else str(unit)


def _check_flux_unit(unit: Any) -> None:
    """Raise unless a unit is one of flux per wavelength, or none at all."""
    from astropy import units

    per_wavelength = units.Unit("erg / (s cm2 Angstrom)")
    try:
        fits = unit.is_equivalent(per_wavelength) or unit == units.dimensionless_unscaled
    except (units.UnitsError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise InputError(
            f"flux has unit {unit}, but flux per wavelength was expected, such as "
            f"{per_wavelength}: convert it, or give plain numbers"
        )


def _inverse(spread: npt.NDArray[Any], *, squared: bool) -> FloatArray:
    """Inverse variance of a variance, or of a deviation; 0 where that is not positive."""
    values = spread.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        variance = np.square(values) if squared else values
        return np.asarray(np.where((values > 0) & (variance > 0), 1.0 / variance, 0.0))


def unit_text(unit: Any) -> str:
    """A unit in FITS's notation; as astropy writes it where FITS has none."""
    try:
        return str(unit.to_string("fits"))
    except ValueError:
        return str(unit)
