"""The weights file: arrays and a JSON header in a safetensors file. Data, never code."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.architecture import Architecture
from qnet.errors import FileError, InputError, WeightsError
from qnet.files import PathLike, atomic_write, check_input, sha256
from qnet.inference import check_weights

#: What the JSON header says it is.
FORMAT = "qnet-weights"

#: The newest layout of the header that this version reads and writes.
FORMAT_VERSION = 1

#: The key under which safetensors' string metadata holds the JSON header.
HEADER_KEY = "qnet"

_EXPECTED = "a weights file (qnet's .safetensors or QuasarNET's .h5)"


@dataclasses.dataclass(frozen=True, eq=False)
class WeightsFile:
    """What a weights file holds.

    Attributes
    ----------
    architecture : Architecture
        The network, its grid, lines and rest wavelengths.
    arrays : mapping of str to ndarray
        The arrays of `Architecture.shapes`.
    name, version : str
        Of the model; together they identify it.
    licence : str
        Licence of the weights; '' where unknown.
    notices : tuple of str
        Notices that must travel with the weights.
    provenance : mapping
        What made the weights: plain values.
    sha256 : str
        Of the file; '' for weights that were never in one.
    """

    architecture: Architecture
    arrays: Mapping[str, npt.NDArray[Any]]
    name: str
    version: str
    licence: str = ""
    notices: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sha256: str = ""


def write_weights(path: PathLike, weights: WeightsFile, *, overwrite: bool = False) -> Path:
    """Write a weights file.

    Parameters
    ----------
    path : str or path
        Ends in .safetensors.
    weights : WeightsFile
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Path
        The file written. `read_weights` is the inverse.

    Raises
    ------
    InputError
        The suffix is another one, or arrays and architecture disagree.
    OutputExistsError, FileError
        The file may not be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    if Path(path).suffix != ".safetensors":
        raise InputError(f"{path}: a weights file must end in .safetensors")
    check_weights(weights.architecture, weights.arrays)
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": weights.name,
        "version": weights.version,
        "licence": weights.licence,
        "notices": list(weights.notices),
        "stages": {"lines": weights.architecture.to_dict()},
        "provenance": dict(weights.provenance),
    }
    arrays = {
        name: np.ascontiguousarray(weights.arrays[name]) for name in weights.architecture.shapes()
    }
    with atomic_write(path, overwrite=overwrite) as partial:
        try:
            save_file(arrays, partial, metadata={HEADER_KEY: json.dumps(header)})
        except (SafetensorError, KeyError, TypeError) as error:
            raise FileError(f"{path}: could not be written ({error})") from error
    return Path(path)


def read_weights(path: PathLike) -> WeightsFile:
    """Read a qnet weights file.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    WeightsFile

    Raises
    ------
    MissingFileError, WeightsError
        The file is not there, damaged, of another kind or of a newer format.
    """
    from safetensors import SafetensorError, safe_open

    file = check_input(path, _EXPECTED)
    try:
        with safe_open(file, framework="numpy") as stream:
            metadata = stream.metadata() or {}
            header = _parse_header(metadata.get(HEADER_KEY), file)
            described = _describe(header, file)
            architecture = Architecture.from_dict(header["stages"]["lines"])
            names = set(stream.keys())
            # Only the arrays of the architecture are read: safetensors has checked their sizes.
            shapes = architecture.shapes()
            if unnamed := sorted(names - set(shapes)):
                raise InputError(f"holds arrays that its architecture does not have: {unnamed}")
            arrays = {name: stream.get_tensor(name) for name in shapes if name in names}
        check_weights(architecture, arrays)
    except InputError as error:
        raise WeightsError(f"{file}: {error}") from error
    except (SafetensorError, KeyError, TypeError, ValueError, OSError, MemoryError) as error:
        raise WeightsError(
            f"{file}: is damaged, cut short or no weights file ({error}); {_EXPECTED} was expected"
        ) from error
    return WeightsFile(architecture, arrays, **described, sha256=sha256(file))


def is_hdf5(path: PathLike) -> bool:
    """Whether a file begins as HDF5 files do."""
    with open(path, "rb") as stream:
        return stream.read(8) == b"\x89HDF\r\n\x1a\n"


def check_weights_path(path: PathLike) -> Path:
    """The path of a weights file that exists and is not empty.

    Raises
    ------
    MissingFileError, FileError
        It is not.
    """
    return check_input(path, _EXPECTED)


def _parse_header(text: str | None, file: Path) -> dict[str, Any]:
    """The JSON header, checked for what it says it is."""
    if text is None:
        raise WeightsError(
            f"{file}: is a safetensors file without qnet's header; weights written by qnet were "
            "expected"
        )
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{file}: its header is not JSON ({error})") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise WeightsError(f"{file}: its header is not that of {FORMAT}")
    version = header.get("format_version")
    if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
        raise WeightsError(
            f"{file}: its format version is {version!r}, but this version of qnet reads up to "
            f"{FORMAT_VERSION}"
        )
    return header


def _describe(header: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Name, version, licence, notices and provenance of a header, checked for their kinds."""
    stages = header["stages"]
    if set(stages) != {"lines"}:
        raise InputError(f"has the stages {sorted(stages)}, of which this version knows 'lines'")
    described = {
        "name": header.get("name", file.stem),
        "version": header.get("version", ""),
        "licence": header.get("licence", ""),
        "notices": tuple(header.get("notices", ())),
        "provenance": header.get("provenance", {}),
    }
    texts = [described["name"], described["version"], described["licence"]]
    if not isinstance(header.get("notices", []), list) or not isinstance(
        described["provenance"], dict
    ):
        raise InputError("its notices must be a list and its provenance a mapping")
    for text in (*texts, *described["notices"]):
        if not isinstance(text, str) or not all(map(_is_plain, text)):
            raise InputError(f"its header holds {text!r} where plain text was expected")
    return described


def _is_plain(character: str) -> bool:
    """Whether a character can be printed, or ends a line."""
    return character.isprintable() or character in "\n\t"
