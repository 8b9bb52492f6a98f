"""What is done to a text before its errors are counted."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from soritune.errors import UserError
from soritune.languages.punctuation import RULE, drop_punctuation

RAW = "raw"
NO_PUNCTUATION = "no-punctuation"
# The part of a signature that says what each one does.
NORMALIZATIONS = {RAW: "case:mixed|punct:kept", NO_PUNCTUATION: f"case:lc|punct:removed.{RULE}"}


def normalize(text: str, normalization: str = RAW) -> str:
    """Return `text` as it is compared, in NFC, with single spaces and none at its ends.

    "raw" changes nothing else. "no-punctuation" also lower-cases and drops marks by the rule of
    corpora (`text: {punctuation: drop}`), which keeps those that are part of a numeral. Raises
    UserError on an unknown name.
    """
    if normalization not in NORMALIZATIONS:
        raise UserError(
            f"normalization {normalization!r} is unknown: use {' or '.join(NORMALIZATIONS)}"
        )
    # NFC first: a decomposed syllable (ㅎㅏㄴ) would count as three characters.
    text = unicodedata.normalize("NFC", text)
    if normalization == NO_PUNCTUATION:
        text = drop_punctuation(text.lower())
    return " ".join(text.split())


def normalize_all(texts: Sequence[str], normalization: str, spaces: bool = True) -> list[str]:
    """Return each text as it is compared; without `spaces`, every space is removed."""
    normalized = [normalize(text, normalization) for text in texts]
    return normalized if spaces else [text.replace(" ", "") for text in normalized]
