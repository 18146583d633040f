"""Units that files state: of flux, of its inverse variance and of wavelengths."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from qnet.core.arrays import AnyArray, FloatArray
from qnet.core.errors import InputError, shown, warn
from qnet.core.spectra import SURVEY_FLUX_UNIT, Camera
from qnet.core.wavelengths import find_used
from qnet.io.fits.file import FitsFile
from qnet.io.fits.scaling import column_numbers
from qnet.lines import SHORTEST, air_to_vacuum

#: A power of ten in front of a unit, in the spellings of the surveys.
_POWER = re.compile(
    r"\[?\s*(?:10\s*(?:(?:\*\*|\^)\s*[({]?|(?=[+-]))|1(?:\.0*)?e)([+-]?\d+)[)}]?\s*\*?"
)

#: Names of units that files abbreviate, in lower case.
_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("a", "aa", "ang", "angs", "angstrom", "angstroms", "å"), "Angstrom"),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("electrons", "e-"), "electron"),
    **dict.fromkeys(("counts", "cts", "count"), "ct"),
    **dict.fromkeys(("microns", "mic", "micrometer"), "micron"),
    **dict.fromkeys(("nanomaggy", "nanomaggies"), "nmgy"),
    **dict.fromkeys(("maggy", "maggies"), "mgy"),
    "ergs": "erg",
}

#: Texts that state no unit.
_NOTHING = ("", "none", "unknown", "n/a")

#: Flux per wavelength, and its inverse square, as the surveys write them after the power of ten.
_FLUX = (
    *("erg/(s cm2 Angstrom)", "erg/s/cm2/Angstrom", "erg s-1 cm-2 Angstrom-1"),
    *("erg/(cm2 s Angstrom)", "erg/cm2/s/Angstrom", "erg cm-2 s-1 Angstrom-1"),
)
_IVAR = ("(s2 cm4 Angstrom2)/erg2", "s2 cm4 Angstrom2/erg2")

#: Bit of SDSS's and_mask, and of an exposure's mask: rejected when exposures were combined.
COMBINEREJ = 1 << 25

#: Words of the unit of wavelengths in Angstrom, and of that of their logarithm.
_WAVE_WORDS = {"Angstrom", "vacuum", "vac", "in"}
_LOG_WORDS = {*_WAVE_WORDS, "log", "log10", "lg", "dex"}


class Stated(NamedTuple):
    """Units stated of flux (text, or of astropy) and ivar, and where; '' or None for none."""

    where: str
    flux: Any
    ivar: str = ""


class FluxUnit(NamedTuple):
    """A unit of flux: of flux per wavelength as text, and Jansky where it is converted to that."""

    text: str
    jansky: float = 0.0


def stated_unit(fits: FitsFile, key: str | int, column: str = "") -> str:
    """Unit of an image (BUNIT) or of a table's column (TUNITn), as text; '' for none."""
    header = fits.header(key)
    number = column_numbers(header, [column]).get(column) if column else None
    return str(header.get(f"TUNIT{number}" if column else "BUNIT", "")).strip()


def flux_units(stated: Iterable[Stated], default: str) -> list[FluxUnit]:
    """Unit of the flux of each camera, with one text; `default` where no camera states one.

    A unit of ivar that is not the inverse square of that of flux is an error.
    """
    found: list[FluxUnit | None] = []
    known: dict[str, str] = {}
    for where, flux, ivar in stated:
        unit = _find_flux_unit(flux, where) if is_stated(flux) else None
        if unit is None:
            flux = SURVEY_FLUX_UNIT
        else:
            known.setdefault(unit.text, where)
        found.append(unit)
        if is_stated(ivar) and _split(ivar) != _split(flux):  # it may be flux's, carried over
            _check_ivar(ivar, flux, where)
    if len(known) > 1:
        (one, there), (other, here) = list(known.items())[:2]
        raise InputError(
            f"{here}: the flux has unit {other}, but that of {there} has {one}: the same was "
            "expected"
        )
    none = FluxUnit(next(iter(known), default))
    return [none if unit is None else unit for unit in found]


def is_stated(unit: Any) -> bool:
    """Whether a text or a unit of astropy states a unit."""
    return unit is not None and not (isinstance(unit, str) and unit.lower() in _NOTHING)


def plain_unit(unit: Any) -> Any:
    """A unit of astropy or a text; the text of one that astropy does not know."""
    return str(unit) if type(unit).__name__ == "UnrecognizedUnit" else unit


def _split(text: str) -> tuple[int, str]:
    """Power of ten and the rest of a unit, names and blanks of the rest in one spelling."""
    match = _POWER.match(text.lower())
    rest = re.sub(r"[{}]", "", text[match.end() :] if match else text)
    rest = re.sub(r"[^\W\d_]+-?(?![\d\w])|[^\W\d_]+", _spell, rest.strip(" []"))
    rest = re.sub(r"(?<=\w)(?:\*\*|\^)(?=[+-]?\d)", "", rest)
    rest = re.sub(r"\s*/\s*", "/", re.sub(r"\s+|(?<=\w)[*.](?=[^\W\d])", " ", rest))
    return (int(match[1]) if match else 0), rest


def _spell(match: re.Match[str]) -> str:
    """The name of a unit in astropy's spelling."""
    return _NAMES.get(match[0].lower(), match[0])


def _find_flux_unit(unit: Any, where: str) -> FluxUnit:
    """A unit of flux, per wavelength or frequency; InputError where it is none."""
    if isinstance(unit, str):
        power, rest = _split(unit)
        if rest in _FLUX:
            return FluxUnit(SURVEY_FLUX_UNIT.replace("1e-17 ", f"1e{power} " if power else ""))
    known = as_unit(unit)
    if known is not None and is_flux(known):
        return FluxUnit(str(known))
    if known is not None and (jansky := _in_jansky(known)):
        return FluxUnit(SURVEY_FLUX_UNIT, jansky)
    named = shown(unit) if isinstance(unit, str) else unit
    raise InputError(
        f"{where}{': ' * bool(where)}the flux has unit {named}, but calibrated flux per wavelength "
        f"was expected, as {SURVEY_FLUX_UNIT}, or per frequency, as Jy"
    )


def _in_jansky(unit: Any) -> float | None:
    """Jansky in a unit of flux per frequency; AB maggies are among these; None for any other."""
    from astropy import units

    # A maggy is the flux of AB magnitude 0: Oke & Gunn 1983, ApJ 266, 713.
    for known, size in ((units.Jy, 1.0), (units.mgy, units.AB.to(units.Jy))):
        with contextlib.suppress(units.UnitsError, TypeError, AttributeError):
            if isinstance(unit, units.UnitBase):
                return float(unit.to(known)) * float(size)
    return None


def as_unit(unit: Any) -> Any:
    """A unit of astropy of a text, or one of astropy's; None where it is none."""
    return _parse(*_split(unit)) if isinstance(unit, str) else unit


def survey_scale(text: str) -> float | None:
    """What flux of a unit is multiplied by for `SURVEY_FLUX_UNIT`; None where it is not known."""
    if text == SURVEY_FLUX_UNIT:
        return 1.0
    unit, wanted = (_parse(*_split(x)) for x in (text, SURVEY_FLUX_UNIT)) if text else (None, None)
    try:
        return None if unit is None else float(unit.to(wanted))
    except Exception:  # noqa: BLE001 - astropy's kinds of errors: of another kind, beyond all scales
        return None


def _check_ivar(text: str, flux: str, where: str) -> None:
    """Raise FileError where a unit of ivar is known, and not the inverse square of that of flux."""
    (flux_power, flux_rest), (power, rest) = _split(flux), _split(text)
    if flux_rest in _FLUX and rest in _IVAR:
        fits = power == -2 * flux_power
    else:
        unit, one = _parse(power, rest), _parse(flux_power, flux_rest)
        if unit is None or one is None:
            return
        try:
            fits = bool(np.isclose((unit * one**2).to(""), 1, rtol=1e-6))
        except (ValueError, ArithmeticError):  # of another kind, or beyond all scales
            fits = False
    if not fits:
        raise InputError(
            f"{where}: the ivar has unit {text!r}, but the inverse square of the flux's "
            f"{flux!r} was expected"
        )


def is_flux(unit: Any) -> bool:
    """Whether an astropy unit is one of flux per wavelength, or none at all."""
    from astropy import units

    try:
        # Magnitudes of a flux are equivalent to it, and are no flux.
        return isinstance(unit, units.UnitBase) and bool(
            unit.is_equivalent(units.Unit("erg / (s cm2 Angstrom)"))
            or unit == units.dimensionless_unscaled
        )
    except (units.UnitsError, TypeError, AttributeError):
        return False


def _parse(power: int, rest: str) -> Any:
    """A unit as astropy knows it; None where it does not."""
    from astropy import units

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", units.UnitsWarning)
        try:
            return units.Unit(units.Unit(rest) * 10.0**power)
        except (ValueError, TypeError, OverflowError):
            return None


def to_angstrom(wave: FloatArray, text: str, where: str) -> FloatArray:
    """Wavelengths [Angstrom] of those in the unit that a file states; InputError for no length."""
    if not is_stated(text) or {"Angstrom"} <= _words(text) <= _WAVE_WORDS:
        return wave
    from astropy import units

    unit = _parse(*_split(text))
    # A logarithm of wavelengths is equivalent to them, and is none.
    if not isinstance(unit, units.UnitBase) or not unit.is_equivalent(units.AA):
        raise InputError(f"{where} has unit {text!r}, but a wavelength was expected, as Angstrom")
    return np.asarray(wave * unit.to(units.AA))


def vacuum_camera(camera: Camera) -> Camera:
    """A camera with wavelengths in air, on those in vacuum."""
    # Any number may be the wavelength of pixels without weight.
    free = (camera.wave < SHORTEST) & ~find_used(camera.wave, camera.flux, camera.ivar)
    vacuum = air_to_vacuum(np.where(free, SHORTEST, camera.wave))
    return dataclasses.replace(camera, wave=np.where(free, camera.wave, vacuum))


def stated_vacuum(camera: Camera, fits: FitsFile, *keys: str | int) -> Camera:
    """A camera on wavelengths in vacuum; converted, with a warning, where they are in air."""
    cards = [card for key in keys for card in _air_cards(fits.header(key))]
    if not cards:
        return camera
    warn(f"{fits.path}: the wavelengths are in air ({cards[0]}): they are converted to vacuum")
    return vacuum_camera(camera)


def states_air(header: Mapping[str, Any]) -> bool:
    """Whether a header states that its wavelengths are in air."""
    return bool(_air_cards(header))


def states_vacuum(header: Mapping[str, Any]) -> bool:
    """Whether a header states that its wavelengths are in vacuum."""
    ctype = str(header.get("CTYPE1", "")).strip().upper()
    return (
        str(header.get("VACUUM", "")).upper() in ("TRUE", "T", "1", "YES")
        or str(header.get("AIRORVAC", "")).lower().startswith("vac")
        or ctype == "WAVE"
        or ctype.startswith("WAVE-")  # FITS standard 4.0, section 8.4: vacuum
    )


def stated_medium(
    header: Mapping[str, Any], column: str = "", ucd: str = ""
) -> tuple[bool | None, str]:
    """Whether a file says that wavelengths are in air, and where; None where it does not say."""
    if cards := _air_cards(header):
        return True, cards[0]
    for air, found in ((True, "air"), (False, "vac(uum)?")):
        if re.search(rf"(?i)(^|_){found}$", column):
            return air, f"column {column}"
    if "obs.atmos" in ucd.lower():
        return True, f"column {column}"
    return (False, "header") if states_vacuum(header) else (None, "")


def to_wave(loglam: AnyArray) -> FloatArray:
    """Wavelengths [Angstrom] from their decimal logarithms, raised in float64."""
    with np.errstate(over="ignore"):  # what overflows is refused as infinite
        return np.power(10.0, loglam.astype(np.float64))


def check_loglam(text: str) -> None:
    """Raise InputError where a unit is stated, and is not that of log10 of Angstrom."""
    if is_stated(text) and not _words(text) <= _LOG_WORDS:
        raise InputError(f"loglam has unit {text!r}, but log10 of Angstrom was expected")


def _words(text: str) -> set[str]:
    """The words of a unit, in astropy's spelling."""
    return set(re.findall(r"[^\W_]+", _split(text)[1]))


def _air_cards(header: Mapping[str, Any]) -> list[str]:
    """Cards of a header by which its wavelengths are in air."""
    air = {
        "VACUUM": str(header.get("VACUUM", "T")).upper() in ("FALSE", "F", "0", "NO"),
        "AIRORVAC": str(header.get("AIRORVAC", "")).lower() == "air",
        "CTYPE1": str(header.get("CTYPE1", "")).upper().startswith("AWAV"),
    }
    return [f"{card} {header[card]}" for card, found in air.items() if found]
