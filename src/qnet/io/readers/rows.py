"""Spectra of tables of FITS files, of which a row is a pixel or a spectrum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray, FloatArray
from qnet.core.errors import QnetError, warn
from qnet.core.wavelengths import wave_beyond
from qnet.io.fits.file import FitsFile
from qnet.io.fits.scaling import column_numbers
from qnet.io.units import Stated, flux_units, is_stated


def relative_unit(text: str, where: str) -> str | None:
    """A unit of flux that is stated; None, with a warning, for counts and others of no flux."""
    if not is_stated(text):
        return None
    try:
        flux_units([Stated(where, text)], "")
    except QnetError:
        warn(f"{where}: the flux has unit {text}: it is read as flux per wavelength in any scale")
        return None
    return text


def lacks_columns(fits: FitsFile, key: str | int, names: Sequence[str]) -> str:
    """Which of some columns a table does not have, as a `Reader.fault`; '' where it has them."""
    have = fits.columns(key)
    missing = [name for name in names if name not in have]
    label = key if isinstance(key, str) else f"number {key}"
    return (
        f"HDU {label} lacks the column(s) {', '.join(missing)}; it has {', '.join(have[:12])}"
        if missing
        else ""
    )


def count_rows(fits: FitsFile, key: str | int, column: str) -> int:
    """Number of spectra of a table: of its rows where the cells of a column are vectors, else 1."""
    header = fits.header(key)
    form = str(header.get(f"TFORM{column_numbers(header, [column]).get(column)}", ""))
    return 1 if form.strip().lstrip("1").isalpha() else fits.nrows(key)


def read_rows(
    fits: FitsFile, keys: Sequence[str | int], columns: Sequence[str]
) -> tuple[dict[str, AnyArray], BoolArray]:
    """Columns (nspec, npix) of the spectra of some tables, from blue to red, and their padding.

    The first column is that of wavelengths, (npix,) where all spectra share them: pixels where it
    is not finite or positive, and those that fill up shorter spectra, are padding.
    """
    tables = [_ascending(fits.table(key, list(columns)), columns[0]) for key in keys]
    shapes = [table[columns[0]].shape for table in tables]
    nspec, npix = sum(nrows for nrows, _ in shapes), max(width for _, width in shapes)
    ends = np.cumsum([nrows for nrows, _ in shapes])
    found = {}
    for name in columns:
        kind = np.result_type(*(table[name].dtype for table in tables))
        found[name] = np.zeros((nspec, npix), kind)
        for (nrows, width), end, table in zip(shapes, ends, tables, strict=True):
            found[name][end - nrows : end, :width] = table[name]
    wave = found[columns[0]]
    good = _is_wave(wave)
    count = good.sum(axis=1)
    if (good == (np.arange(npix) < count[:, None])).all():  # wavelengths go on in the padding
        last = wave[np.arange(nspec), count - 1][:, None]
        beyond = wave_beyond(last, np.arange(npix) - count[:, None] + 1)
        wave = np.where(good, wave, beyond)
    found[columns[0]] = wave[0] if (wave == wave[0]).all() else wave
    return found, ~good


def _ascending(table: Mapping[str, AnyArray], wave: str) -> dict[str, AnyArray]:
    """Columns (nspec, npix) of a table, rows from red to blue turned round."""
    columns = {name: np.atleast_2d(values) for name, values in table.items()}
    columns[wave] = waves = columns[wave].astype(np.float64)
    nspec, npix = waves.shape
    if not npix:
        return columns
    good, rows = _is_wave(waves), np.arange(nspec)
    first, last = good.argmax(axis=1), npix - 1 - good[:, ::-1].argmax(axis=1)
    falling = waves[rows, first] > waves[rows, last]
    if falling.any():
        turned = np.where(falling[:, None], last[:, None] - np.arange(npix), np.arange(npix)) % npix
        columns = {name: np.take_along_axis(x, turned, axis=1) for name, x in columns.items()}
    return columns


def _is_wave(wave: FloatArray) -> BoolArray:
    """Which numbers are wavelengths."""
    return np.asarray(np.isfinite(wave) & (wave > 0))
