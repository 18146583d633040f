"""Readers of the surveys' files: one module per layout, which registers its `Reader`."""

import importlib
import pkgutil

from qnet.io.readers.registry import READERS, Reader, register

__all__ = ["READERS", "Reader", "register"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
