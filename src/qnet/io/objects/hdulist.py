"""Spectra from an open FITS file of astropy, through the readers of files."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

from qnet.core.errors import FileError, InputError
from qnet.core.guards import foreign_faults
from qnet.core.spectra import Spectra
from qnet.io.objects.kind import ObjectKind, by_attributes
from qnet.io.reader import read_whole


def from_hdulist(value: Any) -> Spectra:
    """Spectra of an HDUList, as `qnet.read_spectra` reads the file of it."""
    with tempfile.TemporaryDirectory(prefix="qnet") as folder:
        path = Path(folder) / "HDUList.fits"
        # What is in memory may differ from the file that it came from.
        with foreign_faults("spectra", value, "an HDUList that can be written"):
            value.writeto(path, output_verify="silentfix+ignore")
        try:
            spectra = read_whole([path])
        except FileError as error:
            raise InputError(str(error).replace(str(path), "the HDUList")) from error
    return dataclasses.replace(spectra, source=())


HDULIST = ObjectKind(
    name="HDUList",
    module="astropy",
    given="the HDUs of a file of any layout that is read",
    targetid="as that of the file",
    detect=by_attributes("writeto", "fileinfo", "info"),
    read=lambda value, air, edges: from_hdulist(value),
)
