"""A kind of objects in memory that are taken as spectra."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from qnet.core.arguments import has_attributes
from qnet.core.spectra import Spectra


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectKind:
    """A kind of objects: how it is recognised, and how it is read."""

    #: In words, for messages and documentation.
    name: str
    #: Package of its class; an object of another class that has the attributes is taken too.
    module: str = ""
    #: What it has, in words, for the documentation.
    given: str
    #: Where TARGETID comes from, in words.
    targetid: str
    #: Whether an object is of the kind, by its attributes.
    detect: Callable[[Any], bool]
    #: The spectra of an object; `air` and `edges` as in `qnet.classify`.
    read: Callable[[Any, bool, bool | None], Spectra]
    #: The spectra of several objects of one or a few spectra each, as one input. Without it, each
    #: object of a list is an input of its own. The second argument is the number of the first row.
    join: Callable[[Sequence[Any], int, bool, bool | None], Spectra] | None = None
    #: Whether the wavelengths may be in air: those of surveys are in vacuum.
    air: bool = False


def each(values: Any) -> Iterator[Any]:
    """The objects of a list or of any iterable, one after the other.

    A subclass of list is asked for each: a lazy one loads an object when its number is given.
    """
    if isinstance(values, list):
        return (values[number] for number in range(len(values)))
    return iter(values)


def by_attributes(*names: str) -> Callable[[Any], bool]:
    """Whether an object has attributes, as `ObjectKind.detect`."""
    return lambda value: has_attributes(value, *names)
