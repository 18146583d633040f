"""The weights file: arrays and a JSON header in a safetensors file. Data, never code."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.errors import FileError, InputError, WeightsError
from qnet.core.files import PathLike, atomic_write, check_input, sha256
from qnet.model.architecture import Architecture, RefineArchitecture
from qnet.model.calibration import FILE_KEYS, SINCE_3, Calibration
from qnet.model.network import check_weights
from qnet.postprocess.features import (
    ABSORPTION_FEATURES,
    CANDIDATE_FEATURES,
    HEAD_FEATURES,
    check_features,
)

#: What the JSON header says it is.
FORMAT = "qnet-weights"

#: The newest layout of the header that this version reads and writes. Version 1 knows the stage
#: 'lines' alone; version 2 adds the stage 'refine', the calibration and the arrays of outliers;
#: version 3 a redshift head, a second stage that verifies, and a calibration of both. A file is
#: written in the oldest version that can hold it.
FORMAT_VERSION = 3

#: The stages that each version knows.
_STAGES: Mapping[int, frozenset[str]] = {
    1: frozenset({"lines"}),
    2: frozenset({"lines", "refine"}),
    3: frozenset({"lines", "refine"}),
}

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
        The arrays of ``shapes()``.
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
    refine : RefineArchitecture, optional
        The second stage; its arrays are among ``arrays``.
    calibration : Calibration, optional
        What the answers mean. Where it has an outlier threshold, ``outlier_mean`` and
        ``outlier_scale`` are among ``arrays``.
    """

    architecture: Architecture
    arrays: Mapping[str, npt.NDArray[Any]]
    name: str
    version: str
    licence: str = ""
    notices: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sha256: str = ""
    refine: RefineArchitecture | None = None
    calibration: Calibration | None = None

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages: 'lines', and 'refine' where there is a second one."""
        return ("lines",) if self.refine is None else ("lines", "refine")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every array, by name: those of each stage, and of the outliers."""
        shapes = self.architecture.shapes()
        if self.refine is not None:
            shapes |= self.refine.shapes()
        if self.calibration is not None and self.calibration.outlier_threshold is not None:
            units = self.architecture.units
            shapes |= {"outlier_mean": (units,), "outlier_scale": (units, units)}
        return shapes

    def check(self) -> None:
        """Check that arrays, stages and calibration fit together.

        Raises
        ------
        InputError
            They do not.
        """
        if self.calibration is not None:
            self._check_features(self.calibration)
            unknown = sorted(set(self.calibration.zerr_lines) - set(self.architecture.lines))
            if unknown:
                raise InputError(f"the calibration has errors of lines it has not: {unknown}")
        check_weights(self, self.arrays)

    def _check_features(self, calibration: Calibration) -> None:
        """Raise unless each probability's features are known where it is made."""
        headless: frozenset[str] = frozenset()
        if self.architecture.redshifts is None:
            headless = HEAD_FEATURES
        later = CANDIDATE_FEATURES | ABSORPTION_FEATURES
        check_features(calibration.p_qso.names, without=headless | later)
        if calibration.p_bal is not None:
            looks = self.refine is not None and self.refine.bal
            lacking = CANDIDATE_FEATURES if looks else later
            check_features(calibration.p_bal.names, without=HEAD_FEATURES | lacking)
        if calibration.p_candidate is not None:
            if self.refine is None or not self.refine.scores:
                raise InputError("the calibration has p_verified, but no stage scores candidates")
            check_features(calibration.p_candidate.names, without=headless | ABSORPTION_FEATURES)

    def describe(self) -> dict[str, Any]:
        """Stages and calibration as the header has them: older layouts lack what came with 3."""
        lines, refine, calibration = (
            None if part is None else part.to_dict()
            for part in (self.architecture, self.refine, self.calibration)
        )
        if self.format_version < FORMAT_VERSION:
            new = {"redshifts", "verify", "bal", *(FILE_KEYS.get(name, name) for name in SINCE_3)}
            lines, refine, calibration = (
                None if part is None else {k: v for k, v in part.items() if k not in new}
                for part in (lines, refine, calibration)
            )
        stages = {"lines": lines} if refine is None else {"lines": lines, "refine": refine}
        return {"stages": stages} | ({} if calibration is None else {"calibration": calibration})

    @property
    def format_version(self) -> int:
        """The oldest layout of the header that can hold the weights."""
        calibration, refine = self.calibration, self.refine
        if self.architecture.redshifts is not None or (refine is not None and refine.scores):
            return FORMAT_VERSION
        return 1 if refine is None and calibration is None else 2


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
    from safetensors.numpy import save

    if Path(path).suffix != ".safetensors":
        raise InputError(f"{path}: a weights file must end in .safetensors")
    weights.check()
    header = {
        "format": FORMAT,
        "format_version": weights.format_version,
        "name": weights.name,
        "version": weights.version,
        "licence": weights.licence,
        "notices": list(weights.notices),
        "provenance": dict(weights.provenance),
        **weights.describe(),
    }
    arrays = {name: np.ascontiguousarray(weights.arrays[name]) for name in weights.shapes()}
    with atomic_write(path, overwrite=overwrite) as partial:
        try:
            partial.write_bytes(save(arrays, metadata={HEADER_KEY: json.dumps(header)}))
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
            weights = _describe(header, file)
            arrays = _read_arrays(stream, weights.shapes())
        weights = dataclasses.replace(weights, arrays=arrays)
        weights.check()
    except InputError as error:
        raise WeightsError(f"{file}: {error}") from error
    except (SafetensorError, KeyError, TypeError, ValueError, OSError, MemoryError) as error:
        raise WeightsError(
            f"{file}: is damaged, cut short or no weights file ({error}); {_EXPECTED} was expected"
        ) from error
    return dataclasses.replace(weights, sha256=sha256(file))


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
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise WeightsError(
            f"{file}: its format version is {version!r}, but this version of qnet reads up to "
            f"{FORMAT_VERSION}"
        )
    return header


def _read_arrays(stream: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of these shapes, each looked at before it is read: nothing else is allocated."""
    names = set(stream.keys())
    if unnamed := sorted(names - set(shapes)):
        raise InputError(f"holds arrays that its architecture does not have: {unnamed}")
    for name, shape in shapes.items():
        if name not in names:
            raise InputError(f"the weights lack the array {name}")
        found = tuple(stream.get_slice(name).get_shape())
        if found != shape:
            raise InputError(f"array {name} has shape {found}, but {shape} was expected")
    return {name: stream.get_tensor(name) for name in shapes}


def _describe(header: Mapping[str, Any], file: Path) -> WeightsFile:
    """All that a header says, checked; without the arrays."""
    stages, version = header["stages"], header["format_version"]
    if not isinstance(stages, dict) or not {"lines"} <= set(stages) <= _STAGES[version]:
        known = ", ".join(repr(name) for name in sorted(_STAGES[version]))
        raise InputError(
            f"has the stages {sorted(stages)}, of which format version {version} knows {known}"
        )
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
    refine, calibration = stages.get("refine"), header.get("calibration")
    if version == 1 and calibration is not None:
        raise InputError("has a calibration, which format version 1 does not know")
    weights = WeightsFile(
        Architecture.from_dict(stages["lines"]),
        {},
        **described,
        refine=None if refine is None else RefineArchitecture.from_dict(refine),
        calibration=None if calibration is None else Calibration.from_dict(calibration),
    )
    if weights.format_version > version:
        raise InputError(
            f"has what format version {weights.format_version} brought, but says it is {version}"
        )
    return weights


def _is_plain(character: str) -> bool:
    """Whether a character can be printed, or ends a line."""
    return character.isprintable() or character in "\n\t"
