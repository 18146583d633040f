"""The frame in which objects are made, before an instrument sees them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import Float32Array, FloatArray
from qnet.lines import SPEED_OF_LIGHT

#: First pixel and step of the frame, in log10 of the vacuum wavelength [Angstrom]. The step is
#: that of SDSS and BOSS spectra, 69 km/s; the range holds those of SDSS, BOSS and DESI.
LOGLAM_START, LOGLAM_STEP, NPIX = 3.5440, 1e-4, 4780

#: Pass band in which magnitudes are given [Angstrom]: a top hat between the half-transmission
#: wavelengths of SDSS r (Doi et al. 2010, AJ 139, 1628).
R_BAND = (5600.0, 6900.0)

#: Zero point of AB magnitudes [erg/s/cm2/Hz] is 10**(-0.4 * 48.60) (Oke & Gunn 1983, ApJ 266, 713).
AB_ZERO_POINT = 48.60


def observed_wave() -> FloatArray:
    """Wavelengths of the frame: pixel centres in vacuum [Angstrom], shape (NPIX,)."""
    return np.asarray(10 ** (LOGLAM_START + LOGLAM_STEP * np.arange(NPIX)), dtype=np.float64)


@dataclasses.dataclass(frozen=True, eq=False)
class Objects:
    """Noiseless spectra of objects as they reach the telescope, and what is true of them.

    Attributes
    ----------
    flux : ndarray of float32, shape (nspec, NPIX)
        Flux density [1e-17 erg/s/cm2/Angstrom] at `observed_wave`.
    truth : mapping of str to ndarray, each of shape (nspec,)
        TRUEZ, TRUESPECTYPE ('QSO', 'GALAXY', 'STAR', 'SKY'), TRUESUBTYPE, BAL_FLAG_VI, BI_CIV
        [km/s], RMAG (AB), and columns of the kind's own.
    """

    flux: Float32Array
    truth: Mapping[str, npt.NDArray[Any]]

    def __len__(self) -> int:
        return len(self.flux)


def scale_to_r(flux: npt.NDArray[Any], rmag: FloatArray) -> Float32Array:
    """Scale spectra to r magnitudes.

    Parameters
    ----------
    flux : ndarray, shape (nspec, NPIX)
        Flux density in any unit, at `observed_wave`.
    rmag : ndarray of float64, shape (nspec,)
        AB magnitudes in `R_BAND`.

    Returns
    -------
    ndarray of float32, shape (nspec, NPIX)
        Flux density [1e-17 erg/s/cm2/Angstrom].
    """
    wave = observed_wave()
    inside = (wave >= R_BAND[0]) & (wave < R_BAND[1])
    # Photon-weighted mean flux density (Bessell & Murphy 2012, PASP 124, 140, eq. A12 and A21).
    photons = wave[inside] * np.gradient(wave)[inside]
    mean = flux[:, inside] @ (photons / photons.sum())
    pivot2 = photons.sum() / (photons / wave[inside] ** 2).sum()
    f_nu = 10 ** (-0.4 * (np.asarray(rmag, dtype=np.float64) + AB_ZERO_POINT))
    wanted = f_nu * SPEED_OF_LIGHT * 1e13 / pivot2 * 1e17
    return np.asarray(flux * (wanted / mean)[:, None], dtype=np.float32)
