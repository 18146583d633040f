"""Wavelengths in equal steps, from the cards of a header (FITS standard 4.0, section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qnet.core.arrays import FloatArray
from qnet.core.errors import FileError

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
