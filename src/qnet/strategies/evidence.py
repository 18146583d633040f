"""What the finders of quasars say of a spectrum: the columns that strategies use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qnet.core.arrays import AnyArray, BoolArray, FloatArray
from qnet.core.errors import InputError
from qnet.core.guards import foreign_faults
from qnet.io.columns import bool_column, filled, float_column, integer_column, text_column
from qnet.io.readers.desi import BGS_TARGETS, ELG_TARGETS, QSO_TARGETS
from qnet.lines import QUASARNET_LINES

if TYPE_CHECKING:
    from astropy.table import Table


class Item(NamedTuple):
    """A kind of evidence: the names of its column, the best first, who gives it, and its type."""

    columns: tuple[str, ...]
    giver: str
    convert: Callable[[AnyArray, str, None], AnyArray] = float_column


#: Columns of line confidences where each line has one, as DESI's afterburner names them.
LINE_COLUMNS: Mapping[str, str] = MappingProxyType(
    {line: f"C_{line.partition('(')[0]}" for line in QUASARNET_LINES}
)

#: What a strategy may use. Z is redrock's where the table has no better name for it.
EVIDENCE: Mapping[str, Item] = MappingProxyType({
    "lines": Item(("C_LINES",), "qnet, QuasarNET or DESI's afterburner (C_LYA, C_CIV, ...)"),
    "z": Item(("ZBEST", "Z_QN"), "qnet, QuasarNET or DESI's afterburner"),
    "p_qso": Item(("P_QSO",), "a calibrated model of qnet"),
    "spectype": Item(("SPECTYPE", "SPECTYPE_RR"), "redrock", text_column),
    "z_redrock": Item(("Z_RR", "Z"), "redrock"),
    "zwarn": Item(("ZWARN", "ZWARN_RR"), "redrock", integer_column),
    "prob": Item(("PROB",), "SQUEzE"),
    "z_squeze": Item(("Z_TRY",), "SQUEzE"),
    "mgii": Item(("IS_QSO_MGII",), "DESI's MgII afterburner", bool_column),
    "rerun": Item(("IS_QSO_QN_NEW_RR",), "DESI's afterburner", bool_column),
    "z_new": Item(("Z_NEW",), "DESI's afterburner"),
    "objtype": Item(("OBJTYPE",), "the survey", text_column),
    "fiberstatus": Item(("COADD_FIBERSTATUS",), "the survey", integer_column),
    "target": Item(tuple(QSO_TARGETS), "the survey", integer_column),
    "qn_flag": Item(("QN_FLAG",), "qnet", integer_column),
})  # fmt: skip

#: Names of all columns of evidence, in upper case.
COLUMN_NAMES = frozenset(
    {name for item in EVIDENCE.values() for name in item.columns}
    | {name.upper() for name in LINE_COLUMNS.values()}
)

#: What the model of qnet or QuasarNET gives by itself.
PREDICTIONS = frozenset({"lines", "z", "p_qso", "qn_flag"})

#: What redrock gives beside it, where `qnet afterburner` and `qnet merge` read its file.
OF_REDROCK = frozenset(name for name, item in EVIDENCE.items() if item.giver == "redrock")


class Evidence:
    """The columns of a table as evidence; those that are absent raise InputError when asked for."""

    def __init__(
        self, table: Table | Mapping[str, Any], meta: Mapping[str, Any] | None = None
    ) -> None:
        with foreign_faults("table", table, "a table, or columns by name"):
            names = getattr(table, "colnames", None) or list(table.keys())
            # Case is left out: DESI writes C_MgII, FITS readers C_MGII.
            self._columns = {str(name).upper(): table[name] for name in names}
            found = getattr(table, "meta", None) if meta is None else meta
            lengths = {len(column) for column in self._columns.values()}
        self.meta: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
        if len(lengths) > 1:
            raise InputError(f"the columns of table must have one length, not {sorted(lengths)}")
        self._length = next(iter(lengths), 0)

    def __len__(self) -> int:
        return self._length

    def __contains__(self, item: object) -> bool:
        if item == "lines" and self._line_columns():
            return True
        return any(name in self._columns for name in EVIDENCE[str(item)].columns)

    def __getitem__(self, item: str) -> AnyArray:
        """A kind of evidence as an array (nrows,)."""
        kind = EVIDENCE[item]
        for name in kind.columns:
            if name in self._columns:
                return kind.convert(self._filled(name), name, None)
        raise self.missing(item)

    def lacking(self, items: Sequence[str]) -> list[str]:
        """Names of the columns of those kinds of evidence that are absent."""
        return [EVIDENCE[item].columns[0] for item in items if item not in self]

    def select(self, rows: AnyArray) -> Evidence:
        """Some of the rows."""
        return Evidence({name: self._filled(name)[rows] for name in self._columns}, self.meta)

    def add(self, columns: Mapping[str, AnyArray]) -> Evidence:
        """With further columns, where it has none of their names."""
        return Evidence({**columns, **self._columns}, self.meta)

    def missing(self, item: str) -> InputError:
        """The error that a table lacks a kind of evidence."""
        names = " or ".join(EVIDENCE[item].columns)
        return InputError(f"table has no column {names}, which {EVIDENCE[item].giver} gives")

    def confidences(self) -> FloatArray:
        """Confidences of the emission lines, shape (nlines, nrows)."""
        if "C_LINES" in self._columns:
            values = self._filled("C_LINES")
            if values.ndim != 2 or values.dtype.kind not in "fiu":
                raise InputError(
                    f"column C_LINES must be of shape (nrows, nlines), not {values.shape}"
                )
            return values.T.astype(np.float64)
        if found := self._line_columns():
            return np.stack([float_column(self._filled(name), name, None) for name in found])
        raise self.missing("lines")

    def confidence(self, line: str) -> FloatArray:
        """Confidence of one of QuasarNET's lines, shape (nrows,)."""
        name = LINE_COLUMNS[line].upper()
        if "C_LINES" not in self._columns and name in self._columns:
            return float_column(self._filled(name), name, None)
        values = self.confidences()
        lines = self._line_names(len(values))
        if line not in lines:
            raise InputError(f"table has no line {line}: its lines are {', '.join(lines)}")
        return np.asarray(values[lines.index(line)])

    def is_target(self, kind: str) -> BoolArray:
        """Rows (nrows,) that DESI targeted as 'QSO', 'ELG' or 'BGS', by any of its columns."""
        bits = {"QSO": QSO_TARGETS, "ELG": ELG_TARGETS, "BGS": BGS_TARGETS}[kind]
        found = np.zeros(len(self), dtype=bool)
        for name in set(bits) & set(self._columns):
            found |= (integer_column(self._filled(name), name, None) & bits[name]) != 0
        return found

    def _line_columns(self) -> list[str]:
        """Columns of single lines, all of QuasarNET's or none."""
        names = [name.upper() for name in LINE_COLUMNS.values()]
        return names if set(names) <= set(self._columns) else []

    def _line_names(self, nlines: int) -> list[str]:
        """Names of the lines of C_LINES, by the header, else QuasarNET's."""
        if "LINES" in self.meta:
            return [str(name) for name in self.meta["LINES"]]
        named = [str(self.meta[f"LINE{n}"]) for n in range(nlines) if f"LINE{n}" in self.meta]
        return named or list(QUASARNET_LINES)

    def _filled(self, name: str) -> AnyArray:
        """A column as a plain array."""
        return filled(self._columns[name], name)
