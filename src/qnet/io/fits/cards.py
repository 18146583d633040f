"""Cards of a FITS header as values, each parsed when it is asked for (FITS standard 4.0, 4.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

#: The value of a card, after 'KEYWORD = ': text in quotes or a word, and a comment.
VALUE = re.compile(r" *(?:'((?:[^']|'')*)'|([^'/ ][^/ ]*)) *(?:/.*)?", re.DOTALL)

_INTEGER = re.compile(r"[+-]?\d+")
_REAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][+-]?\d+)?")


class Cards(Mapping[str, Any]):
    """Values by the names of the cards, in upper case; None where a card has none."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts: dict[str, str] = {}
        self._more: dict[str, list[str]] = {}  # texts that go on over several cards
        self._values: dict[str, Any] = {}
        name = ""
        for text in texts:
            key = text[:8].rstrip().upper()
            if text[8:10] == "= " and key:
                name = key
                self._texts[name] = text[10:]
            elif key == "HIERARCH" and "=" in text:
                name, _, value = text[9:].partition("=")
                name = name.strip().upper()
                self._texts[name] = value
            elif key == "CONTINUE" and name:
                self._more.setdefault(name, []).append(text[8:])

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            text = _parse(self._texts[name])
            for part in self._more.get(name, ()):
                more = _parse(part)
                if not (isinstance(text, str) and isinstance(more, str) and text.endswith("&")):
                    break
                text = text[:-1] + more
            self._values[name] = text.rstrip() if isinstance(text, str) else text
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def _parse(text: str) -> Any:
    """The value of a card: text without trailing blanks, T or F, a number; else its word."""
    match = VALUE.match(text)
    if match is None:
        return None
    if match[1] is not None:
        return match[1].replace("''", "'").rstrip()
    word = match[2]
    if word in ("T", "F"):
        return word == "T"
    if _INTEGER.fullmatch(word):
        return int(word) if len(word) < 20 else word
    if _REAL.fullmatch(word):
        return float(word.upper().replace("D", "E"))
    return word
