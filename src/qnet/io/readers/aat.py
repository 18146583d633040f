"""Common parts of the layouts of surveys at the AAT and UKST: wavelengths, ids of a header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, FloatArray
from qnet.core.spectra import Spectra
from qnet.io.columns import id_columns
from qnet.io.fits.file import FitsFile
from qnet.io.pixels import Pixels, make_spectra
from qnet.io.readers import wcs
from qnet.io.units import states_vacuum

#: What these surveys' wavelengths are, in words: 2dfdr calibrates with lines of arc lamps in air.
WAVELENGTHS = "air, converted, unless the header states vacuum (CTYPE1 WAVE, VACUUM); centres"

#: Fields of `Reader` that layouts of one spectrum a file have in common.
ONE_SPECTRUM: Mapping[str, Any] = {
    "wavelengths": WAVELENGTHS,
    "no_weight": "",
    "ids": ("TARGETID", "TARGET_NAME", "TARGET_RA", "TARGET_DEC"),
}


def linear_wave(fits: FitsFile, key: str | int, npix: int) -> FloatArray:
    """Wavelengths (npix,) of the cards of an HDU."""
    return wcs.linear_wave(fits.header(key), npix, f"{fits.path}: HDU {key}")


def card_ids(
    fits: FitsFile,
    key: str | int,
    names: Sequence[str],
    *,
    number: str = "",
    position: tuple[str, str] = ("RA", "DEC"),
) -> dict[str, AnyArray]:
    """TARGETID (the card `number`, else -1), name (the first of some cards) and position."""
    header = fits.header(key)
    name = next((str(header[card]) for card in names if header.get(card) is not None), "")
    value = header.get(number)
    values = {
        "TARGETID": np.array([-1 if value is None else value]),
        "TARGET_NAME": np.array([name]),
    }
    for column, card in zip(("TARGET_RA", "TARGET_DEC"), position, strict=True):
        if header.get(card) is not None:
            values[column] = np.array([header[card]])
    return id_columns(values, fits.path)


def one_spectrum(
    fits: FitsFile,
    ids: Mapping[str, AnyArray],
    flux: AnyArray,
    weights: AnyArray | None,
    *,
    key: str | int = 0,
    **fields: Any,
) -> Spectra:
    """The spectrum (npix,) of an HDU on linear wavelengths; `fields` are those of `Pixels`."""
    pixels = Pixels(
        wave=linear_wave(fits, key, flux.shape[-1]),
        flux=flux,
        weights=weights,
        air=not states_vacuum(fits.header(key)),
        where=f"{fits.path}: HDU {key}",
        **fields,
    )
    return make_spectra([pixels], ids)
