"""Arguments that no function of qnet was made for, and objects that fail when looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from astropy import units
from astropy.table import Table
from astropy.utils.masked import Masked


class Failing:
    """Raises, at whatever is asked of it, an error that is none of Python's nor of qnet's."""

    class Error(Exception):
        """The error of another library."""

    def _fail(self, *_: Any, **__: Any) -> Any:
        raise self.Error("from inside\nof another library")

    __getattr__ = __len__ = __iter__ = __getitem__ = __array__ = __contains__ = _fail
    __repr__ = __str__ = __float__ = __int__ = __index__ = __bool__ = __fspath__ = __call__ = _fail


class FailingArray:
    """Looks like an array or a table, until its numbers are asked for."""

    shape, ndim, dtype, colnames, columns = (3,), 1, np.dtype(float), ["flux"], {}
    spectral_axis = flux = property(Failing._fail)
    Error = Failing.Error

    def __len__(self) -> int:
        return 3

    __array__ = __getitem__ = __iter__ = Failing._fail


def _of(values: Any) -> Callable[[], Any]:
    """The values, by a function: each call gets its own."""
    return lambda: values


#: Makers of odd values, by their names.
ODD: dict[str, Callable[[], Any]] = {
    **{repr(x): _of(x) for x in (None, True, False, 0, 1, -1, 10**30, -(10**30), 2.5, -0.5)},
    **{repr(x): _of(x) for x in (float("nan"), float("inf"), 1e300, -1e300, 1 + 2j, "", "foo")},
    **{repr(x): _of(x) for x in ("λ", "a\0b", "x" * 300, b"", b"foo", [], (), [None], ["foo"])},
    **{repr(x): _of(x) for x in ([1, [2, 3]], [[]], (1, "a"), {}, {"a": 1}, {1: None}, {1.5, 2})},
    **{repr(x): _of(x) for x in ([-1], [10**30], [1e300] * 3, [float("nan")], [True, False, True])},
    **{
        repr(x): _of(x)
        for x in (Ellipsis, slice(None), range(3), int, np.float64, Path("/no/file"))
    },
    "generator": lambda: (number for number in range(3)),
    "function": lambda: lambda *_: "foo",
    "object": object,
    "failing": Failing,
    "failing array": FailingArray,
    "namespace": lambda: SimpleNamespace(a=1),
    "np.float32": lambda: np.float32(0.25),
    "np.int64": lambda: np.int64(2),
    "np.bool": lambda: np.bool_(True),
    "np.ma.masked": lambda: np.ma.masked,
    "0-d": lambda: np.array(1.0),
    "no numbers": lambda: np.zeros(0),
    "no rows": lambda: np.zeros((0, 443)),
    "4-d": lambda: np.zeros((1, 2, 3, 4)),
    "objects": lambda: np.array([None, "a", 1], dtype=object),
    "dates": lambda: np.array(["2020-01-01"] * 3, dtype="M8[D]"),
    "complex": lambda: np.ones(3, dtype=complex),
    "structured": lambda: np.zeros(3, dtype=[("a", "f8"), ("b", "i4")]),
    "texts": lambda: np.array(["a", "b", "c"]),
    "bytes": lambda: np.array([b"a", b"b", b"c"]),
    "uint64": lambda: np.full(3, 2**64 - 1, dtype=np.uint64),
    "swapped": lambda: np.arange(3, dtype=">i4"),
    "wild": lambda: np.array([np.nan, np.inf, -np.inf]),
    "huge": lambda: np.array([1e308, -1e308, 5e-324]),
    "masked": lambda: np.ma.array([1.0, 2.0, 3.0], mask=[True, False, False]),
    "Masked": lambda: Masked(np.arange(3), mask=[True, False, False]),
    "length": lambda: np.arange(3) * units.m,
    "time": lambda: 3 * units.s,
    "pandas": lambda: pytest.importorskip("pandas").DataFrame({"a": [1, 2, 3]}),
    "series": lambda: pytest.importorskip("pandas").Series([1.0, 2.0, 3.0]),
    "Table": lambda: Table({"flux": [1.0, 2.0], "TARGETID": [1, 2]}),
    "empty Table": Table,
}
