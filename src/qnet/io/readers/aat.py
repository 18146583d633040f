"""Common parts of the layouts of surveys at the AAT and UKST: wavelengths, ids of a header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, FloatArray
from qnet.core.errors import FileError
from qnet.core.spectra import Spectra
from qnet.io.columns import id_columns
from qnet.io.fits.file import FitsFile
from qnet.io.pixels import Pixels, make_spectra
from qnet.io.readers.registry import Request

#: What these surveys' wavelengths are, in words: 2dfdr calibrates with lines of arc lamps in air.
WAVELENGTHS = "air, converted, unless the header says vacuum (CTYPE1 WAVE, VACUUM); centres"


def linear_wave(fits: FitsFile, key: str | int, npix: int) -> FloatArray:
    """Wavelengths CRVAL1 + (pixel - CRPIX1) CD1_1 (CDELT1); FileError where cards are missing."""
    header = fits.header(key)
    start, pixel = header.get("CRVAL1"), header.get("CRPIX1", 1)
    step = header.get("CD1_1", header.get("CDELT1"))
    if not all(isinstance(value, (int, float)) for value in (start, pixel, step)):
        raise FileError(
            f"{fits.path}: HDU {key} has CRVAL1 {start}, CRPIX1 {pixel}, CD1_1 or CDELT1 {step}, "
            "but numbers were expected"
        )
    return np.asarray(start + (np.arange(1.0, npix + 1) - pixel) * step)


def in_air(header: Mapping[str, Any]) -> bool:
    """Whether wavelengths are in air: unless the header says that they are in vacuum."""
    vacuum = header.get("VACUUM", False) in (True, "T", "TRUE", "True", 1)
    ctype = str(header.get("CTYPE1", "")).strip().upper()
    return not vacuum and ctype != "WAVE" and not ctype.startswith("WAVE-")


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
    request: Request,
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
        air=in_air(fits.header(key)),
        where=f"{fits.path}: HDU {key}",
        **fields,
    )
    spectra = make_spectra([pixels], ids)
    return spectra if request.rows is None else spectra.select(request.rows)
