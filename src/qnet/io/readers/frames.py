"""Frames: the files of single cameras that together are one set of spectra."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qnet.core.errors import FileError


class Frame(NamedTuple):
    """Exposure, camera and spectrograph ('b1') and targets by row of a frame, from its HDUs."""

    path: Path
    exposure: Any
    camera: str
    nspec: int
    targets: list[int] | None


def check_set(frames: Sequence[Frame]) -> None:
    """Raise FileError unless frames are of one exposure and spectrograph, a camera each."""
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
