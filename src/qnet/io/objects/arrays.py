"""Spectra from arrays, with and without units."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, FloatArray, as_floats
from qnet.core.errors import InputError, warn
from qnet.core.grid import QUASARNET_GRID, QUASARNET_LINEAR_GRID, WavelengthGrid
from qnet.core.positions import POSITIONS
from qnet.core.spectra import Spectra, stack
from qnet.io.columns import filled, id_columns
from qnet.io.objects.kind import ObjectKind
from qnet.io.pixels import Pixels, angstrom, make_spectra

#: Grids whose wavelengths may be left edges: a warning where `edges` is not given.
QUASARNET_GRIDS = (QUASARNET_GRID, QUASARNET_LINEAR_GRID)

#: Arguments that hold the errors of the flux, as `Pixels` have their kinds.
_ERRORS: Mapping[str, str] = {"ivar": "ivar", "error": "std", "variance": "var"}


def from_arrays(
    wave: Any,
    flux: Any,
    ivar: Any = None,
    *,
    error: Any = None,
    variance: Any = None,
    targetid: npt.ArrayLike | None = None,
    ra: Any = None,
    dec: Any = None,
    air: bool = False,
    edges: bool | None = None,
) -> Spectra:
    """Spectra from plain arrays.

    Parameters
    ----------
    wave : array_like or Quantity, shape (npix,) or (nspec, npix)
        Vacuum wavelengths, increasing: plain numbers in Angstrom; a Quantity is converted.
    flux : array_like or Quantity, shape (nspec, npix) or (npix,)
        Flux density per wavelength, in any scale. A Quantity per frequency, as in Jy, nJy or AB
        maggies, is converted. NaN and masked values have no weight.
    ivar : array_like or Quantity, the shape of `flux`, optional
        Inverse variance of `flux`; plain numbers are in the unit of `flux`. NaN, masked values and
        values <= 0 have no weight. One of `ivar`, `error` and `variance` is needed.
    error, variance : array_like or Quantity, the shape of `flux`, optional
        Standard deviation of `flux`, or its square, instead of `ivar`.
    targetid : array_like of int or str, shape (nspec,), optional
        Ids; the row numbers when None. An id that is not an integer gives TARGETID -1, with a
        warning; its text is TARGET_NAME.
    ra, dec : array_like or Quantity, shape (nspec,), optional
        Positions [degree]: TARGET_RA and TARGET_DEC.
    air : bool
        The wavelengths are in air: convert them to vacuum.
    edges : bool, optional
        Whether `wave` holds the left edges of the pixels, as a network's grid does
        (`WavelengthGrid.wave`, the output of `qnet.preprocess.rebin`), or their centres. Centres
        when None, with a warning if `wave` is one of QuasarNET's grids.

    Returns
    -------
    Spectra

    Raises
    ------
    InputError
        Shapes disagree, wavelengths do not increase, a unit cannot be converted, or ids are floats
        that may have lost digits.

    Warns
    -----
    QnetWarning
        The wavelengths are those of a grid and `edges` is None.

    Notes
    -----
    Flux per frequency becomes f_lambda = f_nu c / lambda^2 in 1e-17 erg/s/cm2/A, and its inverse
    variance with it. A maggy is the flux of AB magnitude 0 (Oke & Gunn 1983, ApJ 266, 713).

    Examples
    --------
    >>> import numpy as np
    >>> import qnet
    >>> from qnet.io import from_arrays
    >>> wave = np.linspace(3600, 9800, 4000)
    >>> flux, ivar = np.ones((2, 4000)), np.full((2, 4000), 4.0)
    >>> from_arrays(wave, flux, ivar, targetid=[7, 8])
    <Spectra: 2 spectra, arrays; arrays (4000 pixels)>

    Flux per frequency, with standard deviations:

    >>> from astropy import units
    >>> fnu = from_arrays(wave, flux * units.uJy, error=0.5 * flux * units.uJy)
    >>> fnu.flux_unit
    '1e-17 erg / (s cm2 Angstrom)'
    >>> fnu.cameras[0].flux[0, [0, -1]].round(3)
    array([0.231, 0.031])

    Spectra that were rebinned to a grid, whose wavelengths are left edges:

    >>> grid = qnet.WavelengthGrid.log(3600, 9800, 1e-3)
    >>> rebinned = qnet.preprocess.rebin(wave, flux, ivar, grid)
    >>> from_arrays(grid.wave, *rebinned, targetid=[7, 8], edges=True).cameras[0].edges
    True
    """
    check_arguments(from_arrays, locals())
    given = {"ivar": ivar, "error": error, "variance": variance}
    errors = [name for name, values in given.items() if values is not None]
    if flux is None or len(errors) != 1:
        raise InputError(
            "flux and ivar must be given with wave, or error or variance instead of ivar; there is "
            f"{'no flux' if flux is None else ' and '.join(errors) or 'none of the three'}"
        )
    (name,) = errors
    spectra = one_camera(wave, flux, given[name], _ERRORS[name], air, edges)
    ids = target_ids(targetid, len(spectra)) | _positions(ra, dec, len(spectra))
    return dataclasses.replace(spectra, ids=ids)


def one_camera(
    wave: Any, flux: Any, weights: Any, kind: str, air: bool, edges: bool | None, **more: Any
) -> Spectra:
    """Spectra of one camera, with row numbers: of arguments of `Pixels`."""
    wave = angstrom(wave, more.pop("wave_unit", None), more.get("where", ""))
    if edges is None:
        warn_if_edges(wave, QUASARNET_GRIDS)
    pixels = Pixels(wave=wave, flux=flux, weights=weights, kind=kind, air=air, edges=bool(edges))
    return make_spectra([dataclasses.replace(pixels, **{"name": "arrays"} | more)])


def _positions(ra: Any, dec: Any, nspec: int) -> dict[str, AnyArray]:
    """Columns of positions; none where neither is given."""
    if (ra is None) != (dec is None):
        raise InputError("ra and dec must be given together")
    columns = {}
    for name, column, values in zip(("ra", "dec"), POSITIONS[0], (ra, dec), strict=True):
        if values is not None:
            columns[column] = np.atleast_1d(as_floats(name, values, unit="deg"))
            if columns[column].shape != (nspec,):
                shape = columns[column].shape
                raise InputError(f"{name} must be {nspec} angles, not of shape {shape}")
    return columns


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


def target_ids(targetid: Any, nspec: int) -> dict[str, AnyArray]:
    """TARGETID and TARGET_NAME; the row numbers where there are no ids."""
    if targetid is None:
        return {"TARGETID": np.arange(nspec, dtype=np.int64)}
    ids = np.atleast_1d(filled(targetid, "TARGETID"))
    if len(ids) != nspec:
        raise InputError(f"targetid must be {nspec} ids, not of shape {ids.shape}")
    return id_columns({"TARGETID": ids}, None)


def _is_triple(value: Any) -> bool:
    """Whether an object is a tuple of wavelengths, flux and ivar."""
    return (
        type(value) is tuple
        and len(value) == 3
        and all(isinstance(part, np.ndarray) and part.dtype.kind in "fiu" for part in value)
    )


def stack_rows(batches: Sequence[Spectra], first: int) -> Spectra:
    """One batch of several of one camera each, whose TARGETIDs are row numbers from `first`."""
    spectra = stack(batches)
    numbers = first + np.arange(len(spectra), dtype=np.int64)
    return dataclasses.replace(spectra, ids={"TARGETID": numbers})


def _join(items: Sequence[Any], first: int, air: bool, edges: bool | None) -> Spectra:
    """Spectra of several tuples, each of one or more."""
    return stack_rows([from_arrays(*item, air=air, edges=edges) for item in items], first)


TUPLE = ObjectKind(
    name="tuple (wave, flux, ivar) of arrays",
    given="three arrays, of one spectrum or several",
    targetid="the row number",
    detect=_is_triple,
    read=lambda value, air, edges: from_arrays(*value, air=air, edges=edges),
    join=_join,
    air=True,
)
