"""Spectra from what a file or an object states of their pixels: units, air, errors, bad pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray, FloatArray, as_floats, unmasked
from qnet.core.errors import InputError, type_name, warn
from qnet.core.flags import QNFlag
from qnet.core.guards import foreign_faults
from qnet.core.spectra import SURVEY_FLUX_UNIT, Camera, Spectra
from qnet.io.noise import estimate_ivar
from qnet.io.units import (
    Stated,
    as_unit,
    flux_units,
    is_stated,
    plain_unit,
    to_angstrom,
    vacuum_camera,
)
from qnet.lines import SPEED_OF_LIGHT

#: Power of the flux unit that the unit of inverse variance, variance and standard deviation is.
_POWERS = {"ivar": -2, "var": 2, "std": 1}

#: Names of these, as arguments have them.
_NAMES = {"var": "variance", "std": "error"}

#: 1 Jy over 1e-17 erg/s/cm2/Angstrom, times a squared wavelength [Angstrom]: f_lambda = f_nu c /
#: lambda^2, with 1 Jy = 1e-23 erg/s/cm2/Hz and the speed of light [km/s] in Angstrom/s.
_JANSKY = 1e-23 / 1e-17 * SPEED_OF_LIGHT * 1e13


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Pixels:
    """What is stated of the pixels of one camera of some spectra, for `make_spectra`.

    Units are text, or of astropy; None: those that the arrays have themselves, if any.
    """

    #: Wavelengths (npix,) or (nspec, npix); in Angstrom where no unit is stated.
    wave: Any
    #: Flux (nspec, npix) or (npix,), per wavelength or per frequency.
    flux: Any
    #: What is known of its errors; None: nothing, they are estimated from the flux.
    weights: Any
    #: What the weights are: 'ivar', 'var' (variance) or 'std' (standard deviation).
    kind: str = "ivar"
    wave_unit: Any = None
    flux_unit: Any = None
    #: Unit of the weights; that of the flux, to the power of their kind, where none is stated.
    weight_unit: Any = None
    #: Pixels that get ivar 0.
    bad: BoolArray | None = None
    #: Whether the wavelengths are in air.
    air: bool = False
    #: Whether they are left edges of the pixels, as in `Camera`.
    edges: bool = False
    #: Name of the camera.
    name: str = "coadd"
    #: File and HDU, with which messages begin; '' for objects in memory.
    where: str = ""


def make_spectra(
    pixels: Sequence[Pixels], ids: Mapping[str, AnyArray] | None = None, **fields: Any
) -> Spectra:
    """Spectra of pixels, a camera each, with ids (or row numbers) and other fields of `Spectra`.

    Flux per frequency is converted to `SURVEY_FLUX_UNIT`, wavelengths to vacuum [Angstrom]. Rows of
    cameras without errors are flagged NO_ERROR, with a warning.
    """
    cameras, unit = settle_flux(
        [_camera(each) for each in pixels],
        [Stated(each.where, _stated_flux(each)) for each in pixels],
        default="",
    )
    if ids is None:
        ids = {"TARGETID": np.arange(len(cameras[0].flux))}
    spectra = Spectra(cameras=cameras, ids=ids, **{"flux_unit": unit} | fields)
    if any(each.weights is None for each in pixels):
        spectra = dataclasses.replace(spectra, flag=spectra.flag | np.int32(QNFlag.NO_ERROR))
    return spectra


def _stated_flux(pixels: Pixels) -> Any:
    """Unit that is stated of flux; None where none is."""
    unit = pixels.flux_unit if pixels.flux_unit is not None else getattr(pixels.flux, "unit", None)
    return plain_unit(unit) if is_stated(unit) else None


def _camera(pixels: Pixels) -> Camera:
    """The camera of pixels, in vacuum, with flux in the unit stated."""
    wave = angstrom(pixels.wave, pixels.wave_unit, pixels.where)
    flux, mask = _plain(pixels.flux, "flux")
    masks = [each for each in (mask, pixels.bad) if each is not None and each.shape == flux.shape]
    bad = np.atleast_2d(np.logical_or.reduce(masks)) if masks else None
    flux = np.atleast_2d(flux)
    falling = wave.ndim and wave.shape[-1] > 1 and bool((np.diff(wave) < 0).all())
    if pixels.weights is None:
        warn(
            f"{pixels.where}{': ' * bool(pixels.where)}there are no errors of the flux: they are "
            "estimated from its scatter between pixels, and the rows are flagged NO_ERROR"
        )
        ivar: AnyArray = estimate_ivar(flux, bad)
    else:
        ivar = np.atleast_2d(_inverse_variance(pixels))
        if bad is not None and bad.shape == ivar.shape:
            ivar = np.where(bad, ivar.dtype.type(0), ivar)
    if falling:  # as of frequencies
        wave, flux, ivar = wave[..., ::-1], flux[:, ::-1], ivar[:, ::-1]
    camera = Camera(pixels.name, wave, flux, ivar, pixels.edges)
    return vacuum_camera(camera) if pixels.air else camera


def _inverse_variance(pixels: Pixels) -> AnyArray:
    """Inverse variance in the unit of the flux; masked values are 0."""
    kind = pixels.kind
    if kind not in _POWERS:
        raise InputError(f"uncertainty of type {kind!r} is not one of 'ivar', 'var', 'std'")
    weights, mask = _plain(pixels.weights, name := _NAMES.get(kind, kind))
    own = getattr(pixels.weights, "unit", None)
    stated, flux = own if pixels.weight_unit is None else pixels.weight_unit, _stated_flux(pixels)
    stated = plain_unit(stated)
    if is_stated(stated):
        if flux is None:
            raise InputError(f"{name} has unit {stated}, but flux has none")
        if stated != flux or kind != "std":
            weights = _in_unit(weights, name, stated, flux, _POWERS[kind])
    if kind != "ivar":
        weights = _inverse(weights, squared=kind == "std")
    return weights if mask is None else np.where(mask, weights.dtype.type(0), weights)


def _in_unit(weights: AnyArray, name: str, stated: Any, flux: Any, power: int) -> AnyArray:
    """Weights in a power of the flux unit, of weights in the unit stated."""
    unit, one = as_unit(stated), as_unit(flux)
    try:
        expected = one**power
        factor = unit.to(expected)
    except Exception as error:
        wanted = f"{flux}" if power == 1 else f"({flux})^{power}"
        raise InputError(
            f"{name} has unit {stated}, but flux has {flux}: expected {wanted}"
        ) from error
    return weights if factor == 1 else weights.astype(np.float64) * factor


def angstrom(wave: Any, unit: Any = None, where: str = "") -> FloatArray:
    """Wavelengths [Angstrom] of wavelengths, frequencies or energies; plain ones as they are."""
    numbers = as_floats("wave", wave, unit=None)
    unit = plain_unit(getattr(wave, "unit", None) if unit is None else unit)
    if unit is None or isinstance(unit, str):
        return to_angstrom(numbers, unit or "", f"{where}{': ' * bool(where)}wave")
    from astropy import units

    try:
        quantity = units.Quantity(numbers, unit)
        with np.errstate(divide="ignore"):  # of no energy or frequency: an infinite wavelength
            return np.asarray(quantity.to_value(units.AA, equivalencies=units.spectral()))
    except (units.UnitsError, TypeError, ValueError) as error:
        raise InputError(f"wave has unit {unit}, which is no wavelength") from error


def settle_flux(
    cameras: Sequence[Camera], stated: Iterable[Stated], *, default: str = SURVEY_FLUX_UNIT
) -> tuple[tuple[Camera, ...], str]:
    """Cameras in one unit of flux per wavelength, and that unit; `default` where none is stated."""
    found = flux_units(stated, default)
    converted = tuple(
        _per_wavelength(camera, unit.jansky) if unit.jansky else camera
        for camera, unit in zip(cameras, found, strict=True)
    )
    return converted, found[0].text


def _per_wavelength(camera: Camera, jansky: float) -> Camera:
    """A camera in `SURVEY_FLUX_UNIT`, of one in units of so many Jansky."""
    factor = jansky * _JANSKY / np.square(camera.wave)
    with np.errstate(over="ignore", invalid="ignore"):
        flux, ivar = camera.flux * factor, camera.ivar / np.square(factor)
    return dataclasses.replace(camera, flux=flux, ivar=ivar)


def _plain(values: Any, name: str) -> tuple[AnyArray, BoolArray | None]:
    """Numbers, masked ones included, and mask of an array, Quantity or table column."""
    with foreign_faults(name, values, "a rectangular array of numbers"):
        numbers, mask = unmasked(values)
    if numbers.dtype.kind not in "fiub":
        kind = f"type {numbers.dtype} ({type_name(values)})"
        raise InputError(f"{name} must hold numbers, not {kind}")
    return numbers, mask


def _inverse(spread: AnyArray, *, squared: bool) -> FloatArray:
    """Inverse variance of a variance, or of a deviation; 0 where that is not positive."""
    values = spread.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        variance = np.square(values) if squared else values
        return np.asarray(np.where((values > 0) & (variance > 0), 1.0 / variance, 0.0))
