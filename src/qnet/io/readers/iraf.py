"""IRAF's multispec and equispec images: a row an aperture, perhaps bands of raw, sky and sigma.

IRAF, help specwcs (onedspec): the WAT2_nnn cards are one text of attributes specN = "ap beam dtype
w1 dw nw z aplow aphigh [functions]". Dispersions are linear, log-linear, or sums of functions, of
which Chebyshev and Legendre polynomials are read; splines and tables of wavelengths are refused.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import chebval
from numpy.polynomial.legendre import legval

from qnet.core.arrays import AnyArray, BoolArray, FloatArray
from qnet.core.errors import FileError, InputError, shown, warn
from qnet.core.spectra import Spectra
from qnet.io.fits.file import FitsFile
from qnet.io.pixels import Pixels, make_spectra
from qnet.io.readers import aat
from qnet.io.readers.registry import Reader, left_out, recognised, register, whole_file
from qnet.io.readers.rows import relative_unit
from qnet.io.units import stated_medium, stated_unit

#: Characters of a WAT card; blanks at its end are part of the text.
_WIDTH = 68

#: Dispersion types of specN, and types of functions that are polynomials.
_LINEAR, _LOG, _NONLINEAR = 0, 1, 2
_POLYNOMIALS = {1: chebval, 2: legval}

#: Types of functions that are not read.
_OTHERS = {3: "a cubic spline", 4: "a linear spline", 5: "a table", 6: "a table of samples"}


def _text(header: Mapping[str, Any], axis: int) -> str:
    """The text of the WAT cards of an axis."""
    names = (f"WAT{axis}_{number:03d}" for number in itertools.count(1))
    found = itertools.takewhile(lambda name: name in header, names)
    return "".join(str(header[name]).ljust(_WIDTH) for name in found).strip()


def _is_multispec(fits: FitsFile) -> bool:
    """Whether HDU 0 is an image of one of the two systems."""
    system = re.search(r"system\s*=\s*(\w+)", _text(fits.header(0), 0))
    return bool(fits.shape(0)) and system is not None and system[1] in ("multispec", "equispec")


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file of such an image."""
    if len(shape := fits.shape(0)) > 3:
        return f"has an image of {len(shape)} dimensions, but 3 at most were expected of IRAF"
    return left_out(fits, [0])


def _bands(fits: FitsFile) -> tuple[AnyArray, AnyArray | None]:
    """Flux (nspec, npix) of the first band, and standard deviations of the band that has them."""
    data, header = fits.image(0), fits.header(0)
    data = data.reshape(-1, *np.atleast_2d(data).shape[-2:]) if data.ndim < 3 else data
    names = [str(header.get(f"BANDID{band}", "")) for band in range(1, len(data) + 1)]
    sigma = [band for band, name in enumerate(names) if name.strip().lower().startswith("sigma")]
    return data[0], data[sigma[0]] if sigma else None


def _read(fits: FitsFile) -> Spectra:
    """Read the first band of all apertures."""
    header, where = fits.header(0), f"{fits.path}: HDU 0"
    flux, error = _bands(fits)
    nspec, npix = flux.shape
    wave, beyond, apertures = _dispersion(fits, nspec, npix)
    units = re.search(r"units\s*=\s*(\w+)", _text(header, 1))
    names = [str(header.get(f"APID{row + 1}", "")).strip() for row in range(nspec)]
    ids = {"TARGETID": np.array(apertures, np.int64), "TARGET_NAME": np.array(names)}
    # Where pixels run from red to blue, all rows do.
    step = slice(None, None, -1 if wave[0, 0] > wave[0, -1] else 1)
    shared = (wave == wave[0]).all()
    pixels = Pixels(
        wave=wave[0, step] if shared else wave[:, step],
        flux=flux[:, step],
        weights=None if error is None else error[:, step],
        kind="std",
        wave_unit=units[1] if units else "",
        flux_unit=relative_unit(stated_unit(fits, 0), where),
        bad=beyond[:, step],
        air=_in_air(header, where),
        name="IRAF",
        where=where,
    )
    return make_spectra([pixels], ids)


def _in_air(header: Mapping[str, Any], where: str) -> bool:
    """Whether wavelengths are in air: as IRAF's line lists are, with a warning, if not stated."""
    air, _ = stated_medium(header)
    if air is None:
        warn(
            f"{where} does not say whether its wavelengths are in air or in vacuum: they are taken "
            "for air, as those of IRAF's line lists are; say it with the card AIRORVAC"
        )
    return air is not False


def _dispersion(fits: FitsFile, nspec: int, npix: int) -> tuple[FloatArray, BoolArray, list[int]]:
    """Wavelengths (nspec, npix), pixels beyond the end of a row, and numbers of the apertures."""
    header = fits.header(0)
    specs = dict(re.findall(r'spec(\d+)\s*=\s*"([^"]*)"', _text(header, 2)))
    if not specs:  # equispec: one linear dispersion for all
        shared = aat.linear_wave(fits, 0, npix)
        if header.get("DC-FLAG", 0) == 1:
            shared = np.power(10.0, shared)
        apertures = [_whole(header.get(f"APNUM{n + 1}", n + 1)) for n in range(nspec)]
        return np.tile(shared, (nspec, 1)), np.zeros((nspec, npix), bool), apertures
    wave, beyond, apertures = np.empty((nspec, npix)), np.empty((nspec, npix), bool), []
    for row in range(nspec):
        text = specs.get(str(row + 1), "")
        try:
            shift, scale = float(header.get("LTV1", 0)), float(header.get("LTM1_1", 1))
            with np.errstate(all="ignore"):  # what is not finite is no wavelength
                pixels = (np.arange(1.0, npix + 1) - shift) / scale
                wave[row], count = _spectrum(list(map(float, text.split())), pixels)
        except InputError as error:
            raise FileError(f"{fits.path}: spec{row + 1} {error}") from error
        except (ValueError, IndexError, ArithmeticError) as error:
            raise FileError(
                f"{fits.path}: WAT2 holds spec{row + 1} {shown(text)}, no dispersion of IRAF"
            ) from error
        beyond[row] = pixels > count
        apertures.append(_whole(text))
    return wave, beyond, apertures


def _whole(text: object) -> int:
    """The integer with which a text begins; -1 for none."""
    match = re.match(r"\s*(\d{1,9})\b", str(text))
    return int(match[1]) if match else -1


def _spectrum(fields: list[float], pixels: FloatArray) -> tuple[FloatArray, float]:
    """Wavelengths at physical pixels, and number of pixels, of the fields of specN."""
    kind, start, step, count, z = fields[2:7]
    if kind in (_LINEAR, _LOG):
        found = (start + step * (pixels - 1)) / (1 + z)
        return (np.power(10.0, found) if kind == _LOG else found), count
    if kind != _NONLINEAR:
        raise InputError("has no dispersion (type -1): wavelengths were expected, as dispcor gives")
    total, rest = np.zeros(len(pixels)), fields[9:]
    while rest:
        weight, zero, number, order, low, high = rest[:6]
        if number not in _POLYNOMIALS:
            what = _OTHERS.get(int(number), f"a function of type {number:g}")
            raise InputError(
                f"gives the dispersion as {what}, which qnet does not read: make it linear with "
                "dispcor (linearize=yes) of IRAF"
            )
        size = int(order)
        coefficients, rest = rest[6 : 6 + size], rest[6 + size :]
        if len(coefficients) < size or size < 1:
            raise ValueError("too few coefficients")
        middle, half = (low + high) / 2, (high - low) / 2
        total += weight * (zero + _POLYNOMIALS[int(number)]((pixels - middle) / half, coefficients))
    return total / (1 + z), count


register(
    Reader(
        name="IRAF multispec image",
        survey="",
        hdus="HDU 0 an image, WAT0_001 system=multispec with specN in WAT2_nnn, or equispec",
        targetid="number of the aperture; APIDn in TARGET_NAME",
        wavelengths="as the header states, else air, converted, with a warning; centres",
        no_weight="pixels beyond the number of valid ones",
        **recognised(_is_multispec, _fault),
        **whole_file(_read, lambda fits: len(_bands(fits)[0])),
        ids=("TARGETID", "TARGET_NAME"),
    )
)
