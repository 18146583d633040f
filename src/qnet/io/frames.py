"""Frames: the files of single cameras that together are one set of spectra."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qnet.core.errors import FileError
from qnet.core.files import PathLike

#: Names of the files that make one set of spectra, by exposure and spectrograph.
_NAMES = (
    re.compile(r"(?P<kind>cframe)-[brz](?P<spectrograph>\d)-(?P<exposure>\d+)\.fits(\.gz|\.fz)?"),
    re.compile(r"(?P<kind>spCFrame)-[br](?P<spectrograph>\d)-(?P<exposure>\d+)\.fits(\.gz|\.fz)?"),
)


class Frame(NamedTuple):
    """What a frame says of itself.

    Attributes
    ----------
    path : Path
    exposure : object
        Number of the exposure, as the header has it; None where it has none.
    camera : str
        Camera and spectrograph, in lower case: 'b1'.
    nspec : int
        Number of spectra.
    targets : list of int or None
        Targets or fibres, in the order of the rows; None where the file does not say.
    """

    path: Path
    exposure: Any
    camera: str
    nspec: int
    targets: list[int] | None


def check_set(frames: Sequence[Frame]) -> None:
    """Check that frames are of one exposure and spectrograph, a camera each.

    Parameters
    ----------
    frames : sequence of Frame

    Raises
    ------
    FileError
        They are not.
    """
    first = frames[0]
    for frame in frames:
        same = (frame.exposure, frame.camera[1:], frame.nspec) == (
            first.exposure,
            first.camera[1:],
            first.nspec,
        )
        others = None not in (frame.targets, first.targets) and frame.targets != first.targets
        if not same or others:
            raise FileError(
                f"{frame.path}: is not of one set with {first.path}: exposure {frame.exposure}, "
                f"camera {frame.camera}, {frame.nspec} spectra beside exposure {first.exposure}, "
                f"camera {first.camera}, {first.nspec} spectra"
                + (", of other targets" if others else "")
            )
    if len({frame.camera for frame in frames}) != len(frames):
        raise FileError(f"{first.path}: a camera is there twice in its set of frames")


def group_frames(paths: Sequence[PathLike]) -> list[tuple[Path, ...]]:
    """Group the cframes and spCFrames of one exposure and spectrograph; other files stand alone.

    Parameters
    ----------
    paths : sequence of str or path
        Grouped by their names, as the surveys give them, within a folder.

    Returns
    -------
    list of tuple of Path
        In the order of the first file of each group.
    """
    groups: dict[object, list[Path]] = {}
    for number, name in enumerate(paths):
        path = Path(name)
        match = next((m for pattern in _NAMES if (m := pattern.fullmatch(path.name))), None)
        key: object = number
        if match:
            key = (path.parent, match["kind"], match["spectrograph"], int(match["exposure"]))
        groups.setdefault(key, []).append(path)
    return [tuple(group) for group in groups.values()]
