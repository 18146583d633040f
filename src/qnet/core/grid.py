"""Wavelength grids: conversion between wavelength, pixel and box."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_fields
from qnet.core.arrays import FloatArray, IntArray, as_alike, as_floats
from qnet.core.checks import check_number, check_whole
from qnet.core.errors import GridError, InputError, shown

__all__ = ["QUASARNET_GRID", "QUASARNET_LINEAR_GRID", "WavelengthGrid"]

#: A grid may depart from a constant step by this fraction of the step.
STEP_TOLERANCE = 1e-6

#: Decimals to which a position is rounded before it is floored to a pixel, so that the wavelengths
#: of the grid itself fall into their own pixels.
BIN_DECIMALS = 9

#: Longest grid that a file may define.
MAX_PIXELS = 10_000_000


def _check_limits(wave_min: float, wave_max: float, step: float) -> None:
    """Raise GridError unless the limits increase and the step is positive."""
    for name, value in (("wave_min", wave_min), ("wave_max", wave_max), ("step", step)):
        check_number(name, value)
    if not (0 < wave_min < wave_max < math.inf and 0 < step < math.inf):
        raise GridError(
            "the grid needs 0 < wave_min < wave_max and a positive step, not "
            f"{wave_min:g}, {wave_max:g}, {step:g}"
        )


def _steps(span: float, step: float) -> float:
    """Number of steps in a span, at most one more than the longest grid has."""
    return min(span / step, MAX_PIXELS + 1)


@dataclasses.dataclass(frozen=True)
class WavelengthGrid:
    """A wavelength grid of constant step in wavelength or in its decimal logarithm.

    The wavelength of a pixel is that of its left edge (Busca & Balland 2018, section 2; QuasarNET's
    code).

    Parameters
    ----------
    spacing : {'log', 'linear'}
        Whether the step is constant in log10(wavelength / Angstrom) or in wavelength.
    start : float
        Left edge of pixel 0: log10(wavelength / Angstrom), or wavelength [Angstrom].
    step : float
        Step from pixel to pixel, in the units of `start`; positive.
    npix : int
        Number of pixels, at least 2.

    Raises
    ------
    GridError
        A number is not finite, not positive, or out of range.

    Examples
    --------
    >>> from qnet import WavelengthGrid
    >>> grid = WavelengthGrid.log(3600.0, 10000.0, 1e-3)
    >>> grid.npix
    443
    >>> print(WavelengthGrid.from_wave(grid.wave))
    443 pixels, 3600.0-9961.0 Angstrom, log step 0.001 dex
    >>> grid.bins([3500.0, 3600.0, 3612.5])
    array([-1,  0,  1])
    >>> print(WavelengthGrid.linear(3600.0, 9824.8, 13.6))
    458 pixels, 3600.0-9815.2 Angstrom, linear step 13.6 Angstrom
    """

    spacing: Literal["log", "linear"]
    start: float
    step: float
    npix: int

    def __post_init__(self) -> None:
        check_fields(self)
        if not (math.isfinite(self.start) and math.isfinite(self.step) and self.step > 0):
            raise GridError(
                f"grid start and step must be finite and the step positive, "
                f"not start={self.start!r}, step={self.step!r}"
            )
        if not 2 <= self.npix <= MAX_PIXELS:
            raise GridError(f"a grid has 2 to {MAX_PIXELS} pixels, not {self.npix!r}")
        last = self.start + self.step * self.npix
        if self.spacing == "linear" and self.start <= 0:
            raise GridError(f"grid wavelengths must be positive, not from {self.start!r} Angstrom")
        if self.spacing == "log" and not -10 < self.start < last < 30:
            raise GridError(
                f"a log grid from 10**{self.start:g} to 10**{last:g} Angstrom is absurd"
            )

    @classmethod
    def log(cls, wave_min: float, wave_max: float, step: float) -> WavelengthGrid:
        """Log grid of the whole pixels between two wavelengths [Angstrom], with a step [dex]."""
        _check_limits(wave_min, wave_max, step)
        low, high = math.log10(wave_min), math.log10(wave_max)
        return cls("log", low, step, int(_steps(high - low, step)))

    @classmethod
    def linear(cls, wave_min: float, wave_max: float, step: float) -> WavelengthGrid:
        """Linear grid with left edges from `wave_min` up to below `wave_max` [Angstrom]."""
        _check_limits(wave_min, wave_max, step)
        return cls("linear", wave_min, step, math.ceil(_steps(wave_max - wave_min, step)))

    @classmethod
    def from_wave(cls, wave: npt.ArrayLike) -> WavelengthGrid:
        """Grid of an array of left edges [Angstrom], shape (npix,); its `wave` is this array.

        GridError is raised unless the wavelengths are finite, positive and increasing, and their
        step, or that of their logarithm, is constant within 1e-6 of the step.
        """
        array = as_floats("wave", wave, unit="Angstrom")
        if array.ndim != 1 or array.size < 2:
            raise GridError(f"a grid needs at least 2 wavelengths in 1-D, not shape {array.shape}")
        if not (np.isfinite(array).all() and (array > 0).all() and (np.diff(array) > 0).all()):
            raise GridError(
                "grid wavelengths must be finite, positive and increasing [Angstrom], not "
                f"{array[0]:g}, {array[1]:g}, ... {array[-1]:g}"
            )
        spacings: tuple[tuple[Literal["log", "linear"], FloatArray], ...] = (
            ("log", np.log10(array)),
            ("linear", array),
        )
        for spacing, values in spacings:
            step = float((values[-1] - values[0]) / (values.size - 1))
            ideal = values[0] + step * np.arange(values.size)
            # The rounding of the values is added to the tolerance.
            allowed = STEP_TOLERANCE * step + 4 * np.spacing(np.abs(values).max())
            if np.abs(values - ideal).max() <= allowed:
                return cls(spacing, float(values[0]), step, array.size)
        raise GridError(
            f"the grid from {array[0]:g} to {array[-1]:g} Angstrom ({array.size} pixels) is of "
            "constant step neither in wavelength nor in log wavelength (within 1e-6 of the step)"
        )

    @property
    def wave(self) -> FloatArray:
        """Left edges of the pixels [Angstrom], shape (npix,)."""
        values = self.start + self.step * np.arange(self.npix)
        return np.asarray(np.power(10.0, values) if self.spacing == "log" else values)

    def bins(self, wave: npt.ArrayLike) -> IntArray:
        """Pixel that holds each wavelength [Angstrom]; -1 outside of the grid and for NaN.

        floor(round(x, 9)) with x the position in steps from the first left edge.
        """
        array = as_floats("wave", wave, unit="Angstrom")
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            values = np.log10(array) if self.spacing == "log" else array
            position = np.floor(np.round((values - self.start) / self.step, BIN_DECIMALS))
            inside = (position >= 0) & (position < self.npix)
        return np.where(inside, position, -1).astype(np.int64)

    def pixel_at(self, wave: npt.ArrayLike) -> FloatArray:
        """Fractional pixel of each wavelength [Angstrom], by linear interpolation in `wave`.

        NaN outside of [wave[0], wave[-1]] and for NaN. The inverse of `wave_at`.
        """
        array = as_floats("wave", wave, unit="Angstrom")
        edges = self.wave
        inside = (array >= edges[0]) & (array <= edges[-1])
        pixel = np.interp(np.where(inside, array, edges[0]), edges, np.arange(self.npix))
        return np.where(inside, pixel, np.nan)

    def wave_at(self, pixel: npt.ArrayLike) -> FloatArray:
        """Wavelength [Angstrom] of each fractional pixel; the inverse of `pixel_at`.

        Linear between neighbouring left edges, and extrapolated with the first and the last step
        beyond the ends, as in QuasarNET. NaN for NaN.
        """
        array = as_floats("pixel", pixel)
        edges = self.wave
        known = np.isfinite(array)
        left = np.clip(np.floor(np.where(known, array, 0.0)), 0, self.npix - 2).astype(np.int64)
        with np.errstate(over="ignore"):
            return np.asarray(edges[left] + (array - left) * (edges[left + 1] - edges[left]))

    def to_box(self, wave: npt.ArrayLike, nboxes: int) -> tuple[IntArray, FloatArray]:
        """Box of each wavelength [Angstrom] and the offset in it; the inverse of `from_box`.

        Boxes are 0 .. nboxes - 1 (Busca & Balland 2018, section 3), -1 outside of
        [wave[0], wave[-1]] and for NaN; offsets are 0 (left edge) to 1, NaN where the box is -1.
        """
        check_whole("nboxes", nboxes, least=1, most=MAX_PIXELS)
        position = nboxes * self.pixel_at(wave) / self.npix
        inside = np.isfinite(position)
        box = np.where(inside, np.floor(np.where(inside, position, 0.0)), -1).astype(np.int64)
        return box, np.where(inside, position - box, np.nan)

    def from_box(self, box: npt.ArrayLike, offset: npt.ArrayLike, nboxes: int) -> FloatArray:
        """Wavelength [Angstrom] of an offset in a box; the inverse of `to_box`.

        An offset below 0 or above 1 lies in a neighbouring box. NaN for NaN.
        """
        check_whole("nboxes", nboxes, least=1, most=MAX_PIXELS)
        boxes, inside = as_alike(box=box, offset=offset)
        with np.errstate(over="ignore"):
            return self.wave_at((boxes + inside) * self.npix / nboxes)

    def nests(self, other: WavelengthGrid) -> bool:
        """Whether each pixel of another grid is made of whole pixels of this one."""
        number = round(other.step / self.step)
        first = round((other.start - self.start) / self.step)
        drift = abs(number * self.step - other.step) * other.npix
        drift += abs(self.start + first * self.step - other.start)
        if self.spacing != other.spacing or number < 1 or drift > STEP_TOLERANCE * other.step:
            return False
        pixels = (np.arange(self.npix) - first) // number
        inside = (pixels >= 0) & (pixels < other.npix)
        same = np.array_equal(other.bins(self.wave), np.where(inside, pixels, -1))
        return same and bool(inside.any())

    def to_dict(self) -> dict[str, Any]:
        """Plain values of the grid, for JSON; the inverse of `from_dict`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> WavelengthGrid:
        """Grid of the plain values of `to_dict`; GridError where they are not those of a grid."""
        if not isinstance(values, Mapping):
            raise GridError(f"not a wavelength grid: {shown(values)}")
        try:
            start, step = float(values["start"]), float(values["step"])
            return cls(values["spacing"], start, step, int(values["npix"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            if isinstance(error, InputError):
                raise GridError(str(error)) from error
            raise GridError(f"not a wavelength grid: {shown(values)}") from error

    def __str__(self) -> str:
        edges = self.wave
        unit = "dex" if self.spacing == "log" else "Angstrom"
        return (
            f"{self.npix} pixels, {edges[0]:.1f}-{edges[-1]:.1f} Angstrom, "
            f"{self.spacing} step {self.step:.6g} {unit}"
        )


#: Ends [Angstrom] and step [dex; Angstrom] of QuasarNET's grids by their spacing.
QUASARNET_LIMITS: Mapping[str, tuple[float, float, float]] = {
    "log": (3600.0, 10000.0, 1e-3),
    "linear": (3600.0, 9824.8, 13.6),
}

QUASARNET_GRID = WavelengthGrid.log(*QUASARNET_LIMITS["log"])
"""Log grid of QuasarNET (Busca & Balland 2018, section 2): 443 pixels from 3600 Angstrom.

Examples
--------
>>> from qnet.core.grid import QUASARNET_GRID
>>> print(QUASARNET_GRID)
443 pixels, 3600.0-9961.0 Angstrom, log step 0.001 dex
"""

QUASARNET_LINEAR_GRID = WavelengthGrid.linear(*QUASARNET_LIMITS["linear"])
"""Linear grid of later QuasarNET networks for DESI: 458 pixels of 13.6 Angstrom.

Examples
--------
>>> from qnet.core.grid import QUASARNET_LINEAR_GRID
>>> QUASARNET_LINEAR_GRID.wave[:3]
array([3600. , 3613.6, 3627.2])
"""


def as_grid(wave: npt.ArrayLike | WavelengthGrid | None) -> WavelengthGrid:
    """Grid of left edges [Angstrom], or a grid itself; QuasarNET's log grid for None."""
    if wave is None:
        return QUASARNET_GRID
    return wave if isinstance(wave, WavelengthGrid) else WavelengthGrid.from_wave(wave)
