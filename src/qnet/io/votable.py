"""VOTables, checked before astropy reads them: they may claim any size and name other files."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from qnet.core.errors import FileError, shown

#: Bytes of an element of a column by its datatype.
_BYTES = {"bit": 1, "unsignedByte": 1, "short": 2, "int": 4, "float": 4, "doubleComplex": 16}

#: Bytes of the table in memory, for each byte of the file, at most: a number takes 2 in text.
_RATIO = 16

#: Bytes that any file may take.
_FREE = 1 << 22


def check_votable(content: bytes, path: Path) -> None:
    """Raise FileError where a VOTable refers to other files, or announces what it cannot hold."""
    _Check(content, path).run()


class _Check:
    """The walk over the elements of a VOTable."""

    def __init__(self, content: bytes, path: Path) -> None:
        self._content, self._path = content, path
        self._width, self._rows = 0, 0
        self._total = 0

    def run(self) -> None:
        """Go over all elements."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._doctype
        parser.Parse(self._content, True)

    def _refuse(self, what: str) -> NoReturn:
        raise FileError(f"{self._path}: {what}")

    def _doctype(self, *_: object) -> None:
        self._refuse("has a document type definition (DOCTYPE), which is not read in a VOTable")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        """Check an element that begins."""
        tag = name.rpartition(" ")[2]
        if tag == "STREAM" and "href" in attributes:
            self._refuse(f"has its data in another file, {shown(attributes['href'])}: give that")
        if tag == "TABLE":
            self._width, self._rows = 0, self._number(attributes.get("nrows", "0"))
        elif tag == "FIELD":
            sizes = re.findall(r"\d+", attributes.get("arraysize", "1").replace("*", ""))
            count = math.prod(map(self._number, sizes))
            self._width += max(count, 1) * _BYTES.get(attributes.get("datatype", ""), 8)
            self._check(self._width)
        elif tag == "TR":
            self._total += self._width
            self._check(self._total)

    def _end(self, name: str) -> None:
        """Check a table that ends, against the rows that it announced."""
        if name.rpartition(" ")[2] == "TABLE":
            self._check(self._rows * max(self._width, 1))

    def _number(self, text: str) -> int:
        """A whole number of an attribute."""
        if not re.fullmatch(r"\s*\d{1,18}\s*", text):
            self._refuse(f"announces {shown(text)} where a number was expected")
        return int(text)

    def _check(self, size: int) -> None:
        """Refuse a table of more bytes than the file may hold."""
        if size > _FREE + _RATIO * len(self._content):
            self._refuse(f"announces a table of {size} bytes, which it cannot hold")
