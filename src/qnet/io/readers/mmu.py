"""Spectra of the Multimodal Universe: rows of a catalogue with the spectrum of each, in HDF5.

The Multimodal Universe Collaboration 2024 (arXiv:2412.02527) and its scripts of desi, sdss and
lamost: data sets spectrum_flux, spectrum_ivar, spectrum_lambda (nspec, npix) and spectrum_mask,
which is True in bad pixels; object_id, ra and dec. Shorter spectra are padded with wavelength -1,
ivar 0 and mask True. LAMOST's have flux and spectrum_wavelength only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray
from qnet.core.spectra import Spectra
from qnet.io.columns import id_columns, is_integer_id
from qnet.io.hdf5 import Hdf5File
from qnet.io.pixels import Pixels, make_spectra
from qnet.io.readers.registry import Reader, Request, recognised, register

#: Names of wavelengths, flux and what may be beside them, without the prefix.
_WAVES, _FLUX, _IVAR, _MASK = ("lambda", "wavelength"), "flux", "ivar", "mask"

#: Columns of the catalogue that are ids, by the catalogue's names for them.
_IDS = {"object_id": "TARGETID", "ra": "TARGET_RA", "dec": "TARGET_DEC"}


def _parts(names: Iterable[str]) -> dict[str, str]:
    """Columns of the spectra among some names, by what they hold."""
    have = {name.lower(): name for name in names}
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


def _fault(file: Hdf5File) -> str:
    """What is wrong with a file that has a spectrum_flux."""
    parts = _parts(file.columns)
    if "wave" not in parts:
        ends = " (spectrum_lambda_min and _max of early versions do not suffice)"
        return "lacks the data set spectrum_lambda" + ends * ("spectrum_lambda_min" in file.columns)
    if "TARGETID" not in (ids := _ids(file.columns)):
        return "lacks the data set object_id"
    shapes = {name: file.columns[name].shape for name in parts.values()}
    if len(set(shapes.values())) > 1 or len(shapes[parts["flux"]]) != 2:
        return f"holds data sets of shapes {shapes}, but one of (nspec, npix) was expected"
    nspec = shapes[parts["flux"]][0]
    lengths = {name: file.columns[name].shape[:1] for name in ids.values()}
    if wrong := [name for name, length in lengths.items() if length != (nspec,)]:
        return f"holds {nspec} spectra, but another number of {', '.join(wrong)}"
    return ""


def _read(files: Sequence[Hdf5File], request: Request) -> Spectra:
    """Read rows of a file."""
    (file,) = files
    parts, ids = _parts(file.columns), _ids(file.columns)
    columns = file.read([*parts.values(), *ids.values()], request.rows)
    spectra = {part: columns[name] for part, name in parts.items()}
    return make_rows(spectra, {name: columns[column] for name, column in ids.items()}, file.path)


def make_rows(spectra: Mapping[str, AnyArray], ids: Mapping[str, AnyArray], path: Path) -> Spectra:
    """Spectra of arrays (nspec, npix) 'wave', 'flux', perhaps 'ivar' and 'mask', with padding."""
    wave, mask = spectra["wave"], spectra.get("mask")
    with np.errstate(invalid="ignore"):
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


register(
    Reader(
        name="Multimodal Universe rows (HDF5)",
        survey="Multimodal Universe",
        hdus="data sets spectrum_flux, spectrum_lambda (spectrum_wavelength), object_id",
        targetid="object_id; -1, with its text in TARGET_NAME, where it is no integer",
        wavelengths="vacuum, centres",
        no_weight="pixels whose spectrum_mask is True, or whose wavelength is not positive",
        **recognised(lambda file: "flux" in _parts(file.columns), _fault),
        count=lambda file: file.columns[_parts(file.columns)["flux"]].shape[0],
        read=_read,
        whole=False,
        ids=("TARGETID", "TARGET_NAME", "TARGET_RA", "TARGET_DEC", "integer ids of the survey"),
        opens=Hdf5File,
    )
)
