"""Headers of FITS files before the C library reads them: cards that give sizes are checked.

The C library reads damaged sizes in its own way: it takes the last of two cards, text for zero, and
then divides by zero, reads past the end or asks for gigabytes. Here such headers are refused.
"""

from __future__ import annotations

import dataclasses
import io
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from qnet.core.errors import FileError, shorten, shown
from qnet.io.fits.cards import VALUE

Stream = BinaryIO | io.RawIOBase

#: FITS files come in blocks of this many bytes, headers in cards of 80.
BLOCK, CARD = 2880, 80

#: No file is larger than this.
LARGEST = 1 << 60

#: No header is longer than this in bytes, and no HDU without data in rows.
_LONGEST, _EMPTY_ROWS = 1 << 22, 1 << 20

#: Bytes of an image for each byte of its tiles, at most; runs of zeros take least in PLIO_1.
_RATIO, _LARGEST_RATIO = 2200, 10000

_WHOLE = re.compile(r"[+-]?\d{1,19}")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][+-]?\d+)?")

_SCALES = re.compile(r"BSCALE|BZERO|TSCAL\d+|TZERO\d+|ZSCALE|ZZERO")

#: Cards that give the size, layout or scale of the data: pattern of the names, and the values.
_KINDS: tuple[tuple[str, str, re.Pattern[str] | None], ...] = (
    (r"Z?BITPIX|Z?NAXIS\d*|[PG]COUNT|TFIELDS|THEAP|ZTILE\d+|TBCOL\d+", "a whole number", _WHOLE),
    (_SCALES.pattern, "a number", _NUMBER),
    (r"SIMPLE|ZIMAGE|GROUPS", "T or F", re.compile("[TF]")),
    (r"XTENSION|TTYPE\d+|TFORM\d+|TDIM\d+|ZCMPTYPE|ZQUANTIZ|ZNAME\d+", "text", None),
    (r"ZVAL\d+|TNULL\d+|Z?BLANK|ZDITHER0", "a value", re.compile(".*", re.DOTALL)),
)
_SIZES = re.compile(
    r"(?:HIERARCH +)?(?:" + "|".join(f"({names})" for names, _, _ in _KINDS) + r")(?=[ =])",
    re.IGNORECASE,
)

#: Tables by XTENSION: of text, and binary ones by two names.
TABLES = ("TABLE", "BINTABLE", "A3DTABLE")

#: Types of binary table columns with their bits (FITS standard 4.0, table 18).
_BITS: Mapping[str, int] = {
    "L": 8,
    "X": 1,
    "B": 8,
    "I": 16,
    "J": 32,
    "K": 64,
    "A": 8,
    "E": 32,
    "D": 64,
    "C": 64,
    "M": 128,
    "P": 64,
    "Q": 128,
}
_TFORM = re.compile(r"(\d{0,18})(?:([PQ])([LXBIJKAEDCM])(?:\(\d*\))?|([LXBIJKAEDCM])[^PQ]*)")


class Field(NamedTuple):
    """A column of a binary table: its number, code, repeat count, byte in the row, type.

    The code is P or Q for pointers into the heap, which are to elements of type `element`.
    """

    number: int
    code: str
    repeat: int
    offset: int
    element: str


class Pointers(NamedTuple):
    """A column of pointers into the heap: its name, P or Q, byte in the row, bits per element."""

    name: str
    code: str
    offset: int
    bits: int


@dataclasses.dataclass(frozen=True)
class Header:
    """Cards of sizes of HDU number `number`, as text, and the size of its data."""

    path: Path
    number: int
    cards: Mapping[str, str]
    #: All cards, of 80 characters each.
    texts: list[str] = dataclasses.field(default_factory=list)

    def fault(self, what: str) -> FileError:
        """The error that the header is damaged."""
        name = self.cards.get("EXTNAME", "")
        label = f"{shown(name)} (number {self.number})" if name else f"number {self.number}"
        return FileError(f"{self.path}: the header of HDU {label} is damaged: {what}")

    def whole(self, key: str, low: int, high: int = LARGEST, default: int | None = None) -> int:
        """Value of a card, a whole number in low .. high; the default where there is no such."""
        text = self.cards.get(key)
        if text is None and default is not None:
            return default
        if text is None:
            raise self.fault(f"it lacks {key}")
        if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
            legal = low if low == high else f"{low} to {high}"
            raise self.fault(f"{key} is {shorten(text)}, but {legal} was expected")
        return int(text)

    def _pixel_size(self, key: str) -> int:
        """Bytes of a pixel, by BITPIX or ZBITPIX."""
        if (bits := self.whole(key, -64, 64)) not in (8, 16, 32, 64, -32, -64):
            raise self.fault(f"{key} is {bits}")
        return abs(bits) // 8

    def axes(self, prefix: str = "", least: int = 0) -> list[int]:
        """Lengths of the axes."""
        count = self.whole(f"{prefix}NAXIS", 0, 999)
        return [self.whole(f"{prefix}NAXIS{axis}", least) for axis in range(1, count + 1)]

    @property
    def is_table(self) -> bool:
        """Whether the HDU is a binary table."""
        return self.cards.get("XTENSION", "") in TABLES[1:]

    def data_size(self) -> int:
        """Bytes of the data."""
        self._check_scales()
        size, axes = self._pixel_size("BITPIX"), self.axes()
        kind = self.cards.get("XTENSION", "IMAGE")
        if kind in TABLES:
            self.whole("BITPIX", 8, 8)
            self.whole("NAXIS", 2, 2)
            self.whole("TFIELDS", 0, 999)
        groups = bool(axes) and axes[0] == 0 and self.cards.get("GROUPS") == "T"
        # Only binary tables have a heap, and only random groups have groups.
        known = kind in ("IMAGE", *TABLES) and not groups
        parameters = self.whole("PCOUNT", 0, 0 if known and not self.is_table else LARGEST, 0)
        gcount = self.whole("GCOUNT", 1, 1 if known else LARGEST, 1)
        if groups:
            axes = axes[1:]
        pixels = math.prod(axes) if axes else 0
        if not pixels and axes and axes[-1] > _EMPTY_ROWS:
            raise self.fault(f"it has {axes[-1]} rows of no width")
        total = size * gcount * (parameters + pixels)
        if self.cards.get("ZIMAGE") == "T" and self.is_table:
            self._check_tiles(total)
        return total

    def announced(self) -> int:
        """Bytes that the data take once they are read: images inflated, 4 a pixel at least."""
        compressed = self.cards.get("ZIMAGE") == "T" and self.is_table
        if self.is_table and not compressed:
            return math.prod(self.axes())
        prefix = "Z" if compressed else ""
        axes = self.axes(prefix)
        return max(4, self._pixel_size(f"{prefix}BITPIX")) * math.prod(axes) if axes else 0

    def _tiles(self, axes: list[int]) -> list[int]:
        """Lengths of the tiles of a compressed image along its axes; rows by default."""
        defaults = [*axes[:1], *[1] * len(axes[1:])]
        return [
            self.whole(f"ZTILE{axis}", 1, default=default)
            for axis, default in enumerate(defaults, start=1)
        ]

    def tile_pixels(self) -> int:
        """Pixels of a tile of a compressed image."""
        return math.prod(self._tiles(self.axes("Z", least=1)))

    def _check_scales(self) -> None:
        """Raise FileError where a card scales by zero or infinity."""
        for key, text in self.cards.items():
            if _SCALES.fullmatch(key):
                scale = float(text.upper().replace("D", "E"))
                if math.isinf(scale) or (scale == 0 and "SCAL" in key):
                    raise self.fault(f"{key} is {text}")

    def _check_tiles(self, stored: int) -> None:
        """Raise FileError unless `stored` bytes may hold the compressed image announced."""
        axes = self.axes("Z", least=1)
        kind = self.cards.get("ZCMPTYPE", "")
        tiles = self._tiles(axes)
        size = self._pixel_size("ZBITPIX")
        count = math.prod(-(-length // tile) for length, tile in zip(axes, tiles, strict=True))
        if count != (nrows := self.axes()[-1]):
            raise self.fault(f"it announces {count} tiles, but there are {nrows}")
        ratio = _RATIO if kind.startswith(("RICE", "GZIP")) else _LARGEST_RATIO
        if max(math.prod(axes), math.prod(tiles)) * size > max(stored, BLOCK) * ratio:
            raise self.fault(f"an image of {axes} cannot come of {stored} bytes")
        if self.cards.get("ZQUANTIZ", "").startswith("SUBTRACTIVE"):
            self.whole("ZDITHER0", 1, 10000)
            known = {*self.cards, *self.cards.values()}  # of all tiles, or a column
            if not {"ZSCALE", "ZZERO"} <= known:
                raise self.fault("the image is quantised, but it lacks ZSCALE or ZZERO")
        if kind.startswith("RICE"):
            self.whole("ZVAL1", 1, 1 << 16, 32)
            self.whole("ZVAL2", 1, 8, 4)

    def pointers(self) -> list[Pointers]:
        """Columns of a binary table that point into its heap, after a check of all columns."""
        if not self.is_table:
            return []
        found = []
        for field in self.fields():
            if field.code in ("P", "Q") and field.repeat:
                name = self.cards.get(f"TTYPE{field.number}", f"number {field.number}")
                found.append(Pointers(name, field.code, field.offset, _BITS[field.element]))
        return found

    def fields(self) -> list[Field]:
        """Columns of a binary table, checked to fill its rows."""
        found, offset = [], 0
        for number in range(1, self.whole("TFIELDS", 0, 999) + 1):
            form = self.cards.get(f"TFORM{number}", "")
            match = _TFORM.fullmatch(form.upper())
            if match is None or (match[2] and int(match[1] or 1) > 1):
                raise self.fault(f"TFORM{number} is {shown(form)}, no type of a column")
            repeat = int(match[1] or 1)
            found.append(Field(number, match[2] or match[4], repeat, offset, match[3] or match[4]))
            offset += -(-repeat * _BITS[match[2] or match[4]] // 8)
        if offset != self.axes()[0]:
            raise self.fault(
                f"its columns take {offset} bytes a row, but NAXIS1 is {self.axes()[0]}"
            )
        return found

    def heap_start(self) -> int:
        """Byte of the data at which the heap begins."""
        main = math.prod(self.axes())
        return self.whole("THEAP", main, main + self.whole("PCOUNT", 0, default=0), main)

    def heap(self) -> int:
        """Bytes of the heap."""
        main, parameters = math.prod(self.axes()), self.whole("PCOUNT", 0, default=0)
        return main + parameters - self.heap_start()


class Hdu(NamedTuple):
    """Header of an HDU, and the byte of the inflated file at which its data begin."""

    header: Header
    start: int


def read_header(stream: Stream, block: bytes, number: int, path: Path) -> Header:
    """The header that begins with a block of a stream."""
    cards: dict[str, str] = {}
    header, fault = Header(path, number, cards), ""
    for card in _read_cards(stream, block, header):
        header.texts.append(card)
        match = _SIZES.match(card)
        if match is None:
            if card.startswith("EXTNAME =") and (value := VALUE.fullmatch(card[10:])):
                cards.setdefault("EXTNAME", (value[1] or value[2] or "").strip())
            continue
        kind = match.lastindex or 1
        key = match[kind].upper()
        _, expected, pattern = _KINDS[kind - 1]
        value = VALUE.fullmatch(card[10:]) if card[:10] == f"{key:8}= " else None
        text = None if value is None else value[1 if pattern is None else 2]
        if pattern is not None and text is not None and not pattern.fullmatch(text):
            text = None
        if text is None and expected == "a value" and value is not None:
            text = value[1]
        if key in cards:
            fault = fault or f"{key} is in it twice"
        elif text is None:
            fault = fault or f"the card {shown(card.rstrip())} should hold {expected}"
        cards[key] = (text or "").strip()
    if fault:
        raise header.fault(fault)
    return header


def _read_cards(stream: Stream, block: bytes, header: Header) -> Iterator[str]:
    """Cards of one header, up to END."""
    for _ in range(_LONGEST // BLOCK):
        if len(block) < BLOCK:
            break
        text = block.decode("latin-1")
        for start in range(0, BLOCK, CARD):
            card = text[start : start + CARD]
            if card.startswith("END     "):
                return
            yield card
        block = stream.read(BLOCK)
    raise FileError(
        f"{header.path}: cannot be read as FITS: it ends within the header of HDU number "
        f"{header.number}"
    )
