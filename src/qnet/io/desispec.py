"""Spectra from desispec's objects, recognised by what they can do: desispec is not imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qnet.core.arguments import has_attributes
from qnet.core.arrays import AnyArray, as_numbers
from qnet.core.errors import InputError
from qnet.core.guards import foreign_faults
from qnet.core.spectra import SURVEY_FLUX_UNIT, Camera, Spectra
from qnet.io.columns import filled
from qnet.io.memory import table_columns
from qnet.io.readers.desi import (
    cameras_fault,
    complete_ids,
    dependency_cards,
    id_names,
    row_flags,
)

_EXPECTED = "a desispec Spectra, with wave, flux and ivar of each band"


def is_desispec(value: Any) -> bool:
    """Whether an object looks like a desispec Spectra."""
    return has_attributes(value, "bands", "wave", "flux", "ivar", "fibermap")


def from_desispec(value: Any) -> Spectra:
    """Spectra from a desispec Spectra, as `read_spectra` reads the file of it."""
    with foreign_faults("spectra", value, _EXPECTED):
        bands = list(value.bands)
        pixels = [[getattr(value, name)[b] for b in bands] for name in ("wave", "flux", "ivar")]
        mask, fibermap = getattr(value, "mask", None), value.fibermap
        masks = [None] * len(bands) if mask is None else [mask[band] for band in bands]
        header = dict(getattr(value, "meta", None) or {})
    names = [str(band).upper() for band in bands]
    if fault := cameras_fault(names):
        raise InputError(f"spectra: the object {fault}")
    parts = zip(names, *pixels, masks, strict=True)
    cameras = tuple(_camera(*part) for part in parts)
    nspec = len(cameras[0].flux) if cameras else 0
    ids = _ids(fibermap, header, nspec)
    return Spectra(
        cameras=cameras,
        ids=ids,
        flag=row_flags(ids, names),
        survey="DESI",
        layout="desispec Spectra",
        flux_unit=SURVEY_FLUX_UNIT,
        cards=dependency_cards(header),
    )


def _camera(name: str, wave: Any, flux: Any, ivar: Any, mask: Any) -> Camera:
    """A camera, masked pixels with ivar 0."""
    camera = Camera(name, wave, flux, ivar)
    if mask is None:
        return camera
    masked = as_numbers(f"mask of band {name}", mask, kinds="iub") != 0
    weights = np.where(masked, camera.ivar.dtype.type(0), camera.ivar)
    return Camera(name, camera.wave, camera.flux, weights)


def _ids(fibermap: Any, header: dict[str, Any], nspec: int) -> dict[str, AnyArray]:
    """Columns of the fibermap and cards of the headers that a catalogue carries."""
    if fibermap is None:
        return {"TARGETID": np.arange(nspec)}
    columns = table_columns("fibermap", fibermap)
    columns = {name.upper(): column for name, column in columns.items()}
    ids = {name: filled(columns[name], name) for name in id_names(list(columns))}
    own = getattr(fibermap, "meta", None)
    headers = (header, own if isinstance(own, Mapping) else {})
    return complete_ids(ids, headers, nspec, "the fibermap", None)
