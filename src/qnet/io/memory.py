"""Spectra from arrays and astropy tables, with and without units."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments, has_attributes
from qnet.core.arrays import (
    AnyArray,
    BoolArray,
    FloatArray,
    as_floats,
    as_numbers,
    unmasked,
)
from qnet.core.errors import InputError, warn
from qnet.core.grid import QUASARNET_GRID, QUASARNET_LINEAR_GRID, WavelengthGrid
from qnet.core.guards import foreign_faults
from qnet.core.spectra import SURVEY_FLUX_UNIT, Camera, Spectra
from qnet.io.columns import filled, id_columns, is_integer_id, unit_text
from qnet.io.readers.sdss import COMBINEREJ, to_wave
from qnet.io.units import check_loglam, is_flux, vacuum_camera

#: Names of table columns, in any letter case, by what they hold; best first.
_TABLE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "wave": ("wave", "wavelength", "lambda", "spectral_axis"),
    "loglam": ("loglam",),
    "flux": ("flux",),
    "ivar": ("ivar",),
    "std": ("error", "flux_error", "err", "sigma", "uncertainty"),
    "mask": ("mask",),
    "and_mask": ("and_mask",),
}

#: Grids whose wavelengths may be left edges: a warning where `edges` is not given.
QUASARNET_GRIDS = (QUASARNET_GRID, QUASARNET_LINEAR_GRID)

#: Power of the flux unit that the unit of inverse variance, variance and standard deviation is.
_POWERS = {"ivar": -2, "var": 2, "std": 1}


def from_arrays(
    wave: Any,
    flux: Any,
    ivar: Any,
    *,
    targetid: npt.ArrayLike | None = None,
    air: bool = False,
    edges: bool | None = None,
) -> Spectra:
    """Spectra from plain arrays.

    Parameters
    ----------
    wave : array_like or Quantity, shape (npix,) or (nspec, npix)
        Vacuum wavelengths, increasing: plain numbers in Angstrom; a Quantity is converted.
    flux : array_like or Quantity, shape (nspec, npix) or (npix,)
        Flux density per wavelength, in any scale. NaN and masked values have no weight.
    ivar : array_like or Quantity, the shape of `flux`
        Inverse variance of `flux`; plain numbers are in the unit of `flux`. NaN, masked values and
        values <= 0 have no weight.
    targetid : array_like of int or str, shape (nspec,), optional
        Ids; the row numbers when None. One that is no integer gives TARGETID -1, with a warning,
        and its text is TARGET_NAME.
    air : bool
        The wavelengths are in air: convert them to vacuum.
    edges : bool, optional
        Whether `wave` is the left edges of the pixels, as of a network's grid
        (`WavelengthGrid.wave`, the output of `qnet.preprocess.rebin`), or their centres. Centres
        when None, with a warning where `wave` is one of QuasarNET's grids.

    Returns
    -------
    Spectra

    Raises
    ------
    InputError
        Shapes disagree, wavelengths do not increase, a unit cannot be converted, or ids are floats
        so large that they may have lost digits.

    Warns
    -----
    QnetWarning
        The wavelengths are those of a grid and `edges` is None.

    Examples
    --------
    >>> import numpy as np
    >>> import qnet
    >>> from qnet.io import from_arrays
    >>> wave = np.linspace(3600, 9800, 4000)
    >>> flux, ivar = np.ones((2, 4000)), np.full((2, 4000), 4.0)
    >>> from_arrays(wave, flux, ivar, targetid=[7, 8])
    <Spectra: 2 spectra, arrays; arrays (4000 pixels)>

    Spectra that were rebinned to a grid, whose wavelengths are left edges:

    >>> grid = qnet.WavelengthGrid.log(3600, 9800, 1e-3)
    >>> rebinned = qnet.preprocess.rebin(wave, flux, ivar, grid)
    >>> from_arrays(grid.wave, *rebinned, targetid=[7, 8], edges=True).cameras[0].edges
    True
    """
    check_arguments(from_arrays, locals())
    if flux is None or ivar is None:
        raise InputError("flux and ivar must be given with wave")
    return _spectra(wave, *flux_and_ivar(flux, ivar, "ivar"), targetid, air, edges)


def _spectra(
    wave: Any,
    flux: AnyArray,
    ivar: AnyArray,
    flux_unit: str,
    targetid: npt.ArrayLike | None,
    air: bool,
    edges: bool | None,
) -> Spectra:
    """Spectra of one camera; ids are row numbers where there are none."""
    flux, ivar = np.atleast_2d(flux), np.atleast_2d(ivar)
    camera = make_camera("arrays", angstrom(wave), flux, ivar, air, edges)
    return Spectra(cameras=(camera,), ids=target_ids(targetid, len(flux)), flux_unit=flux_unit)


def make_camera(
    name: str, wave: FloatArray, flux: AnyArray, ivar: AnyArray, air: bool, edges: bool | None
) -> Camera:
    """A camera, its wavelengths in vacuum; with a warning where they may be left edges."""
    if edges is None:
        warn_if_edges(wave, QUASARNET_GRIDS)
    camera = Camera(name, wave, flux, ivar, bool(edges))
    return vacuum_camera(camera) if air else camera


def warn_if_edges(
    wave: FloatArray, grids: Sequence[WavelengthGrid], *, but: Sequence[WavelengthGrid] = ()
) -> None:
    """Warn where wavelengths are the left edges of one of some grids, and of none of others."""

    def of(grid: WavelengthGrid) -> bool:
        return wave.shape[-1:] == (grid.npix,) and np.allclose(wave, grid.wave, rtol=1e-6, atol=0)

    grid = next(filter(of, grids), None)
    if grid is not None and not any(map(of, but)):
        warn(
            f"the wavelengths are those of a network's grid ({grid}), which are the left edges of "
            "its pixels, but they are taken as centres: give edges=True where they are edges, "
            "edges=False where they are centres"
        )


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
        (error, flux_error, err, sigma). With a flux of (nspec, npix) a row is a spectrum, and
        further one-dimensional columns are carried as ids (TARGETID, THING_ID, ...); with a flux of
        (npix,) a row is a pixel. Masked values have no weight, nor have pixels with a non-zero mask
        or with the COMBINEREJ bit of and_mask, where there are such columns; a masked id is -1.
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
    columns = table_columns("table", table)
    names = {name.lower(): name for name in columns}
    if twice := [name for name in columns if names[name.lower()] != name]:
        also = [names[name.lower()] for name in twice]
        raise InputError(
            f"columns {twice} and {also} of the table have one name but for letter case"
        )
    found = {
        kind: next((names[name] for name in candidates if name in names), None)
        for kind, candidates in _TABLE_COLUMNS.items()
    }
    for kinds in (("wave", "loglam"), ("flux",), ("ivar", "std")):
        if not any(found[kind] for kind in kinds):
            legal = [name for kind in kinds for name in _TABLE_COLUMNS[kind]]
            raise InputError(
                f"the table lacks a column named one of {legal}; it has {list(columns)}"
            )
    if found["wave"]:
        wave = columns[found["wave"]]
    else:
        loglam = columns[str(found["loglam"])]
        check_loglam(str(getattr(loglam, "unit", None) or ""))
        wave = to_wave(as_numbers("column loglam", loglam, unit=None))
    kind = "ivar" if found["ivar"] else "std"
    flux, ivar, unit = flux_and_ivar(columns[str(found["flux"])], columns[str(found[kind])], kind)
    ids = _table_ids(columns, found) if flux.ndim == 2 else {}
    targetid = ids.pop("TARGETID", None)
    ids |= id_columns({name: ids[name] for name in ids if is_integer_id(name)}, None)
    ivar = np.where(_masked(columns, found, ivar.shape), ivar.dtype.type(0), ivar)
    spectra = _spectra(wave, flux, ivar, unit, targetid, air, edges)
    units = {
        name.upper(): unit_text(column.unit)
        for name, column in columns.items()
        if name.upper() in ids and getattr(column, "unit", None) is not None
    }
    return dataclasses.replace(
        spectra, ids={**spectra.ids, **ids}, units=units, layout="astropy Table"
    )


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


def target_ids(targetid: Any, nspec: int) -> dict[str, AnyArray]:
    """TARGETID and TARGET_NAME; the row numbers where there are no ids."""
    if targetid is None:
        return {"TARGETID": np.arange(nspec, dtype=np.int64)}
    ids = np.atleast_1d(filled(targetid, "TARGETID"))
    if len(ids) != nspec:
        raise InputError(f"targetid must be {nspec} ids, not of shape {ids.shape}")
    return id_columns({"TARGETID": ids}, None)


def _plain(values: Any, name: str) -> tuple[AnyArray, Any, BoolArray | None]:
    """Numbers, masked ones included, unit and mask of an array, Quantity or table column."""
    with foreign_faults(name, values, "a rectangular array of numbers"):
        numbers, mask = unmasked(values)
        return numbers, getattr(values, "unit", None), mask


def angstrom(wave: Any) -> FloatArray:
    """Wavelengths [Angstrom] of wavelengths, frequencies or energies; plain ones as they are."""
    numbers, unit = as_floats("wave", wave, unit=None), getattr(wave, "unit", None)
    if unit is None:
        return numbers
    from astropy import units

    try:
        quantity = units.Quantity(numbers, unit)
        with np.errstate(divide="ignore"):  # of no energy or frequency: an infinite wavelength
            return np.asarray(quantity.to_value(units.AA, equivalencies=units.spectral()))
    except (units.UnitsError, TypeError, ValueError) as error:
        raise InputError(f"wave has unit {unit}, which is no wavelength") from error


def flux_and_ivar(
    flux: Any, weights: Any, kind: str, weight_unit: Any = None
) -> tuple[AnyArray, AnyArray, str]:
    """Flux, its inverse variance and their unit, from 'ivar', 'var' or 'std'; masked: ivar 0."""
    numbers, unit, mask = _plain(flux, "flux")
    weights, own_unit, weight_mask = _plain(weights, kind)
    weight_unit = own_unit if weight_unit is None else weight_unit
    if unit is not None and not is_flux(unit):
        raise InputError(
            f"flux has unit {unit}, but flux per wavelength was expected, such as "
            f"{SURVEY_FLUX_UNIT}: convert it, or give plain numbers"
        )
    if weight_unit is not None and unit is None:
        raise InputError(f"{kind} has unit {weight_unit}, but flux has none")
    if kind not in _POWERS:
        raise InputError(f"uncertainty of type {kind!r} is not one of 'ivar', 'var', 'std'")
    if weight_unit is not None:
        expected = unit ** _POWERS[kind]
        try:
            factor = weight_unit.to(expected)
        except Exception as error:
            raise InputError(
                f"{kind} has unit {weight_unit}, but flux has {unit}: expected {expected}"
            ) from error
        if factor != 1:
            weights = weights.astype(np.float64) * factor
    if kind != "ivar":
        weights = _inverse(weights, squared=kind == "std")
    for masked in (mask, weight_mask):
        if masked is not None and masked.shape == weights.shape:
            weights = np.where(masked, weights.dtype.type(0), weights)
    return numbers, weights, "" if unit is None else str(unit)


def _inverse(spread: AnyArray, *, squared: bool) -> FloatArray:
    """Inverse variance of a variance, or of a deviation; 0 where that is not positive."""
    values = spread.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        variance = np.square(values) if squared else values
        return np.asarray(np.where((values > 0) & (variance > 0), 1.0 / variance, 0.0))
