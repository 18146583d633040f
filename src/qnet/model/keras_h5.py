"""Import of QuasarNET's Keras .h5 files: arrays and JSON are read by name, nothing is run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.bounded import read_bounded, reply
from qnet.core.errors import InputError, WeightsError, reason, shorten, shown
from qnet.core.files import sha256
from qnet.core.grid import MAX_PIXELS, WavelengthGrid
from qnet.core.kinds import CONVERT
from qnet.model.architecture import Architecture
from qnet.model.keras_config import KerasNetwork
from qnet.model.network import check_weights
from qnet.model.weights import WeightsFile

#: Values of a chunk that are fine whatever the size of the array.
_CHUNK = 1 << 20

_EXPECTED = "a QuasarNET network saved by Keras as .h5"

#: Groups of which Keras 3 writes some into a file .weights.h5.
_WEIGHTS_ALONE = {"layers", "vars", "_layer_checkpoint_dependencies"}

#: What JSON of another network raises.
_NOT_QUASARNET = (LookupError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)


def read_legacy(
    file: Path,
    *,
    lines: Sequence[str] | None = None,
    lines_bal: Sequence[str] | None = None,
    grid: WavelengthGrid | None = None,
) -> WeightsFile:
    """Read a QuasarNET network that Keras saved as .h5; arguments as of `qnet.load_model`.

    The architecture comes from the JSON in the attribute ``model_config``, the arrays by the names
    of its layers, the grid from the dataset ``model_grid``, where the file has one. A Lambda layer
    between the offsets and the output is the rescale -0.1 + 1.2 x if its stored bytes hold these
    two doubles; its bytecode is never run.
    """
    from safetensors.numpy import load

    request = {
        "lines": _plain(lines),
        "lines_bal": _plain(lines_bal),
        "grid": None if grid is None else grid.to_dict(),
    }
    saved = read_bounded(__name__, file, request, _EXPECTED, WeightsError)
    size = int.from_bytes(saved[:8], "little")
    found = json.loads(json.loads(saved[8 : 8 + size])["__metadata__"]["network"])
    architecture, arrays = Architecture.from_dict(found["architecture"]), load(saved)
    check_weights(architecture.shapes(), arrays)
    digest = sha256(file)
    return WeightsFile(
        architecture=architecture,
        arrays=arrays,
        name=shorten(file.stem),
        version="imported",
        provenance={
            "imported_from": file.name,
            "imported_sha256": digest,
            "keras_version": found["keras_version"],
        },
        sha256=digest,
    )


def _plain(names: Sequence[str] | None) -> list[str] | str | None:
    """Names as a process can be handed them; what are no names becomes text that is refused."""
    if names is None or isinstance(names, str):
        return names
    return [name if isinstance(name, str) else shown(name) for name in names]


def serve() -> None:
    """Read a file in a process of its own: libhdf5 does not end, or crashes, on some."""
    reply(_read)


def _read(request: Mapping[str, Any]) -> bytes:
    """The network of a file, as safetensors; WeightsError where there is none."""
    import h5py
    from safetensors.numpy import save

    file, given = Path(request["file"]), request["grid"]
    try:
        with h5py.File(file, "r") as stream:
            config = _model_config(stream, file)
            network = KerasNetwork(config)
            grid = WavelengthGrid.from_dict(given) if given else _model_grid(stream, network.npix)
            architecture = network.architecture(request["lines"], request["lines_bal"], grid)
            arrays = _arrays(stream, network, architecture)
        check_weights(architecture.shapes(), arrays)
    except InputError as error:
        raise WeightsError(f"{file}: {error}") from error
    except _NOT_QUASARNET as error:
        raise WeightsError(
            f"{file}: its model_config is not that of a QuasarNET network ({reason(error)}); "
            f"{_EXPECTED} was expected"
        ) from error
    except (OSError, RuntimeError, MemoryError) as error:
        raise WeightsError(
            f"{file}: is damaged, cut short or no HDF5 file ({reason(error)}); {_EXPECTED} was "
            "expected"
        ) from error
    found = {"architecture": architecture.to_dict(), "keras_version": network.keras_version}
    saved: bytes = save(arrays, metadata={"network": json.dumps(found)})
    return saved


def _model_config(stream: Any, file: Path) -> dict[str, Any]:
    """The JSON of the attribute model_config."""
    text = stream.attrs.get("model_config")
    if text is None and ("layer_names" in stream.attrs or _WEIGHTS_ALONE & set(stream)):
        raise WeightsError(
            f"{file}: holds weights without their network (as Keras's save_weights writes them), "
            f"but {_EXPECTED} was expected: {CONVERT}"
        )
    if text is None or "model_weights" not in stream:
        raise WeightsError(
            f"{file}: lacks the attribute model_config or the group model_weights; {_EXPECTED} "
            "was expected"
        )
    config = json.loads(text)
    if not isinstance(config, dict) or "config" not in config:
        raise InputError("its model_config is not that of a Keras model")
    version = stream.attrs.get("keras_version", "")
    config["keras_version"] = version.decode() if isinstance(version, bytes) else str(version)
    return config


def _model_grid(stream: Any, npix: int) -> WavelengthGrid | None:
    """Grid of the dataset model_grid, where the file has one."""
    import h5py

    if "model_grid" not in stream:
        return None
    dataset = _own_item(stream, "model_grid", h5py.Dataset)
    if npix > MAX_PIXELS or dataset.dtype.kind not in "fi":
        raise InputError(f"dataset model_grid of {npix} values of {dataset.dtype} is no grid")
    if dataset.shape != (npix,):
        raise InputError(
            f"dataset model_grid has shape {dataset.shape}, but the network takes {npix} pixels"
        )
    _check_inside(dataset, "model_grid")
    return WavelengthGrid.from_wave(dataset[()])


def _own_item(group: Any, name: str, kind: type) -> Any:
    """A group or dataset that is in the file itself: links to elsewhere are not followed."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise InputError(f"{name} is missing, or a link out of the file")
    item = group[name]
    if not isinstance(item, kind):
        raise InputError(f"{name} is not the {kind.__name__.lower()} that was expected")
    return item


def _check_inside(dataset: Any, name: str) -> None:
    """Raise if a dataset's values are stored outside of the file, or blow up when they are read."""
    if dataset.external is not None or dataset.is_virtual:
        raise InputError(f"array {name} lies outside of the file")
    stored = dataset.id.get_create_plist()
    filters = [stored.get_filter(number)[0] for number in range(stored.get_nfilters())]
    size = math.prod(dataset.shape)
    # A chunk is read whole, and a filter upon another multiplies what it may grow to.
    if len(filters) > len(set(filters)) or math.prod(dataset.chunks or ()) > max(2 * size, _CHUNK):
        raise InputError(f"array {name} is stored in chunks or filters larger than it needs")


def _arrays(
    stream: Any, network: KerasNetwork, architecture: Architecture
) -> dict[str, npt.NDArray[Any]]:
    """The arrays of the architecture, by qnet's names."""
    import h5py

    group = _own_item(stream, "model_weights", h5py.Group)
    found: dict[str, dict[str, Any]] = {}
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, shape in architecture.shapes().items():
        ours, part = name.split(".")
        layer = network.names.get(ours, ours)
        if layer not in found:
            found[layer] = _layer_arrays(group, layer)
        if part in found[layer]:
            arrays[name] = _read_array(found[layer][part], f"{layer}/{part}", shape)
        elif part in ("bias", "beta", "gamma"):
            # Layers saved without bias, centre or scale.
            arrays[name] = np.full(shape, part == "gamma", dtype=np.float32)
        else:
            raise InputError(f"layer {layer} lacks the array {part}")
    return arrays


def _layer_arrays(group: Any, layer: str) -> dict[str, Any]:
    """Datasets of a layer by their last name without ':0'; no link is followed."""
    import h5py

    # A path would lead through groups and links that nobody has looked at.
    if "/" in layer or layer not in group:
        raise InputError(f"model_weights lacks the layer {layer}")
    found: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name.rsplit("/", 1)[-1].split(":")[0]] = item

    _own_item(group, layer, h5py.Group).visititems(visit)
    return found


def _read_array(dataset: Any, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """One array, read only when it is as large as the architecture says and is in the file."""
    if dataset.shape != shape or dataset.dtype.kind != "f":
        raise InputError(
            f"array {name} has shape {dataset.shape} and type {dataset.dtype}, but floats of shape "
            f"{shape} were expected"
        )
    _check_inside(dataset, name)
    return np.asarray(dataset[()])
