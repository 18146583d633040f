"""Files that are read by a loader of specutils, where that is installed: the last resort."""

from __future__ import annotations

import difflib
import warnings
from importlib.util import find_spec
from pathlib import Path

from qnet.core.errors import InputError
from qnet.core.files import PathLike, check_input
from qnet.core.guards import library_faults
from qnet.core.kinds import ECSV, FITS, GZIP, HDF5, TEXT, Expected
from qnet.core.spectra import Spectra
from qnet.io.openfile import OpenFile
from qnet.io.options import SPECUTILS
from qnet.io.readers.registry import Reader, whole_file

#: What its loaders are given: files of data alone.
_FILE = Expected("a file for a loader of specutils", (FITS, GZIP, ECSV, TEXT, HDF5))


def find_loaders() -> list[str]:
    """Names of the loaders of specutils; none where it is not installed."""
    if find_spec("specutils") is None:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from astropy.io import registry
        from specutils import SpectrumList

        return sorted(map(str, registry.get_formats(SpectrumList, readwrite="Read")["Format"]))


class LoadedFile(OpenFile):
    """A file that a loader of specutils has read."""

    kinds = ()

    def __init__(self, path: PathLike, loader: str = "") -> None:
        self.path = check_input(path, _FILE)
        self.spectra = _load(self.path, loader)

    def describe(self) -> str:
        """What the file holds, for messages."""
        return f"{len(self.spectra)} spectra"


def _load(path: Path, loader: str) -> Spectra:
    """Spectra that a loader of specutils reads from a file."""
    loaders = find_loaders()
    if not loaders:
        raise InputError(f"{SPECUTILS}{loader} needs specutils, which is not installed")
    if loader not in loaders:
        nearest = difflib.get_close_matches(loader, loaders, n=3, cutoff=0.3)
        raise InputError(
            f"specutils has no loader {loader!r}; near it are {', '.join(nearest) or 'none'}: see "
            "qnet formats"
        )
    from specutils import SpectrumList

    from qnet.io.objects.specutils import from_specutils

    with library_faults(path, f"cannot be read by the loader {loader} of specutils"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            items = list(SpectrumList.read(str(path), format=loader))
        return from_specutils(items[0] if len(items) == 1 else items)


def loader_reader(loader: str) -> Reader:
    """The reader of files that a loader of specutils has read."""
    return Reader(
        name=f"{SPECUTILS}{loader}",
        survey="",
        hdus="what the loader needs",
        targetid="as of a specutils Spectrum",
        wavelengths="vacuum, centres",
        no_weight="the mask of the Spectrum",
        detect=lambda file: True,
        **whole_file(lambda file: file.spectra, lambda file: len(file.spectra)),
        ids=("TARGETID",),
        opens=LoadedFile,
        fallback=True,
    )
