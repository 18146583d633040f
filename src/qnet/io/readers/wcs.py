"""Wavelengths in equal steps, or in steps of their logarithm, from the cards of a header.

FITS standard 4.0, section 8; Greisen et al. 2006, A&A 446, 747.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from qnet.core.arrays import FloatArray
from qnet.core.errors import FileError
from qnet.io.units import to_wave

#: Cards of the first axis of an image: value, step (the first that is there), reference pixel.
IMAGE_CARDS = ("CRVAL1", ("CD1_1", "CDELT1"), "CRPIX1")


def linear_wave(
    header: Mapping[str, Any],
    npix: int,
    where: str,
    *,
    first: float = 1,
    cards: tuple[str, tuple[str, ...], str] = IMAGE_CARDS,
) -> FloatArray:
    """Wavelengths (npix,) in the unit of the header; `first` is the number of the first pixel."""
    value, steps, pixel = cards
    step = next((name for name in steps if name in header), steps[0])
    numbers = []
    for name, default in ((value, None), (step, None), (pixel, 1.0)):
        number = header.get(name, default)
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise FileError(f"{where}: card {name} is {number!r}, but a number was expected")
        numbers.append(float(number))
    pixels = np.arange(npix, dtype=np.float64) + first
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused as infinite
        return numbers[0] + (pixels - numbers[2]) * numbers[1]


#: CTYPE1 of a spectral axis: of the FITS standard, and those of IRAF and others, or none.
_CTYPES = re.compile(
    r"|LINEAR|LAMBDA|LAMBDA-LOG|LOG-?LAM(BDA)?|WAVELENGTH|LOGLINEAR|(WAVE|AWAV|FREQ)(-LOG)?"
)

#: Unit of an axis in IRAF's text on it.
_IRAF_UNIT = re.compile(r"\bunits\s*=\s*([A-Za-z]+)")


class SpectralAxis(NamedTuple):
    """Values along an axis, and their unit; '' where none is stated."""

    values: FloatArray
    unit: str


def spectral_axis(header: Mapping[str, Any], npix: int, where: str) -> SpectralAxis | None:
    """Wavelengths or frequencies along the first axis of an image; None where a header has none.

    `linear_wave` is of the wavelength; or of its decimal logarithm where DC-FLAG is 1 or the axis
    or its unit is called so. WAVE-LOG is of the natural one. COEFF0 and COEFF1 are SDSS's.
    """
    if {"COEFF0", "COEFF1"} <= header.keys():
        cards = ("COEFF0", ("COEFF1",), "")
        return SpectralAxis(
            to_wave(linear_wave(header, npix, where, first=1, cards=cards)), "Angstrom"
        )
    kind = str(header.get("CTYPE1", "")).strip().upper()
    known = "CRVAL1" in header and _CTYPES.fullmatch(kind)
    if not known or not any(header.get(name) for name in IMAGE_CARDS[1]):
        return None
    if not header.get("CD1_1", 1):
        header = {name: value for name, value in header.items() if name != "CD1_1"}
    values = linear_wave(header, npix, where)
    unit = str(header.get("CUNIT1", "")).strip()
    if not unit and (match := _IRAF_UNIT.search(str(header.get("WAT1_001", "")))):
        unit = match[1]
    if kind in ("WAVE-LOG", "AWAV-LOG", "FREQ-LOG"):
        start = float(header["CRVAL1"])
        with np.errstate(all="ignore"):  # of a start of 0: no legal wavelengths
            return SpectralAxis(start * np.exp((values - start) / start), unit)
    if "LOG" in kind or "LOG" in unit.upper() or header.get("DC-FLAG") == 1:
        return SpectralAxis(to_wave(values), re.sub(r"(?i)log(10)?|[()\[\]]", "", unit).strip())
    return SpectralAxis(values, unit or ("Hz" if kind == "FREQ" else ""))
