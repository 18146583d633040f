"""Grids of pixels on which objects are made, before an instrument observes them.

All have the same step in log wavelength: a redshift is then a shift by a number of pixels, and a
width in velocity is the same number of pixels everywhere.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import AnyArray, Columns, Float32Array, FloatArray, StrArray
from qnet.core.errors import InputError
from qnet.core.luminosity import AB_ZERO_POINT, R_BAND, SPEED_OF_LIGHT

#: Step of all grids in log10 of the wavelength, that of SDSS and BOSS spectra, and in km/s (69).
LOGLAM_STEP = 1e-4
PIXEL_KMS = SPEED_OF_LIGHT * np.log(10) * LOGLAM_STEP

#: Second radiation constant h c / k [Angstrom K] (CODATA 2018, rounded).
HC_OVER_K = 1.438776877e8


class Grid(NamedTuple):
    """Pixels of `LOGLAM_STEP`: log10 of the first vacuum wavelength [Angstrom], and number."""

    start: float
    npix: int

    @property
    def wave(self) -> FloatArray:
        """Vacuum wavelengths of the pixels' centres [Angstrom], shape (npix,)."""
        return np.asarray(10 ** (self.start + LOGLAM_STEP * np.arange(self.npix)), dtype=np.float64)

    def pixel(self, wave: Any) -> Any:
        """Fractional pixel of wavelengths [Angstrom]."""
        return (np.log10(wave) - self.start) / LOGLAM_STEP

    def near(self, wave: float, half: float = 40.0) -> slice:
        """Pixels within `half` [Angstrom] of a wavelength."""
        low, high = np.searchsorted(self.wave, [wave - half, wave + half])
        return slice(int(low), int(high))


#: The observed frame: 3499-10520 Angstrom, which holds the spectra of SDSS, BOSS and DESI.
FRAME = Grid(3.5440, 4780)
NPIX = FRAME.npix

#: Rest frame of stars and galaxies: 1230-10840 Angstrom, what z = 0 to 1.8 shows.
STAR_FRAME = Grid(3.0900, 9451)

#: Highest redshift of quasars, and their rest frame: what z = 0 to `Z_MAX` shows.
Z_MAX = 7.0
QUASAR_FRAME = Grid(
    FRAME.start - np.log10(1 + Z_MAX), NPIX + int(np.ceil(np.log10(1 + Z_MAX) / LOGLAM_STEP)) + 1
)


@dataclasses.dataclass(frozen=True, eq=False)
class Objects:
    """Noiseless spectra and their truth."""

    flux: Float32Array  # [1e-17 erg/s/cm2/Angstrom], shape (nspec, NPIX)
    truth: Columns  # common columns (see `qnet.simulation.Batch`), the kind's own

    def __len__(self) -> int:
        return len(self.flux)


def scale_to_r(flux: AnyArray, rmag: FloatArray) -> Float32Array:
    """Spectra of any unit on `FRAME` scaled to AB magnitudes in `R_BAND`."""
    wave = FRAME.wave
    inside = (wave >= R_BAND[0]) & (wave < R_BAND[1])
    # Photon-weighted mean flux density (Bessell & Murphy 2012, PASP 124, 140, eq. A12 and A21).
    photons = wave[inside] * np.gradient(wave)[inside]
    mean = flux[:, inside] @ (photons / photons.sum())
    pivot2 = photons.sum() / (photons / wave[inside] ** 2).sum()
    f_nu = 10 ** (-0.4 * (np.asarray(rmag, dtype=np.float64) + AB_ZERO_POINT))
    wanted = f_nu * SPEED_OF_LIGHT * 1e13 / pivot2 * 1e17
    return np.asarray(flux * (wanted / mean)[:, None], dtype=np.float32)


def positive(flux: Float32Array) -> Float32Array:
    """Spectra with pixels below a millionth of their highest one raised to that."""
    return np.asarray(np.maximum(flux, np.float32(1e-6) * flux.max(axis=1, keepdims=True)))


def finished(
    spectype: str, flux: Float32Array, subtype: StrArray, z: FloatArray, rmag: FloatArray
) -> Objects:
    """Galaxies or stars, without broad absorption, of spectra of any unit on `FRAME`."""
    truth = {
        "TRUEZ": z,
        "TRUESPECTYPE": np.full(len(z), spectype),
        "TRUESUBTYPE": subtype,
        "BAL_FLAG_VI": np.zeros(len(z), dtype=np.int32),
        "BI_CIV": np.zeros(len(z)),
        "RMAG": rmag,
    }
    return Objects(scale_to_r(positive(flux), rmag), truth)


def shift(
    flux: npt.NDArray[np.floating], z: FloatArray, *, start: float = STAR_FRAME.start
) -> Float32Array:
    """Rest-frame spectra from log wavelength `start` on `FRAME`, linear, end values beyond."""
    position = (FRAME.start - start - np.log10(1.0 + z)) / LOGLAM_STEP
    first = np.floor(position).astype(np.int64)
    part = (position - first).astype(np.float32)
    npix = flux.shape[1]
    moved = np.empty((len(flux), NPIX), dtype=np.float32)
    for row, (index, fraction) in enumerate(zip(first, part, strict=True)):
        low, high = max(index, 0), min(index + NPIX + 1, npix)
        if high <= low:
            moved[row] = flux[row, -1 if index > 0 else 0]
            continue
        piece = flux[row, low:high]
        if high - low < NPIX + 1:
            piece = np.pad(piece, (low - index, index + NPIX + 1 - high), mode="edge")
        moved[row] = piece[:-1] + fraction * (piece[1:] - piece[:-1])
    return moved


def see_at(bank: Float32Array, which: npt.ArrayLike, z: FloatArray) -> Float32Array:
    """Broad shapes on `QUASAR_FRAME`, `bank[which]`, on `FRAME` at redshifts, in whole pixels."""
    first = np.rint((np.log10(1 + Z_MAX) - np.log10(1 + z)) / LOGLAM_STEP).astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(bank, NPIX, axis=1)
    seen: Float32Array = windows[np.broadcast_to(which, first.shape), first]
    return seen


def magnitudes(rmag: npt.ArrayLike) -> FloatArray:
    """Magnitudes as an array; `InputError` unless one-dimensional and finite."""
    values = np.asarray(rmag, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise InputError(
            f"rmag must be one-dimensional and finite, not of shape {values.shape} with "
            f"{np.count_nonzero(~np.isfinite(values))} values that are not finite"
        )
    return values


def z_and_rmag(
    z: npt.ArrayLike, rmag: npt.ArrayLike, limits: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Redshifts and magnitudes as arrays; `InputError` where lengths differ or z is outside."""
    values, magnitude = np.asarray(z, dtype=np.float64), magnitudes(rmag)
    if values.shape != magnitude.shape:
        raise InputError(
            f"z and rmag must be one-dimensional and of one length, not of shapes {values.shape} "
            f"and {magnitude.shape}"
        )
    outside = ~((values >= limits[0]) & (values <= limits[1]))
    if outside.any():
        raise InputError(
            f"z must be from {limits[0]:g} to {limits[1]:g}, and holds {values[outside][0]}"
        )
    return values, magnitude
