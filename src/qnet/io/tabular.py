"""Spectra of columns: of tables in memory, and of tables and images in files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray, as_numbers
from qnet.core.errors import InputError, warn
from qnet.core.spectra import Spectra
from qnet.io.columns import filled, id_columns, is_integer_id, unit_text
from qnet.io.objects.arrays import one_camera, target_ids
from qnet.io.objects.ragged import is_ragged, rectangular
from qnet.io.roles import ERRORS, Described, Roles, find_roles
from qnet.io.units import COMBINEREJ, check_loglam, to_wave

#: Bits of a mask that mark a pixel as bad.
_MASKS = {"mask": -1, "and_mask": COMBINEREJ}


def from_columns(
    columns: Mapping[str, Any],
    what: str,
    layout: str,
    air: bool,
    edges: bool | None,
    *,
    roles: Roles | None = None,
    units: Mapping[str, Any] | None = None,
    where: str = "",
    name: str = "arrays",
) -> Spectra:
    """Spectra of columns, as of a table; pixel columns may hold a list in each row.

    `roles` says what they hold, and `units` (by their names) in which units; else the columns do.
    """
    if roles is None:
        described = [Described(key, *_described(column)) for key, column in columns.items()]
        roles = find_roles(described, what)
    own = {key: getattr(column, "unit", None) for key, column in columns.items()}
    units = {key: unit for key, unit in own.items() if unit is not None} | dict(units or {})
    waves = roles.get("wave") or roles["loglam"]
    kind = next((kind for kind in ERRORS if kind in roles), None)
    errors = () if kind is None else (roles[kind],)
    masks = [roles[role] for role in _MASKS if role in roles]
    lists = {key: columns[key] for key in (waves, roles["flux"], *errors, *masks)}
    ragged = any(map(is_ragged, lists.values()))
    if ragged:
        columns = {**columns, **rectangular(lists, log="wave" not in roles)}
        # Lists of pandas may be floats, with NaN where a value is missing: that is all bits.
        if mask := roles.get("mask"):
            columns[mask] = columns[mask] != 0
        if mask := roles.get("and_mask"):
            columns[mask] = np.nan_to_num(columns[mask], nan=-1).astype(np.int64)
    wave = columns[waves]
    if "wave" not in roles:
        check_loglam(str(units.get(waves) or ""))
        wave = wave if ragged else to_wave(as_numbers(f"column {waves}", wave, unit=None))
    flux = columns[roles["flux"]]
    spectra = one_camera(
        wave,
        flux,
        columns[errors[0]] if errors else None,
        kind or "ivar",
        air,
        edges,
        wave_unit=units.get(waves) if "wave" in roles else "",
        flux_unit=units.get(roles["flux"]),
        weight_unit=units.get(errors[0]) if errors else None,
        bad=_masked(columns, roles, np.shape(flux)),
        where=where,
        name=name,
    )
    ids = _table_ids(columns if np.ndim(flux) == 2 else _of_spectrum(columns), roles)
    targetid = ids.pop("TARGETID", None)
    ids |= id_columns({key: ids[key] for key in ids if is_integer_id(key)}, None)
    texts = {key.upper(): unit_text(unit) for key, unit in units.items() if key.upper() in ids}
    return dataclasses.replace(
        spectra, ids={**target_ids(targetid, len(spectra)), **ids}, units=texts, layout=layout
    )


def _described(column: Any) -> tuple[Any, str, str]:
    """Unit, UCD and UTYPE of a column of astropy, where it has them."""
    meta = getattr(column, "meta", None)
    meta = meta if isinstance(meta, Mapping) else {}
    return getattr(column, "unit", None), str(meta.get("ucd", "")), str(meta.get("utype", ""))


def _table_ids(columns: Mapping[str, Any], roles: Roles) -> dict[str, AnyArray]:
    """One-dimensional columns of numbers or text that are no pixels; others with a warning."""
    target = roles.get("targetid", "")
    names = {name: "TARGETID" if name == target else name.upper() for name in columns}
    pixels = {name for role, name in roles.items() if role != "targetid"}
    flat = {
        name: getattr(getattr(column, "dtype", None), "kind", "-")
        for name, column in columns.items()
        if (len(getattr(column, "shape", ())) == 1 or names[name] == "TARGETID")
        and name not in pixels
    }
    # Whatever TARGETID holds is an id.
    kept = [name for name in flat if flat[name] in "iufbSU" or names[name] == "TARGETID"]
    ids = {names[name]: filled(columns[name], names[name]) for name in kept}
    taken = {*ids, *(name.upper() for name in pixels)}
    if left := [name for name in flat if names[name] not in taken]:
        warn(f"columns {left} are left out: only numbers and text are carried on")
    return ids


def _of_spectrum(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Of the columns of one spectrum its scalars, and the TARGETID that all pixels share."""
    kept = {}
    for name, column in columns.items():
        if np.ndim(column) == 0:
            kept[name] = np.atleast_1d(np.asanyarray(column))
        elif name.upper() == "TARGETID" and len(np.unique(filled(column, name))) == 1:
            kept[name] = column[:1]
    return kept


def _masked(columns: Mapping[str, Any], roles: Roles, shape: tuple[int, ...]) -> BoolArray:
    """Pixels that the mask columns of a table mark as bad; with a warning of those left unread."""
    bad, used = np.zeros(shape, dtype=bool), {"or_mask", "ormask"}
    for kind, bits in _MASKS.items():
        if (name := roles.get(kind)) is None:
            continue
        values = filled(columns[name], name)
        if values.dtype.kind == "f" and not (values != np.floor(values)).any():
            values = values.astype(np.int64)  # bits as floats, as LAMOST has them
        if values.dtype.kind not in "iub":
            raise InputError(f"column {name} must hold integers or booleans, not {values.dtype}")
        if values.shape == shape:
            bad |= (values.astype(np.int64) & bits) != 0
            used.add(name.lower())
    unread = [
        name
        for name, column in columns.items()
        if "mask" in name.lower() and name.lower() not in used
        if name in roles.values() or np.shape(column) == shape
    ]
    if unread:
        warn(
            f"columns {unread} are not read: a mask was expected as the column mask (bad where it "
            "is not 0) or and_mask (SDSS's bits), of the shape of flux"
        )
    return bad
