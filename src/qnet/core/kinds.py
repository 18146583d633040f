"""Kinds of files by their first bytes: what a file of another kind is, and what to do with it."""

from __future__ import annotations

import contextlib
import gzip
import re
import zlib
from pathlib import Path
from typing import NamedTuple

from qnet.core.errors import FileError, WeightsError

#: Bytes at the start of a file by which it is recognised.
_HEAD = 1024

#: What to do with a network that Keras saved in another way.
CONVERT = "convert the network in Keras with qnet.Model.from_keras, or save it there as .h5"


class Kind(NamedTuple):
    """A kind of files: its name, the pattern of its first bytes, and what to do with it."""

    name: str
    pattern: bytes
    advice: str = ""


def _packed(name: str, pattern: bytes) -> Kind:
    """The kind of archives or compressed files that must be unpacked."""
    return Kind(name, pattern, "unpack it first")


FITS = Kind("a FITS file", rb"SIMPLE  =")
GZIP = _packed("a gzip file", rb"\x1f\x8b")
HDF5 = Kind("an HDF5 file", rb"\x89HDF\r\n\x1a\n")
SAFETENSORS = Kind(
    "a safetensors file", rb".{5}\0\0\0\{", "weights are given as model (--model), not as data"
)
VOTABLE = Kind(
    "a VOTable",
    rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*\?>)?\s*(<!--.*?-->\s*)*<(\w+:)?VOTABLE\b",
)
PARQUET = Kind("a Parquet table", rb"PAR1[\0-\x1f]")
ECSV = Kind("an ECSV table", rb"(\xef\xbb\xbf)?# %ECSV")
TEXT = Kind("a text file", rb"[^\0-\x08\x0e-\x1f\x7f]*[\r\n][^\0-\x08\x0e-\x1f\x7f]*\Z")

#: All that are recognised; the first that fits is taken.
KINDS = (
    FITS,
    HDF5,
    SAFETENSORS,
    PARQUET,
    ECSV,
    VOTABLE,
    Kind("a Git LFS pointer", rb"version https?://[\w.-]*git-lfs", "fetch the file: git lfs pull"),
    Kind("a git-annex pointer", rb"\S*/annex/objects/", "fetch the file: git annex get"),
    Kind(
        "an HTML page",
        rb"(?i:(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)*<(!doctype html|html|head|body)\b)",
        "download the file itself",
    ),
    Kind("an XML file", rb"(\xef\xbb\xbf)?\s*<\?xml"),
    Kind("a Keras archive (.keras)", rb"PK\x03\x04.{26}(metadata|config)\.json", CONVERT),
    Kind("a Keras archive (.keras)", rb"PK\x03\x04.{26}model\.weights\.h5", CONVERT),
    Kind("a NumPy archive (.npz)", rb"PK\x03\x04.{26}[^\0]*?\.npy"),
    Kind("a PyTorch file", rb"PK\x03\x04.{26}[^\0]*?(data\.pkl|\.format_version|byteorder)"),
    Kind("an Office document", rb"PK\x03\x04.{26}(\[Content_Types\]\.xml|mimetype)"),
    _packed("a zip archive", rb"PK(\x03\x04|\x05\x06|\x07\x08)"),
    GZIP,
    _packed("a bzip2 file", rb"BZh[1-9]"),
    _packed("an xz file", rb"\xfd7zXZ\0"),
    _packed("a Zstandard file", rb"[\x22-\x28]\xb5\x2f\xfd"),
    _packed("an LZ4 file", rb"\x04\x22\x4d\x18"),
    _packed("a compress (.Z) file", rb"\x1f[\x9d\xa0]"),
    _packed("a 7-Zip archive", rb"7z\xbc\xaf\x27\x1c"),
    _packed("a RAR archive", rb"Rar!\x1a\x07"),
    _packed("a tar archive", rb".{257}ustar"),
    Kind("a NumPy array (.npy)", rb"\x93NUMPY"),
    Kind("a PyTorch file", rb"\x80\x02\x8a\n\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"),
    Kind("a Python pickle, which qnet never reads since it can run code", rb"\x80[\x02-\x05][^\0]"),
    Kind("an ONNX network", rb"\x08[\x01-\x14](\x12[\x01-\x40][\x20-\x7e]|:)"),
    Kind("a part of a TensorFlow SavedModel", rb"\x08\x01\x12[\x80-\xff]", CONVERT),
    Kind("a TensorFlow Lite network", rb".{4}TFL3"),
    Kind("an Arrow file", rb"(ARROW|FEA)1\0"),
    Kind("a netCDF file", rb"CDF[\x01\x02\x05]"),
    Kind("a MATLAB file", rb"MATLAB \d"),
    Kind("an SQLite database", rb"SQLite format 3\0"),
    Kind("an ASDF file", rb"#ASDF"),
    Kind("a PDF or PostScript document", rb"%PDF-|%!PS"),
    Kind("a picture", rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|II\*\0|MM\0\*"),
    Kind("a JSON file", rb"\s*(\{\s*\"|\[\s*[\[{])"),
    Kind("text in UTF-16", rb"\xff\xfe|\xfe\xff", "save it in UTF-8"),
    TEXT,
)


class Expected(NamedTuple):
    """The files that a reader takes, in words and as kinds."""

    name: str
    kinds: tuple[Kind, ...]
    #: What to do with a file of another kind, unless that kind has its own.
    advice: str = ""
    error: type[FileError] = FileError

    def refuse(self, file: Path, found: str, advice: str = "") -> FileError:
        """The error that a path leads to something else, and what to do."""
        end = f": {advice or self.advice}" if advice or self.advice else ""
        return self.error(f"{file}: is {found}, but {self.name} was expected{end}")


A_FITS_FILE = Expected(
    "a FITS file",
    (FITS, GZIP),
    "give other tables a name in .csv, .ecsv or .parquet, other spectra as arrays wave, flux, ivar",
)
WEIGHTS = Expected(
    "a weights file (qnet's .safetensors or QuasarNET's .h5)",
    (HDF5, SAFETENSORS),
    error=WeightsError,
)


def check_kind(file: Path, expected: Expected) -> None:
    """Raise if a file is recognised as one of another kind than those expected."""
    kind, packed = find_kind(file), ""
    if kind is GZIP and GZIP in expected.kinds:
        kind, packed = unpacked_kind(file), " in gzip"
    if kind is not None and kind not in expected.kinds:
        raise expected.refuse(file, kind.name + packed, kind.advice)


def unpacked_kind(file: Path) -> Kind | None:
    """The kind of a file, or of what is in it where it is gzipped; GZIP where that is damaged."""
    kind = find_kind(file)
    if kind is GZIP:
        # A damaged one is left to the reader.
        with contextlib.suppress(EOFError, OSError, zlib.error), gzip.open(file, "rb") as stream:
            return _find(stream.read(_HEAD))
    return kind


def find_kind(file: Path) -> Kind | None:
    """The kind of a file; None for one that is not recognised."""
    with open(file, "rb") as stream:
        return _find(stream.read(_HEAD))


def _find(head: bytes) -> Kind | None:
    """The kind of a file that begins so."""
    return next((kind for kind in KINDS if re.match(kind.pattern, head, re.DOTALL)), None)
