"""Lines that the page marks, their names in print, and the shape of a mean quasar."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from qnet.core.arrays import FloatArray
from qnet.lines import SPEED_OF_LIGHT, spelled
from qnet.simulation.profiles import FWHM_OVER_SIGMA
from qnet.simulation.quasars.emission import BROAD_LINES, FWHM, NARROW_LINES

_BROAD = {line.name: line for line in BROAD_LINES}
_NARROW = {name: (rest, width) for name, rest, width, *_ in NARROW_LINES}


class Mark(NamedTuple):
    """A line that is marked."""

    name: str
    rest: float  # in vacuum [Angstrom]
    kind: str  # 'quasar', 'narrow' or 'absorption'


#: Lines that the page marks. Absorption in galaxies and stars: vacuum wavelengths of the line list
#: of SDSS (Stoughton et al. 2002, AJ 123, 485, table 30).
MARKS = (
    Mark("Ly\u03b2", 1025.72, "quasar"),
    *(
        Mark(name, _BROAD[key].rest, "quasar")
        for name, key in (
            ("O VI", "OVI"),
            ("Ly\u03b1", "LYA"),
            ("N V", "NV"),
            ("Si IV", "SiIV+OIV]"),
            ("C IV", "CIV"),
            ("He II", "HeII 1640"),
            ("C III]", "CIII]"),
            ("Mg II", "MgII"),
            ("H\u03b3", "Hgamma"),
            ("H\u03b2", "Hbeta"),
            ("H\u03b1", "Halpha"),
        )
    ),
    Mark("[O II]", 0.5 * (_NARROW["[OII] 3727"][0] + _NARROW["[OII] 3730"][0]), "narrow"),
    *(
        Mark(name, _NARROW[key][0], "narrow")
        for name, key in (
            ("[Ne V]", "[NeV] 3427"),
            ("[Ne III]", "[NeIII] 3870"),
            ("[O III]", "[OIII] 4960"),
            ("[O III]", "[OIII] 5008"),
            ("[S II]", "[SII] 6718"),
        )
    ),
    Mark("Ca K", 3934.78, "absorption"),
    Mark("Ca H", 3969.59, "absorption"),
    Mark("G", 4305.61, "absorption"),
    Mark("Mg b", 5176.7, "absorption"),
    Mark("Na D", 5895.6, "absorption"),
)

#: Greek letters of names of lines.
_GREEK = {" alpha": "\u03b1", " beta": "\u03b2", " gamma": "\u03b3"}

#: The mean quasar: ends in the rest frame [Angstrom], step in log10 of wavelength, and power of
#: wavelength of the continuum below and above 4800 Angstrom (Vanden Berk et al. 2001, AJ 122, 549,
#: section 3.1: powers of frequency of -0.44 and -2.45).
_ENDS, SHAPE_STEP, _POWERS, _BREAK = (900.0, 8500.0), 5e-4, (-1.56, 0.45), 4800.0

#: Width of the narrow lines of the mean quasar, FWHM [km/s].
_NARROW_FWHM = 500.0


def printed_name(line: str) -> str:
    """Name of a line of a network as it is printed: C IV of CIV(1548)."""
    words = plain_text(spelled(line))
    for word, letter in _GREEK.items():
        words = words.replace(word, letter)
    return "C III]" if line == "CIII(1909)" else words


def plain_text(text: str) -> str:
    """A text of a file for a figure: plotly would take tags and entities in it for HTML."""
    return re.sub(r"[<>&]", "", text)


def unit_text(unit: str) -> str:
    """A unit for a figure, with raised exponents; as it is where astropy cannot read it."""
    from astropy.units import Unit

    try:
        text: str = Unit(unit).to_string("unicode").removeprefix("1\N{MULTIPLICATION SIGN}")
    except (ValueError, TypeError):
        text = unit
    return plain_text(text)


def mean_quasar() -> tuple[float, FloatArray]:
    """A quasar of mean continuum and lines: log10 of its first wavelength, and its flux.

    Equivalent widths are those of `qnet.simulation`; there is no iron.
    """
    first, last = np.log10(_ENDS)
    wave = 10.0 ** np.arange(first, last, SHAPE_STEP)
    power = np.where(wave < _BREAK, *_POWERS)
    continuum = (wave / _BREAK) ** power
    # Beyond Lyman alpha hydrogen between the galaxies absorbs, about half at z = 3.
    flux = continuum * np.where(wave < _BROAD["LYA"].rest, 0.6, 1.0)
    lines = [(line.rest, line.width, FWHM[line.kind][0]) for line in BROAD_LINES]
    lines += [(rest, width, _NARROW_FWHM) for rest, width in _NARROW.values()]
    for rest, width, fwhm in lines:
        sigma = rest * fwhm / SPEED_OF_LIGHT / FWHM_OVER_SIGMA
        profile = np.exp(-0.5 * ((wave - rest) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        flux += continuum * width * profile
    return float(first), flux
