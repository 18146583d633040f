"""Catalogues to files in the formats of other programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from qnet.core.arguments import check_arguments
from qnet.core.exports import check_export
from qnet.core.files import PathLike
from qnet.core.pz import LN_PZ
from qnet.io.catalogue import Catalogue, from_table, write_catalogue, write_hdus
from qnet.io.exports.desi import make_desi, make_redrock
from qnet.io.exports.picca import make_picca
from qnet.io.exports.votable import write_votable
from qnet.io.tables import check_format, check_table

if TYPE_CHECKING:
    from astropy.table import Table

#: Formats of FITS files, and what makes their HDUs.
_HDUS: Mapping[str, Callable[[Catalogue], dict[str, Catalogue]]] = {
    "picca": make_picca,
    "desi": make_desi,
    "redrock": make_redrock,
}


def export(
    catalogue: Catalogue | Table, path: PathLike, *, to: str, overwrite: bool = False
) -> Path:
    """Write a catalogue in the format of another program.

    Parameters
    ----------
    catalogue : astropy.table.Table
        As `qnet.classify` and `qnet.read_catalogue` return it.
    path : str or path
        The file is written under a temporary name in the same folder, flushed and renamed.
    to : str
        The format: 'picca', 'desi', 'redrock', 'votable', 'parquet' or 'csv'.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        The format is unknown, the suffix of the file is not one of its suffixes, the catalogue
        lacks a column that the format needs, or pyarrow is not installed.
    OutputExistsError, FileError
        The file exists already, or cannot be written.

    Warns
    -----
    QnetWarning
        Quasars without position or id, which picca cannot use, are left out.

    See Also
    --------
    qnet.write_catalogue : qnet's own catalogue, which `qnet.read_catalogue` reads.

    Notes
    -----
    The reference page of the catalogue has a table of the formats, with the programs that define
    them. ZWARN of 'picca' and 'redrock' is made from QN_FLAG and P_Z. Redshift distributions
    (LN_PZ) are written to 'parquet' only.

    Examples
    --------
    >>> import numpy as np
    >>> import qnet
    >>> from astropy.table import Table
    >>> table = Table({"TARGETID": [7, 8], "IS_QSO": [True, False], "ZBEST": [2.1, 0.4]})
    >>> table["TARGET_RA"], table["TARGET_DEC"] = [10.0, 11.0], [-5.0, -6.0]
    >>> path = qnet.io.export(table, "quasars.fits", to="picca")
    >>> written = Table.read(path, hdu="ZCATALOG")
    >>> written["TARGETID"].tolist(), written["Z"].tolist(), written["ZWARN"].tolist()
    ([7], [2.1], [0])
    """
    check_arguments(export, locals())
    form = check_export(to, path)
    whole = catalogue
    if not isinstance(whole, Catalogue):
        whole = from_table(check_table("catalogue", whole))
    if form.name != "parquet":
        columns = {name: x for name, x in whole.columns.items() if name != LN_PZ.name}
        whole = dataclasses.replace(whole, columns=columns, pz=None)
    if form.name in _HDUS:
        write_hdus(_HDUS[form.name](whole), path, overwrite=overwrite)
    elif form.name == "votable":
        write_votable(whole, path, overwrite=overwrite)
    else:
        check_format(path)
        write_catalogue(whole, path, overwrite=overwrite)
    return Path(path)
