"""Spectra of the Multimodal Universe: rows of a catalogue with a spectrum each, HDF5 or Parquet.

The Multimodal Universe Collaboration 2024 (arXiv:2412.02527) and its scripts of desi, sdss and
lamost: data sets spectrum_flux, spectrum_ivar, spectrum_lambda (nspec, npix) and spectrum_mask,
which is True in bad pixels; object_id, ra and dec. In Parquet, and in HATS, a row has a structure
`spectrum` of lists. Shorter spectra are padded with wavelength -1, ivar 0 and mask True. LAMOST's
have flux and spectrum_wavelength only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray
from qnet.core.spectra import Spectra
from qnet.io.columns import id_columns, is_integer_id
from qnet.io.hdf5 import Hdf5File
from qnet.io.objects.ragged import is_ragged, rectangular
from qnet.io.pixels import Pixels, make_spectra
from qnet.io.readers.registry import Reader, Request, recognised, register
from qnet.io.tablefile import TableFile

#: Names of wavelengths, flux and what may be beside them, without the prefix.
_WAVES, _FLUX, _IVAR, _MASK = ("lambda", "wavelength"), "flux", "ivar", "mask"

#: Columns of the catalogue that are ids, by the catalogue's names for them.
_IDS = {"object_id": "TARGETID", "ra": "TARGET_RA", "dec": "TARGET_DEC"}


def _parts(names: Iterable[str]) -> dict[str, str]:
    """Columns of the spectra among some names, by what they hold."""
    have = {name.lower().replace("spectrum.", "spectrum_"): name for name in names}
    wave = next((wave for wave in _WAVES if f"spectrum_{wave}" in have), _WAVES[0])
    parts = {"wave": wave, "flux": _FLUX, "ivar": _IVAR, "mask": _MASK}
    return {
        part: have[f"spectrum_{name}"] for part, name in parts.items() if f"spectrum_{name}" in have
    }


def _ids(names: Iterable[str]) -> dict[str, str]:
    """Columns that are ids among some names, by their names in a catalogue."""
    found = {_IDS[name.lower()]: name for name in names if name.lower() in _IDS}
    own = {name: name for name in names if is_integer_id(name) and name != "TARGETID"}
    return found | {name: column for name, column in own.items() if name not in found}


def _missing(names: Iterable[str]) -> str:
    """What a file that has a spectrum_flux lacks, as a `Reader.fault`."""
    if "wave" not in _parts(names):
        ends = " (spectrum_lambda_min and _max of early versions do not suffice)"
        return "lacks the column spectrum_lambda" + ends * ("spectrum_lambda_min" in names)
    return "" if "TARGETID" in _ids(names) else "lacks the column object_id"


def _fault(file: Hdf5File) -> str:
    """What is wrong with an HDF5 file."""
    if fault := _missing(file.columns):
        return fault
    parts, ids = _parts(file.columns), _ids(file.columns)
    shapes = {name: file.columns[name].shape for name in parts.values()}
    if len(set(shapes.values())) > 1 or len(shapes[parts["flux"]]) != 2:
        return f"holds data sets of shapes {shapes}, but one of (nspec, npix) was expected"
    nspec = shapes[parts["flux"]][0]
    lengths = {name: file.columns[name].shape[:1] for name in ids.values()}
    if wrong := [name for name, length in lengths.items() if length != (nspec,)]:
        return f"holds {nspec} spectra, but another number of {', '.join(wrong)}"
    return ""


def _read(files: Sequence[Hdf5File], request: Request) -> Spectra:
    """Read rows of an HDF5 file."""
    (file,) = files
    names = [*_parts(file.columns).values(), *_ids(file.columns).values()]
    return _spectra(file.read(names, request.rows), file.path)


def _names(file: TableFile) -> list[str]:
    """Columns of a file of one table."""
    return [column.name for column in file.sheets[0].columns] if len(file.sheets) == 1 else []


def _is_table(file: TableFile) -> bool:
    """Whether a table has flux of spectra and an object_id; of others nothing is known."""
    return "flux" in _parts(names := _names(file)) and "TARGETID" in _ids(names)


def _read_table(files: Sequence[TableFile], request: Request) -> Spectra:
    """Read rows of a table in memory."""
    (file,) = files
    parts, ids = _parts(names := _names(file)), _ids(names)
    columns = dict(file.sheets[0].read([*parts.values(), *ids.values()], request.rows))
    lists = {name: columns[name] for name in parts.values()}
    if any(is_ragged(column) for column in lists.values()):
        columns |= rectangular(lists, log=False)
    return _spectra({name: np.ma.getdata(column) for name, column in columns.items()}, file.path)


def _spectra(columns: Mapping[str, AnyArray], path: Path) -> Spectra:
    """Spectra of the columns of a file."""
    parts, ids = _parts(columns), _ids(columns)
    return make_rows(
        {part: np.asarray(columns[name]) for part, name in parts.items()},
        {name: np.asarray(columns[column]) for name, column in ids.items()},
        path,
    )


def make_rows(spectra: Mapping[str, AnyArray], ids: Mapping[str, AnyArray], path: Path) -> Spectra:
    """Spectra of arrays (nspec, npix) 'wave', 'flux', perhaps 'ivar' and 'mask', with padding."""
    mask, wave = spectra.get("mask"), np.atleast_2d(spectra["wave"])
    padded: BoolArray = ~np.greater(wave, 0)
    used = np.flatnonzero(~np.all(padded, axis=0))
    npix = int(used[-1]) + 1 if len(used) else 1
    bad: BoolArray = padded if mask is None else np.logical_or(padded, mask != 0)
    shared = len(wave) > 0 and bool((wave == wave[0]).all())
    ivar = spectra.get("ivar")
    pixels = Pixels(
        wave=wave[0, :npix] if shared else wave[:, :npix],
        flux=spectra["flux"][:, :npix],
        weights=None if ivar is None else ivar[:, :npix],
        bad=bad[:, :npix] if bad.any() else None,
        where=str(path),
    )
    return make_spectra([pixels], id_columns(ids, path))


#: What is declared alike of both formats.
_DECLARED: Mapping[str, Any] = {
    "survey": "Multimodal Universe",
    "targetid": "object_id; -1, with its text in TARGET_NAME, where it is no integer",
    "wavelengths": "vacuum, centres",
    "no_weight": "pixels whose mask is True, or whose wavelength is not positive",
    "whole": False,
    "ids": ("TARGETID", "TARGET_NAME", "TARGET_RA", "TARGET_DEC", "integer ids of the survey"),
}

register(
    Reader(
        name="Multimodal Universe rows (HDF5)",
        hdus="data sets spectrum_flux, spectrum_lambda (spectrum_wavelength), object_id",
        **recognised(lambda file: "flux" in _parts(file.columns), _fault),
        count=lambda file: file.columns[_parts(file.columns)["flux"]].shape[0],
        read=_read,
        opens=Hdf5File,
        **_DECLARED,
    )
)
register(
    Reader(
        name="Multimodal Universe rows (Parquet)",
        hdus="columns spectrum with flux, lambda (wavelength), and object_id",
        **recognised(_is_table, lambda file: _missing(_names(file))),
        count=lambda file: file.sheets[0].nrows,
        read=_read_table,
        opens=TableFile,
        **_DECLARED,
    )
)
