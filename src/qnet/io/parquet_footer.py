"""The number of values that the footer of a Parquet file announces.

pyarrow, asked for it, ends the whole process on some damaged files (release 26). The footer is a
structure of Thrift in its compact protocol: https://github.com/apache/parquet-format.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

#: The end of a file: the length of the footer (4 bytes) and a mark.
_END, _MARK = 8, b"PAR1"

#: Numbers of fields: row groups, columns of a group, their descriptions, and values in these.
_GROUPS, _COLUMNS, _DESCRIPTION, _VALUES = 4, 1, 3, 5


def count_values(path: Path) -> int:
    """Numbers in all columns of a file; ValueError where its footer is damaged."""
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.seek(max(0, size - _END))
        end = stream.read(_END)
        length = int.from_bytes(end[:4], "little")
        if end[4:] != _MARK or length > size - _END:
            raise ValueError("its end is not that of a Parquet file")
        stream.seek(size - _END - length)
        content = stream.read(length)
    try:
        found = _Compact(content).struct()
        columns = [column for group in found[_GROUPS] for column in group[_COLUMNS]]
        return sum(abs(column[_DESCRIPTION][_VALUES]) for column in columns)
    except (LookupError, TypeError, RecursionError) as error:
        raise ValueError("its footer is damaged") from error


class _Compact:
    """A structure in the compact protocol of Thrift, as a dict by the numbers of its fields."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def struct(self) -> dict[int, Any]:
        """The fields up to a byte 0."""
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            fields[number] = self._value(head & 15)
        return fields

    def _byte(self) -> int:
        self._at += 1
        return self._content[self._at - 1]

    def _varint(self) -> int:
        """A number of 7 bits a byte, the lowest first."""
        value = shift = 0
        while (byte := self._byte()) & 128:
            value, shift = value | (byte & 127) << shift, shift + 7
            if shift > 63:
                raise ValueError("its footer has a number of more than 64 bits")
        return value | byte << shift

    def _signed(self) -> int:
        """A number whose lowest bit is its sign."""
        value = self._varint()
        return value >> 1 ^ -(value & 1)

    def _skipped(self, size: int) -> None:
        self._at += size
        if self._at > len(self._content):
            raise IndexError(size)

    def _value(self, kind: int) -> Any:
        """A value of a field or list: None for text and floats."""
        match kind:
            case 1 | 2:
                return kind == 1
            case 3:
                return self._byte()
            case 4 | 5 | 6:
                return self._signed()
            case 7:
                return self._skipped(8)
            case 8:
                return self._skipped(self._varint())
            case 9 | 10:
                head = self._byte()
                size = head >> 4 if head >> 4 < 15 else self._varint()
                # A logical value takes a byte in a list, but none in a field.
                read = self._byte if head & 15 in (1, 2) else lambda: self._value(head & 15)
                return [read() for _ in range(size)]
            case 12:
                return self.struct()
        raise ValueError(f"its footer has a field of type {kind}")
