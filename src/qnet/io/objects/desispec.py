"""Spectra from desispec's objects, recognised by what they can do: desispec is not imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qnet.core.arguments import has_attributes
from qnet.core.arrays import AnyArray, as_numbers
from qnet.core.errors import FileError, InputError
from qnet.core.guards import foreign_faults
from qnet.core.spectra import SURVEY_FLUX_UNIT, Camera, Spectra
from qnet.io.columns import filled, id_columns
from qnet.io.objects.kind import ObjectKind, by_attributes
from qnet.io.objects.tables import table_columns
from qnet.io.pixels import settle_flux
from qnet.io.readers.desi import (
    cameras_fault,
    complete_ids,
    dependency_cards,
    id_names,
    last_nights,
    row_flags,
)
from qnet.io.readers.registry import Frame, check_set
from qnet.io.units import Stated

_EXPECTED = "a desispec Spectra, with wave, flux and ivar of each band"


_FRAME = "a desispec Frame, with wave, flux and ivar of a camera"


def _is_frame(value: Any) -> bool:
    """Whether an object looks like a desispec Frame."""
    frame = has_attributes(value, "wave", "flux", "ivar", "mask", "fibermap", "meta")
    return frame and not has_attributes(value, "bands")


def _are_frames(value: Any) -> bool:
    """Whether an object is a dictionary of frames by band."""
    return isinstance(value, dict) and bool(value) and all(map(_is_frame, value.values()))


def from_desispec(value: Any) -> Spectra:
    """Spectra from a desispec Spectra, as `read_spectra` reads the file of it."""
    with foreign_faults("spectra", value, _EXPECTED):
        bands = list(value.bands)
        pixels = [[getattr(value, name)[b] for b in bands] for name in ("wave", "flux", "ivar")]
        mask, fibermap = getattr(value, "mask", None), value.fibermap
        masks = [None] * len(bands) if mask is None else [mask[band] for band in bands]
        header = dict(getattr(value, "meta", None) or {})
        exposures = getattr(value, "exp_fibermap", None)
    names = [str(band).upper() for band in bands]
    if fault := cameras_fault(names):
        raise InputError(f"spectra: the object {fault}")
    parts = zip(names, *pixels, masks, strict=True)
    cameras = tuple(_camera(*part) for part in parts)
    nspec = len(cameras[0].flux) if cameras else 0
    ids = _ids(fibermap, header, nspec)
    if exposures is not None and fibermap is not None and "LASTNIGHT" not in ids:
        columns = table_columns("exp_fibermap", exposures)
        if {"TARGETID", "NIGHT"} <= set(columns):
            ids["LASTNIGHT"] = last_nights(ids["TARGETID"], [columns], None)
    return Spectra(
        cameras=cameras,
        ids=ids,
        flag=row_flags(ids, names),
        survey="DESI",
        layout="desispec Spectra",
        flux_unit=SURVEY_FLUX_UNIT,
        cards=dependency_cards(header),
    )


def from_frames(frames: Mapping[str, Any]) -> Spectra:
    """Spectra of desispec Frames by band: cameras of one exposure, as from its cframes."""
    parts, found, stated, headers = [], [], [], []
    for band, frame in frames.items():
        with foreign_faults("spectra", frame, _FRAME):
            header = dict(frame.meta or {})
            parts.append((frame.wave, frame.flux, frame.ivar, frame.mask))
            ids = _ids(frame.fibermap, header, len(frame.flux))
        name = str(header.get("CAMERA") or band).strip().lower()
        where = f"frame {name}"
        targets = None if frame.fibermap is None else list(map(str, ids["TARGETID"].tolist()))
        found.append(Frame(where, header.get("EXPID"), name, len(ids["TARGETID"]), targets))
        stated.append(Stated(where, str(header.get("BUNIT", "") or "")))
        headers.append((header, ids))
    try:
        check_set(found)
    except FileError as error:
        raise InputError(f"spectra: {error}") from error
    header, ids = headers[0]
    names = [frame.camera[:1].upper() for frame in found]
    flag = row_flags(ids, names)
    if found[0].exposure is not None:
        ids["EXPID"] = id_columns({"EXPID": np.full(len(flag), found[0].exposure)}, None)["EXPID"]
    found_cameras = [_camera(name, *part) for name, part in zip(names, parts, strict=True)]
    cameras, unit = settle_flux(found_cameras, stated)
    return Spectra(
        cameras=cameras,
        ids=ids,
        flag=flag,
        survey="DESI",
        layout="desispec Frame",
        flux_unit=unit,
        cards=dependency_cards(header),
    )


def _numbered(frames: Sequence[Any]) -> Mapping[str, Any]:
    """Frames of a list by their numbers, which are names of those that have none."""
    return {str(number): frame for number, frame in enumerate(frames)}


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


SPECTRA = ObjectKind(
    name="desispec Spectra",
    module="desispec",
    given="bands, and wave, flux, ivar, mask by band; fibermap, meta",
    targetid="the fibermap, else the row number",
    detect=by_attributes("bands", "wave", "flux", "ivar", "fibermap"),
    read=lambda value, air, edges: from_desispec(value),
)

FRAME = ObjectKind(
    name="desispec Frame",
    module="desispec",
    given="a camera of an exposure; a list or a dictionary by band of those of one exposure",
    targetid="the fibermap, else the row number",
    detect=lambda value: _is_frame(value) or _are_frames(value),
    read=lambda value, air, edges: from_frames(
        value if isinstance(value, dict) else {"frame": value}
    ),
    join=lambda items, first, air, edges: from_frames(_numbered(items)),
)
