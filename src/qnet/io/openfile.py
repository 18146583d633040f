"""What a file of spectra is while it is open, whatever its format."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import ClassVar, Self

from qnet.core.kinds import Kind


class OpenFile(abc.ABC):
    """A file open for reading; a subclass for each format (FITS, tables, HDF5)."""

    #: The kinds of files that are opened so, by their first bytes; gzipped too.
    kinds: ClassVar[tuple[Kind, ...]]
    path: Path

    @abc.abstractmethod
    def __init__(self, path: Path) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - formats that are read at once have nothing open
        """Close the file."""

    @abc.abstractmethod
    def describe(self) -> str:
        """What the file holds, for messages."""
