"""Arguments of functions and fields of dataclasses, checked against their own annotations."""

from __future__ import annotations

import dataclasses
import functools
import numbers
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

import numpy as np

from qnet.core.checks import check_list, check_number, check_text
from qnet.core.errors import InputError, shown, type_name
from qnet.core.files import is_path

#: Plain annotations: what they take, in words, and whether a value is such.
_PLAIN: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "bool": (
        "True or False",
        lambda x: isinstance(x, (bool, np.bool_)) or (type(x) is int and x in (0, 1)),
    ),
    "int": (
        "a whole number",
        lambda x: isinstance(x, numbers.Integral) and not isinstance(x, bool),
    ),
    "float": ("a number", lambda x: isinstance(x, numbers.Real) and not isinstance(x, bool)),
    "str": ("text", lambda x: isinstance(x, str)),
    "None": ("None", lambda x: x is None),
    "PathLike": ("a path", lambda x: is_path(x) and x != ""),
    "Callable": ("a function", callable),
    "Mapping": ("a mapping", lambda x: isinstance(x, Mapping)),
}

#: A type that is checked: a plain one by its name, a class, or a list of one; None: any value.
Kind = str | type | tuple[type] | None

#: Annotations of lists of one type.
_LIST = re.compile(r"(?:Sequence\[|tuple\[)(\w+)(?:, \.\.\.)?\]")


def check_arguments(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raise InputError where an argument is not of the type that its annotation declares.

    Called first in a function, with its locals(). Annotations of arrays are left to `as_numbers`.
    """
    for name, annotation in function.__annotations__.items():
        if name in given:
            _check(name, given[name], annotation, function.__module__)


def check_fields(record: Any) -> None:
    """`check_arguments` of a dataclass; scalars of NumPy become Python's, which JSON can hold."""
    for field in dataclasses.fields(record):
        given = getattr(record, field.name)
        value = as_plain(given)
        # Quantities and masked arrays are none of the plain arrays that may stand for a tuple.
        if str(field.type).startswith("tuple[") and type(given) is np.ndarray and given.ndim:
            value = tuple(given.tolist())
        if value is not given:
            object.__setattr__(record, field.name, value)
        _check(field.name, value, str(field.type), type(record).__module__)


def as_plain(value: Any) -> Any:
    """Scalars of NumPy, those in tuples, lists and dictionaries too, as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (tuple, list):
        items = [as_plain(item) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else type(value)(items)
    if type(value) is dict:
        plain = {key: as_plain(item) for key, item in value.items()}
        return value if all(plain[key] is value[key] for key in value) else plain
    return value


def has_attributes(value: object, *names: str) -> bool:
    """Whether an object has attributes; one that raises something when it is read is there."""

    def there(name: str) -> bool:
        try:
            return hasattr(value, name)
        except Exception:  # noqa: BLE001 - the object of another library may raise anything
            return True

    return all(map(there, names))


def as_names(name: str, values: object, kind: str = "line names") -> tuple[str, ...]:
    """The argument `name` as a tuple of text; InputError where it is no list of it."""
    if isinstance(values, str):
        raise InputError(f"{name} must be a list of {kind}, not the string {values!r}")
    found = check_list(name, values, f"a list of {kind}")
    for value in found:
        check_text(f"each of {name}", value)
    return tuple(found)


def _check(name: str, value: Any, annotation: str, module: str) -> None:
    """Raise InputError where a value is of none of the types of an annotation."""
    kinds = _kinds(annotation, module)
    if not any(_fits(value, kind) for kind in kinds):
        words = [_words(kind) for kind in kinds if kind != "None"]
        given = shown(value) if isinstance(value, (str, numbers.Number, type(None))) else ""
        raise InputError(f"{name} must be {' or '.join(words)}, not {given or type_name(value)}")
    if "float" in kinds and isinstance(value, numbers.Real) and "bool" not in kinds:
        check_number(name, value)


@functools.cache
def _kinds(annotation: str, module: str) -> tuple[Kind, ...]:
    """The types of an annotation of a module, which may be a union."""
    union = re.split(r" \| (?![^\[]*\])", annotation)
    return tuple(_resolve(kind, module) for kind in union)


def _resolve(kind: str, module: str) -> Kind:
    """A type of an annotation, where it is one that is checked."""
    if kind in _PLAIN or kind.startswith("Literal["):
        return kind
    if listed := _LIST.fullmatch(kind):
        item = _resolve(listed[1], module)
        return (item,) if isinstance(item, type) else None  # those of text have their own checks
    name = kind.partition("[")[0]
    if name in ("Mapping", "Callable"):
        return name
    found = getattr(sys.modules[module], name, None)
    if get_origin(found) is Literal:
        return f"Literal{list(get_args(found))}"
    known = isinstance(found, type) and found.__module__.startswith("qnet.")
    return None if not known or getattr(found, "_is_protocol", False) else found


def _fits(value: Any, kind: Kind) -> bool:
    """Whether a value is of a type."""
    if kind is None:
        return True
    if isinstance(kind, tuple):
        listed = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
        return listed and all(_fits(item, kind[0]) for item in value)
    if isinstance(kind, type):
        return isinstance(value, kind)
    if kind.startswith("Literal["):
        return isinstance(value, str) and value in _choices(kind)
    return _PLAIN[kind][1](value)


def _words(kind: Kind) -> str:
    """A type in words."""
    if isinstance(kind, tuple):
        return f"a list, each {_words(kind[0])}"
    if isinstance(kind, type):
        return f"a {kind.__name__}"
    if kind is None:
        return "of another type"
    return f"one of {', '.join(_choices(kind))}" if kind.startswith("Literal[") else _PLAIN[kind][0]


def _choices(kind: str) -> list[str]:
    """The words of a Literal."""
    return re.findall(r"""['\"]([^'\"]*)['\"]""", kind)
