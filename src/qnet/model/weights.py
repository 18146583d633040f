"""The weights file: arrays and a JSON header in a safetensors file. Data, never code."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import as_names, check_arguments, check_fields
from qnet.core.errors import FileError, InputError, WeightsError, first_few, reason, shown
from qnet.core.files import PathLike, atomic_write, check_input, sha256
from qnet.core.kinds import WEIGHTS
from qnet.model.architecture import Architecture, RefineArchitecture, Stage
from qnet.model.calibration import Calibration
from qnet.model.card import make_card
from qnet.model.layers import Shape
from qnet.model.network import check_weights
from qnet.postprocess.features import (
    ABSORPTION_FEATURES,
    CANDIDATE_FEATURES,
    HEAD_FEATURES,
    check_features,
)

#: What the JSON header says it is.
FORMAT = "qnet-weights"

#: The layouts of the header that are read; the last one is written. Version 2 has no redshift
#: head, and no second stage that scores candidates; version 3 no probability of redshifts.
FORMAT_VERSIONS = (2, 3, 4)

#: The stages by their names in a file: the attribute of `WeightsFile`, and its class.
STAGES: Mapping[str, tuple[str, type[Architecture] | type[RefineArchitecture]]] = {
    "lines": ("architecture", Architecture),
    "refine": ("refine", RefineArchitecture),
}

#: The key under which safetensors' string metadata holds the JSON header.
HEADER_KEY = "qnet"

#: The key of the model card in the header, for readers of the file: qnet makes it anew. A second
#: key beside the header's would be written in no fixed order, and equal models differ in SHA-256.
CARD_KEY = "card"


@dataclasses.dataclass(frozen=True, eq=False)
class WeightsFile:
    """Content of a weights file: the networks, their weights and their description.

    Parameters
    ----------
    architecture : Architecture
        The first stage, its grid, lines and rest wavelengths.
    arrays : mapping of str to ndarray
        The arrays of ``shapes()``.
    name, version : str
        Name and version of the model; together they identify it.
    licence : str
        Licence of the weights; '' where unknown.
    notices : tuple of str
        Notices that must travel with the weights.
    provenance : mapping
        Record of the training: plain values.
    sha256 : str
        SHA-256 of the file; '' for weights that were never in one.
    refine : RefineArchitecture, optional
        The second stage; its arrays are among ``arrays``.
    calibration : Calibration, optional
        Calibration of the outputs. Where it has an outlier threshold, ``outlier_mean`` and
        ``outlier_scale`` are among ``arrays``.

    Examples
    --------
    >>> import dataclasses
    >>> import qnet
    >>> weights = qnet.load_model().weights
    >>> weights.name, weights.stages
    ('qnet', ('lines', 'refine'))
    >>> dataclasses.replace(weights, refine=None, calibration=None).stages
    ('lines',)
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

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "notices", as_names("notices", self.notices, "texts"))
        try:
            json.dumps(dict(self.provenance))
        except (TypeError, ValueError) as error:
            raise InputError(
                f"provenance must hold numbers, text, lists and mappings, as JSON does ({error})"
            ) from error

    @property
    def networks(self) -> dict[str, Stage]:
        """The stages that there are, by their names."""
        found = {name: getattr(self, attribute) for name, (attribute, _) in STAGES.items()}
        return {name: network for name, network in found.items() if network is not None}

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages: 'lines', and 'refine' where there is a second one."""
        return tuple(self.networks)

    def shapes(self) -> dict[str, Shape]:
        """Shape of every array, by name: those of each stage, and of the outliers."""
        shapes: dict[str, Shape] = {}
        for network in self.networks.values():
            shapes |= network.shapes()
        if self.calibration is not None and self.calibration.outlier_threshold is not None:
            units = self.architecture.units
            shapes |= {"outlier_mean": (units,), "outlier_scale": (units, units)}
        return shapes

    def check(self) -> None:
        """Raise InputError unless texts are plain, and arrays, stages and calibration fit."""
        for text in (self.name, self.version, self.licence, *self.notices):
            if not all(map(_is_plain, text)):
                raise InputError(f"its header holds {shown(text)} where plain text was expected")
        if self.calibration is not None:
            self._check_calibration(self.calibration)
        check_weights(self.shapes(), self.arrays)

    def _check_calibration(self, calibration: Calibration) -> None:
        """Raise unless each probability's features are known where it is computed."""
        nothing: frozenset[str] = frozenset()
        head = nothing if self.architecture.redshifts is None else HEAD_FEATURES
        absorption = ABSORPTION_FEATURES if self.refine and self.refine.bal else nothing
        if calibration.p_candidate is not None and not (self.refine and self.refine.scores):
            raise InputError("the calibration has p_verified, but no stage scores candidates")
        scores = CANDIDATE_FEATURES if self.refine and self.refine.scores else nothing
        later = HEAD_FEATURES | CANDIDATE_FEATURES | ABSORPTION_FEATURES
        for law, known in (
            (calibration.p_qso, head),
            (calibration.p_bal, absorption),
            (calibration.p_candidate, head | scores),
            (calibration.p_z, head | scores),
            (calibration.p_z2, head | scores),
        ):
            if law is not None:
                check_features(law.names, without=later - known)
        unknown = sorted(set(calibration.zerr_lines) - set(self.architecture.lines))
        if unknown:
            raise InputError(
                f"the calibration has errors of lines it has not: {first_few(unknown)}"
            )


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
        The file exists already, or cannot be written.

    Examples
    --------
    >>> import dataclasses
    >>> import qnet
    >>> from qnet.model import read_weights, write_weights
    >>> weights = dataclasses.replace(qnet.load_model().weights, name="mine", version="2")
    >>> path = write_weights("mine.safetensors", weights)
    >>> found = read_weights(path)
    >>> found.name, found.version, len(found.sha256)
    ('mine', '2', 64)
    """
    check_arguments(write_weights, locals())
    from safetensors import SafetensorError
    from safetensors.numpy import save

    if Path(path).suffix != ".safetensors":
        raise InputError(f"{path}: a weights file must end in .safetensors")
    weights.check()
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSIONS[-1],
        "name": weights.name,
        "version": weights.version,
        "licence": weights.licence,
        "notices": list(weights.notices),
        "provenance": dict(weights.provenance),
        "stages": {name: network.to_dict() for name, network in weights.networks.items()},
    }
    if weights.calibration is not None:
        header["calibration"] = weights.calibration.to_dict()
    arrays = {name: np.ascontiguousarray(weights.arrays[name]) for name in weights.shapes()}
    with atomic_write(path, overwrite=overwrite) as partial:
        try:
            metadata = {HEADER_KEY: json.dumps(header | {CARD_KEY: make_card(weights)})}
            partial.write_bytes(save(arrays, metadata=metadata))
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
        The file is missing, damaged, of another kind or of an unknown format version.

    Examples
    --------
    >>> import qnet
    >>> from qnet.model import read_weights
    >>> path = qnet.load_model().save("model.safetensors")
    >>> read_weights(path).architecture.lines
    ('LYA', 'CIV(1548)', 'CIII(1909)', 'MgII(2796)', 'Hbeta', 'Halpha')
    """
    check_arguments(read_weights, locals())
    from safetensors import SafetensorError, safe_open

    file = check_input(path, WEIGHTS)
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
            f"{file}: is damaged, cut short or no weights file ({reason(error)}); {WEIGHTS.name} "
            "was expected"
        ) from error
    return dataclasses.replace(weights, sha256=sha256(file))


def _parse_header(text: str | None, file: Path) -> dict[str, Any]:
    """The JSON header, of a known format."""
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
    if type(version) is not int or version not in FORMAT_VERSIONS:
        raise WeightsError(
            f"{file}: its format version is {shown(version)}, but this version of qnet reads "
            f"{FORMAT_VERSIONS[0]} to {FORMAT_VERSIONS[-1]}"
        )
    return header


def _read_arrays(stream: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of these shapes, each checked before it is read: nothing else is allocated."""
    names = set(stream.keys())
    if unnamed := sorted(names - set(shapes)):
        raise InputError(f"holds arrays that its architecture does not have: {first_few(unnamed)}")
    for name, shape in shapes.items():
        if name not in names:
            raise InputError(f"the weights lack the array {name}")
        found = tuple(stream.get_slice(name).get_shape())
        if found != shape:
            raise InputError(f"array {name} has shape {found}, but {shape} was expected")
    return {name: stream.get_tensor(name) for name in shapes}


def _describe(header: Mapping[str, Any], file: Path) -> WeightsFile:
    """All that a header holds, checked; without the arrays."""
    stages, calibration = header["stages"], header.get("calibration")
    if not isinstance(stages, dict) or not {"lines"} <= set(stages) <= set(STAGES):
        raise InputError(
            f"has the stages {shown(sorted(stages))}, but 'lines', and perhaps 'refine', were "
            "expected"
        )
    notices, provenance = header.get("notices", []), header.get("provenance", {})
    if not isinstance(notices, list) or not isinstance(provenance, dict):
        raise InputError("its notices must be a list and its provenance a mapping")
    texts = {"name": header.get("name", file.stem)}
    texts |= {key: header.get(key, "") for key in ("version", "licence")}
    networks: dict[str, Any] = {
        STAGES[name][0]: STAGES[name][1].from_dict(values) for name, values in stages.items()
    }
    return WeightsFile(
        arrays={},
        **networks,
        **texts,
        notices=tuple(notices),
        provenance=provenance,
        calibration=None if calibration is None else Calibration.from_dict(calibration),
    )


def _is_plain(character: str) -> bool:
    """Whether a character can be printed, or ends a line."""
    return character.isprintable() or character in "\n\t"
