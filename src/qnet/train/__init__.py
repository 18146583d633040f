"""Training: `fit`, and the settings it takes. Keras is imported when a network is fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qnet.train.fitting import fit
    from qnet.train.settings import Augmentation, NetworkOptions, Settings

__all__ = ["Augmentation", "NetworkOptions", "Settings", "fit"]

_HOMES = {
    "Augmentation": "settings",
    "NetworkOptions": "settings",
    "Settings": "settings",
    "fit": "fitting",
}


def __getattr__(name: str) -> Any:
    # The settings are the defaults of a command's options: they must not cost the rest.
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"qnet.train.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'qnet.train' has no attribute {name!r}")
