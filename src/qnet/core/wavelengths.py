"""Checks of the wavelengths of spectra, and what becomes of pixels and rows that have none."""

from __future__ import annotations

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray, FloatArray, IntArray, good_pixels
from qnet.core.errors import InputError, warn

#: Step in ln(wavelength) where only one pixel has weight.
_SMALL_STEP = 2e-4


def repair_wave(
    wave: FloatArray, flux: AnyArray, ivar: AnyArray, where: str
) -> tuple[FloatArray, AnyArray]:
    """Legal wavelengths, and the ivar that goes with them; good pixels keep theirs.

    Pixels without weight get interpolated wavelengths where the row's are not legal. A row whose
    pixels with weight have no legal wavelengths loses its weight, with a warning; InputError is
    raised where wavelengths are shared, or where no row of several has legal ones.
    """
    if wave.shape[-1] == 0:
        raise InputError(f"{where}: wave holds no pixel")
    shared = wave.ndim == 1
    rows = np.atleast_2d(wave)
    with np.errstate(invalid="ignore"):  # differences of infinite ones
        legal = (np.diff(rows, axis=1) > 0).all(axis=1)
    legal = np.asarray(legal & (np.isfinite(rows) & (rows > 0)).all(axis=1))
    if legal.all():
        return wave, ivar
    used = np.atleast_2d(find_used(wave, flux, ivar))
    repaired, faults = rows.copy(), {}
    for row in np.flatnonzero(~legal):
        repaired[row], faults[row] = _repair_row(repaired[row], used[row])
    dead = np.isnan(repaired[:, 0])
    if dead.all() and used.any() and (shared or len(dead) > 1):
        raise InputError(f"{where}: {next(filter(None, faults.values()))}")
    if dead.any():
        alive = np.flatnonzero(~dead)
        repaired[dead] = repaired[alive[0]] if len(alive) else nominal_wave(wave.shape[-1])
        lost = np.full(len(flux), True) if shared else dead
        _warn_lost(where, lost, next(faults[row] for row in np.flatnonzero(dead)))
        ivar = np.where(lost[:, None], ivar.dtype.type(0), ivar)
    return (repaired[0] if shared else repaired), ivar


def nominal_wave(npix: int) -> FloatArray:
    """Wavelengths [Angstrom] of spectra without any, whose pixels have no weight."""
    return np.geomspace(3600.0, 10000.0, npix)


def wave_beyond(last: FloatArray, count: IntArray) -> FloatArray:
    """Wavelengths so many pixels after the last, in padding without weight: they must increase."""
    return np.asarray(last * np.power(1.001, count))


def find_used(wave: FloatArray, flux: AnyArray, ivar: AnyArray) -> BoolArray:
    """Wavelengths at which a pixel has weight; the shape is that of `wave`."""
    good = good_pixels(flux, ivar)
    return np.asarray(good.any(axis=0)) if wave.ndim == 1 else good


def _warn_lost(where: str, lost: BoolArray, fault: str) -> None:
    """Warn of rows without legal wavelengths."""
    if lost.any():
        warn(
            f"{where}: {int(lost.sum())} of {len(lost)} spectra have no legal wavelengths and get "
            f"no weight; row {int(lost.argmax())} is the first: {fault}"
        )


def _repair_row(wave: FloatArray, used: BoolArray) -> tuple[FloatArray, str]:
    """Wavelengths (npix,) of a row, interpolated in pixels not used; or NaN, and what is wrong."""
    pixels, good = np.arange(len(wave)), np.flatnonzero(used)
    fault = _find_fault(wave, good if len(good) else pixels)
    if fault or not len(good):
        return np.full(len(wave), np.nan), fault
    first, last = good[0], good[-1]
    ln_wave = np.log(wave[good])
    step = (ln_wave[-1] - ln_wave[0]) / (last - first) if last > first else _SMALL_STEP
    found = np.interp(pixels, good, ln_wave) + step * (pixels - np.clip(pixels, first, last))
    with np.errstate(over="ignore"):
        repaired = np.where(used, wave, np.exp(found))
    fault = _find_fault(repaired, pixels)
    return (np.full(len(wave), np.nan) if fault else repaired), fault


def _find_fault(wave: FloatArray, pixels: IntArray) -> str:
    """What is wrong with the wavelengths of some pixels of a row, in words; '' where nothing is."""
    chosen = wave[pixels]
    if not (np.isfinite(chosen).all() and (chosen > 0).all()):
        return "wave holds NaN, infinite, zero or negative wavelengths"
    falling = np.flatnonzero(np.diff(chosen) <= 0)
    if not len(falling):
        return ""
    one, other = pixels[falling[0] : falling[0] + 2].tolist()
    return (
        f"wave must increase, but pixels {one} and {other} hold {wave[one]:.10g} and "
        f"{wave[other]:.10g} Angstrom"
    )
