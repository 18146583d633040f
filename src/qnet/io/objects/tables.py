"""Spectra from tables: of astropy, and mappings of columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from qnet.core.arguments import check_arguments, has_attributes
from qnet.core.arrays import AnyArray, BoolArray, as_numbers
from qnet.core.errors import InputError, warn
from qnet.core.guards import foreign_faults
from qnet.core.spectra import Spectra
from qnet.io.columns import filled, id_columns, is_integer_id, unit_text
from qnet.io.objects.arrays import one_camera, target_ids
from qnet.io.objects.kind import ObjectKind
from qnet.io.objects.ragged import is_ragged, rectangular
from qnet.io.readers.sdss import COMBINEREJ, to_wave
from qnet.io.units import check_loglam

#: Names of table columns, in any letter case, by what they hold; best first.
_TABLE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "wave": ("wave", "wavelength", "lambda", "spectral_axis"),
    "loglam": ("loglam",),
    "flux": ("flux",),
    "ivar": ("ivar",),
    "std": ("error", "flux_error", "err", "sigma", "uncertainty"),
    "var": ("variance", "var", "flux_var"),
    "mask": ("mask",),
    "and_mask": ("and_mask",),
}


def is_pixels(name: str) -> bool:
    """Whether a column of this name holds pixels."""
    return any(name.lower() in names for names in _TABLE_COLUMNS.values())


def is_table(value: Any) -> bool:
    """Whether an object looks like an astropy Table."""
    return has_attributes(value, "colnames", "columns")


def table_columns(name: str, table: Any) -> dict[str, Any]:
    """The columns of the astropy Table `name` by their names; InputError where it is none."""
    with foreign_faults(name, table, "an astropy Table"):
        # Arrays with named fields have their names in the dtype.
        names = table.colnames if hasattr(table, "colnames") else table.dtype.names
        return {str(column): table[column] for column in names}


def from_table(table: Any, *, air: bool = False, edges: bool | None = None) -> Spectra:
    """Spectra from an astropy Table: a row per spectrum, or one spectrum with a row per pixel.

    Parameters
    ----------
    table : astropy.table.Table
        Columns, in any letter case: wave, wavelength or lambda (or loglam); flux; ivar, or an error
        (error, flux_error, err, sigma), or a variance (variance, var, flux_var). With a flux of
        (nspec, npix) a row is a spectrum, and further one-dimensional columns are carried as ids
        (TARGETID, THING_ID, ...); with a flux of (npix,) a row is a pixel. Masked values have no
        weight, nor have pixels with a non-zero mask or with the COMBINEREJ bit of and_mask, where
        there are such columns; a masked id is -1.
    air, edges
        As in `from_arrays`.

    Returns
    -------
    Spectra

    Raises
    ------
    InputError
        A column is missing or has an unexpected shape or unit.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from qnet.io import from_table
    >>> wave = np.linspace(3600, 9800, 4000)
    >>> table = Table({"wave": wave, "flux": np.ones(4000), "error": np.full(4000, 0.5)})
    >>> spectra = from_table(table)
    >>> spectra
    <Spectra: 1 spectra, astropy Table; arrays (4000 pixels)>
    >>> float(spectra.cameras[0].ivar[0, 0])
    4.0
    """
    check_arguments(from_table, locals())
    return from_columns(table_columns("table", table), "table", "astropy Table", air, edges)


def from_columns(
    columns: Mapping[str, Any], what: str, layout: str, air: bool, edges: bool | None
) -> Spectra:
    """Spectra of columns, as of a table; pixel columns may hold a list in each row."""
    found = _find_columns(columns, what)
    if found["wave"]:
        found["loglam"] = None
    pixels = [name for name in found.values() if name is not None]
    ragged = any(is_ragged(columns[name]) for name in pixels)
    if ragged:
        lists = {name: columns[name] for name in pixels}
        columns = {**columns, **rectangular(lists, log=not found["wave"])}
        # Lists of pandas may be floats, with NaN where a value is missing: that is all bits.
        if found["mask"]:
            columns[found["mask"]] = columns[found["mask"]] != 0
        if found["and_mask"]:
            bits = np.nan_to_num(columns[found["and_mask"]], nan=-1)
            columns[found["and_mask"]] = bits.astype(np.int64)
    if found["wave"] or ragged:
        wave = columns[pixels[0]]
    else:
        loglam = columns[str(found["loglam"])]
        check_loglam(str(getattr(loglam, "unit", None) or ""))
        wave = to_wave(as_numbers("column loglam", loglam, unit=None))
    kind = next(kind for kind in ("ivar", "std", "var") if found[kind])
    flux, weights = columns[str(found["flux"])], columns[str(found[kind])]
    spectra = one_camera(wave, flux, weights, kind, air, edges)
    (camera,) = spectra.cameras
    ids = _table_ids(columns if np.ndim(flux) == 2 else _of_spectrum(columns), found)
    targetid = ids.pop("TARGETID", None)
    ids |= id_columns({name: ids[name] for name in ids if is_integer_id(name)}, None)
    masked = np.reshape(_masked(columns, found, np.shape(flux)), camera.ivar.shape)
    ivar = np.where(masked, camera.ivar.dtype.type(0), camera.ivar)
    units = {
        name.upper(): unit_text(column.unit)
        for name, column in columns.items()
        if name.upper() in ids and getattr(column, "unit", None) is not None
    }
    return dataclasses.replace(
        spectra,
        cameras=(dataclasses.replace(camera, ivar=ivar),),
        ids={**target_ids(targetid, len(spectra)), **ids},
        units=units,
        layout=layout,
    )


def _find_columns(columns: Mapping[str, Any], what: str) -> dict[str, str | None]:
    """Names of the columns of pixels by what they hold."""
    names = {name.lower(): name for name in columns}
    if twice := [name for name in columns if names[name.lower()] != name]:
        also = [names[name.lower()] for name in twice]
        raise InputError(
            f"columns {twice} and {also} of the {what} have one name but for letter case"
        )
    found = {
        kind: next((names[name] for name in candidates if name in names), None)
        for kind, candidates in _TABLE_COLUMNS.items()
    }
    for kinds in (("wave", "loglam"), ("flux",), ("ivar", "std", "var")):
        if not any(found[kind] for kind in kinds):
            legal = [name for kind in kinds for name in _TABLE_COLUMNS[kind]]
            raise InputError(
                f"the {what} lacks a column named one of {legal}; it has {list(columns)}"
            )
    return found


def _table_ids(columns: Mapping[str, Any], found: Mapping[str, str | None]) -> dict[str, AnyArray]:
    """One-dimensional columns of numbers or text that are no pixels; others with a warning."""
    flat = {
        name: getattr(getattr(column, "dtype", None), "kind", "-")
        for name, column in columns.items()
        if (len(getattr(column, "shape", ())) == 1 or name.upper() == "TARGETID")
        and name not in found.values()
    }
    # Whatever TARGETID holds is an id.
    kept = [name for name in flat if flat[name] in "iufbSU" or name.upper() == "TARGETID"]
    ids = {name.upper(): filled(columns[name], name.upper()) for name in kept}
    taken = {*ids, *(name.upper() for name in found.values() if name)}
    if left := [name for name in flat if name.upper() not in taken]:
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


def _masked(
    columns: Mapping[str, Any], found: Mapping[str, str | None], shape: tuple[int, ...]
) -> BoolArray:
    """Pixels that the mask columns of a table mark as bad; with a warning of those left unread."""
    bad, used = np.zeros(shape, dtype=bool), {"or_mask", "ormask"}
    for kind, bits in (("mask", -1), ("and_mask", COMBINEREJ)):
        if (name := found[kind]) is None:
            continue
        values = filled(columns[name], name)
        if values.dtype.kind not in "iub":
            raise InputError(f"column {name} must hold integers or booleans, not {values.dtype}")
        if values.shape == shape:
            bad |= (values.astype(np.int64) & bits) != 0
            used.add(name.lower())
    unread = [
        name
        for name, column in columns.items()
        if "mask" in name.lower() and name.lower() not in used
        if name in found.values() or np.shape(column) == shape
    ]
    if unread:
        warn(
            f"columns {unread} are not read: a mask was expected as the column mask (bad where it "
            "is not 0) or and_mask (SDSS's bits), of the shape of flux"
        )
    return bad


def _is_mapping(value: Any) -> bool:
    """Whether an object is a mapping of columns: of flux and wavelengths."""
    if not isinstance(value, Mapping):
        return False
    with foreign_faults("spectra", value, "a mapping of columns"):
        names = {str(name).lower() for name in value}
    waves = {*_TABLE_COLUMNS["wave"], *_TABLE_COLUMNS["loglam"]}
    return "flux" in names and not waves.isdisjoint(names)


def _from_mapping(value: Any, air: bool, edges: bool | None) -> Spectra:
    """Spectra of a mapping of columns."""
    with foreign_faults("spectra", value, "a mapping of columns"):
        columns = {str(name): value[name] for name in value}
    return from_columns(columns, "mapping", "mapping of arrays", air, edges)


TABLE = ObjectKind(
    name="astropy Table",
    module="astropy",
    given="a row per spectrum, or a row per pixel of one spectrum",
    targetid="the column TARGETID, else the row number",
    detect=is_table,
    read=lambda value, air, edges: from_table(value, air=air, edges=edges),
    air=True,
)

MAPPING = ObjectKind(
    name="mapping of arrays",
    given="columns as those of a table, by their names",
    targetid="TARGETID, else the row number",
    detect=_is_mapping,
    read=_from_mapping,
    air=True,
)
