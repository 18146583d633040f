"""Wavelengths in air to wavelengths in vacuum."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qnet.errors import InputError

#: Shortest wavelength [Angstrom] that is measured in air.
_SHORTEST = 2000.0

#: Steps of the fixed-point inversion; each gains four digits.
_ITERATIONS = 4


def air_to_vacuum(wave: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Vacuum wavelengths of wavelengths measured in standard air.

    Parameters
    ----------
    wave : array_like
        Wavelengths in air [Angstrom], above 2000.

    Returns
    -------
    ndarray of float64, the same shape
        Wavelengths in vacuum [Angstrom], from the refractive index of dry air at 15 C of Morton
        (2000, ApJS 130, 403, eq. 8), a function of the vacuum wavelength.

    Raises
    ------
    InputError
        A wavelength is under 2000 Angstrom, where air is opaque and the formula fails.
    """
    air = np.asarray(wave, dtype=np.float64)
    if (air < _SHORTEST).any():
        raise InputError(
            f"wavelengths in air must be in Angstrom and above {_SHORTEST:g}, not {air.min():g}; "
            "convert nm or micron to Angstrom"
        )
    vacuum = air
    for _ in range(_ITERATIONS):
        vacuum = air * _refractive_index(vacuum)
    return vacuum


def _refractive_index(vacuum: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Refractive index of standard air by vacuum wavelength [Angstrom]; Morton 2000, eq. 8."""
    squared = np.square(1e4 / vacuum)  # wavenumber squared [1/micron^2]
    return 1.0 + 8.34254e-5 + 2.406147e-2 / (130.0 - squared) + 1.5998e-4 / (38.9 - squared)
