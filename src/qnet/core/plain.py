"""Records as plain values, of which JSON is made."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np


def for_json(value: Any) -> Any:
    """A dataclass, mapping, array or other value as JSON has it: NaN and infinity are None.

    Fields that hold functions or classes are left out.
    """
    if dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): for_json(each) for name, each in value.items() if not _is_code(each)}
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [for_json(each) for each in value]
    if isinstance(value, re.Pattern):
        return value.pattern
    if isinstance(value, PurePath):
        return str(value)
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _is_code(value: Any) -> bool:
    """Whether a value is a function or class, or several of them."""
    return all(map(callable, value)) if isinstance(value, tuple) and value else callable(value)
