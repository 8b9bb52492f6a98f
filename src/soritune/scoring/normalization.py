"""What is done to a text before its errors are counted."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from soritune.errors import UserError

RAW = "raw"
NO_PUNCTUATION = "no-punctuation"
# The part of a signature that says what each one does.
MARKS = "~～∼〜ㆍ♩♪♫♬"
"""Marks that Unicode calls symbols or letters: tildes, the dot of Korean keyboards, notes. The form
of a corpus (`punctuation: drop`) takes them away as well."""
NORMALIZATIONS = {RAW: "case:mixed|punct:kept", NO_PUNCTUATION: "case:lc|punct:removed"}


def normalize(text: str, normalization: str = RAW) -> str:
    """Return `text` as it is compared, in NFC, with single spaces and none at its ends.

    "raw" changes nothing else. "no-punctuation" also lower-cases and drops what Unicode calls
    punctuation (category P) and `MARKS`, except that a dash separates its neighbours as a space
    does. Raises UserError on an unknown name.
    """
    if normalization not in NORMALIZATIONS:
        raise UserError(
            f"normalization {normalization!r} is unknown: use {' or '.join(NORMALIZATIONS)}"
        )
    # NFC first: a decomposed syllable (ㅎㅏㄴ) would count as three characters.
    text = unicodedata.normalize("NFC", text)
    if normalization == NO_PUNCTUATION:
        text = "".join(_without_punctuation(character) for character in text.lower())
    return " ".join(text.split())


def normalize_all(texts: Sequence[str], normalization: str, spaces: bool = True) -> list[str]:
    """Return each text as it is compared; without `spaces`, every space is removed."""
    normalized = [normalize(text, normalization) for text in texts]
    return normalized if spaces else [text.replace(" ", "") for text in normalized]


def _without_punctuation(character: str) -> str:
    if character in MARKS:
        return ""
    category = unicodedata.category(character)
    if category == "Pd":
        return " "
    return "" if category.startswith("P") else character
