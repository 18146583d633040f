"""Counts the work of NumPy code: operations of products, elements of everything else.

Nothing is timed: the counts are the same on every machine, whatever runs beside.
"""

from __future__ import annotations

import collections
import contextlib

import numpy as np


class Work(collections.Counter):
    """Elements that went through each function, and operations of matrix products by their shape.

    Keys are names of ufuncs, with their method (``add.reduceat``); ``copy`` for assignments and
    conversions; ``matmul KxN`` for products with a matrix of that shape.
    """

    @contextlib.contextmanager
    def of(self, *modules):
        """Count what the functions of some modules do while this lasts."""
        kept = [module.np for module in modules]
        for module in modules:
            module.np = CountingNumpy(self)
        try:
            yield self
        finally:
            for module, numpy in zip(modules, kept, strict=True):
                module.np = numpy

    def array(self, values):
        """The array, counted."""
        counted = np.asarray(values).view(Counted)
        counted.work = self
        return counted


class CountingNumpy:
    """NumPy as a module sees it: the arrays it makes are counted."""

    def __init__(self, work):
        self.work = work

    def __getattr__(self, name):
        found = getattr(np, name)
        if name not in ("empty", "zeros", "ones", "full", "array", "asarray"):
            return found

        def make(*arguments, **options):
            made = found(*arguments, **options)
            if name in ("array", "asarray") and made.ndim:
                self.work["copy"] += made.size * (made is not arguments[0])
            return self.work.array(made)

        return make


class Counted(np.ndarray):
    """An array whose operations are counted, and whose results are counted too."""

    work = None

    def __array_finalize__(self, other):
        if self.work is None:
            self.work = getattr(other, "work", None)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        outs = options.get("out")
        if outs:
            options["out"] = tuple(map(plain, outs))
        if "where" in options:
            options["where"] = plain(options["where"])
        arguments = [plain(value) for value in inputs]
        result = getattr(ufunc, method)(*arguments, **options)
        if self.work is not None:
            self._count(ufunc, method, arguments, result)
        if outs:
            return outs[0] if len(outs) == 1 else outs
        if isinstance(result, np.ndarray) and self.work is not None:
            return self.work.array(result)
        return result

    def __setitem__(self, key, value):
        place = plain(self)
        if self.work is not None:
            self.work["copy"] += place[plain(key) if isinstance(key, Counted) else key].size
        place[plain(key) if isinstance(key, Counted) else key] = plain(value)

    def astype(self, *arguments, **options):
        if self.work is not None:
            self.work["copy"] += self.size
        return super().astype(*arguments, **options)

    def _count(self, ufunc, method, arguments, result):
        if ufunc is np.matmul:
            first, second = map(np.shape, arguments)
            # One kernel with a stack of matrices, or rows with one matrix.
            depth, width = first[::-1] if len(second) > len(first) else second
            self.work[f"matmul {depth}x{width}"] += 2 * depth * np.size(result)
            return
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        self.work[name] += max(np.size(value) for value in (*arguments, result))
        self.work["calls"] += 1


def plain(value):
    """The array, not counted."""
    return value.view(np.ndarray) if isinstance(value, Counted) else value
