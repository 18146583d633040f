"""Rest wavelengths, line lists, and wavelengths in air and vacuum."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import as_names
from qnet.core.arrays import FloatArray, as_floats
from qnet.core.checks import check_finite, check_text
from qnet.core.errors import InputError, shown
from qnet.core.luminosity import SPEED_OF_LIGHT as SPEED_OF_LIGHT

__all__ = [
    "QUASARNET_LINES",
    "QUASARNET_LINES_BAL",
    "absorber_IGM",
    "air_to_vacuum",
    "rest_wavelengths",
]

absorber_IGM: Mapping[str, float] = MappingProxyType({
    "Halpha": 6562.8, "OIII(5008)": 5008.24, "OIII(4933)": 4932.68, "Hbeta": 4862.68,
    "MgI(2853)": 2852.96, "MgII(2804)": 2803.5324, "MgII(2796)": 2796.3511,
    "FeII(2600)": 2600.1724835, "FeII(2587)": 2586.6495659, "MnII(2577)": 2576.877,
    "FeII(2383)": 2382.7641781, "FeII(2374)": 2374.4603294, "FeII(2344)": 2344.2129601,
    "CIII(1909)": 1908.734, "AlIII(1863)": 1862.79113, "AlIII(1855)": 1854.71829,
    "AlII(1671)": 1670.7886, "FeII(1608)": 1608.4511, "CIV(1551)": 1550.77845, "CIV(eff)": 1549.06,
    "CIV(1548)": 1548.2049, "SiII(1527)": 1526.70698, "SiIV(1403)": 1402.77291,
    "SiIV(1394)": 1393.76018, "CII(1335)": 1334.5323, "SiII(1304)": 1304.3702,
    "OI(1302)": 1302.1685, "SiII(1260)": 1260.4221, "NV(1243)": 1242.804, "NV(1239)": 1238.821,
    "LYA": 1215.67, "SiIII(1207)": 1206.500, "NI(1200)": 1200.0, "SiII(1193)": 1193.2897,
    "SiII(1190)": 1190.4158, "OI(1039)": 1039.230, "OVI(1038)": 1037.613, "OVI(1032)": 1031.912,
    "LYB": 1025.72,
})  # fmt: skip
"""Rest wavelengths [Angstrom] by QuasarNET's names (Busca & Balland 2018, arXiv:1808.09955).

A redshift is right only with the rest wavelength that the network was trained with. ``Halpha`` is
the wavelength in air, 83 km/s below that in vacuum, because QuasarNET's networks were trained with
it; all others are in vacuum.

Examples
--------
>>> from qnet.lines import absorber_IGM
>>> absorber_IGM["LYA"], absorber_IGM["Halpha"]
(1215.67, 6562.8)
"""

QUASARNET_LINES: tuple[str, ...] = (
    "LYA", "CIV(1548)", "CIII(1909)", "MgII(2796)", "Hbeta", "Halpha",
)  # fmt: skip
"""Emission lines of the published QuasarNET networks, in the order of their outputs.

Examples
--------
>>> from qnet.lines import QUASARNET_LINES
>>> QUASARNET_LINES[:2]
('LYA', 'CIV(1548)')
"""

QUASARNET_LINES_BAL: tuple[str, ...] = ("CIV(1548)",)
"""BAL lines of the published QuasarNET networks, whose outputs follow the emission lines.

Examples
--------
>>> from qnet.lines import QUASARNET_LINES_BAL
>>> QUASARNET_LINES_BAL
('CIV(1548)',)
"""

#: Shortest wavelength [Angstrom] that is measured in air.
SHORTEST = 2000.0

#: Steps of the fixed-point inversion of the refractive index; each gains four digits.
_ITERATIONS = 4


def short_names(lines: Sequence[str]) -> list[str]:
    """Names of lines without wavelengths, as DESI has them: CIV of CIV(1548), if it is the one."""
    short = [line.partition("(")[0] for line in lines]
    return [
        name if short.count(name) == 1 else line for name, line in zip(short, lines, strict=True)
    ]


#: Brackets of forbidden and semi-forbidden lines.
_FORBIDDEN = {"CIII": ("", "]"), "OIII": ("[", "]")}


def spelled(line: str) -> str:
    """Name of a line in words: 'C IV' of CIV(1548), 'Ly alpha' of LYA; others without brackets."""
    if line in ("LYA", "LYB"):
        return f"Ly {'alpha' if line == 'LYA' else 'beta'}"
    bare = line.partition("(")[0]
    match = re.fullmatch(r"(H)(alpha|beta|gamma)|([A-Z][a-z]?)([IVX]+)", bare)
    left, right = _FORBIDDEN.get(bare, ("", ""))
    return f"{left}{' '.join(filter(None, match.groups()))}{right}" if match else bare


def rest_wavelengths(lines: Iterable[str], rest: Mapping[str, float] | None = None) -> FloatArray:
    """Rest wavelengths of lines.

    Parameters
    ----------
    lines : iterable of str
        Names of the lines.
    rest : mapping of str to float, optional
        Rest wavelengths [Angstrom] by name. QuasarNET's (`absorber_IGM`) when None.

    Returns
    -------
    ndarray of float64, shape (nlines,)
        Rest wavelengths [Angstrom], in the order of `lines`.

    Raises
    ------
    InputError
        A name is unknown, or `lines` is a string.

    Examples
    --------
    >>> from qnet.lines import rest_wavelengths
    >>> rest_wavelengths(["LYA", "CIV(1548)"])
    array([1215.67  , 1548.2049])
    """
    table = absorber_IGM if rest is None else as_rest(rest)
    names = as_names("lines", lines)
    unknown = [name for name in names if name not in table]
    if unknown:
        raise InputError(f"unknown line name(s) {unknown}: the legal ones are {sorted(table)}")
    return np.array([table[name] for name in names], dtype=np.float64)


def as_rest(rest: object) -> Mapping[str, float]:
    """The argument `rest`; InputError where it is no mapping of names to wavelengths."""
    if not isinstance(rest, Mapping):
        raise InputError(f"rest must map names of lines to wavelengths, not {shown(rest)}")
    for name, value in rest.items():
        check_text("a name in rest", name)
        check_finite(f"rest[{name!r}] [Angstrom]", value, above=0)
    return rest


def velocity_between(z: npt.ArrayLike, origin: npt.ArrayLike) -> FloatArray:
    """Velocity c (z - origin) / (1 + origin) [km/s] of a redshift from another; NaN gives NaN."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        change = SPEED_OF_LIGHT * np.subtract(z, origin) / np.add(1, origin)
    return np.asarray(change)


def air_to_vacuum(wave: npt.ArrayLike) -> FloatArray:
    """Wavelengths in vacuum of wavelengths in standard air.

    Parameters
    ----------
    wave : array_like
        Wavelengths in air [Angstrom], above 2000.

    Returns
    -------
    ndarray of float64, the same shape
        Wavelengths in vacuum [Angstrom], with the refractive index of dry air at 15 C of Morton
        (2000, ApJS 130, 403, eq. 8). NaN for NaN.

    Raises
    ------
    InputError
        A wavelength is under 2000 Angstrom, where air is opaque and the formula fails.

    Examples
    --------
    >>> from qnet.lines import air_to_vacuum
    >>> air_to_vacuum([6562.8]).round(2)
    array([6564.61])
    """
    air = as_floats("wave", wave, unit="Angstrom")
    if (air < SHORTEST).any():
        raise InputError(
            f"wavelengths in air must be in Angstrom and above {SHORTEST:g}, not {air.min():g}; "
            "convert nm or micron to Angstrom"
        )
    vacuum = air
    for _ in range(_ITERATIONS):
        vacuum = air * _refractive_index(vacuum)
    return vacuum


def _refractive_index(vacuum: FloatArray) -> FloatArray:
    """Refractive index of standard air by vacuum wavelength [Angstrom]; Morton 2000, eq. 8."""
    squared = np.square(1e4 / vacuum)  # wavenumber squared [1/micron^2]
    return 1.0 + 8.34254e-5 + 2.406147e-2 / (130.0 - squared) + 1.5998e-4 / (38.9 - squared)
