"""Names of files that the C library of FITS takes literally."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

#: The C library reads other characters in a file's name as part of a selection language.
_PLAIN_NAME = re.compile(r"[\w./-]+", re.ASCII)


@contextlib.contextmanager
def plain_name(path: Path) -> Iterator[str]:
    """A name for a file that the C library takes literally.

    cfitsio reads brackets, parentheses, plus signs and the like in a name as a selection; such a
    file is reached through a link in a temporary folder.

    Parameters
    ----------
    path : Path

    Yields
    ------
    str
    """
    name = os.path.abspath(path)
    if _PLAIN_NAME.fullmatch(name):
        yield name
        return
    with tempfile.TemporaryDirectory(prefix="qnet-") as folder:
        link = Path(folder, "folder")
        link.symlink_to(Path(name).parent, target_is_directory=True)
        if _PLAIN_NAME.fullmatch(path.name):
            yield str(link / path.name)
            return
        link = Path(folder, "file.fits")
        link.symlink_to(name)
        yield str(link)
