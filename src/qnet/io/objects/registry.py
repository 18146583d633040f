"""The register of kinds of objects in memory that are taken as spectra."""

from __future__ import annotations

import dataclasses
from typing import Any

from qnet.core.errors import InputError
from qnet.core.spectra import Spectra
from qnet.io.objects import (
    arrays,
    desispec,
    frames,
    hdulist,
    sparcl,
    spectra,
    specutils,
    tables,
)
from qnet.io.objects.kind import ObjectKind

#: The kinds; the first that fits is taken, of the object's own module where there is one.
KINDS: tuple[ObjectKind, ...] = (
    spectra.SPECTRA,
    desispec.SPECTRA,
    desispec.FRAME,
    sparcl.RESULT,
    sparcl.RECORD,
    specutils.SPECTRUM,
    frames.DATAFRAME,
    hdulist.HDULIST,
    tables.TABLE,
    tables.MAPPING,
    arrays.TUPLE,
)


def find_kind(value: Any) -> ObjectKind | None:
    """The kind of an object; None for one of no kind."""
    found = [kind for kind in KINDS if kind.detect(value)]
    modules = {cls.__module__.partition(".")[0] for cls in type(value).__mro__}
    return next((kind for kind in found if kind.module in modules), next(iter(found), None))


def read_object(
    kind: ObjectKind, value: Any, air: bool, edges: bool | None, *, first: int | None = None
) -> Spectra:
    """The spectra of an object, in vacuum; `first` is the row number where several are joined."""
    if air and not kind.air:
        legal = ", ".join(other.name for other in KINDS if other.air)
        raise InputError(f"air=True is for arrays and {legal}, not for a {kind.name}")
    own = edges if kind.air else None
    if first is None or kind.join is None:
        found = kind.read(value, air, own)
    else:
        found = kind.join(value, first, air, own)
    if edges is None or kind.air:
        return found
    cameras = tuple(dataclasses.replace(camera, edges=edges) for camera in found.cameras)
    return dataclasses.replace(found, cameras=cameras)
