"""Values of plain header cards: the C library takes some 50 us for each card of a long header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

#: A card with a value as most programs write it: text, T or F, or a number in columns 11 to 80.
_CARD = re.compile(
    r"([A-Z0-9_-]{1,8}) *= +(?:'((?:[^']|'')*)'|([TF])|([+-]?\d{1,18})"
    r"|([+-]?(?:\d+\.\d*|\.\d+|\d+(?=E))(?:E[+-]?\d{1,3})?)) *(?:/.*)?"
)
_LONGER = re.compile(r"CONTINUE  +'((?:[^']|'')*)' *(?:/.*)?")

#: Cards without a value.
_REMARKS = ("COMMENT ", "HISTORY ", "        ")


def plain_values(cards: Sequence[str]) -> dict[str, Any] | None:
    """Values of cards by their names, trailing blanks removed; None where a card is not plain.

    Remarks are left out. Of two cards of one name the last counts, as in the C library.
    """
    values: dict[str, Any] = {}
    longer = ""  # name of the text that the next card continues
    for card in cards:
        if longer:
            match = _LONGER.fullmatch(card)
            if match is None:
                return None
            values[longer] = values[longer][:-1] + _text(match[1])
        elif card.startswith(_REMARKS):
            continue
        else:
            match = _CARD.fullmatch(card)
            if match is None or card[8:10] != "= ":
                return None
            key, text, logical, whole, number = match.groups()
            if text is not None:
                values[key] = _text(text)
            else:
                values[key] = logical == "T" if logical else int(whole) if whole else float(number)
        name = longer or match[1]
        value = values[name]
        longer = name if isinstance(value, str) and value.endswith("&") else ""
    return None if longer else values


def _text(quoted: str) -> str:
    """Text between quotes, which are doubled in it."""
    return quoted.replace("''", "'").rstrip()
