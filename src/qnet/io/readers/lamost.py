"""LAMOST files of low resolution: one spectrum each; those of medium resolution are refused.

From the releases' descriptions of their FITS files (dr2 to dr7.lamost.org: one image; since DR8 a
table COADD with vector cells). Flux is relative, wavelengths are heliocentric and in vacuum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray
from qnet.core.spectra import Spectra
from qnet.io.columns import id_columns
from qnet.io.fits.file import FitsFile
from qnet.io.pixels import Pixels, make_spectra
from qnet.io.readers.registry import Reader, left_out, recognised, refuse, register, whole_file
from qnet.io.readers.rows import lacks_columns
from qnet.io.readers.sdss import sky_flag
from qnet.io.units import states_air

#: Parts of the spectrum: columns of the table, and rows of the image but for the last.
_PARTS = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK")

#: Cards of the first HDU by the names of columns of a catalogue.
_CARDS = {
    "TARGETID": "OBSID",
    "TARGET_NAME": "DESIG",
    "MJD": "MJD",
    "FIBERID": "FIBERID",
    "TARGET_RA": "RA",
    "TARGET_DEC": "DEC",
    "OBJTYPE": "OBJTYPE",
}

#: Fields of `Reader` that are the same for both layouts.
_DECLARED: Mapping[str, Any] = {
    "survey": "LAMOST",
    "targetid": "OBSID, with DESIG in TARGET_NAME",
    "wavelengths": "vacuum, centres",
    "no_weight": "ANDMASK not 0: bad in all exposures",
    "ids": tuple(_CARDS),
}


def is_lamost(fits: FitsFile) -> bool:
    """Whether a file is of the telescope."""
    return str(fits.header(0).get("TELESCOP", "")).upper().startswith("LAMOST")


def _is_image(fits: FitsFile) -> bool:
    """Whether there is an image of the parts of a spectrum."""
    return is_lamost(fits) and len(fits.shape(0)) == 2


def _image_fault(fits: FitsFile) -> str:
    """What is wrong with a file of such an image."""
    if fits.shape(0)[0] != len(_PARTS):
        return f"HDU 0 has {fits.shape(0)[0]} rows, but {', '.join(_PARTS)} were expected"
    return left_out(fits, [0])


def _read_image(fits: FitsFile) -> Spectra:
    """Read the file of an image."""
    return _spectra(fits, fits.image(0))


def _is_table(fits: FitsFile) -> bool:
    """Whether there is a table of a spectrum."""
    return is_lamost(fits) and fits.is_table("COADD")


def _table_fault(fits: FitsFile) -> str:
    """What is wrong with a file of such tables."""
    if fault := lacks_columns(fits, "COADD", _PARTS[:4]):
        return fault
    if fits.nrows("COADD") != 1:
        return f"HDU COADD has {fits.nrows('COADD')} rows, but 1 was expected"
    return left_out(fits, [fits.all_names.index("COADD")])


def _is_medium(fits: FitsFile) -> bool:
    """Whether there are tables of an arm each."""
    return is_lamost(fits) and any(name.startswith("COADD_") for name in fits.names)


def _read_table(fits: FitsFile) -> Spectra:
    """Read the file of a table."""
    columns = fits.table("COADD", list(_PARTS[:4]))
    return _spectra(fits, [columns[name][0] for name in _PARTS[:4]])


def _spectra(fits: FitsFile, parts: Sequence[AnyArray] | AnyArray) -> Spectra:
    """The spectrum of its parts."""
    flux, ivar, wave, mask = (np.asarray(part) for part in parts[:4])
    header = fits.header(0)
    pixels = Pixels(
        wave=wave,
        flux=flux[None],
        weights=ivar[None],
        bad=(mask != 0)[None],
        air=states_air(header),
        where=f"{fits.path}: HDU {'COADD' if 'COADD' in fits else 0}",
    )
    cards = {name: header.get(card) for name, card in _CARDS.items()}
    found = {name: np.array([value]) for name, value in cards.items() if value is not None}
    ids = id_columns({"TARGETID": np.array([-1])} | found, fits.path)
    return make_spectra([pixels], ids, flag=sky_flag(ids))


register(
    Reader(
        name="LAMOST file of low resolution to DR7",
        hdus="TELESCOP LAMOST, HDU 0 an image of the rows flux, ivar, wavelength and two masks",
        **recognised(_is_image, _image_fault),
        **whole_file(_read_image),
        **_DECLARED,
    )
)
register(
    Reader(
        name="LAMOST file of low resolution since DR8",
        hdus="TELESCOP LAMOST, table COADD with FLUX, IVAR, WAVELENGTH and ANDMASK",
        **recognised(_is_table, _table_fault),
        **whole_file(_read_table),
        **_DECLARED,
    )
)
refuse(
    name="LAMOST file of medium resolution (MRS)",
    survey="LAMOST",
    hdus="TELESCOP LAMOST, tables COADD_B and COADD_R",
    detect=_is_medium,
    why="its arms are too short for quasars: give files of low resolution (LRS)",
)
