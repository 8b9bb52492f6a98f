"""Removal of punctuation, except what is part of a numeral.

A mark is what Unicode calls punctuation or a symbol (categories P and S). The decimal point of
3.14, the colon of 3:30, the hyphens of a telephone number, the signs of percent, degrees and money
beside a digit are read, so they stay; the comma of 1,234 is not, so it goes without a space.
"""

from __future__ import annotations

import re
import unicodedata

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_READ = re.compile(
    r"(?<=\d)[.:/~·-](?=\d)|(?<=[\d)])[%℃℉°]|(?<!\w)[-+](?=\d)|[₩$€£¥](?= ?\d)"
    r"|(?<=[A-Za-z])&(?=[A-Za-z])"
)


def drop_punctuation(text: str) -> str:
    """Return `text` without marks: a dash, a slash or a dot between words becomes a space."""
    text = _THOUSANDS.sub("", text)
    kept = {found.start() for found in _READ.finditer(text)}
    characters = (
        character if position in kept else _without(character)
        for position, character in enumerate(text)
    )
    return " ".join("".join(characters).split())


def _without(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] not in "PS":
        return character
    # An apostrophe or a quotation mark separates no words; brackets, dots and dashes do.
    return "" if category in ("Pi", "Pf") or character in "'\"" else " "
