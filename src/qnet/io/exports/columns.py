"""Columns of a catalogue as the exports take them: checked, under their names in upper case."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray, FloatArray, IntArray
from qnet.core.columns import Column, known_column
from qnet.core.errors import InputError
from qnet.core.zwarn import make_zwarn
from qnet.io.catalogue import Catalogue
from qnet.io.columns import bool_column, float_column, integer_column, text_column

#: Beginnings of the keys of cards that are of columns which exports do not have; with MODELSHA
#: the table would be taken as a catalogue of qnet.
_OTHER_CARDS = ("LINE", "REST", "BAL", "BREST", "MODELSHA", "PZ")


class Source:
    """The columns of a catalogue that is exported."""

    def __init__(self, catalogue: Catalogue, to: str) -> None:
        self.columns = {name.upper(): values for name, values in catalogue.columns.items()}
        self.cards = tuple(
            card for card in catalogue.header if not card.key.startswith(_OTHER_CARDS)
        )
        self._to, self._nrows = to, len(catalogue)

    def __len__(self) -> int:
        return self._nrows

    def require(self, *names: str) -> None:
        """Raise InputError where the catalogue lacks a column."""
        if lacking := [name for name in names if name not in self.columns]:
            raise InputError(
                f"the catalogue lacks the column(s) {', '.join(lacking)}, which {self._to} needs"
            )

    def floats(self, name: str) -> FloatArray:
        """A column of floats; NaN where the catalogue has none."""
        if name not in self.columns:
            return np.full(self._nrows, np.nan)
        return float_column(self.columns[name], name, None)

    def integers(self, name: str) -> IntArray:
        """A column of integers; the empty value where the catalogue has none."""
        if name not in self.columns:
            return np.full(self._nrows, known_column(name).empty, dtype=np.int64)
        return integer_column(self.columns[name], name, None)

    def bools(self, name: str) -> BoolArray:
        """A column of bools that the catalogue has."""
        return bool_column(self.columns[name], name, None)

    def texts(self, name: str) -> AnyArray:
        """A column of text; '' where the catalogue has none."""
        if name not in self.columns:
            return np.full(self._nrows, "")
        return text_column(self.columns[name], name, None)

    def zwarn(self) -> IntArray:
        """ZWARN of each row."""
        return make_zwarn(self.integers("QN_FLAG"), self.floats("P_Z"), self.floats("ZBEST"))

    def table(self, columns: Mapping[str, AnyArray], described: Mapping[str, Column]) -> Catalogue:
        """A table of an export, its columns described as those of the catalogue that they are."""
        info = {name: renamed(described.get(name) or known_column(name), name) for name in columns}
        return Catalogue(columns, self.cards, info)


def renamed(column: Column, name: str) -> Column:
    """A column under another name."""
    return dataclasses.replace(column, name=name)
