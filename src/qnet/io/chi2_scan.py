"""Redrock's chi2 against redshift: the details file that ``rrdesi --details`` writes (HDF5)."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, FloatArray, IntArray, match_ids
from qnet.core.bounded import read_bounded, reply
from qnet.core.errors import FileError, reason
from qnet.core.files import PathLike, check_input
from qnet.core.kinds import HDF5, Expected

_EXPECTED = Expected("a details file of redrock", (HDF5,), "rrdesi --details writes it")

#: Beginning of the names of redrock's templates of quasars.
_QSO = "QSO"

#: Values of a data set that are read at most: a million targets of one template, scanned.
_LARGEST = 1 << 31


def read_excess(path: PathLike, targetid: IntArray, z: FloatArray, width: FloatArray) -> FloatArray:
    """How much worse redrock's chi2 of a quasar is in a window than its best one, for each target.

    The window is `z` +- `width`, shape (n,). 0: the best fit lies there; NaN: a target that the
    file has not, or no template of quasars reaches there.
    """
    file = check_input(path, _EXPECTED)
    request = {
        "targetid": [int(value) for value in targetid],
        "z": np.nan_to_num(z, nan=-9.0).tolist(),
        "width": np.nan_to_num(width, nan=0.0).tolist(),
    }
    return np.asarray(np.load(BytesIO(read_bounded(__name__, file, request, _EXPECTED.name))))


def serve() -> None:
    """Read a file in a process of its own: libhdf5 does not end, or crashes, on some."""
    reply(_read)


def _read(request: Mapping[str, Any]) -> bytes:
    """The excess of each target, as `numpy.save` writes it."""
    import h5py

    file = Path(request["file"])
    try:
        with h5py.File(file, "r") as stream:
            found = _excess(stream, request)
    except (OSError, RuntimeError, MemoryError, LookupError, TypeError, ValueError) as error:
        raise FileError(
            f"{file}: is damaged or no details file of redrock ({reason(error)})"
        ) from error
    buffer = BytesIO()
    np.save(buffer, found)
    return buffer.getvalue()


def _excess(stream: Any, request: Mapping[str, Any]) -> FloatArray:
    """`read_excess` of an open file."""
    own = _own(stream, "targetids", 1).astype(np.int64)
    low, high = (np.array(request["z"]) + sign * np.array(request["width"]) for sign in (-1.0, 1.0))
    rows = match_ids(own, np.array(request["targetid"], dtype=np.int64))
    best, near = np.full(len(own), np.inf), np.full(len(rows), np.inf)
    for name in stream["zscan"]:
        redshifts = _own(stream, f"zscan/{name}/redshifts", 1)
        chi2, penalty = (_own(stream, f"zscan/{name}/{part}", 2) for part in ("zchi2", "penalty"))
        if not chi2.shape == penalty.shape == (len(own), len(redshifts)):
            raise ValueError(f"zscan/{name} has chi2 of shape {chi2.shape}")
        chi2 = chi2 + penalty
        best = np.fmin(best, chi2.min(axis=1, initial=np.inf))
        if name.startswith(_QSO):
            for target in np.flatnonzero(rows >= 0):
                inside = (redshifts >= low[target]) & (redshifts <= high[target])
                value = chi2[rows[target], inside].min(initial=np.inf)
                near[target] = min(near[target], value)
    with np.errstate(invalid="ignore"):
        return np.where((rows >= 0) & np.isfinite(near), near - best[np.maximum(rows, 0)], np.nan)


def _own(stream: Any, name: str, ndim: int) -> AnyArray:
    """Numbers of a data set that is in the file itself: links to elsewhere are not followed."""
    import h5py

    group = stream
    for part in name.split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"lacks {name}")
        group = group[part]
    if not isinstance(group, h5py.Dataset) or group.ndim != ndim or group.dtype.kind not in "fiu":
        raise ValueError(f"{name} does not hold numbers in {ndim} dimension(s)")
    if group.size > _LARGEST or group.external or group.is_virtual:
        raise ValueError(f"{name} is too large, or not in the file itself")
    return np.asarray(group[()])
