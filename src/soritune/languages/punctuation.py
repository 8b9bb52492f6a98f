"""Removal of punctuation, except what is part of a numeral: in corpora and before scoring.

A mark is what Unicode calls punctuation or a symbol (categories P and S); the many dots, dashes and
tildes of keyboards and fonts are one each. The decimal point of 3.14, the colon of 3:30, the
hyphens of a telephone number, the signs of percent, degrees and money beside a digit are read, so
they stay; the comma of 1,234 is not, so it goes without a space.
"""

from __future__ import annotations

import re
import unicodedata

RULE = 2
"""Raised by hand when the rule changes what comes of a text; signatures of scores name it."""

# U+318D is the vowel arae-a, but Korean keyboards give it as a middle dot: 6ㆍ25.
SAME_MARKS = {
    "ㆍ": "·",
    "・": "·",
    "‧": "·",
    "∼": "~",
    "〜": "~",
    "～": "~",
    "−": "-",
    "‐": "-",
    "‑": "-",
    "：": ":",
    "％": "%",
}
_SAME = str.maketrans(SAME_MARKS)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_READ = re.compile(
    r"(?<=\d)[.:/~·-](?=\d)|(?<=[\d)])[%℃℉°]|(?<!\w)[-+](?=\d)|[₩$€£¥](?= ?\d)"
    r"|(?<=[A-Za-z])&(?=[A-Za-z])"
)


def drop_punctuation(text: str) -> str:
    """Return `text` without marks: a dash, a slash or a dot between words becomes a space."""
    text = _THOUSANDS.sub("", text.translate(_SAME))
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
