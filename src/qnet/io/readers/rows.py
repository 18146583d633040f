"""Spectra of tables of FITS files, of which a row is a pixel or a spectrum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from qnet.core.arrays import AnyArray
from qnet.core.errors import QnetError, warn
from qnet.io.fits.file import FitsFile
from qnet.io.fits.scaling import column_numbers
from qnet.io.objects.ragged import rectangular
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


def read_rows(fits: FitsFile, key: str | int, columns: Sequence[str]) -> list[dict[str, AnyArray]]:
    """The spectra of a table: one of a row per pixel, else one a row; without padding, ascending.

    The first column is that of wavelengths: pixels where it is not finite or positive are padding.
    """
    table = {name: np.atleast_2d(values) for name, values in fits.table(key, list(columns)).items()}
    found = []
    for row in range(len(table[columns[0]])):
        spectrum = {name: table[name][row] for name in columns}
        wave = spectrum[columns[0]]
        with np.errstate(invalid="ignore"):
            good = np.isfinite(wave) & (wave > 0)
        if not good.all():
            spectrum = {name: values[good] for name, values in spectrum.items()}
        wave = spectrum[columns[0]]
        if len(wave) > 1 and wave[0] > wave[-1]:
            spectrum = {name: values[::-1] for name, values in spectrum.items()}
        found.append(spectrum)
    return found


def join_rows(rows: Sequence[Mapping[str, AnyArray]]) -> dict[str, AnyArray]:
    """Columns (nspec, npix) of spectra of any length; (npix,) for wavelengths that all share."""
    return rectangular({name: [row[name] for row in rows] for name in rows[0]}, log=False)
