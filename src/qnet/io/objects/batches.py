"""Objects in memory, one or many, as batches of spectra."""

from __future__ import annotations

import dataclasses
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from qnet.core.errors import InputError, first_few, type_name
from qnet.core.files import is_path
from qnet.core.grid import WavelengthGrid
from qnet.core.guards import foreign_faults
from qnet.core.spectra import Spectra
from qnet.io.objects.arrays import QUASARNET_GRIDS, from_arrays, warn_if_edges
from qnet.io.objects.kind import ObjectKind, each
from qnet.io.objects.registry import KINDS, find_kind, read_object


class Batch(NamedTuple):
    """Spectra, and the number of the input that they are of."""

    number: int
    spectra: Spectra


def as_source(source: Any) -> tuple[Any, bool]:
    """The source, and whether it is spectra in memory; an iterator that was asked goes on."""
    if isinstance(source, (bytes, str, os.PathLike)):
        return source, False
    if isinstance(source, Mapping) or find_kind(source) is not None:
        return source, True
    if isinstance(source, np.ndarray) and source.dtype.kind not in "USO":
        return source, True
    if isinstance(source, Sequence):
        paths = any(isinstance(x, bytes) or is_path(x) for x in source)
        return source, len(source) > 0 and not paths
    if not isinstance(source, Iterable):
        return source, True
    with foreign_faults("source", source, "paths or objects with spectra"):
        items = iter(source.flat if isinstance(source, np.ndarray) else source)
        first = list(itertools.islice(items, 1))
    if not first or isinstance(first[0], bytes) or is_path(first[0]):
        return itertools.chain(first, items) if items is source else source, False
    return itertools.chain(first, items), True


def read_batches(
    source: Any,
    *,
    air: bool = False,
    edges: bool | None = None,
    grid: WavelengthGrid | None = None,
    nrows: int = sys.maxsize,
) -> Iterator[Batch]:
    """Spectra of an object, or of those of a list or a generator, `nrows` at a time at most.

    Objects of one spectrum each that follow one another are one input, others each one of its own.
    """
    if (kind := find_kind(source)) is not None:
        yield Batch(0, _checked(read_object(kind, source, air, edges), source, edges, grid))
        return
    if isinstance(source, (Mapping, np.ndarray)) or not isinstance(source, Iterable):
        raise _unknown(source)
    number = first = 0
    before: ObjectKind | None = None
    for kind, items in _groups(source, nrows):
        if before is not None and (kind is not before or kind.join is None):
            number, first = number + 1, 0
        value = items[0] if kind.join is None else items
        spectra = read_object(kind, value, air, edges, first=first)
        spectra = _checked(spectra, value, edges, grid)
        yield Batch(number, dataclasses.replace(spectra, row=spectra.row + np.int32(first)))
        before, first = kind, first + len(spectra)


def read_source(
    source: Any,
    flux: Any = None,
    ivar: Any = None,
    *,
    air: bool = False,
    edges: bool | None = None,
    grid: WavelengthGrid | None = None,
    nrows: int = sys.maxsize,
    **beside: Any,
) -> Iterator[Batch]:
    """`read_batches` of an object; or arrays, with what goes beside their flux."""
    given = [name for name, value in {"ivar": ivar, **beside}.items() if value is not None]
    if flux is None and not given:
        return read_batches(source, air=air, edges=edges, grid=grid, nrows=nrows)
    if find_kind(source) is not None:
        what = "targetid goes with arrays wave, flux and ivar: a table has a column TARGETID, "
        if flux is None and given == ["targetid"]:
            raise InputError(f"{what}Spectra have ids")
        names = " and ".join(["flux"] * (flux is not None) + given)
        raise InputError(f"{names} go with an array wave, not with a {type_name(source)}")
    spectra = from_arrays(source, flux, ivar, air=air, edges=edges, **beside)
    return iter([Batch(0, _checked(spectra, None, edges, grid))])


def _groups(source: Iterable[Any], nrows: int) -> Iterator[tuple[ObjectKind, list[Any]]]:
    """Objects that follow one another and are joined, and each other object by itself."""
    items = _checked_items(source)
    group: list[Any] = []
    before: ObjectKind | None = None
    for kind, item in items:
        if group and before is not None and (kind is not before or len(group) >= nrows):
            yield before, group
            group = []
        before = kind
        if kind.join is None:
            yield kind, [item]
        else:
            group.append(item)
    if group and before is not None:
        yield before, group


def _checked_items(source: Iterable[Any]) -> Iterator[tuple[ObjectKind, Any]]:
    """Each object with its kind; InputError where the source fails, or an object has none."""
    with foreign_faults("source", source, "a list or generator of objects with spectra"):
        items = each(source)
    for number in itertools.count():
        with foreign_faults("source", source, "a list or generator of objects with spectra"):
            item = next(items, _END)
        if item is _END:
            return
        if (kind := find_kind(item)) is None:
            raise _unknown(item, f"item {number} of the source is ")
        yield kind, item


_END = object()


def _unknown(value: Any, where: str = "") -> InputError:
    """The error that an object is of no kind."""
    if isinstance(value, np.ndarray) and not where:
        return InputError("an array of wavelengths must come with flux and ivar")
    kinds = ", ".join(kind.name for kind in KINDS)
    found = f"{where}a {type_name(value)}" if where else f"not {type_name(value)}"
    if isinstance(value, Mapping):
        with foreign_faults("spectra", value, "a mapping of columns"):
            found += f" without flux or wavelengths (its keys: {first_few(value)})"
    return InputError(
        f"spectra must be a path or a list of paths, arrays (wave, flux, ivar), one of {kinds}, or "
        f"a list or generator of these, {'but ' if where else ''}{found}"
    )


def _checked(
    spectra: Spectra, value: Any, edges: bool | None, grid: WavelengthGrid | None
) -> Spectra:
    """The spectra, with a warning where their wavelengths are left edges of a model's grid."""
    if edges is None and grid is not None and not spectra.cameras[0].edges:
        warned = () if spectra is value else QUASARNET_GRIDS
        warn_if_edges(spectra.cameras[0].wave, [grid], but=warned)
    return spectra
