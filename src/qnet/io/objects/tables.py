"""Spectra from tables: of astropy, and mappings of columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qnet.core.arguments import check_arguments, has_attributes
from qnet.core.guards import foreign_faults
from qnet.core.spectra import Spectra
from qnet.io.objects.kind import ObjectKind
from qnet.io.roles import NAMES
from qnet.io.tabular import from_columns


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
        Columns by their UTYPE or UCD, else by name in any letter case: wave, wavelength or lambda
        (or loglam); flux; ivar, or an error (error, flux_err, sigma, ...), or a variance. Without
        any of these the noise is estimated, with a warning. With a flux of (nspec, npix) a row is a
        spectrum, and further one-dimensional columns are carried as ids (TARGETID, THING_ID, ...);
        with a flux of (npix,) a row is a pixel. Masked values have no weight. Nor do pixels with a
        non-zero mask, or with the COMBINEREJ bit of and_mask, if there are such columns. A masked
        id is -1.
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
    <Spectra: 1 spectrum, astropy Table; arrays (4000 pixels)>
    >>> float(spectra.cameras[0].ivar[0, 0])
    4.0
    """
    check_arguments(from_table, locals())
    return from_columns(table_columns("table", table), "table", "astropy Table", air, edges)


def _is_mapping(value: Any) -> bool:
    """Whether an object is a mapping of columns: of flux and wavelengths."""
    if not isinstance(value, Mapping):
        return False
    with foreign_faults("spectra", value, "a mapping of columns"):
        names = {str(name).lower() for name in value}
    waves = {*NAMES["wave"], *NAMES["loglam"]}
    return not names.isdisjoint(NAMES["flux"]) and not waves.isdisjoint(names)


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
